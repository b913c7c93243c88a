//! What must not be granted, each with its whole message: behaviours 34 and 35, rule 9.

use super::super::{Statement, lint};
use super::{arn, pull};

fn codes(statement: &Statement) -> Vec<&'static str> {
    lint(statement, false, false).into_iter().map(|finding| finding.code).collect()
}

fn message(statement: &Statement) -> String {
    let findings = lint(statement, false, false);
    assert_eq!(findings.len(), 1, "{findings:?}");
    format!("{}: {}", findings[0].code, findings[0].message)
}

fn account() -> Statement {
    pull(&["444455556666"])
}

#[test]
fn what_is_spelled_out_passes() {
    let role = pull(&["arn:aws:iam::444455556666:role/ci/Puller", "arn:aws:sts::444455556666:assumed-role/R/s"]);
    let org = pull(&["*"]).when("StringEquals", "aws:PrincipalOrgID", &["o-abc"]);
    let service =
        pull(&[]).service("codebuild.amazonaws.com").when("StringEquals", "aws:sourceaccount", &["444455556666"]);
    for statement in
        [account(), account().deny(), role, org, service, account().on(&["app", "team-a*", "*"]), account().on(&[])]
    {
        assert_eq!(lint(&statement, false, false), [], "{statement:?}");
    }
}

