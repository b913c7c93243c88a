//! The table of API behaviours that the simulation leans on, held against the real API server.

use kube_sim::behaviours;
use serde_json::json;

use crate::lab::Lab;

#[tokio::test]
async fn the_real_api_server_behaves_as_the_simulated_one() {
    let (lab, _) = Lab::shared().await;
    lab.plane.kubectl_with_input(&["apply", "-f", "-"], &behaviours::CRDS.join("---")).unwrap();
    lab.plane.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).unwrap();
    lab.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "behaviours"}})).await;
    behaviours::run(&lab.client, "behaviours", true).await.unwrap();
}
