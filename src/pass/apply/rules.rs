//! Makes the registry's cache rules equal to the plan: the claim on record, one call a rule, side by side, and a read
//! after them. A round that has nothing to do is the proof that everybody has what the plan says.

use std::collections::{BTreeMap, BTreeSet};

use ecr_permissions_core::api::{LedgerState, OwnershipState};
use ecr_permissions_core::pass::cache_rules::{Act, Applied, RulesPlan, plan_rules};
use ecr_permissions_core::pass::compile::Desired;
use ecr_permissions_core::pass::ledger::{self, Holding, Things};
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::reason::{Because, Reason};
use futures::StreamExt;
use k8s_openapi::jiff::SignedDuration;

use super::{Again, Writing};
use crate::aws::error::{Error, Kind};
use crate::aws::permit::Permit;
use crate::pass::observe::rules::Rules;

/// Writes of one registry under way at once.
const AT_ONCE: usize = 25;
/// A rule that is replaced takes two rounds; what a third finds to do is somebody else's work.
const ROUNDS_AT_MOST: usize = 3;

/// A call that nobody waits for any more takes effect within this, or never.
const LATE: SignedDuration = SignedDuration::from_mins(1);

/// The rules as last read, and what came of this pass's writes.
#[derive(Debug)]
pub(super) struct Working {
    read: Rules,
    repositories: Option<Vec<String>>,
    /// What AWS answered in this pass to whom it refused.
    refused: BTreeMap<ObjectId, Because>,
    /// Of those, whose write may have happened all the same.
    unknown: BTreeSet<ObjectId>,
    /// Who had a rule on record when the pass began.
    had: BTreeSet<ObjectId>,
}

impl Working {
    fn new(read: Rules, desired: &Desired) -> Self {
        let having = desired.contributions.iter().filter(|c| c.things.rule.is_some());
        let had = having.map(|c| c.id.clone()).collect();
        Self { read, repositories: None, refused: BTreeMap::new(), unknown: BTreeSet::new(), had }
    }
}

/// Nothing, where no object has to do with rules.
pub(super) type Maybe = Option<Result<Working, Because>>;

