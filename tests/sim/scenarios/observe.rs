//! Observe and suspended Registries: AWS is read, the plan is told, nothing is written (rule 8).

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, condition, pull, with};
use crate::lab::{A, B, Lab, REGION, run};

const OTHER: &str = "333333333333";

fn set(lab: &Lab, member: &str, value: &Value) {
    lab.set("registries", "", "default", &format!("/spec/{member}"), value);
}

fn plan(lab: &Lab) -> Value {
    lab.kube.get("registries", "", "default").unwrap()["status"]["plan"].clone()
}

fn steps(lab: &Lab) -> Vec<String> {
    let steps = plan(lab)["steps"].as_array().cloned().unwrap_or_default();
    steps.iter().map(|step| step.as_str().unwrap().to_owned()).collect()
}

fn restraints() -> [(&'static str, Value, &'static str); 2] {
    [("management", json!("Observe"), "ObserveOnly"), ("suspend", json!(true), "Suspended")]
}

/// Rule 8 from the first day: nothing is written, everybody says why, and the plan names every step.
#[test]
fn a_restrained_registry_plans_and_writes_nothing() {
    for (member, value, reason) in restraints() {
        run(500, async |lab| {
            lab.two_teams();
            set(lab, member, &value);
            lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
            lab.apply(&pull("team-b", "pull", "default", &[OTHER], "team-b/*"));
            lab.until_reason(POLICIES, "team-a", "pull", reason).await;
            lab.until_reason(POLICIES, "team-b", "pull", reason).await;
            assert_eq!(lab.ready(POLICIES, "team-a", "pull").0, "Unknown");
            let planned = steps(lab);
            assert_eq!(planned.len(), 2, "{planned:?}");
            assert!(planned.iter().all(|step| step.starts_with("+ statement Ecp")), "{planned:?}");
            assert!(planned.iter().any(|step| step.contains(B) && step.contains("repository/team-a/*")), "{planned:?}");
            assert!(!plan(lab)["hash"].as_str().unwrap().is_empty());
            lab.assert_at_rest().await;
            assert_eq!((lab.aws_writes_of(A), lab.policy(A)), (0, None));

            lab.delete(POLICIES, "team-b", "pull");
            lab.until("what has nothing in AWS goes at once", |lab| !lab.exists(POLICIES, "team-b", "pull")).await;
            lab.until("and from the plan", |lab| steps(lab).len() == 1).await;
            assert_eq!(lab.aws_writes_of(A), 0);

            set(lab, member, &Value::Null);
            lab.until_ready(&["team-a/pull"]).await;
            assert_eq!(plan(lab), Value::Null, "nothing is left to do");
            lab.assert_at_rest().await;
        });
    }
}

