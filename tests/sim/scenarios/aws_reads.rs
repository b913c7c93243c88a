//! AWS answers late, twice, wrongly or not at all (behaviours 12, 37).

use std::time::Duration;

use aws_sim::Fault;
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, REGISTRIES, condition, namespace, pull, registry};
use crate::lab::{A, B, Lab, REGION, list, run};

pub(super) const C: &str = "444444444444";
pub(super) const D: &str = "555555555555";
const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"ecr:ReplicateImage","Resource":"*"}]}"#;
pub(super) const INTERVAL: Duration = Duration::from_secs(301);
const GET: &str = "GetRegistryPolicy";
pub(super) const PUT: &str = "PutRegistryPolicy";

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two objects beside a foreign statement, Ready and at rest; every call takes a tenth of a second.
pub(super) async fn standing(lab: &mut Lab) {
    lab.aws.world(|world| {
        world.put_policy(A, REGION, FOREIGN);
        world.set_delay(Duration::from_millis(100), Duration::ZERO);
    });
    lab.two_teams();
    lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
    lab.apply(&pull("team-b", "pull", "default", &[C], "team-b/*"));
    lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
    lab.settle().await;
}

pub(super) fn is_ours(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("Ecp"))
}

/// The statement of ours that speaks of a repository.
pub(super) fn ours_of(lab: &Lab, repository: &str) -> Option<Value> {
    lab.statements(A).into_iter().find(|s| is_ours(s) && s["Resource"].to_string().contains(repository))
}

/// Another hand changes the statements of registry A.
pub(super) fn foreign_edit(lab: &Lab, edit: impl FnOnce(&mut Vec<Value>)) {
    let mut all = lab.statements(A);
    edit(&mut all);
    let document = json!({"Version": "2012-10-17", "Statement": all});
    lab.aws.world(|world| world.put_policy(A, REGION, &document.to_string()));
}

/// The reason of the Registry's `Ready`.
pub(super) fn says(lab: &Lab) -> String {
    lab.ready(REGISTRIES, "", "default").1
}

/// Behaviour 12, aws-facts K.3: a read that is behind our own write is waited for, not answered with another Put.
#[test]
fn a_read_that_is_late_is_not_taken_for_a_change() {
    for late in [1, 2, 4] {
        run(1, async |lab| {
            standing(lab).await;
            let (puts, calls) = (lab.aws_writes(PUT), lab.aws_calls(A));
            lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
            lab.until("it is written", |lab| lab.aws_writes(PUT) > puts && lab.may_pull(D, "more/app")).await;
            lab.aws.world(|world| world.inject(Fault::stale_read().on(GET).times(late)));
            assert!(!lab.is_ready(POLICIES, "team-a", "more"), "a proof before the read after the write");
            lab.until_ready(&["team-a/more"]).await;
            lab.settle().await;
            assert_eq!(lab.aws_writes(PUT), puts + 1, "{}", lab.describe());
            assert!(lab.aws_calls(A) - calls <= 30, "{} calls", lab.aws_calls(A) - calls);
            lab.assert_at_rest().await;
        });
    }
}

