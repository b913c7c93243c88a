//! Where entries stand, and what is read of slices that somebody lost, edited or wrote in another version.

use std::collections::BTreeSet;

use super::*;
use crate::api::{RegistryLedger, RegistryLedgerSpec};
use crate::pass::ledger::{Changes, Entry, PartId, SLICE_BYTES};
use crate::reason::Reason;

fn read(slices: &[Slice]) -> Ledger {
    read_where(slices, |_| true)
}

fn read_where(slices: &[Slice], lives: impl Fn(&ObjectId) -> bool) -> Ledger {
    let slices = Slices::new(&us(), slices.iter().cloned().map(Arc::new));
    Ledger::read(&key(), &us(), slices, &BTreeSet::new(), lives)
}

fn held(name: &str, accounts: &[&str]) -> (ObjectId, ledger::Holding) {
    (id(name), holding(1, LedgerState::Applied, &pull(accounts, &["x/*"])))
}

/// An entry of about this many bytes.
fn large(bytes: usize) -> Entry {
    let documents: BTreeSet<String> = (0..bytes / 40).map(|i| format!("RepositoryPolicy/team-a/app-{i:012}")).collect();
    Entry { documents, ..Entry::default() }
}

fn stored(ledger: &Ledger) -> Vec<Slice> {
    ledger.slices().own().map(|slice| Slice::clone(slice)).collect()
}

/// Writes drafts as the API server would.
fn wrote(ledger: &mut Ledger, drafts: Vec<ledger::Draft>) -> usize {
    let number = drafts.len();
    for draft in drafts {
        ledger.wrote(&Arc::new(Slice { finalized: true, ..draft.slice }));
    }
    number
}

#[test]
fn what_is_written_is_read_again() {
    let holdings = BTreeMap::from([held("a", &[A]), held("b", &[B])]);
    let ledger = ledger_of(&key(), &holdings);
    assert_eq!(ledger.holdings, holdings);
    assert_eq!(ledger.changes_to(&holdings, 1), Changes::new(), "at rest nothing is written");
    let names: Vec<_> = ledger.slices().own().map(|slice| (slice.namespace.clone(), slice.number())).collect();
    assert_eq!(names, [(None, 0), (Some("team-a".to_owned()), 0)]);
    assert!(ledger.slices().own().all(|slice| !slice.is_edited() && slice.name.starts_with("111111111111-eu-west-1-")));
}

/// An entry that grows counts as one whose write is under way until the record of the document has its number.
#[test]
fn what_grows_is_all_that_may_be_there_until_its_write_is_confirmed() {
    let mut ledger = ledger_of(&key(), &BTreeMap::from([held("a", &[A])]));
    let (before, after) = (pull(&[A], &["x/*"]), pull(&[B], &["x/*"]));
    let write = ledger.next_write();
    let intent = ledger.intent(&id("a"), &holding(2, LedgerState::Writing, &after), before.clone(), write);
    let drafts = ledger.additions(&BTreeMap::from([(id("a"), Some(intent))]), false);
    assert_eq!(wrote(&mut ledger, drafts), 1);
    let both: Vec<_> = after.iter().chain(&before).cloned().collect();
    assert_eq!((ledger.holdings[&id("a")].state, &ledger.holdings[&id("a")].statements), (LedgerState::Writing, &both));
    // Confirmed by the record alone: no entry is written again.
    let wanted = BTreeMap::from([(id("a"), holding(2, LedgerState::Applied, &after))]);
    assert_eq!(ledger.changes_to(&wanted, write), Changes::new());
    let record = DocumentRecord::default().confirmed_as(write, ledger.document(ledger::REGISTRY_POLICY).unwrap());
    let drafts = ledger.records(&BTreeMap::from([(ledger::REGISTRY_POLICY.to_owned(), record)]), "r");
    assert_eq!(wrote(&mut ledger, drafts), 1);
    assert_eq!(ledger.holdings, wanted);
    assert!(ledger.next_write() > write);
    // Without the record everything may be there.
    let slices: Vec<_> = stored(&ledger).into_iter().filter(|slice| slice.namespace.is_some()).collect();
    assert_eq!(read(&slices).holdings[&id("a")].state, LedgerState::Writing);
}

