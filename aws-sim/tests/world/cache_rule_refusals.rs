//! What CreatePullThroughCacheRule refuses, and why (aws-facts A.0, A.1, D.1 to D.4).

use aws_sim::{Trust, World};
use serde_json::{Value, json};

use crate::client::*;

const CREATE: &str = "CreatePullThroughCacheRule";
const INVALID: &str = "InvalidParameterException";

fn rule(more: &Value) -> Value {
    let mut rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "quay.io"});
    rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rule
}

fn because(world: &mut World, keys: &Keys, more: &Value) -> (String, String) {
    let refusal = refused(world, keys, CREATE, &rule(more));
    assert!(world.cache_prefixes(A, REGION).is_empty(), "{more}");
    refusal
}

#[test]
fn prefixes_are_paths_of_2_to_30_characters() {
    let (mut world, a, _) = two_accounts();
    let (fits, long) = ("a".repeat(30), "a".repeat(31));
    for prefix in ["a", "Team", "team-", "a//b", "/a", "root-", "ROOT/", long.as_str()] {
        for member in ["ecrRepositoryPrefix", "upstreamRepositoryPrefix"] {
            let (code, text) = because(&mut world, &a, &json!({member: prefix}));
            assert_eq!(code, INVALID, "{member} {prefix}");
            assert!(text.starts_with(&format!("Invalid parameter at '{member}'")), "{text}");
        }
    }
    for member in ["ecrRepositoryPrefix", "upstreamRegistryUrl"] {
        assert_eq!(because(&mut world, &a, &json!({member: null})).0, INVALID);
    }
    let input = rule(&json!({"ecrRepositoryPrefix": fits, "upstreamRepositoryPrefix": "team/x"}));
    assert_eq!(done(&mut world, &a, CREATE, &input)["upstreamRepositoryPrefix"], "team/x");
}

/// aws-facts D.3.
#[test]
fn root_takes_no_upstream_prefix() {
    let (mut world, a, _) = two_accounts();
    for upstream in ["team", "ROOT"] {
        let input = json!({"ecrRepositoryPrefix": "ROOT", "upstreamRepositoryPrefix": upstream});
        let (code, text) = because(&mut world, &a, &input);
        assert_eq!(code, INVALID);
        assert!(text.contains("ROOT"), "{text}");
    }
    let created = done(&mut world, &a, CREATE, &rule(&json!({"ecrRepositoryPrefix": "ROOT"})));
    assert_eq!(created["upstreamRepositoryPrefix"], "ROOT");
}

#[test]
fn hosts_that_ecr_does_not_cache_and_contradictions_are_refused() {
    let (mut world, a, _) = two_accounts();
    for url in ["example.org", "https://quay.io", &format!("{B}.dkr.ecr.cn-north-1.amazonaws.com.cn")] {
        let (code, _) = because(&mut world, &a, &json!({"upstreamRegistryUrl": url}));
        assert_eq!(code, "UnsupportedUpstreamRegistryException", "{url}");
    }
    for kind in ["ecr", "nowhere"] {
        let (code, text) = because(&mut world, &a, &json!({"upstreamRegistry": kind}));
        assert_eq!(code, INVALID);
        assert!(text.contains("'upstreamRegistry'"), "{text}");
    }
    done(&mut world, &a, CREATE, &rule(&json!({"upstreamRegistry": "quay"})));
}

/// aws-facts D.2: same account and Region, AWS's own key, and the ARN with its random end.
#[test]
fn the_secret_must_be_there_and_readable() {
    let (mut world, a, _) = two_accounts();
    let name = "ecr-pullthroughcache/hub";
    let first = world.create_secret(A, REGION, name);
    let (foreign, elsewhere) = (world.create_secret(B, REGION, name), world.create_secret(A, "eu-north-1", name));
    let second = world.create_secret(A, REGION, name);
    let hub = |arn: &str| json!({"upstreamRegistryUrl": "registry-1.docker.io", "credentialArn": arn});
    for gone in [first.as_str(), &foreign, &elsewhere] {
        assert_eq!(because(&mut world, &a, &hub(gone)).0, "SecretNotFoundException", "{gone}");
    }
    for bad in ["arn", "arn:aws:secretsmanager:eu-west-1:111111111111:secret:other/hub-AbCdEf", &"x".repeat(613)] {
        let (code, text) = because(&mut world, &a, &hub(bad));
        assert_eq!(code, INVALID, "{bad}");
        assert!(text.contains("'credentialArn'"), "{text}");
    }
    world.set_secret_key(A, REGION, name, Some("arn:aws:kms:eu-west-1:111111111111:key/1"));
    assert_eq!(because(&mut world, &a, &hub(&second)).0, "UnableToDecryptSecretValueException");
    world.set_secret_key(A, REGION, name, None);
    world.schedule_secret_deletion(A, REGION, name);
    assert_eq!(because(&mut world, &a, &hub(&second)).0, "SecretNotFoundException");
    // What it holds is not looked at.
    let third = world.create_secret(A, REGION, name);
    world.set_secret_opens(A, REGION, name, false);
    done(&mut world, &a, CREATE, &rule(&hub(&third)));
}

/// aws-facts A.0, D.9.
#[test]
fn the_role_must_be_of_the_same_account_and_visible() {
    let (mut world, a, _) = two_accounts();
    let foreign = world.add_role(B, "cache", Trust::default());
    world.set_propagation(seconds(2));
    let young = world.add_role(A, "cache", Trust::default());
    let nobody = format!("arn:aws:iam::{A}:role/nobody");
    for arn in [foreign.as_str(), &young, &nobody, "role/cache", &"x".repeat(2049)] {
        let (code, text) = because(&mut world, &a, &json!({"customRoleArn": arn}));
        assert_eq!(code, INVALID, "{arn}");
        assert!(text.contains("'customRoleArn'"), "{text}");
    }
    world.advance(seconds(2));
    let created = done(&mut world, &a, CREATE, &rule(&json!({"customRoleArn": young})));
    assert_eq!(created["customRoleArn"], young);
}
