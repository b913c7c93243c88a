//! Objects that no rule lets in, and that are large: nothing of their specs is kept, and all the same they are let in as
//! soon as they may be (behaviour 48).

use std::time::Duration;

use kube_sim::{Fault, Matching, Phase, Verb};
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, REGISTRIES, namespace, pull, registry, with};
use crate::lab::{A, B, Lab, run};

const OTHER: &str = "333333333333";

/// Lets tenants' namespaces give these accounts what is in `team-a/*`.
fn prepare(lab: &Lab, accounts: &[&str]) {
    let rule = json!([{
        "name": "narrow", "namespaces": {"selector": {"tenant": "yes"}}, "kinds": ["RegistryPolicy"],
        "repositories": ["team-a/*"], "accountIds": accounts,
    }]);
    lab.apply(&with(registry("default", A), "/spec/allow", &rule));
    lab.apply(&namespace("team-a"));
}

/// An object with so many repositories.
fn of(accounts: &[&str], repositories: usize, characters: usize) -> Value {
    let name = |i| format!("team-a/{i:03}-{}", "x".repeat(characters - 11));
    let all: Vec<String> = (0..repositories).map(name).collect();
    with(pull("team-a", "object", "default", accounts, "*"), "/spec/statements/0/repositories", &json!(all))
}

/// More than is kept of what is refused, and much less than AWS takes.
fn big(accounts: &[&str]) -> Value {
    of(accounts, 30, 100)
}

/// 500 accounts and 100 repositories of 250 characters: more than AWS takes of everybody together.
fn huge() -> Value {
    let accounts: Vec<String> = (0..500).map(|i| format!("{}", 700_000_000_000_u64 + i)).collect();
    with(of(&[], 100, 250), "/spec/statements/0/principals/accountIds", &json!(accounts))
}

/// How often the object was read for itself.
fn reads(lab: &Lab) -> usize {
    let is_read = |call: &&kube_sim::Call| call.verb == Verb::Get && call.resource == POLICIES && call.name == "object";
    lab.kube.calls().iter().filter(is_read).count()
}

fn may_pull(lab: &Lab, account: &str) -> bool {
    lab.may_pull(account, &format!("team-a/000-{}", "x".repeat(89)))
}

async fn until_let_in(lab: &mut Lab, account: &str) {
    lab.until_ready(&["team-a/object"]).await;
    assert!(may_pull(lab, account));
    lab.assert_at_rest().await;
}

async fn until_refused(lab: &mut Lab, reason: &str) {
    lab.until_reason(POLICIES, "team-a", "object", reason).await;
    lab.assert_at_rest().await;
}

/// Behaviour 48: of what is refused nothing is kept, and it is let in as soon as it may be.
#[test]
fn a_large_object_that_was_refused_is_let_in_when_allow_widens() {
    run(1_500, async |lab| {
        prepare(lab, &[OTHER]);
        lab.settle().await;
        lab.apply(&big(&[B]));
        until_refused(lab, "NotAllowed").await;
        assert_eq!(reads(lab), 0, "it was judged as it came in");
        lab.set(REGISTRIES, "", "default", "/spec/allow/0/accountIds", &json!([OTHER, B]));
        until_let_in(lab, B).await;
        assert_eq!(reads(lab), 1);
    });
}

/// Behaviour 48.
#[test]
fn a_large_object_that_was_refused_is_let_in_when_its_namespace_is() {
    run(1_501, async |lab| {
        prepare(lab, &[B]);
        lab.set("namespaces", "", "team-a", "/metadata/labels", &json!({"tenant": "no"}));
        lab.settle().await;
        lab.apply(&big(&[B]));
        until_refused(lab, "NotAllowed").await;
        lab.set("namespaces", "", "team-a", "/metadata/labels", &json!({"tenant": "yes"}));
        until_let_in(lab, B).await;
        assert_eq!(reads(lab), 1);
    });
}

/// Behaviour 48.
#[test]
fn a_large_object_that_was_refused_is_let_in_when_it_is_edited() {
    run(1_502, async |lab| {
        prepare(lab, &[B]);
        lab.settle().await;
        lab.apply(&big(&[B, OTHER]));
        until_refused(lab, "NotAllowed").await;
        lab.apply(&of(&[B], 1, 100));
        until_let_in(lab, B).await;
        lab.apply(&big(&[B, OTHER]));
        until_refused(lab, "NotAllowed").await;
        assert!(may_pull(lab, B) && !may_pull(lab, OTHER), "what it had and still asks for stays");
        lab.apply(&big(&[B]));
        until_let_in(lab, B).await;
        assert_eq!(reads(lab), 0, "the watch brings what is edited");
    });
}

