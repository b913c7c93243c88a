//! What happens between two passes, or in the middle of one: the object goes, its Registry does, or it is made anew
//! (behaviours 26, 29, 30, 37, 41, 44).

use aws_sim::Fault;

use super::*;

/// Behaviour 30: a pass that has decided to grant looks once more before it does. The role's own pass saw no grant to wait
/// for, and let it go meanwhile.
#[test]
fn a_role_that_goes_while_its_upstream_is_about_to_grant_leaves_no_grant() {
    run(1_300, async |lab| {
        two_registries(lab);
        lab.settle().await;
        let slow = || Fault::delay(Duration::from_secs(20)).on("GetRegistryPolicy").in_account(B);
        lab.aws.world(|world| world.inject(slow()));
        lab.apply(&mirror());
        let reads = |lab: &Lab| {
            lab.aws.world(|world| {
                let of_b = |call: &&aws_sim::Call| call.account.as_deref() == Some(B);
                world.calls().iter().filter(of_b).filter(|call| call.operation == "GetRegistryPolicy").count()
            })
        };
        let before = reads(lab);
        lab.until("the upstream's pass reads the policy", |lab| our_role(lab).is_some() && reads(lab) > before).await;
        lab.delete(ROLES, "team-a", "mirror");
        until_role_gone(lab).await;
        assert!(our_role(lab).is_none());
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes("PutRegistryPolicy"), 0, "a grant to a role that is gone");
        assert_eq!(orphans(lab, "upstream"), "");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 28: a role that is adopted comes with whatever trust it had. It is granted to once that is put right, and
/// under Observe not at all.
#[test]
fn an_adopted_role_is_granted_to_once_it_is_as_it_should_be() {
    for observes in [false, true] {
        run(1_301, async |lab| {
            two_registries(lab);
            set_registry(lab, "default", "allow/0/adoption", &json!("Always"));
            let path = format!("ecr-operator/{}/ptc/theirs", lab.installation());
            lab.aws.world(|world| {
                world.add_role(A, &path, Trust::of(["*"]));
                world.edit_role(A, "theirs", |role| {
                    role.permissions_boundary = Some(format!("arn:aws:iam::{A}:policy/{BOUNDARY}"));
                });
                world.inject(Fault::error(403, "AccessDenied", "sim").on("UpdateAssumeRolePolicy"));
            });
            if observes {
                set_registry(lab, "default", "management", &json!("Observe"));
            }
            let adopting = with(mirror(), "/spec/adoption", &json!("Always"));
            lab.apply(&with(adopting, "/spec/roleName", &json!("theirs")));
            until_reason(lab, if observes { "ObserveOnly" } else { "AccessDenied" }).await;
            lab.pass(INTERVAL).await;
            assert_eq!(lab.policy(B), None, "granted to a role that anybody may assume");
            let home = lab.kube.get(REGISTRIES, "", "default").unwrap();
            assert_eq!(home["status"]["ledger"][0]["role"]["state"], "Claimed");
            lab.aws.world(aws_sim::World::clear_faults);
            set_registry(lab, "default", "management", &Value::Null);
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            assert_eq!(granted(lab), ["base/*"]);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 41: each registry holds an orphaned role that the other grants to. Neither waits for the other for ever, and
/// what waits is told.
#[test]
fn two_registries_with_orphans_of_each_other_can_be_pruned() {
    run(1_302, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
        lab.apply(&mirror());
        let back =
            with(role("team-a", "back", "default", &["tools/*"]), "/spec/registryRef", &json!({"name": "upstream"}));
        lab.apply(&back);
        lab.until_ready_of(ROLES, &["team-a/mirror", "team-a/back"]).await;
        lab.settle().await;
        for name in ["mirror", "back"] {
            lab.kube.vanish(ROLES, "team-a", name).unwrap();
        }
        lab.pass(INTERVAL).await;
        prune(lab, "default");
        lab.pass(INTERVAL).await;
        assert_eq!(lab.policy(A), None, "it waits for no role");
        // A smaller set by now: it wants a word of its own.
        prune(lab, "default");
        lab.pass(INTERVAL).await;
        let told = orphans(lab, "default");
        assert!(told.contains("team-a/mirror cannot go yet: Registry upstream still grants"), "{told}");
        prune(lab, "upstream");
        lab.pass(INTERVAL).await;
        let roles = |account: &str| {
            let names = lab.aws.world(|world| world.role_names(account));
            names.into_iter().filter(|name| name.starts_with("Ecp")).count()
        };
        assert_eq!((roles(A), roles(B), lab.policy(A), lab.policy(B)), (0, 0, None, None), "{}", lab.describe());
        assert_eq!((orphans(lab, "default"), orphans(lab, "upstream")), (String::new(), String::new()));
        lab.assert_at_rest().await;
    });
}

/// Behaviours 41 and 46: an object that comes back with another name for its role keeps the role that its cache lives by.
#[test]
fn an_object_made_anew_with_another_role_name_does_not_lose_the_role_in_use() {
    run(1_303, async |lab| {
        mirroring(lab).await;
        let before = our_role(lab);
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        lab.pass(INTERVAL).await;
        let since = mark(lab);
        lab.apply(&with(mirror(), "/spec/roleName", &json!("other")));
        until_reason(lab, "ImmutableChange").await;
        lab.pass(INTERVAL).await;
        let told = message(lab);
        assert!(told.contains("spec.roleName") && told.contains(&before.as_ref().unwrap().name), "{told}");
        assert_eq!((our_role(lab), writes_since(lab, since)), (before.clone(), Vec::new()));
        assert_pulls(lab, "base/app");
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        lab.apply(&mirror());
        until_all_ready(lab).await;
        assert_eq!(our_role(lab), before);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: an object vanished and came back attached to another registry, and pulls from the one it was attached to:
/// the role it had there is nobody's and stays on record.
#[test]
fn what_an_object_had_where_it_pulls_from_now_is_not_forgotten() {
    run(1_304, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
        lab.apply(&with(
            role("team-a", "mirror", "default", &["base/*"]),
            "/spec/registryRef",
            &json!({"name": "upstream"}),
        ));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.settle().await;
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        lab.apply(&mirror());
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.pass(INTERVAL).await;
        let of_b = |lab: &Lab| {
            let names = lab.aws.world(|world| world.role_names(B));
            names.into_iter().filter(|name| name.starts_with("Ecp")).count()
        };
        assert_eq!(of_b(lab), 1);
        assert!(orphans(lab, "upstream").contains("team-a/mirror"), "{}", lab.describe());
        lab.assert_at_rest().await;
        prune(lab, "upstream");
        lab.pass(INTERVAL).await;
        assert_eq!((of_b(lab), orphans(lab, "upstream")), (0, String::new()), "{}", lab.describe());
        assert!(lab.is_ready(ROLES, "team-a", "mirror"));
        assert_eq!(granted(lab), ["base/*"]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: an object that was never Ready may have its role all the same. With its Registry gone it stays until
/// somebody lets it go.
#[test]
fn a_role_that_was_never_ready_is_not_let_go_without_its_registry() {
    run(1_305, async |lab| {
        lab.apply(&namespace("team-a"));
        lab.apply(&registry("default", A));
        lab.apply(&with(registry("upstream", B), "/spec/suspend", &json!(true)));
        lab.apply(&mirror());
        lab.until("its role is there", |lab| our_role(lab).is_some()).await;
        lab.settle().await;
        assert!(!lab.is_ready(ROLES, "team-a", "mirror"));
        lab.kube.vanish(REGISTRIES, "", "default").unwrap();
        lab.delete(ROLES, "team-a", "mirror");
        lab.pass(INTERVAL).await;
        assert_eq!(reason(lab), "DeletionBlocked");
        assert!(message(lab).contains("Registry default is gone"), "{}", message(lab));
        lab.apply(&registry("default", A));
        until_role_gone(lab).await;
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// Behaviours 30 and 44: why an upstream does not let a role go is told where the role is.
#[test]
fn why_an_upstream_keeps_its_grant_is_told_by_the_role() {
    run(1_306, async |lab| {
        mirroring(lab).await;
        set_registry(lab, "upstream", "suspend", &json!(true));
        lab.settle().await;
        lab.delete(CACHES, "team-a", "mirror");
        lab.delete(ROLES, "team-a", "mirror");
        lab.pass(INTERVAL).await;
        let told = message(lab);
        assert!(told.contains("Registry upstream still grants to the role"), "{told}");
        assert!(told.contains("The Registry is suspended"), "{told}");
        set_registry(lab, "upstream", "suspend", &Value::Null);
        until_role_gone(lab).await;
        assert_eq!((our_role(lab), rule(lab), lab.policy(B)), (None, None, None));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 37: a suspended role stays as ready as it was while its upstream's account is away.
#[test]
fn a_suspended_role_stays_ready_while_its_upstream_is_away() {
    run(1_307, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/suspend", &json!(true));
        lab.pass(INTERVAL).await;
        let ready = || lab.ready(ROLES, "team-a", "mirror");
        assert_eq!(ready(), ("True".to_owned(), "Suspended".to_owned()));
        lab.aws.world(|world| world.set_outage(B, Some(Outage::Hang)));
        lab.pass(INTERVAL * 2).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror"), ("True".to_owned(), "Suspended".to_owned()));
        lab.aws.world(|world| world.set_outage(B, None));
        lab.pass(INTERVAL * 2).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror"), ("True".to_owned(), "Suspended".to_owned()));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 30: an upstream is dropped from the spec of a suspended role. Its grant stays until it is suspended no more.
#[test]
fn an_upstream_that_is_dropped_under_suspension_keeps_its_grant_until_that_ends() {
    run(1_308, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/suspend", &json!(true));
        lab.settle().await;
        lab.apply(&registry("third", crate::lab::HOME));
        edit(lab, "/spec/upstreams/0/registryRef/name", &json!("third"));
        lab.pass(INTERVAL).await;
        assert_eq!((granted(lab), reason(lab).as_str()), (vec!["base/*".to_owned()], "Suspended"));
        assert_pulls(lab, "base/app");
        edit(lab, "/spec/suspend", &Value::Null);
        lab.until("the grant is gone", |lab| lab.policy(B).is_none()).await;
        lab.settle().await;
        assert_eq!(granted(lab), Vec::<String>::new());
    });
}

/// Behaviour 11: a role or a rule that somebody changes is put right, and drift is told. What an owner edits is none.
#[test]
fn what_somebody_changes_is_drift_and_what_an_owner_edits_is_not() {
    run(1_309, async |lab| {
        mirroring(lab).await;
        let is_drift = |lab: &Lab| lab.events().iter().any(|(_, reason)| reason == "DriftRepaired");
        edit(lab, "/spec/permissionScope", &json!("Listed"));
        until_all_ready(lab).await;
        lab.pass(INTERVAL).await;
        assert!(!is_drift(lab), "{:?}", lab.events());
        edit_role(lab, |role| {
            role.trust = role.trust.replace("pullthroughcache.ecr.amazonaws.com", "ec2.amazonaws.com");
        });
        lab.pass(INTERVAL).await;
        assert!(our_role(lab).unwrap().trust.contains("pullthroughcache"));
        assert!(is_drift(lab), "{:?}", lab.events());
        assert!(lab.metrics.text().contains("drift_detected_total{"), "{}", lab.metrics.text());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: a role that is on its way out is not handed to a cache that comes now.
#[test]
fn a_role_that_is_being_deleted_serves_no_new_cache() {
    run(1_310, async |lab| {
        mirroring(lab).await;
        lab.delete(ROLES, "team-a", "mirror");
        lab.settle().await;
        let late = with(cache(), "/metadata/name", &json!("late"));
        lab.apply(&with(late, "/spec/cachePrefix", &json!("late")));
        lab.until_reason(CACHES, "team-a", "late", "WaitingForRole").await;
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws.world(|world| world.cache_prefixes(A, REGION)), ["mirror"]);
        assert_pulls(lab, "base/app");
        lab.delete(CACHES, "team-a", "late");
        lab.delete(CACHES, "team-a", "mirror");
        until_role_gone(lab).await;
        assert_eq!((our_role(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}
