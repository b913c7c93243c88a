//! A World from a file: accounts, organizations, roles, keys, scopes and documents, as JSON.

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
}

/// An access key; any secret does.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessKeyFile {
    pub id: String,
    /// `root`, `user/NAME` or `role/NAME`.
    pub principal: String,
}

/// What a registry holds at the start.
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
        for role in &self.roles {
            world.add_role(&self.id, &role.name, role.trust.clone());
        }
        for user in &self.users {
            world.add_user(&self.id, user);
        }
        for key in &self.access_keys {
            world.add_access_key(&key.id, &self.id, &key.principal);
        }
    }
}

impl RegistryFile {
    fn fill(&self, account: &str, world: &mut World) {
        if self.scope.is_some() {
            world.set_scope(account, &self.region, self.scope);
        }
        if let Some(policy) = &self.policy {
            let text = policy.as_str().map_or_else(|| policy.to_string(), str::to_owned);
            world.put_policy(account, &self.region, &text);
        }
        if !self.replication_rules.is_empty() {
            world.set_replication_rules(account, &self.region, self.replication_rules.clone());
        }
    }
}
