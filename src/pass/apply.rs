//! Makes AWS equal to the plan: the intent on record, the document read right before it is written, one Put, and a read
//! after it. A round that has nothing to write is the proof that everybody has what the plan says.

mod culprits;
mod current;
mod intent;
mod outcome;
mod prune;
mod roles;
mod rules;
mod taking_away;
mod things;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ecr_permissions_core::ownership::Sid;
use ecr_permissions_core::pass::answers::Answered;
use ecr_permissions_core::pass::compile::{Desired, Words, compile};
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::judge::Applied;
use ecr_permissions_core::pass::ledger::{DocumentRecord, REGISTRY_POLICY};
use ecr_permissions_core::pass::memory::{Carried, Memory};
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::orphans::Waits;
use ecr_permissions_core::pass::plan::{Composition, Observed, Plan, Write, plan};
use ecr_permissions_core::pass::roles::{Applied as AppliedRoles, Place, reach};
use ecr_permissions_core::pass::scope::ScopeView;
use ecr_permissions_core::pass::shared_installation::Unexplained;
use ecr_permissions_core::pass::standing::{Known, Standing};
use ecr_permissions_core::pass::{cache_rules, steps};
use ecr_permissions_core::policy::{Statement, atoms, covers};
use ecr_permissions_core::reason::{Because, Reason};
use ecr_permissions_core::shares::Others;

pub(super) use culprits::foreign_refused;
use current::{Current, Shown, changed, unknown};
pub(super) use taking_away::take_away;

use things::Working;

use super::Again;
use super::observe::rules::Rules;
use super::observe::{self, BETWEEN_READS, Policy, Seen};
use crate::aws::ecr::AccountProof;
use crate::aws::error::{Error, Kind};
use crate::aws::gate::Lane;
use crate::aws::permit::Permit;
use crate::aws::session::Proven;
use crate::runtime::operator::Operator;

/// A read older than this is not what a Put may be based on: somebody else may have written meanwhile.
pub(super) const FRESH: Duration = Duration::from_millis(250);

/// A pass that could not ask AWS at all.
pub(super) fn nothing(because: Because, desired: Desired) -> (Applied, Desired) {
    let rules = cache_rules::Applied::failed(because.clone());
    let roles = AppliedRoles::failed(because.clone());
    (Applied { failure: Some(because), rules, roles, ..Applied::default() }, desired)
}

/// What a pass is about to bring about, and what AWS has.
pub(super) struct Prepared {
    desired: Desired,
    seen: Result<Seen, Because>,
    answered: Answered,
}

/// Reads all that growing needs; the policy also for itself, if a write of it is to be looked at again.
pub(super) async fn prepare(
    gathered: &Gathered,
    desired: Desired,
    owes_look: bool,
    mut answered: Answered,
    proven: &Proven,
    op: &Operator,
) -> Prepared {
    let place = Place {
        registry: &gathered.key,
        settings: gathered.registry.spec.roles.as_ref(),
        installation: &op.installation,
    };
    let record = gathered.ledger.document(REGISTRY_POLICY);
    let with_policy = desired.needs_policy(record) || owes_look;
    let seen = Box::pin(observe::observe(&desired, place, with_policy, proven, &mut answered, gathered, op)).await;
    Prepared { desired, seen, answered }
}

