//! Secrets: that they are there, with which key, and whether the upstream takes what they hold.

use serde::Deserialize;
use serde_json::{Value, json};

use super::nothing;
use crate::world::World;

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretControl {
    /// Creates or re-creates a secret: `{"arn": ...}`, another one each time.
    CreateSecret { account: String, region: String, name: String },
    /// The customer's key it is encrypted with; null: AWS's own.
    SetSecretKey { account: String, region: String, name: String, kms_key_id: Option<String> },
    /// Whether the upstream takes what it holds.
    SetSecretOpens { account: String, region: String, name: String, opens: bool },
    /// It can still be described, with its `DeletedDate`.
    ScheduleSecretDeletion { account: String, region: String, name: String },
    /// Deletes it for good.
    DeleteSecret { account: String, region: String, name: String },
}

impl SecretControl {
    pub(super) fn turn(self, world: &mut World) -> Value {
        match self {
            Self::CreateSecret { account, region, name } => {
                return json!({"arn": world.create_secret(&account, &region, &name)});
            }
            Self::SetSecretKey { account, region, name, kms_key_id } => {
                world.set_secret_key(&account, &region, &name, kms_key_id.as_deref());
            }
            Self::SetSecretOpens { account, region, name, opens } => {
                world.set_secret_opens(&account, &region, &name, opens);
            }
            Self::ScheduleSecretDeletion { account, region, name } => {
                world.schedule_secret_deletion(&account, &region, &name);
            }
            Self::DeleteSecret { account, region, name } => world.delete_secret(&account, &region, &name),
        }
        nothing()
    }
}
