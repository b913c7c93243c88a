//! Taking away, before and beside everything else: what is due is told by ledger, specs and `allow` alone. Statements go by
//! one read of the policy and one Put that adds nothing, then rules, then roles. It waits for no answer of the API server, no secret, no other read and
//! nobody else's refusal.

use std::collections::BTreeSet;
use std::time::Duration;

use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::compile::{Desired, compile};
use ecr_permissions_core::pass::due::Due;
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::ledger::REGISTRY_POLICY;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::orphans::{Orphans, Said};
use ecr_permissions_core::pass::plan::{Composition, Observed, Plan, Write, plan};
use ecr_permissions_core::pass::standing::{Known, Standing, needs_confirmation};
use ecr_permissions_core::policy::Principal;
use ecr_permissions_core::reason::{Because, Reason};

use super::apply::{carried, foreign_refused, take_away};
use super::observe::{self, BETWEEN_READS, Policy};
use crate::aws::error::Kind;
use crate::aws::gate;
use crate::aws::permit::Permit;
use crate::aws::session::Proven;
use crate::runtime::operator::Operator;

/// So long what is due waits for what grows beside it, so that one Put carries both; and so often is it looked for while a
/// pass waits for something else.
const TOGETHER_WITHIN: Duration = Duration::from_secs(1);
/// How soon a pass runs again that has left something due.
pub(super) const AGAIN_WITHIN: Duration = Duration::from_secs(5);
/// So long one search for principals that AWS refuses may take.
const SEARCHED_WITHIN: Duration = Duration::from_secs(10);
/// Reads of a policy that lacks statements of others, or that a write of unknown outcome may have changed.
const READS_AT_MOST: u32 = 3;

/// What is due by the ledger, and by what a person has said.
pub(super) fn due(desired: &Desired) -> Due {
    if desired.restraint.is_some() {
        return Due::default();
    }
    desired.due(&Orphans::find(desired, BTreeSet::new()).said())
}

/// What takes away beside a pass of one registry.
pub(super) struct Lane<'a> {
    pub(super) key: &'a RegistryKey,
    pub(super) proven: &'a Proven,
    /// The changes of the index after which nothing is due that was not looked at; nothing: something is.
    pub(super) seen: Option<u64>,
}

impl Lane<'_> {
    /// Does something that writes nothing to AWS, and meanwhile takes away what is due or becomes it.
    pub(super) async fn beside<T>(&mut self, doing: impl Future<Output = T>, memory: &mut Memory, op: &Operator) -> T {
        let mut doing = std::pin::pin!(doing);
        loop {
            tokio::select! {
                biased;
                done = &mut doing => return done,
                () = tokio::time::sleep(TOGETHER_WITHIN) => {}
            }
            let changes = op.with_index(|index| index.changes());
            if self.seen != Some(changes) {
                Box::pin(self.withdraw(memory, op)).await;
            }
        }
    }

    /// Takes away what is due in the policy, by what the watches have shown up to now.
    pub(super) async fn withdraw(&mut self, memory: &mut Memory, op: &Operator) {
        let changes = op.with_index(|index| index.changes());
        let gathered = op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(self.key)));
        let Some(mut gathered) = gathered else { return };
        let desired = compile(&gathered, &op.installation, memory, op.clock.now());
        let due = due(&desired);
        if due.is_nothing() {
            self.seen = Some(changes);
            return;
        }
        let withdrawing = Withdrawing { gathered: &gathered, desired: &desired, due: &due, proven: self.proven, op };
        let withdrawn = if due.statements.is_empty() { Ok(()) } else { Box::pin(withdrawing.narrow(memory)).await };
        self.seen = withdrawn.is_ok().then_some(changes);
        if let Err(because) = withdrawn {
            tracing::warn!(registry = %self.key, reason = because.reason.as_str(), why = because.message, "what is to be withdrawn is still in the policy");
        }
        // What goes by a person's word goes with all that the word names, in a pass.
        let things = desired.due(&Said::default()).things;
        if !things.is_empty()
            && let Err(because) = Box::pin(take_away(&mut gathered, desired, &things, self.proven, memory, op)).await
        {
            tracing::warn!(registry = %self.key, reason = because.reason.as_str(), why = because.message, "rules and roles that are to go are still there");
        }
    }
}

/// How a Put that only takes away ended.
enum Sent {
    /// AWS took it, or there was nothing to take away.
    Done,
    /// AWS does not take the document: the statements of others in it, and whom our Allows that stand there name.
    Refused { foreign: Vec<String>, ours: BTreeSet<Principal> },
}

struct Withdrawing<'a> {
    gathered: &'a Gathered,
    desired: &'a Desired,
    due: &'a Due,
    proven: &'a Proven,
    op: &'a Operator,
}

