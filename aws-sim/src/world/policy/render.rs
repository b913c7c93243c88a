//! What a stored policy looks like when it is read (aws-facts B.5, F): ECR's as pretty JSON with a space on either side of
//! the colon, IAM's order of members, account ids as root ARNs, principals shuffled, one-element lists as scalars, and
//! principals that were deleted as their unique ids. A text that is no JSON object comes back as it is.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::world::identity::is_account_id;

/// How to render.
pub(crate) struct Rendering<'a> {
    pub(crate) layout: Layout,
    pub(crate) partition: &'a str,
    pub(crate) convert_account_ids: bool,
    /// What is shown for ARNs that no longer mean what they meant when the policy was put.
    pub(crate) renamed: &'a BTreeMap<String, String>,
}

/// The white space of a rendered document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// ECR's.
    Pretty,
    /// IAM's: none.
    Compact,
}

const DOCUMENT_ORDER: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT_ORDER: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

impl Rendering<'_> {
    /// The text that a read returns.
    pub(crate) fn render(&self, stored: &str, rng: &mut fastrand::Rng) -> String {
        let Ok(Value::Object(mut document)) = serde_json::from_str::<Value>(stored) else {
            return stored.to_owned();
        };
        if let Some(statement) = document.remove("Statement") {
            let list = match statement {
                Value::Array(list) => list,
                single => vec![single],
            };
            let list = list.into_iter().map(|s| self.statement(s, rng)).collect();
            document.insert("Statement".to_owned(), Value::Array(list));
        }
        let document = Value::Object(ordered(document, &DOCUMENT_ORDER));
        if self.layout == Layout::Compact {
            return document.to_string();
        }
        let mut text = String::new();
        print(&document, 0, &mut text);
        text
    }

    fn statement(&self, statement: Value, rng: &mut fastrand::Rng) -> Value {
        let Value::Object(mut statement) = statement else {
            return statement;
        };
        for (member, value) in &mut statement {
            match member.as_str() {
                "Principal" | "NotPrincipal" => self.principals(value, rng),
                "Action" | "NotAction" | "Resource" | "NotResource" => collapse(value),
                "Condition" => {
                    let operators = value.as_object_mut().into_iter().flat_map(Map::values_mut);
                    operators.filter_map(Value::as_object_mut).flat_map(Map::values_mut).for_each(collapse);
                }
                _ => {}
            }
        }
        Value::Object(ordered(statement, &STATEMENT_ORDER))
    }

    fn principals(&self, principals: &mut Value, rng: &mut fastrand::Rng) {
        let Some(kinds) = principals.as_object_mut() else {
            return;
        };
        for (kind, names) in kinds {
            if kind == "AWS" {
                match names {
                    Value::String(name) => *name = self.shown(name),
                    Value::Array(list) => {
                        for name in list.iter_mut() {
                            self.show(name);
                        }
                        rng.shuffle(list);
                    }
                    _ => {}
                }
            }
            collapse(names);
        }
    }

    fn show(&self, name: &mut Value) {
        if let Value::String(name) = name {
            *name = self.shown(name);
        }
    }

    fn shown(&self, name: &str) -> String {
        if let Some(unique_id) = self.renamed.get(name) {
            return unique_id.clone();
        }
        if self.convert_account_ids && is_account_id(name) {
            return format!("arn:{}:iam::{name}:root", self.partition);
        }
        name.to_owned()
    }
}

/// A list of one becomes that one.
fn collapse(value: &mut Value) {
    if let Value::Array(list) = value
        && list.len() == 1
        && let Some(only) = list.pop()
    {
        *value = only;
    }
}

/// The members named by `order` first, the others after them as they came.
fn ordered(mut members: Map<String, Value>, order: &[&str]) -> Map<String, Value> {
    let mut out = Map::new();
    for name in order {
        if let Some(value) = members.shift_remove(*name) {
            out.insert((*name).to_owned(), value);
        }
    }
    out.extend(members);
    out
}

/// The layout of the samples in the API reference: `"key" : value`, lists on one line, objects on several.
fn print(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push_str("[ ");
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                print(item, depth, out);
            }
            out.push_str(" ]");
        }
        Value::Object(members) if !members.is_empty() => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                out.push_str(if i > 0 { ",\n" } else { "\n" });
                out.push_str(&"  ".repeat(depth + 1));
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push_str(" : ");
                print(member, depth + 1, out);
            }
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Layout, Rendering};

    /// aws-facts B.5.
    #[test]
    fn a_policy_reads_back_laid_out_as_aws_does_it() {
        let renamed = BTreeMap::from([("arn:aws-cn:iam::111111111111:role/gone".to_owned(), "AROAEXAMPLE".to_owned())]);
        let layout = Layout::Pretty;
        let rendering = Rendering { layout, partition: "aws-cn", convert_account_ids: true, renamed: &renamed };
        let stored = r#"{"Statement":{"Action":["ecr:*"],"Resource":["a","b"],"Odd":1.50,"Effect":"Allow","Sid":"s",
            "Condition":{"StringEquals":{"k":["v"]}},"Principal":{"AWS":["222222222222"],"Service":["x.amazonaws.com"]}},
            "Version":"2012-10-17"}"#;
        let text = rendering.render(stored, &mut fastrand::Rng::with_seed(1));
        assert_eq!(
            text,
            "{\n  \"Version\" : \"2012-10-17\",\n  \"Statement\" : [ {\n    \"Sid\" : \"s\",\n    \"Effect\" : \"Allow\",\n    \
             \"Principal\" : {\n      \"AWS\" : \"arn:aws-cn:iam::222222222222:root\",\n      \"Service\" : \
             \"x.amazonaws.com\"\n    },\n    \"Action\" : \"ecr:*\",\n    \"Resource\" : [ \"a\", \"b\" ],\n    \
             \"Condition\" : {\n      \"StringEquals\" : {\n        \"k\" : \"v\"\n      }\n    },\n    \"Odd\" : \
             1.5\n  } ]\n}"
        );
        let dead = r#"{"Statement":[{"Principal":{"AWS":"arn:aws-cn:iam::111111111111:role/gone"}}]}"#;
        assert!(rendering.render(dead, &mut fastrand::Rng::with_seed(1)).contains("\"AROAEXAMPLE\""));
    }

    #[test]
    fn a_text_that_is_no_policy_comes_back_as_it_is() {
        let layout = Layout::Pretty;
        let rendering = Rendering { layout, partition: "aws", convert_account_ids: true, renamed: &BTreeMap::new() };
        for text in ["not json", "[1]", ""] {
            assert_eq!(rendering.render(text, &mut fastrand::Rng::with_seed(1)), text);
        }
    }
}
