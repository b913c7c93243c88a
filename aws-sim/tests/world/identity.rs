//! Who calls, and whose roles they may assume (aws-facts A.0, A.4).

use aws_sim::{Trust, World};
use serde_json::json;

use crate::client::*;

const DENIED: (u16, &str) = (403, "AccessDenied");

fn brief(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code.as_str())
}

#[test]
fn credentials_tell_accounts_and_regions_apart() {
    let (mut world, a, b) = two_accounts();
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
    assert_eq!(get(&mut world, &a).json["registryId"], A);
    assert_eq!(get(&mut world, &b).code, "RegistryPolicyNotFoundException");
    let elsewhere = ask(&mut world, ecr(&a, "eu-central-1", "GetRegistryPolicy", &json!({})));
    assert_eq!(elsewhere.code, "RegistryPolicyNotFoundException");
    assert!(world.policy_text(A, REGION).is_some());
    assert!(world.policy_text(A, "eu-central-1").is_none());
}

#[test]
fn strangers_are_refused_in_the_words_of_each_service() {
    let (mut world, a, _) = two_accounts();
    let stranger = Keys { id: "AKIASTRANGER".to_owned(), token: None };
    assert_eq!(brief(&get(&mut world, &stranger)), (403, "UnrecognizedClientException"));
    let answer = ask(&mut world, sts(&stranger, "GetCallerIdentity", &[]));
    assert_eq!(brief(&answer), (403, "InvalidClientTokenId"));

    let mut unsigned = ecr(&a, REGION, "GetRegistryPolicy", &json!({}));
    unsigned.headers_mut().remove("authorization");
    assert_eq!(brief(&ask(&mut world, unsigned)), (403, "MissingAuthenticationToken"));
    let mut odd = ecr(&a, REGION, "GetRegistryPolicy", &json!({}));
    odd.headers_mut().insert("authorization", "Bearer x".parse().unwrap());
    assert_eq!(brief(&ask(&mut world, odd)), (403, "IncompleteSignatureException"));
    let mut for_another = sts(&a, "GetCallerIdentity", &[]);
    let ecr_signature = ecr(&a, REGION, "x", &json!({})).headers()["authorization"].clone();
    for_another.headers_mut().insert("authorization", ecr_signature);
    assert_eq!(brief(&ask(&mut world, for_another)), (403, "SignatureDoesNotMatch"));
}

#[test]
fn operations_that_nobody_knows_are_refused() {
    let (mut world, a, _) = two_accounts();
    let answer = ask(&mut world, ecr(&a, REGION, "MakeCoffee", &json!({})));
    assert_eq!(brief(&answer), (404, "UnknownOperationException"));
    assert_eq!(brief(&ask(&mut world, sts(&a, "MakeCoffee", &[]))), (400, "InvalidAction"));
}

#[test]
fn root_users_and_roles_are_named_as_aws_names_them() {
    let mut world = World::new(1);
    world.add_account(A);
    world.add_role(A, "team/deep/member", Trust::default());
    for (principal, arn, user_id) in [
        ("root", "arn:aws:iam::111111111111:root", A),
        ("user/team/alice", "arn:aws:iam::111111111111:user/team/alice", "AIDA"),
        ("role/team/deep/member", "arn:aws:sts::111111111111:assumed-role/member/sim", "AROA"),
    ] {
        let keys = world.access_key(A, principal).into();
        let text = ask(&mut world, sts(&keys, "GetCallerIdentity", &[])).text;
        assert_eq!(xml(&text, "Account").unwrap(), A);
        assert_eq!(xml(&text, "Arn").unwrap(), arn);
        assert!(xml(&text, "UserId").unwrap().starts_with(user_id), "{text}");
    }
}

/// aws-facts A.4: indistinguishable.
#[test]
fn missing_untrusted_and_wrong_external_id_are_denied_alike() {
    let (mut world, a, b) = two_accounts();
    let role = world.add_role(B, "ops/member", Trust::of([A]).with_external_id("secret"));
    let missing = format!("arn:aws:iam::{B}:role/ops/nobody");
    let right = [("ExternalId", "secret")];
    assert_eq!(brief(&assume(&mut world, &a, &role, &[])), DENIED);
    assert_eq!(brief(&assume(&mut world, &a, &role, &[("ExternalId", "wrong")])), DENIED);
    assert_eq!(brief(&assume(&mut world, &b, &role, &right)), DENIED);
    assert_eq!(brief(&assume(&mut world, &a, &missing, &right)), DENIED);

    let answer = assume(&mut world, &a, &role, &right);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let identity = ask(&mut world, sts(&minted(&answer), "GetCallerIdentity", &[])).text;
    assert_eq!(xml(&identity, "Account").unwrap(), B);
    assert_eq!(xml(&identity, "Arn").unwrap(), format!("arn:aws:sts::{B}:assumed-role/member/test"));
    assert_eq!(xml(&answer.text, "Expiration").unwrap(), "2026-01-01T01:00:00Z");
}