/// Brings it about. What `ends` finds undone goes on in the next pass.
pub(super) async fn apply(
    gathered: &mut Gathered,
    prepared: Prepared,
    proven: &Proven,
    memory: &mut Memory,
    op: &Operator,
    (gathered_at, ends): (u64, Duration),
) -> Result<(Applied, Desired), Again> {
    let Prepared { mut desired, seen, answered } = prepared;
    let written_beside = memory.answered.replace(answered);
    let record = gathered.ledger.document(REGISTRY_POLICY).cloned();
    let Seen { proof, policy, scope, rules, mut roles } = match seen {
        Ok(seen) => seen,
        Err(because) => return Ok(nothing(because, desired)),
    };
    if let Some(roles) = &mut roles {
        roles.answered_before.extend(written_beside);
    }
    if scope.is_some() && memory.saw_scope(scope) {
        desired = compile(gathered, &op.installation, memory, op.clock.now());
    }
    let mut known = Known::new(&op.installation, gathered.key.partition(), record.as_ref(), &desired);
    let policy = match policy {
        Some(Ok(policy)) => Some(observe::confirm(policy, record.as_ref(), &known, proven, memory, op).await),
        other => other,
    };
    if note_others(policy.as_ref(), rules.as_ref(), &known, gathered, memory) {
        desired = compile(gathered, &op.installation, memory, op.clock.now());
        known = Known::new(&op.installation, gathered.key.partition(), record.as_ref(), &desired);
    }
    let mut writing = Writing::new(gathered, desired, known, (proven, proof), memory, op, gathered_at, ends);
    writing.scope = scope;
    // What is removed goes in the other order than what is added: a rule before the grants it lives by.
    let said = writing.said(policy.as_ref().and_then(|policy| policy.as_ref().ok()));
    let mut rules = writing.remove(rules, &said).await;
    writing.note_passed_roles(rules.as_ref());
    let roles = match roles {
        Some(roles) => Some(writing.settled(Working::new(roles, &writing.desired)).await),
        None => None,
    };
    let (roles, read) = writing.make(roles, &said).await?;
    if let Some(read) = read {
        writing.note_roles(&read);
    }
    if let Some(Ok(rules)) = &mut rules {
        rules.read.found.roles = Some(reach::passable(writing.gathered, &writing.desired.contributions, &roles));
    }
    writing.await_things(&said, rules.as_ref(), &roles);
    let mut applied = match policy {
        Some(Ok(policy)) => writing.run(policy).await?,
        Some(Err(because)) => writing.without_policy(because),
        None => writing.with_nothing_in_the_policy(),
    };
    let rules = writing.make(rules, &said).await?;
    applied.rules = rules.0;
    let roles_of_rules = rules.1.and_then(|rules| rules.found.roles).unwrap_or_default();
    writing.validate_rules(&mut applied, &roles_of_rules).await;
    applied.said_waits = writing.waits(&said, &applied);
    applied.unsettled |= writing.again.is_some() || writing.current.is_in_doubt();
    applied.unanswered = writing.unanswered;
    if let Some(record) = &mut applied.record {
        record.installation_shared = writing.memory.shared.token().map(str::to_owned);
    }
    applied.plan = steps::with(applied.plan.take(), [&roles.steps[..], &applied.rules.steps].concat());
    applied.roles = roles;
    Ok((applied, writing.desired))
}

/// Remembers what others have in AWS of what namespaces share, and what ours is; whether others have more or less than was
/// known.
fn note_others(
    policy: Option<&Result<Policy, Because>>,
    rules: Option<&Result<Rules, Because>>,
    known: &Known,
    gathered: &Gathered,
    memory: &mut Memory,
) -> bool {
    let document = policy.and_then(|policy| policy.as_ref().ok()).map(|policy| policy.document.as_ref());
    if let Some(document) = document {
        memory.saw_ours(Standing::of(document, known).granted);
    }
    let on_record = gathered.ledger.holdings.values().filter_map(|holding| holding.things.rule.as_ref());
    let ours: BTreeSet<_> = on_record.map(|rule| rule.prefix.as_str()).collect();
    let of_others = |rules: &Rules| rules.stored.iter().filter(|s| !ours.contains(s.rule.prefix.as_str())).count();
    let rules = rules.and_then(|rules| rules.as_ref().ok()).map(of_others);
    memory.saw_others(Others { characters: document.map(|document| known.characters_of_others(document)), rules })
}

struct Writing<'a> {
    gathered: &'a mut Gathered,
    proven: &'a Proven,
    proof: AccountProof,
    record: Option<DocumentRecord>,
    scope: Option<ScopeView>,
    memory: &'a mut Memory,
    op: &'a Operator,
    desired: Desired,
    known: Known,
    /// Something of what a person spoke of is still there.
    said_waits: Waits,
    /// What a person had said when the pass began, as far as statements may go by it: what is said later is for the next.
    words: Words,
    /// Objects that could not be put on record: they do not grow.
    unrecorded: BTreeSet<ObjectId>,
    /// Objects among which is searched for what AWS refuses, later: they do not grow.
    searched: BTreeSet<ObjectId>,
    /// When another pass is worth it.
    again: Option<Again>,
    /// Whether a write of the ledger was made is not known.
    unanswered: bool,
    current: Current,
    /// The prefix and the role of every rule in AWS that pulls by a role.
    passed_roles: Result<Vec<(String, String)>, Because>,
    /// The changes of the index that were gathered.
    seen: u64,
    /// For what the next write of the policy takes its turn: one that carries what is due too is a withdrawal.
    lane: Lane,
    /// When the pass has taken long enough: what is due meanwhile waits for its end.
    ends: Duration,
}

/// How a document write ended.
enum Sent {
    Accepted,
    /// AWS does not take the document; it does not say why.
    Refused,
    /// Not sent, or nobody knows.
    Failed(Because, Unknown),
}

