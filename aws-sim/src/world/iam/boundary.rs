//! PutRolePermissionsBoundary, DeleteRolePermissionsBoundary, and which policies may be a boundary (aws-facts A.3).

use super::attachments::is_policy_arn;
use super::{IamCall, invalid_input, no_such_entity};
use crate::world::error::AwsError;

pub(super) fn put(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let arn = call.form.text("PermissionsBoundary", 20..=2_048)?;
    let role = call.own_role()?;
    check(call, &arn)?;
    Ok(call.change(&role, |role| role.permissions_boundary = Some(arn)))
}

pub(super) fn delete(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.own_role()?;
    if role.permissions_boundary.is_none() {
        return Err(no_such_entity(format!("Role {} does not have a permissions boundary.", role.name)));
    }
    Ok(call.change(&role, |role| role.permissions_boundary = None))
}

/// What is no ARN of a policy is `InvalidInput`; a policy that is not there is `NoSuchEntity` with the text of field
/// reports ("Scope ARN: …", 404), also from CreateRole, although the model does not list it there; a policy made for a
/// service's role is `PolicyNotAttachable`.
pub(super) fn check(call: &IamCall<'_>, arn: &str) -> Result<(), AwsError> {
    if !is_policy_arn(arn) {
        return Err(invalid_input(format!("ARN {arn} is not valid.")));
    }
    if arn.contains(":policy/aws-service-role/") {
        let message = format!("Cannot attach a Service Role Policy to a customer role: {arn}");
        return Err(AwsError::new(400, "PolicyNotAttachable", message));
    }
    if call.world.managed_policy(call.account, arn).is_none() {
        return Err(no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable.")));
    }
    Ok(())
}