impl Writing<'_> {
    /// Deletes the rules that go. What could not be read stays as it is.
    pub(super) async fn remove_rules(&mut self, rules: Option<Result<Rules, Because>>, pruned: bool) -> Maybe {
        let mut rules: Working = match rules? {
            Ok(rules) => Working::new(rules, &self.desired),
            Err(because) => return Some(Err(because)),
        };
        let mut plan = self.plan_rules(&rules, pruned);
        plan.acts.retain(|_, act| matches!(act, Act::Delete(_)));
        self.leave_out_refused(&mut plan, &mut rules);
        if plan.acts.is_empty() || self.desired.restraint.is_some() {
            return Some(Ok(rules));
        }
        self.act_on(&plan, &mut rules).await;
        Some(self.read_again(rules).await)
    }

    /// Makes and changes what is wanted.
    pub(super) async fn make_rules(&mut self, rules: Maybe, pruned: bool) -> Result<Applied, Again> {
        let mut rules = match rules {
            None => return Ok(Applied { has: Some(BTreeMap::new()), ..Applied::default() }),
            Some(Err(because)) => return Ok(Applied { failure: Some(because), ..Applied::default() }),
            Some(Ok(rules)) => rules,
        };
        for _ in 0..ROUNDS_AT_MOST {
            let mut plan = self.plan_rules(&rules, pruned);
            if plan.asks_for_repositories {
                match self.proven.repository_names().await {
                    Ok(names) => rules.repositories = Some(names),
                    Err(error) => {
                        let failure = Some(self.proven.session().because(&error));
                        return Ok(Applied { failure, ..Applied::default() });
                    }
                }
                plan = self.plan_rules(&rules, pruned);
            }
            self.leave_out_refused(&mut plan, &mut rules);
            if plan.acts.is_empty() {
                return Ok(self.rules_confirmed(plan, rules).await);
            }
            if self.desired.restraint.is_some() {
                return Ok(Applied { steps: plan.steps(), verdicts: plan.verdicts, ..Applied::default() });
            }
            self.note_restored(&plan).await;
            self.record_claims(&plan).await?;
            self.act_on(&plan, &mut rules).await;
            rules = match self.read_again(rules).await {
                Ok(rules) => rules,
                Err(because) => return Ok(Applied { failure: Some(because), ..Applied::default() }),
            };
        }
        let message = "The cache rules are not yet as they were written; they are looked at again.";
        Ok(Applied { failure: Some(Because::new(Reason::Progressing, message)), ..Applied::default() })
    }

    /// What AWS refused in this pass, or refused before and is not asked again yet.
    fn leave_out_refused(&self, plan: &mut RulesPlan, rules: &mut Working) {
        let now = self.op.clock.now();
        plan.acts.retain(|id, act| {
            let remembered = self.memory.rule_refusal(id, act, now);
            rules.refused.extend(remembered.map(|because| (id.clone(), because)));
            !rules.refused.contains_key(id)
        });
    }

    fn plan_rules(&self, rules: &Working, pruned: bool) -> RulesPlan {
        let claims = self.desired.contributions.iter().filter_map(|c| c.rule.as_ref());
        let claims: Vec<_> = claims.map(|claim| claim.resolve(&self.gathered.key, &rules.read.found, pruned)).collect();
        plan_rules(&claims, &rules.read.stored, rules.repositories.as_deref())
    }

    async fn read_again(&self, rules: Working) -> Result<Working, Because> {
        let stored = self.proven.cache_rules().await.map_err(|error| self.proven.session().because(&error))?;
        Ok(Working { read: Rules { stored, ..rules.read }, ..rules })
    }

    /// What is about to be made is on record before it can be: a crash after it leaves nothing that is nobody's.
    async fn record_claims(&mut self, plan: &RulesPlan) -> Result<(), Again> {
        let mut holdings = ledger::parse(&self.gathered.registry.status.ledger);
        let mut changed = false;
        for (id, rule) in plan.claims() {
            let Some(contribution) = self.desired.contributions.iter().find(|c| c.id == id) else { continue };
            if contribution.things.rule.as_ref() == Some(&rule) {
                continue;
            }
            changed = true;
            let holding = holdings.entry(id).or_insert_with(|| Holding {
                uid: contribution.uid.clone(),
                generation: contribution.generation,
                state: LedgerState::Applied,
                statements: Vec::new(),
                things: Things::default(),
            });
            holding.things.claimed_at = (rule.state == OwnershipState::Claimed).then(|| self.op.clock.timestamp());
            holding.things.rule = Some(rule);
        }
        if changed {
            self.write_ledger(&holdings).await?;
        }
        Ok(())
    }

    async fn act_on(&mut self, plan: &RulesPlan, rules: &mut Working) {
        let this = &*self;
        let acts = plan.acts.clone().into_iter();
        let acts: Vec<_> = acts.map(|(id, act)| async move { (id, this.act(&act).await) }).collect();
        let done: Vec<_> = futures::stream::iter(acts).buffer_unordered(AT_ONCE).collect().await;
        for (id, result) in done {
            match result {
                Ok(()) => self.memory.forgive_rule(&id),
                // Somebody was faster: the read after it tells who.
                Err(Refusal::Error(error)) if error.kind == Kind::Exists => {}
                Err(refusal) => {
                    if matches!(&refusal, Refusal::Error(error) if error.outcome_unknown) {
                        rules.unknown.insert(id.clone());
                    }
                    let Some(act) = plan.acts.get(&id) else { continue };
                    let because = self.explained(refusal);
                    let because = self.memory.refuse_rule(&id, act, because, self.op.clock.now());
                    rules.refused.insert(id, because);
                }
            }
        }
    }

    async fn act(&self, act: &Act) -> Result<(), Refusal> {
        let restraint = self.desired.restraint.as_ref();
        let permit = Permit::for_thing(self.proven, &self.proof, restraint).await.map_err(Refusal::Restrained)?;
        match act {
            Act::Create(rule) => self.proven.create_cache_rule(permit, rule).await,
            Act::Update(rule) => self.proven.update_cache_rule(permit, rule).await,
            Act::Delete(prefix) => self.proven.delete_cache_rule(permit, prefix).await,
        }
        .map_err(Refusal::Error)
    }

    fn explained(&self, refusal: Refusal) -> Because {
        match refusal {
            Refusal::Restrained(because) => because,
            Refusal::Error(error) if error.kind == Kind::Invalid => {
                let message = format!("AWS refuses the cache rule: {}.", error.message.trim_end_matches('.'));
                Because::new(Reason::Rejected, message)
            }
            Refusal::Error(error) => self.proven.session().because(&error),
        }
    }

    /// A rule that was ours and is made again was taken away by somebody else. Told before the claim takes the place of
    /// what was on record.
    async fn note_restored(&self, plan: &RulesPlan) {
        let was_there = |id: &ObjectId| {
            let contribution = self.desired.contributions.iter().find(|c| c.id == *id);
            let owned = contribution.and_then(|c| c.rule.as_ref()).and_then(|claim| claim.has.as_ref());
            owned.is_some_and(|rule| rule.state == OwnershipState::Owned)
        };
        let restored = plan.acts.iter().filter(|(id, act)| matches!(act, Act::Create(_)) && was_there(id)).count();
        if restored > 0 {
            self.op.metrics.drifted(&self.gathered.key);
            tracing::info!(registry = %self.gathered.key, rules = restored, "drift: cache rules were deleted from outside, making them again");
            self.op.events.drift(&self.gathered.registry, &format!("{restored} cache rules")).await;
        }
    }

    /// Nothing is left to do: everybody has what was read.
    async fn rules_confirmed(&self, plan: RulesPlan, rules: Working) -> Applied {
        let RulesPlan { has, mut missing, given_up, mut verdicts, held_equal, .. } = plan;
        // A rule that is lost stays on record until it is back, and so does a claim whose rule may be on its way. A claim
        // that came to nothing does not: what stands there tomorrow would be somebody else's.
        missing.retain(|id, _| rules.had.contains(id) || rules.unknown.contains(id));
        for (id, because) in rules.refused {
            // What keeps the object from what it wants explains more than what became of what it has.
            verdicts.entry(id).or_insert(because);
        }
        let late: Vec<_> = given_up.into_iter().filter(|(id, _)| self.is_young(id)).collect();
        let awaits_late = !late.is_empty();
        for (id, claim) in late {
            let message = format!("Whether the rule for prefix {} was made is not known yet.", claim.prefix);
            verdicts.entry(id.clone()).or_insert_with(|| Because::new(Reason::Progressing, message));
            missing.insert(id, claim);
        }
        let mut applied = Applied { has: Some(has), missing, held_equal, awaits_late, verdicts, ..Applied::default() };
        self.validate(&mut applied).await;
        applied
    }

    /// Whether a call that was made on an object's claim may still take effect.
    fn is_young(&self, id: &ObjectId) -> bool {
        let contribution = self.desired.contributions.iter().find(|c| c.id == *id);
        let claimed = contribution.and_then(|c| c.things.claimed_at);
        claimed.is_some_and(|at| self.op.clock.timestamp().duration_since(at) < LATE)
    }

    /// AWS is asked where a rule needs a role or credentials (aws-facts A.1): a rule may be there and serve nothing.
    async fn validate(&self, applied: &mut Applied) {
        let asked = applied.has.iter().flatten().filter(|(id, rule)| {
            !applied.verdicts.contains_key(*id) && (rule.role_arn.is_some() || rule.credential_arn.is_some())
        });
        let asked: Vec<_> = asked.map(|(id, rule)| (id.clone(), rule.prefix.clone())).collect();
        let asking = asked.into_iter();
        let asking = asking.map(|(id, prefix)| async move { (id, self.proven.validate_cache_rule(&prefix).await) });
        let asking: Vec<_> = asking.collect();
        let answers: Vec<_> = futures::stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
        for (id, answer) in answers {
            match answer {
                Ok(validity) => {
                    if !validity.valid {
                        let why = validity.failure.clone().unwrap_or_else(|| "AWS gives no reason".to_owned());
                        let message = format!(
                            "The cache rule is there, and ECR does not get at the upstream by it: {}. It is asked again.",
                            why.trim_end_matches('.')
                        );
                        applied.verdicts.insert(id.clone(), Because::new(Reason::UpstreamInvalid, message));
                    }
                    applied.validity.insert(id, validity);
                }
                Err(error) => drop(applied.verdicts.insert(id, self.proven.session().because(&error))),
            }
        }
    }
}

/// Why a write did not succeed.
enum Refusal {
    Restrained(Because),
    Error(Error),
}
