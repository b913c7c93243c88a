//! Slices deleted, edited, refused, and those of another installation or version: nothing is withdrawn on a doubtful word,
//! nobody else notices, and all of it is told (behaviours 41, 51).

use super::*;

/// Behaviour 51: a slice that is deleted by hand, while the operator runs or not: its entries stand in another, then it goes.
#[test]
fn slices_that_are_deleted_by_hand_lose_nothing() {
    for running in [true, false] {
        run(1_400, async |lab| {
            lab.two_pulls(B, C).await;
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
                lab.two_pulls(B, C).await;
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
            lab.two_pulls(B, C).await;
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
        lab.two_pulls(B, C).await;
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

/// Another cluster's ledger (a backup restored here) is kept, told, and never acted on.
#[test]
fn the_ledger_of_another_installation_is_kept_and_told() {
    run(1_405, async |lab| {
        lab.two_pulls(B, C).await;
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
        lab.two_pulls(B, C).await;
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

/// What another installation has on record of an object's name is not this one's, and keeps nobody here.
#[test]
fn a_foreign_entry_of_an_objects_name_keeps_it_from_nothing() {
    for attached in [true, false] {
        run(2_410, async |lab| {
            lab.two_pulls(B, C).await;
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