#[test]
fn a_role_may_trust_one_role_only() {
    let (mut world, root, _) = two_accounts();
    let operator = world.add_role(A, "operator", Trust::default());
    let role = world.add_role(B, "member", Trust::of([operator]));
    let keys = world.access_key(A, "role/operator").into();
    assert_eq!(assume(&mut world, &keys, &role, &[]).status, 200);
    assert_eq!(brief(&assume(&mut world, &root, &role, &[])), DENIED);
    world.set_trust(B, "member", Trust::of([format!("arn:aws:iam::{A}:root")]));
    assert_eq!(assume(&mut world, &root, &role, &[]).status, 200);
}

#[test]
fn bad_parameters_of_assume_role_are_named() {
    let (mut world, a, _) = two_accounts();
    let role = world.add_role(B, "member", Trust::of([A]));
    let invalid = (400, "ValidationError");
    assert_eq!(brief(&assume(&mut world, &a, "member", &[])), invalid);
    assert_eq!(brief(&assume(&mut world, &a, &role, &[("ExternalId", "a b")])), invalid);
    for duration in ["899", "43201", "x", "3601"] {
        assert_eq!(brief(&assume(&mut world, &a, &role, &[("DurationSeconds", duration)])), invalid);
    }
    let unnamed = ask(&mut world, sts(&a, "AssumeRole", &[("RoleArn", &role)]));
    assert!(unnamed.message.contains("roleSessionName"), "{unnamed:?}");
    assert_eq!(assume(&mut world, &a, &role, &[("DurationSeconds", "900")]).status, 200);
}

#[test]
fn temporary_keys_need_their_token_and_end() {
    let (mut world, a, _) = two_accounts();
    let role = world.add_role(B, "member", Trust::of([A]));
    let keys = minted(&assume(&mut world, &a, &role, &[("DurationSeconds", "900")]));
    let tokenless = Keys { token: None, ..keys.clone() };
    assert_eq!(get(&mut world, &tokenless).code, "UnrecognizedClientException");
    world.advance(seconds(899));
    assert_eq!(get(&mut world, &keys).code, "RegistryPolicyNotFoundException");
    world.advance(seconds(900));
    assert_eq!(brief(&get(&mut world, &keys)), (403, "ExpiredTokenException"));
    assert_eq!(brief(&ask(&mut world, sts(&keys, "GetCallerIdentity", &[]))), (403, "ExpiredToken"));
}

#[test]
fn a_lasting_key_can_be_expired() {
    let (mut world, a, _) = two_accounts();
    world.expire_key(&a.id, seconds(5));
    assert_eq!(get(&mut world, &a).code, "RegistryPolicyNotFoundException");
    world.advance(seconds(5));
    assert_eq!(get(&mut world, &a).code, "ExpiredTokenException");
}

#[test]
fn a_session_dies_with_its_role() {
    let (mut world, a, _) = two_accounts();
    let role = world.add_role(B, "member", Trust::of([A]));
    let keys = minted(&assume(&mut world, &a, &role, &[]));
    world.delete_role(B, "member");
    assert_eq!(get(&mut world, &keys).code, "UnrecognizedClientException");
    world.add_role(B, "member", Trust::of([A]));
    assert_eq!(get(&mut world, &keys).code, "UnrecognizedClientException");
}

#[test]
fn a_key_that_is_deleted_is_unknown() {
    let (mut world, a, _) = two_accounts();
    world.delete_access_key(&a.id);
    assert_eq!(brief(&get(&mut world, &a)), (403, "UnrecognizedClientException"));
    assert_eq!(brief(&ask(&mut world, sts(&a, "GetCallerIdentity", &[]))), (403, "InvalidClientTokenId"));
}

#[test]
fn revoked_sessions_are_denied_everything_and_newer_ones_are_not() {
    let (mut world, a, _) = two_accounts();
    let role = world.add_role(B, "member", Trust::of([A]));
    let older = minted(&assume(&mut world, &a, &role, &[]));
    world.advance(seconds(1));
    world.revoke_sessions(B, "member");
    let newer = minted(&assume(&mut world, &a, &role, &[]));
    let denied = get(&mut world, &older);
    assert_eq!(brief(&denied), (403, "AccessDeniedException"));
    assert!(denied.message.contains("ecr:GetRegistryPolicy") && denied.message.contains("explicit deny"), "{denied:?}");
    assert_eq!(brief(&ask(&mut world, iam(&older, "GetRole", &[("RoleName", "member")]))), (403, "AccessDenied"));
    assert_eq!(ask(&mut world, sts(&older, "GetCallerIdentity", &[])).status, 200);
    assert_eq!(get(&mut world, &newer).code, "RegistryPolicyNotFoundException");
}

/// aws-facts A.4, B.4: not yet propagated looks like not there.
#[test]
fn a_new_role_is_invisible_until_it_has_propagated() {
    let (mut world, a, _) = two_accounts();
    world.set_propagation(seconds(30));
    let role = world.add_role(A, "fresh", Trust::of([A]));
    let document = policy(&json!(role), &json!("ecr:BatchGetImage"));
    assert_eq!(brief(&assume(&mut world, &a, &role, &[])), DENIED);
    assert_eq!(put(&mut world, &a, &document).code, "InvalidParameterException");
    world.advance(seconds(30));
    assert_eq!(assume(&mut world, &a, &role, &[]).status, 200);
    assert_eq!(put(&mut world, &a, &document).status, 200);
}
