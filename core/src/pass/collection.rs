//! One watched kind: what is live, and a relist that replaces it whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::objects::Watched;

/// What a watch says.
#[derive(Clone, Debug)]
pub enum Change<K, V> {
    /// A list begins: what follows until `Listed` replaces everything.
    Listing,
    /// One object of the list.
    ListItem(K, V),
    /// The list is complete.
    Listed,
    /// An object was made or changed.
    Apply(K, V),
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

#[derive(Debug)]
pub(crate) struct Collection<K, V> {
    live: BTreeMap<K, Arc<V>>,
    incoming: Option<BTreeMap<K, Arc<V>>>,
    ready: bool,
    /// Our own last write of an object, shown until the watch has moved past every version it was based on.
    overlays: BTreeMap<K, Overlay<V>>,
}

/// What we wrote last, and the versions on the way to it that the watch may still show.
#[derive(Debug)]
struct Overlay<V> {
    bases: Vec<String>,
    ours: Arc<V>,
}

impl<V: Watched> Overlay<V> {
    fn covers(&self, live: &V) -> bool {
        self.bases.iter().any(|base| base == live.resource_version())
    }
}

impl<K: Ord + Clone, V: Watched> Collection<K, V> {
    pub(crate) fn new() -> Self {
        Self { live: BTreeMap::new(), incoming: None, ready: false, overlays: BTreeMap::new() }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Arc<V>> {
        let live = self.live.get(key)?;
        match self.overlays.get(key) {
            Some(overlay) if overlay.covers(live) => Some(&overlay.ours),
            _ => Some(live),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.live.keys().filter_map(|key| self.get(key).map(|value| (key, value)))
    }

    /// Shows what we wrote until the watch brings it: otherwise the next pass would judge by the state before it.
    pub(crate) fn overlay(&mut self, key: K, base: &str, ours: V) {
        let earlier = self.overlays.remove(&key).filter(|earlier| earlier.ours.resource_version() == base);
        let mut bases = earlier.map(|earlier| earlier.bases).unwrap_or_default();
        bases.push(base.to_owned());
        self.overlays.insert(key, Overlay { bases, ours: Arc::new(ours) });
    }

    pub(crate) fn change(&mut self, change: Change<K, V>) -> Effect<V> {
        match change {
            Change::Listing => {
                self.incoming = Some(BTreeMap::new());
                Effect::Nothing
            }
            Change::ListItem(key, value) => {
                self.incoming.get_or_insert_default().insert(key, Arc::new(value));
                Effect::Nothing
            }
            Change::Listed => {
                self.live = self.incoming.take().unwrap_or_default();
                let live = &self.live;
                self.overlays.retain(|key, overlay| live.get(key).is_some_and(|live| overlay.covers(live)));
                self.ready = true;
                Effect::Everything
            }
            Change::Apply(key, value) => {
                let seen = self.get(&key).cloned();
                let new = Arc::new(value);
                self.live.insert(key.clone(), Arc::clone(&new));
                if self.overlays.get(&key).is_some_and(|overlay| !overlay.covers(&new)) {
                    self.overlays.remove(&key);
                }
                match seen {
                    Some(old) if !old.calls_for_a_pass(&new) => Effect::Nothing,
                    old => Effect::One { old, new: Some(new) },
                }
            }
            Change::Delete(key) => {
                self.overlays.remove(&key);
                Effect::One { old: self.live.remove(&key), new: None }
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
        all.overlay(1, "1", Thing("2", 7));
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
        all.overlay(1, "1", Thing("2", 7));
        all.overlay(1, "2", Thing("3", 8));
        for late in [Thing("1", 0), Thing("2", 7)] {
            all.change(Change::Apply(1, late));
            assert_eq!(all.get(&1).unwrap().1, 8);
        }
        all.change(Change::Apply(1, Thing("4", 9)));
        assert_eq!(all.get(&1).unwrap().1, 9);
    }
}
