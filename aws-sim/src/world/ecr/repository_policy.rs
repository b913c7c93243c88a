//! GetRepositoryPolicy, SetRepositoryPolicy, DeleteRepositoryPolicy: as the registry's policy, one document replaced
//! whole; the scope has no say (aws-facts A.1, B, K.6).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::EcrCall;
use super::repositories::not_found;
use crate::world::error::AwsError;
use crate::world::identity::partition_of;
use crate::world::policy::accept::Judge;
use crate::world::policy::condition::Context;
use crate::world::policy::evaluate::{Document, Holder, Question, Verdict};
use crate::world::policy::principal::Principal;
use crate::world::registry::{Scope, StoredPolicy};
use crate::world::repository::{self, Repository};

/// Characters of the text as it is sent (aws-facts B.1).
const LIMIT: usize = 10_240;

pub(super) fn get(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let name = call.repository_name()?;
    let repository = call.seen().repositories.get(&name).cloned();
    let policy = policy_of(call.account, &name, repository)?;
    Ok(output(call, &name, &policy))
}

pub(super) fn set(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let (name, text) = (call.repository_name()?, call.text("policyText")?);
    let account = call.account;
    if !call.current().repositories.contains_key(&name) {
        return Err(not_found(account, &name));
    }
    check(call, &text)?;
    if !call.flag("force") && locks_out(call, &name, &text) {
        // aws-facts A.1: `force` is for this; the text is unverified.
        return Err(AwsError::new(
            400,
            "InvalidParameterException",
            "The policy would prevent you from setting another policy; use force to set it nevertheless",
        ));
    }
    let policy = call.world.bind(&text);
    let stored = policy.clone();
    call.change(|state| {
        if let Some(repository) = state.repositories.get_mut(&name) {
            repository.policy = Some(stored);
        }
    });
    Ok(output(call, &name, &policy))
}

pub(super) fn delete(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let name = call.repository_name()?;
    let repository = call.current().repositories.get(&name).cloned();
    let policy = policy_of(call.account, &name, repository)?;
    call.change(|state| {
        if let Some(repository) = state.repositories.get_mut(&name) {
            repository.policy = None;
        }
    });
    Ok(output(call, &name, &policy))
}

/// aws-facts B.4: a principal nobody knows has a text of its own; everything else has one together.
fn check(call: &EcrCall<'_>, text: &str) -> Result<(), AwsError> {
    if text.chars().count() > LIMIT {
        let constraint = format!("Member must have length less than or equal to {LIMIT}");
        return Err(AwsError::invalid_parameter("PolicyText", &constraint));
    }
    let world = &call.world;
    let judge = |exists: &dyn Fn(Principal<'_>, &str) -> bool| {
        let partition = partition_of(call.region);
        Judge { holder: Holder::Repository, scope: Scope::V2, partition, exists }.accept(text).is_some()
    };
    if !judge(&|_, _| true) {
        return Err(AwsError::invalid_parameter("PolicyText", "Invalid repository policy provided"));
    }
    if !judge(&|principal, name| world.exists(principal, name)) {
        return Err(AwsError::invalid_parameter("PolicyText", "Principal not found"));
    }
    Ok(())
}

/// Whether a policy denies its own author the next one.
fn locks_out(call: &EcrCall<'_>, name: &str, text: &str) -> bool {
    let subject = call.world.subject(&call.caller.arn);
    let resource = repository::arn(call.account, call.region, name);
    let context: Context = subject.context(call.region);
    let question = Question {
        subject: &subject,
        action: "ecr:SetRepositoryPolicy",
        resource: Some(&resource),
        partition: partition_of(call.region),
        context: &context,
    };
    let document = Document { holder: Holder::Repository, text, renamed: &BTreeMap::new() };
    matches!(document.says(&question), Verdict::Denied(_))
}

fn policy_of(account: &str, name: &str, repository: Option<Repository>) -> Result<StoredPolicy, AwsError> {
    let repository = repository.ok_or_else(|| not_found(account, name))?;
    repository.policy.ok_or_else(|| {
        let message = format!(
            "Repository policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
        );
        AwsError::new(400, "RepositoryPolicyNotFoundException", message)
    })
}

fn output(call: &mut EcrCall<'_>, name: &str, policy: &StoredPolicy) -> Value {
    let text = call.world.render(policy, call.region);
    json!({"registryId": call.account, "repositoryName": name, "policyText": text})
}
