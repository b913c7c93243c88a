//! What becomes of what objects that go or are gone have: it leaves, is released, or stays as retained or orphaned.

use std::collections::BTreeSet;

use super::{Attached, Compiler, Contribution, ObjectId, Stance, things};
use crate::api::{DeletionPolicy, LedgerRole, LedgerState};
use crate::consent::{Asked, Rules, consent, consented};
use crate::kinds::Wanted;
use crate::pass::ledger::{Holding, Things};
use crate::policy::Statement;
use crate::reason::{Because, Reason};

impl Compiler<'_> {
    /// Whether the object is let go of as it is: by its own word and the Registry's, since what is nobody's can be neither
    /// bounded nor withdrawn.
    pub(super) fn releases(&self, object: &Attached) -> bool {
        object.meta.released() && self.gathered.registry.meta.released()
    }

    /// What becomes of the statements of an object that goes. `stays`: something else of it is retained.
    pub(super) fn leaving(&self, object: &Attached, has: &[Statement], may_retain: bool, stays: bool) -> Stance {
        if object.meta.abandon && object.meta.deleting {
            return Stance::Orphaned(has.to_vec());
        }
        if self.releases(object) {
            return Stance::Released(self.still_allowed(&object.id, has));
        }
        let retained = if may_retain { self.retainable(&object.id, has) } else { Vec::new() };
        if retained.is_empty() && !stays { Stance::Leaves } else { Stance::Retained(retained) }
    }

    /// What today's `allow` lets be left behind.
    pub(super) fn retainable(&self, id: &ObjectId, statements: &[Statement]) -> Vec<Statement> {
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        consented(&Rules::Retaining.of(self.allow()), &self.gathered.key, id.kind, &id.namespace, labels, statements)
    }

    /// Whether the rule that covers the object lets what it has outlive it. What it asks for may no longer be told: then what
    /// it has speaks for itself.
    pub(super) fn may_retain(&self, object: &Attached, wanted: Option<&Wanted>) -> bool {
        object.body.deletion_policy() == Some(DeletionPolicy::Retain) && self.lacks_retain(object, wanted).is_none()
    }

    /// The words for an object that asks to be retained as no rule lets it.
    pub(super) fn lacks_retain(&self, object: &Attached, wanted: Option<&Wanted>) -> Option<Because> {
        let wanted = wanted.filter(|_| object.body.deletion_policy() == Some(DeletionPolicy::Retain))?;
        let (key, id) = (&self.gathered.key, &object.id);
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        let retaining = Rules::Retaining.of(self.allow());
        consent(&retaining, key, id.kind, &id.namespace, labels, &Asked::of(wanted, id.kind, key)).err()?;
        let message = "No rule of the Registry's spec.allow with retain: true covers the object, so its deletion removes what it has.";
        Some(Because::new(Reason::RetainNotAllowed, message))
    }

    /// The words for an object that asks to be let go of, and its Registry does not.
    pub(super) fn lacks_release(&self, object: &Attached) -> Option<Because> {
        let is_alone = object.meta.released() && !self.gathered.registry.meta.released();
        let message = format!(
            "The annotation {} has no effect while the Registry does not carry it: use ecr-permissions release.",
            crate::api::RELEASE
        );
        is_alone.then(|| Because::new(Reason::Released, message))
    }

    pub(super) fn orphans(&self) -> Vec<Contribution> {
        let here = self.gathered.attached.iter().chain(&self.gathered.guests).chain(&self.gathered.elsewhere);
        let here: BTreeSet<_> = here.map(|object| &object.id).chain(&self.gathered.unreadable).collect();
        let has_something = |holding: &Holding| !holding.statements.is_empty() || !holding.things.is_empty();
        let gone = self.holdings.iter().filter(|(id, holding)| !here.contains(id) && has_something(holding));
        let orphan = |(id, holding): (&ObjectId, &Holding)| {
            let things = self.left_here(id, &holding.things);
            let retained = holding.state == LedgerState::Retained;
            let rules = if retained { Rules::Retaining } else { Rules::All };
            let mut rule = self.rule_without_object(id, &things);
            let mut role = self.role_without_object(rules, id, &things);
            // What `allow` covers no more goes, whoever is there to say so.
            if let Some(claim) = &mut rule {
                let outlawed = claim.has.as_ref().and_then(|has| self.is_outlawed(rules, id, has));
                claim.stance = things::left(outlawed, retained);
            }
            if let Some((claim, has)) = role.as_mut().zip(things.role.as_ref()) {
                claim.stance = things::left(self.is_role_outlawed(rules, id, has), retained);
            }
            let stance = if retained {
                Stance::Retained(self.retained_of(id, &holding.statements))
            } else {
                Stance::Orphaned(self.still_allowed(id, &holding.statements))
            };
            Contribution {
                id: id.clone(),
                uid: holding.uid.clone(),
                generation: holding.generation,
                has: holding.statements.clone(),
                state: Some(holding.state),
                wanted: None,
                depends_on_scope: false,
                stance,
                rule,
                role,
                things,
                pulls: None,
                is_guest: false,
                awaits_finalizer: false,
                warning: None,
            }
        };
        gone.map(orphan).filter(|c| !c.has.is_empty() || !c.things.is_empty()).collect()
    }

    /// What may stay of what an object left behind here. A grant to a role stays no longer than its own registry lets the
    /// role stay: it would be good for whoever takes the name.
    pub(super) fn retained_of(&self, id: &ObjectId, statements: &[Statement]) -> Vec<Statement> {
        let goes_at_home = self.gathered.others.iter().any(|(key, home)| {
            let role = home.on_record(id).and_then(|holding| holding.things.role);
            let retaining = Rules::Retaining.of(&home.registry.spec.allow);
            let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
            role.is_some_and(|role| {
                consent(&retaining, key, id.kind, &id.namespace, labels, &Asked::of_retained_role(&role)).is_err()
            })
        });
        if goes_at_home { Vec::new() } else { self.retainable(id, statements) }
    }

    /// What is nobody's of what an object had here. IAM is of the account: a role that the object has by another of its
    /// registries now is no longer on record here.
    pub(super) fn left_here(&self, id: &ObjectId, things: &Things) -> Things {
        let own = &self.gathered.key.account;
        let beside = self.gathered.others.iter().filter(|(key, _)| key.account == *own);
        let living: Vec<_> = beside
            .filter_map(|(_, registry)| registry.on_record(id))
            .filter(|holding| !matches!(holding.state, LedgerState::Orphan | LedgerState::Retained))
            .collect();
        let has_it =
            |role: &LedgerRole| living.iter().any(|e| e.things.role.as_ref().is_some_and(|has| has.arn == role.arn));
        Things { role: things.role.clone().filter(|role| !has_it(role)), ..things.clone() }
    }
}

/// The words for an object that was let go of.
pub(in crate::pass) fn was_released() -> Because {
    let message = format!(
        "Released: what the object had in AWS stays there and is nobody's. To attach it again, take the annotation {} off.",
        crate::api::RELEASE
    );
    Because::new(Reason::Released, message)
}

/// The words for an object that was let go of, or whose Registry is.
pub(super) fn released(object: &Attached) -> Because {
    if object.meta.released() {
        return was_released();
    }
    let message = format!(
        "The Registry is being released, and takes nobody new until its annotation {} is taken off.",
        crate::api::RELEASE
    );
    Because::new(Reason::Released, message)
}
