//! The server held to its table, and its controls.

use crate::behaviours::{self, WIDGET_CRD};
use crate::{KubeSim, Resource};

fn sim(seed: u64) -> KubeSim {
    let widget = Resource::from_crd_yaml(WIDGET_CRD).expect("the CRD is read");
    let sim = KubeSim::new(seed).serve(widget);
    sim.apply_yaml("{apiVersion: v1, kind: Namespace, metadata: {name: table}}").expect("the namespace is made");
    sim
}

/// The whole table, on this server.
#[tokio::test(start_paused = true)]
async fn the_server_behaves_as_the_table_says() {
    let sim = sim(1);
    if let Err(error) = behaviours::run(&sim.client(), "table", true).await {
        panic!("{error}");
    }
}
