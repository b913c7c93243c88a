//! "Would this pull through the cache succeed": the puller's side, the rule, the role and the upstream's side (aws-facts
//! D.5, D.6, K.8). Whether the upstream has such an image is not asked.

use super::World;
use super::cache_rule::CacheRule;
use super::identity::partition_of;
use super::policy::condition::Context;
use super::policy::evaluate::{Decision, Question, Subject, Verdict};
use super::repository;
use super::role::Role;
use super::secrets::Unusable;
use super::upstream::{self, Access};
use super::would::Place;

/// Who assumes the role.
const SERVICE: &str = "pullthroughcache.ecr.amazonaws.com";
const SERVICE_ROLE: &str = "AWSServiceRoleForECRPullThroughCache";

/// What every pull does (aws-facts D.5; the token is the identity policy's matter alone).
const PULL: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
const IMPORT: &str = "ecr:BatchImportUpstreamImage";
const CREATE: &str = "ecr:CreateRepository";

/// The nine actions of the role (aws-facts D.6), each on what it is done to; the boundary of K.1 parts them so.
const ANYWHERE: &str = "ecr:GetAuthorizationToken";
const UPSTREAM: [&str; 4] =
    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage", "ecr:GetImageCopyStatus"];
const DOWNSTREAM: [&str; 5] = [
    "ecr:BatchImportUpstreamImage",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];

/// The repository at either end of a pull.
#[derive(Clone, Copy)]
pub(super) struct Ends<'a> {
    pub(super) cached: &'a str,
    pub(super) upstream: &'a str,
}

impl World {
    /// Whether a principal's pull of `repository` (`PREFIX/…`) would go through the cache of a registry, or the first
    /// reason why not. The puller's identity policies are assumed to allow, as in [`World::would`]; so in the registry's
    /// own account the plain pull actions need no grant, while import and creation must stand in a policy.
    pub fn would_pull_through(&self, puller: &str, repository: &str, account: &str, region: &str) -> Decision {
        let rules = self.stored(account, region).into_iter().flat_map(|s| s.cache_rules.values());
        let covering = rules.filter_map(|rule| Some((rule, rule.upstream_repository(repository)?)));
        let Some((rule, upstream)) = covering.max_by_key(|(rule, _)| rule.specificity()) else {
            return no(format!("no pull through cache rule of account {account} in {region} covers {repository}"));
        };
        let place = Place { account, region, repository: Some(repository) };
        if let Some(obstacle) = self.puller_obstacle(&self.subject(puller), place) {
            return no(obstacle);
        }
        let ends = Ends { cached: repository, upstream: &upstream };
        match self.upstream_obstacle(rule, account, region, Some(ends)) {
            Some(obstacle) => no(obstacle),
            None => Decision {
                allowed: true,
                because: format!("rule {} brings {upstream} from {}", rule.prefix, rule.upstream_url),
            },
        }
    }

    /// aws-facts D.5.
    fn puller_obstacle(&self, puller: &Subject, place: Place<'_>) -> Option<String> {
        let name = place.repository.unwrap_or_default();
        let exists = self.stored(place.account, place.region).is_some_and(|s| s.repositories.contains_key(name));
        let wanted = PULL.into_iter().chain([IMPORT]).chain((!exists).then_some(CREATE));
        wanted.into_iter().find_map(|action| {
            let because = match self.verdict(puller, action, place) {
                Verdict::Allowed(_) => return None,
                Verdict::Silent(_) if PULL.contains(&action) && puller.account == place.account => return None,
                Verdict::Silent(because) | Verdict::Denied(because) => because,
            };
            let Place { account, region, .. } = place;
            Some(format!("account {account} in {region} does not let {} do {action} on {name}: {because}", puller.name))
        })
    }

    /// Why the rule cannot reach its upstream, if so. Without ends: could it reach any repository there?
    pub(super) fn upstream_obstacle(
        &self,
        rule: &CacheRule,
        account: &str,
        region: &str,
        ends: Option<Ends<'_>>,
    ) -> Option<String> {
        let place = Place { account, region, repository: ends.map(|e| e.cached) };
        match upstream::of_url(&rule.upstream_url, region).map(|u| u.access) {
            None => Some(format!("{} is no upstream registry", rule.upstream_url)),
            Some(Access::Open) => None,
            Some(Access::Secret) => self.secret_obstacle(rule, place),
            Some(Access::Registry { account: of, region: upstream_region }) => {
                let repository = ends.map(|e| e.upstream);
                let upstream = Place { account: &of, region: &upstream_region, repository };
                match &rule.custom_role_arn {
                    Some(arn) => self.role_obstacle(arn, place, upstream),
                    None => self.service_role_obstacle(rule, place, upstream),
                }
            }
        }
    }

    fn secret_obstacle(&self, rule: &CacheRule, place: Place<'_>) -> Option<String> {
        let Some(arn) = &rule.credential_arn else {
            return Some(format!("rule {} of account {} names no secret", rule.prefix, place.account));
        };
        match self.usable_secret(place.account, place.region, arn) {
            Ok(secret) if secret.opens_upstream => None,
            Ok(_) => Some(format!("{} does not take what the secret {arn} holds", rule.upstream_url)),
            Err(Unusable::NotFound) => Some(format!("the secret {arn} does not exist")),
            Err(Unusable::CustomerKey) => Some(format!("the secret {arn} is encrypted with a key of the customer")),
        }
    }

