//! One thing goes wrong: a list that cannot be read, a refusal, a pending change. Whoever it is not about gets and keeps
//! what it has, and what was begun goes on afterwards (behaviours 37, 38, 41, 44).

use std::time::Duration;

use aws_sim::{Fault, Scope};
use serde_json::{Value, json};

use super::{
    PULLER, SECRET, caching, calls, create_secret, delete, delete_by_others, docker_hub, is_orphaned, on_record,
    prefixes, reason, rule_writes, set_registry, steps, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, REGISTRIES, pull, with};
use crate::lab::{A, B, Lab, REGION, run};

const INTERVAL: Duration = Duration::from_secs(310);
const DELETE: &str = "DeletePullThroughCacheRule";
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

fn throttled(operation: &str) -> Fault {
    Fault::error(400, "ThrottlingException", "sim").on(operation)
}

/// A cache of long standing, and a newcomer that waits for a list of repositories that nobody may read.
async fn without_the_list_of_repositories(lab: &mut Lab) {
    lab.two_teams();
    lab.apply(&caching("team-a/first", &quay()));
    until_ready(lab, &["team-a/first"]).await;
    lab.settle().await;
    inject(lab, denied("DescribeRepositories"));
    lab.apply(&caching("team-b/newcomer", &quay()));
    until_reason(lab, "team-b/newcomer", "AccessDenied").await;
}

