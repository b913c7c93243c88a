//! Everything the watches have said, and which registry's pass a change is for.
//!
//! Nothing can be gathered before every watch has listed once: `ready` is the only way in.

mod gathered;
mod outlines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use gathered::{Gathered, OtherRegistry, Snapshot, Unattached};
use outlines::left_record;

use super::collection::{Change, Collection, Effect};
use super::freshness::{Ages, Proof, Store};
use super::ledger::{PartId, Slice, Slices};
use super::objects::{Attached, NamespaceView, ObjectId, RegistryObject};
use super::queue::{Key, Now};
use crate::api::Kind;
use crate::kinds::{References, Target};
use crate::names::{AccountId, RegistryKey};
use crate::ownership::InstallationId;

/// A change of anything that is watched.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    Registry(Change<String, RegistryObject>),
    Namespace(Change<String, NamespaceView>),
    Attached(Kind, Change<ObjectId, Attached>),
    Ledger(Change<String, Slice>),
    /// Of when a view is.
    Age(Store, Proof),
}

#[derive(Debug)]
pub struct Index {
    installation: InstallationId,
    registries: Collection<String, RegistryObject>,
    namespaces: Collection<String, NamespaceView>,
    attached: BTreeMap<Kind, Collection<ObjectId, Attached>>,
    ledgers: Collection<String, Slice>,
    /// The slices of each namespace, by name.
    by_namespace: BTreeMap<String, BTreeSet<String>>,
    /// The slices of each account and Region, by name.
    by_place: BTreeMap<(String, String), BTreeSet<String>>,
    /// Deleting objects of which an upstream has read its policy and has nothing left, by the upstream and the uid.
    withdrawn: BTreeSet<(RegistryKey, ObjectId, String)>,
    /// Slices that this process is writing, by name.
    writing: BTreeMap<String, Writing>,
    /// How often something was news for a pass.
    changes: u64,
    ages: Ages,
}

/// A write of a slice that has not been answered yet.
#[derive(Debug)]
struct Writing {
    /// `None`: it is being removed.
    slice: Option<Slice>,
    /// The passes that its own event would have touched.
    untold: BTreeSet<Key>,
}

impl Index {
    pub fn new(installation: &InstallationId) -> Self {
        Self {
            installation: installation.clone(),
            registries: Collection::new(),
            namespaces: Collection::new(),
            attached: Kind::ALL.into_iter().map(|kind| (kind, Collection::new())).collect(),
            ledgers: Collection::new(),
            by_namespace: BTreeMap::new(),
            by_place: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            writing: BTreeMap::new(),
            changes: 0,
            ages: Ages::default(),
        }
    }

    /// How often something was news for a pass: as long as it is the same, nothing has become due.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes a change in, and says which passes must answer it.
    pub fn take(&mut self, event: WatchEvent) -> BTreeSet<Key> {
        let touched = self.taken(event);
        self.changes += u64::from(!touched.is_empty());
        touched
    }

