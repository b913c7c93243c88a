//! Where entries stand: which slices are written so that the ledger says something else. What is added is written before
//! anything is removed, over all slices, so that a crash between two writes leaves an entry twice and never not at all.
//! An entry stays in its slice until it no longer fits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::slice::{document_bytes, entry_bytes};
use super::{DocumentRecord, Entry, Ledger, PartId, SLICE_BYTES, Slice, Stored, parts};
use crate::pass::objects::ObjectId;
use crate::policy::Statement;

/// As much text a part of a large entry begins with, so that it can grow where it stands.
const PART_BYTES: usize = SLICE_BYTES / 2;

/// What is to be on record of objects; `None`: nothing any more.
pub type Changes = BTreeMap<ObjectId, Option<Entry>>;

/// A slice to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The version that it replaces; none: it is made.
    pub base: Option<Arc<Slice>>,
    pub slice: Slice,
}

/// A slice that holds nothing any more, or whose entries stand elsewhere: it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Emptied(pub Arc<Slice>);

impl Ledger {
    /// The slices to write so that all of `changes` that is added or changed is on record. `anew`: what an edited slice
    /// says is replaced by what is known.
    pub fn additions(&self, changes: &Changes, anew: bool) -> Vec<Draft> {
        let mut namespaces: BTreeSet<&str> = changes.keys().map(|id| id.namespace.as_str()).collect();
        let displaced = |slice: &&Arc<Slice>| slice.deleting || anew && slice.is_edited();
        namespaces.extend(self.slices.own().filter(displaced).filter_map(|slice| slice.namespace.as_deref()));
        namespaces.into_iter().flat_map(|namespace| self.additions_of(namespace, changes, anew)).collect()
    }

    fn additions_of(&self, namespace: &str, changes: &Changes, anew: bool) -> Vec<Draft> {
        let mut desk = Desk::open(self, Some(namespace), anew);
        for (id, entry) in changes.iter().filter(|(id, _)| id.namespace == namespace) {
            for (part, text) in entry.iter().flat_map(|entry| self.split(id, entry)) {
                desk.put(PartId::of(id, part), text);
            }
        }
        // What stands in a slice that somebody deletes has to stand in another before it may go.
        for slice in self.slices.of_namespace(Some(namespace)).filter(|slice| slice.deleting && !slice.is_edited()) {
            let is_changed = |part: &PartId| changes.keys().any(|id| id.namespace == namespace && part.is_of(id));
            // What stands in another by now is newer.
            let is_there =
                |desk: &Desk<'_>, part: &PartId| desk.open.iter().any(|o| o.slice.entries.contains_key(part));
            for (part, text) in slice.entries.iter().filter(|(part, _)| !is_changed(part)) {
                if !is_there(&desk, part) {
                    desk.put(part.clone(), text.clone());
                }
            }
        }
        desk.close()
    }

    /// The slices to write so that nothing is on record any more that is not to be: what was moved, and what is gone.
    pub fn removals(&self, changes: &Changes) -> Vec<Draft> {
        let namespaces: BTreeSet<&str> = changes.keys().map(|id| id.namespace.as_str()).collect();
        let mut drafts = Vec::new();
        for namespace in namespaces {
            let of_namespace = || changes.iter().filter(|(id, _)| id.namespace == namespace);
            let mut kept = BTreeMap::<PartId, String>::new();
            for (id, entry) in of_namespace() {
                let parts = entry.iter().flat_map(|entry| self.split(id, entry));
                kept.extend(parts.map(|(part, text)| (PartId::of(id, part), text)));
            }
            let mut seen = BTreeSet::new();
            for base in self.slices.of_namespace(Some(namespace)).filter(|slice| !slice.deleting && !slice.is_edited())
            {
                let stale: Vec<PartId> = of_namespace()
                    .flat_map(|(id, _)| parts(base, id))
                    .filter(|(part, text)| kept.get(part) != Some(*text) || !seen.insert((*part).clone()))
                    .map(|(part, _)| part.clone())
                    .collect();
                if stale.is_empty() {
                    continue;
                }
                let mut slice = Slice::clone(base);
                slice.entries.retain(|part, _| !stale.contains(part));
                drafts.push(Draft::over(Some(Arc::clone(base)), slice));
            }
        }
        drafts
    }

