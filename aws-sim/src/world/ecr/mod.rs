//! ECR: a row per operation; each does its work in a file of its subject.

mod registry;
mod registry_policy;
mod settings;

use serde_json::{Map, Value};

use super::World;
use super::error::AwsError;
use super::identity::Caller;
use super::registry::{State, View};
use super::wire::Asked;

/// An operation: its name on the wire, what it writes, and what it does.
struct Operation {
    name: &'static str,
    writes: Option<Document>,
    run: fn(&mut EcrCall<'_>) -> Result<Value, AwsError>,
}

/// The document that an operation writes, for the record.
#[derive(Clone, Copy)]
pub(super) struct Document {
    /// Its text in a registry's state.
    pub(super) document: fn(&State) -> Option<String>,
    /// The member of the input that holds the new text; none for a deletion.
    sent_as: Option<&'static str>,
}

const POLICY: Document =
    Document { document: |state| state.policy.as_ref().map(|p| p.text.clone()), sent_as: Some("policyText") };
const SCOPE: Document =
    Document { document: |state| state.scope.map(|scope| scope.as_str().to_owned()), sent_as: Some("value") };

const OPERATIONS: [Operation; 6] = [
    Operation { name: "GetRegistryPolicy", writes: None, run: registry_policy::get },
    Operation { name: "PutRegistryPolicy", writes: Some(POLICY), run: registry_policy::put },
    Operation {
        name: "DeleteRegistryPolicy",
        writes: Some(Document { sent_as: None, ..POLICY }),
        run: registry_policy::delete,
    },
    Operation { name: "GetAccountSetting", writes: None, run: settings::get },
    Operation { name: "PutAccountSetting", writes: Some(SCOPE), run: settings::put },
    Operation { name: "DescribeRegistry", writes: None, run: registry::describe },
];

/// One call, as an operation sees it.
struct EcrCall<'a> {
    world: &'a mut World,
    account: &'a str,
    region: &'a str,
    input: Map<String, Value>,
    view: View,
}

/// Runs the operation that was asked for.
pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked, view: View) -> Result<Value, AwsError> {
    let operation = find(asked).ok_or_else(|| asked.protocol.unknown_operation(&asked.operation))?;
    let input = read_input(&asked.body)?;
    let mut call = EcrCall { world, account: &caller.account, region: &asked.region, input, view };
    (operation.run)(&mut call)
}

/// The document that a call would write; `None` for reads and for what is no operation of ECR.
pub(super) fn document_of(asked: &Asked) -> Option<Document> {
    find(asked)?.writes
}

fn find(asked: &Asked) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|o| asked.service == "ecr" && o.name == asked.operation)
}

fn read_input(body: &[u8]) -> Result<Map<String, Value>, AwsError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|e| AwsError::new(400, "SerializationException", e.to_string()))
}

impl Document {
    /// The text as it was sent.
    pub(super) fn sent(self, body: &[u8]) -> Option<String> {
        read_input(body).ok()?.get(self.sent_as?)?.as_str().map(str::to_owned)
    }
}

impl EcrCall<'_> {
    /// A text that must be there.
    fn text(&self, member: &str) -> Result<String, AwsError> {
        match self.input.get(member) {
            Some(Value::String(text)) => Ok(text.clone()),
            None | Some(Value::Null) => Err(AwsError::invalid_parameter(member, "must not be null")),
            Some(_) => Err(AwsError::new(400, "SerializationException", format!("{member} is not a string"))),
        }
    }

    /// The registry as a read sees it: possibly stale.
    fn seen(&mut self) -> State {
        self.world.registry(self.account, self.region).seen(self.view)
    }

    /// The registry as it is: what writes work on.
    fn current(&mut self) -> State {
        self.world.registry(self.account, self.region).seen(View::Current)
    }

    fn change(&mut self, edit: impl FnOnce(&mut State)) {
        self.world.registry(self.account, self.region).change(edit);
    }
}
