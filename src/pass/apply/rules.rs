//! Cache rules as things: what their plan needs to know, and the calls that carry it out.

use std::collections::BTreeMap;

use ecr_permissions_core::api::LedgerRule;
use ecr_permissions_core::kinds::CacheRule;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::answers::Asker;
use ecr_permissions_core::pass::cache_rules::{self, Act, Claim, RulesPlan, Validity, plan_rules};
use ecr_permissions_core::pass::claims::Action;
use ecr_permissions_core::pass::compile::Contribution;
use ecr_permissions_core::pass::judge::Applied;
use ecr_permissions_core::pass::ledger::Things;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::objects::ObjectId;
use ecr_permissions_core::pass::orphans::Said;
use ecr_permissions_core::pass::refusals::Denied;
use ecr_permissions_core::pass::roles::reach::{self, Passable};
use ecr_permissions_core::pass::turns;
use ecr_permissions_core::reason::{Because, Reason};
use futures::StreamExt;

use super::Writing;
use super::things::{Refusal, Thing};
use crate::aws::error::{Error, Kind};
use crate::aws::gate::Lane;
use crate::aws::permit::Permit;
use crate::pass::observe::rules::Rules;

/// Rules that AWS is asked to validate at once.
const AT_ONCE: usize = 25;

impl Thing for Rules {
    type Wanted = CacheRule;
    type Act = Act;
    type Record = LedgerRule;
    const IS_MARKED: bool = false;
    const WHAT: &'static str = "cache rules";

    fn claim(contribution: &Contribution) -> Option<&Claim<CacheRule>> {
        contribution.rule.as_ref()
    }

    fn recorded(things: &Things) -> Option<&LedgerRule> {
        things.rule.as_ref()
    }

    fn record(things: &mut Things, record: LedgerRule) {
        things.rule = Some(record);
    }

    fn denied(memory: &mut Memory) -> &mut Denied<Act> {
        &mut memory.rules
    }

    fn shows(&self, record: &LedgerRule) -> bool {
        self.stored.iter().any(|stored| stored.rule.prefix == record.prefix)
    }

    /// The list of repositories, where somebody cannot be decided on without.
    async fn prepare(&mut self, claims: &[Claim<CacheRule>], writing: &mut Writing<'_>, said: &Said) {
        if self.repositories.is_some() {
            return;
        }
        let asking = self.plan_and_asking(claims, writing, said).1;
        if asking.is_empty() {
            return;
        }
        let (now, asker) = (writing.op.clock.now(), Asker::of(writing.gathered, &asking));
        if let Some(names) = writing.memory.answered.repositories.get(&(), &asker, now).cloned() {
            self.repositories = Some(names);
            // An answer of before may go on refusing; nobody gets a rule by it.
            let plan = self.plan(claims, writing, said);
            if !asking.iter().any(|id| plan.acts.contains_key(id)) {
                return;
            }
        }
        let names = writing.proven.repository_names().await;
        let names = names.map_err(|error| writing.proven.session().because(&error));
        let answered = &mut writing.memory.answered;
        let good_for = answered.good_for.result(&names);
        answered.repositories.note((), asker, names.clone(), now, good_for);
        self.repositories = Some(names);
    }

    fn plan(&self, claims: &[Claim<CacheRule>], writing: &Writing<'_>, said: &Said) -> RulesPlan {
        self.plan_and_asking(claims, writing, said).0
    }

    /// They are read as one list.
    async fn read_again(self, _: &[&Act], writing: &Writing<'_>) -> Result<Self, Because> {
        let proven = writing.proven;
        let stored = proven.cache_rules().await.map_err(|error| proven.session().because(&error))?;
        Ok(Self { stored, ..self })
    }

    async fn read_recorded(self, _: &[LedgerRule], writing: &Writing<'_>) -> Result<Self, Because> {
        self.read_again(&[], writing).await
    }

    async fn act(act: &Act, writing: &Writing<'_>) -> Result<Option<String>, Refusal> {
        let pulls_from = |key: &RegistryKey| match act {
            Act::Create(rule) | Act::Update(rule) => key.host() == rule.upstream_url,
            Act::Delete(_) => false,
        };
        let lane = if act.removes() { Lane::Withdrawal } else { Lane::Growth };
        let permit = Permit::for_thing(writing.proven, &writing.proof, writing.desired.restraint.as_ref(), lane);
        let permit = writing.permitted_by_upstreams(permit, !act.removes(), pulls_from).await;
        let permit = permit.map_err(Refusal::Restrained)?;
        match act {
            Act::Create(rule) => {
                let made = writing.proven.create_cache_rule(permit, rule).await?;
                return Ok(made.map(|at| at.to_string()));
            }
            Act::Update(rule) => writing.proven.update_cache_rule(permit, rule).await?,
            Act::Delete(prefix) => writing.proven.delete_cache_rule(permit, prefix).await?,
        }
        Ok(None)
    }

