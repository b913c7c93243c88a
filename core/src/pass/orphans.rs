//! What stays in AWS and belongs to nobody who is there: kept and told, and removed or released when a person says so.
//! What was lost without a word (orphans) and what was left behind on purpose (retained) are two sets.
//!
//! The word is a token that names exactly one set, and works once: what is lost later is another set, even if it looks
//! the same.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Contribution, Desired, Stance, Words};
use super::objects::ObjectId;
use crate::policy::Statement;
use crate::policy::digest::digest;

/// What a person has said of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    #[default]
    None,
    /// It goes.
    Prune,
    /// It stays, under Sids that are not ours.
    Release,
}

/// What a person has said of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub orphans: Word,
    pub retained: Word,
}

impl Said {
    /// What was said of what this object left.
    pub fn of(self, contribution: &Contribution) -> Word {
        match contribution.stance {
            Stance::Orphaned(_) => self.orphans,
            Stance::Retained(_) => self.retained,
            _ => Word::None,
        }
    }
}

/// What objects that are gone have, as far as they were of one kind of leaving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub of: BTreeMap<ObjectId, Vec<Statement>>,
    /// Names this set for `prune` and `release`; empty if there is none.
    pub token: String,
    pub said: Word,
}

impl Left {
    fn find(
        contributions: &[Contribution],
        is_of: impl Fn(&Contribution) -> bool,
        more: &[String],
        words: &Words,
    ) -> Self {
        let mut of = BTreeMap::new();
        let mut lines = Vec::new();
        for contribution in contributions.iter().filter(|contribution| is_of(contribution)) {
            let (Stance::Orphaned(statements) | Stance::Retained(statements)) = &contribution.stance else { continue };
            let rule = contribution.things.rule.as_ref();
            lines.extend(rule.map(|rule| format!("{} {} rule {}", contribution.id, contribution.uid, rule.prefix)));
            let role = contribution.things.role.as_ref();
            lines.extend(role.map(|role| format!("{} {} role {}", contribution.id, contribution.uid, role.arn)));
            // The uid tells an object from one of the same name that was made and lost later.
            let named =
                |statement: &Statement| format!("{} {} {}", contribution.id, contribution.uid, statement.canonical());
            lines.extend(contribution.has.iter().map(named));
            of.insert(contribution.id.clone(), statements.clone());
        }
        lines.extend(more.iter().cloned());
        let none = of.is_empty() && more.is_empty();
        let token = if none { String::new() } else { token(lines, &words.handled()) };
        let said = words.of(&token);
        Self { of, token, said }
    }
}

/// What stays in AWS and belongs to nobody who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Gone without a word, or abandoned.
    pub lost: Left,
    /// Gone with `deletionPolicy: Retain`, which a rule lets them have.
    pub retained: Left,
    pub unclaimed: BTreeSet<Statement>,
    /// The same, while something on record cannot be read: nobody's word takes them.
    pub undecided: BTreeSet<Statement>,
}

impl Orphans {
    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.lost.of.is_empty() && self.unclaimed.is_empty() && self.undecided.is_empty()
    }

    pub fn said(&self) -> Said {
        Said { orphans: self.lost.said, retained: self.retained.said }
    }

    /// The same, without the policy: what has statements in it waits until it can be read.
    pub fn said_of_things(&self) -> Said {
        let has_none = |left: &Left| left.of.values().all(Vec::is_empty);
        let said = self.said();
        Said {
            orphans: if has_none(&self.lost) && self.unclaimed.is_empty() { said.orphans } else { Word::None },
            retained: if has_none(&self.retained) { said.retained } else { Word::None },
        }
    }

    /// Those of whom this was said.
    pub fn told(&self, word: Word) -> impl Iterator<Item = &ObjectId> {
        [&self.lost, &self.retained].into_iter().filter(move |left| left.said == word).flat_map(|left| left.of.keys())
    }

    pub fn find(desired: &Desired, unclaimed: BTreeSet<Statement>) -> Self {
        // What cannot be read may say whose they are.
        let (unclaimed, undecided) =
            if desired.is_incomplete { (BTreeSet::new(), unclaimed) } else { (unclaimed, BTreeSet::new()) };
        let (contributions, words) = (&desired.contributions, &desired.words);
        let nameless: Vec<_> = unclaimed.iter().map(Statement::canonical).collect();
        let lost = Left::find(contributions, Contribution::is_orphaned, &nameless, words);
        let retained = Left::find(contributions, Contribution::is_retained, &[], words);
        Self { lost, retained, unclaimed, undecided }
    }
}

/// Statements that no object ever claimed carry no uid: after its use a token names their like no more.
fn token(mut lines: Vec<String>, handled: &BTreeSet<&str>) -> String {
    let short = |lines: &[String]| -> String { digest(&lines.join("\n")).chars().take(16).collect() };
    let mut token = short(&lines);
    while handled.contains(token.as_str()) {
        lines.push(token);
        token = short(&lines);
    }
    token
}
