//! `RegistryLedger`: what every attached object has in AWS, by registry and namespace. The operator's own object: nobody
//! else writes it, and no GitOps tool tracks it. Entries are JSON as text (`pass::ledger`), so that the API server
//! neither prunes nor validates what a newer version wrote.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;

/// One slice of the ledger of a registry: the entries of one namespace, or the records of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "internal.ecr-permissions.dev",
    version = "v1alpha1",
    kind = "RegistryLedger",
    plural = "registryledgers",
    doc = "What objects of one namespace have in one Amazon ECR registry, as the operator has it on record. The operator's own: grants are withdrawn by this record. Include it in backups; never edit it.",
    selectable = ".spec.accountId",
    selectable = ".spec.region",
    selectable = ".spec.namespace",
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".spec.accountId"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".spec.region"}"#,
    printcolumn = r#"{"name":"Namespace","type":"string","jsonPath":".spec.namespace"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct RegistryLedgerSpec {
    /// The installation that wrote it. Cannot change. Example: `k3v7qa2xbn`.
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::immutable("a slice is of one place"))]
    pub installation_id: String,
    /// The registry's AWS account. Cannot change. Example: `"123456789012"`.
    #[schemars(length(max = 12))]
    #[x_kube(validation = rules::immutable("a slice is of one place"))]
    pub account_id: String,
    /// The registry's AWS Region. Cannot change. Example: `eu-west-1`.
    #[schemars(length(max = 25))]
    #[x_kube(validation = rules::immutable("a slice is of one place"))]
    pub region: String,
    /// The namespace whose objects the entries are of; absent: the slice has records of documents. Cannot change.
    /// Example: `team-a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::immutable("a slice is of one namespace"))]
    pub namespace: Option<String>,
    /// In the first slice without a namespace: the Registry that the ledger serves. Example: `production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub registry: Option<String>,
    /// In the first slice without a namespace: the Lease whose holder may write to the registry. Example: `ecr-permissions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub holder: Option<String>,
    /// Hash over documents and entries: tells an edit by hand from the operator's own writing. Example: `q5x3…`.
    #[schemars(length(max = 64))]
    pub digest: String,
    /// Records of documents in AWS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub documents: Vec<LedgerDocument>,
    /// What each object has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5000))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub entries: Vec<LedgerEntry>,
}

/// The record of one document in AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerDocument {
    /// Which document. Example: `RegistryPolicy`.
    #[schemars(length(max = 300))]
    pub key: String,
    /// The record, as JSON. Example: `{"confirmed":3}`.
    #[schemars(length(max = 131_072))]
    pub data: String,
}

/// What one object has, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Kind of the object. Example: `RegistryPolicy`.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Its name. Example: `pull-from-staging`.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Which part of the entry; each is whole in itself, and the object has all of them. Example: `0`.
    pub part: i64,
    /// The entry, as JSON. Example: `{"uid":"…","generation":1,"write":1,"statements":[]}`.
    #[schemars(length(max = 131_072))]
    pub data: String,
}

/// How sure the ledger is of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LedgerState {
    /// A write is under way: the statements are all that may be in AWS, before and after it.
    Writing,
    /// AWS was read after the write and has the statements.
    Applied,
    /// The object is gone without having been seen deleting, or was abandoned: its statements stay until pruned.
    Orphan,
    /// A principal of the statements was deleted in AWS; it is not granted again by name until the object is edited.
    PrincipalGone,
    /// The object was deleted and asked to leave this behind: it stays for as long as a rule allows that.
    Retained,
}

/// Why an object does not have what it asks for though `allow` covers it: the pass of its own registry tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRefusal {
    /// As in a condition.
    pub reason: String,
    /// As in a condition, at most 256 characters.
    pub message: String,
}

/// Whose a thing in AWS is that cannot carry a Sid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OwnershipState {
    /// It is about to be made: whatever of this is found and was not there before is the object's.
    Claimed,
    /// AWS was read after it was made or taken over: it is the object's.
    Owned,
}

/// A pull through cache rule that an object has in AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRule {
    /// Prefix of the repositories in the cache, or `ROOT`.
    pub prefix: String,
    /// The upstream's host, as AWS has it.
    pub upstream_url: String,
    /// Prefix of the repositories in the upstream; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_prefix: Option<String>,
    /// ARN of the role by which ECR pulls from the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// ARN of the secret with the credentials for the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_arn: Option<String>,
    /// When AWS says it was made: tells it from another of the same prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// `true`: it was there before the object, which took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// Where the upstream is of the rule's own account: `true`, its Registry has consented; `false`, none stood for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consented: Option<bool>,
    /// Whose it is.
    pub state: OwnershipState,
}

/// An IAM role that an object has in AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRole {
    /// Its name, without the path.
    pub name: String,
    /// Its ARN, with the path.
    pub arn: String,
    /// Its unique id: tells it from another of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `true`: it was there before the object, which took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// Whose it is.
    pub state: OwnershipState,
    /// What it pulls, as its object asked and was allowed.
    #[serde(default, skip_serializing_if = "LedgerPulls::is_empty")]
    pub pulls: LedgerPulls,
}

/// What a role pulls.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerPulls {
    /// The registries it pulls from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<LedgerUpstream>,
    /// The repositories of its own registry that it pulls into.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub into: Vec<String>,
}

impl LedgerPulls {
    pub fn is_empty(&self) -> bool {
        self.from.is_empty() && self.into.is_empty()
    }

    /// Of all names of repositories together.
    pub fn characters(&self) -> usize {
        self.from.iter().flat_map(|upstream| &upstream.repositories).chain(&self.into).map(String::len).sum()
    }
}

/// A registry that a role pulls from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerUpstream {
    /// Its AWS account.
    pub account_id: String,
    /// Its AWS Region.
    pub region: String,
    /// In the role's own account, where no policy of the upstream says so: the repositories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// `true`: no Registry has consented to it, for none stood for it when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
}
