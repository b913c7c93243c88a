//! What is merely not there gave nothing up: stores that show nothing, objects and finalizers that vanish (behaviours 41,
//! 46). What is left is reported, and goes by a person's word.

use kube_sim::Kinds;

use super::*;

/// Behaviour 41: objects that vanished gave nothing up. Both registries report what they keep of them.
async fn vanish(lab: &mut Lab, plurals: &[&str]) {
    let (since, before) = (mark(lab), in_aws(lab));
    for plural in plurals {
        lab.kube.vanish(plural, "team-a", "mirror").unwrap();
    }
    until_reported(lab).await;
    lab.pass(LONG).await;
    lab.assert_at_rest().await;
    assert_eq!((in_aws(lab), writes_since(lab, since)), (before, Vec::new()), "nobody said that it goes");
}

/// Behaviours 30 and 41: pruned in whatever order, the role waits for its grant, and nothing is left in the end.
#[test]
fn the_role_of_an_object_that_vanished_stays_until_it_is_pruned() {
    for (cache_vanishes, apart) in [(true, INTERVAL), (false, INTERVAL), (false, Duration::from_secs(30))] {
        for order in [["default", "upstream"], ["upstream", "default"]] {
            run(1_035, async |lab| {
                mirroring(lab).await;
                if cache_vanishes {
                    vanish(lab, &[CACHES, ROLES]).await;
                } else {
                    delete_cache(lab);
                    until_cache_gone(lab).await;
                    vanish(lab, &[ROLES]).await;
                }
                for registry in order {
                    prune(lab, registry);
                    lab.pass(apart).await;
                }
                lab.pass(LONG).await;
                assert!(is_nothing_left(lab), "{order:?}, {apart:?} apart\n{}", lab.describe());
                for registry in order {
                    assert_eq!(orphans(lab, registry), "", "{order:?}, {apart:?} apart");
                }
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviours 41 and 46: the object comes back from a backup, with another uid and another time.
#[test]
fn an_object_that_comes_back_has_what_it_had() {
    for (plurals, restarted) in [(&[CACHES, ROLES][..], false), (&[CACHES, ROLES], true), (&[ROLES], false)] {
        run(1_036, async |lab| {
            mirroring(lab).await;
            vanish(lab, plurals).await;
            assert_pulls(lab, "base/app");
            let (since, before) = (mark(lab), in_aws(lab));
            if restarted {
                lab.stop();
            }
            lab.apply(&mirror());
            lab.apply(&cache());
            if restarted {
                lab.start().await;
            }
            until_all_ready(lab).await;
            let is_missed = |lab: &Lab| is_orphaned(lab, "default") || is_orphaned(lab, "upstream");
            lab.until("nobody is missed", |lab| !is_missed(lab)).await;
            lab.assert_at_rest().await;
            assert_eq!((in_aws(lab), writes_since(lab, since)), (before, Vec::new()));
        });
    }
}

/// Behaviour 41: a finalizer that somebody takes away comes back; what the object has is not touched.
#[test]
fn a_finalizer_that_is_stripped_comes_back() {
    run(1_034, async |lab| {
        a_set(lab).await;
        let before = in_aws(lab);
        for (plural, namespace, name) in
            [(ROLES, "team-a", "mirror"), (REGISTRIES, "", "default"), (REGISTRIES, "", "upstream")]
        {
            lab.kube.edit(plural, namespace, name, |o| o["metadata"]["finalizers"] = json!([])).unwrap();
            lab.until("it is back", |lab| {
                !crate::lab::list(&lab.kube.get(plural, namespace, name).unwrap()["metadata"]["finalizers"]).is_empty()
            })
            .await;
        }
        assert_eq!(in_aws(lab), before);
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: stores that show nothing, and show all again.
#[test]
fn emptied_stores_withdraw_nothing() {
    for kinds in [&[ROLES][..], &[ROLES, CACHES], &["namespaces"], &[REGISTRIES], &[ROLES, CACHES, REGISTRIES]] {
        for announced in [false, true] {
            run(1_033, async |lab| {
                a_set(lab).await;
                let before = in_aws(lab);
                lab.kube.empty(&Kinds::only(kinds), announced);
                lab.kube.relist(&Kinds::All);
                lab.pass(LONG).await;
                assert_eq!(in_aws(lab), before, "{kinds:?}, announced: {announced}");
                lab.kube.refill(&Kinds::only(kinds));
                lab.kube.relist(&Kinds::All);
                lab.pass(INTERVAL).await;
                assert!(is_all_ready(lab), "{kinds:?}, announced: {announced}\n{}", lab.describe());
                assert_eq!(in_aws(lab), before, "{kinds:?}, announced: {announced}");
                lab.assert_at_rest().await;
            });
        }
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
        assert_eq!(
            (roles_in(lab, A), roles_in(lab, B), lab.policy(A), lab.policy(B)),
            (0, 0, None, None),
            "{}",
            lab.describe()
        );
        assert_eq!((orphans(lab, "default"), orphans(lab, "upstream")), (String::new(), String::new()));
        lab.assert_at_rest().await;
    });
}
