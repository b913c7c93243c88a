//! Tells everybody their fate: what later passes go by is put on record, then the Registry is told, and beside that the
//! objects; at last the finalizers of those that have nothing left go. Nothing is written that is not different.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ecr_permissions_core::api::{ABANDON, AttachedStatus};
use ecr_permissions_core::pass::backoff::Whom;
use ecr_permissions_core::pass::conditions::find;
use ecr_permissions_core::pass::judge::{self, Fate, Judging};
use ecr_permissions_core::pass::ledger::{Changes, Entry, Holding, Ledger, Mark, REGISTRY_POLICY, Slice};
use ecr_permissions_core::pass::objects::{Attached, ObjectId, RegistryObject};
use futures::{Stream, StreamExt};

use super::filing::{self, Unwritten};
use super::{Again, WRITES_AT_ONCE};
use crate::runtime::operator::Operator;

/// So long a pass tells people; nothing that is to be taken away waits longer for them.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Who could not be told, or put on record.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// Somebody changed meanwhile, or there was no time left: it is decided again at once.
    pub(super) soon: bool,
    /// The API server did not take it, or did not answer.
    pub(super) later: BTreeSet<Whom>,
}

impl Untold {
    fn add(&mut self, whom: Whom, again: Again) {
        match again {
            Again::Soon => self.soon = true,
            Again::Later => drop(self.later.insert(whom)),
        }
    }

    fn join(&mut self, other: Self) {
        self.soon |= other.soon;
        self.later.extend(other.later);
    }
}

pub(super) async fn report(judging: &Judging<'_>, op: &Operator) -> Untold {
    let mut ledger = judging.gathered.ledger.clone();
    let (going, staying): (Vec<_>, _) = judging.objects().into_iter().partition(|(_, fate)| fate.release);
    let of_registry = async {
        let filed = file(judging, &mut ledger, op).await;
        let told = tokio::time::timeout(TOLD_WITHIN, tell_registry(judging, op)).await;
        (filed, told.unwrap_or(Err(Again::Later)))
    };
    // A status rests on what was read, not on what is on record: neither waits for the other.
    let ((filed, registry), mut untold) = futures::join!(of_registry, tell(staying, op));
    untold.join(filed);
    match registry {
        Ok(registry) => conclude(judging, &registry, going, &ledger, &mut untold, op).await,
        Err(again) => untold.add(Whom::Registry, again),
    }
    untold
}

/// What follows once the Registry is told: whoever goes, and the Registry itself.
async fn conclude(
    judging: &Judging<'_>,
    registry: &RegistryObject,
    going: Vec<(&Attached, Fate)>,
    ledger: &Ledger,
    untold: &mut Untold,
    op: &Operator,
) {
    op.metrics.registry(&judging.gathered.key, &registry.status, ledger.document(REGISTRY_POLICY));
    for object in judging.withdrawn().into_iter().filter(|object| !ledger.slices().mentions(&object.id)) {
        let touched = op.with_index(|index| index.has_withdrawn(&judging.gathered.key, object));
        op.touch(touched);
    }
    untold.join(tell(going, op).await);
    for (duplicate, _) in &judging.gathered.duplicates {
        if let Err(again) = tell_duplicate(duplicate, judging, op).await {
            untold.add(Whom::Registry, again);
        }
    }
    let attached = judging.gathered.attached.iter().any(|object| object.meta.finalized);
    let rests_on_consent = !judging.gathered.rest_on_consent.is_empty();
    let is_empty = !attached && !rests_on_consent && !ledger.slices().has_entries();
    if let Err(again) = release_registry(registry, is_empty, op).await {
        untold.add(Whom::Registry, again);
    }
}

async fn tell_duplicate(duplicate: &RegistryObject, judging: &Judging<'_>, op: &Operator) -> Result<(), Again> {
    let status = judging.duplicate(duplicate);
    if status != duplicate.status {
        op.write_registry_status(duplicate, status).await?;
    }
    release_registry(duplicate, true, op).await
}

async fn tell_registry(judging: &Judging<'_>, op: &Operator) -> Result<Arc<RegistryObject>, Again> {
    let registry = &judging.gathered.registry;
    let status = judging.registry();
    if status == registry.status {
        return Ok(Arc::clone(registry));
    }
    op.events.registry(registry, &status).await;
    Ok(op.write_registry_status(registry, status).await?.into())
}