    /// The service's own role serves registries of its own account only (aws-facts D.6, D.7).
    fn service_role_obstacle(&self, rule: &CacheRule, place: Place<'_>, upstream: Place<'_>) -> Option<String> {
        if upstream.account != place.account {
            let Place { account, .. } = place;
            return Some(format!(
                "rule {} of account {account} names no role for the upstream account {}",
                rule.prefix, upstream.account
            ));
        }
        let is_there = self.role(place.account, SERVICE_ROLE).is_some();
        (!is_there).then(|| format!("account {} lacks the role {SERVICE_ROLE}", place.account))
    }

    fn role_obstacle(&self, role: &str, place: Place<'_>, upstream: Place<'_>) -> Option<String> {
        let Some(seen) = self.role_seen(role) else {
            return Some(format!("account {}: the role {role} does not exist, or is not visible yet", place.account));
        };
        let service = Subject {
            account: String::new(),
            entity_arn: SERVICE.to_owned(),
            name: SERVICE.to_owned(),
            organization_id: None,
        };
        if let Verdict::Silent(because) | Verdict::Denied(because) = self.trusts(role, &service, self.source_of(place))
        {
            return Some(format!("account {}: the role {role} does not trust {SERVICE}: {because}", place.account));
        }
        let subject = self.subject(role);
        let on_upstream = UPSTREAM.map(|action| (action, upstream));
        let on_cache = DOWNSTREAM.map(|action| (action, place));
        let lacking = [(ANYWHERE, place)].into_iter().chain(on_upstream).chain(on_cache).find_map(|(action, at)| {
            let resource = match at.repository {
                _ if action == ANYWHERE => Some("*".to_owned()),
                name => name.map(|name| repository::arn(at.account, at.region, name)),
            };
            let because = self.carries(seen, &subject, action, at, resource.as_deref())?;
            let on = resource.unwrap_or_else(|| "any repository".to_owned());
            Some(format!("account {}: the role {role} may not do {action} on {on}: {because}", place.account))
        });
        lacking.or_else(|| self.policy_obstacle(&subject, place, upstream))
    }

    /// Both registries' policies: the cache's must not deny; the upstream's must allow if it is another account's.
    fn policy_obstacle(&self, role: &Subject, place: Place<'_>, upstream: Place<'_>) -> Option<String> {
        let is_foreign = upstream.account != place.account;
        let asked = DOWNSTREAM.map(|action| (action, place, false)).into_iter();
        asked.chain(UPSTREAM.map(|action| (action, upstream, is_foreign))).find_map(|(action, at, must_allow)| {
            let verdict = match at.repository {
                Some(_) => self.verdict(role, action, at),
                None => self.verdict_somewhere(role, action, at),
            };
            let because = match verdict {
                Verdict::Denied(because) => because,
                Verdict::Silent(because) if must_allow => because,
                _ => return None,
            };
            let on = at.repository.unwrap_or("any repository");
            let Place { account, region, .. } = at;
            Some(format!("account {account} in {region} does not let {} do {action} on {on}: {because}", role.name))
        })
    }

    /// The registry's policy, or that of any repository in it.
    fn verdict_somewhere(&self, subject: &Subject, action: &str, place: Place<'_>) -> Verdict {
        let of_registry = self.verdict(subject, action, place);
        let repositories = self.stored(place.account, place.region).into_iter().flat_map(|s| s.repositories.keys());
        let mut of_each =
            repositories.map(|name| self.verdict(subject, action, Place { repository: Some(name), ..place }));
        match of_registry {
            Verdict::Silent(because) => {
                of_each.find(|v| matches!(v, Verdict::Allowed(_))).unwrap_or(Verdict::Silent(because))
            }
            other => other,
        }
    }

    /// What ECR says of itself when it assumes the role. No document tells (aws-facts D.6, J.1): nothing, unless a
    /// control says otherwise.
    fn source_of(&self, place: Place<'_>) -> Context {
        let account = self.habits.sends_source_account.then(|| place.account.to_owned());
        account.into_iter().map(|account| ("aws:sourceaccount".to_owned(), account)).collect()
    }

    /// Whether ECR sends `aws:SourceAccount` when it assumes the role of a rule. False unless set.
    pub fn send_source_account(&mut self, sends: bool) {
        self.habits.sends_source_account = sends;
    }

    /// Why a role's own policies and its boundary do not let it do something; nothing if they do.
    fn carries(
        &self,
        role: &Role,
        subject: &Subject,
        action: &str,
        place: Place<'_>,
        resource: Option<&str>,
    ) -> Option<String> {
        let mut context = subject.context(place.region);
        context.insert("aws:resourceaccount".to_owned(), place.account.to_owned());
        let question = Question { subject, action, resource, partition: partition_of(place.region), context: &context };
        self.identity_obstacle(role, &question)
    }
}

fn no(because: String) -> Decision {
    Decision { allowed: false, because }
}
