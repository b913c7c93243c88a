//! The list of kinds: a new one is a row here, a file beside this one, and a translation.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Registry, RegistryPolicy, ReplicationGrant};

/// The kinds that attach to a Registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    RegistryPolicy,
    ReplicationGrant,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::RegistryPolicy, Self::ReplicationGrant];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegistryPolicy => "RegistryPolicy",
            Self::ReplicationGrant => "ReplicationGrant",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Every custom resource definition, as installed.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [Registry::crd(), RegistryPolicy::crd(), ReplicationGrant::crd()].into_iter().map(with_pending_status).collect()
}

/// An object without a status counts as ready for kstatus; a status that has seen no generation does not.
fn with_pending_status(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else { continue };
        let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) else { continue };
        status.default = Some(k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSON(
            json!({"observedGeneration": -1}),
        ));
        status.nullable = None;
    }
    crd
}
