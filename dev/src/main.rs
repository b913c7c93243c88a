//! `dev`: the control plane for a person at a terminal, and the build of its programs.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use dev::{Assets, ControlPlane};

const USAGE: &str = "usage: dev COMMAND

  tools           build what is missing of etcd, kube-apiserver, kube-controller-manager, kubectl
  control-plane   start them and print the kubeconfig's path; runs until standard input closes or Ctrl-C";

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tools"] => tools(),
        ["control-plane"] => control_plane(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("dev: {error}");
            ExitCode::FAILURE
        }
    }
}

type Done = Result<ExitCode, Box<dyn std::error::Error>>;

/// The scripts do the work, because `make` needs them before there is a Rust program; this is their other name.
fn tools() -> Done {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (script, args) in [("check-machine", &["tools"][..]), ("tools/build", &[])] {
        if !Command::new(here.join(script)).args(args).status()?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn control_plane() -> Done {
    let plane = ControlPlane::start(&Assets::find()?)?;
    println!("export KUBECONFIG={}", plane.kubeconfig().display());
    io::stdout().flush()?;
    // Ctrl-C needs no handler: the leashes of the children see to the rest.
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(ExitCode::SUCCESS)
}
