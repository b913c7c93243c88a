//! Every watch as one stream of changes. Lists are quorum reads: a cache of the API server may be of the past, and what
//! is missing from a list is missing to us.

use std::pin::Pin;

use ::kube::core::PartialObjectMeta;
use ::kube::core::object::{HasSpec, HasStatus};
use ::kube::runtime::{WatchStreamExt, watcher};
use ::kube::{Api, Client, Resource, ResourceExt};
use ecr_permissions_core::api::{
    AttachedStatus, CrossAccountPtcRole, Kind, PullThroughCacheRule, Registry, RegistryPolicy, ReplicationGrant,
};
use ecr_permissions_core::kinds::Body;
use ecr_permissions_core::pass::Change;
use ecr_permissions_core::pass::index::WatchEvent;
use ecr_permissions_core::pass::objects::{Attached, Meta, NamespaceView, ObjectId, RegistryObject};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use serde::de::DeserializeOwned;

/// Changes of everything, for ever: a watch that fails is opened again.
pub type Watches = futures::stream::SelectAll<Pin<Box<dyn Stream<Item = WatchEvent> + Send>>>;

pub fn all(client: &Client) -> Watches {
    futures::stream::select_all([
        watch(client, |registry: &Registry| registry.name_any(), RegistryObject::of, WatchEvent::Registry),
        watch(client, PartialObjectMeta::<Namespace>::name_any, namespace, WatchEvent::Namespace),
        attached::<RegistryPolicy>(client, Kind::RegistryPolicy),
        attached::<ReplicationGrant>(client, Kind::ReplicationGrant),
        attached::<PullThroughCacheRule>(client, Kind::PullThroughCacheRule),
        attached::<CrossAccountPtcRole>(client, Kind::CrossAccountPtcRole),
    ])
}

fn attached<K>(client: &Client, kind: Kind) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send>>
where
    K: Resource<DynamicType = ()> + HasSpec + HasStatus<Status = AttachedStatus> + Listed,
    Body: From<K::Spec>,
    K::Spec: Clone,
{
    watch(
        client,
        move |object: &K| ObjectId { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() },
        move |object: K| Attached {
            id: ObjectId { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() },
            meta: Meta::of(object.meta()),
            body: Body::from(object.spec().clone()),
            status: object.status().cloned().unwrap_or_default(),
        },
        move |change| WatchEvent::Attached(kind, change),
    )
}

fn namespace(namespace: PartialObjectMeta<Namespace>) -> NamespaceView {
    NamespaceView { labels: namespace.metadata.labels.unwrap_or_default() }
}

trait Listed: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static {}
impl<T: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static> Listed for T {}

/// One watch; each object is cut down to what is kept as soon as it arrives.
fn watch<R, K, V>(
    client: &Client,
    key: impl Fn(&R) -> K + Send + 'static,
    view: impl Fn(R) -> V + Send + 'static,
    event: impl Fn(Change<K, V>) -> WatchEvent + Send + 'static,
) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send>>
where
    R: Resource<DynamicType = ()> + Listed,
    K: Send + 'static,
    V: Send + 'static,
{
    let changes = watcher(Api::<R>::all(client.clone()), watcher::Config::default()).default_backoff();
    Box::pin(changes.filter_map(move |change| {
        let change = match change {
            Ok(watcher::Event::Init) => Some(Change::Listing),
            Ok(watcher::Event::InitApply(object)) => Some(Change::ListItem(key(&object), view(object))),
            Ok(watcher::Event::InitDone) => Some(Change::Listed),
            Ok(watcher::Event::Apply(object)) => Some(Change::Apply(key(&object), view(object))),
            Ok(watcher::Event::Delete(object)) => Some(Change::Delete(key(&object))),
            Err(error) => {
                tracing::warn!(kind = %R::kind(&()), %error, "watch failed, opening it again");
                None
            }
        };
        std::future::ready(change.map(&event))
    }))
}
