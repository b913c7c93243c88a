//! Whether what a write rests on still holds where it leaves: a watch may be late without anybody noticing, and a
//! Registry that was suspended, narrowed or removed meanwhile lets nothing be written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ecr_permissions_core::reason::{Because, Reason};

use super::Writing;
use crate::kube::writes::Failure;

/// An answer older than this is asked for again.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// What the API server answered last.
#[derive(Debug, Default)]
pub(super) struct Current(Mutex<Option<Answer>>);

#[derive(Clone, Copy, Debug)]
struct Answer {
    at: Duration,
    moved: bool,
}

impl Current {
    fn last(&self) -> Option<Answer> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, answer: Answer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// Whether the Registry was seen to be another than the pass was planned on.
    pub(super) fn has_moved(&self) -> bool {
        self.last().is_some_and(|answer| answer.moved)
    }
}

impl Writing<'_> {
    /// What forbids a write now: the restraint of the pass, or a Registry that is not as the pass was planned on it.
    pub(super) async fn restraint(&self) -> Option<Because> {
        if let Some(restraint) = &self.desired.restraint {
            return Some(restraint.clone());
        }
        if self.has_moved().await {
            let message = "The Registry has changed since it was read; what is written is decided again.";
            return Some(Because::new(Reason::Progressing, message));
        }
        None
    }

    /// Whether the Registry is another than the pass was planned on, asked again after a while.
    pub(super) async fn has_moved(&self) -> bool {
        let now = self.op.clock.now();
        if let Some(answer) =
            self.current.last().filter(|answer| answer.moved || now.saturating_sub(answer.at) < GOOD_FOR)
        {
            return answer.moved;
        }
        let registry = &self.gathered.registry;
        let moved = match self.op.writes.version_of_registry(registry.name()).await {
            Ok(version) => version != (registry.meta.uid.clone(), registry.meta.generation),
            Err(Failure::Raced) => true,
            // Nobody knows: what grows is kept back by its record, which cannot be written either.
            Err(error) => {
                tracing::debug!(registry = registry.name(), %error, "whether the Registry has changed is not known");
                false
            }
        };
        self.current.note(Answer { at: now, moved });
        moved
    }
}
