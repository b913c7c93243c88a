//! Consent: nothing is covered that no rule says, and what is withdrawn is exactly what no rule covers any more.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::api::{AllowRule, Kind, RegistryPolicySpec, ReplicationGrantSpec};
use ecr_permissions_core::consent::{Asked, consent, consented};
use ecr_permissions_core::kinds::{Body, References, translate};
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::policy::{Statement, atoms};
use ecr_permissions_core::reason::Reason;
use proptest::prelude::*;

const OWN: &str = "111111111111";

fn own() -> RegistryKey {
    RegistryKey { account: OWN.parse().unwrap(), region: "eu-west-1".parse().unwrap() }
}

/// Rules as they are written, each with a name, a namespace and a kind unless it brings its own.
fn rules(texts: &[&str]) -> Vec<AllowRule> {
    let base = serde_json::json!({"name": "rule", "namespaces": {"names": ["team-a"]}, "kinds": ["RegistryPolicy"]});
    let rule = |(i, text): (usize, &&str)| {
        let mut rule = base.clone();
        rule["name"] = format!("rule-{i}").into();
        let given: serde_json::Map<String, serde_json::Value> = serde_saphyr::from_str(text).unwrap();
        rule.as_object_mut().unwrap().extend(given);
        serde_json::from_value(rule).unwrap()
    };
    texts.iter().enumerate().map(rule).collect()
}

/// One statement of a RegistryPolicy: pulls `team-a/app` for 222222222222, unless `text` says otherwise.
fn policy(text: &str) -> Vec<Statement> {
    let mut statement = serde_json::json!({
        "name": "s",
        "principals": {"accountIds": ["222222222222"]},
        "actions": ["ecr:BatchGetImage"],
        "repositories": ["team-a/app"],
    });
    let given: serde_json::Map<String, serde_json::Value> = serde_saphyr::from_str(text).unwrap();
    statement.as_object_mut().unwrap().extend(given);
    let spec: RegistryPolicySpec = serde_json::from_value(serde_json::json!({"statements": [statement]})).unwrap();
    translate(&Body::from(spec), &own(), &References::default()).unwrap().statements
}

fn grant(text: &str) -> Vec<Statement> {
    let spec: ReplicationGrantSpec = serde_saphyr::from_str(text).unwrap();
    translate(&Body::from(spec), &own(), &References::default()).unwrap().statements
}

fn ask(allow: &[AllowRule], kind: Kind, namespace: &str, statements: &[Statement]) -> Result<(), String> {
    let labels = BTreeMap::from([("team".to_owned(), namespace.to_owned())]);
    let asked = Asked::of_statements(statements, kind, &own());
    consent(allow, &own(), kind, namespace, &labels, &asked).map_err(|because| {
        assert_eq!(because.reason, Reason::NotAllowed);
        because.message
    })
}

fn allowed(rule: &str, statement: &str) -> bool {
    ask(&rules(&[rule]), Kind::RegistryPolicy, "team-a", &policy(statement)).is_ok()
}

const B: &str = r#"{repositories: ["team-a/*"], accountIds: ["222222222222"]}"#;

#[test]
fn nothing_is_allowed_that_no_rule_says() {
    let message = ask(&[], Kind::RegistryPolicy, "team-a", &policy("{}")).unwrap_err();
    assert_eq!(
        message,
        "No rule of the Registry's spec.allow covers a RegistryPolicy in namespace team-a; ask the Registry's owner for one."
    );
    assert!(ask(&rules(&[B]), Kind::RegistryPolicy, "team-b", &policy("{}")).is_err());
    assert!(ask(&rules(&[B]), Kind::RegistryPolicy, "team-a", &policy("{}")).is_ok());
}

