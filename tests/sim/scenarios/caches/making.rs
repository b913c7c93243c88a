//! Every upstream that ECR knows, and who may pull through it.

use aws_sim::Scope;
use serde_json::{Value, json};

use super::{
    PULLER, SECRET, add_role, caching, create_secret, delete, docker_hub, member, prefixes, private, reason, rule,
    rule_writes, set_registry, status, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, cache, registry, with};
use crate::lab::{A, B, Lab, REGION, run};

/// Behaviour 22: a rule is made once, is left alone from then on, and goes with its object.
#[test]
fn a_cache_rule_is_made_once_and_goes_with_its_object() {
    run(800, async |lab| {
        lab.two_teams();
        lab.apply(&cache("team-a", "public", "default", "team-a/public"));
        until_ready(lab, &["team-a/public"]).await;
        assert_eq!(member(lab, "team-a/public", "upstreamRegistryUrl"), "public.ecr.aws");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"]);
        delete(lab, "team-a/public");
        until_gone(lab, "team-a/public").await;
        assert_eq!(prefixes(lab), Vec::<String>::new());
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create", "Delete"]);
    });
}

/// Behaviour 22, aws-facts D.1: every upstream but ECR's own, each with what it needs, at once.
#[test]
fn every_upstream_is_cached_by_its_url_and_with_its_credentials() {
    let upstreams = [
        ("public", json!({"type": "EcrPublic"}), "public.ecr.aws", "ecr-public"),
        ("k8s", json!({"type": "Kubernetes"}), "registry.k8s.io", "k8s"),
        ("quay", json!({"type": "Quay"}), "quay.io", "quay"),
        ("hub", docker_hub("ecr-pullthroughcache/hub"), "registry-1.docker.io", "docker-hub"),
        (
            "ghcr",
            json!({"type": "GitHub", "secretName": "ecr-pullthroughcache/ghcr"}),
            "ghcr.io",
            "github-container-registry",
        ),
        (
            "gitlab",
            json!({"type": "GitLab", "secretName": "ecr-pullthroughcache/gitlab"}),
            "registry.gitlab.com",
            "gitlab-container-registry",
        ),
        (
            "azure",
            json!({"type": "Azure", "azure": {"host": "own.azurecr.io"}, "secretName": "ecr-pullthroughcache/azure"}),
            "own.azurecr.io",
            "azure-container-registry",
        ),
        (
            "chainguard",
            json!({"type": "Chainguard", "secretName": "ecr-pullthroughcache/chainguard"}),
            "cgr.dev",
            "chainguard",
        ),
    ];
    run(802, async |lab| {
        lab.two_teams();
        for (name, upstream, ..) in &upstreams {
            if let Some(secret) = upstream["secretName"].as_str() {
                create_secret(lab, secret);
            }
            lab.apply(&caching(&format!("team-a/{name}"), upstream));
        }
        let names: Vec<String> = upstreams.iter().map(|(name, ..)| format!("team-a/{name}")).collect();
        until_ready(lab, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for (name, upstream, host, kind) in &upstreams {
            assert_eq!(member(lab, name, "upstreamRegistryUrl"), *host);
            assert_eq!(member(lab, name, "upstreamRegistry"), *kind);
            let arn = member(lab, name, "credentialArn");
            let secret = upstream["secretName"].as_str();
            assert_eq!(secret.is_some(), !arn.is_empty(), "{name}");
            assert!(secret.is_none_or(|secret| arn.contains(&format!(":secret:{secret}-"))), "{name}: {arn}");
            let told = status(lab, &format!("team-a/{name}"));
            assert_eq!(told["upstreamHost"], *host);
            // AWS says of upstreams with credentials alone whether it gets in (aws-facts A.1).
            assert_eq!(told["valid"], if secret.is_some() { json!(true) } else { Value::Null }, "{name}");
        }
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), vec!["Create"; upstreams.len()]);
    });
}

