//! Which roles an account is to have for the objects of one registry, beside those of others.
//!
//! A role carries tags that name its object, so whose it is can be told from the role alone; a record of its unique id
//! tells it where the tags were lost. Never touched: a role that is not ours, unless `adoption` says so, and a role
//! without the boundary.

use std::collections::{BTreeMap, BTreeSet};

use super::super::claims::{Action, Plan};
use super::super::objects::ObjectId;
use super::{Claim, Role, Stance, Stored};
use crate::api::{Adoption, LedgerRole, OwnershipState};
use crate::names::Partition;
use crate::ownership::{InstallationId, RoleMark, RoleOwner};
use crate::policy::{Flavour, equivalent};
use crate::reason::{Because, Reason};

/// What is to be done for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The role, then its policy.
    Create(Role),
    /// What of it is not as wanted.
    Change { name: String, trust: Option<String>, policy: Option<String>, tags: BTreeMap<String, String> },
    /// Our policy, then the role.
    Delete { name: String, has_policy: bool },
    /// The tags that mark it as the object's: it is nobody's from then on.
    Release { name: String, tags: Vec<String> },
}

impl Act {
    /// The role it is done to.
    pub fn name(&self) -> &str {
        match self {
            Self::Create(role) => &role.name,
            Self::Change { name, .. } | Self::Delete { name, .. } | Self::Release { name, .. } => name,
        }
    }
}

impl Action for Act {
    type Record = LedgerRole;

    fn claim(&self) -> Option<LedgerRole> {
        let Self::Create(role) = self else { return None };
        let (name, arn) = (role.name.clone(), role.arn.clone());
        Some(LedgerRole { name, arn, id: None, adopted: None, state: OwnershipState::Claimed })
    }

    fn removes(&self) -> bool {
        matches!(self, Self::Delete { .. } | Self::Release { .. })
    }

    fn describe(&self) -> String {
        match self {
            Self::Create(role) => format!("+ role {}{}", role.path, role.name),
            Self::Change { name, trust, policy, tags } => {
                let parts = [
                    trust.as_ref().map(|_| "trust policy"),
                    policy.as_ref().map(|_| "policy"),
                    (!tags.is_empty()).then_some("tags"),
                ];
                format!("~ role {name}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
            Self::Delete { name, .. } => format!("- role {name}"),
            Self::Release { name, .. } => format!("~ role {name}: left behind"),
        }
    }
}

/// What the roles come to.
pub type RolesPlan = Plan<Act, LedgerRole>;

/// By what a role is known as ours.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    pub installation: &'a InstallationId,
    /// Installations whose roles become ours, where an object of the same name asks for them.
    pub take_over: &'a BTreeSet<InstallationId>,
    pub partition: Partition,
}

/// What AWS has, by the names that were asked for.
pub type Found = BTreeMap<String, Result<Option<Stored>, Because>>;

/// Brings what the objects say and what AWS has together. `in_use`: whose role may not be removed yet, and why.
pub fn plan_roles(
    claims: &[Claim<Role>],
    stored: &Found,
    in_use: &BTreeMap<ObjectId, Because>,
    marks: &Marks<'_>,
) -> RolesPlan {
    let mut planning = Planning { stored, in_use, marks, taken: BTreeSet::new(), plan: RolesPlan::default() };
    let mut ordered: Vec<_> = claims.iter().collect();
    // The incumbent, then whose tags are on the role, then the older.
    ordered.sort_by_cached_key(|claim| {
        let marked = planning.found(claim).is_ok_and(|role| role.is_some_and(|role| planning.is_marked(claim, role)));
        (claim.has.is_none(), !marked, claim.created, claim.id.clone())
    });
    for claim in ordered {
        let refusal = planning.place(claim).err();
        planning.plan.verdicts.extend(refusal.map(|because| (claim.id.clone(), because)));
    }
    planning.plan
}

struct Planning<'a> {
    stored: &'a Found,
    in_use: &'a BTreeMap<ObjectId, Because>,
    marks: &'a Marks<'a>,
    /// Names that somebody has or gets, in small letters: IAM compares them so.
    taken: BTreeSet<String>,
    plan: RolesPlan,
}

