//! Tables of the decisions of a pass. The builders here are what they share: one registry, one tenant namespace, and
//! objects that let accounts pull.

mod caching;
mod compiling;
mod filing;
mod guesting;
mod judging;
mod outlines;
mod planning;
mod rejecting;
mod roling;
mod sharing;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::compile::{Contribution, Desired, Stance, Words};
use super::freshness::OldViews;
use super::holds::Holds;
use super::index::Gathered;
use super::ledger::{self, DocumentRecord, Ledger, Slice, Slices};
use super::memory::{Memory, Patience};
use super::objects::{Attached, Meta, NamespaceView, ObjectId, RegistryObject};
use crate::api::{AttachedStatus, Kind, LedgerState, RegistryPolicySpec, RegistryStatus};
use crate::kinds::{Body, References, translate};
use crate::names::RegistryKey;
use crate::ownership::InstallationId;
use crate::policy::{Doc, Document, Effect, Statement};

const OWN: &str = "111111111111";
const A: &str = "333333333333";
const B: &str = "444444444444";

fn key() -> RegistryKey {
    RegistryKey { account: OWN.parse().unwrap(), region: "eu-west-1".parse().unwrap() }
}

fn us() -> InstallationId {
    InstallationId::of_cluster("us")
}

fn memory() -> Memory {
    Memory::new(Patience::default())
}

