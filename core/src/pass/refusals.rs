//! What AWS refused, by object, and when it is tried again: slower every time, and at once if something else is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::memory::Patience;
use super::objects::ObjectId;
use super::queue::Now;
use crate::reason::{Because, Reason};

/// How soon what heals by itself is tried again.
const SOONEST: Duration = Duration::from_millis(500);

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
        let wait =
            |tries: u32, _| (patience.first_retry * 2_u32.saturating_pow(tries.min(16))).min(patience.longest_retry);
        self.refuse_for(id, wanted, now, wait);
    }

    /// What heals by itself, and soon: after half the time it has taken already.
    fn refuse_briefly(&mut self, id: &ObjectId, wanted: W, patience: &Patience, now: Now) {
        let soonest = SOONEST.min(patience.first_retry);
        self.refuse_for(id, wanted, now, |_, age| (age / 2).clamp(soonest, patience.longest_retry.max(soonest)));
    }

    fn refuse_for(&mut self, id: &ObjectId, wanted: W, now: Now, wait: impl Fn(u32, Duration) -> Duration) {
        let before = self.of.remove(id).filter(|refused| refused.wanted == wanted);
        let (since, tries) = before.map_or((now, 0), |refused| (refused.since, refused.tries));
        let next_try = now + wait(tries, now.saturating_sub(since));
        self.of.insert(id.clone(), Refused { wanted, since, tries: tries + 1, next_try });
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

/// A read may be late for so long; what is not shown then is shown otherwise.
const LATE_READS: Duration = Duration::from_mins(1);

fn not_shown(unshown_for: Duration) -> Because {
    if unshown_for < LATE_READS {
        let message = "AWS does not show yet what was written; it is looked at again.";
        return Because::new(Reason::Progressing, message);
    }
    let message = "AWS shows it otherwise than it was written, again and again: it is written again more and more slowly. Compare it in AWS with the object, and report it.";
    Because::new(Reason::ReadbackDiffers, message)
}

/// What AWS refused to do, `A`, and its words.
#[derive(Clone, Debug)]
pub struct Denied<A> {
    refusals: Refusals<A>,
    because: BTreeMap<ObjectId, Because>,
    /// Whose thing was made then, and was not visible everywhere when more was to be done to it.
    young_since: BTreeMap<ObjectId, Now>,
    /// What AWS did by its word, and does not show.
    unshown: Refusals<A>,
    /// Whose thing on record two reads in a row have not shown.
    absent: BTreeSet<ObjectId>,
}

impl<A> Default for Denied<A> {
    fn default() -> Self {
        Self {
            refusals: Refusals::default(),
            because: BTreeMap::new(),
            young_since: BTreeMap::new(),
            unshown: Refusals::default(),
            absent: BTreeSet::new(),
        }
    }
}

impl<A: Clone + PartialEq> Denied<A> {
    /// AWS refused to do this. What to tell of it: where `names_young` is said, what the act names may not be visible
    /// everywhere yet. A refusal that says `Propagating` itself is of a thing that was made just now: what AWS denies of it
    /// from now on may be allowed once it is visible everywhere.
    pub fn refuse(
        &mut self,
        id: &ObjectId,
        act: &A,
        because: Because,
        names_young: bool,
        patience: &Patience,
        now: Now,
    ) -> Because {
        let age = self.refusals.of.get(id).filter(|refused| refused.wanted == *act);
        let age = age.map_or(Duration::ZERO, |refused| now.saturating_sub(refused.since));
        if because.reason == Reason::Propagating {
            self.young_since.insert(id.clone(), now);
        }
        let youth = self.young_since.get(id).map(|since| now.saturating_sub(*since));
        let propagates = match because.reason {
            Reason::Rejected => names_young && age < patience.propagation,
            Reason::AccessDenied | Reason::Propagating => youth.is_some_and(|youth| youth < patience.propagation),
            _ => false,
        };
        let because = if propagates {
            self.refusals.refuse_briefly(id, act.clone(), patience, now);
            Because { reason: Reason::Propagating, ..because }
        } else {
            self.refusals.refuse(id, act.clone(), patience, now);
            because
        };
        self.because.insert(id.clone(), because.clone());
        because
    }

    /// What AWS said to just this, if its time has not come again.
    pub fn refusal(&self, id: &ObjectId, act: &A, now: Now) -> Option<Because> {
        if let Some(age) = self.unshown.waits(id, act, now) {
            return Some(not_shown(age));
        }
        self.refusals.waits(id, act, now)?;
        self.because.get(id).cloned()
    }

    /// AWS did this by its word, and does not show it: what to tell of it. It is asked to again later, more and more slowly.
    pub fn not_shown(&mut self, id: &ObjectId, act: &A, patience: &Patience, now: Now) -> Because {
        self.unshown.refuse(id, act.clone(), patience, now);
        not_shown(self.unshown.age(id, now).unwrap_or_default())
    }

    /// AWS shows the object's thing as it was written, or it is written otherwise.
    pub fn shown(&mut self, id: &ObjectId) {
        self.unshown.forgive(id);
    }

    /// AWS did what it was asked to do.
    pub fn forgive(&mut self, id: &ObjectId) {
        self.refusals.forgive(id);
        self.because.remove(id);
        self.young_since.remove(id);
    }

    /// Whether this is not shown, and was not shown by the read before either.
    pub fn is_absent(&self, id: &ObjectId) -> bool {
        self.absent.contains(id)
    }

    /// Of all that is on record, what two reads in a row have not shown.
    pub fn note_absent(&mut self, absent: BTreeSet<ObjectId>) {
        self.absent = absent;
    }

    pub(super) fn retain(&mut self, attached: impl Fn(&ObjectId) -> bool) {
        self.refusals.retain(&attached);
        self.unshown.retain(&attached);
        self.because.retain(|id, _| attached(id));
        self.young_since.retain(|id, _| attached(id));
    }

    pub(super) fn next(&self, now: Now) -> Option<Now> {
        [self.refusals.next(now), self.unshown.next(now)].into_iter().flatten().min()
    }
}
