//! How old a view is, and what is not done on an old one (behaviour 53): a watch that hangs is noticed by what it does not
//! reach, whatever comes of it; what cannot be proven young neither adds nor puts back, and takes away what was seen.

use std::time::Duration;

use kube_sim::{Fault, Kinds, Matching, Phase, Restore, Verb};
use serde_json::json;

use crate::lab::objects::{CACHES, GRANTS, POLICIES, ROLES, cache, condition, grant, namespace, pull, registry, role};
use crate::lab::{A, B, Lab, REGION, run};

const C: &str = "444444444444";
const D: &str = "555555555555";
const MINUTE: Duration = Duration::from_mins(1);
/// What a watch does not show is noticed within this: it is asked every 2 min, waits 1 min and is listed anew, which it may
/// have been less than 5 min before.
const NOTICED_WITHIN: Duration = Duration::from_secs(305);
const INTERVAL: Duration = Duration::from_secs(301);
const KINDS: [&str; 7] =
    ["registries", "namespaces", "registryledgers", POLICIES, GRANTS, CACHES, "crossaccountptcroles"];

/// How often a kind was listed whole: the lab has no more objects than one page has.
fn lists(lab: &Lab, plural: &str) -> usize {
    let is_list = |call: &&kube_sim::Call| call.verb == Verb::List && call.resource == plural && call.limit == Some(25);
    lab.kube.calls().iter().filter(is_list).count()
}

fn all_lists(lab: &Lab) -> usize {
    KINDS.into_iter().map(|plural| lists(lab, plural)).sum()
}

/// Nobody gets a list of the kind, and no answer to the question of when its view is.
fn refuse_lists(lab: &Lab, plural: &str) {
    lab.kube.inject(Matching::any().verb(Verb::List).resource(plural), 1, u32::MAX, Fault::Error(403, Phase::Before));
}

/// The kinds that the Registry calls old.
fn told_old(lab: &Lab) -> String {
    let registry = lab.kube.get("registries", "", "default").unwrap();
    let is_told = condition(&registry, "ViewOld").0 == "True";
    if is_told { lab.message("registries", "", "default", "ViewOld") } else { String::new() }
}

fn is_old_by_metric(lab: &Lab, kind: &str) -> bool {
    lab.metrics.text().contains(&format!("ecr_permissions_view_old{{kind=\"{kind}\"}} 1"))
}

async fn two_pulls_and_a_grant(lab: &mut Lab) {
    lab.two_pulls(B, C).await;
    lab.apply(&grant("team-b", "mirror", "default", &[D], "mirror/*"));
    lab.until("the grant is Ready", |lab| lab.is_ready(GRANTS, "team-b", "mirror")).await;
    lab.settle().await;
}

