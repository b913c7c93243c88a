//! What hangs on roles: the foreign hand in IAM, unchecked. A role is named with or without its path.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::nothing;
use crate::world::World;

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum IamControl {
    /// A role as IAM shows it: `{"role": ...}`, null if there is none.
    Role { account: String, role: String },
    /// Its trust policy.
    SetTrustDocument { account: String, role: String, document: Value },
    /// An inline policy; null takes it away.
    PutRolePolicy { account: String, role: String, name: String, document: Option<Value> },
    /// Attaches a managed policy.
    AttachRolePolicy { account: String, role: String, arn: String },
    /// Detaches one.
    DetachRolePolicy { account: String, role: String, arn: String },
    /// Its boundary; null: none.
    SetRoleBoundary { account: String, role: String, arn: Option<String> },
    /// Its tags; null takes one away.
    TagRole { account: String, role: String, tags: BTreeMap<String, Option<String>> },
    /// Puts a role into an instance profile, or takes it out.
    SetInstanceProfile { account: String, role: String, name: String, contains: bool },
    /// A managed policy of the customer: `{"arn": ...}`.
    AddManagedPolicy { account: String, name: String, document: Value },
    /// Deletes it, wherever it is in use.
    DeleteManagedPolicy { account: String, name: String },
}

impl IamControl {
    pub(super) fn turn(self, world: &mut World) -> Value {
        match self {
            Self::Role { account, role } => return json!({"role": world.role(&account, &role)}),
            Self::SetTrustDocument { account, role, document } => {
                world.edit_role(&account, &role, |role| role.trust = document.to_string());
            }
            Self::PutRolePolicy { account, role, name, document } => {
                world.edit_role(&account, &role, |role| match document {
                    Some(document) => drop(role.inline_policies.insert(name, document.to_string())),
                    None => drop(role.inline_policies.remove(&name)),
                });
            }
            Self::AttachRolePolicy { account, role, arn } => {
                world.edit_role(&account, &role, |role| role.attached_policies.extend([arn]));
            }
            Self::DetachRolePolicy { account, role, arn } => {
                world.edit_role(&account, &role, |role| role.attached_policies.retain(|a| *a != arn));
            }
            Self::SetRoleBoundary { account, role, arn } => {
                world.edit_role(&account, &role, |role| role.permissions_boundary = arn);
            }
            Self::TagRole { account, role, tags } => world.edit_role(&account, &role, |role| {
                for (key, value) in tags {
                    role.tags.remove(&key);
                    role.tags.extend(value.map(|value| (key, value)));
                }
            }),
            Self::SetInstanceProfile { account, role, name, contains } => {
                world.edit_role(&account, &role, |role| {
                    role.instance_profiles.retain(|n| *n != name);
                    role.instance_profiles.extend(contains.then_some(name));
                });
            }
            Self::AddManagedPolicy { account, name, document } => {
                return json!({"arn": world.add_managed_policy(&account, &name, &document.to_string())});
            }
            Self::DeleteManagedPolicy { account, name } => world.delete_managed_policy(&account, &name),
        }
        nothing()
    }
}
