//! Inline policies, attachments and boundaries (aws-facts A.3, F).

use aws_sim::{Trust, World};
use serde_json::{Value, json};

use crate::client::*;

const NAME: (&str, &str) = ("RoleName", "r");
const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

fn with_role() -> (World, Keys) {
    let (mut world, a, _) = two_accounts();
    world.add_role(A, "r", Trust::default());
    (world, a)
}

fn allow(resource: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": resource}]})
        .to_string()
}

fn put_inline(world: &mut World, keys: &Keys, name: &str, text: &str) -> Answer {
    ask(world, iam(keys, "PutRolePolicy", &[NAME, ("PolicyName", name), ("PolicyDocument", text)]))
}

#[test]
fn an_inline_policy_is_put_read_replaced_listed_and_deleted() {
    let (mut world, a) = with_role();
    let text = allow("*").replace("\"ecr:*\"", "[ \"ecr:*\" ]");
    for (name, text) in [("p1", allow("arn:x")), ("p1", text.clone()), ("p2", allow("*"))] {
        assert_eq!(put_inline(&mut world, &a, name, &text).status, 200);
    }
    let got = in_iam(&mut world, &a, "GetRolePolicy", &[NAME, ("PolicyName", "p1")]);
    assert_eq!((xml(&got, "RoleName").unwrap(), xml(&got, "PolicyName").unwrap()), ("r".to_owned(), "p1".to_owned()));
    let document = xml(&got, "PolicyDocument").unwrap();
    assert!(document.contains("%5B%20%22ecr%3A%2A%22%20%5D"), "RFC 3986: {document}");
    assert_eq!(decoded(&document), text);
    let listed = in_iam(&mut world, &a, "ListRolePolicies", &[NAME, ("MaxItems", "1")]);
    assert_eq!(
        (all_xml(&listed, "member"), xml(&listed, "IsTruncated").unwrap()),
        (vec!["p1".to_owned()], "true".to_owned())
    );
    let marker = xml(&listed, "Marker").unwrap();
    let listed = in_iam(&mut world, &a, "ListRolePolicies", &[NAME, ("Marker", &marker)]);
    assert_eq!(all_xml(&listed, "member"), ["p2"]);
    in_iam(&mut world, &a, "DeleteRolePolicy", &[NAME, ("PolicyName", "p1")]);
    for operation in ["GetRolePolicy", "DeleteRolePolicy"] {
        let (status, code, text) = iam_refuses(&mut world, &a, operation, &[NAME, ("PolicyName", "p1")]);
        assert_eq!((status, code.as_str()), (404, "NoSuchEntity"));
        assert_eq!(text, "The role policy with name p1 cannot be found.");
        let other = [("RoleName", "x"), ("PolicyName", "p1")];
        assert_eq!(iam_refuses(&mut world, &a, operation, &other).2, "The role with name x cannot be found.");
    }
}

/// aws-facts F: all of a role's together, white space aside.
#[test]
fn inline_policies_have_10240_characters_together() {
    let (mut world, a) = with_role();
    let of = |length: usize| allow(&format!("arn:{}", "x".repeat(length - allow("arn:").len())));
    assert_eq!(put_inline(&mut world, &a, "p1", &of(10_000)).status, 200);
    assert_eq!(put_inline(&mut world, &a, "p2", &format!("{}{}", " ".repeat(500), of(240))).status, 200);
    let refused = put_inline(&mut world, &a, "p3", &of(120));
    assert_eq!((refused.status, refused.code.as_str()), (409, "LimitExceeded"));
    assert_eq!(refused.message, "Maximum policy size of 10240 bytes exceeded for role r");
    assert_eq!(put_inline(&mut world, &a, "p1", &of(10_001)).code, "LimitExceeded");
    assert_eq!(put_inline(&mut world, &a, "p1", &of(9_880)).status, 200);
    assert_eq!(put_inline(&mut world, &a, "p3", &of(120)).status, 200);
}

#[test]
fn what_is_no_policy_is_malformed() {
    let (mut world, a) = with_role();
    let with = |member: &str, value: Value| {
        let mut document: Value = serde_json::from_str(&allow("*")).unwrap();
        document["Statement"][0][member] = value;
        document.to_string()
    };
    for (text, words) in [
        ("{".to_owned(), "Syntax errors in policy."),
        ("[]".to_owned(), "Syntax errors in policy."),
        (with("Effect", Value::Null), "Syntax errors in policy."),
        (with("Principal", json!("*")), "should not specify a principal"),
        (with("Action", json!([])), "must contain actions"),
        (with("Action", json!("GetObject")), "prefaced by a vendor"),
        (with("NotResource", json!("*")), "must contain resources"),
        (with("Resource", json!("repository/x")), "must be in ARN format"),
    ] {
        let answer = put_inline(&mut world, &a, "p", &text);
        assert_eq!((answer.status, answer.code.as_str()), (400, "MalformedPolicyDocument"), "{text}");
        assert!(answer.message.contains(words), "{} for {text}", answer.message);
    }
    assert_eq!(put_inline(&mut world, &a, "p", &allow("\u{3042}")).code, "ValidationError");
    assert_eq!(put_inline(&mut world, &a, "a/b", &allow("*")).code, "ValidationError");
    assert!(world.role(A, "r").unwrap().inline_policies.is_empty());
}

