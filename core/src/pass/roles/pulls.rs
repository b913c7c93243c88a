//! What a role pulls, as the ledger keeps it while the role changes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::claims::Withdrawn;
use crate::api::{LedgerPulls, LedgerUpstream};
use crate::kinds::resources;

/// More characters of names than one role may ask for are of edits that AWS did not take.
const NAMES_AT_MOST: usize = 16_384;

/// Both: what it may have pulled, and what it is to pull. What was consented to once stays so.
pub(super) fn joined(before: LedgerPulls, now: &LedgerPulls) -> LedgerPulls {
    let mut from: BTreeMap<_, LedgerUpstream> = BTreeMap::new();
    for upstream in before.from.into_iter().chain(now.from.iter().cloned()) {
        let place = (upstream.account_id.clone(), upstream.region.clone());
        let former = from.remove(&place);
        let external = upstream.external.filter(|_| former.as_ref().is_none_or(|former| former.external == Some(true)));
        let former = former.map(|former| former.repositories).unwrap_or_default();
        let repositories: BTreeSet<_> = former.into_iter().chain(upstream.repositories).collect();
        from.insert(place, LedgerUpstream { repositories: repositories.into_iter().collect(), external, ..upstream });
    }
    let into: BTreeSet<_> = before.into.into_iter().chain(now.into.iter().cloned()).collect();
    LedgerPulls { from: from.into_values().collect(), into: into.into_iter().collect() }
}

/// What is on record of a role with this policy in AWS: of more than one role may ask for, what the policy names. A policy
/// that names nothing lets it pull all.
pub(super) fn bounded(pulls: LedgerPulls, policy: Option<&str>) -> LedgerPulls {
    if pulls.characters() <= NAMES_AT_MOST {
        return pulls;
    }
    let named = policy.map(resources).unwrap_or_default();
    if named.contains("*") {
        let all = || vec!["*".to_owned()];
        let whole = |upstream: LedgerUpstream| LedgerUpstream { repositories: all(), ..upstream };
        return LedgerPulls { from: pulls.from.into_iter().map(whole).collect(), into: all() };
    }
    let is_named = |end: &str| named.iter().any(|arn| arn.ends_with(end));
    let of_policy = |mut upstream: LedgerUpstream| {
        let LedgerUpstream { account_id, region, repositories, .. } = &mut upstream;
        repositories.retain(|repository| is_named(&format!(":{region}:{account_id}:repository/{repository}")));
        (!repositories.is_empty()).then_some(upstream)
    };
    let into = pulls.into.into_iter().filter(|repository| is_named(&format!(":repository/{repository}")));
    LedgerPulls { from: pulls.from.into_iter().filter_map(of_policy).collect(), into: into.collect() }
}

/// The same without what was withdrawn; an upstream of which nothing is left is none.
pub(super) fn without(pulls: LedgerPulls, withdrawn: &Withdrawn) -> LedgerPulls {
    let is_withdrawn = |account: &str, region: &str, repository: &str| {
        let mut of_it = withdrawn.iter().filter(|(upstream, _)| upstream.is_at(account, region));
        of_it.any(|(_, pattern)| pattern.as_str() == repository)
    };
    let less = |mut upstream: LedgerUpstream| {
        let LedgerUpstream { account_id, region, repositories, .. } = &mut upstream;
        let before = repositories.len();
        repositories.retain(|repository| !is_withdrawn(account_id, region, repository));
        let is_gone = repositories.is_empty() && before > 0;
        (!is_gone).then_some(upstream)
    };
    LedgerPulls { from: pulls.from.into_iter().filter_map(less).collect(), ..pulls }
}
