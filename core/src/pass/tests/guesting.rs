//! A role in one registry, its grant in another: what the upstream's pass grants to a guest, and which passes hear of
//! what (behaviours 26, 30, 34).

use std::collections::BTreeSet;

use serde_json::json;

use super::super::collection::Change;
use super::super::compile::compile;
use super::super::index::{Index, OtherRegistry, WatchEvent};
use super::super::queue::{Key, Now};
use super::super::roles::reach::{Reach, reach};
use super::*;
use crate::api::{CrossAccountPtcRoleSpec, LedgerPulls, LedgerRole, LedgerRule, OwnershipState};
use crate::reason::Reason;

const UPSTREAM: &str = "222222222222";
const ARN: &str = "arn:aws:iam::111111111111:role/ecr/base";

fn key_of(account: &str) -> RegistryKey {
    RegistryKey { account: account.parse().unwrap(), region: "eu-west-1".parse().unwrap() }
}

fn role_id() -> ObjectId {
    ObjectId { kind: Kind::CrossAccountPtcRole, namespace: "team-a".to_owned(), name: "base".to_owned() }
}

/// Pulls `base/*` from Registry `up` for the cache of Registry `home`.
fn role() -> Attached {
    let spec = json!({
        "registryRef": {"name": "home"}, "cacheRepositories": ["mirror/*"],
        "upstreams": [{"name": "up", "registryRef": {"name": "up"}, "repositories": ["base/*"]}],
    });
    let body = Body::from(serde_json::from_value::<CrossAccountPtcRoleSpec>(spec).unwrap());
    Attached { id: role_id(), meta: meta("base"), body, status: AttachedStatus::default() }
}

/// A Registry that lets `team-a` attach roles for these accounts.
fn of(name: &str, account: &str, counterparties: &[&str]) -> RegistryObject {
    let spec = json!({
        "accountId": account, "region": "eu-west-1",
        "allow": [{
            "name": "tenants", "namespaces": {"names": ["team-a"]},
            "kinds": ["CrossAccountPtcRole", "PullThroughCacheRule"], "repositories": ["*"],
            "accountIds": counterparties,
        }],
    });
    RegistryObject { meta: meta(name), spec: serde_json::from_value(spec).unwrap(), status: RegistryStatus::default() }
}

type Entries = ledger::Holdings;

/// What the role has on record, alone.
fn entry(statements: &[Statement], role: Option<LedgerRole>) -> Entries {
    let things = ledger::Things { role, ..ledger::Things::default() };
    let holding = ledger::Holding { things, ..holding(2, LedgerState::Applied, statements) };
    BTreeMap::from([(role_id(), holding)])
}

fn none() -> Entries {
    Entries::new()
}

fn other(registry: RegistryObject, account: &str, entries: &Entries) -> OtherRegistry {
    let ledger = ledger_of(&key_of(account), entries).slices().clone();
    OtherRegistry { registry: registry.into(), ledger }
}

fn made(state: OwnershipState) -> LedgerRole {
    LedgerRole {
        name: "base".to_owned(),
        arn: ARN.to_owned(),
        id: None,
        adopted: None,
        state,
        pulls: LedgerPulls::default(),
    }
}

fn home(state: Option<OwnershipState>) -> OtherRegistry {
    let entries = state.map(|state| entry(&[], Some(made(state)))).unwrap_or_default();
    other(of("home", OWN, &[UPSTREAM]), OWN, &entries)
}

/// The upstream's view: the role is a guest, attached to `home`.
fn visited(home: OtherRegistry, upstream: RegistryObject, entries: &Entries, guest: Attached) -> Gathered {
    let references = [("home", OWN), ("up", UPSTREAM)].map(|(name, of)| (name.to_owned(), key_of(of)));
    Gathered {
        key: key_of(UPSTREAM),
        ledger: ledger_of(&key_of(UPSTREAM), entries),
        references: references.into_iter().collect(),
        others: BTreeMap::from([(key_of(OWN), home)]),
        guests: vec![guest.into()],
        registry: upstream.into(),
        ..gathered(of("up", UPSTREAM, &[]), &[], Vec::new())
    }
}

