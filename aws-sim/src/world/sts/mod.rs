//! STS: GetCallerIdentity and AssumeRole (aws-facts A.4). Each returns the inner XML of its result.

mod assume_role;
mod caller_identity;

use super::World;
use super::error::AwsError;
use super::identity::Caller;
use super::wire::{self, Asked};

/// Runs the operation that was asked for.
pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked) -> Result<String, AwsError> {
    match asked.operation.as_str() {
        "GetCallerIdentity" => Ok(caller_identity::run(caller)),
        "AssumeRole" => assume_role::run(world, caller, asked),
        other => Err(asked.protocol.unknown_operation(other, "2011-06-15")),
    }
}

/// The account whose role a call would assume.
pub(super) fn target_account(asked: &Asked) -> Option<String> {
    if asked.service != "sts" || asked.operation != "AssumeRole" {
        return None;
    }
    wire::form_value(&asked.body, "RoleArn")?.split(':').nth(4).map(str::to_owned)
}
