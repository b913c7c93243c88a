//! The one clock: tokio's, so that a test can pause it, with a date attached. The SDK, the passes and the statuses all
//! ask this one.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    date_at_start: SystemTime,
}

impl Clock {
    /// The machine's clock. The only place that asks for the date.
    #[expect(clippy::disallowed_methods, reason = "the date has to come from somewhere, once")]
    pub fn system() -> Self {
        Self::starting(SystemTime::now())
    }

    /// A clock that begins at a given date; tests begin where they like.
    pub fn starting(date: SystemTime) -> Self {
        Self { started: Instant::now(), date_at_start: date }
    }

    /// Time since the start, monotonic.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn date(&self) -> SystemTime {
        self.date_at_start + self.now()
    }

    /// The date as Kubernetes writes it, to the second.
    pub fn timestamp(&self) -> Timestamp {
        let seconds = self.date().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Timestamp::from_second(i64::try_from(seconds).unwrap_or_default()).unwrap_or_default()
    }

    /// Waits until a moment of this clock.
    pub async fn sleep_until(&self, moment: Duration) {
        tokio::time::sleep_until(self.started + moment).await;
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.date()
    }
}
