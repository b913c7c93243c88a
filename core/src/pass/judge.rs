//! What each object learns, and what the ledger keeps, once AWS was asked and perhaps written. Pure.
//!
//! The only place where `Ready=True` is made: it takes a read of AWS that equalled what was composed.

mod recorded;
mod registry;
mod upstreams;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::cache_rules::{self, Validity};
use super::claims;
use super::compile::{Contribution, Desired, RuleClaim, Stance, was_released};
use super::conditions::{Outcome, Verified, conditions, find};
use super::index::Gathered;
use super::ledger::{DocumentRecord, Holding, Holdings, Things};
use super::objects::{Attached, ObjectId, RegistryObject};
use super::orphans::{Orphans, Waits};
use super::roles;
use crate::api::{Adoption, AttachedStatus, DocumentStatus, LedgerState, PlanStatus, RegistryReference};
use crate::ownership::InstallationId;
use crate::policy::{Statement, same};
use crate::reason::{Aspect, Because, Reason, Verdict};

/// What the AWS half of a pass came to.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What each object has, if AWS was read and equals the composition.
    pub has: Option<BTreeMap<ObjectId, Vec<Statement>>>,
    /// AWS was read and equals the composition: what was written before has arrived.
    pub confirmed: bool,
    /// Whether a write of the ledger was made is not known: what it holds cannot be confirmed yet.
    pub unanswered: bool,
    /// What keeps single objects from what they want.
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// What kept everybody from it: the account was not proven, AWS did not answer …
    pub failure: Option<Because>,
    /// What the Registry must say besides.
    pub findings: Vec<Because>,
    /// Objects that keep their claim to what is not given back to them now.
    pub withheld: BTreeSet<ObjectId>,
    pub record: Option<DocumentRecord>,
    /// How long the document is.
    pub document: Option<DocumentStatus>,
    pub plan: Option<PlanStatus>,
    pub orphans: Orphans,
    /// A write may be under way whose outcome is not known.
    pub unsettled: bool,
    pub rules: cache_rules::Applied,
    pub roles: roles::Applied,
    /// What AWS says of the way to the upstreams of rules, where it was asked.
    pub validity: BTreeMap<ObjectId, Validity>,
    /// What a person said of what is nobody's is not all done yet.
    pub said_waits: Waits,
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
        let accepted = !matches!(&outcome, Outcome::Not(b) if b.reason.aspect() < Aspect::Synced);
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
        let may_go = || if object.meta.deleting { released } else { self.needs_no_finalizer(contribution) };
        Fate { status, release: object.meta.finalized && may_go() }
    }

    /// A living object that is refused or released and has nothing: it keeps nobody waiting, and no Registry from going.
    fn needs_no_finalizer(&self, contribution: &Contribution) -> bool {
        if matches!(contribution.stance, Stance::Released(_)) {
            return self.has_nothing_left(contribution);
        }
        let (Stance::Keeps(_, because) | Stance::Holds(_, because)) = &contribution.stance else { return false };
        let is_refused = because.reason.verdict() == Verdict::False && because.reason.aspect() == Aspect::Accepted;
        is_refused && self.holding(contribution).is_none() && self.has_nothing_left(contribution)
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
            // Where the record was lost, AWS tells what is put on record for after it.
            Stance::Retained(_) => {
                let is_away = self.applied.failure.as_ref().is_some_and(is_out_of_reach);
                contribution.state.is_some() || self.applied.has.is_some() || is_away
            }
            Stance::Leaves | Stance::Released(_) => self.has_nothing_left(contribution),
            _ => false,
        }
    }

    /// Deleting objects of other registries that have nothing in this one, as it was read.
    pub fn withdrawn(&self) -> Vec<&Attached> {
        let leaves = |c: &&Contribution| c.is_guest && matches!(c.stance, Stance::Leaves);
        let gone = self.desired.contributions.iter().filter(leaves).filter(|c| self.has_nothing_left(c));
        let ids: BTreeSet<_> = gone.map(|c| &c.id).collect();
        let objects = self.gathered.guests.iter().filter(|object| ids.contains(&object.id));
        objects.map(AsRef::as_ref).collect()
    }

    fn has_nothing_left(&self, contribution: &Contribution) -> bool {
        let had = &contribution.things;
        let (said_rule, said_role) = self.said_to_have(contribution);
        let no_rule = self.applied.rules.has_nothing(&contribution.id, had.rule.is_some() || said_rule);
        let no_role = self.applied.roles.has_nothing(&contribution.id, had.role.is_some() || said_role);
        let no_grant = self.granted_elsewhere(contribution).is_none();
        no_rule && no_role && no_grant && self.no_statement_is_left(contribution)
    }

    /// Whether the object's own status says that it has a rule it may take along, or a role: it then waits for an AWS that
    /// cannot be asked also where its entry was lost. Whoever says so of itself keeps nobody waiting but itself.
    fn said_to_have(&self, contribution: &Contribution) -> (bool, bool) {
        let Some(object) = self.gathered.object(&contribution.id) else { return (false, false) };
        let may_take = |claim: &RuleClaim| {
            claim.lost.is_some() && claim.may.adoption >= Adoption::IfIdentical && claim.owns_adopted
        };
        let rule = object.status.rule.is_some() && contribution.rule.as_ref().is_some_and(may_take);
        (rule, object.status.role.is_some())
    }

    fn no_statement_is_left(&self, contribution: &Contribution) -> bool {
        let has = self.applied.has.as_ref().and_then(|has| has.get(&contribution.id));
        // What is on no record keeps nobody waiting for an AWS that cannot be asked.
        let is_unasked = contribution.state.is_none() && self.applied.failure.as_ref().is_some_and(is_out_of_reach);
        contribution.has.is_empty() || has.is_some_and(Vec::is_empty) || is_unasked
    }

    fn outcome(&self, contribution: &Contribution) -> Outcome {
        if matches!(contribution.stance, Stance::Leaves) {
            return Outcome::Not(self.leaving(contribution));
        }
        if matches!(contribution.stance, Stance::Released(_)) {
            return Outcome::Not(self.releasing(contribution));
        }
        if matches!(contribution.stance, Stance::Retained(_)) {
            return Outcome::Not(Because::new(Reason::Progressing, "What the object has stays in AWS, on record."));
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
        if contribution.own_rule().is_none() {
            return Ok(());
        }
        self.thing_is_there(&self.applied.rules, &contribution.id, "The cache rule")
    }

    fn role_is_there(&self, contribution: &Contribution) -> Result<(), Because> {
        if contribution.own_role().is_none() {
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
            && (contribution.own_rule().is_none() || self.applied.rules.held_equal.contains(&contribution.id))
            && (contribution.own_role().is_none() || self.applied.roles.held_equal.contains(&contribution.id))
            && self.upstreams_grant(contribution).is_ok();
        if because.reason == Reason::Suspended && equal {
            return Outcome::ReadyThough(Verified(String::new()), because.clone());
        }
        Outcome::Not(because.clone())
    }

    fn releasing(&self, contribution: &Contribution) -> Because {
        if self.has_nothing_left(contribution) {
            return was_released();
        }
        let why = self.applied.failure.clone().unwrap_or_else(|| self.not_yet());
        Because::new(Reason::Progressing, format!("The object is being released. {}: {}", why.reason, why.message))
    }

    fn leaving(&self, contribution: &Contribution) -> Because {
        let id = &contribution.id;
        let of_policy = self.applied.failure.as_ref().filter(|_| !contribution.has.is_empty());
        let of_rule = contribution.own_rule().and_then(|_| self.applied.rules.told(id));
        let of_iam = contribution.own_role().and_then(|_| self.applied.roles.told(id));
        let why = of_policy.or(of_rule).or(of_iam).cloned();
        let why = why.or_else(|| self.granted_elsewhere(contribution)).unwrap_or_else(|| self.not_yet());
        if self.has_nothing_left(contribution) {
            return Because::new(Reason::Progressing, "Nothing of the object is left in AWS.");
        }
        // The way out comes first: a long reason may be cut.
        Because::new(
            Reason::DeletionBlocked,
            format!(
                "What the object has in AWS cannot be removed now; to let it go all the same and keep its grants as orphans, annotate it with {}=true. {}: {}",
                crate::api::ABANDON,
                why.reason,
                why.message,
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
        let is_external = contribution.pulls.as_ref().is_some_and(|role| role.upstreams.iter().any(|u| u.external));
        let role = contribution.role.is_some().then_some(if is_external {
            "The role is in place; owners of external upstreams have to add status.upstreams[].requiredStatement."
        } else {
            "The role is in place, and its upstreams let it pull."
        });
        let role = role.map(str::to_owned);
        let warning = contribution.warning.as_ref().map(|because| format!("{}: {}", because.reason, because.message));
        rule.into_iter().chain(role).chain(statements).chain(warning).collect::<Vec<_>>().join(" ")
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
        // Whatever is on record of it is the other Registry's to withdraw, and is looked for before it goes.
        Fate { status, release: object.meta.deleting && object.meta.finalized }
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
}

/// Whether AWS could not be asked at all.
fn is_out_of_reach(because: &Because) -> bool {
    matches!(
        because.reason,
        Reason::Unreachable | Reason::AssumeRoleDenied | Reason::AccountMismatch | Reason::AccessDenied
    )
}

/// The status of an object whose Registry does not exist, and whether it may go.
///
/// `on_record`: some ledger has something of it; whether one has is looked up once more before it goes. `unreadable`: the
/// Registry is there and cannot be read.
pub fn unattached(object: &Attached, on_record: bool, unreadable: bool, now: Timestamp) -> Fate {
    let registry = object.body.registry_name();
    let may_have_grants = (on_record || unreadable) && !object.meta.abandon;
    let because = if object.meta.deleting && may_have_grants {
        let message = format!(
            "Registry {registry} is gone or cannot be read, and what the object has in AWS cannot be removed without it: create it again, or let the object go with the annotation {}=true.",
            crate::api::ABANDON
        );
        Because::new(Reason::DeletionBlocked, message)
    } else if unreadable {
        let message = format!("Registry {registry} cannot be read by this version of the operator.");
        Because::new(Reason::RegistryNotFound, message)
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
