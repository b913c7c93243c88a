//! What AWS has: the registry policy, the account it is of, and its scope where something rests on it. Every document is
//! read once; a read that shows less than was there before is confirmed by another.

pub(super) mod roles;
pub(super) mod rules;

use std::time::Duration;

use ecr_permissions_core::pass::answers::Answered;
use ecr_permissions_core::pass::compile::Desired;
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::ledger::DocumentRecord;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::queue::Now;
use ecr_permissions_core::pass::roles::Place;
use ecr_permissions_core::pass::scope::ScopeView;
use ecr_permissions_core::pass::standing::{Known, Standing, needs_confirmation};
use ecr_permissions_core::policy::{Doc, Document, Stored};
use ecr_permissions_core::reason::{Because, Reason};

use crate::aws::ecr::AccountProof;
use crate::aws::error::Kind;
use crate::aws::session::Proven;
use crate::runtime::clock::Clock;
use crate::runtime::operator::Operator;

/// How far apart two reads are that must agree.
pub(super) const BETWEEN_READS: Duration = Duration::from_secs(1);
const READS_AT_MOST: u32 = 5;
/// So long a pass begins to look up roles and secrets, each by itself: nobody waits longer for all that others name.
const ASKED_WITHIN: Duration = Duration::from_secs(1);

/// What was read of the policy, and when.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) document: Option<Document>,
    pub(super) read_at: Duration,
    /// It was written over since.
    pub(super) is_past: bool,
}

/// All that a pass goes by: each part told or failed by itself, so that one broken document does not stop the others.
pub(super) struct Seen {
    pub(super) proof: AccountProof,
    /// Nothing, where nobody has a part in it.
    pub(super) policy: Option<Result<Policy, Because>>,
    pub(super) scope: Option<ScopeView>,
    /// Nothing, where no object has to do with rules.
    pub(super) rules: Option<Result<rules::Rules, Because>>,
    pub(super) roles: Option<roles::Roles>,
}

/// For whose sake AWS is asked, and when.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) gathered: &'a Gathered,
    pub(super) now: Now,
    clock: Clock,
}

impl Asking<'_> {
    /// Whether AWS has been asked for single things for long enough: the others are asked for in the next pass.
    fn is_over(&self) -> bool {
        self.clock.now().saturating_sub(self.now) > ASKED_WITHIN
    }
}

/// Everything is asked for side by side, and only what something rests on. Without a proof nothing else counts.
pub(super) async fn observe(
    desired: &Desired,
    place: Place<'_>,
    with_policy: bool,
    proven: &Proven,
    answered: &mut Answered,
    gathered: &Gathered,
    op: &Operator,
) -> Result<Seen, Because> {
    let asking = Asking { gathered, now: op.clock.now(), clock: op.clock };
    let scope = async { if desired.needs_scope() { scope(desired, proven).await } else { Ok(None) } };
    let rules = rules::rules(desired, proven, &mut answered.secrets, answered.good_for, asking);
    let roles = roles::roles(desired, place, proven, &mut answered.roles, asking);
    let things = async { futures::join!(rules, roles) };
    let policy = async { if with_policy { Some(policy(proven, op).await) } else { None } };
    let (proof, policy, scope, (rules, roles)) = futures::join!(proven.prove_registry(), policy, scope, things);
    let (scope, policy) = match scope {
        Ok(scope) => (scope, policy),
        Err(because) => (None, Some(Err(because))),
    };
    Ok(Seen { proof: proof?, policy, scope, rules, roles })
}

/// Whoever may not read the setting leaves it to AWS to refuse what the scope does not know. A registry that names no
/// scope may be on V1 (aws-facts A.2): who wants V2 gets it by the switch, and with its care for sleepers.
async fn scope(desired: &Desired, proven: &Proven) -> Result<Option<ScopeView>, Because> {
    match proven.registry_policy_scope().await {
        Ok(None) if desired.wants_scope_v2 => Ok(Some(ScopeView::V1)),
        Err(error) if !matches!(error.kind, Kind::Denied | Kind::Invalid) => Err(proven.session().because(&error)),
        read => Ok(read.ok().flatten()),
    }
}

/// One read of the registry policy. What cannot be written back without loss is refused here, once for all.
pub(super) async fn policy(proven: &Proven, op: &Operator) -> Result<Policy, Because> {
    let read_at = op.clock.now();
    let document = match proven.registry_policy().await.map_err(|error| proven.session().because(&error))? {
        Doc::Absent => None,
        Doc::Parsed(document) => Some(document),
        Doc::Unreadable(reason) => {
            let message = format!(
                "The registry policy in AWS cannot be merged into ({reason}): nothing is written. Put it right there, or delete it."
            );
            return Err(Because::new(Reason::UnreadableDocument, message));
        }
    };
    Ok(Policy { document, read_at, is_past: false })
}

/// Reads again until two reads agree, if the first shows less than there was, or a write's outcome is unknown.
pub(super) async fn confirm(
    first: Policy,
    record: Option<&DocumentRecord>,
    known: &Known,
    proven: &Proven,
    memory: &mut Memory,
    op: &Operator,
) -> Result<Policy, Because> {
    // What AWS answers again and again is not late.
    if !memory.readback_has_differed() && memory.is_late(&first.shows(known), op.clock.now()) {
        return Err(Because::new(Reason::Progressing, "The policy was written, and AWS does not show it yet."));
    }
    // Without a record there is nothing to be older than.
    let standing = Standing::of(first.document.as_ref(), known);
    if record.is_some() && memory.is_strange(&standing, op.clock.now()) {
        let message = "AWS shows statements of this operator that its last write did not carry: an older answer, perhaps. Nothing is written on top of it before it has stayed for a minute.";
        return Err(Because::new(Reason::Progressing, message));
    }
    let doubtful = |policy: &Policy| {
        let standing = Standing::of(policy.document.as_ref(), known);
        needs_confirmation(record, policy.document.is_none(), &standing) || memory.misses(&standing)
    };
    if !doubtful(&first) && !memory.is_unsettled() {
        return Ok(first);
    }
    let mut last = first;
    for _ in 1..READS_AT_MOST {
        tokio::time::sleep(BETWEEN_READS.min(op.settings.between_reads)).await;
        let next = policy(proven, op).await?;
        let agrees = last.shows(known) == next.shows(known);
        last = next;
        if agrees {
            memory.settled();
            return Ok(last);
        }
    }
    Err(Because::new(
        Reason::Progressing,
        "AWS answers another policy from read to read; nothing is written until it settles.",
    ))
}

impl Policy {
    /// What a read shows, so that two reads can be compared: every statement by its Sid and its meaning.
    pub(super) fn shows(&self, known: &Known) -> String {
        let Some(document) = &self.document else { return "no policy".to_owned() };
        let line = |s: &Stored| format!("{} {}", s.sid().unwrap_or_default(), s.fingerprint(known.partition));
        document.statements().iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
