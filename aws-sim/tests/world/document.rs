//! The registry policy: one document, replaced whole, within limits (aws-facts A.1, B).

use aws_sim::{Scope, Trust};
use serde_json::{Value, json};

use crate::client::*;

const INVALID: &str =
    "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'";

#[test]
fn a_put_replaces_the_whole_document_and_a_delete_returns_it() {
    let (mut world, a, _) = two_accounts();
    let second = policy(&json!(B), &json!("ecr:CreateRepository"));
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
    assert_eq!(put(&mut world, &a, &second).status, 200);
    assert_eq!(world.policy_text(A, REGION).unwrap(), second);
    let gone = ask(&mut world, ecr(&a, REGION, "DeleteRegistryPolicy", &json!({})));
    assert!(gone.json["policyText"].as_str().unwrap().contains("ecr:CreateRepository"));
    assert_eq!(world.policy_text(A, REGION), None);
}

/// aws-facts A.1.
#[test]
fn what_is_not_there_is_not_found() {
    let (mut world, a, _) = two_accounts();
    for operation in ["GetRegistryPolicy", "DeleteRegistryPolicy"] {
        let answer = ask(&mut world, ecr(&a, REGION, operation, &json!({})));
        assert_eq!((answer.status, answer.code.as_str()), (400, "RegistryPolicyNotFoundException"));
        assert_eq!(answer.message, format!("Registry policy does not exist in the registry with id '{A}'"));
    }
}

/// aws-facts B.1: counted as sent, white space and all, in characters.
#[test]
fn the_limit_is_10240_characters_as_sent() {
    let (mut world, a, _) = two_accounts();
    let short = policy(&json!(B), &json!("ecr:ReplicateImage"));
    let fits = format!("{}{short}", " ".repeat(10_240 - short.len()));
    assert_eq!(put(&mut world, &a, &fits).status, 200);
    let long = put(&mut world, &a, &format!(" {fits}"));
    assert_eq!((long.status, long.code.as_str()), (400, "InvalidParameterException"));
    assert!(long.message.contains("'PolicyText'") && long.message.contains("10240"), "{}", long.message);
    let wide = short.replace("\"s\"", &format!("\"{}\"", "é".repeat(10_240 - short.len() + 1)));
    assert_eq!(wide.chars().count(), 10_240);
    assert_eq!(put(&mut world, &a, &wide).status, 200);
}

/// aws-facts B.4: one text for all, and nothing changes.
#[test]
fn whatever_is_wrong_with_a_document_the_text_is_the_same() {
    let (mut world, a, _) = two_accounts();
    put(&mut world, &a, &replication());
    let of = |principal: Value| policy(&principal, &json!("ecr:BatchGetImage"));
    for text in [
        "{".to_owned(),
        String::new(),
        policy(&json!(B), &json!("s3:GetObject")),
        policy(&json!(B), &json!(["ecr:ReplicateImage", "ecr:NoSuchAction"])),
        of(json!(format!("arn:aws:iam::{A}:role/nobody"))),
        of(json!([B, format!("arn:aws:iam::{B}:user/nobody")])),
        of(json!(format!("arn:aws:sts::{A}:assumed-role/nobody/x"))),
        of(json!(format!("arn:aws:iam::{A}:group/g"))),
        of(json!(format!("arn:aws:iam::{A}:*"))),
        of(json!(format!("arn:aws-cn:iam::{A}:root"))),
        of(json!("AROAEXAMPLEEXAMPLE123")),
    ] {
        let answer = put(&mut world, &a, &text);
        assert_eq!((answer.status, answer.code.as_str()), (400, "InvalidParameterException"), "{text}");
        assert_eq!(answer.message, INVALID, "{text}");
    }
    assert_eq!(world.policy_text(A, REGION).unwrap(), replication());
}

#[test]
fn a_policy_needs_its_text() {
    let (mut world, a, _) = two_accounts();
    let none = ask(&mut world, ecr(&a, REGION, "PutRegistryPolicy", &json!({})));
    assert_eq!(none.code, "InvalidParameterException");
    let odd = ask(&mut world, ecr(&a, REGION, "PutRegistryPolicy", &json!({"policyText": 1})));
    assert_eq!(odd.code, "SerializationException");
}

