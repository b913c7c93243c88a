//! The operations of ECR, a row each: what it is about, what it writes, and what it does.

use serde_json::{Map, Value, json};

use super::{
    EcrCall, cache_rules, describe_cache_rules, registry, registry_policy, repositories, repository_policy, settings,
    validate_cache_rule,
};
use crate::world::cache_rule;
use crate::world::error::AwsError;
use crate::world::registry::State;

/// An operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) about: About,
    pub(super) writes: Option<Written>,
    pub(super) run: fn(&mut EcrCall<'_>) -> Result<Value, AwsError>,
}

/// What an operation is about. All but the registry's take a `registryId` (aws-facts A.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Registry,
    CacheRule,
    Repository,
}

impl About {
    /// The one thing that a call is about.
    pub(super) fn target(self, input: &Map<String, Value>) -> Option<String> {
        let member = |name: &str| input.get(name).and_then(Value::as_str);
        match self {
            Self::Registry => Some("registry".to_owned()),
            Self::CacheRule => Some(format!("pull-through-cache-rule/{}", member("ecrRepositoryPrefix")?)),
            Self::Repository => Some(format!("repository/{}", member("repositoryName")?)),
        }
    }
}

/// What an operation writes, for the record.
#[derive(Clone, Copy)]
pub(super) struct Written {
    /// As a registry's state holds it.
    pub(super) stored: fn(&State, &Map<String, Value>) -> Option<String>,
    pub(super) sent: Sent,
}

/// Where the input holds what is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// In this member.
    Member(&'static str),
    /// It is the whole input.
    Input,
    /// A deletion.
    Nothing,
}

const POLICY: Written =
    Written { stored: |state, _| state.policy.as_ref().map(|p| p.text.clone()), sent: Sent::Member("policyText") };
const SCOPE: Written =
    Written { stored: |state, _| state.scope.map(|scope| scope.as_str().to_owned()), sent: Sent::Member("value") };
const RULE: Written = Written {
    stored: |state, input| {
        let prefix = input.get("ecrRepositoryPrefix")?.as_str()?;
        let rule = state.cache_rules.get(cache_rule::key(prefix))?;
        Some(rule.members("", &describe_cache_rules::RECORDED).to_string())
    },
    sent: Sent::Input,
};
const REPOSITORY: Written = Written {
    stored: |state, input| {
        let repository = state.repositories.get(input.get("repositoryName")?.as_str()?)?;
        let policy = repository.policy.as_ref().map(|p| p.text.clone());
        Some(json!({"images": repository.images, "policy": policy, "tags": repository.tags}).to_string())
    },
    sent: Sent::Input,
};
const REPOSITORY_POLICY: Written = Written {
    stored: |state, input| {
        let repository = state.repositories.get(input.get("repositoryName")?.as_str()?)?;
        repository.policy.as_ref().map(|p| p.text.clone())
    },
    sent: Sent::Member("policyText"),
};

const fn deletion(written: Written) -> Written {
    Written { sent: Sent::Nothing, ..written }
}

use About::{CacheRule, Registry, Repository};

pub(super) const OPERATIONS: [Operation; 17] = [
    Operation { name: "GetRegistryPolicy", about: Registry, writes: None, run: registry_policy::get },
    Operation { name: "PutRegistryPolicy", about: Registry, writes: Some(POLICY), run: registry_policy::put },
    Operation {
        name: "DeleteRegistryPolicy",
        about: Registry,
        writes: Some(deletion(POLICY)),
        run: registry_policy::delete,
    },
    Operation { name: "GetAccountSetting", about: Registry, writes: None, run: settings::get },
    Operation { name: "PutAccountSetting", about: Registry, writes: Some(SCOPE), run: settings::put },
    Operation { name: "DescribeRegistry", about: Registry, writes: None, run: registry::describe },
    Operation { name: "CreatePullThroughCacheRule", about: CacheRule, writes: Some(RULE), run: cache_rules::create },
    Operation { name: "UpdatePullThroughCacheRule", about: CacheRule, writes: Some(RULE), run: cache_rules::update },
    Operation {
        name: "DeletePullThroughCacheRule",
        about: CacheRule,
        writes: Some(deletion(RULE)),
        run: cache_rules::delete,
    },
    Operation {
        name: "ValidatePullThroughCacheRule",
        about: CacheRule,
        writes: None,
        run: validate_cache_rule::validate,
    },
    Operation {
        name: "DescribePullThroughCacheRules",
        about: CacheRule,
        writes: None,
        run: describe_cache_rules::describe,
    },
    Operation { name: "CreateRepository", about: Repository, writes: Some(REPOSITORY), run: repositories::create },
    Operation { name: "DescribeRepositories", about: Repository, writes: None, run: repositories::describe },
    Operation {
        name: "DeleteRepository",
        about: Repository,
        writes: Some(deletion(REPOSITORY)),
        run: repositories::delete,
    },
    Operation { name: "GetRepositoryPolicy", about: Repository, writes: None, run: repository_policy::get },
    Operation {
        name: "SetRepositoryPolicy",
        about: Repository,
        writes: Some(REPOSITORY_POLICY),
        run: repository_policy::set,
    },
    Operation {
        name: "DeleteRepositoryPolicy",
        about: Repository,
        writes: Some(deletion(REPOSITORY_POLICY)),
        run: repository_policy::delete,
    },
];
