//! What a role pulls, as the ledger keeps it while the role changes.

use std::collections::{BTreeMap, BTreeSet};

use super::super::claims::Withdrawn;
use crate::api::{LedgerPulls, LedgerUpstream};

/// So many characters of names are kept of what a role may have pulled before: one edit's, and not those of many that AWS
/// would not take.
const FORMER_AT_MOST: usize = 16_384;

/// Both: what it may have pulled, and what it is to pull. What was consented to once stays so.
pub(super) fn joined(before: LedgerPulls, now: &LedgerPulls) -> LedgerPulls {
    if before.characters() > FORMER_AT_MOST {
        return now.clone();
    }
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
