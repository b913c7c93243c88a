//! Tells everybody their fate: the Registry first, since its ledger is what later passes go by, then the objects, then
//! the finalizers of those that have nothing left. Nothing is written that is not different.

use std::sync::Arc;
use std::time::Duration;

use ecr_permissions_core::api::{ABANDON, AttachedStatus};
use ecr_permissions_core::pass::conditions::find;
use ecr_permissions_core::pass::judge::{self, Fate, Judging};
use ecr_permissions_core::pass::ledger::Holding;
use ecr_permissions_core::pass::objects::{Attached, RegistryObject};
use futures::StreamExt;

use super::{Again, WRITES_AT_ONCE};
use crate::runtime::operator::Operator;

pub(super) async fn report(judging: &Judging<'_>, op: &Operator) -> Result<(), Again> {
    let holdings = judging.ledger();
    let status = judging.registry(&holdings);
    let mut registry = Arc::clone(&judging.gathered.registry);
    if status != registry.status {
        op.events.registry(&registry, &status).await;
        registry = op.write_registry_status(&registry, status).await?.into();
    }
    op.metrics.registry(&judging.gathered.key, &registry.status);
    let told = tell(judging.objects(), op).await;
    for (duplicate, _) in &judging.gathered.duplicates {
        let status = judging.duplicate(duplicate);
        if status != duplicate.status {
            op.write_registry_status(duplicate, status).await?;
        }
        release_registry(duplicate, duplicate.status.ledger.is_empty(), op).await?;
    }
    let is_empty = !holdings.values().any(Holding::holds_something);
    release_registry(&registry, judging.gathered.attached.is_empty() && is_empty, op).await?;
    told
}

/// A Registry that is being deleted goes once nobody is attached and nothing is on record, or a person lets it go.
async fn release_registry(registry: &RegistryObject, is_empty: bool, op: &Operator) -> Result<(), Again> {
    if registry.meta.deleting && registry.meta.finalized && (is_empty || registry.meta.abandon) {
        tracing::info!(registry = registry.name(), abandoned = registry.meta.abandon, "releasing the Registry");
        op.writes.release_registry(registry).await.map_err(|error| op.lost_write(&error))?;
    }
    Ok(())
}

/// The objects of no Registry at all.
pub(super) async fn unattached(op: &Operator) -> Option<Duration> {
    let unattached = op.with_index(|index| index.ready().map(|snapshot| snapshot.gather_unattached()))?;
    let now = op.clock.timestamp();
    let fates = unattached.objects.iter().map(|object| {
        let on_record = unattached.on_record.contains(&object.id);
        (object.as_ref(), judge::unattached(object, on_record, now))
    });
    let fates = fates.collect();
    let told = tell(fates, op).await;
    told.is_err().then(|| op.clock.now() + op.settings.retry)
}

async fn tell(fates: Vec<(&Attached, Fate)>, op: &Operator) -> Result<(), Again> {
    let telling: Vec<_> = fates.into_iter().map(|(object, fate)| tell_one(object, fate, op)).collect();
    let told = futures::stream::iter(telling).buffer_unordered(WRITES_AT_ONCE).collect::<Vec<_>>().await;
    told.into_iter().collect()
}

async fn tell_one(object: &Attached, fate: Fate, op: &Operator) -> Result<(), Again> {
    if fate.release {
        tracing::info!(object = %object.id, abandoned = object.meta.abandon, "releasing the object ({ABANDON} lets it go without AWS)");
        let released = op.writes.release(object).await.map_err(|error| op.lost_write(&error))?;
        op.with_index(|index| index.wrote_object(&object.meta.resource_version, released));
        return Ok(());
    }
    if fate.status == object.status {
        return Ok(());
    }
    let written = op.writes.object_status(object, fate.status).await.map_err(|error| op.lost_write(&error))?;
    op.with_index(|index| index.wrote_object(&object.meta.resource_version, written.clone()));
    announce(object, &written.status, op).await;
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
