//! The server behind the client: takes a request through latency, outage, observer and faults to its effect, and answers.
//!
//! An effect is one step under one lock; nothing is held while waiting.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, request};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::calls::{Call, Fault, Outcome, Phase, Planned, Then, Verb};
use crate::disorder::{Kinds, Outage};
use crate::effect::{Answer, AnswerBody};
use crate::refusal::Refusal;
use crate::request::Asked;
use crate::resource::Resource;
use crate::store::{Snapshot, Store};
use crate::watch::Watch;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Reply = Response<UnsyncBoxBody<Bytes, BoxError>>;
pub(crate) type Observer = Arc<dyn Fn(&Call, Phase) -> Then + Send + Sync>;

pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) served: Vec<Arc<Resource>>,
    pub(crate) calls: Vec<Call>,
    pub(crate) seq: u64,
    pub(crate) faults: Vec<Planned>,
    pub(crate) outage: Option<Outage>,
    pub(crate) latency: (Duration, Duration),
    pub(crate) watch_delay: Duration,
    pub(crate) frozen: Kinds,
    /// Kinds of which watches get bookmarks of the past, and no events.
    pub(crate) stalled: Kinds,
    /// Kinds of which watches get no bookmarks.
    pub(crate) without_bookmarks: Kinds,
    /// Definitions that were taken away.
    pub(crate) undefined: Vec<Arc<Resource>>,
    /// What lists that may be old are answered from; none: from what is stored.
    pub(crate) cached: Option<Snapshot>,
    /// What is left of lists that were read in pages.
    pub(crate) pages: VecDeque<(String, Page)>,
    /// Counts the restores that told watches to list again.
    pub(crate) restores: u64,
    /// Counts the times that every open connection broke.
    pub(crate) connections: u64,
    /// Whether a watch from a revision not yet reached is told to list again; else it waits, blind, as the real one does.
    pub(crate) future_expired: bool,
    pub(crate) namespaces_by_hand: bool,
    pub(crate) observer: Option<Observer>,
    /// Of the traffic; names and uids have their own, so that latency does not change them.
    pub(crate) rng: fastrand::Rng,
}

pub(crate) struct Page {
    pub(crate) kind: String,
    pub(crate) revision: u64,
    pub(crate) rest: VecDeque<Arc<Value>>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    /// First come, first woken: what waits on it wakes in the same order on every run.
    pub(crate) changed: Notify,
    pub(crate) started: Instant,
}

