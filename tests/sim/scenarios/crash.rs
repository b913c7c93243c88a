//! Killed between any two calls and started again: the same end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use aws_sim::Scope;
use kube_sim::{Fault, Matching, Phase, Verb};
use serde_json::{Value, json};

use crate::lab::ledger::of_registry;
use crate::lab::objects::{GRANTS, POLICIES, condition, grant, namespace, pull, registry};
use crate::lab::{A, B, CrashPoint, Lab, REGION, list, normal, run};

const THEIRS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"ecr:ReplicateImage","Resource":"*"}]}"#;
const SEED: u64 = 42;

/// What must not depend on where the operator died.
#[derive(Clone, Debug, PartialEq)]
struct End {
    /// The statements of each registry, in no order.
    policies: BTreeMap<&'static str, Vec<String>>,
    /// The cache rules of each registry.
    rules: BTreeMap<&'static str, Vec<String>>,
    /// The roles of each account.
    roles: BTreeMap<&'static str, Vec<String>>,
    scopes: Vec<Scope>,
    /// Reason of `Ready`, whether it is of this generation, and the finalizers.
    objects: BTreeMap<String, (String, String, bool, Value)>,
    /// The ledger without uids.
    ledger: Vec<String>,
    orphaned: Vec<String>,
}

impl End {
    fn of(lab: &Lab) -> Self {
        let policy = |account| {
            let document = lab.policy(account).unwrap_or_default();
            let mut all: Vec<_> = list(&document["Statement"]).iter().map(|s| normal(s).to_string()).collect();
            all.sort();
            (account, all)
        };
        let rules = |account| {
            let all = |world: &mut aws_sim::World| {
                let prefixes = world.cache_prefixes(account, REGION);
                let rule = |prefix: &String| world.cache_rule(account, REGION, prefix).unwrap_or_default();
                prefixes.iter().map(|prefix| untimed(rule(prefix))).collect()
            };
            (account, lab.aws.world(all))
        };
        let roles = |account| {
            let all = |world: &mut aws_sim::World| {
                let names = world.role_names(account);
                names.iter().filter_map(|name| world.role(account, name)).map(|role| nameless(&role)).collect()
            };
            (account, lab.aws.world(all))
        };
        let mut end = Self {
            roles: [A, B].into_iter().map(roles).collect(),
            rules: [A, B].into_iter().map(rules).collect(),
            policies: [A, B].into_iter().map(policy).collect(),
            scopes: [A, B].iter().map(|account| lab.aws.world(|w| w.scope(account, REGION))).collect(),
            objects: BTreeMap::new(),
            ledger: Vec::new(),
            orphaned: Vec::new(),
        };
        let objects = lab.all_objects();
        for object in objects.values().flatten() {
            let meta = &object["metadata"];
            let name = format!("{} {} {}", object["kind"], meta["namespace"], meta["name"]);
            let (ready, reason) = condition(object, "Ready");
            let is_current = object["status"]["observedGeneration"] == meta["generation"];
            end.objects.insert(name, (ready, reason, is_current, meta["finalizers"].clone()));
            for entry in of_registry(&lab.kube, object) {
                let is_settled = ["Applied", "Retained"].contains(&entry["state"].as_str().unwrap());
                assert!(is_settled, "seed {}: left in the ledger\n{}", lab.seed, lab.describe());
                end.ledger.push(format!(
                    "{} {} {} {} {} {} {} {} {}",
                    entry["state"],
                    entry["kind"],
                    entry["namespace"],
                    entry["name"],
                    entry["statements"],
                    untimed(entry["rule"].clone()),
                    untimed(entry["role"].clone()),
                    entry["refused"],
                    entry["claimedAt"].is_string()
                ));
            }
            end.orphaned.extend(["Orphaned", "Retained"].map(|kind| condition(object, kind).0));
        }
        end
    }
}

/// Everything of a role but which one of its name it is.
fn nameless(role: &aws_sim::Role) -> String {
    let mut role = role.clone();
    role.created_at = 0;
    untimed(serde_json::to_value(role).unwrap())
}

