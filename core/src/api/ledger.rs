//! The ledger: what every attached object has in AWS. It stands in the Registry's status, written by the operator alone.
//! It grows by addition only: an entry that an older version wrote must still be read.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kinds::Kind;

/// How sure the ledger is of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum LedgerState {
    /// A write is under way: `statements` holds all that may be in AWS, before and after it.
    Writing,
    /// AWS was read after the write and has `statements`.
    Applied,
    /// The object is gone without having been seen deleting, or was abandoned: its statements stay until pruned.
    Orphan,
    /// A principal of the statements was deleted in AWS; it is not granted again by name until the object is edited.
    PrincipalGone,
}

/// What one object has in AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Kind of the object.
    pub kind: Kind,
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid when the entry was written; a restored object has another one and keeps its place.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation the entry was written for.
    pub generation: i64,
    /// How sure the entry is.
    pub state: LedgerState,
    /// Its own statements in normal form, as they were before they were joined with others'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 20000)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub statements: Vec<String>,
    /// Its pull through cache rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<LedgerRule>,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<LedgerRole>,
    /// Why an object attached to another registry does not have what it asks of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<LedgerRefusal>,
    /// When a thing without a mark of the operator was claimed, before it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub claimed_at: Option<String>,
}

/// Why an object of another registry is refused here: the pass of its own registry tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRefusal {
    /// As in a condition.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// As in a condition.
    #[schemars(length(max = 4096))]
    pub message: String,
}

/// Whose a thing in AWS is that cannot carry a Sid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum OwnershipState {
    /// It is about to be made: whatever of this is found and was not there before is the object's.
    Claimed,
    /// AWS was read after it was made or taken over: it is the object's.
    Owned,
}

/// A pull through cache rule that an object has in AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRule {
    /// Prefix of the repositories in the cache, or `ROOT`.
    #[schemars(length(max = 30))]
    pub prefix: String,
    /// The upstream's host, as AWS has it.
    #[schemars(length(max = 253))]
    pub upstream_url: String,
    /// Prefix of the repositories in the upstream; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 30))]
    pub upstream_prefix: Option<String>,
    /// ARN of the role by which ECR pulls from the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub role_arn: Option<String>,
    /// ARN of the secret with the credentials for the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 612))]
    pub credential_arn: Option<String>,
    /// When AWS says it was made: tells it from another of the same prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub created_at: Option<String>,
    /// `true`: it was there before the object, which took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// Whose it is.
    pub state: OwnershipState,
}

/// An IAM role that an object has in AWS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRole {
    /// Its name, without the path.
    #[schemars(length(max = 64))]
    pub name: String,
    /// Its ARN, with the path.
    #[schemars(length(max = 2048))]
    pub arn: String,
    /// Its unique id: tells it from another of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// `true`: it was there before the object, which took it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,
    /// Whose it is.
    pub state: OwnershipState,
}
