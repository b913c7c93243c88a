//! Everything the watches have said, and which registry's pass a change is for.
//!
//! Nothing can be gathered before every watch has listed once: `ready` is the only way in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::collection::{Change, Collection, Effect};
use super::conditions::find;
use super::ledger;
use super::objects::{Attached, NamespaceView, ObjectId, RegistryObject};
use super::queue::Key;
use crate::api::{Kind, LedgerEntry};
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
            attached: Kind::ALL.into_iter().map(|kind| (kind, Collection::new())).collect(),
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
                    own.chain(both().flat_map(|registry| self.keys_beside(registry.name()))).collect()
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
                        [old, new].into_iter().flatten().flat_map(|object| self.keys_of(&object)).collect()
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

    /// Shows a Registry we wrote until the watch brings it, and says which other passes must answer it: they hear of each
    /// other by their ledgers alone.
    ///
    /// Told from what was written over: the watch may have brought the new version before the write was answered.
    pub fn wrote_registry(&mut self, before: &RegistryObject, written: RegistryObject) -> BTreeSet<Key> {
        let (own, ledger) = (written.key().map(Key::Registry), written.status.ledger.clone());
        self.registries.overlay(written.meta.name.clone(), &before.meta.resource_version, written);
        let mut touched = self.concerned(&before.status.ledger, &ledger);
        touched.extend(self.concerned(&ledger, &before.status.ledger));
        touched.retain(|key| Some(key) != own.as_ref());
        touched
    }

    /// The passes that have to do with an entry of `some` which is not the same in `others`: those of the roles whose
    /// grants or whose rules they are.
    fn concerned(&self, some: &[LedgerEntry], others: &[LedgerEntry]) -> BTreeSet<Key> {
        let others: BTreeSet<&LedgerEntry> = others.iter().collect();
        let mut touched = BTreeSet::new();
        for entry in some.iter().filter(|entry| !others.contains(entry)) {
            let by_role = entry.rule.as_ref().and_then(|rule| rule.role_arn.as_deref());
            let has_role = |other: &&LedgerEntry| other.role.as_ref().map(|role| role.arn.as_str()) == by_role;
            let of_role = some.iter().filter(|other| by_role.is_some() && other.namespace == entry.namespace);
            let concerned = of_role.filter(has_role).chain([entry]).filter(|e| e.kind == Kind::CrossAccountPtcRole);
            for entry in concerned {
                let id = ObjectId { kind: entry.kind, namespace: entry.namespace.clone(), name: entry.name.clone() };
                let object = self.attached.get(&id.kind).and_then(|collection| collection.get(&id));
                touched.extend(object.into_iter().flat_map(|object| self.keys_of(object)));
            }
        }
        touched
    }

    /// The world as a pass may see it; `None` until every watch has listed.
    pub fn ready(&self) -> Option<Snapshot<'_>> {
        let all = self.registries.is_ready()
            && self.namespaces.is_ready()
            && self.attached.values().all(Collection::is_ready);
        all.then_some(Snapshot(self))
    }

    /// Whether the object lives and has the role that its Registry had on record for it, and the Registry still says the
    /// same, as far as the watches have told.
    pub fn still_has(&self, home: &RegistryObject, id: &ObjectId) -> bool {
        let object = self.attached.get(&id.kind).and_then(|collection| collection.get(id));
        let role_of = |registry: &RegistryObject| registry.on_record(id).and_then(|entry| entry.role.clone());
        let is_same = |now: &Arc<RegistryObject>| {
            now.meta.uid == home.meta.uid
                && now.meta.generation == home.meta.generation
                && role_of(now) == role_of(home)
        };
        object.is_some_and(|object| !object.meta.deleting) && self.registries.get(&home.meta.name).is_some_and(is_same)
    }

    fn key_of(&self, object: &Attached) -> Key {
        self.registries
            .get(&object.body.registry_name().to_owned())
            .and_then(|registry| registry.key())
            .map_or(Key::Orphans, Key::Registry)
    }

    /// All passes that an object concerns: that of the registry it is attached to, and those of the registries its role
    /// pulls from, or did.
    fn keys_of(&self, object: &Attached) -> BTreeSet<Key> {
        let own = [self.key_of(object)];
        if object.id.kind != Kind::CrossAccountPtcRole {
            return own.into();
        }
        let targets = object.body.targets();
        let named = targets.iter().filter_map(|target| self.registries.get(&target.registry_name()?.to_owned()));
        let recorded = self.registries.iter().map(|(_, registry)| registry).filter(|r| r.has_on_record(&object.id));
        let beside = named.chain(recorded).filter_map(|registry| registry.key().map(Key::Registry));
        beside.chain(own).collect()
    }

    fn every_key(&self) -> BTreeSet<Key> {
        let registries = self.registries.iter().filter_map(|(_, registry)| registry.key().map(Key::Registry));
        registries.chain([Key::Orphans]).collect()
    }

    fn keys_of_namespace(&self, namespace: &str) -> BTreeSet<Key> {
        self.objects().filter(|object| object.id.namespace == namespace).flat_map(|o| self.keys_of(o)).collect()
    }

    /// The passes of objects whose specs speak of this Registry, and those that its objects concern besides its own.
    fn keys_beside(&self, registry: &str) -> BTreeSet<Key> {
        let is_named = |o: &Attached| o.body.targets().iter().any(|target| target.registry_name() == Some(registry));
        let concerned = self.objects().filter(|o| o.body.registry_name() == registry || is_named(o));
        concerned.flat_map(|object| self.keys_of(object)).collect()
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
    /// The Registries that stand for other registries, if roles have to do with this one: passes hear of each other by
    /// their ledgers.
    pub others: BTreeMap<RegistryKey, Arc<RegistryObject>>,
    /// Roles attached elsewhere that pull from this registry, or did.
    pub guests: Vec<Arc<Attached>>,
}

