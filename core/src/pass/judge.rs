//! What each object learns, and what the ledger keeps, once AWS was asked and perhaps written. Pure.
//!
//! The only place where `Ready=True` is made: it takes a read of AWS that equalled what was composed.

mod upstreams;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::cache_rules::{self, Validity};
use super::claims;
use super::compile::{Contribution, Desired, Stance};
use super::conditions::{Outcome, Verified, conditions, find};
use super::index::Gathered;
use super::ledger::{self, Holding, Holdings, Things};
use super::objects::{Attached, ObjectId, RegistryObject};
use super::orphans::Orphans;
use super::roles::{self, reach};
use crate::api::{
    AttachedCount, AttachedStatus, DocumentRecord, LedgerState, PlanStatus, RegistryReference, RegistryStatus,
};
use crate::ownership::InstallationId;
use crate::policy::Statement;
use crate::reason::{Because, Reason, Verdict};

/// What the AWS half of a pass came to.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What each object has, if AWS was read and equals the composition.
    pub has: Option<BTreeMap<ObjectId, Vec<Statement>>>,
    /// What keeps single objects from what they want.
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// What kept everybody from it: the account was not proven, AWS did not answer …
    pub failure: Option<Because>,
    /// What the Registry must say besides.
    pub findings: Vec<Because>,
    /// Objects that keep their claim to what is not given back to them now.
    pub withheld: BTreeSet<ObjectId>,
    pub record: Option<DocumentRecord>,
    pub plan: Option<PlanStatus>,
    pub orphans: Orphans,
    /// A write may be under way whose outcome is not known.
    pub unsettled: bool,
    pub rules: cache_rules::Applied,
    pub roles: roles::Applied,
    /// What AWS says of the way to the upstreams of rules, where it was asked.
    pub validity: BTreeMap<ObjectId, Validity>,
    /// What was asked to be pruned is not all gone yet.
    pub prune_waits: bool,
}

/// A status to write, and what is to happen to the object besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    pub status: AttachedStatus,
    /// Nothing of it is left in AWS, or it was abandoned: it may go.
    pub release: bool,
}

pub struct Judging<'a> {
    pub gathered: &'a Gathered,
    pub desired: &'a Desired,
    pub applied: &'a Applied,
    pub installation: &'a InstallationId,
    pub now: Timestamp,
}