impl<'a> Planning<'a> {
    /// What AWS has under the name that a claim speaks of.
    fn found(&self, claim: &Claim<Role>) -> Result<Option<&'a Stored>, Because> {
        let name = match (&claim.has, &claim.stance) {
            (Some(has), _) => &has.name,
            (None, Stance::Wants(role) | Stance::Holds(Some(role), _)) => &role.name,
            _ => return Ok(None),
        };
        self.named(name)
    }

    fn named(&self, name: &str) -> Result<Option<&'a Stored>, Because> {
        match self.stored.get(name) {
            Some(Ok(role)) => Ok(role.as_ref()),
            Some(Err(because)) => Err(because.clone()),
            None => Err(Because::new(Reason::Progressing, format!("Role {name} has not been looked up yet."))),
        }
    }

    /// Decides on one object; an error is what keeps it from what it wants.
    fn place(&mut self, claim: &Claim<Role>) -> Result<(), Because> {
        let found = match self.found(claim) {
            Ok(found) => found,
            Err(because) => {
                self.unread(claim);
                return Err(because);
            }
        };
        let ours = found.filter(|role| self.is_ours(claim, role));
        if let Some(role) = ours {
            self.plan.has.insert(claim.id.clone(), record(claim, role));
            self.taken.insert(role.name.to_ascii_lowercase());
        } else if let Some(has) = claim.has.clone().filter(|_| found.is_none()) {
            self.lacks(claim, has);
        }
        match &claim.stance {
            Stance::Wants(wanted) => self.place_wanted(claim, ours, wanted),
            Stance::Keeps(because) => Err(because.clone()),
            Stance::Holds(wanted, because) => {
                let equal = |wanted: &Role| ours.is_some_and(|role| self.is_as_wanted(role, wanted));
                if wanted.as_ref().is_some_and(equal) {
                    self.plan.held_equal.insert(claim.id.clone());
                }
                Err(because.clone())
            }
            Stance::Loses(because) => {
                if let Some(role) = ours {
                    self.remove(claim, role)?;
                }
                Err(because.clone())
            }
            Stance::Leaves => ours.map_or(Ok(()), |role| self.remove(claim, role)),
            Stance::Retains => {
                if let Some(role) = ours {
                    self.release(claim, role);
                }
                Ok(())
            }
            Stance::Orphaned => Ok(()),
        }
    }

    /// AWS did not say: what is on record stays there.
    fn unread(&mut self, claim: &Claim<Role>) {
        let Some(has) = claim.has.clone() else { return };
        if has.state == OwnershipState::Owned {
            self.plan.unread.insert(claim.id.clone());
            self.plan.has.insert(claim.id.clone(), has);
        } else {
            self.plan.missing.insert(claim.id.clone(), has);
        }
    }

    /// AWS has no role of that name.
    fn lacks(&mut self, claim: &Claim<Role>, has: LedgerRole) {
        match claim.stance {
            Stance::Wants(_) | Stance::Keeps(_) | Stance::Holds(..) => {
                self.plan.missing.insert(claim.id.clone(), has);
            }
            // Of a call that was made on the claim, a role may come yet.
            Stance::Loses(_) | Stance::Leaves | Stance::Orphaned
                if has.state == OwnershipState::Claimed || claim.claimed_at.is_some() =>
            {
                self.plan.given_up.insert(claim.id.clone(), has);
            }
            _ => {}
        }
    }

    /// Whether the role's tags name the object, or did under an installation that is taken over.
    fn is_marked(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        let is_owner = |owner: &RoleOwner| owner.namespace == claim.id.namespace && owner.name == claim.id.name;
        match self.marks.installation.read_role(&role.tags) {
            RoleMark::Ours(owner) => is_owner(&owner),
            RoleMark::OtherInstallation(id, owner) => self.marks.take_over.contains(&id) && is_owner(&owner),
            RoleMark::Foreign => false,
        }
    }

    /// Whether the tags name somebody else.
    fn is_of_another(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        let is_foreign = self.marks.installation.read_role(&role.tags) == RoleMark::Foreign;
        !is_foreign && !self.is_marked(claim, role)
    }

    fn is_ours(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        let recorded = claim.has.as_ref().filter(|has| has.state == OwnershipState::Owned);
        let is_recorded = recorded.is_some_and(|has| has.id.as_ref() == Some(&role.id));
        let is_named = match (&claim.has, &claim.stance) {
            (Some(has), _) if has.arn == role.arn => true,
            (_, Stance::Wants(wanted) | Stance::Holds(Some(wanted), _)) => wanted.arn == role.arn,
            _ => false,
        };
        is_named && (self.is_marked(claim, role) || is_recorded && !self.is_of_another(claim, role))
    }

    fn place_wanted(&mut self, claim: &Claim<Role>, ours: Option<&Stored>, wanted: &Role) -> Result<(), Because> {
        if let Some(other) = ours.filter(|role| role.name != wanted.name) {
            // The object was made anew with another name: first its former role goes.
            return self.remove(claim, other);
        }
        if let Some(role) = ours {
            return self.change(claim, role, wanted);
        }
        if !self.taken.insert(wanted.name.to_ascii_lowercase()) {
            return Err(conflict(wanted, "is another object's"));
        }
        match self.named(&wanted.name)? {
            Some(role) => self.adopt(claim, role, wanted),
            None => {
                self.plan.acts.insert(claim.id.clone(), Act::Create(wanted.clone()));
                Ok(())
            }
        }
    }

    /// The role is the object's: it becomes what is wanted.
    fn change(&mut self, claim: &Claim<Role>, role: &Stored, wanted: &Role) -> Result<(), Because> {
        if role.arn != wanted.arn {
            let message = format!(
                "The role is {}, and the Registry's spec.roles.path would have it be {}: a role cannot move. Set the path back, or delete the object and create it again.",
                role.arn, wanted.arn
            );
            return Err(Because::new(Reason::ImmutableChange, message));
        }
        is_bounded(role, wanted)?;
        if let Some(change) = self.difference(role, wanted) {
            self.plan.acts.insert(claim.id.clone(), change);
        }
        Ok(())
    }

    /// A role stands there that is not the object's.
    fn adopt(&mut self, claim: &Claim<Role>, role: &Stored, wanted: &Role) -> Result<(), Because> {
        if self.is_of_another(claim, role) {
            return Err(conflict(wanted, "carries the tags of another object"));
        }
        if claim.may.adoption == Adoption::Never {
            return Err(conflict(wanted, "is there already, and is not this object's"));
        }
        if role.arn != wanted.arn {
            return Err(conflict(wanted, &format!("is there already under another path ({})", role.arn)));
        }
        is_bounded(role, wanted)?;
        let change = self.difference(role, wanted);
        let differs = matches!(&change, Some(Act::Change { trust, policy, .. }) if trust.is_some() || policy.is_some());
        if differs && claim.may.adoption < Adoption::Always {
            return Err(conflict(wanted, "is there already, with another trust policy or another policy of its own"));
        }
        let adopted = LedgerRole { adopted: Some(true), ..record(claim, role) };
        self.plan.has.insert(claim.id.clone(), adopted);
        self.plan.acts.extend(change.map(|change| (claim.id.clone(), change)));
        Ok(())
    }

    /// What of the role is not as wanted. Policies of others, attachments and tags are no part of it.
    fn difference(&self, role: &Stored, wanted: &Role) -> Option<Act> {
        let same = |a: &str, b: &str| equivalent(a, b, self.marks.partition, Flavour::Trust).unwrap_or(false);
        let trust = (!same(&role.trust, &wanted.trust)).then(|| wanted.trust.clone());
        let has_policy = role.policy.as_ref().is_some_and(|policy| same(policy, &wanted.policy));
        let policy = (!has_policy).then(|| wanted.policy.clone());
        let tags: BTreeMap<_, _> =
            wanted.tags.clone().into_iter().filter(|(k, v)| role.tags.get(k) != Some(v)).collect();
        let name = wanted.name.clone();
        (trust.is_some() || policy.is_some() || !tags.is_empty()).then_some(Act::Change { name, trust, policy, tags })
    }

    fn is_as_wanted(&self, role: &Stored, wanted: &Role) -> bool {
        role.arn == wanted.arn && is_bounded(role, wanted).is_ok() && self.difference(role, wanted).is_none()
    }

    /// What the object made or says it owns goes; what it only adopted stays, and is nobody's.
    fn remove(&mut self, claim: &Claim<Role>, role: &Stored) -> Result<(), Because> {
        let adopted = self.plan.has.get(&claim.id).is_some_and(|has| has.adopted == Some(true));
        if adopted && !claim.owns_adopted {
            self.release(claim, role);
            return Ok(());
        }
        if let Some(because) = self.in_use.get(&claim.id) {
            return Err(because.clone());
        }
        let hanging: Vec<_> = role.attached.iter().chain(&role.other_policies).map(String::as_str).collect();
        if !hanging.is_empty() {
            let message = format!(
                "Policies of others hang on role {} and would go with it: {}. Take them off the role in AWS.",
                role.name,
                hanging.join(", ")
            );
            return Err(Because::new(Reason::DeletionBlocked, message));
        }
        let act = Act::Delete { name: role.name.clone(), has_policy: role.policy.is_some() };
        self.plan.acts.insert(claim.id.clone(), act);
        Ok(())
    }

    /// The role stays, without our tags.
    fn release(&mut self, claim: &Claim<Role>, role: &Stored) {
        let ours = self.marks.installation.role_tags(&claim.id.namespace, &claim.id.name);
        let tags: Vec<_> = role.tags.keys().filter(|key| ours.contains_key(*key)).cloned().collect();
        if tags.is_empty() {
            self.plan.has.remove(&claim.id);
        } else {
            self.plan.acts.insert(claim.id.clone(), Act::Release { name: role.name.clone(), tags });
        }
    }
}

