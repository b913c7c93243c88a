//! Secrets as far as one may know of them (aws-facts A.6, D.2).

use aws_sim::World;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::client::*;

const NAME: &str = "ecr-pullthroughcache/hub";

fn request(keys: &Keys, region: &str, operation: &str, id: &str) -> Request<Bytes> {
    secrets(keys, region, operation, &json!({"SecretId": id}))
}

fn describe(world: &mut World, keys: &Keys, id: &str) -> Answer {
    ask(world, request(keys, REGION, "DescribeSecret", id))
}

#[test]
fn a_secret_is_described_by_its_name_and_by_its_arn() {
    let (mut world, a, _) = two_accounts();
    let arn = world.create_secret(A, REGION, NAME);
    let (start, end) = arn.rsplit_once('-').unwrap();
    assert_eq!((start, end.len()), (format!("arn:aws:secretsmanager:{REGION}:{A}:secret:{NAME}").as_str(), 6));
    for id in [NAME, &arn, start] {
        let answer = describe(&mut world, &a, id);
        assert_eq!(
            (answer.status, &answer.json["ARN"], &answer.json["Name"]),
            (200, &json!(arn), &json!(NAME)),
            "{id}"
        );
        assert_eq!((&answer.json["KmsKeyId"], &answer.json["DeletedDate"]), (&Value::Null, &Value::Null));
        assert_eq!(answer.json["CreatedDate"], 1_767_225_600.0);
    }
    let call = world.calls().last().unwrap();
    assert_eq!((call.service.as_str(), call.region.as_str(), call.is_write), ("secretsmanager", REGION, false));
    assert_eq!(call.target.as_deref(), Some(format!("secret/{start}").as_str()));
}

#[test]
fn a_secret_that_is_not_there_is_not_found() {
    let (mut world, a, b) = two_accounts();
    let arn = world.create_secret(A, REGION, NAME);
    let elsewhere = ask(&mut world, request(&a, "eu-north-1", "DescribeSecret", NAME));
    let foreign = describe(&mut world, &b, &arn);
    let unknown = describe(&mut world, &a, "nobody");
    for answer in [elsewhere, foreign, unknown] {
        assert_eq!((answer.status, answer.code.as_str()), (400, "ResourceNotFoundException"));
        assert_eq!(answer.json["Message"], "Secrets Manager can't find the specified secret.");
    }
    assert_eq!(describe(&mut world, &a, "").code, "InvalidParameterException");
    let nameless = secrets(&a, REGION, "DescribeSecret", &json!({}));
    assert_eq!(ask(&mut world, nameless).code, "InvalidParameterException");
    let other = request(&a, REGION, "ListSecrets", NAME);
    assert_eq!(ask(&mut world, other).code, "UnknownOperationException");
}

/// aws-facts D.2: a re-created secret is a new ARN.
#[test]
fn a_secret_that_is_made_again_has_another_arn() {
    let (mut world, a, _) = two_accounts();
    let first = world.create_secret(A, REGION, NAME);
    world.delete_secret(A, REGION, NAME);
    assert_eq!(describe(&mut world, &a, NAME).code, "ResourceNotFoundException");
    let second = world.create_secret(A, REGION, NAME);
    assert_ne!(first, second);
    assert_eq!(describe(&mut world, &a, NAME).json["ARN"], second);
    assert_eq!(describe(&mut world, &a, &first).code, "ResourceNotFoundException");
}

#[test]
fn a_key_and_a_date_of_deletion_are_shown() {
    let (mut world, a, _) = two_accounts();
    world.create_secret(A, REGION, NAME);
    world.set_secret_key(A, REGION, NAME, Some("the-key"));
    world.schedule_secret_deletion(A, REGION, NAME);
    let shown = describe(&mut world, &a, NAME).json;
    assert_eq!(shown["KmsKeyId"], "the-key");
    assert_eq!(shown["DeletedDate"], 1_767_225_600.0 + 30.0 * 86_400.0);
    world.inject(aws_sim::Fault::stale_read().on("DescribeSecret").once());
    assert_eq!(describe(&mut world, &a, NAME).json.get("DeletedDate"), None);
}

#[test]
fn a_value_is_never_told_and_the_question_is_recorded() {
    let (mut world, a, _) = two_accounts();
    world.create_secret(A, REGION, NAME);
    let asked = |world: &World| world.calls().iter().filter(|c| c.operation == "GetSecretValue").count();
    describe(&mut world, &a, NAME);
    assert_eq!(asked(&world), 0);
    let answer = ask(&mut world, request(&a, REGION, "GetSecretValue", NAME));
    assert_eq!((answer.status, answer.code.as_str()), (400, "AccessDeniedException"));
    assert_eq!(asked(&world), 1);
    let call = world.calls().last().unwrap();
    assert_eq!((call.took_effect, call.target.as_deref()), (false, Some("secret/ecr-pullthroughcache/hub")));
}

/// Throttling by operation: one may be slow where another is not.
#[test]
fn operations_are_throttled_one_by_one() {
    let (mut world, a, _) = two_accounts();
    world.create_secret(A, REGION, NAME);
    world.set_operation_throttle(A, REGION, "DescribeSecret", 1.0, 1);
    world.set_operation_throttle(A, REGION, "DescribeRepositories", 0.1, 1);
    world.set_throttle(A, REGION, 0.1, 3);
    let repositories = |world: &mut World| call(world, &a, "DescribeRepositories", &json!({})).code;
    assert_eq!([repositories(&mut world), repositories(&mut world)], ["", "ThrottlingException"]);
    // What was refused took no token of the other bucket.
    assert_eq!(get(&mut world, &a).code, "RegistryPolicyNotFoundException");
    assert_eq!(get(&mut world, &a).code, "RegistryPolicyNotFoundException");
    assert_eq!(get(&mut world, &a).code, "ThrottlingException");
    assert_eq!(describe(&mut world, &a, NAME).status, 200);
    assert_eq!(describe(&mut world, &a, NAME).code, "ThrottlingException");
    world.advance(seconds(1));
    assert_eq!(describe(&mut world, &a, NAME).status, 200);
    world.clear_throttle(A, REGION);
    assert_eq!([repositories(&mut world), repositories(&mut world)], ["", ""]);
}
