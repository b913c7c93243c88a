//! `make bench`: how long the operator takes, how often it calls AWS and how much memory it holds, on a real API server
//! and a simulated AWS whose every answer takes 50 ms. Beside each time stands a floor measured in the same run, three
//! AWS calls in a row, so that a slow machine is seen as one. It must never reach a cluster or an AWS account of the
//! person who runs it, and it measures only what a user would see: conditions on objects, calls in AWS, resident memory.

mod aws;
mod cluster;
mod figures;
mod operator;
mod scenes;
mod stage;

use std::process::ExitCode;

use figures::Figures;
use stage::Stage;

const USAGE: &str = "usage: bench [--report-only]

  --report-only   exit code 0 also when a limit is missed

Build with --release; writes bench.json beside the folder of the programs. Exit code 1: a limit was missed.
Environment: BENCH_LOG_LEVEL=debug for the operator; DEV_KEEP=1 keeps the temporary folder with its logs.";

/// Whatever goes wrong ends the benchmark, so what matters is only what is said.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let report_only = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--report-only"] => true,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match bench() {
        Ok(figures) if figures.all_reached() || report_only => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Done<Figures> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err("another cryptographic provider is installed already".into());
    }
    if cfg!(debug_assertions) {
        eprintln!("bench: this is not a release build; the figures say little");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut stage = Stage::set()?;
    let figures = runtime.block_on(scenes::all(&mut stage)).map_err(|error| stage.explain(&*error))?;
    figures.print()?;
    let path = stage::beside_programs("bench.json")?;
    std::fs::write(&path, format!("{:#}\n", figures.json()))?;
    println!("\nThe same with every sample: {}", path.display());
    Ok(figures)
}