impl Judging<'_> {
    /// The status of every attached object.
    pub fn objects(&self) -> Vec<(&Attached, Fate)> {
        let contributions: BTreeMap<_, _> = self.desired.contributions.iter().map(|c| (&c.id, c)).collect();
        let judged = self.gathered.attached.iter().filter_map(|object| {
            let contribution = contributions.get(&object.id)?;
            Some((object.as_ref(), self.fate(object, contribution)))
        });
        let refused = self.gathered.duplicates.iter().flat_map(|(registry, objects)| {
            objects.iter().map(|object| (object.as_ref(), self.duplicate_fate(object, registry)))
        });
        judged.chain(refused).collect()
    }

    fn fate(&self, object: &Attached, contribution: &Contribution) -> Fate {
        let released = self.is_released(contribution);
        let outcome = self.outcome(contribution);
        let keep = matches!(&outcome, Outcome::Not(because) if self.stays_proven(object, because));
        let accepted = !matches!(&outcome, Outcome::Not(b) if b.reason.aspect() < crate::reason::Aspect::Synced);
        let mut status = object.status.clone();
        if !keep {
            status.observed_generation = object.meta.generation;
            status.conditions = conditions(&outcome, object.meta.generation, &object.status.conditions, self.now);
            if accepted {
                status.registry = Some(self.reference());
            }
        }
        if let Some(rules) = &self.applied.rules.has {
            let validity = self.applied.validity.get(&object.id);
            status.rule = rules.get(&object.id).map(|rule| cache_rules::status(rule, validity));
        }
        if let Some(roles) = &self.applied.roles.has {
            status.role = roles.get(&object.id).map(roles::status);
        }
        if let Some(role) = contribution.pulls.as_ref().filter(|_| !keep) {
            status.upstreams = self.upstreams(object, contribution, role);
        }
        status.last_handled_reconcile_at.clone_from(&object.meta.reconcile_at);
        Fate { status, release: object.meta.deleting && object.meta.finalized && released }
    }

    /// Being unable to reach AWS proves nothing about what was proven before: the Registry says it, for all.
    fn stays_proven(&self, object: &Attached, because: &Because) -> bool {
        let suspended = because.reason == Reason::Suspended && self.applied.has.is_none();
        let failures = [&self.applied.failure, &self.applied.rules.failure, &self.applied.roles.failure];
        let failed = failures.into_iter().flatten().any(|why| why == because);
        let unread = self.applied.rules.unread.contains(&object.id) || self.applied.roles.unread.contains(&object.id);
        let unreachable = (failed || unread) && because.reason.verdict() == Verdict::Waiting;
        (suspended || unreachable)
            && !object.meta.deleting
            && object.status.observed_generation == object.meta.generation
            && find(&object.status.conditions, "Ready").is_some_and(|(status, _)| status == "True")
    }

    fn is_released(&self, contribution: &Contribution) -> bool {
        match &contribution.stance {
            Stance::Orphaned(_) => true,
            Stance::Leaves { .. } => self.has_nothing_left(contribution),
            _ => false,
        }
    }

    fn has_nothing_left(&self, contribution: &Contribution) -> bool {
        let had_rule = contribution.rule.as_ref().is_some_and(|rule| rule.has.is_some());
        let no_rule = self.applied.rules.has_nothing(&contribution.id, had_rule);
        let was_made = contribution.role.as_ref().is_some_and(|role| role.has.is_some());
        let has_left = self.applied.roles.has_nothing(&contribution.id, was_made);
        let no_grant = contribution.role.is_none() || reach::granting(self.gathered, &contribution.id).is_none();
        no_rule && has_left && no_grant && self.no_statement_is_left(contribution)
    }

    fn no_statement_is_left(&self, contribution: &Contribution) -> bool {
        let has = self.applied.has.as_ref().and_then(|has| has.get(&contribution.id));
        contribution.has.is_empty() || has.is_some_and(Vec::is_empty)
    }

    fn outcome(&self, contribution: &Contribution) -> Outcome {
        if matches!(contribution.stance, Stance::Leaves { .. }) {
            return Outcome::Not(self.leaving(contribution));
        }
        if let Stance::Keeps(_, because) | Stance::Holds(_, because) = &contribution.stance {
            return self.held(contribution, because);
        }
        let all_there = self
            .statements_are_there(contribution)
            .and_then(|()| self.rule_is_there(contribution))
            .and_then(|()| self.role_is_there(contribution))
            .and_then(|()| self.upstreams_grant(contribution));
        if let Err(because) = all_there {
            return Outcome::Not(because);
        }
        Outcome::Ready(Verified(Self::success(contribution)))
    }

    fn statements_are_there(&self, contribution: &Contribution) -> Result<(), Because> {
        let Stance::Wants(wanted) = &contribution.stance else { return Err(self.not_yet()) };
        let has_other = contribution.rule.is_some() || contribution.role.is_some() || contribution.is_guest;
        if wanted.is_empty() && contribution.has.is_empty() && has_other {
            // Nothing of it stands in the policy: what keeps the policy from being read keeps nobody from a rule.
            return Ok(());
        }
        let told = self.applied.verdicts.get(&contribution.id).or(self.applied.failure.as_ref());
        if let Some(because) = told {
            return Err(because.clone());
        }
        let has = self.applied.has.as_ref().and_then(|has| has.get(&contribution.id));
        if has.is_some_and(|has| same(has, wanted)) { Ok(()) } else { Err(self.not_yet()) }
    }

    fn rule_is_there(&self, contribution: &Contribution) -> Result<(), Because> {
        if contribution.rule.is_none() {
            return Ok(());
        }
        self.thing_is_there(&self.applied.rules, &contribution.id, "The cache rule")
    }

    fn role_is_there(&self, contribution: &Contribution) -> Result<(), Because> {
        if contribution.role.is_none() {
            return Ok(());
        }
        self.thing_is_there(&self.applied.roles, &contribution.id, "The role")
    }

    fn thing_is_there<H>(&self, applied: &claims::Applied<H>, id: &ObjectId, what: &str) -> Result<(), Because> {
        if let Some(because) = applied.told(id) {
            return Err(because.clone());
        }
        if applied.has.as_ref().is_some_and(|has| has.contains_key(id)) {
            return Ok(());
        }
        let unconfirmed = || Because::new(Reason::Progressing, format!("{what} was written and is not confirmed yet."));
        Err(self.desired.restraint.clone().unwrap_or_else(unconfirmed))
    }

    /// Suspended and equal to AWS all the same: as ready as it was. Everything else says why it is held.
    fn held(&self, contribution: &Contribution, because: &Because) -> Outcome {
        let has = self.applied.has.as_ref().and_then(|has| has.get(&contribution.id));
        let equal = has.zip(contribution.wanted.as_ref()).is_some_and(|(has, wanted)| same(has, wanted))
            && (contribution.rule.is_none() || self.applied.rules.held_equal.contains(&contribution.id))
            && (contribution.role.is_none() || self.applied.roles.held_equal.contains(&contribution.id))
            && self.upstreams_grant(contribution).is_ok();
        if because.reason == Reason::Suspended && equal {
            return Outcome::ReadyThough(Verified(String::new()), because.clone());
        }
        Outcome::Not(because.clone())
    }

    fn leaving(&self, contribution: &Contribution) -> Because {
        let id = &contribution.id;
        let of_policy = self.applied.failure.as_ref().filter(|_| !contribution.has.is_empty());
        let of_rule = contribution.rule.as_ref().and_then(|_| self.applied.rules.told(id));
        let of_iam = contribution.role.as_ref().and_then(|_| self.applied.roles.told(id));
        let why = of_policy.or(of_rule).or(of_iam).cloned();
        let why = why.or_else(|| self.granted_elsewhere(contribution)).unwrap_or_else(|| self.not_yet());
        if self.has_nothing_left(contribution) {
            return Because::new(Reason::Progressing, "Nothing of the object is left in AWS.");
        }
        Because::new(
            Reason::DeletionBlocked,
            format!(
                "What the object has in AWS cannot be removed now ({}): {} To let it go and keep its grants as orphans, annotate it with {}=true.",
                why.reason,
                why.message,
                crate::api::ABANDON
            ),
        )
    }

    fn not_yet(&self) -> Because {
        if let Some(restraint) = &self.desired.restraint {
            return restraint.clone();
        }
        if let Some(finding) = self.applied.findings.iter().find(|f| f.reason.verdict() == Verdict::False) {
            return Because::new(
                finding.reason,
                "The Registry's conditions say what keeps its policy from being written.",
            );
        }
        Because::new(Reason::Progressing, "The policy was written and is not confirmed yet.")
    }

    fn success(contribution: &Contribution) -> String {
        let Stance::Wants(wanted) = &contribution.stance else { return String::new() };
        let statements = match wanted.len() {
            0 => None,
            1 => Some("1 statement is in the registry policy.".to_owned()),
            n => Some(format!("{n} statements are in the registry policy.")),
        };
        let rule = contribution.rule.is_some().then(|| "The cache rule is in place.".to_owned());
        let role =
            contribution.role.is_some().then(|| "The role is in place, and its upstreams grant to it.".to_owned());
        rule.into_iter().chain(role).chain(statements).collect::<Vec<_>>().join(" ")
    }

    fn reference(&self) -> RegistryReference {
        RegistryReference {
            name: self.gathered.registry.name().to_owned(),
            account_id: self.gathered.key.account.to_string(),
            region: self.gathered.key.region.to_string(),
        }
    }

    fn duplicate_fate(&self, object: &Attached, registry: &RegistryObject) -> Fate {
        let because = self.is_duplicate(registry);
        let mut status = object.status.clone();
        status.observed_generation = object.meta.generation;
        status.conditions =
            conditions(&Outcome::Not(because), object.meta.generation, &object.status.conditions, self.now);
        status.last_handled_reconcile_at.clone_from(&object.meta.reconcile_at);
        let has_nothing = !ledger::parse(&registry.status.ledger).contains_key(&object.id);
        Fate { status, release: object.meta.deleting && object.meta.finalized && (has_nothing || object.meta.abandon) }
    }

    fn is_duplicate(&self, registry: &RegistryObject) -> Because {
        let message = format!(
            "Registry {} stands for account {} in {} already; attach to that one and remove {}.",
            self.gathered.registry.name(),
            self.gathered.key.account,
            self.gathered.key.region,
            registry.name()
        );
        Because::new(Reason::DuplicateRegistry, message)
    }

    /// What every object has in AWS now, as far as it is known.
    pub fn ledger(&self) -> Holdings {
        let mut holdings = Holdings::new();
        for contribution in &self.desired.contributions {
            if let Some(holding) = self.holding(contribution) {
                holdings.insert(contribution.id.clone(), holding);
            }
        }
        holdings
    }

    fn holding(&self, contribution: &Contribution) -> Option<Holding> {
        let things = self.things(contribution);
        let refused = self.refusal(contribution);
        let (state, statements) = match self.statements_held(contribution) {
            Some(held) => held,
            None if things.is_empty() && refused.is_none() => return None,
            None => (Self::orphan_state(contribution).unwrap_or(LedgerState::Applied), Vec::new()),
        };
        let (uid, generation) = (contribution.uid.clone(), contribution.generation);
        Some(Holding { uid, generation, state, statements, things, refused })
    }

    fn things(&self, contribution: &Contribution) -> Things {
        if self.applied.prune_waits && contribution.is_orphaned() {
            // All that the token names stays on record until all of it is gone.
            return contribution.things.clone();
        }
        let claimed_at = contribution.things.claimed_at;
        // Also what the object itself says it had, where the ledger does not: this pass may be the last to see it said.
        let rule = contribution.rule.as_ref().and_then(|claim| claim.has.as_ref());
        let role = contribution.role.as_ref().and_then(|claim| claim.has.as_ref());
        let (rule, claimed) = recorded(&self.applied.rules, &contribution.id, rule, claimed_at);
        let (role, of_iam) = recorded(&self.applied.roles, &contribution.id, role, claimed_at);
        Things { rule, role, claimed_at: claimed.or(of_iam) }
    }

    fn statements_held(&self, contribution: &Contribution) -> Option<(LedgerState, Vec<Statement>)> {
        let gone = matches!(contribution.stance, Stance::Leaves { .. }) && self.no_statement_is_left(contribution);
        let Some(has) = self.applied.has.as_ref().filter(|_| self.desired.restraint.is_none() || gone) else {
            // Nothing was confirmed, or nothing was to be changed: what may be there stays on record as it was.
            let recorded =
                contribution.state.filter(|_| !contribution.has.is_empty() || contribution.things.is_empty());
            let state = recorded.or_else(|| (!contribution.has.is_empty()).then_some(LedgerState::Writing))?;
            return Some((Self::orphan_state(contribution).unwrap_or(state), contribution.has.clone()));
        };
        if let Some(state) = contribution.state.filter(|_| self.applied.withheld.contains(&contribution.id)) {
            return Some((state, contribution.has.clone()));
        }
        let statements = has.get(&contribution.id).cloned().unwrap_or_default();
        let gone = self.reason_of(contribution) == Some(Reason::PrincipalGone);
        if statements.is_empty() && !gone {
            return None;
        }
        let state = if gone { LedgerState::PrincipalGone } else { LedgerState::Applied };
        Some((Self::orphan_state(contribution).unwrap_or(state), statements))
    }

    fn orphan_state(contribution: &Contribution) -> Option<LedgerState> {
        matches!(contribution.stance, Stance::Orphaned(_)).then_some(LedgerState::Orphan)
    }

    fn reason_of(&self, contribution: &Contribution) -> Option<Reason> {
        if let Stance::Keeps(_, because) = &contribution.stance {
            return Some(because.reason);
        }
        self.applied.verdicts.get(&contribution.id).map(|because| because.reason)
    }

    /// The status of the Registry that stands for the key.
    pub fn registry(&self, holdings: &Holdings) -> RegistryStatus {
        let registry = &self.gathered.registry;
        let mut status = registry.status.clone();
        status.observed_generation = registry.meta.generation;
        status.installation_id = Some(self.installation.as_str().to_owned());
        status.ledger = ledger::entries(holdings);
        if let Some(record) = &self.applied.record {
            status.documents.insert(super::REGISTRY_POLICY.to_owned(), record.clone());
        }
        status.plan.clone_from(&self.applied.plan);
        status.attached = self.counts();
        status.last_handled_reconcile_at.clone_from(&registry.meta.reconcile_at);
        if self.has_pruned() {
            // Also a token that names nothing here: it was carried out before, or never will be.
            status.last_handled_prune.clone_from(&registry.meta.prune);
        }
        status.conditions =
            conditions(&self.registry_outcome(), registry.meta.generation, &registry.status.conditions, self.now);
        if let Some(orphans) = self.orphans_condition() {
            status.conditions.push(orphans);
        }
        status
    }

    /// Whether nothing is left of what a person asked to be pruned.
    fn has_pruned(&self) -> bool {
        let orphans = &self.applied.orphans;
        let (rules, of_iam) = (&self.applied.rules, &self.applied.roles);
        let read = rules.has.is_some()
            && of_iam.has.is_some()
            && (self.applied.has.is_some() || orphans.pruned && orphans.has_no_statements());
        let gone = !self.applied.prune_waits && (!orphans.pruned || orphans.of.keys().all(|id| self.has_no_things(id)));
        self.gathered.registry.meta.prune.is_some() && self.desired.restraint.is_none() && read && gone
    }

    fn has_no_things(&self, id: &ObjectId) -> bool {
        self.applied.rules.has_nothing(id, true) && self.applied.roles.has_nothing(id, true)
    }

    fn registry_outcome(&self) -> Outcome {
        let of_things = self.applied.rules.failure.as_ref().or(self.applied.roles.failure.as_ref());
        if let Some(because) = self.applied.failure.as_ref().or(of_things) {
            return Outcome::Not(because.clone());
        }
        if let Some(first) = self.applied.findings.first() {
            let all: Vec<_> = self.applied.findings.iter().map(|finding| finding.message.as_str()).collect();
            return Outcome::Not(Because::new(first.reason, all.join(" ")));
        }
        match (&self.applied.has, &self.desired.restraint) {
            (Some(_), Some(because)) if because.reason == Reason::Suspended => {
                Outcome::ReadyThough(Verified(String::new()), because.clone())
            }
            (Some(_), _) => Outcome::Ready(Verified("AWS was read and equals what the objects say.".to_owned())),
            (None, _) => Outcome::Not(self.not_yet()),
        }
    }

    fn orphans_condition(&self) -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
        let orphans = &self.applied.orphans;
        if orphans.is_empty() || orphans.pruned && orphans.of.keys().all(|id| self.has_no_things(id)) {
            return None;
        }
        let verdicts = [&self.applied.rules.verdicts, &self.applied.roles.verdicts].into_iter().flatten();
        let staying = verdicts.filter(|(id, _)| orphans.of.contains_key(id));
        let staying: Vec<_> =
            staying.map(|(id, because)| format!(" {id} cannot go yet: {}", because.message)).collect();
        let staying = staying.concat();
        let named: Vec<_> = orphans.of.keys().map(ToString::to_string).collect();
        let nameless = match orphans.unclaimed.len() {
            0 => String::new(),
            n => format!(" {n} grants under this operator's Sids belong to no object."),
        };
        let message = format!(
            "Kept in AWS, their objects are gone: {}.{nameless}{staying} Remove them with: ecr-permissions prune {} --confirm {}",
            if named.is_empty() { "(none)".to_owned() } else { named.join(", ") },
            self.gathered.registry.name(),
            orphans.token
        );
        let generation = self.gathered.registry.meta.generation;
        Some(super::conditions::orphaned(&message, generation, &self.gathered.registry.status.conditions, self.now))
    }

    fn counts(&self) -> BTreeMap<String, AttachedCount> {
        let attached: BTreeSet<_> = self.gathered.attached.iter().map(|object| &object.id).collect();
        let mut counts = BTreeMap::<String, AttachedCount>::new();
        for contribution in self.desired.contributions.iter().filter(|c| attached.contains(&c.id)) {
            let count = counts.entry(contribution.id.kind.as_str().to_owned()).or_default();
            let id = &contribution.id;
            let of_things = || self.applied.rules.verdicts.get(id).or_else(|| self.applied.roles.verdicts.get(id));
            let because =
                if let Stance::Keeps(_, because) = &contribution.stance { Some(because) } else { of_things() };
            let refused = because.is_some_and(|b| b.reason.aspect() == crate::reason::Aspect::Accepted);
            if refused { count.refused += 1 } else { count.accepted += 1 }
        }
        counts
    }

    /// The status of a Registry that came second.
    pub fn duplicate(&self, registry: &RegistryObject) -> RegistryStatus {
        let mut status = registry.status.clone();
        status.observed_generation = registry.meta.generation;
        let outcome = Outcome::Not(self.is_duplicate(registry));
        status.conditions = conditions(&outcome, registry.meta.generation, &registry.status.conditions, self.now);
        status
    }
}