/// When it was made does not matter, nor what id it got.
fn untimed(mut rule: Value) -> String {
    if let Value::Object(members) = &mut rule {
        members.retain(|name, _| !["createdAt", "updatedAt", "id"].contains(&name.as_str()));
    }
    rule.to_string()
}

/// Runs `act` once as it is, and then with a crash before and after each call it made; the end must be the same.
pub(super) fn ends_alike(prepare: &impl AsyncFn(&mut Lab), act: &impl AsyncFn(&mut Lab)) {
    let attempt = |crash: Option<CrashPoint>| {
        let seen = RefCell::new(None);
        run(SEED, async |lab| {
            prepare(lab).await;
            lab.settle().await;
            let before = lab.calls();
            if let Some(CrashPoint { call, after }) = crash {
                lab.crash_at(CrashPoint { call: before + call, after });
            }
            act(lab).await;
            lab.settle().await;
            assert_eq!(lab.crashed(), crash.is_some(), "{crash:?}\n{}", lab.describe());
            *seen.borrow_mut() = Some((End::of(lab), lab.calls() - before));
            lab.assert_at_rest().await;
        });
        seen.into_inner().unwrap()
    };
    let (expected, calls) = attempt(None);
    assert!(calls > 3, "nothing happened that could be interrupted");
    for call in 1..=calls {
        for after in [false, true] {
            let (end, _) = attempt(Some(CrashPoint { call, after }));
            assert_eq!(end, expected, "a crash {} call {call} of {calls}", if after { "after" } else { "before" });
        }
    }
}

fn tenants(lab: &Lab) {
    lab.apply(&registry("default", A));
    lab.apply(&namespace("team-a"));
    lab.apply(&namespace("team-b"));
}

/// Two owners, one account in common, beside somebody else's statement.
async fn two_owners(lab: &mut Lab) {
    lab.aws.world(|world| world.put_policy(A, REGION, THEIRS));
    tenants(lab);
    lab.apply(&pull("team-a", "pull", "default", &[B, "444444444444"], "team-a/*"));
    lab.apply(&pull("team-b", "pull", "default", &[B], "team-a/*"));
    lab.apply(&grant("team-b", "mirror", "default", &["555555555555"], "mirror/*"));
    lab.until("all are Ready", |lab| {
        lab.is_ready("registrypolicies", "team-a", "pull")
            && lab.is_ready("registrypolicies", "team-b", "pull")
            && lab.is_ready("replicationgrants", "team-b", "mirror")
    })
    .await;
}

/// Behaviour 42.
#[test]
fn a_crash_while_objects_are_created_changes_nothing_in_the_end() {
    ends_alike(&async |_| {}, &two_owners);
}

/// Behaviour 42, with an edit that both gives and takes.
#[test]
fn a_crash_during_an_edit_that_widens_and_narrows_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        lab.apply(&pull("team-a", "pull", "default", &["444444444444", "666666666666"], "team-a/*"));
        lab.until("Ready again", |lab| lab.is_ready("registrypolicies", "team-a", "pull")).await;
        assert!(lab.may("666666666666", "ecr:BatchGetImage", "team-a/app", A));
        assert!(lab.may(B, "ecr:BatchGetImage", "team-a/app", A), "team-b still grants it");
    });
}

/// Behaviours 10 and 42: what it shared with another stays.
#[test]
fn a_crash_while_one_object_is_deleted_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        lab.kube.delete("registrypolicies", "team-a", "pull").unwrap();
        lab.until("it is gone", |lab| lab.kube.get("registrypolicies", "team-a", "pull").is_none()).await;
        assert!(!lab.may("444444444444", "ecr:BatchGetImage", "team-a/app", A));
        assert!(lab.may(B, "ecr:BatchGetImage", "team-a/app", A));
    });
}