fn stance(gathered: &Gathered) -> Stance {
    compile(gathered, &us(), &memory(), Now::ZERO).contributions.remove(0).stance
}

/// What the upstream is to grant.
fn grants() -> Vec<Statement> {
    let here = visited(home(Some(OwnershipState::Owned)), of("up", UPSTREAM, &[OWN]), &none(), role());
    let Stance::Wants(grants) = stance(&here) else { panic!("{:?}", stance(&here)) };
    grants
}

#[test]
fn an_upstream_grants_to_the_role_that_is_there_and_to_no_name_before() {
    let text = grants()[0].canonical();
    assert!(text.contains(ARN) && text.contains("arn:aws:ecr:eu-west-1:222222222222:repository/base/*"), "{text}");
    for state in [None, Some(OwnershipState::Claimed)] {
        let here = visited(home(state), of("up", UPSTREAM, &[OWN]), &none(), role());
        let Stance::Holds(has, because) = stance(&here) else { panic!("{:?}", stance(&here)) };
        assert_eq!((has.len(), because.reason), (0, Reason::WaitingForRole));
    }
    let mut bare = role();
    bare.meta.finalized = false;
    let here = visited(home(Some(OwnershipState::Owned)), of("up", UPSTREAM, &[OWN]), &none(), bare);
    assert!(matches!(stance(&here), Stance::Holds(_, because) if because.reason == Reason::Progressing));
}

#[test]
fn both_owners_must_let_it() {
    let granted = entry(&grants(), None);
    // The upstream's owner takes it back: nothing is left.
    let here = visited(home(Some(OwnershipState::Owned)), of("up", UPSTREAM, &[B]), &granted, role());
    assert!(
        matches!(stance(&here), Stance::Keeps(has, because) if has.is_empty() && because.reason == Reason::NotAllowed)
    );
    // The home's owner does: the same.
    let closed = OtherRegistry { registry: of("home", OWN, &[B]).into(), ..home(Some(OwnershipState::Owned)) };
    let here = visited(closed, of("up", UPSTREAM, &[OWN]), &granted, role());
    assert!(
        matches!(stance(&here), Stance::Keeps(has, because) if has.is_empty() && because.reason == Reason::NotAllowed)
    );
    // A home that is not there is no word of its owner's.
    let mut here = visited(home(None), of("up", UPSTREAM, &[OWN]), &granted, role());
    here.others.clear();
    assert!(
        matches!(stance(&here), Stance::Holds(has, because) if has == grants() && because.reason == Reason::RegistryNotFound)
    );
}

#[test]
fn an_upstream_that_is_asked_no_longer_grants_no_longer() {
    let mut guest = role();
    let elsewhere = json!({
        "registryRef": {"name": "home"}, "cacheRepositories": ["mirror/*"],
        "upstreams": [{"name": "up", "external": {"accountId": B, "region": "eu-west-1"}, "repositories": ["base/*"]}],
    });
    guest.body = Body::from(serde_json::from_value::<CrossAccountPtcRoleSpec>(elsewhere).unwrap());
    let granted = entry(&grants(), None);
    let here = visited(home(Some(OwnershipState::Owned)), of("up", UPSTREAM, &[OWN]), &granted, guest);
    assert_eq!(stance(&here), Stance::Wants(Vec::new()));
}

/// A rule that pulls by the role.
fn recorded_rule() -> LedgerRule {
    LedgerRule {
        prefix: "mirror".to_owned(),
        upstream_url: key_of(UPSTREAM).host(),
        upstream_prefix: None,
        role_arn: Some(ARN.to_owned()),
        credential_arn: None,
        created_at: None,
        adopted: None,
        consented: None,
        state: OwnershipState::Owned,
    }
}

