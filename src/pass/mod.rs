//! One pass over one registry. The story, from who is attached to what everybody learns; each step is a file.

mod apply;
mod filing;
mod observe;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ecr_permissions_core::pass::compile::compile;
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::judge::Judging;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::objects::{Attached, ObjectId};
use ecr_permissions_core::pass::queue::Key;
use filing::Unwritten;
use futures::StreamExt;

use crate::runtime::operator::Operator;

/// How many writes to the API server one pass has under way at once.
const WRITES_AT_ONCE: usize = 32;
const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the pass of a key. Answers when the key wants to run again by itself.
pub async fn run(key: &Key, op: &Operator) -> Option<Duration> {
    match key {
        Key::Orphans => report::unattached(op).await,
        Key::Registry(registry) => {
            let gathered = op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(registry)))?;
            let mut memory = op.take_memory(registry);
            let again = pass(gathered, &mut memory, op).await;
            op.keep_memory(registry, memory);
            Some(again)
        }
    }
}

async fn pass(mut gathered: Gathered, memory: &mut Memory, op: &Operator) -> Duration {
    let there: BTreeSet<_> = gathered.attached.iter().chain(&gathered.guests).map(|object| &object.id).collect();
    memory.retain(|id| there.contains(id));
    if let Err(again) = serve(&mut gathered, op).await {
        return again.after(memory, op);
    }
    let session = op.sessions.of(&gathered.key, &gathered.registry.spec).await;
    let new = accepted_anew(&gathered, memory, op);
    let (proven, finalized) = futures::join!(session.prove(), finalize(&mut gathered, new, op));
    if let Err(again) = finalized {
        return again.after(memory, op);
    }
    let (applied, desired) = match proven {
        Err(because) => apply::nothing(because, compile(&gathered, &op.installation, memory, op.clock.now())),
        Ok(proven) => match Box::pin(apply::apply(&mut gathered, &proven, memory, op)).await {
            Ok(done) => done,
            Err(again) => return again.after(memory, op),
        },
    };
    let judging = Judging {
        gathered: &gathered,
        desired: &desired,
        applied: &applied,
        installation: &op.installation,
        now: op.clock.timestamp(),
    };
    let reported = report::report(&judging, op).await;
    next_run(&judging, memory, op, reported.err())
}

/// A pass that could not be finished.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Again {
    /// The world moved while it was being written: decide again.
    Soon,
    /// The API server does not take what was written, or does not answer.
    Later,
}

impl Again {
    fn after(self, memory: &mut Memory, op: &Operator) -> Duration {
        op.clock.now() + if matches!(self, Self::Soon) { op.settings.retry } else { memory.failed() }
    }
}

/// A ledger that serves a Registry which is gone is taken over before anything of this one's `allow` is applied.
async fn serve(gathered: &mut Gathered, op: &Operator) -> Result<(), Again> {
    let name = gathered.registry.name().to_owned();
    if gathered.ledger.registry().is_none_or(|served| served == name) {
        return Ok(());
    }
    let mut unwritten = Unwritten::default();
    filing::record(&mut gathered.ledger, &BTreeMap::new(), &name, &mut unwritten, op).await;
    unwritten.result()
}

/// Objects that would be accepted and do not carry our finalizer yet.
fn accepted_anew(gathered: &Gathered, memory: &Memory, op: &Operator) -> BTreeSet<ObjectId> {
    if gathered.attached.iter().all(|object| object.meta.finalized || object.meta.deleting) {
        return BTreeSet::new();
    }
    let desired = compile(gathered, &op.installation, memory, op.clock.now());
    let awaiting = desired.contributions.into_iter().filter(|contribution| contribution.awaits_finalizer);
    awaiting.map(|contribution| contribution.id).collect()
}

/// The finalizer goes on once an object is accepted, and before anything goes to AWS; the Registry's own first. An object
/// that the API server has not shown with it gets nothing (`compile`).
async fn finalize(gathered: &mut Gathered, new: BTreeSet<ObjectId>, op: &Operator) -> Result<(), Again> {
    let registry = &gathered.registry;
    let is_finalized = |object: &Arc<Attached>| object.meta.finalized;
    let serves_somebody = !new.is_empty()
        || gathered.attached.iter().any(is_finalized)
        || gathered.guests.iter().any(is_finalized)
        || !gathered.rest_on_consent.is_empty();
    if serves_somebody && !registry.meta.finalized && !registry.meta.deleting {
        let written = op.writes.finalize_registry(registry).await.map_err(|error| op.lost_write(&error))?;
        op.show_registry(registry, &written);
        gathered.registry = written.into();
    }
    let objects = std::mem::take(&mut gathered.attached);
    let new = &new;
    let added = futures::stream::iter(objects).map(|object| async move {
        if !new.contains(&object.id) {
            return object;
        }
        match op.writes.finalize(&object).await {
            Ok(newer) => {
                op.with_index(|index| index.wrote_object(&object.meta.resource_version, newer.clone()));
                newer.into()
            }
            // It gets nothing in this pass; the watch will bring what has changed.
            Err(error) => {
                op.lost_write(&error);
                object
            }
        }
    });
    gathered.attached = added.buffered(WRITES_AT_ONCE).collect().await;
    Ok(())
}

fn next_run(judging: &Judging<'_>, memory: &mut Memory, op: &Operator, untold: Option<Again>) -> Duration {
    let Judging { gathered, desired, applied, .. } = judging;
    let now = op.clock.now();
    let interval = gathered.registry.spec.interval.map_or(DEFAULT_INTERVAL, Duration::from);
    let interval = op.jitter(interval.max(SHORTEST_INTERVAL));
    // An object without its finalizer gets nothing, and no watch tells that the API server would take it now.
    let unfinalized = desired.contributions.iter().any(|contribution| contribution.awaits_finalizer);
    let failed = applied.failure.is_some()
        || applied.verdicts.values().any(|because| because.reason.is_passing())
        || applied.rules.is_open()
        || applied.roles.is_open()
        || unfinalized
        || matches!(untold, Some(Again::Later));
    let soon = if failed { Some(now + memory.failed()) } else { None };
    if !failed {
        memory.reached();
    }
    let raced = applied.unsettled || matches!(untold, Some(Again::Soon));
    let unsettled = raced.then_some(now + op.settings.retry);
    let contended = memory.contended_until().filter(|_| memory.is_contended(now));
    let due = [Some(now + interval), soon, unsettled, memory.owed_look(now), memory.next_retry(now), contended];
    due.into_iter().flatten().min().unwrap_or(now + interval)
}
