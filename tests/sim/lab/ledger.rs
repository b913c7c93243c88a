//! The ledger as it is stored, told without the operator's own code.

use ecr_permissions_core::ownership::InstallationId;
use kube_sim::KubeSim;
use serde_json::{Value, json};

use super::{Lab, list};

pub const LEDGERS: &str = "registryledgers";

/// This cluster's slices of a registry, by what they say themselves.
pub fn slices(kube: &KubeSim, account: &str, region: &str) -> Vec<Value> {
    let kube_system = kube.get("namespaces", "", "kube-system").unwrap_or_default();
    let installation = InstallationId::of_cluster(kube_system["metadata"]["uid"].as_str().unwrap_or_default());
    let mut slices = kube.list(LEDGERS, "");
    slices.retain(|slice| {
        let spec = &slice["spec"];
        spec["accountId"] == account && spec["region"] == region && spec["installationId"] == installation.as_str()
    });
    slices
}

fn data(of: &Value) -> Value {
    serde_json::from_str(of["data"].as_str().unwrap_or_default()).unwrap_or_default()
}

/// The record of the registry policy.
pub fn record(kube: &KubeSim, account: &str, region: &str) -> Value {
    let documents = slices(kube, account, region).into_iter().flat_map(|slice| list(&slice["spec"]["documents"]));
    documents.filter(|document| document["key"] == "RegistryPolicy").map(|d| data(&d)).next().unwrap_or_default()
}

/// Every entry: of whom, in which state, and all that may be in AWS by it.
pub fn entries(kube: &KubeSim, account: &str, region: &str) -> Vec<Value> {
    let confirmed = record(kube, account, region)["confirmed"].as_u64().unwrap_or_default();
    let mut all = Vec::new();
    for slice in slices(kube, account, region) {
        for entry in list(&slice["spec"]["entries"]) {
            let data = data(&entry);
            let applied =
                data["write"].as_u64().unwrap_or_default() <= confirmed || list(&data["documents"]).is_empty();
            let mut statements = data["statements"].as_array().cloned().unwrap_or_default();
            if !applied {
                statements.extend(data["before"].as_array().cloned().unwrap_or_default());
            }
            let state = data["state"].as_str().unwrap_or(if applied { "Applied" } else { "Writing" });
            all.push(json!({
                "kind": entry["kind"], "namespace": slice["spec"]["namespace"], "name": entry["name"],
                "uid": data["uid"], "generation": data["generation"], "state": state, "statements": statements,
                "rule": data["resources"]["rule"], "role": data["resources"]["role"], "refused": data["reason"],
                "claimedAt": data["claimedAt"],
            }));
        }
    }
    all
}

/// The same of a Registry's registry.
pub fn of_registry(kube: &KubeSim, registry: &Value) -> Vec<Value> {
    let text = |member: &str| registry["spec"][member].as_str().unwrap_or_default().to_owned();
    entries(kube, &text("accountId"), &text("region"))
}

impl Lab {
    /// The entries of a Registry's ledger.
    pub fn ledger(&self, registry: &str) -> Vec<Value> {
        self.kube.get("registries", "", registry).map(|found| of_registry(&self.kube, &found)).unwrap_or_default()
    }

    /// The slices of a Registry's ledger.
    pub fn slices(&self, registry: &str) -> Vec<Value> {
        let registry = self.kube.get("registries", "", registry).unwrap_or_default();
        let text = |member: &str| registry["spec"][member].as_str().unwrap_or_default().to_owned();
        slices(&self.kube, &text("accountId"), &text("region"))
    }

    /// Every slice of a Registry's ledger is gone at once, finalizers or not.
    pub fn lose_ledger(&self, registry: &str) {
        for slice in self.slices(registry) {
            self.kube.vanish(LEDGERS, "", slice["metadata"]["name"].as_str().unwrap_or_default()).unwrap();
        }
    }
}
