//! Where an object stands, before AWS is asked.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::pass::compile::compile;
use crate::reason::Reason;

const NOW: Duration = Duration::from_secs(1000);

/// The stance of the only contribution.
fn stance(gathered: &Gathered) -> Stance {
    stance_after(gathered, &memory())
}

fn stance_after(gathered: &Gathered, memory: &Memory) -> Stance {
    let mut contributions = compile(gathered, &us(), memory, NOW).contributions;
    assert_eq!(contributions.len(), 1);
    contributions.remove(0).stance
}

fn keeps(stance: &Stance) -> (Vec<Statement>, Reason) {
    match stance {
        Stance::Keeps(floor, because) => (floor.clone(), because.reason),
        other => panic!("{other:?}"),
    }
}

fn holds(stance: &Stance) -> (Vec<Statement>, Reason) {
    match stance {
        Stance::Holds(floor, because) => (floor.clone(), because.reason),
        other => panic!("{other:?}"),
    }
}

fn plain() -> Attached {
    object("o", body(&[A, B], &["x/*"], &json!({})))
}

/// One that was never accepted.
fn new() -> Attached {
    let object = plain();
    Attached { meta: Meta { finalized: false, ..object.meta.clone() }, ..object }
}

fn suspended() -> Attached {
    object("o", body(&[A, B], &["x/*"], &json!({"suspend": true})))
}

fn had(statements: &[Statement]) -> Vec<(&'static str, ledger::Holding)> {
    vec![("o", holding(1, LedgerState::Applied, statements))]
}

fn both() -> Vec<Statement> {
    pull(&[A, B], &["x/*"])
}

/// Behaviour 34: what is covered is wanted whole; what is not leaves the part that is covered.
#[test]
fn an_accepted_object_gets_all_and_a_refused_one_keeps_what_is_still_covered() {
    assert_eq!(stance(&gathered(registry(&[A, B]), &[], vec![plain()])), Stance::Wants(both()));
    let new = stance(&gathered(registry(&[A]), &[], vec![new()]));
    assert_eq!(keeps(&new), (vec![], Reason::NotAllowed));
    let revoked = stance(&gathered(registry(&[A]), &had(&both()), vec![plain()]));
    assert_eq!(keeps(&revoked), (pull(&[A], &["x/*"]), Reason::NotAllowed));
    let all_revoked = stance(&gathered(registry(&[OWN]), &had(&both()), vec![plain()]));
    assert_eq!(keeps(&all_revoked), (vec![], Reason::NotAllowed));
}

/// What an edit gives up goes although the edit is refused.
#[test]
fn a_refused_edit_keeps_no_more_than_it_wants() {
    let edited = object("o", body(&[B, "666666666666"], &["x/*"], &json!({})));
    let stance = stance(&gathered(registry(&[A, B]), &had(&both()), vec![edited]));
    assert_eq!(keeps(&stance), (pull(&[B], &["x/*"]), Reason::NotAllowed));
}

#[test]
fn a_spec_that_says_nothing_sensible_keeps_what_stood() {
    let odd = object("o", body(&["12"], &["x/*"], &json!({})));
    let stance = stance(&gathered(registry(&[A, B]), &had(&both()), vec![odd]));
    assert_eq!(keeps(&stance), (both(), Reason::InvalidSpec));
}

/// Behaviour 34: a suspended object keeps what it has, as far as it is allowed today.
#[test]
fn a_suspended_object_holds_what_is_allowed_of_it() {
    let held = stance(&gathered(registry(&[A, B]), &had(&both()), vec![suspended()]));
    assert_eq!(holds(&held), (both(), Reason::Suspended));
    let revoked = stance(&gathered(registry(&[B]), &had(&both()), vec![suspended()]));
    assert_eq!(holds(&revoked), (pull(&[B], &["x/*"]), Reason::NotAllowed));
}

