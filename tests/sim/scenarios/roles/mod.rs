//! Roles by which a cache pulls from other accounts: made, granted to and removed, in two registries at once
//! (behaviours 26–30).

mod adopting;
mod between;
mod changing;
mod consent;
mod crash;
mod edited;
mod elsewhere;
mod external;
mod gone;
mod leaving;
mod limits;
mod lost;
mod making;
mod orders;
mod reach;
mod restraint;
mod taken;
mod unknown;
mod words;

use std::time::Duration;

use serde_json::Value;

use crate::lab::objects::{CACHES, REGISTRIES, ROLES, cache_by_role, registry, role, with};
use crate::lab::{A, B, Lab, REGION};
use aws_sim::Scope;
use serde_json::json;

/// Registry `default` of account A with the cache, Registry `upstream` of account B under scope V2, two teams.
fn two_registries(lab: &Lab) {
    lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
    lab.two_teams();
    lab.apply(&upstream());
}

fn upstream() -> Value {
    registry("upstream", B)
}

/// The one role that the operator made in account A.
fn our_role(lab: &Lab) -> Option<aws_sim::Role> {
    lab.aws.world(|world| {
        let names = world.role_names(A);
        let ours = names.into_iter().find(|name| name.starts_with("Ecp"))?;
        world.role(A, &ours)
    })
}

fn is_all_ready(lab: &Lab) -> bool {
    [ROLES, CACHES].iter().all(|plural| lab.is_ready(plural, "team-a", "mirror"))
}

/// The role and the rule, both named `mirror`, of team-a.
async fn until_all_ready(lab: &mut Lab) {
    lab.until("role and rule are Ready", is_all_ready).await;
}

/// The role and the rule that belong together.
fn apply_set(lab: &Lab) {
    lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
    lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
}

/// Both registries, role, grant and rule, all Ready and at rest.
async fn a_set(lab: &mut Lab) {
    two_registries(lab);
    apply_set(lab);
    until_all_ready(lab).await;
    lab.settle().await;
}

/// Longer than an interval.
const INTERVAL: Duration = Duration::from_secs(310);
/// Longer than any backoff.
const LONG: Duration = Duration::from_secs(620);

fn delete_set(lab: &Lab) {
    lab.delete(ROLES, "team-a", "mirror");
    lab.delete(CACHES, "team-a", "mirror");
}

async fn until_set_gone(lab: &mut Lab) {
    lab.until("role and rule are gone", |lab| {
        [ROLES, CACHES].iter().all(|plural| !lab.exists(plural, "team-a", "mirror"))
    })
    .await;
}

fn prefixes(lab: &Lab) -> Vec<String> {
    lab.aws.world(|world| world.cache_prefixes(A, REGION))
}

/// Nothing of the set is in either account.
fn is_nothing_left(lab: &Lab) -> bool {
    our_role(lab).is_none() && lab.statements(B).is_empty() && prefixes(lab).is_empty()
}

/// What stands in AWS for the set: the role, the grant, the rule.
fn in_aws(lab: &Lab) -> (Option<aws_sim::Role>, Vec<Value>, Option<Value>) {
    (our_role(lab), lab.statements(B), lab.aws.world(|world| world.cache_rule(A, REGION, "mirror")))
}

/// What a Registry says it would do.
fn steps(lab: &Lab, registry: &str) -> Vec<String> {
    let registry = lab.kube.get(REGISTRIES, "", registry).unwrap();
    crate::lab::list(&registry["status"]["plan"]["steps"]).iter().map(|s| s.as_str().unwrap().to_owned()).collect()
}

/// What the role's one upstream says: reason and message.
fn upstream_says(lab: &Lab) -> (String, String) {
    let role = lab.kube.get(ROLES, "team-a", "mirror").unwrap();
    let upstream = &role["status"]["upstreams"][0];
    let ready =
        crate::lab::list(&upstream["conditions"]).into_iter().find(|c| c["type"] == "Ready").unwrap_or_default();
    let text = |member: &str| ready[member].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

fn role_says(lab: &Lab) -> (String, String) {
    (lab.ready(ROLES, "team-a", "mirror").1, lab.message(ROLES, "team-a", "mirror", "Ready"))
}
