//! Makes AWS equal to the plan: the intent on record, the document read right before it is written, one Put, and a read
//! after it. A round that has nothing to write is the proof that everybody has what the plan says.

use std::collections::BTreeSet;
use std::time::Duration;

use ecr_permissions_core::api::{DocumentRecord, LedgerState};
use ecr_permissions_core::ownership::Sid;
use ecr_permissions_core::pass::bisect::Bisect;
use ecr_permissions_core::pass::compile::{Desired, Stance, compile};
use ecr_permissions_core::pass::index::Gathered;
use ecr_permissions_core::pass::judge::Applied;
use ecr_permissions_core::pass::ledger;
use ecr_permissions_core::pass::memory::{Carried, Memory};
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::plan::{Composition, Observed, Plan, Write, plan, without};
use ecr_permissions_core::pass::scope::ScopeView;
use ecr_permissions_core::pass::standing::Known;
use ecr_permissions_core::pass::{REGISTRY_POLICY, steps};
use ecr_permissions_core::policy::{Document, REGISTRY_POLICY_LIMIT, Statement, atoms};
use ecr_permissions_core::reason::{Because, Reason};

use super::Again;
use super::observe::{self, Policy};
use crate::aws::ecr::AccountProof;
use crate::aws::error::{Error, Kind};
use crate::aws::permit::Permit;
use crate::aws::session::Proven;
use crate::kube::writes::Finalized;
use crate::runtime::operator::Operator;

/// A read older than this is not what a Put may be based on: somebody else may have written meanwhile.
const FRESH: Duration = Duration::from_millis(250);

/// A pass that could not ask AWS at all.
pub(super) fn nothing(because: Because, desired: Desired) -> (Applied, Desired) {
    (Applied { failure: Some(because), ..Applied::default() }, desired)
}

pub(super) async fn apply(
    gathered: &mut Gathered,
    finalized: &Finalized,
    proven: &Proven,
    memory: &mut Memory,
    op: &Operator,
) -> Result<(Applied, Desired), Again> {
    let desired = compile(gathered, memory, op.clock.now());
    let record = gathered.registry.status.documents.get(REGISTRY_POLICY).cloned();
    let known = Known::new(&op.installation, gathered.key.partition(), record.as_ref(), &desired.contributions);
    let seen = observe::observe(&desired, record.as_ref(), &known, proven, memory, op).await;
    let (proof, policy, scope) = match seen {
        Ok(seen) => seen,
        Err(because) => return Ok(nothing(because, desired)),
    };
    let mut writing = Writing { gathered, finalized, proven, proof, record, scope, memory, op, desired, known };
    let applied = writing.run(policy).await?;
    Ok((applied, writing.desired))
}

struct Writing<'a> {
    gathered: &'a mut Gathered,
    finalized: &'a Finalized,
    proven: &'a Proven,
    proof: AccountProof,
    record: Option<DocumentRecord>,
    scope: Option<ScopeView>,
    memory: &'a mut Memory,
    op: &'a Operator,
    desired: Desired,
    known: Known,
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

