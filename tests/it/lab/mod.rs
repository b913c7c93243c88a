//! Where the tests stand: control planes, AWS and operators, and short words for what is done with them. Nothing here
//! sleeps: it waits for what is to come, and says what it saw last if that never does.

pub mod aws;
pub mod kstatus;
pub mod objects;
pub mod operator;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dev::{Assets, ControlPlane};
use ecr_permissions_core::api::{FINALIZER, GROUP, INTERNAL_GROUP, Kind, crds};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use aws::{Account, Aws};
use operator::Operator;

/// What any one thing may take. The machine may be building something else.
pub const PATIENCE: Duration = Duration::from_secs(40);
pub const REGION: &str = "eu-west-1";

/// A cluster, an AWS, and a client.
pub struct Lab {
    pub client: Client,
    pub plane: &'static ControlPlane,
    pub aws: Aws,
    _turn: Option<MutexGuard<'static, ()>>,
}

struct Shared {
    plane: ControlPlane,
    aws: Aws,
    operator: Operator,
}

static SHARED: OnceLock<Shared> = OnceLock::new();
static ALONE: OnceLock<ControlPlane> = OnceLock::new();
static TURN: Mutex<()> = Mutex::const_new(());

impl Lab {
    /// The cluster that many tests use at once, with an operator.
    pub async fn shared() -> (Self, &'static Operator) {
        let Shared { plane, aws, operator } = SHARED.get_or_init(|| {
            let (plane, aws) = (plane(), Aws::start());
            let operator = Operator::start(&plane.kubeconfig(), &aws.url());
            Shared { plane, aws, operator }
        });
        let client = client(plane).await;
        (Self { client, plane, aws: aws.clone(), _turn: None }, operator)
    }

    /// A cluster for one test at a time: empty, without an operator, and with an AWS of its own.
    pub async fn alone() -> Self {
        let turn = TURN.lock().await;
        let plane = ALONE.get_or_init(plane);
        // The test before may have ended with its API server stopped.
        plane.start_api_server().unwrap();
        let lab = Self { client: client(plane).await, plane, aws: Aws::start(), _turn: Some(turn) };
        lab.sweep().await;
        lab
    }

    pub fn operator(&self) -> Operator {
        Operator::start(&self.plane.kubeconfig(), &self.aws.url())
    }

    /// An account of AWS that trusts the operator.
    pub fn account(&self, id: &str) -> Account {
        self.aws.account(id)
    }

    /// Removes all objects of ours, whoever holds them.
    async fn sweep(&self) {
        for kind in Kind::ALL.map(Kind::as_str).into_iter().chain(["Registry", "RegistryLedger"]) {
            for found in self.everywhere(kind).list(&ListParams::default()).await.unwrap() {
                let mut object = json!({"kind": kind, "metadata": {"name": found.name_any()}});
                object["metadata"]["namespace"] = found.namespace().into();
                self.edit(&object, json!({"metadata": {"finalizers": null}})).await;
                self.delete(&object).await;
                self.gone(&object).await;
            }
        }
    }

