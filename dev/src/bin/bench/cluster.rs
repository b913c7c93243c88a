//! The API server, as a user's client sees it: objects are made, and a watch says when each was shown and when it was
//! Ready. Both moments are taken from the same watch, so that its own delay is in neither.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, TryStreamExt};
use kube::api::{Api, DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

use crate::Done;
use crate::operator::PATIENCE;

const GROUP: &str = "ecr-permissions.dev";
const API: &str = "ecr-permissions.dev/v1alpha1";
/// As many as there are owners in the scene with the most at once.
const AT_ONCE: usize = 50;

/// A kind that is attached.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    kind: &'static str,
    plural: &'static str,
}

pub const POLICIES: Kind = Kind { kind: "RegistryPolicy", plural: "registrypolicies" };
pub const CACHES: Kind = Kind { kind: "PullThroughCacheRule", plural: "pullthroughcacherules" };
pub const ROLES: Kind = Kind { kind: "CrossAccountPtcRole", plural: "crossaccountptcroles" };

/// An object of an attached kind.
#[derive(Clone, Debug)]
pub struct Owner {
    kind: Kind,
    namespace: String,
    name: String,
    spec: Value,
}

impl Owner {
    /// A RegistryPolicy: one account may pull from the same repositories as all others.
    pub fn policy(namespace: &str, name: &str, registry: &str, account: &str) -> Self {
        let spec = json!({
            "registryRef": {"name": registry},
            "statements": [{
                "name": "pull",
                "principals": {"accountIds": [account]},
                "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "repositories": ["bench/*"],
            }],
        });
        Self { kind: POLICIES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// A PullThroughCacheRule of a public upstream.
    pub fn cache(namespace: &str, name: &str, registry: &str, prefix: &str) -> Self {
        let spec = json!({
            "registryRef": {"name": registry}, "cachePrefix": prefix, "upstream": {"type": "EcrPublic"},
        });
        Self { kind: CACHES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// A PullThroughCacheRule of another registry, by the role of a CrossAccountPtcRole.
    pub fn cache_by_role(namespace: &str, name: &str, [registry, upstream]: [&str; 2], role: &str) -> Self {
        let ecr = json!({"registryRef": {"name": upstream}, "roleRef": {"name": role}});
        let spec = json!({
            "registryRef": {"name": registry}, "cachePrefix": name, "upstream": {"type": "Ecr", "ecr": ecr},
        });
        Self { kind: CACHES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// A CrossAccountPtcRole with one upstream.
    pub fn role(namespace: &str, name: &str, registry: &str, upstream: &Value) -> Self {
        let mut upstream = upstream.clone();
        upstream["name"] = "up".into();
        upstream["repositories"] = json!(["bench/*"]);
        let spec = json!({
            "registryRef": {"name": registry}, "upstreams": [upstream], "cacheRepositories": ["bench/*"],
        });
        Self { kind: ROLES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    fn object(&self) -> Value {
        json!({
            "apiVersion": API,
            "kind": self.kind.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        })
    }
}

pub struct Cluster {
    client: Client,
}

impl Cluster {
    pub async fn connect(kubeconfig: &str) -> Done<Self> {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(Kubeconfig::from_yaml(kubeconfig)?, &options).await?;
        Ok(Self { client: Client::try_from(config)? })
    }

    pub async fn create_namespaces(&self, names: &[String]) -> Done {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Namespace"), "namespaces");
        let api = Api::all_with(self.client.clone(), &kind);
        let made =
            names.iter().map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        create_all(made.map(|object| (api.clone(), object)).collect()).await
    }

    /// Makes a Registry with this spec, and waits until it is Ready.
    pub async fn create_registry(&self, name: &str, spec: Value) -> Done {
        let api = Api::all_with(self.client.clone(), &resource("Registry", "registries"));
        let object = json!({"apiVersion": API, "kind": "Registry", "metadata": {"name": name}, "spec": spec});
        create_all(vec![(api.clone(), object)]).await?;
        let start = Instant::now();
        loop {
            let object = api.get(name).await?;
            if is_ready(&object) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("Registry {name} is not Ready: {}", object.data["status"]).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Makes all of them, as many at once as there are owners.
    pub async fn create(&self, owners: &[Owner]) -> Done {
        create_all(owners.iter().map(|owner| (self.of(owner.kind, &owner.namespace), owner.object())).collect()).await
    }

    /// Deletes every object of the kind, and waits until none is left.
    pub async fn delete_all(&self, kind: Kind, namespaces: &[String]) -> Done {
        let mut watch = self.watch(kind).await?;
        let all = self.all(kind).list_metadata(&ListParams::default()).await?.items.len();
        let delete = futures::stream::iter(namespaces)
            .map(|namespace| self.delete_in(kind, namespace))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>();
        let gone = watch.until("every object is gone", |watch| watch.gone.len() >= all);
        futures::try_join!(delete, gone)?;
        Ok(())
    }

    async fn delete_in(&self, kind: Kind, namespace: &str) -> Done {
        let parameters = (DeleteParams::default(), ListParams::default());
        self.of(kind, namespace).delete_collection(&parameters.0, &parameters.1).await?;
        Ok(())
    }

    /// Watches every object of the kind from now on.
    pub async fn watch(&self, kind: Kind) -> Done<Watch> {
        let api = self.all(kind);
        let version = api.list_metadata(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let mut watch = Watch {
            api,
            version: version.unwrap_or_default(),
            events: Box::pin(futures::stream::empty()),
            seen: BTreeMap::new(),
            gone: BTreeSet::new(),
            count: 0,
        };
        watch.open().await?;
        Ok(watch)
    }

    fn all(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(kind.kind, kind.plural))
    }

    fn of(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind.kind, kind.plural))
    }
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind), plural)
}

async fn create_all(objects: Vec<(Api<DynamicObject>, Value)>) -> Done {
    let create = |(api, object): (Api<DynamicObject>, Value)| async move {
        let object: DynamicObject = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object).await?;
        Done::Ok(())
    };
    futures::stream::iter(objects).map(create).buffer_unordered(AT_ONCE).try_collect().await
}

/// When an object was first shown, and when it was first Ready.
#[derive(Clone, Copy, Debug)]
struct Seen {
    shown: Instant,
    ready: Option<Instant>,
}

pub struct Watch {
    api: Api<DynamicObject>,
    /// Up to where events were taken in.
    version: String,
    events: Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<DynamicObject>>>>>,
    seen: BTreeMap<String, Seen>,
    gone: BTreeSet<String>,
    /// How many events there were.
    pub count: usize,
}

impl Watch {
    async fn open(&mut self) -> Done {
        self.events = Box::pin(self.api.watch(&WatchParams::default(), &self.version).await?);
        Ok(())
    }

    /// The API server ends a watch whose client did not keep up; the next goes on where it was.
    async fn next(&mut self) -> Done<WatchEvent<DynamicObject>> {
        loop {
            match self.events.next().await {
                Some(event) => return Ok(event?),
                None => self.open().await?,
            }
        }
    }

    /// Takes events in until so many objects were shown.
    pub async fn until_shown(&mut self, objects: usize) -> Done {
        self.until(&format!("{objects} objects are shown"), |watch| watch.seen.len() >= objects).await
    }

    /// Takes events in until so many objects are Ready.
    pub async fn until_ready(&mut self, objects: usize) -> Done {
        let ready = |watch: &Self| watch.seen.values().filter(|seen| seen.ready.is_some()).count();
        self.until(&format!("{objects} objects are Ready"), |watch| ready(watch) >= objects).await
    }

    async fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) -> Done {
        let start = Instant::now();
        while !reached(self) {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let Ok(event) = tokio::time::timeout(left, self.next()).await else {
                return Err(format!("{what}: not in time; {} events were seen", self.count).into());
            };
            self.take(event?)?;
        }
        Ok(())
    }

    /// Takes in what has arrived by now.
    pub async fn drain(&mut self) -> Done {
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(100), self.next()).await {
            self.take(event?)?;
        }
        Ok(())
    }

    /// From the first one shown to the last one shown, and to the last one Ready, in seconds.
    pub fn spans(&self) -> (f64, f64) {
        spans(&self.seen)
    }

    fn take(&mut self, event: WatchEvent<DynamicObject>) -> Done {
        let now = Instant::now();
        self.count += 1;
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                self.version = object.resource_version().unwrap_or_default();
                let seen = self.seen.entry(key(&object)).or_insert(Seen { shown: now, ready: None });
                if seen.ready.is_none() && is_ready(&object) {
                    seen.ready = Some(now);
                }
            }
            WatchEvent::Deleted(object) => {
                self.version = object.resource_version().unwrap_or_default();
                self.gone.insert(key(&object));
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(error) => return Err(format!("the watch failed: {error}").into()),
        }
        Ok(())
    }
}

fn spans(seen: &BTreeMap<String, Seen>) -> (f64, f64) {
    let shown = || seen.values().map(|seen| seen.shown);
    let ready = seen.values().filter_map(|seen| seen.ready).max();
    let from_first = |moment: Option<Instant>| {
        moment.zip(shown().min()).map_or(f64::NAN, |(moment, first)| (moment - first).as_secs_f64())
    };
    (from_first(shown().max()), from_first(ready))
}

fn key(object: &DynamicObject) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// Ready, and that of the spec as it is now.
fn is_ready(object: &DynamicObject) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "Ready"
            && condition["status"] == "True"
            && condition["observedGeneration"].as_i64() == object.metadata.generation
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(generation: i64, ready: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": API,
            "kind": "RegistryPolicy",
            "metadata": {"name": "a", "namespace": "team", "generation": generation},
            "status": {"conditions": [ready]},
        }))
        .unwrap()
    }

    #[test]
    fn ready_is_what_is_true_of_the_spec_as_it_is() {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "observedGeneration": 2});
        assert!(is_ready(&object(2, &condition("Ready", "True"))));
        assert!(!is_ready(&object(3, &condition("Ready", "True"))), "an older spec");
        assert!(!is_ready(&object(2, &condition("Ready", "Unknown"))));
        assert!(!is_ready(&object(2, &condition("Accepted", "True"))));
    }

    #[test]
    fn a_span_is_from_the_first_shown_to_the_last_ready() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seen = [("a", 1, 5), ("b", 3, 4)]
            .map(|(name, shown, ready)| (name.to_owned(), Seen { shown: at(shown), ready: Some(at(ready)) }));
        assert_eq!(spans(&seen.into()), (2.0, 4.0));
    }
}
