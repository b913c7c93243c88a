//! The services as the World runs them and records them: each says what its calls write and how they are answered.

use bytes::Bytes;
use http::Response;

use super::World;
use super::error::AwsError;
use super::identity::Caller;
use super::registry::View;
use super::wire::{self, Asked};
use super::{ecr, iam, secretsmanager, sts};

/// Whether a call would change something in AWS. AssumeRole is no such call.
pub(super) fn is_write(asked: &Asked) -> bool {
    match asked.service.as_str() {
        "ecr" => ecr::is_write(asked),
        "iam" => iam::is_write(asked),
        _ => false,
    }
}

/// What a call is about.
pub(super) fn target(asked: &Asked) -> Option<String> {
    match asked.service.as_str() {
        "ecr" => ecr::target(asked),
        "iam" => iam::target(asked),
        "secretsmanager" => secretsmanager::target(asked),
        _ => None,
    }
}

/// What a call writes, as it is now.
pub(super) fn text(world: &World, account: &str, asked: &Asked) -> Option<String> {
    match asked.service.as_str() {
        "ecr" => ecr::text(world, account, asked),
        "iam" => iam::text(world, account, asked),
        _ => None,
    }
}

/// What a call sends to be written.
pub(super) fn sent(asked: &Asked) -> Option<String> {
    match asked.service.as_str() {
        "ecr" => ecr::sent(asked),
        "iam" => iam::sent(asked),
        _ => None,
    }
}

/// Runs the operation that was asked for.
pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked, view: View) -> Result<Response<Bytes>, AwsError> {
    let request_id = world.request_id();
    if asked.service == "sts" {
        return sts::run(world, caller, asked).map(|result| wire::xml_answer(asked, Some(&result), &request_id));
    }
    if !world.throttles.admit(&caller.account, asked, world.now) {
        return Err(asked.protocol.throttled());
    }
    let omitted = world.habits.omitted.get(&asked.operation).cloned().unwrap_or_default();
    let json = |mut value| {
        wire::omit(&mut value, &omitted);
        wire::json_answer(&value, &request_id)
    };
    match asked.service.as_str() {
        "iam" => {
            iam::run(world, caller, asked, view).map(|result| wire::xml_answer(asked, result.as_deref(), &request_id))
        }
        "secretsmanager" => secretsmanager::run(world, caller, asked, view).map(json),
        _ => ecr::run(world, caller, asked, view).map(json),
    }
}
