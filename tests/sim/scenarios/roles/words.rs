//! Short words for scenarios of one role, `team-a/mirror`, and the cache that pulls by it: Registry `default` of account A
//! has both, and Registry `upstream` of account B what they pull.

use std::time::Duration;

use aws_sim::{Role, Scope, Trust};
use serde_json::{Value, json};

use crate::lab::objects::{BOUNDARY, CACHES, REGISTRIES, ROLES, cache_by_role, condition, registry, role, with};
use crate::lab::{A, B, HOME, Lab, REGION, boundary, list};

/// Longer than a Registry waits before it looks at AWS again.
pub const INTERVAL: Duration = Duration::from_secs(310);
/// Longer than any backoff.
pub const LONG: Duration = Duration::from_secs(620);
pub const PULLER: &str = "arn:aws:iam::111111111111:root";
/// The inline policy that is the operator's.
pub const POLICY: &str = "ecr-pull-through-cache";
/// A document that allows nothing.
pub const EMPTY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;
pub const NO_WRITES: [&str; 0] = [];

/// The boundary that Registry `default` asks for.
pub fn boundary_arn() -> String {
    format!("arn:aws:iam::{A}:policy/{BOUNDARY}")
}

/// Registry `upstream`.
pub fn upstream() -> Value {
    registry("upstream", B)
}

/// Registry `default` of account A with the cache, Registry `upstream` of account B under scope V2, two teams.
pub fn two_registries(lab: &Lab) {
    lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
    lab.two_teams();
    lab.apply(&upstream());
}

/// Role `team-a/mirror`, which pulls `base/*` of Registry `upstream`.
pub fn mirror() -> Value {
    role("team-a", "mirror", "upstream", &["base/*"])
}

/// The cache that pulls by it, and says nothing of who pulls from the cache.
pub fn bare_cache() -> Value {
    cache_by_role("team-a", "mirror", "upstream", "mirror")
}

/// The cache that pulls by it, for every principal of its own account.
pub fn cache() -> Value {
    let cache = with(bare_cache(), "/spec/pullers", &json!({"accountIds": [A]}));
    with(cache, "/spec/createRepositories", &json!(true))
}

/// The role and the cache that belong together.
pub fn apply_set(lab: &Lab) {
    lab.apply(&mirror());
    lab.apply(&bare_cache());
}

pub fn is_all_ready(lab: &Lab) -> bool {
    [ROLES, CACHES].iter().all(|plural| lab.is_ready(plural, "team-a", "mirror"))
}

pub async fn until_all_ready(lab: &mut Lab) {
    lab.until("role and cache are Ready", is_all_ready).await;
}

/// Both registries, the role and its bare cache, all Ready and at rest.
pub async fn a_set(lab: &mut Lab) {
    two_registries(lab);
    apply_set(lab);
    until_all_ready(lab).await;
    lab.settle().await;
}

/// Both registries, the role and the cache with its pullers, at work: a pull goes through.
pub async fn mirroring(lab: &mut Lab) {
    two_registries(lab);
    for name in ["base/app", "tools/app"] {
        lab.aws.world(|world| world.add_repository(B, REGION, name));
    }
    lab.apply(&mirror());
    lab.apply(&cache());
    until_all_ready(lab).await;
    lab.settle().await;
    assert_pulls(lab, "base/app");
}

/// Changes one member of the role's object.
pub fn edit(lab: &Lab, at: &str, value: &Value) {
    lab.set(ROLES, "team-a", "mirror", at, value);
}

/// Sets a member of a Registry's spec, or takes it away.
pub fn set_registry(lab: &Lab, registry: &str, member: &str, value: &Value) {
    lab.set(REGISTRIES, "", registry, &format!("/spec/{member}"), value);
}

/// Somebody else changes our role by hand.
pub fn edit_role(lab: &Lab, edit: impl FnOnce(&mut Role)) {
    let name = our_role(lab).unwrap().name;
    lab.aws.world(|world| world.edit_role(A, &name, edit));
}

pub fn delete_role(lab: &Lab) {
    lab.delete(ROLES, "team-a", "mirror");
}

pub fn delete_cache(lab: &Lab) {
    lab.delete(CACHES, "team-a", "mirror");
}

pub fn delete_set(lab: &Lab) {
    delete_role(lab);
    delete_cache(lab);
}

