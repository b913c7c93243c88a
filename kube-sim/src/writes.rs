//! The rules of writes: what create, update and delete do to an object and its metadata, and when they are refused.
//!
//! The rules are those of kube-apiserver for custom resources; `behaviours.rs` holds both servers to them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::preconditions::Preconditions;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::store::{Key, Store};

/// The outcome of a write that was not refused.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    /// A new revision came of it.
    pub(crate) changed: bool,
    pub(crate) created: bool,
    pub(crate) removed: bool,
}

/// What of an object an update may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but `status`, where the kind has a status subresource.
    Main,
    Status,
}

impl Store {
    pub(crate) fn create(
        &mut self,
        kind: &Resource,
        namespace: &str,
        mut body: Value,
        at: Duration,
    ) -> Result<Written, Refusal> {
        check_type(kind, &mut body)?;
        let metadata = &mut body["metadata"];
        let name = match (metadata["name"].as_str(), metadata["generateName"].as_str()) {
            (Some(name), _) if !name.is_empty() => name.to_string(),
            (_, Some(prefix)) if !prefix.is_empty() => format!("{prefix}{}", self.name_suffix()),
            _ => {
                return Err(Refusal::invalid(
                    &kind.key(),
                    "",
                    "metadata.name",
                    "Required value: name or generateName is required",
                ));
            }
        };
        check_name(kind, &name)?;
        check_namespace(metadata, namespace)?;
        if metadata["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            return Err(Refusal::version_on_create());
        }
        self.admit_into(kind, namespace, &name)?;
        let key = Key::new(&kind.key(), namespace, &name);
        let taken = self.objects.contains_key(&key);
        metadata["name"] = name.into();
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        for set_by_server in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            drop_member(metadata, set_by_server);
        }
        metadata["uid"] = if taken { Value::Null } else { self.uid().into() };
        metadata["creationTimestamp"] = self.timestamp(at).into();
        if kind.is_custom() {
            metadata["generation"] = 1.into();
        }
        tidy(metadata);
        if kind.status_subresource {
            drop_member(&mut body, "status");
        }
        if kind.is_namespace() {
            complete_namespace(&mut body);
        }
        kind.normalise(&mut body);
        // etcd weighs a request before it looks whether the name is taken.
        self.check_size(&key, &body)?;
        if taken {
            return Err(Refusal::already_exists(&key.kind, &key.name));
        }
        if kind.status_subresource && kind.is_custom() && !body["status"].is_null() {
            self.undefaulted.insert(key.clone());
        }
        let object = self.put(&key, body, at);
        Ok(Written { object, changed: true, created: true, removed: false })
    }

    fn admit_into(&self, kind: &Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
        if !kind.namespaced {
            return Ok(());
        }
        let Some(found) = self.get(&Key::new("namespaces", "", namespace)) else {
            return Err(Refusal::not_found("namespaces", namespace));
        };
        if is_terminating(&found) {
            return Err(Refusal::namespace_terminating(&kind.key(), name, namespace));
        }
        Ok(())
    }

    /// A PUT: its uid is a precondition, where that of a patch is a member it cannot change.
    pub(crate) fn replace(
        &mut self,
        kind: &Resource,
        key: &Key,
        part: Part,
        body: &Value,
        at: Duration,
    ) -> Result<Written, Refusal> {
        self.update(kind, key, part, at, |old| {
            let (sent, found) = (body["metadata"]["uid"].as_str().unwrap_or_default(), &old["metadata"]["uid"]);
            if !sent.is_empty() && *found != sent {
                return Err(Refusal::uid_precondition(key, sent, found.as_str().unwrap_or_default()));
            }
            Ok(body.clone())
        })
    }

    /// Replaces what is stored by what `next` makes of it. A PUT needs a resourceVersion, a patch only honours one.
    pub(crate) fn update(
        &mut self,
        kind: &Resource,
        key: &Key,
        part: Part,
        at: Duration,
        next: impl FnOnce(&Value) -> Result<Value, Refusal>,
    ) -> Result<Written, Refusal> {
        let Some(old) = self.get(key) else { return Err(Refusal::not_found(&key.kind, &key.name)) };
        let mut next = prepare(kind, key, part, &old, next(&old)?)?;
        if !self.undefaulted.contains(key) && next == *old {
            return Ok(Written { object: old, changed: false, created: false, removed: false });
        }
        if is_terminating(&next) && !has_finalizers(&next) && !kind.is_namespace() {
            // The update that takes the last finalizer is the deletion; there is no MODIFIED before it.
            self.remove(key, at);
            next["metadata"]["resourceVersion"] = self.revision.to_string().into();
            return Ok(Written { object: Arc::new(next), changed: true, created: false, removed: true });
        }
        self.check_size(key, &next)?;
        self.undefaulted.remove(key);
        let object = self.put(key, next, at);
        Ok(Written { object, changed: true, created: false, removed: false })
    }

    pub(crate) fn delete(
        &mut self,
        kind: &Resource,
        key: &Key,
        preconditions: &Preconditions,
        at: Duration,
    ) -> Result<Written, Refusal> {
        let Some(old) = self.get(key) else { return Err(Refusal::not_found(&key.kind, &key.name)) };
        preconditions.check(kind, &key.name, &old["metadata"])?;
        if is_terminating(&old) {
            return Ok(Written { object: old, changed: false, created: false, removed: false });
        }
        if !has_finalizers(&old) && !kind.is_namespace() {
            let object = self.remove(key, at).unwrap_or(old);
            return Ok(Written { object, changed: true, created: false, removed: true });
        }
        let mut next = Value::clone(&old);
        next["metadata"]["deletionTimestamp"] = self.timestamp(at).into();
        if kind.is_namespace() {
            next["status"]["phase"] = "Terminating".into();
        } else {
            next["metadata"]["deletionGracePeriodSeconds"] = 0.into();
        }
        // The going counts as a new intention.
        if let Some(generation) = next["metadata"]["generation"].as_u64() {
            next["metadata"]["generation"] = (generation + 1).into();
        }
        self.check_size(key, &next)?;
        let object = self.put(key, next, at);
        Ok(Written { object, changed: true, created: false, removed: false })
    }

    /// What the namespace controller does: deletes what is in terminating namespaces, and those that are empty. True if anything
    /// changed.
    pub(crate) fn step_namespaces(&mut self, served: &[Arc<Resource>], at: Duration) -> bool {
        let before = self.revision;
        for namespace in self.keys("namespaces", "") {
            let Some(object) = self.get(&namespace).filter(|object| is_terminating(object)) else { continue };
            let mut empty = true;
            for kind in served.iter().filter(|kind| kind.namespaced) {
                for key in self.keys(&kind.key(), &namespace.name) {
                    // Never refused: without preconditions a delete of what exists always works.
                    empty &=
                        self.delete(kind, &key, &Preconditions::default(), at).is_ok_and(|written| written.removed);
                }
            }
            if empty && !has_finalizers(&object) {
                self.remove(&namespace, at);
            }
        }
        self.revision != before
    }
}

