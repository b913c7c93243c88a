//! Many accounts: each proves itself, each fails alone, and each has one Registry.

mod credentials;

use std::time::Duration;

use aws_sim::{Fault, Outage, Trust};
use serde_json::{Value, json};

use crate::lab::objects::{CACHES, POLICIES, cache, condition, namespace, pull, registry, with};
use crate::lab::{A, B, HOME, Lab, REGION, run};

const OTHER: &str = "333333333333";

/// Registries `a` and `b` of accounts A and B, and a tenant's namespace.
fn two_accounts(lab: &Lab) {
    lab.apply(&registry("a", A));
    lab.apply(&registry("b", B));
    lab.apply(&namespace("team-a"));
}

fn on(name: &str, registry: &str) -> Value {
    pull("team-a", name, registry, &[OTHER], &format!("{name}/*"))
}

/// The reason of a Registry's `Ready`, and its message.
fn registry_says(lab: &Lab, name: &str) -> (String, String) {
    let registry = lab.kube.get("registries", "", name).unwrap();
    (condition(&registry, "Ready").1, lab.message("registries", "", name, "Ready"))
}

/// Whether any ECR call went out with the operator's own credentials.
fn own_credentials_reached_ecr(lab: &Lab) -> bool {
    lab.aws.world(|world| world.calls().iter().any(|c| c.service == "ecr" && c.account.as_deref() == Some(HOME)))
}

/// Behaviour 33: no role is named, and the operator's own credentials are of another account.
#[test]
fn credentials_of_another_account_write_nothing() {
    run(700, async |lab| {
        lab.apply(&with(registry("a", A), "/spec/identity", &Value::Null));
        lab.apply(&registry("b", B));
        lab.apply(&namespace("team-a"));
        lab.apply(&on("first", "a"));
        lab.apply(&on("second", "b"));
        lab.until_ready(&["team-a/second"]).await;
        lab.until_reason(POLICIES, "team-a", "first", "AccountMismatch").await;
        assert_eq!(lab.ready(POLICIES, "team-a", "first").0, "False");
        let (reason, message) = registry_says(lab, "a");
        assert_eq!(reason, "AccountMismatch");
        assert!(message.contains(HOME) && message.contains(A) && message.contains("identity"), "{message}");
        lab.assert_at_rest().await;
        assert!(!own_credentials_reached_ecr(lab));
        assert_eq!(lab.policy(A), None);
        assert_eq!(lab.aws_writes_of(HOME), 0);
    });
}

