//! Roles have two owners to ask: that of the registry with the cache, and that of each upstream (behaviours 30, 34).

use super::*;

/// The owner of a registry allows all again, and all heals.
async fn allow_again(lab: &mut Lab, registry: &str) {
    set_registry(lab, registry, "allow", &json!([allow_all()]));
    until_all_ready(lab).await;
    lab.pass(INTERVAL).await;
    until_all_ready(lab).await;
    assert_pulls(lab, "base/app");
    lab.assert_at_rest().await;
}

/// Without the upstream's leave the role is there and gets nothing; with it, all else follows by itself.
#[test]
fn an_upstream_that_allows_nobody_grants_nothing_until_it_does() {
    run(1_120, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.add_repository(B, REGION, "base/app"));
        set_registry(lab, "upstream", "allow", &Value::Null);
        lab.apply(&mirror());
        lab.apply(&cache());
        until_reason(lab, "WaitingForUpstream").await;
        lab.until("the upstream's refusal is told", |lab| upstream_ready(lab).1 == "NotAllowed").await;
        assert!(message(lab).contains("Upstream up"), "{}", message(lab));
        lab.assert_at_rest().await;
        assert_eq!((lab.policy(B), rule(lab)), (None, None));

        set_registry(lab, "upstream", "allow", &json!([allow_all()]));
        until_all_ready(lab).await;
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// Without leave of its own registry there is no role, and nothing of it anywhere.
#[test]
fn a_registry_that_does_not_allow_the_role_gets_none() {
    for (seed, member, value) in [
        (1_121, "/kinds", json!(["PullThroughCacheRule"])),
        (1_122, "/repositories", json!(["other/*"])),
        (1_123, "/accountIds", Value::Null),
        (1_124, "/namespaces", json!({"names": ["team-b"]})),
    ] {
        run(seed, async |lab| {
            two_registries(lab);
            set_registry(lab, "default", "allow", &json!([with(allow_all(), member, &value)]));
            lab.apply(&mirror());
            until_reason(lab, "NotAllowed").await;
            lab.assert_at_rest().await;
            assert_eq!((our_role(lab), lab.policy(B)), (None, None), "{member}");
            assert_eq!(lab.aws_writes("CreateRole"), 0);
        });
    }
}

/// Behaviours 30, 34: the upstream's owner thinks better of it. Its grant goes; role and rule are the other owner's.
#[test]
fn the_grant_goes_when_the_upstream_no_longer_allows_it() {
    for (seed, member, value) in [
        (1_125, "/kinds", json!(["RegistryPolicy"])),
        (1_126, "/repositories", json!(["tools/*"])),
        (1_127, "/accountIds", json!([B])),
        (1_128, "/namespaces", json!({"names": ["team-b"]})),
    ] {
        run(seed, async |lab| {
            mirroring(lab).await;
            let role = our_role(lab);
            set_registry(lab, "upstream", "allow", &json!([with(allow_all(), member, &value)]));
            lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
            until_reason(lab, "WaitingForUpstream").await;
            assert_eq!(upstream_ready(lab), ("False".to_owned(), "NotAllowed".to_owned()), "{member}");
            assert!(!pulls(lab, "base/app"));
            lab.assert_at_rest().await;
            assert_eq!(our_role(lab), role, "{member}");
            allow_again(lab, "upstream").await;
        });
    }
}

/// Behaviour 34: the owner of the cache's registry thinks better of the kind: grant and role go, and the rule that pulled
/// by the role cannot any more.
#[test]
fn role_and_grant_go_when_the_own_registry_no_longer_allows_them() {
    run(1_129, async |lab| {
        mirroring(lab).await;
        let kinds = json!(["PullThroughCacheRule"]);
        set_registry(lab, "default", "allow", &json!([with(allow_all(), "/kinds", &kinds)]));
        until_reason(lab, "NotAllowed").await;
        lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
        lab.until("the role is gone", |lab| our_role(lab).is_none()).await;
        assert!(!pulls(lab, "base/app"));
        lab.assert_at_rest().await;
        allow_again(lab, "default").await;
    });
}

/// The own registry withdraws an account, and with it the grant that its role has there.
#[test]
fn the_grant_goes_when_the_own_registry_no_longer_allows_the_upstreams_account() {
    run(1_130, async |lab| {
        mirroring(lab).await;
        set_registry(lab, "default", "allow", &json!([with(allow_all(), "/accountIds", &json!([A]))]));
        until_reason(lab, "NotAllowed").await;
        lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
        assert!(!pulls(lab, "base/app"));
        lab.assert_at_rest().await;
        set_registry(lab, "default", "allow", &json!([allow_all()]));
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: also of a suspended object, whatever it says by then, and of one that would retain what it has: it lives.
#[test]
fn a_withdrawal_reaches_suspended_and_retaining_objects() {
    for (seed, member, value, asked) in [
        (1_131, "/spec/suspend", json!(true), json!(["base/*"])),
        (1_143, "/spec/suspend", json!(true), json!(["tools/*"])),
        (1_132, "/spec/deletionPolicy", json!("Retain"), json!(["base/*"])),
    ] {
        for registry in ["upstream", "default"] {
            run(seed, async |lab| {
                mirroring(lab).await;
                edit(lab, member, &value);
                edit(lab, "/spec/upstreams/0/repositories", &asked);
                lab.settle().await;
                assert_pulls(lab, "base/app");
                set_registry(lab, registry, "allow", &json!([with(allow_all(), "/kinds", &json!(["RegistryPolicy"]))]));
                lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
                assert!(!pulls(lab, "base/app"), "{registry} {member}");
                lab.assert_at_rest().await;
            });
        }
    }
}

/// An edit beyond what the upstream allows is refused, and what stands and is still asked for stays.
#[test]
fn an_edit_beyond_the_upstreams_leave_keeps_what_it_allows() {
    run(1_133, async |lab| {
        mirroring(lab).await;
        set_registry(lab, "upstream", "allow", &json!([with(allow_all(), "/repositories", &json!(["base/*"]))]));
        lab.settle().await;
        let (since, before) = (mark(lab), lab.statements(B));
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        until_reason(lab, "WaitingForUpstream").await;
        assert_eq!(upstream_ready(lab).1, "NotAllowed");
        lab.assert_at_rest().await;
        assert_eq!((lab.statements(B), writes_since(lab, since)), (before, Vec::new()));
        assert_pulls(lab, "base/app");
        // And what it no longer asks for goes all the same.
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/app", "tools/*"]));
        lab.settle().await;
        assert!(!granted(lab).contains(&"tools/*".to_owned()), "{:?}", granted(lab));
        lab.assert_at_rest().await;
    });
}

/// An edit beyond what its own registry allows changes nothing of the role. What the upstreams granted goes meanwhile: for
/// which part of the cache it was granted is not on record.
#[test]
fn an_edit_beyond_the_own_registrys_leave_does_not_change_the_role() {
    run(1_134, async |lab| {
        mirroring(lab).await;
        set_registry(lab, "default", "allow", &json!([with(allow_all(), "/repositories", &json!(["mirror/*"]))]));
        lab.settle().await;
        let role = our_role(lab);
        edit(lab, "/spec/cacheRepositories", &json!(["mirror/*", "other/*"]));
        until_reason(lab, "NotAllowed").await;
        lab.assert_at_rest().await;
        assert_eq!((our_role(lab), granted(lab)), (role.clone(), Vec::new()));
        edit(lab, "/spec/cacheRepositories", &json!(["mirror/*"]));
        until_all_ready(lab).await;
        lab.pass(INTERVAL).await;
        until_all_ready(lab).await;
        assert_eq!(our_role(lab), role);
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: an object is accepted whole or not at all: refused by its own registry, it gains nothing at an upstream, and
/// what there is stays.
#[test]
fn an_edit_that_the_own_registry_refuses_widens_no_grant() {
    for (seed, repositories) in [(1_140, json!(["base/*"])), (1_141, json!(["base/*", "tools/*"]))] {
        run(seed, async |lab| {
            mirroring(lab).await;
            set_registry(lab, "default", "allow", &json!([with(allow_all(), "/accountIds", &json!([A, B]))]));
            lab.settle().await;
            let (since, before) = (mark(lab), in_aws(lab));
            let external = json!({"accountId": "555555555555", "region": REGION});
            edit(
                lab,
                "/spec/upstreams",
                &json!([
                    {"name": "up", "registryRef": {"name": "upstream"}, "repositories": repositories},
                    {"name": "more", "external": external, "repositories": ["x/*"]},
                ]),
            );
            until_reason(lab, "NotAllowed").await;
            lab.assert_at_rest().await;
            assert_eq!((in_aws(lab), writes_since(lab, since)), (before, Vec::new()));
            assert!(lab.is_ready(CACHES, "team-a", "mirror"), "the cache is as it was");
            assert_pulls(lab, "base/app");
        });
    }
}

/// Behaviour 34: its own registry's leave withdrawn, whatever the object says by then, takes grant and role away.
#[test]
fn an_object_that_makes_no_sense_keeps_nothing_that_is_not_allowed() {
    run(1_142, async |lab| {
        mirroring(lab).await;
        edit(
            lab,
            "/spec/upstreams",
            &json!([
                {"name": "up", "registryRef": {"name": "upstream"}, "repositories": ["base/*"]},
                {"name": "nowhere", "registryRef": {"name": "missing"}, "repositories": ["x/*"]},
            ]),
        );
        until_reason(lab, "ReferenceNotFound").await;
        lab.settle().await;
        assert_eq!(granted(lab), ["base/*"], "an edit that cannot be followed changes nothing");
        set_registry(lab, "default", "allow", &json!([]));
        lab.until("grant and role go", |lab| granted(lab).is_empty() && our_role(lab).is_none()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: a name of one's own choice only from `allow.roleNames`; the generated name needs no leave.
#[test]
fn a_role_name_needs_its_own_leave() {
    run(1_135, async |lab| {
        two_registries(lab);
        let names = |names: &Value| json!([with(allow_all(), "/roleNames", names)]);
        set_registry(lab, "default", "allow", &names(&json!(["other"])));
        let since = mark(lab);
        lab.apply(&with(mirror(), "/spec/roleName", &json!("mine")));
        until_reason(lab, "NotAllowed").await;
        assert!(message(lab).contains("role mine (spec.roleName)"), "{}", message(lab));
        lab.assert_at_rest().await;
        assert_eq!(writes_since(lab, since), NO_WRITES);

        set_registry(lab, "default", "allow", &names(&json!(["mine"])));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let role = lab.aws.world(|world| world.role(A, "mine")).unwrap();
        assert!(role.path.starts_with("/ecr-operator/"), "{}", role.path);
        lab.assert_at_rest().await;
        // The leave is taken back, by another name or by none: grant and role go.
        for none in [json!(["other"]), Value::Null] {
            set_registry(lab, "default", "allow", &names(&none));
            until_reason(lab, "NotAllowed").await;
            lab.until("the role is gone", |lab| lab.aws.world(|world| world.role(A, "mine")).is_none()).await;
            assert_eq!(granted(lab), Vec::<String>::new());
            lab.assert_at_rest().await;
            set_registry(lab, "default", "allow", &names(&json!(["mine"])));
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        }
        set_registry(lab, "default", "allow", &names(&Value::Null));
        until_reason(lab, "NotAllowed").await;

        delete_role(lab);
        until_role_gone(lab).await;
        lab.apply(&mirror());
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 35: `team-a*` is no leave for what only begins alike, and `base` none for `base/*`.
#[test]
fn the_upstreams_leave_is_contained_or_not_given() {
    for (seed, allowed, asked) in [
        (1_136, json!(["base/*"]), json!(["base*"])),
        (1_137, json!(["base"]), json!(["base/*"])),
        (1_138, json!(["base/a*"]), json!(["base/a", "base/b"])),
    ] {
        run(seed, async |lab| {
            two_registries(lab);
            set_registry(lab, "upstream", "allow", &json!([with(allow_all(), "/repositories", &allowed)]));
            lab.apply(&with(mirror(), "/spec/upstreams/0/repositories", &asked));
            until_reason(lab, "WaitingForUpstream").await;
            assert_eq!(upstream_ready(lab).1, "NotAllowed");
            assert_eq!(lab.policy(B), None);
            lab.assert_at_rest().await;
            assert_eq!(reason(lab), "WaitingForUpstream");
        });
    }
}

/// Whoever is not told otherwise stays: a namespace that is no longer a tenant's loses its grants at both registries.
#[test]
fn a_namespace_that_no_longer_matches_loses_grant_and_role() {
    run(1_139, async |lab| {
        mirroring(lab).await;
        lab.kube
            .edit("namespaces", "", "team-a", |namespace| namespace["metadata"]["labels"]["tenant"] = "no".into())
            .unwrap();
        lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
        lab.until("the role is gone", |lab| our_role(lab).is_none()).await;
        lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
        assert_eq!(cache_ready(lab).1, "NotAllowed");
        lab.assert_at_rest().await;
    });
}
