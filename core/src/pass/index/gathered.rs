//! What a pass sees of one registry: who is attached to it, its ledger, and the registries beside it. Made from everything
//! that the watches have said; holds still while the watches go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::collection::Collection;
use super::super::conditions::find;
use super::super::freshness::OldViews;
use super::super::ledger::{Holding, Ledger, Slices};
use super::super::objects::{Attached, NamespaceView, ObjectId, RegistryObject};
use super::super::queue::Key;
use super::Index;
use crate::api::Kind;
use crate::kinds::{References, Target};
use crate::names::RegistryKey;

/// Another registry, as a pass sees it: passes hear of each other by their ledgers.
#[derive(Clone, Debug)]
pub struct OtherRegistry {
    pub registry: Arc<RegistryObject>,
    pub ledger: Slices,
}

impl OtherRegistry {
    pub fn name(&self) -> &str {
        self.registry.name()
    }

    /// Whether it goes, or is let go of.
    pub fn takes_nobody_new(&self) -> bool {
        self.registry.meta.deleting || self.registry.meta.released()
    }

    /// The objects on record there that pull from another registry by its consent alone.
    fn consented_by<'o>(&'o self, upstream: &'o RegistryKey) -> impl Iterator<Item = ObjectId> + 'o {
        let host = upstream.host();
        let rests_on_it = move |id: &ObjectId| {
            let things = self.on_record(id).map(|holding| holding.things).unwrap_or_default();
            let rule = things.rule.is_some_and(|rule| rule.consented == Some(true) && rule.upstream_url == host);
            let role = things.role.is_some_and(|role| {
                let mut asked = role.pulls.from.iter().filter(|from| from.external != Some(true));
                asked.any(|from| upstream.is_at(&from.account_id, &from.region))
            });
            rule || role
        };
        let kinds = [Kind::PullThroughCacheRule, Kind::CrossAccountPtcRole];
        self.ledger.objects().into_iter().filter(move |id| kinds.contains(&id.kind)).filter(rests_on_it)
    }

    /// What its ledger has of an object.
    pub fn on_record(&self, id: &ObjectId) -> Option<Holding> {
        self.ledger.on_record(id)
    }
}

/// What a complete view shows of one registry.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub key: RegistryKey,
    pub ledger: Ledger,
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
    /// The Registries that stand for other registries, if roles have to do with this one.
    pub others: BTreeMap<RegistryKey, OtherRegistry>,
    /// Roles attached elsewhere that pull from this registry, or did.
    pub guests: Vec<Arc<Attached>>,
    /// Objects attached elsewhere that have something on record here, and nothing to ask for.
    pub elsewhere: Vec<Arc<Attached>>,
    /// Objects that are there and cannot be read, or not yet.
    pub unreadable: BTreeSet<ObjectId>,
    /// Objects attached to `registry` of which no spec is kept, and that are judged by it now: it is to be read again.
    pub unread: BTreeSet<ObjectId>,
    /// Whether a Registry is there that cannot be read: it may stand for any registry.
    pub unread_registry: bool,
    /// Deleting objects that pull from other registries: which of those have nothing of them left.
    pub withdrawn: BTreeSet<(RegistryKey, ObjectId)>,
    /// Objects of other registries of the account that pull from this one by its consent alone: told while the Registry does
    /// not carry our finalizer yet, or is to lose it.
    pub rest_on_consent: BTreeSet<ObjectId>,
    /// The views that are not proven young.
    pub old: OldViews,
}

impl Gathered {
    /// An attached object.
    pub fn object(&self, id: &ObjectId) -> Option<&Arc<Attached>> {
        // They are in the order of their ids, as the watches' collections are.
        let at = self.attached.binary_search_by(|object| object.id.cmp(id)).ok()?;
        self.attached.get(at)
    }