/// What an update really stores: the rest stays as it was.
fn prepare(kind: &Resource, key: &Key, part: Part, old: &Value, mut new: Value) -> Result<Value, Refusal> {
    check_type(kind, &mut new)?;
    let (was, metadata) = (&old["metadata"], &mut new["metadata"]);
    let sent = |metadata: &Value, member: &str| metadata[member].as_str().unwrap_or_default().to_string();
    let name = sent(metadata, "name");
    if name != key.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    check_namespace(metadata, &key.namespace)?;
    let version = sent(metadata, "resourceVersion");
    if version.is_empty() && !kind.is_namespace() {
        let why = "Invalid value: 0: must be specified for an update";
        return Err(Refusal::invalid(&key.kind, &key.name, "metadata.resourceVersion", why));
    }
    if !version.is_empty() && version != sent(was, "resourceVersion") {
        return Err(Refusal::stale(&key.kind, &key.name));
    }
    let mut next = if part == Part::Status {
        let mut next = old.clone();
        set_or_drop(&mut next, "status", &new["status"]);
        next
    } else {
        let uid = sent(metadata, "uid");
        if !uid.is_empty() && uid != sent(was, "uid") {
            let why = format!("Invalid value: \"{uid}\": field is immutable");
            return Err(Refusal::invalid(&kind.kind_key(), &key.name, "metadata.uid", &why));
        }
        inherit_metadata(was, metadata);
        tidy(metadata);
        check_no_new_finalizers(kind, &key.name, was, metadata)?;
        if kind.status_subresource {
            set_or_drop(&mut new, "status", &old["status"]);
        }
        new
    };
    kind.normalise(&mut next);
    if kind.is_custom() && intention(kind, old) != intention(kind, &next) {
        let generation = was["generation"].as_u64().unwrap_or_default();
        next["metadata"]["generation"] = (generation + 1).into();
    }
    Ok(next)
}

