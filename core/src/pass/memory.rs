//! What one registry's passes remember of each other, in memory only: losing it costs a retry, never a grant.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::answers::Answered;
use super::backoff::{Backoff, Whom};
use super::cache_rules;
use super::objects::ObjectId;
use super::orphans::Heard;
use super::queue::Now;
use super::refusals::{Denied, Refusals};
use super::rejected::Rejected;
use super::roles;
use super::scope::ScopeView;
use super::shared_installation::SharedInstallation;
use super::standing::Standing;
use super::suspects::Suspects;
use crate::ownership::Sid;
use crate::policy::Statement;
use crate::reason::Reason;
use crate::shares::Others;

/// How long a principal may be invisible to AWS before its refusal is a refusal (aws-facts D.9, K).
const PROPAGATION: Duration = Duration::from_mins(5);
/// How long after a write a read may still show what was before it (aws-facts K.3).
const LATE_READS: Duration = Duration::from_mins(1);
const REPAIRS_WINDOW: Duration = Duration::from_mins(10);
/// So many grants that were taken away are remembered.
const GIVEN_UP_AT_MOST: usize = 10_000;
/// This many repairs within the window: somebody else keeps writing.
const REPAIRS_AT_MOST: usize = 3;

/// Timings that tests shorten.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub propagation: Duration,
    pub first_retry: Duration,
    pub longest_retry: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { propagation: PROPAGATION, first_retry: Duration::from_secs(5), longest_retry: Duration::from_mins(5) }
    }
}

/// What a document write carried: the foreign statements it had read, and ours.
#[derive(Clone, Debug)]
pub struct Carried {
    pub foreign: Vec<String>,
    pub sids: BTreeSet<Sid>,
    /// What it granted, and what it no longer granted, one principal each.
    pub granted: BTreeSet<Statement>,
    pub dropped: BTreeSet<Statement>,
}

#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub patience: Patience,
    /// What AWS refused of the document.
    refused: Refusals<Vec<Statement>>,
    /// Of which namespaces it refused it.
    pub suspects: Suspects,
    /// Principals that AWS stopped taking.
    pub rejected: Rejected,
    /// What AWS answered and is not asked again yet.
    pub answered: Answered,
    /// Whether another cluster writes under this installation's id.
    pub shared: SharedInstallation,
    /// What AWS refused to do with cache rules.
    pub rules: Denied<cache_rules::Act>,
    /// What AWS refused to do with roles.
    pub roles: Denied<roles::Act>,
    repairs: VecDeque<Now>,
    /// When our last document write was answered, or should have been.
    last_write: Option<Now>,
    /// What AWS showed before that write: for a while, a read that shows it again is late, not a change.
    before_write: Option<String>,
    /// A write whose outcome is unknown: reads must settle before another one.
    unsettled: bool,
    /// Statements of ours that AWS showed otherwise than they were written, and how often.
    readback_differs: BTreeMap<Sid, u32>,
    /// What our last write carried, until a read has shown it.
    carried: Option<Carried>,
    /// Since when reads have shown statements of ours that our last write did not carry and nobody has.
    strange_since: Option<Now>,
    /// What our writes took away. A read that shows it again is late, or somebody put it back: it is nobody's orphan.
    given_up: BTreeSet<Statement>,
    /// A document that AWS took when it was written back unchanged.
    stood: Option<String>,
    /// The scope of the policy, as last read.
    scope: Option<ScopeView>,
    /// What others have of what the registry's namespaces share, as last read.
    others: Others,
    /// What AWS granted under our mark, as last read, one principal each.
    ours: BTreeSet<Statement>,
    /// What was left open, and when it is tried again.
    backoff: Backoff,
    second_look: Option<Now>,
    /// What tokens named that a person confirmed and that are not done with.
    pub heard: Heard,
}

impl Memory {
    pub fn new(patience: Patience) -> Self {
        Self { patience, ..Self::default() }
    }

    /// The scope of the policy, as last read.
    pub fn scope(&self) -> Option<ScopeView> {
        self.scope
    }

