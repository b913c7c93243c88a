//! Waiting for real things by looking again, with an end and with what was last seen. It never waits a fixed time.

use std::thread;
use std::time::{Duration, Instant};

use crate::Error;

const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `look` answers `Ok(Ok(value))`. `Ok(Err(seen))` means "not yet" and says what was seen; `Err` ends the
/// wait at once.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>, Error>,
) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match look()? {
            Ok(value) => return Ok(value),
            Err(last) if start.elapsed() >= limit => {
                return Err(Error::TimedOut { what: what.to_owned(), waited: limit, last });
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
