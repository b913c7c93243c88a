//! A policy document as AWS holds it: other people's statements and members stay raw text, in order. Strict where
//! writing it back would lose or change something: then there is no [`Document`], and nothing can be written.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::digest::digest;
use super::json::{self, Json, compact};
use super::statement::Statement;
use super::{normal, read};
use crate::names::Partition;
use crate::ownership::Sid;

/// Why a document cannot be carried over as it is: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// What a read of a document found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doc {
    /// AWS has none.
    Absent,
    /// One that can be carried over without loss.
    Parsed(Document),
    /// One that can only be refused, with the reason.
    Unreadable(String),
}

impl Doc {
    /// What AWS answered: no document, or its text.
    pub fn of(text: Option<&str>) -> Self {
        match text.map(Document::parse) {
            None => Self::Absent,
            Some(Ok(document)) => Self::Parsed(document),
            Some(Err(Unreadable(reason))) => Self::Unreadable(reason),
        }
    }
}

/// One statement of a document, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    raw: String,
    sid: Option<String>,
}

impl Stored {
    fn keep(raw: &str) -> Self {
        let mut sids = json::members(raw).unwrap_or_default();
        sids.retain(|(key, _)| json::name_of(key.get()) == "Sid");
        // Two Sids in one statement are nobody's: it is foreign.
        let sid = if let [(_, sid)] = sids.as_slice() { serde_json::from_str(sid.get()).ok() } else { None };
        Self { raw: raw.to_owned(), sid }
    }

    /// One of ours, written fresh from its typed form.
    pub(super) fn fresh(sid: &Sid, statement: &Statement) -> Self {
        Self { raw: statement.to_value(Some(sid.as_str())).to_string(), sid: Some(sid.as_str().to_owned()) }
    }

    pub(super) fn with_raw(&self, raw: String) -> Self {
        Self { raw, sid: self.sid.clone() }
    }

    /// The JSON text, byte for byte as it was read.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The Sid, if there is exactly one and it is text.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    /// What it grants, if every part of it can be expressed: not with `NotAction`, `NotPrincipal`, `NotResource`,
    /// federated principals, members we do not know, or without a principal or an action.
    pub fn normal(&self, partition: Partition) -> Option<Statement> {
        read::statement(&Json::read(&self.raw), Some(partition))
            .filter(|statement| !statement.principals.is_empty() && !statement.actions.is_empty())
    }

    /// A hash of what any statement says, Sid included: stays the same through everything that AWS does to a stored
    /// document (aws-facts B.5) and through every spelling of behaviour 1. 26 characters of `[a-z2-7]`.
    pub fn fingerprint(&self, partition: Partition) -> String {
        digest(&normal::statement(&Json::read(&self.raw), partition))
    }
}

/// A document that can be written back without loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    members: Vec<Member>,
    pub(super) statements: Vec<Stored>,
}

/// A top-level member in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    Statements,
    Version { raw: String, value: String },
    Other { key: String, raw: String },
}

impl Document {
    /// A new document: Version 2012-10-17, no statements.
    pub fn empty() -> Self {
        let version = "2012-10-17".to_owned();
        let members = vec![Member::Version { raw: json::quote(&version), value: version }, Member::Statements];
        Self { members, statements: Vec::new() }
    }

    /// Reads a document, or says in one sentence what stands in the way of writing it back.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
            let what = if error.classify() == Category::Eof { "ends too early" } else { "is not JSON" };
            return refuse(format!("the policy {what}: {error}"));
        }
        let Some(read) = json::members(text) else { return refuse("the policy is not a JSON object".to_owned()) };
        let mut seen = BTreeSet::new();
        let mut members = Vec::new();
        let mut statements = None;
        for (key, value) in read {
            let name = json::name_of(key.get());
            // "statement" beside "Statement" would be two members to us and perhaps one to AWS.
            if !seen.insert(name.to_ascii_lowercase()) {
                return refuse(format!("the policy has more than one member {name:?}"));
            }
            members.push(match name.as_str() {
                "Statement" => {
                    statements = Some(read_statements(value.get())?);
                    Member::Statements
                }
                "Version" => Member::Version { raw: value.get().to_owned(), value: read_version(value.get())? },
                known
                    if ["statement", "version", "id"].contains(&known.to_ascii_lowercase().as_str())
                        && known != "Id" =>
                {
                    return refuse(format!(
                        "the policy has a member {name:?}, which differs from AWS's only in letter case"
                    ));
                }
                _ => Member::Other { key: key.get().to_owned(), raw: value.get().to_owned() },
            });
        }
        if statements.is_none() {
            members.push(Member::Statements);
        }
        Ok(Self { members, statements: statements.unwrap_or_default() })
    }

    /// The statements in order.
    pub fn statements(&self) -> &[Stored] {
        &self.statements
    }

    /// The Version, if it is written down; without one AWS reads 2008-10-17.
    pub fn version(&self) -> Option<&str> {
        self.members.iter().find_map(|member| match member {
            Member::Version { value, .. } => Some(value.as_str()),
            _ => None,
        })
    }

    /// Adds a statement under a Sid that is not one of ours: it belongs to nobody's care from then on.
    pub fn append(&mut self, sid: &str, statement: &Statement) {
        self.statements.push(Stored { raw: statement.to_value(Some(sid)).to_string(), sid: Some(sid.to_owned()) });
    }

    /// Whether no statement is left: AWS has no empty policy, it is deleted.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// What is sent: compact, since the limit counts it; every token that came from AWS as it was.
    pub fn to_text(&self) -> String {
        let members = self.members.iter().map(|member| match member {
            Member::Version { raw, .. } => format!("\"Version\":{raw}"),
            Member::Other { key, raw } => format!("{key}:{}", compact(raw)),
            Member::Statements => {
                let statements: Vec<_> = self.statements.iter().map(|stored| compact(&stored.raw)).collect();
                format!("\"Statement\":[{}]", statements.join(","))
            }
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

fn refuse<T>(reason: String) -> Result<T, Unreadable> {
    Err(Unreadable(reason))
}

fn read_version(raw: &str) -> Result<String, Unreadable> {
    serde_json::from_str(raw).or_else(|_| refuse("the policy's Version is not a string".to_owned()))
}

fn read_statements(raw: &str) -> Result<Vec<Stored>, Unreadable> {
    let raws = match raw.bytes().next() {
        Some(b'n') => Some(Vec::new()),
        Some(b'{') => Some(vec![raw]),
        _ => json::items(raw).map(|items| items.into_iter().map(RawValue::get).collect()),
    };
    let objects = raws.filter(|raws| raws.iter().all(|raw| raw.starts_with('{')));
    match objects {
        Some(raws) => Ok(raws.into_iter().map(Stored::keep).collect()),
        None => refuse("the policy's Statement is neither an object nor a list of objects".to_owned()),
    }
}