/// Behaviour 48: what is let in no more goes, and then it is one of those of which nothing is kept.
#[test]
fn a_large_object_that_is_let_in_no_more_loses_what_it_has_and_is_read_again_to_be_let_in() {
    run(1_503, async |lab| {
        prepare(lab, &[B]);
        lab.apply(&big(&[B]));
        until_let_in(lab, B).await;
        let before = reads(lab);
        for _ in 0..2 {
            lab.set(REGISTRIES, "", "default", "/spec/allow/0/accountIds", &json!([OTHER]));
            lab.until("what it has is gone", |lab| lab.policy(A).is_none()).await;
            until_refused(lab, "NotAllowed").await;
            lab.set(REGISTRIES, "", "default", "/spec/allow/0/accountIds", &json!([B]));
            until_let_in(lab, B).await;
        }
        assert_eq!(reads(lab) - before, 2);
        lab.delete(POLICIES, "team-a", "object");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "object")).await;
        assert_eq!(lab.policy(A), None);
        lab.assert_at_rest().await;
    });
}

/// A start brings objects before their Registry, or after it: what is told is the same.
#[test]
fn after_a_restart_a_large_object_is_told_what_it_was_told() {
    for seed in [1_504, 1_505] {
        run(seed, async |lab| {
            prepare(lab, &[OTHER]);
            lab.apply(&big(&[B]));
            lab.apply(&with(huge(), "/metadata/name", &json!("huge")));
            lab.until_reason(POLICIES, "team-a", "object", "NotAllowed").await;
            lab.until_reason(POLICIES, "team-a", "huge", "NotAllowed").await;
            lab.settle().await;
            let (told, revision) = (lab.kube.list(POLICIES, ""), lab.kube.revision());
            let counted = lab.kube.get(REGISTRIES, "", "default").unwrap();
            lab.restart().await;
            lab.assert_at_rest().await;
            assert_eq!(lab.kube.list(POLICIES, ""), told);
            assert_eq!(lab.kube.get(REGISTRIES, "", "default").unwrap(), counted);
            assert!(lab.kube.written_since(POLICIES, revision).is_empty(), "nothing is written to say it again");
        });
    }
}

/// Behaviour 48: nothing of a tenant without any leave is ever read for itself, not after a restart either.
#[test]
fn an_object_that_no_rule_speaks_of_is_never_read_again() {
    run(1_510, async |lab| {
        prepare(lab, &[B]);
        lab.set("namespaces", "", "team-a", "/metadata/labels", &json!({"tenant": "no"}));
        lab.apply(&huge());
        until_refused(lab, "NotAllowed").await;
        lab.restart().await;
        lab.assert_at_rest().await;
        assert_eq!(reads(lab), 0);
        lab.delete(POLICIES, "team-a", "object");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "object")).await;
    });
}

/// Behaviour 14, by lengths alone: no pass tries what can never fit, and nobody else notices it.
#[test]
fn what_can_never_fit_is_told_so_and_fits_once_it_is_edited() {
    run(1_511, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-b", "other", "default", &[OTHER], "team-b/*"));
        lab.apply(&huge());
        lab.until_ready(&["team-b/other"]).await;
        until_refused(lab, "PolicyTooLarge").await;
        let message = lab.message(POLICIES, "team-a", "object", "Ready");
        assert!(message.starts_with("spec.statements[0]: it takes 3") && message.contains("10240"), "{message}");
        assert_eq!(lab.statements(A).len(), 1);
        lab.apply(&big(&[B]));
        until_let_in(lab, B).await;
        lab.apply(&with(huge(), "/spec/statements/0/principals/accountIds", &json!([OTHER])));
        lab.until_reason(POLICIES, "team-a", "object", "PolicyTooLarge").await;
        lab.until("what the edit gave up is gone", |lab| !may_pull(lab, B)).await;
        lab.assert_at_rest().await;
    });
}

/// While the API server does not show an object, nobody waits for it, and it is let in once it does.
#[test]
fn an_object_that_cannot_be_read_again_holds_up_nobody() {
    run(1_512, async |lab| {
        prepare(lab, &[OTHER]);
        lab.settle().await;
        lab.apply(&big(&[B]));
        until_refused(lab, "NotAllowed").await;
        let read = Matching::any().verb(Verb::Get).resource(POLICIES).name("object");
        lab.kube.inject(read, 1, 3, Fault::Error(500, Phase::Before));
        lab.set(REGISTRIES, "", "default", "/spec/allow/0/accountIds", &json!([OTHER, B]));
        lab.apply(&pull("team-a", "other", "default", &[OTHER], "team-a/*"));
        lab.pass(Duration::from_secs(5)).await;
        assert!(lab.is_ready(POLICIES, "team-a", "other"));
        assert!(!lab.is_ready(POLICIES, "team-a", "object"));
        until_let_in(lab, B).await;
    });
}
