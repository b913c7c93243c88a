//! Would this pull through the cache succeed: both accounts' sides, and the first reason why not (aws-facts D.3, D.5,
//! D.6, K.8).

use aws_sim::{Scope, Trust, World};
use serde_json::{Value, json};

use crate::client::{A, B, REGION, policy, seconds};

const C: &str = "333333333333";
const NINE: [&str; 9] = [
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetAuthorizationToken",
    "ecr:BatchImportUpstreamImage",
    "ecr:BatchGetImage",
    "ecr:GetImageCopyStatus",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];

/// The five steps of D.6: A caches what B has, and C pulls from A.
fn set_up() -> World {
    let mut world = World::new(1);
    for account in [A, B, C] {
        world.add_account(account);
    }
    let arn = world.add_role(A, "ptc/cache", Trust::default());
    world.edit_role(A, "ptc/cache", |role| {
        role.trust = trust("pullthroughcache.ecr.amazonaws.com");
        role.inline_policies.insert("cache".to_owned(), allow(&NINE));
    });
    let mut grant: Value = serde_json::from_str(&policy(
        &json!(A),
        &json!([
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchImportUpstreamImage",
            "ecr:GetImageCopyStatus",
        ]),
    ))
    .unwrap();
    grant["Statement"][0]["Condition"] = json!({"ArnEquals": {"aws:PrincipalArn": arn}});
    grant["Statement"][0]["Resource"] = json!(format!("arn:aws:ecr:{REGION}:{B}:repository/shared/*"));
    world.put_policy(B, REGION, &grant.to_string());
    world.put_policy(A, REGION, &pullers(true));
    let upstream = format!("{B}.dkr.ecr.{REGION}.amazonaws.com");
    let rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": upstream, "customRoleArn": arn,
        "upstreamRepositoryPrefix": "shared"});
    world.put_cache_rule(A, REGION, &rule);
    world
}

fn trust(service: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"},
    ]})
    .to_string()
}

fn allow(actions: &[&str]) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}).to_string()
}

/// Lets C pull what lies under the cache.
fn pullers(creates: bool) -> String {
    let mut actions = vec!["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage"];
    actions.extend(creates.then_some("ecr:CreateRepository"));
    policy(&json!(C), &json!(actions))
}

fn because(world: &World) -> String {
    let decision = world.would_pull_through(C, "cache/app", A, REGION);
    assert!(!decision.allowed, "{}", decision.because);
    decision.because
}

fn passes(world: &World) {
    let decision = world.would_pull_through(C, "cache/app", A, REGION);
    assert!(decision.allowed, "{}", decision.because);
}

#[test]
fn with_everything_in_place_the_pull_succeeds_and_says_from_where() {
    let decision = set_up().would_pull_through(C, "cache/app", A, REGION);
    assert!(decision.allowed, "{}", decision.because);
    assert!(decision.because.contains("shared/app") && decision.because.contains(B), "{}", decision.because);
}

