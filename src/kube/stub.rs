//! An object of which only the metadata is read and only the status sent. The API server answers each write with the whole
//! object, and what tenants write into one is none of this module's matter and may be long.

use std::borrow::Cow;

use ::kube::Resource;
use ::kube::core::{ApiResource, DynamicResourceScope};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stub {
    #[serde(default)]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) metadata: ObjectMeta,
    #[serde(skip_deserializing)]
    pub(super) status: Value,
}

impl Resource for Stub {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }
    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }
    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }
    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_only_the_metadata_is_kept() {
        let answer = r#"{"apiVersion":"a/v1","kind":"K","metadata":{"name":"n","resourceVersion":"7"},"spec":{"long":"x"},"status":{"x":1}}"#;
        let stub: Stub = serde_json::from_str(answer).unwrap();
        assert_eq!(stub.metadata.resource_version.as_deref(), Some("7"));
        assert!(!serde_json::to_string(&stub).unwrap().contains("long") && stub.status.is_null());
    }
}
