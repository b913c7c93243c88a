//! Which registry's pass runs next. Pure: the driver tells the time and runs what it is told.
//!
//! A registry that was quiet starts at once, so that one object waits for nothing. During a burst a pass waits for
//! 50 ms of quiet, 300 ms at most, so that many changes become one pass. A key never runs twice at once: what
//! touches it meanwhile makes it run again afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::names::RegistryKey;

/// What a pass works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Registry(RegistryKey),
    /// The objects whose Registry does not exist.
    Orphans,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Registry(key) => key.fmt(f),
            Self::Orphans => f.write_str("orphans"),
        }
    }
}

/// Time since the operator started.
pub type Now = Duration;

const QUIET: Duration = Duration::from_millis(50);
const BURST_AT_MOST: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
struct Entry {
    running: bool,
    /// First touch that no pass has answered yet.
    touched: Option<Now>,
    /// When touched passes may start.
    due: Option<Now>,
    /// When the key runs again by itself.
    scheduled: Option<Now>,
    /// Last touch or end of a pass: what "quiet" is measured from.
    last_activity: Option<Now>,
}

impl Entry {
    fn due(&self) -> Option<Now> {
        [self.due, self.scheduled].into_iter().flatten().min()
    }
}

#[derive(Debug, Default)]
pub struct Queue {
    entries: BTreeMap<Key, Entry>,
}

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Run(Key),
    WaitUntil(Now),
    Idle,
}

impl Queue {
    /// Something the key's pass must answer has changed.
    pub fn touch(&mut self, key: Key, now: Now) {
        let entry = self.entries.entry(key).or_default();
        let quiet = entry.last_activity.is_none_or(|last| now.saturating_sub(last) >= BURST_AT_MOST);
        let first = *entry.touched.get_or_insert(now);
        let due = if quiet && first == now { now } else { (now + QUIET).min(first + BURST_AT_MOST) };
        // A start that was promised is kept: later touches delay it within the burst, never a quiet start.
        entry.due = Some(if entry.due == Some(first) { first } else { due });
        entry.last_activity = Some(now);
    }

    /// The key runs at `at` even if nothing touches it.
    pub fn schedule(&mut self, key: Key, at: Now) {
        let entry = self.entries.entry(key).or_default();
        entry.scheduled = Some(entry.scheduled.map_or(at, |earlier| earlier.min(at)));
    }

    /// The next thing to do; a key that is told to run is running until `done`.
    pub fn next(&mut self, now: Now) -> Next {
        let idle = self.entries.iter().filter(|(_, entry)| !entry.running);
        let first = idle.filter_map(|(key, entry)| Some((entry.due()?, key))).min();
        let Some((due, key)) = first else { return Next::Idle };
        if due > now {
            return Next::WaitUntil(due);
        }
        let key = key.clone();
        if let Some(entry) = self.entries.get_mut(&key) {
            *entry = Entry { running: true, last_activity: Some(now), ..Entry::default() };
        }
        Next::Run(key)
    }

    /// The key's pass has ended.
    pub fn done(&mut self, key: &Key, now: Now, again: Option<Now>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.running = false;
            entry.last_activity = Some(now);
            if let Some(at) = again {
                entry.scheduled = Some(entry.scheduled.map_or(at, |earlier| earlier.min(at)));
            }
        }
    }

    /// Keys that wait, and keys that run.
    pub fn depth(&self) -> (usize, usize) {
        let running = self.entries.values().filter(|entry| entry.running).count();
        let waiting = self.entries.values().filter(|entry| !entry.running && entry.due.is_some()).count();
        (waiting, running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Now {
        Duration::from_millis(ms)
    }

    fn key(account: &str) -> Key {
        Key::Registry(RegistryKey { account: account.parse().unwrap(), region: "eu-west-1".parse().unwrap() })
    }

    #[test]
    fn a_quiet_registry_starts_at_once() {
        let mut queue = Queue::default();
        queue.touch(key("111111111111"), ms(1000));
        assert_eq!(queue.next(ms(1000)), Next::Run(key("111111111111")));
    }

    #[test]
    fn what_comes_during_a_pass_runs_after_it_and_as_one() {
        let (mut queue, a) = (Queue::default(), key("111111111111"));
        queue.touch(a.clone(), ms(0));
        assert_eq!(queue.next(ms(0)), Next::Run(a.clone()));
        for at in [5, 10, 15] {
            queue.touch(a.clone(), ms(at));
            assert_eq!(queue.next(ms(at)), Next::Idle, "a key never runs twice at once");
        }
        queue.done(&a, ms(200), None);
        assert_eq!(queue.next(ms(200)), Next::Run(a.clone()));
        queue.done(&a, ms(300), None);
        assert_eq!(queue.next(ms(10_000)), Next::Idle);
    }

    #[test]
    fn a_burst_waits_for_quiet_and_no_longer_than_its_bound() {
        let (mut queue, a) = (Queue::default(), key("111111111111"));
        queue.touch(a.clone(), ms(0));
        assert_eq!(queue.next(ms(0)), Next::Run(a.clone()));
        queue.done(&a, ms(10), None);
        for at in (20..=320).step_by(20) {
            assert!(!matches!(queue.next(ms(at - 1)), Next::Run(_)), "at {at}");
            queue.touch(a.clone(), ms(at));
        }
        assert_eq!(queue.next(ms(320)), Next::Run(a));
    }

    #[test]
    fn a_scheduled_key_runs_at_its_time_and_a_touch_brings_it_forward() {
        let (mut queue, a) = (Queue::default(), key("111111111111"));
        queue.schedule(a.clone(), ms(5000));
        assert_eq!(queue.next(ms(0)), Next::WaitUntil(ms(5000)));
        queue.touch(a.clone(), ms(1000));
        assert_eq!(queue.next(ms(1000)), Next::Run(a.clone()));
        queue.done(&a, ms(1100), Some(ms(9000)));
        assert_eq!(queue.next(ms(1100)), Next::WaitUntil(ms(9000)));
    }

    #[test]
    fn the_order_is_by_due_time_and_then_by_key() {
        let mut queue = Queue::default();
        for account in ["333333333333", "111111111111", "222222222222"] {
            queue.touch(key(account), ms(0));
        }
        for account in ["111111111111", "222222222222", "333333333333"] {
            assert_eq!(queue.next(ms(0)), Next::Run(key(account)));
        }
        assert_eq!(queue.depth(), (0, 3));
    }
}
