//! `CrossAccountPtcRole`: the role, its documents, and what its upstreams have to grant.

use ecr_permissions_core::api::{Adoption, Grantee, Kind, PermissionScope};
use ecr_permissions_core::kinds::{PtcRole, Target};
use ecr_permissions_core::ownership::{InstallationId, Mark};
use ecr_permissions_core::policy::{Statement, lint};
use ecr_permissions_core::reason::Reason;
use serde_json::{Value, json};

use super::{ARN, key, own, role_body as body, role_wanted as translated};

fn role(text: &str) -> PtcRole {
    translated(text).unwrap().role.unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn grants(role: &PtcRole, upstream: usize) -> Vec<Statement> {
    role.grants(&role.upstreams[upstream], &own(), ARN)
}

const EXTERNAL: &str = r#"{upstreams: [{name: partner, external: {accountId: "333333333333", region: us-east-1}, repositories: [tools, "base/*"]}]}"#;

#[test]
fn a_role_is_translated_member_by_member_and_grants_nothing_in_its_own_registry() {
    let wanted = translated("{}").unwrap();
    assert_eq!((wanted.statements, wanted.under_v2, wanted.rule), (vec![], vec![], None));
    let least = wanted.role.unwrap();
    assert_eq!((least.name, least.adoption, least.grantee), (None, Adoption::Never, Grantee::Role));
    assert_eq!((least.permission_scope, least.trust_source_account), (PermissionScope::Any, false));
    let whole = role(
        "{roleName: ecr-cache, adoption: Always, grantee: Account, permissionScope: Listed, trustSourceAccount: true}",
    );
    assert_eq!(
        (whole.name.as_deref(), whole.adoption, whole.grantee),
        (Some("ecr-cache"), Adoption::Always, Grantee::Account)
    );
    assert_eq!((whole.permission_scope, whole.trust_source_account), (PermissionScope::Listed, true));
    let [upstream] = &whole.upstreams[..] else { panic!("{whole:?}") };
    assert_eq!(
        (upstream.name.as_str(), &upstream.key, upstream.external),
        ("platform", &key("222222222222", "eu-west-1"), false)
    );
    assert!(role(EXTERNAL).upstreams[0].external);
}

/// aws-facts D.6, step 2: exactly the service; never the upstream's account, which some write there without need.
#[test]
fn the_trust_is_in_the_service_alone() {
    let expected = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}, "Action": "sts:AssumeRole",
    }]});
    assert_eq!(parsed(&role("{}").trust_policy(&own())), expected);
    assert_eq!(parsed(&role("{grantee: Account}").trust_policy(&own())), expected);
    assert_eq!(parsed(&role("{trustSourceAccount: false}").trust_policy(&own())), expected);
}

/// aws-facts J.1: nobody could verify it, so it is only there when asked for.
#[test]
fn the_trust_is_confined_to_the_account_if_that_is_asked_for() {
    let trust = parsed(&role("{trustSourceAccount: true}").trust_policy(&own()));
    assert_eq!(trust["Statement"][0]["Condition"], json!({"StringEquals": {"aws:SourceAccount": "111111111111"}}));
    assert_eq!(trust["Statement"].as_array().unwrap().len(), 1);
}

