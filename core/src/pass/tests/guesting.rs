//! A role in one registry, its grant in another: what the upstream's pass grants to a guest, and which passes hear of
//! what (behaviours 26, 30, 34).

use std::collections::BTreeSet;

use serde_json::json;

use super::super::collection::Change;
use super::super::compile::compile;
use super::super::index::{Index, WatchEvent};
use super::super::queue::{Key, Now};
use super::super::roles::reach::{Reach, reach};
use super::*;
use crate::api::{CrossAccountPtcRoleSpec, LedgerEntry, LedgerRole, LedgerRule, OwnershipState};
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

fn entry(statements: &[Statement], role: Option<LedgerRole>) -> LedgerEntry {
    let things = ledger::Things { role, ..ledger::Things::default() };
    let holding = ledger::Holding { things, ..holding(2, LedgerState::Applied, statements) };
    ledger::entries(&BTreeMap::from([(role_id(), holding)])).remove(0)
}

fn made(state: OwnershipState) -> LedgerRole {
    LedgerRole { name: "base".to_owned(), arn: ARN.to_owned(), id: None, adopted: None, state }
}

fn home(state: Option<OwnershipState>) -> RegistryObject {
    let mut home = of("home", OWN, &[UPSTREAM]);
    home.status.ledger.extend(state.map(|state| entry(&[], Some(made(state)))));
    home
}

