//! `make bench`: how long the operator takes, how often it calls AWS and how much memory it holds, on a real API server
//! and a simulated AWS whose every answer takes 50 ms. Beside each time stand two floors measured in the same run, so
//! that a slow machine is seen as one: A, three AWS calls in a row, and K(n), the writes to Kubernetes that n owners
//! cost, made by the bench's own client. With another build of the operator named, each scene is run with both in turns.
//! It must never reach a cluster or an AWS account of the person who runs it, and it measures only what a user would see:
//! conditions on objects, calls in AWS, resident memory, what is stored in the cluster.

mod aws;
mod cluster;
mod figures;
mod floor;
mod operator;
mod options;
mod owner;
mod report;
mod run;
mod samples;
mod scenes;
mod side;
mod stage;
mod watch;

use std::process::ExitCode;

use figures::Figures;
use options::{Options, USAGE};

/// Whatever goes wrong ends a scene, or the benchmark, so what matters is only what is said.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let options = match Options::read(&args, |name| std::env::var(name).ok()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match bench(&options) {
        Ok(figures) if figures.failures.is_empty() && (figures.all_reached() || options.report_only) => {
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Done<Figures> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err("another cryptographic provider is installed already".into());
    }
    if cfg!(debug_assertions) {
        eprintln!("bench: this is not a release build; the figures say little");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(run::all(options))?;
    report::print(&figures)?;
    let path = stage::beside_programs("bench.json")?;
    std::fs::write(&path, format!("{:#}\n", figures.json()))?;
    println!("\nThe same with every sample: {}", path.display());
    Ok(figures)
}
