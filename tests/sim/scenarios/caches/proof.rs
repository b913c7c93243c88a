//! By what a rule is told to be the object's own: AWS's answer to Create, and AWS's clock against AWS's clock.

use std::time::Duration;

use aws_sim::Fault;

use super::*;
use crate::lab::run;

const DESCRIBE: &str = "DescribePullThroughCacheRules";
/// 2026-01-01, as the lab's clock begins.
const EPOCH: u64 = 1_767_225_600;

/// Behaviour 52: a rule of which AWS leaves something out is the object's all the same: the object says so, AWS is not written to without
/// end, and the rule goes with the object.
#[test]
fn a_rule_that_reads_back_otherwise_is_its_objects() {
    for omitted in ["upstreamRepositoryPrefix", "credentialArn", "createdAt"] {
        run(1_050, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            lab.aws.world(|world| world.omit_members(DESCRIBE, [omitted]));
            let mut upstream = docker_hub(SECRET);
            if omitted == "upstreamRepositoryPrefix" {
                upstream = with(private(A, "us-east-1"), "/ecr/repositoryPrefix", &json!("library"));
            }
            lab.apply(&caching("team-a/hub", &upstream));
            if omitted == "createdAt" {
                until_ready(lab, &["team-a/hub"]).await;
            } else {
                until_reason(lab, "team-a/hub", "ReadbackDiffers").await;
            }
            lab.pass(Duration::from_secs(1_200)).await;
            assert!(rule_writes(lab).len() <= 60, "{:?}", rule_writes(lab));
            delete(lab, "team-a/hub");
            until_gone(lab, "team-a/hub").await;
            assert_eq!(rule(lab, "hub"), None, "{omitted}: {}", lab.describe());
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 52: whatever this machine's clock says, also where nobody knows what the answer to Create was.
#[test]
fn a_clock_that_is_off_takes_nobodys_rule_away() {
    for (off, is_answered) in [(-150_i64, true), (-240, false), (90, true), (240, false)] {
        run(1_051, async |lab| {
            lab.two_teams();
            lab.aws.world(|world| world.set_epoch(EPOCH.saturating_add_signed(off)));
            if !is_answered {
                let lost = Fault::reset().on("CreatePullThroughCacheRule").after_effect().once();
                lab.aws.world(|world| world.inject(lost));
            }
            lab.apply(&cache("team-a", "hub", "default", "hub"));
            until_ready(lab, &["team-a/hub"]).await;
            delete(lab, "team-a/hub");
            until_gone(lab, "team-a/hub").await;
            assert_eq!(rule(lab, "hub"), None, "{off}: {}", lab.describe());
            lab.assert_at_rest().await;
        });
    }
}
