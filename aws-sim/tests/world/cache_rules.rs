//! Pull-through cache rules: their life (aws-facts A.1, D).

use aws_sim::{Trust, World};
use serde_json::{Value, json};

use crate::client::*;

const PUBLIC: &str = "public.ecr.aws";
const HUB: &str = "registry-1.docker.io";

fn rule(prefix: &str) -> Value {
    json!({"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": PUBLIC})
}

fn create(world: &mut World, keys: &Keys, input: &Value) -> Value {
    done(world, keys, "CreatePullThroughCacheRule", input)
}

fn describe(world: &mut World, keys: &Keys) -> Value {
    done(world, keys, "DescribePullThroughCacheRules", &json!({}))["pullThroughCacheRules"].clone()
}

#[test]
fn a_rule_is_created_described_and_deleted() {
    let (mut world, a, b) = two_accounts();
    let created = create(&mut world, &a, &rule("ecr-public"));
    let epoch = json!(1_767_225_600.0);
    assert_eq!(
        created,
        json!({"ecrRepositoryPrefix": "ecr-public", "upstreamRegistryUrl": PUBLIC, "upstreamRegistry": "ecr-public",
            "upstreamRepositoryPrefix": "ROOT", "registryId": A, "createdAt": epoch})
    );
    let described = describe(&mut world, &a);
    assert_eq!((&described[0]["updatedAt"], &described[0]["createdAt"]), (&epoch, &epoch));
    assert_eq!(described[0]["upstreamRepositoryPrefix"], "ROOT");
    assert_eq!(describe(&mut world, &b), json!([]));
    let gone = done(&mut world, &a, "DeletePullThroughCacheRule", &json!({"ecrRepositoryPrefix": "ecr-public"}));
    assert_eq!(gone["upstreamRegistryUrl"], PUBLIC);
    assert_eq!(describe(&mut world, &a), json!([]));
}

/// aws-facts D.1.
#[test]
fn every_upstream_is_told_by_its_url() {
    let (mut world, a, _) = two_accounts();
    let secret = world.create_secret(A, REGION, "ecr-pullthroughcache/hub");
    let own = format!("{B}.dkr.ecr.eu-north-1.amazonaws.com");
    let upstreams = [
        (own.as_str(), "ecr", false),
        (PUBLIC, "ecr-public", false),
        ("registry.k8s.io", "k8s", false),
        ("quay.io", "quay", false),
        (HUB, "docker-hub", true),
        ("ghcr.io", "github-container-registry", true),
        ("registry.gitlab.com", "gitlab-container-registry", true),
        ("mine.azurecr.io", "azure-container-registry", true),
        ("cgr.dev", "chainguard", true),
    ];
    for (index, (url, kind, needs_secret)) in upstreams.into_iter().enumerate() {
        let mut input = json!({"ecrRepositoryPrefix": format!("p{index}"), "upstreamRegistryUrl": url});
        if needs_secret {
            let (code, text) = refused(&mut world, &a, "CreatePullThroughCacheRule", &input);
            assert_eq!(code, "UnsupportedUpstreamRegistryException", "{url}");
            assert!(text.starts_with("The specified upstream registry requires authentication."), "{text}");
            input["credentialArn"] = json!(secret);
        }
        assert_eq!(create(&mut world, &a, &input)["upstreamRegistry"], kind);
    }
}

