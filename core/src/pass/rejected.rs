//! Principals of ours that AWS stopped taking, as those of a closed account: a policy that names one is refused whole, also
//! one that only takes away. The search for them leaves principals out, so it runs only while something is due; whom it
//! left out is put back by halves, and whom AWS refuses even then stays out and is tried again alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::bisect::Bisect;
use super::memory::Patience;
use super::queue::Now;
use crate::policy::{Effect, Principal, Statement};

/// So many that were rejected before are tried alone, before halves are.
const LIKELY_AT_MOST: usize = 3;
/// Where AWS refuses statements of others, nobody of ours is searched for so long.
const HOPELESS_FOR: Duration = Duration::from_mins(1);

#[derive(Clone, Debug)]
struct Refused {
    tries: u32,
    next_try: Now,
}

/// Whom a search left out, and who of them is back.
#[derive(Clone, Debug)]
struct PuttingBack {
    principals: Vec<Principal>,
    bisect: Bisect,
    /// Indexes of those that AWS took, or is being asked to.
    back: BTreeSet<usize>,
}

impl PuttingBack {
    /// Those that AWS took.
    fn taken(&self) -> BTreeSet<usize> {
        self.bisect.clone().finish().accepted.into_iter().collect()
    }

    fn is_asked(&self) -> bool {
        self.back != self.taken()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Rejected {
    refused: BTreeMap<Principal, Refused>,
    putting_back: Option<PuttingBack>,
    /// One that was refused, and that AWS is being asked to take again.
    trying: Option<Principal>,
    refused_before: BTreeSet<Principal>,
    /// Whom a search left out, until somebody was told.
    news: BTreeSet<Principal>,
    /// Statements of others that AWS refuses without anybody of ours beside them.
    hopeless: Option<(Vec<String>, Now)>,
}

impl Rejected {
    /// Those that AWS refuses for certain.
    pub fn certain(&self) -> impl Iterator<Item = &Principal> {
        self.refused.keys()
    }

    /// The same, and those that were left out and may be taken.
    pub fn all(&self) -> BTreeSet<Principal> {
        let unsure = self.putting_back.iter().flat_map(|putting| &putting.principals);
        self.refused.keys().chain(unsure).cloned().collect()
    }

    /// Whom the next write leaves out.
    pub fn left_out(&self) -> BTreeSet<Principal> {
        let refused = self.refused.keys().filter(|one| self.trying.as_ref() != Some(one));
        let putting = self.putting_back.iter();
        let unsure = putting.flat_map(|putting| {
            let indexed = putting.principals.iter().enumerate();
            indexed.filter(|(i, _)| !putting.back.contains(i)).map(|(_, principal)| principal)
        });
        refused.chain(unsure).cloned().collect()
    }

    /// Whom to leave out, one set after another, until AWS takes the rest: those first that were refused before, then one
    /// half, the other, and all.
    pub fn suspects(&self, ours: &BTreeSet<Principal>) -> Vec<BTreeSet<Principal>> {
        let likely = ours.intersection(&self.refused_before).take(LIKELY_AT_MOST);
        let mut sets: Vec<_> = likely.map(|one| BTreeSet::from([one.clone()])).collect();
        let half = ours.len() / 2;
        let halves =
            [ours.iter().take(half).cloned().collect(), ours.iter().skip(half).cloned().collect(), ours.clone()];
        sets.extend(halves.into_iter().filter(|set: &BTreeSet<_>| !set.is_empty()));
        sets.dedup();
        sets
    }

    /// AWS took the document without these.
    pub fn found(&mut self, without: BTreeSet<Principal>, patience: &Patience, now: Now) {
        self.news.extend(without.iter().cloned());
        let unsure = self.left_out().into_iter().filter(|one| !self.refused.contains_key(one));
        let principals: Vec<_> = unsure.chain(without).collect::<BTreeSet<_>>().into_iter().collect();
        self.putting_back = None;
        if let [one] = principals.as_slice() {
            self.refuse(one.clone(), patience, now);
            return;
        }
        let bisect = Bisect::on_what_stands(principals.len());
        self.putting_back = Some(PuttingBack { principals, bisect, back: BTreeSet::new() });
    }

    /// Whom searches have left out since this was asked last.
    pub fn take_news(&mut self) -> BTreeSet<Principal> {
        std::mem::take(&mut self.news)
    }

    /// Whether AWS refuses these statements of others, whatever stands beside them.
    pub fn is_hopeless(&self, foreign: &[String], now: Now) -> bool {
        self.hopeless.as_ref().is_some_and(|(same, at)| same == foreign && now.saturating_sub(*at) < HOPELESS_FOR)
    }

    pub fn found_nobody(&mut self, foreign: Vec<String>, now: Now) {
        self.hopeless = Some((foreign, now));
    }

    /// AWS took a document.
    pub fn accepted(&mut self) {
        self.hopeless = None;
    }

    /// Whether somebody is to be put back now; whom, [`Self::left_out`] tells from then on until the answer.
    pub fn put_back(&mut self, now: Now) -> bool {
        if let Some(putting) = &mut self.putting_back {
            if let Some(probe) = putting.bisect.next_probe() {
                putting.back = probe.into_iter().collect();
                return true;
            }
            return false;
        }
        let due = self.refused.iter().find(|(_, refused)| refused.next_try <= now);
        self.trying = due.map(|(principal, _)| principal.clone());
        self.trying.is_some()
    }

    /// Whether the next write asks AWS whether it takes somebody again.
    pub fn is_putting_back(&self) -> bool {
        self.trying.is_some() || self.putting_back.as_ref().is_some_and(PuttingBack::is_asked)
    }

    /// Whether somebody waits to be put back.
    pub fn is_open(&self, now: Now) -> bool {
        self.putting_back.is_some() || self.refused.values().any(|refused| refused.next_try <= now)
    }

    /// What AWS said to it.
    pub fn answer(&mut self, accepted: bool, patience: &Patience, now: Now) {
        if let Some(principal) = self.trying.take() {
            if accepted {
                self.refused.remove(&principal);
                self.refused_before.insert(principal);
            } else {
                self.refuse(principal, patience, now);
            }
            return;
        }
        let Some(mut putting) = self.putting_back.take() else { return };
        putting.bisect.answer(accepted);
        putting.back = putting.taken();
        // Asking for the next probe may find the last of them.
        let mut asked = putting.bisect.clone();
        if asked.next_probe().is_some() {
            self.putting_back = Some(putting);
            return;
        }
        for culprit in asked.finish().culprits.into_iter().filter_map(|i| putting.principals.get(i).cloned()) {
            self.refuse(culprit, patience, now);
        }
    }

    /// Nobody knows what AWS said to it: it is asked again.
    pub fn unanswered(&mut self) {
        self.trying = None;
        if let Some(putting) = &mut self.putting_back {
            putting.back = putting.taken();
        }
    }

    fn refuse(&mut self, principal: Principal, patience: &Patience, now: Now) {
        let tries = self.refused.get(&principal).map_or(0, |refused| refused.tries);
        let wait = (patience.first_retry * 2_u32.saturating_pow(tries.min(16))).min(patience.longest_retry);
        self.refused.insert(principal, Refused { tries: tries + 1, next_try: now + wait });
    }

    /// When the next one is tried again.
    pub fn next(&self, now: Now) -> Option<Now> {
        self.refused.values().map(|refused| refused.next_try).filter(|at| *at > now).min()
    }
}

/// Statements without some principals in what they allow: who is left out of a denial would have more than before.
pub fn allowing_without(statements: &[Statement], left_out: &BTreeSet<Principal>) -> Vec<Statement> {
    let kept = statements.iter().filter_map(|statement| {
        if statement.effect == Effect::Deny || statement.principals.is_disjoint(left_out) {
            return Some(statement.clone());
        }
        let principals: BTreeSet<_> = statement.principals.difference(left_out).cloned().collect();
        (!principals.is_empty()).then(|| Statement { principals: principals.into(), ..statement.clone() })
    });
    kept.collect()
}

/// What statements allow to some principals, one a statement.
pub fn allowed_to(statements: &[Statement], principals: &BTreeSet<Principal>) -> Vec<Statement> {
    let allows = statements.iter().filter(|s| s.effect == Effect::Allow && !s.principals.is_disjoint(principals));
    allows.flat_map(Statement::atoms).filter(|atom| !atom.principals.is_disjoint(principals)).collect()
}