    /// Whether the object was proven to have what it says, and neither it nor the Registry says anything else by now.
    pub fn is_proven(&self, id: &ObjectId) -> bool {
        let registry = &self.registry;
        let object = self.object(id);
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
    /// Those that some ledger mentions.
    pub on_record: BTreeSet<ObjectId>,
    /// Those whose Registry is there and cannot be read.
    pub unreadable: BTreeSet<ObjectId>,
    /// Ledgers whose registry no Registry stands for.
    pub ledgers: BTreeMap<RegistryKey, Slices>,
}

/// A view of everything, made only when every watch has listed.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a>(pub(super) &'a Index);

impl Snapshot<'_> {
    /// Who is attached to the registry, and its ledger; `None`: no Registry stands for the key.
    pub fn gather(&self, key: &RegistryKey) -> Option<Gathered> {
        let slices = self.0.slices_of(key);
        let mut candidates = self.standing_for(key, &slices).into_iter();
        let registry = candidates.next()?;
        let of = |name: &str| -> Vec<Arc<Attached>> {
            self.0.objects().filter(|object| object.body.registry_name() == name).cloned().collect()
        };
        let mut attached = of(registry.name());
        attached.sort_by(|a, b| a.id.cmp(&b.id));
        let unread = self.0.unread(&registry, &attached);
        attached.retain(|object| !unread.contains(&object.id));
        let guests = self.guests(&registry, key, &slices);
        let unreadable = self.0.attached.values().flat_map(Collection::unreadable).chain(&unread);
        let unreadable: BTreeSet<_> = unreadable.filter(|id| slices.mentions(id)).cloned().collect();
        let recorded = slices.objects().into_iter().filter(|id| id.kind != Kind::CrossAccountPtcRole);
        let recorded = recorded.filter_map(|id| self.0.attached.get(&id.kind)?.get(&id).cloned());
        let elsewhere: Vec<_> = recorded.filter(|object| object.body.registry_name() != registry.name()).collect();
        let mut namespaces = BTreeMap::new();
        let named = attached.iter().chain(&guests).chain(&elsewhere).map(|object| object.id.namespace.as_str());
        for name in named.chain(slices.namespaces()) {
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
        let is_of_own_account = |target: &Target<'_>| match (target.registry_name(), target.external) {
            (Some(name), _) => {
                let named = self.0.registries.get(&name.to_owned()).and_then(|registry| registry.key());
                named.is_some_and(|of| of.account == key.account)
            }
            (None, external) => external.is_some_and(|external| external.account_id == key.account.as_str()),
        };
        let pulls_here = |object: &Arc<Attached>| object.body.targets().iter().any(is_of_own_account);
        let with_others = slices.mentions_kind(Kind::CrossAccountPtcRole)
            || attached.iter().any(|object| is_role(object) || pulls_here(object))
            || slices.mentions_kind(Kind::PullThroughCacheRule) && self.0.registries_of(&key.account) > 1
            || (registry.meta.deleting || !registry.meta.finalized) && self.0.registries_of(&key.account) > 1
            || !guests.is_empty();
        let others = if with_others { self.others(key) } else { BTreeMap::new() };
        let is_asked = registry.meta.deleting || !registry.meta.finalized;
        let beside = others.iter().filter(|(other, _)| is_asked && other.account == key.account);
        let rest_on_consent = beside.flat_map(|(_, other)| other.consented_by(key)).collect();
        let living: BTreeSet<&ObjectId> =
            attached.iter().chain(&guests).chain(&elsewhere).map(|object| &object.id).chain(&unreadable).collect();
        let take_over = registry.spec.take_over_installation_ids.iter().filter_map(|id| id.parse().ok()).collect();
        let ledger = Ledger::read(key, &self.0.installation, slices, &take_over, |id| living.contains(id));
        let uids: BTreeSet<(&ObjectId, &str)> =
            attached.iter().map(|object| (&object.id, object.meta.uid.as_str())).collect();
        let withdrawn = self.0.withdrawn.iter().filter(|(_, id, uid)| uids.contains(&(id, uid.as_str())));
        let withdrawn = withdrawn.map(|(upstream, id, _)| (upstream.clone(), id.clone())).collect();
        let key = key.clone();
        Some(Gathered {
            key,
            ledger,
            registry,
            duplicates,
            attached,
            references,
            namespaces,
            others,
            guests,
            elsewhere,
            unreadable,
            unread,
            unread_registry: self.0.registries.unreadable().next().is_some(),
            withdrawn,
            rest_on_consent,
            old: self.0.ages.old().clone(),
        })
    }

