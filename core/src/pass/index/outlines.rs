//! What is kept of objects that no rule lets in: a constant each, whatever they ask for (`kinds::Outline`). It is decided
//! where an object comes in, so that the specs of all of them are never there at once; what comes in before its Registry or
//! its namespace is not judged, and is read again if some rule speaks of it. Kept whole is what is small, let in, or on
//! record: of what an object has, what its spec gave up is to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Index;
use crate::api::Kind;
use crate::consent::{Asked, consent, decided_by};
use crate::kinds::{Body, References, Verdict, WHOLE_AT_MOST, translate};
use crate::pass::collection::Change;
use crate::pass::ledger::{PartId, Slice};
use crate::pass::objects::{Attached, ObjectId, RegistryObject};
use crate::pass::queue::Key;
use crate::policy::digest::digest;
use crate::reason::{Because, Verdict as Ready};

impl Index {
    pub(super) fn outlined(&self, change: Change<ObjectId, Attached>) -> Change<ObjectId, Attached> {
        match change {
            Change::Apply(id, object) => Change::Apply(id, self.kept(object)),
            Change::ListItem(id, object) => Change::ListItem(id, self.kept(object)),
            other => other,
        }
    }

    fn kept(&self, object: Attached) -> Attached {
        let body = self.outline(&object).unwrap_or_else(|| object.body.clone());
        Attached { body, ..object }
    }

    /// What is kept in place of the object's spec; nothing, if that is kept.
    fn outline(&self, object: &Attached) -> Option<Body> {
        if object.body.length() <= WHOLE_AT_MOST || self.is_on_record(&object.id) {
            return None;
        }
        let registry = self.registries.get(&object.body.registry_name().to_owned());
        let by = registry.and_then(|registry| self.decided_by(registry, object.id.kind, &object.id.namespace));
        let Some((registry, by)) = registry.zip(by) else { return Some(object.body.outlined(None)) };
        let because = self.refusal(registry, object)?;
        // What stands of it by a record that was lost is told by its spec. What never fits never stood as it is.
        let may_have_lost_its_record = object.meta.finalized && object.body.too_long().is_none();
        (!may_have_lost_its_record).then(|| object.body.outlined(Some(Verdict { by, because })))
    }

    /// Why a pass of the Registry will refuse the object, until it is edited or another rule is there.
    fn refusal(&self, registry: &RegistryObject, object: &Attached) -> Option<Because> {
        let (key, kind) = (registry.key()?, object.id.kind);
        let labels = &self.namespaces.get(&object.id.namespace)?.labels;
        let refused = match translate(&object.body, &key, &self.references_for(kind)) {
            Ok(wanted) => {
                let asked = Asked::of(&wanted, kind, &key);
                let refused = consent(&registry.spec.allow, &key, kind, &object.id.namespace, labels, &asked).err();
                refused.or_else(|| object.body.never_fits())
            }
            Err(because) => Some(because),
        };
        refused.filter(|because| because.reason.verdict() == Ready::False)
    }

    /// Names what a verdict on objects of a kind in a namespace rests on; nothing, if no rule speaks of them, or nobody can
    /// tell yet.
    fn decided_by(&self, registry: &RegistryObject, kind: Kind, namespace: &str) -> Option<String> {
        let labels = &self.namespaces.get(&namespace.to_owned())?.labels;
        let rules = decided_by(&registry.spec.allow, &registry.key()?, kind, namespace, labels)?;
        Some(digest(&format!("{rules} {:?}", self.references_for(kind))))
    }

    /// The Registries that specs of a kind may name besides their own.
    fn references_for(&self, kind: Kind) -> References {
        match kind {
            Kind::RegistryPolicy | Kind::ReplicationGrant => References::default(),
            Kind::PullThroughCacheRule | Kind::CrossAccountPtcRole => {
                let named = self.registries.iter();
                named.filter_map(|(name, registry)| Some((name.clone(), registry.key()?))).collect()
            }
        }
    }

    fn is_on_record(&self, id: &ObjectId) -> bool {
        let slices = self.by_namespace.get(&id.namespace).into_iter().flatten();
        slices.filter_map(|name| self.ledgers.get(name)).any(|slice| slice.mentions(id))
    }

    /// Of the objects attached to a Registry, those that are judged by a spec that is not kept.
    pub(super) fn unread(&self, registry: &RegistryObject, attached: &[Arc<Attached>]) -> BTreeSet<ObjectId> {
        let mut decided = BTreeMap::new();
        let mut unread = BTreeSet::new();
        for object in attached {
            let Body::Outline(outline) = &object.body else { continue };
            let (kind, namespace) = (object.id.kind, object.id.namespace.as_str());
            let by = decided.entry((kind, namespace)).or_insert_with(|| self.decided_by(registry, kind, namespace));
            let is_judged = |by: &String| outline.verdict.as_ref().is_some_and(|verdict| verdict.by == *by);
            if by.as_ref().is_some_and(|by| !is_judged(by)) || self.is_on_record(&object.id) {
                unread.insert(object.id.clone());
            }
        }
        unread
    }

    /// The API server has shown an object again, whose spec was not kept. Says for which passes that is news. Another
    /// generation than is known brings the watch.
    pub fn read_again(&mut self, read: &Attached) -> BTreeSet<Key> {
        let there = self.attached.get(&read.id.kind).and_then(|collection| collection.get(&read.id));
        let Some(there) = there.filter(|there| is_same_spec(there, read)) else { return BTreeSet::new() };
        let now = Attached { body: read.body.clone(), ..Attached::clone(there) };
        let now = self.kept(now);
        let touched = self.keys_of(&now);
        self.amend(&now);
        self.changes += 1;
        touched
    }

    /// Of what is on record no more the spec is kept no more.
    pub(super) fn outline_all(&mut self, left: Vec<ObjectId>) {
        for id in left {
            let there = self.attached.get(&id.kind).and_then(|collection| collection.get(&id)).cloned();
            let outline = there.and_then(|object| Some((self.outline(&object)?, object)));
            if let Some((body, object)) = outline {
                self.amend(&Attached { body, ..Attached::clone(&object) });
            }
        }
    }

    /// Keeps this body of the object.
    fn amend(&mut self, object: &Attached) {
        let Some(collection) = self.attached.get_mut(&object.id.kind) else { return };
        collection.amend(&object.id, |there| {
            is_same_spec(there, object).then(|| Attached { body: object.body.clone(), ..there.clone() })
        });
    }
}

/// The objects that a slice has no entry of any more.
pub(super) fn left_record(before: Option<&Slice>, after: Option<&Slice>) -> Vec<ObjectId> {
    let parts = before.into_iter().flat_map(|slice| slice.entries.keys().map(move |part| (slice, part)));
    let gone = parts.filter(|(_, part)| after.is_none_or(|after| !after.entries.contains_key(*part)));
    let id = |(slice, part): (&Slice, &PartId)| {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == part.kind)?;
        Some(ObjectId { kind, namespace: slice.namespace.clone()?, name: part.name.clone() })
    };
    gone.filter_map(id).collect()
}

/// Whether both are of one spec: the API server raises the generation with every change of it.
fn is_same_spec(a: &Attached, b: &Attached) -> bool {
    (&a.meta.uid, a.meta.generation) == (&b.meta.uid, b.meta.generation)
}
