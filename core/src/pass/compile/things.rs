//! What an object may have besides statements: its claim on a cache rule, or on a role.

use std::collections::BTreeSet;

use super::super::cache_rules::{Stance, evidence};
use super::super::claims::Latitude;
use super::super::roles::{self, Place};
use super::{Answer, Attached, Compiler, RoleClaim, RuleClaim, Things};
use crate::api::{DeletionPolicy, LedgerRole, LedgerRule, RoleStatus};
use crate::consent::{Asked, consent};
use crate::kinds::{CacheRule, PtcRole, Wanted};
use crate::reason::Because;

impl Compiler<'_> {
    /// The object's word about its rule; where it stands is not told yet. Nothing, if it has to do with none.
    pub(super) fn rule_claim(&self, object: &Attached, wanted: Option<&Wanted>, things: &Things) -> Option<RuleClaim> {
        let written = wanted.and_then(|wanted| wanted.rule.as_ref());
        // Second evidence: our finalizer and its own status say what it had.
        let said = object.status.rule.as_ref().filter(|_| object.meta.finalized).zip(written);
        let has = things.rule.clone().or_else(|| said.map(|(status, written)| evidence(status, written)));
        if has.is_none() && written.is_none() {
            return None;
        }
        Some(RuleClaim {
            outlawed: has.as_ref().and_then(|has| self.is_outlawed(object, has)),
            id: object.id.clone(),
            created: object.meta.created,
            has,
            claimed_at: things.claimed_at,
            stance: Stance::Orphaned,
            may: written.map(Latitude::of_rule).unwrap_or_default(),
            owns_adopted: object.body.deletion_policy() == Some(DeletionPolicy::Delete),
        })
    }

    /// The same about its role.
    pub(super) fn role_claim(&self, object: &Attached, wanted: Option<&PtcRole>, things: &Things) -> Option<RoleClaim> {
        let said = object.status.role.clone().filter(|_| object.meta.finalized);
        let adoption = wanted.map(|role| role.adoption).unwrap_or_default();
        let said = said.or_else(|| self.left_behind(object, wanted?));
        let has = things.role.clone().or_else(|| said.map(|status| roles::evidence(&status, adoption)));
        if has.is_none() && wanted.is_none() {
            return None;
        }
        Some(RoleClaim {
            outlawed: has.as_ref().and_then(|has| self.is_role_outlawed(object, has)),
            id: object.id.clone(),
            created: object.meta.created,
            has,
            claimed_at: things.claimed_at,
            stance: roles::Stance::Orphaned,
            may: wanted.map(Latitude::of_role).unwrap_or_default(),
            owns_adopted: object.body.deletion_policy() == Some(DeletionPolicy::Delete),
        })
    }

    /// Where the role of an object that goes would lie, if the Registry's status is gone and nothing says whether there is
    /// one: its tags will tell.
    fn left_behind(&self, object: &Attached, wanted: &PtcRole) -> Option<RoleStatus> {
        let never_seen = self.gathered.registry.status.observed_generation < 0;
        if !(never_seen && object.meta.deleting && object.meta.finalized) {
            return None;
        }
        let settings = self.gathered.registry.spec.roles.as_ref();
        let place = Place { registry: &self.gathered.key, settings, installation: self.installation };
        let role = place.role(&object.id, wanted).ok()?;
        Some(RoleStatus { name: role.name, arn: role.arn })
    }

    /// Why today's `allow` covers no such role. What it names besides, rules and grants are asked for by themselves.
    fn is_role_outlawed(&self, object: &Attached, has: &LedgerRole) -> Option<Because> {
        let view = self.gathered.namespaces.get(&object.id.namespace)?;
        let (allow, key) = (&self.gathered.registry.spec.allow, &self.gathered.key);
        let asked = Asked::of_recorded_role(has);
        consent(allow, key, object.id.kind, &object.id.namespace, &view.labels, &asked).err()
    }

    /// Why today's `allow` does not cover what is there. A namespace that is not there to be judged loses nothing.
    fn is_outlawed(&self, object: &Attached, has: &LedgerRule) -> Option<Because> {
        let view = self.gathered.namespaces.get(&object.id.namespace)?;
        let (allow, key) = (&self.gathered.registry.spec.allow, &self.gathered.key);
        let roles = self.holdings.iter().filter(|(id, _)| id.namespace == object.id.namespace);
        let own_roles: BTreeSet<&str> =
            roles.filter_map(|(_, holding)| holding.things.role.as_ref()).map(|role| role.arn.as_str()).collect();
        let asked = Asked::of_recorded(has, &own_roles);
        consent(allow, key, object.id.kind, &object.id.namespace, &view.labels, &asked).err()
    }
}

/// What becomes of the thing of an object that is being deleted.
pub(super) fn leaving<W>(object: &Attached) -> Stance<W> {
    match object.body.deletion_policy() {
        _ if object.meta.abandon => Stance::Orphaned,
        Some(DeletionPolicy::Retain) => Stance::Retains,
        _ => Stance::Leaves,
    }
}

/// Where a living object stands with its rule. What is there and is not allowed goes, unless what is wanted takes its
/// place by an update: a rule that is deleted to be made anew serves nobody meanwhile.
pub(super) fn rule_living(answer: &Answer, claim: &RuleClaim, written: Option<CacheRule>) -> Stance<CacheRule> {
    let updates = |wanted: &CacheRule| claim.has.as_ref().is_some_and(|has| wanted.is_in_place_of(has));
    match (answer, &claim.outlawed) {
        (Answer::Accepted(Wanted { rule: Some(wanted), .. }), Some(_)) if updates(wanted) => {
            Stance::Wants(wanted.clone())
        }
        (_, Some(because)) => Stance::Loses(because.clone()),
        (Answer::Held(because), None) => Stance::Holds(written, because.clone()),
        (Answer::Refused(_, because), None) => Stance::Keeps(because.clone()),
        (Answer::Accepted(Wanted { rule: Some(wanted), .. }), None) => Stance::Wants(wanted.clone()),
        (Answer::Accepted(_), None) => Stance::Leaves,
    }
}

/// Where a living object stands with its role.
pub(super) fn role_living(answer: &Answer, claim: &RoleClaim, written: Option<&PtcRole>) -> Stance<PtcRole> {
    match (answer, &claim.outlawed) {
        (_, Some(because)) => Stance::Loses(because.clone()),
        (Answer::Held(because), None) => Stance::Holds(written.cloned(), because.clone()),
        (Answer::Refused(_, because), None) => Stance::Keeps(because.clone()),
        (Answer::Accepted(Wanted { role: Some(wanted), .. }), None) => Stance::Wants(wanted.clone()),
        (Answer::Accepted(_), None) => Stance::Leaves,
    }
}
