//! Taking away, before and beside everything else: what is due is told by ledger, specs and `allow` alone, and goes by one
//! read of the policy and one Put that adds nothing. It waits for no answer of the API server, no secret, no other read and
//! nobody else's refusal.

use std::collections::BTreeSet;
use std::time::Duration;

use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::compile::{Desired, compile};
use ecr_permissions_core::pass::due::Due;
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::ledger::REGISTRY_POLICY;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::orphans::Orphans;
use ecr_permissions_core::pass::plan::{Observed, Write, plan};
use ecr_permissions_core::pass::standing::{Known, Standing, needs_confirmation};
use ecr_permissions_core::reason::Because;

use super::apply::carried;
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
                self.withdraw(memory, op).await;
            }
        }
    }

    /// Takes away what is due in the policy, by what the watches have shown up to now.
    pub(super) async fn withdraw(&mut self, memory: &mut Memory, op: &Operator) {
        let changes = op.with_index(|index| index.changes());
        let gathered = op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(self.key)));
        let Some(gathered) = gathered else { return };
        let desired = compile(&gathered, &op.installation, memory, op.clock.now());
        let due = due(&desired);
        let withdrawing = Withdrawing { gathered: &gathered, desired: &desired, due: &due, proven: self.proven, op };
        let withdrawn = if due.statements.is_empty() { Ok(()) } else { withdrawing.narrow(memory).await };
        self.seen = withdrawn.is_ok().then_some(changes);
        if let Err(because) = withdrawn {
            tracing::warn!(registry = %self.key, reason = because.reason.as_str(), why = because.message, "what is to be withdrawn is still in the policy");
        }
    }
}

struct Withdrawing<'a> {
    gathered: &'a Gathered,
    desired: &'a Desired,
    due: &'a Due,
    proven: &'a Proven,
    op: &'a Operator,
}

impl Withdrawing<'_> {
    /// One Put that takes away what is due and adds nothing.
    async fn narrow(&self, memory: &mut Memory) -> Result<(), Because> {
        let partition = self.gathered.key.partition();
        let record = self.gathered.ledger.document(REGISTRY_POLICY);
        let known = Known::new(&self.op.installation, partition, record, self.desired);
        let proof = self.proven.prove_registry().await?;
        let mut policy = self.read(&known, memory).await?;
        if !self.is_there(&policy, &known) {
            return Ok(());
        }
        let (restraint, lane) = (self.desired.restraint.as_ref(), gate::Lane::Withdrawal);
        let permit = Permit::obtain(self.proven, &proof, restraint, lane).await?;
        if self.op.clock.now().saturating_sub(policy.read_at) > super::apply::FRESH {
            policy = self.read(&known, memory).await?;
        }
        let observed = Observed { document: policy.document.as_ref(), record, scope: memory.scope() };
        let now = self.op.clock.now();
        let mut plan = plan(self.desired, &observed, &self.op.installation, partition, memory, now);
        plan.narrow();
        let Ok(composition) = plan.compose(&[]) else { return Err(super::apply::no_room()) };
        // Another object may have what this one gave up: then it changes hands with what grows.
        if plan.is_done(&composition) {
            return Ok(());
        }
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
                memory.wrote(now, shown, carried, true);
                memory.look_again_at(now + self.op.second_look());
                Ok(())
            }
            Err(error) => {
                if error.outcome_unknown && error.kind != Kind::Invalid {
                    memory.wrote(now, shown, carried, false);
                }
                Err(self.proven.session().because(&error))
            }
        }
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