/// Behaviour 22, aws-facts D.6: another Region of the same account needs no role, and takes one.
#[test]
fn another_region_of_the_same_account_is_cached_with_and_without_a_role() {
    run(803, async |lab| {
        lab.two_teams();
        let arn = add_role(lab, "ecr-cache");
        let mut part = private(A, "us-east-1");
        part["ecr"]["repositoryPrefix"] = json!("base");
        lab.apply(&caching("team-a/part", &part));
        let mut whole = private(A, "us-east-1");
        whole["ecr"]["roleName"] = json!("ecr-cache");
        lab.apply(&caching("team-a/whole", &whole));
        until_ready(lab, &["team-a/part", "team-a/whole"]).await;
        let url = format!("{A}.dkr.ecr.us-east-1.amazonaws.com");
        let (part, whole) = (rule(lab, "part").unwrap(), rule(lab, "whole").unwrap());
        assert_eq!(part["upstreamRegistryUrl"], url, "{part}");
        assert_eq!((part["upstreamRepositoryPrefix"].as_str(), part.get("customRoleArn")), (Some("base"), None));
        assert_eq!(whole["customRoleArn"], arn, "{whole}");
        assert_eq!(whole["upstreamRepositoryPrefix"], "ROOT", "{whole}");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 22: another account, with a role that others look after, and their grant over there.
#[test]
fn another_account_is_cached_with_a_role_of_others() {
    run(804, async |lab| {
        lab.two_teams();
        let arn = add_role(lab, "ptc/ecr-cache");
        let grant = json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "cache", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{A}:root")},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage", "ecr:GetImageCopyStatus"],
            "Resource": format!("arn:aws:ecr:{REGION}:{B}:repository/*"),
        }]});
        lab.aws.world(|world| world.put_policy(B, REGION, &grant.to_string()));
        let mut upstream = private(B, REGION);
        upstream["ecr"]["roleName"] = json!("ptc/ecr-cache");
        lab.apply(&caching("team-a/theirs", &upstream));
        until_ready(lab, &["team-a/theirs"]).await;
        assert_eq!(member(lab, "theirs", "customRoleArn"), arn);
        assert_eq!(status(lab, "team-a/theirs")["valid"], true);
        lab.assert_at_rest().await;

        // Behaviour 25: their grant goes, and with it what Ready said.
        lab.aws.world(|world| world.delete_policy(B, REGION));
        lab.reconcile_now("default");
        until_reason(lab, "team-a/theirs", "UpstreamInvalid").await;
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"], "the rule itself is as it should be");
    });
}

/// Behaviour 40: a Registry named as upstream that is not there yet is waited for, and nobody edits anything.
#[test]
fn an_upstream_registry_that_comes_later_is_waited_for() {
    run(805, async |lab| {
        lab.two_teams();
        add_role(lab, "ecr-cache");
        let grant = json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "cache", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{A}:root")},
            "Action": "ecr:*", "Resource": format!("arn:aws:ecr:{REGION}:{B}:repository/*"),
        }]});
        lab.aws.world(|world| world.put_policy(B, REGION, &grant.to_string()));
        let upstream = json!({"type": "Ecr", "ecr": {"registryRef": {"name": "upstream"}, "roleName": "ecr-cache"}});
        lab.apply(&caching("team-a/mirror", &upstream));
        until_reason(lab, "team-a/mirror", "ReferenceNotFound").await;
        assert_eq!(lab.ready(CACHES, "team-a", "mirror").0, "Unknown");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), Vec::<String>::new());
        lab.apply(&registry("upstream", B));
        until_ready(lab, &["team-a/mirror"]).await;
        assert_eq!(member(lab, "mirror", "upstreamRegistryUrl"), format!("{B}.dkr.ecr.{REGION}.amazonaws.com"));
        lab.assert_at_rest().await;
    });
}

/// aws-facts D.3: `ROOT` is the fallback, and needs consent for everything.
#[test]
fn the_fallback_caches_whatever_no_other_rule_is_for() {
    run(806, async |lab| {
        lab.two_teams();
        lab.apply(&cache("team-a", "fallback", "default", "ROOT"));
        lab.apply(&with(cache("team-b", "own", "default", "own"), "/spec/upstream", &json!({"type": "Quay"})));
        until_ready(lab, &["team-a/fallback", "team-b/own"]).await;
        let via = |lab: &Lab, repository: &str| {
            lab.aws.world(|world| world.would_pull_through(A, repository, A, REGION)).because
        };
        assert_eq!(prefixes(lab), ["ROOT", "own"]);
        lab.assert_at_rest().await;
        // Without pullers nobody was let in, and that is what lacks.
        assert!(via(lab, "any/app").contains("BatchImportUpstreamImage"), "{}", via(lab, "any/app"));
    });
}