    /// Slices of namespaces that hold nothing, and those that somebody deletes and of which everything stands elsewhere.
    pub fn emptied(&self) -> Vec<Emptied> {
        let stands_elsewhere = |slice: &Arc<Slice>| {
            let others = || self.slices.of_namespace(slice.namespace.as_deref()).filter(|other| !other.deleting);
            slice.entries.keys().all(|part| others().any(|other| other.entries.contains_key(part)))
                && slice.documents.keys().all(|key| others().any(|other| other.documents.contains_key(key)))
        };
        let goes = |slice: &&Arc<Slice>| {
            if slice.deleting { stands_elsewhere(slice) } else { slice.namespace.is_some() && slice.is_empty() }
        };
        self.slices.own().filter(goes).map(|slice| Emptied(Arc::clone(slice))).collect()
    }

    /// The slices to write so that these are the records of documents, and the ledger serves this Registry.
    pub fn records(&self, documents: &BTreeMap<String, DocumentRecord>, registry: &str) -> Vec<Draft> {
        let mut desk = Desk::open(self, None, true);
        for (key, record) in documents {
            desk.put_document(key, record.text());
        }
        for slice in self.slices.of_namespace(None).filter(|slice| slice.deleting && !slice.is_edited()) {
            for (key, text) in slice.documents.iter().filter(|(key, _)| !documents.contains_key(*key)) {
                desk.put_document(key, text.clone());
            }
        }
        desk.serve(registry);
        desk.close()
    }

    /// The texts of an entry: one, or several where it would outgrow a slice. What stands in a part already stays there.
    fn split(&self, id: &ObjectId, entry: &Entry) -> Vec<(u32, String)> {
        let text = entry.text();
        if entry_bytes(&PartId::of(id, 0), &text) <= SLICE_BYTES {
            return vec![(0, text)];
        }
        let stored = self.stored.get(id).map(Vec::as_slice).unwrap_or_default();
        let groups = split_documents(entry, stored);
        let statements = split_statements(&entry.statements);
        let before = split_statements(&entry.before);
        let mut parts = Vec::new();
        let mut number = groups.iter().map(|(part, _)| part + 1).max().unwrap_or_default();
        for (group, documents) in groups {
            for i in 0..statements.len().max(before.len()).max(1) {
                let of = |all: &[Vec<Statement>]| all.get(i).cloned().unwrap_or_default();
                let mut part = Entry {
                    statements: of(&statements),
                    before: of(&before),
                    documents: documents.clone(),
                    ..entry.clone()
                };
                if !parts.is_empty() {
                    part.things = super::Things::default();
                    part.refused = None;
                    part = part.with_unknown_of(&Entry::default());
                }
                if i == 0 {
                    parts.push((group, part.text()));
                } else {
                    parts.push((number, part.text()));
                    number += 1;
                }
            }
        }
        parts
    }
}

/// Groups of documents, each with the number of its part.
fn split_documents(entry: &Entry, stored: &[Stored]) -> Vec<(u32, BTreeSet<String>)> {
    let mut groups: Vec<(u32, BTreeSet<String>)> = Vec::new();
    let mut left = entry.documents.clone();
    for stored in stored {
        let kept: BTreeSet<String> = stored.entry.documents.intersection(&left).cloned().collect();
        left.retain(|document| !kept.contains(document));
        if !kept.is_empty() && groups.iter().all(|(part, _)| *part != stored.part) {
            groups.push((stored.part, kept));
        } else {
            left.extend(kept);
        }
    }
    let bytes = |documents: &BTreeSet<String>| documents.iter().map(|document| document.len() + 5).sum::<usize>();
    for document in left {
        if let Some((_, group)) = groups.iter_mut().find(|(_, group)| bytes(group) < PART_BYTES) {
            group.insert(document);
        } else {
            let part = groups.iter().map(|(part, _)| part + 1).max().unwrap_or_default();
            groups.push((part, BTreeSet::from([document])));
        }
    }
    if groups.is_empty() { vec![(0, BTreeSet::new())] } else { groups }
}

