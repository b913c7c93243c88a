//! What an object learns, and what the ledger keeps.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::pass::conditions::find;
use crate::pass::judge::{Applied, Fate, Judging, unattached};
use crate::reason::{Because, Reason};

fn because(reason: Reason) -> Because {
    Because::new(reason, "so it is")
}

fn applied(has: Option<&[Statement]>) -> Applied {
    let has = has.map(|has| BTreeMap::from([(id("o"), has.to_vec())]));
    Applied { has, ..Applied::default() }
}

fn wanted() -> Vec<Statement> {
    pull(&[A], &["x/*"])
}

fn plain() -> Attached {
    object("o", body(&[A], &["x/*"], &json!({})))
}

/// The fate of `object` under a stance, and its entry in the ledger.
fn judged(object: Attached, contribution: Contribution, applied: &Applied) -> (Fate, Option<ledger::Holding>) {
    judged_under(object, &desired(vec![contribution]), applied)
}

fn judged_under(object: Attached, desired: &Desired, applied: &Applied) -> (Fate, Option<ledger::Holding>) {
    let gathered = gathered(registry(&[A]), &[], vec![object]);
    let (us, now) = (us(), Timestamp::UNIX_EPOCH);
    let judging = Judging { gathered: &gathered, desired, applied, installation: &us, now };
    let fate = judging.objects().remove(0).1;
    (fate, judging.ledger().remove(&id("o")))
}

fn ready(fate: &Fate) -> (&str, &str) {
    find(&fate.status.conditions, "Ready").unwrap()
}

fn wants() -> Contribution {
    contribution("o", &wanted(), Some(LedgerState::Applied), Stance::Wants(wanted()))
}

/// Rule 4: `Ready=True` needs a read that equalled all that is wanted.
#[test]
fn ready_needs_a_read_that_equals_all_that_is_wanted() {
    let failure = |reason| Applied { failure: Some(because(reason)), ..applied(None) };
    let verdict =
        |reason| Applied { verdicts: BTreeMap::from([(id("o"), because(reason))]), ..applied(Some(&wanted())) };
    let finding = |reason| Applied { findings: vec![because(reason)], ..applied(None) };
    let table = [
        (applied(Some(&wanted())), ("True", "Succeeded")),
        (applied(Some(&pull(&[A], &["x/app"]))), ("Unknown", "Progressing")),
        (applied(Some(&[])), ("Unknown", "Progressing")),
        (applied(None), ("Unknown", "Progressing")),
        (failure(Reason::AccountMismatch), ("False", "AccountMismatch")),
        (failure(Reason::Throttled), ("Unknown", "Throttled")),
        (verdict(Reason::PolicyTooLarge), ("False", "PolicyTooLarge")),
        (verdict(Reason::Propagating), ("Unknown", "Propagating")),
        (finding(Reason::ForeignRefused), ("False", "ForeignRefused")),
        (finding(Reason::Progressing), ("Unknown", "Progressing")),
    ];
    for (applied, expected) in table {
        let (fate, _) = judged(plain(), wants(), &applied);
        assert_eq!(ready(&fate), expected, "{applied:?}");
        assert!(!fate.release);
        assert_eq!(fate.status.observed_generation, 2);
    }
}

/// Who was proven stays so while AWS is merely out of reach; an edit, and a refusal, are told at once.
#[test]
fn being_out_of_reach_disproves_nothing() {
    let proven = judged(plain(), wants(), &applied(Some(&wanted()))).0.status;
    let known = Attached { status: proven.clone(), ..plain() };
    let failure = |reason| Applied { failure: Some(because(reason)), ..applied(None) };
    for reason in [Reason::Unreachable, Reason::Throttled] {
        assert_eq!(judged(known.clone(), wants(), &failure(reason)).0.status, proven, "{reason}");
    }
    for reason in [Reason::AccountMismatch, Reason::AccessDenied, Reason::UnreadableDocument] {
        assert_eq!(ready(&judged(known.clone(), wants(), &failure(reason)).0), ("False", reason.as_str()));
    }
    let mut edited = known;
    edited.meta.generation = 3;
    let (fate, _) = judged(edited, wants(), &failure(Reason::Unreachable));
    assert_eq!((ready(&fate), fate.status.observed_generation), (("Unknown", "Unreachable"), 3));
}

