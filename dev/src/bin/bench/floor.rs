//! K(n): how long the bench's own client takes for the writes to Kubernetes that n owners cost any operator, on a control
//! plane where no operator listens.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::Done;
use crate::cluster::{API, Cluster};
use crate::owner::Owner;
use crate::stage::{Plane, Programs};

/// What K(n) is, in a report.
pub const NAME: &str = "n × (finalizer patch, slice of 4 KB, status replace), 32 at once";
const AT_ONCE: usize = 32;
/// Of what a slice says, in bytes.
const SLICE: usize = 4_000;
/// For so many owners the median of three is taken; beyond that one measurement is long enough to be its own average.
const FEW: usize = 500;

/// K of each of these numbers.
pub async fn of(programs: &Programs, owners: impl IntoIterator<Item = usize>) -> Done<BTreeMap<usize, Vec<f64>>> {
    let mut all = BTreeMap::new();
    let mut plane = None;
    for n in owners {
        let plane = match &mut plane {
            Some(plane) => plane,
            None => plane.insert(Plane::start(&programs.operator)?),
        };
        let cluster = Cluster::connect(plane.kubeconfig()).await?;
        let mut samples = Vec::new();
        for sample in 0..if n > FEW { 1 } else { 3 } {
            samples.push(once(&cluster, n, &format!("floor-{n}-{sample}")).await?);
        }
        all.insert(n, samples);
    }
    Ok(all)
}

async fn once(cluster: &Cluster, n: usize, namespace: &str) -> Done<f64> {
    cluster.create_namespaces(&[namespace.to_owned()], &json!({})).await?;
    let owners: Vec<_> =
        (0..n).map(|n| Owner::policy(namespace, &format!("floor-{n}"), "none", &format!("9{n:011}"))).collect();
    cluster.create(&owners).await?;
    // As soon as slices are defined, they are what is made.
    let ledgers = cluster.ledgers().await?;
    let slice = |n: usize| match &ledgers {
        Some(ledgers) => (ledgers.clone(), ledger_slice(namespace, n)),
        None => (cluster.core_kind("ConfigMap", "configmaps", namespace), config_map(namespace, n)),
    };
    let start = Instant::now();
    let writes = owners.iter().enumerate().map(|(n, owner)| writes_of_one(cluster.of(owner), owner, slice(n)));
    futures::stream::iter(writes).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(start.elapsed().as_secs_f64())
}

/// In the order in which an operator has to make them.
async fn writes_of_one(api: Api<DynamicObject>, owner: &Owner, (slices, slice): (Api<DynamicObject>, Value)) -> Done {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": ["ecr-permissions.dev/floor"]}}));
    let mut object = api.patch(&owner.name, &PatchParams::default(), &patch).await?;
    slices.create(&PostParams::default(), &serde_json::from_value(slice)?).await?;
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Applied", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "message": "AWS was read and has all that this generation of the object asks for.",
        })
    };
    let conditions = ["Ready", "Accepted", "ResolvedRefs", "Synced"].map(condition);
    object.data["status"] = json!({"observedGeneration": 1, "conditions": conditions});
    api.replace_status(&owner.name, &PostParams::default(), &object).await?;
    Ok(())
}

/// A slice as the operator writes it, with one entry.
fn ledger_slice(namespace: &str, n: usize) -> Value {
    let (account, region) = (format!("9{n:011}"), "eu-west-1");
    json!({
        "apiVersion": format!("internal.{API}"),
        "kind": "RegistryLedger",
        "metadata": {
            "name": format!("{account}-{region}-{namespace}-{n}"), "finalizers": ["ecr-permissions.dev/ledger"],
        },
        "spec": {
            "installationId": "k3v7qa2xbn", "accountId": account, "region": region, "namespace": namespace,
            "digest": "0".repeat(64),
            "entries": [
                {"kind": "RegistryPolicy", "name": format!("floor-{n}"), "part": 0, "data": "x".repeat(SLICE)},
            ],
        },
    })
}

fn config_map(namespace: &str, n: usize) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": format!("slice-{n}"), "namespace": namespace},
        "data": {"entries": "x".repeat(SLICE)},
    })
}
