//! ValidatePullThroughCacheRule: always 200, valid or not (aws-facts A.1, J.12).

use aws_sim::{Trust, World};
use serde_json::{Value, json};

use crate::client::*;

fn validate(world: &mut World, keys: &Keys) -> Value {
    done(world, keys, "ValidatePullThroughCacheRule", &json!({"ecrRepositoryPrefix": "cache"}))
}

fn failure(world: &mut World, keys: &Keys) -> String {
    let answer = validate(world, keys);
    assert_eq!(answer["isValid"], false, "{answer}");
    answer["failure"].as_str().unwrap().to_owned()
}

fn valid(world: &mut World, keys: &Keys) -> Value {
    let answer = validate(world, keys);
    assert_eq!((&answer["isValid"], answer.get("failure")), (&json!(true), None), "{answer}");
    answer
}

#[test]
fn an_open_upstream_is_valid() {
    let (mut world, a, _) = two_accounts();
    world.put_cache_rule(A, REGION, &json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "quay.io"}));
    let answer = valid(&mut world, &a);
    let expected = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "quay.io", "registryId": A,
        "upstreamRepositoryPrefix": "ROOT", "isValid": true});
    assert_eq!(answer, expected);
    assert!(!world.calls().last().unwrap().is_write);
}

#[test]
fn a_secret_is_fetched_and_tried() {
    let (mut world, a, _) = two_accounts();
    let name = "ecr-pullthroughcache/hub";
    let arn = world.create_secret(A, REGION, name);
    let rule =
        json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "registry-1.docker.io", "credentialArn": arn});
    world.put_cache_rule(A, REGION, &rule);
    assert_eq!(valid(&mut world, &a)["credentialArn"], arn);
    world.set_secret_opens(A, REGION, name, false);
    assert!(failure(&mut world, &a).contains("does not take what the secret"));
    world.set_secret_key(A, REGION, name, Some("key"));
    assert!(failure(&mut world, &a).contains("encrypted"));
    world.delete_secret(A, REGION, name);
    assert!(failure(&mut world, &a).contains("does not exist"));
}

#[test]
fn a_role_must_be_assumable_permitted_and_granted_something() {
    let (mut world, a, _) = two_accounts();
    let arn = world.add_role(A, "cache", Trust::default());
    let upstream = format!("{B}.dkr.ecr.{REGION}.amazonaws.com");
    let rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": upstream, "customRoleArn": arn});
    world.put_cache_rule(A, REGION, &rule);
    assert!(failure(&mut world, &a).contains("does not trust"));
    world.edit_role(A, "cache", |role| {
        role.trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}}})
        .to_string();
    });
    assert!(failure(&mut world, &a).contains("none of its policies"));
    world.edit_role(A, "cache", |role| {
        role.attached_policies = ["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()].into();
    });
    assert!(failure(&mut world, &a).contains(&format!("account {B}")));
    // A grant of anything is enough: the rule does not say what will be pulled.
    let grant = policy(&json!(A), &json!("ecr:*")).replace("\"Resource\":\"*\"", "\"Resource\":\"repository/x\"");
    world.put_policy(B, REGION, &grant);
    assert_eq!(valid(&mut world, &a)["customRoleArn"], arn);
    world.put_policy(B, REGION, &policy(&json!("*"), &json!("ecr:*")).replace("Allow", "Deny"));
    assert!(failure(&mut world, &a).contains("denied"));
    world.delete_policy(B, REGION);
    world.add_repository(B, REGION, "app");
    world.put_repository_policy(B, REGION, "app", Some(&grant));
    failure(&mut world, &a);
    let everywhere = policy(&json!(A), &json!("ecr:*"));
    world.put_repository_policy(B, REGION, "app", Some(&everywhere));
    valid(&mut world, &a);
}
