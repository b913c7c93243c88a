//! Makes the things of one kind (cache rules, roles) equal to their plan: the claim on record, the calls side by side, and
//! a read after them. A round that has nothing to do is the proof that everybody has what the plan says.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::api::{LedgerState, OwnershipState};
use ecr_permissions_core::pass::claims::{Action, Applied, Claim, LATE, Missing, Plan, Record, Stance};
use ecr_permissions_core::pass::compile::{Contribution, Desired};
use ecr_permissions_core::pass::ledger::{Changes, Things};
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::orphans::Said;
use ecr_permissions_core::pass::refusals::Denied;
use ecr_permissions_core::pass::turns;
use ecr_permissions_core::reason::{Because, Reason, Verdict};
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;

use super::current::Shown;
use super::{Again, BETWEEN_READS, Writing, unrecorded};
use crate::aws::error::{Error, Kind};

/// Writes of one registry under way at once.
const AT_ONCE: usize = 25;
/// A thing that is replaced takes two rounds; what a third finds to do is somebody else's work.
const ROUNDS_AT_MOST: usize = 3;

/// One kind of thing, as AWS was read to have it.
pub(super) trait Thing: Sized {
    type Wanted: Clone;
    type Act: Action<Record = Self::Record>;
    type Record: Record;
    /// Whether AWS itself shows whose such a thing is: then no claim is needed to tell.
    const IS_MARKED: bool;
    /// In words, many of them.
    const WHAT: &'static str;

    fn claim(contribution: &Contribution) -> Option<&Claim<Self::Wanted, Self::Record>>;
    fn recorded(things: &Things) -> Option<&Self::Record>;
    fn record(things: &mut Things, record: Self::Record);
    fn denied(memory: &mut Memory) -> &mut Denied<Self::Act>;

