//! Behaviour 35: what somebody would try who may write objects in one namespace and wants more. Each is refused, by the
//! definitions, by the translation or for want of consent.

use ecr_permissions_core::api::Kind;
use ecr_permissions_core::consent::{Asked, consent};
use ecr_permissions_core::names::CachePrefix;
use ecr_permissions_core::ownership::InstallationId;

use super::consent::{allow, role, rule, upstream};
use super::{ecr, own, role_wanted, rule_wanted};

/// What a team is typically given.
const TEAM_A: &str = r#"{
    repositories: ["team-a/*"], accountIds: ["111111111111", "222222222222"], upstreamHosts: [public.ecr.aws, registry-1.docker.io],
    secretNames: [ecr-pullthroughcache/team-a], roleNames: [team-a-cache], adoption: IfIdentical}"#;

fn refuses(object: &str) {
    assert!(rule(&[TEAM_A], object).is_err(), "{object}");
}

/// The rule would serve every image of somebody else's repositories: the prefix must be inside what the team has.
#[test]
fn a_prefix_that_is_not_within_the_rule_is_refused() {
    assert_eq!(rule(&[TEAM_A], "cachePrefix: team-a/hub"), Ok(()));
    assert_eq!(rule(&[TEAM_A], "cachePrefix: team-a"), Ok(()));
    for prefix in ["team-b", "team-ab", "team-a-b", "team", "te", "team-b/team-a", "team-a.b/x"] {
        refuses(&format!("cachePrefix: {prefix}"));
    }
}