/// A role that is there and the object's, as the ledger has it. One that is known by its tags alone may have been
/// adopted, if its object may adopt.
fn record(claim: &Claim<Role>, role: &Stored) -> LedgerRole {
    let adopted = match &claim.has {
        Some(has) => has.adopted,
        None => (claim.may.adoption > Adoption::Never).then_some(true),
    };
    LedgerRole {
        name: role.name.clone(),
        arn: role.arn.clone(),
        id: Some(role.id.clone()),
        adopted,
        state: OwnershipState::Owned,
    }
}

/// A role without the boundary is not touched: nothing would bound what it can do.
fn is_bounded(role: &Stored, wanted: &Role) -> Result<(), Because> {
    if role.boundary.as_ref() == Some(&wanted.boundary) {
        return Ok(());
    }
    let message = format!(
        "Role {} does not carry the permissions boundary of the Registry's spec.roles, and is not touched: the operator may not put it there, on purpose. Do it: aws iam put-role-permissions-boundary --role-name {} --permissions-boundary {}",
        role.name, role.name, wanted.boundary
    );
    Err(Because::new(Reason::BoundaryMissing, message))
}

fn conflict(wanted: &Role, what: &str) -> Because {
    let message = format!(
        "Role {} {what}. Choose another spec.roleName, delete it in AWS, or set spec.adoption (the Registry's spec.allow bounds it).",
        wanted.name
    );
    Because::new(Reason::RoleConflict, message)
}
