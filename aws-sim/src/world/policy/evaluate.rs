//! What one document says to one request (aws-facts B.2, B.3): a registry's or a repository's policy, a role's trust, an
//! identity policy. Who combines them, and what the service itself enforces, is said elsewhere (`would`).

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::condition::{self, Context, Holds};
use super::{actions, as_list, matches_pattern, principal, statements};

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
    /// An ARN; absent: is there anything that the subject may do it on?
    pub(crate) resource: Option<&'a str>,
    pub(crate) partition: &'a str,
    pub(crate) context: &'a Context,
}

/// What a document is attached to: that decides which members a statement may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Names principals and resources.
    Registry,
    /// Is about this repository alone: a statement without resources covers it (aws-facts B.1).
    Repository,
    /// A trust policy: the resource is the role.
    Role,
    /// Names no principals: it is about whoever carries it.
    Identity,
}

/// A document, and who in it is gone.
pub(crate) struct Document<'a> {
    pub(crate) holder: Holder,
    pub(crate) text: &'a str,
    /// ARNs that stand for somebody who is gone.
    pub(crate) renamed: &'a BTreeMap<String, String>,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// By which statement.
    Allowed(String),
    Denied(String),
    /// Why it says nothing.
    Silent(String),
}

impl Document<'_> {
    /// Deny wins, then Allow, then nothing.
    pub(crate) fn says(&self, question: &Question<'_>) -> Verdict {
        let Ok(document) = serde_json::from_str::<Value>(self.text) else {
            return Verdict::Silent("it is not JSON".to_owned());
        };
        let mut allowed_by = None;
        for (index, statement) in statements(&document).into_iter().enumerate() {
            let Some(statement) = statement.as_object().filter(|s| self.meets(s, question)) else {
                continue;
            };
            let denies = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
            let name = label(statement, index);
            match (condition::holds(statement.get("Condition"), question.context), denies) {
                (Holds::Yes, true) => return Verdict::Denied(format!("denied by {name}")),
                (Holds::Unknown(operator), true) => {
                    return Verdict::Denied(format!("{operator} is not modelled: denied by {name}"));
                }
                (Holds::Yes, false) => {
                    allowed_by.get_or_insert(name);
                }
                (Holds::No | Holds::Unknown(_), _) => {}
            }
        }
        allowed_by.map_or_else(
            || Verdict::Silent("no statement allows it".to_owned()),
            |name| Verdict::Allowed(format!("allowed by {name}")),
        )
    }

    fn meets(&self, statement: &Map<String, Value>, question: &Question<'_>) -> bool {
        let covered = |positive: &str, negative: &str, covers: &dyn Fn(&str) -> bool| {
            let any = |v: &Value| as_list(v).into_iter().filter_map(Value::as_str).any(covers);
            match (statement.get(positive), statement.get(negative)) {
                (Some(values), _) => Some(any(values)),
                (None, Some(values)) => Some(!any(values)),
                (None, None) => None,
            }
        };
        let is_denial = statement.get("Effect").and_then(Value::as_str) == Some("Deny");
        let on_resource = match question.resource {
            Some(resource) => covered("Resource", "NotResource", &|pattern| matches_pattern(pattern, resource)),
            // Anything allowed is something; only what denies everything leaves nothing.
            None if is_denial => covered("Resource", "NotResource", &|pattern| pattern == "*"),
            None => Some(true),
        };
        let may_lack_resource = matches!(self.holder, Holder::Repository | Holder::Role);
        (self.holder == Holder::Identity || self.names_subject(statement, question))
            && covered("Action", "NotAction", &|pattern| actions::covers(pattern, question.action)) == Some(true)
            && on_resource.unwrap_or(may_lack_resource)
    }

    fn names_subject(&self, statement: &Map<String, Value>, question: &Question<'_>) -> bool {
        match (statement.get("Principal"), statement.get("NotPrincipal")) {
            (Some(principals), _) => self.any_is_subject(principals, question),
            (None, Some(principals)) => !self.any_is_subject(principals, question),
            (None, None) => false,
        }
    }

    fn any_is_subject(&self, principals: &Value, question: &Question<'_>) -> bool {
        let subject = question.subject;
        match principals {
            Value::String(all) => all == "*",
            Value::Object(kinds) => kinds.iter().any(|(kind, names)| {
                as_list(names).into_iter().filter_map(Value::as_str).any(|name| match kind.as_str() {
                    "AWS" => self.is_subject(name, question),
                    "Service" => subject.is_service() && name == subject.name,
                    _ => false,
                })
            }),
            _ => false,
        }
    }

    fn is_subject(&self, name: &str, question: &Question<'_>) -> bool {
        if self.renamed.contains_key(name) {
            return false;
        }
        let subject = question.subject;
        match principal::parse(name, question.partition) {
            Some(principal::Principal::Everyone) => true,
            Some(principal::Principal::Account(account)) => account == subject.account,
            Some(_) => name == subject.entity_arn || name == subject.name,
            None => false,
        }
    }
}

fn label(statement: &Map<String, Value>, index: usize) -> String {
    statement
        .get("Sid")
        .and_then(Value::as_str)
        .map_or_else(|| format!("statement {}", index + 1), |sid| format!("statement {} ({sid})", index + 1))
}
