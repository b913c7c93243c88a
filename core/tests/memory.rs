//! What is refused costs what its text costs to read, and a constant to keep; what is let in costs a few times its text
//! (behaviour 48). Measured on this very process, so that nothing that a pass does is left out.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use std::time::Duration;

use ecr_permissions_core::api::{AttachedStatus, DEFAULT_REGISTRY, Kind, RegistryPolicySpec, RegistryStatus};
use ecr_permissions_core::kinds::Body;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::ownership::InstallationId;
use ecr_permissions_core::pass::Change;
use ecr_permissions_core::pass::compile::{Stance, compile};
use ecr_permissions_core::pass::index::{Index, WatchEvent};
use ecr_permissions_core::pass::memory::{Memory, Patience};
use ecr_permissions_core::pass::objects::{Attached, Meta, NamespaceView, ObjectId, RegistryObject};
use ecr_permissions_core::pass::plan::{Observed, Write, plan};
use ecr_permissions_core::policy::{Doc, Document};
use serde_json::{Value, json};

const KIB: usize = 1024;
const TEAM: &str = "team-a";

/// What the process had at most since the last time this was asked for, and has now.
fn memory_of(member: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(member)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * KIB
}

/// By how much the process grew at most while it did something.
fn growth<T>(doing: impl FnOnce() -> T) -> (usize, T) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory_of("VmRSS");
    let done = doing();
    (memory_of("VmHWM").saturating_sub(before), done)
}

fn us() -> InstallationId {
    InstallationId::of_cluster("us")
}

fn key() -> RegistryKey {
    RegistryKey { account: "111111111111".parse().unwrap(), region: "eu-west-1".parse().unwrap() }
}

fn accounts(count: usize) -> Vec<String> {
    (0..count).map(|i| (700_000_000_000 + i).to_string()).collect()
}

/// A statement as text that gives accounts so many repositories of so many characters.
fn statement(name: &str, accounts: &[String], repositories: usize, characters: usize) -> Value {
    let repository = |i| format!("team-a/{name}/{i:03}-{}", "x".repeat(characters - 12 - name.len()));
    json!({
        "name": name, "principals": {"accountIds": accounts}, "actions": ["ecr:BatchGetImage"],
        "repositories": (0..repositories).map(repository).collect::<Vec<_>>(),
    })
}

fn object(name: &str, spec: &str) -> Attached {
    let spec: RegistryPolicySpec = serde_json::from_str(spec).unwrap();
    let meta = json!({"name": name, "uid": name, "generation": 1, "resourceVersion": "1", "finalizers": ["ecr-permissions.dev/finalizer"]});
    let id = ObjectId { kind: Kind::RegistryPolicy, namespace: TEAM.to_owned(), name: name.to_owned() };
    let meta = Meta { finalized: true, ..Meta::of(&serde_json::from_value(meta).unwrap()) };
    Attached { id, meta, body: Body::from(spec), status: AttachedStatus::default() }
}

/// A Registry whose only rule lets the namespace give these accounts everything.
fn index(accounts: &[&str]) -> Index {
    let spec = json!({
        "accountId": "111111111111", "region": "eu-west-1",
        "allow": [{"name": "r", "namespaces": {"names": [TEAM]}, "kinds": ["RegistryPolicy"], "repositories": ["*"], "accountIds": accounts}],
    });
    let meta = serde_json::from_value(json!({"name": DEFAULT_REGISTRY, "uid": "r", "generation": 1})).unwrap();
    let registry = RegistryObject::of(&meta, serde_json::from_value(spec).unwrap(), RegistryStatus::default());
    let mut index = Index::new(&us());
    index.take(WatchEvent::Registry(Change::Listed));
    index.take(WatchEvent::Namespace(Change::Listed));
    index.take(WatchEvent::Ledger(Change::Listed));
    for kind in Kind::ALL {
        index.take(WatchEvent::Attached(kind, Change::Listed));
    }
    index.take(WatchEvent::Registry(Change::Apply(DEFAULT_REGISTRY.to_owned(), registry)));
    index.take(WatchEvent::Namespace(Change::Apply(TEAM.to_owned(), NamespaceView::default())));
    index
}

