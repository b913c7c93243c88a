//! Every watch as one stream of changes: what each is of, and what is kept of its objects.

use std::pin::Pin;

use ::kube::core::PartialObjectMeta;
use ::kube::core::object::{HasSpec, HasStatus};
use ::kube::{Client, Resource, ResourceExt};
use ecr_permissions_core::api::{
    AttachedStatus, CrossAccountPtcRole, Kind, PullThroughCacheRule, Registry, RegistryLedger, RegistryPolicy,
    RegistryStatus, ReplicationGrant,
};
use ecr_permissions_core::kinds::Body;
use ecr_permissions_core::pass::Change;
use ecr_permissions_core::pass::freshness::Store;
use ecr_permissions_core::pass::index::WatchEvent;
use ecr_permissions_core::pass::ledger::Slice;
use ecr_permissions_core::pass::objects::{Attached, Meta, NamespaceView, ObjectId, RegistryObject};
use futures::Stream;
use k8s_openapi::api::core::v1::Namespace;
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;

use super::follow::{Follower, Shown};
use super::loose::{Loose, Unreadable};
use crate::runtime::clock::MachineClock;

/// Changes of everything, for ever: a watch that fails is opened again.
pub type Watches = futures::stream::SelectAll<Pin<Box<dyn Stream<Item = WatchEvent> + Send>>>;

/// What watches are made of.
pub struct Sources<'a> {
    pub client: &'a Client,
    pub machine: &'a MachineClock,
    /// Changes when everything has to be listed anew.
    pub doubts: &'a Sender<u64>,
    pub seed: u64,
}

pub fn all(sources: &Sources<'_>) -> Watches {
    futures::stream::select_all([
        watch(sources, Store::Registries, Loose::<Registry>::name_any, registry, WatchEvent::Registry),
        watch(
            sources,
            Store::Namespaces,
            PartialObjectMeta::<Namespace>::name_any,
            |namespace| Ok(labels(namespace)),
            WatchEvent::Namespace,
        ),
        watch(sources, Store::Ledgers, Loose::<RegistryLedger>::name_any, slice, WatchEvent::Ledger),
        attached::<RegistryPolicy>(sources, Kind::RegistryPolicy),
        attached::<ReplicationGrant>(sources, Kind::ReplicationGrant),
        attached::<PullThroughCacheRule>(sources, Kind::PullThroughCacheRule),
        attached::<CrossAccountPtcRole>(sources, Kind::CrossAccountPtcRole),
    ])
}

fn attached<K>(sources: &Sources<'_>, kind: Kind) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send>>
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
    let view = move |loose: Loose<K>| object(kind, &loose);
    watch(sources, Store::Attached(kind), id, view, move |change| WatchEvent::Attached(kind, change))
}

pub(super) fn object<K>(kind: Kind, object: &Loose<K>) -> Result<Attached, Unreadable>
where
    K: Resource<DynamicType = ()> + HasSpec + HasStatus<Status = AttachedStatus>,
    Body: From<K::Spec>,
    K::Spec: DeserializeOwned,
{
    let spec: K::Spec = object.spec()?;
    let id = ObjectId { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() };
    Ok(Attached { id, meta: Meta::of(object.meta()), body: Body::from(spec), status: object.status() })
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
    sources: &Sources<'_>,
    store: Store,
    key: impl Fn(&R) -> K + Send + 'static,
    view: impl Fn(R) -> Result<V, Unreadable> + Send + 'static,
    event: impl Fn(Change<K, V>) -> WatchEvent + Send + 'static,
) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send>>
where
    R: Resource<DynamicType = ()> + Listed,
    K: Send + 'static,
    V: Send + 'static,
{
    let read = move |object: R| {
        let name = object.name_any();
        let namespace = object.namespace().unwrap_or_default();
        view(object).inspect_err(|error| {
            tracing::warn!(kind = %R::kind(&()), namespace, name, %error, "an object cannot be read, and is left out");
        })
    };
    let cut = move |shown| {
        event(match shown {
            Shown::Listing => Change::Listing,
            Shown::Item(object) => {
                let key = key(&object);
                if let Ok(view) = read(object) { Change::ListItem(key, view) } else { Change::ListUnreadable(key) }
            }
            Shown::GoneSince(object) => Change::ListGone(key(&object)),
            Shown::Listed => Change::Listed,
            Shown::Changed(object) => {
                let key = key(&object);
                if let Ok(view) = read(object) { Change::Apply(key, view) } else { Change::Unreadable(key) }
            }
            Shown::Gone(object) => Change::Delete(key(&object)),
        })
    };
    let seed = store.kind().bytes().fold(sources.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let follower = Follower {
        client: sources.client.clone(),
        store,
        machine: sources.machine.clone(),
        doubts: sources.doubts.subscribe(),
        rng: fastrand::Rng::with_seed(seed),
        cut: Box::new(cut),
    };
    follower.stream()
}
