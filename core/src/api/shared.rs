//! What several kinds share: references, principals, conditions.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// The Registry an object is attached to when it names none.
pub const DEFAULT_REGISTRY: &str = "default";

/// Names the Registry an object is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryRef {
    /// Name of the Registry (cluster-scoped). 1–253 characters. Example: `production-eu-west-1`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A registry that no Registry object of this cluster stands for. The operator never works there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalRegistry {
    /// Its AWS account: 12 digits. Example: `"123456789012"`.
    #[schemars(length(max = 12), regex(pattern = "^[0-9]{12}$"))]
    pub account_id: String,
    /// Its AWS Region. 2–25 characters. Example: `eu-west-1`.
    #[schemars(length(min = 2, max = 25), regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"))]
    pub region: String,
}

/// What becomes of a thing in AWS that is there already and carries no mark of the operator: it stays untouched and is
/// a conflict (`Never`, also when absent), is taken over if it is exactly what the object asks for (`IfIdentical`), or
/// is taken over and changed to that (`Always`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// It stays untouched, and is a conflict.
    #[default]
    Never,
    /// It is taken over if it is exactly what the object asks for.
    IfIdentical,
    /// It is taken over, and changed to what the object asks for.
    Always,
}

/// What happens in AWS when the object is deleted: what it added is removed (`Delete`, also when absent; what it adopted
/// goes only if `Delete` is written down), or stays on record where the Registry's `allow` says `retain: true` (`Retain`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Exactly what the object added is removed.
    Delete,
    /// What the object added stays in AWS, where a rule of the Registry's `allow` with `retain: true` covers the object.
    Retain,
}

/// Whether a statement allows or denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    #[default]
    Allow,
    Deny,
}

/// An IAM role or user of an account, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamedPrincipal {
    /// Account of the role or user: 12 digits. Example: `"123456789012"`.
    #[schemars(length(max = 12), regex(pattern = "^[0-9]{12}$"))]
    pub account_id: String,
    /// Name, with its IAM path if it has one. 1–576 characters. Example: `ci/puller`.
    #[schemars(length(min = 1, max = 576), regex(pattern = "^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$"))]
    pub name: String,
}

/// Who a statement speaks of. One member at least; `services`, `organizationIds` and `everyone` each stand alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::somebody_is_named(), validation = rules::the_lone_stand_alone())]
pub struct Principals {
    /// Accounts: every principal of them that their own administrators authorise. At most 500. Example: `["123456789012"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 500), inner(length(max = 12), regex(pattern = "^[0-9]{12}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub account_ids: Vec<String>,
    /// Organizations: every principal of an account in them (`aws:PrincipalOrgID`). At most 10. Example: `["o-a1b2c3d4e5"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10), inner(length(max = 34), regex(pattern = "^o-[a-z0-9]{10,32}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub organization_ids: Vec<String>,
    /// AWS services. At most 10. A literal `aws:SourceAccount`, `aws:SourceArn` or `aws:SourceOrgID` condition must
    /// stand beside them. Example: `["codebuild.amazonaws.com"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 10),
        inner(
            length(max = 128),
            regex(pattern = r"^[a-z0-9.-]+\.(amazonaws\.com(\.cn)?|amazonaws\.eu|aws\.internal)$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub services: Vec<String>,
    /// IAM roles. At most 100. Example: `[{accountId: "123456789012", name: ci/puller}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["accountId".into(), "name".into()]))]
    pub roles: Vec<NamedPrincipal>,
    /// IAM users. At most 100. Example: `[{accountId: "123456789012", name: jenkins}]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["accountId".into(), "name".into()]))]
    pub users: Vec<NamedPrincipal>,
    /// Everybody on the internet with an AWS account. Only `true` is accepted. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::only_true("everyone is true or left out"))]
    pub everyone: Option<bool>,
}

/// One condition of a statement: an IAM operator, a key and the values it may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConditionEntry {
    /// IAM condition operator, at most 64 characters. Example: `StringEquals`.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z:]+$"))]
    pub operator: String,
    /// Condition key, at most 128 characters. Example: `aws:PrincipalOrgID`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9:/._-]+$"))]
    pub key: String,
    /// Values: one of them must match. 1–50, at most 512 characters each. Example: `["o-a1b2c3d4e5"]`.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 512)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub values: Vec<String>,
}
