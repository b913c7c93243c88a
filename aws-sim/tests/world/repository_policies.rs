//! Policies of repositories (aws-facts A.1, B, K.6).

use aws_sim::Trust;
use serde_json::{Value, json};

use crate::client::*;

const PULL: &str = "ecr:BatchGetImage";

fn of(principal: &Value, action: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action},
    })
    .to_string()
}

fn set(text: &str) -> Value {
    json!({"repositoryName": "app", "policyText": text})
}

fn app() -> Value {
    json!({"repositoryName": "app"})
}

#[test]
fn a_policy_is_set_read_and_deleted() {
    let (mut world, a, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    let text = of(&json!(B), PULL);
    let answer = done(&mut world, &a, "SetRepositoryPolicy", &set(&text));
    assert_eq!((&answer["repositoryName"], &answer["registryId"]), (&json!("app"), &json!(A)));
    assert_eq!(world.repository_policy_text(A, REGION, "app"), Some(text.clone()));
    let got = done(&mut world, &a, "GetRepositoryPolicy", &app());
    let shown: Value = serde_json::from_str(got["policyText"].as_str().unwrap()).unwrap();
    assert_eq!(shown["Statement"][0]["Principal"]["AWS"], format!("arn:aws:iam::{B}:root"));
    assert!(got["policyText"].as_str().unwrap().contains("\" : \""), "re-serialised: {got}");
    done(&mut world, &a, "DeleteRepositoryPolicy", &app());
    let call = world.calls().last().unwrap().clone();
    assert_eq!((call.target.as_deref(), call.is_write), (Some("repository/app"), true));
    let write = call.write.unwrap();
    assert_eq!((write.before, write.sent, write.after), (Some(text), None, None));
}

#[test]
fn what_is_not_there_is_not_found() {
    let (mut world, a, _) = two_accounts();
    for operation in ["GetRepositoryPolicy", "DeleteRepositoryPolicy", "SetRepositoryPolicy"] {
        let (code, _) = refused(&mut world, &a, operation, &set(&of(&json!(B), PULL)));
        assert_eq!(code, "RepositoryNotFoundException", "{operation}");
    }
    world.add_repository(A, REGION, "app");
    for operation in ["GetRepositoryPolicy", "DeleteRepositoryPolicy"] {
        let (code, text) = refused(&mut world, &a, operation, &app());
        assert_eq!(code, "RepositoryPolicyNotFoundException", "{operation}");
        let expected = format!(
            "Repository policy does not exist for the repository with name 'app' in the registry with id '{A}'"
        );
        assert_eq!(text, expected);
    }
}

/// aws-facts B.4: an unknown principal has a text of its own, all else one together.
#[test]
fn refusals_have_two_texts() {
    let (mut world, a, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    let text = |about: &str| format!("Invalid parameter at 'PolicyText' failed to satisfy constraint: '{about}'");
    let mut because = |policy: &str| {
        let (code, because) = refused(&mut world, &a, "SetRepositoryPolicy", &set(policy));
        assert_eq!(code, "InvalidParameterException");
        because
    };
    for bad in [
        "{".to_owned(),
        of(&json!(B), "s3:GetObject"),
        of(&json!(B), "ecr:GetAuthorizationToken"),
        of(&json!(format!("arn:aws:iam::{A}:*")), PULL),
        of(&json!("AROAEXAMPLEEXAMPLE123"), PULL),
    ] {
        assert_eq!(because(&bad), text("Invalid repository policy provided"), "{bad}");
    }
    let nobody = format!("arn:aws:iam::{A}:role/nobody");
    assert_eq!(because(&of(&json!(nobody), PULL)), text("Principal not found"));
    assert!(because(&" ".repeat(10_241)).contains("10240"));
    assert_eq!(world.repository_policy_text(A, REGION, "app"), None);
}

/// aws-facts B.4, D.9.
#[test]
fn a_young_role_is_not_found_as_a_principal() {
    let (mut world, a, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    world.set_propagation(seconds(30));
    let role = world.add_role(B, "young", Trust::default());
    let input = set(&of(&json!(role), PULL));
    assert!(refused(&mut world, &a, "SetRepositoryPolicy", &input).1.contains("Principal not found"));
    world.advance(seconds(30));
    done(&mut world, &a, "SetRepositoryPolicy", &input);
}

/// aws-facts B.5.
#[test]
fn a_deleted_role_reads_back_as_its_id() {
    let (mut world, a, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    let role = world.add_role(B, "doomed", Trust::default());
    done(&mut world, &a, "SetRepositoryPolicy", &set(&of(&json!(role), PULL)));
    assert!(world.would(&role, PULL, "app", A, REGION).allowed);
    world.delete_role(B, "doomed");
    world.add_role(B, "doomed", Trust::default());
    assert!(!world.would(&role, PULL, "app", A, REGION).allowed);
    let got = done(&mut world, &a, "GetRepositoryPolicy", &app());
    assert!(got["policyText"].as_str().unwrap().contains("\"AROA"), "{got}");
}

/// aws-facts B.7: either allows, either denies; the scope has no say here (B.2).
#[test]
fn either_policy_allows_and_either_denies() {
    let (mut world, _, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    world.set_scope(A, REGION, Some(aws_sim::Scope::V1));
    let may = |world: &aws_sim::World, action: &str, name: &str| world.would(B, action, name, A, REGION).allowed;
    world.put_repository_policy(A, REGION, "app", Some(&of(&json!(B), "ecr:*")));
    assert!(may(&world, PULL, "app"));
    assert!(!may(&world, PULL, "other"));
    // Not over its own creation (D.5).
    assert!(!may(&world, "ecr:CreateRepository", "app"));
    world.set_scope(A, REGION, Some(aws_sim::Scope::V2));
    world.put_policy(A, REGION, &policy(&json!("*"), &json!("ecr:*")).replace("Allow", "Deny"));
    assert!(!may(&world, PULL, "app"));
    world.put_policy(A, REGION, &policy(&json!(B), &json!("ecr:*")));
    world.put_repository_policy(A, REGION, "app", Some(&of(&json!("*"), "ecr:*").replace("Allow", "Deny")));
    let decision = world.would(B, PULL, "app", A, REGION);
    assert!(!decision.allowed && decision.because.contains("the repository's policy"), "{}", decision.because);
}

/// aws-facts A.1.
#[test]
fn locking_oneself_out_takes_force() {
    let (mut world, a, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    let deny = of(&json!("*"), "ecr:*").replace("Allow", "Deny");
    assert_eq!(refused(&mut world, &a, "SetRepositoryPolicy", &set(&deny)).0, "InvalidParameterException");
    let mut forced = set(&deny);
    forced["force"] = json!(true);
    done(&mut world, &a, "SetRepositoryPolicy", &forced);
    let other = of(&json!(B), "ecr:*").replace("Allow", "Deny");
    done(&mut world, &a, "SetRepositoryPolicy", &set(&other));
}
