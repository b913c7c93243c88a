//! The list of kinds: a new one is a row here, a file beside this one, and a translation.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::finished;
use super::{CrossAccountPtcRole, PullThroughCacheRule, Registry, RegistryLedger, RegistryPolicy, ReplicationGrant};

/// The kinds that attach to a Registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    RegistryPolicy,
    ReplicationGrant,
    PullThroughCacheRule,
    CrossAccountPtcRole,
}

impl Kind {
    pub const ALL: [Self; 4] =
        [Self::RegistryPolicy, Self::ReplicationGrant, Self::PullThroughCacheRule, Self::CrossAccountPtcRole];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegistryPolicy => "RegistryPolicy",
            Self::ReplicationGrant => "ReplicationGrant",
            Self::PullThroughCacheRule => "PullThroughCacheRule",
            Self::CrossAccountPtcRole => "CrossAccountPtcRole",
        }
    }

    /// The name in URLs.
    pub fn plural(self) -> &'static str {
        match self {
            Self::RegistryPolicy => "registrypolicies",
            Self::ReplicationGrant => "replicationgrants",
            Self::PullThroughCacheRule => "pullthroughcacherules",
            Self::CrossAccountPtcRole => "crossaccountptcroles",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Every custom resource definition.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let crds = [
        Registry::crd(),
        RegistryPolicy::crd(),
        ReplicationGrant::crd(),
        PullThroughCacheRule::crd(),
        CrossAccountPtcRole::crd(),
        RegistryLedger::crd(),
    ];
    crds.into_iter().map(finished).collect()
}

/// All of them as files: a name and YAML text each.
pub fn crd_files() -> Result<Vec<(String, String)>, serde_saphyr::SerializeError> {
    crds()
        .iter()
        .map(|crd| {
            Ok((format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or_default()), serde_saphyr::to_string(crd)?))
        })
        .collect()
}
