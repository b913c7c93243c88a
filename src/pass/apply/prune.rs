//! A person's word that what belongs to nobody goes: whether it is given, and what waits for what.

use std::collections::BTreeSet;

use ecr_permissions_core::api::Kind;
use ecr_permissions_core::pass::compile::Contribution;
use ecr_permissions_core::pass::orphans::Orphans;
use ecr_permissions_core::pass::roles::{Applied as AppliedRoles, reach};
use ecr_permissions_core::reason::Because;

use super::Writing;
use super::things::{Thing, Working};
use crate::pass::observe::Policy;
use crate::pass::observe::rules::Rules;

impl Writing<'_> {
    /// Whether what belongs to nobody is to go. A policy that cannot be read keeps only statements from going.
    pub(super) fn is_pruned(&mut self, policy: Option<&Policy>) -> bool {
        if let Some(policy) = policy {
            return self.plan(policy, None).orphans.pruned;
        }
        let orphans = self.orphans_on_record();
        orphans.pruned && orphans.has_no_statements()
    }

    /// What belongs to nobody by the ledger alone.
    pub(super) fn orphans_on_record(&self) -> Orphans {
        Orphans::find(&self.desired, BTreeSet::new())
    }

    /// Notes what of it is still there once rules and roles were removed.
    pub(super) fn await_prune(
        &mut self,
        pruned: bool,
        rules: Option<&Result<Working<Rules>, Because>>,
        roles: &AppliedRoles,
    ) {
        let is_there = |c: &Contribution| match (&c.things.rule, rules) {
            (Some(rule), Some(Ok(rules))) => rules.read.shows(rule),
            (rule, _) => rule.is_some(),
        };
        let has_role = |c: &Contribution| !roles.has_nothing(&c.id, c.things.role.is_some());
        let orphaned = || self.desired.contributions.iter().filter(|c| c.is_orphaned());
        self.prune_waits = pruned && orphaned().any(|c| is_there(c) || has_role(c));
        // Two registries may have orphaned roles that pull from each other: the grants to them then wait for no role, though
        // what is left needs another word.
        let grants_to_roles = orphaned().any(|c| c.id.kind == Kind::CrossAccountPtcRole && !c.has.is_empty());
        let is_granted = |c: &Contribution| {
            let role = c.things.role.as_ref();
            role.is_some_and(|role| reach::granting(self.gathered, &c.id, Some(&role.arn)).is_some())
        };
        let waits_there = |c: &Contribution| grants_to_roles && is_granted(c);
        self.statements_wait = pruned && orphaned().any(|c| is_there(c) || has_role(c) && !waits_there(c));
        self.hold_prune();
    }

    /// Keeps statements from going before their time, whenever what is desired was compiled anew.
    pub(super) fn hold_prune(&mut self) {
        if self.statements_wait {
            self.desired.prune.asked = None;
        }
    }
}
