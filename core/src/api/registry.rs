//! `Registry`: one private registry (an account in a Region), and who may attach what to it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::Duration;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::kinds::Kind;
use super::rules;
use super::shared::{Adoption, Effect};
use super::status::default_generation;

/// One private registry, and who may attach what to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "ecr-permissions.dev",
    version = "v1alpha1",
    kind = "Registry",
    plural = "registries",
    shortname = "ecrreg",
    category = "ecr-permissions",
    status = "RegistryStatus",
    doc = "One Amazon ECR private registry (an AWS account in a Region): how to reach it, and which namespaces may attach what to it.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".spec.accountId"}"#,
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".spec.region"}"#,
    printcolumn = r#"{"name":"Management","type":"string","jsonPath":".spec.management","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].message","priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::identity_is_of_the_account(),
    validation = rules::boundary_is_of_the_account(),
    validation = rules::roles_have_a_boundary()
)]
pub struct RegistrySpec {
    /// The AWS account: 12 digits. Cannot change. Example: `"123456789012"`.
    #[schemars(length(max = 12), regex(pattern = "^[0-9]{12}$"))]
    #[x_kube(validation = rules::immutable("accountId cannot change: create another Registry for another account"))]
    pub account_id: String,
    /// The AWS Region. Cannot change. Example: `eu-west-1`.
    #[schemars(length(min = 2, max = 25), regex(pattern = "^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$"))]
    #[x_kube(validation = rules::immutable("region cannot change: create another Registry for another Region"))]
    pub region: String,
    /// The role to work as; absent: the pod's own credentials, which must then be of this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// `Observe` reads, plans and writes nothing to AWS; absent: `Enforce`. Example: `Observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// `true`: no write to this registry, whatever its objects ask. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How often AWS is read again to notice drift; absent: `5m`. At least `10s`, at most `24h`. Example: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"))]
    #[x_kube(validation = rules::interval_is_sensible())]
    pub interval: Option<Duration>,
    /// Settings of the registry policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_policy: Option<RegistryPolicySettings>,
    /// Settings of the IAM roles that objects of kind CrossAccountPtcRole make in the account. Needed where `allow` names
    /// that kind, also if it is for upstreams alone and no role is made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<RoleSettings>,
    /// Ids of other installations of the operator (`status.installationId` of their Registries) whose statements, and
    /// roles of objects that are here by the same name, become this one's. At most 10. Example: `["k3v7qa2xbn"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10), inner(length(max = 10), regex(pattern = "^[a-z2-7]{10}$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub take_over_installation_ids: Vec<String>,
    /// Who may attach what. Nothing here: nobody attaches. At most 100 rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub allow: Vec<AllowRule>,
}

/// The IAM role the operator assumes in the registry's account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// ARN of the role. At most 2,048 characters. Example: `arn:aws:iam::123456789012:role/ecr-operator/member`.
    #[schemars(length(min = 20, max = 2048), regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]+$"))]
    pub role_arn: String,
    /// External id that the role's trust policy asks for. 2–1,224 characters. Example: `team-platform-7f3a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = "^[A-Za-z0-9_+=,.@:/-]*$"))]
    pub external_id: Option<String>,
    /// Session name shown in CloudTrail; absent: `ecr-permissions`. 2–64 characters. Example: `ecr-permissions-prod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 64), regex(pattern = "^[A-Za-z0-9_+=,.@-]*$"))]
    pub session_name: Option<String>,
}

/// Whether the operator writes: AWS is made equal to the objects (`Enforce`, also when absent), or is only read, and
/// what would be done stands in `status.plan` (`Observe`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Management {
    /// AWS is made equal to the objects.
    #[default]
    Enforce,
    /// AWS is read and compared; what would be done stands in `status.plan`.
    Observe,
}

/// Scope of the registry policy (aws-facts B.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// The policy may name every ECR action and is enforced on every request.
    V2,
}

/// Settings of the registry policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryPolicySettings {
    /// `V2` switches the registry to scope V2, for ever. Absent: the scope stays as it is. Example: `V2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The hash that the condition `ScopeWidens` printed: the dormant foreign statements it lists may wake.
    /// Example: `7d2f0c1a9b3e4d5f`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub acknowledge_widening: Option<String>,
}

