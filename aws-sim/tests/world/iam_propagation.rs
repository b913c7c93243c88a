//! IAM tells others late: ECR and STS see roles, trusts and policies when they have propagated; IAM at once (aws-facts
//! D.9, F).

use aws_sim::World;
use serde_json::{Value, json};

use crate::client::*;

const NAME: (&str, &str) = ("RoleName", "young");

fn trust(principal: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"},
    ]})
    .to_string()
}

/// The outcome of each use that others make of the role: as a rule's role, as a principal, for AssumeRole.
fn uses(world: &mut World, keys: &Keys) -> [String; 3] {
    let arn = format!("arn:aws:iam::{A}:role/young");
    world.delete_cache_rule(A, REGION, "cache");
    let rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "quay.io", "customRoleArn": arn});
    [
        call(world, keys, "CreatePullThroughCacheRule", &rule).code,
        put(world, keys, &policy(&json!(arn), &json!("ecr:BatchGetImage"))).code,
        assume(world, keys, &arn, &[]).code,
    ]
}

#[test]
fn a_role_is_seen_by_iam_at_once_and_by_others_after_2_and_30_seconds() {
    for delay in [0, 2, 30] {
        let (mut world, a, _) = two_accounts();
        world.set_propagation(seconds(delay));
        let trust = trust(&json!({"AWS": A}));
        in_iam(&mut world, &a, "CreateRole", &[NAME, ("AssumeRolePolicyDocument", &trust)]);
        in_iam(&mut world, &a, "GetRole", &[NAME]);
        if delay > 0 {
            world.advance(seconds(delay - 1));
            let young = ["InvalidParameterException", "InvalidParameterException", "AccessDenied"];
            assert_eq!(uses(&mut world, &a), young, "{delay}");
        }
        world.advance(seconds(delay));
        assert_eq!(uses(&mut world, &a), ["", "", ""], "{delay}");
    }
}

#[test]
fn a_young_role_is_no_principal_of_a_trust_either() {
    let (mut world, a, _) = two_accounts();
    world.set_propagation(seconds(2));
    let open = trust(&json!({"AWS": A}));
    in_iam(&mut world, &a, "CreateRole", &[NAME, ("AssumeRolePolicyDocument", &open)]);
    let arn = format!("arn:aws:iam::{A}:role/young");
    let of_it = trust(&json!({"AWS": arn}));
    let other = [("RoleName", "other"), ("AssumeRolePolicyDocument", of_it.as_str())];
    let (_, code, text) = iam_refuses(&mut world, &a, "CreateRole", &other);
    assert_eq!(code, "MalformedPolicyDocument");
    assert_eq!(text, format!("Invalid principal in policy: \"AWS\":\"{arn}\""));
    world.advance(seconds(2));
    in_iam(&mut world, &a, "CreateRole", &other);
}

#[test]
fn a_changed_trust_counts_late_and_the_old_one_until_then() {
    let (mut world, a, b) = two_accounts();
    let of = |account: &str| trust(&json!({"AWS": account}));
    in_iam(&mut world, &a, "CreateRole", &[NAME, ("AssumeRolePolicyDocument", &of(A))]);
    world.set_propagation(seconds(30));
    in_iam(&mut world, &a, "UpdateAssumeRolePolicy", &[NAME, ("PolicyDocument", &of(B))]);
    assert!(world.role(A, "young").unwrap().trust.contains(B));
    let arn = format!("arn:aws:iam::{A}:role/young");
    let may = |world: &mut World| [&a, &b].map(|keys| assume(world, keys, &arn, &[]).status == 200);
    assert_eq!(may(&mut world), [true, false]);
    world.advance(seconds(30));
    assert_eq!(may(&mut world), [false, true]);
}

#[test]
fn a_deletion_is_seen_at_once() {
    let (mut world, a, _) = two_accounts();
    world.set_propagation(seconds(30));
    let trust = trust(&json!({"AWS": A}));
    in_iam(&mut world, &a, "CreateRole", &[NAME, ("AssumeRolePolicyDocument", &trust)]);
    world.advance(seconds(30));
    assert_eq!(uses(&mut world, &a), ["", "", ""]);
    in_iam(&mut world, &a, "DeleteRole", &[NAME]);
    let [rule, principal, session] = uses(&mut world, &a);
    assert_eq!((rule.as_str(), principal.as_str()), ("InvalidParameterException", "InvalidParameterException"));
    assert_eq!(session, "AccessDenied");
    let shown = get(&mut world, &a).text;
    assert!(shown.contains("AROA") && !shown.contains("role/young"), "{shown}");
}