fn take(index: &mut Index, object: Attached) {
    index.take(WatchEvent::Attached(Kind::RegistryPolicy, Change::Apply(object.id.clone(), object)));
}

/// What a pass decides on a policy that has this, and what it would write.
fn pass(index: &Index, document: Option<&Document>) -> (Vec<Stance>, Write) {
    let gathered = index.ready().unwrap().gather(&key()).unwrap();
    let mut memory = Memory::new(Patience::default());
    let desired = compile(&gathered, &us(), &memory, Duration::ZERO);
    let observed = Observed { document, record: None, scope: None };
    let plan = plan(&desired, &observed, &us(), key().partition(), &mut memory, Duration::ZERO);
    let write = plan.compose(&plan.admitted).unwrap().write;
    (desired.contributions.into_iter().map(|c| c.stance).collect(), write)
}

fn text_of(write: &Write) -> &str {
    match write {
        Write::Put(document) => document.text(),
        Write::Delete => "",
    }
}

/// Behaviour 48: 500 accounts × 100 repositories of 250 characters, once, twice, five times and twenty times.
#[test]
fn what_is_refused_costs_no_more_than_its_text_and_what_is_let_in_a_few_times_that() {
    // What the first pass needs is there for all others.
    let mut warm = index(&["*"]);
    take(&mut warm, object("o", &json!({"statements": [statement("s", &accounts(1), 1, 20)]}).to_string()));
    let (_, standing) = pass(&warm, None);

    for (statements, kib) in [(1, 32), (2, 64), (5, 160), (20, 640)] {
        let all: Vec<_> = (0..statements).map(|i| statement(&format!("s{i}"), &accounts(500), 100, 250)).collect();
        let text = json!({"statements": all}).to_string();
        drop(all);
        assert!(text.len() / KIB >= kib, "{} KiB", text.len() / KIB);
        for allowed in ["222222222222", "*"] {
            let mut index = index(&[allowed]);
            let (grown, stances) = growth(|| {
                take(&mut index, object("o", &text));
                (0..3).map(|_| pass(&index, None).0).collect::<Vec<_>>()
            });
            assert!(matches!(stances[0][..], [Stance::Keeps(ref floor, _)] if floor.is_empty()), "{stances:?}");
            assert!(grown < 4 * KIB * KIB + 10 * text.len(), "{kib} KiB cost {} KiB", grown / KIB);
        }
    }

    // A hundred of them, read one after the other.
    let text = json!({"statements": (0..10).map(|i| statement(&format!("s{i}"), &accounts(500), 100, 250)).collect::<Vec<_>>()});
    let text = text.to_string();
    let mut full = index(&["222222222222"]);
    let (grown, ()) = growth(|| {
        for i in 0..100 {
            take(&mut full, object(&format!("o-{i}"), &text));
        }
        pass(&full, None);
    });
    assert!(grown < 8 * KIB * KIB + 10 * text.len(), "a hundred cost {} KiB", grown / KIB);
    drop(full);

    // Each as large as AWS takes, all for the same accounts, and one of them stands.
    let mut index = index(&["*"]);
    let texts: Vec<_> =
        (0..100).map(|i| json!({"statements": [statement(&format!("n{i:02}"), &accounts(300), 20, 200)]})).collect();
    let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
    let sum: usize = texts.iter().map(String::len).sum();
    let Doc::Parsed(document) = Doc::of(Some(text_of(&standing))) else { panic!() };
    let (grown, first) = growth(|| {
        for (i, text) in texts.iter().enumerate() {
            take(&mut index, object(&format!("o-{i:02}"), text));
        }
        pass(&index, Some(&document)).1
    });
    let Doc::Parsed(document) = Doc::of(Some(text_of(&first))) else { panic!() };
    let (again, _) = growth(|| pass(&index, Some(&document)));
    let most = grown.max(again);
    assert!(most < 6 * KIB * KIB + 20 * sum, "{} KiB of text cost {} KiB", sum / KIB, most / KIB);
}
