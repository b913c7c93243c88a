//! Sequences in which the rules were once broken, each found by thinking and not by luck.

use std::time::Duration;

use aws_sim::Trust;
use kube_sim::Kinds;
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, pull, with};
use crate::lab::{A, B, run};

const MINUTE: Duration = Duration::from_secs(60);
const C: &str = "333333333333";

fn statement(name: &str, effect: &str, repositories: &Value) -> Value {
    json!({
        "name": name, "effect": effect, "principals": {"accountIds": [B]},
        "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "repositories": repositories,
    })
}

/// Names that make a long statement, all within `team-a/`.
fn many(n: usize) -> Value {
    let name = |i| format!("team-a/{}-{i:03}", "long".repeat(20));
    (0..n).map(name).collect::<Vec<_>>().into()
}

/// Behaviour 29: the role is gone while somebody else writes; nobody is held up, and a role made again under the name
/// gets nothing until the object is edited.
#[test]
fn a_deleted_role_is_dropped_beside_somebody_elses_change_and_never_granted_again_by_name() {
    run(700, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.add_role(B, "puller", Trust::of([B])));
        let by_role = with(
            pull("team-a", "by-role", "default", &[], "team-a/*"),
            "/spec/statements/0/principals",
            &json!({"roles": [{"accountId": B, "name": "puller"}]}),
        );
        lab.apply(&by_role);
        lab.until_ready(&["team-a/by-role"]).await;
        lab.pass(6 * MINUTE).await;
        lab.aws.world(|world| world.delete_role(B, "puller"));
        lab.apply(&pull("team-b", "other", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-b/other"]).await;
        lab.until_reason(POLICIES, "team-a", "by-role", "PrincipalGone").await;
        lab.aws.world(|world| world.add_role(B, "puller", Trust::of([B])));
        lab.pass(12 * MINUTE).await;
        let again = format!("arn:aws:iam::{B}:role/puller");
        let may = |lab: &crate::lab::Lab| {
            lab.aws.world(|w| w.would(&again, "ecr:BatchGetImage", "team-a/app", A, crate::lab::REGION)).allowed
        };
        assert!(!may(lab), "granted again by name");
        assert_eq!(lab.ready(POLICIES, "team-a", "by-role").1, "PrincipalGone");
        lab.assert_at_rest().await;
        lab.set(POLICIES, "team-a", "by-role", "/spec/statements/0/repositories", &json!(["team-a/new/*"]));
        lab.until_ready(&["team-a/by-role"]).await;
        lab.delete(POLICIES, "team-a", "by-role");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "by-role")).await;
        lab.assert_at_rest().await;
    });
}

/// Rule 2: an edit that has no room leaves the denial where it was.
#[test]
fn a_refused_edit_of_a_denial_never_lifts_it() {
    run(701, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&with(
            pull("team-a", "both", "default", &[], "team-a/*"),
            "/spec/statements",
            &json!([
                statement("pull", "Allow", &json!(["team-a/*"])),
                statement("not", "Deny", &json!(["team-a/secret"]))
            ]),
        ));
        lab.until_ready(&["team-a/both"]).await;
        assert!(!lab.may_pull(B, "team-a/secret"));
        let mut longer = vec![Value::from("team-a/secret")];
        longer.extend(crate::lab::list(&many(95)));
        lab.set(POLICIES, "team-a", "both", "/spec/statements/1/repositories", &longer.into());
        lab.until_reason(POLICIES, "team-a", "both", "PolicyTooLarge").await;
        lab.settle().await;
        assert!(!lab.may_pull(B, "team-a/secret"), "the denial was lifted");
        assert!(lab.may_pull(B, "team-a/app"));
        for (_, after) in lab.document_writes(A).iter().skip(1) {
            assert!(after.as_ref().is_some_and(|after| after.contains("\"Deny\"")), "a write lifted the denial");
        }
        lab.assert_at_rest().await;
    });
}

/// Behaviour 14: what is within somebody's wider grant is growth all the same; it is refused alone.
#[test]
fn a_long_object_within_a_wide_grant_holds_up_nobody() {
    run(702, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&pull("team-a", "wide", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-b", "leaving", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-a/wide", "team-b/leaving"]).await;
        lab.apply(&with(
            pull("team-a", "long", "default", &[B], "team-a/*"),
            "/spec/statements/0/repositories",
            &many(100),
        ));
        lab.until_reason(POLICIES, "team-a", "long", "PolicyTooLarge").await;
        lab.delete(POLICIES, "team-b", "leaving");
        lab.until("the other has left", |lab| !lab.exists(POLICIES, "team-b", "leaving")).await;
        assert!(!lab.may_pull(C, "team-b/app"));
        assert!(lab.is_ready(POLICIES, "team-a", "wide"));
        lab.assert_at_rest().await;
    });
}

