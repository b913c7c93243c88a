//! Ours into theirs. Foreign statements and members keep their place and their value; a document's Version is never
//! changed, because raising it would give foreign `${…}` a meaning (aws-facts B.7).

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Stored};
use super::statement::Statement;
use crate::ownership::Sid;

/// `current` with exactly `ours` in it. A statement of ours that stands there keeps its place and is written fresh; one
/// that is not wanted, or stands there a second time, goes; new ones are appended in the order of their Sids.
pub fn merge(
    current: Option<&Document>,
    ours: &BTreeMap<Sid, Statement>,
    is_ours: impl Fn(&Stored) -> bool,
) -> Document {
    let mut document = current.cloned().unwrap_or_else(Document::empty);
    let mut placed = BTreeSet::new();
    let mut statements = Vec::with_capacity(document.statements.len() + ours.len());
    for stored in std::mem::take(&mut document.statements) {
        if !is_ours(&stored) {
            statements.push(stored);
            continue;
        }
        let sid = stored.sid().and_then(|sid| sid.parse::<Sid>().ok());
        let wanted = sid.and_then(|sid| ours.get_key_value(&sid));
        if let Some((sid, statement)) = wanted
            && placed.insert(sid)
        {
            statements.push(Stored::fresh(sid, statement));
        }
    }
    let added = ours.iter().filter(|(sid, _)| !placed.contains(sid));
    statements.extend(added.map(|(sid, statement)| Stored::fresh(sid, statement)));
    document.statements = statements;
    document
}
