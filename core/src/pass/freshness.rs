//! How old what the watches show is, and when they have to prove that it is not. A view is as old as its last proof: a
//! complete list, or a revision that the API server answered from etcd and that the watch has reached since. That an event
//! or a bookmark came proves nothing: an API server that stands still goes on sending old ones. Pure: it is told what was
//! asked and answered, and says what is to be asked next.

mod ages;
mod meanwhile;
mod view;

use std::str::FromStr;
use std::time::Duration;

pub use ages::{Ages, OldViews, Proof, Store};
pub use meanwhile::Meanwhile;
pub use view::{Do, View};

use super::queue::Now;

/// A view is asked to prove itself this long after its last proof.
const ASKED_AFTER: Duration = Duration::from_mins(2);
/// A view that has not reached by then what it was asked for is listed anew.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);
/// A view that cannot prove itself otherwise is listed this often at most.
const LISTED_EVERY: Duration = Duration::from_mins(5);
/// A view without a proof for this long is old.
const OLD_AFTER: Duration = Duration::from_mins(10);
/// An API server sends a bookmark this often, and one asked for this long after the last soon has its answer reached.
const BOOKMARKS_EVERY: Duration = Duration::from_mins(1);
const ASKED_AFTER_BOOKMARK: Duration = Duration::from_secs(45);
/// Clocks that part by more were set, or stood still.
const CLOCKS_PART_BY: Duration = Duration::from_secs(30);

/// A revision of etcd. What is not a number cannot be compared, and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(u128);

impl FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells when the date and the monotonic clock part: somebody set the date, or the machine stood still.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parting {
    /// The date and the clock when they were last known to go together.
    together: Option<(Duration, Now)>,
}

impl Parting {
    /// `date`: since 1970.
    pub fn have_parted(&mut self, date: Duration, now: Now) -> bool {
        let (date_then, then) = *self.together.get_or_insert((date, now));
        let parted = (date + then).abs_diff(date_then + now) > CLOCKS_PART_BY;
        if parted {
            self.together = Some((date, now));
        }
        parted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_a_number_or_none() {
        assert!("9".parse::<Revision>().unwrap() < "10".parse::<Revision>().unwrap());
        assert_eq!("10".parse::<Revision>().unwrap().to_string(), "10");
        for text in ["", "10a", "-1", "uid:7"] {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
    }

    #[test]
    fn clocks_part_in_both_directions_and_once() {
        let seconds = Duration::from_secs;
        for step in [-3600_i64, -31, 31, 3600] {
            let mut parting = Parting::default();
            let date = |now: u64, step: i64| seconds((1_000_000 + now).checked_add_signed(step).unwrap());
            assert!(!parting.have_parted(date(0, 0), seconds(0)));
            assert!(!parting.have_parted(date(500, 30), seconds(500)), "half a minute is within what is let pass");
            assert!(parting.have_parted(date(600, step), seconds(600)), "{step}");
            assert!(!parting.have_parted(date(601, step), seconds(601)), "{step}");
        }
    }
}
