//! The controls that make things go wrong: held-back events, forgotten pasts, emptied lists, restored backups, outages, faults.
//!
//! What is stored is altered by `restore` alone; everything else only changes what clients get to see.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::calls::{Call, Fault, Matching, Phase, Planned, Then};
use crate::server::State;
use crate::sim::KubeSim;
use crate::store::Snapshot;

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

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::Only(plurals) if plurals.is_empty())
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

impl KubeSim {
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

    /// Whether watches show what the server has: nothing is held back, emptied, late or out of reach.
    pub fn shows_all(&self) -> bool {
        let state = self.shared.lock();
        state.outage.is_none()
            && state.watch_delay.is_zero()
            && state.latency.1.is_zero()
            && state.frozen.is_none()
            && state.stalled.is_none()
            && state.undefined.is_empty()
            && !state.store.is_emptied()
    }

    /// Events of these kinds are held back; requests are answered as ever. Replaces what was frozen before.
    pub fn freeze_watches(&self, kinds: Kinds) {
        self.tell(|state| state.frozen = kinds);
    }

    /// Held-back events are delivered.
    pub fn thaw_watches(&self) {
        self.tell(|state| state.frozen = Kinds::only(&[]));
    }

    /// Events of these kinds are held back, and watches go on being told, by bookmarks, that they are where they stand: an API
    /// server that is cut off from etcd. Replaces what was stalled before; of none, held-back events are delivered.
    pub fn stall_watches(&self, kinds: Kinds) {
        self.tell(|state| state.stalled = kinds);
    }

    /// Watches of these kinds get no bookmarks. Replaces the kinds of before.
    pub fn withhold_bookmarks(&self, kinds: Kinds) {
        self.tell(|state| state.without_bookmarks = kinds);
    }

    /// The kind is not served any more, as if its definition were not there: requests get 404 and its watches end. What is
    /// stored of it stays.
    pub fn take_definition(&self, plural: &str) {
        self.tell(|state| {
            let (gone, stays) = std::mem::take(&mut state.served).into_iter().partition(|kind| kind.plural == plural);
            state.served = stays;
            state.undefined.extend::<Vec<_>>(gone);
        });
    }

    /// Ends `take_definition`, for all kinds.
    pub fn give_definitions_back(&self) {
        self.tell(|state| state.served.append(&mut state.undefined));
    }

    /// Lists with `resourceVersion=0` are answered as of this moment, as by a server whose watch cache lags. Lists without
    /// one are quorum reads and see what is stored.
    pub fn lag_watch_cache(&self, at: Snapshot) {
        self.tell(|state| state.cached = Some(at));
    }

    /// Ends `lag_watch_cache`.
    pub fn catch_up_watch_cache(&self) {
        self.tell(|state| state.cached = None);
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
}

impl State {
    fn keys_of(&self, kinds: &Kinds) -> Vec<String> {
        self.served.iter().filter(|kind| kinds.covers(&kind.plural)).map(|kind| kind.key()).collect()
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
