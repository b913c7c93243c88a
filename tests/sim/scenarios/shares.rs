//! What one namespace, or all that a rule lets in, may have of what a registry's namespaces share (behaviour 49): others
//! notice nothing, and who waits is let in without an edit once there is room.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::objects::{CACHES, POLICIES, REGISTRIES, ROLES, cache, pull, registry, role, with};
use crate::lab::{A, B, Lab, REGION, run};

const C: &str = "333333333333";
const REASON: &str = "LimitExceeded";

/// An object with as much text of its own in a condition as the schema takes of one value.
fn wordy(namespace: &str, i: usize) -> Value {
    let name = format!("wordy-{i:02}");
    let words = json!([{
        "operator": "StringNotEquals", "key": "aws:principaltag/team",
        "values": (0..3).map(|n| format!("{i:02}-{n}-{}", "x".repeat(240))).collect::<Vec<_>>(),
    }]);
    let object = pull(namespace, &name, "default", &[B], &format!("{namespace}/*"));
    with(object, "/spec/statements/0/conditions", &words)
}

fn limit(lab: &Lab, limits: &Value) {
    lab.set(REGISTRIES, "", "default", "/spec/allow/0/limits", limits);
}

/// The names of a namespace's objects that are refused by a limit.
fn waiting(lab: &Lab, plural: &str, namespace: &str) -> Vec<String> {
    let objects = lab.kube.list(plural, namespace);
    let names = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned());
    let mut names: Vec<_> = names.filter(|name| lab.has_reason(plural, namespace, name, REASON)).collect();
    names.sort();
    names
}

