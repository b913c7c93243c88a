//! The structural half of a definition's schema, offline: what the API server checks before any rule runs. It knows
//! the members our own schemas use, and no others.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::kinds::Faults;

/// What stands beside `spec` and `status` in every object and in no schema of ours.
const EVERY_OBJECT: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the API server drops: nulls in optional fields. Our schemas know no other null.
pub(super) fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.iter_mut().for_each(|(_, member)| without_nulls(member));
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// Checks a whole object against the schema of its kind.
pub(super) fn object(schema: &Value, object: &Value, faults: &mut Faults) {
    let known = |name: &String| EVERY_OBJECT.contains(&name.as_str()) || !schema["properties"][name].is_null();
    for name in object.as_object().into_iter().flat_map(|members| members.keys()).filter(|name| !known(name)) {
        faults.add(name, format!("unknown field \"{name}\""), "an object has apiVersion, kind, metadata and spec");
    }
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        faults.add("metadata.name", "Required value", "name the object");
    }
    let (spec, hint) = (&schema["properties"]["spec"], "see the documentation of the kind");
    match &object["spec"] {
        Value::Null => faults.add("spec", "Required value", hint),
        value => node(spec, value, "spec", hint, faults),
    }
}

/// Checks a value at a path. `hint` is the nearest description: it says what the field expects.
fn node(schema: &Value, value: &Value, path: &str, hint: &str, faults: &mut Faults) {
    let hint = schema["description"].as_str().unwrap_or(hint);
    let expected = schema["type"].as_str().unwrap_or_default();
    if !is_of_type(value, expected) {
        let quotes = if expected == "string" && value.is_number() { "; write it in quotes" } else { "" };
        faults.add(
            path,
            format!("must be of type {expected}, not {}", type_of(value)),
            format!("{}{quotes}", cure(hint)),
        );
        return;
    }
    one_of(schema, value, path, hint, faults);
    match value {
        Value::String(text) => string(schema, text, path, hint, faults),
        Value::Array(items) => array(schema, items, path, hint, faults),
        Value::Number(number) => bounds(schema, number.as_f64().unwrap_or_default(), path, hint, faults),
        Value::Object(members) if schema["properties"].is_object() => members_of(schema, members, path, faults),
        Value::Object(members) => map(schema, members, path, hint, faults),
        _ => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_of_type(value: &Value, expected: &str) -> bool {
    let actual = type_of(value);
    actual == expected || (expected == "number" && actual == "integer")
}

fn one_of(schema: &Value, value: &Value, path: &str, hint: &str, faults: &mut Faults) {
    let Some(allowed) = schema["enum"].as_array() else { return };
    if !allowed.contains(value) {
        let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
        faults.add(path, format!("Unsupported value: {value}: supported values: {}", allowed.join(", ")), cure(hint));
    }
}

fn string(schema: &Value, text: &str, path: &str, hint: &str, faults: &mut Faults) {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
        faults.add(path, format!("Too long: may not be more than {max} bytes"), cure(hint));
    }
    if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
        faults.add(path, format!("\"{text}\" should be at least {min} chars long"), cure(hint));
    }
    let Some(pattern) = schema["pattern"].as_str() else { return };
    // A pattern that does not compile matches nothing: then the tests of the definitions fail, not open.
    if !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text)) {
        faults.add(path, format!("\"{text}\" should match '{pattern}'"), cure(hint));
    }
}

fn bounds(schema: &Value, number: f64, path: &str, hint: &str, faults: &mut Faults) {
    if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
        faults.add(path, format!("should be greater than or equal to {min}"), cure(hint));
    }
    if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
        faults.add(path, format!("should be less than or equal to {max}"), cure(hint));
    }
}

fn array(schema: &Value, items: &[Value], path: &str, hint: &str, faults: &mut Faults) {
    let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
    if let Some(max) = schema["maxItems"].as_u64().filter(|max| length > *max) {
        faults.add(path, format!("Too many: {length}: must have at most {max} items"), cure(hint));
    }
    if let Some(min) = schema["minItems"].as_u64().filter(|min| length < *min) {
        faults.add(path, format!("should have at least {min} items"), cure(hint));
    }
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{path}[{i}]");
        node(&schema["items"], item, &path, hint, faults);
        let identity = match keys {
            Some(keys) => keys.iter().filter_map(Value::as_str).map(|key| item[key].to_string()).collect(),
            None => vec![item.to_string()],
        };
        let distinct = schema["x-kubernetes-list-type"] == "set" || keys.is_some();
        if !seen.insert(identity.join(" ")) && distinct {
            faults.add(path, format!("Duplicate value: {}", identity.join(" ")), "write it once");
        }
    }
}

fn members_of(schema: &Value, members: &serde_json::Map<String, Value>, path: &str, faults: &mut Faults) {
    let known = &schema["properties"];
    for (name, value) in members {
        if known[name].is_object() {
            node(&known[name], value, &format!("{path}.{name}"), "", faults);
        } else {
            let known: Vec<&str> =
                known.as_object().into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
            faults.add(
                format!("{path}.{name}"),
                format!("unknown field \"{path}.{name}\""),
                format!("{path} has {}", known.join(", ")),
            );
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            let hint = known[name]["description"].as_str().unwrap_or_default();
            faults.add(format!("{path}.{name}"), "Required value", cure(hint));
        }
    }
}

fn map(schema: &Value, members: &serde_json::Map<String, Value>, path: &str, hint: &str, faults: &mut Faults) {
    let length = u64::try_from(members.len()).unwrap_or(u64::MAX);
    let beyond =
        |name: &str, wrong: fn(u64, u64) -> bool| schema[name].as_u64().is_some_and(|bound| wrong(length, bound));
    if beyond("maxProperties", |length, max| length > max) || beyond("minProperties", |length, min| length < min) {
        faults.add(path, format!("has {length} entries"), cure(hint));
    }
    for (name, value) in members {
        node(&schema["additionalProperties"], value, &format!("{path}.{name}"), hint, faults);
    }
}

/// A description, as the cure of a fault: it says what is expected and shows an example.
fn cure(description: &str) -> String {
    let line = description.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("expected here: {}", line.trim_end_matches('.'))
}
