//! What a write rests on is asked for where it leaves: a watch may be late without anybody noticing, and a pod that is cut
//! off adds nothing (behaviours 34, 41).

use std::time::Duration;

use kube_sim::{Fault, Kinds, Matching, Outage, Phase};
use serde_json::json;

use crate::lab::objects::{CACHES, POLICIES, ROLES, cache, pull, registry, role, with};
use crate::lab::{A, B, Lab, REGION, run};

const C: &str = "444444444444";
const D: &str = "555555555555";
const INTERVAL: Duration = Duration::from_secs(301);

/// A watch that stands still is noticed where it matters: what was suspended meanwhile writes nothing, and what was edited
/// is acted on as it is now.
#[test]
fn a_frozen_watch_of_registries_is_noticed_before_a_write() {
    for suspended in [true, false] {
        run(20, async |lab| {
            lab.two_pulls(B, C).await;
            let writes = lab.aws_writes_of(A);
            lab.kube.freeze_watches(Kinds::only(&["registries"]));
            if suspended {
                lab.set("registries", "", "default", "/spec/suspend", &json!(true));
            } else {
                lab.set("registries", "", "default", "/spec/interval", &json!("7m"));
            }
            lab.pass(Duration::from_secs(90)).await;
            lab.delete(POLICIES, "team-a", "pull");
            lab.apply(&pull("team-b", "new", "default", &[D], "team-b/new"));
            lab.pass(Duration::from_secs(15)).await;
            assert_eq!(lab.may_pull(B, "team-a/app"), suspended, "{suspended}\n{}", lab.describe());
            assert_eq!(lab.may_pull(D, "team-b/new"), !suspended, "{suspended}");
            assert_eq!(lab.aws_writes_of(A) == writes, suspended);
            lab.kube.thaw_watches();
            lab.settle().await;
        });
    }
}

/// A pod that is cut off from its API server adds nothing, not even what somebody took from AWS: it may have been revoked.
#[test]
fn whoever_cannot_ask_the_api_server_repairs_nothing() {
    run(21, async |lab| {
        lab.two_pulls(B, C).await;
        lab.kube.outage(Some(Outage::Unavailable));
        lab.aws.world(|world| world.delete_policy(A, REGION));
        let writes = lab.aws_writes_of(A);
        lab.pass(INTERVAL).await;
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes_of(A), writes, "{}", lab.describe());
        lab.kube.outage(None);
        lab.pass(2 * INTERVAL).await;
        assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app"), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// An answer is good for ten seconds, however long the writes it was asked for wait for their turn.
#[test]
fn an_answer_is_asked_for_again_while_writes_wait_for_their_turn() {
    run(22, async |lab| {
        lab.two_pulls(B, C).await;
        let external =
            json!([{"name": "up", "external": {"accountId": B, "region": REGION}, "repositories": ["base/*"]}]);
        for i in 0..120 {
            lab.apply(&with(role("team-a", &format!("role-{i}"), "none", &["base/*"]), "/spec/upstreams", &external));
        }
        lab.until("roles are being made", |lab| lab.aws_writes("CreateRole") > 10).await;
        lab.kube.freeze_watches(Kinds::only(&["registries"]));
        lab.set("registries", "", "default", "/spec/suspend", &json!(true));
        lab.pass(Duration::from_secs(11)).await;
        let writes = lab.aws_writes_of(A);
        lab.pass(Duration::from_secs(20)).await;
        let made = lab.aws_writes("CreateRole");
        assert_eq!(lab.aws_writes_of(A), writes, "written to a suspended registry");
        assert!(made < 120, "all were made before the answer was too old");
        lab.kube.thaw_watches();
        lab.set("registries", "", "default", "/spec/suspend", &json!(false));
        lab.until("all are made", |lab| lab.is_ready(ROLES, "team-a", "role-119")).await;
    });
}

/// One tenant's statuses that hang keep nobody from being asked about, nor from being put on record.
#[test]
fn a_question_waits_for_no_status_that_hangs() {
    run(23, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&registry("other", B));
        lab.apply(&pull("team-b", "edited", "other", &[C], "team-b/*"));
        let names: Vec<_> = (0..40).map(|i| format!("hangs-{i}")).collect();
        for name in &names {
            lab.apply(&pull("team-a", name, "default", &[C], &format!("{name}/*")));
        }
        lab.until("all are Ready", |lab| names.iter().all(|name| lab.is_ready(POLICIES, "team-a", name))).await;
        lab.settle().await;
        let statuses = || Matching::writes().resource(POLICIES).status().name_prefix("hangs-");
        lab.kube.inject(statuses(), 1, 1_000, Fault::Hang(Phase::Before));
        lab.kube.forget_calls();
        for name in &names {
            lab.set(POLICIES, "team-a", name, "/spec/statements/0/principals/accountIds", &json!([D]));
        }
        let hanging = |lab: &Lab| lab.kube.calls().iter().filter(|call| statuses().matches(call)).count();
        lab.until("all turns are taken", |lab| hanging(lab) >= 32).await;
        lab.set(POLICIES, "team-b", "edited", "/spec/statements/0/principals/accountIds", &json!([C, D]));
        lab.pass(Duration::from_secs(5)).await;
        assert!(lab.may(D, "ecr:BatchGetImage", "team-b/app", B), "{}", lab.describe());
        lab.pass(Duration::from_secs(5)).await;
        assert!(
            lab.is_ready(POLICIES, "team-b", "edited"),
            "its own status waits for its turn, and not for the others"
        );
        lab.kube.clear_faults();
        lab.until("all are told", |lab| names.iter().all(|name| lab.is_ready(POLICIES, "team-a", name))).await;
        lab.settle().await;
    });
}

/// A rule that is made is asked for like a statement.
#[test]
fn a_rule_is_not_made_for_a_registry_that_was_suspended_unseen() {
    run(24, async |lab| {
        lab.two_teams();
        lab.apply(&cache("team-a", "first", "default", "first"));
        lab.until_ready_of(CACHES, &["team-a/first"]).await;
        lab.settle().await;
        lab.kube.freeze_watches(Kinds::only(&["registries"]));
        lab.set("registries", "", "default", "/spec/suspend", &json!(true));
        lab.apply(&cache("team-a", "second", "default", "second"));
        lab.pass(Duration::from_secs(90)).await;
        assert_eq!(lab.aws_writes("CreatePullThroughCacheRule"), 1, "{}", lab.describe());
        lab.kube.thaw_watches();
        lab.set("registries", "", "default", "/spec/suspend", &json!(false));
        lab.until_ready_of(CACHES, &["team-a/second"]).await;
        lab.assert_at_rest().await;
    });
}