fn body(accounts: &[&str], repositories: &[&str], more: &Value) -> Body {
    let mut spec = json!({"statements": [{
        "name": "pull", "principals": {"accountIds": accounts}, "actions": ["ecr:BatchGetImage"],
        "repositories": repositories,
    }]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Body::from(serde_json::from_value::<RegistryPolicySpec>(spec).unwrap())
}

/// What an object that lets accounts pull has in AWS.
fn pull(accounts: &[&str], repositories: &[&str]) -> Vec<Statement> {
    translate(&body(accounts, repositories, &json!({})), &key(), &References::default()).unwrap().statements
}

fn deny(accounts: &[&str], repositories: &[&str]) -> Vec<Statement> {
    pull(accounts, repositories).into_iter().map(|s| Statement { effect: Effect::Deny, ..s }).collect()
}

fn id(name: &str) -> ObjectId {
    ObjectId { kind: Kind::RegistryPolicy, namespace: "team-a".to_owned(), name: name.to_owned() }
}

fn meta(name: &str) -> Meta {
    Meta {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        generation: 2,
        resource_version: "7".to_owned(),
        created: None,
        deleting: false,
        finalized: true,
        other_finalizers: Vec::new(),
        abandon: false,
        prune: None,
        release: None,
        installation_is_mine: None,
        reconcile_at: None,
    }
}

fn object(name: &str, body: Body) -> Attached {
    Attached { id: id(name), meta: meta(name), body, status: AttachedStatus::default() }
}

/// A Registry that lets `team-a` attach what concerns these accounts.
fn registry(accounts: &[&str]) -> RegistryObject {
    let spec = json!({
        "accountId": OWN, "region": "eu-west-1",
        "allow": [{
            "name": "tenants", "namespaces": {"names": ["team-a"]}, "kinds": ["RegistryPolicy"], "repositories": ["*"],
            "accountIds": accounts, "effects": ["Allow", "Deny"],
        }],
    });
    RegistryObject { meta: meta("r"), spec: serde_json::from_value(spec).unwrap(), status: RegistryStatus::default() }
}

fn holding(generation: i64, state: LedgerState, statements: &[Statement]) -> ledger::Holding {
    ledger::Holding {
        uid: "uid".to_owned(),
        generation,
        state,
        statements: statements.to_vec(),
        things: ledger::Things::default(),
        refused: None,
    }
}

/// A ledger that has this on record, as it is stored and read again; a write is confirmed.
fn ledger_of(key: &RegistryKey, holdings: &ledger::Holdings) -> Ledger {
    read_ledger(key, slices_of(key, holdings).into_iter().map(Arc::new))
}

fn read_ledger(key: &RegistryKey, slices: impl IntoIterator<Item = Arc<Slice>>) -> Ledger {
    Ledger::read(key, &us(), Slices::new(&us(), slices), &std::collections::BTreeSet::new(), |_| true)
}

/// The same as the watches bring it.
fn slices_of(key: &RegistryKey, holdings: &ledger::Holdings) -> Vec<Slice> {
    let empty = read_ledger(key, []);
    let record = DocumentRecord::default().confirmed_as(1, &DocumentRecord::default());
    let documents = BTreeMap::from([(ledger::REGISTRY_POLICY.to_owned(), record)]);
    let entries = empty.additions(&empty.changes_to(holdings, 1), false);
    let drafts = entries.into_iter().chain(empty.records(&documents, "r"));
    drafts.map(|draft| draft.slice).collect()
}

/// The registry, its ledger, and who is attached; the namespace was seen.
fn gathered(registry: RegistryObject, ledger: &[(&str, ledger::Holding)], mut objects: Vec<Attached>) -> Gathered {
    objects.sort_by(|a, b| a.id.cmp(&b.id));
    let holdings = ledger.iter().map(|(name, holding)| (id(name), holding.clone())).collect();
    let namespace = Arc::new(NamespaceView { labels: BTreeMap::new() });
    Gathered {
        references: References::default(),
        key: key(),
        ledger: ledger_of(&key(), &holdings),
        registry: registry.into(),
        duplicates: Vec::new(),
        attached: objects.into_iter().map(Arc::new).collect(),
        namespaces: BTreeMap::from([("team-a".to_owned(), namespace)]),
        others: BTreeMap::new(),
        guests: Vec::new(),
        elsewhere: Vec::new(),
        unreadable: std::collections::BTreeSet::new(),
        unread: std::collections::BTreeSet::new(),
        unread_registry: false,
        withdrawn: std::collections::BTreeSet::new(),
        rest_on_consent: std::collections::BTreeSet::new(),
        old: OldViews::default(),
    }
}

fn contribution(name: &str, has: &[Statement], state: Option<LedgerState>, stance: Stance) -> Contribution {
    let wanted = if let Stance::Wants(wanted) = &stance { Some(wanted.clone()) } else { None };
    let uid = format!("uid-{name}");
    Contribution {
        id: id(name),
        uid,
        generation: 2,
        has: has.to_vec(),
        state,
        wanted,
        depends_on_scope: false,
        stance,
        things: ledger::Things::default(),
        rule: None,
        role: None,
        pulls: None,
        is_guest: false,
        awaits_finalizer: false,
        warning: None,
    }
}

fn desired(contributions: Vec<Contribution>) -> Desired {
    Desired {
        contributions,
        restraint: None,
        wants_scope_v2: false,
        acknowledged_widening: None,
        take_over: std::collections::BTreeSet::new(),
        words: Words::default(),
        protected: Vec::new(),
        is_incomplete: false,
        holds: Holds::default(),
        too_many: std::collections::BTreeSet::new(),
    }
}

/// A document with these statements under our Sids, and these of others before them.
fn document(foreign: &[Value], ours: &[Statement]) -> Document {
    let ours = ours.iter().map(|statement| statement.to_value(Some(us().sid(statement).as_str())));
    let statements: Vec<Value> = foreign.iter().cloned().chain(ours).collect();
    parse(&json!({"Version": "2012-10-17", "Statement": statements}))
}

fn parse(document: &Value) -> Document {
    match Doc::of(Some(&document.to_string())) {
        Doc::Parsed(document) => document,
        other => panic!("{other:?}"),
    }
}

fn foreign() -> Value {
    json!({"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": "555555555555"}, "Action": "ecr:ReplicateImage", "Resource": "*"})
}
