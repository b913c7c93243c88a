//! Rules that go, and rules that stay: deletion, suspension, consent (behaviours 24, 34, 44).

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    PULLER, SECRET, caching, create_secret, delete, delete_by_others, docker_hub, is_orphaned, lose_ledger, member,
    message, on_record, prefixes, put_by_others, rule_writes, set_registry, steps, until_gone, until_ready,
    until_reason,
};
use crate::lab::objects::{CACHES, REGISTRIES, allow_all, cache, with};
use crate::lab::{A, REGION, run};

const INTERVAL: Duration = Duration::from_secs(310);

fn quay() -> Value {
    json!({"type": "Quay"})
}

/// `deletionPolicy: Retain` leaves the rule on record; a new object of that name takes it back, and without a word for it
/// the rule goes like any other.
#[test]
fn a_rule_that_is_retained_stays_on_record_and_comes_back() {
    run(860, async |lab| {
        lab.two_teams();
        let object = with(caching("team-a/quay", &quay()), "/spec/deletionPolicy", &json!("Retain"));
        lab.apply(&object);
        until_ready(lab, &["team-a/quay"]).await;
        for back in [true, false] {
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!((prefixes(lab), on_record(lab)), (vec!["quay".to_owned()], vec![("quay".to_owned(), false)]));
            lab.assert_at_rest().await;
            if back {
                lab.apply(&object);
                until_ready(lab, &["team-a/quay"]).await;
            }
        }
        assert_eq!(rule_writes(lab), ["Create"]);
        lab.set("registries", "", "default", "/spec/allow/0/retain", &json!(false));
        lab.settle().await;
        assert_eq!((prefixes(lab), on_record(lab)), (Vec::<String>::new(), Vec::new()));
        lab.assert_at_rest().await;
    });
}

/// Suspended, an object keeps its rule as it is: edits wait, and what is deleted from outside is not made again.
#[test]
fn a_suspended_object_changes_nothing_and_loses_nothing() {
    run(861, async |lab| {
        lab.two_teams();
        create_secret(lab, SECRET);
        let other = create_secret(lab, "ecr-pullthroughcache/other");
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        until_ready(lab, &["team-a/hub"]).await;
        lab.set(CACHES, "team-a", "hub", "/spec/suspend", &json!(true));
        until_reason(lab, "team-a/hub", "Suspended").await;
        assert_eq!(lab.ready(CACHES, "team-a", "hub").0, "True", "held, and equal to AWS all the same");
        lab.assert_at_rest().await;
        lab.set(CACHES, "team-a", "hub", "/spec/upstream/secretName", &json!("ecr-pullthroughcache/other"));
        lab.settle().await;
        assert_eq!((lab.ready(CACHES, "team-a", "hub").0.as_str(), rule_writes(lab).len()), ("Unknown", 1));
        delete_by_others(lab, "hub");
        lab.aws.world(|world| world.add_repository(A, REGION, "hub/app"));
        lab.pass(INTERVAL).await;
        assert_eq!(prefixes(lab), Vec::<String>::new());
        lab.assert_at_rest().await;
        // Nobody takes the prefix meanwhile, and its own repositories do not stand in its way.
        lab.apply(&cache("team-b", "squat", "default", "hub"));
        until_reason(lab, "team-b/squat", "PrefixConflict").await;
        lab.set(CACHES, "team-a", "hub", "/spec/suspend", &json!(false));
        until_ready(lab, &["team-a/hub"]).await;
        assert_eq!(member(lab, "hub", "credentialArn"), other);
        lab.assert_at_rest().await;
    });
}

