//! ECR: a row per operation; each does its work in a file of its subject.

mod cache_rules;
mod describe_cache_rules;
mod input;
mod page;
mod registry;
mod registry_policy;
mod repositories;
mod repository_policy;
mod settings;
mod table;
mod validate_cache_rule;

use serde_json::{Map, Value};

use super::World;
use super::error::AwsError;
use super::identity::{Caller, is_account_id};
use super::policy::evaluate::Verdict;
use super::registry::{State, View};
use super::repository;
use super::wire::Asked;
use super::would::Place;
pub(super) use describe_cache_rules::RECORDED;
use table::{About, OPERATIONS, Operation, Sent};

/// One call, as an operation sees it.
struct EcrCall<'a> {
    world: &'a mut World,
    caller: &'a Caller,
    /// The registry that is meant: the caller's own, or the one that `registryId` names.
    account: &'a str,
    region: &'a str,
    input: Map<String, Value>,
    view: View,
}

/// Runs the operation that was asked for.
pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked, view: View) -> Result<Value, AwsError> {
    let operation = find(asked).ok_or_else(|| asked.protocol.unknown_operation(&asked.operation, ""))?;
    let input = read_input(&asked.body)?;
    let account = if operation.about == About::Registry { None } else { registry_id(&input)? };
    let account = account.unwrap_or_else(|| caller.account.clone());
    let mut call = EcrCall { world, caller, account: &account, region: &asked.region, input, view };
    call.authorize(operation)?;
    (operation.run)(&mut call)
}

pub(super) fn is_write(asked: &Asked) -> bool {
    find(asked).is_some_and(|operation| operation.writes.is_some())
}

pub(super) fn target(asked: &Asked) -> Option<String> {
    let input = read_input(&asked.body).unwrap_or_default();
    find(asked)?.about.target(&input)
}

/// What a call writes, as it is stored now.
pub(super) fn text(world: &World, account: &str, asked: &Asked) -> Option<String> {
    let written = find(asked)?.writes?;
    let input = read_input(&asked.body).ok()?;
    let account = registry_id(&input).ok()?.unwrap_or_else(|| account.to_owned());
    (written.stored)(world.stored(&account, &asked.region)?, &input)
}

/// What a call sends to be written.
pub(super) fn sent(asked: &Asked) -> Option<String> {
    let input = read_input(&asked.body).ok()?;
    match find(asked)?.writes?.sent {
        Sent::Member(name) => input.get(name)?.as_str().map(str::to_owned),
        Sent::Input => Some(Value::Object(input).to_string()),
        Sent::Nothing => None,
    }
}

fn find(asked: &Asked) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|o| o.name == asked.operation)
}

fn read_input(body: &[u8]) -> Result<Map<String, Value>, AwsError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|e| AwsError::new(400, "SerializationException", e.to_string()))
}

fn registry_id(input: &Map<String, Value>) -> Result<Option<String>, AwsError> {
    match input.get("registryId") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if is_account_id(id) => Ok(Some(id.clone())),
        Some(_) => Err(AwsError::invalid_parameter("registryId", "must satisfy regular expression '[0-9]{12}'")),
    }
}

impl EcrCall<'_> {
    /// A caller may do everything in its own account. In another's: to a repository it names what the policies
    /// there allow, and nothing to the rules, which no resource's policy covers (aws-facts A.0, D.5).
    fn authorize(&self, operation: &Operation) -> Result<(), AwsError> {
        if self.account == self.caller.account {
            return Ok(());
        }
        let name = self.input.get("repositoryName").and_then(Value::as_str);
        let subject = self.world.subject(&self.caller.arn);
        let place = Place { account: self.account, region: self.region, repository: name };
        let action = format!("ecr:{}", operation.name);
        let verdict = self.world.verdict(&subject, &action, place);
        if operation.about == About::Repository && name.is_some() && matches!(verdict, Verdict::Allowed(_)) {
            return Ok(());
        }
        let resource = name.map_or_else(|| "*".to_owned(), |name| repository::arn(self.account, self.region, name));
        let message =
            format!("User: {} is not authorized to perform: {action} on resource: {resource}", self.caller.arn);
        Err(AwsError::new(403, "AccessDeniedException", message))
    }

    /// The registry as a read sees it: possibly stale.
    fn seen(&mut self) -> &State {
        let view = self.view;
        self.world.registry(self.account, self.region).seen(view)
    }

    /// The registry as it is: what writes work on.
    fn current(&mut self) -> &State {
        self.world.registry(self.account, self.region).current()
    }

    fn change(&mut self, edit: impl FnOnce(&mut State)) {
        self.world.registry(self.account, self.region).change(edit);
    }
}
