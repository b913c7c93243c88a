//! One watched kind: what is live, and a relist that replaces it whole or not at all. What cannot be read is kept by name:
//! it is there, and nobody acts on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::objects::Watched;

/// What a watch says.
#[derive(Clone, Debug)]
pub enum Change<K, V> {
    /// A list begins: what follows until `Listed` replaces everything.
    Listing,
    /// One object of the list.
    ListItem(K, V),
    /// One object of the list that cannot be read.
    ListUnreadable(K),
    /// One object that is gone since the list was made.
    ListGone(K),
    /// The list is complete.
    Listed,
    /// An object was made or changed.
    Apply(K, V),
    /// An object was made or changed, and cannot be read as it is now.
    Unreadable(K),
    /// An object is gone.
    Delete(K),
}

/// What a change means to the passes.
#[derive(Debug)]
pub(crate) enum Effect<V> {
    Nothing,
    One { old: Option<Arc<V>>, new: Option<Arc<V>> },
    Everything,
}

/// What can be read of a list, and what cannot.
type Listed<K, V> = (BTreeMap<K, Arc<V>>, BTreeSet<K>);

#[derive(Debug)]
pub(crate) struct Collection<K, V> {
    live: BTreeMap<K, Arc<V>>,
    unreadable: BTreeSet<K>,
    incoming: Option<Listed<K, V>>,
    ready: bool,
    /// Our own last write of an object, shown until the watch has moved past every version it was based on.
    overlays: BTreeMap<K, Overlay<V>>,
}

/// What we wrote last, and the versions on the way to it that the watch may still show.
#[derive(Debug)]
struct Overlay<V> {
    /// `None`: the object was not there.
    bases: Vec<Option<String>>,
    /// `None`: it is removed.
    ours: Option<Arc<V>>,
    /// A list that began after the write does not show an older state.
    precedes_list: bool,
}

impl<V: Watched> Overlay<V> {
    fn covers(&self, live: Option<&Arc<V>>) -> bool {
        let live = live.map(|live| live.resource_version());
        self.bases.iter().any(|base| base.as_deref() == live)
    }
}

