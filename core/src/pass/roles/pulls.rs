//! What a role pulls, as the ledger keeps it while the role changes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::claims::Withdrawn;
use crate::api::{LedgerPulls, LedgerUpstream};

/// Both: what it may have pulled, and what it is to pull; of an upstream in both, whether it was consented to as now.
pub(super) fn joined(before: LedgerPulls, now: &LedgerPulls) -> LedgerPulls {
    let mut from: BTreeMap<_, LedgerUpstream> = BTreeMap::new();
    for upstream in before.from.into_iter().chain(now.from.iter().cloned()) {
        let place = (upstream.account_id.clone(), upstream.region.clone());
        let former = from.remove(&place).map(|former| former.repositories).unwrap_or_default();
        let repositories: BTreeSet<_> = former.into_iter().chain(upstream.repositories).collect();
        from.insert(place, LedgerUpstream { repositories: repositories.into_iter().collect(), ..upstream });
    }
    let into: BTreeSet<_> = before.into.into_iter().chain(now.into.iter().cloned()).collect();
    LedgerPulls { from: from.into_values().collect(), into: into.into_iter().collect() }
}

/// The same without what was withdrawn; an upstream of which nothing is left is none.
pub(super) fn without(pulls: LedgerPulls, withdrawn: &Withdrawn) -> LedgerPulls {
    let is_withdrawn = |account: &str, region: &str, repository: &str| {
        withdrawn.iter().any(|(upstream, pattern)| {
            (upstream.account.as_str(), upstream.region.as_str(), pattern.as_str()) == (account, region, repository)
        })
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
