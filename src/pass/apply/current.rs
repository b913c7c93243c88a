//! Whether what a write rests on still holds where it leaves: a watch may be late without anybody noticing, and a
//! Registry that was suspended, narrowed or removed meanwhile lets nothing be written. A pod that cannot ask adds nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::objects::RegistryObject;
use ecr_permissions_core::reason::{Because, Reason};

use super::Writing;
use crate::aws::permit::Permit;
use crate::kube::writes::Failure;

/// An answer older than this is asked for again.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// The Registry that a pass was planned on, as the API server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    AsPlanned,
    Changed,
    /// The API server does not answer, or does not let us ask.
    Unknown,
}

/// What the API server answered last of each Registry that it was asked for, and when.
#[derive(Debug, Default)]
pub(super) struct Current(Mutex<BTreeMap<Version, (Duration, Shown)>>);

/// A Registry as it was asked for: its uid and its generation.
type Version = (String, i64);

impl Current {
    fn last(&self, planned: &RegistryObject) -> Option<(Duration, Shown)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&version(planned)).copied()
    }

    fn note(&self, planned: &RegistryObject, at: Duration, shown: Shown) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(version(planned), (at, shown));
    }

    /// Whether what was planned has to be decided again.
    pub(super) fn is_in_doubt(&self) -> bool {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.values().any(|(_, shown)| *shown != Shown::AsPlanned)
    }
}

fn version(registry: &RegistryObject) -> Version {
    (registry.meta.uid.clone(), registry.meta.generation)
}

impl Writing<'_> {
    /// The leave to write, asked for last: the wait for a turn may be longer than an answer is good for.
    pub(super) async fn permitted(
        &self,
        permit: impl Future<Output = Result<Permit, Because>>,
        adds: bool,
    ) -> Result<Permit, Because> {
        // What will not be written takes no turn from others.
        if self.current.last(&self.gathered.registry).is_some_and(|(_, shown)| shown == Shown::Changed) {
            return Err(changed());
        }
        let permit = permit.await?;
        if adds {
            self.may_add().await?;
        } else if self.shown().await == Shown::Changed {
            return Err(changed());
        }
        Ok(permit)
    }

    /// Whether something may be added: the Registry is the one that the pass was planned on, and nothing was seen too long
    /// ago to go by it.
    pub(super) async fn may_add(&self) -> Result<(), Because> {
        match self.shown().await {
            Shown::AsPlanned => self.holds_everything().map_or(Ok(()), Err),
            Shown::Changed => Err(changed()),
            Shown::Unknown => Err(unknown()),
        }
    }

    /// Why nothing may be added, by what is known now.
    pub(super) fn holds_everything(&self) -> Option<Because> {
        self.desired.holds.everything().or_else(|| self.op.holds_everything())
    }

    /// The same for what rests on the consent of upstreams in the own account besides.
    pub(super) async fn permitted_by_upstreams(
        &self,
        permit: impl Future<Output = Result<Permit, Because>>,
        adds: bool,
        pulls_from: impl Fn(&RegistryKey) -> bool,
    ) -> Result<Permit, Because> {
        let permit = self.permitted(permit, adds).await?;
        self.upstreams_are_as_planned(pulls_from).await?;
        Ok(permit)
    }

    /// Whether the Registry is the one that the pass was planned on, asked again after a while. A newer one is shown to the
    /// next pass, whatever the watch does.
    pub(super) async fn shown(&self) -> Shown {
        self.shown_of(&self.gathered.registry).await
    }

    /// Whether the Registries of upstreams in the role's own account, on whose consent alone it pulls from them, are those
    /// that the pass was planned on.
    async fn upstreams_are_as_planned(&self, pulls_from: impl Fn(&RegistryKey) -> bool) -> Result<(), Because> {
        let own = &self.gathered.key.account;
        let upstreams = self.gathered.others.iter().filter(|(key, _)| key.account == *own && pulls_from(key));
        for (_, upstream) in upstreams {
            match self.shown_of(&upstream.registry).await {
                Shown::AsPlanned => {}
                Shown::Changed => return Err(changed()),
                Shown::Unknown => return Err(unknown()),
            }
        }
        Ok(())
    }

    async fn shown_of(&self, planned: &Arc<RegistryObject>) -> Shown {
        let now = self.op.machine.elapsed();
        if let Some((at, shown)) = self.current.last(planned)
            && (shown == Shown::Changed || now.saturating_sub(at) < GOOD_FOR)
        {
            return shown;
        }
        let shown = match self.op.writes.registry(planned.name()).await {
            Ok(found) if (&found.meta.uid, found.meta.generation) == (&planned.meta.uid, planned.meta.generation) => {
                Shown::AsPlanned
            }
            Ok(found) => {
                self.op.saw_registry(planned, &found);
                Shown::Changed
            }
            Err(Failure::Raced) => Shown::Changed,
            Err(error) => {
                tracing::warn!(registry = planned.name(), %error, "whether the Registry has changed is not known; nothing is added");
                Shown::Unknown
            }
        };
        self.current.note(planned, now, shown);
        shown
    }
}

pub(super) fn changed() -> Because {
    Because::new(Reason::Progressing, "The Registry has changed since it was read; what is written is decided again.")
}

pub(super) fn unknown() -> Because {
    Because::new(Reason::Progressing, "The API server does not answer, and nothing is added to AWS before it does.")
}
