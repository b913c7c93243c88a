//! What the index keeps of objects that no rule lets in (behaviour 48).

use super::*;
use crate::kinds::{Outline, WHOLE_AT_MOST};
use crate::pass::Change;
use crate::pass::compile::compile;
use crate::pass::index::{Index, WatchEvent};
use crate::reason::{Because, Reason};

/// Lets accounts pull from so many repositories, with names of so many characters.
fn wide(accounts: &[&str], repositories: usize, characters: usize) -> Body {
    let names: Vec<String> = (0..repositories).map(|i| format!("x/{i:03}-{}", "y".repeat(characters - 6))).collect();
    body(accounts, &names.iter().map(String::as_str).collect::<Vec<_>>(), &json!({}))
}

/// More than stays whole of a refused object, and much less than AWS takes.
fn big(accounts: &[&str]) -> Attached {
    object("o", wide(accounts, 30, 100))
}

fn unfinalized(object: Attached) -> Attached {
    Attached { meta: Meta { finalized: false, ..object.meta }, ..object }
}

/// More than AWS takes of everybody together.
fn huge(accounts: &[&str]) -> Attached {
    object("o", wide(accounts, 100, 250))
}

/// Nothing is listed yet but kinds of which nothing is there, and the ledger.
fn index(ledger: &[(&str, ledger::Holding)]) -> Index {
    let mut index = Index::new(&us());
    let holdings = ledger.iter().map(|(name, holding)| (id(name), holding.clone())).collect();
    for slice in slices_of(&key(), &holdings) {
        index.take(WatchEvent::Ledger(Change::ListItem(slice.name.clone(), slice)));
    }
    index.take(WatchEvent::Ledger(Change::Listed));
    for kind in Kind::ALL {
        index.take(WatchEvent::Attached(kind, Change::Listed));
    }
    index
}

fn take_registry(index: &mut Index, registry: RegistryObject) {
    index.take(WatchEvent::Registry(Change::Apply(registry.name().to_owned(), registry)));
}

fn take_namespace(index: &mut Index, labels: &[(&str, &str)]) {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    index.take(WatchEvent::Namespace(Change::Apply("team-a".to_owned(), NamespaceView { labels })));
}

fn take(index: &mut Index, object: &Attached) {
    index.take(WatchEvent::Attached(Kind::RegistryPolicy, Change::Apply(object.id.clone(), object.clone())));
}

/// The Registry, its namespace and the ledger are there.
fn listed(registry: RegistryObject, ledger: &[(&str, ledger::Holding)]) -> Index {
    let mut index = index(ledger);
    index.take(WatchEvent::Registry(Change::Listed));
    index.take(WatchEvent::Namespace(Change::Listed));
    take_registry(&mut index, registry);
    take_namespace(&mut index, &[]);
    index
}

fn named(mut registry: RegistryObject) -> RegistryObject {
    registry.meta.name = crate::api::DEFAULT_REGISTRY.to_owned();
    registry
}

fn gather(index: &Index) -> Gathered {
    index.ready().unwrap().gather(&key()).unwrap()
}

/// What is kept of the only object, if not all of it.
fn kept(index: &Index) -> Option<Outline> {
    let gathered = gather(index);
    assert_eq!((gathered.attached.len(), gathered.unread.len()), (1, 0));
    match &gathered.attached[0].body {
        Body::Outline(outline) => Some(Outline::clone(outline)),
        _ => None,
    }
}

fn is_unread(index: &Index) -> bool {
    let gathered = gather(index);
    assert_eq!(gathered.attached.len() + gathered.unread.len(), 1);
    !gathered.unread.is_empty()
}

fn told(index: &Index) -> Because {
    let mut all = compile(&gather(index), &us(), &memory(), std::time::Duration::ZERO).contributions;
    assert_eq!(all.len(), 1);
    match all.remove(0).stance {
        Stance::Keeps(floor, because) if floor.is_empty() => because,
        other => panic!("{other:?}"),
    }
}

/// Behaviour 48.
#[test]
fn of_what_no_rule_lets_in_no_spec_is_kept_and_the_answer_is_the_same() {
    let mut index = listed(named(registry(&[A])), &[]);
    let object = unfinalized(big(&[A, B]));
    assert!(object.body.length() > WHOLE_AT_MOST && object.body.too_long().is_none());
    take(&mut index, &object);
    let because = kept(&index).unwrap().verdict.unwrap().because;
    let whole = gathered(named(registry(&[A])), &[], vec![object.clone()]);
    let stance = compile(&whole, &us(), &memory(), std::time::Duration::ZERO).contributions.remove(0).stance;
    assert_eq!(stance, Stance::Keeps(Vec::new(), because.clone()));
    assert_eq!(told(&index), because);
    assert!(because.message.starts_with("Not covered by one rule of the Registry's spec.allow: account 444444444444 "));

    let small = unfinalized(super::object("o", body(&[B], &["x/*"], &json!({}))));
    take(&mut index, &small);
    assert_eq!(kept(&index), None, "what is small stays whole");
    take(&mut index, &unfinalized(big(&[A])));
    assert_eq!(kept(&index), None, "what is let in stays whole");
    take(&mut index, &huge(&[A, B]));
    assert_eq!(kept(&index).unwrap().verdict.unwrap().because.reason, Reason::NotAllowed, "as it is it never stood");
    take(&mut index, &big(&[A, B]));
    assert_eq!(kept(&index), None, "it was accepted once, and what it lost the record of is told by its spec");
}