/// Whoever was left out of a write is written anew before its number is confirmed, or it is not confirmed.
#[test]
fn a_number_is_confirmed_for_nobody_who_was_left_out() {
    let mut ledger = ledger_of(&key(), &BTreeMap::from([held("a", &[A])]));
    let write = ledger.next_write();
    let grown = holding(2, LedgerState::Writing, &pull(&[A, B], &["x/*"]));
    let intent = ledger.intent(&id("a"), &grown, pull(&[A], &["x/*"]), write);
    let drafts = ledger.additions(&BTreeMap::from([(id("a"), Some(intent))]), false);
    wrote(&mut ledger, drafts);
    let has = BTreeMap::from([(id("a"), holding(2, LedgerState::Applied, &pull(&[A], &["x/*"])))]);
    assert_eq!(ledger.changes_to(&has, write).len(), 1);
    let unwritten = BTreeSet::from(["team-a".to_owned()]);
    assert_eq!(ledger.confirmable(&unwritten, write - 1, write), write - 1);
    assert_eq!(ledger.confirmable(&BTreeSet::new(), write - 1, write), write);
}

/// Behaviour 42: between the writes of several slices an entry stands twice, and never not at all.
#[test]
fn an_entry_that_moves_is_added_before_it_is_removed() {
    let mut ledger = ledger_of(&key(), &BTreeMap::from([held("a", &[A]), held("b", &[B])]));
    let filler: Changes = BTreeMap::from([(id("b"), Some(large(SLICE_BYTES * 2 / 3)))]);
    let drafts = ledger.additions(&filler, false);
    assert_eq!(wrote(&mut ledger, drafts), 1, "it grows where it stands");
    let moving: Changes = BTreeMap::from([(id("a"), Some(large(SLICE_BYTES / 2)))]);
    let drafts = ledger.additions(&moving, false);
    assert!(matches!(&drafts[..], [draft] if draft.base.is_none() && draft.slice.number() == 1));
    wrote(&mut ledger, drafts);
    let standing = |ledger: &Ledger| {
        let slices = ledger.slices().own().filter(|s| s.entries.contains_key(&PartId::of(&id("a"), 0)));
        slices.map(|slice| slice.number()).collect::<Vec<_>>()
    };
    assert_eq!(standing(&ledger), [0, 1]);
    assert!(ledger.additions(&moving, false).is_empty(), "the same again is no news");
    let union = read(&stored(&ledger)).holdings;
    assert_eq!(union[&id("a")].statements, pull(&[A], &["x/*"]), "what either says it has may be there");
    let drafts = ledger.removals(&moving);
    assert_eq!(wrote(&mut ledger, drafts), 1);
    assert_eq!(standing(&ledger), [1]);
    assert!(ledger.removals(&moving).is_empty());
}

#[test]
fn what_is_gone_goes_and_an_empty_slice_with_it() {
    let mut ledger = ledger_of(&key(), &BTreeMap::from([held("a", &[A])]));
    assert!(ledger.emptied().is_empty());
    let changes = ledger.changes_to(&ledger::Holdings::new(), 1);
    assert_eq!(changes, BTreeMap::from([(id("a"), None)]));
    assert!(ledger.additions(&changes, false).is_empty());
    let drafts = ledger.removals(&changes);
    wrote(&mut ledger, drafts);
    assert_eq!(ledger.holdings, ledger::Holdings::new());
    let emptied = ledger.emptied();
    assert!(matches!(&emptied[..], [ledger::Emptied(slice)] if slice.namespace.is_some()), "{emptied:?}");
    ledger.removed(&emptied[0].0);
    assert!(!ledger.slices().has_entries() && ledger.document(ledger::REGISTRY_POLICY).is_some());
}

/// Behaviour 51: a slice that somebody deletes is readable until its entries stand in another.
#[test]
fn a_slice_that_is_deleted_by_hand_goes_once_its_entries_stand_elsewhere() {
    let mut slices = stored(&ledger_of(&key(), &BTreeMap::from([held("a", &[A])])));
    for slice in &mut slices {
        slice.deleting = true;
    }
    let mut ledger = read(&slices);
    assert_eq!(ledger.holdings, BTreeMap::from([held("a", &[A])]));
    assert!(ledger.emptied().is_empty());
    let drafts = ledger.additions(&Changes::new(), false);
    assert_eq!(wrote(&mut ledger, drafts), 1);
    let drafts = ledger.records(&BTreeMap::new(), "r");
    assert_eq!(wrote(&mut ledger, drafts), 1);
    assert_eq!(ledger.emptied().len(), 2);
    ledger.emptied().iter().for_each(|emptied| ledger.removed(&emptied.0));
    assert_eq!(ledger.holdings, BTreeMap::from([held("a", &[A])]));
}

