//! Accounts, principals and their keys.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::nothing;
use crate::world::{Trust, World};

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum CastControl {
    /// Owns an account.
    AddAccount { account: String, organization_id: Option<String>, partition: Option<String> },
    /// Changes an account's organization.
    SetOrganization { account: String, organization_id: Option<String> },
    /// Creates or re-creates a role: `{"arn": ...}`.
    AddRole {
        account: String,
        name: String,
        #[serde(default)]
        trust: Trust,
    },
    /// Changes whom a role trusts.
    SetTrust { account: String, name: String, trust: Trust },
    /// Deletes a role.
    DeleteRole { account: String, name: String },
    /// Denies everything to the sessions of a role that were issued before now.
    RevokeSessions { account: String, name: String },
    /// Creates or re-creates a user: `{"arn": ...}`.
    AddUser { account: String, name: String },
    /// Deletes a user.
    DeleteUser { account: String, name: String },
    /// Credentials of `root`, `user/NAME` or `role/NAME`: `{"access_key_id": ..., "secret_access_key": ...}`.
    AccessKey { account: String, principal: String },
    /// The same, with a key id of one's choice.
    AddAccessKey { access_key_id: String, account: String, principal: String },
    /// Deletes a key.
    DeleteAccessKey { access_key_id: String },
    /// Expires a key from now on.
    ExpireKey { access_key_id: String },
    /// How long what is new or changed in IAM stays invisible to others.
    SetPropagation { ms: u64 },
}

impl CastControl {
    pub(super) fn turn(self, world: &mut World) -> Value {
        match self {
            Self::AddAccount { account, organization_id, partition } => {
                world.add_account(&account);
                world.set_organization(&account, organization_id.as_deref());
                if let Some(partition) = partition {
                    world.set_partition(&account, &partition);
                }
            }
            Self::SetOrganization { account, organization_id } => {
                world.set_organization(&account, organization_id.as_deref());
            }
            Self::AddRole { account, name, trust } => return json!({"arn": world.add_role(&account, &name, trust)}),
            Self::SetTrust { account, name, trust } => world.set_trust(&account, &name, trust),
            Self::DeleteRole { account, name } => world.delete_role(&account, &name),
            Self::RevokeSessions { account, name } => world.revoke_sessions(&account, &name),
            Self::AddUser { account, name } => return json!({"arn": world.add_user(&account, &name)}),
            Self::DeleteUser { account, name } => world.delete_user(&account, &name),
            Self::AccessKey { account, principal } => {
                let (id, secret) = world.access_key(&account, &principal);
                return json!({"access_key_id": id, "secret_access_key": secret});
            }
            Self::AddAccessKey { access_key_id, account, principal } => {
                world.add_access_key(&access_key_id, &account, &principal);
            }
            Self::DeleteAccessKey { access_key_id } => world.delete_access_key(&access_key_id),
            Self::ExpireKey { access_key_id } => world.expire_key(&access_key_id, world.now()),
            Self::SetPropagation { ms } => world.set_propagation(Duration::from_millis(ms)),
        }
        nothing()
    }
}