/// docs/api.md, "Consent": a namespace that is not seen is no revocation, one that is seen and does not match is.
#[test]
fn an_unseen_namespace_holds_everything() {
    let unseen = |accounts: &[&str]| {
        let mut gathered = gathered(registry(accounts), &had(&both()), vec![plain()]);
        gathered.namespaces.clear();
        holds(&stance(&gathered))
    };
    assert_eq!(unseen(&[A, B]), (both(), Reason::NamespaceNotSeen));
    assert_eq!(unseen(&[A]), (pull(&[A], &["x/*"]), Reason::NamespaceNotSeen), "what no rule could cover is certain");
}

/// A Registry that goes serves on whoever has something, and takes nobody new.
#[test]
fn a_terminating_registry_takes_nobody_new() {
    let mut leaving = registry(&[A, B]);
    leaving.meta.deleting = true;
    let new = stance(&gathered(leaving.clone(), &[], vec![new()]));
    assert_eq!(keeps(&new), (vec![], Reason::RegistryTerminating));
    let incumbent = stance(&gathered(leaving, &had(&pull(&[A], &["x/*"])), vec![plain()]));
    assert_eq!(incumbent, Stance::Wants(both()));
}

/// docs/api.md, "Deleting".
#[test]
fn what_leaves_takes_all_along_but_what_is_retained_and_allowed() {
    let deleting = |more: &Value| {
        let mut object = object("o", body(&[A, B], &["x/*"], more));
        object.meta.deleting = true;
        object
    };
    let (plain, retain) = (deleting(&json!({})), deleting(&json!({"deletionPolicy": "Retain"})));
    let at = |registry, object: &Attached| stance(&gathered(registry, &had(&both()), vec![object.clone()]));
    let retaining = |accounts| {
        let mut registry = registry(accounts);
        registry.spec.allow.iter_mut().for_each(|rule| rule.retain = Some(true));
        registry
    };
    assert_eq!(at(retaining(&[A, B]), &plain), Stance::Leaves);
    assert_eq!(at(registry(&[A, B]), &retain), Stance::Leaves, "no rule says retain: true");
    assert_eq!(at(retaining(&[A, B]), &retain), Stance::Retained(both()));
    assert_eq!(at(retaining(&[A]), &retain), Stance::Leaves, "refused as it is, no rule covers it");

    // Its record was lost: what it asks for counts as its own, and stays all the same.
    let lost = |registry| stance(&gathered(registry, &[], vec![retain.clone()]));
    assert_eq!(lost(retaining(&[A, B])), Stance::Retained(both()));
    assert_eq!(lost(registry(&[A, B])), Stance::Leaves);

    // Afterwards, too: what no such rule covers any more goes.
    let left = vec![("o", holding(2, LedgerState::Retained, &both()))];
    assert_eq!(stance(&gathered(retaining(&[A, B]), &left, vec![])), Stance::Retained(both()));
    assert_eq!(stance(&gathered(retaining(&[A]), &left, vec![])), Stance::Retained(pull(&[A], &["x/*"])));
    assert_eq!(stance(&gathered(registry(&[A, B]), &left, vec![])), Stance::Retained(vec![]));
    // A new object of that name takes it back.
    assert_eq!(
        stance(&gathered(registry(&[A, B]), &left, vec![super::object("o", body(&[A, B], &["x/*"], &json!({})))])),
        Stance::Wants(both())
    );

    let mut released = super::object("o", body(&[A, B], &["x/*"], &json!({})));
    released.meta.release = Some("true".to_owned());
    let releasing = |accounts| {
        let mut registry = registry(accounts);
        registry.meta.release = Some("abc,true".to_owned());
        registry
    };
    assert_eq!(at(registry(&[A, B]), &released), Stance::Wants(both()), "without the Registry's word");
    assert_eq!(at(releasing(&[A, B]), &released), Stance::Released(both()));
    assert_eq!(at(releasing(&[A]), &released), Stance::Released(pull(&[A], &["x/*"])), "what is not allowed goes");
    let unsaid = super::object("o", body(&[A, B], &["x/*"], &json!({})));
    assert_eq!(at(releasing(&[A, B]), &unsaid), Stance::Wants(both()), "nor without its own");

    let mut abandoned = deleting(&json!({}));
    abandoned.meta.abandon = true;
    assert_eq!(at(registry(&[A, B]), &abandoned), Stance::Orphaned(both()));
    let mut living = super::object("o", body(&[A, B], &["x/*"], &json!({})));
    living.meta.abandon = true;
    assert_eq!(at(registry(&[A, B]), &living), Stance::Wants(both()), "abandon speaks of deletion alone");
}