#[test]
fn accounts_that_the_world_does_not_own_are_taken_unless_told_otherwise() {
    let (mut world, a, _) = two_accounts();
    let stranger = policy(&json!("999999999999"), &json!("ecr:ReplicateImage"));
    let role = policy(&json!("arn:aws:iam::999999999999:role/r"), &json!("ecr:ReplicateImage"));
    assert_eq!(put(&mut world, &a, &stranger).status, 200);
    assert_eq!(put(&mut world, &a, &role).status, 200);
    world.accept_unknown_accounts(false);
    assert_eq!(put(&mut world, &a, &stranger).message, INVALID);
    assert_eq!(put(&mut world, &a, &role).message, INVALID);
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
}

#[test]
fn the_partition_is_the_regions() {
    let (mut world, a, _) = two_accounts();
    let document = policy(&json!(format!("arn:aws-cn:iam::{B}:root")), &json!("ecr:ReplicateImage"));
    assert_eq!(put(&mut world, &a, &document).message, INVALID);
    let in_china = ecr(&a, "cn-north-1", "PutRegistryPolicy", &json!({"policyText": document}));
    assert_eq!(ask(&mut world, in_china).status, 200);
}

/// aws-facts B.2, K.1.
#[test]
fn v1_refuses_a_named_action_of_v2_and_stores_the_wildcard() {
    let (mut world, a, _) = two_accounts();
    world.set_scope(A, REGION, Some(Scope::V1));
    assert_eq!(put(&mut world, &a, &policy(&json!(B), &json!("ecr:BatchGetImage"))).message, INVALID);
    assert_eq!(put(&mut world, &a, &policy(&json!(B), &json!("ecr:*"))).status, 200);
    assert!(!world.would(B, "ecr:BatchGetImage", "app", A, REGION).allowed);
    assert!(world.would(B, "ecr:ReplicateImage", "app", A, REGION).allowed);
    let input = json!({"name": "REGISTRY_POLICY_SCOPE", "value": "V2"});
    assert_eq!(ask(&mut world, ecr(&a, REGION, "PutAccountSetting", &input)).status, 200);
    assert!(world.would(B, "ecr:BatchGetImage", "app", A, REGION).allowed, "the sleeping wildcard wakes");
}

#[test]
fn a_principal_that_died_makes_the_document_unwritable_as_it_reads() {
    let (mut world, a, _) = two_accounts();
    let role = world.add_role(A, "doomed", Trust::default());
    put(&mut world, &a, &policy(&json!([B, role]), &json!("ecr:BatchGetImage")));
    world.delete_role(A, "doomed");
    let text = get(&mut world, &a).json["policyText"].as_str().unwrap().to_owned();
    assert!(text.contains("\"AROA"), "{text}");
    assert_eq!(put(&mut world, &a, &text).message, INVALID);
}

#[test]
fn every_write_is_recorded_with_the_texts_around_it() {
    let (mut world, a, _) = two_accounts();
    let (first, second) = (replication(), policy(&json!(B), &json!("ecr:CreateRepository")));
    put(&mut world, &a, &first);
    world.put_policy(A, REGION, &second);
    put(&mut world, &a, "{");
    ask(&mut world, ecr(&a, REGION, "DeleteRegistryPolicy", &json!({})));
    get(&mut world, &a);
    let texts = |text: &String| Some(text.clone());
    let seen: Vec<_> = world
        .calls()
        .iter()
        .map(|c| (c.is_write, c.outcome.as_str(), c.took_effect, c.write.clone().map(|w| (w.before, w.sent, w.after))))
        .collect();
    assert_eq!(
        seen,
        [
            (true, "ok", true, Some((None, texts(&first), texts(&first)))),
            (true, "InvalidParameterException", false, Some((texts(&second), Some("{".to_owned()), texts(&second)))),
            (true, "ok", true, Some((texts(&second), None, None))),
            (false, "RegistryPolicyNotFoundException", false, None),
        ]
    );
    assert_eq!(world.calls()[0].account.as_deref(), Some(A));
    assert_eq!(world.calls()[3].seq, 3);
}
