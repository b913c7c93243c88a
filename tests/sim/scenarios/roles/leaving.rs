//! Roles that go, and roles that stay: rule, grant and role in this order (behaviours 28, 30, 41, 44).

use kube_sim::{Fault as KubeFault, Matching, Phase};

use super::*;
use crate::lab::objects::{POLICIES, pull};

/// Behaviour 30: rule, grant, role, in whatever order and however close their objects are deleted.
#[test]
fn what_pulls_goes_before_what_it_pulls_by() {
    for (seed, deletions) in [(1_140, [delete_role as fn(&Lab), delete_cache]), (1_141, [delete_cache, delete_role])] {
        for apart in [Duration::ZERO, LONG] {
            run(seed, async |lab| {
                mirroring(lab).await;
                let since = mark(lab);
                for delete in deletions {
                    delete(lab);
                    if apart > Duration::ZERO {
                        lab.pass(apart).await;
                    }
                }
                until_set_gone(lab).await;
                let order = ["DeletePullThroughCacheRule", "DeleteRegistryPolicy", "DeleteRolePolicy", "DeleteRole"];
                let removals: Vec<_> = lab.aws.world(|world| {
                    let calls = world.calls()[since..].iter().filter(|call| call.took_effect && call.is_write);
                    calls
                        // The rule's pullers stood in the policy of its own registry.
                        .filter(|call| call.operation != "DeleteRegistryPolicy" || call.account.as_deref() == Some(B))
                        .map(|call| call.operation.clone())
                        .filter(|operation| order.contains(&operation.as_str()))
                        .collect()
                });
                assert_eq!(removals, order, "{:?}", writes_since(lab, since));
                assert!(is_nothing_left(lab), "{}", lab.describe());
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviour 30: while a living rule pulls by it, a role that is being deleted stays, works, and says by whom it is held.
#[test]
fn a_role_waits_for_the_rule_that_pulls_by_it() {
    run(1_142, async |lab| {
        mirroring(lab).await;
        let since = mark(lab);
        delete_role(lab);
        until_reason(lab, "DeletionBlocked").await;
        lab.assert_at_rest().await;
        assert!(lab.exists(ROLES, "team-a", "mirror"));
        assert!(message(lab).contains("cache rule for prefix mirror"), "{}", message(lab));
        assert_eq!((reason(lab).as_str(), writes_since(lab, since)), ("DeletionBlocked", Vec::new()));
        assert_pulls(lab, "base/app");
        delete_cache(lab);
        until_set_gone(lab).await;
        assert_eq!((our_role(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}

/// A rule of somebody else's pulls by the role: it is not ours to delete, and the role is held by it.
#[test]
fn a_role_waits_for_rules_of_others_too() {
    run(1_143, async |lab| {
        mirroring(lab).await;
        let arn = our_role(lab).unwrap().arn;
        lab.rules.rule_of_others(A, "theirs");
        let host = format!("{B}.dkr.ecr.{REGION}.amazonaws.com");
        let theirs = json!({"ecrRepositoryPrefix": "theirs", "upstreamRegistryUrl": host, "customRoleArn": arn});
        lab.aws.world(|world| world.put_cache_rule(A, REGION, &theirs));
        delete_cache(lab);
        until_cache_gone(lab).await;
        delete_role(lab);
        lab.settle().await;
        assert!(our_role(lab).is_some(), "{}", message(lab));
        assert!(message(lab).contains("theirs"), "{}", message(lab));
        lab.assert_at_rest().await;
        lab.aws.world(|world| world.delete_cache_rule(A, REGION, "theirs"));
        lab.pass(INTERVAL).await;
        until_role_gone(lab).await;
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// `Retain`: rule, role and grant stay on record; what a registry's rules let stay no longer goes in order.
#[test]
fn a_retained_role_stays_with_its_grant() {
    for revoking in ["default", "upstream", "prune"] {
        run(1_144, async |lab| {
            mirroring(lab).await;
            let before = our_role(lab).unwrap();
            lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Retain"));
            edit(lab, "/spec/deletionPolicy", &json!("Retain"));
            lab.settle().await;
            delete_cache(lab);
            until_cache_gone(lab).await;
            delete_role(lab);
            until_role_gone(lab).await;
            assert_eq!(our_role(lab).unwrap(), before);
            assert_pulls(lab, "base/app");
            assert!(!is_orphaned(lab, "default") && !is_orphaned(lab, "upstream"));
            for registry in ["default", "upstream"] {
                let stored = lab.kube.get("registries", "", registry).unwrap();
                assert_eq!(crate::lab::objects::condition(&stored, "Retained").0, "True", "{registry}");
            }
            lab.assert_at_rest().await;
            match revoking {
                "prune" => {
                    for registry in ["upstream", "default"] {
                        let token = lab.token(registry, "Retained");
                        lab.annotate("registries", "", registry, "ecr-permissions.dev/prune", &token);
                        lab.settle().await;
                    }
                }
                registry => lab.set("registries", "", registry, "/spec/allow/0/retain", &json!(false)),
            }
            lab.pass(Duration::from_secs(700)).await;
            assert_eq!(granted(lab), Vec::<String>::new(), "{revoking}");
            let stays = revoking == "upstream";
            assert_eq!((our_role(lab).is_some(), rule(lab).is_some()), (stays, stays), "{revoking}");
            lab.assert_at_rest().await;
        });
    }
}

/// A rule that was left behind does not keep the role of a deleted object: nobody asks for it any more.
#[test]
fn a_rule_that_was_left_behind_keeps_no_role() {
    for abandoned in [false, true] {
        run(1_147, async |lab| {
            mirroring(lab).await;
            if abandoned {
                abandon(lab, CACHES);
            } else {
                lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Retain"));
            }
            lab.settle().await;
            delete_cache(lab);
            until_cache_gone(lab).await;
            delete_role(lab);
            until_role_gone(lab).await;
            assert_eq!((our_role(lab), granted(lab)), (None, Vec::<String>::new()), "{abandoned}");
            assert!(rule(lab).is_some());
            lab.assert_at_rest().await;
        });
    }
}

/// A released role waits for the rules that pull by it to be released, too: without it on record they would go.
#[test]
fn a_role_is_released_with_the_rules_that_pull_by_it() {
    run(1_148, async |lab| {
        mirroring(lab).await;
        for registry in ["default", "upstream"] {
            lab.annotate("registries", "", registry, "ecr-permissions.dev/release", "true");
        }
        lab.annotate(ROLES, "team-a", "mirror", "ecr-permissions.dev/release", "true");
        lab.pass(Duration::from_secs(700)).await;
        assert_eq!(our_role(lab).unwrap().tags.len(), 4);
        assert_pulls(lab, "base/app");
        lab.annotate(CACHES, "team-a", "mirror", "ecr-permissions.dev/release", "true");
        lab.rules.rule_of_others(A, "mirror");
        lab.until("both are released", |lab| {
            [ROLES, CACHES].iter().all(|plural| lab.ready(plural, "team-a", "mirror").1 == "Released")
        })
        .await;
        assert_eq!(our_role(lab).unwrap().tags.len(), 0);
        assert!(lab.ledger("default").is_empty() && lab.ledger("upstream").is_empty(), "{}", lab.describe());
        assert_pulls(lab, "base/app");
        delete_set(lab);
        until_set_gone(lab).await;
        assert_pulls(lab, "base/app");
    });
}

/// Where only the upstream would let it stay, the grant goes before the role does.
#[test]
fn a_grant_is_retained_no_longer_than_its_role() {
    run(1_146, async |lab| {
        mirroring(lab).await;
        lab.set("registries", "", "default", "/spec/allow/0/retain", &json!(false));
        edit(lab, "/spec/deletionPolicy", &json!("Retain"));
        lab.settle().await;
        delete_cache(lab);
        delete_role(lab);
        until_set_gone(lab).await;
        assert_eq!((our_role(lab), rule(lab), lab.policy(B)), (None, None, None));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 44: abandoned, both sides let go, and both Registries report what is nobody's until it is pruned.
#[test]
fn an_abandoned_role_is_an_orphan_at_both_registries() {
    run(1_145, async |lab| {
        mirroring(lab).await;
        for (plural, delete) in [(CACHES, delete_cache as fn(&Lab)), (ROLES, delete_role)] {
            abandon(lab, plural);
            delete(lab);
        }
        until_set_gone(lab).await;
        until_reported(lab).await;
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
        for registry in ["upstream", "default"] {
            prune(lab, registry);
            lab.settle().await;
        }
        assert_eq!((our_role(lab), rule(lab), lab.policy(B)), (None, None, None));
        assert!(!is_orphaned(lab, "default") && !is_orphaned(lab, "upstream"));
        lab.assert_at_rest().await;
    });
}

/// Deleted while it is suspended it goes all the same, at both registries, as any object does.
#[test]
fn a_suspended_role_that_is_deleted_goes() {
    run(1_149, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/suspend", &json!(true));
        until_reason(lab, "Suspended").await;
        delete_set(lab);
        until_set_gone(lab).await;
        assert_eq!((our_role(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 28: what others hang on the role keeps it, and is named.
#[test]
fn policies_of_others_keep_a_role_from_going() {
    run(1_150, async |lab| {
        mirroring(lab).await;
        let managed = lab.aws.world(|world| world.add_managed_policy(A, "audit", EMPTY));
        edit_role(lab, |role| {
            role.attached_policies.insert(managed.clone());
            role.inline_policies.insert("theirs".to_owned(), EMPTY.to_owned());
        });
        delete_set(lab);
        until_cache_gone(lab).await;
        lab.until("it says why", |lab| message(lab).contains(&managed) && message(lab).contains("theirs")).await;
        assert_eq!(reason(lab), "DeletionBlocked");
        assert_eq!(granted(lab), Vec::<String>::new(), "its grant went nevertheless");
        lab.assert_at_rest().await;
        let role = our_role(lab).unwrap();
        assert!(role.inline_policies.contains_key(POLICY), "it is left whole");
        edit_role(lab, |role| {
            role.attached_policies.clear();
            role.inline_policies.remove("theirs");
        });
        lab.pass(INTERVAL).await;
        until_role_gone(lab).await;
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// The whole namespace is deleted at once, as Kubernetes does it.
#[test]
fn a_namespace_that_goes_takes_everything_along() {
    run(1_151, async |lab| {
        mirroring(lab).await;
        lab.delete("namespaces", "", "team-a");
        delete_set(lab);
        until_set_gone(lab).await;
        assert_eq!((our_role(lab), rule(lab), lab.policy(A), lab.policy(B)), (None, None, None, None));
        lab.assert_at_rest().await;
    });
}

/// A Registry serves until nobody is attached; the role's own waits for it, and goes after.
#[test]
fn the_own_registry_goes_after_its_role() {
    run(1_152, async |lab| {
        mirroring(lab).await;
        lab.delete(REGISTRIES, "", "default");
        lab.pass(Duration::from_secs(5)).await;
        assert_pulls(lab, "base/app");
        assert!(lab.exists(REGISTRIES, "", "default"));
        delete_set(lab);
        until_role_gone(lab).await;
        lab.until("the Registry is gone", |lab| !lab.exists(REGISTRIES, "", "default")).await;
        assert_eq!((our_role(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}

/// The upstream's Registry is deleted: what it granted is on its record, so it stays until the grant is no longer asked for.
#[test]
fn the_upstreams_registry_goes_after_its_grants() {
    run(1_153, async |lab| {
        mirroring(lab).await;
        lab.delete(REGISTRIES, "", "upstream");
        lab.settle().await;
        assert!(lab.exists(REGISTRIES, "", "upstream"), "it has a grant");
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
        delete_set(lab);
        until_role_gone(lab).await;
        lab.until("the Registry is gone", |lab| !lab.exists(REGISTRIES, "", "upstream")).await;
        assert_eq!((our_role(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}

/// The upstream's Registry vanished, and its record with it: the role is not deleted over a grant that nobody can see, or
/// goes alone; made again, the Registry finds what is left.
#[test]
fn an_upstreams_registry_that_vanished_blocks_nothing_for_ever() {
    run(1_154, async |lab| {
        mirroring(lab).await;
        lab.kube.vanish(REGISTRIES, "", "upstream").unwrap();
        lab.settle().await;
        assert!(our_role(lab).is_some());
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
        lab.apply(&upstream());
        until_all_ready(lab).await;
        assert_eq!(granted(lab), ["base/*"]);
        lab.assert_at_rest().await;
    });
}

/// Made anew while the former is still going: the new object gets a role of its own, in the end.
#[test]
fn a_role_that_is_made_anew_at_once_works_again() {
    run(1_155, async |lab| {
        mirroring(lab).await;
        delete_set(lab);
        until_role_gone(lab).await;
        lab.apply(&mirror());
        lab.apply(&cache());
        until_all_ready(lab).await;
        lab.pass(INTERVAL).await;
        until_all_ready(lab).await;
        assert_pulls(lab, "base/app");
        assert!(!pulls(lab, "tools/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 30: a role that was adopted goes on serving while a rule pulls by it, as one that was made.
#[test]
fn an_adopted_role_waits_for_the_rule_that_pulls_by_it() {
    run(1_336, async |lab| {
        two_registries(lab);
        let theirs = format!("ecr-operator/{}/ptc/theirs", lab.installation());
        lab.aws.world(|world| {
            world.add_repository(B, REGION, "base/app");
            world.add_role(A, &theirs, Trust::of([A]));
            world.edit_role(A, "theirs", |role| role.permissions_boundary = Some(boundary_arn()));
        });
        lab.rules.role_to_adopt("theirs");
        let adopting = with(mirror(), "/spec/adoption", &json!("Always"));
        lab.apply(&with(adopting, "/spec/roleName", &json!("theirs")));
        lab.apply(&cache());
        until_all_ready(lab).await;
        lab.settle().await;
        delete_role(lab);
        lab.pass(INTERVAL).await;
        assert_eq!((reason(lab).as_str(), granted(lab)), ("DeletionBlocked", vec!["base/*".to_owned()]));
        assert_pulls(lab, "base/app");
        delete_cache(lab);
        until_set_gone(lab).await;
        let left = lab.aws.world(|world| world.role(A, "theirs")).unwrap();
        assert!(left.tags.keys().all(|key| !key.starts_with("ecr-permissions.dev/")), "{left:?}");
        assert_eq!((rule(lab), lab.policy(B)), (None, None));
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

/// Statuses that hang keep the pass that writes them, and no rule and no role that is to go.
#[test]
fn statuses_that_hang_keep_no_rule_and_no_role() {
    run(1_139, async |lab| {
        mirroring(lab).await;
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-b/pull"]).await;
        lab.kube.inject(Matching::writes().resource(POLICIES).status(), 1, 1_000, KubeFault::Hang(Phase::Before));
        lab.set(POLICIES, "team-b", "pull", "/spec/statements/0/principals/accountIds", &json!([B, "444444444444"]));
        lab.until("it is granted, and not told", |lab| lab.may_pull("444444444444", "team-b/app")).await;
        let deleted = lab.clock.now();
        delete_cache(lab);
        lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
        assert!(lab.since(deleted) <= Duration::from_secs(3), "{:?}", lab.since(deleted));
        delete_role(lab);
        lab.until("the role is gone", |lab| our_role(lab).is_none()).await;
        assert!(lab.since(deleted) <= Duration::from_secs(10), "{:?}", lab.since(deleted));
        lab.kube.clear_faults();
        until_set_gone(lab).await;
        lab.assert_at_rest().await;
    });
}
