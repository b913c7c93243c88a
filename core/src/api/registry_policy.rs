//! `RegistryPolicy`: statements a team contributes to the one policy of a registry.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;
use super::shared::{ConditionEntry, DeletionPolicy, Effect, Principals, RegistryRef};
use super::status::AttachedStatus;

/// The statements a team contributes to a registry's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ecr-permissions.dev",
    version = "v1alpha1",
    kind = "RegistryPolicy",
    plural = "registrypolicies",
    shortname = "ecrpol",
    category = "ecr-permissions",
    namespaced,
    status = "AttachedStatus",
    doc = "Statements that a team contributes to the one policy document of an Amazon ECR private registry. Statements of other owners stay as they are.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.registry.accountId"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".status.registry.region"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::registry_ref_is_immutable())]
pub struct RegistryPolicySpec {
    /// The Registry to attach to; absent: the one named `default`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,
    /// `true`: the object keeps what it has in AWS and changes nothing. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens in AWS when the object is deleted; absent: `Delete`. Example: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// The statements, 1–50.
    #[schemars(length(min = 1, max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub statements: Vec<PolicyStatement>,
}

/// One statement: who may (or may not) do what, on which repositories of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::services_are_confined(), validation = rules::lockout_is_acknowledged())]
pub struct PolicyStatement {
    /// Name within the object, 1–63 characters. Example: `pull-from-staging`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Absent: `Allow`. Example: `Deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Who the statement speaks of.
    pub principals: Principals,
    /// Actions, spelled out, 1–50: no wildcard, nothing that acts on the registry itself or writes policies.
    /// Example: `["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]`.
    #[schemars(length(min = 1, max = 50), inner(length(max = 64)))]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = rules::actions_are_spelled_out(),
        validation = rules::actions_are_of_repositories()
    )]
    pub actions: Vec<String>,
    /// Repositories, 1–100: an exact name, or a prefix and one `*` at its end. At most 256 characters each. Example: `["team-a/*"]`.
    #[schemars(
        length(min = 1, max = 100),
        inner(
            length(min = 1, max = 256),
            regex(pattern = r"^(\*|[a-z0-9](/?[a-z0-9._-])*/?\*|[a-z0-9](/?[a-z0-9._-])*/?[a-z0-9])$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub repositories: Vec<String>,
    /// Conditions, all of which must hold; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["operator".into(), "key".into()]))]
    pub conditions: Vec<ConditionEntry>,
    /// Must be `true` for a Deny to everyone: such a statement may lock out its own author. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::only_true("acknowledgeLockout is true or left out"))]
    pub acknowledge_lockout: Option<bool>,
}
