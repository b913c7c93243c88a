//! The ledger of a registry: what every attached object has in AWS, as text in `Registry.status` and as statements here.

use std::collections::BTreeMap;

use super::objects::ObjectId;
use crate::api::{LedgerEntry, LedgerState};
use crate::policy::Statement;

/// One entry, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub uid: String,
    pub generation: i64,
    pub state: LedgerState,
    pub statements: Vec<Statement>,
}

/// The ledger, parsed. Statements that do not parse are dropped from the view, and what they stand for in AWS shows up as
/// unclaimed: kept and reported, never lost.
pub type Holdings = BTreeMap<ObjectId, Holding>;

pub fn parse(entries: &[LedgerEntry]) -> Holdings {
    let holding = |entry: &LedgerEntry| Holding {
        uid: entry.uid.clone(),
        generation: entry.generation,
        state: entry.state,
        statements: entry.statements.iter().filter_map(|text| Statement::from_canonical(text).ok()).collect(),
    };
    let id = |entry: &LedgerEntry| ObjectId {
        kind: entry.kind,
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
    };
    entries.iter().map(|entry| (id(entry), holding(entry))).collect()
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
            rule: None,
            role: None,
            claimed_at: None,
        }
    };
    holdings.iter().map(entry).collect()
}
