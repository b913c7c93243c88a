//! The controls of a well server: how a test makes it, acts as the people around the operator, and sees what happened.
//!
//! Every control is synchronous and takes effect at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::Request;
use kube::client::Body;
use serde_json::{Value, json};

use crate::calls::{Call, Write};
use crate::preconditions::Preconditions;
use crate::resource::Resource;
use crate::server::{Shared, State};
use crate::store::Key;
use crate::writes::{Part, has_finalizers, intention, is_terminating};

/// An in-memory Kubernetes API server.
#[derive(Clone)]
pub struct KubeSim {
    pub(crate) shared: Arc<Shared>,
}

impl KubeSim {
    /// A server with the namespaces `default` and `kube-system`; its clock starts on 2026-01-01.
    pub fn new(seed: u64) -> Self {
        // 2026-01-01T00:00:00Z
        Self::starting_at(seed, jiff::Timestamp::from_second(1_767_225_600).unwrap_or_default())
    }

    /// The same, with the time of day that this moment of the virtual clock stands for.
    pub fn starting_at(seed: u64, epoch: jiff::Timestamp) -> Self {
        let sim = Self { shared: Arc::new(Shared::new(seed, epoch)) };
        for name in ["default", "kube-system"] {
            // Cannot be refused: the names are good and free.
            let _ = sim.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        sim
    }

    /// Serves one more kind.
    #[must_use]
    pub fn serve(self, resource: Resource) -> Self {
        let mut state = self.shared.lock();
        state.served.retain(|served| served.key() != resource.key());
        state.served.push(Arc::new(resource));
        drop(state);
        self
    }

    /// A client of this server. Needs a running tokio runtime.
    pub fn client(&self) -> kube::Client {
        self.client_as("operator")
    }

    /// A client whose calls carry this name.
    pub fn client_as(&self, caller: &str) -> kube::Client {
        let (shared, caller): (_, Arc<str>) = (Arc::clone(&self.shared), caller.into());
        let service =
            tower::service_fn(move |request: Request<Body>| Arc::clone(&shared).serve(Arc::clone(&caller), request));
        kube::Client::new(service, "default")
    }

    // ── as a user ──

    /// Creates or updates, as `kubectl apply` of a whole object does: `status` and finalizers stay, labels and annotations are merged,
    /// all else is as given. A namespace that does not exist is created first.
    pub fn apply(&self, object: &Value) -> anyhow::Result<Value> {
        self.act(|state, at| {
            let kind = state.kind_of(object)?;
            let metadata = &object["metadata"];
            let namespace = if kind.namespaced { metadata["namespace"].as_str().unwrap_or("default") } else { "" };
            let name = metadata["name"].as_str().context("the object has no name")?;
            state.ensure_namespace(namespace, at)?;
            let key = Key::new(&kind.key(), namespace, name);
            if state.store.get(&key).is_none() {
                return Ok(Value::clone(&state.store.create(&kind, namespace, object.clone(), at)?.object));
            }
            let written = state.store.update(&kind, &key, Part::Main, at, |old| Ok(applied_over(old, object)))?;
            Ok(Value::clone(&written.object))
        })
    }

    /// `apply` for each document of a YAML text.
    pub fn apply_yaml(&self, yaml: &str) -> anyhow::Result<Vec<Value>> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
        documents.into_iter().filter(|document| !document.is_null()).map(|document| self.apply(&document)).collect()
    }