fn is_finalized(lab: &Lab, plural: &str, namespace: &str, name: &str) -> bool {
    let object = lab.kube.get(plural, namespace, name).unwrap();
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// Behaviour 49: free text of one namespace does not fill the policy that all share.
#[test]
fn the_words_of_one_namespace_leave_room_for_another() {
    run(1_700, async |lab| {
        lab.two_teams();
        for i in 0..12 {
            lab.apply(&wordy("team-a", i));
        }
        lab.settle().await;
        lab.apply(&pull("team-b", "small", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-b/small"]).await;
        let waiting = waiting(lab, POLICIES, "team-a");
        assert!((3..8).contains(&waiting.len()), "{waiting:?}");
        let message = lab.message(POLICIES, "team-a", &waiting[0], "Ready");
        assert!(message.contains("10240") && message.contains("2560"), "{message}");
        assert!(!message.contains("team-b") && !message.contains("small"), "{message}");
        assert!(waiting.iter().all(|name| !is_finalized(lab, POLICIES, "team-a", name)));
        lab.assert_at_rest().await;
        lab.restart().await;
        lab.assert_at_rest().await;
        assert!(lab.is_ready(POLICIES, "team-b", "small"));
    });
}

/// Statements of others in AWS take room too: what is kept is kept of what there is.
#[test]
fn statements_of_others_count_before_anything_is_kept_for_anybody() {
    run(1_701, async |lab| {
        let resources: Vec<_> = (0..90).map(|n| format!("arn:aws:ecr:{REGION}:{A}:repository/r{n:03}")).collect();
        let theirs = json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{C}:root")},
            "Action": "ecr:ReplicateImage", "Resource": resources,
        }]});
        lab.aws.world(|world| world.put_policy(A, REGION, &theirs.to_string()));
        lab.two_teams();
        for i in 0..4 {
            lab.apply(&wordy("team-a", i));
        }
        lab.settle().await;
        assert_eq!(waiting(lab, POLICIES, "team-a").len(), 2);
        for i in 0..2 {
            lab.apply(&wordy("team-b", i));
        }
        lab.until_ready(&["team-b/wordy-00", "team-b/wordy-01"]).await;
        lab.assert_at_rest().await;
        // What they give up somebody else may have.
        lab.aws.world(|world| {
            world.edit_policy(A, REGION, |text| {
                let mut policy: Value = serde_json::from_str(&text.unwrap()).unwrap();
                policy["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != "theirs");
                Some(policy.to_string())
            });
        });
        lab.pass(Duration::from_secs(310)).await;
        lab.until("there is room", |lab| waiting(lab, POLICIES, "team-a").is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviours 24 and 49: a registry has fifty rules, and one namespace does not have them all.
#[test]
fn the_prefixes_of_one_namespace_do_not_use_up_the_rules() {
    run(1_702, async |lab| {
        lab.two_teams();
        for i in 0..50 {
            lab.apply(&cache("team-a", &format!("hub-{i:02}"), "default", &format!("hub-{i:02}")));
        }
        lab.settle().await;
        assert_eq!(waiting(lab, CACHES, "team-a").len(), 12);
        lab.apply(&cache("team-b", "quay", "default", "quay"));
        lab.until_ready_of(CACHES, &["team-b/quay"]).await;
        lab.assert_at_rest().await;
        limit(lab, &json!({"each": {"rules": 49}}));
        lab.until("all but the last are there", |lab| waiting(lab, CACHES, "team-a").len() == 1).await;
        lab.settle().await;
        lab.delete(CACHES, "team-a", "hub-00");
        lab.until("the last is there", |lab| waiting(lab, CACHES, "team-a").is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 49: a limit is raised and lowered while objects wait and stand; nobody edits them.
#[test]
fn raising_a_limit_lets_in_who_waits_and_lowering_it_takes_nothing() {
    run(1_703, async |lab| {
        let pulls = |i: usize| pull("team-a", &format!("p{i}"), "default", &[B], &format!("team-a/{i}/*"));
        let served = |lab: &Lab| (0..4).filter(|i| lab.may_pull(B, &format!("team-a/{i}/app"))).count();
        lab.two_teams();
        limit(lab, &json!({"each": {"objects": 2}}));
        for i in 0..4 {
            lab.apply(&pulls(i));
        }
        lab.until("two wait", |lab| waiting(lab, POLICIES, "team-a").len() == 2 && served(lab) == 2).await;
        lab.assert_at_rest().await;
        let told = lab.kube.get(REGISTRIES, "", "default").unwrap()["status"]["attached"]["RegistryPolicy"].clone();
        assert_eq!(told, json!({"accepted": 2, "refused": 2}));
        limit(lab, &json!({"each": {"objects": 4}}));
        lab.until_ready(&["team-a/p0", "team-a/p1", "team-a/p2", "team-a/p3"]).await;
        lab.assert_at_rest().await;
        limit(lab, &json!({"each": {"objects": 0, "characters": 0}, "together": {"objects": 0}}));
        lab.apply(&pull("team-b", "new", "default", &[C], "team-b/*"));
        lab.until_reason(POLICIES, "team-b", "new", REASON).await;
        lab.settle().await;
        assert!(served(lab) == 4 && waiting(lab, POLICIES, "team-a").is_empty(), "{}", lab.describe());
        // What stands is repaired, and may be changed into what takes no more.
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(Duration::from_secs(310)).await;
        lab.until("it is put back", |lab| served(lab) == 4).await;
        lab.set(POLICIES, "team-a", "p0", "/spec/statements/0/principals/accountIds", &json!([C]));
        lab.until("it is changed", |lab| lab.may_pull(C, "team-a/0/app") && served(lab) == 3).await;
        lab.set(POLICIES, "team-a", "p0", "/spec/statements/0/principals/accountIds", &json!([B, C]));
        lab.until_reason(POLICIES, "team-a", "p0", REASON).await;
        lab.settle().await;
        assert!(lab.may_pull(C, "team-a/0/app") && served(lab) == 3, "what the refused edit still asks for stays");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 49: an object that is deleted, and an orphan that is pruned, make room for who waits, at once.
#[test]
fn what_goes_makes_room_for_who_waits() {
    run(1_704, async |lab| {
        let pulls = |name: &str| pull("team-a", name, "default", &[B], &format!("team-a/{name}/*"));
        lab.two_teams();
        limit(lab, &json!({"each": {"objects": 2}}));
        for name in ["first", "second", "third", "fourth"] {
            lab.apply(&pulls(name));
            lab.pass(Duration::from_secs(5)).await;
        }
        lab.settle().await;
        assert_eq!(waiting(lab, POLICIES, "team-a"), ["fourth", "third"]);
        lab.delete(POLICIES, "team-a", "first");
        lab.until_ready(&["team-a/third"]).await;
        lab.settle().await;
        assert_eq!(waiting(lab, POLICIES, "team-a"), ["fourth"]);
        lab.kube.vanish(POLICIES, "team-a", "second").unwrap();
        lab.kube.relist(&kube_sim::Kinds::All);
        lab.until("it is an orphan", |lab| lab.message(REGISTRIES, "", "default", "Orphaned").contains("second")).await;
        lab.settle().await;
        assert_eq!(waiting(lab, POLICIES, "team-a"), ["fourth"], "an orphan counts");
        let pruned = lab.clock.now();
        lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &lab.prune_token("default"));
        lab.until_ready(&["team-a/fourth"]).await;
        assert!(lab.since(pruned) < Duration::from_secs(15), "{:?}", lab.since(pruned));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 49: what a rule bounds together is shared by all that it lets in, and no message names another's object.
#[test]
fn what_a_rule_bounds_together_is_shared_by_all() {
    run(1_705, async |lab| {
        lab.two_teams();
        limit(lab, &json!({"together": {"objects": 1}}));
        lab.apply(&pull("team-a", "secret", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/secret"]).await;
        lab.apply(&pull("team-b", "late", "default", &[C], "team-b/*"));
        lab.until_reason(POLICIES, "team-b", "late", REASON).await;
        let message = lab.message(POLICIES, "team-b", "late", "Ready");
        assert!(message.contains("limits.together.objects") && !message.contains("secret"), "{message}");
        lab.assert_at_rest().await;
        lab.delete(POLICIES, "team-a", "secret");
        lab.until_ready(&["team-b/late"]).await;
        lab.assert_at_rest().await;
    });
}

/// The limits of an upstream bound the roles of others that pull from it, and the role's object is told.
#[test]
fn the_share_of_a_namespace_in_an_upstream_is_told_by_the_role() {
    for limits in
        [json!({"each": {"characters": 0}}), json!({"each": {"objects": 0}}), json!({"together": {"objects": 0}})]
    {
        run(1_706, async |lab| {
            lab.two_teams();
            lab.apply(&with(registry("upstream", B), "/spec/allow/0/limits", &limits));
            lab.aws.world(|world| world.set_scope(B, REGION, Some(aws_sim::Scope::V2)));
            lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
            lab.until("there is a role", |lab| lab.aws_writes("CreateRole") == 1).await;
            lab.settle().await;
            let said = lab.message(ROLES, "team-a", "mirror", "Ready");
            if limits["together"].is_null() {
                assert!(said.contains("limits.each."), "{limits}: {said}");
            }
            assert_eq!(lab.ready(ROLES, "team-a", "mirror").1, "WaitingForUpstream", "{said}");
            assert_eq!(lab.statements(B).len(), 0);
            lab.assert_at_rest().await;
            lab.set(REGISTRIES, "", "upstream", "/spec/allow/0/limits", &json!({"each": {"objects": 1}}));
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// A namespace's record is lost while a limit is lower than what stands: nothing that stands goes, and nobody gets in
/// before it.
#[test]
fn a_lost_record_costs_nobody_a_share() {
    run(1_707, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "stands", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-a", "too", "default", &[C], "team-a/too/*"));
        lab.until_ready(&["team-a/stands", "team-a/too"]).await;
        limit(lab, &json!({"each": {"objects": 1}}));
        lab.apply(&pull("team-a", "new", "default", &[C], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "new", REASON).await;
        lab.settle().await;
        lab.stop();
        lab.lose_ledger("default");
        lab.start().await;
        lab.settle().await;
        assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-a/too/app") && !lab.may_pull(C, "team-a/app"));
        lab.until_ready(&["team-a/stands", "team-a/too"]).await;
        assert_eq!(waiting(lab, POLICIES, "team-a"), ["new"]);
        lab.assert_at_rest().await;
    });
}
