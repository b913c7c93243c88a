//! From JSON to a [`Statement`], all or nothing: one member, one shape or one duplicate that the type cannot hold and
//! there is no statement, so that nothing is ever judged or written by half of what it says.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use super::json::Json;
use super::statement::{ConditionKey, Effect, Principal, Statement};
use crate::names::Partition;

/// The statement and its Sid. Without a partition principals are taken as written (canonical text). Principals and
/// actions may come out empty; the caller decides what that means.
pub(super) fn statement(json: &Json, partition: Option<Partition>) -> Option<Statement> {
    let Json::Object(members) = json else { return None };
    let mut seen = BTreeSet::new();
    let mut effect = None;
    let mut principals = BTreeSet::new();
    let mut actions = BTreeSet::new();
    let mut resources = BTreeSet::new();
    let mut conditions = BTreeMap::new();
    for (name, value) in members {
        if !seen.insert(name.as_str()) {
            return None;
        }
        match name.as_str() {
            "Sid" => drop(text(value)?),
            "Effect" => effect = Some(read_effect(text(value)?)?),
            "Principal" => principals = read_principals(value, partition)?,
            "Action" => actions = texts(value)?.into_iter().map(Action::new).collect(),
            "Resource" => resources = texts(value)?.into_iter().map(str::to_owned).collect(),
            "Condition" => conditions = read_conditions(value)?,
            _ => return None,
        }
    }
    Some(Statement {
        effect: effect?,
        principals: principals.into(),
        actions: actions.into(),
        resources: resources.into(),
        conditions: conditions.into(),
    })
}

fn text(json: &Json) -> Option<&str> {
    match json {
        Json::Text(text) => Some(text),
        _ => None,
    }
}

fn texts(json: &Json) -> Option<Vec<&str>> {
    json.elements().iter().map(text).collect()
}

/// AWS may refuse lower case, but a document that has it means this (aws-facts C.3).
fn read_effect(text: &str) -> Option<Effect> {
    [Effect::Allow, Effect::Deny].into_iter().find(|effect| text.eq_ignore_ascii_case(effect.as_str()))
}

fn read_principals(json: &Json, partition: Option<Partition>) -> Option<BTreeSet<Principal>> {
    let aws = |text: &str| match partition {
        Some(partition) => Principal::aws(text, partition),
        None => Principal::aws_as_written(text),
    };
    match json {
        Json::Text(text) => (text == "*").then(|| BTreeSet::from([Principal::Everyone])),
        Json::Object(kinds) => {
            let mut seen = BTreeSet::new();
            let mut principals = BTreeSet::new();
            for (kind, values) in kinds {
                if !seen.insert(kind) {
                    return None;
                }
                let values = texts(values)?.into_iter();
                match kind.as_str() {
                    "AWS" => principals.extend(values.map(aws)),
                    "Service" => principals.extend(values.map(|service| Principal::Service(service.to_owned()))),
                    _ => return None,
                }
            }
            Some(principals)
        }
        _ => None,
    }
}

fn read_conditions(json: &Json) -> Option<BTreeMap<ConditionKey, BTreeSet<String>>> {
    let Json::Object(operators) = json else { return None };
    let mut conditions = BTreeMap::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else { return None };
        for (key, values) in keys {
            let values = values.elements().iter().map(|value| value.scalar().map(str::to_owned));
            let values: BTreeSet<String> = values.collect::<Option<_>>()?;
            // Twice the same key, be it in another case: which one AWS takes is not known.
            if conditions.insert(ConditionKey::new(operator, key), values).is_some() {
                return None;
            }
        }
    }
    Some(conditions)
}