/// aws-facts A.1: neither can be removed by an update.
#[test]
fn an_update_changes_the_secret_or_the_role_and_nothing_else() {
    let (mut world, a, _) = two_accounts();
    let first = world.create_secret(A, REGION, "ecr-pullthroughcache/hub");
    let input = json!({"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": HUB, "credentialArn": first,
        "upstreamRepositoryPrefix": "library"});
    create(&mut world, &a, &input);
    world.advance(seconds(60));
    let update = |more: Value| {
        let mut input = json!({"ecrRepositoryPrefix": "hub"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let (code, text) = refused(&mut world, &a, "UpdatePullThroughCacheRule", &update(json!({})));
    assert_eq!(code, "InvalidParameterException");
    assert_eq!(text, "Invalid input: Please set either credential arn or role arn to update the credentials");
    let second = world.create_secret(A, REGION, "ecr-pullthroughcache/hub");
    let updated = done(&mut world, &a, "UpdatePullThroughCacheRule", &update(json!({"credentialArn": second})));
    assert_eq!((&updated["credentialArn"], &updated["updatedAt"]), (&json!(second), &json!(1_767_225_660.0)));
    let role = world.add_role(A, "cache", Trust::default());
    let updated = done(&mut world, &a, "UpdatePullThroughCacheRule", &update(json!({"customRoleArn": role})));
    assert_eq!((&updated["credentialArn"], &updated["customRoleArn"]), (&json!(second), &json!(role)));
    let described = describe(&mut world, &a)[0].clone();
    assert_eq!(
        (&described["createdAt"], &described["upstreamRepositoryPrefix"]),
        (&json!(1_767_225_600.0), &json!("library"))
    );
    let gone = update(json!({"credentialArn": first}));
    assert_eq!(refused(&mut world, &a, "UpdatePullThroughCacheRule", &gone).0, "SecretNotFoundException");
}

/// aws-facts A.1: an unknown prefix fails the whole call.
#[test]
fn an_unknown_prefix_is_not_found_whatever_is_asked() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &rule("known"));
    let unknown = json!({"ecrRepositoryPrefix": "unknown", "credentialArn": "x"});
    for operation in ["UpdatePullThroughCacheRule", "ValidatePullThroughCacheRule", "DeletePullThroughCacheRule"] {
        assert_eq!(
            refused(&mut world, &a, operation, &unknown).0,
            "PullThroughCacheRuleNotFoundException",
            "{operation}"
        );
    }
    let both = json!({"ecrRepositoryPrefixes": ["known", "unknown"]});
    let (code, _) = refused(&mut world, &a, "DescribePullThroughCacheRules", &both);
    assert_eq!(code, "PullThroughCacheRuleNotFoundException");
    let one = json!({"ecrRepositoryPrefixes": ["known"]});
    let found = done(&mut world, &a, "DescribePullThroughCacheRules", &one);
    assert_eq!(column(&found["pullThroughCacheRules"], "ecrRepositoryPrefix"), ["known"]);
}

/// aws-facts A.7, D.4: fifty and no more; in pages.
#[test]
fn fifty_rules_fit_and_are_listed_in_pages() {
    let (mut world, a, _) = two_accounts();
    let prefixes: Vec<String> = (0..50).map(|n| format!("p{n:02}")).collect();
    for prefix in &prefixes {
        create(&mut world, &a, &rule(prefix));
    }
    assert_eq!(refused(&mut world, &a, "CreatePullThroughCacheRule", &rule("p50")).0, "LimitExceededException");
    let elsewhere = ecr(&a, "eu-north-1", "CreatePullThroughCacheRule", &rule("p50"));
    assert_eq!(ask(&mut world, elsewhere).status, 200);
    let taken = refused(&mut world, &a, "CreatePullThroughCacheRule", &rule("p49")).0;
    assert_eq!(taken, "PullThroughCacheRuleAlreadyExistsException");
    let mut input = json!({"maxResults": 20});
    let mut seen = Vec::new();
    for left in [20, 20, 10] {
        let page = done(&mut world, &a, "DescribePullThroughCacheRules", &input);
        let on_it = column(&page["pullThroughCacheRules"], "ecrRepositoryPrefix");
        assert_eq!(on_it.len(), left);
        seen.extend(on_it);
        input["nextToken"] = page.get("nextToken").cloned().unwrap_or_default();
    }
    assert_eq!((seen, &input["nextToken"]), (prefixes, &Value::Null));
    for bad in [json!({"maxResults": 1001}), json!({"ecrRepositoryPrefixes": []})] {
        let (code, _) = refused(&mut world, &a, "DescribePullThroughCacheRules", &bad);
        assert_eq!(code, "InvalidParameterException", "{bad}");
    }
}

/// aws-facts D.3: `/` is always assumed at the end.
#[test]
fn a_slash_at_the_end_of_a_prefix_makes_no_other_rule() {
    let (mut world, a, _) = two_accounts();
    assert_eq!(create(&mut world, &a, &rule("team-a/"))["ecrRepositoryPrefix"], "team-a/");
    let taken = refused(&mut world, &a, "CreatePullThroughCacheRule", &rule("team-a")).0;
    assert_eq!(taken, "PullThroughCacheRuleAlreadyExistsException");
    done(&mut world, &a, "DeletePullThroughCacheRule", &json!({"ecrRepositoryPrefix": "team-a"}));
    assert!(world.cache_prefixes(A, REGION).is_empty());
}

/// aws-facts D.7.
#[test]
fn the_first_rule_makes_ecrs_own_role_and_a_later_one_makes_it_again() {
    let (mut world, a, _) = two_accounts();
    let name = "AWSServiceRoleForECRPullThroughCache";
    assert!(world.role(A, name).is_none());
    create(&mut world, &a, &rule("one"));
    let role = world.role(A, name).unwrap();
    assert_eq!(role.arn, format!("arn:aws:iam::{A}:role/aws-service-role/pullthroughcache.ecr.amazonaws.com/{name}"));
    assert!(role.trust.contains("pullthroughcache.ecr.amazonaws.com"));
    create(&mut world, &a, &rule("two"));
    assert_eq!(world.role(A, name).unwrap().id, role.id);
    world.delete_role(A, name);
    create(&mut world, &a, &rule("three"));
    assert_ne!(world.role(A, name).unwrap().id, role.id);
}

#[test]
fn writes_are_recorded_with_the_rule_around_them() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &rule("one"));
    refused(&mut world, &a, "CreatePullThroughCacheRule", &json!({"ecrRepositoryPrefix": "one"}));
    done(&mut world, &a, "DeletePullThroughCacheRule", &json!({"ecrRepositoryPrefix": "one"}));
    describe(&mut world, &a);
    let calls = world.calls();
    assert!(calls[..3].iter().all(|c| c.is_write && c.target.as_deref() == Some("pull-through-cache-rule/one")));
    assert!(!calls[3].is_write && calls[3].write.is_none() && calls[3].target.is_none());
    let parsed = |text: &Option<String>| text.as_deref().map(|t| serde_json::from_str::<Value>(t).unwrap());
    let stored = json!({"ecrRepositoryPrefix": "one", "upstreamRegistryUrl": PUBLIC, "upstreamRegistry": "ecr-public",
        "upstreamRepositoryPrefix": "ROOT"});
    let writes: Vec<_> = calls[..3].iter().map(|c| c.write.clone().unwrap()).collect();
    let around: Vec<_> = writes.iter().map(|w| (parsed(&w.before), parsed(&w.sent), parsed(&w.after))).collect();
    assert_eq!(around[0], (None, Some(rule("one")), Some(stored.clone())));
    let bad = json!({"ecrRepositoryPrefix": "one"});
    assert_eq!(around[1], (Some(stored.clone()), Some(bad), Some(stored.clone())));
    assert_eq!(around[2], (Some(stored), None, None));
}

