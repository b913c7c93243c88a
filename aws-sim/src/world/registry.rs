//! One private registry: what is stored per account and Region. The policy is kept as it was sent; what AWS does to it
//! happens when it is read (`policy::render`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// A registry, and what it was before the last change: stale reads come from there (aws-facts K.3).
#[derive(Debug, Default)]
pub(crate) struct Registry {
    current: State,
    previous: State,
}

/// Which state a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Current,
    Previous,
    Nothing,
}

impl Registry {
    /// The state that a read with this view sees.
    pub(crate) fn seen(&self, view: View) -> State {
        match view {
            View::Current => self.current.clone(),
            View::Previous => self.previous.clone(),
            View::Nothing => State::default(),
        }
    }

    pub(crate) fn current(&self) -> &State {
        &self.current
    }

    /// Changes the registry and remembers what it was.
    pub(crate) fn change(&mut self, edit: impl FnOnce(&mut State)) {
        self.previous = self.current.clone();
        edit(&mut self.current);
    }
}
