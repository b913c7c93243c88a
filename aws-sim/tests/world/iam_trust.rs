//! Trust policies: what IAM takes, how it shows them, and whom they let in (aws-facts A.3, A.4, F).

use aws_sim::{Trust, World};
use serde_json::{Value, json};

use crate::client::*;

const NAME: (&str, &str) = ("RoleName", "r");

fn trusting(principal: &Value) -> Value {
    json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
}

fn document(statement: &Value) -> String {
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn update(world: &mut World, keys: &Keys, text: &str) -> Answer {
    ask(world, iam(keys, "UpdateAssumeRolePolicy", &[NAME, ("PolicyDocument", text)]))
}

fn shown(world: &mut World, keys: &Keys) -> Value {
    let text = in_iam(world, keys, "GetRole", &[NAME]);
    serde_json::from_str(&decoded(&xml(&text, "AssumeRolePolicyDocument").unwrap())).unwrap()
}

fn with_role() -> (World, Keys) {
    let (mut world, a, _) = two_accounts();
    world.add_role(A, "r", Trust::default());
    (world, a)
}

#[test]
fn what_is_no_trust_policy_is_malformed() {
    let (mut world, a) = with_role();
    let good = trusting(&json!({"AWS": B}));
    let with = |member: &str, value: Value| {
        let mut statement = good.clone();
        statement[member] = value;
        document(&statement)
    };
    let before = world.role(A, "r").unwrap().trust;
    for (text, words) in [
        ("{".to_owned(), "Syntax errors in policy."),
        (json!({"Version": "2012-10-17"}).to_string(), "Syntax errors in policy."),
        (json!({"Version": "1999", "Statement": [good]}).to_string(), "Syntax errors"),
        (with("Effect", json!("allow")), "Syntax errors"),
        (with("Sid", json!("with-hyphen")), "Syntax errors"),
        (with("Resource", json!("*")), "Has prohibited field Resource."),
        (with("Action", json!("s3:GetObject")), "AssumeRole policy may only specify STS AssumeRole actions."),
        (with("Principal", Value::Null), "Invalid principal in policy"),
        (with("Principal", json!({"AWS": format!("arn:aws:iam::{B}:role/nobody")})), "role/nobody"),
        (with("Principal", json!({"AWS": "AROAEXAMPLEEXAMPLE123"})), "\"AWS\":\"AROAEXAMPLEEXAMPLE123\""),
        (with("Principal", json!({"Service": "nobody"})), "\"SERVICE\":\"nobody\""),
        (
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]})
                .to_string(),
            "Missing required field Principal",
        ),
    ] {
        let (status, code, message) =
            iam_refuses(&mut world, &a, "UpdateAssumeRolePolicy", &[NAME, ("PolicyDocument", &text)]);
        assert_eq!((status, code.as_str()), (400, "MalformedPolicyDocument"), "{text}");
        assert!(message.contains(words), "{message} for {text}");
    }
    assert_eq!(world.role(A, "r").unwrap().trust, before);
    let unknown = [("RoleName", "x"), ("PolicyDocument", "{}")];
    assert_eq!(iam_refuses(&mut world, &a, "UpdateAssumeRolePolicy", &unknown).1, "NoSuchEntity");
}

/// aws-facts F: 2,048 by default.
#[test]
fn a_trust_policy_has_2048_characters_white_space_aside() {
    let (mut world, a) = with_role();
    let of = |length: usize| {
        let mut statement = trusting(&json!({"AWS": B}));
        statement["Sid"] = json!("s".repeat(length + 1 - document(&with_sid(&statement)).len()));
        document(&statement)
    };
    assert_eq!(of(2_048).len(), 2_048);
    assert_eq!(update(&mut world, &a, &format!("{}{}", " ".repeat(99), of(2_048))).status, 200);
    let refused = update(&mut world, &a, &of(2_049));
    assert_eq!((refused.status, refused.code.as_str()), (409, "LimitExceeded"));
    assert_eq!(refused.message, "Cannot exceed quota for ACLSizePerRole: 2048");
}

fn with_sid(statement: &Value) -> Value {
    let mut statement = statement.clone();
    statement["Sid"] = json!("s");
    statement
}

