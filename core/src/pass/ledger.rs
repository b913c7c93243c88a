//! The ledger of a registry: what every attached object has in AWS, as text in `Registry.status` and as statements here.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::objects::ObjectId;
use crate::api::{LedgerEntry, LedgerRefusal, LedgerRole, LedgerRule, LedgerState, RegistryStatus};
use crate::policy::Statement;

/// A status without a ledger, without documents: it was lost, and the objects' own evidence counts.
pub fn is_lost(status: &RegistryStatus) -> bool {
    status.ledger.is_empty() && status.documents.is_empty()
}

/// One entry, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub uid: String,
    pub generation: i64,
    pub state: LedgerState,
    pub statements: Vec<Statement>,
    pub things: Things,
    /// Of a guest: why it does not have what it asks for.
    pub refused: Option<LedgerRefusal>,
}

impl Holding {
    /// Whether something may be in AWS by it.
    pub fn holds_something(&self) -> bool {
        !self.statements.is_empty() || !self.things.is_empty() || self.state == LedgerState::PrincipalGone
    }
}

/// What an object has in AWS besides statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Things {
    pub rule: Option<LedgerRule>,
    pub role: Option<LedgerRole>,
    /// When the one of them that is `Claimed` was.
    pub claimed_at: Option<Timestamp>,
}

impl Things {
    pub fn is_empty(&self) -> bool {
        self.rule.is_none() && self.role.is_none()
    }
}

/// The ledger, parsed. Statements that do not parse are dropped from the view, and what they stand for in AWS shows up as
/// unclaimed: kept and reported, never lost.
pub type Holdings = BTreeMap<ObjectId, Holding>;

pub fn parse(entries: &[LedgerEntry]) -> Holdings {
    let id = |entry: &LedgerEntry| ObjectId {
        kind: entry.kind,
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
    };
    entries.iter().map(|entry| (id(entry), holding(entry))).collect()
}

/// One entry, parsed.
pub fn holding(entry: &LedgerEntry) -> Holding {
    Holding {
        uid: entry.uid.clone(),
        generation: entry.generation,
        state: entry.state,
        statements: entry.statements.iter().filter_map(|text| Statement::from_canonical(text).ok()).collect(),
        things: Things {
            rule: entry.rule.clone(),
            role: entry.role.clone(),
            claimed_at: entry.claimed_at.as_deref().and_then(|at| at.parse().ok()),
        },
        refused: entry.refused.clone(),
    }
}

/// The ledger as it is stored: sorted, so that the same holdings are the same text.
pub fn entries(holdings: &Holdings) -> Vec<LedgerEntry> {
    let entry = |(id, holding): (&ObjectId, &Holding)| {
        let mut statements: Vec<_> = holding.statements.iter().map(Statement::canonical).collect();
        statements.sort();
        statements.dedup();
        LedgerEntry {
            kind: id.kind,
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            uid: holding.uid.clone(),
            generation: holding.generation,
            state: holding.state,
            statements,
            rule: holding.things.rule.clone(),
            role: holding.things.role.clone(),
            refused: holding.refused.clone(),
            claimed_at: holding.things.claimed_at.map(|at| at.to_string()),
        }
    };
    holdings.iter().map(entry).collect()
}