/// Rule, grant, role: the upstream keeps its grant as long as a rule pulls by it.
#[test]
fn the_rule_goes_before_the_grant() {
    let mut guest = role();
    guest.meta.deleting = true;
    let (upstream, granted) = (of("up", UPSTREAM, &[OWN]), entry(&grants(), None));
    let things = ledger::Things { rule: Some(recorded_rule()), ..ledger::Things::default() };
    let cache = ledger::Holding { things, ..holding(2, LedgerState::Applied, &[]) };
    let mut entries = entry(&[], Some(made(OwnershipState::Owned)));
    entries.insert(ObjectId { kind: Kind::PullThroughCacheRule, ..role_id() }, cache);
    let with_rule = other(of("home", OWN, &[UPSTREAM]), OWN, &entries);
    let here = visited(with_rule, upstream.clone(), &granted, guest.clone());
    assert!(matches!(stance(&here), Stance::Holds(has, _) if has == grants()));
    let here = visited(home(Some(OwnershipState::Owned)), upstream, &granted, guest);
    assert_eq!(stance(&here), Stance::Leaves);
}

/// What the home's pass reads in the upstream's ledger.
#[test]
fn an_upstream_has_granted_when_its_ledger_says_so() {
    let wanted = crate::kinds::translate(&role().body, &key_of(OWN), &references()).unwrap().role.unwrap();
    let reached = |upstream: OtherRegistry, arn: Option<&str>| {
        let mut gathered = gathered(of("home", OWN, &[UPSTREAM]), &[], Vec::new());
        gathered.others = BTreeMap::from([(key_of(UPSTREAM), upstream)]);
        reach(&gathered, &role_id(), &wanted, &wanted.upstreams[0], arn)
    };
    let waits = |reach: Reach| match reach {
        Reach::Waits(because) => because.reason,
        other => panic!("{other:?}"),
    };
    let upstream = |entries: Entries| other(of("up", UPSTREAM, &[OWN]), UPSTREAM, &entries);
    assert_eq!(reached(upstream(entry(&grants(), None)), Some(ARN)), Reach::Granted);
    assert_eq!(waits(reached(upstream(entry(&grants(), None)), None)), Reason::WaitingForRole);
    assert_eq!(waits(reached(upstream(none()), Some(ARN))), Reason::WaitingForUpstream);
    // For another role of that name elsewhere it is no grant.
    assert_eq!(waits(reached(upstream(entry(&grants(), None)), Some("other"))), Reason::WaitingForUpstream);
    assert_eq!(waits(reached(other(of("up", UPSTREAM, &[B]), UPSTREAM, &none()), Some(ARN))), Reason::NotAllowed);
    let mut refused = entry(&[], None);
    refused.get_mut(&role_id()).unwrap().refused =
        Some(crate::api::LedgerRefusal { reason: "ScopeV1".to_owned(), message: "no".to_owned() });
    assert_eq!(waits(reached(upstream(refused), Some(ARN))), Reason::ScopeV1);
}

fn references() -> References {
    [("home", OWN), ("up", UPSTREAM)].map(|(name, of)| (name.to_owned(), key_of(of))).into_iter().collect()
}

/// Both Registries, the role, all listed.
fn index(home: RegistryObject, upstream: RegistryObject) -> Index {
    let mut index = Index::new(&us());
    index.take(WatchEvent::Registry(Change::Listing));
    for registry in [home, upstream] {
        index.take(WatchEvent::Registry(Change::ListItem(registry.name().to_owned(), registry)));
    }
    index.take(WatchEvent::Registry(Change::Listed));
    index.take(WatchEvent::Namespace(Change::Listed));
    index.take(WatchEvent::Ledger(Change::Listed));
    for kind in Kind::ALL {
        index.take(WatchEvent::Attached(kind, Change::Listed));
    }
    index
}

fn keys(accounts: &[&str]) -> BTreeSet<Key> {
    accounts.iter().map(|account| Key::Registry(key_of(account))).collect()
}

