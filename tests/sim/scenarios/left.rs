//! What objects leave behind on purpose: retained, on record and bounded by `allow`, or released, and nobody's
//! (behaviours 34, 44 and 58; docs/api.md, "Deleting").

use std::time::Duration;

use aws_sim::Outage;
use serde_json::{Value, json};

use crate::lab::objects::{CACHES, POLICIES, REGISTRIES, condition, pull, with};
use crate::lab::{A, B, Lab, REGION, run};

const OTHER: &str = "777777777777";
const INTERVAL: Duration = Duration::from_secs(310);
const RELEASE: &str = "ecr-permissions.dev/release";
const PRUNE: &str = "ecr-permissions.dev/prune";

/// Two teams grant in one statement; team-a asks to be retained.
async fn two_owners(lab: &mut Lab) {
    lab.two_teams();
    let object = pull("team-a", "pull", "default", &[B], "shared/*");
    lab.apply(&with(object, "/spec/deletionPolicy", &json!("Retain")));
    lab.apply(&pull("team-b", "pull", "default", &[OTHER], "shared/*"));
    lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
}

async fn until_gone(lab: &mut Lab, namespace: &'static str) {
    lab.delete(POLICIES, namespace, "pull");
    lab.until("it is gone", move |lab| !lab.exists(POLICIES, namespace, "pull")).await;
}

/// The Registry's owner lets go of its objects.
fn registry_releases(lab: &Lab) {
    lab.annotate(REGISTRIES, "", "default", RELEASE, "true");
}

fn retained(lab: &Lab) -> bool {
    condition(&lab.kube.get(REGISTRIES, "", "default").unwrap(), "Retained").0 == "True"
}

fn may_retain(lab: &Lab, may: bool) {
    lab.set(REGISTRIES, "", "default", "/spec/allow/0/retain", &json!(may));
}

/// Statements in AWS that are not ours.
fn foreign(lab: &Lab) -> Vec<Value> {
    let mark = format!("Ecp{}", lab.installation());
    lab.statements(A).into_iter().filter(|s| !s["Sid"].as_str().unwrap_or_default().starts_with(&mark)).collect()
}

fn states(lab: &Lab) -> Vec<String> {
    let mut states: Vec<_> =
        lab.ledger("default").iter().map(|entry| entry["state"].as_str().unwrap().to_owned()).collect();
    states.sort();
    states
}

