//! DescribeRegistry: the account that answers, and its replication configuration (aws-facts A.1). Absent rules are an
//! empty list.

use serde_json::{Value, json};

use super::EcrCall;
use crate::world::error::AwsError;

#[expect(clippy::unnecessary_wraps, reason = "a row of the operations' table")]
pub(super) fn describe(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let rules = call.seen().replication_rules.clone();
    Ok(json!({"registryId": call.account, "replicationConfiguration": {"rules": rules}}))
}