/// Puts on record what everybody has by now: first what is added or changed, then the record of the document, by which
/// what was under way counts as applied, then what is gone.
async fn file(judging: &Judging<'_>, ledger: &mut Ledger, op: &Operator) -> Untold {
    let applied = judging.applied;
    let before = ledger.document(REGISTRY_POLICY).cloned().unwrap_or_default();
    let confirmed = if applied.confirmed && !applied.unanswered {
        ledger.last_write().max(before.confirmed).max(1)
    } else {
        before.confirmed
    };
    let changes = ledger.changes_to(&judging.ledger(), confirmed);
    let is_edited = ledger.slices().own().any(|slice| slice.is_edited());
    let is_displaced = ledger.slices().own().any(|slice| slice.deleting && slice.namespace.is_none());
    let mut unwritten = filing::add(ledger, &changes, applied.confirmed, false, op).await;
    if let Some(record) = &applied.record {
        let confirmed = ledger.confirmable(&unwritten.namespaces, before.confirmed, confirmed);
        let record = record.clone().confirmed_as(confirmed, &before);
        if record != before || is_edited || is_displaced {
            let documents = BTreeMap::from([(REGISTRY_POLICY.to_owned(), record)]);
            filing::record(ledger, &documents, judging.gathered.registry.name(), &mut unwritten, op).await;
        }
    }
    filing::remove(ledger, &changes, &mut unwritten, op).await;
    let mut untold = unwritten.untold();
    if untold.soon || !untold.later.is_empty() {
        return untold;
    }
    // What was edited is written anew by now, and the Registry still says that it was edited. Who waits for room in its
    // share is let in by a pass that no longer finds on record what made room.
    let makes_room = judging.desired.has_limited() && makes_room(&changes, judging);
    untold.soon = is_edited && applied.confirmed || makes_room;
    untold
}

/// Whether something is on record no more that counts in a share.
fn makes_room(changes: &Changes, judging: &Judging<'_>) -> bool {
    let before = &judging.gathered.ledger.holdings;
    let has_less = |had: &Holding, entry: &Entry| {
        had.things.rule.is_some() && entry.things.rule.is_none()
            || had.things.role.is_some() && entry.things.role.is_none()
    };
    changes.iter().any(|(id, entry)| match entry {
        None => true,
        Some(entry) => before.get(id).is_some_and(|had| has_less(had, entry)),
    })
}

/// A Registry that is being deleted goes once nobody is attached and nothing is on record, or a person lets it go.
async fn release_registry(registry: &RegistryObject, is_empty: bool, op: &Operator) -> Result<(), Again> {
    if registry.meta.deleting && registry.meta.finalized && (is_empty || registry.meta.abandon) {
        tracing::info!(registry = registry.name(), abandoned = registry.meta.abandon, "releasing the Registry");
        op.writes.release_registry(registry).await.map_err(|error| op.lost_write(&error))?;
    }
    Ok(())
}

/// The objects of no Registry at all, and ledgers that serve none.
pub(super) async fn unattached(op: &Operator) -> Option<Duration> {
    let unattached = op.with_index(|index| index.ready().map(|snapshot| snapshot.gather_unattached()))?;
    let now = op.clock.timestamp();
    let fates = unattached.objects.iter().map(|object| {
        let on_record = unattached.on_record.contains(&object.id);
        let unreadable = unattached.unreadable.contains(&object.id);
        (object.as_ref(), judge::unattached(object, on_record, unreadable, now))
    });
    let fates = fates.collect();
    let mut untold = tell(fates, op).await;
    let mut unwritten = Unwritten::default();
    for (key, slices) in &unattached.ledgers {
        let in_use = slices.own().filter(|slice| !slice.entries.is_empty()).count();
        op.metrics.unserved_ledgers(key, in_use);
        if in_use > 0 {
            tracing::warn!(registry = %key, ledgers = in_use, "no Registry stands for what is on record; create one, and the operator looks after it");
            continue;
        }
        for slice in slices.own() {
            filing::remove_slice(slice, &mut unwritten, op).await;
        }
    }
    untold.join(unwritten.untold());
    (untold.soon || !untold.later.is_empty()).then(|| op.clock.now() + op.settings.retry)
}

