//! What an object may have besides statements: its claim on a cache rule, or on a role.

use super::super::cache_rules::Stance;
use super::super::claims::{Latitude, Withdrawn};
use super::super::roles::{self, Place};
use super::{Answer, Attached, Compiler, ObjectId, RoleClaim, RuleClaim, Things, orphaned_rule};
use crate::api::{Adoption, DeletionPolicy, LedgerPulls, LedgerRole, LedgerRule, OwnershipState};
use crate::consent::{Asked, Rules, consent};
use crate::kinds::{CacheRule, PtcRole, Wanted};
use crate::names::{RegistryKey, RepositoryPattern};
use crate::reason::Because;

impl Compiler<'_> {
    /// The object's word about its rule; where it stands is not told yet. Nothing, if it has to do with none.
    pub(super) fn rule_claim(&self, object: &Attached, wanted: Option<&Wanted>, things: &Things) -> Option<RuleClaim> {
        let written = wanted.and_then(|wanted| wanted.rule.as_ref());
        let has = things.rule.clone().map(|has| self.rule_under_consent(&object.id.namespace, has));
        if has.is_none() && written.is_none() {
            return None;
        }
        Some(RuleClaim {
            outlawed: has.as_ref().and_then(|has| self.is_outlawed(Rules::All, &object.id, has)),
            id: object.id.clone(),
            created: object.meta.created,
            lost: self.is_lost(object).then(|| written.cloned()).flatten(),
            has,
            claimed_at: things.claimed_at,
            stance: Stance::Orphaned,
            may: written.map(Latitude::of_rule).unwrap_or_default(),
            owns_adopted: object.body.deletion_policy() == Some(DeletionPolicy::Delete),
            withdrawn: Withdrawn::new(),
        })
    }

    /// The same about its role.
    pub(super) fn role_claim(&self, object: &Attached, wanted: Option<&PtcRole>, things: &Things) -> Option<RoleClaim> {
        let has = things.role.clone().or_else(|| self.left_behind(object, wanted?));
        if has.is_none() && wanted.is_none() {
            return None;
        }
        let (has, withdrawn) = has.map(|has| self.under_consent(Rules::All, &object.id, has)).unzip();
        Some(RoleClaim {
            outlawed: has.as_ref().and_then(|has| self.is_role_outlawed(Rules::All, &object.id, has)),
            id: object.id.clone(),
            created: object.meta.created,
            lost: None,
            has,
            claimed_at: things.claimed_at,
            stance: roles::Stance::Orphaned,
            may: wanted.map(Latitude::of_role).unwrap_or_default(),
            owns_adopted: object.body.deletion_policy() == Some(DeletionPolicy::Delete),
            withdrawn: withdrawn.unwrap_or_default(),
        })
    }

    /// Where the role of an object that goes without an entry would lie: its tags will tell whether it is the object's.
    fn left_behind(&self, object: &Attached, wanted: &PtcRole) -> Option<LedgerRole> {
        if !self.is_lost(object) {
            return None;
        }
        let settings = self.gathered.registry.spec.roles.as_ref();
        let place = Place { registry: &self.gathered.key, settings, installation: self.installation };
        let role = place.role(&object.id, wanted).ok()?;
        Some(LedgerRole {
            name: role.name,
            arn: role.arn,
            id: None,
            adopted: (wanted.adoption > Adoption::Never).then_some(true),
            state: OwnershipState::Claimed,
            pulls: LedgerPulls::default(),
        })
    }

    /// What the role pulls within its account and its object asks for no more, while nothing may be added to it: that goes by
    /// itself, and not with the change that it is part of.
    pub(super) fn no_longer_asked(&self, claim: &RoleClaim) -> Withdrawn {
        let (roles::Stance::Wants(wanted), Some(has)) = (&claim.stance, &claim.has) else { return Withdrawn::new() };
        if self.holds.of(claim.id.kind).is_none() {
            return Withdrawn::new();
        }
        let is_asked = |key: &RegistryKey, pattern: &RepositoryPattern| {
            wanted.upstreams.iter().any(|upstream| upstream.key == *key && upstream.repositories.contains(pattern))
        };
        let recorded = has.pulls.from.iter().filter_map(|from| {
            let key = RegistryKey { account: from.account_id.parse().ok()?, region: from.region.parse().ok()? };
            Some((key, from.repositories.iter().filter_map(|pattern| pattern.parse().ok()).collect::<Vec<_>>()))
        });
        let all = recorded.flat_map(|(key, patterns)| patterns.into_iter().map(move |pattern| (key.clone(), pattern)));
        all.filter(|(key, pattern)| !is_asked(key, pattern)).collect()
    }

    /// Whether the object goes, was accepted once, and has no entry.
    fn is_lost(&self, object: &Attached) -> bool {
        let is_on_record =
            self.holdings.contains_key(&object.id) || self.gathered.ledger.unreadable.contains(&object.id);
        object.meta.deleting && object.meta.finalized && !is_on_record
    }

    /// Why today's `allow` covers no such role. What it names besides, rules and grants are asked for by themselves.
    pub(super) fn is_role_outlawed(&self, rules: Rules, id: &ObjectId, has: &LedgerRole) -> Option<Because> {
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        let asked = match rules {
            Rules::All => Asked::of_recorded_role(has),
            Rules::Retaining => Asked::of_retained_role(has),
        };
        consent(&rules.of(self.allow()), &self.gathered.key, id.kind, &id.namespace, labels, &asked).err()
    }

    /// Why today's `allow` does not cover what is there. A namespace that is not there to be judged loses what no rule could
    /// cover.
    pub(super) fn is_outlawed(&self, rules: Rules, id: &ObjectId, has: &LedgerRule) -> Option<Because> {
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        let by_own_role = has.role_arn.as_ref().is_some_and(|arn| self.own_role(&id.namespace, arn).is_some());
        let asked = Asked::of_recorded(has, by_own_role);
        let refused =
            consent(&rules.of(self.allow()), &self.gathered.key, id.kind, &id.namespace, labels, &asked).err();
        refused.or_else(|| self.upstream_refuses(rules, &id.namespace, has))
    }

    /// What becomes of the rule of an object that goes.
    pub(super) fn rule_leaving(&self, object: &Attached, claim: &RuleClaim, may_retain: bool) -> Stance<CacheRule> {
        let may_stay =
            |rules: Rules| claim.has.as_ref().is_some_and(|has| self.is_outlawed(rules, &object.id, has).is_none());
        self.thing_leaving(object, may_retain, may_stay)
    }

    /// The same of its role.
    pub(super) fn role_leaving(&self, object: &Attached, claim: &RoleClaim, may_retain: bool) -> Stance<PtcRole> {
        let may_stay = |rules: Rules| {
            claim.has.as_ref().is_some_and(|has| self.is_role_outlawed(rules, &object.id, has).is_none())
        };
        self.thing_leaving(object, may_retain, may_stay)
    }

    /// `may_stay`: whether these rules cover what is there.
    fn thing_leaving<W>(&self, object: &Attached, may_retain: bool, may_stay: impl Fn(Rules) -> bool) -> Stance<W> {
        match () {
            () if object.meta.abandon && object.meta.deleting => Stance::Orphaned,
            // What it may not have is not left to anybody.
            () if self.releases(object) && may_stay(Rules::All) => Stance::Released,
            () if !self.releases(object) && may_retain && may_stay(Rules::Retaining) => Stance::Retained,
            () => Stance::Leaves,
        }
    }

    /// The claim on a rule whose object is not here to speak for it.
    pub(super) fn rule_without_object(&self, id: &ObjectId, things: &Things) -> Option<RuleClaim> {
        let mut claim = orphaned_rule(id, things)?;
        claim.has = claim.has.take().map(|has| self.rule_under_consent(&id.namespace, has));
        Some(claim)
    }

    /// What an object has here that is there and speaks of something else stays as it is, as far as `allow` covers it.
    pub(super) fn hold_things(&self, rule: &mut Option<RuleClaim>, role: &mut Option<RoleClaim>, because: &Because) {
        if let Some(claim) = rule {
            let outlawed = claim.has.as_ref().and_then(|has| self.is_outlawed(Rules::All, &claim.id, has));
            claim.stance = outlawed.map_or_else(|| Stance::Holds(None, because.clone()), Stance::Loses);
        }
        if let Some(claim) = role {
            let outlawed = claim.has.as_ref().and_then(|has| self.is_role_outlawed(Rules::All, &claim.id, has));
            claim.stance = outlawed.map_or_else(|| roles::Stance::Holds(None, because.clone()), roles::Stance::Loses);
        }
    }
}