/// Whether the write may have happened.
struct Unknown(bool);

impl<'a> Writing<'a> {
    #[expect(clippy::too_many_arguments, reason = "a pass brings all of these together, once")]
    fn new(
        gathered: &'a mut Gathered,
        desired: Desired,
        known: Known,
        (proven, proof): (&'a Proven, AccountProof),
        memory: &'a mut Memory,
        op: &'a Operator,
        seen: u64,
        ends: Duration,
    ) -> Self {
        let is_due = !super::withdraw::due(&desired).statements.is_empty();
        Self {
            record: gathered.ledger.document(REGISTRY_POLICY).cloned(),
            gathered,
            proven,
            proof,
            scope: None,
            memory,
            op,
            words: desired.words.clone(),
            desired,
            known,
            said_waits: Waits::default(),
            unrecorded: BTreeSet::new(),
            searched: BTreeSet::new(),
            again: None,
            unanswered: false,
            current: Current::default(),
            passed_roles: Ok(Vec::new()),
            seen,
            lane: if is_due { Lane::Withdrawal } else { Lane::Growth },
            ends,
        }
    }
}

impl Writing<'_> {
    /// Whether nothing more is begun in this pass.
    fn is_over(&self) -> bool {
        self.op.clock.now() >= self.ends
    }

    fn note_passed_roles(&mut self, rules: Option<&Result<Working<Rules>, Because>>) {
        self.passed_roles = match rules {
            None => return,
            Some(Err(because)) => Err(because.clone()),
            Some(Ok(rules)) => {
                let rules = rules.read.stored.iter().map(|stored| &stored.rule);
                Ok(rules.filter_map(|rule| Some((rule.prefix.clone(), rule.role_arn.clone()?))).collect())
            }
        };
    }

    /// What is desired by all that has come in and was learned since. No statement goes by a word that rules and roles have
    /// not heard in this pass.
    fn decide_anew(&mut self) {
        self.desired = compile(self.gathered, &self.op.installation, self.memory, self.op.clock.now());
        self.desired.words = self.words.clone();
    }

    /// Nobody has a part in the policy, so it was not read.
    fn with_nothing_in_the_policy(&self) -> Applied {
        let has = self.desired.contributions.iter().map(|c| (c.id.clone(), Vec::new()));
        Applied { has: Some(has.collect()), orphans: self.orphans_on_record(), ..Applied::default() }
    }

    fn without_policy(&self, because: Because) -> Applied {
        Applied { failure: Some(because), orphans: self.orphans_on_record(), ..Applied::default() }
    }

    async fn run(&mut self, policy: Policy) -> Result<Applied, Again> {
        self.await_quarantined(&policy);
        let mut plan = self.plan(&policy, None);
        if self.notice_another_installation(&plan) {
            self.decide_anew();
            plan = self.plan(&policy, None);
        }
        let Ok(composition) = plan.compose(&plan.admitted) else {
            return Ok(if plan.stands_as_wanted() && !plan.switch_scope {
                self.confirmed(plan, &policy)
            } else {
                Self::too_large(&plan, &policy)
            });
        };
        if plan.is_done(&composition) && !plan.switch_scope && !self.may_put_back() {
            return Ok(self.confirmed(plan, &policy));
        }
        if let Some(differing) = self.hopeless(&plan, &composition) {
            return Ok(self.confirmed_but(plan, &policy, &differing));
        }
        if self.desired.restraint.is_some() {
            return Ok(Self::restrained(plan, &composition, &policy));
        }
        if !self.proven.session().may_write_now(self.lane) {
            // Waiting for the turn first and deciding then lets one write answer whatever comes in meanwhile.
            return Err(Again::Soon);
        }
        if self.shown().await == Shown::Changed {
            return Err(Again::Soon);
        }
        let repairs = self.note_repair(&plan).await;
        self.record_intent(&plan).await;
        self.hold_moved_guests(&plan).await;
        let mut policy = policy;
        if plan.switch_scope
            && let Err(because) = self.switch_scope(&mut policy).await
        {
            return Ok(Self::failed(plan, &policy, because, false));
        }
        let applied = self.write(policy).await;
        if repairs {
            // Counted once it is done: the third is the last for a while, not the first that is left out.
            self.memory.repaired(self.op.clock.now());
        }
        applied
    }

    /// Whether this read shows that somebody else writes under this installation's id.
    fn notice_another_installation(&mut self, plan: &Plan) -> bool {
        if self.record.is_none() {
            return false;
        }
        let now = self.op.clock.now();
        let unexplained = Unexplained::of(plan, self.memory.may_be_late(now));
        self.memory.shared.saw(unexplained, now, &self.op.clock.timestamp().to_string())
    }

