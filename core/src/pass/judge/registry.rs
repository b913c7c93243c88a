//! What a Registry says of itself: its conditions, its counts, what belongs to nobody, and what of it was pruned.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::super::compile::Stance;
use super::super::conditions::{self, Outcome, Verified, conditions};
use super::super::ledger::{REGISTRY_POLICY, Things};
use super::super::objects::{ObjectId, RegistryObject};
use super::super::orphans::{Leaving, Left, SetId, Word};
use super::Judging;
use crate::api::{AttachedCount, RegistryStatus};
use crate::reason::{Aspect, Because, Reason};

/// So many sets are named at once: a condition's message has an end. The others are once these are gone.
const TOKENS_AT_MOST: usize = 100;

impl Judging<'_> {
    /// The status of the Registry that stands for the key.
    pub fn registry(&self) -> RegistryStatus {
        let registry = &self.gathered.registry;
        let mut status = registry.status.clone();
        status.observed_generation = registry.meta.generation;
        status.installation_id = Some(self.installation.as_str().to_owned());
        if let Some(document) = self.applied.document {
            status.documents.insert(REGISTRY_POLICY.to_owned(), document);
        }
        status.plan.clone_from(&self.applied.plan);
        // Who is read again will be told what was told before, as a rule: until then the counts stand.
        if self.gathered.unread.is_empty() {
            status.attached = self.counts();
        }
        status.last_handled_reconcile_at.clone_from(&registry.meta.reconcile_at);
        let meta = &registry.meta;
        if self.has_heard() {
            let prune = meta.prune.as_ref().and_then(|asked| self.answered(asked));
            status.last_handled_prune = prune.or(status.last_handled_prune);
            let release = meta.release.as_ref().and_then(|asked| self.answered(asked));
            status.last_handled_release = release.or(status.last_handled_release);
        }
        status.conditions =
            conditions(&self.registry_outcome(), registry.meta.generation, &registry.status.conditions, self.now);
        status.conditions.extend(self.orphans_condition());
        status.conditions.extend(self.retained_condition());
        status.conditions.extend(self.ledger_conditions());
        status.conditions.extend(self.views_condition());
        status
    }

    /// Whether the pass went by what a person says now, and might write.
    fn has_heard(&self) -> bool {
        let (meta, words) = (&self.gathered.registry.meta, &self.desired.words);
        (&words.prune, &words.release) == (&meta.prune, &meta.release) && self.desired.restraint.is_none()
    }

    /// The tokens of what a person said that are done with, joined as they were; nothing, if none is.
    fn answered(&self, asked: &str) -> Option<String> {
        let done: Vec<_> = asked.split(',').filter(|token| self.is_answered(token)).collect();
        (!done.is_empty()).then(|| done.join(","))
    }

    /// Whether all that the token names is gone or given up. One that names nothing was carried out before, or never will
    /// be, if everything could be read that it may name.
    fn is_answered(&self, token: &str) -> bool {
        let orphans = &self.applied.orphans;
        if let Some((set, left)) = orphans.sets.iter().find(|(_, left)| left.token == token) {
            return self.is_done(Some(set), left);
        }
        if let Some(named) = self.desired.words.heard.get(token) {
            return named.keys().all(|id| !self.applied.said_waits.objects.contains(id));
        }
        // Of what the ledger names the tokens are known without AWS; of the rest the policy tells.
        let has_read = self.applied.has.is_some();
        if !orphans.unclaimed.is_empty() && orphans.nameless.token == token {
            return has_read && self.is_done(None, &orphans.nameless);
        }
        token == "true" || has_read && orphans.undecided.is_empty() && !self.applied.said_waits.unclaimed
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
        if let Some(because) = self.kept_from_going() {
            return Outcome::Not(because);
        }
        match (&self.applied.has, &self.desired.restraint) {
            (Some(_), Some(because)) if because.reason == Reason::Suspended => {
                Outcome::ReadyThough(Verified(String::new()), because.clone())
            }
            (Some(_), _) => Outcome::Ready(Verified("AWS was read and equals what the objects say.".to_owned())),
            (None, _) => Outcome::Not(self.not_yet()),
        }
    }

    /// Why a Registry that is being deleted is still there.
    fn kept_from_going(&self) -> Option<Because> {
        if !self.gathered.registry.meta.deleting {
            return None;
        }
        let attached = self.gathered.attached.iter().filter(|object| object.meta.finalized);
        let attached: BTreeSet<String> = attached.map(|object| object.id.to_string()).collect();
        let on_record = self.ledger();
        let on_record = on_record.iter().filter(|(_, holding)| holding.holds_something()).map(|(id, _)| id.to_string());
        let resting = self.gathered.rest_on_consent.iter().map(ToString::to_string);
        let all = attached.into_iter().chain(on_record).chain(resting).collect::<BTreeSet<_>>();
        let all: Vec<_> = all.into_iter().collect();
        let (shown, rest) = all.split_at(all.len().min(10));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        let message = format!(
            "The Registry is being deleted, takes nobody new, and stays until nothing is attached to it: delete {}{more}.",
            shown.join(", ")
        );
        (!all.is_empty()).then(|| Because::new(Reason::DeletionBlocked, message))
    }

    fn orphans_condition(&self) -> Option<Condition> {
        let orphans = &self.applied.orphans;
        let lost = self.left(Leaving::Lost);
        let is_unclaimed = !orphans.unclaimed.is_empty() && !self.is_done(None, &orphans.nameless);
        let unclaimed = is_unclaimed.then_some(&orphans.nameless);
        if lost.is_empty() && unclaimed.is_none() && orphans.undecided.is_empty() {
            return None;
        }
        let nameless = match orphans.unclaimed.len() {
            _ if unclaimed.is_none() => String::new(),
            n => format!(" {n} grants under this operator's Sids belong to no object."),
        };
        let undecided = match orphans.undecided.len() {
            0 => String::new(),
            n => format!(" {n} grants wait until all that is on record can be read."),
        };
        let sets: Vec<_> = lost.into_iter().chain(unclaimed).collect();
        let (way, named, staying) = self.words_on(&sets);
        let message = format!("{way}Kept in AWS, their objects are gone: {named}.{nameless}{undecided}{staying}");
        Some(self.standing_condition("Orphaned", "OrphansFound", &message))
    }

    fn retained_condition(&self) -> Option<Condition> {
        let retained = self.left(Leaving::Retained);
        if retained.is_empty() {
            return None;
        }
        let (way, named, staying) = self.words_on(&retained);
        let message = format!("{way}Kept in AWS by deletionPolicy Retain, their objects are gone: {named}.{staying}");
        Some(self.standing_condition("Retained", Reason::Retained.as_str(), &message))
    }

    /// The sets that were left for one reason and are still there.
    fn left(&self, leaving: Leaving) -> Vec<&Left> {
        let sets = self.applied.orphans.sets.iter().filter(|((of, _), _)| *of == leaving);
        sets.filter(|(set, left)| !self.is_done(Some(set), left)).map(|(_, left)| left).collect()
    }

    /// Whether all is gone or given up that a person said so of.
    fn is_done(&self, set: Option<&SetId>, left: &Left) -> bool {
        let waits = &self.applied.said_waits;
        let is_waiting = match set {
            Some(set) => waits.sets.contains(set),
            None => waits.unclaimed,
        };
        left.said != Word::None && !is_waiting && left.of.keys().all(|id| self.has_no_things(id))
    }

    /// How a person decides on it, whose it was, and what keeps it from going.
    fn words_on(&self, sets: &[&Left]) -> (String, String, String) {
        let verdicts = [&self.applied.rules.verdicts, &self.applied.roles.verdicts].into_iter().flatten();
        let staying = verdicts.filter(|(id, _)| sets.iter().any(|left| left.of.contains_key(id)));
        let staying: Vec<_> =
            staying.map(|(id, because)| format!(" {id} cannot go yet: {}", because.message)).collect();
        // The command comes first: a long list may be cut.
        let tokens: Vec<_> = sets.iter().take(TOKENS_AT_MOST).map(|left| left.token.as_str()).collect();
        let name = self.gathered.registry.name();
        let way = match tokens.as_slice() {
            [] => String::new(),
            tokens => {
                let more = match sets.len() - tokens.len() {
                    0 => String::new(),
                    n => format!("{n} namespaces more are asked for once these are gone. "),
                };
                format!("Remove with: ecr-permissions prune {name} --confirm {} . {more}", tokens.join(","))
            }
        };
        let named: Vec<_> = sets.iter().flat_map(|left| left.of.keys()).map(ToString::to_string).collect();
        (way, if named.is_empty() { "(none)".to_owned() } else { named.join(", ") }, staying.concat())
    }

    /// What must be known of the ledger, a condition for each kind of trouble.
    fn ledger_conditions(&self) -> Vec<Condition> {
        let findings = &self.gathered.ledger.findings;
        let of = |reason: Reason| -> Vec<&str> {
            findings.iter().filter(|found| found.reason == reason).map(|found| found.message.as_str()).collect()
        };
        let told = [
            (
                Reason::LedgerEdited,
                "Somebody edited RegistryLedgers; nothing is withdrawn on their word, and they are written anew",
            ),
            (
                Reason::LedgerUnreadable,
                "Something on record cannot be read by this version, and nothing of it is changed",
            ),
            (
                Reason::ForeignLedger,
                "Another installation has a ledger for this registry; it is kept and not acted on (spec.takeOverInstallationIds takes it over)",
            ),
        ];
        let mut conditions = Vec::new();
        for (reason, what) in told {
            let all = of(reason);
            if !all.is_empty() {
                let message = format!("{what}: {}", all.join("; "));
                conditions.push(self.standing_condition(reason.as_str(), reason.as_str(), &message));
            }
        }
        let is_held = |id: &ObjectId, things: &Things| {
            let is_elsewhere = || self.gathered.elsewhere.iter().any(|object| object.id == *id);
            !things.is_empty() || self.gathered.unreadable.contains(id) || is_elsewhere()
        };
        let held = self.desired.contributions.iter().filter(|c| c.is_guest && is_held(&c.id, &c.things));
        let here: Vec<_> = held.map(|c| c.id.to_string()).collect();
        if !here.is_empty() {
            let message = format!(
                "Objects that are there have something in this registry, and name another Registry now or cannot be read; it stays until they are deleted: {}",
                here.join(", ")
            );
            conditions.push(self.standing_condition(
                Reason::HeldElsewhere.as_str(),
                Reason::HeldElsewhere.as_str(),
                &message,
            ));
        }
        conditions
    }

    fn views_condition(&self) -> Option<Condition> {
        let message = self.gathered.old.message()?;
        let kind = Reason::ViewOld.as_str();
        Some(self.standing_condition(kind, kind, &message))
    }

    fn standing_condition(&self, kind: &str, reason: &str, message: &str) -> Condition {
        let registry = &self.gathered.registry;
        conditions::standing(kind, reason, message, registry.meta.generation, &registry.status.conditions, self.now)
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
            let refused = because.is_some_and(|b| b.reason.aspect() == Aspect::Accepted);
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
