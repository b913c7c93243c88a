//! The table of good and bad objects (`tests/testdata/objects`), put to the real API server and the running operator.
//! The offline check answers for the same files in the core's tests.

use std::fs;
use std::path::{Path, PathBuf};

use ecr_permissions_core::check::as_stored;
use kube::Api;
use kube::core::DynamicObject;
use serde_json::Value;

use crate::lab::objects::{registry, tenants};
use crate::lab::{Lab, name};

/// The account that the table is written for.
const ACCOUNT: &str = "111111111111";

struct Case {
    file: String,
    expect: Vec<String>,
    documents: Vec<Value>,
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/objects").join(folder);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let case = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Case {
            file: path.display().to_string(),
            expect: text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect(),
            documents: serde_saphyr::from_multiple(&text).unwrap(),
        }
    };
    paths.into_iter().map(case).collect()
}

/// A strict write, as kubectl's: the stored object, or what the API server says against it.
async fn write(lab: &Lab, object: &Value, method: &str, dry_run: bool) -> Result<DynamicObject, String> {
    let api: Api<DynamicObject> = lab.api(object);
    let mut path = api.resource_url().to_owned();
    if method == "PUT" {
        path = format!("{path}/{}", name(object));
    }
    let query = if dry_run { "fieldValidation=Strict&dryRun=All" } else { "fieldValidation=Strict" };
    let request = http::Request::builder()
        .method(method)
        .uri(format!("{path}?{query}"))
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .unwrap();
    lab.client.request(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.message.clone(),
        other => panic!("{other}"),
    })
}

/// The object in a namespace of the test's own.
fn moved(object: &Value, namespace: &str) -> Value {
    let mut object = object.clone();
    if object["kind"] != "Registry" {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

fn complaint(case: &Case, said: &str) -> Option<String> {
    let missing = case.expect.iter().find(|expected| !said.contains(expected.as_str()))?;
    Some(format!("{}: expected {missing:?} in:\n{said}", case.file))
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[tokio::test]
async fn the_api_server_takes_the_good_objects_and_refuses_the_bad_ones_in_the_same_words() {
    let (lab, _) = Lab::shared().await;
    lab.namespace("table").await;
    let mut complaints = Vec::new();
    for case in cases("good").iter().chain(&cases("refused")) {
        for object in &case.documents {
            if let Err(said) = write(&lab, &moved(object, "table"), "POST", true).await {
                complaints.push(format!("{}: {said}", case.file));
            }
        }
    }
    for case in cases("bad") {
        match write(&lab, &moved(&case.documents[0], "table"), "POST", true).await {
            Ok(_) => complaints.push(format!("{}: was accepted", case.file)),
            Err(said) => complaints.extend(complaint(&case, &said)),
        }
    }
    assert_none(&complaints);
}

#[tokio::test]
async fn the_api_server_refuses_a_change_of_what_cannot_change() {
    let lab = Lab::alone().await;
    lab.own_namespace("table").await;
    let mut complaints = Vec::new();
    for case in cases("changed") {
        let [old, new] = &case.documents[..] else { panic!("{}: two documents", case.file) };
        let (old, mut new) = (moved(old, "table"), moved(new, "table"));
        let stored = lab.create(&old).await;
        new["metadata"]["resourceVersion"] = stored.metadata.resource_version.into();
        match write(&lab, &new, "PUT", false).await {
            Ok(_) => complaints.push(format!("{}: was accepted", case.file)),
            Err(said) => complaints.extend(complaint(&case, &said)),
        }
        lab.delete(&old).await;
        lab.gone(&old).await;
    }
    assert_none(&complaints);
}

/// What only the operator sees: the message stands in the object's conditions.
#[tokio::test]
async fn the_operator_refuses_the_rest_in_the_words_of_the_offline_check() {
    let lab = Lab::alone().await;
    lab.own_namespace("table").await;
    let account = lab.account(ACCOUNT);
    let mut open = registry("default", &account);
    open["spec"]["allow"][0] = tenants();
    open["spec"]["allow"][0]["namespaces"] = serde_json::json!({"names": ["table"]});
    lab.create(&open).await;
    let _operator = lab.operator();
    let mut complaints = Vec::new();
    for case in cases("refused") {
        let object = moved(&as_stored(&case.documents[0]), "table");
        lab.create(&object).await;
        complaints.extend(complaint(&case, &lab.says(&object, "False", "InvalidSpec").await));
        lab.delete(&object).await;
        lab.gone(&object).await;
    }
    assert_none(&complaints);
    assert_eq!(account.writes(), 0);
}
