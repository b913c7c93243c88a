//! A World from a file: accounts, organizations, roles, keys, scopes, documents, rules and secrets, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::world::{Scope, Trust, World};

/// The whole file. Every member may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldFile {
    /// Decides all that is random.
    pub seed: u64,
    /// Every call takes so many milliseconds.
    pub base_delay_ms: u64,
    /// And up to so many more.
    pub jitter_ms: u64,
    /// What is new or changed in IAM while the World runs stays invisible to others for so many milliseconds; what the
    /// file creates is visible at once.
    pub propagation_ms: u64,
    /// Absent: true.
    pub accept_unknown_accounts: Option<bool>,
    /// What registries say that never had a scope. Absent: V2.
    pub unset_scope: Option<Scope>,
    pub accounts: Vec<AccountFile>,
}

/// An account that the World owns.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountFile {
    pub id: String,
    #[serde(default)]
    pub organization_id: Option<String>,
    /// Absent: `aws`.
    #[serde(default)]
    pub partition: Option<String>,
    /// Documents by name, with the IAM path: what boundaries and attachments may name.
    #[serde(default)]
    pub managed_policies: BTreeMap<String, Value>,
    #[serde(default)]
    pub roles: Vec<RoleFile>,
    /// Names, with their IAM path.
    #[serde(default)]
    pub users: Vec<String>,
    #[serde(default)]
    pub access_keys: Vec<AccessKeyFile>,
    #[serde(default)]
    pub registries: Vec<RegistryFile>,
}

/// A role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleFile {
    /// With its IAM path: `team/member`.
    pub name: String,
    #[serde(default)]
    pub trust: Trust,
    /// In place of `trust`: the whole trust policy.
    #[serde(default)]
    pub trust_document: Option<Value>,
    /// Documents by name.
    #[serde(default)]
    pub inline_policies: BTreeMap<String, Value>,
    /// ARNs.
    #[serde(default)]
    pub attached_policies: Vec<String>,
    /// An ARN.
    #[serde(default)]
    pub permissions_boundary: Option<String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// An access key; any secret does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeyFile {
    pub id: String,
    /// `root`, `user/NAME` or `role/NAME`.
    pub principal: String,
}

/// What a registry holds at the start, and the secrets of its account and Region.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryFile {
    pub region: String,
    #[serde(default)]
    pub scope: Option<Scope>,
    /// A document, or a string: any text.
    #[serde(default)]
    pub policy: Option<Value>,
    #[serde(default)]
    pub replication_rules: Vec<Value>,
    #[serde(default)]
    pub repositories: Vec<RepositoryFile>,
    /// By the members of CreatePullThroughCacheRule.
    #[serde(default)]
    pub cache_rules: Vec<Value>,
    #[serde(default)]
    pub secrets: Vec<SecretFile>,
}

/// A repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryFile {
    pub name: String,
    /// A document, or a string: any text.
    #[serde(default)]
    pub policy: Option<Value>,
    /// Tags; each has an image of its own.
    #[serde(default)]
    pub images: Vec<String>,
}

/// A secret; its ARN ends at random.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    pub name: String,
    /// A key of the customer; absent: AWS's own.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    /// Whether the upstream takes what it holds. Absent: true.
    #[serde(default)]
    pub opens: Option<bool>,
}

impl WorldFile {
    /// The World that the file describes.
    pub fn build(&self) -> World {
        let mut world = World::new(self.seed);
        world.set_delay(Duration::from_millis(self.base_delay_ms), Duration::from_millis(self.jitter_ms));
        world.accept_unknown_accounts(self.accept_unknown_accounts.unwrap_or(true));
        world.set_unset_scope(Some(self.unset_scope.unwrap_or(Scope::V2)));
        for account in &self.accounts {
            account.cast(&mut world);
        }
        // Documents last: the roles that they name exist by now.
        for account in &self.accounts {
            for registry in &account.registries {
                registry.fill(&account.id, &mut world);
            }
        }
        world.set_propagation(Duration::from_millis(self.propagation_ms));
        world
    }
}

impl AccountFile {
    fn cast(&self, world: &mut World) {
        world.add_account(&self.id);
        world.set_organization(&self.id, self.organization_id.as_deref());
        if let Some(partition) = &self.partition {
            world.set_partition(&self.id, partition);
        }
        for (name, document) in &self.managed_policies {
            world.add_managed_policy(&self.id, name, &text(document));
        }
        for role in &self.roles {
            role.cast(&self.id, world);
        }
        for user in &self.users {
            world.add_user(&self.id, user);
        }
        for key in &self.access_keys {
            world.add_access_key(&key.id, &self.id, &key.principal);
        }
    }
}

impl RoleFile {
    fn cast(&self, account: &str, world: &mut World) {
        world.add_role(account, &self.name, self.trust.clone());
        world.edit_role(account, &self.name, |role| {
            if let Some(document) = &self.trust_document {
                role.trust = text(document);
            }
            role.inline_policies = self.inline_policies.iter().map(|(name, d)| (name.clone(), text(d))).collect();
            role.attached_policies = self.attached_policies.iter().cloned().collect();
            role.permissions_boundary.clone_from(&self.permissions_boundary);
            role.tags.clone_from(&self.tags);
        });
    }
}

impl RegistryFile {
    fn fill(&self, account: &str, world: &mut World) {
        if self.scope.is_some() {
            world.set_scope(account, &self.region, self.scope);
        }
        if let Some(policy) = &self.policy {
            world.put_policy(account, &self.region, &text(policy));
        }
        if !self.replication_rules.is_empty() {
            world.set_replication_rules(account, &self.region, self.replication_rules.clone());
        }
        for secret in &self.secrets {
            world.create_secret(account, &self.region, &secret.name);
            world.set_secret_key(account, &self.region, &secret.name, secret.kms_key_id.as_deref());
            world.set_secret_opens(account, &self.region, &secret.name, secret.opens.unwrap_or(true));
        }
        for rule in &self.cache_rules {
            world.put_cache_rule(account, &self.region, rule);
        }
        for repository in &self.repositories {
            world.add_repository(account, &self.region, &repository.name);
            let policy = repository.policy.as_ref().map(text);
            world.put_repository_policy(account, &self.region, &repository.name, policy.as_deref());
            for tag in &repository.images {
                world.put_image(account, &self.region, &repository.name, tag);
            }
        }
    }
}

/// A document as it is stored: a string as it stands.
fn text(document: &Value) -> String {
    document.as_str().map_or_else(|| document.to_string(), str::to_owned)
}