/// Rule 2: what was taken away does not come back because AWS shows it again, however often, or because another tool
/// puts an old document back.
#[test]
fn what_was_withdrawn_is_not_granted_again_by_a_late_read() {
    for (put_back, restarted) in [(false, false), (true, false), (false, true)] {
        run(18, async |lab| {
            standing(lab).await;
            let before = lab.statements(A);
            lab.apply(&pull("team-a", "pull", "default", &[D], "team-a/*"));
            lab.until_ready(&["team-a/pull"]).await;
            if put_back {
                foreign_edit(lab, |all| *all = before);
                assert!(lab.may_pull(B, "team-a/app"));
            } else {
                if restarted {
                    lab.restart().await;
                }
                lab.aws.world(|world| world.inject(Fault::stale_read().on(GET).times(4)));
            }
            lab.pass(seconds(30)).await;
            lab.pass(INTERVAL).await;
            assert!(!lab.may_pull(B, "team-a/app"), "{}", lab.describe());
            assert!(lab.may_pull(D, "team-a/app") && lab.is_ready(POLICIES, "team-a", "pull"));
            assert_eq!(says(lab), "Succeeded");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 12, aws-facts K.3: a policy that seems to be gone is looked at again before anything is written over it.
#[test]
fn a_false_not_found_is_not_believed() {
    for first_pass in [false, true] {
        for busy in [false, true] {
            run(2, async |lab| {
                let nothing = Fault::nothing_there().on(GET).once();
                if first_pass {
                    // Before anything is known of the registry.
                    lab.aws.world(|world| world.put_policy(A, REGION, FOREIGN));
                    lab.aws.world(|world| world.inject(nothing));
                    lab.two_teams();
                } else {
                    standing(lab).await;
                    lab.aws.world(|world| world.inject(nothing));
                }
                let puts = lab.aws_writes(PUT);
                if busy {
                    lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
                    lab.until_ready(&["team-a/more"]).await;
                } else {
                    lab.reconcile_now("default");
                }
                lab.settle().await;
                assert_eq!(lab.aws_writes(PUT), puts + usize::from(busy), "{}", lab.describe());
                assert_eq!(lab.statements(A)[0]["Sid"], "theirs");
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviour 12, aws-facts K.2: nobody knows whether the Put happened, and no answer of it is needed.
#[test]
fn a_put_whose_outcome_is_unknown_is_looked_for() {
    let faults = || {
        [
            Fault::hang(),
            Fault::reset(),
            Fault::error(500, "ServerException", "sim"),
            Fault::error(503, "ServiceUnavailable", "sim"),
            Fault::delay(seconds(14)),
        ]
    };
    for n in 0..faults().len() {
        for after in [false, true] {
            run(3, async |lab| {
                standing(lab).await;
                let (puts, calls) = (lab.aws_writes(PUT), lab.aws_calls(A));
                let fault = faults()[n].clone().on(PUT).once();
                lab.aws.world(|world| world.inject(if after { fault.after_effect() } else { fault }));
                lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
                lab.until_ready(&["team-a/more"]).await;
                lab.settle().await;
                // A Put that took effect is not repeated; one that is only late may be.
                let most = if after { 1 } else { 2 };
                assert!(lab.aws_writes(PUT) - puts <= most, "fault {n}, {after}\n{}", lab.describe());
                assert!(lab.aws_calls(A) - calls <= 30, "{} calls", lab.aws_calls(A) - calls);
                assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app"));
                lab.assert_at_rest().await;
            });
        }
    }
}

/// The last statement goes with the policy, and nobody hears of it.
#[test]
fn a_delete_whose_outcome_is_unknown_is_looked_for() {
    for after in [false, true] {
        run(4, async |lab| {
            lab.two_teams();
            lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
            lab.until_ready(&["team-a/pull"]).await;
            lab.settle().await;
            let fault = Fault::reset().on("DeleteRegistryPolicy").once();
            lab.aws.world(|world| world.inject(if after { fault.after_effect() } else { fault }));
            lab.delete(POLICIES, "team-a", "pull");
            lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
            assert_eq!(lab.policy(A), None);
            assert_eq!(lab.aws_writes("DeleteRegistryPolicy"), if after { 1 } else { 2 });
            lab.assert_at_rest().await;
        });
    }
}

/// aws-facts K.16: a throttled account is asked less, and served in the end.
#[test]
fn throttling_slows_down_and_loses_nothing() {
    run(5, async |lab| {
        standing(lab).await;
        let calls = lab.aws_calls(A);
        lab.aws.world(|world| world.set_throttle(A, REGION, 0.2, 1));
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until("it says so", |lab| says(lab) == "Throttled").await;
        lab.pass(seconds(600)).await;
        assert!(lab.aws_calls(A) - calls <= 200, "{} calls in ten minutes", lab.aws_calls(A) - calls);
        lab.aws.world(|world| world.clear_throttle(A, REGION));
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "more"), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 12: writes to one registry never overlap, however much is asked for.
#[test]
fn writes_to_one_registry_never_overlap() {
    run(7, async |lab| {
        standing(lab).await;
        let slow = Duration::from_millis(800);
        lab.aws.world(|world| world.set_delay(slow, Duration::ZERO));
        let (mark, since) = (lab.aws_writes(PUT), lab.clock.now());
        for n in 0..12 {
            lab.apply(&pull("team-a", &format!("p{n}"), "default", &[D], &format!("p{n}/*")));
            lab.pass(Duration::from_millis(333)).await;
        }
        lab.until_ready(&["team-a/p0", "team-a/p11"]).await;
        let puts = lab.aws.world(|world| {
            world.calls().iter().filter(|c| c.operation == PUT && c.at >= since).map(|c| c.at).collect::<Vec<_>>()
        });
        assert!(puts.len() > 1 && puts.len() == lab.aws_writes(PUT) - mark);
        assert!(puts.windows(2).all(|two| two[1].saturating_sub(two[0]) >= slow), "{puts:?}");
        lab.aws.world(|world| world.set_delay(Duration::ZERO, Duration::ZERO));
        lab.assert_at_rest().await;
    });
}

/// AWS answers something else than was written, again and again: stop, and say so.
#[test]
fn what_reads_back_differently_twice_is_not_written_a_third_time() {
    run(15, async |lab| {
        standing(lab).await;
        let puts = lab.aws_writes(PUT);
        lab.tamper_with_reads(|text| text.replace("repository/more/*", "repository/less/*"));
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until("it says so", |lab| says(lab) == "ReadbackDiffers").await;
        assert_eq!(lab.aws_writes(PUT), puts + 2, "{}", lab.describe());
        assert!(!lab.is_ready(POLICIES, "team-a", "more"));
        lab.pass(INTERVAL * 2).await;
        assert_eq!(lab.aws_writes(PUT), puts + 2, "{}", lab.describe());
        lab.assert_at_rest().await;
        // An edit is another document, and is tried.
        lab.apply(&pull("team-a", "more", "default", &[D], "much/*"));
        lab.until_ready(&["team-a/more"]).await;
        assert!(lab.may_pull(D, "much/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviours 12 and 37: an account that is slow and stale all day long still ends right, and the other one is not slowed.
#[test]
fn unreliable_reads_never_lose_a_statement() {
    for seed in 20..40 {
        run(seed, async |lab| {
            standing(lab).await;
            lab.apply(&registry("other", B));
            lab.apply(&namespace("team-c"));
            let faults = [
                Fault::stale_read().on(GET).with_probability(0.3),
                Fault::error(500, "ServerException", "sim").after_effect().with_probability(0.1),
                Fault::reset().with_probability(0.05),
            ];
            lab.aws.world(|world| faults.map(|fault| world.inject(fault.in_account(A).times(60))));
            // Never two in a row: what two reads say is believed.
            for n in 0..8 {
                lab.aws
                    .world(|world| world.inject(Fault::nothing_there().on(GET).in_account(A).skipping(7 * n).once()));
            }
            for n in 0..6 {
                lab.apply(&pull("team-a", &format!("p{n}"), "default", &[D], &format!("p{n}/*")));
                lab.pass(seconds(3)).await;
            }
            lab.apply(&pull("team-c", "pull", "other", &[D], "team-c/*"));
            lab.until("the other is Ready", |lab| lab.is_ready(POLICIES, "team-c", "pull")).await;
            lab.pass(INTERVAL).await;
            lab.aws.world(aws_sim::World::clear_faults);
            lab.pass(INTERVAL * 2).await;
            for n in 0..6 {
                assert!(lab.is_ready(POLICIES, "team-a", &format!("p{n}")), "{}", lab.describe());
            }
            assert!(list(&json!(lab.statements(A))).iter().any(|s| s["Sid"] == "theirs"), "{}", lab.describe());
            assert_eq!(condition(&lab.kube.get(REGISTRIES, "", "default").unwrap(), "Orphaned").0, "");
            lab.assert_at_rest().await;
        });
    }
}
