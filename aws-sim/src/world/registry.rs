//! One private registry: what is stored per account and Region. Documents are kept as they were sent; what AWS does to
//! them happens when they are read (`policy::render`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cache_rule::CacheRule;
use super::repository::Repository;

/// REGISTRY_POLICY_SCOPE (aws-facts B.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    V1,
    V2,
}

impl Scope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
        }
    }
}

/// A policy as it was sent, and the unique ids its role and user ARNs stood for at that moment: an ARN whose entity is
/// gone reads back as the id (aws-facts B.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredPolicy {
    pub(crate) text: String,
    pub(crate) bound: BTreeMap<String, String>,
}

/// Everything of one registry that a read can show.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) policy: Option<StoredPolicy>,
    pub(crate) scope: Option<Scope>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) replication_rules: Vec<Value>,
    /// By prefix, without a slash at its end.
    pub(crate) cache_rules: BTreeMap<String, CacheRule>,
    pub(crate) repositories: BTreeMap<String, Repository>,
}

/// A registry.
pub(crate) type Registry = Versioned<State>;

/// Something stored, and what it was before the last change: stale reads come from there (aws-facts K.3).
#[derive(Debug, Clone, Default)]
pub(crate) struct Versioned<T> {
    current: T,
    previous: T,
    nothing: T,
}

/// Which state a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Current,
    Previous,
    Nothing,
}

impl<T: Clone> Versioned<T> {
    /// The state that a read with this view sees.
    pub(crate) fn seen(&self, view: View) -> &T {
        match view {
            View::Current => &self.current,
            View::Previous => &self.previous,
            View::Nothing => &self.nothing,
        }
    }

    pub(crate) fn current(&self) -> &T {
        &self.current
    }

    /// Changes it and remembers what it was.
    pub(crate) fn change<R>(&mut self, edit: impl FnOnce(&mut T) -> R) -> R {
        self.previous = self.current.clone();
        edit(&mut self.current)
    }
}