#[test]
fn a_role_touches_its_own_registry_and_those_it_pulls_from() {
    let mut index = index(of("home", OWN, &[UPSTREAM]), of("up", UPSTREAM, &[OWN]));
    let touched = index.take(WatchEvent::Attached(Kind::CrossAccountPtcRole, Change::Apply(role_id(), role())));
    assert_eq!(touched, keys(&[OWN, UPSTREAM]));
    let mut edited = of("home", OWN, &[B]);
    edited.meta.generation = 3;
    let touched = index.take(WatchEvent::Registry(Change::Apply("home".to_owned(), edited)));
    assert!(touched.is_superset(&keys(&[OWN, UPSTREAM])), "{touched:?}");
    let view = index.ready().unwrap().gather(&key_of(UPSTREAM)).unwrap();
    assert_eq!((view.attached.len(), view.guests.len(), view.others.len()), (0, 1, 1));
    let view = index.ready().unwrap().gather(&key_of(OWN)).unwrap();
    assert_eq!((view.attached.len(), view.guests.len(), view.others.len()), (1, 0, 1));
}

#[test]
fn each_ledger_touches_the_other_registry_and_never_its_own() {
    let mut index = index(of("home", OWN, &[UPSTREAM]), of("up", UPSTREAM, &[OWN]));
    index.take(WatchEvent::Attached(Kind::CrossAccountPtcRole, Change::Apply(role_id(), role())));
    let slice = |account: &str, version: &str, entries: &Entries| {
        let slices = ledger_of(&key_of(account), entries).slices().clone();
        let slice = slices.own().find(|slice| slice.namespace.is_some()).unwrap().clone();
        Slice { resource_version: version.to_owned(), ..Slice::clone(&slice) }
    };
    let made = slice(OWN, "8", &entry(&[], Some(made(OwnershipState::Owned))));
    assert_eq!(index.wrote_slice(None, Some(made.clone())), keys(&[UPSTREAM]));
    // The same again is no news.
    let again = Slice { resource_version: "9".to_owned(), ..made.clone() };
    assert_eq!(index.wrote_slice(Some(&made), Some(again)), BTreeSet::new());
    let granted = slice(UPSTREAM, "10", &entry(&grants(), None));
    // The watch may bring it before the write is answered: it is news all the same.
    index.take(WatchEvent::Ledger(Change::Apply(granted.name.clone(), granted.clone())));
    assert_eq!(index.wrote_slice(None, Some(granted)), keys(&[OWN]));
    // An upstream that is no longer named hears of the role as long as it has it on record.
    let mut elsewhere = role();
    let spec = json!({
        "registryRef": {"name": "home"}, "cacheRepositories": ["mirror/*"],
        "upstreams": [{"name": "up", "external": {"accountId": B, "region": "eu-west-1"}, "repositories": ["base/*"]}],
    });
    elsewhere.body = Body::from(serde_json::from_value::<CrossAccountPtcRoleSpec>(spec).unwrap());
    elsewhere.meta.generation = 3;
    let touched = index.take(WatchEvent::Attached(Kind::CrossAccountPtcRole, Change::Apply(role_id(), elsewhere)));
    assert_eq!(touched, keys(&[OWN, UPSTREAM]));
}

/// Behaviour 41: without an entry nobody knows whether the object has its role; an entry that names none says that it has
/// not, and the grant would be good for whoever has the name now.
#[test]
fn only_an_entry_without_a_role_says_that_the_role_is_gone() {
    let seen = |entries: &Entries| {
        let home = other(of("home", OWN, &[UPSTREAM]), OWN, entries);
        stance(&visited(home, of("up", UPSTREAM, &[OWN]), &entry(&grants(), None), role()))
    };
    assert!(matches!(seen(&none()), Stance::Holds(kept, _) if kept == grants()), "{:?}", seen(&none()));
    let bare = entry(&[], None);
    assert!(matches!(seen(&bare), Stance::Keeps(kept, _) if kept.is_empty()), "{:?}", seen(&bare));
}

