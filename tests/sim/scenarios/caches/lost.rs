//! What tells whose a rule is gets lost or goes stale: the ledger, or a claim that came to nothing. `adoption` and the time of
//! each try stand in (behaviours 41 and 42).

use std::time::Duration;

use aws_sim::{Fault, Outage, Scope};
use serde_json::{Value, json};

use super::{
    PULLER, SECRET, caching, calls, claimed, create_secret, delete, docker_hub, lose_ledger, on_record, prefixes,
    put_by_others, reason, set_registry, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, allow_all, with};
use crate::lab::{A, Lab, REGION, run};

const INTERVAL: Duration = Duration::from_secs(310);
const OTHER_SECRET: &str = "ecr-pullthroughcache/other";
const CREATE: &str = "CreatePullThroughCacheRule";
const DESCRIBE: &str = "DescribePullThroughCacheRules";

fn quay() -> Value {
    json!({"type": "Quay"})
}

fn inject(lab: &Lab, fault: Fault) {
    lab.aws.world(|world| world.inject(fault.in_account(A)));
}

fn heal(lab: &Lab) {
    lab.aws.world(aws_sim::World::clear_faults);
}

fn denied(operation: &str) -> Fault {
    Fault::error(400, "AccessDeniedException", "sim").on(operation)
}

/// Something that is in the way of the first pass after a loss, and its end.
struct Disturbance {
    name: &'static str,
    begin: fn(&Lab),
    end: fn(&Lab),
}

fn rules_unread(lab: &Lab) {
    inject(lab, denied(DESCRIBE));
}

fn out_of_reach(lab: &Lab) {
    lab.aws.world(|world| world.set_outage(A, Some(Outage::Reset)));
}

fn in_reach(lab: &Lab) {
    lab.aws.world(|world| world.set_outage(A, None));
}

fn edit(lab: &Lab, at: &str, value: &Value) {
    lab.set(CACHES, "team-a", "hub", at, value);
}

/// A cache with credentials, with pullers or without, whose repositories are in use.
async fn hub(lab: &mut Lab, pullers: bool) {
    lab.two_teams();
    lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
    create_secret(lab, SECRET);
    create_secret(lab, OTHER_SECRET);
    set_registry(lab, "allow", &json!([with(allow_all(), "/secretNames", &json!([SECRET]))]));
    let pullers = if pullers { json!({"accountIds": [PULLER]}) } else { Value::Null };
    let hub = with(caching("team-a/hub", &docker_hub(SECRET)), "/spec/pullers", &pullers);
    lab.apply(&with(hub, "/spec/adoption", &json!("Always")));
    until_ready(lab, &["team-a/hub"]).await;
    lab.aws.world(|world| world.add_repository(A, REGION, "hub/app"));
    lab.settle().await;
}

/// Behaviour 41: who may adopt takes its rule again, however long that takes.
#[test]
fn a_lost_ledger_is_made_up_for_after_a_disturbance_too() {
    let disturbances = [
        Disturbance {
            name: "suspended",
            begin: |lab| edit(lab, "/spec/suspend", &json!(true)),
            end: |lab| edit(lab, "/spec/suspend", &json!(false)),
        },
        Disturbance {
            name: "edit refused",
            begin: |lab| edit(lab, "/spec/upstream/secretName", &json!(OTHER_SECRET)),
            end: |lab| edit(lab, "/spec/upstream/secretName", &json!(SECRET)),
        },
        Disturbance { name: "out of reach", begin: out_of_reach, end: in_reach },
        Disturbance { name: "rules unread", begin: rules_unread, end: heal },
        Disturbance {
            name: "observed",
            begin: |lab| set_registry(lab, "management", &json!("Observe")),
            end: |lab| set_registry(lab, "management", &Value::Null),
        },
        Disturbance {
            name: "secret gone",
            begin: |lab| lab.aws.world(|world| world.schedule_secret_deletion(A, REGION, SECRET)),
            end: |lab| drop(create_secret(lab, SECRET)),
        },
    ];
    let mut wrong = Vec::new();
    for Disturbance { name, begin, end } in disturbances {
        for pullers in [false, true] {
            run(912, async |lab| {
                hub(lab, pullers).await;
                lab.stop();
                lose_ledger(lab);
                begin(lab);
                lab.start().await;
                lab.pass(INTERVAL).await;
                end(lab);
                lab.pass(INTERVAL).await;
                let told = (reason(lab, "team-a/hub"), on_record(lab));
                if told != ("Succeeded".to_owned(), vec![("hub".to_owned(), true)]) {
                    wrong.push((name, pullers, told));
                    return;
                }
                lab.assert_at_rest().await;
                edit(lab, "/spec/deletionPolicy", &json!("Delete"));
                delete(lab, "team-a/hub");
                until_gone(lab, "team-a/hub").await;
                assert_eq!(prefixes(lab), Vec::<String>::new(), "{name}");
                lab.assert_at_rest().await;
            });
        }
    }
    assert!(wrong.is_empty(), "it is the object's own rule still: {wrong:#?}");
}

