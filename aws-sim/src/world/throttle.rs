//! Token buckets per account and Region. Nothing is throttled unless a control asked for it: AWS publishes no numbers
//! for these calls (aws-facts A.7).

use std::collections::BTreeMap;
use std::time::Duration;

/// A bucket that refills steadily.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_at: Duration,
}

/// The buckets in force.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    buckets: BTreeMap<(String, String), Bucket>,
}

impl Throttles {
    pub(crate) fn set(&mut self, account: &str, region: &str, per_second: f64, burst: u32, now: Duration) {
        let burst = f64::from(burst);
        let bucket = Bucket { per_second, burst, tokens: burst, filled_at: now };
        self.buckets.insert((account.to_owned(), region.to_owned()), bucket);
    }

    pub(crate) fn clear(&mut self, account: &str, region: &str) {
        self.buckets.remove(&(account.to_owned(), region.to_owned()));
    }

    /// Takes a token; false if there is none.
    pub(crate) fn admit(&mut self, account: &str, region: &str, now: Duration) -> bool {
        let Some(bucket) = self.buckets.get_mut(&(account.to_owned(), region.to_owned())) else {
            return true;
        };
        let elapsed = now.saturating_sub(bucket.filled_at).as_secs_f64();
        bucket.tokens = elapsed.mul_add(bucket.per_second, bucket.tokens).min(bucket.burst);
        bucket.filled_at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}
