//! `check`: what it reads, what it says, and what it leaves alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use ecr_permissions_core::check::{Report, check};

const REGISTRY: &str = r#"
apiVersion: ecr-permissions.dev/v1alpha1
kind: Registry
metadata: {name: default}
spec:
  accountId: "111111111111"
  region: eu-west-1
  allow:
  - name: team-a
    namespaces: {names: [team-a]}
    kinds: [RegistryPolicy]
    repositories: ["team-a/*"]
    accountIds: ["222222222222"]
"#;

fn policy(namespace: &str, repository: &str) -> String {
    format!(
        r#"
apiVersion: ecr-permissions.dev/v1alpha1
kind: RegistryPolicy
metadata: {{name: pull, namespace: {namespace}}}
spec:
  statements:
  - name: pull
    principals: {{accountIds: ["222222222222"]}}
    actions: [ecr:BatchGetImage]
    repositories: ["{repository}"]
"#
    )
}

fn report(texts: &[&str]) -> Report {
    let files: Vec<_> = texts.iter().enumerate().map(|(i, text)| (format!("{i}.yaml"), (*text).to_owned())).collect();
    check(&files)
}

fn lines(texts: &[&str]) -> Vec<String> {
    report(texts).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn good_objects_are_counted_and_nothing_is_said() {
    let report = report(&[REGISTRY, &policy("team-a", "team-a/app")]);
    assert_eq!(report, Report { checked: 2, ..Report::default() });
}

#[test]
fn a_finding_names_file_object_field_problem_and_cure() {
    let bad = policy("team-a", "team-a/app").replace("ecr:BatchGetImage", "ecr:Pull");
    assert_eq!(
        lines(&[REGISTRY, &bad]),
        [
            "1.yaml: RegistryPolicy team-a/pull: spec.statements[0].actions[0]: \"ecr:Pull\" is not an action that AWS documents for ECR; correct its name."
        ]
    );
}

/// What AWS takes of nobody needs no AWS to be told.
#[test]
fn a_statement_that_is_too_long_for_aws_is_told() {
    let names: Vec<_> = (0..60).map(|i| format!("team-a/{i:02}-{}", "x".repeat(200))).collect();
    let long = policy("team-a", &names.join("\", \""));
    assert_eq!(
        lines(&[REGISTRY, &long]),
        [
            "1.yaml: RegistryPolicy team-a/pull: spec.statements[0]: it takes 15252 characters of the registry policy at least, and AWS takes 10240 of all statements together; name prefixes with a * at their end, organizations in place of accounts, or less."
        ]
    );
}

/// The operator names the entry where the API server's rule names the list: one is enough.
#[test]
fn one_mistake_is_told_once() {
    let bad = policy("team-a", "team-a/app").replace("ecr:BatchGetImage", "\"ecr:*\"");
    assert_eq!(
        lines(&[&bad]),
        [
            "0.yaml: RegistryPolicy team-a/pull: spec.statements[0].actions[0]: \"ecr:*\" is a wildcard; name each action, such as ecr:BatchGetImage."
        ]
    );
}

#[test]
fn malformed_objects_are_told_with_what_is_expected() {
    let bad = REGISTRY.replace("\"111111111111\"", "1111");
    assert_eq!(
        lines(&[&bad]),
        [
            "0.yaml: Registry default: spec.accountId: must be of type string, not integer; expected here: The AWS account: 12 digits. Cannot change. Example: `\"123456789012\"`; write it in quotes."
        ]
    );
}

#[test]
fn consent_is_asked_of_a_registry_among_the_files() {
    let outside = lines(&[REGISTRY, &policy("team-a", "team-b/app")]);
    assert_eq!(
        outside,
        [
            "1.yaml: RegistryPolicy team-a/pull: spec: Not covered by one rule of the Registry's spec.allow: repository team-b/app (spec.statements[].repositories); The closest is \"team-a\"; stay within it, or ask the Registry's owner to widen spec.allow."
        ]
    );
    assert_eq!(
        lines(&[REGISTRY, &policy("team-b", "team-a/app")]),
        [
            "1.yaml: RegistryPolicy team-b/pull: spec: No rule of the Registry's spec.allow covers a RegistryPolicy in namespace team-b; ask the Registry's owner for one."
        ]
    );
    assert_eq!(lines(&[&policy("team-b", "team-a/app")]), [""; 0]);
}

#[test]
fn labels_of_namespaces_are_read_and_unknown_ones_are_not_held_against_anybody() {
    let registry = REGISTRY.replace("names: [team-a]", "selector: {team: a}");
    let object = policy("team-a", "team-a/app");
    let namespace =
        |team: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: team-a, labels: {{team: {team}}}}}\n");
    assert_eq!(lines(&[&registry, &object]).len(), 0);
    assert_eq!(lines(&[&registry, &object, &namespace("a")]).len(), 0);
    assert_eq!(lines(&[&registry, &object, &namespace("b")]).len(), 1);
}

