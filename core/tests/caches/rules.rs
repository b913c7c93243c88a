//! `PullThroughCacheRule`: from what people write to a rule and to statements.

use ecr_permissions_core::api::{Adoption, Kind};
use ecr_permissions_core::kinds::{CacheRule, References, RoleChoice, Target, UpstreamRegistry, translate};
use ecr_permissions_core::policy::Statement;
use ecr_permissions_core::reason::{Reason, Verdict};
use serde_json::{Value, json};

use super::{ecr, key, own, rule_body as body, rule_wanted as translated};

fn rule(text: &str) -> CacheRule {
    translated(text).unwrap().rule.unwrap()
}

fn values(statements: &[Statement]) -> Vec<Value> {
    statements.iter().map(|statement| statement.to_value(None)).collect()
}

/// Behaviour 22 and aws-facts D.1, row by row.
#[test]
fn every_upstream_is_called_what_aws_calls_it() {
    let secret = "secretName: ecr-pullthroughcache/x";
    let rows = [
        ("type: EcrPublic", "ecr-public", "public.ecr.aws"),
        ("type: Kubernetes", "k8s", "registry.k8s.io"),
        ("type: Quay", "quay", "quay.io"),
        ("type: DockerHub", "docker-hub", "registry-1.docker.io"),
        ("type: GitHub", "github-container-registry", "ghcr.io"),
        ("type: GitLab", "gitlab-container-registry", "registry.gitlab.com"),
        ("type: Azure, azure: {host: team-a.azurecr.io}", "azure-container-registry", "team-a.azurecr.io"),
        ("type: Chainguard", "chainguard", "cgr.dev"),
    ];
    for (members, name, host) in rows {
        let needs_secret = !["ecr-public", "k8s", "quay"].contains(&name);
        let members = if needs_secret { format!("{members}, {secret}") } else { members.to_owned() };
        let expected = CacheRule {
            prefix: "hub".parse().unwrap(),
            upstream_registry: UpstreamRegistry::ALL.into_iter().find(|upstream| upstream.as_str() == name).unwrap(),
            upstream_host: host.to_owned(),
            upstream_account: None,
            upstream_prefix: None,
            role: None,
            secret: needs_secret.then(|| "ecr-pullthroughcache/x".to_owned()),
            adoption: Adoption::Never,
            claim_existing: false,
            recreate: false,
        };
        assert_eq!(rule(&format!("upstream: {{{members}}}")), expected, "{name}");
    }
}

/// Behaviour 22: the same account in another Region, and another account by either kind of role.
#[test]
fn a_private_upstream_is_named_by_its_host_and_keeps_who_it_is() {
    let same_account = rule(&ecr("registryRef: {name: frankfurt}"));
    assert_eq!(same_account.upstream_registry.as_str(), "ecr");
    assert_eq!(same_account.upstream_host, "111111111111.dkr.ecr.eu-central-1.amazonaws.com");
    assert_eq!(same_account.upstream_account, Some(key("111111111111", "eu-central-1")));
    assert_eq!((same_account.role, same_account.upstream_prefix), (None, None));

    let by_ref = rule(&ecr("registryRef: {name: upstream}, roleRef: {name: base}, repositoryPrefix: platform/base"));
    assert_eq!(by_ref.upstream_host, "222222222222.dkr.ecr.eu-west-1.amazonaws.com");
    assert_eq!(by_ref.upstream_prefix, Some("platform/base".parse().unwrap()));
    assert_eq!(by_ref.role, Some(RoleChoice::Ref("base".to_owned())));
    assert_eq!(by_ref.role.unwrap().named_arn(&own()), None);

    let external = r#"external: {accountId: "333333333333", region: us-east-1}, roleName: caches/ecr"#;
    let by_name = rule(&ecr(external));
    assert_eq!(by_name.upstream_account, Some(key("333333333333", "us-east-1")));
    assert_eq!(by_name.role.unwrap().named_arn(&own()).unwrap(), "arn:aws:iam::111111111111:role/caches/ecr");
}

/// aws-facts D.3: AWS's word for a prefix that is not there is no other prefix.
#[test]
fn the_root_of_the_upstream_is_no_prefix() {
    let explicit = rule(&ecr("registryRef: {name: frankfurt}, repositoryPrefix: ROOT"));
    assert_eq!(explicit, rule(&ecr("registryRef: {name: frankfurt}")));
}