/// A narrowing edit that makes a longer text than there is room for: its object loses what it gave up and what has no room,
/// and only this object says so.
#[test]
fn a_narrower_text_that_has_no_room_is_one_objects_trouble() {
    run(703, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&pull("team-a", "wide", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-b", "other", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-a/wide", "team-b/other"]).await;
        lab.set(POLICIES, "team-a", "wide", "/spec/statements/0/repositories", &many(100));
        lab.until_reason(POLICIES, "team-a", "wide", "PolicyTooLarge").await;
        lab.set(POLICIES, "team-b", "other", "/spec/statements/0/repositories", &json!(["team-b/one"]));
        lab.until_ready(&["team-b/other"]).await;
        assert!(!lab.may_pull(C, "team-b/two") && lab.may_pull(C, "team-b/one"));
        assert!(!lab.may_pull(B, "team-a/app"), "given up");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: the watch of Registries lags behind two of our own writes; nothing is decided on what it shows.
#[test]
fn a_late_watch_of_the_ledger_withdraws_nothing() {
    run(704, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "first", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/first"]).await;
        lab.settle().await;
        lab.kube.freeze_watches(Kinds::only(&["registries", "registryledgers"]));
        lab.apply(&pull("team-b", "new", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-b/new"]).await;
        lab.set(POLICIES, "team-b", "new", "/spec/suspend", &json!(true));
        lab.until_reason(POLICIES, "team-b", "new", "Suspended").await;
        lab.pass(MINUTE).await;
        assert!(lab.may_pull(C, "team-b/app"), "withdrawn on an old ledger");
        lab.kube.thaw_watches();
        lab.settle().await;
        assert!(lab.may_pull(C, "team-b/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 37, and no loop: an object whose time to be tried again has come, and that does not want to be.
#[test]
fn a_refused_object_that_is_suspended_is_not_asked_about_all_the_time() {
    run(705, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-b", "fine", "default", &[C], "team-b/*"));
        let ghost = with(
            pull("team-a", "ghost", "default", &[], "team-a/*"),
            "/spec/statements/0/principals",
            &json!({"roles": [{"accountId": B, "name": "ghost"}]}),
        );
        lab.apply(&ghost);
        lab.until_reason(POLICIES, "team-a", "ghost", "Propagating").await;
        lab.set(POLICIES, "team-a", "ghost", "/spec/suspend", &json!(true));
        lab.until_reason(POLICIES, "team-a", "ghost", "Suspended").await;
        let before = lab.aws_calls(A);
        lab.pass(10 * MINUTE).await;
        assert!(lab.aws_calls(A) - before < 60, "{} calls in ten minutes", lab.aws_calls(A) - before);
        lab.assert_at_rest().await;
    });
}

/// A request that is longer than a status may echo is a request all the same, and answered once.
#[test]
fn a_long_request_to_reconcile_is_answered_and_not_repeated() {
    run(706, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        let long = "x".repeat(3000);
        lab.annotate(POLICIES, "team-a", "pull", "reconcile.ecr-permissions.dev/requestedAt", &long);
        lab.settle().await;
        let object = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
        assert_eq!(object["status"]["lastHandledReconcileAt"].as_str().map(str::len), Some(256));
        lab.assert_at_rest().await;
    });
}

/// A token that was used says nothing about an object of the same name that is lost later.
#[test]
fn a_used_prune_token_prunes_nothing_again() {
    run(707, async |lab| {
        lab.two_teams();
        let object = pull("team-a", "lost", "default", &[B], "team-a/*");
        for time in 0..2 {
            lab.apply(&object);
            lab.until_ready(&["team-a/lost"]).await;
            lab.kube.vanish(POLICIES, "team-a", "lost").unwrap();
            lab.kube.relist(&Kinds::All);
            let orphaned = |lab: &crate::lab::Lab| lab.message("registries", "", "default", "Orphaned");
            lab.until("the orphan is reported", |lab| orphaned(lab).contains("lost")).await;
            lab.settle().await;
            assert!(lab.may_pull(B, "team-a/app"), "pruned by a token of an earlier time ({time})");
            let token = lab.prune_token("default");
            lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", &token);
            lab.until("it is pruned", |lab| !lab.may_pull(B, "team-a/app")).await;
        }
        lab.assert_at_rest().await;
    });
}

/// The same for statements that no object is on record for: they carry no uid that would tell one loss from the next.
#[test]
fn a_used_prune_token_prunes_nothing_nameless_again() {
    run(710, async |lab| {
        lab.two_teams();
        let object = pull("team-a", "lost", "default", &[B], "team-a/*");
        for time in 0..2 {
            lab.apply(&object);
            lab.until_ready(&["team-a/lost"]).await;
            lab.stop();
            lab.kube.vanish(POLICIES, "team-a", "lost").unwrap();
            lab.lose_ledger("default");
            lab.start().await;
            let orphaned = |lab: &crate::lab::Lab| lab.message("registries", "", "default", "Orphaned");
            lab.until("the orphan is reported", |lab| orphaned(lab).contains("belong to no object")).await;
            lab.settle().await;
            assert!(lab.may_pull(B, "team-a/app"), "pruned by a token of an earlier time ({time})");
            let token = lab.prune_token("default");
            lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", &token);
            lab.until("it is pruned", |lab| !lab.may_pull(B, "team-a/app")).await;
            lab.settle().await;
        }
        lab.assert_at_rest().await;
    });
}

/// A read that comes late after a write makes nobody's readiness flap.
#[test]
fn a_late_read_after_a_write_leaves_everybody_else_alone() {
    run(708, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "still", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/still"]).await;
        lab.settle().await;
        let version = |lab: &crate::lab::Lab| {
            lab.kube.get(POLICIES, "team-a", "still").unwrap()["metadata"]["resourceVersion"].clone()
        };
        let before = version(lab);
        let late = aws_sim::Fault::stale_read().on("GetRegistryPolicy").skipping(1).times(3);
        lab.aws.world(|world| world.inject(late));
        lab.apply(&pull("team-b", "new", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-b/new"]).await;
        assert_eq!(version(lab), before);
        lab.assert_at_rest().await;
    });
}