async fn tell(fates: Vec<(&Attached, Fate)>, op: &Operator) -> Untold {
    let going = fates.iter().filter(|(_, fate)| fate.release).map(|(object, _)| object.id.namespace.as_str());
    let going: BTreeSet<&str> = going.collect();
    let reading = going.into_iter().map(|namespace| async move { (namespace, op.writes.slices_of(namespace).await) });
    let reading: Vec<_> = reading.collect();
    let on_record: BTreeMap<_, _> = futures::stream::iter(reading).buffer_unordered(WRITES_AT_ONCE).collect().await;
    let may_go = |object: &Attached| match on_record.get(object.id.namespace.as_str()) {
        Some(Ok(slices)) => {
            let mut own = slices.iter().filter(|slice| slice.installation == op.installation.as_str());
            Ok(object.meta.abandon || !own.any(|slice| holds(slice, object)))
        }
        Some(Err(failure)) => Err(op.lost_write(failure)),
        None => Ok(false),
    };
    let all: BTreeSet<_> = fates.iter().map(|(object, _)| object.id.clone()).collect();
    let telling = fates.into_iter().map(|(object, fate)| {
        let goes = if fate.release { may_go(object) } else { Ok(false) };
        let telling = async move { tell_one(object, fate, goes?, op).await };
        async move { (object.id.clone(), telling.await) }
    });
    let mut telling: Vec<_> = telling.collect();
    // Every pass begins with others, so that who does not answer keeps nobody untold for long.
    let others = usize::try_from(op.clock.now().as_secs()).unwrap_or(0).wrapping_mul(WRITES_AT_ONCE);
    let middle = others.checked_rem(telling.len()).unwrap_or(0);
    telling.rotate_left(middle);
    within(TOLD_WITHIN, all, futures::stream::iter(telling).buffer_unordered(WRITES_AT_ONCE)).await
}

/// How it went, as far as it went in that time: what is left of `all` goes on in the next pass.
async fn within(
    time: Duration,
    mut all: BTreeSet<ObjectId>,
    telling: impl Stream<Item = (ObjectId, Result<(), Again>)>,
) -> Untold {
    let mut telling = std::pin::pin!(telling);
    let mut ends = std::pin::pin!(tokio::time::sleep(time));
    let (mut untold, mut is_anybody_told) = (Untold::default(), false);
    loop {
        tokio::select! {
            biased;
            next = telling.next() => {
                let Some((id, told)) = next else { return untold };
                all.remove(&id);
                match told {
                    Ok(()) => is_anybody_told = true,
                    Err(again) => untold.add(Whom::Object(id), again),
                }
            }
            () = &mut ends => break,
        }
    }
    let again = if is_anybody_told { Again::Soon } else { Again::Later };
    for id in all {
        untold.add(Whom::Object(id), again);
    }
    untold
}

/// Whether a slice has an entry of the object that is not for after it, whatever registry it is of: a view may lack what
/// etcd has.
fn holds(slice: &Slice, object: &Attached) -> bool {
    let mut parts = slice.entries.iter().filter(|(part, _)| part.is_of(&object.id));
    let is_retained = |text: &str| Entry::read(text).is_ok_and(|entry| entry.mark == Some(Mark::Retained));
    parts.any(|(_, text)| !object.meta.deleting || !is_retained(text))
}

async fn tell_one(object: &Attached, fate: Fate, goes: bool, op: &Operator) -> Result<(), Again> {
    let mut object = Cow::Borrowed(object);
    let goes_for_good = goes && object.meta.deleting;
    if fate.status != object.status && !goes_for_good {
        let written = op.writes.object_status(&object, fate.status).await.map_err(|error| op.lost_write(&error))?;
        op.with_index(|index| index.wrote_object(&object.meta.resource_version, written.clone()));
        announce(&object, &written.status, op).await;
        object = Cow::Owned(written);
    }
    if goes {
        if goes_for_good {
            tracing::info!(object = %object.id, abandoned = object.meta.abandon, "releasing the object ({ABANDON} lets it go without AWS)");
        }
        let released = op.writes.release(&object).await.map_err(|error| op.lost_write(&error))?;
        op.with_index(|index| index.wrote_object(&object.meta.resource_version, released));
    }
    Ok(())
}

/// A changed reason is worth an event and a line; a changed message is not.
async fn announce(object: &Attached, status: &AttachedStatus, op: &Operator) {
    let (before, after) = (find(&object.status.conditions, "Ready"), find(&status.conditions, "Ready"));
    if before != after {
        let (ready, reason) = after.unwrap_or_default();
        tracing::info!(object = %object.id, ready, reason, "status");
        // That a new object became ready is no event: its status says so, and a thousand would say so at once.
        let failed = |ready: Option<(&str, &str)>| ready.is_some_and(|(status, _)| status == "False");
        if failed(before) || failed(after) {
            op.events.object(object, status).await;
        }
    }
}
