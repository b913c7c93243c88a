//! From what people write to what a policy says, kind by kind.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use ecr_permissions_core::api::{DeletionPolicy, Kind, RegistryPolicySpec, ReplicationGrantSpec};
use ecr_permissions_core::kinds::{Body, References, translate};
use ecr_permissions_core::names::RegistryKey;
use serde_json::{Value, json};

fn registry(region: &str) -> RegistryKey {
    RegistryKey { account: "111111111111".parse().unwrap(), region: region.parse().unwrap() }
}

fn policy(text: &str) -> Body {
    serde_saphyr::from_str::<RegistryPolicySpec>(text).unwrap().into()
}

fn grant(text: &str) -> Body {
    serde_saphyr::from_str::<ReplicationGrantSpec>(text).unwrap().into()
}

fn written(body: &Body, region: &str) -> Vec<Value> {
    let wanted = translate(body, &registry(region), &References::default()).unwrap();
    wanted.statements.iter().map(|statement| statement.to_value(None)).collect()
}

fn refusal(body: &Body) -> String {
    translate(body, &registry("eu-west-1"), &References::default()).unwrap_err().message
}

/// A RegistryPolicy of one statement that pulls `app`, for the principals given.
fn pull(principals: &str) -> Body {
    policy(&format!(
        "statements: [{{name: s, principals: {principals}, actions: [ecr:BatchGetImage], repositories: [app]}}]"
    ))
}