/// aws-facts D.6, step 1.
#[test]
fn the_role_may_do_the_nine_actions_that_aws_documents() {
    let policy = parsed(&role("{}").permission_policy(&own()));
    let statement = &policy["Statement"][0];
    assert_eq!((&statement["Effect"], &statement["Resource"]), (&json!("Allow"), &json!("*")));
    let mut actions: Vec<&str> = statement["Action"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    actions.sort_unstable();
    let expected = [
        "ecr:BatchGetImage",
        "ecr:BatchImportUpstreamImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "ecr:GetImageCopyStatus",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ];
    assert_eq!(actions, expected);
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1);
}

/// aws-facts K.1: what is read in both places, what is written in the cache alone; logging in has no resource.
#[test]
fn a_listed_scope_names_the_upstreams_to_read_and_the_cache_to_write() {
    let text = r#"{permissionScope: Listed, upstreams: [
        {name: a, registryRef: {name: upstream}, repositories: ["base/*"]},
        {name: b, external: {accountId: "333333333333", region: us-east-1}, repositories: [tools]}]}"#;
    let policy = parsed(&role(text).permission_policy(&own()));
    let cache = "arn:aws:ecr:eu-west-1:111111111111:repository/cache/*";
    let upstreams =
        ["arn:aws:ecr:eu-west-1:222222222222:repository/base/*", "arn:aws:ecr:us-east-1:333333333333:repository/tools"];
    let reads =
        ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage", "ecr:GetImageCopyStatus"];
    let writes = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"];
    let expected = json!([
        {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": "*"},
        {"Effect": "Allow", "Action": reads, "Resource": [cache, upstreams[0], upstreams[1]]},
        {"Effect": "Allow", "Action": writes, "Resource": [cache]},
    ]);
    assert_eq!(policy["Statement"], expected);
}

/// aws-facts B.8 (third) and K.8: not every principal of the downstream that has rights of its own, only the role.
#[test]
fn an_upstream_lets_the_role_pull_and_nobody_beside_it() {
    let expected = json!({
        "Effect": "Allow",
        "Principal": {"AWS": "111111111111"},
        "Action": [
            "ecr:BatchGetImage",
            "ecr:BatchImportUpstreamImage",
            "ecr:GetDownloadUrlForLayer",
            "ecr:GetImageCopyStatus"
        ],
        "Resource": "arn:aws:ecr:eu-west-1:222222222222:repository/base/*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": ARN}},
    });
    let [statement] = &grants(&role("{}"), 0)[..] else { panic!("one statement") };
    assert_eq!(statement.to_value(None), expected);
    let [wide] = &grants(&role("{grantee: Account}"), 0)[..] else { panic!("one statement") };
    let mut without = expected;
    without.as_object_mut().unwrap().remove("Condition");
    assert_eq!(wide.to_value(None), without);
    for statement in [statement, wide] {
        assert_eq!(lint(statement, false, false), []);
    }
}

/// aws-facts D.6: in one account the role's own policy is enough.
#[test]
fn inside_one_account_nothing_has_to_be_granted() {
    let role = role(
        r#"{upstreams: [
            {name: a, registryRef: {name: frankfurt}, repositories: ["*"]},
            {name: b, external: {accountId: "111111111111", region: us-east-1}, repositories: ["*"]}]}"#,
    );
    assert_eq!((grants(&role, 0), grants(&role, 1)), (vec![], vec![]));
    assert_eq!(role.required_statement(&role.upstreams[1], &own(), ARN), None);
}

#[test]
fn the_owner_of_an_external_upstream_is_told_what_to_add() {
    let role = role(EXTERNAL);
    let upstream = &role.upstreams[0];
    let statement = parsed(&role.required_statement(upstream, &own(), ARN).unwrap());
    assert_eq!(statement, grants(&role, 0)[0].to_value(statement["Sid"].as_str()));
    let sid = statement["Sid"].as_str().unwrap();
    assert!(sid.len() <= 64 && sid.bytes().all(|b| b.is_ascii_alphanumeric()), "{sid}");
    // It is theirs: no installation would ever take it for its own.
    assert_eq!(InstallationId::of_cluster("uid").read(Some(sid)), Mark::Foreign);
    let mut narrower = upstream.clone();
    narrower.repositories.pop_last();
    let other = parsed(&role.required_statement(&narrower, &own(), ARN).unwrap());
    assert_ne!(other["Sid"], statement["Sid"]);
    let known = &self::role("{}");
    assert_eq!(known.required_statement(&known.upstreams[0], &own(), ARN), None);
}

