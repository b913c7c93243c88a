//! Whose what is on record is: told by the entry, never by a status or a finalizer, and by the key, never by a Registry
//! object (behaviours 24, 36).

use super::*;

/// Fault 9: what the API server takes and this version cannot read is left out alone; a status is written anew.
#[test]
fn a_status_that_cannot_be_read_stops_nobody() {
    run(1_407, async |lab| {
        lab.two_pulls(B, C).await;
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
        lab.two_pulls(B, C).await;
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
        lab.two_pulls(B, C).await;
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
        lab.two_pulls(B, C).await;
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
        lab.two_pulls(B, C).await;
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

/// Behaviour 24: a finalizer that somebody forged on a suspended object that nobody let in keeps no Registry.
#[test]
fn a_suspended_object_that_is_let_in_by_nobody_keeps_no_registry() {
    run(2_411, async |lab| {
        lab.two_pulls(B, C).await;
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
