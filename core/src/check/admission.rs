//! Admission, offline: the definitions' schemas and CEL rules, the same text that the API server runs.

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

use super::structure;
use crate::api::crds;
use crate::kinds::{Fault, Faults};

/// What the API server knows of our kinds, compiled once.
pub struct Admission(Vec<Definition>);

struct Definition {
    api_version: String,
    kind: String,
    schema: Value,
    rules: CompiledSchema,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new()
    }
}

impl Admission {
    pub fn new() -> Self {
        let mut definitions = Vec::new();
        for crd in crds() {
            for version in &crd.spec.versions {
                let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
                let schema = serde_json::to_value(schema).unwrap_or_default();
                definitions.push(Definition {
                    api_version: format!("{}/{}", crd.spec.group, version.name),
                    kind: crd.spec.names.kind.clone(),
                    rules: compile_schema(&schema),
                    schema,
                });
            }
        }
        Self(definitions)
    }

    /// What the API server would say of an object, as stored; `old` is the one it replaces.
    pub fn faults(&self, object: &Value, old: Option<&Value>) -> Vec<Fault> {
        let text = |name: &str| object[name].as_str().unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if let Some(definition) = self.0.iter().find(|d| d.api_version == api_version && d.kind == kind) {
            return definition.faults(object, old);
        }
        let known: Vec<String> = self.0.iter().map(|d| format!("{} of {}", d.kind, d.api_version)).collect();
        let problem = format!("{kind} of {api_version} is not known");
        vec![Fault { field: "kind".to_owned(), problem, cure: format!("write one of {}", known.join(", ")) }]
    }
}

impl Definition {
    /// As in the API server, rules run on what is well-formed only.
    fn faults(&self, object: &Value, old: Option<&Value>) -> Vec<Fault> {
        let mut faults = Faults::default();
        structure::object(&self.schema, object, &mut faults);
        if let Err(faults) = faults.into_result() {
            return faults;
        }
        let broken = Validator::new().validate_compiled(&self.rules, object, old).err();
        broken.into_iter().flatten().map(|error| in_two(&error.field_path, &error.message)).collect()
    }
}

/// A rule's message reads "problem: cure".
fn in_two(field: &str, message: &str) -> Fault {
    let (problem, cure) = message.split_once(": ").unwrap_or((message, ""));
    Fault { field: field.to_owned(), problem: problem.to_owned(), cure: cure.to_owned() }
}