/// Behaviours 10 and 42: AWS has no policy without statements.
#[test]
fn a_crash_while_the_last_object_is_deleted_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            tenants(lab);
            lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
            lab.until("it is Ready", |lab| lab.is_ready("registrypolicies", "team-a", "pull")).await;
        },
        &async |lab| {
            lab.kube.delete("registrypolicies", "team-a", "pull").unwrap();
            lab.until("it is gone", |lab| lab.kube.get("registrypolicies", "team-a", "pull").is_none()).await;
            assert_eq!(lab.policy(A), None);
        },
    );
}

/// Behaviours 34 and 42.
#[test]
fn a_crash_while_consent_is_revoked_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        let labels = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "labels": {"tenant": "no"}}});
        lab.apply(&labels);
        lab.until("it is refused", |lab| lab.ready("registrypolicies", "team-a", "pull").1 == "NotAllowed").await;
        lab.until("its access is gone", |lab| !lab.may("444444444444", "ecr:BatchGetImage", "team-a/app", A)).await;
    });
}

/// Behaviours 11 and 42.
#[test]
fn a_crash_while_drift_is_repaired_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        lab.aws.world(|world| world.put_policy(A, REGION, THEIRS));
        lab.reconcile_now("default");
        lab.until("it is restored", |lab| lab.may(B, "ecr:BatchGetImage", "team-a/app", A)).await;
    });
}

/// Behaviours 16 and 42.
#[test]
fn a_crash_during_the_switch_of_the_scope_changes_nothing_in_the_end() {
    ends_alike(&async |lab| lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V1))), &async |lab| {
        let mut registry = registry("default", A);
        registry["spec"]["registryPolicy"] = json!({"scope": "V2"});
        lab.apply(&registry);
        lab.apply(&namespace("team-a"));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until("it is Ready", |lab| lab.is_ready("registrypolicies", "team-a", "pull")).await;
    });
}

/// Behaviour 42: what is left behind is left behind once.
#[test]
fn a_crash_while_an_object_is_retained_changes_nothing_in_the_end() {
    ends_alike(
        &async |lab| {
            two_owners(lab).await;
            let mut object = pull("team-a", "kept", "default", &["777777777777"], "kept/*");
            object["spec"]["deletionPolicy"] = json!("Retain");
            lab.apply(&object);
            lab.until("it is Ready", |lab| lab.is_ready("registrypolicies", "team-a", "kept")).await;
        },
        &async |lab| {
            lab.kube.delete("registrypolicies", "team-a", "kept").unwrap();
            lab.until("it is gone", |lab| lab.kube.get("registrypolicies", "team-a", "kept").is_none()).await;
            assert!(lab.may("777777777777", "ecr:BatchGetImage", "kept/app", A));
        },
    );
}

/// Behaviours 42 and 58: what is released is released once, and its access stays.
#[test]
fn a_crash_while_an_object_is_released_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        lab.annotate("registries", "", "default", "ecr-permissions.dev/release", "true");
        lab.annotate("registrypolicies", "team-a", "pull", "ecr-permissions.dev/release", "true");
        lab.until("it is released", |lab| lab.ready("registrypolicies", "team-a", "pull").1 == "Released").await;
        assert!(lab.may("444444444444", "ecr:BatchGetImage", "team-a/app", A));
    });
}

/// Behaviours 18 and 42.
#[test]
fn a_crash_while_a_culprit_is_sought_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        let mut culprit = pull("team-a", "culprit", "default", &[B], "late/*");
        culprit["spec"]["statements"][0]["principals"] = json!({"roles": [{"accountId": B, "name": "late"}]});
        lab.apply(&culprit);
        lab.apply(&pull("team-b", "good", "default", &["777777777777"], "good/*"));
        lab.apply(&grant("team-a", "mirror", "default", &["888888888888"], "mirror-a/*"));
        lab.until("the others are Ready", |lab| {
            lab.is_ready("registrypolicies", "team-b", "good") && lab.is_ready("replicationgrants", "team-a", "mirror")
        })
        .await;
        lab.aws.world(|world| world.add_role(B, "late", aws_sim::Trust::of([B])));
        lab.until("the culprit is Ready", |lab| lab.is_ready("registrypolicies", "team-a", "culprit")).await;
    });
}

