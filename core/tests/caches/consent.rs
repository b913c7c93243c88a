//! Consent to caches and roles: each thing that an object asks for is bounded by its own member of `allow`.

use std::collections::BTreeMap;

use ecr_permissions_core::api::{AllowRule, Kind};
use ecr_permissions_core::consent::{Asked, consent, consented};
use ecr_permissions_core::reason::Reason;
use serde_json::json;

use super::{ecr, key, own, role_wanted, rule_wanted, with};

/// Rules for both kinds in namespace `team-a`, unless the texts say otherwise.
pub fn allow(texts: &[&str]) -> Vec<AllowRule> {
    let rule = |(i, text): (usize, &&str)| {
        let kinds = ["PullThroughCacheRule", "CrossAccountPtcRole"];
        let base = json!({"name": format!("rule-{i}"), "namespaces": {"names": ["team-a"]}, "kinds": kinds});
        serde_json::from_value(with(base, text)).unwrap()
    };
    texts.iter().enumerate().map(rule).collect()
}

fn ask(allow: &[AllowRule], kind: Kind, namespace: &str, asked: &Asked) -> Result<(), String> {
    consent(allow, &own(), kind, namespace, &BTreeMap::new(), asked).map_err(|because| {
        assert_eq!(because.reason, Reason::NotAllowed);
        because.message
    })
}

/// What the downstream's owner says of a cache rule.
pub fn rule(rules: &[&str], object: &str) -> Result<(), String> {
    let wanted = rule_wanted(object).unwrap();
    let kind = Kind::PullThroughCacheRule;
    ask(&allow(rules), kind, "team-a", &Asked::of(&wanted, kind, &own()))
}

/// What the downstream's owner says of a role.
pub fn role(rules: &[&str], object: &str) -> Result<(), String> {
    let wanted = role_wanted(object).unwrap();
    let kind = Kind::CrossAccountPtcRole;
    ask(&allow(rules), kind, "team-a", &Asked::of(&wanted, kind, &own()))
}

/// What the owner of Registry `upstream` says of a role.
pub fn upstream(rules: &[&str], object: &str) -> Result<(), String> {
    let role = role_wanted(object).unwrap().role.unwrap();
    let asked = Asked::of_upstream(&role, &role.upstreams[0], &own());
    let (kind, key) = (Kind::CrossAccountPtcRole, role.upstreams[0].key.clone());
    consent(&allow(rules), &key, kind, "team-a", &BTreeMap::new(), &asked).map_err(|because| because.message)
}

/// How many statements of the upstream's grant its owner's rules let stand.
fn granted(rules: &[&str], object: &str) -> usize {
    let role = role_wanted(object).unwrap().role.unwrap();
    let upstream = &role.upstreams[0];
    let statements = role.grants(upstream, &own(), "arn:aws:iam::111111111111:role/x");
    let kind = Kind::CrossAccountPtcRole;
    consented(&allow(rules), &upstream.key, kind, "team-a", &BTreeMap::new(), &statements).len()
}

fn refused(outside: &str) -> Result<(), String> {
    Err(format!(
        "Not covered by one rule of the Registry's spec.allow: {outside}. The closest is \"rule-0\"; \
         stay within it, or ask the Registry's owner to widen spec.allow."
    ))
}

const HUB: &str = r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws]}"#;