/// Rule 8: a restrained Registry tells what it would do, of statements and of rules, and writes nothing.
#[test]
fn a_restrained_registry_plans_rules_and_writes_nothing() {
    for (at, value, why) in [("management", json!("Observe"), "ObserveOnly"), ("suspend", json!(true), "Suspended")] {
        run(862, async |lab| {
            lab.two_teams();
            set_registry(lab, at, &value);
            let pullers = json!({"accountIds": [PULLER]});
            lab.apply(&with(caching("team-a/quay", &quay()), "/spec/pullers", &pullers));
            lab.apply(&caching("team-b/public", &json!({"type": "EcrPublic"})));
            until_reason(lab, "team-a/quay", why).await;
            until_reason(lab, "team-b/public", why).await;
            let rules = ["+ cache rule public: public.ecr.aws", "+ cache rule quay: quay.io"];
            let expected = rules.into_iter().chain(["+ statement Ecp"; 2]);
            let mut told = steps(lab);
            told.sort();
            assert!(told.len() == 4 && told.iter().zip(expected).all(|(a, b)| a.starts_with(b)), "{told:?}");
            lab.assert_at_rest().await;
            assert_eq!((lab.aws_writes_of(A), prefixes(lab), on_record(lab)), (0, Vec::new(), Vec::new()));
            // What has nothing in AWS goes at once.
            delete(lab, "team-b/public");
            until_gone(lab, "team-b/public").await;
            set_registry(lab, at, &Value::Null);
            until_ready(lab, &["team-a/quay"]).await;
            assert_eq!((prefixes(lab), steps(lab)), (vec!["quay".to_owned()], Vec::new()));
            lab.assert_at_rest().await;
        });
    }
}

