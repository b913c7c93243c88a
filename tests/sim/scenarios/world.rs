//! The cluster's world is partial, old, restored or gone: no grant is withdrawn that nobody was seen to give up.

use std::time::Duration;

use kube_sim::{Fault, Kinds, Matching, Phase, Restore, Verb};
use serde_json::{Value, json};

use crate::lab::objects::{GRANTS, POLICIES, condition, grant, namespace, pull, registry};
use crate::lab::{A, B, Lab, REGION, run};

const C: &str = "444444444444";
const D: &str = "555555555555";
const WAIT: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_secs(301);

/// Two teams, three objects, all Ready and at rest.
async fn standing(lab: &mut Lab) {
    lab.two_teams();
    lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
    lab.apply(&pull("team-b", "pull", "default", &[C], "team-b/*"));
    lab.apply(&grant("team-b", "mirror", "default", &[D], "mirror/*"));
    lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
    lab.until("the grant is Ready", |lab| lab.is_ready(GRANTS, "team-b", "mirror")).await;
    lab.settle().await;
}

fn all_granted(lab: &Lab) -> bool {
    lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app") && lab.may(D, "ecr:ReplicateImage", "mirror/app", A)
}

/// Reasons of the Registry's `Orphaned`, and its message.
fn orphaned(lab: &Lab) -> Option<String> {
    let registry = lab.kube.get("registries", "", "default").unwrap();
    (condition(&registry, "Orphaned").0 == "True").then(|| lab.message("registries", "", "default", "Orphaned"))
}

/// The token that the Registry prints for a prune.
fn token(lab: &Lab) -> String {
    lab.prune_token("default")
}

/// Nobody's access changed, and AWS was not even written.
async fn nothing_was_withdrawn(lab: &mut Lab, writes: usize) {
    lab.pass(WAIT).await;
    lab.pass(INTERVAL).await;
    assert!(all_granted(lab), "{}", lab.describe());
    assert_eq!(lab.aws_writes_of(A), writes, "AWS was written\n{}", lab.describe());
}

