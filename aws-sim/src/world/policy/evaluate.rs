//! Whether a registry policy lets a principal do an action on a repository (aws-facts B.2, B.3). Identity policies are
//! assumed to allow: this answers the resource's half.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::condition::{self, Context, Holds};
use super::{actions, as_list, matches_pattern, principal, statements};
use crate::world::registry::Scope;

/// The answer of `would`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub allowed: bool,
    /// The statement or the rule that decided, for people.
    pub because: String,
}

/// Who asks, as policies see them.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) account: String,
    /// What `aws:PrincipalArn` holds: for a session the role's ARN.
    pub(crate) entity_arn: String,
    /// The principal as given: a session's own ARN, a service's name.
    pub(crate) name: String,
    pub(crate) organization_id: Option<String>,
}

impl Subject {
    pub(crate) fn is_service(&self) -> bool {
        self.account.is_empty()
    }

    pub(crate) fn context(&self, region: &str) -> Context {
        let mut context = Context::from([
            ("aws:securetransport".to_owned(), "true".to_owned()),
            ("aws:viaawsservice".to_owned(), "false".to_owned()),
            ("aws:principalisawsservice".to_owned(), self.is_service().to_string()),
            ("aws:requestedregion".to_owned(), region.to_owned()),
        ]);
        if !self.is_service() {
            context.insert("aws:principalaccount".to_owned(), self.account.clone());
            context.insert("aws:principalarn".to_owned(), self.entity_arn.clone());
        }
        if let Some(id) = &self.organization_id {
            context.insert("aws:principalorgid".to_owned(), id.clone());
        }
        context
    }
}

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) region: &'a str,
    pub(crate) partition: &'a str,
    /// ARNs in the policy that stand for somebody who is gone.
    pub(crate) renamed: &'a BTreeMap<String, String>,
}

/// Deny wins, then Allow, then nothing.
pub(crate) fn decide(policy: Option<&str>, scope: Scope, question: &Question<'_>) -> Decision {
    let no = |because: String| Decision { allowed: false, because };
    if !actions::is_enforced(question.action, scope) {
        return no(format!("scope V1 does not enforce {}", question.action));
    }
    let Some(text) = policy else {
        return no("the registry has no policy".to_owned());
    };
    let Ok(document) = serde_json::from_str::<Value>(text) else {
        return no("the registry policy is not JSON".to_owned());
    };
    let context = question.subject.context(question.region);
    let mut allowed_by = None;
    for (index, statement) in statements(&document).into_iter().enumerate() {
        let Some(statement) = statement.as_object().filter(|s| question.is_met_by(s)) else {
            continue;
        };
        let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        let name = label(statement, index);
        match (condition::holds(statement.get("Condition"), &context), denies) {
            (Holds::Yes, true) => return no(format!("denied by {name}")),
            (Holds::Unknown(operator), true) => return no(format!("{operator} is not modelled: denied by {name}")),
            (Holds::Yes, false) => {
                allowed_by.get_or_insert(name);
            }
            (Holds::No | Holds::Unknown(_), _) => {}
        }
    }
    allowed_by.map_or_else(
        || no("no statement allows it".to_owned()),
        |name| Decision { allowed: true, because: format!("allowed by {name}") },
    )
}

fn label(statement: &Map<String, Value>, index: usize) -> String {
    statement
        .get("Sid")
        .and_then(Value::as_str)
        .map_or_else(|| format!("statement {}", index + 1), |sid| format!("statement {} ({sid})", index + 1))
}

impl Question<'_> {
    fn is_met_by(&self, statement: &Map<String, Value>) -> bool {
        let covered = |positive: &str, negative: &str, covers: &dyn Fn(&str) -> bool| {
            let any = |v: &Value| as_list(v).into_iter().filter_map(Value::as_str).any(covers);
            match (statement.get(positive), statement.get(negative)) {
                (Some(values), _) => any(values),
                (None, Some(values)) => !any(values),
                (None, None) => false,
            }
        };
        self.names_subject(statement)
            && covered("Action", "NotAction", &|pattern| actions::covers(pattern, self.action))
            && covered("Resource", "NotResource", &|pattern| matches_pattern(pattern, self.resource))
    }

    fn names_subject(&self, statement: &Map<String, Value>) -> bool {
        match (statement.get("Principal"), statement.get("NotPrincipal")) {
            (Some(principals), _) => self.any_is_subject(principals),
            (None, Some(principals)) => !self.any_is_subject(principals),
            (None, None) => false,
        }
    }

    fn any_is_subject(&self, principals: &Value) -> bool {
        match principals {
            Value::String(all) => all == "*",
            Value::Object(kinds) => kinds.iter().any(|(kind, names)| {
                as_list(names).into_iter().filter_map(Value::as_str).any(|name| match kind.as_str() {
                    "AWS" => self.is_subject(name),
                    "Service" => self.subject.is_service() && name == self.subject.name,
                    _ => false,
                })
            }),
            _ => false,
        }
    }

    fn is_subject(&self, name: &str) -> bool {
        if self.renamed.contains_key(name) {
            return false;
        }
        match principal::parse(name, self.partition) {
            Some(principal::Principal::Everyone) => true,
            Some(principal::Principal::Account(account)) => account == self.subject.account,
            Some(_) => name == self.subject.entity_arn || name == self.subject.name,
            None => false,
        }
    }
}
