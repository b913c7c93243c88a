//! Conditions of a statement, over the few keys a request to a registry carries. A condition that cannot be judged is
//! said to be so, and the caller decides against access.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{as_list, matches_pattern};

/// What is known of a request: condition keys in lower case.
pub(crate) type Context = BTreeMap<String, String>;

/// Whether the condition block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    /// An operator that is not modelled.
    Unknown(String),
}

/// All operators, and all keys of each, must hold; of the values one is enough.
pub(crate) fn holds(condition: Option<&Value>, context: &Context) -> Holds {
    let mut unknown = None;
    let operators = condition.and_then(Value::as_object).into_iter().flatten();
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().into_iter().flatten() {
            match one(operator, context.get(&key.to_ascii_lowercase()).map(String::as_str), values) {
                Some(true) => {}
                Some(false) => return Holds::No,
                None => unknown = Some(operator.clone()),
            }
        }
    }
    unknown.map_or(Holds::Yes, Holds::Unknown)
}

fn one(operator: &str, actual: Option<&str>, values: &Value) -> Option<bool> {
    let (base, if_exists) = operator.strip_suffix("IfExists").map_or((operator, false), |base| (base, true));
    let (base, negated) = match base {
        "StringNotEquals" => ("StringEquals", true),
        "StringNotLike" => ("StringLike", true),
        "ArnNotEquals" => ("ArnEquals", true),
        "ArnNotLike" => ("ArnLike", true),
        other => (other, false),
    };
    let matches: fn(&str, &str) -> bool = match base {
        "StringEquals" => |pattern, actual| pattern == actual,
        // IAM: ArnEquals and ArnLike behave alike, both take wildcards, in each of the ARN's parts.
        "ArnEquals" | "ArnLike" => matches_arn,
        "StringLike" => matches_pattern,
        "Bool" => |pattern, actual| pattern.eq_ignore_ascii_case(actual),
        _ => return None,
    };
    let Some(actual) = actual else {
        // A key that is missing satisfies the negated operators, and those with IfExists.
        return Some(if_exists || negated);
    };
    let any = as_list(values).into_iter().any(|value| match value {
        Value::String(text) => matches(text, actual),
        other => matches(&other.to_string(), actual),
    });
    Some(any != negated)
}

/// Part by part, so that no star reaches across a colon.
fn matches_arn(pattern: &str, actual: &str) -> bool {
    let (pattern, actual): (Vec<&str>, Vec<&str>) = (pattern.splitn(6, ':').collect(), actual.splitn(6, ':').collect());
    pattern.len() == actual.len() && pattern.iter().zip(&actual).all(|(p, a)| matches_pattern(p, a))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Context, Holds, holds};

    #[test]
    fn operators_judge_as_in_iam() {
        let context = Context::from([
            ("aws:principalorgid".to_owned(), "o-1".to_owned()),
            ("aws:principalarn".to_owned(), "arn:aws:iam::111111111111:role/a/b".to_owned()),
            ("aws:securetransport".to_owned(), "true".to_owned()),
        ]);
        let unknown = Holds::Unknown("DateLessThan".to_owned());
        for (condition, expected) in [
            (json!({}), Holds::Yes),
            (json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), Holds::Yes),
            (json!({"StringEquals": {"AWS:principalorgid": ["o-2", "o-1"]}}), Holds::Yes),
            (json!({"StringEquals": {"aws:PrincipalOrgID": "o-*"}}), Holds::No),
            (json!({"StringLike": {"aws:PrincipalOrgID": "o-*"}}), Holds::Yes),
            (json!({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}), Holds::No),
            (json!({"StringEquals": {"aws:SourceAccount": "1"}}), Holds::No),
            (json!({"StringEqualsIfExists": {"aws:SourceAccount": "1"}}), Holds::Yes),
            (json!({"StringNotEquals": {"aws:SourceAccount": "1"}}), Holds::Yes),
            (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/a/*"}}), Holds::Yes),
            (json!({"ArnEquals": {"aws:PrincipalArn": "arn:aws:*:role/a/b"}}), Holds::No),
            (json!({"Bool": {"aws:SecureTransport": true}}), Holds::Yes),
            (json!({"Bool": {"aws:SecureTransport": "false"}}), Holds::No),
            (json!({"DateLessThan": {"aws:CurrentTime": "2026"}}), unknown.clone()),
            (
                json!({"DateLessThan": {"aws:CurrentTime": "2026"}, "StringEquals": {"aws:PrincipalOrgID": "x"}}),
                Holds::No,
            ),
        ] {
            assert_eq!(holds(Some(&condition), &context), expected, "{condition}");
        }
        assert_eq!(holds(None, &context), Holds::Yes);
    }
}