    /// The Registries that would stand for a registry; the first does. None does while the one that the ledger serves is
    /// there and cannot be read: it is not gone, and nobody takes over from it.
    fn standing_for(self, key: &RegistryKey, ledger: &Slices) -> Vec<Arc<RegistryObject>> {
        if ledger.registry().is_some_and(|served| self.0.registries.unreadable().any(|name| name == served)) {
            return Vec::new();
        }
        let registries = self.0.registries.iter().map(|(_, registry)| registry);
        let mut candidates: Vec<_> = registries.filter(|r| r.key().as_ref() == Some(key)).cloned().collect();
        candidates.sort_by_cached_key(|registry| registry.seniority(ledger.registry()));
        candidates
    }

    fn others(self, own: &RegistryKey) -> BTreeMap<RegistryKey, OtherRegistry> {
        let keys: BTreeSet<_> = self.0.registries.iter().filter_map(|(_, registry)| registry.key()).collect();
        let other = |key: RegistryKey| {
            let ledger = self.0.slices_of(&key);
            let registry = self.standing_for(&key, &ledger).into_iter().next()?;
            Some((key, OtherRegistry { registry, ledger }))
        };
        keys.into_iter().filter(|key| key != own).filter_map(other).collect()
    }

    fn guests(self, registry: &RegistryObject, key: &RegistryKey, ledger: &Slices) -> Vec<Arc<Attached>> {
        let Some(roles) = self.0.attached.get(&Kind::CrossAccountPtcRole) else { return Vec::new() };
        let leads_here =
            |target: &Target<'_>| self.0.registry_of(*target).and_then(|registry| registry.key()).as_ref() == Some(key);
        let is_guest = |object: &&Arc<Attached>| {
            let pulls = object.body.targets().iter().any(leads_here);
            object.body.registry_name() != registry.name() && (pulls || ledger.mentions(&object.id))
        };
        roles.iter().map(|(_, object)| object).filter(is_guest).cloned().collect()
    }

    pub fn gather_unattached(&self) -> Unattached {
        let objects: Vec<_> =
            self.0.objects().filter(|object| self.0.key_of(object) == Key::Orphans).cloned().collect();
        let mentions = |id: &ObjectId| {
            let slices = self.0.ledgers.iter().map(|(_, slice)| slice);
            let mut slices = slices.filter(|slice| slice.namespace.as_ref() == Some(&id.namespace));
            slices.any(|slice| slice.installation == self.0.installation.as_str() && slice.mentions(id))
        };
        let on_record = objects.iter().map(|object| object.id.clone()).filter(mentions).collect();
        let unread: BTreeSet<&str> = self.0.registries.unreadable().map(String::as_str).collect();
        let unreadable = objects.iter().filter(|object| unread.contains(object.body.registry_name()));
        let unreadable = unreadable.map(|object| object.id.clone()).collect();
        let served: BTreeSet<_> = self.0.registries.iter().filter_map(|(_, registry)| registry.key()).collect();
        let keys: BTreeSet<_> = self.0.ledgers.iter().filter_map(|(_, slice)| slice.key()).collect();
        // A Registry that cannot be read may stand for any of them.
        let keys = keys.into_iter().filter(|key| unread.is_empty() && !served.contains(key));
        let ledgers = keys.map(|key| (key.clone(), self.0.slices_of(&key))).collect();
        Unattached { objects, on_record, unreadable, ledgers }
    }

    /// How many objects of each kind there are, for the metrics.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        self.0.attached.iter().map(|(kind, collection)| (*kind, collection.iter().count())).collect()
    }
}
