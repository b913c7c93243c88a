//! The admin server: `/livez`, `/readyz`, `/metrics`. It runs on a thread of its own, so that it answers while the
//! driver computes, and can say so when the driver is stuck. It never says anything about AWS being out of reach:
//! restarting the process would not bring AWS back.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::watch;

use super::clock::Clock;
use super::metrics::Metrics;

/// How often the driver shows that it is alive.
const BEAT: Duration = Duration::from_secs(5);
/// A driver that was silent for so long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// What the probes are answered from.
#[derive(Clone, Debug)]
pub struct Health(Arc<Vitals>);

#[derive(Debug)]
struct Vitals {
    clock: Clock,
    /// Milliseconds of the clock.
    last_beat: AtomicU64,
    readiness: OnceLock<watch::Receiver<Views>>,
}

/// What the watches have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Views {
    /// Not everything was listed yet.
    Listing,
    /// Everything was listed, and something of it is proven to be of now.
    Young,
    /// Nothing is.
    Old,
}

impl Health {
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Vitals { clock, last_beat: AtomicU64::new(millis(clock.now())), readiness: OnceLock::new() }))
    }

    /// From now on `/readyz` says what this says. Only the first counts.
    pub fn follow(&self, readiness: watch::Receiver<Views>) {
        _ = self.0.readiness.set(readiness);
    }

    /// Runs the driver's future and beats as long as its task is polled. A future that blocks its thread stops both.
    pub async fn beating<T>(&self, driver: impl Future<Output = T>) -> T {
        let mut beats = tokio::time::interval(BEAT);
        let mut driver = std::pin::pin!(driver);
        loop {
            tokio::select! {
                done = &mut driver => return done,
                _ = beats.tick() => self.0.last_beat.store(millis(self.0.clock.now()), Ordering::Relaxed),
            }
        }
    }

    fn silence(&self) -> Duration {
        self.0.clock.now().saturating_sub(Duration::from_millis(self.0.last_beat.load(Ordering::Relaxed)))
    }

    fn live(&self) -> Result<&'static str, String> {
        let silence = self.silence();
        if silence > STUCK {
            return Err(format!("the driver has been stuck for {} s", silence.as_secs()));
        }
        Ok("ok")
    }

    fn ready(&self) -> Result<&'static str, String> {
        match self.0.readiness.get().map(|views| *views.borrow()) {
            Some(Views::Young) => Ok("ok"),
            Some(Views::Listing) => Err("not every kind of object has been listed yet".to_owned()),
            Some(Views::Old) => {
                Err("nothing that the API server shows is proven to be of the last ten minutes".to_owned())
            }
            None => Err("the API server has not answered yet".to_owned()),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Starts the server; it ends with the process. Answers where it listens.
pub fn start(listen: SocketAddr, health: Health, metrics: Metrics) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".to_owned()).spawn(move || {
        let served = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            axum::serve(listener, router(health, metrics)).await
        });
        if let Err(error) = served {
            tracing::error!(%error, "the admin server has ended");
        }
    })?;
    Ok(address)
}

fn router(health: Health, metrics: Metrics) -> Router {
    let probe = |answer: Result<&'static str, String>| match answer {
        Ok(text) => (StatusCode::OK, text.to_owned()),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
    };
    Router::new()
        .route("/livez", get(async move |State(health): State<Health>| probe(health.live())))
        .route("/readyz", get(async move |State(health): State<Health>| probe(health.ready())))
        .with_state(health)
        .route("/metrics", get(async move || scrape(&metrics)))
}

fn scrape(metrics: &Metrics) -> impl IntoResponse + use<> {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn health() -> Health {
        Health::new(Clock::starting(SystemTime::UNIX_EPOCH))
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_is_polled_is_alive_however_long_it_waits() {
        let health = health();
        let waits = tokio::time::sleep(Duration::from_hours(2));
        health.beating(waits).await;
        assert_eq!(health.live(), Ok("ok"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_is_not_polled_for_a_minute_is_stuck() {
        let health = health();
        let mut driver = std::pin::pin!(health.beating(std::future::pending::<()>()));
        assert!(futures::poll!(&mut driver).is_pending());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(health.live(), Ok("ok"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.live(), Err("the driver has been stuck for 61 s".to_owned()));
        assert!(futures::poll!(&mut driver).is_pending());
        assert_eq!(health.live(), Ok("ok"));
    }

    /// Behaviour 53.
    #[tokio::test]
    async fn nobody_is_ready_before_every_watch_has_listed_nor_on_old_views_alone() {
        let health = health();
        assert_eq!(health.ready(), Err("the API server has not answered yet".to_owned()));
        let views = watch::Sender::new(Views::Listing);
        health.follow(views.subscribe());
        assert!(health.ready().is_err());
        views.send_replace(Views::Young);
        assert_eq!(health.ready(), Ok("ok"));
        views.send_replace(Views::Old);
        assert!(health.ready().is_err());
    }
}