#[test]
fn a_statement_is_translated_member_by_member() {
    let body = policy(
        r#"
        statements:
        - name: pull
          principals:
            accountIds: ["222222222222", "222222222222"]
            roles: [{accountId: "222222222222", name: ci/deep/puller}]
            users: [{accountId: "333333333333", name: jenkins}]
          actions: [ECR:batchgetimage, ecr:GetDownloadUrlForLayer]
          repositories: ["team-a/*", base]
          conditions:
          - {operator: IpAddress, key: "aws:SourceIp", values: [192.0.2.0/24, 198.51.100.0/24]}
        - name: never-delete
          effect: Deny
          principals: {accountIds: ["222222222222"]}
          actions: [ecr:BatchDeleteImage]
          repositories: ["*"]
        "#,
    );
    let arn = |name: &str| format!("arn:aws:ecr:eu-west-1:111111111111:repository/{name}");
    let expected = [
        json!({
            "Effect": "Allow",
            "Principal": {"AWS": [
                "222222222222",
                "arn:aws:iam::222222222222:role/ci/deep/puller",
                "arn:aws:iam::333333333333:user/jenkins"
            ]},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": [arn("base"), arn("team-a/*")],
            "Condition": {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "198.51.100.0/24"]}},
        }),
        json!({
            "Effect": "Deny",
            "Principal": {"AWS": "222222222222"},
            "Action": "ecr:BatchDeleteImage",
            "Resource": arn("*"),
        }),
    ];
    assert_eq!(written(&body, "eu-west-1"), expected);
}

#[test]
fn arns_are_of_the_partition_and_region_of_the_registry() {
    let body = pull(r#"{roles: [{accountId: "222222222222", name: ci}]}"#);
    let statements = written(&body, "cn-north-1");
    assert_eq!(statements[0]["Principal"], json!({"AWS": "arn:aws-cn:iam::222222222222:role/ci"}));
    assert_eq!(statements[0]["Resource"], "arn:aws-cn:ecr:cn-north-1:111111111111:repository/app");
}

#[test]
fn an_organization_is_everyone_on_a_condition() {
    let statements = written(&pull("{organizationIds: [o-bbbbbbbbbb, o-aaaaaaaaaa]}"), "eu-west-1");
    assert_eq!(statements[0]["Principal"], "*");
    assert_eq!(
        statements[0]["Condition"],
        json!({"StringEquals": {"aws:PrincipalOrgID": ["o-aaaaaaaaaa", "o-bbbbbbbbbb"]}})
    );
}

#[test]
fn a_replication_grant_is_for_the_root_of_its_sources_and_never_confined_by_source_account() {
    let body = grant(r#"{sources: {accountIds: ["222222222222", "333333333333"]}, repositories: ["mirror/*"]}"#);
    let expected = json!({
        "Effect": "Allow",
        "Principal": {"AWS": ["222222222222", "333333333333"]},
        "Action": "ecr:ReplicateImage",
        "Resource": "arn:aws:ecr:eu-west-1:111111111111:repository/mirror/*",
    });
    assert_eq!(written(&body, "eu-west-1"), [expected]);
}

/// aws-facts K.7: creating is another permission than replicating, for others than the service.
#[test]
fn creating_repositories_is_a_statement_of_its_own_and_only_if_asked_for() {
    let body = grant(
        r#"{sources: {accountIds: ["222222222222"], organizationIds: [o-aaaaaaaaaa]}, repositories: ["*"], createRepositories: true}"#,
    );
    let of = |statement: &Value| (statement["Principal"].clone(), statement["Action"].clone());
    let account = json!({"AWS": "222222222222"});
    let expected = [
        (account.clone(), json!("ecr:ReplicateImage")),
        (account, json!("ecr:CreateRepository")),
        (json!("*"), json!("ecr:ReplicateImage")),
        (json!("*"), json!("ecr:CreateRepository")),
    ];
    assert_eq!(written(&body, "eu-west-1").iter().map(of).collect::<Vec<_>>(), expected);
    let off = r#"{sources: {accountIds: ["222222222222"]}, repositories: ["*"], createRepositories: false}"#;
    assert_eq!(written(&grant(off), "eu-west-1").len(), 1);
}

/// The API server refuses these; an object stored under an older definition must not slip through.
#[test]
fn the_translation_does_not_rely_on_the_api_server() {
    let cases = [
        (pull("{}"), "spec.statements[0].principals: nobody is named"),
        (
            pull(r#"{accountIds: ["2222"]}"#),
            "spec.statements[0].principals.accountIds[0]: \"2222\" is not an AWS account id",
        ),
        (
            pull(r#"{everyone: true, accountIds: ["222222222222"]}"#),
            "spec.statements[0].principals: services, organizationIds and everyone each stand alone",
        ),
        (pull("{everyone: false}"), "spec.statements[0].principals.everyone: false says nothing"),
        (pull("{organizationIds: [\"*\"]}"), "spec.statements[0].principals.organizationIds[0]: \"*\" is not the id"),
        (pull("{services: [\"*\"]}"), "spec.statements[0].principals: \"*\" is not a service"),
        (
            pull(r#"{roles: [{accountId: "222222222222", name: "*"}]}"#),
            "spec.statements[0].principals.roles[0].name: \"*\" is not the name of an IAM role",
        ),
        (
            pull(r#"{roles: [{accountId: "222222222222", name: "/ci"}]}"#),
            "spec.statements[0].principals.roles[0].name: \"/ci\" is not the name",
        ),
        (policy("statements: []"), "spec.statements: there is none"),
        (
            policy(
                r#"statements: [{name: s, principals: {accountIds: ["222222222222"]}, actions: ["ecr:*"], repositories: []}]"#,
            ),
            "spec.statements[0].actions[0]: \"ecr:*\" is a wildcard",
        ),
        (
            policy(
                r#"statements: [{name: s, principals: {accountIds: ["222222222222"]}, actions: [], repositories: ["a*b"]}]"#,
            ),
            "spec.statements[0].repositories[0]: \"a*b\" is not a repository name",
        ),
        (grant("{sources: {}, repositories: [a/b]}"), "spec.sources: nobody is named"),
        (
            grant(r#"{sources: {accountIds: ["222222222222"]}, repositories: []}"#),
            "spec.repositories: no repository is named",
        ),
    ];
    for (body, expected) in cases {
        let message = refusal(&body);
        assert!(message.contains(expected), "expected {expected:?} in {message:?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let message = refusal(&policy(
        r#"statements: [{name: s, principals: {accountIds: ["1"]}, actions: [ecr:Pull, ecr:BatchGetImage], repositories: ["A"]}]"#,
    ));
    for field in ["principals.accountIds[0]", "actions[0]", "repositories[0]"] {
        assert!(message.contains(&format!("spec.statements[0].{field}: ")), "{field} in {message}");
    }
}

#[test]
fn a_body_answers_for_its_kind() {
    let plain = pull(r#"{accountIds: ["222222222222"]}"#);
    assert_eq!(
        (plain.kind(), plain.registry_name(), plain.suspend(), plain.deletion_policy()),
        (Kind::RegistryPolicy, "default", false, None)
    );
    let other = grant(
        r#"{registryRef: {name: production}, suspend: true, deletionPolicy: Retain, sources: {accountIds: ["222222222222"]}, repositories: ["*"]}"#,
    );
    assert_eq!(
        (other.kind(), other.registry_name(), other.suspend(), other.deletion_policy()),
        (Kind::ReplicationGrant, "production", true, Some(DeletionPolicy::Retain))
    );
}
