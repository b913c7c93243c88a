//! The one text of a statement's normal form: hashed for the Sid, kept in `Registry.status.ledger`. Its format is
//! final. Changing a byte of it would make every statement in AWS look like somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use super::json::{Json, quote};
use super::read;
use super::statement::{Principal, Statement};

/// Text that is not the canonical form of any statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the canonical text of a statement")]
pub struct Malformed;

impl Statement {
    /// Compact JSON, always with lists, everything sorted by its text, actions and condition keys in lower case (not as
    /// the table of known actions spells them: that table grows), nothing empty but a condition's values.
    pub fn canonical(&self) -> String {
        let mut members = vec![format!("\"Effect\":{}", quote(self.effect.as_str()))];
        let mut kinds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for principal in &self.principals {
            kinds.entry(principal.kind()).or_default().insert(Principal::as_str(principal));
        }
        if !kinds.is_empty() {
            let kinds = kinds.into_iter().map(|(kind, entries)| format!("{}:{}", quote(kind), list(entries)));
            members.push(format!("\"Principal\":{{{}}}", join(kinds)));
        }
        let actions: BTreeSet<String> =
            self.actions.iter().map(|action| action.as_str().to_ascii_lowercase()).collect();
        if !actions.is_empty() {
            members.push(format!("\"Action\":{}", list(actions.iter().map(String::as_str))));
        }
        if !self.resources.is_empty() {
            members.push(format!("\"Resource\":{}", list(self.resources.iter().map(String::as_str))));
        }
        if !self.conditions.is_empty() {
            members.push(format!("\"Condition\":{{{}}}", self.canonical_conditions()));
        }
        format!("{{{}}}", members.join(","))
    }

    fn canonical_conditions(&self) -> String {
        let mut operators: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for (condition, values) in &self.conditions {
            let keys = operators.entry(&condition.operator).or_default();
            keys.insert(condition.key.to_ascii_lowercase(), list(values.iter().map(String::as_str)));
        }
        join(operators.into_iter().map(|(operator, keys)| {
            let keys = keys.into_iter().map(|(key, values)| format!("{}:{values}", quote(&key)));
            format!("{}:{{{}}}", quote(operator), join(keys))
        }))
    }

    /// The exact inverse of [`Statement::canonical`]: text that no statement has is refused, not repaired.
    pub fn from_canonical(text: &str) -> Result<Self, Malformed> {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let statement = if is_json { read::statement(&Json::read(text), None) } else { None };
        statement.filter(|statement| statement.canonical() == text).ok_or(Malformed)
    }
}

fn list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    format!("[{}]", join(texts.into_iter().map(quote)))
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(",")
}