    fn everywhere(&self, kind: &str) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(kind))
    }

    pub fn api(&self, object: &Value) -> Api<DynamicObject> {
        let resource = resource(object["kind"].as_str().unwrap());
        match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    pub async fn create(&self, object: &Value) -> DynamicObject {
        let typed = serde_json::from_value(object.clone()).unwrap();
        let created = self.api(object).create(&PostParams::default(), &typed).await;
        created.unwrap_or_else(|error| panic!("creating {}: {error}", title(object)))
    }

    pub async fn create_all<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) {
        for object in objects {
            self.create(object).await;
        }
    }

    /// A merge patch.
    pub async fn edit(&self, object: &Value, patch: Value) -> DynamicObject {
        let patched = self.api(object).patch(name(object), &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.unwrap_or_else(|error| panic!("editing {}: {error}", title(object)))
    }

    pub async fn annotate(&self, object: &Value, key: &str, value: &str) {
        self.edit(object, json!({"metadata": {"annotations": {key: value}}})).await;
    }

    pub async fn delete(&self, object: &Value) {
        match self.api(object).delete(name(object), &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("deleting {}: {error}", title(object)),
        }
    }

    pub async fn get(&self, object: &Value) -> Value {
        let found = self.api(object).get(name(object)).await;
        serde_json::to_value(found.unwrap_or_else(|error| panic!("reading {}: {error}", title(object)))).unwrap()
    }

    /// Waits until the object looks as expected; `Value::Null` is an object that is not there.
    pub async fn until(&self, object: &Value, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let seen = |object: Option<&DynamicObject>| serde_json::to_value(object).unwrap();
        let waited = timeout(PATIENCE, async {
            // A watch that breaks is opened again; how often, the timeout decides.
            loop {
                let condition = |found: Option<&DynamicObject>| is_so(&seen(found));
                match await_condition(self.api(object), name(object), condition).await {
                    Ok(found) => return seen(found.as_ref()),
                    Err(error) => drop(error),
                }
            }
        });
        if let Ok(found) = waited.await {
            return found;
        }
        let last = self.api(object).get_opt(name(object)).await.unwrap();
        let last = serde_json::to_string_pretty(&seen(last.as_ref())).unwrap();
        panic!("{} is not {what} after {PATIENCE:?}:\n{last}", title(object))
    }

    /// Waits until AWS was read and equals the object as it is now.
    pub async fn ready(&self, object: &Value) -> Value {
        self.until(object, "ready", |found| condition(found, "Ready").is_some_and(|c| is(&c, "True", "Succeeded")))
            .await
    }

    pub async fn all_ready<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) {
        futures::future::join_all(objects.into_iter().map(|object| self.ready(object))).await;
    }

    /// Waits for a status and a reason of `Ready`; answers the message.
    pub async fn says(&self, object: &Value, status: &str, reason: &str) -> String {
        let so = |found: &Value| condition(found, "Ready").is_some_and(|c| is(&c, status, reason));
        let found = self.until(object, &format!("Ready={status}, {reason}"), so).await;
        condition(&found, "Ready").unwrap()["message"].as_str().unwrap().to_owned()
    }

    pub async fn gone(&self, object: &Value) {
        self.until(object, "gone", Value::is_null).await;
    }

    /// Asks for a pass and waits until one has answered.
    pub async fn reconcile(&self, object: &Value) -> Value {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let token = format!("asked-{}", ASKED.fetch_add(1, Ordering::Relaxed));
        self.annotate(object, ecr_permissions_core::api::RECONCILE_NOW, &token).await;
        self.until(object, "reconciled", |found| found["status"]["lastHandledReconcileAt"] == token.as_str()).await
    }

    /// A namespace whose objects the Registries of `objects` let in.
    pub async fn namespace(&self, name: &str) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"tenant": "yes"}}});
        self.create(&namespace).await;
    }

    /// A namespace for a test that may have been run on this cluster before.
    pub async fn own_namespace(&self, name: &str) {
        if self.plane.kubectl(&["get", "namespace", name]).is_err() {
            self.namespace(name).await;
        }
    }
}

/// The condition of a type, if it speaks of the object as it is now.
pub fn condition(object: &Value, kind: &str) -> Option<Value> {
    let all = object["status"]["conditions"].as_array()?;
    let found = all.iter().find(|condition| condition["type"] == kind)?;
    (found["observedGeneration"] == object["metadata"]["generation"]).then(|| found.clone())
}

fn is(condition: &Value, status: &str, reason: &str) -> bool {
    condition["status"] == status && condition["reason"] == reason
}

pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

pub fn title(object: &Value) -> String {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    format!("{} {namespace}/{}", object["kind"].as_str().unwrap(), name(object))
}

fn resource(kind: &str) -> ApiResource {
    let (group, version, plural) = match kind {
        "Registry" => (GROUP, "v1alpha1", "registries"),
        "RegistryLedger" => (INTERNAL_GROUP, "v1alpha1", "registryledgers"),
        "RegistryPolicy" => (GROUP, "v1alpha1", "registrypolicies"),
        "ReplicationGrant" => (GROUP, "v1alpha1", "replicationgrants"),
        "CrossAccountPtcRole" => (GROUP, "v1alpha1", "crossaccountptcroles"),
        "PullThroughCacheRule" => (GROUP, "v1alpha1", "pullthroughcacherules"),
        "Namespace" => ("", "v1", "namespaces"),
        other => panic!("no kind {other} in these tests"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

fn plane() -> ControlPlane {
    let plane = ControlPlane::start(&Assets::find().unwrap()).unwrap();
    // All of them: the table has objects of kinds that the operator does not serve yet.
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": crds()});
    plane.kubectl_with_input(&["apply", "-f", "-"], &list.to_string()).unwrap();
    plane.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"]).unwrap();
    plane
}

async fn client(plane: &ControlPlane) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(plane.kubeconfig_text()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// An empty folder that outlives the test, so that a failure can be looked at; the next run takes it away.
pub fn log_folder() -> PathBuf {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let own = format!("it-{}-", std::process::id());
    let all = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let count = FOLDERS.fetch_add(1, Ordering::Relaxed);
    if count == 0 {
        let names = fs::read_dir(&all).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        for old in names.filter(|name| name.starts_with("it-") && !name.starts_with(&own)) {
            fs::remove_dir_all(all.join(old)).unwrap();
        }
    }
    let folder = all.join(format!("{own}{count}"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Whether our finalizer is on the object.
pub fn is_finalized(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| all.iter().any(|finalizer| finalizer == FINALIZER))
}
