//! Whether ECR takes a registry's or a repository's policy. Every refusal is the same to the caller but for unknown
//! principals (aws-facts B.4), so this answers yes or no. Resource ARNs are not looked at: neither does ECR (B.1). Members it does not know pass: no fact says otherwise.

use serde_json::{Map, Value};

use super::evaluate::Holder;
use super::{actions, as_list, principal, statements};
use crate::world::registry::Scope;

/// The circumstances that a document is judged in.
pub(crate) struct Judge<'a> {
    /// What the document is for: a repository's policy needs no resources.
    pub(crate) holder: Holder,
    pub(crate) scope: Scope,
    pub(crate) partition: &'a str,
    /// Whether this principal exists and can be seen by now.
    pub(crate) exists: &'a dyn Fn(principal::Principal<'_>, &str) -> bool,
}

impl Judge<'_> {
    /// The document, if ECR takes it.
    pub(crate) fn accept(&self, text: &str) -> Option<Value> {
        let document: Value = serde_json::from_str(text).ok()?;
        let object = document.as_object()?;
        let version_is_known =
            object.get("Version").is_none_or(|v| matches!(v.as_str(), Some("2008-10-17" | "2012-10-17")));
        let id_is_text = object.get("Id").is_none_or(Value::is_string);
        let statements = statements(&document);
        let good = version_is_known
            && id_is_text
            && !statements.is_empty()
            && statements.iter().all(|s| s.as_object().is_some_and(|s| self.accepts_statement(s)));
        good.then_some(document)
    }

    fn accepts_statement(&self, statement: &Map<String, Value>) -> bool {
        let either = |one: &str, other: &str| match (statement.get(one), statement.get(other)) {
            (Some(value), None) | (None, Some(value)) => Some(value),
            _ => None,
        };
        statement.get("Sid").is_none_or(Value::is_string)
            && matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny"))
            && either("Principal", "NotPrincipal").is_some_and(|p| self.accepts_principals(p))
            && either("Action", "NotAction").is_some_and(|a| all_texts(a, |action| self.accepts_action(action)))
            && self.accepts_resources(statement)
            && statement.get("Condition").is_none_or(accepts_condition)
    }

    /// `ecr:GetAuthorizationToken` is about no repository (aws-facts B.4).
    fn accepts_action(&self, action: &str) -> bool {
        let is_barred = self.holder == Holder::Repository && action.eq_ignore_ascii_case("ecr:GetAuthorizationToken");
        actions::is_accepted(action, self.scope) && !is_barred
    }

    /// aws-facts B.1: a registry's statements need resources, a repository's may leave them out.
    fn accepts_resources(&self, statement: &Map<String, Value>) -> bool {
        match (statement.get("Resource"), statement.get("NotResource")) {
            (Some(resources), None) | (None, Some(resources)) => all_texts(resources, |_| true),
            (None, None) => self.holder == Holder::Repository,
            (Some(_), Some(_)) => false,
        }
    }

    fn accepts_principals(&self, principals: &Value) -> bool {
        match principals {
            Value::String(all) => all == "*",
            Value::Object(kinds) => {
                !kinds.is_empty()
                    && kinds.iter().all(|(kind, names)| match kind.as_str() {
                        "AWS" => all_texts(names, |name| self.accepts_aws_principal(name)),
                        "Service" => all_texts(names, is_service),
                        _ => false,
                    })
            }
            _ => false,
        }
    }

    fn accepts_aws_principal(&self, name: &str) -> bool {
        principal::parse(name, self.partition).is_some_and(|parsed| (self.exists)(parsed, name))
    }
}

/// The name of a service, as policies name it: its host.
pub(crate) fn is_service(name: &str) -> bool {
    let host = name.strip_suffix(".cn").unwrap_or(name);
    host.strip_suffix(".amazonaws.com").is_some_and(|service| {
        !service.is_empty()
            && service.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
    })
}

/// A text or a list of at least one, each of which passes.
fn all_texts(value: &Value, passes: impl Fn(&str) -> bool) -> bool {
    let values = as_list(value);
    !values.is_empty() && values.iter().all(|v| v.as_str().is_some_and(&passes))
}

/// Operators, keys, and scalars or lists of them.
fn accepts_condition(condition: &Value) -> bool {
    let is_scalar = |v: &Value| v.is_string() || v.is_boolean() || v.is_number();
    condition.as_object().is_some_and(|operators| {
        operators.values().all(|keys| {
            keys.as_object().is_some_and(|keys| keys.values().all(|v| as_list(v).into_iter().all(is_scalar)))
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Holder, Judge};
    use crate::world::registry::Scope;

    fn accepts(document: &str) -> bool {
        Judge { holder: Holder::Registry, scope: Scope::V2, partition: "aws", exists: &|_, _| true }
            .accept(document)
            .is_some()
    }

    fn statement_with(member: &str, value: Value) -> String {
        let mut statement = json!({
            "Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "ecr:BatchGetImage", "Resource": "*",
        });
        statement[member] = value;
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in ["", "{", "[]", "{}", "null", r#"{"Statement":[]}"#, r#"{"Statement":42}"#, r#"[{"Statement":[]}]"#]
        {
            assert!(!accepts(text), "{text}");
        }
        assert!(!accepts(r#"{"Version":"2012-10-18","Statement":[]}"#));
    }

    #[test]
    fn every_member_of_a_statement_is_looked_at() {
        let bad = [
            ("Effect", json!("allow")),
            ("Effect", Value::Null),
            ("Principal", json!({})),
            ("Principal", json!({"AWS": []})),
            ("Principal", json!({"AWS": "arn:aws:iam::111111111111:group/g"})),
            ("Principal", json!({"Federated": "x"})),
            ("Principal", json!({"Service": "example.org"})),
            ("Principal", json!("111111111111")),
            ("NotPrincipal", json!("*")),
            ("Action", json!([])),
            ("Action", json!("s3:GetObject")),
            ("Resource", json!([])),
            ("Resource", json!(1)),
            ("Condition", json!("x")),
            ("Condition", json!({"StringEquals": {"k": {}}})),
            ("Sid", json!(1)),
        ];
        for (member, value) in bad {
            assert!(!accepts(&statement_with(member, value.clone())), "{member} {value}");
        }
    }

    #[test]
    fn what_a_registry_policy_may_hold_is_taken() {
        let good = [
            ("Principal", json!("*")),
            ("Principal", json!({"AWS": ["*"], "Service": "replication.ecr.amazonaws.com"})),
            ("Resource", json!("not even an ARN")),
            ("Resource", json!(["arn:aws:ecr:eu-west-1:1:repository/*"])),
            ("Condition", json!({"Bool": {"aws:SecureTransport": true}})),
            ("Sid", json!("with spaces and-hyphens")),
            ("Comment", json!("a member nobody knows")),
        ];
        for (member, value) in good {
            assert!(accepts(&statement_with(member, value.clone())), "{member} {value}");
        }
    }
}
