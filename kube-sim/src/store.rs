//! What the API server has stored: the objects, one revision counter over all of them, and the log that watches read.
//!
//! Pure: no clock (the moment is an argument), no I/O, one order of everything. It must never look into `spec` or `status`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::size::LARGEST_REQUEST;

/// Where an object is. Ordered as etcd orders its keys, which is the order of every list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// `plural.group`
    pub(crate) kind: String,
    /// Empty for cluster-wide kinds.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self { kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The key in etcd.
    pub(crate) fn path(&self) -> String {
        let (plural, group) = self.kind.split_once('.').unwrap_or((&self.kind, ""));
        let parts = ["/registry", group, plural, &self.namespace, &self.name];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One line of the log that watches read.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) revision: u64,
    pub(crate) at: Duration,
    pub(crate) change: Change,
    pub(crate) key: Key,
    pub(crate) object: Arc<Value>,
    /// What a selector was matched against before the change.
    pub(crate) previous: Option<Arc<Value>>,
}

/// What etcd held at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) objects: BTreeMap<Key, Arc<Value>>,
    pub(crate) revision: u64,
    undefaulted: BTreeSet<Key>,
}

/// The log is cut beyond this; who is further behind gets 410.
const REMEMBERED: usize = 20_000;
/// A fresh cluster has written its own objects already, and has forgotten how.
const FIRST_REVISION: u64 = 100;

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<Key, Arc<Value>>,
    pub(crate) revision: u64,
    pub(crate) log: VecDeque<Entry>,
    /// Changes up to here are forgotten, for every kind.
    forgotten: u64,
    /// The same for single kinds, where a test said so.
    forgotten_of: BTreeMap<String, u64>,
    /// Kinds whose lists and watches show nothing, though the objects are there.
    emptied: BTreeSet<String>,
    /// Objects whose defaults were only ever read, never written: the next write stores them, even if it says nothing new.
    pub(crate) undefaulted: BTreeSet<Key>,
    /// What server-side apply was last given, by object and field manager.
    pub(crate) applied: BTreeMap<(Key, String), Value>,
    /// In bytes.
    pub(crate) largest_request: usize,
    pub(crate) rng: fastrand::Rng,
    pub(crate) epoch: jiff::Timestamp,
}

