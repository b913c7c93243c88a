//! Everything the operator writes to the API server: finalizers and statuses, never a spec. Each write carries the
//! resourceVersion it was decided on; a lost race is somebody else's newer word, and the pass decides again.

use std::collections::BTreeSet;

use ::kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use ::kube::{Client, ResourceExt};
use ecr_permissions_core::api::{AttachedStatus, FINALIZER, GROUP, RegistryStatus};
use ecr_permissions_core::pass::objects::{Attached, Meta, ObjectId, RegistryObject};
use serde::Serialize;
use serde_json::json;

/// Objects the API server has confirmed to carry our finalizer: only they may get something in AWS.
#[derive(Clone, Debug, Default)]
pub struct Finalized(BTreeSet<ObjectId>);

impl Finalized {
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.0.contains(id)
    }

    /// Those of the objects that the API server showed with the finalizer.
    pub fn seen<'a>(objects: impl Iterator<Item = &'a Attached>) -> Self {
        Self(objects.filter(|object| object.meta.finalized).map(|object| object.id.clone()).collect())
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// How a write ended that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The object has changed since it was read, or is gone.
    #[error("the object has changed meanwhile")]
    Raced,
    #[error("the API server: {0}")]
    Api(Box<kube::Error>),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            // 409: changed; 404: gone; 422: a finalizer for an object that is going.
            kube::Error::Api(status) if matches!(status.code, 404 | 409 | 422) => Self::Raced,
            _ => Self::Api(Box::new(error)),
        }
    }
}

#[derive(Clone)]
pub struct Writes {
    client: Client,
}

impl Writes {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn api(&self, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let plural = match kind {
            "Registry" => "registries".to_owned(),
            "RegistryPolicy" => "registrypolicies".to_owned(),
            other => format!("{}s", other.to_lowercase()),
        };
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind), &plural);
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Puts our finalizer on an object. Returns the object as it is now.
    pub async fn finalize(&self, object: &Attached) -> Result<(Attached, Finalized), Failure> {
        let api = self.api(object.id.kind.as_str(), Some(&object.id.namespace));
        let meta = finalizers(&api, &object.meta, true).await?;
        Ok((Attached { meta, ..object.clone() }, Finalized([object.id.clone()].into())))
    }

    /// Takes our finalizer off: nothing of the object is ours to remove any more.
    pub async fn release(&self, object: &Attached) -> Result<(), Failure> {
        let api = self.api(object.id.kind.as_str(), Some(&object.id.namespace));
        finalizers(&api, &object.meta, false).await.map(drop)
    }

    pub async fn finalize_registry(&self, registry: &RegistryObject) -> Result<RegistryObject, Failure> {
        let meta = finalizers(&self.api("Registry", None), &registry.meta, true).await?;
        Ok(RegistryObject { meta, ..registry.clone() })
    }

    pub async fn release_registry(&self, registry: &RegistryObject) -> Result<(), Failure> {
        finalizers(&self.api("Registry", None), &registry.meta, false).await.map(drop)
    }

    pub async fn object_status(&self, object: &Attached, status: AttachedStatus) -> Result<Attached, Failure> {
        let (kind, namespace) = (object.id.kind.as_str(), object.id.namespace.as_str());
        let api = self.api(kind, Some(namespace));
        let resource_version = status_of(&api, kind, Some(namespace), &object.meta, &status).await?;
        Ok(Attached { meta: Meta { resource_version, ..object.meta.clone() }, status, ..object.clone() })
    }

    pub async fn registry_status(
        &self,
        registry: &RegistryObject,
        status: RegistryStatus,
    ) -> Result<RegistryObject, Failure> {
        let api = self.api("Registry", None);
        let resource_version = status_of(&api, "Registry", None, &registry.meta, &status).await?;
        Ok(RegistryObject { meta: Meta { resource_version, ..registry.meta.clone() }, status, ..registry.clone() })
    }
}

async fn finalizers(api: &Api<DynamicObject>, meta: &Meta, ours: bool) -> Result<Meta, Failure> {
    let mut all = meta.other_finalizers.clone();
    if ours {
        all.push(FINALIZER.to_owned());
    }
    let patch = json!({ "metadata": { "resourceVersion": meta.resource_version, "uid": meta.uid, "finalizers": all } });
    let patched = api.patch(&meta.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(Meta { finalized: ours, resource_version: patched.resource_version().unwrap_or_default(), ..meta.clone() })
}

/// Replaces a status. Only it is sent: the API server takes the rest from what it has.
async fn status_of(
    api: &Api<DynamicObject>,
    kind: &str,
    namespace: Option<&str>,
    meta: &Meta,
    status: &impl Serialize,
) -> Result<String, Failure> {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": kind,
        "metadata": { "name": meta.name, "namespace": namespace, "uid": meta.uid, "resourceVersion": meta.resource_version },
        "status": status,
    }))
    .map_err(|error| Failure::Api(Box::new(kube::Error::SerdeError(error))))?;
    let written = api.replace_status(&meta.name, &PostParams::default(), &object).await?;
    Ok(written.resource_version().unwrap_or_default())
}