    /// The plan over what was read; with growth only for `only`, if that is said.
    fn plan(&mut self, policy: &Policy, only: Option<&[ObjectId]>) -> Plan {
        let observed = Observed { document: policy.document.as_ref(), record: self.record.as_ref(), scope: self.scope };
        let (partition, now) = (self.gathered.key.partition(), self.op.clock.now());
        let mut plan = plan(&self.desired, &observed, &self.op.installation, partition, self.memory, now);
        plan.hold_back(&self.unrecorded, &unrecorded());
        plan.hold_back(&self.searched, &culprits::searched());
        if let Some(only) = only {
            plan.admit_only(|growth| only.contains(&growth.id));
        }
        plan
    }

    /// The same, for a write: only what is on record grows, whatever was edited meanwhile.
    fn plan_to_write(&mut self, policy: &Policy, only: Option<&[ObjectId]>) -> Plan {
        let mut plan = self.plan(policy, only);
        let contributions = &self.desired.contributions;
        plan.admit_only(|growth| contributions.iter().any(|c| c.id == growth.id && covers(&c.has, &growth.to)));
        plan
    }

    /// Puts it, reads it back, and takes the proof from a plan over what was read.
    async fn write(&mut self, mut policy: Policy) -> Result<Applied, Again> {
        let sent = self.put_all(&mut policy).await;
        if let Sent::Failed(because, Unknown(unknown)) = sent {
            let plan = self.plan(&policy, None);
            return Ok(Self::failed(plan, &policy, because, unknown));
        }
        self.memory.look_again_at(self.op.clock.now() + self.op.second_look());
        let after = match observe::policy(self.proven, self.op).await {
            Ok(after) => after,
            Err(because) => {
                let plan = self.plan(&policy, None);
                return Ok(Self::failed(plan, &policy, because, true));
            }
        };
        Ok(self.read_back(&policy, &after))
    }

    /// One document write of the admitted growth, or of `only` these objects' growth, on a fresh read.
    async fn put(&mut self, policy: &mut Policy, only: Option<&[ObjectId]>) -> Sent {
        let adds = only.is_some_and(|only| !only.is_empty()) || self.memory.rejected.is_putting_back();
        let permit = Permit::obtain(self.proven, &self.proof, self.desired.restraint.as_ref(), self.lane);
        let permit = match self.permitted(permit, adds).await {
            Ok(permit) => permit,
            Err(because) => return Sent::Failed(because, Unknown(false)),
        };
        // What was revoked since must not be written again, nor what was taken away beside this pass.
        self.look_again();
        if policy.is_past || self.op.clock.now().saturating_sub(policy.read_at) > FRESH {
            let read = observe::policy(self.proven, self.op).await;
            let confirmed = match read {
                Ok(read) => {
                    observe::confirm(read, self.record.as_ref(), &self.known, self.proven, self.memory, self.op).await
                }
                Err(because) => Err(because),
            };
            match confirmed {
                Ok(read) => *policy = read,
                Err(because) => return Sent::Failed(because, Unknown(false)),
            }
        }
        // The reads may have taken longer than an answer is good for. Who cannot ask writes only what takes away.
        let keeps_back = match self.shown().await {
            Shown::Changed => return Sent::Failed(changed(), Unknown(false)),
            Shown::Unknown if adds => return Sent::Failed(unknown(), Unknown(false)),
            Shown::Unknown => true,
            Shown::AsPlanned => self.holds_everything().is_some(),
        };
        let plan = self.plan_to_write(policy, if keeps_back { Some(&[]) } else { only });
        let Ok(composition) = plan.compose(&plan.admitted) else {
            return Sent::Failed(no_room(), Unknown(false));
        };
        if self.memory.rejected.is_hopeless(&plan.standing.foreign, self.op.clock.now()) {
            return Sent::Failed(foreign_refused(), Unknown(false));
        }
        let shown = policy.shows(&self.known);
        if plan.is_done(&composition) {
            // A search for culprits that adds nobody asks whether AWS takes what stands there; only a write can tell.
            let asks = only.is_some_and(<[_]>::is_empty) && !self.memory.stands(&shown);
            if !asks {
                return Sent::Accepted;
            }
            let carried = carried(&plan, &composition);
            return self.put_as_it_stands(&permit, &composition.write, shown, carried).await;
        }
        let result = match &composition.write {
            Write::Put(document) => self.proven.put_registry_policy(&permit, document).await,
            Write::Delete => self.proven.delete_registry_policy(&permit).await,
        };
        // Whatever came of it, what was read before is not what stands there now.
        policy.is_past = true;
        let carried = carried(&plan, &composition);
        self.sent(result, shown, carried)
    }

