//! Whose turn it is: where many wait for one gate, namespaces take turns, so that nobody waits for all that one of them asks.

use std::collections::{BTreeMap, VecDeque};

/// The same, one of each namespace after the other: first everybody's first, then everybody's second. Within a namespace the
/// order stays.
pub fn by_namespace<T>(all: impl IntoIterator<Item = T>, namespace: impl Fn(&T) -> &str) -> Vec<T> {
    let mut queues = BTreeMap::<String, VecDeque<T>>::new();
    for one in all {
        queues.entry(namespace(&one).to_owned()).or_default().push_back(one);
    }
    let mut turns = Vec::new();
    while !queues.is_empty() {
        turns.extend(queues.values_mut().filter_map(VecDeque::pop_front));
        queues.retain(|_, queue| !queue.is_empty());
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_more_than_one_of_every_other() {
        let all = ["a/1", "a/2", "a/3", "b/1", "c/1", "c/2"];
        let turns = by_namespace(all, |one| one.split('/').next().unwrap());
        assert_eq!(turns, ["a/1", "b/1", "c/1", "a/2", "c/2", "a/3"]);
        assert!(by_namespace([], |one: &&str| *one).is_empty());
    }
}