/// A role by a name of somebody's choice whose entry is lost is still its object's, as far as the object may have it: a
/// rule that pulls by it pulls by no role of others.
#[test]
fn a_rule_pulls_by_its_own_role_also_while_the_roles_entry_is_lost() {
    let boundary = json!({"path": "/ecr/", "permissionsBoundaryArn": "arn:aws:iam::111111111111:policy/ptc"});
    let home = |kinds_with_names: &str| {
        let rule = |kind: &str, names: &[&str]| {
            json!({
                "name": kind.to_lowercase(), "namespaces": {"names": ["team-a"]}, "kinds": [kind], "repositories": ["*"],
                "accountIds": ["*"], "roleNames": names,
            })
        };
        let allow = [rule("CrossAccountPtcRole", &[kinds_with_names]), rule("PullThroughCacheRule", &[])];
        let spec = json!({"accountId": OWN, "region": "eu-west-1", "roles": boundary, "allow": allow});
        RegistryObject {
            meta: meta("home"),
            spec: serde_json::from_value(spec).unwrap(),
            status: RegistryStatus::default(),
        }
    };
    let outlawed = |home: RegistryObject, entry_of_role: bool| {
        let mut named = role();
        let Body::CrossAccountPtcRole(spec) = &mut named.body else { panic!() };
        let spec = Arc::make_mut(spec);
        spec.role_name = Some("base".to_owned());
        let rule = rule_by_role();
        let mut gathered = gathered(home, &[], vec![named, rule.clone()]);
        let mut entries = Entries::new();
        let things = ledger::Things { rule: Some(recorded_rule()), ..ledger::Things::default() };
        entries.insert(rule.id.clone(), ledger::Holding { things, ..holding(2, LedgerState::Applied, &[]) });
        if entry_of_role {
            entries.extend(entry(&[], Some(made(OwnershipState::Owned))));
        }
        gathered.ledger = ledger_of(&key_of(OWN), &entries);
        gathered.references = references();
        let of_rule = |c: &Contribution| c.id.kind == Kind::PullThroughCacheRule;
        let compiled = compile(&gathered, &us(), &memory(), Now::ZERO).contributions;
        compiled.into_iter().find(of_rule).unwrap().rule.unwrap().outlawed
    };
    assert_eq!(outlawed(home("base"), true), None);
    assert_eq!(outlawed(home("base"), false), None);
    // Whoever may not have a role of that name has none.
    assert!(outlawed(home("other"), false).is_some());
}

/// A rule of `team-a` that pulls by the role.
fn rule_by_role() -> Attached {
    let spec = json!({
        "registryRef": {"name": "home"}, "cachePrefix": "mirror",
        "upstream": {"type": "Ecr", "ecr": {"registryRef": {"name": "up"}, "roleRef": {"name": "base"}}},
    });
    let body = Body::from(serde_json::from_value::<crate::api::PullThroughCacheRuleSpec>(spec).unwrap());
    let id = ObjectId { kind: Kind::PullThroughCacheRule, ..role_id() };
    Attached { id, meta: meta("base"), body, status: AttachedStatus::default() }
}

/// The watch may bring our own write before its answer: that is no news, unless the answer never comes or the slice is
/// not as we wrote it.
#[test]
fn our_own_write_of_a_slice_is_no_news() {
    let mut index = index(of("home", OWN, &[UPSTREAM]), of("up", UPSTREAM, &[OWN]));
    index.take(WatchEvent::Attached(Kind::CrossAccountPtcRole, Change::Apply(role_id(), role())));
    let slices = ledger_of(&key_of(OWN), &entry(&[], Some(made(OwnershipState::Owned)))).slices().clone();
    let slice = slices.own().find(|slice| slice.namespace.is_some()).unwrap().clone();
    let at = |version: &str| Slice { resource_version: version.to_owned(), ..Slice::clone(&slice) };
    let brought = |slice: Slice| WatchEvent::Ledger(Change::Apply(slice.name.clone(), slice));
    index.writes_slice(&slice.name, Some(at("")));
    assert_eq!(index.take(brought(at("8"))), BTreeSet::new());
    assert!(index.ended_slice_write(&slice.name).is_superset(&keys(&[OWN, UPSTREAM])));
    index.writes_slice(&slice.name, Some(at("")));
    let edited = Slice { digest: "edited".to_owned(), entries: BTreeMap::new(), ..at("9") };
    assert!(index.take(brought(edited)).is_superset(&keys(&[OWN, UPSTREAM])));
    assert_eq!(index.ended_slice_write(&slice.name), BTreeSet::new());
    index.writes_slice(&slice.name, None);
    assert_eq!(index.take(WatchEvent::Ledger(Change::Delete(slice.name.clone()))), BTreeSet::new());
    assert!(index.ended_slice_write(&slice.name).contains(&Key::Registry(key_of(OWN))));
}

