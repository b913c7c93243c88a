//! AWS refuses, is slow, or leaves it open what became of a write: nothing twice, nothing lost (behaviours 37, 42, 44).

use std::time::Duration;

use aws_sim::{Fault, Outage};
use serde_json::json;

use super::{
    PULLER, SECRET, caching, create_secret, delete, delete_by_others, docker_hub, member, message, prefixes,
    put_by_others, reason, rule, rule_writes, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, POLICIES, pull, with};
use crate::lab::{A, B, Lab, REGION, run};

const INTERVAL: Duration = Duration::from_secs(310);
const OTHER_SECRET: &str = "ecr-pullthroughcache/other";

fn inject(lab: &Lab, fault: Fault) {
    lab.aws.world(|world| world.inject(fault.in_account(A)));
}

fn heal(lab: &Lab) {
    lab.aws.world(aws_sim::World::clear_faults);
}

fn denied(operation: &str) -> Fault {
    Fault::error(400, "AccessDeniedException", "sim").on(operation)
}

fn quay() -> serde_json::Value {
    json!({"type": "Quay"})
}

/// How often an operation on a rule took effect.
fn effects(lab: &Lab, operation: &str) -> usize {
    lab.aws.world(|world| {
        world.calls().iter().filter(|call| call.took_effect && call.operation.starts_with(operation)).count()
    })
}

/// Each way not to know what became of a call.
fn unknowns(operation: &str) -> [Fault; 6] {
    let late = Fault::delay(Duration::from_secs(15));
    let server = Fault::error(500, "ServerException", "sim").after_effect();
    let all =
        [server, Fault::reset(), Fault::reset().after_effect(), Fault::hang(), Fault::hang().after_effect(), late];
    all.map(|fault| fault.on(operation).in_account(A).once())
}

