//! Roles as things: what their plan needs to know, and the calls that carry it out.

use std::collections::BTreeSet;

use ecr_permissions_core::api::{LedgerPulls, LedgerRole};
use ecr_permissions_core::kinds::PtcRole;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::answers::Asker;
use ecr_permissions_core::pass::claims::Action;
use ecr_permissions_core::pass::compile::Contribution;
use ecr_permissions_core::pass::ledger::Things;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::orphans::Said;
use ecr_permissions_core::pass::refusals::Denied;
use ecr_permissions_core::pass::roles::{Act, Claim, Marks, Place, RolesPlan, plan_roles, reach};
use ecr_permissions_core::reason::{Because, Reason};

use super::Writing;
use super::things::{Refusal, Thing};
use crate::aws::error::{Error, Kind};
use crate::aws::gate::Lane;
use crate::aws::permit::Permit;
use crate::pass::observe::roles::{Roles, askers, read};

impl Thing for Roles {
    type Wanted = PtcRole;
    type Act = Act;
    type Record = LedgerRole;
    const IS_MARKED: bool = true;
    const WHAT: &'static str = "roles";

    fn claim(contribution: &Contribution) -> Option<&Claim<PtcRole>> {
        contribution.role.as_ref()
    }

    fn recorded(things: &Things) -> Option<&LedgerRole> {
        things.role.as_ref()
    }

    fn record(things: &mut Things, record: LedgerRole) {
        things.role = Some(record);
    }

    fn denied(memory: &mut Memory) -> &mut Denied<Act> {
        &mut memory.roles
    }

    fn not_asked_for(&self, act: &Act) -> Option<String> {
        self.answered_before.contains(act.name()).then(|| act.name().to_owned())
    }

    fn sent(memory: &mut Memory, act: &Act) {
        memory.answered.wrote_role(act.name());
    }

    async fn ask_for(self, names: BTreeSet<String>, writing: &Writing<'_>) -> Self {
        self.read_named(names, writing).await
    }

    fn shows(&self, record: &LedgerRole) -> bool {
        !matches!(self.stored.get(&record.name), Some(Ok(None)))
    }