/// Where roles are made, and what bounds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleSettings {
    /// IAM path of the roles; absent: `/ecr-operator/ID/ptc/`, where ID is `status.installationId`. 1–512 characters,
    /// with a slash at both ends. Example: `/ecr-operator/ptc/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/([A-Za-z0-9_+=,.@-]+/)*$"))]
    pub path: Option<String>,
    /// ARN of a customer managed policy of the account: the permissions boundary of every role, so that none can ever do
    /// more than it says. 20–2,048 characters. Example: `arn:aws:iam::123456789012:policy/ecr-operator-ptc-boundary`.
    #[schemars(
        length(min = 20, max = 2048),
        regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:policy/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,128}$")
    )]
    pub permissions_boundary_arn: String,
}

/// Namespaces, by name or by label. Exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::namespaces_by_name_or_label())]
pub struct NamespaceSelector {
    /// Names, at most 200. Example: `["team-a"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Option<Vec<String>>,
    /// Labels that a namespace must all carry, 1–20. Example: `{team: a}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "labels")]
    pub selector: Option<BTreeMap<String, String>>,
}

impl NamespaceSelector {
    /// Whether it is about the namespace; of one that is not there to be seen (no `labels`), labels could be any.
    pub fn selects(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let has = |(key, value): (&String, &String)| labels.is_none_or(|labels| labels.get(key) == Some(value));
        match (&self.names, &self.selector) {
            (Some(names), None) => names.iter().any(|name| name == namespace),
            // An empty selector would be every namespace: that is not written by accident here.
            (None, Some(wanted)) => !wanted.is_empty() && wanted.iter().all(has),
            _ => false,
        }
    }
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 20,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

/// One rule of consent: these namespaces may attach these kinds, within these bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowRule {
    /// Name of the rule, 1–63 characters. Example: `team-a`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Whose objects the rule covers.
    pub namespaces: NamespaceSelector,
    /// Kinds they may attach, one at least. Example: `["RegistryPolicy"]`.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub kinds: Vec<Kind>,
    /// Repositories they may speak of, 1–100: an exact name, or a prefix and one `*` at its end. Example: `["team-a/*"]`.
    #[schemars(
        length(min = 1, max = 100),
        inner(
            length(min = 1, max = 256),
            regex(pattern = r"^(\*|[a-z0-9](/?[a-z0-9._-])*/?\*|[a-z0-9](/?[a-z0-9._-])*/?[a-z0-9])$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub repositories: Vec<String>,
    /// Accounts they may name, the registry's own included; `"*"`: any; absent: the registry's own only. 1–500. Example: `["123456789012"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 500), inner(length(max = 12), regex(pattern = r"^([0-9]{12}|\*)$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub account_ids: Vec<String>,
    /// Organizations they may name; `"*"`: any; absent: none. At most 20. Example: `["o-a1b2c3d4e5"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 20), inner(length(max = 34), regex(pattern = r"^(o-[a-z0-9]{10,32}|\*)$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub organization_ids: Vec<String>,
    /// Actions a RegistryPolicy may name; absent: the pull actions (`ecr:BatchGetImage`, `ecr:GetDownloadUrlForLayer`,
    /// `ecr:BatchCheckLayerAvailability`). At most 100. Example: `["ecr:BatchGetImage"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100), inner(length(max = 64), regex(pattern = "^ecr:[A-Za-z]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub actions: Vec<String>,
    /// Effects their statements may have; absent: `Allow` only. Example: `["Allow", "Deny"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub effects: Vec<Effect>,
    /// `true`: they may speak of everyone, and of AWS services. Absent: they may not. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everyone: Option<bool>,
    /// Hosts that cache rules may have as upstream, other than ECR private registries (`accountIds` bounds those);
    /// `"*"`: any; absent: none. At most 50. Example: `["registry-1.docker.io", "public.ecr.aws"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 253), regex(pattern = r"^(\*|[a-z0-9.-]+)$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub upstream_hosts: Vec<String>,
    /// Secrets that cache rules may use, by name; `"*"`: any; absent: none. At most 100, 512 characters each.
    /// Example: `["ecr-pullthroughcache/docker-hub"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 512), regex(pattern = r"^(\*|ecr-pullthroughcache/[A-Za-z0-9/_+=.@-]+)$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub secret_names: Vec<String>,
    /// IAM roles of the account that they may name, as `roleName` has it; `"*"`: any; absent: none. At most 100.
    /// Example: `["ecr-cache"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 100),
        inner(length(min = 1, max = 576), regex(pattern = r"^(\*|([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64})$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub role_names: Vec<String>,
    /// The most that an object may ask for in its own `adoption`; absent: `Never`. Example: `IfIdentical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// `true`: what an object with `deletionPolicy: Retain` has stays in AWS when the object is deleted. Absent: it goes.
    /// Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<bool>,
    /// `true`: a CrossAccountPtcRole may ask for `grantee: Account`, which lets all of its account pull. Absent: it may
    /// not. Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grantee_account: Option<bool>,
    /// `true`: a ReplicationGrant or PullThroughCacheRule may let others create repositories. Absent: it may not.
    /// Example: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_repositories: Option<bool>,
    /// How much they may have in the registry, of what all its namespaces share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// How much namespaces may have in a registry. What they have already stays, whatever a limit says by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::a_limit_is_written())]
pub struct Limits {
    /// What one namespace may have, counted over all kinds. Of several rules that name a namespace the largest number
    /// counts; one that no rule writes is 1,000 objects and 100 roles, and of characters and rules what leaves the last
    /// quarter of the registry's to namespaces that have less than a quarter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Amounts>,
    /// What all objects together may have that this rule covers, as the first of the rules by name; absent: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Amounts>,
}

/// Numbers of what a registry's namespaces share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::an_amount_is_written())]
pub struct Amounts {
    /// Objects, of any kind. 0–1,000,000. Example: `200`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub objects: Option<i64>,
    /// Characters of their statements in the registry policy, where AWS takes 10,240 of everybody: a namespace's
    /// statements as they are sent, joined among themselves. 0–1,000,000. Example: `2000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub characters: Option<i64>,
    /// Pull through cache rules, of which a registry has 50 at most. 0–1,000,000. Example: `10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub rules: Option<i64>,
    /// IAM roles. 0–1,000,000. Example: `5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub roles: Option<i64>,
}

/// What the operator knows of a registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryStatus {
    /// The generation of the spec that the conditions speak of; -1 until the operator has seen the object.
    #[serde(default = "default_generation")]
    pub observed_generation: i64,
    /// `Ready` first, then `Reconciling` or `Stalled` while they hold, and the rest in a fixed order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The last value of the annotation `reconcile.ecr-permissions.dev/requestedAt` that a pass answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The last tokens of the annotation `ecr-permissions.dev/prune` that a pass answered: they remove nothing again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub last_handled_prune: Option<String>,
    /// The last value of the annotation `ecr-permissions.dev/release` that a pass answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub last_handled_release: Option<String>,
    /// Marks this installation's statements in AWS: 10 characters of every Sid it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub installation_id: Option<String>,
    /// How many objects of each kind are attached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub attached: BTreeMap<String, AttachedCount>,
    /// The documents in AWS: how long they are, and how long they may be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub documents: BTreeMap<String, DocumentStatus>,
    /// What would be written, while `Observe` or suspension forbids it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanStatus>,
}

impl Default for RegistryStatus {
    fn default() -> Self {
        Self {
            observed_generation: default_generation(),
            conditions: Vec::new(),
            last_handled_reconcile_at: None,
            last_handled_prune: None,
            last_handled_release: None,
            installation_id: None,
            attached: BTreeMap::new(),
            documents: BTreeMap::new(),
            plan: None,
        }
    }
}

/// How many objects of a kind are attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedCount {
    /// Accepted objects.
    pub accepted: i64,
    /// Refused objects.
    pub refused: i64,
}

/// A document in AWS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentStatus {
    /// Its length, in characters.
    pub characters: i64,
    /// The length AWS accepts, in characters.
    pub limit: i64,
}

/// What would be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// Hash of the steps.
    #[schemars(length(max = 64))]
    pub hash: String,
    /// The first 50 steps: `+` adds, `-` removes, `~` changes.
    #[schemars(length(max = 50), inner(length(max = 1024)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub steps: Vec<String>,
    /// How many steps more there are.
    pub omitted: i64,
}
