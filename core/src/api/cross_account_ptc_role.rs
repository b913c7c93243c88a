//! `CrossAccountPtcRole`: the IAM role by which ECR pulls from private registries of other accounts, and the grants it
//! needs there.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::shared::{Adoption, DeletionPolicy, ExternalRegistry, RegistryRef};
use super::status::AttachedStatus;

/// The role by which ECR pulls from private registries of other accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ecr-permissions.dev",
    version = "v1alpha1",
    kind = "CrossAccountPtcRole",
    plural = "crossaccountptcroles",
    shortname = "ecrptcr",
    category = "ecr-permissions",
    namespaced,
    status = "AttachedStatus",
    doc = "The IAM role by which the pull through cache of an Amazon ECR private registry pulls from private registries of other accounts, and the grants it needs there. Its registryRef is the downstream registry, the one with the cache.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Role","type":"string","jsonPath":".status.role.name"}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.registry.accountId"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".status.registry.region"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::registry_ref_is_immutable(), validation = rules::role_name_is_immutable())]
pub struct CrossAccountPtcRoleSpec {
    /// The Registry to attach to, the downstream, in whose account the role lives; absent: the one named `default`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,
    /// `true`: the object keeps what it has in AWS and changes nothing. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens in AWS when the object is deleted; absent: `Delete`, but a role that was adopted stays unless `Delete`
    /// is written down. Example: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Name of the role, without a path; absent: one that follows from the object's name and is the object's alone. 1–64
    /// characters. Cannot change. Example: `ecr-cache`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_+=,.@-]+$"))]
    pub role_name: Option<String>,
    /// What becomes of a role of that name that is there already; absent: `Never`. Example: `IfIdentical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// The registries the role pulls from, 1–20.
    #[schemars(length(min = 1, max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub upstreams: Vec<RoleUpstream>,
    /// Whom the upstreams let pull; absent: `Role`. Example: `Account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantee: Option<Grantee>,
    /// Repositories of the downstream that the role may write, the cache's, 1–100: an exact name, or a prefix and one `*`
    /// at its end. Example: `["base/*"]`.
    #[schemars(
        length(min = 1, max = 100),
        inner(
            length(min = 1, max = 256),
            regex(pattern = r"^(\*|[a-z0-9](/?[a-z0-9._-])*/?\*|[a-z0-9](/?[a-z0-9._-])*/?[a-z0-9])$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub cache_repositories: Vec<String>,
    /// How far the role's own policy goes; absent: `Any`. Example: `Listed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_scope: Option<PermissionScope>,
    /// `true`: the role can be assumed only for the downstream's account (`aws:SourceAccount`). AWS does not say that ECR
    /// fills that key in: if it does not, no pull works. Absent: `false`. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_source_account: Option<bool>,
}

/// Whom the upstreams let pull: the role alone (`Role`, also when absent: the downstream's account, on condition of the
/// role), or whomever the downstream's account lets (`Account`, as in AWS's documentation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Grantee {
    /// The downstream's account, on condition of `aws:PrincipalArn` being the role.
    #[default]
    Role,
    /// Every principal of the downstream's account that its administrators authorise.
    Account,
}

/// How far the role's own policy goes: to every repository (`Any`, also when absent, as AWS documents it), or to
/// `cacheRepositories` and the upstreams' `repositories` (`Listed`, which AWS does not document).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PermissionScope {
    /// Every repository.
    #[default]
    Any,
    /// The repositories that the object names.
    Listed,
}

/// Where the upstream's grant stands: in its registry policy (`RegistryPolicy`, also when absent; needs scope V2), or
/// in the policies of its repositories (`RepositoryPolicies`, which this version refuses).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GrantVia {
    /// In the upstream's registry policy.
    #[default]
    RegistryPolicy,
    /// In the policies of the upstream's repositories.
    RepositoryPolicies,
}

/// A registry the role pulls from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_target())]
pub struct RoleUpstream {
    /// Name within the object, 1–63 characters. Example: `platform`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The upstream, if a Registry stands for it: the grant is written there. Else `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,
    /// The upstream, if no Registry stands for it: `status.upstreams[].requiredStatement` says what its owner has to grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRegistry>,
    /// Repositories of the upstream, 1–100: an exact name, or a prefix and one `*` at its end. Example: `["base/*"]`.
    #[schemars(
        length(min = 1, max = 100),
        inner(
            length(min = 1, max = 256),
            regex(pattern = r"^(\*|[a-z0-9](/?[a-z0-9._-])*/?\*|[a-z0-9](/?[a-z0-9._-])*/?[a-z0-9])$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub repositories: Vec<String>,
    /// Where the grant stands; absent: `RegistryPolicy`. Example: `RegistryPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_via: Option<GrantVia>,
}