/// What the ledger keeps of a thing, and since when it is claimed: what was read, or what was on record before.
fn recorded<H: Clone>(
    applied: &claims::Applied<H>,
    id: &ObjectId,
    before: Option<&H>,
    claimed_at: Option<Timestamp>,
) -> (Option<H>, Option<Timestamp>) {
    let Some(has) = &applied.has else { return (before.cloned(), before.and(claimed_at)) };
    match (has.get(id), applied.missing.get(id)) {
        // AWS did not say: the claim is as open as it was.
        (Some(has), _) if applied.unread.contains(id) => (Some(has.clone()), claimed_at),
        (Some(has), _) => (Some(has.clone()), None),
        (None, Some(missing)) => (Some(missing.record.clone()), missing.claimed_at),
        (None, None) => (None, None),
    }
}

fn same(a: &[Statement], b: &[Statement]) -> bool {
    crate::policy::atoms(a.to_vec()) == crate::policy::atoms(b.to_vec())
}

/// The status of an object whose Registry does not exist, and whether it may go.
///
/// `on_record`: a Registry that is there has something of it on record.
pub fn unattached(object: &Attached, on_record: bool, now: Timestamp) -> Fate {
    let registry = object.body.registry_name();
    // It was accepted once or had something, so something of it may be in AWS, and nobody is left to say what.
    let AttachedStatus { registry: accepted_by, rule, role, .. } = &object.status;
    let had_something = accepted_by.is_some() || rule.is_some() || role.is_some() || on_record;
    let may_have_grants = had_something && !object.meta.abandon;
    let because = if object.meta.deleting && may_have_grants {
        let message = format!(
            "Registry {registry} is gone, and what the object has in AWS cannot be removed without it: create it again, or let the object go with the annotation {}=true.",
            crate::api::ABANDON
        );
        Because::new(Reason::DeletionBlocked, message)
    } else {
        let message =
            format!("Registry {registry} does not exist; create it, or name another one in spec.registryRef.");
        Because::new(Reason::RegistryNotFound, message)
    };
    let mut status = object.status.clone();
    status.observed_generation = object.meta.generation;
    status.conditions = conditions(&Outcome::Not(because), object.meta.generation, &object.status.conditions, now);
    status.last_handled_reconcile_at.clone_from(&object.meta.reconcile_at);
    Fate { status, release: object.meta.deleting && object.meta.finalized && !may_have_grants }
}
