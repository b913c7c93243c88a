//! The status of attached objects.
//!
//! One type serves all kinds, so that whatever reads and writes statuses is the same code for all; a kind's definition
//! shows the members of its own and no others ([`is_shown`], applied where the definitions are finished), and the API
//! server drops what a definition does not show. A status type for each kind would be checked by the compiler, and
//! would make every generic place (watches, passes, writes) generic over it for three optional members.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::kinds::Kind;

/// The members that one kind alone has.
const OWN: [(&str, Kind); 3] = [
    ("rule", Kind::PullThroughCacheRule),
    ("role", Kind::CrossAccountPtcRole),
    ("upstreams", Kind::CrossAccountPtcRole),
];

/// Whether the status of a kind has this member.
pub(super) fn is_shown(member: &str, kind: &str) -> bool {
    OWN.iter().all(|(own, of)| *own != member || of.as_str() == kind)
}

/// The registry an object was accepted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryReference {
    /// Name of the Registry. Example: `production-eu-west-1`.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its AWS account: 12 digits. Example: `"123456789012"`.
    #[schemars(length(max = 12))]
    pub account_id: String,
    /// Its AWS Region. Example: `eu-west-1`.
    #[schemars(length(max = 25))]
    pub region: String,
}

/// The status of every attached kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedStatus {
    /// The generation of the spec that the conditions speak of; -1 until the operator has seen the object.
    #[serde(default = "default_generation")]
    pub observed_generation: i64,
    /// `Ready` first, then `Reconciling` or `Stalled` while they hold, `Accepted`, `ResolvedRefs`, `Synced`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The registry that accepted the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryReference>,
    /// The last value of the annotation `reconcile.ecr-permissions.dev/requestedAt` that a pass answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The pull through cache rule in AWS, as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleStatus>,
    /// The role in AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleStatus>,
    /// How far each upstream is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub upstreams: Vec<UpstreamStatus>,
}

/// What `observedGeneration` says before the operator has seen an object: nothing is ready yet.
pub fn default_generation() -> i64 {
    -1
}

impl Default for AttachedStatus {
    fn default() -> Self {
        Self {
            observed_generation: default_generation(),
            conditions: Vec::new(),
            registry: None,
            last_handled_reconcile_at: None,
            rule: None,
            role: None,
            upstreams: Vec::new(),
        }
    }
}

/// A pull through cache rule in AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// Host of the upstream registry. Example: `registry-1.docker.io`.
    #[schemars(length(max = 253))]
    pub upstream_host: String,
    /// ARN of the role by which ECR pulls from the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub role_arn: Option<String>,
    /// ARN of the secret with the credentials for the upstream, with its random suffix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 612))]
    pub credential_arn: Option<String>,
    /// Whether AWS could log in to the upstream with the credentials; absent: not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// Why it could not, in AWS's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub failure: Option<String>,
}

/// An IAM role in AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// Its name, without the path.
    #[schemars(length(max = 64))]
    pub name: String,
    /// Its ARN, with the path.
    #[schemars(length(max = 2048))]
    pub arn: String,
}

/// One upstream of a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamStatus {
    /// Name of the upstream in the spec.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The generation of the spec that the conditions speak of; -1 until a pass of the upstream has seen the object.
    #[serde(default = "default_generation")]
    pub observed_generation: i64,
    /// As those of the object, of this upstream alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// For an upstream out of the operator's reach: the statement its owner has to add to the registry policy (scope V2), as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub required_statement: Option<String>,
}