impl Writing<'_> {
    async fn run(&mut self, policy: Policy) -> Result<Applied, Again> {
        let plan = self.plan(&policy, None);
        let Ok(composition) = plan.compose(&plan.admitted) else { return Ok(Self::too_large(&plan, &policy)) };
        if plan.is_done(&composition) && !plan.switch_scope {
            return Ok(self.confirmed(plan, &policy));
        }
        if self.memory.readback_is_hopeless(&fingerprint(&composition)) {
            return Ok(Self::failed(plan, &policy, readback_differs(), false));
        }
        if self.desired.restraint.is_some() {
            return Ok(Self::restrained(plan, &composition, &policy));
        }
        if !self.proven.session().may_write_now() {
            // Waiting for the turn first and deciding then lets one write answer whatever comes in meanwhile.
            return Err(Again::Soon);
        }
        let repairs = self.note_repair(&plan).await;
        self.record_intent(&plan).await?;
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

    /// The plan over what was read, with growth only for objects whose finalizer the API server has confirmed, and only
    /// for `only` if that is said.
    fn plan(&mut self, policy: &Policy, only: Option<&[ObjectId]>) -> Plan {
        let observed = Observed { document: policy.document.as_ref(), record: self.record.as_ref(), scope: self.scope };
        let (partition, now) = (self.gathered.key.partition(), self.op.clock.now());
        let mut plan = plan(&self.desired, &observed, &self.op.installation, partition, self.memory, now);
        let (finalized, attached) = (self.finalized, &self.gathered.attached);
        let contributions = &self.desired.contributions;
        plan.admit_only(|growth| {
            let id = &growth.id;
            let needs_no_receipt = attached.iter().all(|object| object.id != *id || object.meta.deleting);
            // A search writes what was on record before it began, whatever was edited meanwhile.
            let on_record = contributions.iter().any(|c| c.id == *id && covers(&c.has, &growth.to));
            let probed = only.is_none_or(|only| only.contains(id) && on_record);
            (finalized.contains(id) || needs_no_receipt) && probed
        });
        plan
    }

    /// Puts it, reads it back, and takes the proof from a plan over what was read.
    async fn write(&mut self, mut policy: Policy) -> Result<Applied, Again> {
        let sent = self.put(&mut policy, None).await;
        let sent = match sent {
            Sent::Refused => self.find_culprits(&mut policy).await?,
            other => other,
        };
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
        let permit = match Permit::obtain(self.proven, &self.proof, self.desired.restraint.as_ref()).await {
            Ok(permit) => permit,
            Err(because) => return Sent::Failed(because, Unknown(false)),
        };
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
        let plan = self.plan(policy, only);
        let Ok(composition) = plan.compose(&plan.admitted) else {
            return Sent::Failed(
                Because::new(Reason::PolicyTooLarge, "The registry policy has no room."),
                Unknown(false),
            );
        };
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

    /// AWS refused the document: whose addition is it? Everything that is accepted on the way stays.
    async fn find_culprits(&mut self, policy: &mut Policy) -> Result<Sent, Again> {
        let plan = self.plan(policy, None);
        let suspects: Vec<_> = plan
            .admitted
            .iter()
            .filter_map(|i| plan.growth.get(*i))
            .map(|growth| (growth.id.clone(), self.wanted(&growth.id)))
            .collect();
        let mut bisect = Bisect::after_refusal(suspects.len());
        while let Some(probe) = bisect.next_probe() {
            self.look_again();
            let ids: Vec<_> = probe.iter().filter_map(|i| suspects.get(*i)).map(|(id, _)| id.clone()).collect();
            match self.put(policy, Some(&ids)).await {
                Sent::Accepted => bisect.answer(true),
                Sent::Refused => bisect.answer(false),
                failed @ Sent::Failed(..) => return Ok(failed),
            }
        }
        let found = bisect.finish();
        if found.standing_refused || suspects.is_empty() {
            let message = "AWS does not take the registry policy even as it stands there: statements of others in it are refused. Nothing is written until somebody puts them right in AWS.";
            return Ok(Sent::Failed(Because::new(Reason::ForeignRefused, message), Unknown(false)));
        }
        let now = self.op.clock.now();
        for (id, wanted) in found.culprits.iter().filter_map(|i| suspects.get(*i)) {
            // What was asked for when the search began: an edit since then has not been refused.
            self.memory.refuse(id, wanted, now);
        }
        for (id, _) in found.accepted.iter().filter_map(|i| suspects.get(*i)) {
            self.memory.forgive(id);
        }
        self.desired = compile(self.gathered, self.memory, now);
        Ok(Sent::Accepted)
    }

    fn wanted(&self, id: &ObjectId) -> Vec<Statement> {
        let contribution = self.desired.contributions.iter().find(|c| c.id == *id);
        contribution.and_then(|c| c.wanted.clone()).unwrap_or_default()
    }

    /// A search takes seconds: what was revoked or edited meanwhile must not be written by it.
    fn look_again(&mut self) {
        let key = &self.gathered.key;
        let newer = self.op.with_index(|index| index.ready().and_then(|snapshot| snapshot.gather(key)));
        if let Some(newer) = newer {
            *self.gathered = newer;
            self.desired = compile(self.gathered, self.memory, self.op.clock.now());
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
        if let Some(composition) = composition.filter(|_| !late && !plan.standing.disturbed.is_empty()) {
            let written = fingerprint(&composition);
            self.memory.readback_differed(&written);
            if self.memory.readback_is_hopeless(&written) {
                return Self::failed(plan, after, readback_differs(), true);
            }
        }
        let because = Because::new(Reason::Progressing, "The policy was written, and AWS does not show it yet.");
        Self::failed(plan, after, because, true)
    }

    /// AWS was read and equals the plan: whoever's growth was admitted has it.
    fn confirmed(&mut self, plan: Plan, policy: &Policy) -> Applied {
        let accepted: Vec<_> = self.desired.contributions.iter().map(|c| c.id.clone()).collect();
        for id in accepted.iter().filter(|id| !plan.verdicts.contains_key(*id)) {
            self.memory.forgive(id);
        }
        self.memory.readback_equalled();
        self.memory.write_was_seen();
        let has = plan.without_growth.clone();
        Applied { has: Some(has), ..Self::described(plan, policy) }
    }

    fn described(plan: Plan, policy: &Policy) -> Applied {
        Applied {
            record: Some(record(&plan, policy)),
            verdicts: plan.verdicts,
            withheld: plan.withheld,
            findings: plan.findings,
            orphans: plan.orphans,
            ..Applied::default()
        }
    }

    fn restrained(plan: Plan, composition: &Composition, policy: &Policy) -> Applied {
        let steps = steps::status(plan.steps(composition));
        let has = plan.as_it_is.clone();
        Applied { has: Some(has), plan: steps, ..Self::described(plan, policy) }
    }

    fn too_large(plan: &Plan, policy: &Policy) -> Applied {
        let message = "The registry policy is longer than AWS takes even without growth: statements of others fill it. Nothing is written.";
        let failure = Some(Because::new(Reason::PolicyTooLarge, message));
        Applied { failure, ..Self::described(plan.clone(), policy) }
    }

    fn failed(plan: Plan, policy: &Policy, because: Because, unsettled: bool) -> Applied {
        let on_the_registry = matches!(because.reason, Reason::ForeignRefused | Reason::ReadbackDiffers);
        // A document that AWS refused changed nothing: what was read still stands, and proves who has what.
        let stands = (because.reason == Reason::ForeignRefused).then(|| plan.as_it_is.clone());
        let mut applied = Self::described(plan, policy);
        // What was read before the write is not what is known after it.
        applied.record = None;
        applied.has = stands;
        applied.unsettled = unsettled;
        if on_the_registry {
            applied.findings.insert(0, because);
        } else {
            applied.failure = Some(because);
        }
        applied
    }

    /// Tells of drift that this write puts right.
    async fn note_repair(&self, plan: &Plan) -> bool {
        let restores = plan.admitted.iter().filter_map(|i| plan.growth.get(*i)).any(|growth| growth.restores);
        // The same statement twice is nobody's work but somebody else's.
        let doubled = !plan.standing.disturbed.is_disjoint(&plan.standing.intact);
        let repairs = !plan.drift.is_empty() && (restores || doubled);
        if repairs {
            self.op.metrics.drifted(&self.gathered.key);
            tracing::info!(registry = %self.gathered.key, statements = plan.drift.len(), "drift: the policy was changed from outside, putting ours back");
            self.op.events.drift(&self.gathered.registry, plan.drift.len()).await;
        }
        repairs
    }

    /// What may be in AWS is on record before it can be: a crash after the Put leaves nothing that is nobody's.
    async fn record_intent(&mut self, plan: &Plan) -> Result<(), Again> {
        let mut holdings = ledger::parse(&self.gathered.registry.status.ledger);
        let mut changed = false;
        for growth in plan.admitted.iter().filter_map(|i| plan.growth.get(*i)) {
            let Some(contribution) = self.desired.contributions.iter().find(|c| c.id == growth.id) else { continue };
            let recorded = atoms(contribution.has.clone());
            if atoms(growth.to.clone()).is_subset(&recorded) && contribution.state.is_some() {
                continue;
            }
            // Of a write that was on record already only what AWS shows of it counts: intents do not pile up.
            let mut statements = match contribution.state {
                Some(LedgerState::Writing) => plan.standing.present(&contribution.has),
                _ => contribution.has.clone(),
            };
            statements.extend(growth.to.iter().filter(|s| !contribution.has.contains(s)).cloned());
            changed = true;
            holdings.insert(
                growth.id.clone(),
                ledger::Holding {
                    uid: contribution.uid.clone(),
                    generation: contribution.generation,
                    state: LedgerState::Writing,
                    statements,
                },
            );
        }
        for contribution in self.desired.contributions.iter().filter(|c| matches!(c.stance, Stance::Wants(_))) {
            let verdict = plan.verdicts.get(&contribution.id);
            if verdict.is_some_and(|because| because.reason == Reason::PrincipalGone) {
                // Known before the document forgets it: once the unique id is gone, nothing else tells.
                changed = true;
                holdings.insert(
                    contribution.id.clone(),
                    ledger::Holding {
                        uid: contribution.uid.clone(),
                        generation: contribution.generation,
                        state: LedgerState::PrincipalGone,
                        statements: without(&contribution.has, &plan.standing.gone),
                    },
                );
            }
        }
        if changed {
            self.write_ledger(&holdings).await?;
        }
        Ok(())
    }

    async fn write_ledger(&mut self, holdings: &ledger::Holdings) -> Result<(), Again> {
        let mut status = self.gathered.registry.status.clone();
        status.ledger = ledger::entries(holdings);
        self.gathered.registry = self.op.write_registry_status(&self.gathered.registry, status).await?.into();
        self.desired = compile(self.gathered, self.memory, self.op.clock.now());
        Ok(())
    }

    /// There is no way back from it, so what it would wake is read once more right before.
    async fn switch_scope(&mut self, policy: &mut Policy) -> Result<(), Because> {
        let permit = Permit::obtain(self.proven, &self.proof, self.desired.restraint.as_ref()).await?;
        *policy = observe::policy(self.proven, self.op).await?;
        if !self.plan(policy, None).switch_scope {
            return Err(Because::new(Reason::Progressing, "The policy has changed; its scope is decided again."));
        }
        self.proven.switch_scope_to_v2(&permit).await.map_err(|error| self.proven.session().because(&error))?;
        self.scope = Some(ScopeView::V2);
        Ok(())
    }
}

fn covers(has: &[Statement], all: &[Statement]) -> bool {
    atoms(all.iter().cloned()).is_subset(&atoms(has.iter().cloned()))
}

/// What a write is to be remembered by.
fn carried(plan: &Plan, composition: &Composition) -> Carried {
    let granted = atoms(composition.ours.values().cloned());
    Carried {
        foreign: plan.standing.foreign.clone(),
        sids: composition.ours.keys().cloned().collect(),
        dropped: plan.standing.granted.difference(&granted).cloned().collect(),
        granted,
    }
}

/// Names a composition: what AWS is to show under our Sids.
fn fingerprint(composition: &Composition) -> String {
    composition.ours.keys().map(Sid::as_str).collect::<Vec<_>>().join(" ")
}

fn readback_differs() -> Because {
    let message = "AWS answers another policy than was written, twice: this is not written again for a while. Compare the Registry's plan with the policy in AWS, and report it.";
    Because::new(Reason::ReadbackDiffers, message)
}

/// What stands in AWS, as far as later passes must know it.
fn record(plan: &Plan, policy: &Policy) -> DocumentRecord {
    let text = policy.document.as_ref().map(Document::to_text).unwrap_or_default();
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut foreign_hashes = plan.standing.foreign.clone();
    foreign_hashes.sort();
    // What is not put back for now was ours as last written, and is not forgotten.
    let awaited = plan.drift.iter().filter(|_| !plan.withheld.is_empty());
    let sids: BTreeSet<String> = plan.standing.intact.iter().chain(awaited).map(ToString::to_string).collect();
    let sids: Vec<String> = sids.into_iter().collect();
    DocumentRecord {
        hash: steps::hash(sids.iter().chain(&foreign_hashes)),
        characters: number(text.chars().count()),
        limit: number(REGISTRY_POLICY_LIMIT),
        sids,
        foreign_hashes,
    }
}
