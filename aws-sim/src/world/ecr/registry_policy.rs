//! GetRegistryPolicy, PutRegistryPolicy, DeleteRegistryPolicy: one document, replaced whole (aws-facts A.1, B).

use serde_json::{Value, json};

use super::EcrCall;
use crate::world::error::AwsError;
use crate::world::identity::partition_of;
use crate::world::policy::accept::Judge;
use crate::world::policy::evaluate::Holder;
use crate::world::registry::StoredPolicy;

/// Characters of the text as it is sent (aws-facts B.1).
const LIMIT: usize = 10_240;

pub(super) fn get(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let policy = call.seen().policy.clone().ok_or_else(|| not_found(call.account))?;
    Ok(output(call, &policy))
}

pub(super) fn put(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let text = call.text("policyText")?;
    if text.chars().count() > LIMIT {
        let constraint = format!("Member must have length less than or equal to {LIMIT}");
        return Err(AwsError::invalid_parameter("PolicyText", &constraint));
    }
    let set = call.current().scope;
    let world = &call.world;
    let judge = Judge {
        holder: Holder::Registry,
        scope: world.scope_of(set),
        partition: partition_of(call.region),
        exists: &|principal, name| world.exists(principal, name),
    };
    judge.accept(&text).ok_or_else(AwsError::invalid_registry_policy)?;
    let policy = world.bind(&text);
    let stored = policy.clone();
    call.change(|state| state.policy = Some(stored));
    Ok(output(call, &policy))
}

pub(super) fn delete(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let policy = call.current().policy.clone().ok_or_else(|| not_found(call.account))?;
    call.change(|state| state.policy = None);
    Ok(output(call, &policy))
}

fn output(call: &mut EcrCall<'_>, policy: &StoredPolicy) -> Value {
    let text = call.world.render(policy, call.region);
    json!({"registryId": call.account, "policyText": text})
}

fn not_found(account: &str) -> AwsError {
    let message = format!("Registry policy does not exist in the registry with id '{account}'");
    AwsError::new(400, "RegistryPolicyNotFoundException", message)
}