/// Behaviour 34: a case for each bound of a cache rule.
#[test]
fn whatever_of_a_cache_rule_is_outside_is_refused_and_named() {
    let docker = "upstream: {type: DockerHub, secretName: ecr-pullthroughcache/hub}";
    let docker_rule =
        r#"{repositories: ["hub/*"], upstreamHosts: [registry-1.docker.io], secretNames: [ecr-pullthroughcache/hub]}"#;
    let private = ecr("registryRef: {name: upstream}, roleRef: {name: a}");
    let private_rule = r#"{repositories: ["hub/*"], accountIds: ["222222222222"]}"#;
    let named = ecr("registryRef: {name: upstream}, roleName: ecr-cache");
    let pullers = r#"pullers: {accountIds: ["333333333333"]}"#;
    let role_rule = r#"{repositories: ["hub/*"], accountIds: ["222222222222"], roleNames: [ecr-cache]}"#;
    let pullers_rule = r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], accountIds: ["333333333333"]}"#;
    // What is asked, what the rule lacks, the rule that has it, the words.
    let cases = [
        (
            "{}",
            r#"{repositories: ["team/*"], upstreamHosts: [public.ecr.aws]}"#,
            HUB,
            "repository hub/* (spec.cachePrefix)",
        ),
        (
            "{}",
            r#"{repositories: ["hub/*"], upstreamHosts: [quay.io]}"#,
            HUB,
            "upstream host public.ecr.aws (spec.upstream)",
        ),
        ("{}", r#"{repositories: ["hub/*"]}"#, HUB, "upstream host public.ecr.aws (spec.upstream)"),
        (
            docker,
            r#"{repositories: ["hub/*"], upstreamHosts: [registry-1.docker.io], secretNames: [ecr-pullthroughcache/hu]}"#,
            docker_rule,
            "secret ecr-pullthroughcache/hub (spec.upstream.secretName)",
        ),
        (
            docker,
            r#"{repositories: ["hub/*"], upstreamHosts: [registry-1.docker.io]}"#,
            docker_rule,
            "secret ecr-pullthroughcache/hub (spec.upstream.secretName)",
        ),
        (private.as_str(), r#"{repositories: ["hub/*"]}"#, private_rule, "account 222222222222 (spec.upstream.ecr)"),
        (
            private.as_str(),
            r#"{repositories: ["hub/*"], upstreamHosts: ["*"]}"#,
            private_rule,
            "account 222222222222 (spec.upstream.ecr)",
        ),
        (named.as_str(), private_rule, role_rule, "role ecr-cache (spec.upstream.ecr.roleName)"),
        (pullers, HUB, pullers_rule, "account 333333333333 (spec.pullers)"),
        (
            "pullers: {organizationIds: [o-a1b2c3d4e5]}",
            HUB,
            r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], organizationIds: [o-a1b2c3d4e5]}"#,
            "organization o-a1b2c3d4e5 (spec.pullers.organizationIds)",
        ),
        (
            "pullers: {everyone: true}",
            HUB,
            r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], everyone: true}"#,
            "everyone (spec.pullers)",
        ),
        (
            "adoption: IfIdentical",
            HUB,
            r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], adoption: IfIdentical}"#,
            "adoption IfIdentical (spec.adoption)",
        ),
        (
            r#"{pullers: {accountIds: ["333333333333"]}, createRepositories: true}"#,
            pullers_rule,
            r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], accountIds: ["333333333333"], createRepositories: true}"#,
            "createRepositories (spec.createRepositories)",
        ),
    ];
    for (object, narrow, wide, words) in cases {
        assert_eq!(rule(&[narrow], object), refused(words), "{object} under {narrow}");
        assert_eq!(rule(&[wide], object), Ok(()), "{object} under {wide}");
    }
}

