//! The documents that make a [`PtcRole`] work: its trust, its own policy, and what each upstream has to grant
//! (aws-facts B.8, D.6, K.1, K.8). Pure: texts and statements as they are sent, from the role and where it lives.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::{Grantee, LedgerPulls, LedgerUpstream, PermissionScope};
use crate::names::{RegistryKey, RepositoryPattern};
use crate::ownership::InstallationId;
use crate::policy::digest::digest;
use crate::policy::{Action, ConditionKey, Effect, Principal, Statement};

use super::{PtcRole, RoleUpstream};

/// The most characters of all inline policies of a role together (aws-facts F).
pub(super) const INLINE_LIMIT: usize = 10_240;
/// Who assumes the role: the same text in every partition, as far as AWS says (aws-facts D.6).
const SERVICE: &str = "pullthroughcache.ecr.amazonaws.com";
const LOGIN: &str = "ecr:GetAuthorizationToken";
/// What the role reads, in the upstream and in the cache.
const READS: [&str; 4] =
    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage", "ecr:GetImageCopyStatus"];
/// What the role writes, in the cache alone.
const WRITES: [&str; 4] = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"];
/// What an upstream has to grant.
pub(super) const UPSTREAM_ACTIONS: [&str; 4] = READS;

impl PtcRole {
    /// The role's name, for the object that asks for it.
    pub fn name_for(&self, installation: &InstallationId, namespace: &str, object: &str) -> String {
        self.name.clone().unwrap_or_else(|| installation.role_name(namespace, object))
    }

    /// The trust policy, as it is sent.
    pub fn trust_policy(&self, downstream: &RegistryKey) -> String {
        let mut statement = json!({"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sts:AssumeRole"});
        if self.trust_source_account {
            statement["Condition"] = json!({"StringEquals": {"aws:SourceAccount": downstream.account.as_str()}});
        }
        document(&[statement])
    }

    /// The role's own policy, as it is sent.
    pub fn permission_policy(&self, downstream: &RegistryKey) -> String {
        if self.permission_scope == PermissionScope::Any {
            return document(&[allow(&[&[LOGIN], &READS[..], &WRITES[..]].concat(), &json!("*"))]);
        }
        let arns = |of: &RegistryKey, all: &BTreeSet<RepositoryPattern>| -> BTreeSet<String> {
            all.iter().map(|pattern| of.repository_arn(pattern)).collect()
        };
        let cache = arns(downstream, &self.cache_repositories);
        let upstreams = self.upstreams.iter().flat_map(|upstream| arns(&upstream.key, &upstream.repositories));
        let readable: BTreeSet<String> = cache.iter().cloned().chain(upstreams).collect();
        document(&[allow(&[LOGIN], &json!("*")), allow(&READS, &json!(readable)), allow(&WRITES, &json!(cache))])
    }

    /// What the ledger keeps of what it pulls: by that its owners' rules judge it once its object says something else.
    pub fn recorded(&self, downstream: &RegistryKey) -> LedgerPulls {
        let texts = |all: &BTreeSet<RepositoryPattern>| all.iter().map(ToString::to_string).collect();
        let upstream = |upstream: &RoleUpstream| {
            let is_of_own_account = upstream.key.account == downstream.account;
            LedgerUpstream {
                account_id: upstream.key.account.to_string(),
                region: upstream.key.region.to_string(),
                repositories: if is_of_own_account { texts(&upstream.repositories) } else { Vec::new() },
                external: (is_of_own_account && upstream.external).then_some(true),
            }
        };
        let from: BTreeSet<_> = self.upstreams.iter().map(upstream).collect();
        LedgerPulls { from: from.into_iter().collect(), into: texts(&self.cache_repositories) }
    }

    /// What the policy of an upstream registry has to say; nothing inside one account, where the role's own policy is
    /// enough (aws-facts D.6).
    pub fn grants(&self, upstream: &RoleUpstream, downstream: &RegistryKey, role_arn: &str) -> Vec<Statement> {
        if upstream.key.account == downstream.account {
            return Vec::new();
        }
        let conditions = match self.grantee {
            // By its ARN in a condition, the role is meant also after it was made anew: as a principal it would be
            // the one role that was there when the policy was written (aws-facts B.5).
            Grantee::Role => BTreeMap::from([(
                ConditionKey::new("ArnEquals", "aws:PrincipalArn"),
                BTreeSet::from([role_arn.to_owned()]),
            )]),
            Grantee::Account => BTreeMap::new(),
        };
        vec![Statement {
            effect: Effect::Allow,
            principals: [Principal::Account(downstream.account.clone())].into(),
            actions: UPSTREAM_ACTIONS.iter().map(|action| Action::new(action)).collect(),
            resources: upstream.repositories.iter().map(|pattern| upstream.key.repository_arn(pattern)).collect(),
            conditions: conditions.into(),
        }]
    }

    /// The statement that the owner of an external upstream has to add to its registry policy, which must have scope V2;
    /// `None`: the operator writes it, or none is needed. Its Sid is none of the operator's: it belongs to whoever adds it.
    pub fn required_statement(
        &self,
        upstream: &RoleUpstream,
        downstream: &RegistryKey,
        role_arn: &str,
    ) -> Option<String> {
        let statement = self.grants(upstream, downstream, role_arn).pop().filter(|_| upstream.external)?;
        // As long as what it grants is the same, so is the Sid, and no two that differ share one (aws-facts B.6).
        let sid = format!("PullThroughCacheOf{}{}", downstream.account, digest(&statement.canonical()));
        Some(statement.to_value(Some(&sid)).to_string())
    }
}

/// Whether a statement that an upstream has for an object is good for this role: it names the role, or the whole account.
pub fn is_good_for(statement: &Statement, role_arn: &str) -> bool {
    let mut of_roles = statement.conditions.iter().filter(|(key, _)| key.key.eq_ignore_ascii_case("aws:PrincipalArn"));
    of_roles.all(|(_, arns)| arns.contains(role_arn))
}

/// The resources that the policy lets be pulled; the token to log in with has none, and is asked of `*`.
pub fn resources(policy: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = document.get("Statement").and_then(Value::as_array).into_iter().flatten();
    let is_login = |statement: &&Value| statement["Action"] == LOGIN || statement["Action"] == json!([LOGIN]);
    let statements = statements.filter(|statement| !is_login(statement));
    let named = statements.filter_map(|statement| statement.get("Resource"));
    let each = named.flat_map(|named| named.as_array().map_or_else(|| vec![named], |all| all.iter().collect()));
    each.filter_map(|resource| resource.as_str().map(str::to_owned)).collect()
}

/// The policy without these resources; nothing, if it names none of them.
pub fn without_resources(policy: &str, resources: &BTreeSet<String>) -> Option<String> {
    let mut document: Value = serde_json::from_str(policy).ok()?;
    let is_taken = |resource: &Value| resource.as_str().is_some_and(|arn| resources.contains(arn));
    let mut is_less = false;
    let statements = document.get_mut("Statement")?.as_array_mut()?;
    statements.retain_mut(|statement| {
        let Some(Value::Array(named)) = statement.get_mut("Resource") else {
            let is_all = statement.get("Resource").is_some_and(is_taken);
            is_less |= is_all;
            return !is_all;
        };
        let before = named.len();
        named.retain(|resource| !is_taken(resource));
        is_less |= named.len() < before;
        !named.is_empty()
    });
    is_less.then(|| document.to_string())
}

fn allow(actions: &[&str], resource: &Value) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}
