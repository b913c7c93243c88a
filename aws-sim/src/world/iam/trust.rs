//! UpdateAssumeRolePolicy, and what a trust policy may say (aws-facts A.3, F).

use serde_json::{Map, Value};

use super::{IamCall, document, limit_exceeded, malformed};
use crate::world::error::AwsError;
use crate::world::policy::accept::is_service;
use crate::world::policy::{as_list, principal};

/// Characters of a trust policy unless the quota was raised (aws-facts F).
const LIMIT: usize = 2_048;

pub(super) fn update(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let text = call.form.document("PolicyDocument")?;
    let role = call.own_role()?;
    check(call, &text)?;
    Ok(call.change(&role, |role| role.trust = text))
}

/// Names somebody who is there, and lets them do nothing but assume.
pub(super) fn check(call: &IamCall<'_>, text: &str) -> Result<(), AwsError> {
    for statement in document::read(text)? {
        if statement.contains_key("Resource") || statement.contains_key("NotResource") {
            return Err(malformed("Has prohibited field Resource."));
        }
        let actions = document::texts(&statement, "Action", "NotAction")
            .ok_or_else(|| malformed("Missing required field Action"))?;
        if !actions.iter().all(|action| action.to_ascii_lowercase().starts_with("sts:")) {
            return Err(malformed("AssumeRole policy may only specify STS AssumeRole actions."));
        }
        check_principals(call, &statement)?;
    }
    if document::size(text) > LIMIT {
        return Err(limit_exceeded(format!("Cannot exceed quota for ACLSizePerRole: {LIMIT}")));
    }
    Ok(())
}

fn check_principals(call: &IamCall<'_>, statement: &Map<String, Value>) -> Result<(), AwsError> {
    let named = (statement.get("Principal"), statement.get("NotPrincipal"));
    let ((Some(principals), None) | (None, Some(principals))) = named else {
        return Err(malformed("Missing required field Principal"));
    };
    if principals == "*" {
        return Ok(());
    }
    let kinds = principals.as_object().filter(|kinds| !kinds.is_empty());
    let kinds = kinds.ok_or_else(|| malformed("Invalid principal in policy."))?;
    let partition = call.world.accounts.get(call.account).map_or("aws", |a| a.partition.as_str());
    for (kind, names) in kinds {
        for name in as_list(names) {
            let name = name.as_str().ok_or_else(|| malformed("Invalid principal in policy."))?;
            let is_good = match kind.as_str() {
                "AWS" => principal::parse(name, partition).is_some_and(|p| call.world.exists(p, name)),
                "Service" => is_service(name),
                "Federated" => true,
                _ => false,
            };
            if !is_good {
                let kind = if kind == "Service" { "SERVICE" } else { kind };
                return Err(malformed(format!("Invalid principal in policy: \"{kind}\":\"{name}\"")));
            }
        }
    }
    Ok(())
}