#[test]
fn an_object_that_no_rule_speaks_of_is_never_read_again() {
    let mut index = listed(named(registry(&[A])), &[]);
    let mut stranger = big(&[A]);
    stranger.id.namespace = "stranger".to_owned();
    take(&mut index, &stranger);
    assert!(!is_unread(&index), "its namespace is not there");
    index.take(WatchEvent::Namespace(Change::Apply("stranger".to_owned(), NamespaceView::default())));
    assert_eq!(kept(&index).unwrap().verdict, None);
    assert_eq!(
        told(&index).message,
        "No rule of the Registry's spec.allow covers a RegistryPolicy in namespace stranger; ask the Registry's owner for one."
    );
}

#[test]
fn what_comes_in_before_it_can_be_judged_is_read_again() {
    let mut index = index(&[]);
    let object = unfinalized(big(&[A, B]));
    take(&mut index, &object);
    index.take(WatchEvent::Namespace(Change::Listed));
    index.take(WatchEvent::Registry(Change::Listed));
    take_namespace(&mut index, &[]);
    take_registry(&mut index, named(registry(&[A])));
    assert!(is_unread(&index));
    assert!(index.read_again(&object).contains(&crate::pass::queue::Key::Registry(key())));
    assert_eq!(kept(&index).unwrap().verdict.unwrap().because.reason, Reason::NotAllowed);
}

#[test]
fn another_rule_or_another_label_is_another_question() {
    let mut index = listed(named(registry(&[A])), &[]);
    let object = unfinalized(big(&[A, B]));
    take(&mut index, &object);
    let mut edited = named(registry(&[A]));
    edited.spec.suspend = Some(true);
    take_registry(&mut index, edited);
    take_namespace(&mut index, &[("unasked", "for")]);
    assert!(!is_unread(&index), "nothing of it decides");

    take_registry(&mut index, named(registry(&[A, B])));
    assert!(is_unread(&index));
    let mut newer = object.clone();
    newer.meta.generation += 1;
    assert!(index.read_again(&newer).is_empty() && is_unread(&index), "what the watch has not brought is not judged");
    index.read_again(&object);
    assert_eq!(kept(&index), None);

    let mut by_label = named(registry(&[A]));
    by_label.spec.allow[0].namespaces = serde_json::from_value(json!({"selector": {"tenant": "yes"}})).unwrap();
    take_registry(&mut index, by_label);
    take(&mut index, &object);
    assert_eq!(kept(&index).unwrap().verdict, None);
    take_namespace(&mut index, &[("tenant", "yes")]);
    assert!(is_unread(&index));
}

#[test]
fn what_is_on_record_keeps_its_spec_until_the_record_is_gone() {
    let statements = pull(&[A], &["x/*"]);
    let ledger = [("o", holding(1, LedgerState::Applied, &statements))];
    let mut index = listed(named(registry(&[A])), &ledger);
    take(&mut index, &unfinalized(big(&[B])));
    assert_eq!(kept(&index), None);
    let holdings = [(id("o"), ledger[0].1.clone())].into();
    let slice = slices_of(&key(), &holdings).into_iter().find(|slice| slice.namespace.is_some()).unwrap();
    index.take(WatchEvent::Ledger(Change::Delete(slice.name.clone())));
    assert_eq!(kept(&index).unwrap().verdict.unwrap().because.reason, Reason::NotAllowed);

    index.take(WatchEvent::Ledger(Change::Apply(slice.name.clone(), slice)));
    assert!(is_unread(&index), "on record again, and what it gave up is not known");
    let gathered = gather(&index);
    let held = compile(&gathered, &us(), &memory(), std::time::Duration::ZERO).contributions.remove(0);
    assert!(
        matches!(held.stance, Stance::Holds(floor, _) if floor == statements),
        "nothing is taken from it meanwhile"
    );
}

/// Behaviours 14 and 48: what can never fit is refused by its lengths.
#[test]
fn what_can_never_fit_says_its_field_and_its_length() {
    let mut index = listed(named(registry(&[A])), &[]);
    take(&mut index, &huge(&[A]));
    let because = kept(&index).unwrap().verdict.unwrap().because;
    assert_eq!((because.reason, &told(&index)), (Reason::PolicyTooLarge, &because));
    assert_eq!(
        because.message,
        "spec.statements[0]: it takes 29332 characters of the registry policy at least, and AWS takes 10240 of all \
         statements together; name prefixes with a * at their end, organizations in place of accounts, or less."
    );
}

/// Of an edit that can never fit, what it gives up goes all the same.
#[test]
fn an_edit_that_can_never_fit_still_narrows() {
    let ledger = [("o", holding(1, LedgerState::Applied, &pull(&[A, B], &["x/*"])))];
    let mut index = listed(named(registry(&[A, B])), &ledger);
    let edit = huge(&[B]);
    take(&mut index, &edit);
    let contribution = compile(&gather(&index), &us(), &memory(), std::time::Duration::ZERO).contributions.remove(0);
    let Stance::Holds(floor, because) = contribution.stance else { panic!() };
    assert_eq!(because.reason, Reason::PolicyTooLarge);
    let accounts: Vec<_> = floor.iter().flat_map(|statement| &statement.principals).map(ToString::to_string).collect();
    assert_eq!(accounts, [B]);
}

/// A suspended object is told what it would be told whole.
#[test]
fn a_suspended_object_without_consent_says_so() {
    let mut index = listed(named(registry(&[A])), &[]);
    let Body::RegistryPolicy(mut spec) = big(&[B]).body else { panic!() };
    Arc::make_mut(&mut spec).suspend = Some(true);
    take(&mut index, &unfinalized(object("o", Body::RegistryPolicy(spec))));
    assert!(kept(&index).is_some());
    let mut all = compile(&gather(&index), &us(), &memory(), std::time::Duration::ZERO).contributions;
    assert!(matches!(all.remove(0).stance, Stance::Holds(_, because) if because.reason == Reason::NotAllowed));
}
