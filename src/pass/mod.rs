//! One pass over one registry. The story, from who is attached to what everybody learns; each step is a file.

mod apply;
mod filing;
mod observe;
mod report;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ecr_permissions_core::pass::backoff::Whom;
use ecr_permissions_core::pass::compile::{Desired, compile};
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::judge::{Applied, Judging};
use ecr_permissions_core::pass::ledger::REGISTRY_POLICY;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::objects::{Attached, ObjectId};
use ecr_permissions_core::pass::queue::Key;
use filing::Unwritten;
use futures::StreamExt;
use report::Untold;
use withdraw::Lane;

use crate::runtime::operator::Operator;

/// How many writes to the API server one pass has under way at once.
const WRITES_AT_ONCE: usize = 32;
/// After this nothing more is begun: what is due meanwhile waits for the end of the pass.
const GROWTH_ENDS_AFTER: Duration = Duration::from_secs(3);
const DEFAULT_INTERVAL: Duration = Duration::from_mins(5);
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the pass of a key. Answers when the key wants to run again by itself.
pub async fn run(key: &Key, op: &Operator) -> Option<Duration> {
    match key {
        Key::Orphans => report::unattached(op).await,
        Key::Registry(registry) => {
            let seen = op.with_index(|index| index.changes());
            let gathered = op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(registry)))?;
            op.read_again(&gathered.unread);
            let mut memory = op.take_memory(registry);
            let again = pass(gathered, seen, &mut memory, op).await;
            op.keep_memory(registry, memory);
            Some(again)
        }
    }
}

async fn pass(mut gathered: Gathered, seen: u64, memory: &mut Memory, op: &Operator) -> Duration {
    let on_record = gathered.ledger.document(REGISTRY_POLICY).and_then(|record| record.installation_shared.as_deref());
    memory.shared.recall(on_record, gathered.registry.meta.installation_is_mine.as_deref());
    memory.answered.begin(interval(&gathered), op.clock.now());
    let there: BTreeSet<_> = gathered.attached.iter().chain(&gathered.guests).map(|object| &object.id).collect();
    memory.retain(|id| there.contains(id));
    let namespaces: BTreeSet<_> = there.iter().map(|id| id.namespace.as_str()).collect();
    memory.suspects.retain(|namespace| namespaces.contains(namespace));
    if let Err(again) = serve(&mut gathered, op).await {
        return again.after(memory, op);
    }
    let key = gathered.key.clone();
    let session = op.sessions.of(&key, &gathered.registry.spec).await;
    let desired = compile(&gathered, &op.installation, memory, op.clock.now());
    let due = withdraw::due(&desired);
    let is_due = !due.is_nothing();
    let grown = match session.prove().await {
        Ok(proven) => {
            // What is due already is looked for in the first second, though nothing has changed since.
            let mut lane = Lane { key: &key, proven: &proven, seen: if is_due { None } else { Some(seen) } };
            let grown = Box::pin(grow(gathered, seen, desired, &mut lane, memory, op)).await;
            if !due.statements.is_empty() && !grown.has_policy {
                // What was to be written with it did not go through: it goes alone.
                Box::pin(lane.withdraw(memory, op)).await;
            }
            grown
        }
        Err(because) => match finalize(&mut gathered, awaiting(&desired), op).await {
            Ok(()) => {
                let (applied, desired) = apply::nothing(because, desired);
                let judging = judging(&gathered, &desired, &applied, op);
                let reported = Box::pin(report::report(&judging, op)).await;
                Grown::nothing(next_run(&judging, memory, op, reported))
            }
            Err(again) => Grown::nothing(again.after(memory, op)),
        },
    };
    let is_open = !due.statements.is_empty() && !grown.has_policy || !due.things.is_empty() && !grown.has_things;
    if is_open { grown.again.min(op.clock.now() + withdraw::AGAIN_WITHIN) } else { grown.again }
}

/// What growing came to.
struct Grown {
    /// When the pass is to run again.
    again: Duration,
    /// The policy was read, and equals what is desired.
    has_policy: bool,
    /// Rules and roles were read, and AWS took away what was to go.
    has_things: bool,
}

