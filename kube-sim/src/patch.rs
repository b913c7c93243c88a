//! The patches of kube-apiserver: JSON patch, merge patch, and a simple server-side apply.
//!
//! Apply is simplified: it knows who applied which field, but it never conflicts (as with `force`), and a list belongs to whoever
//! applied it last, `metadata.finalizers` apart, which is a set.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::store::{Key, Store};
use crate::writes::{Part, Written};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchType {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchType {
    pub(crate) fn of(content_type: &str) -> Result<Self, Refusal> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Refusal::unsupported_media_type(other)),
        }
    }
}

impl Store {
    pub(crate) fn patch(
        &mut self,
        kind: &Resource,
        key: &Key,
        part: Part,
        (patch_type, patch): (PatchType, &Value),
        manager: &str,
        at: Duration,
    ) -> Result<Written, Refusal> {
        match patch_type {
            PatchType::Apply => self.apply(kind, key, part, patch, manager, at),
            PatchType::Strategic if kind.is_custom() => {
                Err(Refusal::unsupported_media_type("application/strategic-merge-patch+json"))
            }
            PatchType::Merge | PatchType::Strategic => self.update(kind, key, part, at, |old| {
                let mut next = old.clone();
                json_patch::merge(&mut next, patch);
                Ok(next)
            }),
            PatchType::Json => {
                let patch: json_patch::Patch = serde_json::from_value(patch.clone())
                    .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
                self.update(kind, key, part, at, |old| {
                    let mut next = old.clone();
                    json_patch::patch(&mut next, &patch).map_err(|error| Refusal::patch_failed(&error.to_string()))?;
                    Ok(next)
                })
            }
        }
    }

    fn apply(
        &mut self,
        kind: &Resource,
        key: &Key,
        part: Part,
        wanted: &Value,
        manager: &str,
        at: Duration,
    ) -> Result<Written, Refusal> {
        if manager.is_empty() {
            return Err(Refusal::bad_request(
                "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        if !finalizers_aside(wanted).is_object() {
            return Err(Refusal::bad_request("the apply patch is not an object"));
        }
        let written = if self.objects.contains_key(key) {
            let slot = (key.clone(), manager.to_string());
            let before = self.applied.get(&slot).cloned().unwrap_or(Value::Null);
            let others: Vec<Value> = self
                .applied
                .iter()
                .filter(|((applied_to, by), _)| applied_to == key && by != manager)
                .map(|(_, config)| config.clone())
                .collect();
            self.update(kind, key, part, at, |old| {
                let mut next = old.clone();
                overlay(&mut next, &before, wanted, &others.iter().collect::<Vec<_>>());
                next["metadata"]["finalizers"] = united_finalizers(old, &before, wanted);
                Ok(next)
            })?
        } else if part == Part::Status {
            return Err(Refusal::not_found(&key.kind, &key.name));
        } else {
            let mut body = wanted.clone();
            if body["metadata"].is_null() {
                body["metadata"] = json!({});
            }
            body["metadata"]["name"] = key.name.clone().into();
            self.create(kind, &key.namespace, body, at)?
        };
        self.applied.insert((key.clone(), manager.to_string()), wanted.clone());
        Ok(written)
    }
}

/// `wanted` over `current`; what this manager applied `before` and no longer does goes, unless one of the `others` applies it too.
fn overlay(current: &mut Value, before: &Value, wanted: &Value, others: &[&Value]) {
    let Value::Object(wanted) = wanted else {
        current.clone_from(wanted);
        return;
    };
    if !current.is_object() {
        *current = Value::Object(Map::new());
    }
    let Value::Object(current) = current else { return };
    for name in before.as_object().into_iter().flat_map(Map::keys) {
        if !wanted.contains_key(name) && others.iter().all(|other| other.get(name).is_none()) {
            current.shift_remove(name);
        }
    }
    for (name, value) in wanted {
        let inner: Vec<&Value> = others.iter().filter_map(|other| other.get(name)).collect();
        overlay(current.entry(name.clone()).or_insert(Value::Null), &before[name], value, &inner);
    }
}

fn finalizers_aside(wanted: &Value) -> Value {
    let mut rest = wanted.clone();
    if let Some(metadata) = rest.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("finalizers");
    }
    rest
}

fn united_finalizers(old: &Value, before: &Value, wanted: &Value) -> Value {
    let of = |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let (before, wanted) = (of(before), of(wanted));
    let mut united: Vec<Value> = of(old).into_iter().filter(|f| wanted.contains(f) || !before.contains(f)).collect();
    for finalizer in wanted {
        if !united.contains(&finalizer) {
            united.push(finalizer);
        }
    }
    Value::Array(united)
}
