//! AWS answers late, twice, wrongly or not at all, and others write the same document.

use std::time::Duration;

use aws_sim::{Fault, Trust};
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, REGISTRIES, condition, namespace, pull, registry};
use crate::lab::{A, B, Lab, REGION, list, normal, run};

const C: &str = "444444444444";
const D: &str = "555555555555";
const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"ecr:ReplicateImage","Resource":"*"}]}"#;
const INTERVAL: Duration = Duration::from_secs(301);
const GET: &str = "GetRegistryPolicy";
const PUT: &str = "PutRegistryPolicy";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two objects beside a foreign statement, Ready and at rest; every call takes a tenth of a second.
async fn standing(lab: &mut Lab) {
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

fn is_ours(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("Ecp"))
}

/// The statement of ours that speaks of a repository.
fn ours_of(lab: &Lab, repository: &str) -> Option<Value> {
    lab.statements(A).into_iter().find(|s| is_ours(s) && s["Resource"].to_string().contains(repository))
}

/// Another hand changes the statements of registry A.
fn foreign_edit(lab: &Lab, edit: impl FnOnce(&mut Vec<Value>)) {
    let mut all = lab.statements(A);
    edit(&mut all);
    let document = json!({"Version": "2012-10-17", "Statement": all});
    lab.aws.world(|world| world.put_policy(A, REGION, &document.to_string()));
}

