//! The date by AWS's clock, told from its answers: what AWS says of when it made something is compared with nothing else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use k8s_openapi::jiff::Timestamp;

use crate::runtime::clock::Clock;

#[derive(Clone, Debug)]
pub(super) struct AwsDate {
    clock: Clock,
    /// What the last answer that had a date said, and when it came.
    last: Arc<Mutex<Option<(Timestamp, Duration)>>>,
}

impl AwsDate {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: Arc::default() }
    }

    /// An answer came with this date.
    pub(super) fn saw(&self, header: &str) {
        let date = DateTime::from_str(header, Format::HttpDate).ok();
        let Some(date) = date.and_then(|date| Timestamp::new(date.secs(), 0).ok()) else { return };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, self.clock.now()));
    }

    /// AWS's date; this machine's, as long as no answer has come.
    pub(super) fn timestamp(&self) -> Timestamp {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |(date, at): (Timestamp, Duration)| date.checked_add(self.clock.now().saturating_sub(at)).ok();
        last.and_then(since).unwrap_or_else(|| self.clock.timestamp())
    }
}