/// The upstream's view: the role is a guest, attached to `home`.
fn visited(home: RegistryObject, upstream: RegistryObject, guest: Attached) -> Gathered {
    let references = [("home", OWN), ("up", UPSTREAM)].map(|(name, of)| (name.to_owned(), key_of(of)));
    Gathered {
        key: key_of(UPSTREAM),
        references: references.into_iter().collect(),
        others: BTreeMap::from([(key_of(OWN), home.into())]),
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
    let here = visited(home(Some(OwnershipState::Owned)), of("up", UPSTREAM, &[OWN]), role());
    let Stance::Wants(grants) = stance(&here) else { panic!("{:?}", stance(&here)) };
    grants
}

#[test]
fn an_upstream_grants_to_the_role_that_is_there_and_to_no_name_before() {
    let text = grants()[0].canonical();
    assert!(text.contains(ARN) && text.contains("arn:aws:ecr:eu-west-1:222222222222:repository/base/*"), "{text}");
    for state in [None, Some(OwnershipState::Claimed)] {
        let here = visited(home(state), of("up", UPSTREAM, &[OWN]), role());
        let Stance::Holds(has, because) = stance(&here) else { panic!("{:?}", stance(&here)) };
        assert_eq!((has.len(), because.reason), (0, Reason::WaitingForRole));
    }
    let mut bare = role();
    bare.meta.finalized = false;
    let here = visited(home(Some(OwnershipState::Owned)), of("up", UPSTREAM, &[OWN]), bare);
    assert!(matches!(stance(&here), Stance::Holds(_, because) if because.reason == Reason::Progressing));
}

#[test]
fn both_owners_must_let_it() {
    let granted = |mut upstream: RegistryObject| {
        upstream.status.ledger = vec![entry(&grants(), None)];
        upstream
    };
    // The upstream's owner takes it back: nothing is left.
    let here = visited(home(Some(OwnershipState::Owned)), granted(of("up", UPSTREAM, &[B])), role());
    assert!(
        matches!(stance(&here), Stance::Keeps(has, because) if has.is_empty() && because.reason == Reason::NotAllowed)
    );
    // The home's owner does: the same.
    let closed = RegistryObject { spec: of("home", OWN, &[B]).spec, ..home(Some(OwnershipState::Owned)) };
    let here = visited(closed, granted(of("up", UPSTREAM, &[OWN])), role());
    assert!(
        matches!(stance(&here), Stance::Keeps(has, because) if has.is_empty() && because.reason == Reason::NotAllowed)
    );
    // A home that is not there is no word of its owner's.
    let mut here = visited(home(None), granted(of("up", UPSTREAM, &[OWN])), role());
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
    let mut upstream = of("up", UPSTREAM, &[OWN]);
    upstream.status.ledger = vec![entry(&grants(), None)];
    let here = visited(home(Some(OwnershipState::Owned)), upstream, guest);
    assert_eq!(stance(&here), Stance::Wants(Vec::new()));
}

/// Rule, grant, role: the upstream keeps its grant as long as a rule pulls by it.
#[test]
fn the_rule_goes_before_the_grant() {
    let mut guest = role();
    guest.meta.deleting = true;
    let mut upstream = of("up", UPSTREAM, &[OWN]);
    upstream.status.ledger = vec![entry(&grants(), None)];
    let mut with_rule = home(Some(OwnershipState::Owned));
    let rule = LedgerRule {
        prefix: "mirror".to_owned(),
        upstream_url: key_of(UPSTREAM).host(),
        upstream_prefix: None,
        role_arn: Some(ARN.to_owned()),
        credential_arn: None,
        created_at: None,
        adopted: None,
        state: OwnershipState::Owned,
    };
    let mut cache = entry(&[], None);
    (cache.kind, cache.rule) = (Kind::PullThroughCacheRule, Some(rule));
    with_rule.status.ledger.push(cache);
    let here = visited(with_rule, upstream.clone(), guest.clone());
    assert!(matches!(stance(&here), Stance::Holds(has, _) if has == grants()));
    let here = visited(home(Some(OwnershipState::Owned)), upstream, guest);
    assert_eq!(stance(&here), Stance::Leaves { retained: Vec::new() });
}

/// What the home's pass reads in the upstream's ledger.
#[test]
fn an_upstream_has_granted_when_its_ledger_says_so() {
    let wanted = crate::kinds::translate(&role().body, &key_of(OWN), &references()).unwrap().role.unwrap();
    let reached = |upstream: RegistryObject, arn: Option<&str>| {
        let mut gathered = gathered(home(None), &[], Vec::new());
        gathered.others = BTreeMap::from([(key_of(UPSTREAM), upstream.into())]);
        reach(&gathered, &role_id(), &wanted, &wanted.upstreams[0], arn)
    };
    let waits = |reach: Reach| match reach {
        Reach::Waits(because) => because.reason,
        other => panic!("{other:?}"),
    };
    let upstream = |entries: Vec<LedgerEntry>| {
        let mut upstream = of("up", UPSTREAM, &[OWN]);
        upstream.status.ledger = entries;
        upstream
    };
    assert_eq!(reached(upstream(vec![entry(&grants(), None)]), Some(ARN)), Reach::Granted);
    assert_eq!(waits(reached(upstream(vec![entry(&grants(), None)]), None)), Reason::WaitingForRole);
    assert_eq!(waits(reached(upstream(Vec::new()), Some(ARN))), Reason::WaitingForUpstream);
    // For another role of that name elsewhere it is no grant.
    assert_eq!(waits(reached(upstream(vec![entry(&grants(), None)]), Some("other"))), Reason::WaitingForUpstream);
    assert_eq!(waits(reached(of("up", UPSTREAM, &[B]), Some(ARN))), Reason::NotAllowed);
    let mut refused = entry(&[], None);
    refused.refused = Some(crate::api::LedgerRefusal { reason: "ScopeV1".to_owned(), message: "no".to_owned() });
    assert_eq!(waits(reached(upstream(vec![refused]), Some(ARN))), Reason::ScopeV1);
}

fn references() -> References {
    [("home", OWN), ("up", UPSTREAM)].map(|(name, of)| (name.to_owned(), key_of(of))).into_iter().collect()
}

/// Both Registries, the role, all listed.
fn index(home: RegistryObject, upstream: RegistryObject) -> Index {
    let mut index = Index::default();
    index.take(WatchEvent::Registry(Change::Listing));
    for registry in [home, upstream] {
        index.take(WatchEvent::Registry(Change::ListItem(registry.name().to_owned(), registry)));
    }
    index.take(WatchEvent::Registry(Change::Listed));
    index.take(WatchEvent::Namespace(Change::Listed));
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
    let mut index = index(home(None), of("up", UPSTREAM, &[OWN]));
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
    let mut index = index(home(None), of("up", UPSTREAM, &[OWN]));
    index.take(WatchEvent::Attached(Kind::CrossAccountPtcRole, Change::Apply(role_id(), role())));
    let newer = |mut registry: RegistryObject| {
        registry.meta.resource_version = "8".to_owned();
        registry
    };
    let (bare, made) = (home(None), newer(home(Some(OwnershipState::Owned))));
    assert_eq!(index.wrote_registry(&bare, made.clone()), keys(&[UPSTREAM]));
    // The same again is no news.
    assert_eq!(index.wrote_registry(&made, made.clone()), BTreeSet::new());
    let upstream = of("up", UPSTREAM, &[OWN]);
    let mut granted = newer(upstream.clone());
    granted.status.ledger = vec![entry(&grants(), None)];
    // The watch may bring it before the write is answered: it is news all the same.
    index.take(WatchEvent::Registry(Change::Apply("up".to_owned(), granted.clone())));
    assert_eq!(index.wrote_registry(&upstream, granted), keys(&[OWN]));
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

/// Behaviour 41: a ledger that was lost is there again with its first entry, in the middle of a pass. Whose role is missing
/// there is known when that pass has had its last word.
#[test]
fn a_ledger_that_is_being_made_up_takes_no_role_away() {
    let seen_by = |generation: i64| {
        let mut home = home(None);
        let other = ObjectId { name: "other".to_owned(), ..role_id() };
        home.status.ledger = ledger::entries(&BTreeMap::from([(other, holding(2, LedgerState::Applied, &grants()))]));
        home.status.observed_generation = generation;
        let mut upstream = of("up", UPSTREAM, &[OWN]);
        upstream.status.ledger = vec![entry(&grants(), None)];
        stance(&visited(home, upstream, role()))
    };
    assert!(matches!(seen_by(-1), Stance::Holds(kept, _) if kept == grants()), "{:?}", seen_by(-1));
    assert!(matches!(seen_by(1), Stance::Keeps(kept, _) if kept.is_empty()), "{:?}", seen_by(1));
}