impl<K: Ord + Clone, V: Watched> Collection<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            live: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            incoming: None,
            ready: false,
            overlays: BTreeMap::new(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Arc<V>> {
        let live = self.live.get(key);
        match self.overlays.get(key) {
            Some(overlay) if overlay.covers(live) => overlay.ours.as_ref(),
            _ => live,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        let made = self.overlays.keys().filter(|key| !self.live.contains_key(*key));
        self.live.keys().chain(made).filter_map(|key| self.get(key).map(|value| (key, value)))
    }

    /// Objects that are there and cannot be read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = &K> {
        self.unreadable.iter()
    }

    /// Shows what we wrote until the watch brings it: otherwise the next pass would judge by the state before it.
    /// `base`: the version that was written over, if the object was there; `ours`: nothing, if it was removed.
    pub(crate) fn overlay(&mut self, key: K, base: Option<&str>, ours: Option<V>) {
        let follows = |earlier: &Overlay<V>| earlier.ours.as_ref().map(|ours| ours.resource_version()) == base;
        let earlier = self.overlays.remove(&key).filter(follows);
        let mut bases = earlier.map(|earlier| earlier.bases).unwrap_or_default();
        bases.push(base.map(str::to_owned));
        self.overlays.insert(key, Overlay { bases, ours: ours.map(Arc::new), precedes_list: false });
    }

    /// Keeps something else of a version that is there; what it says to a pass is the same.
    pub(crate) fn amend(&mut self, key: &K, other: impl Fn(&V) -> Option<V>) {
        let ours = self.overlays.get_mut(key).and_then(|overlay| overlay.ours.as_mut());
        for there in self.live.get_mut(key).into_iter().chain(ours) {
            if let Some(other) = other(there) {
                *there = Arc::new(other);
            }
        }
    }

    pub(crate) fn change(&mut self, change: Change<K, V>) -> Effect<V> {
        match change {
            Change::Listing => {
                self.incoming = Some(Default::default());
                self.overlays.values_mut().for_each(|overlay| overlay.precedes_list = true);
                Effect::Nothing
            }
            Change::ListItem(key, value) => {
                let (readable, unreadable) = self.incoming.get_or_insert_with(Default::default);
                unreadable.remove(&key);
                readable.insert(key, Arc::new(value));
                Effect::Nothing
            }
            Change::ListUnreadable(key) => {
                let (readable, unreadable) = self.incoming.get_or_insert_with(Default::default);
                readable.remove(&key);
                unreadable.insert(key);
                Effect::Nothing
            }
            Change::ListGone(key) => {
                let (readable, unreadable) = self.incoming.get_or_insert_with(Default::default);
                readable.remove(&key);
                unreadable.remove(&key);
                Effect::Nothing
            }
            Change::Listed => {
                (self.live, self.unreadable) = self.incoming.take().unwrap_or_default();
                let live = &self.live;
                self.overlays.retain(|key, overlay| {
                    let live = live.get(key);
                    overlay.covers(live) && !(overlay.precedes_list && live.is_none())
                });
                self.ready = true;
                Effect::Everything
            }
            Change::Apply(key, value) => {
                let seen = self.get(&key).cloned();
                let new = Arc::new(value);
                let was_unreadable = self.unreadable.remove(&key);
                self.live.insert(key.clone(), Arc::clone(&new));
                if self.overlays.get(&key).is_some_and(|overlay| !overlay.covers(Some(&new))) {
                    self.overlays.remove(&key);
                }
                match seen {
                    Some(old) if !was_unreadable && !old.calls_for_a_pass(&new) => Effect::Nothing,
                    old => Effect::One { old, new: Some(new) },
                }
            }
            Change::Unreadable(key) => {
                self.overlays.remove(&key);
                self.unreadable.insert(key.clone());
                Effect::One { old: self.live.remove(&key), new: None }
            }
            Change::Delete(key) => {
                self.unreadable.remove(&key);
                let seen = self.get(&key).cloned();
                self.live.remove(&key);
                if self.overlays.get(&key).is_some_and(|overlay| !overlay.covers(None) || overlay.ours.is_none()) {
                    self.overlays.remove(&key);
                }
                Effect::One { old: seen, new: self.get(&key).cloned() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Thing(&'static str, u32);

    impl Watched for Thing {
        fn resource_version(&self) -> &str {
            self.0
        }
        fn calls_for_a_pass(&self, newer: &Self) -> bool {
            self.1 != newer.1
        }
    }

    fn listed(items: &[(u8, Thing)]) -> Collection<u8, Thing> {
        let mut all = Collection::new();
        all.change(Change::Listing);
        for (key, thing) in items {
            all.change(Change::ListItem(*key, thing.clone()));
        }
        all.change(Change::Listed);
        all
    }

    #[test]
    fn a_relist_replaces_everything_and_only_when_it_is_complete() {
        let mut all = listed(&[(1, Thing("1", 0)), (2, Thing("2", 0))]);
        all.change(Change::Listing);
        all.change(Change::ListItem(2, Thing("3", 0)));
        assert!(all.get(&1).is_some(), "half a list hides nothing");
        assert!(matches!(all.change(Change::Listed), Effect::Everything));
        assert!(all.get(&1).is_none());
    }

    #[test]
    fn what_the_watch_has_shown_since_a_list_was_made_is_put_on_top_of_it() {
        let mut all = listed(&[(1, Thing("1", 0)), (2, Thing("2", 0)), (3, Thing("3", 0))]);
        all.change(Change::Listing);
        for key in 1..=3 {
            all.change(Change::ListItem(key, Thing("1", 0)));
        }
        all.change(Change::Apply(1, Thing("9", 7)));
        assert_eq!(all.get(&1).unwrap().1, 7, "it is seen at once");
        all.change(Change::ListItem(1, Thing("9", 7)));
        all.change(Change::ListGone(2));
        all.change(Change::ListUnreadable(3));
        all.change(Change::Listed);
        assert_eq!(all.get(&1).unwrap().1, 7);
        assert!(all.get(&2).is_none() && all.get(&3).is_none());
        assert_eq!(all.unreadable().collect::<Vec<_>>(), [&3]);
    }

    #[test]
    fn nothing_is_ready_before_its_first_list_is_complete() {
        let mut all = Collection::<u8, Thing>::new();
        all.change(Change::Listing);
        all.change(Change::ListItem(1, Thing("1", 0)));
        assert!(!all.is_ready());
        all.change(Change::Listed);
        assert!(all.is_ready());
    }

    #[test]
    fn the_echo_of_our_own_write_calls_for_nothing() {
        let mut all = listed(&[(1, Thing("1", 0))]);
        assert!(matches!(all.change(Change::Apply(1, Thing("2", 0))), Effect::Nothing));
        assert!(matches!(all.change(Change::Apply(1, Thing("3", 1))), Effect::One { .. }));
    }

    #[test]
    fn our_own_write_is_seen_until_the_watch_has_moved() {
        let mut all = listed(&[(1, Thing("1", 0))]);
        all.overlay(1, Some("1"), Some(Thing("2", 7)));
        assert_eq!(all.get(&1).unwrap().1, 7);
        all.change(Change::Apply(1, Thing("1", 0)));
        assert_eq!(all.get(&1).unwrap().1, 7, "a repeated event of the base version moves nothing");
        all.change(Change::Apply(1, Thing("2", 7)));
        all.change(Change::Apply(1, Thing("3", 8)));
        assert_eq!(all.get(&1).unwrap().1, 8);
    }

    #[test]
    fn our_second_write_is_seen_while_the_watch_still_shows_what_was_before_the_first() {
        let mut all = listed(&[(1, Thing("1", 0))]);
        all.overlay(1, Some("1"), Some(Thing("2", 7)));
        all.overlay(1, Some("2"), Some(Thing("3", 8)));
        for late in [Thing("1", 0), Thing("2", 7)] {
            all.change(Change::Apply(1, late));
            assert_eq!(all.get(&1).unwrap().1, 8);
        }
        all.change(Change::Apply(1, Thing("4", 9)));
        assert_eq!(all.get(&1).unwrap().1, 9);
    }

    #[test]
    fn what_we_made_is_seen_until_the_watch_or_a_later_list_brings_it() {
        let mut all = listed(&[]);
        all.overlay(1, None, Some(Thing("2", 7)));
        assert_eq!(all.iter().count(), 1);
        assert!(matches!(all.change(Change::Apply(1, Thing("2", 7))), Effect::Nothing), "the echo calls for nothing");
        all.change(Change::Delete(1));
        assert_eq!(all.iter().count(), 0);
        // A list that began before it was made may lack it; one that began after it may not.
        all.change(Change::Listing);
        all.overlay(1, None, Some(Thing("5", 7)));
        all.change(Change::Listed);
        assert_eq!(all.iter().count(), 1);
        all.change(Change::Listing);
        all.change(Change::Listed);
        assert_eq!(all.iter().count(), 0);
    }

    #[test]
    fn what_we_removed_is_not_seen_any_more_while_the_watch_still_shows_it() {
        let mut all = listed(&[(1, Thing("1", 0))]);
        all.overlay(1, Some("1"), Some(Thing("2", 0)));
        all.overlay(1, Some("2"), None);
        all.change(Change::Apply(1, Thing("2", 0)));
        assert!(all.get(&1).is_none());
        all.change(Change::Delete(1));
        all.change(Change::Apply(1, Thing("9", 0)));
        assert_eq!(all.get(&1).unwrap().0, "9", "another of the same name");
    }

    #[test]
    fn what_cannot_be_read_is_known_to_be_there() {
        let mut all = listed(&[(1, Thing("1", 0)), (2, Thing("2", 0))]);
        assert!(matches!(all.change(Change::Unreadable(1)), Effect::One { old: Some(_), new: None }));
        assert!(all.get(&1).is_none());
        assert_eq!(all.unreadable().collect::<Vec<_>>(), [&1]);
        assert!(matches!(all.change(Change::Apply(1, Thing("4", 0))), Effect::One { old: None, new: Some(_) }));
        assert_eq!(all.unreadable().count(), 0);
    }
}
