//! The scope of the registry policy (behaviour 16): V1 knows three actions, and V2 wakes what V1 lets sleep.

use aws_sim::Scope;
use serde_json::{Value, json};

use crate::lab::objects::{GRANTS, POLICIES, condition, grant, pull, registry, with};
use crate::lab::{A, B, Lab, REGION, run};

/// What V1 lets sleep: everything by a wildcard, and what pulls.
const DORMANT: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Sid":"sleeper","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"ecr:*","Resource":"*"},
    {"Sid":"awake","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444444444444:root"},"Action":"ecr:ReplicateImage","Resource":"*"}]}"#;

fn v1(lab: &Lab) {
    lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V1)));
}

fn wants_v2(lab: &Lab) {
    lab.apply(&with(registry("default", A), "/spec/registryPolicy", &json!({"scope": "V2"})));
}

/// Behaviour 16: under V1 only what needs V2 is left out, with a hint.
#[test]
fn under_v1_only_what_needs_v2_is_left_out() {
    run(400, async |lab| {
        v1(lab);
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.apply(&grant("team-b", "mirror", "default", &[B], "mirror/*"));
        lab.until("the grant is Ready", |lab| lab.is_ready(GRANTS, "team-b", "mirror")).await;
        lab.until_reason(POLICIES, "team-a", "pull", "ScopeV1").await;
        let stored = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
        assert_eq!(condition(&stored, "Ready").0, "False");
        let message = lab.message(POLICIES, "team-a", "pull", "Ready");
        assert!(message.contains("spec.registryPolicy.scope: V2") && message.contains("ecr:"), "{message}");
        assert!(lab.may(B, "ecr:ReplicateImage", "mirror/app", A));
        assert_eq!(lab.aws_writes("PutAccountSetting"), 0, "nobody asked for the switch");
        lab.assert_at_rest().await;

        wants_v2(lab);
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 16: without sleepers the switch happens at once, before the Put that needs it.
#[test]
fn without_sleepers_the_switch_happens_at_once_and_first() {
    run(401, async |lab| {
        v1(lab);
        lab.two_teams();
        wants_v2(lab);
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        let writes: Vec<String> = lab.aws.world(|world| {
            world.calls().iter().filter(|call| call.is_write).map(|call| call.operation.clone()).collect()
        });
        assert_eq!(writes, ["PutAccountSetting", "PutRegistryPolicy"]);
        assert!(lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// The hash that `ScopeWidens` prints.
fn printed_hash(lab: &Lab) -> String {
    let message = lab.message("registries", "", "default", "Ready");
    let hash = message.rsplit("acknowledgeWidening: ").next().unwrap();
    assert!(message.contains("sleeper") && !message.contains("awake"), "{message}");
    hash.trim().to_owned()
}

/// Behaviour 16: sleepers are named, and nothing is switched until their hash is acknowledged; a hash of other sleepers
/// acknowledges nothing.
#[test]
fn sleepers_are_woken_only_when_somebody_says_so() {
    run(402, async |lab| {
        v1(lab);
        lab.aws.world(|world| world.put_policy(A, REGION, DORMANT));
        lab.two_teams();
        wants_v2(lab);
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_reason("registries", "", "default", "ScopeWidens").await;
        lab.until_reason(POLICIES, "team-a", "pull", "ScopeV1").await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0, "no call until it is acknowledged");
        let hash = printed_hash(lab);

        let acknowledge = |lab: &Lab, hash: &str| {
            lab.set("registries", "", "default", "/spec/registryPolicy/acknowledgeWidening", &json!(hash));
        };
        acknowledge(lab, "0123456789abcdef");
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0);

        // Another sleeper appears after the hash was printed: that one was not acknowledged.
        let mut more: Value = serde_json::from_str(DORMANT).unwrap();
        let late =
            json!({"Sid": "late-sleeper", "Effect": "Allow", "Principal": "*", "Action": "ecr:*", "Resource": "*"});
        more["Statement"].as_array_mut().unwrap().push(late);
        lab.aws.world(|world| world.put_policy(A, REGION, &more.to_string()));
        acknowledge(lab, &hash);
        lab.settle().await;
        assert_eq!(lab.aws_writes_of(A), 0, "the acknowledgement was of others");

        lab.aws.world(|world| world.put_policy(A, REGION, DORMANT));
        lab.annotate("registries", "", "default", "reconcile.ecr-permissions.dev/requestedAt", "now");
        lab.until_ready(&["team-a/pull"]).await;
        assert_eq!(lab.aws_writes("PutAccountSetting"), 1);
        assert!(lab.may("333333333333", "ecr:BatchGetImage", "team-a/app", A), "the sleeper is awake, as was wanted");
        lab.assert_at_rest().await;
    });
}

/// What a registry says that never had a scope is not known (aws-facts A.2). Where it names none, AWS decides what it
/// takes; whoever wants V2 gets it, with the same care for sleepers.
#[test]
fn a_registry_that_names_no_scope_is_switched_with_the_same_care() {
    run(406, async |lab| {
        lab.aws.world(|world| world.set_unset_scope(None));
        lab.aws.world(|world| world.put_policy(A, REGION, DORMANT));
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "pull", "Propagating").await;
        assert_eq!(lab.aws_writes("PutAccountSetting"), 0, "nobody asked for it");
        wants_v2(lab);
        lab.until_reason("registries", "", "default", "ScopeWidens").await;
        assert_eq!(lab.aws_writes("PutAccountSetting"), 0);
        let hash = printed_hash(lab);
        lab.set("registries", "", "default", "/spec/registryPolicy/acknowledgeWidening", &json!(hash));
        lab.until_ready(&["team-a/pull"]).await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes("PutAccountSetting"), 1);
    });
}

/// Who may not read the setting leaves it alone: a switch that nobody can see would be made on every pass.
#[test]
fn a_scope_that_may_not_be_read_is_not_switched() {
    run(407, async |lab| {
        let denied = aws_sim::Fault::error(400, "AccessDeniedException", "not authorized");
        lab.aws.world(|world| world.inject(denied.on("GetAccountSetting")));
        lab.two_teams();
        wants_v2(lab);
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes("PutAccountSetting"), 0);
    });
}

/// What already is V2 is never put again.
#[test]
fn a_registry_on_v2_is_not_switched_again() {
    run(403, async |lab| {
        lab.two_teams();
        wants_v2(lab);
        lab.aws.world(|world| world.put_policy(A, REGION, DORMANT));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        assert_eq!(lab.aws_writes("PutAccountSetting"), 0);
        lab.assert_at_rest().await;
    });
}

/// Only a registry that something needs the scope of is asked for it.
#[test]
fn the_scope_is_read_only_where_something_rests_on_it() {
    run(404, async |lab| {
        lab.two_teams();
        lab.apply(&grant("team-b", "mirror", "default", &[B], "mirror/*"));
        lab.until("the grant is Ready", |lab| lab.is_ready(GRANTS, "team-b", "mirror")).await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes("GetAccountSetting"), 0);
    });
}

/// Under Observe the switch is a step of the plan, and none of the wire.
#[test]
fn under_observe_the_switch_is_planned_and_not_done() {
    run(405, async |lab| {
        v1(lab);
        lab.two_teams();
        wants_v2(lab);
        lab.set("registries", "", "default", "/spec/management", &json!("Observe"));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "pull", "ObserveOnly").await;
        let plan = lab.kube.get("registries", "", "default").unwrap()["status"]["plan"]["steps"].clone();
        assert!(plan[0].as_str().unwrap().contains("scope V1 -> V2"), "{plan}");
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0);
    });
}