/// Behaviour 42: whatever became of the first call, the rule is made once, is on record, and goes with its object.
#[test]
fn a_create_that_nobody_knows_the_end_of_makes_one_rule() {
    for fault in unknowns("CreatePullThroughCacheRule") {
        run(880, async |lab| {
            lab.two_teams();
            inject(lab, fault.clone());
            lab.apply(&caching("team-a/quay", &quay()));
            until_ready(lab, &["team-a/quay"]).await;
            assert_eq!(effects(lab, "CreatePull"), 1, "{fault:?}");
            lab.assert_at_rest().await;
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!(prefixes(lab), Vec::<String>::new(), "{fault:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// The same for credentials.
#[test]
fn an_update_that_nobody_knows_the_end_of_ends_with_what_is_wanted() {
    for fault in unknowns("UpdatePullThroughCacheRule") {
        run(881, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            let other = create_secret(lab, OTHER_SECRET);
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            until_ready(lab, &["team-a/hub"]).await;
            inject(lab, fault.clone());
            lab.apply(&caching("team-a/hub", &docker_hub(OTHER_SECRET)));
            until_ready(lab, &["team-a/hub"]).await;
            assert_eq!(member(lab, "hub", "credentialArn"), other, "{fault:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// What is gone when it is to be changed or looked at was there a moment ago: the next read says what is to be done.
#[test]
fn a_rule_that_is_gone_when_it_is_written_or_validated_is_looked_at_again() {
    for operation in ["UpdatePullThroughCacheRule", "ValidatePullThroughCacheRule"] {
        run(895, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            let other = create_secret(lab, OTHER_SECRET);
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            until_ready(lab, &["team-a/hub"]).await;
            let gone = Fault::error(400, "PullThroughCacheRuleNotFoundException", "sim");
            inject(lab, gone.on(operation));
            lab.apply(&caching("team-a/hub", &docker_hub(OTHER_SECRET)));
            until_reason(lab, "team-a/hub", "Progressing").await;
            assert_eq!(lab.ready(CACHES, "team-a", "hub").0, "Unknown", "{operation}: nobody must act");
            heal(lab);
            until_ready(lab, &["team-a/hub"]).await;
            assert_eq!(member(lab, "hub", "credentialArn"), other);
            lab.assert_at_rest().await;
        });
    }
}

/// The same for deletions: the object goes when the rule has, and no sooner.
#[test]
fn a_delete_that_nobody_knows_the_end_of_holds_the_object_until_the_rule_is_gone() {
    for fault in unknowns("DeletePullThroughCacheRule") {
        run(882, async |lab| {
            lab.two_teams();
            put_by_others(lab, "theirs", "quay.io");
            lab.apply(&caching("team-a/quay", &quay()));
            until_ready(lab, &["team-a/quay"]).await;
            lab.settle().await;
            inject(lab, fault.clone());
            delete(lab, "team-a/quay");
            until_gone(lab, "team-a/quay").await;
            assert_eq!((prefixes(lab), effects(lab, "DeletePull")), (vec!["theirs".to_owned()], 1), "{fault:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// The same for a rule that is made anew: it is not lost between its deletion and its creation.
#[test]
fn a_replacement_that_is_interrupted_by_aws_is_carried_on() {
    let interruptions =
        unknowns("DeletePullThroughCacheRule").into_iter().chain(unknowns("CreatePullThroughCacheRule"));
    for fault in interruptions.chain([denied("CreatePullThroughCacheRule").times(2)]) {
        run(883, async |lab| {
            lab.two_teams();
            let recreate =
                |upstream| with(caching("team-a/mirror", &upstream), "/spec/replacePolicy", &json!("Recreate"));
            lab.apply(&recreate(json!({"type": "EcrPublic"})));
            until_ready(lab, &["team-a/mirror"]).await;
            lab.aws.world(|world| world.add_repository(A, REGION, "mirror/app"));
            lab.settle().await;
            inject(lab, fault.clone());
            lab.apply(&recreate(quay()));
            lab.pass(INTERVAL + INTERVAL).await;
            until_ready(lab, &["team-a/mirror"]).await;
            assert_eq!(member(lab, "mirror", "upstreamRegistryUrl"), "quay.io", "{fault:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// What AWS refuses is told with its reason, keeps nobody else, and heals without an edit.
#[test]
fn a_create_that_is_denied_or_throttled_is_told_and_tried_again() {
    for (code, reason, wait) in [
        ("AccessDeniedException", "AccessDenied", INTERVAL),
        ("ThrottlingException", "Throttled", Duration::ZERO),
        ("ServerException", "Unreachable", Duration::ZERO),
        ("PullThroughCacheRuleAlreadyExistsException", "Progressing", Duration::ZERO),
        ("ExpiredTokenException", "CredentialsRefused", Duration::ZERO),
    ] {
        run(884, async |lab| {
            lab.two_teams();
            let status = if code == "ServerException" { 500 } else { 400 };
            inject(lab, Fault::error(status, code, "sim").on("CreatePullThroughCacheRule"));
            lab.apply(&caching("team-a/quay", &quay()));
            lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
            until_reason(lab, "team-a/quay", reason).await;
            lab.until_ready(&["team-b/pull"]).await;
            heal(lab);
            // What AWS may take a moment later is tried again soon, not at the next interval only.
            lab.pass(wait).await;
            until_ready(lab, &["team-a/quay"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Rules that cannot be read are left alone, statements are served meanwhile, and it heals soon.
#[test]
fn rules_that_cannot_be_read_are_left_alone() {
    for (code, reason) in [("AccessDeniedException", "AccessDenied"), ("ThrottlingException", "Throttled")] {
        run(885, async |lab| {
            lab.two_teams();
            inject(lab, Fault::error(400, code, "sim").on("DescribePullThroughCacheRules"));
            lab.apply(&caching("team-a/quay", &quay()));
            lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
            until_reason(lab, "team-a/quay", reason).await;
            lab.until_ready(&["team-b/pull"]).await;
            lab.pass(Duration::from_secs(20)).await;
            assert_eq!(rule_writes(lab), Vec::<String>::new());
            heal(lab);
            until_ready(lab, &["team-a/quay"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 44: a deletion that AWS refuses says so, with AWS's reason and the way out, and goes on when it may.
#[test]
fn a_deletion_that_aws_refuses_names_the_reason_and_waits() {
    run(886, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        inject(lab, denied("DeletePullThroughCacheRule"));
        delete(lab, "team-a/quay");
        until_reason(lab, "team-a/quay", "DeletionBlocked").await;
        let told = message(lab, "team-a/quay");
        assert!(told.contains("AccessDenied") && told.contains("ecr-permissions.dev/abandon=true"), "{told}");
        assert_eq!(prefixes(lab), ["quay"]);
        heal(lab);
        lab.pass(INTERVAL).await;
        until_gone(lab, "team-a/quay").await;
        assert_eq!(prefixes(lab), Vec::<String>::new());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: with all of AWS out of reach, nothing is lost: what was asked meanwhile is done afterwards.
#[test]
fn an_outage_loses_no_rule_and_no_deletion() {
    for outage in [Outage::Reset, Outage::Hang] {
        run(887, async |lab| {
            lab.two_teams();
            for object in ["team-a/quay", "team-a/stays"] {
                lab.apply(&caching(object, &quay()));
            }
            until_ready(lab, &["team-a/quay", "team-a/stays"]).await;
            lab.settle().await;
            lab.aws.world(|world| world.set_outage(A, Some(outage)));
            delete(lab, "team-a/quay");
            lab.apply(&caching("team-b/new", &quay()));
            until_reason(lab, "team-a/quay", "DeletionBlocked").await;
            until_reason(lab, "team-b/new", "Unreachable").await;
            assert!(message(lab, "team-a/quay").contains("Unreachable"), "{}", message(lab, "team-a/quay"));
            assert!(lab.is_ready(CACHES, "team-a", "stays"), "being out of reach disproves nothing");
            lab.aws.world(|world| world.set_outage(A, None));
            lab.pass(INTERVAL).await;
            until_gone(lab, "team-a/quay").await;
            until_ready(lab, &["team-b/new", "team-a/stays"]).await;
            assert_eq!(prefixes(lab), ["new", "stays"]);
            lab.assert_at_rest().await;
        });
    }
}

/// A rule that is lost and refused once is not forgotten: its own repositories do not stand in its way afterwards.
#[test]
fn a_lost_rule_that_aws_refuses_for_a_while_comes_back() {
    run(888, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/quay", &quay()));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        inject(lab, denied("CreatePullThroughCacheRule"));
        delete_by_others(lab, "quay");
        lab.pass(INTERVAL + INTERVAL).await;
        assert_eq!(reason(lab, "team-a/quay"), "AccessDenied", "{}", lab.describe());
        heal(lab);
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/quay"]).await;
        assert_eq!(effects(lab, "CreatePull"), 2);
        lab.assert_at_rest().await;
    });
}

/// A claim that came to nothing is no claim: what somebody else makes there tomorrow is theirs.
#[test]
fn a_rule_that_aws_refused_is_not_claimed_for_ever() {
    run(889, async |lab| {
        lab.two_teams();
        inject(lab, denied("CreatePullThroughCacheRule"));
        lab.apply(&caching("team-a/quay", &quay()));
        until_reason(lab, "team-a/quay", "AccessDenied").await;
        lab.settle().await;
        heal(lab);
        put_by_others(lab, "quay", "quay.io");
        lab.pass(INTERVAL).await;
        assert_eq!(reason(lab, "team-a/quay"), "RuleConflict", "{}", lab.describe());
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        assert_eq!(prefixes(lab), ["quay"]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 5: a policy that cannot be written back holds up statements, and no rule that has none.
#[test]
fn a_policy_that_cannot_be_read_holds_up_no_rule_without_pullers() {
    run(890, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.put_policy(A, REGION, "not JSON"));
        lab.apply(&caching("team-a/quay", &quay()));
        let pullers = json!({"accountIds": [PULLER]});
        lab.apply(&with(caching("team-a/pulled", &quay()), "/spec/pullers", &pullers));
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        until_ready(lab, &["team-a/quay"]).await;
        until_reason(lab, "team-a/pulled", "UnreadableDocument").await;
        lab.until_reason(POLICIES, "team-b", "pull", "UnreadableDocument").await;
        lab.assert_at_rest().await;
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        assert_eq!(rule(lab, "quay"), None);
        lab.assert_at_rest().await;
        assert_eq!(lab.aws.world(|world| world.policy_text(A, REGION)).as_deref(), Some("not JSON"));
    });
}

/// What is asked besides can be denied too: told, and the rule stays as it is.
#[test]
fn what_a_rule_rests_on_and_cannot_be_asked_is_told_and_heals() {
    for operation in ["DescribeSecret", "ValidatePullThroughCacheRule"] {
        run(891, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            until_ready(lab, &["team-a/hub"]).await;
            inject(lab, denied(operation));
            lab.reconcile_now("default");
            until_reason(lab, "team-a/hub", "AccessDenied").await;
            lab.assert_at_rest().await;
            assert_eq!(rule_writes(lab), ["Create"]);
            heal(lab);
            lab.pass(INTERVAL).await;
            until_ready(lab, &["team-a/hub"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 37: what AWS does not tell just now is asked again within seconds, not at the next interval.
#[test]
fn what_was_throttled_is_asked_again_soon() {
    for operation in [
        "DescribeSecret",
        "ValidatePullThroughCacheRule",
        "DescribeRepositories",
        "DescribePullThroughCacheRules",
        "DescribeRegistry",
    ] {
        run(894, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            lab.settle().await;
            // All tries that the SDK makes of one call.
            inject(lab, Fault::error(400, "ThrottlingException", "sim").on(operation).times(3));
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            until_reason(lab, "team-a/hub", "Throttled").await;
            let told = lab.clock.now();
            until_ready(lab, &["team-a/hub"]).await;
            assert!(lab.since(told) < Duration::from_secs(30), "{operation}: {:?}", lab.since(told));
            lab.assert_at_rest().await;
        });
    }
}

/// Without the list of repositories nobody can say that none is claimed: a newcomer waits, and who has a rule does not.
#[test]
fn a_new_rule_waits_for_the_list_of_repositories() {
    run(892, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/first", &quay()));
        until_ready(lab, &["team-a/first"]).await;
        lab.settle().await;
        inject(lab, denied("DescribeRepositories"));
        delete_by_others(lab, "first");
        lab.reconcile_now("default");
        lab.until("it is made again", |lab| prefixes(lab) == ["first"]).await;
        lab.settle().await;
        lab.apply(&caching("team-b/second", &quay()));
        until_reason(lab, "team-b/second", "AccessDenied").await;
        lab.pass(INTERVAL).await;
        assert_eq!(prefixes(lab), ["first"]);
        heal(lab);
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/first", "team-b/second"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 42: a rule that may still come of a call is waited for, also by an object that is deleted meanwhile.
#[test]
fn a_rule_that_comes_late_does_not_outlive_its_object() {
    run(893, async |lab| {
        lab.two_teams();
        lab.settle().await;
        inject(lab, Fault::delay(Duration::from_secs(25)).on("CreatePullThroughCacheRule").once());
        lab.apply(&caching("team-a/quay", &quay()));
        lab.until("nobody knows", |lab| reason(lab, "team-a/quay") == "Unreachable").await;
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        lab.pass(Duration::from_secs(60)).await;
        assert_eq!((prefixes(lab), effects(lab, "CreatePull")), (Vec::new(), 1));
        lab.assert_at_rest().await;
    });
}
