//! The normal form of *any* policy JSON as one text: two documents mean the same to us exactly when these texts are
//! equal (aws-facts C). It is compared and hashed, never sent, and what it does not know it keeps as it is.

use std::collections::BTreeSet;

use super::equality::Flavour;
use super::json::{Json, quote};
use super::statement::root_account;
use crate::names::Partition;

/// The normal form of a whole document.
pub(super) fn document(json: &Json, partition: Partition, flavour: Flavour) -> String {
    // A list of one document is that document, an empty list an empty one (aws-facts C.1).
    let members = match json {
        Json::Object(members) => members.as_slice(),
        Json::List(items) => match items.as_slice() {
            [] => &[],
            [Json::Object(members)] => members.as_slice(),
            _ => return as_is(json),
        },
        _ => return as_is(json),
    };
    let mut parts: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| {
            let value = if name == "Statement" { statements(value, partition, flavour)? } else { as_is(value) };
            Some(format!("{}:{value}", quote(name)))
        })
        .collect();
    if !members.iter().any(|(name, _)| name == "Version") {
        parts.push("\"Version\":\"2008-10-17\"".to_owned());
    }
    object(parts)
}

fn statements(json: &Json, partition: Partition, flavour: Flavour) -> Option<String> {
    let items = match json {
        Json::Opaque(null) if null == "null" => return None,
        Json::Object(_) | Json::List(_) => json.elements(),
        _ => return Some(as_is(json)),
    };
    let set: BTreeSet<String> = items.iter().map(|item| one_statement(item, partition, flavour)).collect();
    (!set.is_empty()).then(|| list(set))
}

/// The normal form of a statement by itself.
pub(super) fn statement(json: &Json, partition: Partition) -> String {
    one_statement(json, partition, Flavour::Registry)
}

fn one_statement(json: &Json, partition: Partition, flavour: Flavour) -> String {
    let Json::Object(members) = json else { return as_is(json) };
    let mut parts: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| {
            let value = match name.as_str() {
                "Sid" if value.scalar() == Some("") => None,
                "Effect" => Some(value.scalar().map_or_else(|| as_is(value), |text| quote(&text.to_ascii_lowercase()))),
                "Action" | "NotAction" => Some(list(set_of(value, str::to_ascii_lowercase))),
                "Resource" | "NotResource" => Some(list(set_of(value, str::to_owned))),
                "Principal" | "NotPrincipal" => principals(value, partition),
                "Condition" => conditions(value),
                _ => Some(as_is(value)),
            };
            Some(format!("{}:{}", quote(name), value?))
        })
        .collect();
    // A repository's policy can speak of that repository only.
    if flavour == Flavour::Repository && !members.iter().any(|(name, _)| name == "Resource" || name == "NotResource") {
        parts.push("\"Resource\":[\"*\"]".to_owned());
    }
    object(parts)
}

fn principals(json: &Json, partition: Partition) -> Option<String> {
    let entry = |text: &str| match root_account(text) {
        Some((of, account)) if of == partition.as_str() => account.to_owned(),
        _ => text.to_owned(),
    };
    let kinds = match json {
        // "*" is {"AWS":"*"}; any other bare string AWS does not accept.
        Json::Text(text) => vec![format!("\"AWS\":{}", list([quote(&entry(text))]))],
        Json::Object(kinds) => kinds
            .iter()
            .filter_map(|(kind, values)| {
                let set = if kind == "AWS" { set_of(values, entry) } else { set_of(values, str::to_owned) };
                (!set.is_empty()).then(|| format!("{}:{}", quote(kind), list(set)))
            })
            .collect(),
        _ => return Some(as_is(json)),
    };
    // No principal at all is like an absent member, and unlike "*".
    (!kinds.is_empty()).then(|| object(kinds))
}

fn conditions(json: &Json) -> Option<String> {
    let Json::Object(operators) = json else { return Some(as_is(json)) };
    let mut parts = Vec::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else {
            parts.push(format!("{}:{}", quote(operator), as_is(keys)));
            continue;
        };
        // An empty list of values stays: it matches nothing, which is not the same as no condition.
        parts.extend(keys.iter().map(|(key, values)| {
            let values = list(set_of(values, str::to_owned));
            format!("{}:{{{}:{values}}}", quote(operator), quote(&key.to_ascii_lowercase()))
        }));
    }
    (!parts.is_empty()).then(|| object(parts))
}

/// A scalar or a list, as a set of texts; numbers and bools as if they had quotes.
fn set_of(json: &Json, fold: impl Fn(&str) -> String) -> BTreeSet<String> {
    let text = |item: &Json| item.scalar().map_or_else(|| as_is(item), |text| quote(&fold(text)));
    json.elements().iter().map(text).collect()
}

/// What we know nothing about: only the order of members does not count.
fn as_is(json: &Json) -> String {
    match json {
        Json::Text(text) => quote(text),
        Json::Scalar(text) | Json::Opaque(text) => text.clone(),
        Json::List(items) => list(items.iter().map(as_is)),
        Json::Object(members) => {
            object(members.iter().map(|(name, value)| format!("{}:{}", quote(name), as_is(value))).collect())
        }
    }
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

fn object(mut members: Vec<String>) -> String {
    members.sort();
    format!("{{{}}}", members.join(","))
}
