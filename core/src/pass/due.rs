//! What is due: what is on record and nobody is entitled to any more. Told by ledger, specs and `allow` alone, so that
//! taking away waits for nothing that growth needs.

use std::collections::BTreeSet;

use super::compile::{Contribution, Desired, Stance};
use super::objects::ObjectId;
use super::orphans::{Said, Word, set_of};
use crate::policy::{Effect, Statement};

/// What has to go in one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Allows of the policy, one principal each. A Deny is never due: taking it away widens.
    pub statements: BTreeSet<Statement>,
    /// Objects of which a cache rule has to go, a role, or part of a role's policy.
    pub things: BTreeSet<ObjectId>,
}

impl Due {
    pub fn is_nothing(&self) -> bool {
        self.statements.is_empty() && self.things.is_empty()
    }
}

impl Desired {
    /// `said`: what a person has said of what belongs to nobody.
    pub fn due(&self, said: &Said) -> Due {
        // Statements of a set go after its rules and roles.
        let with_things = self.contributions.iter().filter(|c| !c.things.is_empty()).filter_map(set_of);
        let with_things: BTreeSet<_> = with_things.collect();
        let waits =
            |c: &Contribution| said.of(c) == Word::Prune && set_of(c).is_some_and(|set| with_things.contains(&set));
        let going = self.contributions.iter().filter(|c| !waits(c));
        let given_up: Vec<_> = going.flat_map(|c| given_up(c, said)).collect();
        // What another object may have changes hands in the ledger, not in AWS.
        let others = || self.contributions.iter().flat_map(|c| entitled(c, said)).chain(&self.protected);
        let is_nobodys = |atom: &Statement| !others().any(|statement| atom.is_within(statement));
        let statements = given_up.into_iter().filter(is_nobodys).collect();
        let owing = self.contributions.iter().filter(|c| owes_thing(c, said));
        Due { statements, things: owing.map(|c| c.id.clone()).collect() }
    }
}

/// What an object may have in the policy.
fn entitled<'c>(contribution: &'c Contribution, said: &Said) -> &'c [Statement] {
    match &contribution.stance {
        // What is released stays, though under another Sid.
        Stance::Wants(statements)
        | Stance::Keeps(statements, _)
        | Stance::Holds(statements, _)
        | Stance::Released(statements) => statements,
        Stance::Orphaned(statements) | Stance::Retained(statements) => {
            if said.of(contribution) == Word::Prune {
                &[]
            } else {
                statements
            }
        }
        Stance::Leaves => &[],
    }
}

fn given_up(contribution: &Contribution, said: &Said) -> Vec<Statement> {
    let entitled = entitled(contribution, said);
    if contribution.has == entitled {
        return Vec::new();
    }
    let allows = contribution.has.iter().filter(|statement| statement.effect == Effect::Allow);
    let atoms = allows.flat_map(Statement::atoms);
    atoms.filter(|atom| !entitled.iter().any(|statement| atom.is_within(statement))).collect()
}

fn owes_thing(contribution: &Contribution, said: &Said) -> bool {
    let goes = |goes: bool| goes || said.of(contribution) == Word::Prune;
    let rule = contribution.own_rule().is_some_and(|claim| claim.has.is_some() && goes(claim.stance.goes()));
    let role = contribution
        .own_role()
        .is_some_and(|claim| claim.has.is_some() && (goes(claim.stance.goes()) || !claim.withdrawn.is_empty()));
    rule || role
}
