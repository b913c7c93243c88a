//! The parts of a cache across accounts, in every order and under every delay (behaviour 26).

use super::*;

/// The four things that a person applies, in one order of all.
fn permutations() -> Vec<[usize; 4]> {
    let all = (0..256).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3]);
    all.filter(|order| (0..4).all(|i| order.contains(&i))).collect()
}

#[test]
fn in_whatever_order_the_parts_come_all_become_ready() {
    for order in permutations() {
        for apart in [Duration::ZERO, Duration::from_secs(20)] {
            run(1_010, async |lab| {
                lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
                lab.apply(&namespace("team-a"));
                let parts = [registry("default", A), upstream(), mirror(), bare_cache()];
                for part in order {
                    lab.apply(&parts[part]);
                    if apart > Duration::ZERO {
                        lab.pass(apart).await;
                    }
                }
                until_all_ready(lab).await;
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Nobody but IAM sees a new role for a while: it is waited for, and is no fault of anybody's.
#[test]
fn a_role_that_takes_its_time_to_be_seen_is_waited_for() {
    for seconds in [0, 2, 30] {
        run(1_011, async |lab| {
            let propagation = Duration::from_secs(seconds);
            lab.aws.world(|world| world.set_propagation(propagation));
            two_registries(lab);
            lab.settle().await;
            let start = lab.clock.now();
            apply_set(lab);
            let terminal = std::cell::Cell::new(false);
            lab.until("all are Ready", |lab| {
                for (plural, name) in [(ROLES, "mirror"), (CACHES, "mirror")] {
                    terminal.set(terminal.get() || lab.ready(plural, "team-a", name).0 == "False");
                }
                is_all_ready(lab)
            })
            .await;
            assert!(!terminal.get(), "nothing that heals by itself is for a person to act on");
            let took = lab.since(start);
            assert!(took <= propagation * 3 / 2 + Duration::from_secs(3), "{seconds} s of propagation: {took:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 26 and 40: slow propagation in every order, and passes of either registry at any moment.
#[test]
fn in_whatever_order_the_parts_come_a_slow_iam_and_many_passes_do_no_harm() {
    for (seed, order) in (1_012..).zip(permutations()) {
        run(seed, async |lab| {
            lab.aws.world(|world| {
                world.set_propagation(Duration::from_secs(30));
                world.set_scope(B, REGION, Some(Scope::V2));
            });
            lab.apply(&namespace("team-a"));
            let parts = [registry("default", A), upstream(), mirror(), bare_cache()];
            for part in order {
                lab.apply(&parts[part]);
                lab.pass(Duration::from_millis(700)).await;
            }
            let (first, second) = if seed % 2 == 0 { ("default", "upstream") } else { ("upstream", "default") };
            for registry in [first, second, first, first, second, second].into_iter().cycle().take(20) {
                lab.reconcile_now(registry);
                lab.pass(Duration::from_secs(3)).await;
                for plural in [ROLES, CACHES] {
                    let (status, reason) = lab.ready(plural, "team-a", "mirror");
                    assert_ne!(status, "False", "{plural} {reason}: nothing that heals by itself is a person's");
                }
            }
            assert!(is_all_ready(lab), "{}", lab.describe());
            assert_eq!(roles_in(lab, A), 1);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 30 and 44: whatever goes first, all of it goes, Registries included, and nobody lends a hand.
#[test]
fn in_whatever_order_the_parts_are_deleted_all_of_it_goes() {
    let parts = [
        ("registries", "", "default"),
        ("registries", "", "upstream"),
        (ROLES, "team-a", "mirror"),
        (CACHES, "team-a", "mirror"),
    ];
    for order in permutations() {
        for apart in [Duration::ZERO, Duration::from_secs(20)] {
            run(1_040, async |lab| {
                two_registries(lab);
                apply_set(lab);
                until_all_ready(lab).await;
                for part in order {
                    let (plural, namespace, name) = parts[part];
                    lab.delete(plural, namespace, name);
                    if apart > Duration::ZERO {
                        lab.pass(apart).await;
                    }
                }
                lab.pass(Duration::from_secs(60)).await;
                let left: Vec<_> = parts.into_iter().filter(|(p, ns, name)| lab.exists(p, ns, name)).collect();
                assert!(left.is_empty(), "order {order:?}, {apart:?} apart: {left:?} stay\n{}", lab.describe());
                assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
                assert_eq!(prefixes(lab), Vec::<String>::new());
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Two registries that pull from each other: neither waits for the other for ever, in the making or in the end.
#[test]
fn two_registries_that_pull_from_each_other_come_and_go() {
    for together in [true, false] {
        run(1_041, async |lab| {
            two_registries(lab);
            lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
            let at = |object: Value, registry: &str| with(object, "/spec/registryRef", &json!({"name": registry}));
            let there = [("team-a", "mirror"), ("team-b", "back")];
            apply_set(lab);
            lab.apply(&at(role("team-b", "back", "default", &["tools/*"]), "upstream"));
            lab.apply(&at(cache_by_role("team-b", "back", "default", "back"), "upstream"));
            for plural in [ROLES, CACHES] {
                lab.until_ready_of(plural, &["team-a/mirror", "team-b/back"]).await;
            }
            lab.assert_at_rest().await;
            for (namespace, name) in there {
                for plural in [ROLES, CACHES] {
                    lab.delete(plural, namespace, name);
                }
                if !together {
                    lab.pass(Duration::from_secs(60)).await;
                    assert!(!lab.exists(ROLES, namespace, name), "{}", lab.describe());
                }
            }
            lab.until("all is gone", |lab| {
                there.iter().all(|(ns, name)| !lab.exists(ROLES, ns, name) && !lab.exists(CACHES, ns, name))
            })
            .await;
            assert_eq!((lab.statements(A), lab.statements(B)), (Vec::new(), Vec::new()));
            lab.assert_at_rest().await;
        });
    }
}

/// The upstream's pass has decided on its grant, and reads the policy that it will write over.
async fn until_about_to_grant(lab: &mut Lab) {
    two_registries(lab);
    lab.settle().await;
    let reads = |lab: &Lab| {
        lab.aws.world(|world| {
            let of_b = |call: &&aws_sim::Call| call.account.as_deref() == Some(B);
            world.calls().iter().filter(of_b).filter(|call| call.operation == "GetRegistryPolicy").count()
        })
    };
    let before = reads(lab);
    let slow = Fault::delay(Duration::from_secs(20)).on("GetRegistryPolicy").in_account(B);
    lab.aws.world(|world| world.inject(slow));
    lab.apply(&mirror());
    lab.until("the upstream's pass reads the policy", |lab| our_role(lab).is_some() && reads(lab) > before).await;
}

/// Behaviour 30: a pass that has decided to grant looks once more before it does. The role's own pass saw no grant to wait
/// for, and let it go meanwhile.
#[test]
fn a_role_that_goes_while_its_upstream_is_about_to_grant_leaves_no_grant() {
    run(1_300, async |lab| {
        until_about_to_grant(lab).await;
        delete_role(lab);
        until_role_gone(lab).await;
        assert!(our_role(lab).is_none());
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes("PutRegistryPolicy"), 0, "a grant to a role that is gone");
        assert_eq!(orphans(lab, "upstream"), "");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: the word of the role's own registry counts up to the moment of the grant.
#[test]
fn a_word_that_is_taken_back_while_the_upstream_is_about_to_grant_is_heard() {
    run(1_334, async |lab| {
        until_about_to_grant(lab).await;
        set_registry(lab, "default", "allow", &json!([]));
        lab.until("the role is gone", |lab| our_role(lab).is_none()).await;
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes("PutRegistryPolicy"), 0, "a grant that its owner had taken back");
        lab.assert_at_rest().await;
    });
}