/// aws-facts K.9: only who asks what stands below its prefix needs the list.
#[test]
fn who_does_not_ask_for_the_list_of_repositories_gets_its_rule_without_it() {
    run(910, async |lab| {
        without_the_list_of_repositories(lab).await;
        lab.apply(&with(caching("team-a/claiming", &quay()), "/spec/claimExisting", &json!(true)));
        until_ready(lab, &["team-a/claiming", "team-a/first"]).await;
        assert_eq!(reason(lab, "team-b/newcomer"), "AccessDenied");
        assert_eq!(prefixes(lab), ["claiming", "first"]);
        heal(lab);
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-b/newcomer"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: a deletion waits for nothing that is not its own.
#[test]
fn a_deletion_ends_while_the_list_of_repositories_cannot_be_read() {
    run(911, async |lab| {
        without_the_list_of_repositories(lab).await;
        delete(lab, "team-a/first");
        until_gone(lab, "team-a/first").await;
        assert_eq!((prefixes(lab), on_record(lab)), (Vec::new(), Vec::new()));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: a person's word holds until all that it names is gone, whatever AWS refuses meanwhile.
#[test]
fn a_prune_that_is_refused_in_part_goes_on_until_all_is_gone() {
    let mut wrong = Vec::new();
    for crashed in [false, true] {
        run(916, async |lab| {
            lab.two_teams();
            lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
            let pullers = json!({"accountIds": [PULLER]});
            for object in ["team-a/quay", "team-b/other"] {
                lab.apply(&with(caching(object, &quay()), "/spec/pullers", &pullers));
            }
            lab.apply(&caching("team-b/stays", &quay()));
            until_ready(lab, &["team-a/quay", "team-b/other", "team-b/stays"]).await;
            lab.settle().await;
            lab.kube.vanish(CACHES, "team-a", "quay").unwrap();
            lab.kube.vanish(CACHES, "team-b", "other").unwrap();
            lab.until("both are reported", |lab| {
                let told = lab.message(REGISTRIES, "", "default", "Orphaned");
                told.contains("team-a/quay") && told.contains("team-b/other")
            })
            .await;
            lab.settle().await;
            let token = lab.prune_token("default");
            inject(lab, denied(DELETE).once());
            lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
            lab.until("half of it is pruned", |lab| calls(lab, DELETE) >= 2).await;
            assert_eq!(prefixes(lab).len(), 2, "one was refused");
            if crashed {
                lab.pass(Duration::from_secs(1)).await;
                lab.restart().await;
            }
            lab.pass(INTERVAL + INTERVAL).await;
            if prefixes(lab) != ["stays"] || is_orphaned(lab) {
                wrong.push((crashed, prefixes(lab), lab.message(REGISTRIES, "", "default", "Orphaned")));
                return;
            }
            assert_eq!(lab.policy(A), None);
            until_ready(lab, &["team-b/stays"]).await;
            lab.assert_at_rest().await;
        });
    }
    assert!(wrong.is_empty(), "the same token was to work until everything is gone: {wrong:#?}");
}

/// What a person gave up goes in its order, rule before statements, also where AWS refuses somebody else's addition
/// meanwhile and everything is decided anew in search of it.
#[test]
fn a_search_for_a_culprit_takes_no_statement_before_its_rule() {
    run(917, async |lab| {
        lab.two_teams();
        lab.apply(&with(caching("team-a/quay", &quay()), "/spec/pullers", &json!({"accountIds": [PULLER]})));
        until_ready(lab, &["team-a/quay"]).await;
        lab.settle().await;
        lab.kube.vanish(CACHES, "team-a", "quay").unwrap();
        lab.until("it is reported", is_orphaned).await;
        lab.settle().await;
        let of_the_rule = |lab: &Lab| lab.statements(A).iter().filter(|s| s.to_string().contains("quay/*")).count();
        assert_eq!(of_the_rule(lab), 2);
        let token = lab.prune_token("default");
        inject(lab, denied(DELETE));
        let ghost = json!([{"accountId": B, "name": "ghost"}]);
        let refused = pull("team-b", "refused", "default", &[B], "team-b/*");
        lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
        lab.apply(&with(refused, "/spec/statements/0/principals/roles", &ghost));
        lab.apply(&pull("team-b", "granted", "default", &[B], "team-b/more/*"));
        lab.until("the other addition is found good", |lab| lab.is_ready("registrypolicies", "team-b", "granted"))
            .await;
        lab.pass(Duration::from_secs(20)).await;
        assert_eq!((of_the_rule(lab), prefixes(lab).len()), (2, 1), "{}", lab.describe());
        heal(lab);
        lab.until("both are gone", |lab| of_the_rule(lab) == 0 && prefixes(lab).is_empty()).await;
    });
}

/// Behaviours 5 and 41: a policy that cannot be read says nothing about rules: they are reported and pruned.
#[test]
fn an_orphaned_rule_is_reported_and_pruned_though_the_policy_cannot_be_read() {
    let unreadable = r#"{"Version": "2012-10-17", "Statement": 7}"#;
    for broken_before in [false, true] {
        run(917, async |lab| {
            lab.two_teams();
            let breaks = |lab: &Lab| lab.aws.world(|world| world.put_policy(A, REGION, unreadable));
            lab.apply(&caching("team-a/quay", &quay()));
            until_ready(lab, &["team-a/quay"]).await;
            if broken_before {
                // Somebody needs the policy, so it is read.
                lab.apply(&pull("team-b", "app", "default", &[PULLER], "app/*"));
                lab.until_ready(&["team-b/app"]).await;
                breaks(lab);
                lab.reconcile_now("default");
                lab.until_reason(REGISTRIES, "", "default", "UnreadableDocument").await;
            }
            lab.settle().await;
            lab.kube.vanish(CACHES, "team-a", "quay").unwrap();
            lab.until("it is reported", is_orphaned).await;
            lab.settle().await;
            let token = lab.prune_token("default");
            if !broken_before {
                breaks(lab);
            }
            lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
            lab.until("it is pruned", |lab| prefixes(lab).is_empty()).await;
            lab.assert_at_rest().await;
            assert_eq!((on_record(lab), is_orphaned(lab)), (Vec::new(), false));
            assert_eq!(lab.aws.world(|world| world.policy_text(A, REGION)).as_deref(), Some(unreadable));
        });
    }
}

/// Rule 4 and behaviour 38: what would have to be done for one is no news of the others.
#[test]
fn one_pending_change_under_a_restraint_takes_ready_from_nobody_else() {
    for (at, value, why) in [("management", json!("Observe"), "ObserveOnly"), ("suspend", json!(true), "Suspended")] {
        run(918, async |lab| {
            lab.two_teams();
            create_secret(lab, SECRET);
            lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
            for object in ["team-a/lost", "team-b/leaving"] {
                lab.apply(&caching(object, &quay()));
            }
            until_ready(lab, &["team-a/hub", "team-a/lost", "team-b/leaving"]).await;
            set_registry(lab, at, &value);
            lab.settle().await;
            let writes = rule_writes(lab);
            delete_by_others(lab, "lost");
            lab.pass(INTERVAL).await;
            until_reason(lab, "team-a/lost", why).await;
            assert!(steps(lab).contains(&"+ cache rule lost: quay.io".to_owned()), "{:?}", steps(lab));
            for object in ["hub", "lost"].map(|name| (name, lab.ready(CACHES, "team-a", name))) {
                let expected = if object.0 == "lost" { "Unknown" } else { "True" };
                assert_eq!(object.1.0, expected, "{at}: {object:?}");
            }
            delete(lab, "team-b/leaving");
            until_reason(lab, "team-b/leaving", "DeletionBlocked").await;
            lab.apply(&caching("team-b/new", &quay()));
            until_reason(lab, "team-b/new", why).await;
            assert!(lab.is_ready(CACHES, "team-a", "hub"), "{at}: {}", lab.describe());
            lab.assert_at_rest().await;
            assert_eq!(rule_writes(lab), writes);
            // Nor is it the last word: what AWS says of the upstream is told under a restraint too.
            lab.aws.world(|world| world.set_secret_opens(A, REGION, SECRET, false));
            lab.pass(INTERVAL).await;
            assert_eq!(reason(lab, "team-a/hub"), "UpstreamInvalid", "{at}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 37 and 38: what AWS does not answer disproves nothing.
#[test]
fn rules_that_cannot_be_read_for_a_moment_take_ready_from_nobody() {
    for fault in [throttled(DESCRIBE), Fault::error(500, "ServerException", "sim").on(DESCRIBE)] {
        run(919, async |lab| {
            lab.two_teams();
            for object in ["team-a/quay", "team-b/other"] {
                lab.apply(&caching(object, &quay()));
            }
            until_ready(lab, &["team-a/quay", "team-b/other"]).await;
            lab.settle().await;
            let objects = |lab: &Lab| lab.kube.list(CACHES, "");
            let before = objects(lab);
            let asked = calls(lab, DESCRIBE);
            inject(lab, fault.clone());
            lab.reconcile_now("default");
            lab.until("it was asked", |lab| calls(lab, DESCRIBE) > asked).await;
            lab.pass(Duration::from_secs(20)).await;
            assert_eq!(objects(lab), before, "what was proven stays so");
            // Who comes meanwhile is told.
            lab.apply(&caching("team-b/new", &quay()));
            lab.until("it is told", |lab| ["Throttled", "Unreachable"].contains(&reason(lab, "team-b/new").as_str()))
                .await;
            heal(lab);
            until_ready(lab, &["team-a/quay", "team-b/other", "team-b/new"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 38: the Registry is not Ready as long as its rules cannot be read, and its statements are served.
#[test]
fn the_registry_says_that_its_rules_cannot_be_read() {
    for (code, status, why) in
        [("ThrottlingException", "Unknown", "Throttled"), ("AccessDeniedException", "False", "AccessDenied")]
    {
        run(920, async |lab| {
            lab.two_teams();
            lab.apply(&caching("team-a/quay", &quay()));
            until_ready(lab, &["team-a/quay"]).await;
            lab.settle().await;
            inject(lab, Fault::error(400, code, "sim").on(DESCRIBE));
            lab.reconcile_now("default");
            lab.until_reason(REGISTRIES, "", "default", why).await;
            assert_eq!(lab.ready(REGISTRIES, "", "default").0, status);
            lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
            lab.until_ready(&["team-b/pull"]).await;
            heal(lab);
            lab.pass(INTERVAL).await;
            assert_eq!(lab.ready(REGISTRIES, "", "default"), ("True".to_owned(), "Succeeded".to_owned()));
            lab.assert_at_rest().await;
        });
    }
}
