//! `PullThroughCacheRule`: repositories under a prefix that fill themselves from another registry.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::shared::{Adoption, DeletionPolicy, ExternalRegistry, Principals, RegistryRef};
use super::status::AttachedStatus;

/// Repositories under a prefix that fill themselves from another registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ecr-permissions.dev",
    version = "v1alpha1",
    kind = "PullThroughCacheRule",
    plural = "pullthroughcacherules",
    shortname = "ecrptc",
    category = "ecr-permissions",
    namespaced,
    status = "AttachedStatus",
    doc = "A pull through cache rule of an Amazon ECR private registry: repositories under a prefix fill themselves from an upstream registry when an image is pulled that is not there yet.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Prefix","type":"string","jsonPath":".spec.cachePrefix"}"#,
    printcolumn = r#"{"name":"Upstream","type":"string","jsonPath":".spec.upstream.type"}"#,
    printcolumn = r#"{"name":"Host","type":"string","jsonPath":".status.rule.upstreamHost","priority":1}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".status.registry.accountId"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".status.registry.region"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::registry_ref_is_immutable(),
    validation = rules::upstream_is_immutable(),
    validation = rules::the_root_takes_the_whole_upstream(),
    validation = rules::pullers_are_no_services(),
    validation = rules::who_creates_is_named()
)]
pub struct PullThroughCacheRuleSpec {
    /// The Registry to attach to; absent: the one named `default`. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,
    /// `true`: the object keeps what it has in AWS and changes nothing. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens in AWS when the object is deleted; absent: `Delete`, but a rule that was adopted stays unless `Delete`
    /// is written down. Repositories and their images stay in any case. Example: `Retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Prefix of the repositories in the cache, without a slash at its end: `docker-hub` is all of `docker-hub/…`. Or
    /// `ROOT`: every repository that no other rule is for. 2–30 characters. Cannot change. Example: `docker-hub`.
    #[schemars(
        length(min = 2, max = 30),
        regex(pattern = "^(ROOT|[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*)$")
    )]
    #[x_kube(validation = rules::immutable("cachePrefix cannot change: create another object for another prefix"))]
    pub cache_prefix: String,
    /// Where images come from. Cannot change but for `secretName`, `roleRef` and `roleName`, unless `replacePolicy` is
    /// `Recreate`.
    pub upstream: Upstream,
    /// Who may pull through the cache: lets them import images that are not there yet, and, where the registry policy
    /// has scope V2, pull them. Absent: whom other policies let.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pullers: Option<Principals>,
    /// `true`: pullers may also create the repositories, which the first pull of an image needs. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_repositories: Option<bool>,
    /// What becomes of a rule for the same prefix that is there already; absent: `Never`. Example: `IfIdentical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// `true`: repositories that exist under the prefix may become part of the cache: tags of the upstream may then
    /// overwrite theirs. Absent: no rule is made as long as there are any. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_existing: Option<bool>,
    /// What a change means that AWS has no update for; absent: `Never`. Example: `Recreate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace_policy: Option<ReplacePolicy>,
}

/// What a change of the upstream means, for which AWS has no update: it is refused (`Never`, also when absent), or the
/// rule is deleted and made anew (`Recreate`); in between only what is cached already can be pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReplacePolicy {
    /// It is refused.
    #[default]
    Never,
    /// The rule is deleted and made anew.
    Recreate,
}

/// The kinds of upstream that ECR knows (aws-facts D.1). `DockerHub`, `GitHub`, `GitLab`, `Azure` and `Chainguard` need
/// `secretName`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum UpstreamType {
    /// Another ECR private registry.
    Ecr,
    /// `public.ecr.aws`.
    EcrPublic,
    /// `registry.k8s.io`.
    Kubernetes,
    /// `quay.io`.
    Quay,
    /// `registry-1.docker.io`.
    DockerHub,
    /// `ghcr.io`.
    GitHub,
    /// `registry.gitlab.com`.
    GitLab,
    /// A registry of one's own under `azurecr.io`.
    Azure,
    /// `cgr.dev`.
    Chainguard,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::ecr_is_described_by_ecr(),
    validation = rules::azure_is_described_by_azure(),
    validation = rules::credentials_are_named(),
    validation = rules::credentials_are_used()
)]
pub struct Upstream {
    /// Which kind of registry. Example: `DockerHub`.
    #[serde(rename = "type")]
    pub kind: UpstreamType,
    /// The registry, for type `Ecr` and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecr: Option<EcrUpstream>,
    /// The registry, for type `Azure` and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureUpstream>,
    /// Name of the secret with the credentials (members `username` and `accessToken`), in the account and Region of the
    /// Registry, without the random suffix of its ARN. 22–512 characters. Example: `ecr-pullthroughcache/docker-hub`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 22, max = 512), regex(pattern = "^ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]+$"))]
    pub secret_name: Option<String>,
}

/// An ECR private registry as upstream, and the role by which ECR pulls from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::one_target(), validation = rules::one_role())]
pub struct EcrUpstream {
    /// The upstream, if a Registry stands for it; else `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_ref: Option<RegistryRef>,
    /// The upstream, if no Registry stands for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRegistry>,
    /// Prefix of the repositories in the upstream, without a slash at its end; absent or `ROOT`: all of them. Not for
    /// `cachePrefix: ROOT`. 2–30 characters. Example: `base-images`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 30),
        regex(pattern = "^(ROOT|[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*)$")
    )]
    pub repository_prefix: Option<String>,
    /// The CrossAccountPtcRole, in the namespace of this object, by whose role ECR pulls. This or `roleName` is needed
    /// for an upstream in another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_ref: Option<RoleRef>,
    /// A role of the Registry's account that others look after, with its IAM path if it has one. 1–576 characters.
    /// Example: `ecr-cache`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 576), regex(pattern = "^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$"))]
    pub role_name: Option<String>,
}

/// Names a CrossAccountPtcRole in the namespace of the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRef {
    /// Name of the object. 1–253 characters. Example: `base-images`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A registry of Azure's as upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureUpstream {
    /// Its host, in lower case. 12–74 characters. Example: `example.azurecr.io`.
    #[schemars(length(min = 12, max = 74), regex(pattern = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\.azurecr\.io$"))]
    pub host: String,
}