#[test]
fn documents_lists_and_strangers_are_read_as_kubectl_would() {
    let many = format!(
        "{REGISTRY}---\n{}---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\n",
        policy("team-a", "B")
    );
    let report = report(&[&many]);
    assert_eq!((report.checked, report.findings.len()), (2, 1));
    let item = policy("team-a", "B").trim().replace('\n', "\n  ");
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n");
    assert_eq!(lines(&[&list]).len(), 1);
}

#[test]
fn a_kind_or_version_of_the_group_that_is_not_known_is_told() {
    let report = lines(&["apiVersion: ecr-permissions.dev/v2\nkind: Registry\nmetadata: {name: x}\n"]);
    assert!(
        report[0].contains("kind: Registry of ecr-permissions.dev/v2 is not known; write one of Registry of"),
        "{report:?}"
    );
}

#[test]
fn a_file_that_is_no_yaml_is_told_and_the_others_are_read() {
    let report = report(&["a: [", &policy("team-a", "B"), "a: 1\na: 2\n"]);
    assert_eq!(report.unreadable.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>(), ["0.yaml", "2.yaml"]);
    assert_eq!(report.findings.len(), 1);
}

/// Behaviour 36: two Registries for one account and Region.
#[test]
fn two_registries_for_one_account_and_region_are_told() {
    let second = REGISTRY.replace("{name: default}", "{name: second}");
    let report = lines(&[REGISTRY, &second]);
    assert_eq!(report.len(), 2);
    assert!(report[0].contains("one account and Region has several Registries: default, second"), "{report:?}");
}

#[test]
fn a_rule_of_consent_for_an_action_that_nobody_may_name_is_told() {
    let bad = REGISTRY.replace("    accountIds", "    actions: [ecr:PutRegistryPolicy]\n    accountIds");
    let report = lines(&[&bad]);
    assert!(
        report[0].contains("Registry default: spec.allow[0].actions[0]: \"ecr:PutRegistryPolicy\" lets its holder"),
        "{report:?}"
    );
}

/// Two Registries of two accounts; `upstream_repositories` is what the second allows team-a to let the first pull.
fn two_registries(upstream_repositories: &str) -> String {
    format!(
        r#"
apiVersion: ecr-permissions.dev/v1alpha1
kind: Registry
metadata: {{name: default}}
spec:
  accountId: "111111111111"
  region: eu-west-1
  roles: {{permissionsBoundaryArn: "arn:aws:iam::111111111111:policy/boundary"}}
  allow:
  - name: team-a
    namespaces: {{names: [team-a]}}
    kinds: [PullThroughCacheRule, CrossAccountPtcRole]
    repositories: ["team-a/*"]
    accountIds: ["222222222222"]
---
apiVersion: ecr-permissions.dev/v1alpha1
kind: Registry
metadata: {{name: upstream}}
spec:
  accountId: "222222222222"
  region: eu-west-1
  roles: {{permissionsBoundaryArn: "arn:aws:iam::222222222222:policy/boundary"}}
  allow:
  - name: team-a
    namespaces: {{names: [team-a]}}
    kinds: [CrossAccountPtcRole]
    repositories: ["{upstream_repositories}"]
    accountIds: ["111111111111"]
"#
    )
}

fn object(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: ecr-permissions.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: x, namespace: team-a}}\nspec: {spec}\n"
    )
}

const ROLE: &str = "{upstreams: [{name: u, registryRef: {name: upstream}, repositories: [base/*]}], cacheRepositories: [team-a/base/*]}";