/// Behaviour 41.
#[test]
fn a_frozen_watch_withdraws_nothing_and_is_caught_up_with() {
    run(1, async |lab| {
        standing(lab).await;
        let writes = lab.aws_writes_of(A);
        lab.kube.freeze_watches(Kinds::All);
        // A list would show what the watches hold back.
        let lists = Matching::any().verb(Verb::List);
        lab.kube.inject(lists, 1, u32::MAX, Fault::Error(403, Phase::Before));
        lab.delete(POLICIES, "team-a", "pull");
        lab.apply(&pull("team-b", "pull", "default", &[D], "team-b/*"));
        nothing_was_withdrawn(lab, writes).await;
        lab.kube.clear_faults();
        lab.kube.thaw_watches();
        lab.until("the deletion is seen", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        lab.until_ready(&["team-b/pull"]).await;
        assert!(!lab.may_pull(B, "team-a/app") && !lab.may_pull(C, "team-b/app") && lab.may_pull(D, "team-b/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41, kind by kind.
#[test]
fn a_relist_changes_nothing() {
    run(2, async |lab| {
        standing(lab).await;
        let writes = lab.aws_writes_of(A);
        let before = lab.all_objects();
        for kind in ["registries", POLICIES, GRANTS, "namespaces"] {
            lab.kube.relist(&Kinds::only(&[kind]));
            lab.pass(WAIT).await;
        }
        lab.kube.relist(&Kinds::All);
        nothing_was_withdrawn(lab, writes).await;
        assert_eq!(lab.all_objects(), before);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: each kind in turn, with the deletions announced, found by a relist, and met by a fresh process.
#[test]
fn an_emptied_store_withdraws_nothing() {
    for kind in ["registries", POLICIES, GRANTS, "namespaces"] {
        for how in ["announced", "relisted", "restarted"] {
            run(3, async |lab| {
                standing(lab).await;
                let writes = lab.aws_writes_of(A);
                let emptied = Kinds::only(&[kind]);
                lab.kube.empty(&emptied, how == "announced");
                match how {
                    "relisted" => lab.kube.relist(&emptied),
                    "restarted" => lab.restart().await,
                    _ => {}
                }
                nothing_was_withdrawn(lab, writes).await;
                let reason = match kind {
                    "registries" => "RegistryNotFound",
                    "namespaces" => "NamespaceNotSeen",
                    _ => "Succeeded",
                };
                let object = if kind == POLICIES { (GRANTS, "team-b", "mirror") } else { (POLICIES, "team-b", "pull") };
                assert_eq!(lab.ready(object.0, object.1, object.2).1, reason, "{kind} {how}");
                assert_eq!(orphaned(lab).is_some(), [POLICIES, GRANTS].contains(&kind), "{kind} {how}");
                lab.kube.refill(&emptied);
                lab.kube.relist(&emptied);
                nothing_was_withdrawn(lab, writes).await;
                assert_eq!(orphaned(lab), None, "{kind} {how}");
                assert!(lab.is_ready(POLICIES, "team-a", "pull") && lab.is_ready(GRANTS, "team-b", "mirror"));
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviour 41: what is wanted while a store is empty is not lost, and a deletion seen then still counts.
#[test]
fn while_one_kind_is_not_seen_the_others_are_served() {
    run(4, async |lab| {
        standing(lab).await;
        lab.kube.empty(&Kinds::only(&[GRANTS]), true);
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until_ready(&["team-a/more"]).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app") && lab.may(D, "ecr:ReplicateImage", "mirror/app", A));
        lab.kube.refill(&Kinds::only(&[GRANTS]));
        lab.assert_at_rest().await;
        assert_eq!(orphaned(lab), None);
    });
}

/// Behaviour 41: etcd comes back as it was before an object was made; what that object had is nobody's, and stays.
#[test]
fn an_older_etcd_turns_what_was_made_since_into_orphans() {
    for how in [Restore::Etcd, Restore::EtcdBlind] {
        run(5, async |lab| {
            standing(lab).await;
            let before = lab.kube.snapshot();
            lab.apply(&pull("team-a", "later", "default", &["777777777777"], "later/*"));
            lab.until_ready(&["team-a/later"]).await;
            lab.settle().await;
            let writes = lab.aws_writes_of(A);
            lab.kube.restore(&before, how);
            nothing_was_withdrawn(lab, writes).await;
            if how == Restore::EtcdBlind {
                // A watch that waits for a revision to come again learns of the restore when it is opened anew.
                lab.restart().await;
                nothing_was_withdrawn(lab, writes).await;
            }
            assert!(lab.may_pull("777777777777", "later/app"));
            assert!(orphaned(lab).is_some(), "{how:?}\n{}", lab.describe());
            lab.assert_at_rest().await;
            // Made again, it takes back what it had.
            lab.apply(&pull("team-a", "later", "default", &["777777777777"], "later/*"));
            lab.until_ready(&["team-a/later"]).await;
            lab.settle().await;
            assert_eq!(lab.aws_writes_of(A), writes, "{}", lab.describe());
            assert_eq!(orphaned(lab), None);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 41 and 46: etcd comes back as it was before an object was deleted; the object is there again, and served.
#[test]
fn an_older_etcd_brings_a_deleted_object_back() {
    run(6, async |lab| {
        standing(lab).await;
        let before = lab.kube.snapshot();
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app"));
        lab.kube.restore(&before, Restore::Etcd);
        lab.pass(WAIT).await;
        lab.settle().await;
        lab.until("it is served again", |lab| {
            lab.may_pull(B, "team-a/app") && lab.is_ready(POLICIES, "team-a", "pull")
        })
        .await;
        lab.assert_at_rest().await;
    });
}

/// Somebody else's statement that leaves room for one of ours.
fn nearly_full() -> String {
    let resources: Vec<_> = (0..180).map(|n| format!("arn:aws:ecr:eu-west-1:{A}:repository/r{n:03}")).collect();
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::333333333333:root"},
        "Action": "ecr:ReplicateImage", "Resource": resources,
    }]})
    .to_string()
}

/// Behaviour 46: with and without statuses, a restored backup decides no conflict anew and writes nothing.
#[test]
fn a_restored_backup_decides_no_conflict_anew() {
    for keep_status in [true, false] {
        run(7, async |lab| {
            lab.aws.world(|world| world.put_policy(A, REGION, &nearly_full()));
            lab.apply(&registry("default", A));
            // The incumbent comes first, whatever it is called.
            let accounts = ["444444444444", "555555555555", "666666666666", "777777777777", "888888888888"];
            for team in ["team-k", "team-a", "team-z"] {
                lab.apply(&namespace(team));
                lab.apply(&pull(team, "pull", "default", &accounts, &format!("{team}/*")));
                let reason = if team == "team-k" { "Succeeded" } else { "PolicyTooLarge" };
                lab.until_reason(POLICIES, team, "pull", reason).await;
                lab.pass(WAIT).await;
            }
            // Another Registry for the same account, which the alphabet prefers.
            lab.apply(&registry("another", A));
            lab.until_reason("registries", "", "another", "DuplicateRegistry").await;
            lab.settle().await;
            let writes = lab.aws_writes_of(A);
            let backup = lab.kube.snapshot();
            lab.kube.restore(&backup, Restore::Recreated { keep_status });
            lab.pass(WAIT).await;
            lab.pass(INTERVAL).await;
            assert!(lab.is_ready(POLICIES, "team-k", "pull"), "{}", lab.describe());
            for team in ["team-a", "team-z"] {
                assert_eq!(lab.ready(POLICIES, team, "pull").1, "PolicyTooLarge", "{}", lab.describe());
            }
            assert_eq!(lab.ready("registries", "", "another").1, "DuplicateRegistry", "{}", lab.describe());
            assert_eq!(orphaned(lab), None);
            lab.assert_at_rest().await;
            assert_eq!(lab.aws_writes_of(A), writes, "{}", lab.describe());
        });
    }
}

/// Behaviour 46, while no operator runs, as a new cluster would be filled.
#[test]
fn a_backup_restored_before_the_operator_starts_writes_nothing() {
    for keep_status in [true, false] {
        run(8, async |lab| {
            standing(lab).await;
            let writes = lab.aws_writes_of(A);
            lab.stop();
            let backup = lab.kube.snapshot();
            lab.kube.restore(&backup, Restore::Recreated { keep_status });
            lab.start().await;
            nothing_was_withdrawn(lab, writes).await;
            assert!(lab.is_ready(POLICIES, "team-a", "pull") && lab.is_ready(GRANTS, "team-b", "mirror"));
            assert_eq!(orphaned(lab), None);
            lab.assert_at_rest().await;
            assert_eq!(lab.aws_writes_of(A), writes);
        });
    }
}

/// Behaviour 41: nobody was seen to delete it.
#[test]
fn an_object_that_vanished_is_an_orphan_until_it_is_pruned() {
    for stripped in [false, true] {
        run(9, async |lab| {
            standing(lab).await;
            let writes = lab.aws_writes_of(A);
            if stripped {
                // Somebody takes the finalizer off an object that is being deleted, before the operator comes to it.
                lab.stop();
                lab.delete(POLICIES, "team-a", "pull");
                let strip = |object: &mut Value| object["metadata"]["finalizers"] = json!([]);
                lab.kube.edit(POLICIES, "team-a", "pull", strip).unwrap();
                assert!(!lab.exists(POLICIES, "team-a", "pull"));
                lab.start().await;
            } else {
                lab.kube.vanish(POLICIES, "team-a", "pull").unwrap();
            }
            nothing_was_withdrawn(lab, writes).await;
            let message = orphaned(lab).unwrap();
            assert!(message.contains("RegistryPolicy/team-a/pull"), "{message}");
            lab.assert_at_rest().await;

            // A wrong token does nothing.
            lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", "abcdefghijklmnop");
            nothing_was_withdrawn(lab, writes).await;
            assert!(orphaned(lab).is_some());

            let token = token(lab);
            lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", &token);
            lab.until("the orphan is pruned", |lab| !lab.may_pull(B, "team-a/app")).await;
            lab.settle().await;
            assert!(lab.may_pull(C, "team-b/app") && lab.may(D, "ecr:ReplicateImage", "mirror/app", A));
            assert_eq!(orphaned(lab), None);
            assert_eq!(lab.aws_writes_of(A), writes + 1);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 41: a prune was decided on one set of orphans, and removes no other.
#[test]
fn an_old_token_prunes_nothing_that_came_later() {
    run(10, async |lab| {
        standing(lab).await;
        let writes = lab.aws_writes_of(A);
        lab.kube.vanish(POLICIES, "team-b", "pull").unwrap();
        lab.until("it is reported", |lab| orphaned(lab).is_some()).await;
        let old = token(lab);
        lab.kube.vanish(GRANTS, "team-b", "mirror").unwrap();
        lab.until("both are reported", |lab| token(lab) != old).await;
        lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", &old);
        nothing_was_withdrawn(lab, writes).await;
        lab.assert_at_rest().await;
        let both = token(lab);
        // What another namespace loses meanwhile is a set of its own.
        lab.kube.vanish(POLICIES, "team-a", "pull").unwrap();
        lab.until("it is reported too", |lab| token(lab).contains(',')).await;
        lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", &both);
        let mirrors = |lab: &Lab| lab.may(D, "ecr:ReplicateImage", "mirror/app", A);
        lab.until("both are pruned", |lab| !lab.may_pull(C, "team-b/app") && !mirrors(lab)).await;
        // The annotation stays, and prunes nothing that becomes an orphan afterwards.
        lab.apply(&pull("team-b", "pull", "default", &[C], "team-b/*"));
        lab.until_ready(&["team-b/pull"]).await;
        lab.kube.vanish(POLICIES, "team-b", "pull").unwrap();
        lab.pass(INTERVAL).await;
        assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app"), "{}", lab.describe());
        assert!(orphaned(lab).is_some());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: an orphan's object is made again and has everything back, without a gap.
#[test]
fn an_object_made_again_takes_its_orphan_back() {
    run(11, async |lab| {
        standing(lab).await;
        let writes = lab.aws_writes_of(A);
        lab.kube.vanish(POLICIES, "team-a", "pull").unwrap();
        lab.until("it is reported", |lab| orphaned(lab).is_some()).await;
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        nothing_was_withdrawn(lab, writes).await;
        assert_eq!(orphaned(lab), None);
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: the Registry's status is lost, with and without those of the objects.
#[test]
fn a_lost_ledger_withdraws_nothing_and_is_written_again() {
    for all in [false, true] {
        for restarted in [false, true] {
            run(12, async |lab| {
                standing(lab).await;
                let ledger = lab.ledger("default");
                let writes = lab.aws_writes_of(A);
                lab.stop();
                if restarted {
                    lose_status(lab, all);
                    lab.start().await;
                } else {
                    lab.start().await;
                    lab.settle().await;
                    lose_status(lab, all);
                }
                nothing_was_withdrawn(lab, writes).await;
                let again = lab.ledger("default");
                assert_eq!(again, ledger, "the ledger is as it was\n{}", lab.describe());
                assert_eq!(orphaned(lab), None);
                lab.assert_at_rest().await;
            });
        }
    }
}

fn lose_status(lab: &Lab, all: bool) {
    let lose = |plural: &str, namespace: &str, name: &str| {
        let wipe = |object: &mut Value| drop(object.as_object_mut().unwrap().shift_remove("status"));
        lab.kube.edit(plural, namespace, name, wipe).unwrap();
    };
    lab.lose_ledger("default");
    lose("registries", "", "default");
    if all {
        lose(POLICIES, "team-a", "pull");
        lose(POLICIES, "team-b", "pull");
        lose(GRANTS, "team-b", "mirror");
    }
}

/// Behaviour 41: the ledger is lost, and an object deleted while nobody looked: its own status says what it had.
#[test]
fn a_deletion_is_carried_out_without_a_ledger() {
    run(13, async |lab| {
        standing(lab).await;
        lab.stop();
        lose_status(lab, false);
        lab.delete(POLICIES, "team-a", "pull");
        lab.start().await;
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        lab.settle().await;
        assert!(!lab.may_pull(B, "team-a/app"), "{}", lab.describe());
        assert!(lab.may_pull(C, "team-b/app") && lab.may(D, "ecr:ReplicateImage", "mirror/app", A));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: the Registry itself is made anew, by name: its objects keep everything.
#[test]
fn a_registry_that_vanished_and_comes_back_withdraws_nothing() {
    run(14, async |lab| {
        standing(lab).await;
        let writes = lab.aws_writes_of(A);
        lab.kube.vanish("registries", "", "default").unwrap();
        lab.until("its objects say so", |lab| lab.ready(POLICIES, "team-a", "pull").1 == "RegistryNotFound").await;
        assert!(all_granted(lab));
        lab.apply(&registry("default", A));
        nothing_was_withdrawn(lab, writes).await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull") && lab.is_ready(GRANTS, "team-b", "mirror"));
        assert_eq!(orphaned(lab), None);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 40: the Registry comes last, its account's role later still.
#[test]
fn objects_may_come_before_their_registry() {
    run(15, async |lab| {
        lab.apply(&pull("team-a", "pull", "late", &[B], "team-a/*"));
        lab.apply(&grant("team-b", "mirror", "late", &[D], "mirror/*"));
        lab.until_reason(POLICIES, "team-a", "pull", "RegistryNotFound").await;
        assert_eq!(lab.ready(POLICIES, "team-a", "pull").0, "Unknown");
        lab.assert_at_rest().await;
        lab.apply(&registry("late", A));
        lab.until_reason(POLICIES, "team-a", "pull", "NotAllowed").await;
        lab.apply(&namespace("team-a"));
        lab.apply(&namespace("team-b"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.until("both are Ready", |lab| lab.is_ready(GRANTS, "team-b", "mirror")).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviours 41 and 34: a namespace that is not seen revokes nothing, one that is seen without its label does.
#[test]
fn a_namespace_that_is_not_seen_is_no_revocation() {
    run(16, async |lab| {
        standing(lab).await;
        let writes = lab.aws_writes_of(A);
        lab.kube.empty(&Kinds::only(&["namespaces"]), true);
        lab.until_reason(POLICIES, "team-a", "pull", "NamespaceNotSeen").await;
        lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/principals/accountIds", &json!([B, D]));
        lab.until_reason(POLICIES, "team-a", "pull", "NamespaceNotSeen").await;
        nothing_was_withdrawn(lab, writes).await;
        assert!(!lab.may_pull(D, "team-a/app"), "nothing new without consent");
        lab.kube.refill(&Kinds::only(&["namespaces"]));
        lab.until_ready(&["team-a/pull"]).await;
        lab.kube.edit("namespaces", "", "team-a", |n| n["metadata"]["labels"] = json!({})).unwrap();
        lab.until("the access is gone", |lab| !lab.may_pull(B, "team-a/app")).await;
        lab.assert_at_rest().await;
    });
}
