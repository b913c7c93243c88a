//! IAM: a row per operation; each does its work in a file of its subject, on the roles of the caller's account. Reads
//! see every change at once; what ECR and STS see of it comes later (`role::History`).

mod attachments;
mod boundary;
mod document;
mod form;
mod inline_policies;
mod page;
mod roles;
mod tags;
mod trust;
mod xml;

use serde_json::{Map, Value, json};

use super::World;
use super::error::AwsError;
use super::identity::Caller;
use super::registry::View;
use super::role::Role;
use super::wire::Asked;
use form::Form;

/// An operation: its name on the wire, whether it changes something, and what it does. It returns the inner XML of its
/// result; none where the API has no result.
struct Operation {
    name: &'static str,
    is_write: bool,
    run: fn(&mut IamCall<'_>) -> Result<Option<String>, AwsError>,
}

const fn read(name: &'static str, run: fn(&mut IamCall<'_>) -> Result<Option<String>, AwsError>) -> Operation {
    Operation { name, is_write: false, run }
}

const fn write(name: &'static str, run: fn(&mut IamCall<'_>) -> Result<Option<String>, AwsError>) -> Operation {
    Operation { name, is_write: true, run }
}

const OPERATIONS: [Operation; 18] = [
    write("CreateRole", roles::create),
    read("GetRole", roles::get),
    write("UpdateRole", roles::update),
    write("DeleteRole", roles::delete),
    write("UpdateAssumeRolePolicy", trust::update),
    write("TagRole", tags::tag),
    write("UntagRole", tags::untag),
    read("ListRoleTags", tags::list),
    write("PutRolePolicy", inline_policies::put),
    read("GetRolePolicy", inline_policies::get),
    write("DeleteRolePolicy", inline_policies::delete),
    read("ListRolePolicies", inline_policies::list),
    write("AttachRolePolicy", attachments::attach),
    write("DetachRolePolicy", attachments::detach),
    read("ListAttachedRolePolicies", attachments::list),
    read("ListInstanceProfilesForRole", attachments::list_instance_profiles),
    write("PutRolePermissionsBoundary", boundary::put),
    write("DeleteRolePermissionsBoundary", boundary::delete),
];

/// One call, as an operation sees it.
struct IamCall<'a> {
    world: &'a mut World,
    account: &'a str,
    form: Form,
    view: View,
}

/// Runs the operation that was asked for.
pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked, view: View) -> Result<Option<String>, AwsError> {
    let unknown = || asked.protocol.unknown_operation(&asked.operation, "2010-05-08");
    let operation = find(asked).ok_or_else(unknown)?;
    (operation.run)(&mut IamCall { world, account: &caller.account, form: Form::read(&asked.body), view })
}

pub(super) fn is_write(asked: &Asked) -> bool {
    find(asked).is_some_and(|operation| operation.is_write)
}

pub(super) fn target(asked: &Asked) -> Option<String> {
    find(asked)?;
    Form::read(&asked.body).get("RoleName").map(|name| format!("role/{name}"))
}

/// The role that a call writes, as it is now.
pub(super) fn text(world: &World, account: &str, asked: &Asked) -> Option<String> {
    find(asked).filter(|operation| operation.is_write)?;
    let role = world.role(account, Form::read(&asked.body).get("RoleName")?)?;
    Some(json!(role).to_string())
}

/// What a call sends: its parameters; nothing to delete a role.
pub(super) fn sent(asked: &Asked) -> Option<String> {
    find(asked).filter(|operation| operation.is_write && operation.name != "DeleteRole")?;
    let form = Form::read(&asked.body);
    let parameters = form.pairs().filter(|(name, _)| !matches!(*name, "Action" | "Version"));
    let members: Map<_, _> = parameters.map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
    Some(Value::Object(members).to_string())
}

fn find(asked: &Asked) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|o| o.name == asked.operation)
}

impl IamCall<'_> {
    /// The role that a read is about, possibly stale.
    fn seen_role(&self) -> Result<Role, AwsError> {
        let name = self.form.role_name()?;
        let entities = self.world.accounts.get(self.account).map(|a| a.entities.seen(self.view));
        let mut roles = entities.into_iter().flat_map(|e| e.values()).filter_map(|e| e.role.as_ref());
        let found = roles.find(|role| role.newest().name == name).map(|role| role.newest().clone());
        found.ok_or_else(|| no_such_role(&name))
    }

    /// The role that a write is about, as it is; those of services are not to be changed.
    fn own_role(&self) -> Result<Role, AwsError> {
        let name = self.form.role_name()?;
        let role = self.world.role(self.account, &name).filter(|role| role.name == name);
        let role = role.ok_or_else(|| no_such_role(&name))?;
        if role.is_service_linked() {
            let message = format!(
                "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
            );
            return Err(AwsError::new(400, "UnmodifiableEntity", message));
        }
        Ok(role)
    }

    /// Changes a role; nothing is answered.
    fn change(&mut self, role: &Role, edit: impl FnOnce(&mut Role)) -> Option<String> {
        self.world.change_role(self.account, &role.arn, edit);
        None
    }
}

fn no_such_role(name: &str) -> AwsError {
    no_such_entity(format!("The role with name {name} cannot be found."))
}

fn no_such_entity(message: String) -> AwsError {
    AwsError::new(404, "NoSuchEntity", message)
}

fn invalid_input(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "InvalidInput", message)
}

fn limit_exceeded(message: impl Into<String>) -> AwsError {
    AwsError::new(409, "LimitExceeded", message)
}

fn malformed(message: impl Into<String>) -> AwsError {
    AwsError::new(400, "MalformedPolicyDocument", message)
}