    fn explained(_: &Act, error: &Error, writing: &Writing<'_>) -> Because {
        if error.kind == Kind::Invalid {
            let message = format!("AWS refuses the cache rule: {}.", error.message.trim_end_matches('.'));
            return Because::new(Reason::Rejected, message);
        }
        writing.proven.session().because(error)
    }

    fn names_young(act: &Act) -> bool {
        match act {
            Act::Create(rule) | Act::Update(rule) => rule.role_arn.is_some(),
            Act::Delete(_) => false,
        }
    }
}

impl Rules {
    fn plan_and_asking(
        &self,
        claims: &[Claim<CacheRule>],
        writing: &Writing<'_>,
        said: &Said,
    ) -> (RulesPlan, cache_rules::Asking) {
        let key = &writing.gathered.key;
        let claims: Vec<_> = claims.iter().map(|claim| claim.resolved(key, &self.found, said)).collect();
        plan_rules(&claims, &self.stored, self.repositories.as_ref())
    }
}

impl Writing<'_> {
    /// AWS is asked where a rule needs a role or credentials (aws-facts A.1): a rule may be there and serve nothing.
    pub(super) async fn validate_rules(&mut self, applied: &mut Applied, roles: &BTreeMap<ObjectId, Passable>) {
        let rules = applied.rules.has.iter().flatten().filter(|(id, rule)| {
            !applied.rules.verdicts.contains_key(*id) && (rule.role_arn.is_some() || rule.credential_arn.is_some())
        });
        let rules: Vec<_> = rules.map(|(id, rule)| (id.clone(), rule.clone())).collect();
        for (id, answer) in self.validity_of(rules, roles).await {
            match answer {
                Ok(validity) => {
                    if !validity.valid {
                        let why = validity.failure.clone().unwrap_or_else(|| "AWS gives no reason".to_owned());
                        let message = format!(
                            "The cache rule is there, and ECR does not get at the upstream by it: {}. It is asked again.",
                            why.trim_end_matches('.')
                        );
                        applied.rules.verdicts.insert(id.clone(), Because::new(Reason::UpstreamInvalid, message));
                    }
                    applied.validity.insert(id, validity);
                }
                Err(because) => {
                    applied.rules.verdicts.insert(id.clone(), because);
                    applied.rules.unread.insert(id);
                }
            }
        }
    }

    /// Whether ECR gets at the upstreams of these rules. Each question is a login there with the company's credentials.
    async fn validity_of(
        &mut self,
        rules: Vec<(ObjectId, LedgerRule)>,
        roles: &BTreeMap<ObjectId, Passable>,
    ) -> Vec<(ObjectId, Result<Validity, Because>)> {
        let (now, proven) = (self.op.clock.now(), self.proven);
        let answered = &mut self.memory.answered;
        let (mut answers, mut to_ask) = (Vec::new(), Vec::new());
        for (id, rule) in rules {
            let asker = Asker::of(self.gathered, [&id]);
            // What its role's upstreams let it do, and who of them still does, makes another question of it.
            let role = roles.iter().find(|(_, role)| rule.role_arn.is_some() && role.arn == rule.role_arn);
            let granting = role.and_then(|(id, role)| reach::granting(self.gathered, id, role.arn.as_deref()));
            let granting = granting.map(|other| other.registry.name());
            let what = format!("{} {:?} {:?} {role:?} {granting:?}", rule.prefix, rule.role_arn, rule.credential_arn);
            match answered.validity.get(&what, &asker, now) {
                Some(answer) => answers.push((id, answer.clone())),
                None => to_ask.push((id, rule.prefix, asker, what)),
            }
        }
        let to_ask = turns::by_namespace(to_ask, |(id, ..)| &id.namespace);
        let asking = to_ask.into_iter().map(|(id, prefix, asker, what)| async move {
            let answer = proven.validate_cache_rule(&prefix).await;
            (id, asker, what, answer.map_err(|error| proven.session().because(&error)))
        });
        let asking: Vec<_> = asking.collect();
        let asked: Vec<_> = futures::stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
        for (id, asker, what, answer) in asked {
            let good_for = answered.good_for.validity(&answer);
            answered.validity.note(what, asker, answer.clone(), now, good_for);
            answers.push((id, answer));
        }
        answers
    }
}