/// Behaviour 33: STS named the right account an hour ago, and ECR answers for another one today.
#[test]
fn a_registry_of_another_account_is_not_written() {
    run(701, async |lab| {
        lab.apply(&with(registry("home", HOME), "/spec/identity", &Value::Null));
        lab.apply(&namespace("team-a"));
        lab.apply(&on("first", "home"));
        lab.until_ready(&["team-a/first"]).await;
        lab.settle().await;
        // The same key id, now another account's: what a replaced credentials file looks like.
        lab.hand_home_key_to(B);
        lab.apply(&on("second", "home"));
        lab.until_reason(POLICIES, "team-a", "second", "AccountMismatch").await;
        lab.until_reason(POLICIES, "team-a", "first", "AccountMismatch").await;
        let (reason, message) = registry_says(lab, "home");
        assert_eq!(reason, "AccountMismatch");
        assert!(message.contains(B) && message.contains(HOME), "{message}");
        lab.assert_at_rest().await;
        assert_eq!((lab.policy(B), lab.aws_writes_of(B)), (None, 0));
        lab.hand_home_key_to(HOME);
        lab.pass(Duration::from_secs(301)).await;
        assert!(lab.is_ready(POLICIES, "team-a", "second"), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 33: the role is not to be had. Its name and the use of an external id are said, nothing else is tried, the
/// other account goes on, and a corrected trust policy heals it.
#[test]
fn a_refused_role_is_named_and_nothing_stands_in_for_it() {
    let external_ids = [(json!("wrong"), "with an external id"), (Value::Null, "without an external id")];
    for (external_id, said) in external_ids {
        run(702, async |lab| {
            two_accounts(lab);
            lab.set("registries", "", "a", "/spec/identity/externalId", &external_id);
            lab.apply(&on("first", "a"));
            lab.apply(&on("second", "b"));
            lab.until_ready(&["team-a/second"]).await;
            lab.until_reason(POLICIES, "team-a", "first", "AssumeRoleDenied").await;
            assert_eq!(lab.ready(POLICIES, "team-a", "first").0, "False");
            let message = lab.message(POLICIES, "team-a", "first", "Ready");
            assert!(message.contains(&format!("arn:aws:iam::{A}:role/member")) && message.contains(said), "{message}");
            lab.assert_at_rest().await;
            assert!(!own_credentials_reached_ecr(lab) && lab.aws_calls(A) == 0, "no other way in is tried");

            lab.set("registries", "", "a", "/spec/identity/externalId", &json!("lab"));
            lab.until_ready(&["team-a/first"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 33: a role that is not there, or trusts somebody else, heals on AWS's side without an edit.
#[test]
fn a_role_that_appears_heals_its_registry() {
    run(703, async |lab| {
        two_accounts(lab);
        lab.aws.world(|world| world.delete_role(A, "member"));
        lab.apply(&on("first", "a"));
        lab.until_reason(POLICIES, "team-a", "first", "AssumeRoleDenied").await;
        lab.pass(Duration::from_secs(600)).await;
        assert!(!own_credentials_reached_ecr(lab));
        let operator = format!("arn:aws:iam::{HOME}:role/controller");
        lab.aws
            .world(|world| drop(world.add_role(A, "member", Trust::of([operator.as_str()]).with_external_id("lab"))));
        lab.pass(Duration::from_secs(301)).await;
        assert!(lab.is_ready(POLICIES, "team-a", "first"), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// A call that IAM denies is said with its name; objects that stood before stay granted.
#[test]
fn a_denied_call_is_named() {
    run(704, async |lab| {
        two_accounts(lab);
        lab.apply(&on("first", "a"));
        lab.until_ready(&["team-a/first"]).await;
        let denied = Fault::error(400, "AccessDeniedException", "User is not authorized (Request ID: 1-2-3)");
        lab.aws.world(|world| world.inject(denied.on("PutRegistryPolicy").in_account(A)));
        lab.apply(&on("second", "a"));
        lab.until_reason(POLICIES, "team-a", "second", "AccessDenied").await;
        let message = lab.message(POLICIES, "team-a", "second", "Ready");
        assert!(message.contains("PutRegistryPolicy") && message.contains("not authorized"), "{message}");
        assert!(!message.contains("1-2-3"), "a request id would make every try another message: {message}");
        assert!(lab.may_pull(OTHER, "first/app"));
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(Duration::from_secs(301)).await;
        assert!(lab.is_ready(POLICIES, "team-a", "second"));
        lab.assert_at_rest().await;
    });
}

/// How long an edit of an object of account A takes from the apply to Ready, ten times over.
async fn times(lab: &mut Lab) -> Vec<Duration> {
    let mut times = Vec::new();
    for i in 0..10 {
        let name = format!("edit-{i}");
        let began = lab.clock.now();
        lab.apply(&on(&name, "a"));
        while !lab.is_ready(POLICIES, "team-a", &name) {
            assert!(lab.since(began) < Duration::from_secs(60), "{}", lab.describe());
            lab.pass(Duration::from_millis(1)).await;
        }
        times.push(lab.since(began));
        lab.pass(Duration::from_secs(2)).await;
    }
    times
}

/// Behaviour 37: what befalls account B, account A takes as long as ever, to the millisecond.
#[test]
fn an_account_that_hangs_breaks_or_is_throttled_delays_no_other() {
    let calm = std::cell::RefCell::new(Vec::new());
    run(705, async |lab| {
        two_accounts(lab);
        lab.aws.world(|world| world.set_delay(Duration::from_millis(50), Duration::ZERO));
        lab.pass(Duration::from_secs(60)).await;
        *calm.borrow_mut() = times(lab).await;
    });
    let calm = calm.into_inner();
    assert!(calm.iter().all(|time| *time < Duration::from_secs(1)), "{calm:?}");
    for trouble in ["hang", "reset", "throttled", "role", "slow"] {
        run(705, async |lab| {
            two_accounts(lab);
            lab.aws.world(|world| {
                world.set_delay(Duration::from_millis(50), Duration::ZERO);
                match trouble {
                    "hang" => world.set_outage(B, Some(Outage::Hang)),
                    "reset" => world.set_outage(B, Some(Outage::Reset)),
                    "throttled" => world.set_throttle(B, REGION, 0.05, 1),
                    "role" => world.delete_role(B, "member"),
                    _ => drop(world.inject(Fault::delay(Duration::from_secs(9)).in_account(B))),
                }
            });
            (0..20).for_each(|i| lab.apply(&on(&format!("busy-{i}"), "b")));
            lab.pass(Duration::from_secs(60)).await;
            assert!(!lab.is_ready(POLICIES, "team-a", "busy-0"), "{trouble} is trouble");
            let troubled = times(lab).await;
            for (calm, troubled) in calm.iter().zip(&troubled) {
                assert!(*troubled <= *calm + Duration::from_millis(5), "{trouble}: {troubled:?} instead of {calm:?}");
            }
        });
    }
}

/// An account out of reach: whoever was Ready stays as last proven, newcomers wait and are told, and all heal.
#[test]
fn an_account_out_of_reach_is_said_and_heals() {
    for outage in [Outage::Hang, Outage::Reset] {
        run(706, async |lab| {
            two_accounts(lab);
            lab.apply(&on("first", "a"));
            lab.until_ready(&["team-a/first"]).await;
            lab.aws.world(|world| world.set_outage(A, Some(outage)));
            lab.apply(&on("second", "a"));
            lab.until_reason(POLICIES, "team-a", "second", "Unreachable").await;
            assert_eq!(lab.ready(POLICIES, "team-a", "second").0, "Unknown");
            assert_eq!(registry_says(lab, "a").0, "Unreachable");
            lab.pass(Duration::from_secs(1800)).await;
            let stored = lab.kube.get(POLICIES, "team-a", "second").unwrap();
            assert_eq!(condition(&stored, "Reconciling").0, "True", "it heals by itself: nobody must act");
            lab.aws.world(|world| world.set_outage(A, None));
            lab.pass(Duration::from_secs(301)).await;
            assert!(lab.is_ready(POLICIES, "team-a", "second") && lab.is_ready(POLICIES, "team-a", "first"));
            lab.assert_at_rest().await;
        });
    }
}

/// AWS is out of reach when the operator starts: nothing is withdrawn, and it heals.
#[test]
fn an_operator_that_starts_without_aws_waits_for_it() {
    run(707, async |lab| {
        two_accounts(lab);
        lab.apply(&on("first", "a"));
        lab.until_ready(&["team-a/first"]).await;
        lab.aws.world(|world| world.set_outage(A, Some(Outage::Reset)));
        lab.restart().await;
        lab.pass(Duration::from_secs(600)).await;
        assert!(lab.may_pull(OTHER, "first/app"));
        lab.aws.world(|world| world.set_outage(A, None));
        lab.pass(Duration::from_secs(301)).await;
        assert!(lab.is_ready(POLICIES, "team-a", "first"));
        lab.assert_at_rest().await;
    });
}

/// A Registry whose role is changed works as the new one at once, and never as the old one again.
#[test]
fn a_registry_that_changes_its_role_works_as_the_new_one() {
    run(708, async |lab| {
        two_accounts(lab);
        lab.apply(&on("first", "a"));
        lab.until_ready(&["team-a/first"]).await;
        let operator = format!("arn:aws:iam::{HOME}:role/controller");
        let role = lab.aws.world(|world| world.add_role(A, "another", Trust::of([operator.as_str()])));
        lab.set("registries", "", "a", "/spec/identity", &json!({"roleArn": role}));
        lab.settle().await;
        let since = lab.aws.world(|world| world.calls().len());
        lab.aws.world(|world| world.delete_role(A, "member"));
        lab.apply(&on("second", "a"));
        lab.until_ready(&["team-a/second"]).await;
        lab.assert_at_rest().await;
        let as_new = lab.aws.world(|world| {
            let calls = world.calls()[since..].iter().filter(|call| call.account.as_deref() == Some(A));
            calls.clone().count() > 10
                && calls.clone().all(|call| call.principal.as_ref().unwrap().contains("/another/"))
        });
        assert!(as_new, "{}", lab.describe());
    });
}

/// What is edited and deleted while its account is out of reach is done once it is back, once.
#[test]
fn what_changed_during_an_outage_is_done_after_it() {
    run(709, async |lab| {
        two_accounts(lab);
        lab.apply(&on("stays", "a"));
        lab.apply(&on("goes", "a"));
        lab.apply(&on("changes", "a"));
        lab.until_ready(&["team-a/stays", "team-a/goes", "team-a/changes"]).await;
        lab.settle().await;
        let puts = lab.aws_writes("PutRegistryPolicy");
        lab.aws.world(|world| world.set_outage(A, Some(Outage::Reset)));
        lab.delete(POLICIES, "team-a", "goes");
        lab.apply(&pull("team-a", "changes", "a", &["444444444444"], "changes/*"));
        lab.apply(&on("comes", "a"));
        lab.pass(Duration::from_secs(700)).await;
        assert!(!lab.is_ready(POLICIES, "team-a", "changes") && lab.exists(POLICIES, "team-a", "goes"));
        assert!(lab.is_ready(POLICIES, "team-a", "stays"), "out of reach disproves nothing");
        lab.aws.world(|world| world.set_outage(A, None));
        lab.pass(Duration::from_secs(301)).await;
        lab.until_ready(&["team-a/stays", "team-a/changes", "team-a/comes"]).await;
        assert!(!lab.exists(POLICIES, "team-a", "goes"));
        assert!(!lab.may_pull(OTHER, "goes/app") && !lab.may_pull(OTHER, "changes/app"));
        assert_eq!(lab.aws_writes("PutRegistryPolicy"), puts + 1, "all of it at once");
        lab.assert_at_rest().await;
    });
}

fn is_duplicate(lab: &Lab, registry: &str) -> bool {
    registry_says(lab, registry).0 == "DuplicateRegistry"
}

/// Behaviour 36: the later of two Registries for one account and Region does nothing, and its objects are told.
#[test]
fn a_second_registry_for_one_account_and_region_writes_nothing_and_says_so() {
    run(710, async |lab| {
        lab.apply(&namespace("team-a"));
        lab.apply(&registry("first", A));
        lab.pass(Duration::from_secs(5)).await;
        lab.apply(&registry("second", A));
        lab.apply(&on("one", "first"));
        lab.apply(&on("two", "second"));
        lab.until_ready(&["team-a/one"]).await;
        lab.until_reason(POLICIES, "team-a", "two", "DuplicateRegistry").await;
        assert_eq!(lab.ready(POLICIES, "team-a", "two").0, "False");
        assert!(is_duplicate(lab, "second") && !is_duplicate(lab, "first"));
        assert!(registry_says(lab, "second").1.contains("first"));
        assert!(!lab.may_pull(OTHER, "two/app"));
        lab.assert_at_rest().await;

        // An object of a duplicate goes without ceremony: it never had anything.
        lab.apply(&on("three", "second"));
        lab.until_reason(POLICIES, "team-a", "three", "DuplicateRegistry").await;
        lab.delete(POLICIES, "team-a", "three");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "three")).await;

        // The first goes, and the second steps in: its objects are served.
        lab.delete(POLICIES, "team-a", "one");
        lab.delete("registries", "", "first");
        lab.until_ready(&["team-a/two"]).await;
        assert!(!is_duplicate(lab, "second"));
        lab.assert_at_rest().await;
    });
}

/// Behaviours 36 and 46: who has a ledger stays, whatever the timestamps of a restored backup say.
#[test]
fn the_incumbent_stays_when_the_older_one_comes_back() {
    run(711, async |lab| {
        lab.apply(&namespace("team-a"));
        lab.apply(&registry("old", A));
        lab.pass(Duration::from_secs(5)).await;
        lab.apply(&registry("young", A));
        lab.apply(&on("of-old", "old"));
        lab.apply(&on("of-young", "young"));
        lab.until_ready(&["team-a/of-old"]).await;
        lab.delete(POLICIES, "team-a", "of-old");
        lab.delete("registries", "", "old");
        lab.until_ready(&["team-a/of-young"]).await;

        // Back from a backup, with the creation time it had.
        lab.apply(&registry("old", A));
        let back = |object: &mut Value| object["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
        lab.kube.edit("registries", "", "old", back).unwrap();
        lab.apply(&on("of-old", "old"));
        lab.until_reason(POLICIES, "team-a", "of-old", "DuplicateRegistry").await;
        assert!(lab.is_ready(POLICIES, "team-a", "of-young") && lab.may_pull(OTHER, "of-young/app"));
        lab.assert_at_rest().await;
        lab.restart().await;
        lab.assert_at_rest().await;
        assert!(is_duplicate(lab, "old") && !is_duplicate(lab, "young"));
    });
}

/// One account, two Regions: two registries, each with its own Registry and document.
#[test]
fn two_regions_of_one_account_are_two_registries() {
    run(712, async |lab| {
        two_accounts(lab);
        lab.apply(&with(registry("frankfurt", A), "/spec/region", &json!("eu-central-1")));
        lab.apply(&on("ireland", "a"));
        lab.apply(&on("frankfurt", "frankfurt"));
        lab.until_ready(&["team-a/ireland", "team-a/frankfurt"]).await;
        let text = |region: &str| lab.aws.world(|world| world.policy_text(A, region)).unwrap();
        assert!(text(REGION).contains("repository/ireland/") && !text(REGION).contains("repository/frankfurt/"));
        assert!(text("eu-central-1").contains("repository/frankfurt/") && !text("eu-central-1").contains("ireland"));
    });
}

/// Behaviour 36: a Registry that cannot be read is not gone: nobody takes its registry over, and its objects keep what they
/// have.
#[test]
fn nobody_takes_over_from_a_registry_that_cannot_be_read() {
    run(719, async |lab| {
        lab.apply(&namespace("team-a"));
        lab.apply(&registry("first", A));
        lab.apply(&on("one", "first"));
        lab.until_ready(&["team-a/one"]).await;
        lab.apply(&with(registry("second", A), "/spec/allow", &json!([])));
        lab.until("the second is told", |lab| is_duplicate(lab, "second")).await;
        let before = lab.policy(A);
        lab.kube.edit("registries", "", "first", |object| object["spec"]["management"] = "Someday".into()).unwrap();
        lab.pass(Duration::from_secs(310)).await;
        lab.restart().await;
        lab.pass(Duration::from_secs(310)).await;
        assert_eq!(lab.policy(A), before);
        lab.kube.edit("registries", "", "first", |object| object["spec"]["management"] = "Enforce".into()).unwrap();
        lab.pass(Duration::from_secs(310)).await;
        assert!(is_duplicate(lab, "second") && !is_duplicate(lab, "first"));
        assert_eq!(lab.policy(A), before);
        lab.assert_at_rest().await;
    });
}