pub async fn until_role_gone(lab: &mut Lab) {
    lab.until("the role's object is gone", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
}

pub async fn until_cache_gone(lab: &mut Lab) {
    lab.until("the cache's object is gone", |lab| !lab.exists(CACHES, "team-a", "mirror")).await;
}

pub async fn until_set_gone(lab: &mut Lab) {
    until_cache_gone(lab).await;
    until_role_gone(lab).await;
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

/// Status and reason of the role's `Ready`.
pub fn role_ready(lab: &Lab) -> (String, String) {
    lab.ready(ROLES, "team-a", "mirror")
}

/// Status and reason of the cache's `Ready`.
pub fn cache_ready(lab: &Lab) -> (String, String) {
    lab.ready(CACHES, "team-a", "mirror")
}

/// The status of the role's first upstream.
pub fn upstream_status(lab: &Lab) -> Value {
    lab.kube.get(ROLES, "team-a", "mirror").unwrap()["status"]["upstreams"][0].clone()
}

/// Status and reason of the first upstream's `Ready`.
pub fn upstream_ready(lab: &Lab) -> (String, String) {
    condition(&json!({"status": upstream_status(lab)}), "Ready")
}

/// What a Registry says it would do.
pub fn steps(lab: &Lab, registry: &str) -> Vec<String> {
    let registry = lab.kube.get(REGISTRIES, "", registry).unwrap();
    list(&registry["status"]["plan"]["steps"]).iter().map(|step| step.as_str().unwrap().to_owned()).collect()
}

/// What a Registry says of what belongs to nobody; empty if there is nothing.
pub fn orphans(lab: &Lab, registry: &str) -> String {
    lab.message(REGISTRIES, "", registry, "Orphaned")
}

pub fn is_orphaned(lab: &Lab, registry: &str) -> bool {
    condition(&lab.kube.get(REGISTRIES, "", registry).unwrap(), "Orphaned").0 == "True"
}

/// Both Registries report what they keep of an object that is no more.
pub async fn until_reported(lab: &mut Lab) {
    let is_said = |lab: &Lab, registry| is_orphaned(lab, registry) && orphans(lab, registry).contains("team-a/mirror");
    lab.until("both report it", |lab| is_said(lab, "default") && is_said(lab, "upstream")).await;
}

/// A person confirms that what belongs to nobody goes.
pub fn prune(lab: &Lab, registry: &str) {
    lab.annotate(REGISTRIES, "", registry, "ecr-permissions.dev/prune", &lab.prune_token(registry));
}

/// A person lets an object go without AWS.
pub fn abandon(lab: &Lab, plural: &str) {
    lab.annotate(plural, "team-a", "mirror", "ecr-permissions.dev/abandon", "true");
}

/// The one role that the operator made in account A.
pub fn our_role(lab: &Lab) -> Option<Role> {
    lab.aws.world(|world| {
        let names = world.role_names(A);
        let ours = names.into_iter().find(|name| name.starts_with("Ecp"))?;
        world.role(A, &ours)
    })
}

/// The repositories that the upstream's policy grants to others, by its statements.
pub fn granted(lab: &Lab) -> Vec<String> {
    let statements = lab.statements(B);
    let resources = statements.iter().flat_map(|statement| list(&statement["Resource"]));
    let names = resources.map(|arn| arn.as_str().unwrap().rsplit_once(":repository/").unwrap().1.to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The cache rule of the set, if it is there.
pub fn rule(lab: &Lab) -> Option<Value> {
    lab.aws.world(|world| world.cache_rule(A, REGION, "mirror"))
}

/// The prefixes of all cache rules in account A.
pub fn prefixes(lab: &Lab) -> Vec<String> {
    lab.aws.world(|world| world.cache_prefixes(A, REGION))
}

/// What stands in AWS for the set: the role, the grant, the rule.
pub fn in_aws(lab: &Lab) -> (Option<Role>, Vec<Value>, Option<Value>) {
    (our_role(lab), lab.statements(B), rule(lab))
}

/// Nothing of the set is in either account.
pub fn is_nothing_left(lab: &Lab) -> bool {
    our_role(lab).is_none() && lab.policy(A).is_none() && lab.policy(B).is_none() && prefixes(lab).is_empty()
}

/// Whether a pull of the upstream's repository through the cache succeeds.
pub fn pulls(lab: &Lab, repository: &str) -> bool {
    lab.pulls_through(PULLER, &format!("mirror/{repository}")).is_ok()
}

#[track_caller]
pub fn assert_pulls(lab: &Lab, repository: &str) {
    lab.pulls_through(PULLER, &format!("mirror/{repository}")).unwrap();
}

/// How many calls AWS has got so far: what is done from now on is told by it.
pub fn mark(lab: &Lab) -> usize {
    lab.aws.world(|world| world.calls().len())
}

/// The operations that were to write to AWS after a mark, whatever became of them.
pub fn writes_since(lab: &Lab, mark: usize) -> Vec<String> {
    lab.aws.world(|world| {
        let calls = world.calls()[mark..].iter();
        calls.filter(|call| call.is_write).map(|call| call.operation.clone()).collect()
    })
}

/// How many roles the operator made in an account.
pub fn roles_in(lab: &Lab, account: &str) -> usize {
    lab.aws.world(|world| world.role_names(account)).into_iter().filter(|name| name.starts_with("Ecp")).count()
}

/// A third registry, of an account that the operator may manage.
pub fn third(lab: &Lab) {
    lab.aws.world(|world| {
        let operator = format!("arn:aws:iam::{HOME}:role/controller");
        world.add_role(HOME, "member", Trust::of([operator.as_str()]).with_external_id("lab"));
        world.add_managed_policy(HOME, BOUNDARY, &boundary());
        world.set_scope(HOME, REGION, Some(Scope::V2));
    });
    lab.apply(&registry("third", HOME));
}
