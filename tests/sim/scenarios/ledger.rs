//! The ledger in other hands: slices deleted, edited, cut, in conflict, refused, of another installation or version. Nothing is
//! withdrawn on a doubtful word, nobody else notices, and all of it is told (behaviours 41, 46, 51).

use std::time::Duration;

use kube_sim::{Fault, Matching, Phase, Restore, Verb};
use serde_json::{Value, json};

use crate::lab::ledger::LEDGERS;
use crate::lab::objects::{CACHES, POLICIES, REGISTRIES, cache, condition, pull, registry, with};
use crate::lab::{A, B, Lab, list, run};

const C: &str = "333333333333";
const INTERVAL: Duration = Duration::from_secs(310);

/// Changes the spec of a slice.
type Edit = fn(&mut Value);

/// Two teams, each with an object, at rest.
async fn two_objects(lab: &mut Lab) {
    lab.two_teams();
    lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
    lab.apply(&pull("team-b", "pull", "default", &[C], "team-b/*"));
    lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
    lab.settle().await;
}

fn both_pull(lab: &Lab) -> bool {
    lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app")
}

fn name(of: &Value) -> String {
    of["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The slice of a namespace.
fn slice(lab: &Lab, namespace: &str) -> Value {
    lab.slices("default").into_iter().find(|slice| slice["spec"]["namespace"] == namespace).unwrap_or_default()
}

/// Changes a slice as somebody with every right would.
fn edit(lab: &Lab, namespace: &str, change: impl Fn(&mut Value)) {
    let name = name(&slice(lab, namespace));
    lab.kube.edit(LEDGERS, "", &name, |slice| change(&mut slice["spec"])).unwrap();
}

/// The texts of all entries, without uids.
fn entries(lab: &Lab) -> Vec<String> {
    let mut all: Vec<_> =
        lab.ledger("default").iter().map(|e| with(e.clone(), "/uid", &Value::Null).to_string()).collect();
    all.sort();
    all
}

fn registry_condition(lab: &Lab, kind: &str) -> String {
    condition(&lab.kube.get(REGISTRIES, "", "default").unwrap(), kind).0
}

/// Faults of slice writes of one namespace, and how they are told apart from others: by the name of its slices.
fn hit(lab: &Lab, namespace: &str, fault: Fault) {
    let name = name(&slice(lab, namespace));
    let prefix = name.rsplit_once('-').unwrap().0;
    lab.kube.inject(Matching::writes().resource(LEDGERS).name_prefix(prefix), 1, 1_000, fault);
}

/// Behaviour 51: a slice that is deleted by hand, while the operator runs or not: its entries stand in another, then it goes.
#[test]
fn slices_that_are_deleted_by_hand_lose_nothing() {
    for running in [true, false] {
        run(1_400, async |lab| {
            two_objects(lab).await;
            let (before, writes) = (entries(lab), lab.aws_writes_of(A));
            if !running {
                lab.stop();
            }
            let names: Vec<_> = lab.slices("default").iter().map(name).collect();
            for name in &names {
                lab.delete(LEDGERS, "", name);
            }
            assert_eq!(lab.slices("default").len(), names.len(), "the finalizer keeps them readable");
            if !running {
                lab.start().await;
            }
            lab.until("they are gone", |lab| !lab.slices("default").iter().any(|slice| names.contains(&name(slice))))
                .await;
            assert_eq!((entries(lab), lab.aws_writes_of(A)), (before, writes));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 51: entries that somebody changed, cut or made up are claims at most; the slice is written anew and it is told.
#[test]
fn an_edited_slice_withdraws_nothing_and_is_written_anew() {
    let changes: [(&str, Edit); 4] = [
        ("another's grant", |spec| {
            let text = spec["entries"][0]["data"].as_str().unwrap().replace(B, C).replace("team-a/", "team-b/");
            spec["entries"][0]["data"] = text.into();
        }),
        ("cut", |spec| spec["entries"] = json!([])),
        ("no JSON", |spec| spec["entries"][0]["data"] = "{".into()),
        ("made up", |spec| {
            let made_up =
                json!({"kind": "RegistryPolicy", "name": "gone", "part": 0, "data": spec["entries"][0]["data"]});
            spec["entries"].as_array_mut().unwrap().push(made_up);
        }),
    ];
    for (what, change) in changes {
        for restarted in [false, true] {
            run(1_401, async |lab| {
                two_objects(lab).await;
                let (before, writes) = (entries(lab), lab.aws_writes_of(A));
                if restarted {
                    lab.stop();
                }
                edit(lab, "team-a", change);
                if restarted {
                    lab.start().await;
                }
                lab.settle().await;
                assert!(
                    lab.events().contains(&("default".to_owned(), "LedgerEdited".to_owned())),
                    "{what} is not told"
                );
                assert!(both_pull(lab), "{what}");
                assert_eq!(lab.aws_writes_of(A), writes, "{what}");
                if what == "made up" {
                    // What belongs to nobody who is there is a person's to decide on.
                    assert!(
                        lab.message(REGISTRIES, "", "default", "Orphaned").contains("team-a/gone"),
                        "{}",
                        lab.describe()
                    );
                    let token = lab.prune_token("default");
                    lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
                    lab.until("it is pruned", |lab| registry_condition(lab, "Orphaned").is_empty()).await;
                }
                assert_eq!(entries(lab), before, "{what}");
                assert!(both_pull(lab) && registry_condition(lab, "LedgerEdited").is_empty(), "{what}");
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviour 51, faults of one namespace's slices: its objects do not grow, and nobody else notices.
#[test]
fn a_slice_that_cannot_be_written_concerns_its_namespace_alone() {
    for fault in [
        Fault::Error(409, Phase::Before),
        Fault::Error(500, Phase::Before),
        Fault::Error(413, Phase::Before),
        Fault::Hang(Phase::Before),
        Fault::Hang(Phase::After),
    ] {
        run(1_402, async |lab| {
            two_objects(lab).await;
            hit(lab, "team-a", fault);
            lab.apply(&pull("team-a", "more", "default", &[C], "team-a/more/*"));
            lab.apply(&pull("team-b", "more", "default", &[B], "team-b/more/*"));
            lab.delete(POLICIES, "team-b", "pull");
            let asked = lab.clock.now();
            lab.until("team-b is served", |lab| {
                lab.is_ready(POLICIES, "team-b", "more") && !lab.exists(POLICIES, "team-b", "pull")
            })
            .await;
            assert!(lab.since(asked) < Duration::from_secs(15), "{fault:?}: {:?}", lab.since(asked));
            assert!(!lab.may_pull(C, "team-b/app") && lab.may_pull(B, "team-b/more/app"), "{fault:?}");
            if fault != Fault::Hang(Phase::After) {
                assert!(!lab.may_pull(C, "team-a/more/app"), "{fault:?}: granted on no record");
                assert_eq!(lab.ready(POLICIES, "team-a", "more").0, "Unknown", "{fault:?}");
            }
            assert!(lab.may_pull(B, "team-a/app"), "{fault:?}");
            lab.kube.clear_faults();
            lab.until_ready(&["team-a/more"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 51 and rule 11: what narrows needs no record.
#[test]
fn who_cannot_be_put_on_record_can_be_narrowed() {
    run(1_403, async |lab| {
        two_objects(lab).await;
        hit(lab, "team-a", Fault::Error(500, Phase::Before));
        lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/repositories", &json!(["team-a/app"]));
        lab.until("it is narrowed", |lab| !lab.may_pull(B, "team-a/other")).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is withdrawn", |lab| !lab.may_pull(B, "team-a/app")).await;
        lab.pass(Duration::from_secs(5)).await;
        assert!(lab.exists(POLICIES, "team-a", "pull"), "AWS, entry, finalizer: in this order");
        lab.kube.clear_faults();
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 46: the ledger comes back older or newer than the objects.
#[test]
fn a_ledger_of_another_time_withdraws_nothing_that_is_asked_for() {
    for newer in [false, true] {
        run(1_404, async |lab| {
            two_objects(lab).await;
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

/// Another cluster's ledger (a backup restored here) is kept, told, and never acted on.
#[test]
fn the_ledger_of_another_installation_is_kept_and_told() {
    run(1_405, async |lab| {
        two_objects(lab).await;
        let mut theirs = slice(lab, "team-a");
        theirs["spec"]["installationId"] = "aaaaaaaaaa".into();
        theirs["metadata"] = json!({"name": "theirs"});
        let data = theirs["spec"]["entries"][0]["data"].as_str().unwrap().to_owned();
        theirs["spec"]["entries"] = json!([{"kind": "RegistryPolicy", "name": "gone", "part": 0, "data": data}]);
        lab.apply(&theirs);
        lab.until("it is told", |lab| registry_condition(lab, "ForeignLedger") == "True").await;
        lab.assert_at_rest().await;
        assert!(registry_condition(lab, "Orphaned").is_empty(), "it speaks for nobody here");
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app"));
        assert!(lab.exists(LEDGERS, "", "theirs"));
        lab.assert_at_rest().await;
    });
}

/// A newer version's kinds and states are nobody's here: kept as they stand, and no token names them.
#[test]
fn what_a_newer_version_wrote_stays_as_it_is() {
    run(1_406, async |lab| {
        two_objects(lab).await;
        let installation = lab.installation();
        lab.stop();
        let name = name(&slice(lab, "team-a"));
        let mut object: ecr_permissions_core::api::RegistryLedger =
            serde_json::from_value(lab.kube.get(LEDGERS, "", &name).unwrap()).unwrap();
        let mut newer = object.spec.entries[0].clone();
        newer.kind = "Vault".to_owned();
        object.spec.entries.push(newer);
        object.spec.entries[0].data = "[7]".to_owned();
        let mut resealed = ecr_permissions_core::pass::ledger::Slice::of(object);
        resealed.digest = resealed.spec().digest;
        lab.kube
            .edit(LEDGERS, "", &name, |slice| slice["spec"] = serde_json::to_value(resealed.spec()).unwrap())
            .unwrap();
        lab.start().await;
        lab.until("it is told", |lab| registry_condition(lab, "LedgerUnreadable") == "True").await;
        lab.assert_at_rest().await;
        assert!(both_pull(lab));
        lab.delete(POLICIES, "team-a", "pull");
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("the other goes", |lab| !lab.exists(POLICIES, "team-b", "pull")).await;
        lab.settle().await;
        assert!(lab.exists(POLICIES, "team-a", "pull") && lab.may_pull(B, "team-a/app"), "nothing of it is changed");
        assert!(slice(lab, "team-a")["spec"]["entries"].to_string().contains("Vault"));
        assert_eq!(slice(lab, "team-a")["spec"]["installationId"], installation.as_str());
    });
}

/// Fault 9: what the API server takes and this version cannot read is left out alone; a status is written anew.
#[test]
fn a_status_that_cannot_be_read_stops_nobody() {
    run(1_407, async |lab| {
        two_objects(lab).await;
        let calls = lab.aws_calls(A);
        lab.stop();
        let bad = |object: &mut Value| {
            object["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00+99:99".into();
        };
        lab.kube.edit(POLICIES, "team-a", "pull", bad).unwrap();
        lab.kube.edit(REGISTRIES, "", "default", bad).unwrap();
        lab.start().await;
        lab.apply(&pull("team-b", "new", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-b/new", "team-a/pull"]).await;
        assert!(lab.aws_calls(A) > calls && both_pull(lab));
        lab.assert_at_rest().await;
    });
}

/// Fault 9, a spec: the object is there, holds what it has, and nobody acts on it.
#[test]
fn a_spec_that_cannot_be_read_keeps_what_it_has() {
    run(1_408, async |lab| {
        two_objects(lab).await;
        lab.kube
            .edit(POLICIES, "team-a", "pull", |object| object["spec"]["deletionPolicy"] = "Archive".into())
            .unwrap();
        lab.until("it is told", |lab| registry_condition(lab, "HeldElsewhere") == "True").await;
        lab.assert_at_rest().await;
        assert!(both_pull(lab) && registry_condition(lab, "Orphaned").is_empty());
        lab.kube.edit(POLICIES, "team-a", "pull", |object| object["spec"]["deletionPolicy"] = "Delete".into()).unwrap();
        lab.settle().await;
        assert!(registry_condition(lab, "HeldElsewhere").is_empty());
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Fault 7: a status says nothing about whose a rule is, whoever wrote it.
#[test]
fn a_forged_status_takes_nobodys_rule() {
    run(1_409, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| {
            world.put_cache_rule(
                A,
                crate::lab::REGION,
                &json!({"ecrRepositoryPrefix": "shared", "upstreamRegistryUrl": "public.ecr.aws"}),
            );
        });
        lab.rules.rule_of_others(A, "shared");
        lab.apply(&cache("team-a", "mine", "default", "shared"));
        lab.until_reason(CACHES, "team-a", "mine", "RuleConflict").await;
        lab.settle().await;
        let forge = |object: &mut Value| {
            object["metadata"]["finalizers"] = json!(["ecr-permissions.dev/finalizer"]);
            object["status"]["rule"] = json!({"upstreamHost": "public.ecr.aws"});
            object["status"]["registry"] = json!({"name": "default", "accountId": A, "region": crate::lab::REGION});
        };
        lab.kube.edit(CACHES, "team-a", "mine", forge).unwrap();
        lab.restart().await;
        lab.pass(INTERVAL).await;
        assert_eq!(lab.ready(CACHES, "team-a", "mine").1, "RuleConflict");
        lab.kube.edit(CACHES, "team-a", "mine", forge).unwrap();
        lab.delete(CACHES, "team-a", "mine");
        lab.until("it is gone", |lab| !lab.exists(CACHES, "team-a", "mine")).await;
        assert!(lab.aws.world(|world| world.cache_rule(A, crate::lab::REGION, "shared")).is_some());
        lab.assert_at_rest().await;
    });
}

/// Fault 10: however many belong to nobody, the word that removes them is told.
#[test]
fn many_orphans_can_be_pruned() {
    run(1_410, async |lab| {
        lab.two_teams();
        let name = |i: usize| format!("{i:03}-{}", "n".repeat(120));
        for i in 0..60 {
            lab.apply(&pull("team-a", &name(i), "default", &[B], "team-a/*"));
        }
        lab.until("all are on record", |lab| lab.ledger("default").len() == 60).await;
        lab.settle().await;
        lab.stop();
        for i in 0..60 {
            lab.kube.vanish(POLICIES, "team-a", &name(i)).unwrap();
        }
        lab.start().await;
        lab.until("it is told", |lab| registry_condition(lab, "Orphaned") == "True").await;
        let token = lab.prune_token("default");
        lab.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
        lab.until("they are pruned", |lab| registry_condition(lab, "Orphaned").is_empty()).await;
        assert!(lab.ledger("default").is_empty() && !lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Fault 16: a refused object carries nothing of ours and keeps no Registry from going; an accepted one does, and it is told.
#[test]
fn only_who_is_accepted_keeps_a_registry() {
    run(1_411, async |lab| {
        lab.two_teams();
        lab.apply(&pull("elsewhere", "refused", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.until_reason(POLICIES, "elsewhere", "refused", "NotAllowed").await;
        let finalizers = |lab: &Lab, namespace: &str, name: &str| {
            lab.kube.get(POLICIES, namespace, name).unwrap()["metadata"]["finalizers"].clone()
        };
        assert!(list(&finalizers(lab, "elsewhere", "refused")).is_empty());
        lab.delete(REGISTRIES, "", "default");
        lab.until("it is told", |lab| lab.message(REGISTRIES, "", "default", "Ready").contains("team-a/pull")).await;
        assert_eq!(lab.ready(REGISTRIES, "", "default"), ("Unknown".to_owned(), "DeletionBlocked".to_owned()));
        // Who loses its leave loses the finalizer with what it had.
        lab.set(REGISTRIES, "", "default", "/spec/allow", &json!([]));
        lab.until("the Registry goes", |lab| !lab.exists(REGISTRIES, "", "default")).await;
        assert!(list(&finalizers(lab, "team-a", "pull")).is_empty() && !lab.may_pull(B, "team-a/app"));
        lab.until("no ledger is left", |lab| lab.kube.list(LEDGERS, "").is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// Fault 17: where no rule is left that could cover it, what a vanished namespace left behind is certain to go.
#[test]
fn an_orphan_of_a_vanished_namespace_goes_with_the_last_rule() {
    run(1_412, async |lab| {
        two_objects(lab).await;
        lab.stop();
        lab.kube.vanish(POLICIES, "team-a", "pull").unwrap();
        lab.kube.vanish("namespaces", "", "team-a").unwrap();
        lab.start().await;
        lab.until("it is told", |lab| registry_condition(lab, "Orphaned") == "True").await;
        lab.assert_at_rest().await;
        assert!(both_pull(lab), "a rule by labels could cover it");
        let by_name = with(
            lab.kube.get(REGISTRIES, "", "default").unwrap()["spec"]["allow"][0].clone(),
            "/namespaces",
            &json!({"names": ["team-b"]}),
        );
        lab.set(REGISTRIES, "", "default", "/spec/allow", &json!([by_name]));
        lab.until("it is withdrawn", |lab| !lab.may_pull(B, "team-a/app")).await;
        lab.settle().await;
        assert!(lab.may_pull(C, "team-b/app") && registry_condition(lab, "Orphaned").is_empty());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 36: the ledger belongs to the registry, not to a Registry. Another one takes over when the one it serves is gone.
#[test]
fn another_registry_takes_the_ledger_over_once_the_first_is_gone() {
    run(1_413, async |lab| {
        two_objects(lab).await;
        lab.apply(&registry("second", A));
        lab.until_reason(REGISTRIES, "", "second", "DuplicateRegistry").await;
        let served = |lab: &Lab| {
            let mut slices = lab.slices("default").into_iter().chain(lab.slices("second"));
            slices.find_map(|slice| slice["spec"]["registry"].as_str().map(str::to_owned))
        };
        assert_eq!(served(lab).as_deref(), Some("default"));
        lab.kube.vanish(REGISTRIES, "", "default").unwrap();
        lab.until("it is taken over", |lab| served(lab).as_deref() == Some("second")).await;
        lab.settle().await;
        assert!(both_pull(lab), "its former objects are there, and name a Registry that is not");
        lab.apply(&registry("default", A));
        lab.until_reason(REGISTRIES, "", "default", "DuplicateRegistry").await;
        assert!(both_pull(lab));
        lab.assert_at_rest().await;
    });
}

/// An object that names another Registry by now keeps what it had here: held, told, pruned by nobody; and it goes with it.
#[test]
fn an_object_made_anew_for_another_registry_keeps_what_it_had_until_it_goes() {
    run(1_414, async |lab| {
        two_objects(lab).await;
        lab.apply(&registry("other", B));
        lab.stop();
        lab.kube.vanish(POLICIES, "team-a", "pull").unwrap();
        lab.apply(&pull("team-a", "pull", "other", &[C], "team-a/*"));
        lab.start().await;
        lab.until_ready(&["team-a/pull"]).await;
        lab.until("it is told", |lab| registry_condition(lab, "HeldElsewhere") == "True").await;
        lab.assert_at_rest().await;
        assert!(both_pull(lab) && registry_condition(lab, "Orphaned").is_empty());
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(!lab.may_pull(B, "team-a/app") && lab.policy(B).is_none());
        lab.assert_at_rest().await;
    });
}

/// Behaviours 42 and 51: killed between any two writes of several slices.
#[test]
fn a_crash_between_slices_loses_nothing() {
    let mut call = 1;
    loop {
        let mut reached = true;
        for after in [false, true] {
            run(1_415, async |lab| {
                two_objects(lab).await;
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
            two_objects(lab).await;
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
        two_objects(lab).await;
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
            two_objects(lab).await;
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

/// What another installation has on record of an object's name is not this one's, and keeps nobody here.
#[test]
fn a_foreign_entry_of_an_objects_name_keeps_it_from_nothing() {
    for attached in [true, false] {
        run(2_410, async |lab| {
            two_objects(lab).await;
            let mut foreign = slice(lab, "team-a");
            foreign["metadata"] = json!({"name": "111111111111-eu-west-1-aaaaaaaaaaaaaaaaaaaaaaaaaa-0"});
            foreign["spec"]["installationId"] = json!("aaaaaaaaaa");
            lab.apply(&foreign);
            lab.settle().await;
            if !attached {
                for namespace in ["team-a", "team-b"] {
                    lab.delete(POLICIES, namespace, "pull");
                }
                lab.delete(REGISTRIES, "", "default");
                lab.until("the Registry is gone", |lab| !lab.exists(REGISTRIES, "", "default")).await;
                return;
            }
            lab.delete(POLICIES, "team-a", "pull");
            lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
            assert!(!lab.may_pull(B, "team-a/app"));
        });
    }
}

/// Behaviour 24: a finalizer that somebody forged on a suspended object that nobody let in keeps no Registry.
#[test]
fn a_suspended_object_that_is_let_in_by_nobody_keeps_no_registry() {
    run(2_411, async |lab| {
        two_objects(lab).await;
        let foreign = pull("team-c", "pull", "default", &[C], "team-c/*");
        lab.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-c"}}));
        lab.apply(&with(foreign, "/spec/suspend", &json!(true)));
        lab.kube
            .edit(POLICIES, "team-c", "pull", |o| {
                o["metadata"]["finalizers"] = json!(["ecr-permissions.dev/finalizer"]);
            })
            .unwrap();
        lab.settle().await;
        for namespace in ["team-a", "team-b"] {
            lab.delete(POLICIES, namespace, "pull");
        }
        lab.delete(REGISTRIES, "", "default");
        lab.until("the Registry is gone", |lab| !lab.exists(REGISTRIES, "", "default")).await;
    });
}
