//! Who gets a prefix, and what stands in its way: rules of others, nesting, the quota, repositories (behaviours 24, 46).

use std::time::Duration;

use aws_sim::Fault;
use kube_sim::Restore;
use serde_json::{Value, json};

use super::{
    SECRET, caching, calls, claimed, create_secret, delete, delete_by_others, docker_hub, member, message, on_record,
    prefixes, put_by_others, put_by_others_with, reason, rule, rule_writes, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, cache, namespace, with};
use crate::lab::{A, Lab, REGION, run};

const INTERVAL: Duration = Duration::from_secs(310);
const CREATE: &str = "CreatePullThroughCacheRule";

fn quay() -> Value {
    json!({"type": "Quay"})
}

/// Behaviours 11 and 24: what is deleted from outside is made again, and drift is told.
#[test]
fn a_rule_that_somebody_deleted_is_made_again() {
    run(840, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        // Its repositories are there by now, and are no reason to hold back.
        lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        assert!(!lab.metrics.text().contains("drift_detected_total{"));
        delete_by_others(lab, "quay");
        lab.pass(INTERVAL).await;
        assert_eq!(member(lab, "quay", "upstreamRegistryUrl"), "quay.io");
        until_ready(lab, &["team-a/quay"]).await;
        assert!(lab.metrics.text().contains("drift_detected_total{"), "{}", lab.metrics.text());
        assert_eq!(rule_writes(lab), ["Create", "Create"]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 24: what somebody put in its place is theirs; the object says so, and has its rule back when theirs goes.
#[test]
fn a_rule_that_somebody_replaced_is_theirs_and_not_touched() {
    run(841, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        put_by_others(lab, "quay", "public.ecr.aws");
        lab.pass(INTERVAL).await;
        assert_eq!(reason(lab, "team-a/quay"), "RuleConflict", "{}", lab.describe());
        assert!(message(lab, "team-a/quay").contains("public.ecr.aws"));
        assert_eq!(member(lab, "quay", "upstreamRegistryUrl"), "public.ecr.aws");
        lab.assert_at_rest().await;
        delete_by_others(lab, "quay");
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/quay"]).await;
        assert_eq!((member(lab, "quay", "upstreamRegistryUrl").as_str(), rule_writes(lab).len()), ("quay.io", 2));
        lab.assert_at_rest().await;
    });
}

/// An object whose rule somebody replaced goes without touching theirs.
#[test]
fn the_object_of_a_replaced_rule_goes_alone() {
    run(842, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        put_by_others(lab, "quay", "public.ecr.aws");
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        assert_eq!((prefixes(lab), rule_writes(lab)), (vec!["quay".to_owned()], vec!["Create".to_owned()]));
        lab.assert_at_rest().await;
    });
}

/// Rules of others stand beside ours through everything, also those that nest with ours.
#[test]
fn rules_of_others_beside_ours_stay_as_they_are() {
    run(843, async |lab| {
        lab.two_teams();
        for prefix in ["theirs", "quay/theirs", "ROOT"] {
            put_by_others(lab, prefix, "public.ecr.aws");
        }
        let theirs = |lab: &Lab| ["theirs", "quay/theirs", "ROOT"].map(|prefix| rule(lab, prefix));
        let before = theirs(lab);
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.assert_at_rest().await;
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        lab.assert_at_rest().await;
        assert_eq!(theirs(lab), before);
    });
}

/// Behaviour 24: AWS has no room for another; it is told before AWS is asked, and heals when one goes.
#[test]
fn the_fifty_first_rule_is_refused_until_there_is_room() {
    run(844, async |lab| {
        lab.two_teams();
        for n in 0..49 {
            put_by_others(lab, &format!("theirs-{n}"), "public.ecr.aws");
        }
        lab.apply(&caching("team-a/first", &quay()));
        until_ready(lab, &["team-a/first"]).await;
        lab.apply(&caching("team-b/second", &quay()));
        until_reason(lab, "team-b/second", "QuotaExceeded").await;
        assert_eq!(lab.ready(CACHES, "team-b", "second").0, "False");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"], "AWS was not even asked");
        delete(lab, "team-a/first");
        until_ready(lab, &["team-b/second"]).await;
        assert_eq!(prefixes(lab).len(), 50);
        lab.assert_at_rest().await;
    });
}

/// Who lost its rule while the registry filled up waits for room, and has it back without being asked about the
/// repositories that are its own.
#[test]
fn who_lost_its_rule_to_a_full_registry_gets_it_back() {
    run(845, async |lab| {
        lab.two_teams();
        for n in 0..49 {
            put_by_others(lab, &format!("theirs-{n}"), "public.ecr.aws");
        }
        lab.apply(&caching("team-a/first", &quay()));
        until_ready(lab, &["team-a/first"]).await;
        lab.settle().await;
        lab.aws.world(|world| world.add_repository(A, REGION, "first/app"));
        delete_by_others(lab, "first");
        put_by_others(lab, "theirs-49", "public.ecr.aws");
        lab.pass(INTERVAL).await;
        assert_eq!(reason(lab, "team-a/first"), "QuotaExceeded", "{}", lab.describe());
        // A newcomer does not get in before it.
        lab.apply(&caching("team-b/second", &quay()));
        until_reason(lab, "team-b/second", "QuotaExceeded").await;
        lab.assert_at_rest().await;
        delete_by_others(lab, "theirs-49");
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/first"]).await;
        assert_eq!(reason(lab, "team-b/second"), "QuotaExceeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviours 24 and 35: prefixes nest within a namespace, and across namespaces whoever came first has both sides of it.
#[test]
fn prefixes_that_nest_are_the_incumbents_but_within_a_namespace() {
    for (first, second) in [("shared", "shared/inner"), ("shared/inner", "shared")] {
        run(846, async |lab| {
            lab.two_teams();
            lab.apply(&cache("team-b", "first", "default", first));
            until_ready(lab, &["team-b/first"]).await;
            lab.apply(&cache("team-a", "second", "default", second));
            until_reason(lab, "team-a/second", "PrefixConflict").await;
            let told = message(lab, "team-a/second");
            assert!(told.contains(second) && !told.contains("team-b"), "{told}");
            // Of the same namespace, it is their own affair; and alike is not within.
            lab.apply(&cache("team-b", "second", "default", second));
            lab.apply(&cache("team-a", "beside", "default", "shared-too"));
            lab.apply(&cache("team-a", "root", "default", "ROOT"));
            until_ready(lab, &["team-b/second", "team-a/beside", "team-a/root"]).await;
            lab.assert_at_rest().await;
            // The way is free when both are gone, and nobody edits anything.
            delete(lab, "team-b/first");
            delete(lab, "team-b/second");
            until_ready(lab, &["team-a/second"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// The same prefix twice: the first keeps it, in one namespace too.
#[test]
fn one_prefix_is_one_objects() {
    for namespace in ["team-a", "team-b"] {
        run(847, async |lab| {
            lab.two_teams();
            lab.apply(&cache("team-b", "first", "default", "shared"));
            until_ready(lab, &["team-b/first"]).await;
            // Even one that could take over anything.
            let second = cache(namespace, "a-second", "default", "shared");
            lab.apply(&with(second, "/spec/adoption", &json!("Always")));
            until_reason(lab, &format!("{namespace}/a-second"), "PrefixConflict").await;
            lab.assert_at_rest().await;
            delete(lab, &format!("{namespace}/a-second"));
            until_gone(lab, &format!("{namespace}/a-second")).await;
            assert_eq!(prefixes(lab), ["shared"], "the loser had nothing to take away");
            lab.assert_at_rest().await;
            assert_eq!(rule_writes(lab), ["Create"]);
        });
    }
}

/// Behaviour 46: new uids and new times decide no prefix anew, and write nothing.
#[test]
fn a_restored_backup_gives_no_prefix_to_another() {
    for keep_status in [true, false] {
        run(848, async |lab| {
            lab.two_teams();
            lab.apply(&namespace("team-k"));
            lab.apply(&cache("team-k", "cache", "default", "shared"));
            until_ready(lab, &["team-k/cache"]).await;
            lab.pass(Duration::from_secs(20)).await;
            for (team, prefix) in [("team-a", "shared/inner"), ("team-b", "shared")] {
                lab.apply(&with(cache(team, "cache", "default", prefix), "/spec/upstream", &quay()));
                until_reason(lab, &format!("{team}/cache"), "PrefixConflict").await;
            }
            lab.settle().await;
            lab.aws.world(|world| world.add_repository(A, REGION, "shared/app"));
            let backup = lab.kube.snapshot();
            lab.kube.restore(&backup, Restore::Recreated { keep_status });
            lab.pass(Duration::from_secs(20)).await;
            lab.pass(INTERVAL).await;
            assert_eq!(reason(lab, "team-k/cache"), "Succeeded", "{}", lab.describe());
            for team in ["team-a/cache", "team-b/cache"] {
                assert_eq!(reason(lab, team), "PrefixConflict", "{keep_status}\n{}", lab.describe());
            }
            assert_eq!((rule_writes(lab), on_record(lab).len()), (vec!["Create".to_owned()], 1));
            lab.assert_at_rest().await;
        });
    }
}

/// aws-facts K.9: tags of the upstream may overwrite theirs, so whoever means that says so.
#[test]
fn repositories_below_a_prefix_are_claimed_only_on_request() {
    run(849, async |lab| {
        lab.two_teams();
        for repository in ["quay/app", "quayside/app", "other"] {
            lab.aws.world(|world| world.add_repository(A, REGION, repository));
        }
        lab.apply(&caching("team-a/quay", &quay()));
        lab.apply(&caching("team-a/other", &quay()));
        until_reason(lab, "team-a/quay", "RepositoriesExist").await;
        assert_eq!(lab.ready(CACHES, "team-a", "quay").0, "False");
        assert!(message(lab, "team-a/quay").contains("quay/app"), "{}", message(lab, "team-a/quay"));
        until_ready(lab, &["team-a/other"]).await;
        lab.assert_at_rest().await;
        assert_eq!(prefixes(lab), ["other"]);
        lab.set(CACHES, "team-a", "quay", "/spec/claimExisting", &json!(true));
        until_ready(lab, &["team-a/quay"]).await;
        lab.assert_at_rest().await;
        // What the cache fills is its own: nobody asks again.
        lab.set(CACHES, "team-a", "quay", "/spec/claimExisting", &Value::Null);
        lab.settle().await;
        until_ready(lab, &["team-a/quay"]).await;
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create", "Create"]);
    });
}

/// The repositories go, and the rule comes: nobody edits anything.
#[test]
fn a_rule_comes_once_the_repositories_below_its_prefix_are_gone() {
    run(850, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        lab.apply(&caching("team-a/quay", &quay()));
        until_reason(lab, "team-a/quay", "RepositoriesExist").await;
        lab.aws.world(|world| world.delete_repository(A, REGION, "quay/app"));
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/quay"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 24: somebody is faster than our own call. What stands there then was not made by us, however alike.
#[test]
fn a_rule_that_somebody_makes_right_before_us_is_theirs() {
    for (adoption, expected) in [("Never", "RuleConflict"), ("IfIdentical", "Succeeded")] {
        run(921, async |lab| {
            lab.two_teams();
            lab.settle().await;
            lab.aws.world(|world| world.inject(Fault::delay(Duration::from_secs(3)).on(CREATE).in_account(A).once()));
            lab.apply(&with(caching("team-a/quay", &quay()), "/spec/adoption", &json!(adoption)));
            lab.until("the call is under way", |lab| calls(lab, CREATE) == 1).await;
            put_by_others(lab, "quay", "quay.io");
            let theirs = rule(lab, "quay");
            lab.pass(Duration::from_secs(30)).await;
            assert_eq!(
                (reason(lab, "team-a/quay").as_str(), claimed(lab)),
                (expected, Vec::new()),
                "{}",
                lab.describe()
            );
            let adopted = if adoption == "Never" { Vec::new() } else { vec![("quay".to_owned(), true)] };
            assert_eq!(on_record(lab), adopted, "{adoption}");
            lab.assert_at_rest().await;
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!((rule(lab, "quay"), rule_writes(lab)), (theirs, vec!["Create".to_owned()]), "{adoption}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 42: but what our own call made late, while we called again, is ours.
#[test]
fn a_rule_that_our_own_late_call_makes_right_before_us_is_ours() {
    run(922, async |lab| {
        lab.two_teams();
        lab.settle().await;
        let late = Fault::delay(Duration::from_secs(12)).on(CREATE).in_account(A).once();
        let slow = Fault::delay(Duration::from_secs(4)).on(CREATE).in_account(A).skipping(1).once();
        lab.aws.world(|world| [late, slow].map(|fault| world.inject(fault)));
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        let outcome = |call: &aws_sim::Call| (call.operation == CREATE).then_some(call.took_effect);
        let outcomes: Vec<_> = lab.aws.world(|world| world.calls().iter().filter_map(outcome).collect());
        assert_eq!(outcomes, [true, false], "the first came late, and the second found it there");
        assert_eq!(on_record(lab), [("quay".to_owned(), false)]);
        lab.assert_at_rest().await;
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        assert_eq!(prefixes(lab), Vec::<String>::new());
        lab.assert_at_rest().await;
    });
}

/// Behaviours 11 and 24: what somebody deleted and made anew is theirs, as its time tells, however alike it is.
#[test]
fn a_rule_that_somebody_made_anew_is_theirs_also_if_it_is_the_same() {
    for (adoption, expected) in [("Never", "RuleConflict"), ("IfIdentical", "Succeeded")] {
        run(923, async |lab| {
            lab.two_teams();
            lab.apply(&with(caching("team-a/quay", &quay()), "/spec/adoption", &json!(adoption)));
            until_ready(lab, &["team-a/quay"]).await;
            lab.pass(INTERVAL).await;
            delete_by_others(lab, "quay");
            put_by_others(lab, "quay", "quay.io");
            let theirs = rule(lab, "quay");
            lab.pass(INTERVAL).await;
            assert_eq!(reason(lab, "team-a/quay"), expected, "{}", lab.describe());
            lab.assert_at_rest().await;
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!((rule(lab, "quay"), rule_writes(lab)), (theirs, vec!["Create".to_owned()]), "{adoption}");
            lab.assert_at_rest().await;
        });
    }
}

/// The same with credentials of theirs: they are not changed to ours.
#[test]
fn a_rule_that_somebody_made_anew_keeps_their_credentials() {
    run(924, async |lab| {
        lab.two_teams();
        let (_, theirs) = (create_secret(lab, SECRET), create_secret(lab, "ecr-pullthroughcache/theirs"));
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        until_ready(lab, &["team-a/hub"]).await;
        lab.pass(INTERVAL).await;
        delete_by_others(lab, "hub");
        put_by_others_with(
            lab,
            &json!({"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io", "credentialArn": theirs}),
        );
        lab.pass(INTERVAL).await;
        assert_eq!((member(lab, "hub", "credentialArn"), rule_writes(lab)), (theirs, vec!["Create".to_owned()]));
        assert_eq!(reason(lab, "team-a/hub"), "RuleConflict", "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}
