//! `aws-sim`: the simulator as a process, for demos, shells and other languages.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sim::{Connector, World, WorldFile, http};
use clap::Parser;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// An AWS endpoint for development and tests: STS, ECR, IAM and Secrets Manager for many accounts and Regions.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, and the first line of output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The accounts, roles, keys and documents to start with (JSON).
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Ends when standard input closes, and so with its parent.
    #[arg(long)]
    until_stdin_closes: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    let ended = runtime.block_on(run(&arguments));
    // Standard input may still be read by a thread that nobody can stop.
    runtime.shutdown_background();
    ended.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let mut world = load(arguments.world.as_ref())?;
    world.set_epoch(unix_now());
    let listening = async {
        let listener = TcpListener::bind(arguments.listen).await?;
        let address = listener.local_addr()?;
        let mut out = std::io::stdout();
        writeln!(out, "listening on http://{address}")?;
        out.flush()?;
        Ok::<_, std::io::Error>(listener)
    };
    let listener = listening.await.map_err(|e| format!("cannot listen on {}: {e}", arguments.listen))?;
    tokio::select! {
        ended = http::serve(listener, Connector::new(world)) => ended.map(|_| ()).map_err(|e| e.to_string()),
        () = stdin_closed(), if arguments.until_stdin_closes => Ok(()),
    }
}

fn load(file: Option<&PathBuf>) -> Result<World, String> {
    let Some(path) = file else {
        return Ok(WorldFile::default().build());
    };
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let file: WorldFile = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(file.build())
}

#[expect(clippy::disallowed_methods, reason = "a process of its own: its start is a moment of the wall clock")]
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn stdin_closed() {
    let (mut stdin, mut buffer) = (tokio::io::stdin(), [0; 256]);
    while stdin.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

fn failed(error: &str) -> ExitCode {
    let _unwritten = writeln!(std::io::stderr(), "aws-sim: {error}");
    ExitCode::FAILURE
}
