//! What a watch shows while a list is under way. A list is of one moment: what was changed after it is put on top.

use std::collections::BTreeMap;

use super::Revision;

/// The last that was shown of each object since a list began, `T` being an object that is there or one that is gone.
#[derive(Clone, Debug)]
pub struct Meanwhile<K, T>(BTreeMap<K, (Revision, T)>);

impl<K, T> Default for Meanwhile<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, T> Meanwhile<K, T> {
    /// Without a revision nobody can tell whether the list shows it: the watch is opened where the list ends, and brings it.
    pub fn note(&mut self, key: K, revision: Option<Revision>, shown: T) {
        if let Some(revision) = revision {
            self.0.insert(key, (revision, shown));
        }
    }

    /// What a list of this revision does not show.
    pub fn after(self, list: Option<Revision>) -> impl Iterator<Item = T> {
        self.0.into_values().filter(move |(revision, _)| list.is_some_and(|list| *revision > list)).map(|(_, t)| t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_after_the_list_is_put_on_top_of_it() {
        let number = |text: &str| text.parse::<Revision>().ok();
        let mut meanwhile = Meanwhile::default();
        meanwhile.note("before", number("9"), "a");
        meanwhile.note("with", number("10"), "b");
        meanwhile.note("after", number("11"), "c");
        meanwhile.note("after", number("12"), "d");
        meanwhile.note("nameless", None, "e");
        assert_eq!(meanwhile.clone().after(number("10")).collect::<Vec<_>>(), ["d"]);
        assert_eq!(meanwhile.after(None).count(), 0);
    }
}
