//! What cannot be reached or read: an API server that is away, a policy that is no policy.

use std::time::Duration;

use crate::lab::objects::{POLICIES, condition, pull};
use crate::lab::{A, B, Lab, REGION, run};

const OTHER: &str = "333333333333";
const NOW: &str = "reconcile.ecr-permissions.dev/requestedAt";

fn one(lab: &Lab) {
    lab.two_teams();
    lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
}

async fn until_gone(lab: &mut Lab, name: &str) {
    lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", name)).await;
}

/// An API server that is out for minutes: nothing is withdrawn, AWS drifts and is put right, and all is told afterwards.
#[test]
fn an_api_server_out_for_minutes_withdraws_nothing() {
    for outage in [kube_sim::Outage::Unavailable, kube_sim::Outage::Refused] {
        run(670, async |lab| {
            one(lab);
            lab.until_ready(&["team-a/pull"]).await;
            lab.settle().await;
            let writes = lab.aws_writes_of(A);
            lab.kube.outage(Some(outage));
            lab.pass(Duration::from_secs(900)).await;
            assert_eq!(lab.aws_writes_of(A), writes, "nothing is decided on a view that is not there");
            assert!(lab.may_pull(B, "team-a/app"));
            lab.apply(&pull("team-b", "meanwhile", "default", &[OTHER], "team-b/*"));
            lab.delete(POLICIES, "team-a", "pull");
            lab.pass(Duration::from_secs(60)).await;
            assert!(lab.may_pull(B, "team-a/app"), "what nobody could say is not done");
            lab.kube.outage(None);
            lab.until_ready(&["team-b/meanwhile"]).await;
            until_gone(lab, "pull").await;
            assert!(!lab.may_pull(B, "team-a/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// An operator that starts while the API server is away waits for it.
#[test]
fn an_operator_that_starts_before_its_api_server_waits_for_it() {
    run(671, async |lab| {
        lab.kube.outage(Some(kube_sim::Outage::Refused));
        lab.restart().await;
        one(lab);
        lab.pass(Duration::from_secs(300)).await;
        lab.kube.outage(None);
        lab.until_ready(&["team-a/pull"]).await;
        lab.assert_at_rest().await;
    });
}

/// A policy in AWS that is no JSON, or cannot be written back without loss: nothing is written, everybody is told, and it
/// heals when somebody puts it right (behaviour 5).
#[test]
fn a_policy_that_cannot_be_read_is_left_alone() {
    let unreadable = ["", "{", "not JSON", r#"{"Statement": 42}"#, r#"{"Version":"2012-10-17","Statement":[1]}"#];
    for (i, text) in unreadable.into_iter().enumerate() {
        run(680 + i as u64, async |lab| {
            lab.two_teams();
            lab.aws.world(|world| world.put_policy(A, REGION, text));
            lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
            lab.until_reason(POLICIES, "team-a", "pull", "UnreadableDocument").await;
            assert_eq!(lab.ready(POLICIES, "team-a", "pull").0, "False");
            let registry = lab.kube.get("registries", "", "default").unwrap();
            assert_eq!(condition(&registry, "Ready"), ("False".to_owned(), "UnreadableDocument".to_owned()));
            lab.assert_at_rest().await;
            assert_eq!(lab.aws_writes_of(A), 0);
            assert_eq!(lab.aws.world(|world| world.policy_text(A, REGION)).as_deref(), Some(text), "untouched");

            lab.aws.world(|world| world.delete_policy(A, REGION));
            lab.annotate("registries", "", "default", NOW, "again");
            lab.until_ready(&["team-a/pull"]).await;
            lab.assert_at_rest().await;
        });
    }
}
