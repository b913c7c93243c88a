//! How fast one registry, and IAM of one account, may be called (aws-facts K.16): AWS publishes no rates, so each has
//! its own and a throttled one slows nobody else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::runtime::clock::Clock;

/// Calls a registry may take: a burst, then so many a second.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub burst: f64,
    pub per_second: f64,
}

/// The rates of a registry, and those of an account's IAM, which has no documents to wait for; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub reads: Rate,
    pub documents: Rate,
    /// Writes of single things: rules, roles.
    pub things: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            reads: Rate { burst: 50.0, per_second: 10.0 },
            documents: Rate { burst: 3.0, per_second: 1.0 },
            things: Rate { burst: 50.0, per_second: 5.0 },
        }
    }
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// Part of the rate in force: halved when AWS throttles, recovering slowly.
    share: f64,
    tokens: f64,
    at: Duration,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, share: 1.0, tokens: rate.burst, at: Duration::ZERO }
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        let refilled = passed.mul_add(self.rate.per_second * self.share, self.tokens);
        self.tokens = refilled.min(self.rate.burst);
        self.share = (passed / 60.0 + self.share).min(1.0);
    }

    fn is_free(&mut self, now: Duration) -> bool {
        self.refill(now);
        self.tokens >= 1.0
    }

    /// Takes a token, or says how long until there is one.
    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        if self.is_free(now) {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / (self.rate.per_second * self.share))
            + Duration::from_millis(1))
    }

    fn throttled(&mut self) {
        self.share = (self.share / 2.0).max(1.0 / 64.0);
        self.tokens = self.tokens.min(1.0);
    }
}

#[derive(Debug)]
pub struct Gate {
    clock: Clock,
    reads: Mutex<Bucket>,
    documents: Mutex<Bucket>,
    things: Mutex<Bucket>,
}

impl Gate {
    pub fn new(clock: Clock, rates: Rates) -> Self {
        Self {
            clock,
            reads: Mutex::new(Bucket::new(rates.reads)),
            documents: Mutex::new(Bucket::new(rates.documents)),
            things: Mutex::new(Bucket::new(rates.things)),
        }
    }

    /// Waits for a read's turn.
    pub async fn read(&self) {
        self.wait(&self.reads).await;
    }

    /// Waits for a document write's turn.
    pub async fn document(&self) {
        self.wait(&self.documents).await;
    }

    /// Waits for the turn of a write of one thing.
    pub async fn thing(&self) {
        self.wait(&self.things).await;
    }

    /// Whether a document write's turn is now.
    pub fn document_is_free(&self) -> bool {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).is_free(self.clock.now())
    }

    async fn wait(&self, bucket: &Mutex<Bucket>) {
        loop {
            let taken = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.now());
            let Err(wait) = taken else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// AWS asked to slow down.
    pub fn throttled(&self) {
        for bucket in [&self.reads, &self.documents, &self.things] {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).throttled();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn documents_come_in_a_burst_of_three_and_then_one_a_second() {
        let mut bucket = Bucket::new(Rates::default().documents);
        assert!((0..3).all(|_| bucket.take(at(0.0)).is_ok()));
        let wait = bucket.take(at(0.0)).unwrap_err();
        assert!(wait > at(0.99) && wait < at(1.1), "{wait:?}");
        assert!(bucket.take(at(1.01)).is_ok());
        assert!(bucket.take(at(1.02)).is_err());
    }

    #[test]
    fn a_throttled_registry_halves_its_rate_and_recovers() {
        let mut bucket = Bucket::new(Rate { burst: 1.0, per_second: 1.0 });
        assert!(bucket.take(at(0.0)).is_ok());
        bucket.throttled();
        let wait = bucket.take(at(0.0)).unwrap_err();
        assert!(wait > at(1.9), "{wait:?}");
        assert!(bucket.take(at(120.0)).is_ok());
        let wait = bucket.take(at(120.0)).unwrap_err();
        assert!(wait < at(1.1), "{wait:?}");
    }
}
