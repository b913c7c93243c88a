//! Whose a role is: told from its tags, its unique id and what is on record, never from its name. Also the sentences for
//! who may not have it. Decides nothing about what is done.

use std::collections::BTreeSet;

use super::pulls::bounded;
use super::{Claim, Role, Stance, Stored};
use crate::api::{Adoption, LedgerRole, OwnershipState};
use crate::names::Partition;
use crate::ownership::{InstallationId, RoleMark, RoleOwner, is_generated_role_name};
use crate::reason::{Because, Reason};

/// By what a role is known as ours.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    pub installation: &'a InstallationId,
    /// Installations whose roles become ours, where an object of the same name asks for them.
    pub take_over: &'a BTreeSet<InstallationId>,
    pub partition: Partition,
    /// The permissions boundary of the Registry's `spec.roles`; none, if it names none.
    pub boundary: Option<&'a str>,
}

impl Marks<'_> {
    /// Whether the role's tags name the object, or did under an installation that is taken over.
    pub(super) fn name(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        let is_owner = |owner: &RoleOwner| owner.namespace == claim.id.namespace && owner.name == claim.id.name;
        match self.installation.read_role(&role.tags) {
            RoleMark::Ours(owner) => is_owner(&owner),
            RoleMark::OtherInstallation(id, owner) => self.take_over.contains(&id) && is_owner(&owner),
            RoleMark::Foreign => false,
        }
    }

    /// Whether the tags name somebody else.
    pub(super) fn name_another(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        let names_nobody = self.installation.read_role(&role.tags) == RoleMark::Foreign;
        !names_nobody && !self.name(claim, role)
    }

    /// Whether the role is the object's: by its tags, if it lies where the object's role is to lie or lay; or, without
    /// them, by its unique id. A claim alone is no right: `CreateRole` sets the tags, so what has none was made by others.
    pub(super) fn are_of(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        let owned = claim.has.as_ref().filter(|has| has.state == OwnershipState::Owned);
        let is_recorded = owned.is_some_and(|has| has.id.as_ref() == Some(&role.id));
        let has_place = claim.has.as_ref().is_some_and(|has| has.arn == role.arn)
            || wanted(claim).is_some_and(|wanted| wanted.arn == role.arn);
        has_place && (self.name(claim, role) || is_recorded && !self.name_another(claim, role))
    }

    /// Whether IAM lets the operator delete the role: its permission asks for the boundary (aws-facts K.1).
    pub(super) fn let_delete(&self, role: &Stored) -> Result<(), Because> {
        if role.boundary.is_some() && self.boundary.is_none_or(|boundary| role.boundary.as_deref() == Some(boundary)) {
            return Ok(());
        }
        let cure = match self.boundary {
            Some(boundary) => put_boundary(&role.name, boundary),
            None => {
                "name the boundary in the Registry's spec.roles.permissionsBoundaryArn and put it on the role".into()
            }
        };
        let message = format!(
            "Role {} does not carry the permissions boundary of the Registry's spec.roles, and is not touched: the operator may neither delete it so nor put the boundary there, on purpose. Delete the role in AWS, or do it: {cure}",
            role.name
        );
        Err(Because::new(Reason::DeletionBlocked, message))
    }
}

/// What an object would have, if that can be told.
pub(super) fn wanted(claim: &Claim<Role>) -> Option<&Role> {
    match &claim.stance {
        Stance::Wants(role) | Stance::Holds(Some(role), _) => Some(role),
        _ => None,
    }
}

/// A role that is there and the object's, as the ledger has it. One that is known by its tags alone may have been
/// adopted, if its object may adopt: it does not go with the object.
pub(super) fn record(claim: &Claim<Role>, role: &Stored) -> LedgerRole {
    let adopted = match &claim.has {
        Some(has) => has.adopted,
        None => (claim.may.adoption > Adoption::Never).then_some(true),
    };
    let pulls = claim.has.as_ref().map(|has| bounded(has.pulls.clone(), role.policy.as_deref()));
    LedgerRole {
        name: role.name.clone(),
        arn: role.arn.clone(),
        id: Some(role.id.clone()),
        adopted,
        state: OwnershipState::Owned,
        pulls: pulls.unwrap_or_default(),
    }
}

/// A role without the boundary is not touched: nothing would bound what it can do.
pub(super) fn is_bounded(role: &Stored, wanted: &Role) -> Result<(), Because> {
    if role.boundary.as_ref() == Some(&wanted.boundary) {
        return Ok(());
    }
    let message = format!(
        "Role {} does not carry the permissions boundary of the Registry's spec.roles, and is not touched: the operator may not put it there, on purpose. Do it: {}",
        role.name,
        put_boundary(&role.name, &wanted.boundary)
    );
    Err(Because::new(Reason::BoundaryMissing, message))
}

fn put_boundary(name: &str, boundary: &str) -> String {
    format!("aws iam put-role-permissions-boundary --role-name {name} --permissions-boundary {boundary}")
}

/// Policies of others on a role, which would go with it or keep it from going.
pub(super) fn is_bare(role: &Stored) -> Result<(), Because> {
    let hanging: Vec<_> = role.attached.iter().chain(&role.other_policies).map(String::as_str).collect();
    if hanging.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Policies of others hang on role {}, and it is not deleted under them: {}. Take them off the role in AWS.",
        role.name,
        hanging.join(", ")
    );
    Err(Because::new(Reason::DeletionBlocked, message))
}

/// Why an object does not get the role of the name it wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conflict<'a> {
    /// Another object of the registry has it or gets it.
    Taken,
    /// It is marked for another object, here or in another cluster.
    OfAnother,
    /// It is there, nobody's, and may not be adopted.
    There,
    /// It is there, not the same, and may be adopted only if it is.
    Differs,
    /// The name is used for a role with this ARN.
    Elsewhere(&'a str),
}

impl Conflict<'_> {
    pub(super) fn over(self, wanted: &Role) -> Because {
        let name = &wanted.name;
        let generated = is_generated_role_name(name);
        let field = if generated { "the name of who has no spec.roleName" } else { "spec.roleName" };
        let rename = if generated { "with a spec.roleName" } else { "with another spec.roleName" };
        let anew = format!("create the object anew {rename}");
        let (what, cure) = match self {
            Self::Taken => (
                "is another object's in this registry: whoever had it first keeps it".to_owned(),
                format!("To get a role, {anew}."),
            ),
            Self::OfAnother => (
                "carries the tags of another object".to_owned(),
                format!(
                    "To get a role, {anew}; or, if a cluster that is gone made it for this object, name its installation in the Registry's spec.takeOverInstallationIds."
                ),
            ),
            Self::There => (
                "is there already, and is not this object's".to_owned(),
                format!("Delete it in AWS, {anew}, or set spec.adoption (the Registry's spec.allow bounds it)."),
            ),
            Self::Differs => (
                "is there already, and its trust policy or its policy is not what this object asks for".to_owned(),
                format!(
                    "Delete it in AWS, {anew}, or set spec.adoption: Always (the Registry's spec.allow bounds it)."
                ),
            ),
            Self::Elsewhere(arn) => (
                format!("is there already as {arn}, and IAM has a name once, whatever its path and letter case"),
                format!("Delete it in AWS, or {anew}."),
            ),
        };
        Because::new(Reason::RoleConflict, format!("Role {name} ({field}) {what}. {cure}"))
    }
}