#[test]
fn policies_are_attached_listed_and_detached() {
    let (mut world, a) = with_role();
    let own = world.add_managed_policy(A, "team/own", &allow("*"));
    for arn in [ADMIN, &own, ADMIN] {
        in_iam(&mut world, &a, "AttachRolePolicy", &[NAME, ("PolicyArn", arn)]);
    }
    let listed = in_iam(&mut world, &a, "ListAttachedRolePolicies", &[NAME]);
    assert_eq!(all_xml(&listed, "PolicyArn"), [&own, ADMIN]);
    assert_eq!(all_xml(&listed, "PolicyName"), ["own", "AdministratorAccess"]);
    let listed = in_iam(&mut world, &a, "ListAttachedRolePolicies", &[NAME, ("PathPrefix", "/team/")]);
    assert_eq!(all_xml(&listed, "PolicyName"), ["own"]);
    in_iam(&mut world, &a, "DetachRolePolicy", &[NAME, ("PolicyArn", ADMIN)]);
    let again = iam_refuses(&mut world, &a, "DetachRolePolicy", &[NAME, ("PolicyArn", ADMIN)]);
    assert_eq!((again.0, again.1.as_str()), (404, "NoSuchEntity"));
    let missing = "arn:aws:iam::111111111111:policy/nobody";
    let (status, code, text) = iam_refuses(&mut world, &a, "AttachRolePolicy", &[NAME, ("PolicyArn", missing)]);
    assert_eq!((status, code.as_str()), (404, "NoSuchEntity"));
    assert_eq!(text, format!("Policy {missing} does not exist or is not attachable."));
    let odd = [NAME, ("PolicyArn", "arn:aws:iam::111111111111:role/x")];
    assert_eq!(iam_refuses(&mut world, &a, "AttachRolePolicy", &odd).1, "InvalidInput");
    assert_eq!(world.role(A, "r").unwrap().attached_policies, [own].into());
}

#[test]
fn a_boundary_must_be_a_policy_that_is_there() {
    let (mut world, a) = with_role();
    let boundary = world.add_managed_policy(A, "boundary", &allow("*"));
    in_iam(&mut world, &a, "PutRolePermissionsBoundary", &[NAME, ("PermissionsBoundary", &boundary)]);
    let shown = in_iam(&mut world, &a, "GetRole", &[NAME]);
    assert_eq!(xml(&shown, "PermissionsBoundaryArn").unwrap(), boundary);
    assert_eq!(xml(&shown, "PermissionsBoundaryType").unwrap(), "Policy");
    in_iam(&mut world, &a, "DeleteRolePermissionsBoundary", &[NAME]);
    assert!(!in_iam(&mut world, &a, "GetRole", &[NAME]).contains("PermissionsBoundary"));
    assert_eq!(iam_refuses(&mut world, &a, "DeleteRolePermissionsBoundary", &[NAME]).1, "NoSuchEntity");
    world.delete_managed_policy(A, "boundary");
    let service = "arn:aws:iam::aws:policy/aws-service-role/AWSECRPullThroughCache_ServiceRolePolicy";
    for (arn, status, code, words) in [
        (boundary.as_str(), 404, "NoSuchEntity", "Scope ARN: arn:aws:iam::111111111111:policy/boundary does not exist"),
        ("arn:aws:iam::111111111111:user/x", 400, "InvalidInput", "is not valid"),
        (service, 400, "PolicyNotAttachable", "Service Role Policy"),
    ] {
        for (operation, role) in [("PutRolePermissionsBoundary", "r"), ("CreateRole", "new")] {
            let trust = Trust::of([A]);
            let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"AWS": trust.principals}}]})
            .to_string();
            let input = [("RoleName", role), ("PermissionsBoundary", arn), ("AssumeRolePolicyDocument", &trust)];
            let (got, got_code, text) = iam_refuses(&mut world, &a, operation, &input);
            assert_eq!((got, got_code.as_str()), (status, code), "{operation} {arn}");
            assert!(text.contains(words), "{text}");
        }
    }
    assert!(world.role(A, "new").is_none());
}
