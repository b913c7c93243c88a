//! "Would PRINCIPAL be allowed ACTION on REPOSITORY": the resource's half, put together from the registry's policy and
//! the repository's own (aws-facts B.2, B.7). Identity policies are assumed to allow.

use super::World;
use super::identity::{is_account_id, partition_of};
use super::policy::condition::Context;
use super::policy::evaluate::{Decision, Document, Holder, Question, Subject, Verdict};
use super::policy::{actions, principal};
use super::registry::StoredPolicy;
use super::repository;

/// A registry, and what is asked about in it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    /// Absent: any repository.
    pub(super) repository: Option<&'a str>,
}

impl World {
    /// Whether the policies of a registry let a principal (an account id, a root, role, user or session ARN, or a
    /// service) do an action (`ecr:…`) on a repository: the registry's, or the repository's own if it is there.
    pub fn would(&self, principal: &str, action: &str, repository: &str, account: &str, region: &str) -> Decision {
        let subject = self.subject(principal);
        self.verdict(&subject, action, Place { account, region, repository: Some(repository) }).into()
    }

    /// Allowed by either policy is enough, denied by either wins (aws-facts B.7).
    pub(super) fn verdict(&self, subject: &Subject, action: &str, place: Place<'_>) -> Verdict {
        let of_registry = self.registry_verdict(subject, action, place);
        let of_repository = self.repository_verdict(subject, action, place);
        match (of_registry, of_repository) {
            (denied @ Verdict::Denied(_), _) | (_, Some(denied @ Verdict::Denied(_))) => denied,
            (allowed @ Verdict::Allowed(_), _) | (Verdict::Silent(_), Some(allowed @ Verdict::Allowed(_))) => allowed,
            (silent, _) => silent,
        }
    }

    fn registry_verdict(&self, subject: &Subject, action: &str, place: Place<'_>) -> Verdict {
        let stored = self.stored(place.account, place.region);
        if !actions::is_enforced(action, self.scope_of(stored.and_then(|s| s.scope))) {
            return Verdict::Silent(format!("scope V1 does not enforce {action}"));
        }
        let Some(policy) = stored.and_then(|s| s.policy.as_ref()) else {
            return Verdict::Silent("the registry has no policy".to_owned());
        };
        self.said(policy, Holder::Registry, subject, action, place)
    }

    /// A repository's policy has no say about its own creation, nor does it depend on the scope (aws-facts B.2, D.5).
    fn repository_verdict(&self, subject: &Subject, action: &str, place: Place<'_>) -> Option<Verdict> {
        let repository = self.stored(place.account, place.region)?.repositories.get(place.repository?)?;
        let policy = repository.policy.as_ref().filter(|_| !action.eq_ignore_ascii_case("ecr:CreateRepository"))?;
        Some(match self.said(policy, Holder::Repository, subject, action, place) {
            Verdict::Denied(by) => Verdict::Denied(format!("{by} of the repository's policy")),
            other => other,
        })
    }

    fn said(
        &self,
        policy: &StoredPolicy,
        holder: Holder,
        subject: &Subject,
        action: &str,
        place: Place<'_>,
    ) -> Verdict {
        let resource = place.repository.map(|name| repository::arn(place.account, place.region, name));
        let mut context = subject.context(place.region);
        context.insert("aws:resourceaccount".to_owned(), place.account.to_owned());
        let question = Question {
            subject,
            action,
            resource: resource.as_deref(),
            partition: partition_of(place.region),
            context: &context,
        };
        Document { holder, text: &policy.text, renamed: &self.renamed(policy) }.says(&question)
    }

    /// What a role's trust says to a principal who would assume it, as others see the role by now.
    pub(super) fn trusts(&self, role_arn: &str, subject: &Subject, more: Context) -> Verdict {
        let Some(role) = self.role_seen(role_arn) else {
            return Verdict::Silent("there is no such role".to_owned());
        };
        let policy = role.stored_trust();
        let mut context = subject.context("us-east-1");
        context.extend(more);
        let question = Question {
            subject,
            action: "sts:AssumeRole",
            resource: Some(role_arn),
            partition: role_arn.split(':').nth(1).unwrap_or_default(),
            context: &context,
        };
        Document { holder: Holder::Role, text: &policy.text, renamed: &self.renamed(&policy) }.says(&question)
    }

    pub(super) fn subject(&self, name: &str) -> Subject {
        let account = name.split(':').nth(4).unwrap_or(name);
        let account = if is_account_id(account) { account } else { "" };
        let in_partition = name.split(':').nth(1).unwrap_or("aws");
        let entity_arn = match principal::parse(name, in_partition) {
            Some(principal::Principal::Session { account, role }) => self.role_arn(account, role, in_partition),
            Some(principal::Principal::Account(account)) => format!("arn:{in_partition}:iam::{account}:root"),
            _ => name.to_owned(),
        };
        let organization_id = self.accounts.get(account).and_then(|a| a.organization_id.clone());
        Subject { account: account.to_owned(), entity_arn, name: name.to_owned(), organization_id }
    }

    /// A session's ARN lacks the path of its role.
    fn role_arn(&self, account: &str, role: &str, partition: &str) -> String {
        let found = self.accounts.get(account).and_then(|a| a.role_arn(role));
        found.unwrap_or_else(|| format!("arn:{partition}:iam::{account}:role/{role}"))
    }
}

impl From<Verdict> for Decision {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed(because) => Self { allowed: true, because },
            Verdict::Denied(because) | Verdict::Silent(because) => Self { allowed: false, because },
        }
    }
}