    /// Of what an act rests on, the names of what AWS was not asked for in this pass.
    fn not_asked_for(&self, _: &Self::Act) -> Option<String> {
        None
    }
    /// The act was sent: what was read of the thing before is not what it is.
    fn sent(_: &mut Memory, _: &Self::Act) {}
    /// Asks AWS for these.
    async fn ask_for(self, _: BTreeSet<String>, _: &Writing<'_>) -> Self {
        self
    }
    /// Whether AWS showed what is on record.
    fn shows(&self, record: &Self::Record) -> bool;
    /// Asks AWS for what the plan needs besides.
    async fn prepare(&mut self, claims: &[Claim<Self::Wanted, Self::Record>], writing: &mut Writing<'_>, said: &Said);
    fn plan(
        &self,
        claims: &[Claim<Self::Wanted, Self::Record>],
        writing: &Writing<'_>,
        said: &Said,
    ) -> Plan<Self::Act, Self::Record>;
    /// Reads again what the acts may have changed.
    async fn read_again(self, acts: &[&Self::Act], writing: &Writing<'_>) -> Result<Self, Because>;
    /// Reads again what is on record so.
    async fn read_recorded(self, records: &[Self::Record], writing: &Writing<'_>) -> Result<Self, Because>;
    /// Answers when AWS says it made a thing that nothing else marks as the object's.
    async fn act(act: &Self::Act, writing: &Writing<'_>) -> Result<Option<String>, Refusal>;
    /// AWS's refusal in the words of a condition.
    fn explained(act: &Self::Act, error: &Error, writing: &Writing<'_>) -> Because;
    /// Whether the act names what may be too young to be visible everywhere.
    fn names_young(act: &Self::Act) -> bool;
}

/// Why a write did not succeed.
pub(super) enum Refusal {
    Restrained(Because),
    /// The pass has taken long enough.
    Later,
    Error(Error),
}

/// The things as last read, and what came of this pass's writes.
#[derive(Debug)]
pub(super) struct Working<T: Thing> {
    pub(super) read: T,
    /// What AWS would not do in this pass, and what it answered.
    refused: BTreeMap<ObjectId, (T::Act, Because)>,
    /// Whose thing was made, or may have been.
    unknown: BTreeSet<ObjectId>,
    /// For whom AWS had one already when it was to be made: it is not the object's by its claim.
    exists: BTreeSet<ObjectId>,
    /// When AWS says it made the objects' things in this pass.
    made: BTreeMap<ObjectId, String>,
    /// Whose thing this pass removed.
    removed: BTreeSet<ObjectId>,
    /// What was on record when the pass began, and since when it was claimed.
    had: BTreeMap<ObjectId, (T::Record, Option<Timestamp>)>,
}

/// Nothing, where no object has to do with such things.
pub(super) type Maybe<T> = Option<Result<Working<T>, Because>>;

impl<T: Thing> Working<T> {
    pub(super) fn new(read: T, desired: &Desired) -> Self {
        let having = desired.contributions.iter().filter_map(|c| {
            let record = T::recorded(&c.things)?;
            Some((c.id.clone(), (record.clone(), c.things.claimed_at)))
        });
        Self {
            read,
            refused: BTreeMap::new(),
            unknown: BTreeSet::new(),
            exists: BTreeSet::new(),
            made: BTreeMap::new(),
            removed: BTreeSet::new(),
            had: having.collect(),
        }
    }

    /// Whether a call on a claim from before this pass may still take effect.
    fn awaits_earlier_call(&self, id: &ObjectId, now: Timestamp) -> bool {
        let claimed = self.had.get(id).and_then(|(_, claimed_at)| *claimed_at);
        claimed.is_some_and(|at| now.duration_since(at) < LATE)
    }
}

impl Writing<'_> {
    /// Does what removes; everything else waits.
    pub(super) async fn remove<T: Thing>(&mut self, read: Option<Result<T, Because>>, said: &Said) -> Maybe<T> {
        Some(match read? {
            Ok(read) => self.act_where(read, said, |_, act| act.removes()).await,
            Err(because) => Err(because),
        })
    }

    /// Does what is chosen of all that is to be done, and reads what came of it.
    pub(super) async fn act_where<T: Thing>(
        &mut self,
        read: T,
        said: &Said,
        is_chosen: impl Fn(&ObjectId, &T::Act) -> bool,
    ) -> Result<Working<T>, Because> {
        let mut working = Working::new(read, &self.desired);
        if self.desired.restraint.is_some() {
            return Ok(working);
        }
        working = self.settled(working).await?;
        working = self.asked_for(working, said).await?;
        let mut plan = self.planned(&working, said);
        plan.acts.retain(|id, act| is_chosen(id, act));
        self.leave_out_refused(&mut plan, &mut working);
        if plan.acts.is_empty() || self.shown().await == Shown::Changed {
            return Ok(working);
        }
        self.act_on(&plan, &mut working).await;
        self.read_again(working, &plan.acts.values().collect::<Vec<_>>()).await
    }

    /// Makes and changes what is wanted, and removes what is still to go.
    pub(super) async fn make<T: Thing>(
        &mut self,
        working: Maybe<T>,
        said: &Said,
    ) -> Result<(Applied<T::Record>, Option<T>), Again> {
        let mut working = match working {
            None => return Ok((Applied::none(), None)),
            Some(Err(because)) => return Ok((Applied::failed(because), None)),
            Some(Ok(working)) => working,
        };
        working = match self.asked_for(working, said).await {
            Ok(working) => working,
            Err(because) => return Ok((Applied::failed(because), None)),
        };
        for _ in 0..ROUNDS_AT_MOST {
            let claims = self.claims(&working);
            working.read.prepare(&claims, self, said).await;
            let mut plan = self.planned(&working, said);
            self.leave_out_refused(&mut plan, &mut working);
            if plan.acts.is_empty() {
                return Ok((self.confirmed_things(plan, &working), Some(working.read)));
            }
            if let Some(restraint) = self.desired.restraint.clone() {
                let steps = plan.steps();
                let waiting: Vec<_> = plan.acts.keys().cloned().collect();
                let mut applied = self.confirmed_things(plan, &working);
                applied.verdicts.extend(waiting.into_iter().map(|id| (id, restraint.clone())));
                applied.steps = steps;
                return Ok((applied, Some(working.read)));
            }
            if self.shown().await == Shown::Changed {
                return Err(Again::Soon);
            }
            self.note_drift(&plan, &working).await;
            for id in self.record_claims::<T>(&plan).await {
                if let Some(act) = plan.acts.remove(&id) {
                    working.refused.insert(id, (act, unrecorded()));
                }
            }
            self.act_on(&plan, &mut working).await;
            working = match self.read_again(working, &plan.acts.values().collect::<Vec<_>>()).await {
                Ok(working) => working,
                Err(because) => return Ok((Applied::failed(because), None)),
            };
        }
        let plan = self.planned(&working, said);
        let (patience, now) = (self.memory.patience, self.op.clock.now());
        let not_shown =
            |(id, act): (&ObjectId, &T::Act)| (id.clone(), T::denied(self.memory).not_shown(id, act, &patience, now));
        let waiting: Vec<_> = plan.acts.iter().map(not_shown).collect();
        let mut applied = self.confirmed_things(plan, &working);
        for (id, because) in waiting {
            applied.verdicts.entry(id).or_insert(because);
        }
        Ok((applied, Some(working.read)))
    }

    /// The claims as this pass knows better: what AWS had already is nobody's by a claim, and what may not be kept goes
    /// if what was to take its place is refused.
    fn claims<T: Thing>(&self, working: &Working<T>) -> Vec<Claim<T::Wanted, T::Record>> {
        let claims = self.desired.contributions.iter().filter_map(T::claim);
        let known_better = |claim: &Claim<T::Wanted, T::Record>| {
            let mut claim = claim.clone();
            if let Some(made) = working.made.get(&claim.id) {
                claim.has = claim.has.map(|has| has.made_at(made.clone()));
            }
            if working.exists.contains(&claim.id) && !T::IS_MARKED {
                claim.has = claim.has.filter(T::Record::identifies);
                claim.claimed_at = None;
            }
            let refused = working.refused.get(&claim.id).is_some_and(|(_, b)| b.reason.verdict() == Verdict::False);
            let held = self.desired.holds.of(claim.id.kind).is_some();
            if let Some(because) = claim.outlawed.clone().filter(|_| refused || held) {
                claim.stance = Stance::Loses(because);
            }
            claim
        };
        claims.map(known_better).collect()
    }

    pub(super) fn planned<T: Thing>(&self, working: &Working<T>, said: &Said) -> Plan<T::Act, T::Record> {
        let claims = self.claims(working);
        let mut plan = working.read.plan(&claims, self, said);
        plan.hold_back(&claims, |id| self.desired.holds.of(id.kind));
        plan
    }

    /// A single read that does not show what is on record may be an older one: then AWS is read once more.
    pub(super) async fn settled<T: Thing>(&mut self, mut working: Working<T>) -> Result<Working<T>, Because> {
        let mut doubtful = self.not_shown(&working.read);
        doubtful.retain(|id, _| !T::denied(self.memory).is_absent(id));
        if !doubtful.is_empty() {
            // Nothing tells when AWS's answers are of now: only time does.
            tokio::time::sleep(BETWEEN_READS.min(self.op.settings.between_reads)).await;
            let records: Vec<_> = doubtful.into_values().collect();
            working = Working { read: working.read.read_recorded(&records, self).await?, ..working };
        }
        let absent = self.not_shown(&working.read).into_keys().collect();
        T::denied(self.memory).note_absent(absent);
        Ok(working)
    }

    /// What is on record as an object's own, and not in what was read.
    fn not_shown<T: Thing>(&self, read: &T) -> BTreeMap<ObjectId, T::Record> {
        let claims = self.desired.contributions.iter().filter_map(T::claim);
        let owned = claims.filter_map(|claim| Some((&claim.id, claim.has.as_ref()?)));
        let hidden = owned.filter(|(_, has)| has.state() == OwnershipState::Owned && !read.shows(has));
        hidden.map(|(id, has)| (id.clone(), has.clone())).collect()
    }

    /// What AWS refused in this pass, or refused before and is not asked again yet.
    fn leave_out_refused<T: Thing>(&mut self, plan: &mut Plan<T::Act, T::Record>, working: &mut Working<T>) {
        let now = self.op.clock.now();
        let denied = T::denied(self.memory);
        plan.acts.retain(|id, act| {
            if let Some(because) = denied.refusal(id, act, now) {
                working.refused.insert(id.clone(), (act.clone(), because));
            }
            working.refused.get(id).is_none_or(|(refused, _)| refused != act)
        });
    }

    /// AWS is asked for whatever is to be acted on.
    async fn asked_for<T: Thing>(&mut self, working: Working<T>, said: &Said) -> Result<Working<T>, Because> {
        let plan = self.planned(&working, said);
        let names: BTreeSet<_> = plan.acts.values().filter_map(|act| working.read.not_asked_for(act)).collect();
        if names.is_empty() {
            return Ok(working);
        }
        let read = working.read.ask_for(names, self).await;
        self.settled(Working { read, ..working }).await
    }

    async fn read_again<T: Thing>(&self, working: Working<T>, acts: &[&T::Act]) -> Result<Working<T>, Because> {
        Ok(Working { read: working.read.read_again(acts, self).await?, ..working })
    }

    /// What is about to be made is on record before it can be: a crash after it leaves nothing that is nobody's. Answers
    /// whose could not be written.
    async fn record_claims<T: Thing>(&mut self, plan: &Plan<T::Act, T::Record>) -> BTreeSet<ObjectId> {
        let ledger = &self.gathered.ledger;
        let mut changes = Changes::new();
        let contributions: BTreeMap<_, _> = self.desired.contributions.iter().map(|c| (&c.id, c)).collect();
        let recorded = |id: &ObjectId| contributions.get(id).and_then(|c| T::recorded(&c.things));
        for (id, record) in plan.on_record(recorded) {
            let Some(contribution) = contributions.get(&id) else { continue };
            let is_made = plan.acts.get(&id).is_some_and(|act| act.claim().is_some());
            // Every call to make something counts from its own claim on.
            if !is_made && recorded(&id) == Some(&record) {
                continue;
            }
            let recorded = ledger.holdings.get(&id).cloned();
            let mut holding = recorded.unwrap_or_else(|| contribution.holding(LedgerState::Applied, Vec::new()));
            holding.things.claimed_at = is_made.then(|| self.proven.session().timestamp());
            T::record(&mut holding.things, record);
            let entry = ledger.with_things(&id, &holding);
            changes.insert(id, Some(entry));
        }
        self.put_on_record(&changes).await
    }

    async fn act_on<T: Thing>(&mut self, plan: &Plan<T::Act, T::Record>, working: &mut Working<T>) {
        let this = &*self;
        let acts = turns::by_namespace(&plan.acts, |(id, _)| &id.namespace);
        let acts: Vec<_> = acts
            .into_iter()
            .map(|(id, act)| async move {
                let result = if this.is_over() { Err(Refusal::Later) } else { T::act(act, this).await };
                (id, act, result)
            })
            .collect();
        let done: Vec<_> = futures::stream::iter(acts).buffer_unordered(AT_ONCE).collect().await;
        let claims: BTreeMap<_, _> =
            self.desired.contributions.iter().filter_map(T::claim).map(|claim| (&claim.id, claim)).collect();
        let now = self.op.clock.now();
        for (id, act, result) in done {
            if matches!(result, Ok(_) | Err(Refusal::Error(_))) {
                T::sent(self.memory, act);
            }
            let because = match result {
                Ok(made) => {
                    if let Some(made) = made {
                        working.made.insert(id.clone(), made);
                    }
                    T::denied(self.memory).forgive(id);
                    working.refused.remove(id);
                    if act.claim().is_some() {
                        // If AWS does not show it yet, and says that there is one, it is this one.
                        working.unknown.insert(id.clone());
                    }
                    if act.removes() {
                        working.removed.insert(id.clone());
                    }
                    // What is told of what was taken away is decided on what is left.
                    let takes_away = |claim: &&Claim<T::Wanted, T::Record>| {
                        matches!(claim.stance, Stance::Loses(_)) || !claim.withdrawn.is_empty()
                    };
                    if act.claim().is_none() && claims.get(id).is_some_and(takes_away) {
                        self.again.get_or_insert(Again::Soon);
                    }
                    continue;
                }
                // Somebody was faster, unless it was an earlier call of ours.
                Err(Refusal::Error(error)) if error.kind == Kind::Exists => {
                    let ours = working.unknown.contains(id)
                        || working.awaits_earlier_call(id, self.proven.session().timestamp());
                    if ours || working.exists.insert(id.clone()) {
                        continue;
                    }
                    // Looked for again, and not to be seen.
                    T::explained(act, &error, self)
                }
                Err(Refusal::Later) => {
                    let message = "Its turn comes in the next pass.";
                    working.refused.insert(id.clone(), (act.clone(), Because::new(Reason::Progressing, message)));
                    self.again = Some(Again::Soon);
                    continue;
                }
                // AWS was not asked: nothing of it counts the next time.
                Err(Refusal::Restrained(because)) => {
                    working.refused.insert(id.clone(), (act.clone(), because));
                    continue;
                }
                Err(Refusal::Error(error)) => {
                    if error.outcome_unknown {
                        working.unknown.insert(id.clone());
                    }
                    T::explained(act, &error, self)
                }
            };
            let patience = self.memory.patience;
            let told = T::denied(self.memory).refuse(id, act, because, T::names_young(act), &patience, now);
            working.refused.insert(id.clone(), (act.clone(), told));
        }
    }

    /// What was an object's and is made again was taken away by somebody else, unless this pass did; and what was proven
    /// as it is wanted and differs now was changed. Told before the claim takes the place of what was on record.
    async fn note_drift<T: Thing>(&self, plan: &Plan<T::Act, T::Record>, working: &Working<T>) {
        let was_there = |id: &ObjectId, claim: &T::Record| {
            let owned = working.had.get(id).filter(|(has, _)| has.state() == OwnershipState::Owned);
            owned.is_some_and(|(has, _)| has.is_of(claim)) && !working.removed.contains(id)
        };
        let is_drift = |(id, act): &(&ObjectId, &T::Act)| match act.claim() {
            Some(claim) => was_there(id, &claim),
            None => !act.removes() && act.may_repair() && self.gathered.is_proven(id),
        };
        let number = plan.acts.iter().filter(is_drift).count();
        if number > 0 {
            self.op.metrics.drifted(&self.gathered.key);
            tracing::info!(registry = %self.gathered.key, what = T::WHAT, number, "drift: deleted or changed from outside, putting them right");
            self.op.events.drift(&self.gathered.registry, &format!("{number} {}", T::WHAT)).await;
        }
    }

    /// Nothing is left to do: everybody has what was read.
    fn confirmed_things<T: Thing>(
        &mut self,
        plan: Plan<T::Act, T::Record>,
        working: &Working<T>,
    ) -> Applied<T::Record> {
        let Plan { has, missing, given_up, mut verdicts, held_equal, unread, acts } = plan;
        for id in has.keys().filter(|id| !acts.contains_key(*id) && !working.refused.contains_key(*id)) {
            T::denied(self.memory).shown(id);
        }
        for (id, (_, because)) in &working.refused {
            // What keeps the object from what it wants explains more than what became of what it has.
            verdicts.entry(id.clone()).or_insert_with(|| because.clone());
        }
        let now = self.proven.session().timestamp();
        let contributions: BTreeMap<_, _> = self.desired.contributions.iter().map(|c| (&c.id, c)).collect();
        let claimed_at = |id: &ObjectId| {
            let awaited = working.unknown.contains(id) || working.awaits_earlier_call(id, now);
            contributions.get(id).filter(|_| awaited).and_then(|c| c.things.claimed_at)
        };
        let mut kept = BTreeMap::new();
        for (id, record) in missing {
            // What is lost stays on record until it is back, and so does a claim whose call may take effect yet. A claim
            // that came to nothing does not: what stands there tomorrow would be somebody else's.
            let claimed_at = claimed_at(&id);
            if record.state() == OwnershipState::Owned || claimed_at.is_some() {
                kept.insert(id, Missing { record, claimed_at });
            }
        }
        let mut awaits_late = BTreeSet::new();
        for (id, record) in given_up {
            if let Some(claimed_at) = claimed_at(&id) {
                awaits_late.insert(id.clone());
                let message = "Whether what was asked of AWS was made is not known yet.";
                verdicts.entry(id.clone()).or_insert_with(|| Because::new(Reason::Progressing, message));
                kept.insert(id, Missing { record, claimed_at: Some(claimed_at) });
            }
        }
        let still_due = working.refused.values().any(|(act, _)| act.removes());
        Applied {
            has: Some(has),
            missing: kept,
            held_equal,
            awaits_late,
            verdicts,
            unread,
            still_due,
            ..Applied::default()
        }
    }
}
