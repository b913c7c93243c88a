//! When what is left open is tried again: slower every time, and for each by itself, so that nobody waits longer because
//! somebody else has failed for long.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::Patience;
use super::objects::ObjectId;
use super::queue::Now;

/// For whom a pass left something open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// AWS, the Registry itself, or what the API server has of it.
    Registry,
    /// What is on record of a namespace.
    Namespace(String),
    Object(ObjectId),
}

impl Whom {
    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Registry => None,
            Self::Namespace(namespace) => Some(namespace),
            Self::Object(id) => Some(&id.namespace),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    tries: u32,
    next: Now,
}

#[derive(Clone, Debug, Default)]
pub struct Backoff {
    waiting: BTreeMap<Whom, Waiting>,
    /// When something of a namespace was last tried because its time had come.
    tried: BTreeMap<String, Now>,
}

impl Backoff {
    /// A pass has ended, and left this open. A pass before somebody's time tries as well, and changes nothing about it.
    pub fn left_open(&mut self, open: &BTreeSet<Whom>, patience: &Patience, now: Now) {
        self.waiting.retain(|whom, _| open.contains(whom));
        for whom in open {
            self.failed(whom, patience, now);
        }
        let waiting: BTreeSet<_> = self.waiting.keys().filter_map(Whom::namespace).collect();
        self.tried.retain(|namespace, _| waiting.contains(namespace.as_str()));
    }

    /// A pass has failed for somebody, and says nothing of the others: when it is tried again.
    pub fn failed(&mut self, whom: &Whom, patience: &Patience, now: Now) -> Now {
        let tries = match self.waiting.get(whom) {
            Some(waiting) if waiting.next > now => return waiting.next,
            Some(waiting) => waiting.tries + 1,
            None => 0,
        };
        if let (Some(namespace), true) = (whom.namespace(), tries > 0) {
            self.tried.insert(namespace.to_owned(), now);
        }
        let wait = patience.first_retry / 2 * 2_u32.saturating_pow(tries.min(16));
        let next = now + wait.min(patience.longest_retry);
        self.waiting.insert(whom.clone(), Waiting { tries, next });
        next
    }

    /// When the first of them is to be tried again: a namespace's own are no more often, however many there are.
    pub fn next(&self, patience: &Patience) -> Option<Now> {
        let next = |(whom, waiting): (&Whom, &Waiting)| {
            let tried = whom.namespace().and_then(|namespace| self.tried.get(namespace));
            tried.map_or(waiting.next, |tried| waiting.next.max(*tried + patience.first_retry))
        };
        self.waiting.iter().map(next).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::Kind;

    const fn at(seconds: u64) -> Now {
        Duration::from_secs(seconds)
    }

    fn object(namespace: &str, name: &str) -> Whom {
        let id = ObjectId { kind: Kind::RegistryPolicy, namespace: namespace.to_owned(), name: name.to_owned() };
        Whom::Object(id)
    }

    /// Runs passes whenever the back-off asks for one, each leaving the same open, and tells when they ran.
    fn passes(backoff: &mut Backoff, open: &BTreeSet<Whom>, until: Now) -> Vec<Now> {
        let mut ran = Vec::new();
        let mut now = ran.last().copied().unwrap_or_default();
        while now <= until {
            ran.push(now);
            backoff.left_open(open, &Patience::default(), now);
            now = backoff.next(&Patience::default()).unwrap();
        }
        ran
    }

    #[test]
    fn each_waits_by_itself_twice_as_long_every_time() {
        let mut backoff = Backoff::default();
        let stuck = BTreeSet::from([object("a", "stuck")]);
        let ran = passes(&mut backoff, &stuck, at(3600));
        let waits: Vec<_> = ran.windows(2).map(|pair| pair[1].saturating_sub(pair[0]).as_millis()).collect();
        assert_eq!(waits[..4], [2500, 5000, 10_000, 20_000]);
        assert_eq!(waits.last(), Some(&300_000));

        // Who fails for the first time does not wait as long as who has failed for an hour.
        let now = *ran.last().unwrap() + at(1);
        let both: BTreeSet<_> = stuck.iter().cloned().chain([object("b", "new")]).collect();
        backoff.left_open(&both, &Patience::default(), now);
        assert_eq!(backoff.next(&Patience::default()), Some(now + Duration::from_millis(2500)));
        backoff.left_open(&stuck, &Patience::default(), now + at(2));
        assert_eq!(
            backoff.next(&Patience::default()),
            Some(*ran.last().unwrap() + at(300)),
            "the first is where it was"
        );
        backoff.left_open(&BTreeSet::new(), &Patience::default(), now + at(3));
        assert_eq!(backoff.next(&Patience::default()), None);
    }

    #[test]
    fn a_pass_before_its_time_makes_nobody_wait_longer() {
        let mut backoff = Backoff::default();
        let open = BTreeSet::from([Whom::Registry]);
        for second in 0..60 {
            backoff.left_open(&open, &Patience::default(), at(second));
            assert!(backoff.next(&Patience::default()).unwrap() <= at(79), "at {second}");
        }
    }

    #[test]
    fn a_pass_that_cannot_be_finished_is_never_tried_at_once() {
        let (mut backoff, patience) = (Backoff::default(), Patience::default());
        backoff.left_open(&BTreeSet::from([object("a", "stuck")]), &patience, at(0));
        let mut now = at(100);
        for _ in 0..5 {
            let next = backoff.failed(&Whom::Registry, &patience, now);
            assert!(next >= now + Duration::from_millis(2500), "{next:?} at {now:?}");
            now = next;
        }
    }

    #[test]
    fn a_thousand_of_one_namespace_ask_for_no_more_passes_than_one() {
        let mut backoff = Backoff::default();
        let mut open = BTreeSet::new();
        let mut passes = 0;
        let mut now = Duration::ZERO;
        // A new one fails every second: whoever makes it starts a pass anyhow.
        for n in 0..1_000 {
            open.insert(object("a", &n.to_string()));
            backoff.left_open(&open, &Patience::default(), now);
            let next_one = now + at(1);
            while let Some(next) = backoff.next(&Patience::default()).filter(|next| *next < next_one) {
                passes += 1;
                backoff.left_open(&open, &Patience::default(), next);
            }
            now = next_one;
        }
        assert!(passes <= 1_000 / 5 + 1, "{passes} passes in 1,000 seconds");
    }
}
