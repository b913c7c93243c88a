//! What stays in AWS and belongs to nobody who is there: kept and reported, and removed when a person says so.
//!
//! The word is a token that names exactly one set, and works once: what is lost later is another set, even if it looks
//! the same.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Desired, Stance};
use super::objects::ObjectId;
use crate::policy::Statement;
use crate::policy::digest::digest;

/// What stays in AWS and belongs to nobody who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    pub of: BTreeMap<ObjectId, Vec<Statement>>,
    pub unclaimed: BTreeSet<Statement>,
    /// The same, while something on record cannot be read: nobody's word takes them.
    pub undecided: BTreeSet<Statement>,
    /// Names this set for `prune`; empty if there is none.
    pub token: String,
    /// Pruned by this pass.
    pub pruned: bool,
}

impl Orphans {
    pub fn is_empty(&self) -> bool {
        self.of.is_empty() && self.unclaimed.is_empty() && self.undecided.is_empty()
    }

    /// Whether there is nothing of them in the policy.
    pub fn has_no_statements(&self) -> bool {
        self.unclaimed.is_empty() && self.of.values().all(Vec::is_empty)
    }

    pub fn find(desired: &Desired, unclaimed: BTreeSet<Statement>) -> Self {
        let (contributions, prune) = (&desired.contributions, &desired.prune);
        let mut of = BTreeMap::new();
        let mut lines = Vec::new();
        for contribution in contributions {
            if !contribution.is_orphaned() {
                continue;
            }
            let (statements, has) = match &contribution.stance {
                Stance::Orphaned(statements) => (statements.clone(), contribution.has.clone()),
                _ => Default::default(),
            };
            let rule = contribution.things.rule.as_ref();
            lines.extend(rule.map(|rule| format!("{} {} rule {}", contribution.id, contribution.uid, rule.prefix)));
            let role = contribution.things.role.as_ref();
            lines.extend(role.map(|role| format!("{} {} role {}", contribution.id, contribution.uid, role.arn)));
            // The uid tells an object from one of the same name that was made and lost later.
            let named =
                |statement: &Statement| format!("{} {} {}", contribution.id, contribution.uid, statement.canonical());
            lines.extend(has.iter().map(named));
            of.insert(contribution.id.clone(), statements);
        }
        // What cannot be read may say whose they are.
        let (unclaimed, undecided) =
            if desired.is_incomplete { (BTreeSet::new(), unclaimed) } else { (unclaimed, BTreeSet::new()) };
        lines.extend(unclaimed.iter().map(Statement::canonical));
        let none = of.is_empty() && unclaimed.is_empty();
        let token = if none { String::new() } else { token(lines, prune.handled.as_deref()) };
        let pruned = !token.is_empty() && prune.asked.as_deref() == Some(token.as_str());
        Self { of, unclaimed, undecided, token, pruned }
    }
}

/// Statements that no object ever claimed carry no uid: after its use a token names their like no more.
fn token(mut lines: Vec<String>, handled: Option<&str>) -> String {
    let short = |lines: &[String]| -> String { digest(&lines.join("\n")).chars().take(16).collect() };
    let token = short(&lines);
    if handled != Some(token.as_str()) {
        return token;
    }
    lines.push(token);
    short(&lines)
}
