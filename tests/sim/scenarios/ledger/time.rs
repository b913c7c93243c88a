//! Slices that are late, older or newer than the objects, written by two processes at once or cut off between two writes
//! (behaviours 42, 46, 51).

use super::*;

/// Behaviour 46: the ledger comes back older or newer than the objects.
#[test]
fn a_ledger_of_another_time_withdraws_nothing_that_is_asked_for() {
    for newer in [false, true] {
        run(1_404, async |lab| {
            lab.two_pulls(B, C).await;
            let old = slice(lab, "team-a");
            lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/repositories", &json!(["team-a/*", "tools/*"]));
            lab.until("it has grown", |lab| lab.is_ready(POLICIES, "team-a", "pull") && lab.may_pull(B, "tools/x"))
                .await;
            lab.settle().await;
            lab.stop();
            if newer {
                lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/repositories", &json!(["team-a/*"]));
            } else {
                lab.kube.edit(LEDGERS, "", &name(&old), |slice| slice["spec"] = old["spec"].clone()).unwrap();
            }
            lab.start().await;
            lab.settle().await;
            assert!(both_pull(lab) && lab.may_pull(B, "tools/x") != newer, "{newer}");
            assert!(lab.is_ready(POLICIES, "team-a", "pull"));
            lab.delete(POLICIES, "team-a", "pull");
            lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
            assert!(!lab.may_pull(B, "team-a/app") && !lab.may_pull(B, "tools/x") && lab.may_pull(C, "team-b/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 42 and 51: killed between any two writes of several slices.
#[test]
fn a_crash_between_slices_loses_nothing() {
    let mut call = 1;
    loop {
        let mut reached = true;
        for after in [false, true] {
            run(1_415, async |lab| {
                lab.two_pulls(B, C).await;
                lab.crash_at(crate::lab::CrashPoint { call: lab.calls() + call, after });
                for team in ["team-a", "team-b", "team-c"] {
                    lab.apply(&crate::lab::objects::namespace(team));
                    lab.apply(&pull(team, "more", "default", &[B, C], &format!("{team}/more/*")));
                }
                lab.delete(POLICIES, "team-a", "pull");
                lab.set(POLICIES, "team-b", "pull", "/spec/statements/0/principals/accountIds", &json!([B]));
                lab.pass(Duration::from_secs(60)).await;
                reached &= lab.crashed();
                lab.forget_crash();
                lab.until_ready(&["team-a/more", "team-b/more", "team-c/more", "team-b/pull"]).await;
                lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
                lab.settle().await;
                assert!(
                    !lab.may_pull(B, "team-a/app") && !lab.may_pull(C, "team-b/app") && lab.may_pull(B, "team-b/app")
                );
                assert!(registry_condition(lab, "Orphaned").is_empty(), "{call} {after}\n{}", lab.describe());
                let entries = lab.ledger("default");
                assert!(
                    entries.len() == 4 && entries.iter().all(|entry| entry["state"] == "Applied"),
                    "{call} {after}: {entries:?}"
                );
                lab.assert_at_rest().await;
            });
        }
        if !reached {
            return;
        }
        call += 1;
    }
}

/// Many objects of one namespace: slices of 64 KB, and an edit of one writes one of them.
#[test]
fn an_edit_of_one_object_writes_one_slice_of_many() {
    run(1_416, async |lab| {
        lab.two_teams();
        for i in 0..400 {
            lab.apply(&pull("team-a", &format!("pull-{i}"), "default", &[B], "team-a/*"));
        }
        lab.until("all are Ready", |lab| {
            lab.kube.list(POLICIES, "team-a").iter().all(|o| condition(o, "Ready").0 == "True")
        })
        .await;
        lab.settle().await;
        let of_team = |lab: &Lab| {
            lab.slices("default").into_iter().filter(|slice| slice["spec"]["namespace"] == "team-a").collect::<Vec<_>>()
        };
        let slices = of_team(lab);
        assert!(slices.len() > 1, "{}", slices.len());
        assert!(slices.iter().all(|slice| slice.to_string().len() < 100_000));
        let before: Vec<_> = slices.iter().map(|slice| slice["metadata"]["resourceVersion"].clone()).collect();
        lab.set(POLICIES, "team-a", "pull-7", "/spec/statements/0/principals/accountIds", &json!([B, C]));
        lab.until("it has grown", |lab| lab.may_pull(C, "team-a/app")).await;
        lab.settle().await;
        let after: Vec<_> = of_team(lab).iter().map(|slice| slice["metadata"]["resourceVersion"].clone()).collect();
        assert_eq!(before.iter().zip(&after).filter(|(before, after)| before != after).count(), 1);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 46: everything restored with new uids and times, with the ledger or without it.
#[test]
fn a_backup_with_or_without_the_ledger_withdraws_nothing() {
    for with_ledger in [true, false] {
        run(1_417, async |lab| {
            lab.two_pulls(B, C).await;
            let (backup, writes) = (lab.kube.snapshot(), lab.aws_writes_of(A));
            lab.stop();
            lab.kube.restore(&backup, Restore::Recreated { keep_status: false });
            if !with_ledger {
                lab.lose_ledger("default");
            }
            lab.start().await;
            lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
            lab.settle().await;
            assert_eq!((both_pull(lab), lab.aws_writes_of(A)), (true, writes));
            assert!(registry_condition(lab, "Orphaned").is_empty());
            lab.assert_at_rest().await;
        });
    }
}

/// A late watch of the ledger: what we made, changed and removed is known all the same.
#[test]
fn a_late_watch_of_slices_changes_nothing() {
    run(1_418, async |lab| {
        lab.two_pulls(B, C).await;
        lab.kube.freeze_watches(kube_sim::Kinds::only(&[LEDGERS]));
        lab.apply(&crate::lab::objects::namespace("team-c"));
        lab.apply(&pull("team-c", "new", "default", &[B], "team-c/*"));
        lab.until_ready(&["team-c/new"]).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        lab.apply(&pull("team-a", "again", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/again"]).await;
        lab.delete(POLICIES, "team-c", "new");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-c", "new")).await;
        assert!(!lab.may_pull(B, "team-c/app") && both_pull(lab));
        let writes = lab.kube.writes().iter().filter(|w| w.resource == LEDGERS && w.verb == Verb::Create).count();
        assert_eq!(writes, 5, "one for the records and one a namespace, one of them twice");
        lab.kube.thaw_watches();
        lab.assert_at_rest().await;
    });
}

/// Behaviours 42 and 51: two processes that both believe they lead write the same slices and the same document. Whoever
/// comes second to a slice decides again; nobody loses anything, and nothing is left behind.
#[test]
fn two_leaders_at_once_lose_nothing() {
    for seed in 0..8 {
        run(2_400 + seed, async |lab| {
            lab.two_pulls(B, C).await;
            lab.kube.set_latency(Duration::from_millis(5), Duration::from_millis(60));
            let second = lab.second_leader();
            let names: Vec<String> = (0..6).map(|i| format!("n{i}")).collect();
            for (i, name) in names.iter().enumerate() {
                for namespace in ["team-a", "team-b"] {
                    let account = format!("{}", 300_000_000_000_u64 + i as u64);
                    lab.apply(&pull(namespace, name, "default", &[&account], &format!("{namespace}/{name}")));
                }
                lab.pass(Duration::from_millis(700)).await;
                if i % 2 == 1 {
                    lab.delete(POLICIES, "team-a", name);
                    lab.set(POLICIES, "team-b", name, "/spec/statements/0/repositories", &json!(["team-b/edited"]));
                }
                lab.pass(Duration::from_millis(900)).await;
            }
            lab.pass(Duration::from_secs(120)).await;
            second.abort();
            lab.kube.set_latency(Duration::ZERO, Duration::ZERO);
            // Each is another writer to the other, so what was lost between them may come back after the contention alone.
            lab.pass(Duration::from_secs(1_800)).await;
            assert!(both_pull(lab), "{}", lab.describe());
            for (i, name) in names.iter().enumerate() {
                let account = format!("{}", 300_000_000_000_u64 + i as u64);
                assert_eq!(lab.exists(POLICIES, "team-a", name), i % 2 == 0, "{name}\n{}", lab.describe());
                assert_eq!(lab.may_pull(&account, &format!("team-a/{name}")), i % 2 == 0, "{name}\n{}", lab.describe());
                let repository = if i % 2 == 1 { "team-b/edited".to_owned() } else { format!("team-b/{name}") };
                assert!(lab.may_pull(&account, &repository), "{name}\n{}", lab.describe());
                assert!(lab.is_ready(POLICIES, "team-b", name), "{name}\n{}", lab.describe());
            }
            let registry = lab.kube.get("registries", "", "default").unwrap();
            for kind in ["Orphaned", "LedgerEdited", "SidTampered", "ContendedWriter"] {
                assert_eq!(condition(&registry, kind).0, "", "{kind}\n{}", lab.describe());
            }
            lab.assert_at_rest().await;
        });
    }
}
