//! The credentials that the sessions of one role in one Region share, or those of the pod: kept for as long as AWS takes
//! them, and obtained anew when it does not, however long they were to last. A role that is deleted and made anew ends its
//! sessions, and so does a person who revokes them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::runtime::clock::Clock;

/// Credentials that are refused again and again are obtained anew at most so often: the first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));
/// After so long without a renewal the next one is a first one.
const FORGIVEN: Duration = Duration::from_mins(15);

/// A cache of the SDK that can be emptied: the SDK's own keeps what it has until its time is up. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    kept: SharedIdentityCache,
    /// How often the cache was emptied: what was proven of other credentials does not count.
    generation: u64,
    /// AWS does not take those that are kept.
    is_refused: bool,
    /// Since when it has taken none.
    refused_since: Option<Duration>,
    renewed_at: Option<Duration>,
    /// Until the next renewal.
    pause: Duration,
}

impl Credentials {
    pub(super) fn new(clock: Clock) -> Self {
        let state = State {
            kept: IdentityCache::lazy().build(),
            generation: 0,
            is_refused: false,
            refused_since: None,
            renewed_at: None,
            pause: PAUSES.0,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// AWS says that it does not take them.
    pub(super) fn refused(&self) {
        let mut state = self.state();
        state.is_refused = true;
        state.refused_since.get_or_insert_with(|| self.clock.now());
    }

    /// AWS denies what any session of the role may do: perhaps this session alone may not, because it was revoked.
    pub(super) fn doubted(&self) {
        self.state().is_refused = true;
    }

    /// AWS took them.
    pub(super) fn accepted(&self) {
        self.state().refused_since = None;
    }

    /// For how long AWS has taken none.
    pub(super) fn refused_for(&self) -> Duration {
        let since = self.state().refused_since;
        since.map_or(Duration::ZERO, |since| self.clock.now().saturating_sub(since))
    }

    pub(super) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Lets go of credentials that AWS does not take, and says whether it did; whoever calls next obtains others. A pause must
    /// have passed since the last time, which grows: nobody can be made to assume a role all the time.
    pub(super) fn renew_if_refused(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let ago = state.renewed_at.map(|at| now.saturating_sub(at));
        if !state.is_refused || ago.is_some_and(|ago| ago < state.pause) {
            return false;
        }
        let is_first = ago.is_none_or(|ago| ago > FORGIVEN);
        state.pause = if is_first { PAUSES.0 } else { (state.pause * 2).min(PAUSES.1) };
        state.renewed_at = Some(now);
        state.is_refused = false;
        state.generation += 1;
        state.kept = IdentityCache::lazy().build();
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolveCachedIdentity for Credentials {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        bag: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let kept = self.state().kept.clone();
        IdentityFuture::new(async move { kept.resolve_cached_identity(resolver, components, bag).await })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// Refused at every moment of a span: how often they are obtained anew.
    async fn renewals(credentials: &Credentials, seconds: u64) -> u64 {
        let before = credentials.generation();
        for _ in 0..seconds {
            credentials.refused();
            credentials.renew_if_refused();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        credentials.generation() - before
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_renewed_at_once_and_then_more_and_more_slowly() {
        let credentials = Credentials::new(Clock::starting(SystemTime::UNIX_EPOCH));
        assert_eq!(renewals(&credentials, 5).await, 1);
        assert_eq!(renewals(&credentials, 60).await, 3, "after 5, 15 and 35 s");
        assert_eq!(renewals(&credentials, 3_600).await, 14, "every five minutes in the end");
        tokio::time::advance(FORGIVEN).await;
        assert_eq!(renewals(&credentials, 5).await, 1);
        assert_eq!(renewals(&credentials, 60).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_stays_as_it_is() {
        let credentials = Credentials::new(Clock::starting(SystemTime::UNIX_EPOCH));
        assert!(!credentials.renew_if_refused());
        assert_eq!((credentials.generation(), credentials.refused_for()), (0, Duration::ZERO));
        credentials.refused();
        tokio::time::advance(Duration::from_secs(7)).await;
        credentials.refused();
        assert_eq!(credentials.refused_for(), Duration::from_secs(7));
        credentials.accepted();
        assert_eq!(credentials.refused_for(), Duration::ZERO);
    }
}
