//! The ledger of a registry: what every attached object has in AWS, as text in `RegistryLedger` objects (`slice`,
//! `entry`) and as statements here. Which slices are written is decided in `filing`.

mod entry;
mod filing;
mod slice;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

pub use entry::{DocumentRecord, Entry, Mark, Unreadable};
pub use filing::{Changes, Draft, Emptied};
pub use slice::{PartId, SLICE_BYTES, Slice};

use super::objects::ObjectId;
use crate::api::{Kind, LedgerRefusal, LedgerRole, LedgerRule, LedgerState};
use crate::names::RegistryKey;
use crate::ownership::InstallationId;
use crate::policy::Statement;
use crate::reason::{Because, Reason};

/// The registry policy, in `documents` of an entry and as the key of its record.
pub const REGISTRY_POLICY: &str = "RegistryPolicy";

/// What an object has in AWS, as far as the ledger knows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub uid: String,
    pub generation: i64,
    pub state: LedgerState,
    /// All that may be in AWS of it.
    pub statements: Vec<Statement>,
    pub things: Things,
    /// Why it does not have what it asks for.
    pub refused: Option<LedgerRefusal>,
}

impl Holding {
    /// Whether something may be in AWS by it.
    pub fn holds_something(&self) -> bool {
        !self.statements.is_empty() || !self.things.is_empty() || self.state == LedgerState::PrincipalGone
    }

    /// The documents that its statements stand in.
    fn documents(&self) -> BTreeSet<String> {
        if self.statements.is_empty() { BTreeSet::new() } else { policy_alone() }
    }

    fn says_the_same_as(&self, other: &Self) -> bool {
        let Self { uid, generation, state, statements, things, refused } = self;
        let texts = |statements: &[Statement]| statements.iter().map(Statement::canonical).collect::<BTreeSet<_>>();
        (uid, generation, state, things, refused)
            == (&other.uid, &other.generation, &other.state, &other.things, &other.refused)
            && texts(statements) == texts(&other.statements)
    }

    /// One entry, or all parts of one; `confirmed`: up to which write a document is as it was sent.
    fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>, confirmed: impl Fn(&str) -> u64) -> Option<Self> {
        let mut whole: Option<Self> = None;
        for entry in entries {
            let part = Self::of_one(entry, &confirmed);
            whole = Some(match whole {
                None => part,
                Some(whole) => whole.joined(part),
            });
        }
        whole
    }

    fn of_one(entry: &Entry, confirmed: impl Fn(&str) -> u64) -> Self {
        let is_confirmed = entry.documents.iter().all(|document| confirmed(document) >= entry.write);
        let mut statements = entry.statements.clone();
        if !is_confirmed {
            statements.extend(entry.before.iter().filter(|before| !entry.statements.contains(before)).cloned());
        }
        let state = match &entry.mark {
            Some(Mark::Orphan) => LedgerState::Orphan,
            Some(Mark::Retained) => LedgerState::Retained,
            Some(Mark::PrincipalGone) => LedgerState::PrincipalGone,
            None if is_confirmed => LedgerState::Applied,
            Some(Mark::Unknown(_)) | None => LedgerState::Writing,
        };
        Self {
            uid: entry.uid.clone(),
            generation: entry.generation,
            state,
            statements,
            things: entry.things.clone(),
            refused: entry.refused.clone(),
        }
    }

    /// Two parts of one entry, or the same twice: what either says it has may be there.
    fn joined(mut self, other: Self) -> Self {
        if self == other {
            return self;
        }
        self.statements
            .extend(other.statements.into_iter().filter(|s| !self.statements.contains(s)).collect::<Vec<_>>());
        if other.state == LedgerState::Writing {
            self.state = LedgerState::Writing;
        }
        self.generation = self.generation.max(other.generation);
        let Things { rule, role, claimed_at } = other.things;
        self.things.rule = self.things.rule.or(rule);
        self.things.role = self.things.role.or(role);
        self.things.claimed_at = self.things.claimed_at.or(claimed_at);
        self.refused = self.refused.or(other.refused);
        self
    }
}

fn policy_alone() -> BTreeSet<String> {
    BTreeSet::from([REGISTRY_POLICY.to_owned()])
}

/// What an object has in AWS besides statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Things {
    pub rule: Option<LedgerRule>,
    pub role: Option<LedgerRole>,
    /// When the one of them that is `Claimed` was.
    pub claimed_at: Option<Timestamp>,
}

