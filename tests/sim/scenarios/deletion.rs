//! How objects and Registries go: removed, retained, abandoned, or waiting for who is out of reach.

use std::time::Duration;

use crate::lab::objects::{POLICIES, condition, pull, registry};
use crate::lab::{A, B, Lab, run};
use aws_sim::{Fault, Outage};

const OTHER: &str = "333333333333";
const ABANDON: &str = "ecr-permissions.dev/abandon";

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

/// Behaviour 44: a deletion that cannot reach AWS says what is wrong, and is done when AWS is back. A namespace waits
/// for it and says so through its objects.
#[test]
fn a_deletion_with_aws_out_of_reach_waits_says_why_and_ends() {
    for outage in [Outage::Hang, Outage::Reset] {
        for whole_namespace in [false, true] {
            run(620, async |lab| {
                one(lab);
                lab.until_ready(&["team-a/pull"]).await;
                reach(lab, Some(outage));
                if whole_namespace {
                    lab.delete("namespaces", "", "team-a");
                } else {
                    lab.delete(POLICIES, "team-a", "pull");
                }
                lab.until_reason(POLICIES, "team-a", "pull", "DeletionBlocked").await;
                let stored = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
                assert_eq!(condition(&stored, "Ready").0, "Unknown");
                let message = lab.message(POLICIES, "team-a", "pull", "Ready");
                assert!(message.contains("Unreachable") && message.contains(&format!("{ABANDON}=true")), "{message}");
                lab.pass(Duration::from_secs(900)).await;
                assert!(lab.exists(POLICIES, "team-a", "pull") && lab.may_pull(B, "team-a/app"));
                reach(lab, None);
                lab.pass(Duration::from_secs(301)).await;
                assert!(!lab.exists(POLICIES, "team-a", "pull"), "{}", lab.describe());
                assert_eq!(lab.policy(A), None);
                assert!(!whole_namespace || !lab.exists("namespaces", "", "team-a"));
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviours 39 and 44: the escape needs no AWS call and acts at once, whether it comes before the deletion or after.
#[test]
fn an_abandoned_object_goes_at_once_and_its_grant_is_an_orphan() {
    for before in [true, false] {
        run(621, async |lab| {
            one(lab);
            lab.apply(&pull("team-b", "stays", "default", &[OTHER], "team-b/*"));
            lab.until_ready(&["team-a/pull", "team-b/stays"]).await;
            reach(lab, Some(Outage::Hang));
            if before {
                lab.annotate(POLICIES, "team-a", "pull", ABANDON, "true");
                lab.pass(Duration::from_secs(60)).await;
                lab.delete(POLICIES, "team-a", "pull");
            } else {
                lab.delete(POLICIES, "team-a", "pull");
                lab.until_reason(POLICIES, "team-a", "pull", "DeletionBlocked").await;
                lab.annotate(POLICIES, "team-a", "pull", ABANDON, "true");
            }
            until_gone(lab, "pull").await;
            reach(lab, None);
            let orphaned =
                |lab: &Lab| condition(&lab.kube.get("registries", "", "default").unwrap(), "Orphaned").0 == "True";
            lab.pass(Duration::from_secs(301)).await;
            assert!(orphaned(lab), "{}", lab.describe());
            assert!(lab.message("registries", "", "default", "Orphaned").contains("RegistryPolicy/team-a/pull"));
            assert!(lab.may_pull(B, "team-a/app"), "abandoned is not withdrawn");
            lab.assert_at_rest().await;

            // The same object again takes its grant back, and deleting it ends it.
            lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
            lab.until_ready(&["team-a/pull"]).await;
            lab.until("nothing is an orphan any more", |lab| !orphaned(lab)).await;
            lab.delete(POLICIES, "team-a", "pull");
            until_gone(lab, "pull").await;
            assert!(!lab.may_pull(B, "team-a/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// An abandoned object that lives is an object like any other: only its deletion is different.
#[test]
fn abandon_alone_withdraws_nothing_and_stops_nothing() {
    run(622, async |lab| {
        one(lab);
        lab.annotate(POLICIES, "team-a", "pull", ABANDON, "true");
        lab.until_ready(&["team-a/pull"]).await;
        lab.apply(&pull("team-a", "pull", "default", &[OTHER], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull(OTHER, "team-a/app") && !lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: the Registry is gone from under an object that has something in AWS.
#[test]
fn a_deletion_without_its_registry_waits_for_it_or_is_abandoned() {
    for abandoned in [false, true] {
        run(623, async |lab| {
            one(lab);
            lab.until_ready(&["team-a/pull"]).await;
            lab.kube.vanish("registries", "", "default").unwrap();
            lab.until_reason(POLICIES, "team-a", "pull", "RegistryNotFound").await;
            lab.delete(POLICIES, "team-a", "pull");
            lab.until_reason(POLICIES, "team-a", "pull", "DeletionBlocked").await;
            let message = lab.message(POLICIES, "team-a", "pull", "Ready");
            assert!(message.contains("default") && message.contains(ABANDON), "{message}");
            lab.pass(Duration::from_secs(600)).await;
            assert!(lab.may_pull(B, "team-a/app"), "nothing is withdrawn without a Registry");
            if abandoned {
                lab.annotate(POLICIES, "team-a", "pull", ABANDON, "true");
                until_gone(lab, "pull").await;
            } else {
                lab.apply(&registry("default", A));
                until_gone(lab, "pull").await;
                assert_eq!(lab.policy(A), None, "{}", lab.describe());
            }
            lab.assert_at_rest().await;
        });
    }
}

/// A Registry that is deleted stays, serving whoever is attached, and takes nobody new; it goes after the last of them.
#[test]
fn a_registry_stays_until_nobody_is_attached() {
    run(624, async |lab| {
        one(lab);
        lab.until_ready(&["team-a/pull"]).await;
        lab.delete("registries", "", "default");
        lab.apply(&pull("team-b", "late", "default", &[OTHER], "team-b/*"));
        lab.until_reason(POLICIES, "team-b", "late", "RegistryTerminating").await;
        assert_eq!(lab.ready(POLICIES, "team-b", "late").0, "False");
        lab.apply(&pull("team-a", "pull", "default", &[OTHER], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull(OTHER, "team-a/app") && !lab.may_pull(B, "team-a/app"), "it serves on");
        assert!(!lab.may_pull(OTHER, "team-b/app"));
        lab.assert_at_rest().await;

        lab.delete(POLICIES, "team-a", "pull");
        until_gone(lab, "pull").await;
        assert_eq!(lab.policy(A), None);
        assert!(lab.exists("registries", "", "default"), "somebody still names it");
        lab.delete(POLICIES, "team-b", "late");
        lab.until("all is gone", |lab| {
            !lab.exists(POLICIES, "team-b", "late") && !lab.exists("registries", "", "default")
        })
        .await;
        lab.assert_at_rest().await;
    });
}

/// A Registry that nobody is attached to needs no AWS to go.
#[test]
fn a_registry_that_nobody_uses_goes_even_without_aws() {
    run(625, async |lab| {
        one(lab);
        lab.until_ready(&["team-a/pull"]).await;
        lab.delete(POLICIES, "team-a", "pull");
        until_gone(lab, "pull").await;
        reach(lab, Some(Outage::Hang));
        lab.delete("registries", "", "default");
        lab.until("the Registry is gone", |lab| !lab.exists("registries", "", "default")).await;
        lab.assert_at_rest().await;
    });
}

/// A Registry that is deleted over orphans stays, says how to remove them, and goes by its own escape at once.
#[test]
fn a_registry_with_orphans_stays_until_a_person_decides() {
    run(626, async |lab| {
        one(lab);
        lab.until_ready(&["team-a/pull"]).await;
        lab.kube.vanish(POLICIES, "team-a", "pull").unwrap();
        lab.delete("registries", "", "default");
        lab.assert_at_rest().await;
        let message = lab.message("registries", "", "default", "Orphaned");
        assert!(message.contains("ecr-permissions prune default --confirm"), "{message}");
        assert!(lab.may_pull(B, "team-a/app"));
        lab.annotate("registries", "", "default", ABANDON, "true");
        lab.until("the Registry is gone", |lab| !lab.exists("registries", "", "default")).await;
        assert!(lab.may_pull(B, "team-a/app"), "abandoned is not withdrawn");
        lab.assert_at_rest().await;
    });
}

/// An object is deleted before its grant was ever written: nothing comes, and it goes.
#[test]
fn an_object_that_goes_before_its_grant_came_leaves_nothing() {
    run(690, async |lab| {
        lab.two_teams();
        lab.settle().await;
        lab.aws.world(|world| world.inject(Fault::delay(Duration::from_secs(2)).on("GetRegistryPolicy").times(4)));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.pass(Duration::from_millis(500)).await;
        lab.delete(POLICIES, "team-a", "pull");
        until_gone(lab, "pull").await;
        lab.assert_at_rest().await;
        assert_eq!(lab.policy(A), None);
    });
}
