//! The server held to its table, and its controls shown at work.

mod definitions;
mod disorder;
mod traffic;

use futures::{Stream, StreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::behaviours::{self, CRDS};
use crate::{KubeSim, Resource};

/// A server of the table's kinds with the namespace `table`.
fn sim(seed: u64) -> KubeSim {
    let serve = |sim: KubeSim, crd| sim.serve(Resource::from_crd_yaml(crd).unwrap());
    let sim = CRDS.into_iter().fold(KubeSim::new(seed), serve);
    sim.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: table}}").unwrap();
    sim
}

fn widget(name: &str, size: i64) -> Value {
    json!({"apiVersion": "sim.ecr-permissions.dev/v1", "kind": "Widget",
        "metadata": {"name": name, "namespace": "table"}, "spec": {"size": size}})
}

fn widgets(sim: &KubeSim) -> Api<DynamicObject> {
    behaviours::widgets(&sim.client(), "table")
}

async fn names(api: &Api<DynamicObject>) -> Vec<String> {
    api.list(&ListParams::default()).await.unwrap().items.iter().map(ResourceExt::name_any).collect()
}

/// A watch from now on, as lines of text; bookmarks are `BOOKMARK`, an error is its code.
async fn watch(api: &Api<DynamicObject>) -> impl Stream<Item = String> + Unpin + use<> {
    let since = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    watch_since(api, &since).await
}

async fn watch_since(api: &Api<DynamicObject>, since: &str) -> impl Stream<Item = String> + Unpin + use<> {
    let stream = api.watch(&WatchParams::default().timeout(290), since).await.unwrap();
    Box::pin(stream.map(|event| match event {
        Ok(WatchEvent::Added(object)) => format!("ADDED {}", object.name_any()),
        Ok(WatchEvent::Modified(object)) => format!("MODIFIED {}", object.name_any()),
        Ok(WatchEvent::Deleted(object)) => format!("DELETED {}", object.name_any()),
        Ok(WatchEvent::Bookmark(_)) => "BOOKMARK".into(),
        Ok(WatchEvent::Error(status)) | Err(kube::Error::Api(status)) => status.code.to_string(),
        Err(other) => other.to_string(),
    }))
}

/// What the stream says, if it says anything within a second.
async fn soon(stream: &mut (impl Stream<Item = String> + Unpin)) -> Option<String> {
    tokio::time::timeout(std::time::Duration::from_secs(1), stream.next()).await.ok().flatten()
}

/// The whole table, on this server. The real kube-apiserver runs the same.
#[tokio::test(start_paused = true)]
async fn the_server_behaves_as_the_table_says() {
    let sim = sim(1);
    if let Err(error) = behaviours::run(&sim.client(), "table", true).await {
        panic!("{error}");
    }
}