#[test]
fn what_may_be_done_to_what_is_there_is_carried_over() {
    let all = rule("{adoption: IfIdentical, claimExisting: true, replacePolicy: Recreate}");
    assert_eq!((all.adoption, all.claim_existing, all.recreate), (Adoption::IfIdentical, true, true));
    let none = rule("{adoption: Never, claimExisting: false, replacePolicy: Never}");
    assert_eq!(none, rule("{}"));
}

/// aws-facts D.5 and api.md, "Consent": pulling is granted under V2 alone, since V1 refuses to hear of it.
#[test]
fn pullers_may_import_under_any_scope_and_pull_under_v2() {
    let wanted = translated(
        r#"{pullers: {accountIds: ["222222222222"], roles: [{accountId: "333333333333", name: ci/puller}]}}"#,
    )
    .unwrap();
    let principal = json!({"AWS": ["222222222222", "arn:aws:iam::333333333333:role/ci/puller"]});
    let resource = "arn:aws:ecr:eu-west-1:111111111111:repository/hub/*";
    let statement =
        |action: Value| json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource});
    assert_eq!(values(&wanted.statements), [statement(json!("ecr:BatchImportUpstreamImage"))]);
    let pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
    assert_eq!(values(&wanted.under_v2), [statement(json!(pull))]);
}

#[test]
fn pullers_create_repositories_only_if_that_is_asked_for() {
    let wanted = |create: &str| {
        translated(&format!(r#"{{pullers: {{accountIds: ["222222222222"]}}, createRepositories: {create}}}"#)).unwrap()
    };
    let both = json!(["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"]);
    assert_eq!(values(&wanted("true").statements)[0]["Action"], both);
    assert_eq!(wanted("true").under_v2, wanted("false").under_v2);
    assert_eq!(values(&wanted("false").statements)[0]["Action"], "ecr:BatchImportUpstreamImage");
}

#[test]
fn the_root_is_every_repository_and_an_organization_is_everyone_on_a_condition() {
    let wanted = translated("{cachePrefix: ROOT, pullers: {organizationIds: [o-a1b2c3d4e5]}}").unwrap();
    for statement in values(&wanted.statements).iter().chain(&values(&wanted.under_v2)) {
        assert_eq!(statement["Resource"], "arn:aws:ecr:eu-west-1:111111111111:repository/*");
        assert_eq!(statement["Principal"], "*");
        assert_eq!(statement["Condition"], json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}));
    }
}

#[test]
fn without_pullers_nothing_is_granted() {
    let wanted = translated("{}").unwrap();
    assert_eq!((wanted.statements, wanted.under_v2, wanted.role), (vec![], vec![], None));
}

/// Behaviour 40: it heals without an edit, so nobody has to act.
#[test]
fn an_unknown_registry_is_waited_for_unless_something_is_wrong_besides() {
    let because = translated(&ecr("registryRef: {name: nowhere}, roleRef: {name: base}")).unwrap_err();
    assert_eq!((because.reason, because.reason.verdict()), (Reason::ReferenceNotFound, Verdict::Waiting));
    assert_eq!(
        because.message,
        "spec.upstream.ecr.registryRef: there is no Registry \"nowhere\"; create it, or write external with the account and the Region."
    );
    let wrong = translated(&format!("{{cachePrefix: a, {}}}", ecr("registryRef: {name: nowhere}"))).unwrap_err();
    assert_eq!(wrong.reason, Reason::InvalidSpec);
}

