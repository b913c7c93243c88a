//! AttachRolePolicy, DetachRolePolicy, ListAttachedRolePolicies, ListInstanceProfilesForRole (aws-facts A.3).

use super::xml::element;
use super::{IamCall, invalid_input, limit_exceeded, no_such_entity};
use crate::world::error::AwsError;
use crate::world::moment::iso;

/// Managed policies of a role, in the newest documents (aws-facts F).
const LIMIT: usize = 20;

pub(super) fn attach(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let arn = policy_arn(call)?;
    let role = call.own_role()?;
    if call.world.managed_policy(call.account, &arn).is_none() {
        return Err(no_such_entity(format!("Policy {arn} does not exist or is not attachable.")));
    }
    if role.attached_policies.len() >= LIMIT && !role.attached_policies.contains(&arn) {
        return Err(limit_exceeded(format!("Cannot exceed quota for PoliciesPerRole: {LIMIT}")));
    }
    Ok(call.change(&role, |role| {
        role.attached_policies.insert(arn);
    }))
}

pub(super) fn detach(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let arn = policy_arn(call)?;
    let role = call.own_role()?;
    if !role.attached_policies.contains(&arn) {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    Ok(call.change(&role, |role| {
        role.attached_policies.remove(&arn);
    }))
}

pub(super) fn list(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.seen_role()?;
    let prefix = call.form.optional_text("PathPrefix", 1..=512)?.unwrap_or_else(|| "/".to_owned());
    // Path and name stand behind `:policy`.
    let resource = |arn: &str| arn.split_once(":policy").map_or_else(String::new, |(_, rest)| rest.to_owned());
    let listed = role.attached_policies.iter().filter(|arn| resource(arn).starts_with(&prefix)).map(|arn| {
        let name = arn.rsplit('/').next().unwrap_or_default();
        (arn.clone(), element("PolicyName", name) + &element("PolicyArn", arn))
    });
    call.page("AttachedPolicies", listed.collect()).map(Some)
}

/// Profiles come by a control alone: as much of each as there is.
pub(super) fn list_instance_profiles(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.seen_role()?;
    let partition = role.arn.split(':').nth(1).unwrap_or_default();
    let listed = role.instance_profiles.iter().map(|name| {
        let arn = format!("arn:{partition}:iam::{}:instance-profile/{name}", call.account);
        let members = [
            ("Path", "/"),
            ("InstanceProfileName", name),
            ("InstanceProfileId", &role.id.replacen("AROA", "AIPA", 1)),
            ("Arn", &arn),
            ("CreateDate", &iso(role.created_at)),
        ];
        let members: String = members.iter().map(|(member, text)| element(member, text)).collect();
        (name.clone(), format!("{members}<Roles></Roles>"))
    });
    call.page("InstanceProfiles", listed.collect()).map(Some)
}

/// The ARN of a managed policy, at least in form.
fn policy_arn(call: &IamCall<'_>) -> Result<String, AwsError> {
    let arn = call.form.text("PolicyArn", 20..=2_048)?;
    if is_policy_arn(&arn) { Ok(arn) } else { Err(invalid_input(format!("ARN {arn} is not valid."))) }
}

pub(super) fn is_policy_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "iam", "", _, resource] if resource.starts_with("policy/"))
}
