//! Everything the operator writes to the API server: finalizers and statuses, never a spec that people write; and its own
//! `RegistryLedger`s. Each write carries the resourceVersion it was decided on; a lost race is somebody else's newer word,
//! and the pass decides again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::kube::api::{
    Api, ApiResource, DeleteParams, GroupVersionKind, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use ::kube::core::NamespaceResourceScope;
use ::kube::core::object::{HasSpec, HasStatus};
use ::kube::{Client, Resource, ResourceExt};
use ecr_permissions_core::api::{
    AttachedStatus, CrossAccountPtcRole, FINALIZER, GROUP, Kind, LEDGER_FINALIZER, PullThroughCacheRule, Registry,
    RegistryLedger, RegistryPolicy, RegistryStatus, ReplicationGrant,
};
use ecr_permissions_core::kinds::Body;
use ecr_permissions_core::pass::ledger::{Draft, Slice};
use ecr_permissions_core::pass::objects::{Attached, Meta, ObjectId, RegistryObject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Semaphore;

use super::loose::Loose;
use super::stub::Stub;
use super::watches;

/// Writes under way at once, of all passes together. Each takes a connection (the API server is spoken to in HTTP/1):
/// a handshake, and memory on both sides for as long as it is kept.
const AT_ONCE: usize = 32;
/// How long a write may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// How long a write may take that a pass waits for: what one namespace waits for, all others wait for.
const AT_ONCE_WITHIN: Duration = Duration::from_secs(2);

/// How a write ended that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The object has changed since it was read, or is gone.
    #[error("the object has changed meanwhile")]
    Raced,
    #[error("the API server: {0}")]
    Api(Box<kube::Error>),
    #[error("the API server does not answer")]
    Unanswered,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl Failure {
    fn is_invalid(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(error.as_ref(), kube::Error::Api(status) if status.code == 422))
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => Self::Raced,
            _ => Self::Api(Box::new(error)),
        }
    }
}

#[derive(Clone)]
pub struct Writes {
    client: Client,
    turns: Arc<Semaphore>,
    /// For what a pass waits for: it does not queue behind writes that hang.
    quick_turns: Arc<Semaphore>,
}

impl Writes {
    pub fn new(client: Client) -> Self {
        let turns = || Arc::new(Semaphore::new(AT_ONCE));
        Self { client, turns: turns(), quick_turns: turns() }
    }

    fn registries(&self) -> Api<Stub> {
        Api::all_with(self.client.clone(), &resource("Registry", "registries"))
    }

    fn objects(&self, id: &ObjectId) -> Api<Stub> {
        Api::namespaced_with(self.client.clone(), &id.namespace, &resource(id.kind.as_str(), id.kind.plural()))
    }

    /// Puts our finalizer on an object. Returns the object as it is now.
    pub async fn finalize(&self, object: &Attached) -> Result<Attached, Failure> {
        let added = self.finalizers(&self.objects(&object.id), &object.meta, true).await;
        // An object that is going takes no new finalizer: it has changed since it was read.
        let meta = added.map_err(|failure| if failure.is_invalid() { Failure::Raced } else { failure })?;
        Ok(Attached { meta, ..object.clone() })
    }

    /// Takes our finalizer off: nothing of the object is ours to remove any more.
    pub async fn release(&self, object: &Attached) -> Result<Attached, Failure> {
        let meta = self.finalizers(&self.objects(&object.id), &object.meta, false).await?;
        Ok(Attached { meta, ..object.clone() })
    }

    pub async fn finalize_registry(&self, registry: &RegistryObject) -> Result<RegistryObject, Failure> {
        let meta = self.finalizers(&self.registries(), &registry.meta, true).await?;
        Ok(RegistryObject { meta, ..registry.clone() })
    }

    pub async fn release_registry(&self, registry: &RegistryObject) -> Result<(), Failure> {
        self.finalizers(&self.registries(), &registry.meta, false).await.map(drop)
    }

    /// A Registry as the API server has it now; one that is gone is a lost race.
    pub async fn registry(&self, name: &str) -> Result<RegistryObject, Failure> {
        let api: Api<Loose<Registry>> = Api::all(self.client.clone());
        let found = self.at_once(api.get(name)).await?;
        watches::registry(found).map_err(|error| Failure::Unreadable(error.to_string()))
    }

    /// An object as the API server has it now; one that is gone is a lost race.
    pub async fn object(&self, id: &ObjectId) -> Result<Attached, Failure> {
        match id.kind {
            Kind::RegistryPolicy => self.object_of::<RegistryPolicy>(id).await,
            Kind::ReplicationGrant => self.object_of::<ReplicationGrant>(id).await,
            Kind::PullThroughCacheRule => self.object_of::<PullThroughCacheRule>(id).await,
            Kind::CrossAccountPtcRole => self.object_of::<CrossAccountPtcRole>(id).await,
        }
    }

