//! Every watch as one stream of changes. Lists are quorum reads: a cache of the API server may be of the past, and what
//! is missing from a list is missing to us.

use std::pin::Pin;

use ::kube::core::PartialObjectMeta;
use ::kube::core::object::{HasSpec, HasStatus};
use ::kube::runtime::{WatchStreamExt, watcher};
use ::kube::{Api, Client, Resource, ResourceExt};
use ecr_permissions_core::api::{
    AttachedStatus, CrossAccountPtcRole, Kind, PullThroughCacheRule, Registry, RegistryLedger, RegistryPolicy,
    RegistryStatus, ReplicationGrant,
};
use ecr_permissions_core::kinds::Body;
use ecr_permissions_core::pass::Change;
use ecr_permissions_core::pass::index::WatchEvent;
use ecr_permissions_core::pass::ledger::Slice;
use ecr_permissions_core::pass::objects::{Attached, Meta, NamespaceView, ObjectId, RegistryObject};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use serde::de::DeserializeOwned;

use super::loose::{Loose, Unreadable};

/// Changes of everything, for ever: a watch that fails is opened again.
pub type Watches = futures::stream::SelectAll<Pin<Box<dyn Stream<Item = WatchEvent> + Send>>>;

pub fn all(client: &Client) -> Watches {
    futures::stream::select_all([
        watch(client, Loose::<Registry>::name_any, registry, WatchEvent::Registry),
        watch(
            client,
            PartialObjectMeta::<Namespace>::name_any,
            |namespace| Ok(labels(namespace)),
            WatchEvent::Namespace,
        ),
        watch(client, Loose::<RegistryLedger>::name_any, slice, WatchEvent::Ledger),
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
    K::Spec: DeserializeOwned,
{
    let id = move |object: &Loose<K>| ObjectId {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    let view = move |object: Loose<K>| {
        let spec: K::Spec = object.spec()?;
        let status = object.status();
        Ok(Attached { id: id(&object), meta: Meta::of(object.meta()), body: Body::from(spec), status })
    };
    watch(client, id, view, move |change| WatchEvent::Attached(kind, change))
}

#[expect(clippy::needless_pass_by_value, reason = "a view of the watch, as the others")]
pub(super) fn registry(registry: Loose<Registry>) -> Result<RegistryObject, Unreadable> {
    let status: RegistryStatus = registry.status();
    Ok(RegistryObject::of(registry.meta(), registry.spec()?, status))
}

fn slice(ledger: Loose<RegistryLedger>) -> Result<Slice, Unreadable> {
    let spec = ledger.spec()?;
    Ok(Slice::of(RegistryLedger { metadata: ledger.metadata, spec }))
}

fn labels(namespace: PartialObjectMeta<Namespace>) -> NamespaceView {
    NamespaceView { labels: namespace.metadata.labels.unwrap_or_default() }
}

trait Listed: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static {}
impl<T: Clone + std::fmt::Debug + DeserializeOwned + Send + 'static> Listed for T {}

/// One watch; each object is cut down to what is kept as soon as it arrives, and one that cannot be read is left out alone.
fn watch<R, K, V>(
    client: &Client,
    key: impl Fn(&R) -> K + Send + 'static,
    view: impl Fn(R) -> Result<V, Unreadable> + Send + 'static,
    event: impl Fn(Change<K, V>) -> WatchEvent + Send + 'static,
) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send>>
where
    R: Resource<DynamicType = ()> + Listed,
    K: Send + 'static,
    V: Send + 'static,
{
    let changes = watcher(Api::<R>::all(client.clone()), watcher::Config::default()).default_backoff();
    let read = move |object: R| {
        let (id, name) = (key(&object), object.name_any());
        let namespace = object.namespace().unwrap_or_default();
        match view(object) {
            Ok(view) => (id, Some(view)),
            Err(error) => {
                tracing::warn!(kind = %R::kind(&()), namespace, name, %error, "an object cannot be read, and is left out");
                (id, None)
            }
        }
    };
    Box::pin(changes.filter_map(move |change| {
        let change = match change {
            Ok(watcher::Event::Init) => Some(Change::Listing),
            Ok(watcher::Event::InitApply(object)) => Some(match read(object) {
                (id, Some(view)) => Change::ListItem(id, view),
                (id, None) => Change::ListUnreadable(id),
            }),
            Ok(watcher::Event::InitDone) => Some(Change::Listed),
            Ok(watcher::Event::Apply(object)) => Some(match read(object) {
                (id, Some(view)) => Change::Apply(id, view),
                (id, None) => Change::Unreadable(id),
            }),
            Ok(watcher::Event::Delete(object)) => Some(Change::Delete(read(object).0)),
            Err(error) => {
                tracing::warn!(kind = %R::kind(&()), %error, "watch failed, opening it again");
                None
            }
        };
        std::future::ready(change.map(&event))
    }))
}