/// The reason of the Registry's `Ready`.
fn says(lab: &Lab) -> String {
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

/// Behaviour 12: what others do between two passes is theirs.
#[test]
fn a_foreign_edit_between_two_passes_is_kept() {
    run(6, async |lab| {
        standing(lab).await;
        let theirs =
            json!({"Effect": "Allow", "Principal": {"AWS": [D, C]}, "Action": ["ecr:ReplicateImage"], "Resource": "*"});
        foreign_edit(lab, |all| all.insert(0, theirs.clone()));
        foreign_edit(lab, |all| all.push(theirs.clone()));
        lab.apply(&pull("team-a", "pull", "default", &[D], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        let foreign = |lab: &Lab| lab.statements(A).iter().filter(|s| !is_ours(s)).map(normal).collect::<Vec<_>>();
        assert_eq!(foreign(lab).len(), 3);
        assert_eq!(foreign(lab)[0], normal(&theirs));
        // They take theirs away again, and it does not come back.
        foreign_edit(lab, |all| all.retain(is_ours));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        assert!(foreign(lab).is_empty());
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

/// Behaviour 12: another tool, that had read before our Put, writes after it.
#[test]
fn a_write_that_was_overtaken_is_noticed_by_the_second_look() {
    run(8, async |lab| {
        standing(lab).await;
        let before = lab.statements(A);
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until_ready(&["team-a/more"]).await;
        lab.pass(seconds(2)).await;
        let theirs =
            json!({"Sid": "new", "Effect": "Allow", "Principal": "*", "Action": "ecr:ReplicateImage", "Resource": "*"});
        foreign_edit(lab, |all| *all = before.into_iter().chain([theirs]).collect());
        assert!(!lab.may_pull(D, "more/app"));
        let overtaken = lab.clock.now();
        lab.until("it is restored", |lab| lab.may_pull(D, "more/app")).await;
        assert!(lab.clock.now().saturating_sub(overtaken) <= seconds(15));
        assert!(lab.statements(A).iter().any(|s| s["Sid"] == "new"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11: whatever happens to a statement of ours, it is back within the interval, and drift is told.
#[test]
fn a_statement_of_ours_that_was_changed_or_deleted_is_restored_within_the_interval() {
    type Edit = fn(&mut Vec<Value>);
    let edits: [Edit; 6] = [
        |all| all.retain(|s| !is_ours(s)),
        |all| drop(all.pop()),
        |all| all.last_mut().unwrap()["Principal"] = json!({"AWS": "arn:aws:iam::666666666666:root"}),
        |all| all.last_mut().unwrap()["Action"] = json!("ecr:BatchGetImage"),
        |all| all.last_mut().unwrap()["NotOurs"] = json!(true),
        |all| all.push(all.last().unwrap().clone()),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        run(9, async |lab| {
            standing(lab).await;
            let (was, puts) = (normal(&json!(lab.statements(A))), lab.aws_writes(PUT));
            foreign_edit(lab, edit);
            lab.pass(INTERVAL).await;
            assert_eq!(normal(&json!(lab.statements(A))), was, "edit {n}");
            assert_eq!(lab.statements(A).len(), 3, "edit {n}");
            assert_eq!(lab.aws_writes(PUT), puts + 1, "edit {n}");
            assert!(lab.metrics.text().contains("drift_detected_total{"), "{}", lab.metrics.text());
            assert!(lab.events().iter().any(|(_, reason)| reason == "DriftRepaired"), "edit {n}: {:?}", lab.events());
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 11: the policy itself is deleted.
#[test]
fn a_policy_that_was_deleted_is_restored_within_the_interval() {
    run(10, async |lab| {
        standing(lab).await;
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(INTERVAL).await;
        assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app"));
        assert_eq!(lab.statements(A).len(), 2, "what was theirs went by their own hand");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11: a Sid of ours that we wrote, over content that is not ours, goes with its object.
#[test]
fn changed_content_under_our_sid_goes_with_its_object() {
    run(11, async |lab| {
        standing(lab).await;
        foreign_edit(lab, |all| {
            let ours = all.iter_mut().find(|s| s["Resource"].to_string().contains("team-a"));
            ours.unwrap()["Principal"] = json!({"AWS": "arn:aws:iam::666666666666:root"});
        });
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(ours_of(lab, "team-a").is_none(), "{}", lab.describe());
        assert!(!lab.may_pull("666666666666", "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11 and 35: our mark on what we never wrote is no claim.
#[test]
fn a_forged_sid_is_left_alone_and_told() {
    run(12, async |lab| {
        standing(lab).await;
        let mut forged = ours_of(lab, "team-a").unwrap();
        let sid = forged["Sid"].as_str().unwrap();
        let other = if sid.as_bytes()[20] == b'a' { "b" } else { "a" };
        let sid = format!("{}{other}{}", &sid[..20], &sid[21..]);
        forged["Sid"] = json!(sid);
        forged["Principal"] = json!({"AWS": "arn:aws:iam::666666666666:root"});
        lab.rules.marked_by_others(&sid);
        foreign_edit(lab, |all| all.insert(1, forged.clone()));
        lab.pass(INTERVAL).await;
        assert_eq!(says(lab), "SidTampered");
        assert!(lab.message(REGISTRIES, "", "default", "Ready").contains(&sid));
        // The others are served beside it.
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until_ready(&["team-a/more"]).await;
        assert_eq!(normal(&lab.statements(A)[1]), normal(&forged));
        lab.assert_at_rest().await;
        foreign_edit(lab, |all| drop(all.remove(1)));
        lab.pass(INTERVAL).await;
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 12: whoever keeps overwriting us is named, and not fought.
#[test]
fn three_repairs_in_ten_minutes_are_the_last_for_a_while() {
    run(13, async |lab| {
        standing(lab).await;
        let sid = ours_of(lab, "team-a").unwrap()["Sid"].as_str().unwrap().to_owned();
        let (puts, began) = (lab.aws_writes(PUT), lab.clock.now());
        for _ in 0..12 {
            foreign_edit(lab, |all| all.retain(|s| !s["Resource"].to_string().contains("team-a")));
            lab.reconcile_now("default");
            lab.pass(seconds(20)).await;
        }
        assert_eq!(lab.aws_writes(PUT), puts + 3, "{}", lab.describe());
        assert_eq!(says(lab), "ContendedWriter");
        assert!(lab.message(REGISTRIES, "", "default", "Ready").contains(&sid));
        assert!(lab.is_ready(POLICIES, "team-b", "pull"), "who is left alone stays Ready");
        assert!(!lab.is_ready(POLICIES, "team-a", "pull"));
        // The other has stopped: within ten minutes of the first repair it is put back for good.
        lab.pass(seconds(660).saturating_sub(lab.clock.now().saturating_sub(began))).await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull"), "{}", lab.describe());
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 29: a deleted role is dropped and not given to whoever takes its name.
#[test]
fn a_principal_that_was_deleted_is_dropped_and_never_granted_again_by_name() {
    run(14, async |lab| {
        standing(lab).await;
        lab.aws.world(|world| world.add_role(B, "app", Trust::of([B])));
        let arn = format!("arn:aws:iam::{B}:role/app");
        let mut object = pull("team-a", "role", "default", &[D], "role/*");
        object["spec"]["statements"][0]["principals"]["roles"] = json!([{"accountId": B, "name": "app"}]);
        lab.apply(&object);
        lab.until_ready(&["team-a/role"]).await;
        let may = |lab: &Lab| lab.aws.world(|w| w.would(&arn, "ecr:BatchGetImage", "role/app", A, REGION)).allowed;
        assert!(may(lab));
        lab.pass(seconds(600)).await;
        lab.aws.world(|world| world.delete_role(B, "app"));
        lab.pass(INTERVAL).await;
        assert_eq!(lab.ready(POLICIES, "team-a", "role"), ("False".to_owned(), "PrincipalGone".to_owned()));
        assert!(lab.message(POLICIES, "team-a", "role", "Ready").contains(&arn));
        assert!(lab.may_pull(D, "role/app"), "only the dead one is dropped");
        assert!(!lab.policy(A).unwrap().to_string().contains("AROA"));
        assert!(lab.is_ready(POLICIES, "team-b", "pull"));
        lab.assert_at_rest().await;

        // Another role of that name gets nothing, not even from a fresh process.
        lab.aws.world(|world| world.add_role(B, "app", Trust::of([B])));
        lab.pass(INTERVAL).await;
        lab.restart().await;
        lab.pass(INTERVAL).await;
        assert!(!may(lab), "{}", lab.describe());
        assert_eq!(lab.ready(POLICIES, "team-a", "role").1, "PrincipalGone");
        lab.assert_at_rest().await;

        // Somebody says that it is meant.
        lab.set(POLICIES, "team-a", "role", "/spec/statements/0/name", &json!("renewed"));
        lab.until_ready(&["team-a/role"]).await;
        assert!(may(lab));
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

/// Statements of others that AWS itself no longer takes keep us from writing; a person decides.
#[test]
fn foreign_statements_that_aws_refuses_stop_every_write() {
    run(16, async |lab| {
        standing(lab).await;
        let dead = json!({"Sid": "dead", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{B}:role/none")},
            "Action": "ecr:BatchGetImage", "Resource": "*"});
        foreign_edit(lab, |all| all.insert(0, dead));
        let before = lab.policy(A);
        let puts = lab.aws_writes(PUT);
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until("it says so", |lab| says(lab) == "ForeignRefused").await;
        assert_eq!(lab.policy(A), before);
        assert_eq!(lab.ready(POLICIES, "team-a", "more").0, "False");
        assert!(lab.is_ready(POLICIES, "team-b", "pull"), "what stands is not in question");
        lab.pass(seconds(900)).await;
        assert!(lab.aws_writes(PUT) - puts <= 12, "{} Puts", lab.aws_writes(PUT) - puts);
        foreign_edit(lab, |all| drop(all.remove(0)));
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "more"), "{}", lab.describe());
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviours 5 and 41: somebody makes the policy unreadable for a while; nothing is written, and it heals.
#[test]
fn an_unreadable_policy_is_left_as_it_is() {
    run(17, async |lab| {
        standing(lab).await;
        let was = lab.aws.world(|world| world.policy_text(A, REGION)).unwrap();
        let writes = lab.aws_writes_of(A);
        lab.aws.world(|world| world.put_policy(A, REGION, "{\"Version\":\"2012-10-17\",\"Statement\":"));
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until("it says so", |lab| says(lab) == "UnreadableDocument").await;
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes_of(A), writes);
        lab.aws.world(|world| world.put_policy(A, REGION, &was));
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "more"));
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
