//! The controls: how a test makes a server, acts as the people and controllers around the operator, and makes things go wrong.
//!
//! Every control is synchronous and takes effect at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::Request;
use kube::client::Body;
use serde_json::{Value, json};

use crate::calls::{Call, Fault, Matching, Phase, Planned, Then, Write};
use crate::resource::Resource;
use crate::server::{Shared, State};
use crate::store::{Key, Snapshot};
use crate::writes::{Part, Preconditions, has_finalizers, intention, is_terminating};

/// Some kinds, by their plural, or all.
#[derive(Clone, Debug)]
pub enum Kinds {
    All,
    Only(BTreeSet<String>),
}

impl Kinds {
    pub fn only(plurals: &[&str]) -> Self {
        Self::Only(plurals.iter().map(ToString::to_string).collect())
    }

    pub(crate) fn covers(&self, plural: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(plurals) => plurals.contains(plural),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// Every request gets 503.
    Unavailable,
    /// Every connection is refused.
    Refused,
}

/// How an old state comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// etcd is put back as it was, its revision too; watches, open or resumed, get 410.
    Etcd,
    /// The same, but open watches only end, and one resumed from a revision not yet reached sees nothing until it is: what a
    /// real server does when nobody bumped the revision.
    EtcdBlind,
    /// A backup is created anew: new uids, new creation times, new resourceVersions, as backup tools do.
    Recreated { keep_status: bool },
}

