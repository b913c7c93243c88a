//! How much of the ledger one namespace may write: its churn is written whole slices at a time, and the API server is
//! everybody's.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Bytes that a namespace may write at once.
const BURST: f64 = 1024.0 * 1024.0;
/// Bytes a second, from then on.
const PER_SECOND: f64 = 64.0 * 1024.0;

#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: f64,
    at: Duration,
}

/// What each namespace has left.
#[derive(Debug, Default)]
pub struct LedgerPace(Mutex<BTreeMap<String, Allowance>>);

impl LedgerPace {
    /// Whether a write may go out. One that grows nothing always may, and counts.
    pub fn take(&self, namespace: &str, bytes: usize, growth: bool, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has been quiet for long enough is as new.
        all.retain(|_, allowance| allowance.at_time(now) < BURST);
        let left = all.get(namespace).map_or(BURST, |allowance| allowance.at_time(now));
        if growth && left <= 0.0 {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "a slice has 64 KB")]
        let left = (left - bytes as f64).max(-BURST);
        all.insert(namespace.to_owned(), Allowance { left, at: now });
        true
    }
}

impl Allowance {
    fn at_time(&self, now: Duration) -> f64 {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        passed.mul_add(PER_SECOND, self.left).min(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_namespace_writes_a_burst_and_then_a_slice_a_second() {
        let pace = LedgerPace::default();
        let slice = 64 * 1024;
        assert_eq!((0..40).filter(|_| pace.take("a", slice, true, at(0))).count(), 16);
        assert!(pace.take("b", slice, true, at(0)), "another namespace has its own");
        assert!(pace.take("a", slice, true, at(1)) && !pace.take("a", slice, true, at(1)));
        assert!(pace.take("a", slice, false, at(1)), "what grows nothing waits for nothing");
        assert!(!pace.take("a", slice, true, at(2)), "and counts");
        assert!(pace.take("a", slice, true, at(60)));
    }
}
