//! The calls for pull through cache rules, and for what rules rest on: repositories and secrets' ARNs. A write is never
//! repeated by the SDK: the next read says what came of it.

use aws_sdk_ecr::primitives::DateTime;
use aws_sdk_ecr::types::PullThroughCacheRule;
use ecr_permissions_core::pass::cache_rules::{ROOT, Rule, Stored, Validity};
use k8s_openapi::jiff::Timestamp;

use super::ecr::once;
use super::error::{Error, Kind, without_request_id};
use super::permit::Permit;
use super::session::Proven;

impl Proven {
    /// All rules of the registry.
    pub async fn cache_rules(&self) -> Result<Vec<Stored>, Error> {
        let mut rules = Vec::new();
        let mut token = None;
        loop {
            self.session.gate.read().await;
            let page = self.session.ecr.describe_pull_through_cache_rules().set_next_token(token).max_results(1000);
            let page = page.send().await.map_err(|e| self.session.failed("DescribePullThroughCacheRules", &e))?;
            rules.extend(page.pull_through_cache_rules().iter().map(stored));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(rules);
            }
        }
    }

    /// The names of all repositories of the registry.
    pub async fn repository_names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut token = None;
        loop {
            self.session.gate.read().await;
            let page = self.session.ecr.describe_repositories().set_next_token(token).max_results(1000);
            let page = page.send().await.map_err(|e| self.session.failed("DescribeRepositories", &e))?;
            names.extend(page.repositories().iter().filter_map(|r| r.repository_name().map(str::to_owned)));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// Answers when AWS made it: by that it is told from any other of its prefix.
    pub async fn create_cache_rule(&self, _: Permit, rule: &Rule) -> Result<Option<Timestamp>, Error> {
        let upstream_prefix = (rule.upstream_prefix != ROOT).then(|| rule.upstream_prefix.clone());
        let create = self
            .session
            .ecr
            .create_pull_through_cache_rule()
            .ecr_repository_prefix(&rule.prefix)
            .upstream_registry_url(&rule.upstream_url)
            .set_upstream_repository_prefix(upstream_prefix)
            .set_custom_role_arn(rule.role_arn.clone())
            .set_credential_arn(rule.credential_arn.clone());
        let sent = create.customize().config_override(once()).send().await;
        let made = sent.map_err(|e| self.session.failed("CreatePullThroughCacheRule", &e))?;
        Ok(made.created_at().and_then(timestamp))
    }

    /// Sets the role and the credentials that the rule names; AWS takes neither away.
    pub async fn update_cache_rule(&self, _: Permit, rule: &Rule) -> Result<(), Error> {
        let update = self
            .session
            .ecr
            .update_pull_through_cache_rule()
            .ecr_repository_prefix(&rule.prefix)
            .set_custom_role_arn(rule.role_arn.clone())
            .set_credential_arn(rule.credential_arn.clone());
        let sent = update.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed("UpdatePullThroughCacheRule", &e))
    }

    /// Deletes a rule; one that is gone already is as deleted.
    pub async fn delete_cache_rule(&self, _: Permit, prefix: &str) -> Result<(), Error> {
        let delete = self.session.ecr.delete_pull_through_cache_rule().ecr_repository_prefix(prefix);
        let sent = delete.customize().config_override(once()).send().await;
        match sent.map_err(|e| self.session.failed("DeletePullThroughCacheRule", &e)) {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether ECR gets at the upstream by the rule.
    pub async fn validate_cache_rule(&self, prefix: &str) -> Result<Validity, Error> {
        self.session.gate.read().await;
        let answer = self.session.ecr.validate_pull_through_cache_rule().ecr_repository_prefix(prefix).send().await;
        let answer = answer.map_err(|e| self.session.failed("ValidatePullThroughCacheRule", &e))?;
        Ok(Validity {
            valid: answer.is_valid(),
            failure: answer.failure().map(|text| without_request_id(text).to_owned()),
        })
    }
}

fn stored(rule: &PullThroughCacheRule) -> Stored {
    let text = |value: Option<&str>| value.unwrap_or_default().trim_end_matches('/').to_owned();
    // A default that is not named is `ROOT` (aws-facts A.1).
    let upstream_prefix = rule.upstream_repository_prefix().map_or_else(|| ROOT.to_owned(), |p| text(Some(p)));
    Stored {
        rule: Rule {
            prefix: text(rule.ecr_repository_prefix()),
            upstream_url: text(rule.upstream_registry_url()),
            upstream_prefix,
            role_arn: rule.custom_role_arn().map(str::to_owned),
            credential_arn: rule.credential_arn().map(str::to_owned),
        },
        created_at: rule.created_at().and_then(timestamp),
    }
}

/// To the second.
fn timestamp(at: &DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), 0).ok()
}
