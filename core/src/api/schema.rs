//! What the derived schemas lack before they are installed: null is absence, every text has an end, and an object that
//! nobody has looked at yet says so.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::json;

use super::status::is_shown;

/// A definition as it is installed.
pub(super) fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let kind = crd.spec.names.kind.clone();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else { continue };
        without_nulls(schema);
        let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) else { continue };
        // An object without a status counts as ready for kstatus; a status that has seen no generation does not.
        status.default = Some(JSON(json!({"observedGeneration": -1})));
        if let Some(members) = status.properties.as_mut() {
            members.retain(|member, _| is_shown(member, &kind));
        }
        bound_conditions(status);
    }
    crd
}

/// A null in an optional field is then dropped by the API server, so that the rules never meet one.
fn without_nulls(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema.enum_.iter_mut().for_each(|values| values.retain(|value| !value.0.is_null()));
    schema.properties.iter_mut().flatten().for_each(|(_, property)| without_nulls(property));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        without_nulls(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        without_nulls(values);
    }
}

/// Those of the object and those of its parts.
fn bound_conditions(schema: &mut JSONSchemaProps) {
    for (name, property) in schema.properties.iter_mut().flatten() {
        let Some(JSONSchemaPropsOrArray::Schema(item)) = property.items.as_mut() else { continue };
        if name == "conditions" {
            bound_condition(item);
        } else {
            bound_conditions(item);
        }
    }
}

/// The limits that Kubernetes' own schema of a condition has and the derived one has not.
fn bound_condition(condition: &mut JSONSchemaProps) {
    let Some(properties) = &mut condition.properties else { return };
    let limits = [("type", 316), ("reason", 1_024), ("message", 32_768)];
    for (name, limit) in limits {
        if let Some(property) = properties.get_mut(name) {
            property.max_length = Some(limit);
        }
    }
    if let Some(status) = properties.get_mut("status") {
        status.enum_ = Some(["True", "False", "Unknown"].map(|value| JSON(json!(value))).into());
    }
}