    /// All that is needed was read at once.
    async fn prepare(&mut self, _: &[Claim<PtcRole>], _: &mut Writing<'_>, _: &Said) {}

    fn plan(&self, claims: &[Claim<PtcRole>], writing: &Writing<'_>, said: &Said) -> RolesPlan {
        let place = writing.place();
        let resolve = |claim: &Claim<PtcRole>| claim.resolve(said, |wanted| place.role(&claim.id, wanted));
        let claims: Vec<_> = claims.iter().map(resolve).collect();
        let in_use = reach::in_use(writing.gathered, &writing.desired.contributions, &writing.passed_roles);
        let marks = Marks {
            installation: writing.op.installation(),
            take_over: &writing.desired.take_over,
            partition: writing.gathered.key.partition(),
            boundary: place.settings.map(|settings| settings.permissions_boundary_arn.as_str()),
        };
        plan_roles(&claims, &self.stored, &in_use, &marks)
    }

    async fn read_again(self, acts: &[&Act], writing: &Writing<'_>) -> Result<Self, Because> {
        Ok(self.read_named(acts.iter().map(|act| act.name().to_owned()).collect(), writing).await)
    }

    async fn read_recorded(self, records: &[LedgerRole], writing: &Writing<'_>) -> Result<Self, Because> {
        Ok(self.read_named(records.iter().map(|role| role.name.clone()).collect(), writing).await)
    }

    async fn act(act: &Act, writing: &Writing<'_>) -> Result<Option<String>, Refusal> {
        let (proven, adds) = (writing.proven, !act.removes());
        match act {
            Act::Create(role) => {
                proven.create_role(consented(writing, &role.pulls).await?, role).await?;
                proven.put_role_policy(consented(writing, &role.pulls).await?, &role.name, &role.policy).await?;
            }
            Act::Narrow { name, policy } => {
                proven.put_role_policy(permit(writing, false).await?, name, policy).await?;
            }
            Act::Change { name, trust, policy, tags, pulls, .. } => {
                // Narrow first: whoever may take the role on, then what it may do.
                if let Some(trust) = trust {
                    proven.update_role_trust(permit(writing, adds).await?, name, trust).await?;
                }
                if let Some(policy) = policy {
                    proven.put_role_policy(consented(writing, pulls).await?, name, policy).await?;
                }
                if !tags.is_empty() {
                    proven.tag_role(permit(writing, adds).await?, name, tags).await?;
                }
            }
            Act::Delete { name, has_policy } => {
                if *has_policy {
                    proven.delete_role_policy(permit(writing, adds).await?, name).await?;
                }
                proven.delete_role(permit(writing, adds).await?, name).await?;
            }
            Act::Release { name, tags } => proven.untag_role(permit(writing, adds).await?, name, tags).await?,
        }
        Ok(None)
    }

    fn explained(act: &Act, error: &Error, writing: &Writing<'_>) -> Because {
        let said = error.message.trim_end_matches('.');
        match (act, error.kind) {
            (Act::Create(role), Kind::Exists) => {
                let message = format!(
                    "IAM has a role of the name {} already, perhaps in other letters or under another path: it has a name once. Delete it in AWS, or create the object anew with another spec.roleName.",
                    role.name
                );
                Because::new(Reason::RoleConflict, message)
            }
            (Act::Create(role), Kind::NotFound) if error.operation == "CreateRole" => {
                let message = format!(
                    "AWS knows no policy {}: create it in account {}, or name another in the Registry's spec.roles.permissionsBoundaryArn.",
                    role.boundary, writing.gathered.key.account
                );
                Because::new(Reason::BoundaryMissing, message)
            }
            // The role was made by the call before, and IAM may not see everywhere yet that it carries the boundary, on which
            // the operator's permission rests (aws-facts K.1).
            (Act::Create(role), Kind::Denied) if error.operation == "PutRolePolicy" => {
                let message = format!("Role {} was made just now, and its policy is denied: {said}.", role.name);
                Because::new(Reason::Propagating, message)
            }
            (_, Kind::Full) => {
                let account = &writing.gathered.key.account;
                let message = format!(
                    "IAM has no room for it in account {account}: {said}. Remove a role, or ask AWS for a higher quota."
                );
                Because::new(Reason::QuotaExceeded, message)
            }
            (_, Kind::Invalid) => Because::new(Reason::Rejected, format!("AWS refuses the role: {said}.")),
            (Act::Delete { name, .. }, Kind::InUse) => {
                let message = format!(
                    "Role {name} cannot be deleted while something hangs on it (an instance profile, perhaps): {said}. Take it off the role in AWS."
                );
                Because::new(Reason::DeletionBlocked, message)
            }
            _ => writing.proven.session().because(error),
        }
    }

    fn names_young(_: &Act) -> bool {
        false
    }
}

impl Roles {
    async fn read_named(mut self, names: BTreeSet<String>, writing: &Writing<'_>) -> Self {
        self.answered_before.retain(|name| !names.contains(name));
        self.stored.extend(read(names, || false, writing.proven).await);
        self
    }
}

/// The leave to add to what a role pulls: asks also for the Registries by whose consent alone it pulls from its own account.
async fn consented(writing: &Writing<'_>, pulls: &LedgerPulls) -> Result<Permit, Refusal> {
    let pulls_from = |key: &RegistryKey| {
        let mut asked = pulls.from.iter().filter(|from| from.external != Some(true));
        asked.any(|from| key.is_at(&from.account_id, &from.region))
    };
    writing.permitted_by_upstreams(turn(writing, true), true, pulls_from).await.map_err(Refusal::Restrained)
}

async fn permit(writing: &Writing<'_>, adds: bool) -> Result<Permit, Refusal> {
    writing.permitted(turn(writing, adds), adds).await.map_err(Refusal::Restrained)
}

/// The account's turn.
fn turn(writing: &Writing<'_>, adds: bool) -> impl Future<Output = Result<Permit, Because>> {
    let lane = if adds { Lane::Growth } else { Lane::Withdrawal };
    Permit::for_role(writing.proven, &writing.proof, writing.desired.restraint.as_ref(), lane)
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Writing<'_> {
    /// What AWS answered is not asked again before its time.
    pub(super) fn note_roles(&mut self, roles: &Roles) {
        let claims: Vec<_> = self.desired.contributions.iter().filter_map(|c| c.role.as_ref()).collect();
        let good_for = self.memory.answered.good_for.any();
        for (name, ids) in askers(&claims, self.place()) {
            if roles.answered_before.contains(&name) {
                continue;
            }
            match roles.stored.get(&name) {
                Some(Ok(Some(role))) => {
                    let asker = Asker::of(self.gathered, ids);
                    self.memory.answered.roles.note(name, asker, role.clone(), roles.read_at, good_for);
                }
                // What is not there may come yet, by our own late call or by somebody else's: that is asked for every time.
                _ => self.memory.answered.roles.forget(&name),
            }
        }
    }

    /// Where the registry's roles live.
    fn place(&self) -> Place<'_> {
        Place {
            registry: &self.gathered.key,
            settings: self.gathered.registry.spec.roles.as_ref(),
            installation: self.op.installation(),
        }
    }
}