#[test]
fn each_thing_that_lacks_is_named_with_its_account() {
    type Spoil = fn(&mut World);
    let cases: [(Spoil, &[&str]); 14] = [
        (|w| w.delete_cache_rule(A, REGION, "cache"), &[A, "no pull through cache rule"]),
        (|w| w.delete_policy(A, REGION), &[A, C, "ecr:BatchGetImage"]),
        (|w| w.put_policy(A, REGION, &pullers(false)), &[A, C, "ecr:CreateRepository"]),
        (|w| w.delete_role(A, "ptc/cache"), &[A, "role/ptc/cache", "does not exist"]),
        (
            |w| w.edit_role(A, "ptc/cache", |r| r.trust = trust("ecr.amazonaws.com")),
            &[A, "does not trust pullthroughcache.ecr.amazonaws.com"],
        ),
        (
            |w| w.edit_role(A, "ptc/cache", |r| r.inline_policies.clear()),
            &[A, "ecr:GetAuthorizationToken", "none of its policies"],
        ),
        (
            |w| w.edit_role(A, "ptc/cache", |r| drop(r.inline_policies.insert("cache".to_owned(), allow(&NINE[..8])))),
            &[A, "ecr:PutImage", "repository/cache/app"],
        ),
        (
            |w| w.edit_role(A, "ptc/cache", |r| r.permissions_boundary = Some("arn:aws:iam::1:policy/x".to_owned())),
            &[A, "its boundary arn:aws:iam::1:policy/x does not exist"],
        ),
        (|w| w.delete_policy(B, REGION), &[B, "role/ptc/cache", "the registry has no policy"]),
        (|w| w.set_scope(B, REGION, Some(Scope::V1)), &[B, "scope V1"]),
        (|w| w.set_scope(A, REGION, Some(Scope::V1)), &[A, C, "scope V1"]),
        (
            |w| w.edit_policy(B, REGION, |t| t.map(|t| t.replace("repository/shared/*", "repository/shared/other"))),
            &[B, "shared/app", "no statement allows it"],
        ),
        (
            |w| w.edit_policy(B, REGION, |t| t.map(|t| t.replace("role/ptc/cache", "role/another"))),
            &[B, "no statement allows it"],
        ),
        (
            |w| {
                let denied = policy(&json!("*"), &json!("ecr:PutImage")).replace("Allow", "Deny");
                let statement: Value = serde_json::from_str(&denied).unwrap();
                let mut document: Value = serde_json::from_str(&w.policy_text(A, REGION).unwrap()).unwrap();
                document["Statement"].as_array_mut().unwrap().push(statement["Statement"][0].clone());
                w.put_policy(A, REGION, &document.to_string());
            },
            &[A, "ecr:PutImage", "denied by statement 2"],
        ),
    ];
    for (index, (spoil, words)) in cases.into_iter().enumerate() {
        let mut world = set_up();
        spoil(&mut world);
        let reason = because(&world);
        for word in words {
            assert!(reason.contains(word), "case {index}: {word} in {reason}");
        }
    }
}

/// aws-facts D.5: creation is needed once.
#[test]
fn a_repository_that_is_there_needs_no_creation() {
    let mut world = set_up();
    world.put_policy(A, REGION, &pullers(false));
    because(&world);
    world.add_repository(A, REGION, "cache/app");
    passes(&world);
}

/// aws-facts D.5: in the registry's own account the plain pull is an identity policy's matter.
#[test]
fn a_puller_of_the_same_account_needs_a_grant_for_import_and_creation_only() {
    let mut world = set_up();
    let ask =
        |world: &World| world.would_pull_through(&format!("arn:aws:iam::{A}:role/puller"), "cache/app", A, REGION);
    assert!(ask(&world).because.contains("ecr:BatchImportUpstreamImage"));
    world.put_policy(A, REGION, &policy(&json!(A), &json!(["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"])));
    assert!(ask(&world).allowed, "{}", ask(&world).because);
    world.set_scope(A, REGION, Some(Scope::V1));
    assert!(ask(&world).allowed, "{}", ask(&world).because);
    let denied = policy(&json!(A), &json!("ecr:BatchGetImage")).replace("Allow", "Deny");
    world.put_policy(A, REGION, &denied);
    world.set_scope(A, REGION, Some(Scope::V2));
    assert!(ask(&world).because.contains("denied"), "{}", ask(&world).because);
}

/// aws-facts B.2, D.6: the upstream's grant may stand on the repository, where the scope has no say.
#[test]
fn the_upstream_repositorys_own_policy_grants_under_v1_too() {
    let mut world = set_up();
    let grant = world.policy_text(B, REGION).unwrap();
    world.delete_policy(B, REGION);
    world.set_scope(B, REGION, Some(Scope::V1));
    world.add_repository(B, REGION, "shared/app");
    because(&world);
    world.put_repository_policy(B, REGION, "shared/app", Some(&grant));
    passes(&world);
}

/// aws-facts H.4, K.1: what the boundary leaves out the role cannot do.
#[test]
fn the_boundary_narrows_the_role() {
    let mut world = set_up();
    let boundary = world.add_managed_policy(A, "boundary", &allow(&NINE));
    world.edit_role(A, "ptc/cache", |role| role.permissions_boundary = Some(boundary.clone()));
    passes(&world);
    world.add_managed_policy(A, "boundary", &allow(&NINE[..8]));
    let reason = because(&world);
    assert!(reason.contains("its boundary") && reason.contains("ecr:PutImage"), "{reason}");
}

