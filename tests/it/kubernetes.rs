//! What people and tools see through the API server.

use std::thread;

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::lab::kstatus::{Status, kstatus};
use crate::lab::objects::{pull, registry};
use crate::lab::{Lab, PATIENCE, is_finalized, log_folder, name};

/// Behaviour 38: what kstatus calls ready is ready, from the first moment on.
#[tokio::test]
async fn at_every_moment_kstatus_and_kubectl_wait_are_right() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000003801");
    lab.namespace("ready").await;
    lab.create(&registry("ready", &account)).await;
    let good = pull("ready", "good", "ready", "200000000001", "team");

    let (plane, text, asked) = (lab.plane, good.to_string(), account.clone());
    let applied = thread::spawn(move || {
        plane.kubectl_with_input(&["apply", "-f", "-"], &text).unwrap();
        let wait = ["wait", "--for=condition=Ready", "--timeout=40s", "-n", "ready", "registrypolicy/good"];
        plane.kubectl(&wait).unwrap();
        assert!(asked.pulls("200000000001", "team"), "kubectl wait returned too early");
    });
    let seen = watch_to_the_end(&lab, &good).await;
    applied.join().unwrap();
    assert_eq!(seen.first(), Some(&Status::InProgress));
    assert_eq!(seen.last(), Some(&Status::Current));
    assert!(!seen.contains(&Status::Failed), "{seen:?}");

    // An edit is in progress the moment it is made, and what is refused has failed.
    let edited = lab.edit(&good, json!({"spec": {"suspend": false}})).await;
    assert_eq!(kstatus(&json!(edited)), Status::InProgress);
    assert_eq!(kstatus(&lab.ready(&good).await), Status::Current);
    let bad = pull("ready", "bad", "ready", "200000000001", "team");
    lab.edit(&registry("ready", &account), json!({"spec": {"allow": []}})).await;
    assert_eq!(kstatus(&json!(lab.create(&bad).await)), Status::InProgress);
    lab.says(&bad, "False", "NotAllowed").await;
    assert_eq!(kstatus(&lab.get(&bad).await), Status::Failed);
    let nowhere = pull("ready", "nowhere", "no-such-registry", "200000000001", "team");
    lab.create(&nowhere).await;
    lab.says(&nowhere, "Unknown", "RegistryNotFound").await;
    assert_eq!(kstatus(&lab.get(&nowhere).await), Status::InProgress);
}

/// Every status an object goes through until it is ready.
async fn watch_to_the_end(lab: &Lab, object: &Value) -> Vec<Status> {
    let only = watcher::Config::default().fields(&format!("metadata.name={}", name(object)));
    let mut changes = watcher(lab.api(object), only).applied_objects().boxed();
    let mut seen = Vec::new();
    timeout(PATIENCE, async {
        while seen.last() != Some(&Status::Current) {
            seen.push(kstatus(&json!(changes.next().await.unwrap().unwrap())));
        }
    })
    .await
    .unwrap();
    seen
}

/// Behaviour 39.
#[tokio::test]
async fn a_spec_stays_byte_for_byte_and_an_annotation_acts_at_once() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000003901");
    lab.namespace("bytes").await;
    let registry = registry("bytes", &account);
    let policy = pull("bytes", "pull", "bytes", "200000000001", "team");
    lab.create_all([&registry, &policy]).await;
    let before = [raw_spec(&lab, &registry).await, raw_spec(&lab, &policy).await];
    lab.ready(&policy).await;
    let looks = account.count("DescribeRegistry");
    lab.reconcile(&policy).await;
    assert!(account.count("DescribeRegistry") > looks);
    for _ in 0..5 {
        lab.reconcile(&registry).await;
    }
    assert_eq!([raw_spec(&lab, &registry).await, raw_spec(&lab, &policy).await], before);
    let found = lab.get(&policy).await;
    assert_eq!(found["metadata"]["generation"], 1);
}

/// The spec as the API server sends it.
async fn raw_spec(lab: &Lab, object: &Value) -> String {
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        spec: &'a RawValue,
    }
    let path = format!("{}/{}", lab.api(object).resource_url(), name(object));
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let text = lab.client.request_text(request).await.unwrap();
    serde_json::from_str::<Raw>(&text).unwrap().spec.get().to_owned()
}

/// Behaviour 40.
#[tokio::test]
async fn objects_heal_in_any_order_without_an_edit() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000004001");
    let policy = pull("order", "pull", "order", "200000000001", "team");
    let unlabelled = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "order"}});
    lab.create(&unlabelled).await;
    lab.create(&policy).await;
    let message = lab.says(&policy, "Unknown", "RegistryNotFound").await;
    assert!(message.contains("order"), "{message}");
    lab.create(&registry("order", &account)).await;
    lab.says(&policy, "False", "NotAllowed").await;
    lab.edit(&unlabelled, json!({"metadata": {"labels": {"tenant": "yes"}}})).await;
    let ready = lab.ready(&policy).await;
    assert!(is_finalized(&ready));
    assert_eq!(ready["metadata"]["generation"], 1);
}

/// The printer columns, the categories and the short names, as `kubectl get` shows them.
#[tokio::test]
async fn kubectl_get_shows_what_matters() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000003802");
    lab.namespace("columns").await;
    let objects = [registry("columns", &account), pull("columns", "pull", "columns", "200000000001", "team")];
    lab.create_all(&objects).await;
    lab.ready(&objects[1]).await;
    // kubectl does not ask again which categories there are; its cache is older than the definitions.
    let cache = format!("--cache-dir={}", log_folder().display());
    let table = lab.plane.kubectl(&["get", "ecr-permissions", "-n", "columns", &cache]).unwrap();
    let row = table.lines().find(|line| line.contains("/pull")).unwrap();
    for word in ["True", "Succeeded", "100000003802", "eu-west-1"] {
        assert!(row.contains(word), "{table}");
    }
    let registries = lab.plane.kubectl(&["get", "ecrreg", "columns"]).unwrap();
    assert!(registries.contains("100000003802"), "{registries}");
}
