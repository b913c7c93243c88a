//! What the ledger keeps once a pass is over: what every object has in AWS, as far as it is known.

use k8s_openapi::jiff::Timestamp;

use super::super::orphans::set_of;
use super::{
    Contribution, Holding, Holdings, Judging, LedgerState, ObjectId, Reason, Stance, Statement, Things, claims,
};

impl Judging<'_> {
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

    pub(super) fn holding(&self, contribution: &Contribution) -> Option<Holding> {
        let things = self.things(contribution);
        // A first entry says what AWS has shown: until then one with a reason alone would say that nothing is there.
        let may_tell = self.applied.has.is_some() || contribution.state.is_some();
        let refused = self.refusal(contribution).filter(|_| may_tell);
        let (state, statements) = match self.statements_held(contribution) {
            Some(held) => held,
            None if things.is_empty() && refused.is_none() => return None,
            None => (Self::left_state(contribution).unwrap_or(LedgerState::Applied), Vec::new()),
        };
        Some(Holding { things, refused, ..contribution.holding(state, statements) })
    }

    fn things(&self, contribution: &Contribution) -> Things {
        if set_of(contribution).is_some_and(|set| self.applied.said_waits.sets.contains(&set)) {
            // All that a token names stays on record until all of it is gone.
            return contribution.things.clone();
        }
        let Things { rule, role, claimed_at } = contribution.things.clone();
        let (rule, claimed) = recorded(&self.applied.rules, &contribution.id, rule.as_ref(), claimed_at);
        let (role, of_iam) = recorded(&self.applied.roles, &contribution.id, role.as_ref(), claimed_at);
        Things { rule, role, claimed_at: claimed.or(of_iam) }
    }

    fn statements_held(&self, contribution: &Contribution) -> Option<(LedgerState, Vec<Statement>)> {
        let gone = matches!(contribution.stance, Stance::Leaves | Stance::Released(_))
            && self.no_statement_is_left(contribution);
        let is_known = contribution.state.is_none() || self.desired.restraint.is_none() || gone;
        let Some(has) = self.applied.has.as_ref().filter(|_| is_known) else {
            // Nothing was confirmed, or nothing was to be changed: what may be there stays on record as it was. What only an
            // object's spec says that it has is on no record before AWS has shown it.
            let state =
                contribution.state.filter(|_| !contribution.has.is_empty() || contribution.things.is_empty())?;
            return Some((Self::left_state(contribution).unwrap_or(state), contribution.has.clone()));
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
        Some((Self::left_state(contribution).unwrap_or(state), statements))
    }

    fn left_state(contribution: &Contribution) -> Option<LedgerState> {
        match contribution.stance {
            Stance::Orphaned(_) => Some(LedgerState::Orphan),
            Stance::Retained(_) => Some(LedgerState::Retained),
            // An object of its name takes it back once it is accepted, and not before.
            Stance::Keeps(..) | Stance::Holds(..) => contribution.state.filter(|s| *s == LedgerState::Retained),
            _ => None,
        }
    }

    fn reason_of(&self, contribution: &Contribution) -> Option<Reason> {
        if let Stance::Keeps(_, because) = &contribution.stance {
            return Some(because.reason);
        }
        self.applied.verdicts.get(&contribution.id).map(|because| because.reason)
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
