//! `ReplicationGrant`: the destination's half of replication: which accounts may replicate into this registry.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;
use super::shared::{DeletionPolicy, RegistryRef};
use super::status::AttachedStatus;

/// Lets other accounts replicate images into this registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ecr-permissions.dev",
    version = "v1alpha1",
    kind = "ReplicationGrant",
    plural = "replicationgrants",
    shortname = "ecrrg",
    category = "ecr-permissions",
    namespaced,
    status = "AttachedStatus",
    doc = "Lets other AWS accounts replicate images into an Amazon ECR private registry: the destination's half of cross-account replication.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.registry.accountId"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".status.registry.region"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::registry_ref_is_immutable())]
pub struct ReplicationGrantSpec {
    /// The Registry to attach to, the destination; absent: the one named `default`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,
    /// `true`: the object keeps what it has in AWS and changes nothing. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens in AWS when the object is deleted; absent: `Delete`. Example: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Who may replicate. One member at least.
    pub sources: Sources,
    /// Repositories they may write, 1–100: an exact name, or a prefix and one `*` at its end. Example: `["mirror/*"]`.
    #[schemars(
        length(min = 1, max = 100),
        inner(
            length(min = 1, max = 256),
            regex(pattern = r"^(\*|[a-z0-9](/?[a-z0-9._-])*/?\*|[a-z0-9](/?[a-z0-9._-])*/?[a-z0-9])$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub repositories: Vec<String>,
    /// `true`: also lets them create the repositories. Any principal of a source account may then call
    /// `ecr:CreateRepository` here, not only the replication service. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_repositories: Option<bool>,
}

/// The source side of a replication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::sources_are_named())]
pub struct Sources {
    /// Source accounts: 12 digits each, at most 500. Example: `["123456789012"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 500), inner(length(max = 12), regex(pattern = "^[0-9]{12}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub account_ids: Vec<String>,
    /// Organizations whose accounts may replicate; at most 10. Example: `["o-a1b2c3d4e5"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10), inner(length(max = 34), regex(pattern = "^o-[a-z0-9]{10,32}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub organization_ids: Vec<String>,
}
