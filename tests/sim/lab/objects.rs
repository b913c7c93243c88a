//! Short words for the objects of a scenario.

use ecr_permissions_core::api::{Kind, crds};
use kube_sim::{KubeSim, Resource};
use serde_json::{Value, json};

use super::{Lab, REGION};

/// A server of our kinds.
pub fn serve(sim: KubeSim) -> KubeSim {
    crds().iter().fold(sim, |sim, crd| sim.serve(Resource::from_crd(&serde_json::to_value(crd).unwrap()).unwrap()))
}

/// A Registry of an account that lets every namespace labelled `tenant=yes` attach everything to `team-*`.
pub fn registry(name: &str, account: &str) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "Registry", "metadata": {"name": name},
        "spec": {
            "accountId": account, "region": REGION,
            "identity": {"roleArn": format!("arn:aws:iam::{account}:role/member"), "externalId": "lab"},
            "allow": [allow_all()],
        },
    })
}

pub fn allow_all() -> Value {
    json!({
        "name": "tenants", "namespaces": {"selector": {"tenant": "yes"}},
        "kinds": Kind::ALL.map(Kind::as_str), "repositories": ["*"], "accountIds": ["*"], "organizationIds": ["*"],
        "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:PutImage"],
        "effects": ["Allow", "Deny"],
    })
}

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"tenant": "yes"}}})
}

/// A RegistryPolicy that lets accounts pull `repository`.
pub fn pull(namespace: &str, name: &str, registry: &str, accounts: &[&str], repository: &str) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "RegistryPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry},
            "statements": [{
                "name": "pull", "principals": {"accountIds": accounts},
                "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "repositories": [repository],
            }],
        },
    })
}

impl Lab {
    pub fn apply(&self, object: &Value) {
        self.kube.apply(object).unwrap();
    }

    /// Status and reason of an object's `Ready`.
    pub fn ready(&self, plural: &str, namespace: &str, name: &str) -> (String, String) {
        let object = self.kube.get(plural, namespace, name).unwrap_or_default();
        condition(&object, "Ready")
    }

    pub fn is_ready(&self, plural: &str, namespace: &str, name: &str) -> bool {
        let Some(object) = self.kube.get(plural, namespace, name) else { return false };
        condition(&object, "Ready").0 == "True"
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
    }
}

/// Status and reason of a condition; empty if it is not there.
pub fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
    let text = |member: &str| found[member].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}
