//! ValidatePullThroughCacheRule: HTTP 200 in any case, `isValid` and, if not, a `failure` in free words.
//!
//! AWS documents it for upstreams with a secret only (aws-facts A.1). For the others this is UNVERIFIED (J.12): an open
//! upstream is valid; another private registry is if the role can be assumed, may do what it must, and the upstream lets
//! it pull at least something. The texts of `failure` are our own.

use serde_json::Value;

use super::EcrCall;
use crate::world::cache_rule::key;
use crate::world::error::AwsError;

const VALIDATED: [&str; 6] = [
    "ecrRepositoryPrefix",
    "registryId",
    "upstreamRegistryUrl",
    "credentialArn",
    "customRoleArn",
    "upstreamRepositoryPrefix",
];

pub(super) fn validate(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let prefix = call.text("ecrRepositoryPrefix")?;
    EcrCall::check_prefix("ecrRepositoryPrefix", &prefix)?;
    let account = call.account;
    let rule = call.seen().cache_rules.get(key(&prefix)).cloned();
    let rule = rule.ok_or_else(|| super::cache_rules::not_found(account, &prefix))?;
    let obstacle = call.world.upstream_obstacle(&rule, account, call.region, None);
    let mut answer = rule.members(account, &VALIDATED);
    answer["isValid"] = obstacle.is_none().into();
    if let Some(failure) = obstacle {
        answer["failure"] = failure.into();
    }
    Ok(answer)
}
