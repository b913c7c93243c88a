//! Namespaces whose additions AWS refuses. Their growth goes in writes of its own, after everybody else's, and whose it is
//! is searched over several passes: an edit or a new object begins nothing anew.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::bisect::Bisect;
use super::objects::ObjectId;
use super::queue::Now;

/// Refused so often within [`REFUSED_WITHIN`], a namespace is in quarantine: one write in [`QUARANTINED`].
const REFUSED_AT_MOST: usize = 3;
const REFUSED_WITHIN: Duration = Duration::from_mins(1);
const QUARANTINED: Duration = Duration::from_secs(10);

/// A search in one namespace, as far as it got.
#[derive(Clone, Debug)]
pub struct Search {
    pub ids: Vec<ObjectId>,
    pub bisect: Bisect,
}

#[derive(Clone, Debug, Default)]
struct Suspect {
    refused_at: VecDeque<Now>,
    is_quarantined: bool,
    last_write: Option<Now>,
    search: Option<Search>,
}

/// The namespaces whose additions AWS refused last.
#[derive(Clone, Debug, Default)]
pub struct Suspects(BTreeMap<String, Suspect>);

impl Suspects {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, namespace: &str) -> bool {
        self.0.contains_key(namespace)
    }

    /// AWS refused an addition that was of this namespace alone.
    pub fn refused(&mut self, namespace: &str, now: Now) {
        let suspect = self.0.entry(namespace.to_owned()).or_default();
        suspect.last_write = Some(now);
        suspect.refused_at.push_back(now);
        while suspect.refused_at.front().is_some_and(|at| now.saturating_sub(*at) > REFUSED_WITHIN) {
            suspect.refused_at.pop_front();
        }
        suspect.is_quarantined |= suspect.refused_at.len() >= REFUSED_AT_MOST;
    }

    /// AWS took an addition of this namespace alone: what is left of a search goes on, without its quarantine.
    pub fn accepted(&mut self, namespace: &str) {
        if let Some(suspect) = self.0.get_mut(namespace) {
            suspect.refused_at.clear();
            suspect.is_quarantined = false;
        }
    }

    /// When the namespace's growth may be written again.
    fn next_write(suspect: &Suspect) -> Option<Now> {
        suspect.last_write.filter(|_| suspect.is_quarantined).map(|at| at + QUARANTINED)
    }

    pub fn may_write(&self, namespace: &str, now: Now) -> bool {
        self.0.get(namespace).and_then(Self::next_write).is_none_or(|at| at <= now)
    }

    /// When the next of them may write that waits for its time.
    pub fn next(&self, now: Now) -> Option<Now> {
        self.0
            .values()
            .filter(|suspect| suspect.search.is_some())
            .filter_map(Self::next_write)
            .filter(|at| *at > now)
            .min()
    }

    /// The namespaces, those first that have waited longest.
    pub fn in_turn(&self) -> Vec<String> {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(namespace, suspect)| (suspect.last_write, (*namespace).clone()));
        all.into_iter().map(|(namespace, _)| namespace.clone()).collect()
    }

    pub fn take_search(&mut self, namespace: &str) -> Option<Search> {
        self.0.get_mut(namespace)?.search.take()
    }

    /// A search that goes on in a later pass.
    pub fn keep_search(&mut self, namespace: &str, search: Search) {
        self.0.entry(namespace.to_owned()).or_default().search = Some(search);
    }

    /// A search has ended. In quarantine the namespace stays one until something of it is accepted.
    pub fn ended(&mut self, namespace: &str) {
        if self.0.get(namespace).is_some_and(|suspect| !suspect.is_quarantined) {
            self.0.remove(namespace);
        }
    }

    /// Forgets namespaces of which nothing is attached any more.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|namespace, _| is_there(namespace));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Duration::from_secs(seconds)
    }

    #[test]
    fn three_refusals_in_a_minute_are_a_quarantine_and_only_success_ends_it() {
        let mut suspects = Suspects::default();
        for second in [0, 40, 80] {
            suspects.refused("a", at(second));
        }
        assert!(suspects.may_write("a", at(80)), "not three within a minute");
        suspects.refused("a", at(90));
        assert!(!suspects.may_write("a", at(99)) && suspects.may_write("a", at(100)));
        suspects.ended("a");
        assert!(suspects.contains("a") && !suspects.may_write("a", at(99)), "a search that ends changes nothing");
        suspects.accepted("a");
        assert!(suspects.may_write("a", at(91)));
        suspects.ended("a");
        assert!(!suspects.contains("a"));
        assert!(suspects.may_write("b", at(0)), "nobody else's");
    }

    #[test]
    fn who_has_waited_longest_is_first() {
        let mut suspects = Suspects::default();
        suspects.refused("b", at(1));
        suspects.refused("a", at(2));
        assert_eq!(suspects.in_turn(), ["b", "a"]);
        suspects.refused("b", at(3));
        assert_eq!(suspects.in_turn(), ["a", "b"]);
    }
}