/// An in-memory Kubernetes API server.
#[derive(Clone)]
pub struct KubeSim {
    shared: Arc<Shared>,
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
            let _ = sim.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        sim
    }

    /// Serves one more kind.
    #[must_use]
    pub fn serve(self, resource: Resource) -> Self {
        let mut state = self.shared.lock();
        state.served.retain(|served| served.key() != resource.key());
        state.served.push(resource);
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
    pub fn apply(&self, object: Value) -> anyhow::Result<Value> {
        self.act(|state, at| {
            let kind = state.kind_of(&object)?;
            let metadata = &object["metadata"];
            let namespace = if kind.namespaced { metadata["namespace"].as_str().unwrap_or("default") } else { "" };
            let name = metadata["name"].as_str().context("the object has no name")?;
            state.ensure_namespace(namespace, at)?;
            let key = Key::new(&kind.key(), namespace, name);
            if state.store.get(&key).is_none() {
                return Ok(Value::clone(&state.store.create(&kind, namespace, object.clone(), at)?.object));
            }
            let written = state.store.update(&kind, &key, Part::Main, at, |old| Ok(applied_over(old, &object)))?;
            Ok(Value::clone(&written.object))
        })
    }

    /// `apply` for each document of a YAML text.
    pub fn apply_yaml(&self, yaml: &str) -> anyhow::Result<Vec<Value>> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
        documents.into_iter().filter(|document| !document.is_null()).map(|document| self.apply(document)).collect()
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

    /// Alters a stored object in any way: status, finalizers, uid. What is terminating and has no finalizer left is gone.
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

    /// What etcd holds now.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.lock().store.snapshot()
    }

    pub fn restore(&self, snapshot: &Snapshot, how: Restore) {
        let at = self.shared.elapsed();
        let mut state = self.shared.lock();
        match how {
            Restore::Etcd => {
                state.store.restore(snapshot);
                state.restores += 1;
                state.future_expired = true;
            }
            Restore::EtcdBlind => {
                state.store.restore(snapshot);
                state.connections += 1;
                state.future_expired = false;
            }
            Restore::Recreated { keep_status } => state.recreate(snapshot, keep_status, at),
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Events of these kinds are held back; requests are answered as ever. Replaces what was frozen before.
    pub fn freeze_watches(&self, kinds: Kinds) {
        self.tell(|state| state.frozen = kinds);
    }

    /// Held-back events are delivered.
    pub fn thaw_watches(&self) {
        self.tell(|state| state.frozen = Kinds::only(&[]));
    }

    /// Every event reaches its watches this much later.
    pub fn set_watch_delay(&self, delay: Duration) {
        self.tell(|state| state.watch_delay = delay);
    }

    /// Watches of these kinds get 410 and must list again.
    pub fn relist(&self, kinds: &Kinds) {
        self.tell(|state| {
            for kind in state.keys_of(kinds) {
                state.store.forget(&kind);
            }
        });
    }

    /// Every open watch ends without a word; the next requests are served.
    pub fn drop_connections(&self) {
        self.tell(|state| state.connections += 1);
    }

    /// Lists and watches of these kinds show nothing, though the objects are there (and a GET finds them). With `announced`, open
    /// watches get a DELETED for each.
    pub fn empty(&self, kinds: &Kinds, announced: bool) {
        let at = self.shared.elapsed();
        self.tell(|state| state.keys_of(kinds).iter().for_each(|kind| state.store.empty(kind, announced, at)));
    }

    /// Ends `empty`; watches get an ADDED for each object.
    pub fn refill(&self, kinds: &Kinds) {
        let at = self.shared.elapsed();
        self.tell(|state| state.keys_of(kinds).iter().for_each(|kind| state.store.refill(kind, at)));
    }

    /// The server is out of reach, until told otherwise; open watches break.
    pub fn outage(&self, outage: Option<Outage>) {
        self.tell(|state| {
            state.outage = outage;
            if outage.is_some() {
                state.connections += 1;
            }
        });
    }

    /// Each answer takes between `least` and `most`, half of it before the effect.
    pub fn set_latency(&self, least: Duration, most: Duration) {
        self.tell(|state| state.latency = (least, most.max(least)));
    }

    /// The `nth` matching call from now (1 is the next), and the `times - 1` after it, meet the fault.
    pub fn inject(&self, matching: Matching, nth: u32, times: u32, fault: Fault) {
        self.tell(|state| state.faults.push(Planned::new(matching, nth, times, fault)));
    }

    pub fn clear_faults(&self) {
        self.tell(|state| state.faults.clear());
    }

    /// Sees every call before and after its effect and decides what becomes of it. Called without any lock held; must not block.
    pub fn on_call(&self, observer: impl Fn(&Call, Phase) -> Then + Send + Sync + 'static) {
        self.tell(|state| state.observer = Some(Arc::new(observer)));
    }

    pub fn clear_observer(&self) {
        self.tell(|state| state.observer = None);
    }

    /// Namespaces go only by `step_namespaces`, no longer by themselves.
    pub fn namespaces_by_hand(&self) {
        self.tell(|state| state.namespaces_by_hand = true);
    }

    /// One round of the namespace controller; true if it changed anything.
    pub fn step_namespaces(&self) -> bool {
        let at = self.shared.elapsed();
        let mut changed = false;
        self.tell(|state| changed = state.store.step_namespaces(&state.served, at));
        changed
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

    /// The server's time of day.
    pub fn now(&self) -> jiff::Timestamp {
        let epoch = self.shared.lock().store.epoch;
        jiff::SignedDuration::try_from(self.shared.elapsed())
            .ok()
            .and_then(|d| epoch.checked_add(d).ok())
            .unwrap_or(epoch)
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
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
    fn kind_of(&self, object: &Value) -> anyhow::Result<Resource> {
        let found =
            self.served.iter().find(|kind| object["apiVersion"] == kind.api_version() && object["kind"] == kind.kind);
        found.cloned().with_context(|| format!("not served: {} {}", object["apiVersion"], object["kind"]))
    }

    fn locate(&self, plural: &str, namespace: &str, name: &str) -> anyhow::Result<(Resource, Key)> {
        let kind = self.served.iter().find(|kind| kind.plural == plural || kind.key() == plural);
        let kind = kind.cloned().with_context(|| format!("not served: {plural}"))?;
        let key = Key::new(&kind.key(), namespace, name);
        Ok((kind, key))
    }

    fn keys_of(&self, kinds: &Kinds) -> Vec<String> {
        self.served.iter().filter(|kind| kinds.covers(&kind.plural)).map(Resource::key).collect()
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

    /// What the backup holds replaces what is there; what it does not hold stays away. Leases and events are not restored.
    fn recreate(&mut self, snapshot: &Snapshot, keep_status: bool, at: Duration) {
        for kind in self.served.clone().iter().filter(|kind| kind.is_custom() || kind.is_namespace()) {
            for key in self.store.keys(&kind.key(), "") {
                if !kind.is_namespace() || !snapshot.objects.contains_key(&key) {
                    self.store.remove(&key, at);
                }
            }
            for (key, object) in snapshot.objects.iter().filter(|(key, _)| key.kind == kind.key()) {
                if kind.is_namespace() && self.store.get(key).is_some() {
                    continue;
                }
                let mut object = Value::clone(object);
                object["metadata"]["uid"] = self.store.uid().into();
                object["metadata"]["creationTimestamp"] = self.store.timestamp(at).into();
                if let (true, Value::Object(members)) = (kind.is_custom(), &mut object) {
                    members["metadata"]["generation"] = 1.into();
                    if kind.status_subresource && !keep_status {
                        members.shift_remove("status");
                    }
                }
                kind.normalise(&mut object);
                self.store.put(key, object, at);
            }
        }
    }
}
