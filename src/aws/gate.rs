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

/// A withdrawal is never kept longer than this from a call, whatever AWS throttles.
const WITHDRAWAL_WITHIN: Duration = Duration::from_secs(5);

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Takes away: the last token is kept for it.
    Withdrawal,
    /// Everything else.
    Growth,
}

#[derive(Debug)]
struct Bucket {
    rate: Rate,
    /// Part of the rate in force: halved when AWS throttles, recovering slowly.
    share: f64,
    tokens: f64,
    at: Duration,
    /// When the last withdrawal took its turn.
    withdrew_at: Option<Duration>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        // One more than growth may take at once.
        Self { rate, share: 1.0, tokens: rate.burst + 1.0, at: Duration::ZERO, withdrew_at: None }
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        let refilled = passed.mul_add(self.rate.per_second * self.share, self.tokens);
        self.tokens = refilled.min(self.rate.burst + 1.0);
        self.share = (passed / 60.0 + self.share).min(1.0);
    }

    fn is_free(&mut self, now: Duration, lane: Lane) -> bool {
        self.refill(now);
        self.tokens >= needed(lane)
    }

    /// Takes a token, or says how long until there is one.
    fn take(&mut self, now: Duration, lane: Lane) -> Result<(), Duration> {
        if self.is_free(now, lane) {
            self.tokens -= 1.0;
            if lane == Lane::Withdrawal {
                self.withdrew_at = Some(now);
            }
            return Ok(());
        }
        let lacking = (needed(lane) - self.tokens) / (self.rate.per_second * self.share);
        let wait = Duration::from_secs_f64(lacking) + Duration::from_millis(1);
        if lane == Lane::Growth {
            return Err(wait);
        }
        let since = self.withdrew_at.map_or(WITHDRAWAL_WITHIN, |at| now.saturating_sub(at));
        if since >= WITHDRAWAL_WITHIN {
            self.withdrew_at = Some(now);
            return Ok(());
        }
        Err(wait.min(WITHDRAWAL_WITHIN.saturating_sub(since)))
    }

    fn throttled(&mut self) {
        self.share = (self.share / 2.0).max(1.0 / 64.0);
        self.tokens = self.tokens.min(1.0);
    }
}

/// How many tokens must be there before one is taken.
fn needed(lane: Lane) -> f64 {
    match lane {
        Lane::Withdrawal => 1.0,
        Lane::Growth => 2.0,
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
        self.wait(&self.reads, Lane::Growth).await;
    }

    /// The same for a read that a withdrawal needs.
    pub async fn first_read(&self) {
        self.wait(&self.reads, Lane::Withdrawal).await;
    }

    /// Waits for a document write's turn.
    pub async fn document(&self, lane: Lane) {
        self.wait(&self.documents, lane).await;
    }

    /// Waits for the turn of a write of one thing.
    pub async fn thing(&self, lane: Lane) {
        self.wait(&self.things, lane).await;
    }

    /// Whether a document write's turn is now.
    pub fn document_is_free(&self, lane: Lane) -> bool {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).is_free(self.clock.now(), lane)
    }

    async fn wait(&self, bucket: &Mutex<Bucket>, lane: Lane) {
        loop {
            let taken = bucket.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.now(), lane);
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
        assert!((0..3).all(|_| bucket.take(at(0.0), Lane::Growth).is_ok()));
        let wait = bucket.take(at(0.0), Lane::Growth).unwrap_err();
        assert!(wait > at(0.99) && wait < at(1.1), "{wait:?}");
        assert!(bucket.take(at(1.01), Lane::Growth).is_ok());
        assert!(bucket.take(at(1.02), Lane::Growth).is_err());
    }

    #[test]
    fn a_throttled_registry_halves_its_rate_and_recovers() {
        let mut bucket = Bucket::new(Rate { burst: 1.0, per_second: 1.0 });
        assert!(bucket.take(at(0.0), Lane::Growth).is_ok());
        bucket.throttled();
        let wait = bucket.take(at(0.0), Lane::Growth).unwrap_err();
        assert!(wait > at(1.9), "{wait:?}");
        assert!(bucket.take(at(120.0), Lane::Growth).is_ok());
        let wait = bucket.take(at(120.0), Lane::Growth).unwrap_err();
        assert!(wait < at(1.1), "{wait:?}");
    }

    /// Behaviour 47: whatever growth has taken, and however AWS throttles.
    #[test]
    fn a_withdrawal_has_the_last_token_and_waits_five_seconds_at_most() {
        let mut bucket = Bucket::new(Rates::default().documents);
        while bucket.take(at(0.0), Lane::Growth).is_ok() {}
        assert!(bucket.take(at(0.0), Lane::Withdrawal).is_ok());
        for _ in 0..10 {
            bucket.throttled();
        }
        let wait = bucket.take(at(1.0), Lane::Withdrawal).unwrap_err();
        assert!(wait <= at(4.0), "{wait:?}");
        assert!(bucket.take(at(1.0), Lane::Growth).unwrap_err() > at(60.0));
        assert!(bucket.take(at(5.0), Lane::Withdrawal).is_ok());
        assert!(bucket.take(at(5.1), Lane::Withdrawal).is_err());
    }
}
