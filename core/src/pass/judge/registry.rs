//! What a Registry says of itself: its conditions, its counts, what belongs to nobody, and what of it was pruned.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::super::REGISTRY_POLICY;
use super::super::compile::Stance;
use super::super::conditions::{self, Outcome, Verified, conditions};
use super::super::ledger::{self, Holdings};
use super::super::objects::{ObjectId, RegistryObject};
use super::Judging;
use crate::api::{AttachedCount, RegistryStatus};
use crate::reason::{Aspect, Because, Reason};

impl Judging<'_> {
    /// The status of the Registry that stands for the key.
    pub fn registry(&self, holdings: &Holdings) -> RegistryStatus {
        let registry = &self.gathered.registry;
        let mut status = registry.status.clone();
        status.observed_generation = registry.meta.generation;
        status.installation_id = Some(self.installation.as_str().to_owned());
        status.ledger = ledger::entries(holdings);
        if let Some(record) = &self.applied.record {
            status.documents.insert(REGISTRY_POLICY.to_owned(), record.clone());
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

    fn orphans_condition(&self) -> Option<Condition> {
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
        Some(conditions::orphaned(&message, generation, &self.gathered.registry.status.conditions, self.now))
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