    /// The scope was read; whether it is another than was known.
    pub fn saw_scope(&mut self, scope: Option<ScopeView>) -> bool {
        std::mem::replace(&mut self.scope, scope) != scope
    }

    /// What others have of what the registry's namespaces share, as last read.
    pub fn others(&self) -> Others {
        self.others
    }

    /// The policy was read, or the cache rules; whether others have more or less of them than was known.
    pub fn saw_others(&mut self, seen: Others) -> bool {
        let others =
            Others { characters: seen.characters.or(self.others.characters), rules: seen.rules.or(self.others.rules) };
        std::mem::replace(&mut self.others, others) != others
    }

    pub fn saw_ours(&mut self, granted: BTreeSet<Statement>) {
        self.ours = granted;
    }

    /// Whether AWS granted all of this under our mark when it was last read.
    pub fn shows_ours(&self, statements: &[Statement]) -> bool {
        statements.iter().flat_map(Statement::atoms).all(|atom| self.ours.contains(&atom))
    }

    /// AWS refused the document because of this object.
    pub fn refuse(&mut self, id: &ObjectId, wanted: &[Statement], now: Now) {
        self.refused.refuse(id, wanted.to_vec(), &self.patience, now);
    }

    /// AWS took what it had refused before, or the object is gone.
    pub fn forgive(&mut self, id: &ObjectId) {
        self.refused.forgive(id);
    }

    /// Forgets objects that are no longer attached.
    pub fn retain(&mut self, attached: impl Fn(&ObjectId) -> bool) {
        self.refused.retain(&attached);
        self.rules.retain(&attached);
        self.roles.retain(&attached);
    }

    /// Why the object may not be tried now, if AWS refused just this before and its time has not come.
    pub fn refusal(&self, id: &ObjectId, wanted: &[Statement], now: Now) -> Option<Reason> {
        self.refused.waits(id, wanted, now).map(|age| self.reason(age))
    }

    /// The reason to tell of an object AWS has just refused.
    pub fn refusal_reason(&self, id: &ObjectId, now: Now) -> Reason {
        self.refused.age(id, now).map_or(Reason::Rejected, |age| self.reason(age))
    }

    fn reason(&self, refused_for: Duration) -> Reason {
        if refused_for < self.patience.propagation { Reason::Propagating } else { Reason::Rejected }
    }

    /// When the next is due of what was refused or left open.
    pub fn next_retry(&self, now: Now) -> Option<Now> {
        let refused = [self.refused.next(now), self.rules.next(now), self.roles.next(now)];
        let left_open =
            [self.suspects.next(now), self.rejected.next(now), self.backoff.next(&self.patience), self.answered.owed()];
        refused.into_iter().chain(left_open).flatten().min()
    }

    /// A document write was sent, on top of what a read had shown.
    pub fn wrote(&mut self, now: Now, before: String, carried: Carried, outcome_known: bool) {
        self.last_write = Some(now);
        self.unsettled = !outcome_known;
        self.before_write = outcome_known.then_some(before);
        self.given_up.retain(|atom| !carried.granted.contains(atom));
        if self.given_up.len() + carried.dropped.len() > GIVEN_UP_AT_MOST {
            self.given_up.clear();
        }
        self.given_up.extend(carried.dropped.iter().cloned());
        self.carried = Some(carried);
    }

    /// Whether a read shows what our last write did not carry and nobody has, and has not done so for long: an older
    /// state, as far as anybody knows. What stays is an orphan.
    pub fn is_strange(&mut self, standing: &Standing, now: Now) -> bool {
        if standing.strangers.iter().all(|atom| self.gave_up(atom)) {
            self.strange_since = None;
            return false;
        }
        let since = *self.strange_since.get_or_insert(now);
        now.saturating_sub(since) < LATE_READS
    }

    /// Whether one of our writes took this away.
    pub fn gave_up(&self, atom: &Statement) -> bool {
        self.given_up.contains(atom)
    }

