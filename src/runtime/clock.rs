//! The one clock: tokio's, so that a test can pause it, with a date attached. The SDK, the passes and the statuses all
//! ask this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
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

/// The machine's other clocks: the date as it is set now, and the time that goes on while the machine is suspended. What
/// was learned before is as old as that one says.
#[derive(Clone, Debug)]
pub struct MachineClock {
    clock: Clock,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Machine { uptime_at_start: Option<Duration> },
    Lab(Arc<Steps>),
}

/// How a test's machine differs from its clock, in milliseconds.
#[derive(Debug, Default)]
struct Steps {
    date: AtomicI64,
    suspended: AtomicU64,
}

impl MachineClock {
    pub fn system(clock: Clock) -> Self {
        Self { clock, source: Source::Machine { uptime_at_start: uptime() } }
    }

    /// A machine that does what it is told.
    pub fn lab(clock: Clock) -> Self {
        Self { clock, source: Source::Lab(Arc::default()) }
    }

    /// Time since the start, suspended or not.
    pub fn elapsed(&self) -> Duration {
        match &self.source {
            Source::Machine { uptime_at_start } => match (uptime(), uptime_at_start) {
                (Some(now), Some(then)) => now.saturating_sub(*then),
                _ => self.clock.now(),
            },
            Source::Lab(steps) => self.clock.now() + Duration::from_millis(steps.suspended.load(Ordering::Relaxed)),
        }
    }

    /// The date as the machine has it, since 1970.
    pub fn date(&self) -> Duration {
        let since_1970 = |date: SystemTime| date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        match &self.source {
            Source::Machine { .. } => since_1970(machine_date()),
            Source::Lab(steps) => {
                let step = steps.date.load(Ordering::Relaxed);
                let (date, step_by) = (since_1970(self.clock.date()), Duration::from_millis(step.unsigned_abs()));
                if step < 0 { date.saturating_sub(step_by) } else { date + step_by }
            }
        }
    }

    /// A test's machine gets another date.
    pub fn set_date_by(&self, seconds: i64) {
        if let Source::Lab(steps) = &self.source {
            steps.date.fetch_add(seconds * 1000, Ordering::Relaxed);
        }
    }

    /// A test's machine was suspended: time went on, and nothing ran.
    pub fn suspend(&self, span: Duration) {
        if let Source::Lab(steps) = &self.source {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
            steps.suspended.fetch_add(millis, Ordering::Relaxed);
            steps.date.fetch_add(i64::try_from(millis).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whether somebody has set the date only the machine can tell")]
fn machine_date() -> SystemTime {
    SystemTime::now()
}

#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
fn uptime() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Some(Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default()))
}

/// Elsewhere the operator is only developed.
#[cfg(not(target_os = "linux"))]
fn uptime() -> Option<Duration> {
    None
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.date()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machines_clocks_go_on_together() {
        let machine = MachineClock::system(Clock::system());
        let (elapsed, date) = (machine.elapsed(), machine.date());
        let later = (machine.elapsed(), machine.date());
        assert!(later.0 >= elapsed && elapsed < Duration::from_secs(10));
        assert!(later.1 >= date && date > Duration::from_hours(50 * 365 * 24));
    }

    #[tokio::test(start_paused = true)]
    async fn a_labs_machine_sleeps_and_is_set_as_it_is_told() {
        let machine = MachineClock::lab(Clock::starting(SystemTime::UNIX_EPOCH + Duration::from_hours(10)));
        machine.set_date_by(-7200);
        assert_eq!((machine.elapsed(), machine.date()), (Duration::ZERO, Duration::from_hours(8)));
        machine.suspend(Duration::from_hours(1));
        assert_eq!((machine.elapsed(), machine.date()), (Duration::from_hours(1), Duration::from_hours(9)));
    }
}
