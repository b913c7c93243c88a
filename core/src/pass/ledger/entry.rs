//! One entry of the ledger as it is stored: JSON as text. `uid`, `statements` and `documents` are read by every version,
//! whatever the kind; members that this version does not know are written back as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::jiff::Timestamp;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::Things;
use crate::api::{LedgerRefusal, LedgerRole, LedgerRule};
use crate::policy::Statement;

/// As much of a refusal's message as an entry keeps.
const MESSAGE_AT_MOST: usize = 256;

/// What an object has in AWS and was to get, as the ledger says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The object's uid when the entry was written.
    pub uid: String,
    /// The generation that it was written for.
    pub generation: i64,
    /// The number of the document write that was to bring `statements`.
    pub write: u64,
    /// What the object has once that write is confirmed.
    pub statements: Vec<Statement>,
    /// What it had before that write.
    pub before: Vec<Statement>,
    /// The documents that the statements stand in.
    pub documents: BTreeSet<String>,
    pub things: Things,
    pub mark: Option<Mark>,
    /// Why it does not have what it asks for, though `allow` covers it.
    pub refused: Option<LedgerRefusal>,
    pub(crate) others: Vec<Raw>,
    pub(crate) other_resources: Vec<Raw>,
}

/// What is said of an entry besides what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Orphan,
    PrincipalGone,
    Retained,
    /// A word of another version: the entry counts as one whose write is under way.
    Unknown(String),
}

impl Mark {
    fn as_str(&self) -> &str {
        match self {
            Self::Orphan => "Orphan",
            Self::PrincipalGone => "PrincipalGone",
            Self::Retained => "Retained",
            Self::Unknown(word) => word,
        }
    }

    fn of(word: String) -> Self {
        match word.as_str() {
            "Orphan" => Self::Orphan,
            "PrincipalGone" => Self::PrincipalGone,
            "Retained" => Self::Retained,
            _ => Self::Unknown(word),
        }
    }
}

/// A member and its value, as it was written.
pub(crate) type Raw = (String, String);

/// Text that is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Entry {
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let mut members = Members::read(text)?;
        let mut entry = Self {
            uid: members.take("uid")?.unwrap_or_default(),
            generation: members.take("generation")?.unwrap_or_default(),
            write: members.take("write")?.unwrap_or_default(),
            statements: statements(members.raw("statements"))?,
            before: statements(members.raw("before"))?,
            documents: members.take("documents")?.unwrap_or_default(),
            mark: members.take("state")?.map(Mark::of),
            refused: members.take("reason")?,
            ..Self::default()
        };
        entry.things.claimed_at =
            members.take::<String>("claimedAt")?.map(|at| at.parse::<Timestamp>()).transpose().map_err(unreadable)?;
        if let Some(resources) = members.raw("resources") {
            let mut resources = Members::read(&resources)?;
            entry.things.rule = resources.take::<LedgerRule>("rule")?;
            entry.things.role = resources.take::<LedgerRole>("role")?;
            entry.other_resources = resources.0;
        }
        entry.others = members.0;
        Ok(entry)
    }

    /// The same for the same entry: members in one order, statements sorted, nothing empty.
    pub fn text(&self) -> String {
        let mut object = Object::default();
        object.put("uid", &self.uid);
        object.put("generation", &self.generation);
        object.put("write", &self.write);
        object.raw("statements", &list(&self.statements));
        if !self.before.is_empty() {
            object.raw("before", &list(&self.before));
        }
        if !self.documents.is_empty() {
            object.put("documents", &self.documents);
        }
        let mut resources = Object::default();
        if let Some(rule) = &self.things.rule {
            resources.put("rule", rule);
        }
        if let Some(role) = &self.things.role {
            resources.put("role", role);
        }
        self.other_resources.iter().for_each(|(name, value)| resources.raw(name, value));
        if !resources.0.is_empty() {
            object.raw("resources", &resources.text());
        }
        if let Some(at) = &self.things.claimed_at {
            object.put("claimedAt", &at.to_string());
        }
        if let Some(mark) = &self.mark {
            object.put("state", mark.as_str());
        }
        if let Some(refused) = &self.refused {
            let message = refused.message.chars().take(MESSAGE_AT_MOST).collect();
            object.put("reason", &LedgerRefusal { message, ..refused.clone() });
        }
        self.others.iter().for_each(|(name, value)| object.raw(name, value));
        object.text()
    }

    /// What this version does not know of `other`, taken over: an entry that is made anew loses nothing of it.
    #[must_use]
    pub fn with_unknown_of(self, other: &Self) -> Self {
        Self { others: other.others.clone(), other_resources: other.other_resources.clone(), ..self }
    }

    /// Whether a version that knows more has something on record that this one does not know.
    pub fn has_unknown(&self) -> bool {
        !self.others.is_empty() || !self.other_resources.is_empty()
    }
}