/// Withdrawal must be seen: who is merely not there is an orphan, and only what is not allowed any more goes.
#[test]
fn who_is_not_there_is_an_orphan() {
    assert_eq!(stance(&gathered(registry(&[A, B]), &had(&both()), vec![])), Stance::Orphaned(both()));
    let revoked = stance(&gathered(registry(&[A]), &had(&both()), vec![]));
    assert_eq!(revoked, Stance::Orphaned(pull(&[A], &["x/*"])));
}

/// Never granted again by name, until somebody edits the object.
#[test]
fn a_principal_that_is_gone_stays_gone_until_an_edit() {
    let gone = |generation| vec![("o", holding(generation, LedgerState::PrincipalGone, &pull(&[A], &["x/*"])))];
    let same = stance(&gathered(registry(&[A, B]), &gone(2), vec![plain()]));
    assert_eq!(keeps(&same), (pull(&[A], &["x/*"]), Reason::PrincipalGone));
    assert_eq!(stance(&gathered(registry(&[A, B]), &gone(1), vec![plain()])), Stance::Wants(both()));
}

/// Behaviour 18: what AWS refused waits for its time; an edit does not.
#[test]
fn what_was_refused_waits_and_what_was_edited_does_not() {
    let mut memory = memory();
    memory.refuse(&id("o"), &both(), NOW);
    let refused = stance_after(&gathered(registry(&[A, B]), &had(&pull(&[A], &["x/*"])), vec![plain()]), &memory);
    assert_eq!(keeps(&refused), (pull(&[A], &["x/*"]), Reason::Propagating));
    let edited = object("o", body(&[B], &["x/*"], &json!({})));
    let stance = stance_after(&gathered(registry(&[A, B]), &[], vec![edited]), &memory);
    assert_eq!(stance, Stance::Wants(pull(&[B], &["x/*"])));
}

/// Behaviour 41: an object that carries our finalizer and has no entry lost it, or never grew. What it asks for counts as
/// its own while it goes or is held, as far as `allow` lets it ask; a finalizer is anybody's to set.
#[test]
fn who_has_lost_its_entry_takes_along_what_it_may_ask_for() {
    let has = |object: Attached, allowed: &[&str]| {
        let gathered = gathered(registry(allowed), &[], vec![object]);
        compile(&gathered, &us(), &memory(), NOW).contributions[0].has.clone()
    };
    let deleting = |mut object: Attached| {
        object.meta.deleting = true;
        object
    };
    assert_eq!(has(deleting(plain()), &[A, B]), both());
    assert_eq!(has(deleting(plain()), &[A]), pull(&[A], &["x/*"]), "no more than it may ask for");
    assert_eq!(has(suspended(), &[A, B]), both(), "it is held, and stays");
    assert_eq!(has(plain(), &[A, B]), vec![], "who lives grows, on record");
    let mut unmarked = deleting(plain());
    unmarked.meta.finalized = false;
    assert_eq!(has(unmarked, &[A, B]), vec![], "it never had our finalizer");
}

/// Rule 8, and suspension.
#[test]
fn observe_and_suspension_restrain_the_pass() {
    let reason = |more: Value| {
        let mut registry = registry(&[A]);
        let mut spec = serde_json::to_value(&registry.spec).unwrap();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        registry.spec = serde_json::from_value(spec).unwrap();
        compile(&gathered(registry, &[], vec![]), &us(), &memory(), NOW).restraint.map(|because| because.reason)
    };
    assert_eq!(reason(json!({})), None);
    assert_eq!(reason(json!({"management": "Enforce", "suspend": false})), None);
    assert_eq!(reason(json!({"management": "Observe"})), Some(Reason::ObserveOnly));
    assert_eq!(reason(json!({"suspend": true})), Some(Reason::Suspended));
    assert_eq!(reason(json!({"suspend": true, "management": "Observe"})), Some(Reason::Suspended));
}
