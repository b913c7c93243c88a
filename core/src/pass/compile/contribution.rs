//! What one object's part of a registry is today: where it stands, what it has and what it asks for.

use super::super::cache_rules;
use super::super::ledger::{Holding, Things};
use super::super::objects::ObjectId;
use super::super::roles;
use crate::api::LedgerState;
use crate::kinds::{CacheRule, PtcRole};
use crate::policy::Statement;
use crate::reason::Because;

/// Where an object stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Stance {
    /// Accepted: it gets all of this.
    Wants(Vec<Statement>),
    /// Refused or held back: it keeps this much of what it has, restored if it is lost.
    Keeps(Vec<Statement>, Because),
    /// Held: whatever of this is in AWS stays as it is there.
    Holds(Vec<Statement>, Because),
    /// Deleting: what it has goes.
    Leaves,
    /// Released: what it has stays under Sids that are not ours.
    Released(Vec<Statement>),
    /// Left behind by its owner's word, and `allow` lets it: it stays until pruned, released or allowed no more.
    Retained(Vec<Statement>),
    /// Nobody wants it and nobody was seen to give it up: it stays until pruned.
    Orphaned(Vec<Statement>),
}

/// One object's part of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    pub id: ObjectId,
    pub uid: String,
    pub generation: i64,
    /// What the ledger says it has, or may have.
    pub has: Vec<Statement>,
    pub state: Option<LedgerState>,
    /// What it asks for, if that could be told.
    pub wanted: Option<Vec<Statement>>,
    /// Part of what it asks for rests on the scope of the policy.
    pub depends_on_scope: bool,
    pub stance: Stance,
    /// What the ledger says it has besides.
    pub things: Things,
    pub rule: Option<RuleClaim>,
    pub role: Option<RoleClaim>,
    /// The role it asks for, if that could be told.
    pub pulls: Option<PtcRole>,
    /// It is attached to another registry, whose pass tells it its fate.
    pub is_guest: bool,
    /// It would be accepted if it carried our finalizer.
    pub awaits_finalizer: bool,
    /// What it is told of, accepted as it is.
    pub warning: Option<Because>,
}

impl Contribution {
    /// What it says about its own rule. A guest has none here: its own registry looks after it.
    pub fn own_rule(&self) -> Option<&RuleClaim> {
        self.rule.as_ref().filter(|_| !self.is_guest)
    }

    /// The same about its own role.
    pub fn own_role(&self) -> Option<&RoleClaim> {
        self.role.as_ref().filter(|_| !self.is_guest)
    }

    /// Its entry in the ledger, with these statements.
    pub fn holding(&self, state: LedgerState, statements: Vec<Statement>) -> Holding {
        let (uid, generation) = (self.uid.clone(), self.generation);
        Holding { uid, generation, state, statements, things: self.things.clone(), refused: None }
    }

    /// Whether what it has is nobody's.
    pub fn is_orphaned(&self) -> bool {
        matches!(self.stance, Stance::Orphaned(_))
    }

    /// Whether what it has was left behind on purpose.
    pub fn is_retained(&self) -> bool {
        matches!(self.stance, Stance::Retained(_))
    }
}

pub type RuleClaim = cache_rules::Claim<CacheRule>;
pub type RoleClaim = roles::Claim<PtcRole>;

/// The claim on a rule that its object left behind.
pub(super) fn orphaned_rule(id: &ObjectId, things: &Things) -> Option<RuleClaim> {
    things.rule.clone().map(|rule| RuleClaim::orphan(id, Some(rule), things.claimed_at))
}

/// The same on a role.
pub(super) fn orphaned_role(id: &ObjectId, things: &Things) -> Option<RoleClaim> {
    things.role.clone().map(|role| RoleClaim::orphan(id, Some(role), things.claimed_at))
}
