//! The World inside one process: `call` has the shape of an HTTP client's transport, and time passes by tokio's clock,
//! so under a paused clock hours cost milliseconds. It must never read a wall clock, nor decide anything AWS decides.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use tokio::time::{Instant, sleep_until};

use crate::world::{Call, Outcome, Phase, World};

/// Watches calls take effect: called twice for each, before and after its effect, while the World is locked: it must
/// neither call the connector back nor drop a call that is waiting.
pub type Observer = Box<dyn FnMut(&World, &Call, Phase) -> Then + Send>;

/// What the observer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    GoOn,
    /// The caller never hears of it again. Before the effect: there is none. So a test crashes a program at call N,
    /// before or after its effect: it stops the call, and drops the program.
    Stop,
}

/// The connection broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("connection reset by peer")]
pub struct ConnectError;

/// A handle on a World; clones share it.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Mutex<Shared>>,
    start: Instant,
}

struct Shared {
    world: World,
    observer: Option<Observer>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("start", &self.start).finish_non_exhaustive()
    }
}

impl Connector {
    /// The World's time starts now.
    pub fn new(world: World) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { world, observer: None })), start: Instant::now() }
    }

    /// Sets who watches the calls; replaces whoever did.
    pub fn on_call(&self, observer: impl FnMut(&World, &Call, Phase) -> Then + Send + 'static) {
        self.lock().observer = Some(Box::new(observer));
    }

    /// Nobody watches any more.
    pub fn ignore_calls(&self) {
        self.lock().observer = None;
    }

    /// Looks at the World, or turns its controls, as of now: calls that are due have taken effect.
    pub fn world<T>(&self, with: impl FnOnce(&mut World) -> T) -> T {
        with(&mut self.settled().world)
    }

    /// One call. Pends forever if the World hangs; fails if it breaks the connection. Dropping it does not undo the call.
    pub async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ConnectError> {
        let ticket = {
            let mut shared = self.settled();
            let now = self.start.elapsed();
            shared.world.submit(request, now)
        };
        let waiting = Waiting { connector: self, seq: ticket.seq };
        sleep_until(self.start + ticket.due).await;
        let reply = self.settled().world.collect(ticket.seq);
        drop(waiting);
        let Some(reply) = reply else {
            return std::future::pending().await;
        };
        tokio::time::sleep(reply.after).await;
        match reply.outcome {
            Outcome::Response(response) => Ok(response),
            Outcome::Hang => std::future::pending().await,
            Outcome::Reset => Err(ConnectError),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The World after everything that is due has happened.
    fn settled(&self) -> MutexGuard<'_, Shared> {
        let now = self.start.elapsed();
        let mut shared = self.lock();
        while let Some(seq) = shared.world.next_due(now) {
            shared.settle(seq);
        }
        shared.world.advance(now);
        shared
    }
}

impl Shared {
    fn settle(&mut self, seq: u64) {
        if self.observe(seq, Phase::Before) == Then::Stop {
            self.world.lose(seq);
            return;
        }
        self.world.take_effect(seq);
        if self.observe(seq, Phase::After) == Then::Stop {
            self.world.lose(seq);
        }
    }

    fn observe(&mut self, seq: u64, phase: Phase) -> Then {
        match (&mut self.observer, self.world.call(seq)) {
            (Some(observer), Some(call)) => observer(&self.world, call, phase),
            _ => Then::GoOn,
        }
    }
}

/// A caller that waits; gone without its answer, the World may forget about it.
struct Waiting<'a> {
    connector: &'a Connector,
    seq: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.connector.lock().world.forget(self.seq);
    }
}