impl Store {
    pub(crate) fn new(seed: u64, epoch: jiff::Timestamp) -> Self {
        Self {
            objects: BTreeMap::new(),
            revision: FIRST_REVISION,
            log: VecDeque::new(),
            forgotten: FIRST_REVISION,
            forgotten_of: BTreeMap::new(),
            emptied: BTreeSet::new(),
            undefaulted: BTreeSet::new(),
            applied: BTreeMap::new(),
            largest_request: LARGEST_REQUEST,
            rng: fastrand::Rng::with_seed(seed),
            epoch,
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    /// The keys of a kind in order; an empty namespace means all of them.
    pub(crate) fn keys(&self, kind: &str, namespace: &str) -> Vec<Key> {
        of_kind(&self.objects, kind, namespace).map(|(key, _)| key.clone()).collect()
    }

    /// What a list request sees.
    pub(crate) fn visible(&self, kind: &str, namespace: &str) -> Vec<Arc<Value>> {
        self.visible_in(&self.objects, kind, namespace)
    }

    /// What a list request sees that is answered from a lagging cache.
    pub(crate) fn visible_then(&self, past: &Snapshot, kind: &str, namespace: &str) -> Vec<Arc<Value>> {
        self.visible_in(&past.objects, kind, namespace)
    }

    fn visible_in(&self, objects: &BTreeMap<Key, Arc<Value>>, kind: &str, namespace: &str) -> Vec<Arc<Value>> {
        if self.emptied.contains(kind) {
            return Vec::new();
        }
        of_kind(objects, kind, namespace).map(|(_, object)| Arc::clone(object)).collect()
    }

    /// Stores `object` under the next revision.
    pub(crate) fn put(&mut self, key: &Key, mut object: Value, at: Duration) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = Arc::new(object);
        let previous = self.objects.insert(key.clone(), Arc::clone(&object));
        let change = if previous.is_some() { Change::Modified } else { Change::Added };
        self.record(key, change, Arc::clone(&object), previous, at);
        object
    }

    /// Takes the object away. The last state carries the revision of its going, as in a real DELETED event.
    pub(crate) fn remove(&mut self, key: &Key, at: Duration) -> Option<Arc<Value>> {
        let previous = self.objects.remove(key)?;
        self.undefaulted.remove(key);
        self.applied.retain(|(applied_to, _), _| applied_to != key);
        self.revision += 1;
        let mut last = Value::clone(&previous);
        last["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let last = Arc::new(last);
        self.record(key, Change::Deleted, Arc::clone(&last), Some(previous), at);
        Some(last)
    }

    fn record(&mut self, key: &Key, change: Change, object: Arc<Value>, previous: Option<Arc<Value>>, at: Duration) {
        if self.emptied.contains(&key.kind) {
            return;
        }
        self.log.push_back(Entry { revision: self.revision, at, change, key: key.clone(), object, previous });
        if self.log.len() > REMEMBERED
            && let Some(oldest) = self.log.pop_front()
        {
            self.forgotten = oldest.revision;
        }
    }

    /// The oldest revision from which a watch of the kind may start.
    pub(crate) fn oldest(&self, kind: &str) -> u64 {
        self.forgotten_of.get(kind).copied().unwrap_or_default().max(self.forgotten)
    }

    /// Everything before this moment is forgotten: who watches the kind must list again.
    pub(crate) fn forget(&mut self, kind: &str) {
        self.revision += 1;
        self.forgotten_of.insert(kind.into(), self.revision);
    }

    pub(crate) fn is_emptied(&self) -> bool {
        !self.emptied.is_empty()
    }

    /// Lists and watches of the kind show nothing from now on. With `announced`, watches are told of a DELETED for each object.
    pub(crate) fn empty(&mut self, kind: &str, announced: bool, at: Duration) {
        if announced && !self.emptied.contains(kind) {
            for key in self.keys(kind, "") {
                let Some(object) = self.get(&key) else { continue };
                self.revision += 1;
                let mut last = Value::clone(&object);
                last["metadata"]["resourceVersion"] = self.revision.to_string().into();
                self.record(&key, Change::Deleted, Arc::new(last), Some(object), at);
            }
        }
        self.emptied.insert(kind.into());
    }

    /// Ends `empty`: the objects are seen again, watches get an ADDED for each.
    pub(crate) fn refill(&mut self, kind: &str, at: Duration) {
        if !self.emptied.remove(kind) {
            return;
        }
        for key in self.keys(kind, "") {
            let Some(object) = self.get(&key) else { continue };
            self.revision += 1;
            self.record(&key, Change::Added, object, None, at);
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot { objects: self.objects.clone(), revision: self.revision, undefaulted: self.undefaulted.clone() }
    }

    /// Puts an old state back, its revision counter with it. Nothing is logged: watches must be ended by the caller.
    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.objects = snapshot.objects.clone();
        self.revision = snapshot.revision;
        self.log.clear();
        self.undefaulted.clone_from(&snapshot.undefaulted);
        self.applied.clear();
        self.forgotten_of.clear();
        self.forgotten = self.revision;
    }

    /// A copy to try a write on.
    pub(crate) fn for_dry_run(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            revision: self.revision,
            log: VecDeque::new(),
            forgotten: self.forgotten,
            forgotten_of: BTreeMap::new(),
            emptied: BTreeSet::new(),
            undefaulted: self.undefaulted.clone(),
            applied: self.applied.clone(),
            // Nothing goes to etcd, so nothing is too large for it.
            largest_request: usize::MAX,
            rng: self.rng.clone(),
            epoch: self.epoch,
        }
    }

    pub(crate) fn timestamp(&self, at: Duration) -> String {
        // Objects carry whole seconds.
        let whole = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        let second = self.epoch.as_second().saturating_add(whole);
        jiff::Timestamp::from_second(second).unwrap_or(self.epoch).to_string()
    }

    pub(crate) fn uid(&mut self) -> String {
        let (high, low) = (self.rng.u64(..), self.rng.u64(..));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// The tail of a generated name, from the letters the real server takes.
    pub(crate) fn name_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).filter_map(|_| self.rng.choice(LETTERS)).map(|letter| char::from(*letter)).collect()
    }
}

fn of_kind<'a>(
    objects: &'a BTreeMap<Key, Arc<Value>>,
    kind: &'a str,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
    objects
        .range(Key::new(kind, namespace, "")..)
        .take_while(move |(key, _)| key.kind == kind && (namespace.is_empty() || key.namespace == namespace))
}