/// aws-facts D.8: the partition of the downstream decides hosts and ARNs.
#[test]
fn everything_is_of_the_partition_of_the_registry() {
    let text = ecr(r#"external: {accountId: "222222222222", region: cn-northwest-1}, roleName: ecr"#);
    let downstream = key("111111111111", "cn-north-1");
    let rule = translate(&body(&text), &downstream, &References::default()).unwrap().rule.unwrap();
    assert_eq!(rule.upstream_host, "222222222222.dkr.ecr.cn-northwest-1.amazonaws.com.cn");
    assert_eq!(rule.role.unwrap().named_arn(&downstream).unwrap(), "arn:aws-cn:iam::111111111111:role/ecr");
    let because = translated(&text).unwrap_err();
    assert!(because.message.contains("is of partition aws-cn, the registry with the cache of aws"), "{because:?}");
}

/// The API server refuses these; an object stored under an older definition must not slip through.
#[test]
fn the_translation_does_not_rely_on_the_api_server() {
    let long = "a".repeat(31);
    let cases = [
        (format!("cachePrefix: {long}"), "spec.cachePrefix: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is not a prefix"),
        ("cachePrefix: team-a/".to_owned(), "spec.cachePrefix: \"team-a/\" is not a prefix"),
        ("upstream: {type: Ecr}".to_owned(), "spec.upstream.ecr: it describes an upstream of type Ecr and of no other"),
        (
            "upstream: {type: Quay, ecr: {registryRef: {name: frankfurt}}}".to_owned(),
            "spec.upstream.ecr: it describes an upstream of type Ecr and of no other",
        ),
        (
            "upstream: {type: Azure, secretName: ecr-pullthroughcache/x}".to_owned(),
            "spec.upstream.azure: it describes an upstream of type Azure and of no other",
        ),
        (
            "upstream: {type: Quay, azure: {host: a.azurecr.io}}".to_owned(),
            "spec.upstream.azure: it describes an upstream of type Azure and of no other",
        ),
        (
            "upstream: {type: Azure, azure: {host: evil.example/azurecr.io}, secretName: ecr-pullthroughcache/x}"
                .to_owned(),
            "spec.upstream.azure.host: \"evil.example/azurecr.io\" is not the host of a registry of Azure's",
        ),
        (
            "upstream: {type: DockerHub}".to_owned(),
            "spec.upstream.secretName: an upstream of type DockerHub needs credentials, and no secret is named; name one",
        ),
        (
            "upstream: {type: Quay, secretName: ecr-pullthroughcache/x}".to_owned(),
            "spec.upstream.secretName: an upstream of type Quay takes no credentials; take it out",
        ),
        (
            "upstream: {type: DockerHub, secretName: database-password}".to_owned(),
            "spec.upstream.secretName: \"database-password\" is not the name of a secret that ECR can use",
        ),
        (ecr("repositoryPrefix: base"), "spec.upstream.ecr: it takes exactly one of registryRef and external"),
        (
            ecr(r#"registryRef: {name: frankfurt}, external: {accountId: "222222222222", region: eu-west-1}"#),
            "spec.upstream.ecr: it takes exactly one of registryRef and external",
        ),
        (
            ecr(r#"external: {accountId: "2222", region: eu_west_1}"#),
            "spec.upstream.ecr.external.accountId: \"2222\" is not an AWS account id",
        ),
        (
            ecr(r#"external: {accountId: "2222", region: eu_west_1}"#),
            "spec.upstream.ecr.external.region: \"eu_west_1\" is not an AWS Region",
        ),
        (
            ecr("registryRef: {name: frankfurt}, repositoryPrefix: base/"),
            "spec.upstream.ecr.repositoryPrefix: \"base/\" is not a prefix",
        ),
        (
            ecr("registryRef: {name: upstream}, roleRef: {name: a}, roleName: b"),
            "spec.upstream.ecr: it takes at most one of roleRef and roleName",
        ),
        (
            ecr("registryRef: {name: upstream}, roleName: 'arn:aws:iam::111111111111:role/x'"),
            "is not the name of an IAM role; write its path and name",
        ),
        (
            format!("{{cachePrefix: ROOT, {}}}", ecr("registryRef: {name: frankfurt}, repositoryPrefix: base")),
            "spec.upstream.ecr.repositoryPrefix: a cachePrefix ROOT stands for the whole upstream; take it out",
        ),
        ("createRepositories: true".to_owned(), "spec.createRepositories: it lets pullers create repositories"),
        ("pullers: {}".to_owned(), "spec.pullers: nobody is named"),
        (
            "pullers: {services: [codebuild.amazonaws.com]}".to_owned(),
            "spec.pullers.services: an AWS service does not pull through a cache",
        ),
    ];
    for (text, expected) in cases {
        let because = translated(&text).unwrap_err();
        assert_eq!(because.reason, Reason::InvalidSpec, "{text}");
        assert!(because.message.contains(expected), "expected {expected:?} in {:?}", because.message);
    }
}

#[test]
fn a_body_answers_for_its_kind_and_says_whom_it_refers_to() {
    let named = body(&format!("{{registryRef: {{name: production}}, {}}}", ecr("registryRef: {name: upstream}")));
    assert_eq!((named.kind(), named.registry_name()), (Kind::PullThroughCacheRule, "production"));
    let referred: Vec<_> = named.targets().into_iter().filter_map(Target::registry_name).collect();
    assert_eq!(referred, ["upstream"]);
    assert_eq!(body("{}").targets(), []);
}
