//! What tells whose a role or a grant is gets lost: ledgers, statuses, stores, finalizers, the object itself, or the
//! whole cluster (behaviours 17, 29, 41, 46). No grant is withdrawn by it, and nothing is left behind in the end.

use kube_sim::Kinds;

use super::*;
use crate::lab::CrashPoint;
use crate::lab::objects::pull;

/// What is lost while no operator runs.
#[derive(Clone, Copy, Debug)]
struct Lost {
    ledgers: &'static [&'static str],
    statuses: bool,
}

const LOSSES: [Lost; 7] = [
    Lost { ledgers: &["default"], statuses: false },
    Lost { ledgers: &["upstream"], statuses: false },
    Lost { ledgers: &["default", "upstream"], statuses: false },
    Lost { ledgers: &[], statuses: true },
    Lost { ledgers: &["default"], statuses: true },
    Lost { ledgers: &["upstream"], statuses: true },
    Lost { ledgers: &["default", "upstream"], statuses: true },
];

fn lose(lab: &Lab, lost: Lost) {
    for registry in lost.ledgers {
        lab.kube.edit(REGISTRIES, "", registry, |registry| registry["status"] = Value::Null).unwrap();
    }
    if lost.statuses {
        for plural in [ROLES, CACHES] {
            lab.kube.edit(plural, "team-a", "mirror", |object| object["status"] = Value::Null).unwrap();
        }
    }
}

/// Something that is in the way of the first passes after a loss, and its end.
struct Disturbance {
    name: &'static str,
    begin: fn(&Lab),
    end: fn(&Lab),
}

/// The role may be gone by now.
fn suspend(lab: &Lab, suspended: bool) {
    let _ = lab.kube.edit(ROLES, "team-a", "mirror", |role| role["spec"]["suspend"] = json!(suspended));
}

fn away(lab: &Lab, account: &str, outage: Option<Outage>) {
    lab.aws.world(|world| world.set_outage(account, outage));
}

const DISTURBANCES: [Disturbance; 6] = [
    Disturbance { name: "nothing", begin: |_| {}, end: |_| {} },
    Disturbance {
        name: "the role's account is away",
        begin: |lab| away(lab, A, Some(Outage::Reset)),
        end: |lab| away(lab, A, None),
    },
    Disturbance {
        name: "the upstream's account is away",
        begin: |lab| away(lab, B, Some(Outage::Reset)),
        end: |lab| away(lab, B, None),
    },
    Disturbance { name: "the role is suspended", begin: |lab| suspend(lab, true), end: |lab| suspend(lab, false) },
    Disturbance {
        name: "the Registry is observed",
        begin: |lab| set_registry(lab, "default", "management", &json!("Observe")),
        end: |lab| set_registry(lab, "default", "management", &json!("Enforce")),
    },
    Disturbance {
        name: "the upstream is suspended",
        begin: |lab| set_registry(lab, "upstream", "suspend", &json!(true)),
        end: |lab| set_registry(lab, "upstream", "suspend", &json!(false)),
    },
];

/// Behaviour 41: nothing goes and nothing is made anew; in the end all is on record as before.
#[test]
fn a_lost_ledger_takes_nothing_from_anybody() {
    let mut wrong = Vec::new();
    for Disturbance { name, begin, end } in DISTURBANCES {
        for lost in LOSSES {
            run(1_030, async |lab| {
                a_set(lab).await;
                let (since, before) = (mark(lab), in_aws(lab));
                lab.stop();
                lose(lab, lost);
                begin(lab);
                lab.start().await;
                lab.pass(INTERVAL).await;
                if in_aws(lab) != before {
                    wrong.push(format!("{name}, {lost:?}: changed meanwhile: {:#?}", in_aws(lab)));
                    return;
                }
                end(lab);
                lab.pass(LONG).await;
                if lost.statuses && lost.ledgers.contains(&"default") {
                    // A rule carries no mark: without a record and without a word of its object's it is anybody's.
                    assert_eq!(cache_ready(lab).1, "RuleConflict", "{name}, {lost:?}");
                    lab.set(CACHES, "team-a", "mirror", "/spec/adoption", &json!("IfIdentical"));
                    lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Delete"));
                    lab.pass(INTERVAL).await;
                }
                if !is_all_ready(lab) || in_aws(lab) != before {
                    wrong.push(format!("{name}, {lost:?}: {} {:#?}", message(lab), in_aws(lab)));
                    return;
                }
                lab.assert_at_rest().await;
                let writes = writes_since(lab, since);
                if !lost.statuses && !writes.is_empty() {
                    wrong.push(format!("{name}, {lost:?}: written for nothing: {writes:?}"));
                }
                delete_set(lab);
                until_set_gone(lab).await;
                if !is_nothing_left(lab) {
                    wrong.push(format!("{name}, {lost:?}: left {:#?}", in_aws(lab)));
                    return;
                }
                lab.assert_at_rest().await;
            });
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), DISTURBANCES.len() * LOSSES.len());
}

