//! Writes the ledger. Whoever cannot be put on record does not grow, and everybody else does: a conflict, a refusal or a
//! time-out of one slice concerns its namespace alone. What is added is written before anything is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ecr_permissions_core::pass::backoff::Whom;
use ecr_permissions_core::pass::ledger::{Changes, DocumentRecord, Draft, Emptied, Ledger, Slice};
use futures::StreamExt;

use super::report::Untold;
use super::{Again, WRITES_AT_ONCE};
use crate::kube::writes::{Failure, SliceFailure};
use crate::runtime::operator::Operator;

/// Namespaces of which something could not be written, and when that is worth another try.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) namespaces: BTreeSet<String>,
    /// The slices without a namespace.
    pub(super) records: bool,
    pub(super) again: Option<Again>,
    /// Whether a write was made is not known.
    pub(super) unanswered: bool,
}

impl Unwritten {
    pub(super) fn result(&self) -> Result<(), Again> {
        self.again.map_or(Ok(()), Err)
    }

    pub(super) fn untold(self) -> Untold {
        let namespaces = self.namespaces.into_iter().map(Whom::Namespace);
        let all = namespaces.chain(self.records.then_some(Whom::Registry));
        let mut untold = Untold::default();
        match self.again {
            None => {}
            Some(Again::Soon) => untold.soon = true,
            Some(Again::Later) => untold.later.extend(all),
        }
        untold
    }

    fn add(&mut self, namespace: Option<&str>, again: Again) {
        match namespace {
            Some(namespace) => drop(self.namespaces.insert(namespace.to_owned())),
            None => self.records = true,
        }
        // What may succeed at once is tried at once.
        self.again = Some(match (self.again, again) {
            (Some(Again::Soon), _) | (_, Again::Soon) => Again::Soon,
            _ => Again::Later,
        });
    }
}

/// Puts what is added or changed on record. `growth`: it waits where its namespace has written too much of late.
pub(super) async fn add(ledger: &mut Ledger, changes: &Changes, anew: bool, growth: bool, op: &Operator) -> Unwritten {
    let mut drafts = ledger.additions(changes, anew);
    let mut unwritten = Unwritten::default();
    drafts.retain(|draft| {
        let namespace = draft.slice.namespace.as_deref();
        let may = op.ledger_pace.take(namespace.unwrap_or_default(), draft.bytes(), growth, op.clock.now());
        if !may {
            unwritten.add(namespace, Again::Soon);
        }
        may
    });
    write(ledger, drafts, &mut unwritten, op).await;
    unwritten
}

/// Takes off the record what is gone and what was moved, and the slices that hold nothing any more.
pub(super) async fn remove(ledger: &mut Ledger, changes: &Changes, unwritten: &mut Unwritten, op: &Operator) {
    let mut drafts = ledger.removals(changes);
    let is_written = |namespace: &Option<String>, unwritten: &Unwritten| match namespace {
        Some(namespace) => !unwritten.namespaces.contains(namespace),
        None => !unwritten.records,
    };
    drafts.retain(|draft| is_written(&draft.slice.namespace, unwritten));
    write(ledger, drafts, unwritten, op).await;
    for Emptied(slice) in ledger.emptied() {
        if is_written(&slice.namespace, unwritten) {
            remove_slice(&slice, unwritten, op).await;
            ledger.removed(&slice);
        }
    }
}

/// The records of documents, and the Registry that the ledger serves.
pub(super) async fn record(
    ledger: &mut Ledger,
    documents: &BTreeMap<String, DocumentRecord>,
    registry: &str,
    unwritten: &mut Unwritten,
    op: &Operator,
) {
    let drafts = ledger.records(documents, registry);
    write(ledger, drafts, unwritten, op).await;
}

pub(super) async fn remove_slice(slice: &Slice, unwritten: &mut Unwritten, op: &Operator) {
    op.with_index(|index| index.writes_slice(&slice.name, None));
    let removed = op.writes.remove_slice(slice).await;
    let untold = op.with_index(|index| index.ended_slice_write(&slice.name));
    match removed {
        Ok(()) => op.show_slice(Some(slice), None),
        Err(failure) => {
            op.touch(untold);
            unwritten.add(slice.namespace.as_deref(), op.lost_write(&failure));
        }
    }
}

async fn write(ledger: &mut Ledger, drafts: Vec<Draft>, unwritten: &mut Unwritten, op: &Operator) {
    let writing = drafts.into_iter().map(|draft| async move {
        op.with_index(|index| index.writes_slice(&draft.slice.name, Some(draft.slice.clone())));
        let written = op.writes.slice(&draft).await;
        // It is shown once it is answered itself: others may take longer.
        let untold = op.with_index(|index| index.ended_slice_write(&draft.slice.name));
        match &written {
            Ok(slice) => op.show_slice(draft.base.as_deref(), Some(slice.clone())),
            Err(_) => op.touch(untold),
        }
        (draft, written)
    });
    let writing: Vec<_> = writing.collect();
    let written: Vec<_> = futures::stream::iter(writing).buffer_unordered(WRITES_AT_ONCE).collect().await;
    for (draft, result) in written {
        match result {
            Ok(slice) => ledger.wrote(&Arc::new(slice)),
            Err(SliceFailure::Exists(slice)) => {
                // Made by an earlier call, or by somebody else: the next pass reads it.
                op.show_slice(None, Some(*slice));
                unwritten.add(draft.slice.namespace.as_deref(), Again::Soon);
            }
            Err(SliceFailure::Failed(failure)) => {
                unwritten.unanswered |= matches!(failure, Failure::Unanswered);
                unwritten.add(draft.slice.namespace.as_deref(), told(&failure, &draft, op));
            }
        }
    }
}

fn told(failure: &Failure, draft: &Draft, op: &Operator) -> Again {
    let again = op.lost_write(failure);
    if matches!(again, Again::Later) {
        let namespace = draft.slice.namespace.as_deref().unwrap_or_default();
        tracing::warn!(
            ledger = draft.slice.name,
            namespace,
            "what is on record could not be written; objects of the namespace get nothing new meanwhile"
        );
    }
    again
}
