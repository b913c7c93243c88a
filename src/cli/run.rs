//! `ecr-permissions run`: the operator as a process. Whoever is out of reach at the start, or goes away later, is waited
//! for: the process ends only when it is told to, or cannot ever work as it was configured.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use ecr_permissions_core::pass::memory::Patience;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Cluster, connect, failed};
use crate::runtime::admin::{self, Health};
use crate::runtime::clock::{Clock, MachineClock};
use crate::runtime::leader::Leadership;
use crate::runtime::metrics::Metrics;
use crate::runtime::operator::{Operator, Settings, World};
use crate::runtime::telemetry::{self, LogFormat};

/// How long passes that are under way may go on after the signal to stop. Kubernetes kills after 30 s.
const FAREWELL: Duration = Duration::from_secs(10);
/// Pauses between attempts to reach the API server at the start: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

#[derive(Args, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    cluster: Cluster,
    #[arg(long, env = "ECR_PERMISSIONS_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// error, warn, info, debug or trace; or directives such as `ecr_permissions=debug,kube=info`.
    #[arg(long, env = "ECR_PERMISSIONS_LOG_LEVEL", default_value = "info")]
    log_level: String,
    /// Where `/livez`, `/readyz` and `/metrics` are served; port 0 takes a free one, and the log says which.
    #[arg(long, env = "ECR_PERMISSIONS_LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Retries and second looks within parts of a second. For tests on a simulated AWS; the real one is slower.
    #[arg(long, hide = true)]
    test_timings: bool,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("--log-level: {0}")]
    LogLevel(#[from] tracing_subscriber::filter::ParseError),
    #[error("the process cannot start: {0}")]
    Runtime(io::Error),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    #[error(transparent)]
    Connect(#[from] connect::Error),
}

pub fn run(args: &RunArgs) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn start(args: &RunArgs) -> Result<(), Error> {
    telemetry::install(args.log_format, telemetry::filter(&args.log_level)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Runtime)?;
    let ended = runtime.block_on(serve(args));
    // A name that is being looked up must not keep the process.
    runtime.shutdown_background();
    ended
}

async fn serve(args: &RunArgs) -> Result<(), Error> {
    let mut signals = Signals::install().map_err(Error::Runtime)?;
    let clock = Clock::system();
    let (health, metrics) = (Health::new(clock), Metrics::default());
    let address = admin::start(args.listen, health.clone(), metrics.clone())
        .map_err(|error| Error::Listen(args.listen, error))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, "starting");
    let world = World {
        clock,
        machine: MachineClock::system(clock),
        client: connect::cluster(&args.cluster).await?,
        aws: connect::aws(clock).await,
        seed: fastrand::u64(..),
        leadership: Leadership::always(),
        metrics,
        settings: settings(args.test_timings),
    };
    let stop = CancellationToken::new();
    let working = health.beating(operate(world, &health, &stop));
    let farewell = async {
        // Not among the arguments of the log line, which are evaluated only where the line is logged.
        let signal = signals.next().await;
        tracing::info!(signal, "stopping");
        stop.cancel();
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = working => {}
        // What is dropped now is what a crash would leave, and the next start heals that.
        () = farewell => tracing::warn!("passes under way did not end in time"),
    }
    tracing::info!("stopped");
    Ok(())
}

async fn operate(world: World, health: &Health, stop: &CancellationToken) {
    let Some(operator) = stop.run_until_cancelled(reach(world)).await else { return };
    tracing::info!(installation = operator.installation().as_str(), "connected to the cluster");
    health.follow(operator.readiness());
    operator.run(stop.cancelled()).await;
}

/// Tries until the API server says which cluster this is.
async fn reach(world: World) -> Operator {
    let (mut pause, longest) = PAUSES;
    loop {
        match Operator::new(world.clone()).await {
            Ok(operator) => return operator,
            Err(error) => tracing::warn!(%error, retry_in = ?pause, "the API server does not answer as it should"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

fn settings(for_tests: bool) -> Settings {
    if !for_tests {
        return Settings::default();
    }
    let millis = Duration::from_millis;
    Settings {
        patience: Patience { propagation: millis(2000), first_retry: millis(200), longest_retry: millis(1000) },
        retry: millis(50),
        between_reads: millis(50),
        second_look: (millis(200), millis(400)),
        ..Settings::default()
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the two signals stop the process the orderly way.
    fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