    async fn object_of<K>(&self, id: &ObjectId) -> Result<Attached, Failure>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: HasSpec + HasStatus<Status = AttachedStatus> + std::fmt::Debug,
        Body: From<K::Spec>,
        K::Spec: DeserializeOwned,
    {
        let api: Api<Loose<K>> = Api::namespaced(self.client.clone(), &id.namespace);
        let found = self.answered(api.get(&id.name)).await?;
        watches::object(id.kind, &found).map_err(|error| Failure::Unreadable(error.to_string()))
    }

    /// The metadata of an object as the API server has it now; one that is gone is a lost race.
    pub async fn meta_of(&self, id: &ObjectId) -> Result<Meta, Failure> {
        Ok(Meta::of(&self.at_once(self.objects(id).get(&id.name)).await?.metadata))
    }

    pub async fn object_status(&self, object: &Attached, status: AttachedStatus) -> Result<Attached, Failure> {
        let (api, namespace) = (self.objects(&object.id), Some(object.id.namespace.as_str()));
        let resource_version = self.status_of(&api, object.id.kind.as_str(), namespace, &object.meta, &status).await?;
        Ok(Attached { meta: Meta { resource_version, ..object.meta.clone() }, status, ..object.clone() })
    }

    pub async fn registry_status(
        &self,
        registry: &RegistryObject,
        status: RegistryStatus,
    ) -> Result<RegistryObject, Failure> {
        let resource_version = self.status_of(&self.registries(), "Registry", None, &registry.meta, &status).await?;
        Ok(RegistryObject { meta: Meta { resource_version, ..registry.meta.clone() }, status, ..registry.clone() })
    }

    fn ledgers(&self) -> Api<RegistryLedger> {
        Api::all(self.client.clone())
    }

    /// Makes or replaces a slice of a ledger. Of a write that is not answered it is looked up whether it was made.
    pub async fn slice(&self, draft: &Draft) -> Result<Slice, SliceFailure> {
        match self.put_slice(draft).await {
            Err(SliceFailure::Failed(Failure::Unanswered)) => match self.there(&draft.slice.name).await {
                Ok(slice) if slice.digest == draft.slice.digest => Ok(slice),
                _ => Err(Failure::Unanswered.into()),
            },
            done => done,
        }
    }

    async fn put_slice(&self, draft: &Draft) -> Result<Slice, SliceFailure> {
        let mut object = RegistryLedger::new(&draft.slice.name, draft.slice.spec());
        object.metadata.finalizers = Some(vec![LEDGER_FINALIZER.to_owned()]);
        object.metadata.labels = Some(labels(&draft.slice));
        let params = PostParams::default();
        let Some(base) = &draft.base else {
            let made = self.at_once(self.ledgers().create(&params, &object)).await;
            return match made {
                Ok(made) => Ok(Slice::of(made)),
                Err(Failure::Raced) => Err(SliceFailure::Exists(self.there(&draft.slice.name).await?.into())),
                Err(failure) => Err(failure.into()),
            };
        };
        object.metadata.resource_version = Some(base.resource_version.clone());
        object.metadata.uid = Some(base.uid.clone());
        let api = self.ledgers();
        let replaced = self.at_once(api.replace(&draft.slice.name, &params, &object)).await?;
        Ok(Slice::of(replaced))
    }

    async fn there(&self, name: &str) -> Result<Slice, Failure> {
        Ok(Slice::of(self.at_once(self.ledgers().get(name)).await?))
    }

    /// Removes a slice that holds nothing: what anybody writes to it meanwhile keeps it.
    pub async fn remove_slice(&self, slice: &Slice) -> Result<(), Failure> {
        let api = self.ledgers();
        let (uid, resource_version) = (Some(slice.uid.clone()), Some(slice.resource_version.clone()));
        if !slice.deleting {
            let preconditions = Some(Preconditions { uid, resource_version });
            let params = DeleteParams { preconditions, ..DeleteParams::default() };
            let deleted = self.at_once(api.delete(&slice.name, &params)).await?;
            return match deleted.left() {
                Some(deleted) => self.release_slice(&Slice::of(deleted)).await,
                None => Ok(()),
            };
        }
        self.release_slice(slice).await
    }