/// It costs no write to AWS, is told on the Registry, comes back to a new object of that name, and goes with the rule.
#[test]
fn what_is_retained_stays_under_our_sid_until_no_rule_lets_it() {
    run(630, async |lab| {
        two_owners(lab).await;
        let (writes, before) = (lab.aws_writes_of(A), lab.policy(A));
        until_gone(lab, "team-a").await;
        lab.until("it is told", retained).await;
        assert!(lab.message(REGISTRIES, "", "default", "Retained").contains("RegistryPolicy/team-a/pull"));
        lab.pass(INTERVAL).await;
        assert_eq!((lab.aws_writes_of(A), lab.policy(A)), (writes, before), "nothing was written");
        assert_eq!(states(lab), ["Applied", "Retained"]);
        lab.assert_at_rest().await;

        // A new object of that name takes it back, whatever it says of its own end.
        lab.apply(&pull("team-a", "pull", "default", &[B], "shared/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.settle().await;
        assert!(!retained(lab) && states(lab) == ["Applied", "Applied"] && lab.aws_writes_of(A) == writes);

        lab.set(POLICIES, "team-a", "pull", "/spec/deletionPolicy", &json!("Retain"));
        lab.settle().await;
        until_gone(lab, "team-a").await;
        lab.until("it is told", retained).await;
        may_retain(lab, false);
        lab.until("it is withdrawn", |lab| !lab.may_pull(B, "shared/app")).await;
        lab.settle().await;
        assert!(lab.may_pull(OTHER, "shared/app") && !retained(lab));
        assert_eq!(states(lab), ["Applied"]);
        lab.assert_at_rest().await;
    });
}

/// A living object is told that its wish will not be heard, and loses nothing for it.
#[test]
fn without_leave_a_retaining_object_gets_all_and_its_deletion_removes() {
    run(631, async |lab| {
        lab.two_teams();
        may_retain(lab, false);
        let object = pull("team-a", "pull", "default", &[B], "team-a/*");
        lab.apply(&with(object, "/spec/deletionPolicy", &json!("Retain")));
        lab.until_ready(&["team-a/pull"]).await;
        let message = lab.message(POLICIES, "team-a", "pull", "Ready");
        assert!(message.contains("RetainNotAllowed") && message.contains("retain: true"), "{message}");
        may_retain(lab, true);
        lab.settle().await;
        assert!(!lab.message(POLICIES, "team-a", "pull", "Ready").contains("RetainNotAllowed"));
        may_retain(lab, false);
        lab.settle().await;
        until_gone(lab, "team-a").await;
        assert_eq!(lab.policy(A), None);
        lab.assert_at_rest().await;
    });
}

/// What is no longer allowed is not retained: of what was retained before, the part; an object that is refused when it is
/// deleted is covered by no rule, and takes all along.
#[test]
fn only_what_is_allowed_is_retained() {
    for deleted_first in [false, true] {
        run(632, async |lab| {
            lab.two_teams();
            let object = pull("team-a", "pull", "default", &[B, OTHER], "team-a/*");
            lab.apply(&with(object, "/spec/deletionPolicy", &json!("Retain")));
            lab.until_ready(&["team-a/pull"]).await;
            if deleted_first {
                until_gone(lab, "team-a").await;
                lab.settle().await;
            }
            lab.set(REGISTRIES, "", "default", "/spec/allow/0/accountIds", &json!([B]));
            if !deleted_first {
                until_gone(lab, "team-a").await;
            }
            lab.settle().await;
            assert_eq!(lab.may_pull(B, "team-a/app"), deleted_first);
            assert!(!lab.may_pull(OTHER, "team-a/app"), "{deleted_first}");
            lab.assert_at_rest().await;
        });
    }
}

/// What is retained is bounded by the rules that let it stay until an object of its name is accepted; and a namespace that
/// is let in no more loses it at once.
#[test]
fn what_is_retained_is_bounded_whoever_comes_by_its_name() {
    run(642, async |lab| {
        two_owners(lab).await;
        until_gone(lab, "team-a").await;
        lab.until("it is told", retained).await;
        let suspended = with(pull("team-a", "pull", "default", &[B], "shared/*"), "/spec/suspend", &json!(true));
        lab.apply(&suspended);
        lab.settle().await;
        assert_eq!(states(lab), ["Applied", "Retained"], "{}", lab.describe());
        may_retain(lab, false);
        lab.until("it is withdrawn", |lab| !lab.may_pull(B, "shared/app")).await;
        assert!(lab.may_pull(OTHER, "shared/app"));
        lab.settle().await;
        lab.assert_at_rest().await;
    });
    run(643, async |lab| {
        two_owners(lab).await;
        until_gone(lab, "team-a").await;
        lab.until("it is told", retained).await;
        lab.kube.edit("namespaces", "", "team-a", |n| n["metadata"]["labels"] = json!({"tenant": "no"})).unwrap();
        lab.pass(Duration::from_secs(10)).await;
        assert!(!lab.may_pull(B, "shared/app") && lab.may_pull(OTHER, "shared/app"));
    });
}

/// A tenant's own annotation lets go of nothing: what is nobody's could be neither bounded nor withdrawn.
#[test]
fn nobody_releases_without_the_registrys_word() {
    run(644, async |lab| {
        two_owners(lab).await;
        let writes = lab.aws_writes_of(A);
        lab.annotate(POLICIES, "team-a", "pull", RELEASE, "true");
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull") && lab.aws_writes_of(A) == writes);
        assert!(lab.message(POLICIES, "team-a", "pull", "Ready").contains("has no effect"));
        // Nor does it take an object out of the hands of its owner, with the other annotation beside it.
        lab.annotate(POLICIES, "team-a", "pull", "ecr-permissions.dev/abandon", "true");
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull"));
        assert_eq!(condition(&lab.kube.get(REGISTRIES, "", "default").unwrap(), "Orphaned").0, "");
        lab.set(REGISTRIES, "", "default", "/spec/allow", &json!([]));
        lab.settle().await;
        assert_eq!(lab.policy(A), None);
        lab.assert_at_rest().await;
    });
}

/// A namespace that is gone is judged by names, and where only labels could cover it by whether such a rule is there.
#[test]
fn a_namespace_that_is_gone_keeps_what_a_rule_could_let_it_have() {
    run(633, async |lab| {
        two_owners(lab).await;
        until_gone(lab, "team-a").await;
        lab.kube.vanish("namespaces", "", "team-a").unwrap();
        lab.pass(INTERVAL).await;
        assert!(lab.may_pull(B, "shared/app"), "a rule by labels could cover it");
        lab.set(REGISTRIES, "", "default", "/spec/allow/0/namespaces", &json!({"names": ["team-b"]}));
        lab.settle().await;
        assert!(!lab.may_pull(B, "shared/app") && lab.may_pull(OTHER, "shared/app"));
        lab.assert_at_rest().await;
    });
}

/// The fault that `Retain` was: foreign statements that AWS shows longer, or whose role is gone, keep nobody from anything.
#[test]
fn what_is_retained_in_plenty_keeps_nobody_from_anything() {
    run(634, async |lab| {
        lab.two_teams();
        let accounts: Vec<String> = (0..400).map(|i| format!("{}", 300_000_000_000_u64 + i)).collect();
        let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
        let object = pull("team-a", "pull", "default", &accounts, "team-a/*");
        lab.apply(&with(object, "/spec/deletionPolicy", &json!("Retain")));
        lab.until_ready(&["team-a/pull"]).await;
        until_gone(lab, "team-a").await;
        lab.settle().await;
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-b/pull"]).await;
        until_gone(lab, "team-b").await;
        assert!(!lab.may_pull(B, "team-b/app") && lab.may_pull("300000000007", "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Retained needs no AWS: the entry is marked, and the object goes.
#[test]
fn an_object_is_retained_while_aws_is_out_of_reach() {
    for (at, value) in [("suspend", json!(true)), ("management", json!("Observe")), ("", json!(null))] {
        run(635, async |lab| {
            two_owners(lab).await;
            if at.is_empty() {
                lab.aws.world(|world| world.set_outage(A, Some(Outage::Reset)));
            } else {
                lab.set(REGISTRIES, "", "default", &format!("/spec/{at}"), &value);
            }
            lab.settle().await;
            until_gone(lab, "team-a").await;
            assert_eq!(states(lab), ["Applied", "Retained"], "{at}");
            assert!(lab.may_pull(B, "shared/app"), "{at}");
        });
    }
}

/// Behaviour 44: a token takes exactly what was retained when it was printed, and works once.
#[test]
fn what_is_retained_is_pruned_or_released_by_its_token() {
    for (annotation, stays) in [(PRUNE, false), (RELEASE, true)] {
        run(636, async |lab| {
            two_owners(lab).await;
            until_gone(lab, "team-a").await;
            lab.until("it is told", retained).await;
            let token = lab.token("default", "Retained");
            lab.annotate(REGISTRIES, "", "default", annotation, "0000000000000000");
            lab.pass(INTERVAL).await;
            assert!(retained(lab) && foreign(lab).is_empty(), "{annotation}: another token names nothing");
            let writes = lab.document_writes(A).len();
            lab.annotate(REGISTRIES, "", "default", annotation, &token);
            lab.until("it is done", |lab| !retained(lab)).await;
            lab.settle().await;
            assert_eq!(lab.may_pull(B, "shared/app"), stays, "{annotation}");
            assert!(lab.may_pull(OTHER, "shared/app"));
            assert_eq!(states(lab), ["Applied"], "{annotation}");
            let left = foreign(lab);
            assert_eq!(left.len(), usize::from(stays), "{left:?}");
            if stays {
                assert_eq!(left[0]["Principal"]["AWS"], B, "its own part alone, the account in digits");
                let granted = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(B));
                assert!(lab.document_writes(A)[writes..].iter().all(|(_, after)| granted(after)), "at no moment gone");
            }
            // The same again is another set.
            lab.apply(&with(
                pull("team-a", "pull", "default", &[B], "other/*"),
                "/spec/deletionPolicy",
                &json!("Retain"),
            ));
            lab.until_ready(&["team-a/pull"]).await;
            until_gone(lab, "team-a").await;
            lab.pass(INTERVAL).await;
            assert!(retained(lab) && lab.may_pull(B, "other/app"), "{annotation}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 58: marks go, then entries, then finalizers; access stays, and nobody attaches again while it is said.
#[test]
fn a_released_object_gives_up_its_marks_and_keeps_its_access() {
    run(637, async |lab| {
        two_owners(lab).await;
        registry_releases(lab);
        lab.annotate(POLICIES, "team-a", "pull", RELEASE, "true");
        let is_free = |lab: &Lab| {
            let object = lab.kube.get(POLICIES, "team-a", "pull").unwrap();
            condition(&object, "Ready").1 == "Released"
                && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
        };
        lab.until("it is released", is_free).await;
        assert_eq!(states(lab), ["Applied"]);
        assert_eq!(foreign(lab).len(), 1);
        assert!(lab.may_pull(B, "shared/app") && lab.may_pull(OTHER, "shared/app"));
        lab.assert_at_rest().await;
        // Nothing of it is ours: an edit, a revocation and its deletion change nothing.
        let (writes, before) = (lab.aws_writes_of(A), lab.policy(A));
        lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/repositories", &json!(["more/*"]));
        lab.restart().await;
        lab.pass(INTERVAL).await;
        assert_eq!((lab.aws_writes_of(A), lab.policy(A)), (writes, before));
        // It is attached again once neither says so any more: a Registry that is released takes nobody new.
        lab.kube.edit(POLICIES, "team-a", "pull", |object| object["metadata"]["annotations"] = json!({})).unwrap();
        lab.pass(INTERVAL).await;
        assert_eq!(lab.ready(POLICIES, "team-a", "pull").1, "Released");
        lab.kube.edit(REGISTRIES, "", "default", |registry| registry["metadata"]["annotations"] = json!({})).unwrap();
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull(B, "more/app") && lab.may_pull(B, "shared/app"));
        lab.delete(POLICIES, "team-a", "pull");
        lab.settle().await;
        assert!(lab.may_pull(B, "shared/app"), "what was released is nobody's");
    });
}

/// What `allow` does not cover is left to nobody.
#[test]
fn what_is_not_allowed_is_not_released() {
    run(638, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B, OTHER], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        registry_releases(lab);
        lab.set(REGISTRIES, "", "default", "/spec/allow/0/accountIds", &json!([B]));
        lab.annotate(POLICIES, "team-a", "pull", RELEASE, "true");
        lab.settle().await;
        assert_eq!(lab.ready(POLICIES, "team-a", "pull").1, "Released");
        assert!(lab.may_pull(B, "team-a/app") && !lab.may_pull(OTHER, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// A Registry is released by its objects: nothing then keeps it from going, and everything goes on as it is.
#[test]
fn a_registry_goes_once_its_objects_are_released() {
    run(639, async |lab| {
        two_owners(lab).await;
        registry_releases(lab);
        lab.delete(REGISTRIES, "", "default");
        lab.settle().await;
        for namespace in ["team-a", "team-b"] {
            lab.annotate(POLICIES, namespace, "pull", RELEASE, "true");
        }
        lab.until("the Registry is gone", |lab| !lab.exists(REGISTRIES, "", "default")).await;
        assert!(lab.may_pull(B, "shared/app") && lab.may_pull(OTHER, "shared/app"));
        assert!(lab.slices("default").is_empty() || lab.ledger("default").is_empty());
    });
}

/// A suspended Registry writes nothing: what is to be released waits, and says why.
#[test]
fn nothing_is_released_where_nothing_may_be_written() {
    run(640, async |lab| {
        two_owners(lab).await;
        registry_releases(lab);
        lab.set(REGISTRIES, "", "default", "/spec/suspend", &json!(true));
        lab.annotate(POLICIES, "team-a", "pull", RELEASE, "true");
        lab.pass(INTERVAL).await;
        let (_, reason) = lab.ready(POLICIES, "team-a", "pull");
        assert_eq!(reason, "Progressing");
        assert!(lab.message(POLICIES, "team-a", "pull", "Ready").contains("Suspended"));
        lab.set(REGISTRIES, "", "default", "/spec/suspend", &json!(false));
        lab.until("it is released", |lab| lab.ready(POLICIES, "team-a", "pull").1 == "Released").await;
        assert_eq!(foreign(lab).len(), 1);
        lab.assert_at_rest().await;
    });
}

/// A cache rule carries no mark: released, it is on no record, and stays.
#[test]
fn a_released_rule_stays_and_is_nobodys() {
    run(641, async |lab| {
        lab.two_teams();
        let cache = super::caches::caching("team-a/quay", &json!({"type": "Quay"}));
        lab.apply(&cache);
        lab.until("it is Ready", |lab| lab.is_ready(CACHES, "team-a", "quay")).await;
        registry_releases(lab);
        lab.annotate(CACHES, "team-a", "quay", RELEASE, "true");
        lab.rules.rule_of_others(A, "quay");
        lab.until("it is released", |lab| lab.ready(CACHES, "team-a", "quay").1 == "Released").await;
        lab.delete(CACHES, "team-a", "quay");
        lab.settle().await;
        assert!(!lab.exists(CACHES, "team-a", "quay") && lab.ledger("default").is_empty());
        assert!(lab.aws.world(|world| world.cache_prefixes(A, REGION).contains(&"quay".to_owned())));
    });
}
