//! DescribePullThroughCacheRules: by prefix, or all in pages. One unknown prefix fails the whole call (aws-facts A.1).

use serde_json::{Value, json};

use super::EcrCall;
use super::cache_rules::not_found;
use crate::world::cache_rule::key;
use crate::world::error::AwsError;

/// All that is shown of a rule.
const DESCRIBED: [&str; 9] = [
    "ecrRepositoryPrefix",
    "upstreamRegistryUrl",
    "createdAt",
    "registryId",
    "credentialArn",
    "customRoleArn",
    "upstreamRepositoryPrefix",
    "upstreamRegistry",
    "updatedAt",
];

/// What the record of a write shows: all but whose it is, and when.
pub(in crate::world) const RECORDED: [&str; 6] = [
    "ecrRepositoryPrefix",
    "upstreamRegistryUrl",
    "upstreamRegistry",
    "upstreamRepositoryPrefix",
    "credentialArn",
    "customRoleArn",
];

pub(super) fn describe(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let account = call.account;
    let named = call.names("ecrRepositoryPrefixes")?;
    let Some(prefixes) = named else {
        let all = call.seen().cache_rules.iter();
        let all = all.map(|(key, rule)| (key.clone(), rule.members(account, &DESCRIBED))).collect();
        let page = call.page(all)?;
        let mut answer = json!({"pullThroughCacheRules": page.items});
        if let Some(token) = page.next_token {
            answer["nextToken"] = token.into();
        }
        return Ok(answer);
    };
    call.refuse_paging()?;
    let state = call.seen();
    let found: Result<Vec<_>, _> = prefixes
        .iter()
        .map(|prefix| {
            EcrCall::check_prefix("ecrRepositoryPrefixes", prefix)?;
            let rule = state.cache_rules.get(key(prefix)).ok_or_else(|| not_found(account, prefix))?;
            Ok::<_, AwsError>(rule.members(account, &DESCRIBED))
        })
        .collect();
    Ok(json!({"pullThroughCacheRules": found?}))
}
