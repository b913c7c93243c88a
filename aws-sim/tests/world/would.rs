//! What a registry policy lets people do (aws-facts B.2, B.3).

use aws_sim::{Scope, Trust, World};
use serde_json::{Value, json};

use crate::client::{A, B, REGION};

const C: &str = "333333333333";
const PULL: &str = "ecr:BatchGetImage";

fn world(statements: &Value) -> World {
    let mut world = World::new(1);
    for account in [A, B, C] {
        world.add_account(account);
    }
    world.set_organization(B, Some("o-1"));
    world.put_policy(A, REGION, &json!({"Version": "2012-10-17", "Statement": statements}).to_string());
    world
}

fn allow(principal: &Value) -> Value {
    let resource = format!("arn:aws:ecr:{REGION}:{A}:repository/team-*");
    json!({"Sid": "Pull", "Effect": "Allow", "Principal": principal, "Action": "ecr:Batch*", "Resource": resource})
}

fn may(world: &World, principal: &str) -> bool {
    world.would(principal, PULL, "team-a/app", A, REGION).allowed
}

#[test]
fn an_account_stands_for_all_its_principals() {
    for principal in [json!({"AWS": B}), json!({"AWS": format!("arn:aws:iam::{B}:root")})] {
        let world = world(&json!([allow(&principal)]));
        assert!(may(&world, B));
        assert!(may(&world, &format!("arn:aws:iam::{B}:role/any")));
        assert!(may(&world, &format!("arn:aws:sts::{B}:assumed-role/any/session")));
        assert!(!may(&world, C));
        assert!(!world.would(B, PULL, "other", A, REGION).allowed);
        assert!(!world.would(B, "ecr:PutImage", "team-a", A, REGION).allowed);
        assert!(!world.would(B, PULL, "team-a", A, "eu-north-1").allowed);
    }
}

#[test]
fn a_named_role_is_itself_and_its_sessions() {
    let role = format!("arn:aws:iam::{B}:role/deep/puller");
    let mut world = world(&json!([allow(&json!({"AWS": [role]}))]));
    world.add_role(B, "deep/puller", Trust::default());
    assert!(may(&world, &role));
    assert!(may(&world, &format!("arn:aws:sts::{B}:assumed-role/puller/s")));
    assert!(!may(&world, &format!("arn:aws:sts::{B}:assumed-role/other/s")));
    assert!(!may(&world, B));
}

#[test]
fn deny_wins_wherever_it_stands_and_says_so() {
    let deny = json!({"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "ecr:*", "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}});
    let both = allow(&json!({"AWS": [B, C]}));
    for statements in [json!([deny, both]), json!([both, deny])] {
        let world = world(&statements);
        assert!(may(&world, B));
        let decision = world.would(C, PULL, "team-a", A, REGION);
        assert!(!decision.allowed);
        assert!(decision.because.contains("(No)"), "{}", decision.because);
    }
}

#[test]
fn conditions_are_held_against_the_principal() {
    for (condition, b_may, c_may) in [
        (json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), true, false),
        (json!({"StringEquals": {"aws:PrincipalAccount": [B, C]}}), true, true),
        (json!({"StringEquals": {"aws:SourceAccount": B}}), false, false),
        (json!({"ArnEquals": {"aws:PrincipalArn": format!("arn:aws:iam::{B}:role/r")}}), true, false),
        (json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}), true, true),
        (json!({"NumericLessThan": {"aws:EpochTime": 1}}), false, false),
    ] {
        let mut statement = allow(&json!("*"));
        statement["Condition"] = condition.clone();
        let world = world(&json!([statement]));
        assert_eq!(may(&world, &format!("arn:aws:iam::{B}:role/r")), b_may, "{condition}");
        assert_eq!(may(&world, &format!("arn:aws:sts::{C}:assumed-role/r/s")), c_may, "{condition}");
    }
}

#[test]
fn a_deny_that_cannot_be_judged_denies() {
    let mut deny = allow(&json!("*"));
    deny["Effect"] = json!("Deny");
    deny["Condition"] = json!({"NumericLessThan": {"aws:EpochTime": 1}});
    let world = world(&json!([allow(&json!({"AWS": B})), deny]));
    assert!(!may(&world, B));
}

#[test]
fn negated_members_cover_the_rest() {
    let mut statement = allow(&json!({"AWS": B}));
    statement["NotAction"] = json!("ecr:PutImage");
    statement.as_object_mut().unwrap().remove("Action");
    statement["NotPrincipal"] = json!({"AWS": C});
    statement.as_object_mut().unwrap().remove("Principal");
    let world = world(&json!([statement]));
    assert!(may(&world, B));
    assert!(!may(&world, C));
    assert!(!world.would(B, "ecr:PutImage", "team-a", A, REGION).allowed);
}

#[test]
fn services_are_named_by_their_host() {
    let world = world(&json!([allow(&json!({"Service": "lambda.amazonaws.com"}))]));
    assert!(may(&world, "lambda.amazonaws.com"));
    assert!(!may(&world, "ec2.amazonaws.com"));
    assert!(!may(&world, B));
}

#[test]
fn v1_enforces_three_actions_only() {
    let mut statement = allow(&json!({"AWS": B}));
    statement["Action"] = json!("ecr:*");
    let mut world = world(&json!([statement]));
    world.set_scope(A, REGION, Some(Scope::V1));
    let decide = |action: &str| world.would(B, action, "team-a", A, REGION);
    assert!(!decide(PULL).allowed);
    assert!(decide(PULL).because.contains("V1"));
    for action in ["ecr:ReplicateImage", "ecr:CreateRepository", "ecr:BatchImportUpstreamImage"] {
        assert!(decide(action).allowed, "{action}");
    }
}

#[test]
fn without_a_readable_policy_nobody_may() {
    let mut world = world(&json!([allow(&json!("*"))]));
    assert!(may(&world, B));
    world.put_policy(A, REGION, "{");
    assert!(!may(&world, B));
    world.delete_policy(A, REGION);
    assert!(!may(&world, B));
    assert!(!world.would(B, PULL, "team-a", C, REGION).allowed);
}
