//! The end of a role: rule, grant, role, and who may keep what (behaviours 7, 28, 30, 41, 44, 45).

use std::time::Duration;

use super::*;
use crate::lab::objects::{cache_by_role, role};
use crate::lab::run;

async fn set(lab: &mut Lab) {
    two_registries(lab);
    lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
    lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
    until_all_ready(lab).await;
    lab.settle().await;
}

async fn until_gone(lab: &mut Lab, plural: &str) {
    lab.until("it goes", |lab| !lab.exists(plural, "team-a", "mirror")).await;
}

/// The writes of AWS that take away, in their order.
fn removals(lab: &Lab) -> Vec<String> {
    let names = ["DeletePullThroughCacheRule", "DeleteRegistryPolicy", "DeleteRolePolicy", "DeleteRole"];
    let is_removal = |call: &&aws_sim::Call| names.contains(&call.operation.as_str()) && call.took_effect;
    lab.aws.world(|world| world.calls().iter().filter(is_removal).map(|call| call.operation.clone()).collect())
}

/// Behaviour 30, in whatever order they are deleted.
#[test]
fn rule_then_grant_then_role() {
    for first in [ROLES, CACHES] {
        run(1_050, async |lab| {
            set(lab).await;
            lab.delete(first, "team-a", "mirror");
            if first == ROLES {
                lab.until_reason(ROLES, "team-a", "mirror", "DeletionBlocked").await;
                let told = lab.message(ROLES, "team-a", "mirror", "Ready");
                assert!(told.contains("mirror"), "{told}");
                lab.pass(Duration::from_secs(600)).await;
                assert!((our_role(lab).is_some(), lab.statements(B).len()) == (true, 1), "a rule still pulls by it");
                assert!(removals(lab).is_empty());
            }
            let second = if first == ROLES { CACHES } else { ROLES };
            lab.delete(second, "team-a", "mirror");
            until_gone(lab, CACHES).await;
            until_gone(lab, ROLES).await;
            let order = ["DeletePullThroughCacheRule", "DeleteRegistryPolicy", "DeleteRolePolicy", "DeleteRole"];
            assert_eq!(removals(lab), order);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 28: what others hung on the role keeps it, and is named.
#[test]
fn attachments_of_others_keep_a_role() {
    run(1_051, async |lab| {
        set(lab).await;
        let name = our_role(lab).unwrap().name;
        let theirs = lab.aws.world(|world| {
            let arn = world.add_managed_policy(A, "theirs", r#"{"Version":"2012-10-17","Statement":[]}"#);
            world.edit_role(A, &name, |role| role.attached_policies.extend([arn.clone()]));
            arn
        });
        lab.delete(CACHES, "team-a", "mirror");
        lab.delete(ROLES, "team-a", "mirror");
        until_gone(lab, CACHES).await;
        lab.until("it names them", |lab| lab.message(ROLES, "team-a", "mirror", "Ready").contains(&theirs)).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror").1, "DeletionBlocked");
        assert_eq!(lab.statements(B), Vec::<Value>::new(), "the grant has gone meanwhile");
        lab.aws.world(|world| world.edit_role(A, &name, |role| role.attached_policies.clear()));
        lab.pass(Duration::from_secs(600)).await;
        until_gone(lab, ROLES).await;
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// Retain: role and grant stay in AWS, under marks that are not ours.
#[test]
fn what_is_retained_stays_and_is_nobodys() {
    run(1_052, async |lab| {
        set(lab).await;
        lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Retain"));
        lab.set(ROLES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Retain"));
        until_all_ready(lab).await;
        let made = our_role(lab).unwrap();
        lab.delete(ROLES, "team-a", "mirror");
        lab.delete(CACHES, "team-a", "mirror");
        until_gone(lab, ROLES).await;
        until_gone(lab, CACHES).await;
        let left = our_role(lab).unwrap();
        assert_eq!((left.id, left.tags.len()), (made.id, 0));
        let statements = lab.statements(B);
        assert!(
            statements.len() == 1 && statements[0]["Sid"].as_str().unwrap().starts_with("Retained"),
            "{statements:?}"
        );
        lab.rules.rule_of_others(A, "mirror");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: an object that is gone without a word leaves orphans in both registries, which go by a person's word.
#[test]
fn who_vanishes_leaves_role_and_grant_until_they_are_pruned() {
    run(1_053, async |lab| {
        set(lab).await;
        lab.delete(CACHES, "team-a", "mirror");
        until_gone(lab, CACHES).await;
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        for registry in ["default", "upstream"] {
            lab.until("it is reported", |lab| {
                lab.message("registries", "", registry, "Orphaned").contains("team-a/mirror")
            })
            .await;
        }
        lab.pass(Duration::from_secs(1_200)).await;
        assert!((our_role(lab).is_some(), lab.statements(B).len()) == (true, 1), "nobody said that they go");
        // Asked for in the wrong order, it waits for the right one.
        for registry in ["default", "upstream"] {
            let token = lab.prune_token(registry);
            lab.annotate("registries", "", registry, "ecr-permissions.dev/prune", &token);
            lab.pass(Duration::from_secs(30)).await;
        }
        lab.pass(Duration::from_secs(600)).await;
        lab.until("both are gone", |lab| our_role(lab).is_none() && lab.statements(B).is_empty()).await;
        lab.until("nothing is left to say", |lab| {
            ["default", "upstream"]
                .iter()
                .all(|registry| lab.message("registries", "", registry, "Orphaned").is_empty())
        })
        .await;
        lab.assert_at_rest().await;
    });
}

/// Suspended: what there is stays, whatever the spec says by then; consent withdrawn takes it away all the same.
#[test]
fn a_suspended_role_changes_nothing() {
    run(1_054, async |lab| {
        set(lab).await;
        lab.set(ROLES, "team-a", "mirror", "/spec/suspend", &json!(true));
        lab.until("it is told", |lab| lab.has_reason(ROLES, "team-a", "mirror", "Suspended")).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror").0, "True", "as last proven");
        let (made, grants) = (our_role(lab), lab.statements(B));
        lab.set(ROLES, "team-a", "mirror", "/spec/upstreams/0/repositories", &json!(["other/*"]));
        lab.pass(Duration::from_secs(600)).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror"), ("Unknown".to_owned(), "Suspended".to_owned()));
        assert_eq!((our_role(lab), lab.statements(B)), (made, grants));
        lab.set("registries", "", "upstream", "/spec/allow", &json!([]));
        lab.until("the grant goes", |lab| lab.statements(B).is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 8: under Observe nothing is written, in either account, and what would be stands in the plan.
#[test]
fn under_observe_the_plan_says_what_would_be_done() {
    for observed in ["default", "upstream"] {
        run(1_055, async |lab| {
            two_registries(lab);
            lab.settle().await;
            lab.set("registries", "", observed, "/spec/management", &json!("Observe"));
            lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
            lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
            lab.pass(Duration::from_secs(600)).await;
            let plan = lab.kube.get("registries", "", observed).unwrap()["status"]["plan"]["steps"].to_string();
            let step = if observed == "default" { "+ role Ecp" } else { "+ statement" };
            assert!(plan.contains(step), "{plan}");
            assert_eq!(lab.statements(B), Vec::<Value>::new());
            assert_eq!(our_role(lab).is_some(), observed == "upstream");
            assert_eq!(lab.ready(ROLES, "team-a", "mirror").0, "Unknown");
            lab.assert_at_rest().await;
            lab.set("registries", "", observed, "/spec/management", &json!("Enforce"));
            until_all_ready(lab).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 41: either ledger is lost, and nobody loses anything: tags and Sids tell whose what is.
#[test]
fn a_lost_ledger_loses_no_role_and_no_grant() {
    for lost in ["default", "upstream"] {
        run(1_056, async |lab| {
            set(lab).await;
            let (made, grants) = (our_role(lab), lab.statements(B));
            let writes = lab.aws_writes_of(A) + lab.aws_writes_of(B);
            lab.stop();
            lab.kube.edit("registries", "", lost, |object| object["status"] = json!({})).unwrap();
            lab.start().await;
            lab.pass(Duration::from_secs(600)).await;
            assert_eq!((our_role(lab), lab.statements(B)), (made, grants));
            assert_eq!(lab.aws_writes_of(A) + lab.aws_writes_of(B), writes);
            until_all_ready(lab).await;
            lab.assert_at_rest().await;
            lab.delete(CACHES, "team-a", "mirror");
            lab.delete(ROLES, "team-a", "mirror");
            until_gone(lab, ROLES).await;
            until_gone(lab, CACHES).await;
            assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
            lab.assert_at_rest().await;
        });
    }
}

/// A Registry stays as long as something of a guest is in its policy.
#[test]
fn a_registry_that_is_deleted_waits_for_its_guests() {
    run(1_057, async |lab| {
        set(lab).await;
        lab.delete("registries", "", "upstream");
        lab.pass(Duration::from_secs(600)).await;
        assert!(lab.exists("registries", "", "upstream") && lab.statements(B).len() == 1, "it serves until then");
        lab.delete(CACHES, "team-a", "mirror");
        lab.delete(ROLES, "team-a", "mirror");
        until_gone(lab, ROLES).await;
        lab.until("it goes", |lab| !lab.exists("registries", "", "upstream")).await;
        assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
        lab.assert_at_rest().await;
    });
}