    /// Deletes as `kubectl delete` does; finalizers hold the object.
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.act(|state, at| {
            let (kind, key) = state.locate(plural, namespace, name)?;
            state.store.delete(&kind, &key, &Preconditions::default(), at)?;
            Ok(())
        })
    }

    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.shared.lock();
        let (_, key) = state.locate(plural, namespace, name).ok()?;
        state.store.get(&key).map(|object| Value::clone(&object))
    }

    /// All objects of a kind in order, also those an emptied store hides; an empty namespace means all.
    pub fn list(&self, plural: &str, namespace: &str) -> Vec<Value> {
        let state = self.shared.lock();
        let Ok((_, key)) = state.locate(plural, namespace, "") else { return Vec::new() };
        let keys = state.store.keys(&key.kind, namespace);
        keys.iter().filter_map(|key| state.store.get(key)).map(|object| Value::clone(&object)).collect()
    }

    // ── from outside, past every rule ──

    /// Alters a stored object in any way: status, finalizers, uid. What is terminating and has no finalizer left is gone. `alter`
    /// must not use the server.
    pub fn edit(
        &self,
        plural: &str,
        namespace: &str,
        name: &str,
        alter: impl FnOnce(&mut Value),
    ) -> anyhow::Result<()> {
        self.act(|state, at| {
            let (kind, key) = state.locate(plural, namespace, name)?;
            let old = state.store.get(&key).context("no such object")?;
            let mut next = Value::clone(&old);
            alter(&mut next);
            let same_generation = next["metadata"]["generation"] == old["metadata"]["generation"];
            if kind.is_custom() && same_generation && intention(&kind, &next) != intention(&kind, &old) {
                let generation = old["metadata"]["generation"].as_u64().unwrap_or_default();
                next["metadata"]["generation"] = (generation + 1).into();
            }
            if is_terminating(&next) && !has_finalizers(&next) && !kind.is_namespace() {
                state.store.remove(&key, at);
            } else if next != *old {
                state.store.put(&key, next, at);
            }
            Ok(())
        })
    }

    /// Takes an object away at once, finalizers or not.
    pub fn vanish(&self, plural: &str, namespace: &str, name: &str) -> anyhow::Result<()> {
        self.act(|state, at| {
            let (_, key) = state.locate(plural, namespace, name)?;
            ensure!(state.store.remove(&key, at).is_some(), "no such object");
            Ok(())
        })
    }

    // ── what happened ──

    /// Every request so far, without bodies.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// Every write request so far, refused ones too. What `apply`, `edit` and the other controls do is not among them.
    pub fn writes(&self) -> Vec<Write> {
        self.shared.lock().calls.iter().filter(|call| call.verb.is_write()).map(Write::from).collect()
    }

    /// The requests as text, a line each: equal for equal seeds.
    pub fn trace(&self) -> Vec<String> {
        self.shared.lock().calls.iter().map(Call::line).collect()
    }

    pub fn forget_calls(&self) {
        self.tell(|state| state.calls.clear());
    }

    /// The resourceVersion of the latest change anywhere.
    pub fn revision(&self) -> u64 {
        self.shared.lock().store.revision
    }

    /// The states of a kind's objects that were written after a revision, as far as watches could still be told of them.
    pub fn written_since(&self, plural: &str, revision: u64) -> Vec<Value> {
        let state = self.shared.lock();
        let Ok((_, key)) = state.locate(plural, "", "") else { return Vec::new() };
        let newer = state.store.log.iter().rev().take_while(|entry| entry.revision > revision);
        newer.filter(|entry| entry.key.kind == key.kind).map(|entry| Value::clone(&entry.object)).collect()
    }

    /// The server's time of day.
    pub fn now(&self) -> jiff::Timestamp {
        let epoch = self.shared.lock().store.epoch;
        jiff::SignedDuration::try_from(self.shared.elapsed())
            .ok()
            .and_then(|d| epoch.checked_add(d).ok())
            .unwrap_or(epoch)
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_waiters();
    }

    fn act<T>(&self, action: impl FnOnce(&mut State, Duration) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let at = self.shared.elapsed();
        let mut state = self.shared.lock();
        let done = action(&mut state, at)?;
        state.settle(at);
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(done)
    }
}

/// `given` as a user's next version of `old`.
fn applied_over(old: &Value, given: &Value) -> Value {
    let mut next = given.clone();
    let mut metadata = old["metadata"].clone();
    for map in ["labels", "annotations"] {
        for (name, value) in given["metadata"][map].as_object().into_iter().flatten() {
            metadata[map][name] = value.clone();
        }
    }
    next["metadata"] = metadata;
    next
}

impl State {
    fn kind_of(&self, object: &Value) -> anyhow::Result<Arc<Resource>> {
        let found =
            self.served.iter().find(|kind| object["apiVersion"] == kind.api_version() && object["kind"] == kind.kind);
        found.cloned().with_context(|| format!("not served: {} {}", object["apiVersion"], object["kind"]))
    }

    fn locate(&self, plural: &str, namespace: &str, name: &str) -> anyhow::Result<(Arc<Resource>, Key)> {
        let kind = self.served.iter().find(|kind| kind.plural == plural || kind.key() == plural);
        let kind = kind.cloned().with_context(|| format!("not served: {plural}"))?;
        let key = Key::new(&kind.key(), namespace, name);
        Ok((kind, key))
    }

    fn ensure_namespace(&mut self, name: &str, at: Duration) -> anyhow::Result<()> {
        if name.is_empty() || self.store.get(&Key::new("namespaces", "", name)).is_some() {
            return Ok(());
        }
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let kind = self.kind_of(&body)?;
        self.store.create(&kind, "", body, at)?;
        Ok(())
    }
}
