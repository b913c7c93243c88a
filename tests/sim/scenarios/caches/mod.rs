//! Pull through cache rules: made, changed and deleted beside those of others (behaviours 22–25).

mod adopting;
mod changing;
mod contested;
mod crash;
mod disturbed;
mod leaving;
mod lost;
mod making;
mod often;
mod proof;
mod refused;

use aws_sim::{Call, Trust};
use serde_json::{Value, json};

use crate::lab::objects::{CACHES, REGISTRIES, cache, condition, with};
use crate::lab::{A, Lab, REGION};

/// A puller in another account.
const PULLER: &str = "444444444444";
const SECRET: &str = "ecr-pullthroughcache/hub";

/// A rule in the namespace of its team: `team-a/app` is object `app` with prefix `app`, in namespace `team-a`.
pub(super) fn caching(object: &str, upstream: &Value) -> Value {
    let (namespace, name) = object.split_once('/').unwrap();
    with(cache(namespace, name, "default", name), "/spec/upstream", upstream)
}

fn docker_hub(secret: &str) -> Value {
    json!({"type": "DockerHub", "secretName": secret})
}

/// Another registry of ECR's, without a Registry that stands for it.
fn private(account: &str, region: &str) -> Value {
    json!({"type": "Ecr", "ecr": {"external": {"accountId": account, "region": region}}})
}

/// The operations on cache rules that were called so far.
fn rule_writes(lab: &Lab) -> Vec<String> {
    let is_rule = |call: &&Call| call.is_write && call.operation.ends_with("PullThroughCacheRule");
    let shortened = |call: &Call| call.operation.trim_end_matches("PullThroughCacheRule").to_owned();
    lab.aws.world(|world| world.calls().iter().filter(is_rule).map(shortened).collect())
}

/// A rule of Registry `default`, as AWS has it.
fn rule(lab: &Lab, prefix: &str) -> Option<Value> {
    lab.aws.world(|world| world.cache_rule(A, REGION, prefix))
}

fn member(lab: &Lab, prefix: &str, member: &str) -> String {
    rule(lab, prefix).unwrap_or_default()[member].as_str().unwrap_or_default().to_owned()
}

fn prefixes(lab: &Lab) -> Vec<String> {
    lab.aws.world(|world| world.cache_prefixes(A, REGION))
}

/// Somebody else makes a rule, perhaps in place of another.
fn put_by_others(lab: &Lab, prefix: &str, host: &str) {
    put_by_others_with(lab, &json!({"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": host}));
}

fn put_by_others_with(lab: &Lab, members: &Value) {
    lab.rules.rule_of_others(A, members["ecrRepositoryPrefix"].as_str().unwrap());
    lab.aws.world(|world| world.put_cache_rule(A, REGION, members));
}

/// Somebody else deletes a rule, whosever it is.
fn delete_by_others(lab: &Lab, prefix: &str) {
    lab.rules.no_rule_of_others(A, prefix);
    lab.aws.world(|world| world.delete_cache_rule(A, REGION, prefix));
}

/// A role in the Registry's account that ECR may pull with.
fn add_role(lab: &Lab, name: &str) -> String {
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}, "Action": "sts:AssumeRole",
    }]});
    let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]});
    lab.aws.world(|world| {
        let arn = world.add_role(A, name, Trust::default());
        world.edit_role(A, name, |role| {
            role.trust = trust.to_string();
            role.inline_policies.insert("cache".to_owned(), may.to_string());
        });
        arn
    })
}

fn create_secret(lab: &Lab, name: &str) -> String {
    lab.aws.world(|world| world.create_secret(A, REGION, name))
}

/// An object's `status.rule`.
fn status(lab: &Lab, object: &str) -> Value {
    let (namespace, name) = object.split_once('/').unwrap();
    lab.kube.get(CACHES, namespace, name).unwrap()["status"]["rule"].clone()
}

fn reason(lab: &Lab, object: &str) -> String {
    let (namespace, name) = object.split_once('/').unwrap();
    lab.ready(CACHES, namespace, name).1
}

fn message(lab: &Lab, object: &str) -> String {
    let (namespace, name) = object.split_once('/').unwrap();
    lab.message(CACHES, namespace, name, "Ready")
}

async fn until_reason(lab: &mut Lab, object: &str, reason: &str) {
    let (namespace, name) = object.split_once('/').unwrap();
    lab.until_reason(CACHES, namespace, name, reason).await;
}

async fn until_ready(lab: &mut Lab, objects: &[&str]) {
    lab.until_ready_of(CACHES, objects).await;
}

fn delete(lab: &Lab, object: &str) {
    let (namespace, name) = object.split_once('/').unwrap();
    lab.delete(CACHES, namespace, name);
}

async fn until_gone(lab: &mut Lab, object: &str) {
    let (namespace, name) = object.split_once('/').unwrap();
    lab.until("it is gone", |lab| !lab.exists(CACHES, namespace, name)).await;
}

/// Sets a member of the Registry's spec, or takes it away.
fn set_registry(lab: &Lab, member: &str, value: &Value) {
    lab.set(REGISTRIES, "", "default", &format!("/spec/{member}"), value);
}

/// The rules on record: prefix and whether it was adopted.
fn on_record(lab: &Lab) -> Vec<(String, bool)> {
    let entries = lab.ledger("default");
    let rules = entries.iter().map(|entry| &entry["rule"]).filter(|rule| !rule.is_null());
    rules.map(|rule| (rule["prefix"].as_str().unwrap().to_owned(), rule["adopted"] == true)).collect()
}

/// The prefixes that are claimed, and not known to be made.
fn claimed(lab: &Lab) -> Vec<String> {
    let rules = lab.ledger("default").into_iter().map(|entry| entry["rule"].clone());
    let claimed = rules.filter(|rule| rule["state"] == "Claimed");
    claimed.map(|rule| rule["prefix"].as_str().unwrap().to_owned()).collect()
}

/// It is lost who has what.
fn lose_ledger(lab: &Lab) {
    lab.lose_ledger("default");
}

/// How often an operation was called, whatever came of it.
fn calls(lab: &Lab, operation: &str) -> usize {
    lab.aws.world(|world| world.calls().iter().filter(|call| call.operation == operation).count())
}

/// What the Registry says it would do.
fn steps(lab: &Lab) -> Vec<String> {
    let registry = lab.kube.get(REGISTRIES, "", "default").unwrap();
    crate::lab::list(&registry["status"]["plan"]["steps"]).iter().map(|s| s.as_str().unwrap().to_owned()).collect()
}

fn is_orphaned(lab: &Lab) -> bool {
    condition(&lab.kube.get(REGISTRIES, "", "default").unwrap(), "Orphaned").0 == "True"
}