/// Suspended: as last proven if it is equal, else unknown. Under Observe equal is Ready.
#[test]
fn what_is_paused_is_ready_only_if_it_is_equal() {
    let held = |has: &[Statement]| {
        let mut held = contribution(
            "o",
            &wanted(),
            Some(LedgerState::Applied),
            Stance::Holds(wanted(), because(Reason::Suspended)),
        );
        held.wanted = Some(wanted());
        judged(plain(), held, &applied(Some(has))).0
    };
    assert_eq!(ready(&held(&wanted())), ("True", "Suspended"));
    assert_eq!(ready(&held(&[])), ("Unknown", "Suspended"));

    let observed = |has: &[Statement]| {
        let desired = Desired { restraint: Some(because(Reason::ObserveOnly)), ..desired(vec![wants()]) };
        judged_under(plain(), &desired, &applied(Some(has)))
    };
    assert_eq!(ready(&observed(&wanted()).0), ("True", "Succeeded"));
    let (fate, holding) = observed(&[]);
    assert_eq!(ready(&fate), ("Unknown", "ObserveOnly"));
    assert_eq!(holding.unwrap().statements, wanted(), "what is only observed is not forgotten");
}

/// docs/api.md, "Deleting": an object goes when nothing of it is left, or when a person lets it go.
#[test]
fn an_object_goes_when_nothing_of_it_is_left() {
    let mut leaving = plain();
    leaving.meta.deleting = true;
    let leaves = |has: &[Statement]| {
        let state = (!has.is_empty()).then_some(LedgerState::Applied);
        contribution("o", has, state, Stance::Leaves)
    };
    let failure = Applied { failure: Some(because(Reason::Unreachable)), ..applied(None) };
    let table = [
        ("nothing is left", leaves(&wanted()), applied(Some(&[])), true),
        ("it never had anything", leaves(&[]), failure.clone(), true),
        ("something is left", leaves(&wanted()), applied(Some(&wanted())), false),
        ("nobody knows", leaves(&wanted()), failure.clone(), false),
        (
            "abandoned",
            contribution("o", &wanted(), Some(LedgerState::Applied), Stance::Orphaned(wanted())),
            failure,
            true,
        ),
    ];
    for (what, contribution, applied, release) in table {
        let (fate, holding) = judged(leaving.clone(), contribution.clone(), &applied);
        assert_eq!(fate.release, release, "{what}");
        if !release {
            assert_eq!(ready(&fate), ("Unknown", "DeletionBlocked"), "{what}");
            assert_eq!(holding.unwrap().statements, wanted(), "{what}");
        } else if let Stance::Orphaned(_) = contribution.stance {
            assert_eq!(holding.unwrap().state, LedgerState::Orphan, "{what}");
        } else {
            assert_eq!(holding, None, "{what}");
        }
    }
}

/// What is confirmed is recorded as it is; what is not confirmed stays on record as it was.
#[test]
fn the_ledger_follows_what_was_seen() {
    let writing = || contribution("o", &wanted(), Some(LedgerState::Writing), Stance::Wants(wanted()));
    let (_, confirmed) = judged(plain(), writing(), &applied(Some(&wanted())));
    assert_eq!(confirmed.unwrap().state, LedgerState::Applied);
    let (_, unknown) = judged(plain(), writing(), &applied(None));
    assert_eq!(unknown.unwrap().state, LedgerState::Writing, "it may be there");
    let new = contribution("o", &[], None, Stance::Wants(wanted()));
    assert_eq!(judged(plain(), new, &applied(None)).1, None, "nothing was written for it");
    let gone =
        Applied { verdicts: BTreeMap::from([(id("o"), because(Reason::PrincipalGone))]), ..applied(Some(&wanted())) };
    assert_eq!(judged(plain(), wants(), &gone).1.unwrap().state, LedgerState::PrincipalGone);
}

/// Behaviour 44: without its Registry an object goes if no ledger has anything of it; else it waits, or is abandoned.
#[test]
fn without_a_registry_only_who_has_nothing_goes() {
    let told = |abandon, on_record, unreadable| {
        let object = plain();
        let meta = Meta { deleting: true, abandon, ..object.meta.clone() };
        unattached(&Attached { meta, ..object }, on_record, unreadable, Timestamp::UNIX_EPOCH)
    };
    assert!(told(false, false, false).release);
    let waiting = told(false, true, false);
    assert_eq!((waiting.release, ready(&waiting)), (false, ("Unknown", "DeletionBlocked")));
    assert!(!told(false, false, true).release, "the Registry is there, and cannot be read");
    assert!(told(true, true, false).release);
    // Its own status says nothing: anybody may write it.
    let living = unattached(&plain(), false, false, Timestamp::UNIX_EPOCH);
    assert_eq!((living.release, ready(&living)), (false, ("Unknown", "RegistryNotFound")));
}
