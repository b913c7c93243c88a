//! The custom resources of `ecr-permissions.dev/v1alpha1`, a file a kind, and what several kinds share.
//!
//! The types hold what the API server stores, no more: names and patterns are strings here and are parsed where they
//! are used, so that one odd object is one refused object and never a watch that fails for all.

mod cross_account_ptc_role;
mod kinds;
mod ledger;
mod pull_through_cache_rule;
mod registry;
mod registry_policy;
mod replication_grant;
mod rules;
mod schema;
mod shared;
mod status;

pub use cross_account_ptc_role::{
    CrossAccountPtcRole, CrossAccountPtcRoleSpec, GrantVia, Grantee, PermissionScope, RoleUpstream,
};
pub use kinds::{Kind, crd_files, crds};
pub use ledger::{
    LedgerDocument, LedgerEntry, LedgerPulls, LedgerRefusal, LedgerRole, LedgerRule, LedgerState, LedgerUpstream,
    OwnershipState, RegistryLedger, RegistryLedgerSpec,
};
pub use pull_through_cache_rule::{
    AzureUpstream, EcrUpstream, PullThroughCacheRule, PullThroughCacheRuleSpec, ReplacePolicy, RoleRef, Upstream,
    UpstreamType,
};
pub use registry::{
    AllowRule, Amounts, AttachedCount, DocumentStatus, Identity, Limits, Management, NamespaceSelector, PlanStatus,
    Registry, RegistryPolicySettings, RegistrySpec, RegistryStatus, RoleSettings, Scope,
};
pub use registry_policy::{PolicyStatement, RegistryPolicy, RegistryPolicySpec};
pub use replication_grant::{ReplicationGrant, ReplicationGrantSpec, Sources};
pub use shared::{
    Adoption, ConditionEntry, DEFAULT_REGISTRY, DeletionPolicy, Effect, ExternalRegistry, NamedPrincipal, Principals,
    RegistryRef,
};
pub use status::{AttachedStatus, RegistryReference, RoleStatus, RuleStatus, UpstreamStatus, default_generation};

/// The API group of every kind.
pub const GROUP: &str = "ecr-permissions.dev";
/// The API group of what the operator keeps for itself.
pub const INTERNAL_GROUP: &str = "internal.ecr-permissions.dev";
/// The finalizer on every slice of a ledger: one that is deleted by hand stays readable until its entries stand elsewhere.
pub const LEDGER_FINALIZER: &str = "ecr-permissions.dev/ledger";
/// The finalizer on every object that may have something in AWS, and on a Registry that has anything attached.
pub const FINALIZER: &str = "ecr-permissions.dev/finalizer";
/// Lets an object go without an AWS call: its grants become orphans. Value `"true"`.
pub const ABANDON: &str = "ecr-permissions.dev/abandon";
/// Reconcile now: any new value starts a pass at once; echoed as `status.lastHandledReconcileAt`.
pub const RECONCILE_NOW: &str = "reconcile.ecr-permissions.dev/requestedAt";
/// On a Registry: the hashes of the sets of orphans a person decided to remove, joined by commas (written by
/// `ecr-permissions prune`).
pub const PRUNE: &str = "ecr-permissions.dev/prune";
/// On a Registry: the token of its `InstallationShared`, once the other operator was stopped.
pub const INSTALLATION_IS_MINE: &str = "ecr-permissions.dev/installation-is-mine";
/// So much of a person's words is read, in characters.
pub const WORDS_AT_MOST: usize = 16_384;
/// Written by `ecr-permissions release`. `"true"` on an object and on its Registry lets go of the object: what it has in AWS
/// stays as nobody's. On a Registry also, joined by commas, the hashes of what gone objects left and is to be nobody's.
pub const RELEASE: &str = "ecr-permissions.dev/release";