    fn taken(&mut self, event: WatchEvent) -> BTreeSet<Key> {
        match event {
            WatchEvent::Registry(change) => {
                let could_be_read = self.registries.unreadable().next().is_none();
                let effect = self.registries.change(change);
                // What a Registry that cannot be read stands for nobody knows: it concerns everybody.
                let effect = if self.registries.unreadable().next().is_none() == could_be_read {
                    effect
                } else {
                    Effect::Everything
                };
                self.touched_by_registry(effect)
            }
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
                let change = self.outlined(change);
                let Some(collection) = self.attached.get_mut(&kind) else { return BTreeSet::new() };
                match collection.change(change) {
                    Effect::Nothing => BTreeSet::new(),
                    Effect::Everything => {
                        self.withdrawn.retain(|(_, id, _)| id.kind != kind || collection.get(id).is_some());
                        self.every_key()
                    }
                    Effect::One { old, new } => {
                        if let (Some(old), None) = (&old, &new) {
                            self.withdrawn.retain(|(_, id, _)| *id != old.id);
                        }
                        [old, new].into_iter().flatten().flat_map(|object| self.keys_of(&object)).collect()
                    }
                }
            }
            WatchEvent::Age(store, proof) => {
                self.ages.take(store, proof);
                BTreeSet::new()
            }
            WatchEvent::Ledger(change) => {
                if let Change::Apply(_, slice) | Change::ListItem(_, slice) = &change {
                    self.note(slice);
                }
                self.take_ledger(change)
            }
        }
    }

    /// Finds out which views are old by now. Says for which passes that is news.
    pub fn look_at_ages(&mut self, now: Now) -> BTreeSet<Key> {
        if !self.ages.look(now) {
            return BTreeSet::new();
        }
        self.changes += 1;
        self.every_key()
    }

    /// Everything is to be listed anew before anything grows. Says for which passes that is news.
    pub fn doubt(&mut self, now: Now) -> BTreeSet<Key> {
        self.ages.doubt(now);
        self.look_at_ages(now)
    }

    pub fn ages(&self) -> &Ages {
        &self.ages
    }

    fn touched_by_registry(&self, effect: Effect<RegistryObject>) -> BTreeSet<Key> {
        match effect {
            Effect::Nothing => BTreeSet::new(),
            Effect::Everything => self.every_key(),
            Effect::One { old, new } => {
                let both = || [&old, &new].into_iter().flatten().map(Arc::as_ref);
                self.keys_of_registries(both)
            }
        }
    }

    /// The passes that a Registry concerns as it was and as it is.
    fn keys_of_registries<'r, I: Iterator<Item = &'r RegistryObject>>(
        &self,
        registries: impl Fn() -> I,
    ) -> BTreeSet<Key> {
        let own = registries().filter_map(|registry| registry.key().map(Key::Registry)).chain([Key::Orphans]);
        own.chain(registries().flat_map(|registry| self.keys_beside(registry))).collect()
    }

    fn take_ledger(&mut self, change: Change<String, Slice>) -> BTreeSet<Key> {
        let is_as_written =
            |writing: &Writing, slice: &Slice| writing.slice.as_ref().is_none_or(|ours| ours.says_the_same_as(slice));
        let echo = match &change {
            Change::Apply(name, slice) => {
                self.writing.get(name).filter(|writing| is_as_written(writing, slice)).map(|_| name.clone())
            }
            Change::Delete(name) => {
                self.writing.get(name).filter(|writing| writing.slice.is_none()).map(|_| name.clone())
            }
            _ => None,
        };
        let touched = match self.ledgers.change(change) {
            Effect::Nothing => BTreeSet::new(),
            Effect::Everything => self.every_key(),
            Effect::One { old, new } => {
                let own = [&old, &new].into_iter().flatten().filter_map(|slice| slice.key().map(Key::Registry));
                let own: BTreeSet<_> = own.chain([Key::Orphans]).collect();
                self.outline_all(left_record(old.as_deref(), new.as_deref()));
                own.into_iter().chain(self.concerned(old.as_deref(), new.as_deref())).collect()
            }
        };
        let Some(writing) = echo.and_then(|name| self.writing.get_mut(&name)) else { return touched };
        writing.untold.extend(touched);
        BTreeSet::new()
    }

    /// A slice is about to be written, or removed: what the watch brings of that before the write is answered is no news.
    pub fn writes_slice(&mut self, name: &str, slice: Option<Slice>) {
        self.writing.insert(name.to_owned(), Writing { slice, untold: BTreeSet::new() });
    }

    /// The write was answered, or given up: then its event was news. Says for whom.
    pub fn ended_slice_write(&mut self, name: &str) -> BTreeSet<Key> {
        self.writing.remove(name).map(|writing| writing.untold).unwrap_or_default()
    }

    /// Where the slices of a namespace and of a registry are found.
    fn note(&mut self, slice: &Slice) {
        let place = (slice.account.clone(), slice.region.clone());
        self.by_place.entry(place).or_default().insert(slice.name.clone());
        if let Some(namespace) = &slice.namespace {
            self.by_namespace.entry(namespace.clone()).or_default().insert(slice.name.clone());
        }
    }

    /// Shows an object we wrote until the watch brings it.
    pub fn wrote_object(&mut self, base: &str, object: Attached) {
        if let Some(collection) = self.attached.get_mut(&object.id.kind) {
            collection.overlay(object.id.clone(), Some(base), Some(object));
        }
    }

    /// Shows a Registry that the API server has and no watch has brought yet. Says for which passes it is news: the watch
    /// will find it known.
    pub fn saw_registry(&mut self, base: &str, registry: RegistryObject) -> BTreeSet<Key> {
        let name = registry.meta.name.clone();
        let before = self.registries.get(&name).cloned();
        let touched = self.keys_of_registries(|| before.iter().map(Arc::as_ref).chain([&registry]));
        self.changes += 1;
        self.registries.overlay(name, Some(base), Some(registry));
        touched
    }

    /// The same of a Registry.
    pub fn wrote_registry(&mut self, base: &str, registry: RegistryObject) {
        self.registries.overlay(registry.meta.name.clone(), Some(base), Some(registry));
    }

    /// Shows a slice we wrote, or nothing where we removed it, until the watch brings it, and says which other passes must
    /// answer it: they hear of each other by their ledgers alone.
    ///
    /// Told from what was written over: the watch may have brought the new version before the write was answered.
    pub fn wrote_slice(&mut self, before: Option<&Slice>, written: Option<Slice>) -> BTreeSet<Key> {
        let Some(any) = written.as_ref().or(before) else { return BTreeSet::new() };
        let (name, own) = (any.name.clone(), any.key().map(Key::Registry));
        if let Some(slice) = &written {
            self.note(slice);
        }
        let mut touched = self.concerned(before, written.as_ref());
        let left = left_record(before, written.as_ref());
        self.ledgers.overlay(name, before.map(|slice| slice.resource_version.as_str()), written);
        self.outline_all(left);
        touched.retain(|key| Some(key) != own.as_ref());
        touched
    }

    /// The passes that have to do with a slice that is not what it was: those of the roles whose grants, rules or upstreams
    /// it speaks of.
    fn concerned(&self, before: Option<&Slice>, after: Option<&Slice>) -> BTreeSet<Key> {
        let Some(any) = after.or(before) else { return BTreeSet::new() };
        let Some(namespace) = &any.namespace else { return self.concerned_by_documents(before, after) };
        let lacks = |slice: Option<&Slice>, part: &PartId, text: &String| {
            slice.is_none_or(|slice| slice.entries.get(part) != Some(text))
        };
        let changed = |one: Option<&Slice>, other: Option<&Slice>| -> BTreeSet<PartId> {
            let entries = one.into_iter().flat_map(|slice| &slice.entries);
            entries.filter(|(part, text)| lacks(other, part, text)).map(|(part, _)| part.clone()).collect()
        };
        let parts: BTreeSet<_> = changed(before, after).into_iter().chain(changed(after, before)).collect();
        let (role, rule) = (Kind::CrossAccountPtcRole, Kind::PullThroughCacheRule);
        // Whose role a rule pulls by is told by the ARN: all roles of the namespace are asked.
        let concerns_all = parts.iter().any(|part| part.kind == rule.as_str());
        let roles = self.attached.get(&role).into_iter().flat_map(Collection::iter);
        let concerned = roles
            .filter(|(id, _)| id.namespace == *namespace && (concerns_all || parts.iter().any(|part| part.is_of(id))));
        // An object of another registry may wait for what goes here.
        let others = parts.iter().filter(|part| part.kind != role.as_str()).filter_map(|part| {
            let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == part.kind)?;
            let id = ObjectId { kind, namespace: namespace.clone(), name: part.name.clone() };
            Some(self.key_of(self.attached.get(&kind)?.get(&id)?))
        });
        // A Registry waits for what pulls from it by its consent before it goes, and carries our finalizer for it.
        let rests_on_consent = concerns_all || parts.iter().any(|part| part.kind == role.as_str());
        let account = any.account.parse::<AccountId>().ok().filter(|_| rests_on_consent);
        let going = self
            .registries
            .iter()
            .map(|(_, registry)| registry)
            .filter(|registry| registry.meta.deleting || !registry.meta.finalized);
        let going = going.filter_map(|registry| registry.key()).filter(|key| Some(&key.account) == account.as_ref());
        let concerned = concerned.flat_map(|(_, object)| self.keys_of(object));
        concerned.chain(others).chain(going.map(Key::Registry)).collect()
    }

    /// What was under way counts as applied once the record of its document says so.
    fn concerned_by_documents(&self, before: Option<&Slice>, after: Option<&Slice>) -> BTreeSet<Key> {
        if before.map(|slice| &slice.documents) == after.map(|slice| &slice.documents) {
            return BTreeSet::new();
        }
        let Some(key) = after.or(before).and_then(Slice::key) else { return BTreeSet::new() };
        let slices = self.slices_of(&key);
        let roles = self.attached.get(&Kind::CrossAccountPtcRole).into_iter().flat_map(Collection::iter);
        roles.filter(|(id, _)| slices.mentions(id)).flat_map(|(_, object)| self.keys_of(object)).collect()
    }

    fn slices_of(&self, key: &RegistryKey) -> Slices {
        let place = (key.account.as_str().to_owned(), key.region.to_string());
        let named = self.by_place.get(&place).into_iter().flatten();
        let slices = named.filter_map(|name| self.ledgers.get(name));
        // A name may have come to stand for another registry's.
        let of_key = slices.filter(|slice| slice.account == place.0 && slice.region == place.1);
        Slices::new(&self.installation, of_key.cloned())
    }

    /// An upstream has read its policy, and nothing of the deleting object stands there. Says which passes waited for it.
    pub fn has_withdrawn(&mut self, upstream: &RegistryKey, object: &Attached) -> BTreeSet<Key> {
        let there = self.attached.get(&object.id.kind).and_then(|collection| collection.get(&object.id));
        if there.is_none_or(|there| there.meta.uid != object.meta.uid) {
            return BTreeSet::new();
        }
        let is_new = self.withdrawn.insert((upstream.clone(), object.id.clone(), object.meta.uid.clone()));
        if is_new { self.keys_of(object) } else { BTreeSet::new() }
    }

    /// The world as a pass may see it; `None` until every watch has listed.
    pub fn ready(&self) -> Option<Snapshot<'_>> {
        let all = self.registries.is_ready()
            && self.namespaces.is_ready()
            && self.ledgers.is_ready()
            && self.attached.values().all(Collection::is_ready);
        all.then_some(Snapshot(self))
    }

    /// Whether the object lives and has the role that its Registry had on record for it, and the Registry still says the
    /// same, as far as the watches have told.
    pub fn still_has(&self, home: &OtherRegistry, id: &ObjectId) -> bool {
        let object = self.attached.get(&id.kind).and_then(|collection| collection.get(id));
        let is_same = |now: &Arc<RegistryObject>| {
            now.meta.uid == home.registry.meta.uid
                && now.meta.generation == home.registry.meta.generation
                && now.key().is_some_and(|key| role_of(&self.slices_of(&key), id) == role_of(&home.ledger, id))
        };
        object.is_some_and(|object| !object.meta.deleting)
            && self.registries.get(&home.registry.meta.name).is_some_and(is_same)
    }

    fn key_of(&self, object: &Attached) -> Key {
        self.registries
            .get(&object.body.registry_name().to_owned())
            .and_then(|registry| registry.key())
            .map_or(Key::Orphans, Key::Registry)
    }

    /// All passes that an object concerns: that of the registry it is attached to, those that have something of it on
    /// record, and those of the registries its role pulls from.
    fn keys_of(&self, object: &Attached) -> BTreeSet<Key> {
        let slices = self.by_namespace.get(&object.id.namespace).into_iter().flatten();
        let slices = slices.filter_map(|name| self.ledgers.get(name));
        let recorded = slices.filter(|slice| slice.mentions(&object.id));
        let recorded = recorded.filter_map(|slice| slice.key());
        let targets = object.body.targets();
        let is_role = object.id.kind == Kind::CrossAccountPtcRole;
        let named = targets.iter().filter(|_| is_role);
        let named = named.filter_map(|target| self.registry_of(*target)?.key());
        named.chain(recorded).map(Key::Registry).chain([self.key_of(object)]).collect()
    }

    fn every_key(&self) -> BTreeSet<Key> {
        let registries = self.registries.iter().filter_map(|(_, registry)| registry.key().map(Key::Registry));
        registries.chain([Key::Orphans]).collect()
    }

    /// Those of its objects, and those that have something of it on record: what gone objects left is judged by it, too.
    fn keys_of_namespace(&self, namespace: &str) -> BTreeSet<Key> {
        let slices = self.by_namespace.get(namespace).into_iter().flatten();
        let recorded = slices.filter_map(|name| self.ledgers.get(name)?.key()).map(Key::Registry);
        let objects = self.objects().filter(|object| object.id.namespace == namespace);
        objects.flat_map(|o| self.keys_of(o)).chain(recorded).collect()
    }

    /// The registries with grants to roles on record: what a role left there stays no longer than its own registry says.
    fn keys_with_roles(&self) -> BTreeSet<Key> {
        let role = Kind::CrossAccountPtcRole.as_str();
        let with_roles = |slice: &&Arc<Slice>| slice.entries.keys().any(|part| part.kind == role);
        self.ledgers
            .iter()
            .map(|(_, slice)| slice)
            .filter(with_roles)
            .filter_map(|s| s.key())
            .map(Key::Registry)
            .collect()
    }

    /// A Registry that stands for a target, however that is written.
    fn registry_of(&self, target: Target<'_>) -> Option<&Arc<RegistryObject>> {
        if let Some(name) = target.registry_name() {
            return self.registries.get(&name.to_owned());
        }
        let key = target.resolve(&References::default())?;
        self.registries.iter().map(|(_, registry)| registry).find(|other| other.key().as_ref() == Some(&key))
    }

    /// The passes of objects whose specs speak of this Registry, and those that its objects concern besides its own.
    fn keys_beside(&self, registry: &RegistryObject) -> BTreeSet<Key> {
        let (name, key) = (registry.name(), registry.key());
        let is_it = |target: &Target<'_>| {
            target.registry_name() == Some(name) || key.is_some() && target.resolve(&References::default()) == key
        };
        let is_named = |o: &Attached| o.body.targets().iter().any(is_it);
        let concerned = self.objects().filter(|o| o.body.registry_name() == name || is_named(o));
        // In one account a Registry consents to what others pull from it, also where the object is gone.
        let beside = self.registries.iter().filter_map(|(_, other)| other.key());
        let beside = beside.filter(|other| key.as_ref().is_some_and(|key| key.account == other.account));
        let concerned = concerned.flat_map(|object| self.keys_of(object));
        concerned.chain(self.keys_with_roles()).chain(beside.map(Key::Registry)).collect()
    }

    fn registries_of(&self, account: &AccountId) -> usize {
        self.registries.iter().filter(|(_, registry)| registry.key().is_some_and(|key| key.account == *account)).count()
    }

    fn objects(&self) -> impl Iterator<Item = &Arc<Attached>> {
        self.attached.values().flat_map(|collection| collection.iter().map(|(_, object)| object))
    }
}

fn role_of(ledger: &Slices, id: &ObjectId) -> Option<crate::api::LedgerRole> {
    ledger.on_record(id).and_then(|holding| holding.things.role)
}