/// The name that an object's role has when it has none is the object's alone; its ARN is built from path and name.
#[test]
fn a_role_without_a_name_has_one_of_its_own() {
    let us = InstallationId::of_cluster("ours");
    let name = role("{}").name_for(&us, "team-a", "base");
    assert_eq!(name, us.role_name("team-a", "base"));
    assert_eq!(role("{roleName: ecr-cache}").name_for(&us, "team-a", "base"), "ecr-cache");
    assert_eq!(own().role_arn("/ecr-operator/ptc/", "ecr-cache"), ARN);
    assert_eq!(key("111111111111", "us-gov-west-1").role_arn("/", "x"), "arn:aws-us-gov:iam::111111111111:role/x");
}

/// Behaviour 40.
#[test]
fn an_unknown_upstream_is_waited_for() {
    let text = r#"{upstreams: [{name: a, registryRef: {name: nowhere}, repositories: ["*"]}]}"#;
    let because = translated(text).unwrap_err();
    assert_eq!(because.reason, Reason::ReferenceNotFound);
    assert!(because.message.starts_with("spec.upstreams[0].registryRef: there is no Registry \"nowhere\"; create it"));
}

/// The API server refuses most of these; an object stored under an older definition must not slip through.
#[test]
fn the_translation_does_not_rely_on_the_api_server() {
    let upstream = |members: &str| format!("upstreams: [{{name: a, {members}}}]");
    let many = (0..60).map(|i| format!("r{i}/{}/*", "x".repeat(150))).collect::<Vec<_>>().join(", ");
    let names = (0..75).map(|i| format!("r{i:02}/{}/*", "x".repeat(240))).collect::<Vec<_>>().join(", ");
    let long = upstream(&format!("registryRef: {{name: upstream}}, repositories: [{names}]"));
    let cases = [
        ("upstreams: []".to_owned(), "spec.upstreams: there is none"),
        (upstream("repositories: ['*']"), "spec.upstreams[0]: it takes exactly one of registryRef and external"),
        (
            upstream("registryRef: {name: upstream}, repositories: []"),
            "spec.upstreams[0].repositories: no repository is named",
        ),
        (
            upstream("registryRef: {name: upstream}, repositories: ['a*b']"),
            "spec.upstreams[0].repositories[0]: \"a*b\" is not a repository name",
        ),
        (
            upstream("registryRef: {name: upstream}, repositories: ['*'], grantVia: RepositoryPolicies"),
            "spec.upstreams[0].grantVia: this version grants in the upstream's registry policy only",
        ),
        ("cacheRepositories: []".to_owned(), "spec.cacheRepositories: no repository is named"),
        ("roleName: ''".to_owned(), "spec.roleName: \"\" is not the name of an IAM role"),
        ("roleName: ecr-operator/member".to_owned(), "spec.roleName: \"ecr-operator/member\" is not the name"),
        ("roleName: 'a*'".to_owned(), "spec.roleName: \"a*\" is not the name of an IAM role; write 1–64 letters"),
        (
            format!("{{permissionScope: Listed, cacheRepositories: [{many}]}}"),
            "spec.permissionScope: the role's policy would have",
        ),
        (long, "spec.upstreams: its repositories and those of all upstreams have 18457 characters"),
    ];
    for (text, expected) in cases {
        let because = translated(&text).unwrap_err();
        assert_eq!(because.reason, Reason::InvalidSpec, "{text}");
        assert!(because.message.contains(expected), "expected {expected:?} in {:?}", because.message);
    }
}

#[test]
fn a_body_answers_for_its_kind_and_says_whom_it_refers_to() {
    let external = body(EXTERNAL);
    assert_eq!((external.kind(), external.registry_name()), (Kind::CrossAccountPtcRole, "default"));
    assert_eq!(external.targets().into_iter().filter_map(Target::registry_name).count(), 0);
    let known = body("{}");
    assert_eq!(known.targets().into_iter().filter_map(Target::registry_name).collect::<Vec<_>>(), ["upstream"]);
}