#[test]
fn faults_throttling_and_stale_reads_reach_the_rules() {
    let (mut world, a, _) = two_accounts();
    world.inject(
        aws_sim::Fault::error(500, "ServerException", "m").on("CreatePullThroughCacheRule").in_account(A).once(),
    );
    assert_eq!(call(&mut world, &a, "CreatePullThroughCacheRule", &rule("one")).code, "ServerException");
    create(&mut world, &a, &rule("one"));
    create(&mut world, &a, &rule("two"));
    world.inject(aws_sim::Fault::stale_read().on("DescribePullThroughCacheRules").once());
    assert_eq!(column(&describe(&mut world, &a), "ecrRepositoryPrefix"), ["one"]);
    world.inject(aws_sim::Fault::nothing_there().on("DescribePullThroughCacheRules").once());
    assert_eq!(describe(&mut world, &a), json!([]));
    world.set_throttle(A, REGION, 0.1, 1);
    describe(&mut world, &a);
    assert_eq!(refused(&mut world, &a, "DescribePullThroughCacheRules", &json!({})).0, "ThrottlingException");
}

#[test]
fn a_foreign_hand_puts_and_deletes_rules() {
    let (mut world, a, _) = two_accounts();
    world.put_cache_rule(A, REGION, &rule("theirs"));
    assert_eq!(world.cache_rule(A, REGION, "theirs").unwrap()["upstreamRegistry"], "ecr-public");
    assert_eq!(column(&describe(&mut world, &a), "ecrRepositoryPrefix"), ["theirs"]);
    world.delete_cache_rule(A, REGION, "theirs");
    assert_eq!(world.cache_rule(A, REGION, "theirs"), None);
    assert_eq!(world.calls().len(), 1);
}