/// Behaviour 53: a watch hangs for an hour while access is revoked: each time that is noticed in time, and nothing is put back.
#[test]
fn a_watch_that_hangs_is_noticed_and_what_was_revoked_is_not_put_back() {
    for stalls in [false, true] {
        run(1_900, async |lab| {
            two_pulls_and_a_grant(lab).await;
            lab.pass(10 * MINUTE).await;
            if stalls {
                // Bookmarks go on coming, of the past.
                lab.kube.stall_watches(Kinds::only(&[POLICIES]));
            } else {
                lab.kube.freeze_watches(Kinds::only(&[POLICIES]));
            }
            lab.delete(POLICIES, "team-a", "pull");
            lab.pass(Duration::from_secs(190)).await;
            assert!(!lab.may_pull(B, "team-a/app"), "its last list is long ago\n{}", lab.describe());
            lab.set(POLICIES, "team-b", "pull", "/spec/statements/0/principals/accountIds", &json!([D]));
            lab.pass(NOTICED_WITHIN).await;
            assert!(!lab.may_pull(C, "team-b/app") && lab.may_pull(D, "team-b/app"), "{}", lab.describe());
            lab.pass(45 * MINUTE).await;
            assert!(!lab.may_pull(B, "team-a/app") && !lab.may_pull(C, "team-b/app"));
            assert_eq!(told_old(lab), "");
            lab.kube.stall_watches(Kinds::only(&[]));
            lab.kube.thaw_watches();
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 53: nothing can be proven of a kind for ten minutes: its objects get nothing back, others do; what was seen to be withdrawn
/// goes; and all of it is told.
#[test]
fn what_rests_on_an_old_view_is_not_put_back() {
    run(1_901, async |lab| {
        two_pulls_and_a_grant(lab).await;
        refuse_lists(lab, POLICIES);
        lab.kube.stall_watches(Kinds::only(&[POLICIES]));
        lab.delete(POLICIES, "team-a", "pull");
        lab.pass(9 * MINUTE).await;
        assert_eq!(told_old(lab), "", "it is not old yet");
        lab.pass(4 * MINUTE).await;
        assert!(told_old(lab).contains("RegistryPolicy") && !told_old(lab).contains("Grant"), "{}", told_old(lab));
        assert!(is_old_by_metric(lab, "RegistryPolicy") && !is_old_by_metric(lab, "ReplicationGrant"));
        assert!(lab.is_ready(POLICIES, "team-b", "pull"), "AWS has what it had asked for when it was seen last");

        // Access is taken away by hand, since the operator does not see it, and another's with it.
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(2 * INTERVAL).await;
        assert!(!lab.may_pull(B, "team-a/app") && !lab.may_pull(C, "team-b/app"), "{}", lab.describe());
        assert!(lab.may(D, "ecr:ReplicateImage", "mirror/app", A), "this view is young\n{}", lab.describe());
        lab.until_reason(POLICIES, "team-b", "pull", "ViewOld").await;
        lab.apply(&grant("team-b", "other", "default", &[C], "other/*"));
        lab.until("who is of another kind grows", |lab| lab.is_ready(GRANTS, "team-b", "other")).await;

        lab.kube.clear_faults();
        lab.kube.stall_watches(Kinds::only(&[]));
        lab.until("it comes back", |lab| lab.may_pull(C, "team-b/app")).await;
        lab.until("it is seen to be gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
        assert_eq!(told_old(lab), "");
        assert!(!is_old_by_metric(lab, "RegistryPolicy"));
    });
}

/// Behaviour 53, of what is one object's alone: a rule and a role that somebody deleted may have been given up.
#[test]
fn rules_and_roles_are_not_made_again_on_an_old_view() {
    run(1_911, async |lab| {
        lab.two_teams();
        lab.apply(&registry("upstream", B));
        lab.apply(&cache("team-a", "public", "default", "public"));
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.until_ready_of(CACHES, &["team-a/public"]).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.settle().await;
        let role_name = lab.kube.get(ROLES, "team-a", "mirror").unwrap()["status"]["role"]["name"].clone();
        let has = |lab: &Lab| {
            let role = lab.aws.world(|world| world.role(A, role_name.as_str().unwrap()).is_some());
            (lab.aws.world(|world| world.cache_rule(A, REGION, "public").is_some()), role)
        };
        assert_eq!(has(lab), (true, true));
        for plural in [CACHES, ROLES] {
            refuse_lists(lab, plural);
        }
        lab.kube.freeze_watches(Kinds::only(&[CACHES, ROLES]));
        lab.pass(12 * MINUTE).await;
        lab.rules.no_rule_of_others(A, "public");
        lab.aws.world(|world| {
            world.delete_cache_rule(A, REGION, "public");
            world.delete_role(A, role_name.as_str().unwrap());
        });
        lab.pass(2 * INTERVAL).await;
        assert_eq!(has(lab), (false, false), "{}", lab.describe());
        lab.until_reason(CACHES, "team-a", "public", "ViewOld").await;
        lab.until_reason(ROLES, "team-a", "mirror", "ViewOld").await;
        lab.kube.clear_faults();
        lab.kube.thaw_watches();
        lab.until_ready_of(CACHES, &["team-a/public"]).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert_eq!(has(lab), (true, true));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 53: what everything rests on holds everything, and takes nothing away; what was seen goes.
#[test]
fn where_registries_are_old_nobody_grows_and_what_was_seen_goes() {
    for plural in ["registries", "namespaces", "registryledgers"] {
        run(1_902, async |lab| {
            lab.two_pulls(B, C).await;
            refuse_lists(lab, plural);
            lab.kube.freeze_watches(Kinds::only(&[plural]));
            lab.apply(&namespace("another"));
            lab.pass(12 * MINUTE).await;
            lab.apply(&pull("team-a", "new", "default", &[D], "team-a/*"));
            lab.delete(POLICIES, "team-b", "pull");
            lab.pass(MINUTE).await;
            assert!(!lab.may_pull(D, "team-a/app"), "{plural}\n{}", lab.describe());
            assert!(!lab.may_pull(C, "team-b/app"), "{plural}: a withdrawal waits for no proof\n{}", lab.describe());
            assert!(lab.may_pull(B, "team-a/app"));
            lab.kube.clear_faults();
            lab.kube.thaw_watches();
            lab.until("it grows", |lab| lab.may_pull(D, "team-a/app")).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 53: three quiet hours are no old view: nothing is listed, and little is asked.
#[test]
fn a_quiet_kind_does_not_become_old() {
    run(1_903, async |lab| {
        two_pulls_and_a_grant(lab).await;
        let before = all_lists(lab);
        lab.kube.forget_calls();
        for i in 0..18 {
            lab.pass(10 * MINUTE).await;
            // The revision of etcd goes on, and most kinds have no part in it.
            lab.apply(&namespace(&format!("other-{i}")));
        }
        assert!(before >= KINDS.len());
        assert_eq!(all_lists(lab), 0, "nothing was listed");
        let calls = lab.kube.calls();
        let count = |verb: Verb| calls.iter().filter(|call| call.verb == verb).count();
        // Seven kinds: a question each 105 s at least, and a watch each 290 s.
        assert!(count(Verb::List) <= 7 * 103 && count(Verb::Watch) <= 7 * 38, "{} calls", calls.len());
        assert_eq!(calls.len(), count(Verb::List) + count(Verb::Watch), "and nothing else");
        assert_eq!(told_old(lab), "");
        assert!(KINDS.len() * 8 < count(Verb::List), "each is asked");
        lab.assert_at_rest().await;
    });
}

/// An API server without bookmarks: a quiet kind is listed anew instead, as often as it must and not more.
#[test]
fn without_bookmarks_a_kind_is_listed_every_five_minutes_at_most() {
    run(1_904, async |lab| {
        two_pulls_and_a_grant(lab).await;
        lab.kube.withhold_bookmarks(Kinds::All);
        lab.kube.forget_calls();
        for i in 0..60 {
            lab.pass(MINUTE).await;
            lab.apply(&namespace(&format!("other-{i}")));
            assert_eq!(told_old(lab), "");
        }
        for plural in [POLICIES, GRANTS, "registryledgers"] {
            assert!((10..=12).contains(&lists(lab, plural)), "{plural}: {}", lists(lab, plural));
        }
        assert_eq!(lists(lab, "namespaces"), 0, "its own events are enough");
        lab.kube.withhold_bookmarks(Kinds::only(&[]));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 53: a kind whose definition is not there is nobody's old view; once it is there, all is as before.
#[test]
fn a_kind_that_is_not_installed_holds_nobody() {
    run(1_905, async |lab| {
        lab.two_pulls(B, C).await;
        lab.apply(&cache("team-a", "public", "default", "public"));
        lab.until("the cache is Ready", |lab| lab.is_ready(CACHES, "team-a", "public")).await;
        lab.settle().await;
        lab.kube.take_definition(CACHES);
        lab.pass(60 * MINUTE).await;
        assert_eq!(told_old(lab), "");
        assert!(!is_old_by_metric(lab, "PullThroughCacheRule"));
        lab.apply(&pull("team-a", "new", "default", &[D], "new/*"));
        lab.until_ready(&["team-a/new"]).await;
        lab.kube.give_definitions_back();
        lab.apply(&cache("team-a", "more", "default", "more"));
        lab.until("it is made", |lab| lab.is_ready(CACHES, "team-a", "more")).await;
        lab.assert_at_rest().await;
    });
}

/// The date is set, or the machine sleeps: everything is listed anew before anything grows, and taking away waits for none
/// of it.
#[test]
fn clocks_that_part_have_everything_listed_anew() {
    type Step = fn(&Lab, Duration);
    let hour = Duration::from_hours(1);
    let steps: [(&str, Step); 3] = [
        ("forward", |lab, hour| lab.machine.set_date_by(i64::try_from(hour.as_secs()).unwrap())),
        ("back", |lab, hour| lab.machine.set_date_by(-i64::try_from(hour.as_secs()).unwrap())),
        ("asleep", |lab, hour| lab.machine.suspend(hour)),
    ];
    for (name, step) in steps {
        run(1_906, async |lab| {
            lab.two_pulls(B, C).await;
            lab.kube.forget_calls();
            // One kind cannot be listed at first: the call is given up after 30 s.
            let listing = Matching::any().verb(Verb::List).resource(GRANTS);
            lab.kube.inject(listing, 1, u32::MAX, Fault::Hang(Phase::Before));
            step(lab, hour);
            lab.apply(&pull("team-a", "new", "default", &[D], "new/*"));
            lab.delete(POLICIES, "team-b", "pull");
            lab.pass(Duration::from_secs(20)).await;
            assert!(!lab.may_pull(D, "new/app"), "{name}\n{}", lab.describe());
            assert!(!lab.may_pull(C, "team-b/app"), "{name}\n{}", lab.describe());
            lab.kube.clear_faults();
            lab.until_ready(&["team-a/new"]).await;
            lab.pass(MINUTE).await;
            for plural in KINDS {
                let expected = 1 + usize::from(plural == GRANTS);
                assert_eq!(lists(lab, plural), expected, "{name}: {plural}");
            }
            lab.assert_at_rest().await;
        });
    }
}

/// A list takes as long as it takes: meanwhile the watch goes on, and what it shows is not taken back by the list.
#[test]
fn taking_away_waits_for_no_list_and_is_not_taken_back_by_it() {
    run(1_908, async |lab| {
        two_pulls_and_a_grant(lab).await;
        lab.kube.withhold_bookmarks(Kinds::only(&[POLICIES]));
        lab.apply(&namespace("another"));
        lab.kube.forget_calls();
        let late = Fault::Late(Duration::from_secs(20));
        lab.kube.inject(Matching::any().verb(Verb::List).resource(POLICIES), 1, u32::MAX, late);
        while lists(lab, POLICIES) == 0 {
            lab.pass(Duration::from_secs(1)).await;
        }
        lab.delete(POLICIES, "team-a", "pull");
        lab.set(POLICIES, "team-b", "pull", "/spec/statements/0/principals/accountIds", &json!([D]));
        lab.pass(Duration::from_secs(5)).await;
        for _ in 0..40 {
            assert!(!lab.may_pull(B, "team-a/app") && !lab.may_pull(C, "team-b/app"), "{}", lab.describe());
            lab.pass(Duration::from_secs(1)).await;
        }
        assert!(lab.may_pull(D, "team-b/app"));
        lab.kube.clear_faults();
        lab.kube.withhold_bookmarks(Kinds::only(&[]));
        lab.assert_at_rest().await;
    });
}

/// etcd is put back as it was and goes on from there: a watch from a revision that is not yet reached sees nothing, and says
/// so by the revision that etcd answers.
#[test]
fn another_past_is_noticed_by_its_revision() {
    run(1_909, async |lab| {
        // The watches are blind, and do not look so.
        lab.leave_due_out();
        lab.two_pulls(B, C).await;
        let snapshot = lab.kube.snapshot();
        for i in 0..100 {
            lab.apply(&namespace(&format!("lost-{i}")));
        }
        lab.pass(MINUTE).await;
        lab.kube.restore(&snapshot, Restore::EtcdBlind);
        lab.pass(Duration::from_secs(5)).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.pass(Duration::from_secs(150)).await;
        assert!(!lab.may_pull(B, "team-a/app"), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// Ten thousand objects are read in pages, of which each is small.
#[test]
fn ten_thousand_objects_come_in_pages() {
    run(1_910, async |lab| {
        lab.stop();
        lab.kube.namespaces_by_hand();
        for i in 0..10_000 {
            lab.apply(&namespace(&format!("tenant-{i:05}")));
        }
        lab.kube.forget_calls();
        lab.start().await;
        lab.apply(&registry("default", A));
        lab.apply(&pull("tenant-09999", "pull", "default", &[B], "last/*"));
        lab.until_ready(&["tenant-09999/pull"]).await;
        let calls = lab.kube.calls();
        let limits: Vec<_> = calls.iter().filter(|c| c.verb == Verb::List && c.resource == "namespaces").collect();
        let limits: Vec<_> = limits.iter().filter_map(|call| call.limit).filter(|limit| *limit > 1).collect();
        assert_eq!(limits.first(), Some(&25));
        assert!(limits.iter().all(|limit| *limit <= 1000) && (11..=20).contains(&limits.len()), "{limits:?}");
    });
}
