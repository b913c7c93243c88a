//! The scope of the registry policy (aws-facts B.2, K.1): V1 enforces three actions only, and switching to V2 wakes
//! statements that V1 let sleep, so it never happens silently.

use super::compile::{Desired, is_v1};
use super::plan::Observed;
use super::standing::Known;
use crate::names::Partition;
use crate::policy::digest::digest;
use crate::policy::{Document, Statement, Stored, is_dormant_under_v1};
use crate::reason::{Because, Reason};

/// The setting REGISTRY_POLICY_SCOPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeView {
    V1,
    V2,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Decision {
    /// The policy is judged by V1 in this pass.
    v1: bool,
    pub(super) switch: bool,
    pub(super) findings: Vec<Because>,
}

impl Decision {
    /// Why the statements cannot be written under the scope there is.
    pub(super) fn refusal(&self, wanted: &[Statement]) -> Option<Because> {
        let action = wanted.iter().filter(|s| !is_v1(s)).flat_map(|s| &s.actions);
        let action = action.filter(|action| !crate::policy::is_enforced_under_v1(action)).min()?;
        self.v1.then(|| {
            let message = format!(
                "The registry's policy scope is V1, which knows nothing of {}; the Registry's owner can switch it with spec.registryPolicy.scope: V2.",
                action.as_str()
            );
            Because::new(Reason::ScopeV1, message)
        })
    }
}

pub(super) fn decide(desired: &Desired, observed: &Observed<'_>, partition: Partition, known: &Known) -> Decision {
    if observed.scope != Some(ScopeView::V1) {
        return Decision::default();
    }
    if !desired.wants_scope_v2 {
        return Decision { v1: true, ..Decision::default() };
    }
    let stored = observed.document.map(Document::statements).unwrap_or_default();
    let dormant: Vec<&Stored> =
        stored.iter().filter(|s| !known.is_ours(s) && is_dormant_under_v1(s, partition)).collect();
    let mut prints: Vec<_> = dormant.iter().map(|s| s.fingerprint(partition)).collect();
    prints.sort();
    let hash: String = digest(&prints.join("\n")).chars().take(16).collect();
    if dormant.is_empty() || desired.acknowledged_widening.as_deref() == Some(hash.as_str()) {
        return Decision { v1: false, switch: true, findings: Vec::new() };
    }
    let names: Vec<_> = dormant.iter().map(|s| s.sid().unwrap_or("(no Sid)")).collect();
    let message = format!(
        "Switching to scope V2 would wake statements that V1 lets sleep: {}. If that is wanted, set spec.registryPolicy.acknowledgeWidening: {hash}",
        names.join(", ")
    );
    Decision { v1: true, switch: false, findings: vec![Because::new(Reason::ScopeWidens, message)] }
}