/// What an update cannot change, whatever it says.
fn inherit_metadata(was: &Value, metadata: &mut Value) {
    const SET_BY_SERVER: [&str; 7] = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "namespace",
        "resourceVersion",
    ];
    for member in SET_BY_SERVER {
        set_or_drop(metadata, member, &was[member]);
    }
}

/// What the generation counts: everything but metadata and (with a subresource) status.
pub(crate) fn intention(kind: &Resource, object: &Value) -> Value {
    let mut rest = object.clone();
    drop_member(&mut rest, "metadata");
    if kind.status_subresource {
        drop_member(&mut rest, "status");
    }
    rest
}

pub(crate) fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

pub(crate) fn finalizers(metadata: &Value) -> Vec<&str> {
    metadata["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

pub(crate) fn has_finalizers(object: &Value) -> bool {
    !finalizers(&object["metadata"]).is_empty()
}

/// Empty members of metadata do not survive the server's own types.
fn tidy(metadata: &mut Value) {
    if let Value::Object(members) = metadata {
        members.shift_remove("managedFields");
        members.shift_remove("selfLink");
        members.retain(|_, member| match member {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(inner) => !inner.is_empty(),
            Value::String(text) => !text.is_empty(),
            _ => true,
        });
    }
}

fn drop_member(value: &mut Value, member: &str) {
    if let Value::Object(members) = value {
        members.shift_remove(member);
    }
}

fn set_or_drop(value: &mut Value, member: &str, to: &Value) {
    if to.is_null() {
        drop_member(value, member);
    } else {
        value[member] = to.clone();
    }
}

fn complete_namespace(body: &mut Value) {
    let name = body["metadata"]["name"].clone();
    body["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    body["spec"] = json!({"finalizers": ["kubernetes"]});
    body["status"] = json!({"phase": "Active"});
}

fn check_type(kind: &Resource, body: &mut Value) -> Result<(), Refusal> {
    let Value::Object(members) = &*body else {
        return Err(Refusal::bad_request("the object provided is unrecognized: not a JSON object"));
    };
    if !members.get("metadata").is_none_or(|metadata| metadata.is_object() || metadata.is_null()) {
        return Err(Refusal::bad_request("metadata is not an object"));
    }
    if body["metadata"].is_null() {
        body["metadata"] = json!({});
    }
    let (api_version, name) = (kind.api_version(), kind.kind.as_str());
    // The typed clients of built-in kinds may leave the type out; the real server then takes it from the URL.
    for (member, expected) in [("apiVersion", api_version.as_str()), ("kind", name)] {
        match body[member].as_str() {
            Some(found) if found == expected => {}
            None | Some("") if !kind.is_custom() => body[member] = expected.into(),
            found => {
                let found = found.unwrap_or_default();
                return Err(Refusal::bad_request(format!("{member} in the data ({found}) does not match {expected}")));
            }
        }
    }
    Ok(())
}

fn check_name(kind: &Resource, name: &str) -> Result<(), Refusal> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = name.len() <= 253
        && name.chars().all(|c| letter(c) || c == '-' || c == '.')
        && name.starts_with(letter)
        && name.ends_with(letter);
    if good {
        return Ok(());
    }
    let why = format!(
        "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    );
    Err(Refusal::invalid(&kind.kind_key(), name, "metadata.name", &why))
}

fn check_namespace(metadata: &Value, namespace: &str) -> Result<(), Refusal> {
    match metadata["namespace"].as_str() {
        Some(found) if !found.is_empty() && found != namespace => Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        _ => Ok(()),
    }
}

fn check_no_new_finalizers(kind: &Resource, name: &str, was: &Value, metadata: &Value) -> Result<(), Refusal> {
    let old = finalizers(was);
    let new: Vec<&str> = finalizers(metadata).into_iter().filter(|f| !old.contains(f)).collect();
    if new.is_empty() || !was["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let why = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        new.iter().map(|finalizer| format!("{finalizer:?}")).collect::<Vec<_>>().join(", ")
    );
    Err(Refusal::invalid(&kind.kind_key(), name, "metadata.finalizers", &why))
}