/// aws-facts D.9.
#[test]
fn a_role_counts_as_it_was_when_it_had_last_propagated() {
    let mut world = set_up();
    world.set_propagation(seconds(30));
    world.edit_role(A, "ptc/cache", |role| role.inline_policies.clear());
    passes(&world);
    world.advance(seconds(30));
    because(&world);
    world.edit_role(A, "ptc/cache", |role| drop(role.inline_policies.insert("again".to_owned(), allow(&["ecr:*"]))));
    because(&world);
    world.advance(seconds(60));
    passes(&world);
}

/// aws-facts K.8: the condition on the role's name survives the role's re-creation; a principal would not.
#[test]
fn a_role_made_again_under_its_name_is_granted_by_condition_and_not_as_a_principal() {
    let mut world = set_up();
    let grant = world.policy_text(B, REGION).unwrap();
    let role = world.role(A, "ptc/cache").unwrap();
    let again = |world: &mut World| {
        world.delete_role(A, "ptc/cache");
        world.add_role(A, "ptc/cache", Trust::default());
        world.edit_role(A, "ptc/cache", |new| {
            new.trust.clone_from(&role.trust);
            new.inline_policies.clone_from(&role.inline_policies);
        });
    };
    again(&mut world);
    passes(&world);
    world.put_policy(B, REGION, &grant.replace(&format!("\"AWS\":\"{A}\""), &format!("\"AWS\":\"{}\"", role.arn)));
    passes(&world);
    again(&mut world);
    assert!(because(&world).contains(B));
}

/// aws-facts D.3.
#[test]
fn the_most_specific_rule_covers_and_root_is_what_is_left() {
    let mut world = set_up();
    let rule = |prefix: &str| json!({"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": "quay.io"});
    for prefix in ["ROOT", "cache/deep"] {
        world.put_cache_rule(A, REGION, &rule(prefix));
    }
    let from = |repository: &str| world.would_pull_through(C, repository, A, REGION).because;
    assert!(from("cache/app").contains("shared/app"), "{}", from("cache/app"));
    assert!(
        from("cache/deep/app").starts_with("rule cache/deep brings app from quay.io"),
        "{}",
        from("cache/deep/app")
    );
    assert!(from("cached/app").starts_with("rule ROOT brings cached/app"), "{}", from("cached/app"));
}

/// aws-facts D.6, D.7.
#[test]
fn without_a_role_ecrs_own_serves_its_account_alone() {
    let mut world = set_up();
    let rule = |account: &str| json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": format!("{account}.dkr.ecr.eu-north-1.amazonaws.com")});
    world.put_cache_rule(A, REGION, &rule(B));
    assert!(because(&world).contains("names no role for the upstream account 222222222222"));
    world.put_cache_rule(A, REGION, &rule(A));
    assert!(because(&world).contains("AWSServiceRoleForECRPullThroughCache"));
    world.add_role(A, "aws-service-role/x/AWSServiceRoleForECRPullThroughCache", Trust::default());
    passes(&world);
}

/// aws-facts D.2.
#[test]
fn a_secret_must_be_there_and_right() {
    let mut world = set_up();
    let name = "ecr-pullthroughcache/hub";
    let arn = world.create_secret(A, REGION, name);
    let rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "ghcr.io", "credentialArn": arn});
    world.put_cache_rule(A, REGION, &rule);
    passes(&world);
    world.set_secret_opens(A, REGION, name, false);
    assert!(because(&world).contains("ghcr.io does not take"));
    world.create_secret(A, REGION, name);
    assert!(because(&world).contains(&format!("the secret {arn} does not exist")));
}

/// aws-facts J.1: off unless somebody asks for it.
#[test]
fn a_trust_that_asks_for_the_source_account_works_only_if_ecr_sends_it() {
    let mut world = set_up();
    world.edit_role(A, "ptc/cache", |role| {
        let mut trust: Value = serde_json::from_str(&role.trust).unwrap();
        trust["Statement"][0]["Condition"] = json!({"StringEquals": {"aws:SourceAccount": A}});
        role.trust = trust.to_string();
    });
    assert!(because(&world).contains("does not trust"));
    world.send_source_account(true);
    passes(&world);
}