impl Grown {
    fn nothing(again: Duration) -> Self {
        Self { again, has_policy: false, has_things: false }
    }
}

/// Everything but what only takes away. While it waits for the API server or for what AWS has, what is due is taken away
/// beside it.
async fn grow(
    mut gathered: Gathered,
    seen: u64,
    desired: Desired,
    lane: &mut Lane<'_>,
    memory: &mut Memory,
    op: &Operator,
) -> Grown {
    let proven = lane.proven;
    let owes_look = memory.owes_look() || memory.is_unsettled();
    let new = awaiting(&desired);
    let answered = std::mem::take(&mut memory.answered);
    let as_it_was = (!new.is_empty()).then(|| memory.clone());
    let preparing = Box::pin(async {
        finalize(&mut gathered, new, op).await?;
        let desired = match &as_it_was {
            Some(memory) => compile(&gathered, &op.installation, memory, op.clock.now()),
            None => desired,
        };
        Ok::<_, Again>(apply::prepare(&gathered, desired, owes_look, answered, proven, op).await)
    });
    let prepared = match lane.beside(preparing, memory, op).await {
        Ok(prepared) => prepared,
        Err(again) => return Grown::nothing(again.after(memory, op)),
    };
    let ends = op.clock.now() + GROWTH_ENDS_AFTER;
    let applying = Box::pin(apply::apply(&mut gathered, prepared, proven, memory, op, (seen, ends)));
    let (applied, desired) = match applying.await {
        Ok(done) => done,
        Err(again) => return Grown::nothing(again.after(memory, op)),
    };
    let judging = judging(&gathered, &desired, &applied, op);
    let reported = lane.beside(Box::pin(report::report(&judging, op)), memory, op).await;
    let again = next_run(&judging, memory, op, reported);
    let has_things = !applied.rules.is_due() && !applied.roles.is_due();
    Grown { again, has_policy: applied.confirmed, has_things }
}

fn judging<'a>(gathered: &'a Gathered, desired: &'a Desired, applied: &'a Applied, op: &'a Operator) -> Judging<'a> {
    Judging { gathered, desired, applied, installation: &op.installation, now: op.clock.timestamp() }
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
        let now = op.clock.now();
        if matches!(self, Self::Soon) { now + op.settings.retry } else { memory.failed(now) }
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
fn awaiting(desired: &Desired) -> BTreeSet<ObjectId> {
    let awaiting = desired.contributions.iter().filter(|contribution| contribution.awaits_finalizer);
    awaiting.map(|contribution| contribution.id.clone()).collect()
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

/// How often the registry's passes run by themselves.
fn interval(gathered: &Gathered) -> Duration {
    gathered.registry.spec.interval.map_or(DEFAULT_INTERVAL, Duration::from).max(SHORTEST_INTERVAL)
}

fn next_run(judging: &Judging<'_>, memory: &mut Memory, op: &Operator, untold: Untold) -> Duration {
    let Judging { gathered, desired, applied, .. } = judging;
    let now = op.clock.now();
    let interval = op.jitter(interval(gathered));
    memory.left_open(&left_open(desired, applied, untold.later), now);
    let raced = applied.unsettled || untold.soon;
    let unsettled = raced.then_some(now + op.settings.retry);
    let contended = memory.contended_until().filter(|_| memory.is_contended(now));
    let due = [Some(now + interval), unsettled, memory.owed_look(now), memory.next_retry(now), contended];
    due.into_iter().flatten().min().unwrap_or(now + interval)
}

/// For whom the pass left something open.
fn left_open(desired: &Desired, applied: &Applied, untold: BTreeSet<Whom>) -> BTreeSet<Whom> {
    // An object without its finalizer gets nothing, and no watch tells that the API server would take it now.
    let unfinalized = awaiting(desired);
    let passing = applied.verdicts.iter().filter(|(_, because)| because.reason.is_passing()).map(|(id, _)| id.clone());
    let mut open = untold;
    open.extend(unfinalized.into_iter().chain(passing).map(Whom::Object));
    open.extend(applied.failure.is_some().then_some(Whom::Registry));
    open.extend(applied.rules.left_open().chain(applied.roles.left_open()));
    open
}