impl Shared {
    pub(crate) fn new(seed: u64, epoch: jiff::Timestamp) -> Self {
        let state = State {
            store: Store::new(seed, epoch),
            served: Resource::builtins().into_iter().map(Arc::new).collect(),
            calls: Vec::new(),
            seq: 0,
            faults: Vec::new(),
            outage: None,
            latency: (Duration::ZERO, Duration::ZERO),
            watch_delay: Duration::ZERO,
            frozen: Kinds::Only(BTreeSet::new()),
            stalled: Kinds::Only(BTreeSet::new()),
            without_bookmarks: Kinds::Only(BTreeSet::new()),
            undefined: Vec::new(),
            cached: None,
            pages: VecDeque::new(),
            restores: 0,
            connections: 0,
            future_expired: true,
            namespaces_by_hand: false,
            observer: None,
            rng: fastrand::Rng::with_seed(seed ^ 0x7261_6666_6963),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), started: Instant::now() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked while looking has not left anything half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.started)
    }

    /// Serves one request of `caller`.
    pub(crate) async fn serve(self: Arc<Self>, caller: Arc<str>, request: Request<Body>) -> Result<Reply, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        self.linger().await;
        let outage = self.lock().outage;
        match outage {
            Some(Outage::Unavailable) => return Ok(refuse(&Refusal::of_code(503))),
            Some(Outage::Refused) => return Err(refused_connection()),
            None => {}
        }
        if let Some(reply) = well_known(&head) {
            return Ok(reply);
        }
        let parsed = Asked::parse(&head, &body, &self.lock().served);
        let asked = match parsed {
            Ok(asked) => asked,
            Err(refusal) => return Ok(refuse(&refusal)),
        };
        let (mut call, fault) = self.register(&caller, &asked);
        if let Some(reply) = self.strike(&call, Phase::Before, fault).await? {
            return Ok(reply);
        }
        let answer = self.take_effect(&mut call, asked);
        if let Some(reply) = self.strike(&call, Phase::After, fault).await? {
            return Ok(reply);
        }
        self.linger().await;
        Ok(reply(answer))
    }

    /// One way of the latency.
    async fn linger(&self) {
        let delay = {
            let mut state = self.lock();
            let (least, most) = state.latency;
            if most.is_zero() {
                return;
            }
            let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
            Duration::from_micros(state.rng.u64(micros(least)..=micros(most).max(micros(least))) / 2)
        };
        tokio::time::sleep(delay).await;
    }

    /// Writes the call down, and picks the planned fault it will meet: each plan counts each call once, whatever becomes of it.
    fn register(&self, caller: &str, asked: &Asked) -> (Call, Option<Fault>) {
        let mut state = self.lock();
        state.seq += 1;
        let named = asked.body["metadata"]["name"].as_str().unwrap_or_default();
        let name = if asked.verb == Verb::Create { named } else { asked.name.as_str() };
        let call = Call {
            seq: state.seq,
            at: self.elapsed(),
            caller: caller.into(),
            verb: asked.verb,
            group: asked.kind.group.clone(),
            resource: asked.kind.plural.clone(),
            namespace: asked.namespace.clone(),
            name: name.into(),
            subresource: asked.subresource.clone(),
            limit: asked.query("limit").and_then(|text| text.parse().ok()),
            body: asked.body.clone(),
            outcome: None,
        };
        state.calls.push(Call { body: Value::Null, ..call.clone() });
        let struck: Vec<Fault> = state.faults.iter_mut().filter_map(|plan| plan.strike(&call)).collect();
        (call, struck.first().copied())
    }

    /// What the observer and the planned fault make of the call; nothing: it goes on.
    async fn strike(&self, call: &Call, phase: Phase, planned: Option<Fault>) -> Result<Option<Reply>, BoxError> {
        let observer = self.lock().observer.clone();
        let planned = planned.filter(|fault| fault.phase() == phase);
        // Called without the lock: an observer may look into the server.
        let fault = match observer.map_or(Then::Go, |observer| observer(call, phase)) {
            Then::Go => planned,
            Then::Hang => Some(Fault::Hang(phase)),
            Then::Fail(code) => Some(Fault::Error(code, phase)),
        };
        match fault {
            None => Ok(None),
            Some(Fault::Error(code, _)) => Ok(Some(refuse(&Refusal::of_code(code)))),
            Some(Fault::Reset(_)) => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
            Some(Fault::Hang(_)) => std::future::pending().await,
            Some(Fault::Late(span)) => {
                tokio::time::sleep(span).await;
                Ok(None)
            }
        }
    }

    fn take_effect(self: &Arc<Self>, call: &mut Call, asked: Asked) -> Result<Answer, Refusal> {
        let mut state = self.lock();
        let answer = state.answer(self, asked, self.elapsed());
        let (code, changed) = match &answer {
            Ok(answer) => (answer.code, answer.changed),
            Err(refusal) => (refusal.code, false),
        };
        call.outcome = Some(Outcome { code, changed });
        if let Some(name) = answer.as_ref().ok().and_then(|answer| answer.name.clone()) {
            call.name = name;
        }
        let found = state.calls.iter_mut().rev().find(|recorded| recorded.seq == call.seq);
        if let Some(recorded) = found {
            recorded.outcome = call.outcome;
            recorded.name.clone_from(&call.name);
        }
        drop(state);
        if changed {
            self.changed.notify_waiters();
        }
        answer
    }
}

fn reply(answer: Result<Answer, Refusal>) -> Reply {
    match answer {
        Err(refusal) => refuse(&refusal),
        Ok(Answer { code, body: AnswerBody::Json(value), .. }) => json_reply(code, &value),
        Ok(Answer { code, body: AnswerBody::Watch(watch), .. }) => {
            let lines = futures::stream::unfold(*watch, Watch::next);
            let frames = lines.map(|line| Ok::<_, BoxError>(Frame::data(line)));
            reply_with(code, StreamBody::new(frames).boxed_unsync())
        }
    }
}

/// What stands in an answer for a stored object.
pub(crate) fn view(object: &Value, metadata_only: bool) -> Value {
    if !metadata_only {
        return object.clone();
    }
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}

fn well_known(head: &request::Parts) -> Option<Reply> {
    match head.uri.path() {
        "/version" => Some(json_reply(
            200,
            &json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0-sim",
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.24",
            "compiler": "gc", "platform": "linux/amd64"}),
        )),
        "/livez" | "/readyz" | "/healthz" => Some(reply_with(200, whole(Bytes::from_static(b"ok")))),
        _ => None,
    }
}

fn refused_connection() -> BoxError {
    std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()
}

fn refuse(refusal: &Refusal) -> Reply {
    json_reply(refusal.code, &refusal.body())
}

fn json_reply(code: u16, value: &Value) -> Reply {
    reply_with(code, whole(Bytes::from(value.to_string())))
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn reply_with(code: u16, body: UnsyncBoxBody<Bytes, BoxError>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    reply
}
