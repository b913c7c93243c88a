//! A watch: reads the log of the store from where the client stands, and waits for more.
//!
//! It holds no copy of anything: a client that is behind, frozen or cut off reads the same log later, or gets 410.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::refusal::Refusal;
use crate::request::Asked;
use crate::selector::Selector;
use crate::server::{Shared, State, view};
use crate::store::{Change, Entry};

/// How often a silent watch says that it lives.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);

/// One open watch.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    asked: Asked,
    kind: String,
    selector: Selector,
    /// Everything up to here was told.
    cursor: u64,
    bookmarks: bool,
    deadline: Instant,
    next_bookmark: Instant,
    restores: u64,
    connections: u64,
    ready: VecDeque<Value>,
    over: bool,
}

enum Step {
    Send,
    WaitUntil(Instant),
    End,
}

impl Watch {
    pub(crate) fn open(shared: &Arc<Shared>, state: &mut State, asked: Asked) -> Result<Self, Refusal> {
        let selector = Selector::of(&asked)?;
        let number = |name: &str| asked.query(name).and_then(|text| text.parse::<u64>().ok());
        // The real server picks half an hour to an hour.
        let seconds = number("timeoutSeconds").filter(|s| *s > 0).unwrap_or_else(|| state.rng.u64(1800..3600));
        let now = Instant::now();
        let kind = asked.kind.key();
        let since = number("resourceVersion").unwrap_or_default();
        let initial_events = asked.query("sendInitialEvents") == Some("true");
        let mut watch = Self {
            shared: Arc::clone(shared),
            kind,
            selector,
            cursor: since,
            bookmarks: asked.query("allowWatchBookmarks") == Some("true"),
            deadline: now + Duration::from_secs(seconds),
            next_bookmark: now + BOOKMARK_EVERY,
            restores: state.restores,
            connections: state.connections,
            ready: VecDeque::new(),
            over: false,
            asked,
        };
        if since == 0 || initial_events {
            watch.cursor = state.store.revision;
            watch.send_initial(state, initial_events);
        } else if since > state.store.revision && state.future_expired {
            // Too old a start is found out by the first look, as it is later on.
            watch.expire(since, state.store.revision);
        }
        Ok(watch)
    }

    /// The next line of the answer, once there is one; none when the watch is over.
    pub(crate) async fn next(mut self) -> Option<(Bytes, Self)> {
        let shared = Arc::clone(&self.shared);
        loop {
            let notified = shared.changed.notified();
            tokio::pin!(notified);
            // Registered before looking, so that no change falls between the look and the wait.
            notified.as_mut().enable();
            let step = self.look(&shared.lock());
            match step {
                Step::Send => {
                    let mut line = self.ready.pop_front()?.to_string();
                    line.push('\n');
                    return Some((Bytes::from(line), self));
                }
                Step::End => return None,
                Step::WaitUntil(until) => {
                    // Either outcome leads to another look.
                    let _ = tokio::time::timeout_at(until, notified).await;
                }
            }
        }
    }

    fn look(&mut self, state: &State) -> Step {
        if self.over {
            return if self.ready.is_empty() { Step::End } else { Step::Send };
        }
        let is_served = state.served.iter().any(|kind| kind.key() == self.kind);
        if self.connections != state.connections || !is_served {
            return Step::End;
        }
        let oldest = state.store.oldest(&self.kind);
        if self.restores != state.restores || self.cursor < oldest {
            self.ready.clear();
            self.expire(self.cursor, oldest);
            return Step::Send;
        }
        let now = Instant::now();
        let frozen = state.frozen.covers(&self.asked.kind.plural);
        let mut wake = self.deadline;
        if !frozen {
            if !self.ready.is_empty() {
                return Step::Send;
            }
            if !state.stalled.covers(&self.asked.kind.plural) {
                wake = wake.min(self.read_log(state, now));
            }
            if !self.ready.is_empty() {
                return Step::Send;
            }
        }
        let bookmarks = self.bookmarks && !state.without_bookmarks.covers(&self.asked.kind.plural);
        if now >= self.deadline {
            self.over = true;
            if bookmarks {
                self.bookmark();
            }
            return if self.ready.is_empty() { Step::End } else { Step::Send };
        }
        if !bookmarks || frozen {
            return Step::WaitUntil(wake);
        }
        if now >= self.next_bookmark {
            self.next_bookmark = now + BOOKMARK_EVERY;
            self.bookmark();
            return Step::Send;
        }
        Step::WaitUntil(wake.min(self.next_bookmark))
    }

    /// Takes over what is new and visible; gives the moment at which more becomes visible.
    fn read_log(&mut self, state: &State, now: Instant) -> Instant {
        let elapsed = now.duration_since(self.shared.started);
        let log = &state.store.log;
        let first = log.partition_point(|entry| entry.revision <= self.cursor);
        for entry in log.range(first..) {
            if entry.at + state.watch_delay > elapsed {
                return self.shared.started + entry.at + state.watch_delay;
            }
            self.cursor = entry.revision;
            if let Some(event) = self.event(entry) {
                self.ready.push_back(event);
            }
        }
        self.cursor = self.cursor.max(state.store.revision);
        self.deadline
    }

    fn event(&self, entry: &Entry) -> Option<Value> {
        let namespace = &self.asked.namespace;
        if entry.key.kind != self.kind || !(namespace.is_empty() || *namespace == entry.key.namespace) {
            return None;
        }
        let was = entry.previous.as_ref().is_some_and(|object| self.selector.matches(object));
        let is = entry.change != Change::Deleted && self.selector.matches(&entry.object);
        let name = match (was, is) {
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
            (false, false) => return None,
        };
        Some(json!({"type": name, "object": view(&entry.object, self.asked.metadata_only)}))
    }

    fn send_initial(&mut self, state: &State, announce_end: bool) {
        for object in state.store.visible(&self.kind, &self.asked.namespace) {
            if self.selector.matches(&object) {
                self.ready.push_back(json!({"type": "ADDED", "object": view(&object, self.asked.metadata_only)}));
            }
        }
        if announce_end {
            let mut end = self.bookmark_object();
            end["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
            self.ready.push_back(json!({"type": "BOOKMARK", "object": end}));
        }
    }

    fn bookmark(&mut self) {
        let object = self.bookmark_object();
        self.ready.push_back(json!({"type": "BOOKMARK", "object": object}));
    }

    fn bookmark_object(&self) -> Value {
        let kind = &self.asked.kind;
        json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": {"resourceVersion": self.cursor.to_string(), "creationTimestamp": null},
        })
    }

    fn expire(&mut self, since: u64, oldest: u64) {
        self.ready.push_back(json!({"type": "ERROR", "object": Refusal::expired(since, oldest).body()}));
        self.over = true;
    }
}