/// An object concerns every registry that has something of it on record, wherever it is attached; and a registry with a
/// grant to a role hears of its home's rules, which say how long what a role left behind may stay.
#[test]
fn what_is_on_record_elsewhere_is_told_of_the_object_and_of_its_home() {
    let mut index = index(of("home", OWN, &[UPSTREAM]), of("up", UPSTREAM, &[OWN]));
    let rule = rule_by_role();
    let things = ledger::Things { rule: Some(recorded_rule()), ..ledger::Things::default() };
    let has_rule = ledger::Holding { things, ..holding(2, LedgerState::Orphan, &[]) };
    let of_rule = Entries::from([(rule.id.clone(), has_rule)]);
    let slices = |entries: &Entries| ledger_of(&key_of(UPSTREAM), entries).slices().clone();
    let taken = |index: &mut Index, entries: &Entries| {
        for slice in slices(entries).own() {
            index.take(WatchEvent::Ledger(Change::Apply(slice.name.clone(), Slice::clone(slice))));
        }
    };
    let without_retain = |generation| {
        let mut home = of("home", OWN, &[UPSTREAM]);
        home.meta.generation = generation;
        WatchEvent::Registry(Change::Apply("home".to_owned(), home))
    };
    assert!(!index.take(without_retain(3)).contains(&Key::Registry(key_of(UPSTREAM))));
    taken(&mut index, &of_rule);
    let deleting = Attached { meta: Meta { deleting: true, ..rule.meta.clone() }, ..rule.clone() };
    let touched = index.take(WatchEvent::Attached(rule.id.kind, Change::Apply(rule.id.clone(), deleting)));
    assert!(touched.is_superset(&keys(&[OWN, UPSTREAM])), "{touched:?}");
    taken(&mut index, &entry(&grants(), None));
    assert!(index.take(without_retain(4)).contains(&Key::Registry(key_of(UPSTREAM))));
}

/// What one pass sees of a Registry before the watch does is news for all others all the same; and as long as a Registry
/// cannot be read, nobody knows for whom it stands.
#[test]
fn a_registry_that_a_pass_has_seen_first_is_news_for_the_others() {
    let mut index = index(of("home", OWN, &[UPSTREAM]), of("up", UPSTREAM, &[OWN]));
    index.take(WatchEvent::Attached(Kind::CrossAccountPtcRole, Change::Apply(role_id(), role())));
    let mut edited = of("up", UPSTREAM, &[]);
    edited.meta.generation = 3;
    edited.meta.resource_version = "9".to_owned();
    let base = of("up", UPSTREAM, &[OWN]).meta.resource_version;
    assert!(index.saw_registry(&base, edited.clone()).is_superset(&keys(&[OWN, UPSTREAM])));
    assert_eq!(index.take(WatchEvent::Registry(Change::Apply("up".to_owned(), edited))), BTreeSet::new());
    let everybody = keys(&[OWN, UPSTREAM]);
    let unreadable = || WatchEvent::Registry(Change::Unreadable("other".to_owned()));
    assert!(index.take(unreadable()).is_superset(&everybody));
    assert!(index.ready().unwrap().gather(&key_of(OWN)).unwrap().unread_registry);
    assert!(index.take(WatchEvent::Registry(Change::Delete("other".to_owned()))).is_superset(&everybody));
}