/// api.md, "Consent": the role needs that of the registry it lives in and of each upstream.
#[test]
fn a_role_is_checked_against_both_its_registries() {
    let role = object("CrossAccountPtcRole", ROLE);
    assert_eq!(lines(&[&two_registries("base/*"), &role]), [""; 0]);
    assert_eq!(
        lines(&[&two_registries("tools/*"), &role]),
        [
            "1.yaml: CrossAccountPtcRole team-a/x: spec: upstream Registry upstream: Not covered by one rule of the Registry's spec.allow: repository base/* (spec.upstreams[].repositories); The closest is \"team-a\"; stay within it, or ask the Registry's owner to widen spec.allow."
        ]
    );
    let outside = object("CrossAccountPtcRole", &ROLE.replace("team-a/base/*", "team-b/*"));
    let said = lines(&[&two_registries("tools/*"), &outside]);
    assert_eq!(said.len(), 2);
    assert!(
        said[0].contains("x: spec: Not covered by one rule of the Registry's spec.allow: repository team-b/*"),
        "{said:?}"
    );
}

/// api.md, "Consent": in one account a rule needs that of its upstream's Registry, for what it pulls.
#[test]
fn a_cache_rule_of_one_account_is_checked_against_its_upstream_too() {
    let beside = two_registries("base/*").replace("222222222222", "111111111111").replacen(
        "region: eu-west-1",
        "region: eu-central-1",
        1,
    );
    let beside = beside.replace("kinds: [CrossAccountPtcRole]", "kinds: [CrossAccountPtcRole, PullThroughCacheRule]");
    let rule = |prefix: &str| {
        let ecr = format!("{{registryRef: {{name: upstream}}{prefix}}}");
        object("PullThroughCacheRule", &format!("{{cachePrefix: team-a/base, upstream: {{type: Ecr, ecr: {ecr}}}}}"))
    };
    assert_eq!(lines(&[&beside, &rule(", repositoryPrefix: base")]), [""; 0]);
    let said = lines(&[&beside, &rule("")]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("upstream Registry upstream: ") && said[0].contains("repository * (spec.upstream.ecr)"),
        "{said:?}"
    );
}

#[test]
fn a_cache_rule_is_checked_against_its_registry_and_what_it_refers_to() {
    let rule = |spec: &str| object("PullThroughCacheRule", spec);
    let private = |ecr: &str| rule(&format!("{{cachePrefix: team-a/base, upstream: {{type: Ecr, ecr: {{{ecr}}}}}}}"));
    let both = two_registries("base/*");
    assert_eq!(lines(&[&both, &private("registryRef: {name: upstream}, roleRef: {name: x}")]), [""; 0]);
    // The account of the upstream is known by its Registry.
    let said = lines(&[&both, &private("registryRef: {name: upstream}")]);
    assert_eq!(
        said,
        [
            "1.yaml: PullThroughCacheRule team-a/x: spec.upstream.ecr: the upstream 222222222222/eu-west-1 is in another account, and no role is named to pull from it; set roleRef to a CrossAccountPtcRole of this namespace."
        ]
    );
    let said = lines(&[&both, &rule("{cachePrefix: team-a/hub, upstream: {type: EcrPublic}}")]);
    assert!(said[0].contains("upstream host public.ecr.aws (spec.upstream)"), "{said:?}");
}

/// Such a rule would wait for its role for ever: it is told where both are among the files.
#[test]
fn a_cache_rule_is_checked_against_the_role_it_names() {
    let rule = |more: &str| {
        let ecr = "registryRef: {name: upstream}, roleRef: {name: x}";
        object(
            "PullThroughCacheRule",
            &format!("{{{more}cachePrefix: team-a/base, upstream: {{type: Ecr, ecr: {{{ecr}}}}}}}"),
        )
    };
    let both = two_registries("base/*");
    let said = |role: &str, rule: &str| lines(&[&both, &object("CrossAccountPtcRole", role), rule]);
    assert_eq!(said(ROLE, &rule("")), [""; 0]);
    let elsewhere = r#"external: {accountId: "333333333333", region: eu-west-1}"#;
    let other = ROLE.replace("registryRef: {name: upstream}", elsewhere);
    let both_faults = said(&other, &rule(""));
    let expected = "2.yaml: PullThroughCacheRule team-a/x: spec.upstream.ecr.roleRef: CrossAccountPtcRole x is made for other upstreams; add 222222222222/eu-west-1 to its spec.upstreams, or name another.";
    assert!(both_faults.iter().any(|line| line == expected), "{both_faults:?}");
    // Of another namespace, it is another role.
    let theirs = object("CrossAccountPtcRole", &other).replace("namespace: team-a", "namespace: team-b");
    let of_others = lines(&[&both, &theirs, &rule("")]);
    assert!(!of_others.iter().any(|line| line.contains("roleRef")), "{of_others:?}");
    let attached = said(ROLE, &rule("registryRef: {name: third}, "));
    let expected = "2.yaml: PullThroughCacheRule team-a/x: spec.upstream.ecr.roleRef: CrossAccountPtcRole x is attached to Registry default, and the rule to third; name one that is attached to Registry third.";
    assert_eq!(attached, [expected]);
}