    /// Writes what was read, unchanged. Nothing is late or lost by it, so it leaves no trace but what AWS said.
    async fn put_as_it_stands(&mut self, permit: &Permit, write: &Write, shown: String, carried: Carried) -> Sent {
        let Write::Put(document) = write else { return Sent::Accepted };
        match self.proven.put_registry_policy(permit, document).await {
            Ok(()) => {
                self.memory.rejected.accepted();
                self.memory.stood(shown);
                Sent::Accepted
            }
            other => self.sent(other, shown, carried),
        }
    }

    fn sent(&mut self, result: Result<(), Error>, shown: String, carried: Carried) -> Sent {
        let now = self.op.clock.now();
        match result {
            Ok(()) => {
                self.lane = Lane::Growth;
                self.memory.rejected.accepted();
                self.memory.wrote(now, shown, carried, true);
                Sent::Accepted
            }
            Err(error) if error.kind == Kind::Invalid => Sent::Refused,
            Err(error) => {
                if error.outcome_unknown {
                    self.memory.wrote(now, shown, carried, false);
                }
                Sent::Failed(self.proven.session().because(&error), Unknown(error.outcome_unknown))
            }
        }
    }

    fn read_back(&mut self, before: &Policy, after: &Policy) -> Applied {
        let plan = self.plan(after, None);
        let composition = plan.compose(&plan.admitted).ok();
        if composition.as_ref().is_some_and(|composition| plan.is_done(composition)) {
            return self.confirmed(plan, after);
        }
        // The same again may be a late read, unless it is what AWS answered to the write before.
        let late = before.shows(&self.known) == after.shows(&self.known) && !self.memory.readback_has_differed();
        if !late && !plan.standing.disturbed.is_empty() {
            self.memory.readback_differed(&plan.standing.disturbed);
        }
        if let Some(differing) = composition.and_then(|composition| self.hopeless(&plan, &composition)) {
            return self.confirmed_but(plan, after, &differing);
        }
        let because = Because::new(Reason::Progressing, "The policy was written, and AWS does not show it yet.");
        Self::failed(plan, after, because, true)
    }

    /// What AWS shows otherwise than it was written, again and again, if all else is as wanted.
    fn hopeless(&self, plan: &Plan, composition: &Composition) -> Option<BTreeMap<Sid, Statement>> {
        let is_hopeless = self.memory.readback_is_hopeless(&plan.standing.disturbed);
        plan.differs_only_in(composition).filter(|_| is_hopeless)
    }

    /// There is no way back from it, so what it would wake is read once more right before.
    async fn switch_scope(&mut self, policy: &mut Policy) -> Result<(), Because> {
        let permit = Permit::obtain(self.proven, &self.proof, self.desired.restraint.as_ref(), Lane::Growth);
        let permit = self.permitted(permit, true).await?;
        *policy = observe::policy(self.proven, self.op).await?;
        // The read may have taken longer than an answer is good for.
        self.may_add().await?;
        if !self.plan(policy, None).switch_scope {
            return Err(Because::new(Reason::Progressing, "The policy has changed; its scope is decided again."));
        }
        self.proven.switch_scope_to_v2(&permit).await.map_err(|error| self.proven.session().because(&error))?;
        self.scope = Some(ScopeView::V2);
        if self.memory.saw_scope(self.scope) && self.desired.contributions.iter().any(|c| c.depends_on_scope) {
            return Err(Because::new(Reason::Progressing, "The scope is V2 now; what rests on it is decided again."));
        }
        Ok(())
    }
}

pub(super) fn no_room() -> Because {
    Because::new(Reason::PolicyTooLarge, "The registry policy has no room.")
}

/// What an object is told whose namespace cannot be put on record.
fn unrecorded() -> Because {
    let message = "What the object is to get could not be put on record, and nothing is given that is on no record. It is tried again.";
    Because::new(Reason::Progressing, message)
}

/// What a write is to be remembered by.
pub(super) fn carried(plan: &Plan, composition: &Composition) -> Carried {
    let granted = atoms(composition.ours.values().cloned());
    Carried {
        foreign: plan.standing.foreign.clone(),
        sids: composition.ours.keys().cloned().collect(),
        dropped: plan.standing.granted.difference(&granted).cloned().collect(),
        granted,
    }
}
