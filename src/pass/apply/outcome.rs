//! What a round came to, in the words that judging goes by.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::api::DocumentStatus;
use ecr_permissions_core::ownership::Sid;
use ecr_permissions_core::pass::judge::Applied;
use ecr_permissions_core::pass::ledger::DocumentRecord;
use ecr_permissions_core::pass::plan::{Composition, Plan};
use ecr_permissions_core::pass::steps;
use ecr_permissions_core::policy::{REGISTRY_POLICY_LIMIT, Statement};
use ecr_permissions_core::reason::{Because, Reason};

use super::{Policy, Writing};

impl Writing<'_> {
    /// AWS was read and equals the plan: whoever's growth was admitted has it.
    pub(super) fn confirmed(&mut self, plan: Plan, policy: &Policy) -> Applied {
        let accepted: Vec<_> = self.desired.contributions.iter().map(|c| c.id.clone()).collect();
        for id in accepted.iter().filter(|id| !plan.verdicts.contains_key(*id)) {
            self.memory.forgive(id);
        }
        self.memory.readback_equalled();
        self.memory.write_was_seen();
        let has = plan.without_growth.clone();
        Applied { has: Some(has), confirmed: true, ..Self::described(plan, policy) }
    }

    /// The same, but for what AWS shows otherwise than it was written: that concerns those alone who have a part in it.
    pub(super) fn confirmed_but(
        &mut self,
        mut plan: Plan,
        policy: &Policy,
        differing: &BTreeMap<Sid, Statement>,
    ) -> Applied {
        plan.accept_differing(differing, &self.desired);
        self.memory.write_was_seen();
        let sids: Vec<_> = differing.keys().map(Sid::as_str).collect();
        plan.findings.insert(0, readback_differs(&sids));
        let has = plan.without_growth.clone();
        Applied { has: Some(has), confirmed: true, ..Self::described(plan, policy) }
    }

    pub(super) fn described(plan: Plan, policy: &Policy) -> Applied {
        let record = record(&plan, policy);
        let limit = i64::try_from(REGISTRY_POLICY_LIMIT).unwrap_or(i64::MAX);
        Applied {
            document: Some(DocumentStatus { characters: record.characters, limit }),
            record: Some(record),
            verdicts: plan.verdicts,
            withheld: plan.withheld,
            findings: plan.findings,
            orphans: plan.orphans,
            ..Applied::default()
        }
    }

    pub(super) fn restrained(plan: Plan, composition: &Composition, policy: &Policy) -> Applied {
        let steps = steps::status(plan.steps(composition));
        let has = plan.as_it_is.clone();
        Applied { has: Some(has), plan: steps, ..Self::described(plan, policy) }
    }

    pub(super) fn too_large(plan: &Plan, policy: &Policy) -> Applied {
        let message = "The registry policy is longer than AWS takes even without growth: statements of others fill it. Nothing is written.";
        let failure = Some(Because::new(Reason::PolicyTooLarge, message));
        Applied { failure, ..Self::described(plan.clone(), policy) }
    }

    pub(super) fn failed(plan: Plan, policy: &Policy, because: Because, unsettled: bool) -> Applied {
        let on_the_registry = because.reason == Reason::ForeignRefused;
        // A document that AWS refused changed nothing: what was read still stands, and proves who has what.
        let stands = (because.reason == Reason::ForeignRefused).then(|| plan.as_it_is.clone());
        let mut applied = Self::described(plan, policy);
        // What was read before the write is not what is known after it.
        applied.record = None;
        applied.document = None;
        applied.has = stands;
        applied.unsettled = unsettled;
        if on_the_registry {
            applied.findings.insert(0, because);
        } else {
            applied.failure = Some(because);
        }
        applied
    }
}

fn readback_differs(sids: &[&str]) -> Because {
    let message = format!(
        "AWS shows statements otherwise than they were written, twice: {}. They are not written again as they are; everybody else's stand. Compare them in AWS with the objects that have a part in them, and report it.",
        sids.join(", ")
    );
    Because::new(Reason::ReadbackDiffers, message)
}

/// What stands in AWS, as far as later passes must know it.
fn record(plan: &Plan, policy: &Policy) -> DocumentRecord {
    // As it would be sent where room is short: AWS shows it longer than what it counted.
    let text = policy.document.as_ref().map(|document| document.shortened(plan.partition()).to_text());
    let text = text.unwrap_or_default();
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut foreign_hashes = plan.standing.foreign.clone();
    foreign_hashes.sort();
    // What is not put back for now was ours as last written, and is not forgotten.
    let awaited = plan.drift.iter().filter(|_| !plan.withheld.is_empty());
    let sids: BTreeSet<String> = plan.standing.intact.iter().chain(awaited).map(ToString::to_string).collect();
    let sids: Vec<String> = sids.into_iter().collect();
    let hash = steps::hash(sids.iter().chain(&foreign_hashes));
    DocumentRecord::new(hash, number(text.chars().count()), sids, foreign_hashes)
}
