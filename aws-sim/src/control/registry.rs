//! Registries: their policies, scopes and replication rules, and the record of calls.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{document_text, nothing};
use crate::world::{Scope, World};

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum RegistryControl {
    /// The calls from `since` on: `{"calls": [...]}`.
    Calls {
        #[serde(default)]
        since: u64,
    },
    /// The registry policy as stored: `{"text": ...}`, null if there is none.
    Policy { account: String, region: String },
    /// A foreign hand puts a policy: any text, or a document.
    PutPolicy { account: String, region: String, text: Option<String>, document: Option<Value> },
    /// A foreign hand deletes the policy.
    DeletePolicy { account: String, region: String },
    /// `{"allowed": ..., "because": ...}`
    Would { principal: String, action: String, repository: String, account: String, region: String },
    /// Null: never set.
    SetScope { account: String, region: String, scope: Option<Scope> },
    /// What registries say that never had a scope; null: no value.
    SetUnsetScope { scope: Option<Scope> },
    /// The replication rules that DescribeRegistry shows.
    SetReplicationRules { account: String, region: String, rules: Vec<Value> },
    /// Whether principals in unknown accounts pass.
    AcceptUnknownAccounts { accept: bool },
    /// Members that the answers of an operation of ECR's lack from now on; none: all are there again.
    OmitMembers { operation: String, members: Vec<String> },
    /// Whether account ids read back as root ARNs.
    ConvertAccountIds { convert: bool },
}

impl RegistryControl {
    pub(super) fn turn(self, world: &mut World) -> Value {
        match self {
            Self::Calls { since } => {
                let calls: Vec<_> = world.calls().iter().filter(|call| call.seq >= since).collect();
                return json!({"calls": calls});
            }
            Self::Policy { account, region } => return json!({"text": world.policy_text(&account, &region)}),
            Self::PutPolicy { account, region, text, document } => {
                world.put_policy(&account, &region, &document_text(text, document).unwrap_or_default());
            }
            Self::DeletePolicy { account, region } => world.delete_policy(&account, &region),
            Self::Would { principal, action, repository, account, region } => {
                return json!(world.would(&principal, &action, &repository, &account, &region));
            }
            Self::SetScope { account, region, scope } => world.set_scope(&account, &region, scope),
            Self::SetUnsetScope { scope } => world.set_unset_scope(scope),
            Self::SetReplicationRules { account, region, rules } => {
                world.set_replication_rules(&account, &region, rules);
            }
            Self::AcceptUnknownAccounts { accept } => world.accept_unknown_accounts(accept),
            Self::OmitMembers { operation, members } => world.omit_members(&operation, members),
            Self::ConvertAccountIds { convert } => world.convert_account_ids(convert),
        }
        nothing()
    }
}