/// A slash is always meant behind a prefix, so the exact name and the bare beginning of names are too little.
#[test]
fn a_prefix_needs_all_that_is_under_it() {
    for (pattern, covered) in [
        ("team-a", false),
        ("team-a/x", false),
        ("team-a/x*", false),
        ("team-a/*", true),
        ("team-a*", true),
        ("team*", true),
    ] {
        let text = format!(r#"{{repositories: ["{pattern}"], upstreamHosts: [public.ecr.aws]}}"#);
        assert_eq!(rule(&[&text], "cachePrefix: team-a").is_ok(), covered, "{pattern}");
    }
}

/// `ROOT` is every repository that no other rule is for.
#[test]
fn the_root_needs_everything() {
    refuses("cachePrefix: ROOT");
    for pattern in ["r*", "root/*", "t*", "team-a*"] {
        let text = format!(r#"{{repositories: ["{pattern}"], upstreamHosts: [public.ecr.aws]}}"#);
        assert!(rule(&[&text], "cachePrefix: ROOT").is_err(), "{pattern}");
    }
    assert_eq!(rule(&[r#"{repositories: ["*"], upstreamHosts: [public.ecr.aws]}"#], "cachePrefix: ROOT"), Ok(()));
}

/// A prefix has one spelling: none that AWS might read as another.
#[test]
fn a_prefix_in_disguise_is_no_prefix() {
    for prefix in [
        "team-a/",
        "/team-a",
        "team-a//x",
        "team-a/../team-b",
        "./team-a",
        "team-a/.",
        "Team-a",
        "root",
        "Root",
        "ROOT/",
        "ROOT/team-a",
        "team-a*",
        "*",
        "team-a?",
        "team-a%2fx",
        "team-a\u{200b}",
        "tеam-a",
        " team-a",
        "team-a ",
    ] {
        let plain = prefix == "root";
        assert_eq!(prefix.parse::<CachePrefix>().is_ok(), plain, "{prefix}");
        if !plain {
            assert!(rule_wanted(&serde_json::json!({"cachePrefix": prefix}).to_string()).is_err(), "{prefix}");
        }
    }
    // A name like any other: it does not stand for everything.
    assert_eq!(rule_wanted("cachePrefix: root").unwrap().rule.unwrap().prefix.repositories().as_str(), "root/*");
}

/// Shadowing from within: whoever has `shared/*` may still not take over what is served under another prefix there; the
/// pass asks which prefixes nest.
#[test]
fn nested_prefixes_are_told_apart_from_neighbours() {
    let prefix = |text: &str| text.parse::<CachePrefix>().unwrap();
    for (a, b, nested) in [
        ("shared", "shared/base", true),
        ("shared/base", "shared/base/images", true),
        ("shared/base", "shared/base", true),
        ("shared/base", "shared/base-images", false),
        ("team-a", "team-ab", false),
        ("ROOT", "shared", false),
    ] {
        assert_eq!((prefix(a).overlaps(&prefix(b)), prefix(b).overlaps(&prefix(a))), (nested, nested), "{a} and {b}");
    }
}

/// Secrets are other people's: the exact name or nothing.
#[test]
fn a_secret_of_others_is_refused() {
    let with = |name: &str| format!("{{cachePrefix: team-a/hub, upstream: {{type: DockerHub, secretName: {name}}}}}");
    assert_eq!(rule(&[TEAM_A], &with("ecr-pullthroughcache/team-a")), Ok(()));
    for name in ["team-b", "team-a/../team-b", "team-ab", "team-a-AbCdEf", "Team-a", "team-a/"] {
        refuses(&with(&format!("ecr-pullthroughcache/{name}")));
    }
    for name in ["team-a", "'*'", "ecr-pullthroughcache/*", "ecr-pullthroughcache/", "/ecr-pullthroughcache/team-a"] {
        assert!(rule_wanted(&with(name)).is_err(), "{name}");
    }
}

/// A role of others by its bare name, in any spelling; IAM's comparison ignores case, consent's does not.
#[test]
fn a_role_of_others_is_refused() {
    let with = |name: &str| {
        let private = ecr(&format!("registryRef: {{name: upstream}}, roleName: {name}"));
        format!("{{cachePrefix: team-a/hub, {private}}}")
    };
    assert_eq!(rule(&[TEAM_A], &with("team-a-cache")), Ok(()));
    for name in ["admin", "Team-A-Cache", "ecr-operator/member", "path/team-a-cache", "team-a-cache2"] {
        refuses(&with(name));
    }
    let role_called = |name: &str| role(&[TEAM_A], &format!("{{cacheRepositories: ['team-a/*'], roleName: {name}}}"));
    assert_eq!(role_called("team-a-cache"), Ok(()));
    for name in ["admin", "Team-A-Cache", "member", "team-a-cache2"] {
        assert!(role_called(name).is_err(), "{name}");
    }
    for name in ["'*'", "/admin", "admin/", "'arn:aws:iam::111111111111:role/admin'", "'${aws:username}'", "a//b"] {
        assert!(rule_wanted(&with(name)).is_err(), "{name}");
        assert!(role_wanted(&format!("roleName: {name}")).is_err(), "{name}");
    }
}

/// Squatting: the name that the operator would give to another object's role, in this cluster or another, however wide
/// the rule. IAM holds `ECP…` and `Ecp…` for one name.
#[test]
fn a_name_that_is_made_for_another_object_is_nobodys_to_choose() {
    for cluster in ["ours", "theirs"] {
        let name = InstallationId::of_cluster(cluster).role_name("team-b", "base");
        for name in [name.clone(), name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
            let because = role_wanted(&format!("roleName: {name}")).unwrap_err();
            assert!(because.message.contains("is of the form that the operator gives"), "{because:?}");
            for path in ["", "ecr-operator/ptc/"] {
                let private = ecr(&format!("registryRef: {{name: upstream}}, roleName: {path}{name}"));
                let because = rule_wanted(&private).unwrap_err();
                assert!(because.message.contains("set roleRef to that object, in its namespace"), "{because:?}");
            }
        }
    }
}

/// Principals that mean more than they say.
#[test]
fn pullers_that_are_more_than_they_seem_are_refused() {
    let with = |pullers: &str| format!("{{cachePrefix: team-a/hub, pullers: {pullers}}}");
    assert_eq!(rule(&[TEAM_A], &with(r#"{accountIds: ["222222222222"]}"#)), Ok(()));
    for pullers in [
        "{everyone: true}",
        "{organizationIds: [o-a1b2c3d4e5]}",
        r#"{accountIds: ["222222222222", "333333333333"]}"#,
        r#"{roles: [{accountId: "333333333333", name: ci}]}"#,
        r#"{users: [{accountId: "333333333333", name: ci}]}"#,
    ] {
        refuses(&with(pullers));
    }
    for pullers in [
        "{}",
        r#"{accountIds: ["*"]}"#,
        r#"{accountIds: ["arn:aws:iam::222222222222:root"]}"#,
        r#"{roles: [{accountId: "222222222222", name: "*"}]}"#,
        r#"{roles: [{accountId: "222222222222", name: "x:role/admin"}]}"#,
        r#"{everyone: true, accountIds: ["222222222222"]}"#,
        "{everyone: false}",
        r#"{organizationIds: ["*"]}"#,
        "{services: [codebuild.amazonaws.com]}",
        r#"{services: ["*"]}"#,
    ] {
        assert!(rule_wanted(&with(pullers)).is_err(), "{pullers}");
    }
}

/// An upstream of one's own would put images of one's own under a trusted name.
#[test]
fn an_upstream_that_nobody_allowed_is_refused() {
    for upstream in [
        "{type: Quay}",
        "{type: Azure, azure: {host: evil.azurecr.io}, secretName: ecr-pullthroughcache/team-a}",
        r#"{type: Ecr, ecr: {external: {accountId: "333333333333", region: eu-west-1}, roleRef: {name: a}}}"#,
    ] {
        refuses(&format!("{{cachePrefix: team-a/hub, upstream: {upstream}}}"));
    }
    for host in [
        "evil.example/x.azurecr.io",
        "evil.example",
        "x.azurecr.io.evil.example",
        "x.azurecr.io:443",
        "x@y.azurecr.io",
        ".azurecr.io",
        "azurecr.io",
        "x.y.azurecr.io",
        "X.azurecr.io",
        "*.azurecr.io",
    ] {
        let object =
            format!("upstream: {{type: Azure, azure: {{host: '{host}'}}, secretName: ecr-pullthroughcache/a}}");
        assert!(rule_wanted(&object).is_err(), "{host}");
    }
}

/// A wide role in one's own registry opens nothing in the upstream, and the other way round.
#[test]
fn consent_of_one_registry_is_not_consent_of_the_other() {
    let wide = r#"{repositories: ["*"], accountIds: ["*"]}"#;
    assert_eq!(role(&[wide], "cacheRepositories: ['*']"), Ok(()));
    assert!(upstream(&[r#"{repositories: ["cache/*"], accountIds: ["*"]}"#], "{}").is_err());
    assert_eq!(upstream(&[wide], "{}"), Ok(()));
    assert!(role(&[r#"{repositories: ["base/*"], accountIds: ["*"]}"#], "{}").is_err());
    let beyond = r#"upstreams: [{name: a, registryRef: {name: upstream}, repositories: ["base*"]}]"#;
    assert!(upstream(&[r#"{repositories: ["base/*"], accountIds: ["*"]}"#], beyond).is_err());
}

/// The role of an object serves its own namespace; consent is asked where the object is.
#[test]
fn a_namespace_without_a_rule_gets_nothing() {
    let wide = allow(&[
        r#"{repositories: ["*"], accountIds: ["*"], upstreamHosts: ["*"], secretNames: ["*"], roleNames: ["*"], adoption: Always}"#,
    ]);
    let labels = std::collections::BTreeMap::from([("team".to_owned(), "team-a".to_owned())]);
    for (kind, wanted) in [
        (Kind::PullThroughCacheRule, rule_wanted("{}").unwrap()),
        (Kind::CrossAccountPtcRole, role_wanted("{}").unwrap()),
    ] {
        let asked = Asked::of(&wanted, kind, &own());
        assert!(consent(&wide, &own(), kind, "team-a", &labels, &asked).is_ok());
        let because = consent(&wide, &own(), kind, "team-b", &labels, &asked).unwrap_err();
        assert!(because.message.contains(&format!("covers a {kind} in namespace team-b")), "{because:?}");
        // What another namespace has is nobody's business.
        assert!(!because.message.contains("team-a"), "{because:?}");
    }
}