/// What stands in another slice by now is newer than what a deleted one still says.
#[test]
fn a_slice_under_deletion_overwrites_nothing_newer() {
    let of = |accounts: &[&str]| stored(&ledger_of(&key(), &BTreeMap::from([held("a", accounts)])));
    let is_of_objects = |slice: &Slice| slice.namespace.is_some();
    let old = of(&[A]).into_iter().find(is_of_objects).unwrap();
    let new = of(&[A, B]).into_iter().find(is_of_objects).unwrap();
    let next = Slice { name: old.name.replace("-0", "-1"), ..new };
    let mut ledger = read(&[Slice { deleting: true, ..old }, next.clone()]);
    let drafts = ledger.additions(&Changes::new(), false);
    assert_eq!(wrote(&mut ledger, drafts), 0);
    assert_eq!(ledger.emptied().len(), 1);
    ledger.emptied().iter().for_each(|emptied| ledger.removed(&emptied.0));
    assert_eq!(ledger.slices().own().map(|slice| &slice.entries).collect::<Vec<_>>(), [&next.entries]);
}

/// Behaviour 51: nothing is withdrawn on the word of a slice that somebody edited.
#[test]
fn an_edited_slice_is_believed_by_nobody_and_written_anew() {
    let mut slices = stored(&ledger_of(&key(), &BTreeMap::from([held("a", &[A]), held("b", &[A])])));
    for text in slices.iter_mut().flat_map(|slice| slice.entries.values_mut()) {
        *text = text.replace(A, B);
    }
    let as_stored = |slice: Slice| {
        let spec = RegistryLedgerSpec { digest: slice.digest.clone(), ..slice.spec() };
        Slice::of(RegistryLedger::new(&slice.name, spec))
    };
    let slices: Vec<_> = slices.into_iter().map(as_stored).collect();
    let mut ledger = read_where(&slices, |object| *object == id("a"));
    assert_eq!(ledger.holdings.keys().collect::<Vec<_>>(), [&id("b")], "who is there says itself what it has");
    assert_eq!(ledger.holdings[&id("b")].state, LedgerState::Orphan);
    assert_eq!(ledger.protected.len(), 2);
    assert_eq!(ledger.findings.iter().map(|found| found.reason).collect::<Vec<_>>(), [Reason::LedgerEdited]);
    let known = BTreeMap::from([held("a", &[A])]);
    let changes = ledger.changes_to(&known, 1);
    assert!(ledger.additions(&changes, false).iter().all(|draft| draft.base.is_none()), "growth touches it not");
    let drafts = ledger.additions(&changes, true);
    assert_eq!(wrote(&mut ledger, drafts), 1);
    assert_eq!(read(&stored(&ledger)).holdings, known);
    assert!(read(&stored(&ledger)).findings.is_empty());
}

/// Another cluster's ledger is kept and told, and counts for nothing until it is taken over; then it is no more than a claim.
#[test]
fn the_ledger_of_another_installation_is_told_and_never_acted_on() {
    let mut slices = stored(&ledger_of(&key(), &BTreeMap::from([held("a", &[A])])));
    for slice in &mut slices {
        "aaaaaaaaaa".clone_into(&mut slice.installation);
    }
    let ledger = read(&slices);
    assert!(ledger.holdings.is_empty() && ledger.protected.is_empty() && ledger.emptied().is_empty());
    assert!(ledger.findings.iter().all(|found| found.reason == Reason::ForeignLedger));
    assert_eq!(ledger.findings.len(), 2);
    let all = Slices::new(&us(), slices.into_iter().map(Arc::new));
    let taken = Ledger::read(&key(), &us(), all, &BTreeSet::from(["aaaaaaaaaa".parse().unwrap()]), |_| true);
    assert!(taken.holdings.is_empty() && taken.findings.is_empty());
    assert_eq!(taken.protected, pull(&[A], &["x/*"]));
}

