//! Whose specs are read again: a few at a time, since each may be as long as etcd takes, and in turn by namespace, so that
//! nobody waits for all that another has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use super::objects::ObjectId;

const AT_ONCE: usize = 2;

#[derive(Debug, Default)]
pub struct Reading {
    waiting: BTreeMap<String, VecDeque<ObjectId>>,
    under_way: BTreeSet<ObjectId>,
    /// Whose turn was last.
    last: String,
}

impl Reading {
    /// An object's spec is missed. Who waits already keeps its place.
    pub fn ask(&mut self, id: ObjectId) {
        let waiting = self.waiting.entry(id.namespace.clone()).or_default();
        if !self.under_way.contains(&id) && !waiting.contains(&id) {
            waiting.push_back(id);
        }
    }

    /// What is to be read now, if something is and there is room for it.
    #[expect(clippy::should_implement_trait, reason = "it goes on after None, as an iterator does not")]
    pub fn next(&mut self) -> Option<ObjectId> {
        if self.under_way.len() >= AT_ONCE {
            return None;
        }
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        let after = (Bound::Excluded(self.last.clone()), Bound::Unbounded);
        let turn = self.waiting.range(after).chain(&self.waiting).next().map(|(namespace, _)| namespace.clone())?;
        let id = self.waiting.get_mut(&turn)?.pop_front()?;
        self.last = turn;
        self.under_way.insert(id.clone());
        Some(id)
    }

    /// It was read, or cannot be.
    pub fn done(&mut self, id: &ObjectId) {
        self.under_way.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;

    fn id(namespace: &str, name: &str) -> ObjectId {
        ObjectId { kind: Kind::RegistryPolicy, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_few_are_read_at_a_time_and_each_namespace_has_its_turn() {
        let mut reading = Reading::default();
        for name in ["1", "2", "3", "2"] {
            reading.ask(id("a", name));
        }
        reading.ask(id("b", "1"));
        let read = [reading.next(), reading.next()].map(Option::unwrap);
        assert_eq!(read, [id("a", "1"), id("b", "1")]);
        assert_eq!(reading.next(), None, "two are under way");
        reading.ask(id("a", "1"));
        reading.done(&read[0]);
        reading.done(&read[1]);
        assert_eq!([reading.next(), reading.next()].map(Option::unwrap), [id("a", "2"), id("a", "3")]);
        reading.done(&id("a", "2"));
        assert_eq!(reading.next(), None, "who waits or is read is not read twice");
    }
}