impl Things {
    pub fn is_empty(&self) -> bool {
        self.rule.is_none() && self.role.is_none()
    }
}

/// What every object has.
pub type Holdings = BTreeMap<ObjectId, Holding>;

/// The slices of one registry, as text.
#[derive(Clone, Debug, Default)]
pub struct Slices {
    /// By namespace, then in their order.
    all: BTreeMap<Option<String>, Vec<Arc<Slice>>>,
    installation: Option<InstallationId>,
}

impl Slices {
    /// Those of other installations are left out of every answer but [`Slices::foreign`].
    pub fn new(installation: &InstallationId, slices: impl IntoIterator<Item = Arc<Slice>>) -> Self {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for slice in slices {
            all.entry(slice.namespace.clone()).or_default().push(slice);
        }
        for slices in all.values_mut() {
            slices.sort_by_cached_key(|slice| (slice.number(), slice.name.clone()));
        }
        Self { all, installation: Some(installation.clone()) }
    }

    fn is_ours(&self, slice: &Slice) -> bool {
        self.installation.as_ref().is_some_and(|own| own.as_str() == slice.installation)
    }

    /// Those of this installation.
    pub fn own(&self) -> impl Iterator<Item = &Arc<Slice>> {
        self.all.values().flatten().filter(|slice| self.is_ours(slice))
    }

    fn of_namespace<'a>(&'a self, namespace: Option<&str>) -> impl Iterator<Item = &'a Arc<Slice>> + use<'a> {
        let slices = self.all.get(&namespace.map(str::to_owned));
        slices.into_iter().flatten().filter(|slice| self.is_ours(slice))
    }

    /// Those that another cluster wrote.
    pub fn foreign(&self) -> impl Iterator<Item = &Arc<Slice>> {
        self.all.values().flatten().filter(|slice| !self.is_ours(slice))
    }

    /// The Registry that the ledger serves.
    pub fn registry(&self) -> Option<&str> {
        self.of_namespace(None).find_map(|slice| slice.registry.as_deref())
    }

    /// The namespaces that have something on record.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.all.keys().flatten().map(String::as_str)
    }

    /// Whether an object has an entry, read or not.
    pub fn mentions(&self, id: &ObjectId) -> bool {
        self.of_namespace(Some(&id.namespace)).any(|slice| parts(slice, id).next().is_some())
    }

    /// What an object has on record. An entry that cannot be believed or read says nothing.
    pub fn on_record(&self, id: &ObjectId) -> Option<Holding> {
        let entries: Vec<_> = self
            .of_namespace(Some(&id.namespace))
            .filter(|slice| !slice.is_edited())
            .flat_map(|slice| parts(slice, id).filter_map(|(_, data)| Entry::read(data).ok()))
            .collect();
        Holding::of(&entries, |document| self.confirmed(document))
    }

    fn confirmed(&self, document: &str) -> u64 {
        let text = self.of_namespace(None).filter(|slice| !slice.is_edited()).find_map(|s| s.documents.get(document));
        text.and_then(|text| DocumentRecord::read(text).ok()).map_or(0, |record| record.confirmed)
    }

    /// The cache rules of a namespace whose objects were not seen to be gone.
    pub fn living_rules(&self, namespace: &str) -> impl Iterator<Item = LedgerRule> {
        let kind = Kind::PullThroughCacheRule.as_str();
        let trusted = self.of_namespace(Some(namespace)).filter(|slice| !slice.is_edited());
        let texts = trusted.flat_map(move |s| s.entries.iter().filter(move |(id, _)| id.kind == kind));
        let entries = texts.filter_map(|(_, data)| Entry::read(data).ok());
        let is_left = |entry: &Entry| matches!(entry.mark, Some(Mark::Orphan | Mark::Retained));
        entries.filter(move |entry| !is_left(entry)).filter_map(|entry| entry.things.rule)
    }

    /// The objects that have an entry, as far as their kinds are known here.
    pub fn objects(&self) -> BTreeSet<ObjectId> {
        let id = |slice: &Slice, part: &PartId| object_id(part, slice);
        self.own().flat_map(|slice| slice.entries.keys().filter_map(move |part| id(slice, part))).collect()
    }

    /// Whether it holds anything of objects.
    pub fn has_entries(&self) -> bool {
        self.own().any(|slice| !slice.entries.is_empty())
    }

    /// Whether an entry of this kind is there.
    pub fn mentions_kind(&self, kind: Kind) -> bool {
        self.own().any(|slice| slice.entries.keys().any(|id| id.kind == kind.as_str()))
    }

    fn put(&mut self, slice: Arc<Slice>) {
        let slices = self.all.entry(slice.namespace.clone()).or_default();
        slices.retain(|other| other.name != slice.name);
        slices.push(slice);
        slices.sort_by_cached_key(|slice| (slice.number(), slice.name.clone()));
    }

    fn remove(&mut self, slice: &Slice) {
        if let Some(slices) = self.all.get_mut(&slice.namespace) {
            slices.retain(|other| other.name != slice.name);
        }
    }
}

