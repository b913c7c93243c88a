//! PutRolePolicy, GetRolePolicy, DeleteRolePolicy, ListRolePolicies (aws-facts A.3, F). Each document is replaced whole.

use super::xml::{element, encoded};
use super::{IamCall, document, limit_exceeded, no_such_entity};
use crate::world::error::AwsError;
use crate::world::role::Role;

/// Characters of all inline policies of a role together (aws-facts F).
const LIMIT: usize = 10_240;

pub(super) fn put(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let (name, text) = (call.form.policy_name()?, call.form.document("PolicyDocument")?);
    let role = call.own_role()?;
    document::check_permissions(&text)?;
    let others = role.inline_policies.iter().filter(|(other, _)| **other != name);
    let total: usize = others.map(|(_, text)| document::size(text)).sum::<usize>() + document::size(&text);
    if total > LIMIT {
        let message = format!("Maximum policy size of {LIMIT} bytes exceeded for role {}", role.name);
        return Err(limit_exceeded(message));
    }
    Ok(call.change(&role, |role| drop(role.inline_policies.insert(name, text))))
}

pub(super) fn get(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let name = call.form.policy_name()?;
    let role = call.seen_role()?;
    let text = role.inline_policies.get(&name).ok_or_else(|| not_there(&name))?;
    let members = [("RoleName", role.name.as_str()), ("PolicyName", &name), ("PolicyDocument", &encoded(text))];
    Ok(Some(members.iter().map(|(member, text)| element(member, text)).collect()))
}

pub(super) fn delete(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let name = call.form.policy_name()?;
    let role = call.own_role()?;
    if !role.inline_policies.contains_key(&name) {
        return Err(not_there(&name));
    }
    Ok(call.change(&role, |role: &mut Role| drop(role.inline_policies.remove(&name))))
}

pub(super) fn list(call: &mut IamCall<'_>) -> Result<Option<String>, AwsError> {
    let role = call.seen_role()?;
    let names = role.inline_policies.keys().map(|name| (name.clone(), crate::world::wire::escape(name)));
    call.page("PolicyNames", names.collect()).map(Some)
}

fn not_there(name: &str) -> AwsError {
    no_such_entity(format!("The role policy with name {name} cannot be found."))
}
