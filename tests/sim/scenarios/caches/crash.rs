//! Killed between any two calls and started again, a rule made, changed or deleted meanwhile: the same end (behaviour 42).

use std::time::Duration;

use aws_sim::Scope;
use serde_json::{Value, json};

use super::{
    PULLER, SECRET, caching, create_secret, delete, delete_by_others, docker_hub, member, on_record, prefixes,
    put_by_others, put_by_others_with, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, REGISTRIES, with};
use crate::lab::{A, Lab, REGION};
use crate::scenarios::crash::ends_alike;

const OTHER_SECRET: &str = "ecr-pullthroughcache/other";

fn quay() -> Value {
    json!({"type": "Quay"})
}

fn hub_with_pullers(secret: &str) -> Value {
    with(caching("team-a/hub", &docker_hub(secret)), "/spec/pullers", &json!({"accountIds": [PULLER]}))
}

/// Two owners beside a rule of others; one of them with pullers.
async fn caches(lab: &mut Lab) {
    put_by_others(lab, "theirs", "public.ecr.aws");
    lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
    lab.two_teams();
    if member(lab, "hub", "credentialArn").is_empty() {
        create_secret(lab, SECRET);
        create_secret(lab, OTHER_SECRET);
    }
    lab.apply(&hub_with_pullers(SECRET));
    lab.apply(&caching("team-b/quay", &quay()));
    until_ready(lab, &["team-a/hub", "team-b/quay"]).await;
}

#[test]
fn a_crash_while_rules_are_made_changes_nothing_in_the_end() {
    ends_alike(&async |_| {}, &async |lab| {
        caches(lab).await;
        assert_eq!(prefixes(lab), ["hub", "quay", "theirs"]);
    });
}

#[test]
fn a_crash_while_credentials_change_changes_nothing_in_the_end() {
    ends_alike(&caches, &async |lab| {
        lab.apply(&hub_with_pullers(OTHER_SECRET));
        until_ready(lab, &["team-a/hub"]).await;
        assert!(member(lab, "hub", "credentialArn").contains("other"));
    });
}

/// The cache has been used: its repositories are there when the rule comes back.
#[test]
fn a_crash_while_a_rule_is_made_anew_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            caches(lab).await;
            lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        },
        &async |lab| {
            let public = caching("team-b/quay", &json!({"type": "EcrPublic"}));
            lab.apply(&with(public, "/spec/replacePolicy", &json!("Recreate")));
            lab.until("it is another", |lab| member(lab, "quay", "upstreamRegistryUrl") == "public.ecr.aws").await;
            until_ready(lab, &["team-b/quay"]).await;
        },
    );
}

#[test]
fn a_crash_while_rules_are_deleted_changes_nothing_in_the_end() {
    ends_alike(&caches, &async |lab| {
        for object in ["team-a/hub", "team-b/quay"] {
            delete(lab, object);
        }
        until_gone(lab, "team-a/hub").await;
        until_gone(lab, "team-b/quay").await;
        assert_eq!((prefixes(lab), lab.policy(A)), (vec!["theirs".to_owned()], None));
    });
}

#[test]
fn a_crash_while_a_rule_is_adopted_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            caches(lab).await;
            let theirs = create_secret(lab, "ecr-pullthroughcache/theirs");
            let there =
                json!({"ecrRepositoryPrefix": "taken", "upstreamRegistryUrl": "ghcr.io", "credentialArn": theirs});
            put_by_others_with(lab, &there);
        },
        &async |lab| {
            let upstream = json!({"type": "GitHub", "secretName": OTHER_SECRET});
            lab.apply(&with(caching("team-a/taken", &upstream), "/spec/adoption", &json!("Always")));
            let public = caching("team-b/theirs", &json!({"type": "EcrPublic"}));
            lab.apply(&with(public, "/spec/adoption", &json!("IfIdentical")));
            until_ready(lab, &["team-a/taken", "team-b/theirs"]).await;
            assert!(member(lab, "taken", "credentialArn").contains("other"));
            lab.settle().await;
            assert_eq!(on_record(lab).iter().filter(|(_, adopted)| *adopted).count(), 2);
        },
    );
}

/// What was adopted goes back to nobody, whenever the operator dies.
#[test]
fn a_crash_while_an_adopted_rule_is_given_back_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            caches(lab).await;
            let public = caching("team-b/theirs", &json!({"type": "EcrPublic"}));
            lab.apply(&with(public, "/spec/adoption", &json!("IfIdentical")));
            until_ready(lab, &["team-b/theirs"]).await;
        },
        &async |lab| {
            delete(lab, "team-b/theirs");
            until_gone(lab, "team-b/theirs").await;
            assert_eq!(prefixes(lab), ["hub", "quay", "theirs"]);
        },
    );
}

#[test]
fn a_crash_while_a_lost_rule_is_made_again_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            caches(lab).await;
            lab.aws.world(|world| world.add_repository(A, REGION, "quay/app"));
        },
        &async |lab| {
            delete_by_others(lab, "quay");
            lab.reconcile_now("default");
            lab.until("it is back", |lab| prefixes(lab).len() == 3).await;
            lab.settle().await;
            until_ready(lab, &["team-b/quay"]).await;
        },
    );
}

#[test]
fn a_crash_while_a_conflict_is_found_changes_nothing_in_the_end() {
    ends_alike(&caches, &async |lab| {
        lab.apply(&caching("team-a/theirs", &quay()));
        lab.apply(&caching("team-a/quay", &quay()));
        lab.apply(&caching("team-a/more", &quay()));
        until_reason(lab, "team-a/theirs", "RuleConflict").await;
        until_reason(lab, "team-a/quay", "PrefixConflict").await;
        until_ready(lab, &["team-a/more"]).await;
        lab.pass(Duration::from_secs(60)).await;
    });
}

#[test]
fn a_crash_while_consent_is_revoked_leaves_no_rule_behind() {
    ends_alike(&caches, &async |lab| {
        lab.kube.edit("namespaces", "", "team-a", |n| n["metadata"]["labels"] = json!({"tenant": "no"})).unwrap();
        until_reason(lab, "team-a/hub", "NotAllowed").await;
        lab.until("its rule is gone", |lab| prefixes(lab) == ["quay", "theirs"]).await;
    });
}

#[test]
fn a_crash_while_an_orphaned_rule_is_pruned_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            caches(lab).await;
            lab.settle().await;
            lab.kube.vanish(CACHES, "team-b", "quay").unwrap();
        },
        &async |lab| {
            let token = lab.prune_token("default");
            lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
            lab.until("it is pruned", |lab| prefixes(lab) == ["hub", "theirs"]).await;
        },
    );
}

/// A rule that is deleted while no operator runs had perhaps just been made, and goes.
#[test]
fn a_cache_that_is_deleted_during_the_crash_leaves_no_rule_behind() {
    ends_alike(&caches, &async |lab| {
        let delete = |kube: &kube_sim::KubeSim| drop(kube.delete(CACHES, "team-a", "short"));
        lab.when_crashed(delete);
        lab.apply(&caching("team-a/short", &quay()));
        lab.until("it is Ready, or deleted", |lab| lab.crashed() || lab.is_ready(CACHES, "team-a", "short")).await;
        lab.settle().await;
        delete(&lab.kube);
        until_gone(lab, "team-a/short").await;
        assert_eq!(prefixes(lab), ["hub", "quay", "theirs"]);
    });
}
