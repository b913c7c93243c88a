//! What is told before a write: to everybody that somebody else changed the policy, and to the ledger what may be in AWS
//! from now on.

use std::collections::BTreeSet;
use std::sync::Arc;

use ecr_permissions_core::api::LedgerState;
use ecr_permissions_core::pass::compile::Stance;
use ecr_permissions_core::pass::ledger::Changes;
use ecr_permissions_core::pass::objects::{Attached, ObjectId};
use ecr_permissions_core::pass::plan::{Plan, without};
use ecr_permissions_core::policy::covers;
use ecr_permissions_core::reason::Reason;

use super::Writing;
use crate::pass::{Again, filing};

impl Writing<'_> {
    /// Tells of drift that this write puts right.
    pub(super) async fn note_repair(&self, plan: &Plan) -> bool {
        let restores = plan.admitted.iter().filter_map(|i| plan.growth.get(*i)).any(|growth| growth.restores);
        // The same statement twice is nobody's work but somebody else's.
        let doubled = !plan.standing.disturbed.is_disjoint(&plan.standing.intact);
        let repairs = !plan.drift.is_empty() && (restores || doubled);
        if repairs {
            self.op.metrics.drifted(&self.gathered.key);
            tracing::info!(registry = %self.gathered.key, statements = plan.drift.len(), "drift: the policy was changed from outside, putting ours back");
            let what = format!("{} statements of the registry policy", plan.drift.len());
            self.op.events.drift(&self.gathered.registry, &what).await;
        }
        repairs
    }

    /// What may be in AWS is on record before it can be: a crash after the Put leaves nothing that is nobody's. Whoever
    /// cannot be put on record does not grow.
    pub(super) async fn record_intent(&mut self, plan: &Plan) {
        let mut changes = Changes::new();
        let ledger = &self.gathered.ledger;
        let write = ledger.next_write();
        for growth in plan.admitted.iter().filter_map(|i| plan.growth.get(*i)) {
            let Some(contribution) = self.desired.contributions.iter().find(|c| c.id == growth.id) else { continue };
            if covers(&contribution.has, &growth.to) && contribution.state.is_some() {
                continue;
            }
            // Of a write that was on record already only what AWS shows of it counts: intents do not pile up.
            let before = match contribution.state {
                Some(LedgerState::Writing) => plan.standing.present(&contribution.has),
                _ => contribution.has.clone(),
            };
            let holding = contribution.holding(LedgerState::Writing, growth.to.clone());
            changes.insert(growth.id.clone(), Some(ledger.intent(&growth.id, &holding, before, write)));
        }
        for contribution in self.desired.contributions.iter().filter(|c| matches!(c.stance, Stance::Wants(_))) {
            let verdict = plan.verdicts.get(&contribution.id);
            if verdict.is_some_and(|because| because.reason == Reason::PrincipalGone) {
                // Known before the document forgets it: once the unique id is gone, nothing else tells.
                let statements = without(&contribution.has, &plan.standing.gone);
                let holding = contribution.holding(LedgerState::PrincipalGone, statements);
                changes.insert(contribution.id.clone(), Some(ledger.entry_of(&contribution.id, &holding, write)));
            }
        }
        self.put_on_record(&changes).await;
    }

    /// Writes entries; of whom it fails nothing grows in this pass. Answers who that is.
    pub(super) async fn put_on_record(&mut self, changes: &Changes) -> BTreeSet<ObjectId> {
        if changes.is_empty() {
            return BTreeSet::new();
        }
        let unwritten = filing::add(&mut self.gathered.ledger, changes, false, true, self.op).await;
        let failed = changes.keys().filter(|id| unwritten.namespaces.contains(&id.namespace));
        let failed: BTreeSet<_> = failed.cloned().collect();
        self.again = self.again.or(unwritten.again);
        self.unanswered |= unwritten.unanswered;
        self.unrecorded.extend(failed.iter().cloned());
        self.decide_anew();
        failed
    }

    /// Holds back the roles of other registries that were to be granted something and are being deleted by now, are no
    /// longer what they were, or their owner's word may be another. Their own pass may have looked for grants before the
    /// intent was there to be seen; whoever looks from here on sees it and waits. A view may be late, so the API server is
    /// asked.
    pub(super) async fn hold_moved_guests(&mut self, plan: &Plan) {
        let grown = plan.admitted.iter().filter_map(|i| plan.growth.get(*i));
        let guests = grown.filter_map(|growth| self.gathered.guests.iter().find(|guest| guest.id == growth.id));
        let guests: Vec<_> = guests.map(Arc::clone).collect();
        for guest in guests {
            if !self.is_as_it_was(&guest).await {
                self.unrecorded.insert(guest.id.clone());
                self.again = Some(Again::Soon);
            }
        }
    }

    async fn is_as_it_was(&self, guest: &Attached) -> bool {
        let home = self.gathered.others.values().find(|other| other.name() == guest.body.registry_name());
        let Some(home) = home.filter(|home| self.op.with_index(|index| index.still_has(home, &guest.id))) else {
            return false;
        };
        let writes = &self.op.writes;
        let (object, registry) = tokio::join!(writes.meta_of(&guest.id), writes.registry(home.name()));
        let lives = object.is_ok_and(|now| now.uid == guest.meta.uid && now.finalized && !now.deleting);
        let meta = &home.registry.meta;
        lives && registry.is_ok_and(|now| now.meta.uid == meta.uid && now.meta.generation == meta.generation)
    }
}
