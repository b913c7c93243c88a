//! The definitions in `crds/` are the ones the types say, structural, bounded and described.
//! `UPDATE_CRDS=1 cargo test -p ecr-permissions-core --test crds` writes them.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::fs;
use std::path::Path;

use ecr_permissions_core::api::{crd_files, crds};
use serde_json::Value;

#[test]
fn the_installed_definitions_are_those_of_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    for (name, text) in crd_files().unwrap() {
        let path = folder.join(&name);
        if std::env::var_os("UPDATE_CRDS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "crds/{name} is not what the types say: run `make crds`");
    }
}

/// Calls `look` with every schema node and its path.
fn walk(path: &str, schema: &Value, look: &mut dyn FnMut(&str, &Value)) {
    // What the operator keeps for itself has no status.
    if schema.is_null() {
        return;
    }
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    for (member, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[member].is_object() {
            walk(&format!("{path}{suffix}"), &schema[member], look);
        }
    }
}

fn complaints(complain: impl Fn(&Value) -> Option<&'static str>) -> Vec<String> {
    let mut complaints = Vec::new();
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let schema = serde_json::to_value(&crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema).unwrap();
        for part in ["spec", "status"] {
            walk(&format!("{kind}.{part}"), &schema["properties"][part], &mut |path, schema| {
                complaints.extend(complain(schema).map(|complaint| format!("{path}: {complaint}")));
            });
        }
    }
    complaints
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn every_list_map_and_text_has_an_upper_bound() {
    assert_none(&complaints(|schema| match schema["type"].as_str()? {
        "string" => {
            let bounded = ["maxLength", "enum", "format"].iter().any(|bound| !schema[bound].is_null());
            (!bounded).then_some("a text without maxLength")
        }
        "array" => schema["maxItems"].is_null().then_some("a list without maxItems"),
        "object" if !schema["additionalProperties"].is_null() => {
            schema["maxProperties"].is_null().then_some("a map without maxProperties")
        }
        _ => None,
    }));
}

#[test]
fn every_schema_is_structural() {
    assert_none(&complaints(|schema| {
        let forbidden = ["$ref", "anyOf", "oneOf", "allOf", "not", "nullable", "propertyNames"];
        if schema["type"].is_null() {
            Some("no type")
        } else if !schema["properties"].is_null() && !schema["additionalProperties"].is_null() {
            Some("both properties and additionalProperties")
        } else {
            forbidden.into_iter().find(|member| !schema[*member].is_null())
        }
    }));
}

#[test]
fn every_list_says_how_it_is_merged() {
    assert_none(&complaints(|schema| {
        let list = schema["type"] == "array" && schema["x-kubernetes-list-type"].is_null();
        list.then_some("no x-kubernetes-list-type")
    }));
}

/// No pattern uses what one of the two regular expression engines (Go's, ours) does not know or reads differently.
#[test]
fn every_pattern_is_anchored_and_plain() {
    assert_none(&complaints(|schema| {
        let pattern = schema["pattern"].as_str()?;
        let plain = !pattern.contains(r"\u") && !pattern.contains(r"\w") && !pattern.contains(r"\d");
        let anchored = pattern.starts_with('^') && pattern.ends_with('$');
        (!plain || !anchored).then_some("a pattern that is not anchored or not plain")
    }));
}

#[test]
fn every_field_is_described_and_those_of_a_spec_show_an_example() {
    let mut complaints = Vec::new();
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let schema = serde_json::to_value(&crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema).unwrap();
        for part in ["spec", "status"] {
            let mut look = |path: &str, schema: &Value| {
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    let text = property["description"].as_str().unwrap_or_default();
                    let leaf =
                        |s: &Value| !s["enum"].is_null() || s["type"] == "object" || s["items"]["type"] == "object";
                    let shown = text.contains("xample") || leaf(property) || leaf(&property["items"]);
                    if text.is_empty() || (part == "spec" && !shown) {
                        complaints.push(format!("{path}.{name}: {text:?}"));
                    }
                }
            };
            walk(&format!("{kind}.{part}"), &schema["properties"][part], &mut look);
        }
    }
    assert_none(&complaints);
}
