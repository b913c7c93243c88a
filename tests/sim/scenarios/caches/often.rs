//! What AWS is asked for once in a while, however often passes run.

use std::time::Duration;

use super::*;
use crate::lab::B;
use crate::lab::objects::{POLICIES, pull};
use crate::lab::run;

/// How often each of these was called.
fn calls(lab: &Lab, operations: &[&str]) -> Vec<usize> {
    operations.iter().map(|operation| lab.aws_writes(operation)).collect()
}

const ASKED: [&str; 3] = ["ValidatePullThroughCacheRule", "DescribeRepositories", "DescribeSecret"];

/// Behaviour 54: somebody who may have nothing edits an object every second; a login to the upstream is no answer to that.
#[test]
fn an_outsider_that_edits_makes_nobody_log_in_to_upstreams() {
    run(890, async |lab| {
        lab.two_teams();
        set_registry(lab, "allow/0/namespaces", &json!({"names": ["team-a"]}));
        create_secret(lab, SECRET);
        lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        lab.apply(&caching("team-a/quay", &json!({"type": "Quay"})));
        until_ready(lab, &["team-a/hub"]).await;
        until_reason(lab, "team-a/quay", "RepositoriesExist").await;
        lab.settle().await;
        let before = calls(lab, &ASKED);
        for n in 0..300 {
            lab.apply(&pull("team-b", "outside", "default", &[B], &format!("o{n}/*")));
            lab.pass(Duration::from_secs(1)).await;
        }
        assert!(lab.has_reason(POLICIES, "team-b", "outside", "NotAllowed"), "{}", lab.describe());
        for (what, (before, after)) in ASKED.iter().zip(before.into_iter().zip(calls(lab, &ASKED))) {
            assert!(after - before <= 2, "{what} was called {} times in 300 seconds", after - before);
        }

        // An edit of what is asked about is answered soon, a person's request at once.
        lab.aws.world(|world| world.delete_repository(A, REGION, "quay/app"));
        lab.apply(&with(
            caching("team-a/quay", &json!({"type": "Quay"})),
            "/spec/pullers",
            &json!({"accountIds": [PULLER]}),
        ));
        lab.pass(Duration::from_secs(7)).await;
        until_ready(lab, &["team-a/quay"]).await;
        lab.aws.world(|world| world.delete_secret(A, REGION, SECRET));
        lab.reconcile_now("default");
        lab.pass(Duration::from_secs(2)).await;
        assert_eq!(reason(lab, "team-a/hub"), "SecretNotFound", "{}", lab.describe());
        create_secret(lab, SECRET);
        lab.reconcile_now("default");
        lab.pass(Duration::from_secs(2)).await;
        until_ready(lab, &["team-a/hub"]).await;
        lab.assert_at_rest().await;
    });
}