/// Behaviours 30 and 41: who is deleted after the loss, or was when it happened, takes all of it along.
#[test]
fn a_lost_ledger_leaves_nothing_of_who_is_being_deleted() {
    let mut wrong = Vec::new();
    for Disturbance { name, begin, end } in DISTURBANCES {
        for lost in LOSSES.into_iter().filter(|lost| !lost.statuses) {
            run(1_031, async |lab| {
                a_set(lab).await;
                lab.stop();
                lose(lab, lost);
                begin(lab);
                delete_set(lab);
                lab.start().await;
                lab.pass(Duration::from_secs(60)).await;
                end(lab);
                lab.pass(LONG).await;
                until_set_gone(lab).await;
                if !is_nothing_left(lab) {
                    wrong.push(format!("{name}, {lost:?}: {:#?}", in_aws(lab)));
                    return;
                }
                lab.assert_at_rest().await;
            });
        }
    }
    assert!(wrong.is_empty(), "{} went and left: {wrong:#?}", wrong.len());
}

/// Behaviour 41: a role says by its tags whose it is, and a statement by its Sid that it is ours: with everything else
/// lost, neither outlives its object in silence. A rule says nothing: it is anybody's, and keeps the role it pulls by
/// until somebody has removed it.
#[test]
fn who_is_deleted_with_ledgers_and_statuses_lost_leaves_nothing_unsaid() {
    for Disturbance { name, begin, end } in DISTURBANCES {
        for lost in LOSSES.into_iter().filter(|lost| lost.statuses) {
            run(1_032, async |lab| {
                a_set(lab).await;
                lab.stop();
                lose(lab, lost);
                delete_set(lab);
                begin(lab);
                lab.start().await;
                lab.pass(Duration::from_secs(60)).await;
                end(lab);
                lab.pass(LONG).await;
                if lost.ledgers.contains(&"default") {
                    let (told, message) = (reason(lab), message(lab));
                    assert_eq!(told, "DeletionBlocked", "{name}, {lost:?}: {message}");
                    let why = "The cache rule for prefix mirror still pulls by the role";
                    assert!(message.contains(why), "{name}, {lost:?}: {message}");
                    lab.aws.world(|world| world.delete_cache_rule(A, REGION, "mirror"));
                    lab.pass(INTERVAL).await;
                }
                until_set_gone(lab).await;
                assert!(our_role(lab).is_none(), "{name}, {lost:?}");
                let is_told = lab.statements(B).is_empty() || is_orphaned(lab, "upstream");
                assert!(is_told, "{name}, {lost:?}: left, and nobody says so");
            });
        }
    }
}

