//! A person's word on what belongs to nobody: what was said, and what waits for what.

use std::collections::BTreeSet;

use ecr_permissions_core::api::Kind;
use ecr_permissions_core::pass::compile::Contribution;
use ecr_permissions_core::pass::judge::Applied;
use ecr_permissions_core::pass::orphans::{Orphans, Said, Waits, Word, set_of};
use ecr_permissions_core::pass::roles::{Applied as AppliedRoles, reach};
use ecr_permissions_core::reason::Because;

use super::Writing;
use super::things::Working;
use crate::pass::observe::Policy;
use crate::pass::observe::rules::Rules;

impl Writing<'_> {
    /// What was said of what belongs to nobody. A policy that cannot be read keeps only statements waiting.
    pub(super) fn said(&mut self, policy: Option<&Policy>) -> Said {
        if !self.desired.words.is_pending() {
            self.memory.heard.clear();
            return Said::default();
        }
        let (orphans, said) = if let Some(policy) = policy {
            let orphans = self.plan(policy, None).orphans;
            let said = orphans.said();
            (orphans, said)
        } else {
            let orphans = self.orphans_on_record();
            let said = orphans.said_of_things();
            (orphans, said)
        };
        let mut heard = self.words.still_heard(&self.memory.heard);
        heard.extend(orphans.named(&self.words));
        self.memory.heard.clone_from(&heard);
        self.words.heard = heard;
        self.words.is_closed = true;
        self.desired.words = self.words.clone();
        said
    }

    /// What belongs to nobody by the ledger alone.
    pub(super) fn orphans_on_record(&self) -> Orphans {
        Orphans::find(&self.desired, BTreeSet::new())
    }

    /// Notes what of it is still there once rules and roles were removed or released.
    pub(super) fn await_things(
        &mut self,
        said: &Said,
        rules: Option<&Result<Working<Rules>, Because>>,
        roles: &AppliedRoles,
    ) {
        let plan = rules.and_then(|rules| rules.as_ref().ok()).map(|rules| self.planned(rules, said));
        let is_there = |c: &Contribution| match (&c.things.rule, &plan) {
            // One that was only adopted, or is somebody else's by now, is the object's no more and stays.
            (Some(_), Some(plan)) => plan.has.contains_key(&c.id) || plan.acts.contains_key(&c.id),
            (rule, _) => rule.is_some(),
        };
        let has_role = |c: &Contribution| !roles.has_nothing(&c.id, c.things.role.is_some());
        let going = || self.desired.contributions.iter().filter(|c| said.of(c) != Word::None);
        self.said_waits.add(going().filter(|c| is_there(c) || has_role(c)));
        // Two registries may have orphaned roles that pull from each other: the grants to them then wait for no role, though
        // what is left needs another word.
        let grants = going().filter(|c| c.id.kind == Kind::CrossAccountPtcRole && !c.has.is_empty());
        let grants_to_roles: BTreeSet<_> = grants.filter_map(set_of).collect();
        let is_granted = |c: &Contribution| {
            let role = c.things.role.as_ref();
            role.is_some_and(|role| reach::granting(self.gathered, &c.id, Some(&role.arn)).is_some())
        };
        let waits_there =
            |c: &Contribution| set_of(c).is_some_and(|set| grants_to_roles.contains(&set)) && is_granted(c);
        // Statements of a set go last, since the token names them all.
        let waiting = going().filter(|c| is_there(c) || has_role(c) && !waits_there(c));
        self.words.held = waiting.filter_map(set_of).collect();
        self.desired.words.held.clone_from(&self.words.held);
    }

    /// What a person spoke of that is still there: rules, roles, and statements that are still ours, as far as is known.
    pub(super) fn waits(&self, said: &Said, applied: &Applied) -> Waits {
        let is_left = |c: &Contribution| {
            applied.has.as_ref().is_none_or(|has| has.get(&c.id).is_some_and(|statements| !statements.is_empty()))
        };
        let going = self.desired.contributions.iter().filter(|c| said.of(c) != Word::None && !c.has.is_empty());
        let mut waits = self.said_waits.clone();
        waits.add(going.filter(|c| is_left(c)));
        waits.unclaimed = said.of_unclaimed() != Word::None && !applied.orphans.unclaimed.is_empty();
        waits
    }
}