impl Withdrawing<'_> {
    /// One Put that takes away what is due and adds nothing. Where AWS refuses it, something that stands there is to blame.
    async fn narrow(&self, memory: &mut Memory) -> Result<(), Because> {
        match self.put_without(&BTreeSet::new(), memory).await? {
            Sent::Done => Ok(()),
            Sent::Refused { foreign, ours } => self.find_rejected(foreign, &ours, memory).await,
        }
    }

    /// Looks for principals that AWS takes no more: the first Put that it accepts has carried the withdrawal out.
    async fn find_rejected(
        &self,
        foreign: Vec<String>,
        ours: &BTreeSet<Principal>,
        memory: &mut Memory,
    ) -> Result<(), Because> {
        let now = self.op.clock.now();
        if memory.rejected.is_hopeless(&foreign, now) {
            return Err(foreign_refused());
        }
        for without in memory.rejected.suspects(ours) {
            if self.op.clock.now() >= now + SEARCHED_WITHIN {
                return Err(Because::new(Reason::Progressing, "Whom AWS refuses in the policy is still looked for."));
            }
            if let Sent::Done = self.put_without(&without, memory).await? {
                tracing::warn!(registry = %self.gathered.key, principals = without.len(), "AWS refused the policy, and took it without these; who is to blame is looked for among them");
                let (patience, now) = (memory.patience, self.op.clock.now());
                memory.rejected.found(without, &patience, now);
                return Ok(());
            }
        }
        memory.rejected.found_nobody(foreign, self.op.clock.now());
        Err(foreign_refused())
    }

    /// One Put that takes away what is due, names none of these in an Allow of ours, and adds nothing.
    async fn put_without(&self, without: &BTreeSet<Principal>, memory: &mut Memory) -> Result<Sent, Because> {
        let partition = self.gathered.key.partition();
        let record = self.gathered.ledger.document(REGISTRY_POLICY);
        let known = Known::new(&self.op.installation, partition, record, self.desired);
        let proof = self.proven.prove_registry().await?;
        let mut policy = self.read(&known, memory).await?;
        let Some(mut planned) = self.plan_without(without, &policy, &known, memory)? else { return Ok(Sent::Done) };
        // A turn is taken only for what is written: others wait for it.
        let (restraint, lane) = (self.desired.restraint.as_ref(), gate::Lane::Withdrawal);
        let permit = Permit::obtain(self.proven, &proof, restraint, lane).await?;
        if self.op.clock.now().saturating_sub(policy.read_at) > super::apply::FRESH {
            policy = self.read(&known, memory).await?;
            match self.plan_without(without, &policy, &known, memory)? {
                Some(newer) => planned = newer,
                None => return Ok(Sent::Done),
            }
        }
        let (plan, composition) = planned;
        let shown = policy.shows(&known);
        let carried = carried(&plan, &composition);
        let sent = match &composition.write {
            Write::Put(document) => self.proven.put_registry_policy(&permit, document).await,
            Write::Delete => self.proven.delete_registry_policy(&permit).await,
        };
        let now = self.op.clock.now();
        match sent {
            Ok(()) => {
                tracing::info!(registry = %self.gathered.key, grants = self.due.statements.len(), "withdrew what is due, before anything grows");
                memory.rejected.accepted();
                memory.wrote(now, shown, carried, true);
                memory.look_again_at(now + self.op.second_look());
                Ok(Sent::Done)
            }
            Err(error) if error.kind == Kind::Invalid => {
                Ok(Sent::Refused { foreign: carried.foreign, ours: plan.allowed() })
            }
            Err(error) => {
                if error.outcome_unknown {
                    memory.wrote(now, shown, carried, false);
                }
                Err(self.proven.session().because(&error))
            }
        }
    }

    /// What takes away what is due; nothing, if nothing due stands there, or if another object may have it too: then it
    /// changes hands with what grows.
    fn plan_without(
        &self,
        without: &BTreeSet<Principal>,
        policy: &Policy,
        known: &Known,
        memory: &mut Memory,
    ) -> Result<Option<(Plan, Composition)>, Because> {
        if !self.is_there(policy, known) {
            return Ok(None);
        }
        let record = self.gathered.ledger.document(REGISTRY_POLICY);
        let observed = Observed { document: policy.document.as_ref(), record, scope: memory.scope() };
        let now = self.op.clock.now();
        let mut plan = plan(self.desired, &observed, &self.op.installation, known.partition, memory, now);
        plan.narrow();
        plan.leave_out(without);
        let Ok(composition) = plan.compose(&[]) else { return Err(super::apply::no_room()) };
        Ok((!plan.is_done(&composition)).then_some((plan, composition)))
    }

    /// The policy as it is; read once more where statements of others are missing, or nobody knows what our last write came
    /// to.
    async fn read(&self, known: &Known, memory: &mut Memory) -> Result<Policy, Because> {
        let mut policy = observe::policy(self.proven, self.op).await?;
        let record = self.gathered.ledger.document(REGISTRY_POLICY);
        for _ in 1..READS_AT_MOST {
            let standing = Standing::of(policy.document.as_ref(), known);
            let is_doubtful = needs_confirmation(record, policy.document.is_none(), &standing)
                || memory.misses(&standing)
                || memory.is_unsettled();
            if !is_doubtful {
                break;
            }
            tokio::time::sleep(BETWEEN_READS.min(self.op.settings.between_reads)).await;
            let next = observe::policy(self.proven, self.op).await?;
            let agrees = policy.shows(known) == next.shows(known);
            policy = next;
            if agrees {
                break;
            }
        }
        Ok(policy)
    }

    /// Whether something that is due stands in the policy.
    fn is_there(&self, policy: &Policy, known: &Known) -> bool {
        let standing = Standing::of(policy.document.as_ref(), known);
        self.due.statements.iter().any(|atom| standing.granted.iter().any(|granted| granted.is_within(atom)))
    }
}
