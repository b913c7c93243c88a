//! An object of which spec and status are read one by one: the API server stores what this version cannot read (an enum
//! value of a newer one, a time that Go takes and we do not), and one such object must not end the watch of all.

use std::borrow::Cow;
use std::marker::PhantomData;

use ::kube::Resource;
use ::kube::core::object::{HasSpec, HasStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Why an object is left out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(#[from] serde_json::Error);

/// An object of kind `K`, not yet read.
#[derive(Debug)]
pub(super) struct Loose<K> {
    pub(super) metadata: ObjectMeta,
    spec: Value,
    status: Value,
    of: PhantomData<fn() -> K>,
}

impl<K> Clone for Loose<K> {
    fn clone(&self) -> Self {
        let Self { metadata, spec, status, of } = self;
        Self { metadata: metadata.clone(), spec: spec.clone(), status: status.clone(), of: *of }
    }
}

impl<K: HasSpec> Loose<K>
where
    K::Spec: DeserializeOwned,
{
    pub(super) fn spec(&self) -> Result<K::Spec, Unreadable> {
        Ok(K::Spec::deserialize(&self.spec)?)
    }
}

impl<K: Resource<DynamicType = ()>> Loose<K> {
    /// The status; one that cannot be read is none: nothing is decided by it, and it is written anew.
    pub(super) fn status(&self) -> K::Status
    where
        K: HasStatus,
        K::Status: DeserializeOwned + Default,
    {
        if self.status.is_null() {
            return K::Status::default();
        }
        K::Status::deserialize(&self.status).unwrap_or_else(|error| {
            let (kind, name) = (K::kind(&()), self.metadata.name.as_deref().unwrap_or_default());
            let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
            tracing::warn!(%kind, namespace, name, %error, "a status cannot be read, and is written anew");
            K::Status::default()
        })
    }
}

impl<'de, K> Deserialize<'de> for Loose<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            #[serde(default)]
            metadata: ObjectMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Parts { metadata, spec, status } = Parts::deserialize(deserializer)?;
        Ok(Self { metadata, spec, status, of: PhantomData })
    }
}

impl<K: Resource<DynamicType = ()>> Resource for Loose<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }
    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }
    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }
    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