fn split_statements(statements: &[Statement]) -> Vec<Vec<Statement>> {
    let mut groups: Vec<(usize, Vec<Statement>)> = Vec::new();
    for statement in statements {
        // Every quote in it is escaped where it is stored.
        let bytes = statement.canonical().bytes().map(|byte| if byte == b'"' { 2 } else { 1 }).sum::<usize>();
        match groups.last_mut() {
            Some((taken, group)) if *taken + bytes <= PART_BYTES / 2 => {
                *taken += bytes;
                group.push(statement.clone());
            }
            _ => groups.push((bytes, vec![statement.clone()])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

impl Draft {
    fn over(base: Option<Arc<Slice>>, slice: Slice) -> Self {
        Self { base, slice: slice.digested() }
    }

    /// How much is written.
    pub fn bytes(&self) -> usize {
        self.slice.bytes()
    }
}

/// The slices of one namespace while they are being changed.
struct Desk<'a> {
    ledger: &'a Ledger,
    namespace: Option<&'a str>,
    open: Vec<Open>,
}

struct Open {
    base: Option<Arc<Slice>>,
    slice: Slice,
    bytes: usize,
    is_changed: bool,
}

impl<'a> Desk<'a> {
    fn open(ledger: &'a Ledger, namespace: Option<&'a str>, anew: bool) -> Self {
        let usable = ledger.slices.of_namespace(namespace).filter(|s| !s.deleting && (anew || !s.is_edited()));
        let open = usable.map(|base| {
            let mut slice = Slice::clone(base);
            let is_changed = base.is_edited();
            if is_changed {
                slice.entries.clear();
                slice.documents.clear();
            }
            Open { base: Some(Arc::clone(base)), bytes: slice.bytes(), slice, is_changed }
        });
        Self { ledger, namespace, open: open.collect() }
    }

    fn put(&mut self, part: PartId, text: String) {
        let bytes = entry_bytes(&part, &text);
        if self.open.iter().any(|open| open.slice.entries.get(&part) == Some(&text)) {
            return;
        }
        for open in &mut self.open {
            let Some(stored) = open.slice.entries.get_mut(&part) else { continue };
            let taken = open.bytes - entry_bytes(&part, stored) + bytes;
            if taken <= SLICE_BYTES {
                *stored = text;
                open.bytes = taken;
                open.is_changed = true;
                return;
            }
        }
        // Where it stands too large it stays until it stands elsewhere.
        let has_room = |open: &Open| open.bytes + bytes <= SLICE_BYTES && !open.slice.entries.contains_key(&part);
        let at = self.open.iter().position(has_room).unwrap_or_else(|| self.add());
        if let Some(open) = self.open.get_mut(at) {
            open.bytes += bytes;
            open.is_changed = true;
            open.slice.entries.insert(part, text);
        }
    }

    fn put_document(&mut self, key: &str, text: String) {
        let bytes = document_bytes(key, &text);
        if let Some(open) = self.open.iter_mut().find(|open| open.slice.documents.contains_key(key)) {
            let before = open.slice.documents.get(key).map(|text| document_bytes(key, text)).unwrap_or_default();
            if open.slice.documents.get(key) == Some(&text) {
                return;
            }
            if open.bytes - before + bytes <= SLICE_BYTES {
                open.bytes = open.bytes - before + bytes;
                open.is_changed = true;
                open.slice.documents.insert(key.to_owned(), text);
                return;
            }
            // A record that no longer fits is written elsewhere and here no more: without it, everything counts as under way.
            open.bytes -= before;
            open.is_changed = true;
            open.slice.documents.remove(key);
        }
        let at = self.open.iter().position(|open| open.bytes + bytes <= SLICE_BYTES).unwrap_or_else(|| self.add());
        if let Some(open) = self.open.get_mut(at) {
            open.bytes += bytes;
            open.is_changed = true;
            open.slice.documents.insert(key.to_owned(), text);
        }
    }

    /// The first slice says which Registry the ledger serves.
    fn serve(&mut self, registry: &str) {
        if self.open.is_empty() {
            self.add();
        }
        let named = self.open.iter().position(|open| open.slice.registry.is_some()).unwrap_or_default();
        if let Some(open) = self.open.get_mut(named)
            && open.slice.registry.as_deref() != Some(registry)
        {
            open.slice.registry = Some(registry.to_owned());
            open.is_changed = true;
        }
    }

    fn add(&mut self) -> usize {
        let namesakes = || self.ledger.slices.all.get(&self.namespace.map(str::to_owned)).into_iter().flatten();
        let is_taken = |name: &String| {
            namesakes().any(|slice| slice.name == *name) || self.open.iter().any(|open| open.slice.name == *name)
        };
        let Ledger { installation, key, .. } = self.ledger;
        let new = |n| Slice::new(installation, key, self.namespace, n);
        let slice = (0..u32::MAX).map(new).find(|slice| !is_taken(&slice.name)).unwrap_or_default();
        self.open.push(Open { base: None, slice, bytes: 0, is_changed: false });
        self.open.len() - 1
    }

    fn close(self) -> Vec<Draft> {
        let changed = self.open.into_iter().filter(|open| open.is_changed);
        changed.map(|open| Draft::over(open.base, open.slice)).collect()
    }
}