/// An object may ask for as much as the rule says or less.
#[test]
fn adoption_is_bounded_from_above() {
    let levels = ["Never", "IfIdentical", "Always"];
    for (bound, most) in levels.iter().enumerate() {
        for (asked, adoption) in levels.iter().enumerate() {
            let text = format!(r#"{{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], adoption: {most}}}"#);
            let answer = rule(&[&text], &format!("adoption: {adoption}"));
            assert_eq!(answer.is_ok(), asked <= bound, "{adoption} under {most}");
        }
    }
    assert_eq!(rule(&[HUB], "adoption: Never"), Ok(()));
}

#[test]
fn a_star_is_any_host_secret_or_role() {
    let any = r#"{repositories: ["*"], accountIds: ["*"], upstreamHosts: ["*"], secretNames: ["*"], roleNames: ["*"]}"#;
    let private = ecr("registryRef: {name: upstream}, roleName: ecr-cache");
    for object in [
        "{}",
        "cachePrefix: ROOT",
        "upstream: {type: Azure, azure: {host: a.azurecr.io}, secretName: ecr-pullthroughcache/a}",
        private.as_str(),
    ] {
        assert_eq!(rule(&[any], object), Ok(()), "{object}");
    }
}

/// The pull actions are part of the kind: `actions` bounds statements that people spell out, and neither widens nor
/// narrows this.
#[test]
fn the_actions_of_pullers_come_with_the_kind() {
    let object = r#"{pullers: {accountIds: ["111111111111"]}}"#;
    assert_eq!(rule(&[HUB], object), Ok(()));
    let narrow = r#"{repositories: ["hub/*"], upstreamHosts: [public.ecr.aws], actions: ["ecr:PutImage"]}"#;
    assert_eq!(rule(&[narrow], object), Ok(()));
}

/// Without accountIds the own account is meant, with them just those: upstreams in another Region included.
#[test]
fn an_upstream_in_the_own_account_is_no_exception() {
    let object = ecr("registryRef: {name: frankfurt}");
    assert_eq!(rule(&[r#"{repositories: ["hub/*"]}"#], &object), Ok(()));
    let other = r#"{repositories: ["hub/*"], accountIds: ["222222222222"]}"#;
    assert_eq!(rule(&[other], &object), refused("account 111111111111 (spec.upstream.ecr)"));
}

const CACHE: &str = r#"{repositories: ["cache/*"], accountIds: ["222222222222"]}"#;

/// Behaviour 34: a case for each bound of a role, in the downstream.
#[test]
fn whatever_of_a_role_is_outside_is_refused_and_named() {
    let cases = [
        ("cacheRepositories: ['cache/*', 'other/*']", "repository other/* (spec.cacheRepositories)"),
        (
            r#"upstreams: [{name: a, external: {accountId: "333333333333", region: us-east-1}, repositories: ["*"]}]"#,
            "account 333333333333 (spec.upstreams)",
        ),
        ("roleName: ecr-cache", "role ecr-cache (spec.roleName)"),
        ("adoption: Always", "adoption Always (spec.adoption)"),
    ];
    assert_eq!(role(&[CACHE], "{}"), Ok(()));
    for (object, words) in cases {
        assert_eq!(role(&[CACHE], object), refused(words), "{object}");
    }
    let wide = r#"{repositories: ["*"], accountIds: ["*"], roleNames: [ecr-cache], adoption: Always}"#;
    assert_eq!(role(&[wide], "{roleName: ecr-cache, adoption: Always}"), Ok(()));
    let kind = r#"{kinds: [PullThroughCacheRule], repositories: ["*"], accountIds: ["*"]}"#;
    assert!(
        role(&[kind], "{}")
            .unwrap_err()
            .starts_with("No rule of the Registry's spec.allow covers a CrossAccountPtcRole")
    );
}

/// api.md, "Consent": the second half. The upstream's owner is asked for its own repositories, and for the account
/// they go to.
#[test]
fn the_upstream_has_to_consent_too() {
    let rule = r#"{repositories: ["base/*"], accountIds: ["111111111111"]}"#;
    assert_eq!(upstream(&[rule], "{}"), Ok(()));
    assert_eq!(upstream(&[rule], "{roleName: x, adoption: Always}"), Ok(()));
    // To all of the account is more than to the role, and has a word of its own.
    let account = "grantee: Account";
    assert_eq!(upstream(&[rule], account), refused("grantee Account (spec.grantee)"));
    let wide = r#"{repositories: ["base/*"], accountIds: ["111111111111"], granteeAccount: true}"#;
    assert_eq!(upstream(&[wide], account), Ok(()));
    assert_eq!(granted(&[wide], account), 1);
    assert_eq!(granted(&[rule], account), 0, "what stands goes with the word");
    assert_eq!(granted(&[rule], "{}"), 1);
    let cases = [
        (
            r#"{repositories: ["tools/*"], accountIds: ["111111111111"]}"#,
            "repository base/* (spec.upstreams[].repositories)",
        ),
        (r#"{repositories: ["base/*"], accountIds: ["333333333333"]}"#, "account 111111111111 (spec.registryRef)"),
        // Absent means the upstream's own account.
        (r#"{repositories: ["base/*"]}"#, "account 111111111111 (spec.registryRef)"),
    ];
    for (narrow, words) in cases {
        assert_eq!(upstream(&[narrow], "{}"), refused(words), "{narrow}");
    }
    let kind = r#"{kinds: [RegistryPolicy, PullThroughCacheRule], repositories: ["*"], accountIds: ["*"]}"#;
    assert!(upstream(&[kind], "{}").is_err());
    assert!(upstream(&[], "{}").is_err());
}

/// Being accepted and being left standing are one thing, whatever the rule says.
#[test]
fn what_the_upstream_accepts_it_lets_stand() {
    let role = role_wanted("{}").unwrap().role.unwrap();
    let grants = role.grants(&role.upstreams[0], &own(), super::ARN);
    let key = &role.upstreams[0].key;
    for (rule, accepted) in [
        (r#"{repositories: ["base/*"], accountIds: ["111111111111"]}"#, true),
        (r#"{repositories: ["base/*"], accountIds: ["111111111111"], effects: [Allow, Deny]}"#, true),
        (r#"{repositories: ["base/*"], accountIds: ["111111111111"], effects: [Deny]}"#, false),
        (r#"{repositories: ["base/x"], accountIds: ["111111111111"]}"#, false),
        (r#"{repositories: ["base/*"]}"#, false),
    ] {
        assert_eq!(upstream(&[rule], "{}").is_ok(), accepted, "{rule}");
        let kept = consented(&allow(&[rule]), key, Kind::CrossAccountPtcRole, "team-a", &BTreeMap::new(), &grants);
        assert_eq!(kept == grants, accepted, "{rule}");
    }
}

/// What stands of a grant after its consent is narrowed: the statements are judged by the words of the kind.
#[test]
fn a_grant_that_is_no_longer_allowed_goes_and_the_rest_stays() {
    let role =
        role_wanted(r#"upstreams: [{name: a, registryRef: {name: upstream}, repositories: ["base/*", "tools/*"]}]"#);
    let role = role.unwrap().role.unwrap();
    let all = role.grants(&role.upstreams[0], &own(), super::ARN);
    let rules = allow(&[r#"{repositories: ["base/*"], accountIds: ["111111111111"]}"#]);
    let upstream = key("222222222222", "eu-west-1");
    let kept = consented(&rules, &upstream, Kind::CrossAccountPtcRole, "team-a", &BTreeMap::new(), &all);
    let resources: Vec<_> = kept.iter().flat_map(|statement| &statement.resources).collect();
    assert_eq!(resources, ["arn:aws:ecr:eu-west-1:222222222222:repository/base/*"]);
    assert_eq!(kept[0].conditions, all[0].conditions);
    assert_eq!(kept[0].actions, all[0].actions);
}

/// All or nothing within one rule: two halves do not add up.
#[test]
fn one_rule_must_cover_all() {
    let halves = [
        r#"{repositories: ["hub/*"], accountIds: ["333333333333"]}"#,
        r#"{repositories: ["team/*"], upstreamHosts: [public.ecr.aws], accountIds: ["333333333333"]}"#,
    ];
    assert!(rule(&halves, "{}").is_err());
    let secrets = [
        r#"{repositories: ["hub/*"], upstreamHosts: [registry-1.docker.io]}"#,
        r#"{repositories: ["other/*"], upstreamHosts: [registry-1.docker.io], secretNames: ["*"]}"#,
    ];
    assert!(rule(&secrets, "upstream: {type: DockerHub, secretName: ecr-pullthroughcache/hub}").is_err());
}
