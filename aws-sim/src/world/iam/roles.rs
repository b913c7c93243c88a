//! CreateRole, GetRole, UpdateRole, DeleteRole (aws-facts A.3, F).

use super::{IamCall, boundary, limit_exceeded, tags, trust, xml};
use crate::world::error::AwsError;
use crate::world::role::{DEFAULT_SESSION, Role};

/// Roles of an account, those of services aside (aws-facts F).
const LIMIT: usize = 1_000;

pub(super) fn create(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let form = &call.form;
    let wanted = Role {
        name: form.role_name()?,
        path: form.path()?,
        description: form.optional_text("Description", 0..=1_000)?,
        max_session_seconds: form.session_duration()?.unwrap_or(DEFAULT_SESSION),
        trust: form.document("AssumeRolePolicyDocument")?,
        permissions_boundary: form.optional_text("PermissionsBoundary", 20..=2_048)?,
        tags: tags::wanted(form)?,
        ..Role::default()
    };
    let account = call.world.accounts.get(call.account);
    if account.and_then(|a| a.role_arn_ignoring_case(&wanted.name)).is_some() {
        let message = format!("Role with name {} already exists.", wanted.name);
        return Err(AwsError::new(409, "EntityAlreadyExists", message));
    }
    trust::check(call, &wanted.trust)?;
    if let Some(arn) = &wanted.permissions_boundary {
        boundary::check(call, arn)?;
    }
    let roles = call.world.accounts.get(call.account).into_iter().flat_map(|a| a.entities.current().values());
    let counted = roles.filter_map(|e| e.role.as_ref()).filter(|role| !role.newest().is_service_linked());
    if counted.count() >= LIMIT {
        return Err(limit_exceeded(format!("Cannot exceed quota for RolesPerAccount: {LIMIT}")));
    }
    let role = call.world.insert_role(call.account, wanted);
    Ok(Some(xml::role(call.world, &role)))
}

/// Nobody counts when a role was last used: that member is there, and empty.
pub(super) fn get(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.seen_role()?;
    let shown = xml::role(call.world, &role);
    Ok(Some(shown.replace("</Role>", "<RoleLastUsed></RoleLastUsed></Role>")))
}

/// A duration that is not given is an hour again; a description that is not given stays (aws-facts A.3).
pub(super) fn update(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let description = call.form.optional_text("Description", 0..=1_000)?;
    let seconds = call.form.session_duration()?.unwrap_or(DEFAULT_SESSION);
    let role = call.own_role()?;
    call.change(&role, |role| {
        role.max_session_seconds = seconds;
        if description.is_some() {
            role.description = description;
        }
    });
    Ok(Some(String::new()))
}

/// Nothing may hang on it but its boundary and tags (aws-facts F).
pub(super) fn delete(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.own_role()?;
    let conflict = |message: &str| Err(AwsError::new(409, "DeleteConflict", message));
    if !role.instance_profiles.is_empty() {
        return conflict("Cannot delete entity, must remove roles from instance profile first.");
    }
    if !role.attached_policies.is_empty() {
        return conflict("Cannot delete entity, must detach all policies first.");
    }
    if !role.inline_policies.is_empty() {
        return conflict("Cannot delete entity, must delete policies first.");
    }
    call.world.owned(call.account).entities.change(|all| all.remove(&role.arn));
    Ok(None)
}