/// What is not among the files may be in the cluster: it is not held against anybody. What is wrong is told all the same.
#[test]
fn registries_that_are_not_among_the_files_are_not_missed() {
    let rule = |ecr: &str| {
        object("PullThroughCacheRule", &format!("{{cachePrefix: base, upstream: {{type: Ecr, ecr: {{{ecr}}}}}}}"))
    };
    assert_eq!(lines(&[&rule("registryRef: {name: nowhere}, roleRef: {name: x}")]), [""; 0]);
    let china = r#"external: {accountId: "222222222222", region: cn-north-1}, roleRef: {name: x}"#;
    assert_eq!(lines(&[&rule(china)]), [""; 0]);
    assert_eq!(lines(&[&object("CrossAccountPtcRole", ROLE)]), [""; 0]);
    let wrong = object(
        "CrossAccountPtcRole",
        &ROLE.replace("{name: upstream},", "{name: upstream}, grantVia: RepositoryPolicies,"),
    );
    let said = lines(&[&wrong]);
    assert!(said.len() == 1 && said[0].contains("spec.upstreams[0].grantVia: this version grants"), "{said:?}");
}

#[test]
fn the_samples_pass() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> =
        paths.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect();
    let report = check(&files);
    assert_eq!((&report.findings, &report.unreadable), (&vec![], &vec![]));
    let all: String = files.into_iter().map(|(_, text)| text).collect();
    for kind in ecr_permissions_core::api::Kind::ALL {
        assert!(all.contains(&format!("\nkind: {kind}\n")), "no sample of {kind}");
    }
}

/// Behaviour 49: what is more than limits let a namespace have is told where the files alone show it.
#[test]
fn what_is_more_than_the_share_of_a_namespace_is_told() {
    let limited = |limits: &str| format!("{REGISTRY}    limits: {limits}\n");
    let two = [policy("team-a", "team-a/app"), policy("team-a", "team-a/other").replace("name: pull,", "name: more,")];
    let said = |limits: &str| lines(&[&limited(limits), &two[0], &two[1]]);
    assert_eq!(said("{each: {objects: 2, characters: 1000}, together: {objects: 2}}"), [""; 0]);
    assert_eq!(
        said("{each: {objects: 1}}"),
        [
            "2.yaml: RegistryPolicy team-a/more: spec: The namespace would have 2 objects in this registry and may have 1 (limits.each.objects of the Registry's spec.allow); Ask for less, delete what is not needed, or ask the Registry's owner to raise it."
        ]
    );
    let together = said("{together: {characters: 100}}");
    assert!(together.len() == 2 && together[0].contains("limits.together.characters"), "{together:?}");
    // What the API server would not take is told once, as the schema has it.
    for (wrong, told) in [
        ("{each: {objects: -1}}", "spec.allow[0].limits.each.objects: should be greater than or equal to 0"),
        ("{each: {rules: 1000001}}", "spec.allow[0].limits.each.rules: should be less than or equal to 1000000"),
        ("{each: {repositories: 1}}", "unknown field"),
        ("{}", "write each, together or both"),
        ("{each: {}}", "write one at least of objects, characters, rules and roles"),
    ] {
        let said = lines(&[&limited(wrong)]);
        assert!(said.len() == 1 && said[0].contains(told), "{said:?}");
    }
}

/// What the running operator would only say in a message is found before anybody relies on it.
#[test]
fn a_wish_to_be_retained_that_nobody_will_hear_is_told() {
    let retains = policy("team-a", "team-a/app").replace("spec:\n", "spec:\n  deletionPolicy: Retain\n");
    assert_eq!(
        lines(&[REGISTRY, &retains]),
        [
            "1.yaml: RegistryPolicy team-a/pull: spec.deletionPolicy: RetainNotAllowed: no rule of the Registry's spec.allow that covers the object has retain: true, so its deletion removes what it has; ask the Registry's owner for it, or leave deletionPolicy out."
        ]
    );
    let with_leave = REGISTRY.replace("    kinds:", "    retain: true\n    kinds:");
    assert_eq!(lines(&[&with_leave, &retains]), Vec::<String>::new());
    // Refused as it is, it has one fault.
    let outside = retains.replace("team-a/app", "team-b/app");
    assert_eq!(lines(&[REGISTRY, &outside]).len(), 1);
}