fn parts<'a>(slice: &'a Slice, id: &ObjectId) -> impl Iterator<Item = (&'a PartId, &'a String)> + use<'a> {
    slice.entries.range(PartId::of(id, 0)..=PartId::of(id, u32::MAX))
}

fn object_id(part: &PartId, slice: &Slice) -> Option<ObjectId> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == part.kind)?;
    Some(ObjectId { kind, namespace: slice.namespace.clone()?, name: part.name.clone() })
}

/// An entry, and where it stands.
#[derive(Clone, Debug)]
struct Stored {
    slice: Arc<Slice>,
    part: u32,
    entry: Entry,
}

/// The ledger of the registry that a pass works on, read.
#[derive(Clone, Debug)]
pub struct Ledger {
    key: RegistryKey,
    installation: InstallationId,
    slices: Slices,
    stored: BTreeMap<ObjectId, Vec<Stored>>,
    documents: BTreeMap<String, DocumentRecord>,
    pub holdings: Holdings,
    /// What is on record and not believed, or not of a kind that is known here: it stays as it stands in AWS.
    pub protected: Vec<Statement>,
    /// Objects whose entries cannot be read.
    pub unreadable: BTreeSet<ObjectId>,
    /// Whether something is on record that cannot be read at all.
    pub is_incomplete: bool,
    /// What the Registry must say of it.
    pub findings: Vec<Because>,
}

impl Ledger {
    /// `take_over`: installations whose ledgers count as claims. `lives`: whether an object is there to say itself what it
    /// wants; what else an edited slice says is nobody's until a person decides.
    pub fn read(
        key: &RegistryKey,
        installation: &InstallationId,
        slices: Slices,
        take_over: &BTreeSet<InstallationId>,
        lives: impl Fn(&ObjectId) -> bool,
    ) -> Self {
        let mut ledger = Self {
            key: key.clone(),
            installation: installation.clone(),
            slices,
            stored: BTreeMap::new(),
            documents: BTreeMap::new(),
            holdings: Holdings::new(),
            protected: Vec::new(),
            unreadable: BTreeSet::new(),
            is_incomplete: false,
            findings: Vec::new(),
        };
        let mut doubted = Vec::new();
        for slice in ledger.slices.own().cloned().collect::<Vec<_>>() {
            if slice.is_edited() {
                doubted.extend(ledger.take_in_edited(&slice, &lives));
            } else {
                ledger.take_in(&slice);
            }
        }
        ledger.holdings = ledger.all_holdings();
        for (id, holding) in doubted {
            ledger.holdings.entry(id).or_insert(holding);
        }
        ledger.take_in_foreign(take_over);
        ledger
    }

    fn take_in(&mut self, slice: &Arc<Slice>) {
        for (key, text) in &slice.documents {
            match DocumentRecord::read(text) {
                Ok(record) => drop(self.documents.insert(key.clone(), record)),
                // Without it every entry counts as one whose write is under way.
                Err(error) => {
                    self.find(Reason::LedgerUnreadable, format!("the record of {key} in {}: {error}", slice.name));
                }
            }
        }
        for (part, text) in &slice.entries {
            let id = object_id(part, slice);
            match (Entry::read(text), id) {
                (Ok(entry), Some(id)) => {
                    self.stored.entry(id).or_default().push(Stored {
                        slice: Arc::clone(slice),
                        part: part.part,
                        entry,
                    });
                }
                // A kind of another version: what it has is not this version's to take.
                (Ok(entry), None) => self.protect(&entry),
                (Err(error), id) => {
                    self.is_incomplete = true;
                    let what = format!(
                        "{}/{}/{} in {}: {error}",
                        part.kind,
                        slice.namespace.as_deref().unwrap_or_default(),
                        part.name,
                        slice.name
                    );
                    self.find(Reason::LedgerUnreadable, what);
                    self.unreadable.extend(id);
                }
            }
        }
    }

