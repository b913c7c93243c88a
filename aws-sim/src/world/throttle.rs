//! Token buckets per account and Region, or per operation there. Nothing is throttled unless a control asked for it: AWS
//! publishes no numbers for these calls (aws-facts A.7). ECR and IAM (in its Region `aws-global`) have a bucket of their
//! own; Secrets Manager is throttled by operation alone, STS never.

use std::collections::BTreeMap;
use std::time::Duration;

use super::wire::Asked;

/// A bucket that refills steadily.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_at: Duration,
}

/// The buckets in force: by account, Region and operation; no operation: for all.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    buckets: BTreeMap<(String, String, String), Bucket>,
}

impl Throttles {
    pub(crate) fn set(&mut self, at: (&str, &str, &str), per_second: f64, burst: u32, now: Duration) {
        let burst = f64::from(burst);
        let bucket = Bucket { per_second, burst, tokens: burst, filled_at: now };
        self.buckets.insert(key(at), bucket);
    }

    /// Whether an account has a bucket of its own.
    pub(crate) fn concern(&self, account: &str) -> bool {
        self.buckets.keys().any(|(of, _, _)| of == account)
    }

    /// Takes away the bucket of an account in a Region, and those of its operations.
    pub(crate) fn clear(&mut self, account: &str, region: &str) {
        self.buckets.retain(|(a, r, _), _| a != account || r != region);
    }

    /// Takes a token of each bucket that applies; false if one is empty.
    pub(crate) fn admit(&mut self, account: &str, asked: &Asked, now: Duration) -> bool {
        let shared = asked.service != "secretsmanager";
        let names = shared.then_some("").into_iter().chain([asked.operation.as_str()]);
        let keys: Vec<_> = names.map(|operation| key((account, &asked.region, operation))).collect();
        let mut is_admitted = true;
        for key in &keys {
            if let Some(bucket) = self.buckets.get_mut(key) {
                bucket.refill(now);
                is_admitted &= bucket.tokens >= 1.0;
            }
        }
        for key in keys.iter().filter(|_| is_admitted) {
            if let Some(bucket) = self.buckets.get_mut(key) {
                bucket.tokens -= 1.0;
            }
        }
        is_admitted
    }
}

impl Bucket {
    fn refill(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = elapsed.mul_add(self.per_second, self.tokens).min(self.burst);
        self.filled_at = now;
    }
}

fn key((account, region, operation): (&str, &str, &str)) -> (String, String, String) {
    (account.to_owned(), region.to_owned(), operation.to_owned())
}
