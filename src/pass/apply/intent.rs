//! What is told before a write: to everybody that somebody else changed the policy, and to the ledger what may be in AWS
//! from now on.

use ecr_permissions_core::api::LedgerState;
use ecr_permissions_core::pass::compile::{Stance, compile};
use ecr_permissions_core::pass::ledger;
use ecr_permissions_core::pass::objects::Attached;
use ecr_permissions_core::pass::plan::{Plan, without};
use ecr_permissions_core::policy::atoms;
use ecr_permissions_core::reason::Reason;

use super::{Again, Writing};

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

    /// What may be in AWS is on record before it can be: a crash after the Put leaves nothing that is nobody's.
    pub(super) async fn record_intent(&mut self, plan: &Plan) -> Result<(), Again> {
        let mut holdings = ledger::parse(&self.gathered.registry.status.ledger);
        let mut changed = false;
        for growth in plan.admitted.iter().filter_map(|i| plan.growth.get(*i)) {
            let Some(contribution) = self.desired.contributions.iter().find(|c| c.id == growth.id) else { continue };
            let recorded = atoms(contribution.has.clone());
            if atoms(growth.to.clone()).is_subset(&recorded) && contribution.state.is_some() {
                continue;
            }
            // Of a write that was on record already only what AWS shows of it counts: intents do not pile up.
            let mut statements = match contribution.state {
                Some(LedgerState::Writing) => plan.standing.present(&contribution.has),
                _ => contribution.has.clone(),
            };
            statements.extend(growth.to.iter().filter(|s| !contribution.has.contains(s)).cloned());
            changed = true;
            holdings.insert(growth.id.clone(), contribution.holding(LedgerState::Writing, statements));
        }
        for contribution in self.desired.contributions.iter().filter(|c| matches!(c.stance, Stance::Wants(_))) {
            let verdict = plan.verdicts.get(&contribution.id);
            if verdict.is_some_and(|because| because.reason == Reason::PrincipalGone) {
                // Known before the document forgets it: once the unique id is gone, nothing else tells.
                changed = true;
                let statements = without(&contribution.has, &plan.standing.gone);
                holdings.insert(contribution.id.clone(), contribution.holding(LedgerState::PrincipalGone, statements));
            }
        }
        if changed {
            self.write_ledger(holdings).await?;
        }
        Ok(())
    }

    /// Whether a role of another registry that is to be granted something is being deleted by now, is no longer what it
    /// was, or its owner's word may be another. Its own pass may have looked for grants before the intent was there to be
    /// seen; whoever looks from here on sees it and waits.
    pub(super) fn guests_have_moved(&self, plan: &Plan) -> bool {
        let grown = plan.admitted.iter().filter_map(|i| plan.growth.get(*i));
        let mut guests = grown.filter_map(|growth| self.gathered.guests.iter().find(|guest| guest.id == growth.id));
        let is_as_it_was = |guest: &Attached| {
            let home = self.gathered.others.values().find(|other| other.name() == guest.body.registry_name());
            home.is_some_and(|home| self.op.with_index(|index| index.still_has(home, &guest.id)))
        };
        guests.any(|guest| !is_as_it_was(guest))
    }

    /// Writes the ledger, with what objects say themselves that they had where it was lost: with the first entry it is
    /// there again, and nobody asks them any more.
    pub(super) async fn write_ledger(&mut self, mut holdings: ledger::Holdings) -> Result<(), Again> {
        for contribution in &self.desired.contributions {
            if !holdings.contains_key(&contribution.id) {
                let state = if contribution.has.is_empty() { LedgerState::Applied } else { LedgerState::Writing };
                let said = contribution.holding(state, contribution.has.clone());
                holdings.extend(said.holds_something().then(|| (contribution.id.clone(), said)));
            }
        }
        let mut status = self.gathered.registry.status.clone();
        status.ledger = ledger::entries(&holdings);
        self.gathered.registry = self.op.write_registry_status(&self.gathered.registry, status).await?.into();
        self.desired = compile(self.gathered, &self.op.installation, self.memory, self.op.clock.now());
        self.hold_prune();
        Ok(())
    }
}