    /// Whether a read lacks something that our last write carried: late, or written over; another read must agree.
    pub fn misses(&self, standing: &Standing) -> bool {
        self.carried.as_ref().is_some_and(|carried| {
            carried.foreign.iter().any(|print| !standing.foreign.contains(print))
                || carried.sids.iter().any(|sid| !standing.intact.contains(sid))
        })
    }

    /// Whether a read shows the state before our last write, too soon after it to be believed.
    pub fn is_late(&self, read: &str, now: Now) -> bool {
        self.wrote_within(LATE_READS, now) && self.before_write.as_deref() == Some(read)
    }

    /// A read has shown our last write.
    pub fn write_was_seen(&mut self) {
        self.before_write = None;
        self.carried = None;
        self.unsettled = false;
    }

    pub fn settled(&mut self) {
        self.unsettled = false;
    }

    pub fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// Whether a read may still show what was before our last write.
    pub fn may_be_late(&self, now: Now) -> bool {
        self.wrote_within(LATE_READS, now)
    }

    pub fn wrote_within(&self, span: Duration, now: Now) -> bool {
        self.last_write.is_some_and(|at| now.saturating_sub(at) < span)
    }

    /// Somebody else changed what was ours, and this pass puts it back.
    pub fn repaired(&mut self, now: Now) {
        self.repairs.push_back(now);
    }

    /// Whether so much was repaired of late that somebody else must be writing too.
    pub fn is_contended(&mut self, now: Now) -> bool {
        while self.repairs.front().is_some_and(|at| now.saturating_sub(*at) > REPAIRS_WINDOW) {
            self.repairs.pop_front();
        }
        self.repairs.len() >= REPAIRS_AT_MOST
    }

    /// When contention may be over.
    pub fn contended_until(&self) -> Option<Now> {
        self.repairs.front().map(|at| *at + REPAIRS_WINDOW + Duration::from_secs(1))
    }

    /// AWS took this document when it was written back unchanged.
    pub fn stood(&mut self, shown: String) {
        self.stood = Some(shown);
    }

    /// Whether AWS is known to take this document as it stands.
    pub fn stands(&self, shown: &str) -> bool {
        self.stood.as_deref() == Some(shown)
    }

    /// AWS shows these statements otherwise than they were written, and the others as they were.
    pub fn readback_differed(&mut self, disturbed: &BTreeSet<Sid>) {
        self.readback_differs.retain(|sid, _| disturbed.contains(sid));
        for sid in disturbed {
            *self.readback_differs.entry(sid.clone()).or_default() += 1;
        }
    }

    pub fn readback_has_differed(&self) -> bool {
        !self.readback_differs.is_empty()
    }

    pub fn readback_equalled(&mut self) {
        self.readback_differs.clear();
    }

    /// Whether AWS has answered each of these otherwise twice: they are not written again for their own sake.
    pub fn readback_is_hopeless(&self, disturbed: &BTreeSet<Sid>) -> bool {
        let is_hopeless = |sid: &Sid| self.readback_differs.get(sid).is_some_and(|times| *times >= 2);
        !disturbed.is_empty() && disturbed.iter().all(is_hopeless)
    }

    /// A pass could not be finished: when the next is worth it.
    pub fn failed(&mut self, now: Now) -> Now {
        self.backoff.failed(&Whom::Registry, &self.patience, now)
    }

    /// What a pass left open, and for whom.
    pub fn left_open(&mut self, open: &BTreeSet<Whom>, now: Now) {
        self.backoff.left_open(open, &self.patience, now);
    }

    pub fn look_again_at(&mut self, at: Now) {
        self.second_look = Some(at);
    }

    /// Whether a write is to be looked at once more.
    pub fn owes_look(&self) -> bool {
        self.second_look.is_some()
    }

    /// The second look that is still owed; taken once it is due.
    pub fn owed_look(&mut self, now: Now) -> Option<Now> {
        if self.second_look.is_some_and(|at| at <= now) {
            self.second_look = None;
        }
        self.second_look
    }
}