/// Rule 8 and behaviour 44: edits, drift and deletions under a restraint are told, and done when it is lifted.
#[test]
fn what_happens_under_a_restraint_is_done_when_it_is_lifted() {
    for (at, value, why) in [("management", json!("Observe"), "ObserveOnly"), ("suspend", json!(true), "Suspended")] {
        run(863, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            create_secret(lab, "ecr-pullthroughcache/other");
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            for object in ["team-a/lost", "team-b/leaving"] {
                lab.apply(&caching(object, &quay()));
            }
            until_ready(lab, &["team-a/hub", "team-a/lost", "team-b/leaving"]).await;
            set_registry(lab, at, &value);
            lab.settle().await;
            assert!(lab.is_ready(CACHES, "team-a", "hub"), "AWS is equal, whoever may write");
            let writes = lab.aws_writes_of(A);
            lab.apply(&caching("team-a/hub", &docker_hub("ecr-pullthroughcache/other")));
            delete_by_others(lab, "lost");
            delete(lab, "team-b/leaving");
            until_reason(lab, "team-a/hub", why).await;
            until_reason(lab, "team-b/leaving", "DeletionBlocked").await;
            assert!(message(lab, "team-b/leaving").contains(why), "{}", message(lab, "team-b/leaving"));
            lab.pass(INTERVAL).await;
            let told = steps(lab);
            for step in ["~ cache rule hub: registry-1.docker.io", "+ cache rule lost: quay.io", "- cache rule leaving"]
            {
                assert!(told.iter().any(|told| told.starts_with(step)), "{step}: {told:?}");
            }
            lab.assert_at_rest().await;
            assert_eq!(lab.aws_writes_of(A), writes);
            assert_eq!(on_record(lab).len(), 3, "what was only observed is not forgotten");
            set_registry(lab, at, &Value::Null);
            until_gone(lab, "team-b/leaving").await;
            until_ready(lab, &["team-a/hub", "team-a/lost"]).await;
            assert_eq!(prefixes(lab), ["hub", "lost"]);
            assert!(member(lab, "hub", "credentialArn").contains("other"));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: access goes when consent does, whatever the object says of itself.
#[test]
fn a_rule_that_is_allowed_no_more_goes_also_from_who_is_suspended_or_retains() {
    let spec = [("suspend", json!(true)), ("deletionPolicy", json!("Retain")), ("replacePolicy", json!("Recreate"))];
    for (member, value) in spec {
        run(864, async |lab| {
            lab.two_teams();
            lab.apply(&caching("team-a/quay", &quay()));
            lab.apply(&caching("team-b/quay-too", &quay()));
            until_ready(lab, &["team-a/quay", "team-b/quay-too"]).await;
            lab.set(CACHES, "team-a", "quay", &format!("/spec/{member}"), &value);
            lab.settle().await;
            lab.kube.edit("namespaces", "", "team-a", |n| n["metadata"]["labels"] = json!({"tenant": "no"})).unwrap();
            until_reason(lab, "team-a/quay", "NotAllowed").await;
            lab.until("it is gone", |lab| prefixes(lab) == ["quay-too"]).await;
            lab.assert_at_rest().await;
            assert_eq!(rule_writes(lab), ["Create", "Create", "Delete"]);
            // Allowed again, it comes back, but for one that is suspended.
            lab.kube.edit("namespaces", "", "team-a", |n| n["metadata"]["labels"] = json!({"tenant": "yes"})).unwrap();
            lab.settle().await;
            assert_eq!(prefixes(lab).len(), if member == "suspend" { 1 } else { 2 });
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34, part by part: each bound of the Registry's `allow` that a rule can leave.
#[test]
fn a_rule_goes_when_any_part_of_it_is_allowed_no_more() {
    for (bound, value) in [
        ("kinds", json!(["RegistryPolicy"])),
        ("repositories", json!(["hub"])),
        ("upstreamHosts", json!(["quay.io"])),
        ("secretNames", json!(["ecr-pullthroughcache/other"])),
    ] {
        run(865, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            until_ready(lab, &["team-a/hub"]).await;
            set_registry(lab, "allow", &json!([with(allow_all(), &format!("/{bound}"), &value)]));
            until_reason(lab, "team-a/hub", "NotAllowed").await;
            lab.until("it is gone", |lab| prefixes(lab).is_empty()).await;
            lab.assert_at_rest().await;
        });
    }
}

/// An edit beyond what is allowed is refused, and what stands stays, since that is allowed.
#[test]
fn a_rule_that_is_still_allowed_stays_when_its_edit_is_not() {
    run(866, async |lab| {
        lab.two_teams();
        create_secret(lab, SECRET);
        create_secret(lab, "ecr-pullthroughcache/other");
        set_registry(lab, "allow", &json!([with(allow_all(), "/secretNames", &json!([SECRET]))]));
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        until_ready(lab, &["team-a/hub"]).await;
        let before = member(lab, "hub", "credentialArn");
        lab.apply(&caching("team-a/hub", &docker_hub("ecr-pullthroughcache/other")));
        until_reason(lab, "team-a/hub", "NotAllowed").await;
        lab.assert_at_rest().await;
        assert_eq!((member(lab, "hub", "credentialArn"), rule_writes(lab).len()), (before.clone(), 1));
        // What it keeps comes back if it is lost.
        delete_by_others(lab, "hub");
        lab.pass(INTERVAL).await;
        assert_eq!(member(lab, "hub", "credentialArn"), before);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: an object that vanished gave nothing up. Its rule is reported, stays, and goes by a prune alone.
#[test]
fn the_rule_of_an_object_that_vanished_is_an_orphan_until_it_is_pruned() {
    run(867, async |lab| {
        lab.two_teams();
        for object in ["team-a/quay", "team-b/other"] {
            lab.apply(&caching(object, &quay()));
        }
        put_by_others(lab, "theirs", "quay.io");
        until_ready(lab, &["team-a/quay", "team-b/other"]).await;
        lab.settle().await;
        lab.kube.vanish(CACHES, "team-a", "quay").unwrap();
        lab.until("it is reported", is_orphaned).await;
        let told = lab.message(REGISTRIES, "", "default", "Orphaned");
        assert!(told.contains("PullThroughCacheRule/team-a/quay"), "{told}");
        lab.assert_at_rest().await;
        assert_eq!(prefixes(lab), ["other", "quay", "theirs"]);
        // Nobody gets the prefix of what is kept.
        lab.apply(&cache("team-b", "squat", "default", "quay"));
        until_reason(lab, "team-b/squat", "PrefixConflict").await;
        delete(lab, "team-b/squat");
        until_gone(lab, "team-b/squat").await;
        lab.settle().await;
        let token = lab.prune_token("default");
        lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
        lab.until("it is pruned", |lab| prefixes(lab) == ["other", "theirs"]).await;
        lab.settle().await;
        assert!(!is_orphaned(lab));
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab).last().map(String::as_str), Some("Delete"));
    });
}

/// Behaviour 41: an object that is made again takes its orphaned rule back, and AWS is not written.
#[test]
fn an_object_made_again_takes_its_rule_back() {
    run(868, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        lab.kube.vanish(CACHES, "team-a", "quay").unwrap();
        lab.until("it is reported", is_orphaned).await;
        lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        assert!(!is_orphaned(lab));
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"]);
    });
}

/// Behaviour 44: abandoned is let go, and not withdrawn.
#[test]
fn an_abandoned_object_goes_and_its_rule_stays_as_an_orphan() {
    run(869, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.annotate(CACHES, "team-a", "quay", "ecr-permissions.dev/abandon", "true");
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        lab.until("it is reported", is_orphaned).await;
        assert_eq!((prefixes(lab), rule_writes(lab)), (vec!["quay".to_owned()], vec!["Create".to_owned()]));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: a rule carries no mark, so without a record it is nobody's: it stays, is made by nobody twice, and is
/// taken again as far as `adoption` goes. Neither finalizer nor status is stronger than that.
#[test]
fn a_lost_ledger_takes_no_rule_away_and_gives_none_to_others() {
    run(870, async |lab| {
        lab.two_teams();
        put_by_others(lab, "theirs", "quay.io");
        let theirs = lab.aws.world(|world| world.cache_rule(A, REGION, "theirs"));
        lab.apply(&caching("team-a/quay", &quay()));
        lab.apply(&caching("team-a/theirs", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        until_reason(lab, "team-a/theirs", "RuleConflict").await;
        lab.settle().await;
        lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        lab.stop();
        lose_ledger(lab);
        lab.rules.rule_of_others(A, "quay");
        lab.start().await;
        until_reason(lab, "team-a/quay", "RuleConflict").await;
        lab.assert_at_rest().await;
        assert_eq!((on_record(lab), rule_writes(lab).len()), (Vec::new(), 1));
        lab.set(CACHES, "team-a", "quay", "/spec/adoption", &json!("IfIdentical"));
        until_ready(lab, &["team-a/quay"]).await;
        assert_eq!((on_record(lab), rule_writes(lab).len()), (vec![("quay".to_owned(), true)], 1));
        lab.assert_at_rest().await;
        lab.set(CACHES, "team-a", "quay", "/spec/deletionPolicy", &json!("Delete"));
        delete(lab, "team-a/quay");
        delete(lab, "team-a/theirs");
        until_gone(lab, "team-a/quay").await;
        until_gone(lab, "team-a/theirs").await;
        assert_eq!(prefixes(lab), ["theirs"]);
        assert_eq!(lab.aws.world(|world| world.cache_rule(A, REGION, "theirs")), theirs);
        lab.assert_at_rest().await;
    });
}

/// The Registry goes with its objects, and takes its rules along.
#[test]
fn a_registry_that_goes_with_its_caches_leaves_nothing() {
    run(871, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.delete(REGISTRIES, "", "default");
        lab.pass(Duration::from_secs(5)).await;
        assert!(lab.exists(REGISTRIES, "", "default"), "it serves until nobody is attached");
        assert_eq!(prefixes(lab), ["quay"]);
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        lab.until("the Registry is gone", |lab| !lab.exists(REGISTRIES, "", "default")).await;
        assert_eq!(prefixes(lab), Vec::<String>::new());
        lab.assert_at_rest().await;
    });
}
