//! What IAM checks in any policy document (aws-facts A.3, F). The texts are those AWS is known to send; where nobody
//! has recorded one, "Syntax errors in policy." stands in.

use serde_json::{Map, Value};

use super::malformed;
use crate::world::error::AwsError;
use crate::world::policy::{as_list, statements};

const SYNTAX: &str = "Syntax errors in policy.";

/// The statements of a document that is one; each has an effect and its members the right types.
pub(super) fn read(text: &str) -> Result<Vec<Map<String, Value>>, AwsError> {
    let document: Value = serde_json::from_str(text).map_err(|_| malformed(SYNTAX))?;
    let version = document.get("Version");
    if !document.is_object() || !version.is_none_or(|v| matches!(v.as_str(), Some("2008-10-17" | "2012-10-17"))) {
        return Err(malformed(SYNTAX));
    }
    let statements: Option<Vec<_>> = statements(&document).into_iter().map(|s| s.as_object().cloned()).collect();
    let statements = statements.filter(|s| !s.is_empty()).ok_or_else(|| malformed(SYNTAX))?;
    for statement in &statements {
        let effect = statement.get("Effect").and_then(Value::as_str);
        let has_good_sid = statement.get("Sid").is_none_or(|sid| {
            // B.6: letters and digits only, in IAM.
            sid.as_str().is_some_and(|sid| sid.chars().all(|c| c.is_ascii_alphanumeric()))
        });
        if !matches!(effect, Some("Allow" | "Deny")) || !has_good_sid {
            return Err(malformed(SYNTAX));
        }
        if !statement.get("Condition").is_none_or(Value::is_object) {
            return Err(malformed(SYNTAX));
        }
    }
    let mut sids: Vec<_> = statements.iter().filter_map(|s| s.get("Sid").and_then(Value::as_str)).collect();
    sids.sort_unstable();
    if sids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(malformed("Statement IDs (SID) in a single policy must be unique."));
    }
    Ok(statements)
}

/// A text or a list of texts, under one name or its negation; `None` if neither or both are there, or neither is one.
pub(super) fn texts<'a>(statement: &'a Map<String, Value>, name: &str, negated: &str) -> Option<Vec<&'a str>> {
    let ((Some(value), None) | (None, Some(value))) = (statement.get(name), statement.get(negated)) else {
        return None;
    };
    let texts: Option<Vec<&str>> = as_list(value).into_iter().map(Value::as_str).collect();
    texts.filter(|texts| !texts.is_empty())
}

/// Characters that count: white space does not (aws-facts F).
pub(super) fn size(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// A policy that says what its bearer may do.
pub(super) fn check_permissions(text: &str) -> Result<(), AwsError> {
    for statement in read(text)? {
        if statement.contains_key("Principal") || statement.contains_key("NotPrincipal") {
            return Err(malformed("Policy document should not specify a principal."));
        }
        let actions = texts(&statement, "Action", "NotAction")
            .ok_or_else(|| malformed("Policy statement must contain actions."))?;
        if actions.iter().any(|action| *action != "*" && !action.contains(':')) {
            let message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.";
            return Err(malformed(message));
        }
        let resources = texts(&statement, "Resource", "NotResource")
            .ok_or_else(|| malformed("Policy statement must contain resources."))?;
        if let Some(resource) = resources.iter().find(|r| !r.starts_with('*') && !r.starts_with("arn:")) {
            return Err(malformed(format!("Resource {resource} must be in ARN format or \"*\".")));
        }
    }
    Ok(())
}
