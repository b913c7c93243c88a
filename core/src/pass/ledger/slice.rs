//! One `RegistryLedger` as the watches keep it: its place, and its entries as text.

use std::collections::BTreeMap;

use crate::api::{LEDGER_FINALIZER, LedgerDocument, LedgerEntry, RegistryLedger, RegistryLedgerSpec};
use crate::names::RegistryKey;
use crate::ownership::InstallationId;
use crate::pass::objects::ObjectId;
use crate::policy::digest::digest;

/// So much text a slice holds at most, as it is stored.
pub const SLICE_BYTES: usize = 64 * 1024;
/// What stands around the text of one entry.
const AROUND_AN_ENTRY: usize = 64;

/// Names an entry's part within a namespace. The kind is text: a newer version may have others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartId {
    pub kind: String,
    pub name: String,
    pub part: u32,
}

impl PartId {
    pub fn of(id: &ObjectId, part: u32) -> Self {
        Self { kind: id.kind.as_str().to_owned(), name: id.name.clone(), part }
    }

    pub fn is_of(&self, id: &ObjectId) -> bool {
        self.kind == id.kind.as_str() && self.name == id.name
    }
}

/// A slice of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub deleting: bool,
    pub finalized: bool,
    pub installation: String,
    pub account: String,
    pub region: String,
    pub namespace: Option<String>,
    pub registry: Option<String>,
    pub holder: Option<String>,
    pub digest: String,
    pub documents: BTreeMap<String, String>,
    pub entries: BTreeMap<PartId, String>,
    /// Whether the digest does not fit: told once, as it was read.
    pub(crate) edited: bool,
}

impl Slice {
    pub fn of(ledger: RegistryLedger) -> Self {
        let RegistryLedger { metadata, spec } = ledger;
        let RegistryLedgerSpec {
            installation_id: installation,
            account_id: account,
            region,
            namespace,
            registry,
            holder,
            digest,
            documents,
            entries,
        } = spec;
        let part_of = |entry: LedgerEntry| {
            let part = u32::try_from(entry.part).unwrap_or(u32::MAX);
            (PartId { kind: entry.kind, name: entry.name, part }, entry.data)
        };
        let mut slice = Self {
            name: metadata.name.unwrap_or_default(),
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalized: metadata.finalizers.iter().flatten().any(|finalizer| finalizer == LEDGER_FINALIZER),
            installation,
            account,
            region,
            namespace,
            registry,
            holder,
            digest,
            documents: documents.into_iter().map(|document| (document.key, document.data)).collect(),
            entries: entries.into_iter().map(part_of).collect(),
            edited: false,
        };
        slice.edited = slice.digest != slice.computed_digest();
        slice
    }

    /// The same, as this process writes it.
    #[must_use]
    pub(super) fn digested(self) -> Self {
        Self { digest: self.computed_digest(), edited: false, ..self }
    }

    /// An empty one, the `n`th of its namespace.
    pub fn new(installation: &InstallationId, key: &RegistryKey, namespace: Option<&str>, n: u32) -> Self {
        let (account, region) = (key.account.to_string(), key.region.to_string());
        let place = digest(&format!("{}\n{}", installation.as_str(), namespace.unwrap_or_default()));
        Self {
            name: format!("{account}-{region}-{place}-{n}"),
            installation: installation.as_str().to_owned(),
            account,
            region,
            namespace: namespace.map(str::to_owned),
            ..Self::default()
        }
    }

    /// The spec as it is sent, with the digest of what it holds.
    pub fn spec(&self) -> RegistryLedgerSpec {
        let document = |(key, data): (&String, &String)| LedgerDocument { key: key.clone(), data: data.clone() };
        let entry = |(id, data): (&PartId, &String)| LedgerEntry {
            kind: id.kind.clone(),
            name: id.name.clone(),
            part: id.part.into(),
            data: data.clone(),
        };
        RegistryLedgerSpec {
            installation_id: self.installation.clone(),
            account_id: self.account.clone(),
            region: self.region.clone(),
            namespace: self.namespace.clone(),
            registry: self.registry.clone(),
            holder: self.holder.clone(),
            digest: self.computed_digest(),
            documents: self.documents.iter().map(document).collect(),
            entries: self.entries.iter().map(entry).collect(),
        }
    }

    pub fn key(&self) -> Option<RegistryKey> {
        Some(RegistryKey { account: self.account.parse().ok()?, region: self.region.parse().ok()? })
    }

    /// Whether it has an entry of the object, or a part of one.
    pub fn mentions(&self, id: &ObjectId) -> bool {
        self.entries.range(PartId::of(id, 0)..=PartId::of(id, u32::MAX)).next().is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.documents.is_empty()
    }

    /// Whether both hold the same for the same place, whatever version of the object they are, and nobody deletes either.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let place = |slice: &Self| {
            let Self { installation, account, region, namespace, .. } = slice.clone();
            (installation, account, region, namespace)
        };
        !other.deleting
            && !self.deleting
            && place(self) == place(other)
            && (&self.registry, &self.holder, &self.digest) == (&other.registry, &other.holder, &other.digest)
            && (&self.documents, &self.entries) == (&other.documents, &other.entries)
    }

    /// Whether somebody else wrote it.
    pub fn is_edited(&self) -> bool {
        self.edited
    }

    fn computed_digest(&self) -> String {
        let documents = self.documents.iter().map(|(key, data)| format!("document {key}\n{data}"));
        let entries =
            self.entries.iter().map(|(id, data)| format!("entry {} {} {}\n{data}", id.kind, id.name, id.part));
        digest(&documents.chain(entries).collect::<Vec<_>>().join("\n"))
    }

    /// How much of its room is taken.
    pub fn bytes(&self) -> usize {
        let documents = self.documents.iter().map(|(key, data)| bytes(key, data));
        documents.chain(self.entries.iter().map(|(id, data)| entry_bytes(id, data))).sum()
    }

    /// Where it stands among those of its namespace; whoever made one by hand comes last.
    pub fn number(&self) -> u32 {
        self.name.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(u32::MAX)
    }
}

/// The room that a text takes, with the characters that are escaped when it is stored.
fn bytes(name: &str, data: &str) -> usize {
    let escaped = data.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    name.len() + data.len() + escaped + AROUND_AN_ENTRY
}

pub(super) fn entry_bytes(id: &PartId, data: &str) -> usize {
    bytes(&id.name, data) + id.kind.len()
}

pub(super) fn document_bytes(key: &str, data: &str) -> usize {
    bytes(key, data)
}