/// aws-facts D.5 and B.2: under V1 the pullers' statement lets them import, and says nothing of what V1 does not hear.
#[test]
fn pullers_may_import_under_v1_and_pull_too_once_the_scope_is_v2() {
    run(807, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V1)));
        let object = with(caching("team-a/quay", &json!({"type": "Quay"})), "/spec/pullers", &pullers());
        lab.apply(&object);
        until_ready(lab, &["team-a/quay"]).await;
        let actions = |lab: &Lab| lab.statements(A)[0]["Action"].clone();
        assert_eq!(actions(lab), "ecr:BatchImportUpstreamImage");
        assert!(!lab.may_pull(PULLER, "quay/app"));
        lab.assert_at_rest().await;

        lab.apply(&with(object.clone(), "/spec/createRepositories", &json!(true)));
        until_ready(lab, &["team-a/quay"]).await;
        assert_eq!(actions(lab), json!(["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"]));
        assert!(lab.may(PULLER, "ecr:CreateRepository", "quay/app", A));
        lab.assert_at_rest().await;

        set_registry(lab, "registryPolicy", &json!({"scope": "V2"}));
        lab.until("they may pull", |lab| lab.may_pull(PULLER, "quay/app")).await;
        until_ready(lab, &["team-a/quay"]).await;
        let through = lab.aws.world(|world| world.would_pull_through(PULLER, "quay/app", A, REGION));
        assert!(through.allowed, "{}", through.because);
        assert!(!lab.may_pull(PULLER, "quayside/app"), "the prefix ends with its slash");
        lab.assert_at_rest().await;

        // Nobody is to pull any more: the grant goes, the cache stays.
        lab.apply(&with(caching("team-a/quay", &json!({"type": "Quay"})), "/spec/pullers", &Value::Null));
        lab.until("they may not", |lab| !lab.may_pull(PULLER, "quay/app")).await;
        until_ready(lab, &["team-a/quay"]).await;
        assert_eq!((prefixes(lab), lab.policy(A)), (vec!["quay".to_owned()], None));
        lab.assert_at_rest().await;
    });
}

fn pullers() -> Value {
    json!({"accountIds": [PULLER]})
}

/// The fallback's pullers may import anything, and other caches' statements stay as they are.
#[test]
fn pullers_of_several_caches_share_the_policy_and_leave_one_by_one() {
    run(808, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
        for (namespace, name, prefix) in [("team-a", "root", "ROOT"), ("team-b", "quay", "quay")] {
            lab.apply(&with(cache(namespace, name, "default", prefix), "/spec/pullers", &pullers()));
        }
        until_ready(lab, &["team-a/root", "team-b/quay"]).await;
        assert!(lab.may_pull(PULLER, "any/app"));
        lab.assert_at_rest().await;
        delete(lab, "team-a/root");
        until_gone(lab, "team-a/root").await;
        assert!(!lab.may_pull(PULLER, "any/app") && lab.may_pull(PULLER, "quay/app"));
        assert_eq!(prefixes(lab), ["quay"]);
        lab.assert_at_rest().await;
    });
}

/// A rule whose object has pullers goes before their grant, and comes after it: no moment has the one without the other
/// that it lives by.
#[test]
fn a_rule_comes_after_its_grant_and_goes_before_it() {
    run(809, async |lab| {
        lab.two_teams();
        lab.apply(&with(caching("team-a/quay", &json!({"type": "Quay"})), "/spec/pullers", &pullers()));
        until_ready(lab, &["team-a/quay"]).await;
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        let writes = lab.aws.world(|world| {
            world.calls().iter().filter(|call| call.is_write).map(|call| call.operation.clone()).collect::<Vec<_>>()
        });
        let expected =
            ["PutRegistryPolicy", "CreatePullThroughCacheRule", "DeletePullThroughCacheRule", "DeleteRegistryPolicy"];
        assert_eq!(writes, expected);
        lab.assert_at_rest().await;
    });
}

/// A secret that is not there yet is told of, and nobody edits anything once it is.
#[test]
fn a_secret_that_comes_later_heals_the_rule() {
    run(810, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        until_reason(lab, "team-a/hub", "SecretNotFound").await;
        assert_eq!(lab.ready(CACHES, "team-a", "hub").0, "False");
        lab.assert_at_rest().await;
        assert_eq!((rule_writes(lab), reason(lab, "team-a/hub").as_str()), (Vec::new(), "SecretNotFound"));
        let arn = create_secret(lab, SECRET);
        lab.pass(std::time::Duration::from_secs(310)).await;
        until_ready(lab, &["team-a/hub"]).await;
        assert_eq!(member(lab, "hub", "credentialArn"), arn);
        lab.assert_at_rest().await;
    });
}