/// Behaviour 34, a case for each bound.
#[test]
fn whatever_is_outside_a_rule_is_refused_and_named() {
    let outside = [
        ("{repositories: [team-b/app]}", "repository team-b/app (spec.statements[].repositories)"),
        (r#"{principals: {accountIds: ["333333333333"]}}"#, "account 333333333333 (spec.statements[].principals)"),
        (
            r#"{principals: {roles: [{accountId: "333333333333", name: ci}]}}"#,
            "account 333333333333 (spec.statements[].principals)",
        ),
        (
            r#"{principals: {users: [{accountId: "333333333333", name: ci}]}}"#,
            "account 333333333333 (spec.statements[].principals)",
        ),
        (
            "{principals: {organizationIds: [o-a1b2c3d4e5]}}",
            "organization o-a1b2c3d4e5 (spec.statements[].principals.organizationIds)",
        ),
        ("{principals: {everyone: true}}", "everyone (spec.statements[].principals)"),
        (
            r#"{principals: {services: [codebuild.amazonaws.com]}, conditions: [{operator: StringEquals, key: "aws:SourceAccount", values: ["222222222222"]}]}"#,
            "service codebuild.amazonaws.com (spec.statements[].principals)",
        ),
        ("{actions: [ecr:PutImage]}", "action ecr:PutImage (spec.statements[].actions)"),
        ("{effect: Deny}", "effect Deny (spec.statements[].effect)"),
    ];
    for (statement, expected) in outside {
        let message = ask(&rules(&[B]), Kind::RegistryPolicy, "team-a", &policy(statement)).unwrap_err();
        assert_eq!(
            message,
            format!(
                "Not covered by one rule of the Registry's spec.allow: {expected}. The closest is \"rule-0\"; \
                 stay within it, or ask the Registry's owner to widen spec.allow."
            )
        );
    }
}

#[test]
fn a_kind_is_covered_only_if_it_is_listed() {
    let statements = grant(r#"{sources: {accountIds: ["222222222222"]}, repositories: ["team-a/*"]}"#);
    assert!(ask(&rules(&[B]), Kind::ReplicationGrant, "team-a", &statements).is_err());
    let rule = r#"{kinds: [ReplicationGrant], repositories: ["team-a/*"], accountIds: ["222222222222"]}"#;
    assert!(ask(&rules(&[rule]), Kind::ReplicationGrant, "team-a", &statements).is_ok());
}

/// A ReplicationGrant is made of two actions; a rule's `actions` neither widen nor narrow it.
#[test]
fn actions_bound_a_registry_policy_and_a_replication_grant_is_bounded_by_its_kind() {
    let statements =
        grant(r#"{sources: {accountIds: ["222222222222"]}, repositories: ["team-a/*"], createRepositories: true}"#);
    let rule = r#"{kinds: [ReplicationGrant, RegistryPolicy], repositories: ["*"], accountIds: ["*"], actions: [ecr:PutImage], createRepositories: true}"#;
    assert!(ask(&rules(&[rule]), Kind::ReplicationGrant, "team-a", &statements).is_ok());
    assert!(ask(&rules(&[rule]), Kind::RegistryPolicy, "team-a", &statements).is_err());
    assert!(ask(&rules(&[rule]), Kind::ReplicationGrant, "team-a", &policy("{actions: [ecr:PutImage]}")).is_err());
}

/// Behaviour 34: to let others make repositories has a word of its own, which takes away what stands, too.
#[test]
fn repositories_are_made_by_others_only_where_a_rule_says_so() {
    let makes =
        grant(r#"{sources: {accountIds: ["222222222222"]}, repositories: ["team-a/*"], createRepositories: true}"#);
    let rule =
        r#"{kinds: [ReplicationGrant], repositories: ["*"], accountIds: ["*"], actions: ["ecr:CreateRepository"]}"#;
    let message = ask(&rules(&[rule]), Kind::ReplicationGrant, "team-a", &makes).unwrap_err();
    assert!(message.contains("createRepositories (spec.createRepositories)"), "{message}");
    let kept = consented(&rules(&[rule]), &own(), Kind::ReplicationGrant, "team-a", &BTreeMap::new(), &makes);
    let replicates = grant(r#"{sources: {accountIds: ["222222222222"]}, repositories: ["team-a/*"]}"#);
    assert_eq!(atoms(kept), atoms(replicates));
    // A RegistryPolicy spells its actions out, and `actions` is the word for them.
    let spelled = policy(r#"{actions: ["ecr:CreateRepository"]}"#);
    let rule = r#"{repositories: ["*"], accountIds: ["*"], actions: ["ecr:CreateRepository"]}"#;
    assert_eq!(ask(&rules(&[rule]), Kind::RegistryPolicy, "team-a", &spelled), Ok(()));
}

#[test]
fn without_account_ids_the_own_account_is_meant_and_with_them_just_those() {
    let own = r#"{principals: {roles: [{accountId: "111111111111", name: ci}]}}"#;
    assert!(allowed(r#"{repositories: ["*"]}"#, own));
    assert!(!allowed(r#"{repositories: ["*"]}"#, "{}"));
    assert!(!allowed(r#"{repositories: ["*"], accountIds: ["222222222222"]}"#, own));
    assert!(allowed(r#"{repositories: ["*"], accountIds: ["*"]}"#, own));
}

#[test]
fn any_account_is_not_any_organization_and_neither_is_everyone() {
    let wide = r#"{repositories: ["*"], accountIds: ["*"], organizationIds: ["*"]}"#;
    assert!(allowed(wide, "{principals: {organizationIds: [o-a1b2c3d4e5]}}"));
    assert!(!allowed(r#"{repositories: ["*"], accountIds: ["*"]}"#, "{principals: {organizationIds: [o-a1b2c3d4e5]}}"));
    assert!(!allowed(wide, "{principals: {everyone: true}}"));
    assert!(allowed(r#"{repositories: ["*"], everyone: true}"#, "{principals: {everyone: true}}"));
    assert!(!allowed(r#"{repositories: ["*"], everyone: false}"#, "{principals: {everyone: true}}"));
}

/// Behaviour 35: patterns that look contained and are not.
#[test]
fn a_pattern_is_covered_only_if_all_it_names_is() {
    let covered = |rule: &str, asked: &str| {
        let rule = format!(r#"{{repositories: ["{rule}"], accountIds: ["*"]}}"#);
        allowed(&rule, &format!(r#"{{repositories: ["{asked}"]}}"#))
    };
    assert!(covered("team-a*", "team-ab"));
    assert!(covered("team-a/*", "team-a/x*"));
    for (rule, asked) in [("team-a/*", "team-ab/x"), ("team-a/*", "team-a*"), ("team-a", "team-a*"), ("team-a/*", "*")]
    {
        assert!(!covered(rule, asked), "{asked} is not within {rule}");
    }
}

#[test]
fn the_pull_actions_are_what_a_rule_without_actions_allows() {
    assert!(allowed(B, "{actions: [ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability]}"));
    for action in ["ecr:PutImage", "ecr:DescribeImages", "ecr:BatchImportUpstreamImage", "ecr:ReplicateImage"] {
        assert!(!allowed(B, &format!("{{actions: [{action}]}}")), "{action}");
    }
    let push = r#"{repositories: ["*"], accountIds: ["*"], actions: ["ecr:putimage"]}"#;
    assert!(allowed(push, "{actions: [ecr:PutImage]}"));
    assert!(!allowed(push, "{}"));
}

#[test]
fn denying_needs_an_effect_of_its_own_and_then_allowing_does_too() {
    let deny = r#"{repositories: ["*"], accountIds: ["*"], effects: [Deny]}"#;
    assert!(allowed(deny, "{effect: Deny}"));
    assert!(!allowed(deny, "{}"));
}

#[test]
fn one_rule_must_cover_all_and_two_halves_do_not() {
    let halves = [
        r#"{repositories: ["team-a/*"], accountIds: ["222222222222"]}"#,
        r#"{repositories: ["shared/*"], accountIds: ["222222222222"]}"#,
    ];
    let both = policy("{repositories: [team-a/app, shared/app]}");
    let message = ask(&rules(&halves), Kind::RegistryPolicy, "team-a", &both).unwrap_err();
    assert!(message.contains("repository shared/app"), "{message}");
    assert!(message.contains("The closest is \"rule-0\""), "{message}");
    // What stands meanwhile is judged atom by atom: each half is covered by somebody.
    let labels = BTreeMap::new();
    assert_eq!(consented(&rules(&halves), &own(), Kind::RegistryPolicy, "team-a", &labels, &both), both);
}

#[test]
fn labels_select_namespaces_and_an_empty_selector_selects_none() {
    let rule = |selector: &str| {
        rules(&[&format!(r#"{{namespaces: {{{selector}}}, repositories: ["*"], accountIds: ["*"]}}"#)])
    };
    let asks = |selector: &str| ask(&rule(selector), Kind::RegistryPolicy, "team-a", &policy("{}")).is_ok();
    assert!(asks("selector: {team: team-a}"));
    assert!(!asks("selector: {team: team-b}"));
    assert!(!asks("selector: {team: team-a, stage: prod}"));
    assert!(!asks("selector: {}"));
    assert!(!asks("names: [team-a], selector: {team: team-a}"));
    assert!(!asks(""));
}

#[test]
fn a_rule_that_cannot_be_read_covers_nothing() {
    assert!(!allowed(r#"{repositories: ["team-*/app"], accountIds: ["*"]}"#, "{}"));
}

#[test]
fn principals_and_resources_that_cannot_be_placed_are_covered_by_nobody() {
    let wide = rules(&[r#"{repositories: ["*"], accountIds: ["*"], organizationIds: ["*"], everyone: true}"#]);
    let canonical = policy("{}")[0].canonical();
    let odd = [
        ("222222222222", "AROAEXAMPLEEXAMPLE123"),
        ("222222222222", "arn:aws-cn:iam::222222222222:root"),
        (OWN, "999999999999"),
        ("eu-west-1", "eu-west-2"),
    ];
    for (from, to) in odd {
        let statement = Statement::from_canonical(&canonical.replace(from, to)).unwrap();
        assert!(ask(&wide, Kind::RegistryPolicy, "team-a", std::slice::from_ref(&statement)).is_err(), "{to}");
        let kept = consented(&wide, &own(), Kind::RegistryPolicy, "team-a", &BTreeMap::new(), &[statement]);
        assert_eq!(kept, [], "{to}");
    }
}

#[test]
fn a_long_list_is_told_in_part() {
    let accounts: Vec<String> = (0..40).map(|i| format!("\"2222222222{i:02}\"")).collect();
    let many = policy(&format!("{{principals: {{accountIds: [{}]}}}}", accounts.join(", ")));
    let message = ask(&rules(&[r#"{repositories: ["*"]}"#]), Kind::RegistryPolicy, "team-a", &many).unwrap_err();
    assert!(message.contains("account 222222222209 (spec.statements[].principals); and 30 more."), "{message}");
}

/// Behaviour 34: access is withdrawn with the rule, and no more than that.
#[test]
fn a_narrowed_rule_takes_away_what_it_no_longer_covers() {
    let all = policy(
        r#"{principals: {accountIds: ["222222222222", "333333333333"]}, actions: [ecr:BatchGetImage, ecr:PutImage], repositories: [team-a/x, team-b/x]}"#,
    );
    let narrowed = rules(&[r#"{repositories: ["team-a/*"], accountIds: ["333333333333"]}"#]);
    let kept = consented(&narrowed, &own(), Kind::RegistryPolicy, "team-a", &BTreeMap::new(), &all);
    assert_eq!(kept, policy(r#"{principals: {accountIds: ["333333333333"]}, repositories: [team-a/x]}"#));
    assert_eq!(consented(&[], &own(), Kind::RegistryPolicy, "team-a", &BTreeMap::new(), &all), []);
}

#[test]
fn an_organization_is_taken_out_of_its_condition() {
    let two = policy("{principals: {organizationIds: [o-aaaaaaaaaa, o-bbbbbbbbbb]}}");
    let one = rules(&[r#"{repositories: ["*"], organizationIds: [o-bbbbbbbbbb]}"#]);
    let kept = consented(&one, &own(), Kind::RegistryPolicy, "team-a", &BTreeMap::new(), &two);
    assert_eq!(kept, policy("{principals: {organizationIds: [o-bbbbbbbbbb]}}"));
}

fn subset(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(of, 1..=of.len())
}

fn some_rules() -> impl Strategy<Value = Vec<AllowRule>> {
    let rule = (
        subset(&["*", "team-a/*", "team-a/x", "team-b/*", "team-*"]),
        subset(&["*", "111111111111", "222222222222", "333333333333"]),
        subset(&["ecr:BatchGetImage", "ecr:PutImage", "ecr:DescribeImages"]),
        subset(&["Allow", "Deny"]),
    );
    let text = |(repositories, accounts, actions, effects): (Vec<_>, Vec<_>, Vec<_>, Vec<_>)| {
        serde_json::json!({"repositories": repositories, "accountIds": accounts, "actions": actions, "effects": effects})
            .to_string()
    };
    proptest::collection::vec(rule.prop_map(text), 0..4)
        .prop_map(|texts| rules(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn some_statement() -> impl Strategy<Value = Vec<Statement>> {
    let parts = (
        subset(&["*", "team-a/*", "team-a/x", "team-b/y", "team-ab"]),
        subset(&["222222222222", "333333333333", "444444444444"]),
        subset(&["ecr:BatchGetImage", "ecr:PutImage", "ecr:DescribeImages"]),
        proptest::sample::select(vec!["Allow", "Deny"]),
    );
    parts.prop_map(|(repositories, accounts, actions, effect)| {
        let text = serde_json::json!({"repositories": repositories, "principals": {"accountIds": accounts}, "actions": actions, "effect": effect});
        policy(&text.to_string())
    })
}

/// One principal, one action, one resource each.
fn smallest(statements: &[Statement]) -> BTreeSet<Statement> {
    let mut all = BTreeSet::new();
    for statement in atoms(statements.iter().cloned()) {
        for action in &statement.actions {
            for resource in &statement.resources {
                all.insert(Statement {
                    actions: [action.clone()].into(),
                    resources: [resource.clone()].into(),
                    ..statement.clone()
                });
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn what_stays_is_exactly_what_a_rule_covers(allow in some_rules(), statements in some_statement()) {
        let labels = BTreeMap::new();
        let asked = |statements: &[Statement]| Asked::of_statements(statements, Kind::RegistryPolicy, &own());
        let ask = |statements: &[Statement]| {
            consent(&allow, &own(), Kind::RegistryPolicy, "team-a", &labels, &asked(statements)).is_ok()
        };
        let stays = |statements: &[Statement]| consented(&allow, &own(), Kind::RegistryPolicy, "team-a", &labels, statements);
        let kept = stays(&statements);
        let covered: BTreeSet<Statement> = smallest(&statements).into_iter().filter(|atom| ask(std::slice::from_ref(atom))).collect();
        prop_assert_eq!(smallest(&kept), covered);
        prop_assert_eq!(stays(&kept), kept.clone());
        if ask(&statements) {
            prop_assert_eq!(kept, statements);
        }
    }
}
