//! What is done about a role, in the words of a plan. Says what is to be done, and never whether.

use std::collections::BTreeMap;

use super::super::claims::Action;
use super::Role;
use super::pulls::joined;
use crate::api::{LedgerPulls, LedgerRole, OwnershipState};

/// What is to be done for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The role, then its policy.
    Create(Role),
    /// What of it is not as wanted; `tags`: those that are missing or wrong.
    Change {
        name: String,
        trust: Option<String>,
        policy: Option<String>,
        tags: BTreeMap<String, String>,
        /// What it pulls with that policy.
        pulls: LedgerPulls,
        /// That is not what it was to pull before.
        is_asked: bool,
    },
    /// Its policy without what may not stay in it.
    Narrow { name: String, policy: String },
    /// Our policy, then the role.
    Delete { name: String, has_policy: bool },
    /// The tags that mark it as the object's: it is nobody's from then on.
    Release { name: String, tags: Vec<String> },
}

impl Act {
    /// The role it is done to.
    pub fn name(&self) -> &str {
        match self {
            Self::Create(role) => &role.name,
            Self::Change { name, .. }
            | Self::Narrow { name, .. }
            | Self::Delete { name, .. }
            | Self::Release { name, .. } => name,
        }
    }
}

impl Action for Act {
    type Record = LedgerRole;

    fn claim(&self) -> Option<LedgerRole> {
        let Self::Create(role) = self else { return None };
        let Role { name, arn, pulls, .. } = role.clone();
        Some(LedgerRole { name, arn, id: None, adopted: None, state: OwnershipState::Claimed, pulls })
    }

    fn adds_to(&self, record: LedgerRole) -> LedgerRole {
        match self {
            Self::Change { pulls, .. } => LedgerRole { pulls: joined(record.pulls, pulls), ..record },
            _ => record,
        }
    }

    fn removes(&self) -> bool {
        matches!(self, Self::Delete { .. } | Self::Release { .. })
    }

    fn narrows(&self) -> bool {
        matches!(self, Self::Narrow { .. })
    }

    fn takes_away(&self) -> bool {
        matches!(self, Self::Delete { .. }) || self.narrows()
    }

    fn may_repair(&self) -> bool {
        !matches!(self, Self::Change { is_asked: true, .. } | Self::Narrow { .. })
    }

    fn describe(&self) -> String {
        match self {
            Self::Create(role) => format!("+ role {}", role.name),
            Self::Change { name, trust, policy, tags, .. } => {
                let parts = [
                    trust.as_ref().map(|_| "trust policy"),
                    policy.as_ref().map(|_| "policy"),
                    (!tags.is_empty()).then_some("tags"),
                ];
                format!("~ role {name}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
            }
            Self::Narrow { name, .. } => format!("~ role {name}: policy"),
            Self::Delete { name, .. } => format!("- role {name}"),
            Self::Release { name, .. } => format!("~ role {name}: left behind"),
        }
    }
}