/// What a newer version wrote is read as far as it is known, kept as it is, and never counted as done.
#[test]
fn members_and_states_of_another_version_survive() {
    let statement = pull(&[A], &["x/*"])[0].canonical();
    let text = format!(
        r#"{{"uid":"u","generation":3,"write":1,"statements":[{statement}],"documents":["RegistryPolicy"],"resources":{{"template":{{"a":[1, 2]}}}},"state":"Leased","lease":  {{"of" : 1.50}}}}"#
    );
    let entry = Entry::read(&text).unwrap();
    assert!(entry.has_unknown());
    let again = Entry { generation: 4, ..entry }.text();
    for kept in [r#""template":{"a":[1, 2]}"#, r#""state":"Leased""#, r#""lease":{"of" : 1.50}"#, r#""generation":4"#] {
        assert!(again.contains(kept), "{kept} is not in {again}");
    }
    let mut slices = stored(&ledger_of(&key(), &BTreeMap::from([held("a", &[B])])));
    let of_team = slices.iter_mut().find(|slice| slice.namespace.is_some()).unwrap();
    of_team.entries.insert(PartId::of(&id("a"), 0), text.clone());
    of_team.entries.insert(PartId { kind: "Vault".to_owned(), name: "v".to_owned(), part: 0 }, text.clone());
    of_team.entries.insert(PartId::of(&id("b"), 0), text.replace(r#""uid":"u""#, r#""uid":7"#));
    of_team.digest = of_team.spec().digest;
    let ledger = read(&slices);
    assert_eq!(ledger.holdings[&id("a")].state, LedgerState::Writing);
    assert_eq!(ledger.protected, pull(&[A], &["x/*"]), "of a kind that is not known here");
    assert_eq!((ledger.is_incomplete, &ledger.unreadable), (true, &BTreeSet::from([id("b")])));
    assert!(!ledger.changes_to(&ledger::Holdings::new(), 1).contains_key(&id("b")), "what cannot be read stays");
    let known = BTreeMap::from([held("a", &[A])]);
    let Some(Some(entry)) = ledger.changes_to(&known, 1).remove(&id("a")) else { panic!() };
    assert!(entry.text().contains(r#""lease":{"of" : 1.50}"#));
}

/// Sizing: ten thousand documents, and one entry over five thousand of them. No slice over 64 KB; an edit of one writes one.
#[test]
fn one_edit_writes_one_slice_however_much_is_on_record() {
    let sids: Vec<String> = (0..3).map(|i| format!("Ecp{i:036}")).collect();
    let record = |i: u64| {
        let record = DocumentRecord::new(format!("{i:064}"), 900, sids.clone(), vec!["f".repeat(64)]);
        record.confirmed_as(1, &DocumentRecord::default())
    };
    let key_of = |i: u64| format!("RepositoryPolicy/team-a/app-{i:06}");
    let documents: BTreeMap<_, _> = (0..10_000).map(|i| (key_of(i), record(i))).collect();
    let mut ledger = read(&[]);
    let drafts = ledger.records(&documents, "r");
    let slices = wrote(&mut ledger, drafts);
    let over = |number: u64| Entry {
        statements: pull(&[A, B], &["x/*"]),
        documents: (0..number).map(key_of).collect(),
        write: 1,
        ..Entry::default()
    };
    let drafts = ledger.additions(&BTreeMap::from([(id("wide"), Some(over(5_000)))]), false);
    let parts = wrote(&mut ledger, drafts);
    assert!(ledger.slices().own().all(|slice| slice.bytes() <= SLICE_BYTES));
    assert!(
        (30..100).contains(&slices) && (2..10).contains(&parts),
        "{slices} slices of records, {parts} of the entry"
    );
    assert_eq!(ledger.holdings[&id("wide")].statements, pull(&[A, B], &["x/*"]));
    assert!(ledger.additions(&BTreeMap::from([(id("wide"), Some(over(5_000)))]), false).is_empty());
    let drafts = ledger.additions(&BTreeMap::from([(id("wide"), Some(over(5_001)))]), false);
    assert_eq!(drafts.len(), 1, "one document more");
    let changed = record(4_711).confirmed_as(2, &DocumentRecord::default());
    let drafts = ledger.records(&BTreeMap::from([(key_of(4_711), changed)]), "r");
    assert_eq!(drafts.len(), 1, "one record");
}

/// A statement list that no slice holds is split as well, and the object has the union.
#[test]
fn an_entry_of_many_statements_is_split_and_read_whole() {
    let statements: Vec<Statement> =
        (0..600).flat_map(|i| pull(&[A], &[format!("a-rather-long-name/{i:0100}").as_str()])).collect();
    let entry = Entry {
        statements: statements.clone(),
        documents: BTreeSet::from([ledger::REGISTRY_POLICY.to_owned()]),
        ..Entry::default()
    };
    let mut ledger = read(&[]);
    let drafts = ledger.additions(&BTreeMap::from([(id("deep"), Some(entry))]), false);
    assert!(drafts.len() > 1 && drafts.iter().all(|draft| draft.bytes() <= SLICE_BYTES));
    wrote(&mut ledger, drafts);
    let read: BTreeSet<_> = ledger.holdings[&id("deep")].statements.iter().cloned().collect();
    assert_eq!(read, statements.into_iter().collect());
    let changes = ledger.changes_to(&ledger::Holdings::new(), 0);
    let drafts = ledger.removals(&changes);
    wrote(&mut ledger, drafts);
    assert!(!ledger.slices().has_entries());
}
