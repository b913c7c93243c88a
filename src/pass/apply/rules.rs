//! Cache rules as things: what their plan needs to know, and the calls that carry it out.

use ecr_permissions_core::api::LedgerRule;
use ecr_permissions_core::kinds::CacheRule;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::cache_rules::{self, Act, Claim, RulesPlan, plan_rules};
use ecr_permissions_core::pass::claims::Action;
use ecr_permissions_core::pass::compile::Contribution;
use ecr_permissions_core::pass::judge::Applied;
use ecr_permissions_core::pass::ledger::Things;
use ecr_permissions_core::pass::memory::Memory;
use ecr_permissions_core::pass::orphans::Said;
use ecr_permissions_core::pass::refusals::Denied;
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
    async fn prepare(&mut self, claims: &[Claim<CacheRule>], writing: &Writing<'_>, said: &Said) {
        if self.repositories.is_none() && !self.plan_and_asking(claims, writing, said).1.is_empty() {
            let names = writing.proven.repository_names().await;
            self.repositories = Some(names.map_err(|error| writing.proven.session().because(&error)));
        }
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
    pub(super) async fn validate_rules(&self, applied: &mut Applied) {
        let rules = applied.rules.has.iter().flatten().filter(|(id, rule)| {
            !applied.rules.verdicts.contains_key(*id) && (rule.role_arn.is_some() || rule.credential_arn.is_some())
        });
        let asked: Vec<_> = rules.map(|(id, rule)| (id.clone(), rule.prefix.clone())).collect();
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
                        applied.rules.verdicts.insert(id.clone(), Because::new(Reason::UpstreamInvalid, message));
                    }
                    applied.validity.insert(id, validity);
                }
                Err(error) => {
                    applied.rules.verdicts.insert(id.clone(), self.proven.session().because(&error));
                    applied.rules.unread.insert(id);
                }
            }
        }
    }
}