impl Gathered {
    /// Whether the object was proven to have what it says, and neither it nor the Registry says anything else by now.
    pub fn is_proven(&self, id: &ObjectId) -> bool {
        let registry = &self.registry;
        let object = self.attached.iter().find(|object| object.id == *id);
        registry.status.observed_generation == registry.meta.generation
            && object.is_some_and(|object| {
                let ready = find(&object.status.conditions, "Ready").is_some_and(|(ready, _)| ready == "True");
                ready && object.status.observed_generation == object.meta.generation
            })
    }
}

/// The objects whose Registry does not exist.
#[derive(Clone, Debug, Default)]
pub struct Unattached {
    pub objects: Vec<Arc<Attached>>,
    /// Those of which a Registry that is there has something on record.
    pub on_record: BTreeSet<ObjectId>,
}

/// A view of everything, made only when every watch has listed.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a>(&'a Index);

impl Snapshot<'_> {
    /// Who is attached to the registry, and its ledger; `None`: no Registry stands for the key.
    pub fn gather(&self, key: &RegistryKey) -> Option<Gathered> {
        let mut candidates = self.standing_for(key).into_iter();
        let registry = candidates.next()?;
        let of = |name: &str| -> Vec<Arc<Attached>> {
            self.0.objects().filter(|object| object.body.registry_name() == name).cloned().collect()
        };
        let attached = of(registry.name());
        let guests = self.guests(&registry, key);
        let mut namespaces = BTreeMap::new();
        let named = attached.iter().chain(&guests).map(|object| object.id.namespace.as_str());
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
        let is_role = |object: &Arc<Attached>| object.id.kind == Kind::CrossAccountPtcRole;
        let recorded = registry.status.ledger.iter().any(|entry| entry.kind == Kind::CrossAccountPtcRole);
        let with_roles = recorded || attached.iter().any(is_role) || !guests.is_empty();
        let others = if with_roles { self.others(key) } else { BTreeMap::new() };
        Some(Gathered { key: key.clone(), registry, duplicates, attached, references, namespaces, others, guests })
    }

    /// The Registries that would stand for a registry; the first does.
    fn standing_for(self, key: &RegistryKey) -> Vec<Arc<RegistryObject>> {
        let registries = self.0.registries.iter().map(|(_, registry)| registry);
        let mut candidates: Vec<_> = registries.filter(|r| r.key().as_ref() == Some(key)).cloned().collect();
        candidates.sort_by_cached_key(|registry| registry.seniority());
        candidates
    }

    fn others(self, own: &RegistryKey) -> BTreeMap<RegistryKey, Arc<RegistryObject>> {
        let keys: BTreeSet<_> = self.0.registries.iter().filter_map(|(_, registry)| registry.key()).collect();
        let others = keys.into_iter().filter(|key| key != own);
        others.filter_map(|key| Some((key.clone(), self.standing_for(&key).into_iter().next()?))).collect()
    }

    fn guests(self, registry: &RegistryObject, key: &RegistryKey) -> Vec<Arc<Attached>> {
        let Some(roles) = self.0.attached.get(&Kind::CrossAccountPtcRole) else { return Vec::new() };
        let leads_here =
            |name: &str| self.0.registries.get(&name.to_owned()).and_then(|r| r.key()).as_ref() == Some(key);
        let is_guest = |object: &&Arc<Attached>| {
            let pulls = object.body.targets().iter().any(|target| target.registry_name().is_some_and(leads_here));
            object.body.registry_name() != registry.name() && (pulls || registry.has_grants_on_record(&object.id))
        };
        roles.iter().map(|(_, object)| object).filter(is_guest).cloned().collect()
    }

    pub fn gather_unattached(&self) -> Unattached {
        let objects: Vec<_> =
            self.0.objects().filter(|object| self.0.key_of(object) == Key::Orphans).cloned().collect();
        let holds = |registry: &RegistryObject, id: &ObjectId| {
            registry.on_record(id).is_some_and(|entry| ledger::holding(entry).holds_something())
        };
        let is_recorded = |id: &&ObjectId| self.0.registries.iter().any(|(_, registry)| holds(registry, id));
        let on_record = objects.iter().map(|object| &object.id).filter(is_recorded).cloned().collect();
        Unattached { objects, on_record }
    }

    /// How many objects of each kind there are, for the metrics.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        self.0.attached.iter().map(|(kind, collection)| (*kind, collection.iter().count())).collect()
    }
}