    /// Nothing is withdrawn on the word of a slice that somebody edited: who is there says itself what it wants, and what
    /// belongs to nobody who is there is shown to a person.
    fn take_in_edited(&mut self, slice: &Arc<Slice>, lives: impl Fn(&ObjectId) -> bool) -> Holdings {
        self.find(Reason::LedgerEdited, slice.name.clone());
        let mut nobodys = Holdings::new();
        for (part, text) in &slice.entries {
            let Ok(entry) = Entry::read(text) else {
                self.is_incomplete = true;
                continue;
            };
            self.protect(&entry);
            let Some(id) = object_id(part, slice).filter(|id| !lives(id)) else { continue };
            let holding = Holding { state: LedgerState::Orphan, ..Holding::of_one(&entry, |_| 0) };
            nobodys.insert(id, holding);
        }
        nobodys
    }

    fn take_in_foreign(&mut self, take_over: &BTreeSet<InstallationId>) {
        let foreign: Vec<_> = self.slices.foreign().cloned().collect();
        for slice in foreign {
            let is_taken_over = take_over.iter().any(|id| id.as_str() == slice.installation);
            if !is_taken_over {
                self.find(Reason::ForeignLedger, format!("{} of installation {}", slice.name, slice.installation));
                continue;
            }
            slice.entries.values().filter_map(|text| Entry::read(text).ok()).for_each(|entry| self.protect(&entry));
        }
    }

    fn protect(&mut self, entry: &Entry) {
        self.protected.extend(entry.statements.iter().chain(&entry.before).cloned());
    }

    fn find(&mut self, reason: Reason, what: String) {
        self.findings.push(Because::new(reason, what));
    }

    fn all_holdings(&self) -> Holdings {
        let confirmed = |document: &str| self.documents.get(document).map_or(0, |record| record.confirmed);
        let holding = |stored: &Vec<Stored>| Holding::of(stored.iter().map(|stored| &stored.entry), confirmed);
        self.stored.iter().filter_map(|(id, stored)| Some((id.clone(), holding(stored)?))).collect()
    }

    /// The record of a document.
    pub fn document(&self, key: &str) -> Option<&DocumentRecord> {
        self.documents.get(key)
    }

    /// The Registry that the ledger serves.
    pub fn registry(&self) -> Option<&str> {
        self.slices.registry()
    }

    pub fn slices(&self) -> &Slices {
        &self.slices
    }

    /// The number of the next document write: greater than any on record.
    pub fn next_write(&self) -> u64 {
        let of_entries = self.stored.values().flatten().map(|stored| stored.entry.write);
        let of_documents = self.documents.values().map(|record| record.written.max(record.confirmed));
        of_entries.chain(of_documents).max().unwrap_or_default() + 1
    }

    /// The number of the last write that anything on record waits for.
    pub fn last_write(&self) -> u64 {
        self.next_write() - 1
    }

    /// What has to be written so that this is on record, once every write up to `confirmed` is.
    pub fn changes_to(&self, wanted: &Holdings, confirmed: u64) -> Changes {
        let gone = self.stored.keys().filter(|id| !wanted.contains_key(id) && !self.unreadable.contains(id));
        let mut changes: Changes = gone.map(|id| (id.clone(), None)).collect();
        for (id, holding) in wanted {
            if self.holding_if(id, confirmed).is_some_and(|stored| stored.says_the_same_as(holding)) {
                continue;
            }
            let write = if holding.state == LedgerState::Writing { confirmed + 1 } else { confirmed.max(1) };
            changes.insert(id.clone(), Some(self.entry_of(id, holding, write)));
        }
        changes
    }