    async fn release_slice(&self, slice: &Slice) -> Result<(), Failure> {
        if !slice.finalized {
            return Ok(());
        }
        let metadata = json!({ "resourceVersion": slice.resource_version, "uid": slice.uid, "finalizers": [] });
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let (api, params) = (self.ledgers(), PatchParams::default());
        self.at_once(api.patch(&slice.name, &params, &patch)).await.map(drop)
    }

    /// Every slice of a namespace, of whatever registry, as etcd has them now.
    pub async fn slices_of(&self, namespace: &str) -> Result<Vec<Slice>, Failure> {
        let api = self.ledgers();
        let params = ListParams::default().fields(&format!("spec.namespace={namespace}"));
        let listed = self.at_once(api.list(&params)).await?;
        Ok(listed.items.into_iter().map(Slice::of).collect())
    }

    async fn finalizers(&self, api: &Api<Stub>, meta: &Meta, ours: bool) -> Result<Meta, Failure> {
        let mut all = meta.other_finalizers.clone();
        if ours {
            all.push(FINALIZER.to_owned());
        }
        let patch =
            json!({ "metadata": { "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": all } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patching = api.patch(&meta.name, &params, &patch);
        // A pass waits for a finalizer before anything grows: one that hangs concerns its object alone.
        let patched = if ours { self.at_once(patching).await? } else { self.answered(patching).await? };
        Ok(Meta { finalized: ours, resource_version: patched.resource_version().unwrap_or_default(), ..meta.clone() })
    }

    /// A write that is not answered is given up: a pass must end, and the next one finds out what came of it.
    async fn answered<T>(&self, write: impl Future<Output = ::kube::Result<T>>) -> Result<T, Failure> {
        let _turn = self.turns.acquire().await;
        Ok(tokio::time::timeout(ANSWERED_WITHIN, write).await.map_err(|_| Failure::Unanswered)??)
    }

    /// What a pass waits for: a finalizer, a write of a slice, or a question before a write to AWS.
    async fn at_once<T>(&self, call: impl Future<Output = ::kube::Result<T>>) -> Result<T, Failure> {
        let in_turn = async {
            // Nobody closes it, so there is always a turn to come.
            let _turn = self.quick_turns.acquire().await;
            call.await
        };
        Ok(tokio::time::timeout(AT_ONCE_WITHIN, in_turn).await.map_err(|_| Failure::Unanswered)??)
    }

    /// Replaces a status. Only it is sent: the API server takes the rest from what it has.
    async fn status_of(
        &self,
        api: &Api<Stub>,
        kind: &str,
        namespace: Option<&str>,
        meta: &Meta,
        status: &impl Serialize,
    ) -> Result<String, Failure> {
        let status = serde_json::to_value(status);
        let object = Stub {
            api_version: format!("{GROUP}/v1alpha1"),
            kind: kind.to_owned(),
            metadata: ObjectMeta {
                name: Some(meta.name.clone()),
                namespace: namespace.map(str::to_owned),
                uid: Some(meta.uid.clone()),
                resource_version: Some(meta.resource_version.clone()),
                ..ObjectMeta::default()
            },
            status: status.map_err(|error| Failure::Api(Box::new(kube::Error::SerdeError(error))))?,
        };
        let written = self.answered(api.replace_status(&meta.name, &PostParams::default(), &object)).await?;
        Ok(written.resource_version().unwrap_or_default())
    }
}

/// For people who look for a slice; nothing is found by them.
fn labels(slice: &Slice) -> BTreeMap<String, String> {
    let namespace = slice.namespace.as_deref().map(|namespace| ("namespace", namespace));
    let all = [("account", slice.account.as_str()), ("region", slice.region.as_str())].into_iter().chain(namespace);
    all.map(|(key, value)| (format!("{GROUP}/{key}"), value.to_owned())).collect()
}

/// How a write of a slice ended that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum SliceFailure {
    #[error("a RegistryLedger of that name is there already")]
    Exists(Box<Slice>),
    #[error(transparent)]
    Failed(#[from] Failure),
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind), plural)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use ::kube::client::Body;

    use super::*;

    #[tokio::test]
    async fn however_many_passes_write_few_writes_are_under_way_at_once() {
        let nobody =
            tower::service_fn(async |_: http::Request<Body>| Ok::<_, Infallible>(http::Response::new(Body::empty())));
        let writes = Writes::new(Client::new(nobody, "default"));
        let (now, most) = (Cell::new(0), Cell::new(0));
        let write = async || {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::task::yield_now().await;
            now.set(now.get() - 1);
            Ok(())
        };
        let written = futures::future::join_all((0..10 * AT_ONCE).map(|_| writes.answered(write()))).await;
        assert!(written.iter().all(Result::is_ok));
        assert_eq!(most.get(), AT_ONCE);
    }
}
