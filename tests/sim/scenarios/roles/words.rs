//! Short words for scenarios of one role, `team-a/mirror`, and the cache that pulls by it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{our_role, two_registries};
use crate::lab::objects::{CACHES, REGISTRIES, ROLES, cache_by_role, role, with};
use crate::lab::{A, B, Lab, REGION};

/// Longer than a Registry waits before it looks at AWS again.
pub const INTERVAL: Duration = Duration::from_secs(310);
pub const PULLER: &str = "arn:aws:iam::111111111111:root";

/// Role `team-a/mirror`, which pulls `base/*` of Registry `upstream`.
pub fn mirror() -> Value {
    role("team-a", "mirror", "upstream", &["base/*"])
}

/// The cache that pulls by it, for every principal of its own account.
pub fn cache() -> Value {
    let cache =
        with(cache_by_role("team-a", "mirror", "upstream", "mirror"), "/spec/pullers", &json!({"accountIds": [A]}));
    with(cache, "/spec/createRepositories", &json!(true))
}

/// Both registries, the role and the cache, at work: a pull goes through.
pub async fn mirroring(lab: &mut Lab) {
    two_registries(lab);
    for name in ["base/app", "tools/app"] {
        lab.aws.world(|world| world.add_repository(B, REGION, name));
    }
    lab.apply(&mirror());
    lab.apply(&cache());
    until_working(lab).await;
    lab.settle().await;
    assert_pulls(lab, "base/app");
}

pub async fn until_working(lab: &mut Lab) {
    lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
    lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
}

pub async fn until_reason(lab: &mut Lab, reason: &str) {
    lab.until_reason(ROLES, "team-a", "mirror", reason).await;
}

pub fn reason(lab: &Lab) -> String {
    lab.ready(ROLES, "team-a", "mirror").1
}

pub fn message(lab: &Lab) -> String {
    lab.message(ROLES, "team-a", "mirror", "Ready")
}

/// Changes one member of the role's object.
pub fn edit(lab: &Lab, at: &str, value: &Value) {
    lab.set(ROLES, "team-a", "mirror", at, value);
}

/// Deletes the object of the role and waits for its end.
pub async fn until_role_gone(lab: &mut Lab) {
    lab.until("the role's object is gone", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
}

pub async fn until_cache_gone(lab: &mut Lab) {
    lab.until("the cache is gone", |lab| !lab.exists(CACHES, "team-a", "mirror")).await;
}

/// Whether a pull of the upstream's repository through the cache succeeds.
pub fn pulls(lab: &Lab, repository: &str) -> bool {
    lab.pulls_through(PULLER, &format!("mirror/{repository}")).is_ok()
}

#[track_caller]
pub fn assert_pulls(lab: &Lab, repository: &str) {
    lab.pulls_through(PULLER, &format!("mirror/{repository}")).unwrap();
}

/// The repositories that the upstream's policy grants to others, by its statements.
pub fn granted(lab: &Lab) -> Vec<String> {
    let statements = lab.statements(B);
    let resources = statements.iter().flat_map(|statement| crate::lab::list(&statement["Resource"]));
    let names = resources.map(|arn| arn.as_str().unwrap().rsplit_once(":repository/").unwrap().1.to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A rule of the cache's Registry with the role, if it is there.
pub fn rule(lab: &Lab) -> Option<Value> {
    lab.aws.world(|world| world.cache_rule(A, REGION, "mirror"))
}

/// The operations on roles and documents that took effect from now on are told by this number of calls so far.
pub fn mark(lab: &Lab) -> usize {
    lab.aws.world(|world| world.calls().len())
}

/// The operations that wrote to AWS and took effect after a mark.
pub fn writes_since(lab: &Lab, mark: usize) -> Vec<String> {
    lab.aws.world(|world| {
        let calls = &world.calls()[mark..];
        calls.iter().filter(|call| call.is_write && call.took_effect).map(|call| call.operation.clone()).collect()
    })
}

/// Somebody else changes our role by hand.
pub fn edit_role(lab: &Lab, edit: impl FnOnce(&mut aws_sim::Role)) {
    let name = our_role(lab).unwrap().name;
    lab.aws.world(|world| world.edit_role(A, &name, edit));
}

/// Sets a member of a Registry's spec, or takes it away.
pub fn set_registry(lab: &Lab, registry: &str, member: &str, value: &Value) {
    lab.set(REGISTRIES, "", registry, &format!("/spec/{member}"), value);
}

/// The status of the role's first upstream: `Ready` of it, and its reason.
pub fn upstream_ready(lab: &Lab) -> (String, String) {
    let object = lab.kube.get(ROLES, "team-a", "mirror").unwrap();
    crate::lab::objects::condition(&json!({"status": object["status"]["upstreams"][0]}), "Ready")
}
