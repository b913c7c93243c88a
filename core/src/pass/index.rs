//! Everything the watches have said, and which registry's pass a change is for.
//!
//! Nothing can be gathered before every watch has listed once: `ready` is the only way in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::collection::{Change, Collection, Effect};
use super::objects::{Attached, NamespaceView, ObjectId, RegistryObject};
use super::queue::Key;
use crate::api::Kind;
use crate::kinds::References;
use crate::names::RegistryKey;

/// A change of anything that is watched.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    Registry(Change<String, RegistryObject>),
    Namespace(Change<String, NamespaceView>),
    Attached(Kind, Change<ObjectId, Attached>),
}

#[derive(Debug)]
pub struct Index {
    registries: Collection<String, RegistryObject>,
    namespaces: Collection<String, NamespaceView>,
    attached: BTreeMap<Kind, Collection<ObjectId, Attached>>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            registries: Collection::new(),
            namespaces: Collection::new(),
            attached: Kind::SERVED.into_iter().map(|kind| (kind, Collection::new())).collect(),
        }
    }
}

impl Index {
    /// Takes a change in, and says which passes must answer it.
    pub fn take(&mut self, event: WatchEvent) -> BTreeSet<Key> {
        match event {
            WatchEvent::Registry(change) => match self.registries.change(change) {
                Effect::Nothing => BTreeSet::new(),
                Effect::Everything => self.every_key(),
                Effect::One { old, new } => {
                    let both = || [&old, &new].into_iter().flatten();
                    let own = both().filter_map(|registry| registry.key().map(Key::Registry)).chain([Key::Orphans]);
                    own.chain(both().flat_map(|registry| self.keys_that_name(registry.name()))).collect()
                }
            },
            WatchEvent::Namespace(change) => {
                let name = match &change {
                    Change::Apply(name, _) | Change::Delete(name) => Some(name.clone()),
                    _ => None,
                };
                match self.namespaces.change(change) {
                    Effect::Nothing => BTreeSet::new(),
                    Effect::Everything => self.every_key(),
                    Effect::One { .. } => self.keys_of_namespace(name.as_deref().unwrap_or_default()),
                }
            }
            WatchEvent::Attached(kind, change) => {
                let Some(collection) = self.attached.get_mut(&kind) else { return BTreeSet::new() };
                match collection.change(change) {
                    Effect::Nothing => BTreeSet::new(),
                    Effect::Everything => self.every_key(),
                    Effect::One { old, new } => {
                        [old, new].into_iter().flatten().map(|object| self.key_of(&object)).collect()
                    }
                }
            }
        }
    }

    /// Shows a status we wrote until the watch brings it.
    pub fn wrote_object(&mut self, base: &str, object: Attached) {
        if let Some(collection) = self.attached.get_mut(&object.id.kind) {
            collection.overlay(object.id.clone(), base, object);
        }
    }

    /// Shows a Registry we wrote until the watch brings it.
    pub fn wrote_registry(&mut self, base: &str, registry: RegistryObject) {
        self.registries.overlay(registry.meta.name.clone(), base, registry);
    }

    /// The world as a pass may see it; `None` until every watch has listed.
    pub fn ready(&self) -> Option<Snapshot<'_>> {
        let all = self.registries.is_ready()
            && self.namespaces.is_ready()
            && self.attached.values().all(Collection::is_ready);
        all.then_some(Snapshot(self))
    }

    fn key_of(&self, object: &Attached) -> Key {
        self.registries
            .get(&object.body.registry_name().to_owned())
            .and_then(|registry| registry.key())
            .map_or(Key::Orphans, Key::Registry)
    }

    fn every_key(&self) -> BTreeSet<Key> {
        let registries = self.registries.iter().filter_map(|(_, registry)| registry.key().map(Key::Registry));
        registries.chain([Key::Orphans]).collect()
    }

    fn keys_of_namespace(&self, namespace: &str) -> BTreeSet<Key> {
        self.objects().filter(|object| object.id.namespace == namespace).map(|object| self.key_of(object)).collect()
    }

    /// The passes of objects whose specs speak of this Registry, besides those attached to it.
    fn keys_that_name(&self, registry: &str) -> BTreeSet<Key> {
        let names = |object: &&Arc<Attached>| object.body.targets().iter().any(|t| t.registry_name() == Some(registry));
        self.objects().filter(names).map(|object| self.key_of(object)).collect()
    }

    fn objects(&self) -> impl Iterator<Item = &Arc<Attached>> {
        self.attached.values().flat_map(|collection| collection.iter().map(|(_, object)| object))
    }
}

/// What a complete view shows of one registry.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub key: RegistryKey,
    /// The Registry that stands for the key.
    pub registry: Arc<RegistryObject>,
    /// Registries that would stand for the same key, and the objects that name them.
    pub duplicates: Vec<(Arc<RegistryObject>, Vec<Arc<Attached>>)>,
    /// The objects attached to `registry`, by kind, namespace and name.
    pub attached: Vec<Arc<Attached>>,
    /// The registries that Registries stand for, by name: what specs speak of.
    pub references: References,
    /// The namespaces that were seen.
    pub namespaces: BTreeMap<String, Arc<NamespaceView>>,
}

/// The objects whose Registry does not exist.
#[derive(Clone, Debug, Default)]
pub struct Unattached {
    pub objects: Vec<Arc<Attached>>,
}

/// A view of everything, made only when every watch has listed.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a>(&'a Index);

impl Snapshot<'_> {
    /// Who is attached to the registry, and its ledger; `None`: no Registry stands for the key.
    pub fn gather(&self, key: &RegistryKey) -> Option<Gathered> {
        let mut candidates: Vec<_> = self
            .0
            .registries
            .iter()
            .map(|(_, registry)| registry)
            .filter(|r| r.key().as_ref() == Some(key))
            .cloned()
            .collect();
        candidates.sort_by_cached_key(|registry| registry.seniority());
        let mut candidates = candidates.into_iter();
        let registry = candidates.next()?;
        let of = |name: &str| -> Vec<Arc<Attached>> {
            self.0.objects().filter(|object| object.body.registry_name() == name).cloned().collect()
        };
        let attached = of(registry.name());
        let mut namespaces = BTreeMap::new();
        let named = attached.iter().map(|object| object.id.namespace.as_str());
        let recorded = registry.status.ledger.iter().map(|entry| entry.namespace.as_str());
        for name in named.chain(recorded) {
            if !namespaces.contains_key(name)
                && let Some(view) = self.0.namespaces.get(&name.to_owned())
            {
                namespaces.insert(name.to_owned(), Arc::clone(view));
            }
        }
        let duplicates = candidates.map(|other| (Arc::clone(&other), of(other.name()))).collect();
        let references = self.0.registries.iter().filter_map(|(name, registry)| Some((name.clone(), registry.key()?)));
        let references = references.collect();
        Some(Gathered { key: key.clone(), registry, duplicates, attached, references, namespaces })
    }

    pub fn gather_unattached(&self) -> Unattached {
        let objects = self.0.objects().filter(|object| self.0.key_of(object) == Key::Orphans).cloned().collect();
        Unattached { objects }
    }

    /// How many objects of each kind there are, for the metrics.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        self.0.attached.iter().map(|(kind, collection)| (*kind, collection.iter().count())).collect()
    }
}