/// Behaviour 41: somebody new comes with the loss, and is written into the ledgers first. Nobody loses anything for it, and
/// what objects say of themselves is on record from that write on: a crash right after it leaves nothing unsaid.
#[test]
fn somebody_new_does_not_end_a_loss_for_the_others() {
    for calls in [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(8), Some(10), Some(12)] {
        run(1_051, async |lab| {
            a_set(lab).await;
            let (before, writes) = (in_aws(lab).0, lab.document_writes(B).len());
            lab.stop();
            lose(lab, Lost { ledgers: &["default", "upstream"], statuses: false });
            for (name, registry) in [("here", "default"), ("there", "upstream")] {
                lab.apply(&pull("team-b", name, registry, &["333333333333"], "tools/*"));
            }
            if let Some(call) = calls {
                lab.crash_at(CrashPoint { call: lab.calls() + call, after: true });
            }
            lab.start().await;
            lab.pass(Duration::from_secs(20)).await;
            lab.until_ready(&["team-b/here", "team-b/there"]).await;
            lab.pass(LONG).await;
            let arn = &before.as_ref().unwrap().arn;
            for (_, after) in &lab.document_writes(B)[writes..] {
                assert!(after.as_ref().is_some_and(|document| document.contains(arn.as_str())), "{calls:?}: {after:?}");
            }
            assert_eq!(in_aws(lab).0, before, "{calls:?}");
            assert!(is_all_ready(lab), "{calls:?}: {}", message(lab));
            lab.assert_at_rest().await;
            delete_set(lab);
            until_set_gone(lab).await;
            assert!(our_role(lab).is_none() && granted(lab).iter().all(|name| name == "tools/*"), "{calls:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 44: who never had anything waits for no account.
#[test]
fn who_never_had_a_role_goes_at_once_though_its_account_is_away() {
    run(1_039, async |lab| {
        away(lab, A, Some(Outage::Reset));
        two_registries(lab);
        lab.apply(&mirror());
        until_reason(lab, "Unreachable").await;
        lab.delete(ROLES, "team-a", "mirror");
        until_role_gone(lab).await;
        away(lab, A, None);
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

/// The Registry's name for itself in AWS's records, so that the clusters can be told apart.
fn named(lab: &Lab, session: &str) {
    for name in ["default", "upstream"] {
        set_registry(lab, name, "identity/sessionName", &json!(session));
    }
}

fn roles_of(lab: &Lab) -> Vec<Role> {
    let mark = lab.installation();
    lab.aws.world(|world| {
        let roles: Vec<_> = world.role_names(A).iter().filter_map(|name| world.role(A, name)).collect();
        let is_ours =
            |role: &Role| role.tags.get("ecr-permissions.dev/installation").is_some_and(|id| id == mark.as_str());
        roles.into_iter().filter(is_ours).collect()
    })
}

/// A second cluster with the same objects; its cache has a prefix of its own.
async fn settle_in(lab: &mut Lab, prefix: &str) {
    two_registries(lab);
    named(lab, "second");
    lab.apply(&mirror());
    lab.apply(&with(bare_cache(), "/spec/cachePrefix", &json!(prefix)));
    until_all_ready(lab).await;
    lab.settle().await;
}

/// Behaviour 17: alike in all but their cluster, each has a role, a grant and a rule of its own, and takes only that away.
#[test]
fn two_installations_on_the_same_accounts_keep_apart() {
    run(1_037, async |first| {
        first.rules.not_ours("second");
        a_set(first).await;
        let mut second = first.beside().await;
        settle_in(&mut second, "second").await;
        let (of_first, of_second) = (roles_of(first), roles_of(&second));
        assert_eq!((of_first.len(), of_second.len(), first.statements(B).len()), (1, 1, 2));
        first.settle().await;
        assert!(is_all_ready(first) && is_all_ready(&second), "{}\n{}", first.describe(), second.describe());
        delete_set(&second);
        until_set_gone(&mut second).await;
        second.settle().await;
        assert_eq!((roles_of(first), roles_of(&second)), (of_first, Vec::new()));
        assert_eq!(prefixes(first), ["mirror"]);
        until_all_ready(first).await;
        second.stop();
        first.assert_at_rest().await;
    });
}

/// Behaviour 17: a cluster that follows another takes its role over, if it is to have the same name and path, and the
/// grant without a gap.
#[test]
fn a_cluster_takes_over_the_role_of_the_one_before_it() {
    run(1_038, async |first| {
        first.rules.not_ours("second");
        let path = json!("/ptc/");
        let named_role = || with(mirror(), "/spec/roleName", &json!("mirror"));
        let begin = |lab: &Lab| {
            lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
            lab.apply(&namespace("team-a"));
            for registry in [registry("default", A), upstream()] {
                lab.apply(&with(registry, "/spec/roles/path", &path));
            }
            lab.apply(&named_role());
        };
        begin(first);
        first.until_ready_of(ROLES, &["team-a/mirror"]).await;
        first.settle().await;
        let role_of = |lab: &Lab| lab.aws.world(|world| world.role(A, "mirror")).unwrap();
        let before = role_of(first);
        first.stop();
        let mut second = first.beside().await;
        begin(&second);
        named(&second, "second");
        until_reason(&mut second, "RoleConflict").await;
        let message = message(&second);
        assert!(message.contains("takeOverInstallationIds"), "{message}");
        assert_eq!(role_of(&second), before);
        let since = second.aws.world(|world| world.calls().len());
        for name in ["default", "upstream"] {
            let ids = json!([first.installation().as_str()]);
            second.set(REGISTRIES, "", name, "/spec/takeOverInstallationIds", &ids);
        }
        second.until_ready_of(ROLES, &["team-a/mirror"]).await;
        second.settle().await;
        let after = role_of(&second);
        assert_eq!((after.id, after.trust), (before.id, before.trust), "it is the same role");
        assert_eq!(after.tags["ecr-permissions.dev/installation"], second.installation().as_str());
        second.aws.world(|world| {
            let writes = world.calls()[since..].iter().filter(|call| call.operation == "PutRegistryPolicy");
            for write in writes.filter_map(|call| call.write.as_ref()) {
                assert!(write.after.as_deref().unwrap_or_default().contains(&before.arn), "a gap: {write:?}");
            }
        });
        second.assert_at_rest().await;
        second.delete(ROLES, "team-a", "mirror");
        second.until("it is gone", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
        assert_eq!((second.aws.world(|world| world.role(A, "mirror")), second.statements(B)), (None, Vec::new()));
        second.assert_at_rest().await;
        second.stop();
    });
}
