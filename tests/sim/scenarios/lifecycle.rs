//! An object's life: in any order, edited, suspended, waited for; what it costs at rest.

use std::time::Duration;

use aws_sim::Outage;
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, condition, grant, namespace, pull, registry, with};
use crate::lab::{A, B, Lab, REGION, run};

const OTHER: &str = "333333333333";
const NOW: &str = "reconcile.ecr-permissions.dev/requestedAt";

fn one(lab: &Lab) {
    lab.two_teams();
    lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
}

fn reach(lab: &Lab, outage: Option<Outage>) {
    lab.aws.world(|world| world.set_outage(A, outage));
}

async fn until_gone(lab: &mut Lab, name: &str) {
    lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", name)).await;
}

/// Behaviour 40: objects, namespace and Registry in every order, seconds apart; nobody edits anything twice.
#[test]
fn objects_may_come_in_any_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (seed, order) in orders.into_iter().enumerate() {
        run(600 + seed as u64, async |lab| {
            let all =
                [registry("default", A), namespace("team-a"), pull("team-a", "pull", "default", &[B], "team-a/*")];
            for i in order {
                lab.apply(&all[i]);
                lab.settle().await;
            }
            lab.until_ready(&["team-a/pull"]).await;
            assert!(lab.may_pull(B, "team-a/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 40: an unknown Registry is said, and heals without an edit.
#[test]
fn an_unknown_registry_is_named_and_waited_for() {
    run(610, async |lab| {
        lab.apply(&namespace("team-a"));
        lab.apply(&pull("team-a", "pull", "elsewhere", &[B], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "pull", "RegistryNotFound").await;
        let stored = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
        assert_eq!(condition(&stored, "Ready").0, "Unknown");
        assert_eq!(condition(&stored, "Reconciling").0, "True");
        assert_eq!(condition(&stored, "ResolvedRefs"), ("Unknown".to_owned(), "RegistryNotFound".to_owned()));
        assert!(lab.message(POLICIES, "team-a", "pull", "Ready").contains("elsewhere"));
        lab.assert_at_rest().await;
        lab.apply(&registry("elsewhere", A));
        lab.until_ready(&["team-a/pull"]).await;
        lab.assert_at_rest().await;
    });
}

/// An object that names no Registry is attached to `default`; one of no Registry goes at once when it is deleted.
#[test]
fn what_never_had_a_registry_goes_at_once() {
    run(611, async |lab| {
        lab.apply(&namespace("team-a"));
        lab.apply(&with(pull("team-a", "pull", "default", &[B], "team-a/*"), "/spec/registryRef", &Value::Null));
        lab.until_reason(POLICIES, "team-a", "pull", "RegistryNotFound").await;
        assert!(lab.message(POLICIES, "team-a", "pull", "Ready").contains("default"));
        lab.delete(POLICIES, "team-a", "pull");
        until_gone(lab, "pull").await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 39: whatever happens to an object, its spec is what its user wrote, to the byte.
#[test]
fn a_spec_is_never_touched() {
    run(612, async |lab| {
        one(lab);
        lab.apply(&grant("team-b", "mirror", "default", &[B], "mirror/*"));
        lab.apply(&pull("team-b", "refused", "default", &["not-an-account"], "team-b/*"));
        let specs = |lab: &Lab| -> Vec<String> {
            let all = lab.all_objects();
            all.values().flatten().map(|object| object["spec"].to_string()).collect()
        };
        let written = specs(lab);
        lab.until_ready(&["team-a/pull"]).await;
        reach(lab, Some(Outage::Hang));
        lab.annotate(POLICIES, "team-a", "pull", NOW, "1");
        lab.pass(Duration::from_secs(400)).await;
        reach(lab, None);
        lab.restart().await;
        lab.assert_at_rest().await;
        assert_eq!(specs(lab), written);
    });
}

/// Behaviour 39: "reconcile now" does at once what the interval would do later, and says which request it answered.
#[test]
fn reconcile_now_acts_at_once_and_says_so() {
    for (plural, namespace, name) in [(POLICIES, "team-a", "pull"), ("registries", "", "default")] {
        run(613, async |lab| {
            one(lab);
            lab.until_ready(&["team-a/pull"]).await;
            lab.settle().await;
            lab.aws.world(|world| world.delete_policy(A, REGION));
            lab.pass(Duration::from_secs(30)).await;
            assert!(!lab.may_pull(B, "team-a/app"), "nobody has looked yet");
            let asked = lab.clock.now();
            lab.annotate(plural, namespace, name, NOW, "2026-01-01T00:01:00Z");
            let handled = |lab: &Lab| {
                let object = lab.kube.get(plural, namespace, name).unwrap();
                object["status"]["lastHandledReconcileAt"] == "2026-01-01T00:01:00Z"
            };
            lab.until("it is answered", handled).await;
            assert!(lab.may_pull(B, "team-a/app"), "and done when it is answered");
            assert!(lab.since(asked) < Duration::from_secs(3));
            lab.assert_at_rest().await;
        });
    }
}

/// A suspended object keeps what it has: Ready as last proven; edited, it waits; woken, it is done.
#[test]
fn a_suspended_object_keeps_what_it_has_until_it_is_woken() {
    run(640, async |lab| {
        one(lab);
        lab.until_ready(&["team-a/pull"]).await;
        let suspended = |object: Value| with(object, "/spec/suspend", &json!(true));
        lab.apply(&suspended(pull("team-a", "pull", "default", &[B], "team-a/*")));
        lab.until_reason(POLICIES, "team-a", "pull", "Suspended").await;
        assert_eq!(lab.ready(POLICIES, "team-a", "pull").0, "True", "not edited since: as last proven");
        lab.assert_at_rest().await;

        lab.apply(&suspended(pull("team-a", "pull", "default", &[OTHER], "team-a/*")));
        lab.until("the edit waits", |lab| {
            lab.ready(POLICIES, "team-a", "pull") == ("Unknown".to_owned(), "Suspended".to_owned())
        })
        .await;
        assert!(lab.may_pull(B, "team-a/app") && !lab.may_pull(OTHER, "team-a/app"));
        // Others are served, and the suspended part stays through their writes.
        lab.apply(&pull("team-b", "pull", "default", &[OTHER], "team-b/*"));
        lab.until_ready(&["team-b/pull"]).await;
        lab.restart().await;
        lab.assert_at_rest().await;
        assert!(lab.may_pull(B, "team-a/app") && !lab.may_pull(OTHER, "team-a/app"));

        lab.apply(&pull("team-a", "pull", "default", &[OTHER], "team-a/*"));
        lab.set(POLICIES, "team-a", "pull", "/spec/suspend", &json!(false));
        lab.until_ready(&["team-a/pull"]).await;
        assert!(!lab.may_pull(B, "team-a/app") && lab.may_pull(OTHER, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Suspended from birth: nothing comes, and it is not ready.
#[test]
fn an_object_that_is_born_suspended_gets_nothing() {
    run(641, async |lab| {
        lab.two_teams();
        lab.apply(&with(pull("team-a", "pull", "default", &[B], "team-a/*"), "/spec/suspend", &json!(true)));
        lab.until_reason(POLICIES, "team-a", "pull", "Suspended").await;
        assert_eq!(lab.ready(POLICIES, "team-a", "pull").0, "Unknown");
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0);
    });
}

/// The least that kstatus (Flux `wait`, Argo CD's health) looks at.
fn kstatus(object: &Value) -> &'static str {
    if object["metadata"].get("deletionTimestamp").is_some() {
        return "Terminating";
    }
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let is = |kind: &str, status: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == status);
    if object["status"]["observedGeneration"] != object["metadata"]["generation"] || is("Reconciling", "True") {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if is("Ready", "False") || is("Ready", "Unknown") {
        "InProgress"
    } else {
        "Current"
    }
}

/// Behaviour 38: at every moment of an object's life, "Current" means that AWS has what it asks, and only that; a new
/// object is in progress before anybody has looked at it. Both sides answer slowly here.
#[test]
fn current_is_true_at_every_moment() {
    run(650, async |lab| {
        lab.two_teams();
        lab.settle().await;
        lab.aws.world(|world| world.set_delay(Duration::from_millis(60), Duration::from_millis(40)));
        lab.kube.set_latency(Duration::from_millis(1), Duration::from_millis(20));
        let stages: [&[&str]; 4] = [&[B], &[B, OTHER], &[OTHER], &[B]];
        for accounts in stages {
            lab.apply(&pull("team-a", "pull", "default", accounts, "team-a/*"));
            let stored = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
            assert_eq!(kstatus(&stored), "InProgress", "{stored}");
            for _ in 0..3000 {
                lab.pass(Duration::from_millis(1)).await;
                let stored = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
                let ready = condition(&stored, "Ready").0 == "True";
                if kstatus(&stored) == "Current" {
                    assert!(ready);
                    for account in [B, OTHER] {
                        let may = lab.may_pull(account, "team-a/app");
                        assert_eq!(may, accounts.contains(&account), "{accounts:?} {stored}");
                    }
                }
            }
            assert!(lab.is_ready(POLICIES, "team-a", "pull"));
        }
        lab.assert_at_rest().await;
    });
}

/// Behaviour 38: `Ready` is the first condition, the order is fixed, and each carries the generation it speaks of.
#[test]
fn conditions_stand_in_one_order_with_their_generation() {
    run(651, async |lab| {
        one(lab);
        lab.apply(&pull("team-b", "refused", "default", &[B], "team-b/*"));
        lab.set("registries", "", "default", "/spec/allow/0/repositories", &json!(["team-a/*"]));
        lab.until_ready(&["team-a/pull"]).await;
        lab.apply(&pull("team-a", "pull", "default", &[OTHER], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.until_reason(POLICIES, "team-b", "refused", "NotAllowed").await;
        lab.assert_at_rest().await;
        for object in lab.all_objects().values().flatten() {
            let conditions = object["status"]["conditions"].as_array().unwrap();
            let kinds: Vec<&str> = conditions.iter().map(|c| c["type"].as_str().unwrap()).collect();
            let order = ["Ready", "Reconciling", "Stalled", "Accepted", "ResolvedRefs", "Synced"];
            let expected: Vec<&str> = order.into_iter().filter(|kind| kinds.contains(kind)).collect();
            assert_eq!(kinds, expected);
            assert!(conditions.iter().all(|c| c["observedGeneration"] == object["metadata"]["generation"]), "{object}");
        }
    });
}

/// The interval: drift is put right within it, and no sooner; a registry at rest costs six calls an interval at most,
/// whatever the number of its objects.
#[test]
fn five_hundred_objects_at_rest_cost_six_calls_an_interval() {
    run(660, async |lab| {
        lab.apply(&with(registry("default", A), "/spec/interval", &json!("10m")));
        lab.keep_nothing_back("default");
        lab.apply(&namespace("team-a"));
        for i in 0..500 {
            let account = format!("{:012}", 300_000_000_000_u64 + i);
            lab.apply(&pull("team-a", &format!("p-{i}"), "default", &[&account], "t/*"));
        }
        lab.settle().await;
        assert!((0..500).all(|i| lab.is_ready(POLICIES, "team-a", &format!("p-{i}"))));
        let calls = lab.aws_calls(A);
        // An interval is ten minutes, less a jitter of a tenth: at most twelve passes.
        lab.pass(Duration::from_secs(10 * 600)).await;
        let calls = lab.aws_calls(A) - calls;
        assert!((30..=12 * 6).contains(&calls), "{calls} calls in ten intervals");
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(Duration::from_secs(600)).await;
        assert!(lab.may_pull("300000000000", "t/app"), "put right within the interval");
        lab.assert_at_rest().await;
    });
}

/// The same for a short interval: it is honoured too.
#[test]
fn a_short_interval_is_honoured() {
    run(661, async |lab| {
        lab.apply(&with(registry("default", A), "/spec/interval", &json!("30s")));
        lab.apply(&namespace("team-a"));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.settle().await;
        for _ in 0..5 {
            let reads = lab.aws_calls(A);
            lab.pass(Duration::from_secs(30)).await;
            let reads = lab.aws_calls(A) - reads;
            assert!((1..=6).contains(&reads), "{reads} calls in an interval");
        }
        lab.set("registries", "", "default", "/spec/interval", &Value::Null);
        lab.assert_at_rest().await;
    });
}
