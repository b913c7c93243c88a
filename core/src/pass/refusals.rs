//! What AWS refused, by object, and when it is tried again: slower every time, and at once if something else is wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::memory::Patience;
use super::objects::ObjectId;
use super::queue::Now;

#[derive(Clone, Debug)]
struct Refused<W> {
    wanted: W,
    since: Now,
    tries: u32,
    next_try: Now,
}

#[derive(Clone, Debug)]
pub struct Refusals<W> {
    of: BTreeMap<ObjectId, Refused<W>>,
}

impl<W> Default for Refusals<W> {
    fn default() -> Self {
        Self { of: BTreeMap::new() }
    }
}

impl<W: PartialEq> Refusals<W> {
    pub fn refuse(&mut self, id: &ObjectId, wanted: W, patience: &Patience, now: Now) {
        let before = self.of.remove(id).filter(|refused| refused.wanted == wanted);
        let (since, tries) = before.map_or((now, 0), |refused| (refused.since, refused.tries));
        let wait = (patience.first_retry * 2_u32.saturating_pow(tries.min(16))).min(patience.longest_retry);
        self.of.insert(id.clone(), Refused { wanted, since, tries: tries + 1, next_try: now + wait });
    }

    /// AWS took it, or nobody wants it any more.
    pub fn forgive(&mut self, id: &ObjectId) {
        self.of.remove(id);
    }

    pub fn retain(&mut self, attached: impl Fn(&ObjectId) -> bool) {
        self.of.retain(|id, _| attached(id));
    }

    /// For how long just this has been refused, if its time has not come again.
    pub fn waits<T: ?Sized + PartialEq>(&self, id: &ObjectId, wanted: &T, now: Now) -> Option<Duration>
    where
        W: std::borrow::Borrow<T>,
    {
        let refused = self.of.get(id).filter(|refused| refused.wanted.borrow() == wanted && now < refused.next_try)?;
        Some(now.saturating_sub(refused.since))
    }

    /// For how long something of the object has been refused.
    pub fn age(&self, id: &ObjectId, now: Now) -> Option<Duration> {
        self.of.get(id).map(|refused| now.saturating_sub(refused.since))
    }

    /// When the next one is due. One whose time has come and that was not tried does not want to be.
    pub fn next(&self, now: Now) -> Option<Now> {
        self.of.values().map(|refused| refused.next_try).filter(|at| *at > now).min()
    }
}