    /// What an object has, as an entry.
    pub fn entry_of(&self, id: &ObjectId, holding: &Holding, write: u64) -> Entry {
        let entry = Entry {
            uid: holding.uid.clone(),
            generation: holding.generation,
            write,
            statements: holding.statements.clone(),
            documents: holding.documents(),
            things: holding.things.clone(),
            mark: match holding.state {
                LedgerState::Orphan => Some(Mark::Orphan),
                LedgerState::PrincipalGone => Some(Mark::PrincipalGone),
                LedgerState::Retained => Some(Mark::Retained),
                LedgerState::Writing | LedgerState::Applied => None,
            },
            refused: holding.refused.clone(),
            ..Entry::default()
        };
        match self.entry(id) {
            Some(stored) => entry.with_unknown_of(stored),
            None => entry,
        }
    }

    /// The entry of an object that is to get `statements` by the write of this number, and has `before`.
    pub fn intent(&self, id: &ObjectId, holding: &Holding, before: Vec<Statement>, write: u64) -> Entry {
        let entry = self.entry_of(id, holding, write);
        let documents = if before.is_empty() { entry.documents.clone() } else { policy_alone() };
        Entry { before, documents, mark: None, ..entry }
    }

    /// The entry of an object with other things in it.
    pub fn with_things(&self, id: &ObjectId, holding: &Holding) -> Entry {
        let entry = self.entry(id).cloned().unwrap_or_else(|| self.entry_of(id, holding, self.last_write().max(1)));
        Entry { things: holding.things.clone(), ..entry }
    }

    /// Up to which write everything is as it is on record, if nothing of these namespaces could be written.
    pub fn confirmable(&self, unwritten: &BTreeSet<String>, confirmed: u64, wanted: u64) -> u64 {
        let waiting = self.stored.iter().filter(|(id, _)| unwritten.contains(&id.namespace));
        let waiting = waiting.flat_map(|(_, stored)| stored.iter().map(|stored| stored.entry.write));
        let first = waiting.filter(|write| *write > confirmed).min();
        first.map_or(wanted, |first| (first - 1).max(confirmed))
    }

    /// What an object would have on record if every write up to `confirmed` were.
    fn holding_if(&self, id: &ObjectId, confirmed: u64) -> Option<Holding> {
        Holding::of(self.stored.get(id)?.iter().map(|stored| &stored.entry), |_| confirmed)
    }

    /// Its entry; of several parts the first.
    fn entry(&self, id: &ObjectId) -> Option<&Entry> {
        self.stored.get(id)?.first().map(|stored| &stored.entry)
    }

    /// A slice was written.
    pub fn wrote(&mut self, slice: &Arc<Slice>) {
        self.forget(&slice.name);
        self.slices.put(Arc::clone(slice));
        let documents = slice.documents.iter();
        let documents: Vec<_> =
            documents.filter_map(|(key, text)| Some((key.clone(), DocumentRecord::read(text).ok()?))).collect();
        let changes_documents = !documents.is_empty();
        self.documents.extend(documents);
        let mut touched = BTreeSet::new();
        for (part, text) in &slice.entries {
            if let (Ok(entry), Some(id)) = (Entry::read(text), object_id(part, slice)) {
                touched.insert(id.clone());
                self.stored.entry(id).or_default().push(Stored { slice: Arc::clone(slice), part: part.part, entry });
            }
        }
        if changes_documents {
            self.holdings.extend(self.all_holdings());
        } else {
            for id in touched {
                self.refresh(id);
            }
        }
    }

    /// A slice was removed.
    pub fn removed(&mut self, slice: &Slice) {
        self.forget(&slice.name);
        self.slices.remove(slice);
    }

    /// What a slice said counts no more.
    fn forget(&mut self, name: &str) {
        let Some(slice) = self.slices.own().find(|slice| slice.name == name).cloned() else { return };
        let touched: BTreeSet<_> = slice.entries.keys().filter_map(|part| object_id(part, &slice)).collect();
        for id in touched {
            if let Some(stored) = self.stored.get_mut(&id) {
                stored.retain(|stored| stored.slice.name != name);
                if stored.is_empty() {
                    self.stored.remove(&id);
                }
            }
            self.refresh(id);
        }
    }

    fn refresh(&mut self, id: ObjectId) {
        let confirmed = |document: &str| self.documents.get(document).map_or(0, |record| record.confirmed);
        let stored = self.stored.get(&id).into_iter().flatten().map(|stored| &stored.entry);
        match Holding::of(stored, confirmed) {
            Some(holding) => drop(self.holdings.insert(id, holding)),
            None => drop(self.holdings.remove(&id)),
        }
    }
}