fn unreadable(error: impl fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}

fn statements(text: Option<String>) -> Result<Vec<Statement>, Unreadable> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let all: Vec<&RawValue> = serde_json::from_str(&text).map_err(unreadable)?;
    all.into_iter().map(|raw| Statement::from_canonical(raw.get()).map_err(unreadable)).collect()
}

fn list(statements: &[Statement]) -> String {
    let all: BTreeSet<String> = statements.iter().map(Statement::canonical).collect();
    format!("[{}]", all.into_iter().collect::<Vec<_>>().join(","))
}

/// The members of a JSON object that nobody has taken yet, in their order.
struct Members(Vec<Raw>);

impl Members {
    fn read(text: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(text).map_err(unreadable)
    }

    fn raw(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(at).1)
    }

    fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Unreadable> {
        let Some(text) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(&text).map_err(|error| Unreadable(format!("{name}: {error}")))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A JSON object that is being written.
#[derive(Default)]
struct Object(Vec<String>);

impl Object {
    fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        // What is put here are texts, numbers and plain structures, which all have a JSON text.
        let value = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        self.raw(name, &value);
    }

    fn raw(&mut self, name: &str, value: &str) {
        let name = serde_json::Value::from(name);
        self.0.push(format!("{name}:{value}"));
    }

    fn text(&self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}

/// The record of one document in AWS, as later passes must know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentRecord {
    /// Hash of the document's meaning.
    pub hash: String,
    /// Its length as sent, in characters.
    pub characters: i64,
    /// The Sids of the operator's own statements in it, as last written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sids: Vec<String>,
    /// Hashes of the foreign statements in it, as last read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_hashes: Vec<String>,
    /// The number of the last write of it.
    pub written: u64,
    /// The number of the last write that a read has confirmed.
    pub confirmed: u64,
    /// Another cluster was seen to write under this installation's id; the token that a person answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_shared: Option<String>,
    #[serde(flatten)]
    pub(crate) others: BTreeMap<String, serde_json::Value>,
}

impl DocumentRecord {
    /// What a read shows of a document; its numbers are those of the writes.
    pub fn new(hash: String, characters: i64, sids: Vec<String>, foreign_hashes: Vec<String>) -> Self {
        Self { hash, characters, sids, foreign_hashes, ..Self::default() }
    }

    /// The same, with the numbers of its writes, and with what this version does not know of an earlier record.
    #[must_use]
    pub fn confirmed_as(self, confirmed: u64, before: &Self) -> Self {
        let written = before.written.max(confirmed);
        Self { written, confirmed, others: before.others.clone(), ..self }
    }

    pub fn read(text: &str) -> Result<Self, Unreadable> {
        serde_json::from_str(text).map_err(unreadable)
    }

    pub fn text(&self) -> String {
        // It holds texts and numbers alone.
        serde_json::to_string(self).unwrap_or_default()
    }
}