/// Behaviours 41 and 44: who is deleted after the loss, or was when it happened, takes along what its `adoption` and its
/// `deletionPolicy` let it own. It waits for an AWS that cannot be asked only if its status says that it has something.
#[test]
fn a_lost_ledger_leaves_no_rule_of_who_may_own_what_it_finds() {
    let nothing: fn(&Lab) = |_| {};
    let without_status: fn(&Lab) = |lab| {
        out_of_reach(lab);
        lab.kube.edit(CACHES, "team-a", "hub", |object| object["status"] = Value::Null).unwrap();
    };
    let table = [
        ("IfIdentical", Some("Delete"), nothing, false, 0),
        ("IfIdentical", None, nothing, false, 1),
        ("Never", Some("Delete"), nothing, false, 1),
        ("IfIdentical", Some("Delete"), out_of_reach, true, 0),
        ("IfIdentical", Some("Delete"), rules_unread, true, 0),
        ("IfIdentical", None, out_of_reach, false, 1),
        ("Never", Some("Delete"), out_of_reach, false, 1),
        ("IfIdentical", Some("Delete"), without_status, false, 1),
    ];
    for (i, (adoption, deletion, begin, waits, left)) in table.into_iter().enumerate() {
        for pullers in [false, true] {
            run(913, async |lab| {
                hub(lab, pullers).await;
                edit(lab, "/spec/adoption", &json!(adoption));
                edit(lab, "/spec/deletionPolicy", &json!(deletion));
                lab.settle().await;
                lab.stop();
                lose_ledger(lab);
                begin(lab);
                delete(lab, "team-a/hub");
                lab.start().await;
                if waits {
                    lab.pass(Duration::from_secs(60)).await;
                    assert!(lab.kube.get(CACHES, "team-a", "hub").is_some(), "{i} {pullers}: gone too early");
                    in_reach(lab);
                    heal(lab);
                }
                until_gone(lab, "team-a/hub").await;
                in_reach(lab);
                heal(lab);
                lab.rules.rule_of_others(A, "hub");
                lab.pass(INTERVAL).await;
                assert_eq!(prefixes(lab).len(), left, "{i} {pullers}\n{}", lab.describe());
                lab.assert_at_rest().await;
            });
        }
    }
}

/// A cache whose Create AWS refuses; the operator dies before the claim is off the record.
async fn refused_and_crashed(lab: &mut Lab) {
    lab.two_teams();
    lab.settle().await;
    inject(lab, denied(CREATE));
    // The read after the refusal gets no answer.
    inject(lab, Fault::hang().on(DESCRIBE).skipping(1));
    lab.apply(&caching("team-a/quay", &quay()));
    lab.until("it is refused", |lab| calls(lab, CREATE) == 1).await;
    lab.pass(Duration::from_secs(1)).await;
    lab.stop();
    assert_eq!(claimed(lab), ["quay"], "the claim is what the crash leaves");
    heal(lab);
}

/// Behaviours 24 and 42: a claim that came to nothing claims nothing, whoever finds it on record.
#[test]
fn a_claim_that_was_refused_before_a_crash_is_not_claimed_for_ever() {
    let mut wrong = Vec::new();
    for restarted_in_between in [true, false] {
        run(914, async |lab| {
            refused_and_crashed(lab).await;
            if restarted_in_between {
                inject(lab, denied(CREATE));
                lab.start().await;
                until_reason(lab, "team-a/quay", "AccessDenied").await;
                lab.settle().await;
            }
            lab.pass(Duration::from_secs(600)).await;
            heal(lab);
            put_by_others(lab, "quay", "quay.io");
            if !restarted_in_between {
                lab.start().await;
            }
            lab.pass(INTERVAL).await;
            let told = (reason(lab, "team-a/quay"), on_record(lab));
            if told != ("RuleConflict".to_owned(), Vec::new()) {
                wrong.push((restarted_in_between, told));
                return;
            }
            lab.assert_at_rest().await;
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!(prefixes(lab), ["quay"]);
            lab.assert_at_rest().await;
        });
    }
    assert!(wrong.is_empty(), "somebody made it by hand, long after the refusal: {wrong:#?}");
}

/// Behaviour 42: each try is a claim of its own, so that the last one is waited for as long as the first.
#[test]
fn a_rule_that_comes_late_of_a_late_try_does_not_outlive_its_object() {
    run(915, async |lab| {
        lab.two_teams();
        lab.settle().await;
        inject(lab, Fault::hang().on(CREATE).times(4));
        inject(lab, Fault::delay(Duration::from_secs(25)).on(CREATE).skipping(4).once());
        lab.apply(&caching("team-a/quay", &quay()));
        lab.until("it is tried again", |lab| calls(lab, CREATE) == 3).await;
        lab.until("and again", |lab| calls(lab, CREATE) == 5).await;
        let sent = lab.clock.now();
        // Nobody waits for the answer any more.
        lab.pass(Duration::from_secs(12)).await;
        assert_eq!((prefixes(lab), reason(lab, "team-a/quay").as_str()), (Vec::new(), "Unreachable"));
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        lab.pass(Duration::from_secs(60)).await;
        assert!(lab.since(sent) > Duration::from_secs(25));
        assert_eq!(prefixes(lab), Vec::<String>::new(), "it came late, and is nobody's");
        lab.assert_at_rest().await;
    });
}

/// Answers that lack our rule, one or several in a row, make it nobody's: neither while it lives nor afterwards.
#[test]
fn a_late_list_takes_our_rule_from_nobody() {
    for times in [1, 2, 4] {
        run(1_520, async |lab| {
            lab.two_teams();
            lab.apply(&caching("team-a/quay", &quay()));
            until_ready(lab, &["team-a/quay"]).await;
            lab.settle().await;
            inject(lab, Fault::nothing_there().on("DescribePullThroughCacheRules").times(times));
            lab.reconcile_now("default");
            lab.pass(INTERVAL).await;
            until_ready(lab, &["team-a/quay"]).await;
            lab.assert_at_rest().await;
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!(prefixes(lab), Vec::<String>::new(), "{times} late answers");
        });
    }
}