#[test]
fn a_trust_policy_reads_back_as_iam_writes_it() {
    let (mut world, a) = with_role();
    world.add_role(B, "caller", Trust::default());
    let caller = format!("arn:aws:iam::{B}:role/caller");
    let text = document(&trusting(&json!({"AWS": [B], "Service": ["ecr.amazonaws.com"]})));
    assert_eq!(update(&mut world, &a, &text).status, 200);
    let principal = shown(&mut world, &a)["Statement"][0]["Principal"].clone();
    assert_eq!(principal, json!({"AWS": format!("arn:aws:iam::{B}:root"), "Service": "ecr.amazonaws.com"}));
    // The document itself stands in the store as it was sent.
    assert_eq!(world.role(A, "r").unwrap().trust, text);
    update(&mut world, &a, &document(&trusting(&json!({"AWS": caller}))));
    assert_eq!(shown(&mut world, &a)["Statement"][0]["Principal"]["AWS"], caller.as_str());
    world.delete_role(B, "caller");
    assert!(shown(&mut world, &a)["Statement"][0]["Principal"]["AWS"].as_str().unwrap().starts_with("AROA"));
}

/// aws-facts F: the grant does not revive when the name is made again.
#[test]
fn a_trusted_role_that_is_made_again_is_trusted_no_more() {
    let (mut world, a) = with_role();
    let caller = world.add_role(B, "caller", Trust::default());
    update(&mut world, &a, &document(&trusting(&json!({"AWS": caller}))));
    let role = format!("arn:aws:iam::{A}:role/r");
    let keys = world.access_key(B, "role/caller").into();
    assert_eq!(assume(&mut world, &keys, &role, &[]).status, 200);
    world.delete_role(B, "caller");
    world.add_role(B, "caller", Trust::default());
    let keys = world.access_key(B, "role/caller").into();
    assert_eq!(assume(&mut world, &keys, &role, &[]).code, "AccessDenied");
}

/// aws-facts K.1: the trust of a member role.
#[test]
fn conditions_of_a_trust_are_held_against_the_caller() {
    let (mut world, a) = with_role();
    let operator = world.add_role(B, "ops/operator", Trust::default());
    world.add_role(B, "other", Trust::default());
    let mut statement = trusting(&json!({"AWS": format!("arn:aws:iam::{B}:root")}));
    statement["Condition"] =
        json!({"ArnEquals": {"aws:PrincipalArn": operator}, "StringEquals": {"sts:ExternalId": "the-id"}});
    assert_eq!(update(&mut world, &a, &document(&statement)).status, 200);
    let role = format!("arn:aws:iam::{A}:role/r");
    let (own, other) = (world.access_key(B, "role/ops/operator").into(), world.access_key(B, "role/other").into());
    let id = [("ExternalId", "the-id")];
    assert_eq!(assume(&mut world, &own, &role, &id).status, 200);
    assert_eq!(assume(&mut world, &own, &role, &[]).code, "AccessDenied");
    assert_eq!(assume(&mut world, &other, &role, &id).code, "AccessDenied");
    statement["Effect"] = json!("Deny");
    let both = json!({"Version": "2012-10-17", "Statement": [trusting(&json!({"AWS": B})), statement]});
    assert_eq!(update(&mut world, &a, &both.to_string()).status, 200);
    assert_eq!(assume(&mut world, &own, &role, &id).code, "AccessDenied");
    assert_eq!(assume(&mut world, &other, &role, &id).status, 200);
}

/// aws-facts A.4.
#[test]
fn sessions_last_as_long_as_the_role_lets_them() {
    let (mut world, a) = with_role();
    update(&mut world, &a, &document(&trusting(&json!({"AWS": A}))));
    let role = format!("arn:aws:iam::{A}:role/r");
    let two_hours = [("DurationSeconds", "7200")];
    assert!(assume(&mut world, &a, &role, &two_hours).message.contains("MaxSessionDuration"));
    in_iam(&mut world, &a, "UpdateRole", &[NAME, ("MaxSessionDuration", "7200")]);
    assert_eq!(assume(&mut world, &a, &role, &two_hours).status, 200);
    let chained = world.access_key(A, "role/r").into();
    assert!(assume(&mut world, &chained, &role, &two_hours).message.contains("role chaining"));
}