/// Behaviours 42 and 44: everything goes, the Registry with it.
#[test]
fn a_crash_while_a_registry_and_its_objects_are_deleted_changes_nothing_in_the_end() {
    ends_alike(&two_owners, &async |lab| {
        lab.kube.delete("registries", "", "default").unwrap();
        lab.pass(Duration::from_secs(2)).await;
        for (plural, namespace, name) in [
            ("registrypolicies", "team-a", "pull"),
            ("registrypolicies", "team-b", "pull"),
            ("replicationgrants", "team-b", "mirror"),
        ] {
            lab.kube.delete(plural, namespace, name).unwrap();
        }
        lab.until("all are gone", |lab| lab.all_objects().values().all(Vec::is_empty)).await;
    });
}

/// Behaviours 10 and 42: what is deleted while no operator runs had perhaps just been written, and goes whole.
#[test]
fn an_object_that_is_deleted_during_the_crash_leaves_nothing_behind() {
    ends_alike(&two_owners, &async |lab| {
        let delete = |kube: &kube_sim::KubeSim| drop(kube.delete(POLICIES, "team-a", "short"));
        lab.when_crashed(delete);
        lab.apply(&pull("team-a", "short", "default", &["777777777777"], "short/*"));
        lab.until("it is Ready, or deleted", |lab| {
            let stored = lab.kube.get(POLICIES, "team-a", "short").unwrap_or_default();
            lab.is_ready(POLICIES, "team-a", "short")
                || stored["metadata"].get("deletionTimestamp").is_some()
                || lab.crashed()
        })
        .await;
        lab.settle().await;
        delete(&lab.kube);
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "short")).await;
        assert!(!lab.may_pull("777777777777", "short/app"), "{}", lab.describe());
    });
}

/// Behaviour 42: an edit that is taken back while no operator runs leaves nothing of itself.
#[test]
fn an_edit_that_is_taken_back_during_the_crash_leaves_nothing_behind() {
    ends_alike(&two_owners, &async |lab| {
        let back = pull("team-a", "pull", "default", &[B, "444444444444"], "team-a/*");
        let undo = back.clone();
        lab.when_crashed(move |kube| drop(kube.apply(&undo).unwrap()));
        lab.apply(&pull("team-a", "pull", "default", &[B, "777777777777"], "team-a/*"));
        lab.until("it is Ready, or taken back", |lab| lab.crashed() || lab.is_ready(POLICIES, "team-a", "pull")).await;
        lab.settle().await;
        lab.apply(&back);
        lab.settle().await;
        assert!(!lab.may_pull("777777777777", "team-a/app"), "{}", lab.describe());
    });
}

/// Rule 7: nothing is granted before the finalizer is there, however long the API server refuses it, and then at once.
#[test]
fn nothing_is_granted_before_the_finalizer_is_there() {
    run(SEED, async |lab| {
        two_owners(lab).await;
        // No second look is owed that would bring the next pass.
        lab.pass(Duration::from_secs(60)).await;
        let finalizers = Matching::writes().verb(Verb::Patch).resource(POLICIES);
        lab.kube.inject(finalizers, 1, 3, Fault::Error(500, Phase::Before));
        // Alike but for the name to what stands there already, and within it: that is no way around.
        lab.apply(&pull("team-b", "same", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-b", "within", "default", &[B], "team-a/app"));
        for _ in 0..400 {
            lab.pass(Duration::from_millis(50)).await;
            for entry in lab.ledger("default") {
                let part = |member: &str| entry[member].as_str().unwrap().to_owned();
                let plural = if entry["kind"] == "RegistryPolicy" { POLICIES } else { GRANTS };
                let object = lab.kube.get(plural, &part("namespace"), &part("name")).unwrap();
                assert!(object["metadata"]["finalizers"][0].is_string(), "on record without a finalizer: {entry}");
            }
        }
        lab.until_ready(&["team-b/same", "team-b/within"]).await;
        lab.assert_at_rest().await;
    });
}
