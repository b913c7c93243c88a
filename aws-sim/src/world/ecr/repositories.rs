//! CreateRepository, DescribeRepositories, DeleteRepository (aws-facts A.1).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::EcrCall;
use crate::world::error::AwsError;
use crate::world::repository::Repository;

const MUTABILITIES: [&str; 4] = ["MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"];
const MOST_TAGS: usize = 50;

pub(super) fn create(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let name = call.repository_name()?;
    let mut repository = Repository::plain(call.world.unix_now());
    if let Some(mutability) = call.optional_text("imageTagMutability")? {
        if !MUTABILITIES.contains(&mutability.as_str()) {
            let constraint = format!("Member must satisfy enum value set: [{}]", MUTABILITIES.join(", "));
            return Err(AwsError::invalid_parameter("imageTagMutability", &constraint));
        }
        repository.mutability = mutability;
    }
    repository.tags = tags(call)?;
    repository.exclusions = call.input.get("imageTagMutabilityExclusionFilters").cloned();
    let scanning = call.input.get("imageScanningConfiguration").and_then(|c| c.get("scanOnPush"));
    repository.scan_on_push = scanning.and_then(Value::as_bool).unwrap_or_default();
    if let Some(encryption) = call.input.get("encryptionConfiguration").filter(|e| e.is_object()) {
        repository.encryption = encryption.clone();
    }
    if call.current().repositories.contains_key(&name) {
        let message =
            format!("The repository with name '{name}' already exists in the registry with id '{}'", call.account);
        return Err(AwsError::new(400, "RepositoryAlreadyExistsException", message));
    }
    let shown = repository.shown(call.account, call.region, &name);
    call.change(|state| drop(state.repositories.insert(name, repository)));
    Ok(json!({"repository": shown}))
}

/// One unknown name fails the whole call.
pub(super) fn describe(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let (account, region) = (call.account, call.region);
    let Some(names) = call.names("repositoryNames")? else {
        let all = call.seen().repositories.iter();
        let all = all.map(|(name, repository)| (name.clone(), repository.shown(account, region, name))).collect();
        let page = call.page(all)?;
        let mut answer = json!({"repositories": page.items});
        if let Some(token) = page.next_token {
            answer["nextToken"] = token.into();
        }
        return Ok(answer);
    };
    call.refuse_paging()?;
    let state = call.seen();
    let found: Result<Vec<_>, _> = names
        .iter()
        .map(|name| {
            let repository = state.repositories.get(name).ok_or_else(|| not_found(account, name))?;
            Ok::<_, AwsError>(repository.shown(account, region, name))
        })
        .collect();
    Ok(json!({"repositories": found?}))
}

pub(super) fn delete(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let name = call.repository_name()?;
    let account = call.account;
    let found = call.current().repositories.get(&name).cloned();
    let repository = found.ok_or_else(|| not_found(account, &name))?;
    if !repository.images.is_empty() && !call.flag("force") {
        let message = format!(
            "The repository with name '{name}' in registry with id '{account}' cannot be deleted because it still \
             contains images"
        );
        return Err(AwsError::new(400, "RepositoryNotEmptyException", message));
    }
    call.change(|state| drop(state.repositories.remove(&name)));
    Ok(json!({"repository": repository.shown(account, call.region, &name)}))
}

pub(super) fn not_found(account: &str, name: &str) -> AwsError {
    let message = format!("The repository with name '{name}' does not exist in the registry with id '{account}'");
    AwsError::new(400, "RepositoryNotFoundException", message)
}

fn tags(call: &EcrCall<'_>) -> Result<BTreeMap<String, String>, AwsError> {
    let invalid = || AwsError::new(400, "InvalidTagParameterException", "a tag needs a Key and a Value");
    let list = call.input.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    if list.len() > MOST_TAGS {
        let message = format!("a repository has at most {MOST_TAGS} tags");
        return Err(AwsError::new(400, "TooManyTagsException", message));
    }
    let pair = |tag: &Value| {
        let text = |member: &str| tag.get(member).and_then(Value::as_str).map(str::to_owned);
        Some((text("Key").filter(|key| !key.is_empty() && !key.starts_with("aws:"))?, text("Value")?))
    };
    list.iter().map(|tag| pair(tag).ok_or_else(invalid)).collect()
}