/// What is equal is Ready under Observe too; what drifts, is edited or is revoked shows in the plan alone.
#[test]
fn drift_edits_and_revocations_under_observe_are_told_and_not_done() {
    run(510, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-b", "pull", "default", &[OTHER], "team-b/*"));
        lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
        set(lab, "management", &json!("Observe"));
        lab.assert_at_rest().await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull"), "AWS is equal: Ready, whoever may write");
        assert_eq!(plan(lab), Value::Null);
        let (writes, before) = (lab.aws_writes_of(A), lab.policy(A));

        lab.apply(&pull("team-a", "pull", "default", &[B, OTHER], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "pull", "ObserveOnly").await;
        let first = plan(lab)["hash"].clone();
        assert!(steps(lab).iter().any(|s| s.starts_with('+')) && steps(lab).iter().any(|s| s.starts_with('-')));

        set(lab, "allow", &json!([]));
        lab.until_reason(POLICIES, "team-b", "pull", "NotAllowed").await;
        lab.until("both go in the plan", |lab| steps(lab).iter().filter(|s| s.starts_with("- ")).count() == 2).await;
        assert_ne!(plan(lab)["hash"], first, "another plan, another hash");
        assert_eq!((lab.aws_writes_of(A), lab.policy(A)), (writes, before), "and AWS is as it was");
        lab.assert_at_rest().await;

        set(lab, "management", &json!("Enforce"));
        lab.until("the revocation is done", |lab| lab.policy(A).is_none()).await;
        lab.assert_at_rest().await;
    });
}

/// Drift is told under Observe, and put right under Enforce.
#[test]
fn drift_under_observe_waits_for_enforce() {
    run(511, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        set(lab, "management", &json!("Observe"));
        lab.settle().await;
        let writes = lab.aws_writes_of(A);
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(Duration::from_secs(310)).await;
        assert!(lab.has_reason(POLICIES, "team-a", "pull", "ObserveOnly"), "{}", lab.describe());
        assert_eq!(steps(lab).len(), 1);
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), writes);
        let ledger = lab.ledger("default");
        assert_eq!(ledger[0]["name"], "pull", "what was only observed is not forgotten: {ledger:?}");
        set(lab, "management", &Value::Null);
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: a deletion that may not reach AWS waits, says why and how to end it.
#[test]
fn a_deletion_that_may_not_be_written_waits_and_says_why() {
    for (member, value, reason) in restraints() {
        for escape in [false, true] {
            run(520, async |lab| {
                lab.two_teams();
                lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
                lab.until_ready(&["team-a/pull"]).await;
                set(lab, member, &value);
                lab.settle().await;
                let writes = lab.aws_writes_of(A);
                lab.delete(POLICIES, "team-a", "pull");
                lab.until_reason(POLICIES, "team-a", "pull", "DeletionBlocked").await;
                let message = lab.message(POLICIES, "team-a", "pull", "Ready");
                assert!(message.contains(reason) && message.contains("ecr-permissions.dev/abandon=true"), "{message}");
                lab.assert_at_rest().await;
                assert!(lab.may_pull(B, "team-a/app"));
                if escape {
                    lab.annotate(POLICIES, "team-a", "pull", "ecr-permissions.dev/abandon", "true");
                    lab.until("it goes", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
                    assert_eq!(lab.aws_writes_of(A), writes);
                    lab.until("its grant is an orphan", |lab| {
                        let registry = lab.kube.get("registries", "", "default").unwrap();
                        condition(&registry, "Orphaned").0 == "True"
                    })
                    .await;
                    assert!(lab.may_pull(B, "team-a/app"), "abandoned is not withdrawn");
                } else {
                    set(lab, member, &Value::Null);
                    lab.until("it goes", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
                    assert_eq!(lab.policy(A), None);
                }
                lab.assert_at_rest().await;
            });
        }
    }
}

/// A suspended Registry: whoever was Ready and was not edited stays Ready, and says that it is suspended.
#[test]
fn a_suspended_registry_keeps_its_objects_as_last_proven() {
    run(530, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-b", "pull", "default", &[OTHER], "team-b/*"));
        lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
        set(lab, "suspend", &json!(true));
        lab.until_reason("registries", "", "default", "Suspended").await;
        lab.settle().await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull"));
        let writes = lab.aws_writes_of(A);

        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_reason(POLICIES, "team-b", "pull", "Suspended").await;
        assert_eq!(lab.ready(POLICIES, "team-b", "pull").0, "Unknown", "edited while suspended");
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), writes);

        set(lab, "suspend", &json!(false));
        lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
        assert!(lab.may_pull(B, "team-b/app") && !lab.may_pull(OTHER, "team-b/app"));
        lab.assert_at_rest().await;
    });
}

/// A plan of many steps is bounded, and says how much is not shown.
#[test]
fn a_long_plan_is_cut_and_says_so() {
    run(531, async |lab| {
        lab.two_teams();
        let names: Vec<String> = (0..30).map(|i| format!("p-{i}")).collect();
        let apply = |lab: &Lab, action: &str| {
            for (i, name) in names.iter().enumerate() {
                let object = pull("team-a", name, "default", &[B], &format!("{i}/*"));
                lab.apply(&with(object, "/spec/statements/0/actions", &json!([action])));
            }
        };
        apply(lab, "ecr:BatchGetImage");
        lab.until("all are Ready", |lab| names.iter().all(|name| lab.is_ready(POLICIES, "team-a", name))).await;
        set(lab, "management", &json!("Observe"));
        apply(lab, "ecr:PutImage");
        lab.until("all are told", |lab| {
            names.iter().all(|name| lab.has_reason(POLICIES, "team-a", name, "ObserveOnly"))
        })
        .await;
        assert_eq!((steps(lab).len(), plan(lab)["omitted"].clone()), (50, json!(10)));
        lab.assert_at_rest().await;
    });
}