/// What becomes of what an object left behind.
pub(super) fn left<W>(outlawed: Option<Because>, retained: bool) -> Stance<W> {
    match outlawed {
        Some(because) => Stance::Loses(because),
        None if retained => Stance::Retained,
        None => Stance::Orphaned,
    }
}

/// Where a living object stands with its rule. What is there and is not allowed goes, unless what is wanted takes its
/// place by an update: a rule that is deleted to be made anew serves nobody meanwhile. `refused`: why its upstream does
/// not let it pull.
pub(super) fn rule_living(
    answer: &Answer,
    claim: &RuleClaim,
    written: Option<CacheRule>,
    refused: Option<Because>,
) -> Stance<CacheRule> {
    if let Some(because) = refused {
        return Stance::Loses(because);
    }
    let updates = |wanted: &CacheRule| claim.has.as_ref().is_some_and(|has| wanted.is_in_place_of(has));
    match (answer, &claim.outlawed) {
        (Answer::Accepted(Wanted { rule: Some(wanted), .. }), Some(_)) if updates(wanted) => {
            Stance::Wants(wanted.clone())
        }
        (_, Some(because)) => Stance::Loses(because.clone()),
        (Answer::Held(because) | Answer::Unfinalized(because), None) => Stance::Holds(written, because.clone()),
        (Answer::Refused(_, because) | Answer::TooLong(_, because), None) => Stance::Keeps(because.clone()),
        (Answer::Accepted(Wanted { rule: Some(wanted), .. }), None) => Stance::Wants(wanted.clone()),
        (Answer::Accepted(_), None) => Stance::Leaves,
    }
}

/// Where a living object stands with its role.
pub(super) fn role_living(answer: &Answer, claim: &RoleClaim, written: Option<&PtcRole>) -> Stance<PtcRole> {
    match (answer, &claim.outlawed) {
        (_, Some(because)) => Stance::Loses(because.clone()),
        (Answer::Held(because) | Answer::Unfinalized(because), None) => {
            Stance::Holds(written.cloned(), because.clone())
        }
        (Answer::Refused(_, because) | Answer::TooLong(_, because), None) => Stance::Keeps(because.clone()),
        (Answer::Accepted(Wanted { role: Some(wanted), .. }), None) => Stance::Wants(wanted.clone()),
        (Answer::Accepted(_), None) => Stance::Leaves,
    }
}