#[test]
fn actions_are_named_one_by_one() {
    let cases = [
        ("ecr:*", r#"action-wildcard: actions: "ecr:*" is a wildcard; name each action, such as ecr:BatchGetImage"#),
        ("*", r#"action-wildcard: actions: "*" is a wildcard; name each action, such as ecr:BatchGetImage"#),
        (
            "ECR:Batch?etImage",
            r#"action-wildcard: actions: "ECR:Batch?etImage" is a wildcard; name each action, such as ecr:BatchGetImage"#,
        ),
        ("s3:GetObject", r#"action-not-ecr: actions: "s3:GetObject" is not an action of ECR; name ecr: actions only"#),
        ("ééé", r#"action-not-ecr: actions: "ééé" is not an action of ECR; name ecr: actions only"#),
        (
            "ecr:Pull",
            r#"action-unknown: actions: "ecr:Pull" is not an action that AWS documents for ECR; correct its name"#,
        ),
        (
            "ecr:putregistrypolicy",
            r#"action-policy-writing: actions: "ecr:PutRegistryPolicy" lets its holder change what others may do, itself included; remove it"#,
        ),
        (
            "ecr:GetAuthorizationToken",
            r#"action-registry-level: actions: "ecr:GetAuthorizationToken" acts on the registry, not on repositories; grant it in an IAM identity policy"#,
        ),
    ];
    for (action, expected) in cases {
        assert_eq!(message(&account().actions(&[action])), expected);
        assert_eq!(message(&account().deny().actions(&[action])), expected);
    }
    let writing = [
        "PutRegistryPolicy",
        "DeleteRegistryPolicy",
        "SetRepositoryPolicy",
        "DeleteRepositoryPolicy",
        "PutAccountSetting",
    ];
    for action in writing {
        assert_eq!(codes(&account().actions(&[&format!("ecr:{action}")])), ["action-policy-writing"], "{action}");
    }
    for action in ["PutReplicationConfiguration", "CreatePullThroughCacheRule", "DescribeRegistry"] {
        assert_eq!(codes(&account().actions(&[&format!("ecr:{action}")])), ["action-registry-level"], "{action}");
    }
    assert_eq!(codes(&account().actions(&[])), ["actions-empty"]);
}

/// Rule 9: no statement that could lock out its owner, unless a field made for it says so.
#[test]
fn a_deny_that_reaches_the_owner_needs_acknowledgement() {
    let everyone = pull(&["*"]).deny();
    assert_eq!(
        message(&everyone),
        r#"lockout: principals: a Deny to "*" shuts out the registry's owner; name whom to refuse, or set acknowledgeLockout: true"#
    );
    let owner = pull(&["111122223333", "444455556666"]).deny();
    assert_eq!(
        message(&owner),
        r#"lockout: principals: a Deny to "111122223333" shuts out the registry's owner; name whom to refuse, or set acknowledgeLockout: true"#
    );
    assert_eq!(codes(&everyone.clone().when("StringNotEquals", "aws:PrincipalOrgID", &["o-1"])), ["lockout"]);
    assert_eq!(lint(&everyone, true, false), []);
    assert_eq!(lint(&owner, true, false), []);
    assert_eq!(lint(&everyone, false, true).len(), 1);
}

/// Behaviour 35: weak conditions do not make a public statement private.
#[test]
fn everyone_is_public_unless_a_literal_condition_names_somebody() {
    let everyone = || pull(&["*"]);
    assert_eq!(
        message(&everyone()),
        "public: principals: everyone is public access; name accounts, roles or users, or add a literal condition such as \
         StringEquals of aws:PrincipalOrgID (IfExists, ForAllValues, Null and wildcards do not restrict)"
    );
    assert_eq!(lint(&everyone(), false, true), []);
    assert_eq!(lint(&everyone(), true, false).len(), 1);
    let weak: [(&str, &str, &[&str]); 15] = [
        ("StringEqualsIfExists", "aws:PrincipalOrgID", &["o-1"]),
        ("ForAllValues:StringEquals", "aws:PrincipalOrgID", &["o-1"]),
        ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", &["o-1/*"]),
        ("ForAnyValue:StringEquals", "aws:PrincipalAccount", &["444455556666"]),
        ("StringLike", "aws:PrincipalOrgID", &["*"]),
        ("StringLike", "aws:PrincipalOrgID", &["o-1"]),
        ("StringEquals", "aws:PrincipalOrgID", &["o-1", "*"]),
        ("StringEquals", "aws:PrincipalOrgID", &[""]),
        ("StringNotEquals", "aws:PrincipalOrgID", &["o-1"]),
        ("Null", "aws:PrincipalOrgID", &["false"]),
        ("ArnLike", "aws:PrincipalArn", &["arn:aws:iam::*:role/ci"]),
        ("ArnEquals", "aws:PrincipalArn", &["arn:aws:iam::44445555666?:role/ci"]),
        ("ArnLike", "aws:PrincipalArn", &["*"]),
        ("StringEquals", "aws:SourceVpc", &["vpc-1"]),
        ("StringEquals", "aws:SourceAccount", &["444455556666"]),
    ];
    for (operator, key, values) in weak {
        assert_eq!(codes(&everyone().when(operator, key, values)), ["public"], "{operator} {key} {values:?}");
    }
    let strong: [(&str, &str, &[&str]); 6] = [
        ("StringEquals", "aws:principalorgid", &["o-1", "o-2"]),
        ("StringEquals", "aws:PrincipalAccount", &["444455556666"]),
        ("StringEquals", "aws:PrincipalArn", &["arn:aws:iam::444455556666:role/ci"]),
        ("ArnLike", "aws:PrincipalArn", &["arn:aws:iam::444455556666:role/ci-*"]),
        ("ArnEquals", "aws:PrincipalArn", &["arn:aws:iam::444455556666:role/ci"]),
        ("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", &["o-1/r-1/ou-1/"]),
    ];
    for (operator, key, values) in strong {
        assert_eq!(codes(&everyone().when(operator, key, values)), [""; 0], "{operator} {key} {values:?}");
    }
    assert_eq!(codes(&pull(&["*", "444455556666"])), ["public"]);
}

#[test]
fn a_service_needs_its_source_written_out() {
    let service = || pull(&[]).service("codebuild.amazonaws.com");
    assert_eq!(
        message(&service()),
        "service-unconfined: conditions: the service codebuild.amazonaws.com would act for any account; add a literal \
         condition: StringEquals of aws:SourceAccount or aws:SourceOrgID, or ArnLike of aws:SourceArn with its account \
         written out"
    );
    let project = "arn:aws:codebuild:eu-west-1:444455556666:project/*";
    for (operator, key, value, passes) in [
        ("StringEquals", "aws:SourceAccount", "444455556666", true),
        ("StringEquals", "aws:SourceOrgID", "o-1", true),
        ("ArnLike", "aws:SourceArn", project, true),
        ("StringEqualsIfExists", "aws:SourceAccount", "444455556666", false),
        ("ArnLike", "aws:SourceArn", "arn:aws:codebuild:eu-west-1:*:project/x", false),
        ("ArnLike", "aws:SourceArn", "arn:aws:*:eu-west-1:444455556666:project/x", false),
        ("StringLike", "aws:SourceArn", project, false),
        ("StringEquals", "aws:PrincipalOrgID", "o-1", false),
    ] {
        let found = codes(&service().when(operator, key, &[value]));
        assert_eq!(found.is_empty(), passes, "{operator} {key} {value}: {found:?}");
    }
    // The service's restriction says nothing about everyone, nor the other way round.
    assert_eq!(
        codes(&pull(&["*"]).service("codebuild.amazonaws.com").when(
            "StringEquals",
            "aws:SourceAccount",
            &["444455556666"]
        )),
        ["public"]
    );
}

/// aws-facts K.14, B.7.
#[test]
fn policy_variables_are_refused() {
    assert_eq!(
        message(&account().when("StringEquals", "aws:PrincipalTag/team", &["${aws:username}"])),
        r#"policy-variable: conditions: "${aws:username}" of aws:PrincipalTag/team is a policy variable, which a document of Version 2008-10-17 reads as plain text; write the value out"#
    );
    assert_eq!(
        codes(&pull(&["*"]).when("StringEquals", "aws:PrincipalArn", &["${aws:PrincipalArn}"])),
        ["policy-variable", "public"]
    );
}

#[test]
fn conditions_are_well_formed() {
    assert_eq!(
        message(&account().when("StringEqual", "aws:SourceVpc", &["x"])),
        r#"condition-operator: conditions: "StringEqual" is not a condition operator of IAM; correct it, as in StringEquals"#
    );
    assert_eq!(
        message(&account().when("StringEquals", "SourceVpc", &["x"])),
        r#"condition-key: conditions: "SourceVpc" is not a condition key; name one, such as aws:PrincipalOrgID"#
    );
    assert_eq!(
        message(&account().when("StringEquals", "aws:SourceVpc", &[])),
        "condition-empty: conditions: StringEquals of aws:SourceVpc has no value; give one"
    );
    for good in
        ["Null", "StringLikeIfExists", "ForAnyValue:StringLike", "ForAllValues:ArnLikeIfExists", "NumericLessThan"]
    {
        assert_eq!(codes(&account().when(good, "aws:x", &["1"])), [""; 0], "{good}");
    }
    for bad in ["NullIfExists", "ForAnyValue:Null", "ForSomeValues:StringLike", "stringequals", ""] {
        assert_eq!(codes(&account().when(bad, "aws:x", &["1"])), ["condition-operator"], "{bad}");
    }
}

#[test]
fn resources_are_repositories_of_one_registry() {
    assert_eq!(
        message(&account().resource("*")),
        r#"resource-any: repositories: the resource "*" is everything; name repositories, or a prefix such as team-a/*"#
    );
    let bad = "arn:aws:ecr:*:111122223333:repository/app";
    assert_eq!(
        message(&account().resource(bad)),
        format!(
            r#"resource-not-repository: repositories: "{bad}" is not the ARN of a repository or of a prefix ending in "*"; correct it"#
        )
    );
    let others = [
        arn("app").replace("repository/", ""),
        arn("app").replace(":ecr:", ":s3:"),
        arn("app").replace("111122223333", "*"),
        arn("app").replace("arn:aws:", "arn:aws-cn:"),
        arn("a*b"),
        arn("${aws:username}/*"),
        "app".to_owned(),
        String::new(),
    ];
    for resource in others {
        assert_eq!(codes(&account().resource(&resource)), ["resource-not-repository"], "{resource}");
    }
}

#[test]
fn principals_are_accounts_roles_users_sessions_or_services() {
    let group = "arn:aws:iam::444455556666:group/admins";
    assert_eq!(
        message(&pull(&[group])),
        format!(
            r#"principal-malformed: principals: "{group}" is not the ARN of a role, a user or a session of an account; correct it"#
        )
    );
    let bad = [
        "arn:aws:iam::444455556666:*",
        "arn:aws:iam::444455556666:role/*",
        "arn:aws:iam::4444:role/x",
        "AROAEXAMPLE",
        "44445555666",
        "role/x",
        "arn:aws:iam::444455556666:role/",
    ];
    for bad in bad {
        assert_eq!(codes(&pull(&[bad])), ["principal-malformed"], "{bad}");
    }
    let confined = |name: &str| pull(&[]).service(name).when("StringEquals", "aws:SourceAccount", &["444455556666"]);
    assert_eq!(
        message(&confined("codebuild")),
        r#"principal-malformed: principals: "codebuild" is not a service such as codebuild.amazonaws.com; correct it"#
    );
    assert_eq!(codes(&confined("*.amazonaws.com")), ["principal-malformed"]);
    assert_eq!(codes(&pull(&[])), ["principals-empty"]);
}

/// Behaviour 29, aws-facts B.5: what AWS shows of a deleted principal.
#[test]
fn a_unique_id_is_known_for_what_it_is() {
    let is_id = |text: &str| pull(&[text]).principals.iter().all(super::super::Principal::is_unique_id);
    assert!(is_id("AROAEXAMPLE123") && is_id("AIDAEXAMPLE123"));
    assert!(!is_id("AROA") && !is_id("AROAexample") && !is_id("arn:aws:iam::444455556666:role/AROAEXAMPLE"));
    assert!(!is_id("444455556666") && !is_id("*"));
}
