//! The upstreams of a role: what each of them says to it, and what this registry says to the roles of others.

use super::super::conditions::{Outcome, Verified, conditions};
use super::super::roles::reach::{Reach, arn_of, reach, still_granted};
use super::{Attached, Because, Contribution, Judging, LedgerState, Reason, Stance, Verdict};
use crate::api::{Kind, LedgerRefusal, UpstreamStatus};
use crate::kinds::{PtcRole, RoleUpstream};
use crate::reason::Aspect;

/// As much of a message as an entry keeps.
const REFUSAL_AT_MOST: usize = 256;

impl Judging<'_> {
    /// How far each upstream is.
    pub(super) fn upstreams(&self, object: &Attached, of: &Contribution, role: &PtcRole) -> Vec<UpstreamStatus> {
        let arn = arn_of(&of.id, &of.things, &self.applied.roles);
        let status = |upstream: &RoleUpstream| {
            let before = object.status.upstreams.iter().find(|before| before.name == upstream.name);
            let outcome = match reach(self.gathered, &of.id, role, upstream, arn.as_deref()) {
                Reach::Granted => Outcome::Ready(Verified("The upstream lets the role pull.".to_owned())),
                Reach::External => Outcome::Not(Because::new(
                    Reason::External,
                    "No Registry stands for the upstream: its owner has to add requiredStatement to the registry policy (scope V2).",
                )),
                Reach::Waits(because) => Outcome::Not(because),
            };
            let before = before.map(|before| before.conditions.as_slice()).unwrap_or_default();
            let required = arn.as_deref().and_then(|arn| role.required_statement(upstream, &self.gathered.key, arn));
            UpstreamStatus {
                name: upstream.name.clone(),
                observed_generation: object.meta.generation,
                conditions: conditions(&outcome, object.meta.generation, before, self.now),
                required_statement: required,
            }
        };
        role.upstreams.iter().map(status).collect()
    }

    /// Whether every upstream that can be asked lets the role pull.
    pub(super) fn upstreams_grant(&self, of: &Contribution) -> Result<(), Because> {
        let Some(role) = of.pulls.as_ref().filter(|_| of.own_role().is_some()) else { return Ok(()) };
        let arn = arn_of(&of.id, &of.things, &self.applied.roles);
        for upstream in &role.upstreams {
            if let Reach::Waits(because) = reach(self.gathered, &of.id, role, upstream, arn.as_deref()) {
                let message = format!("Upstream {}: {}", upstream.name, because.message);
                return Err(Because::new(Reason::WaitingForUpstream, message));
            }
        }
        Ok(())
    }

    /// What keeps a role that is being deleted: its grants go first.
    pub(super) fn granted_elsewhere(&self, of: &Contribution) -> Option<Because> {
        of.own_role()?;
        still_granted(self.gathered, &of.id, None)
    }

    /// Why an object that `allow` covers does not have what it asks for, as far as another pass has to know: a role of
    /// another registry is told why this one does not grant or does not let it go, and upstreams are told that a role is
    /// not the object's. What nobody consents to is no news: each pass computes it from `allow` itself.
    pub(super) fn refusal(&self, of: &Contribution) -> Option<LedgerRefusal> {
        if of.id.kind != Kind::CrossAccountPtcRole
            || matches!(of.stance, Stance::Orphaned(_) | Stance::Retained(_) | Stance::Released(_))
        {
            return None;
        }
        let because = if of.is_guest { self.upstream_refusal(of)? } else { self.missing_role(of)? };
        // Nobody but this pass knows what the registry's namespaces have; of who is one too many nothing goes on record.
        let is_limited = of.is_guest && because.reason == Reason::LimitExceeded;
        let is_told = (because.reason.aspect() > Aspect::Accepted || is_limited)
            && !self.desired.too_many.contains(&of.id)
            && !matches!(because.reason, Reason::WaitingForRole | Reason::RegistryNotFound | Reason::NamespaceNotSeen);
        let message = because.message.chars().take(REFUSAL_AT_MOST).collect();
        is_told.then(|| LedgerRefusal { reason: because.reason.as_str().to_owned(), message })
    }

    fn upstream_refusal(&self, of: &Contribution) -> Option<Because> {
        match &of.stance {
            Stance::Leaves if self.no_statement_is_left(of) => None,
            Stance::Leaves => Some(self.applied.failure.clone().unwrap_or_else(|| self.not_yet())),
            stance => {
                let Outcome::Not(because) = self.outcome(of) else { return None };
                let away = self.applied.failure.as_ref().filter(|failure| failure.reason.verdict() == Verdict::Waiting);
                let is_unknown = away.is_some_and(|away| *away == because || matches!(stance, Stance::Holds(..)));
                if is_unknown && of.state == Some(LedgerState::Applied) {
                    // It proves nothing about what was proven before.
                    let before = self.gathered.ledger.holdings.get(&of.id)?.refused.clone()?;
                    let reason = Reason::ALL.iter().find(|reason| reason.as_str() == before.reason)?;
                    return Some(Because::new(*reason, before.message));
                }
                Some(because)
            }
        }
    }

    /// A living object without its role: without an entry that says so its upstreams would take the entry for lost.
    fn missing_role(&self, of: &Contribution) -> Option<Because> {
        let roles = &self.applied.roles;
        let lacks_it =
            roles.has.as_ref().is_some_and(|has| !has.contains_key(&of.id)) && !roles.missing.contains_key(&of.id);
        let is_leaving = matches!(of.stance, Stance::Leaves);
        roles.verdicts.get(&of.id).filter(|_| lacks_it && !is_leaving).cloned()
    }
}
