//! `make demo`: a control plane, a simulated AWS and the operator on this machine, and a guided tour of what they do
//! together. Every step waits for what it claims and checks it, so a tour that reaches its end is a test that passed.
//! It must never reach a cluster or an AWS account of the person who runs it.

mod aws;
mod say;
mod stage;
mod tour;

use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use say::Say;
use stage::Stage;

const USAGE: &str = "usage: demo [--once]

  --once   end after the tour instead of running until Ctrl-C (also: DEMO_ONCE=1)";

/// Whatever goes wrong ends the demo, so what matters is only what is said.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let once = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => env::var_os("DEMO_ONCE").is_some_and(|value| value == "1"),
        ["--once"] => true,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match demo(once) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(once: bool) -> Done {
    let mut say = Say::new();
    let mut stage = Stage::set(&mut say)?;
    if let Err(failed) = tour::tour(&mut stage, &mut say) {
        return Err(format!("{}{failed}\n{}", say.whereabouts(), stage.evidence()).into());
    }
    if once {
        return Ok(());
    }
    stage.how_to_look_round(&mut say)?;
    // Ctrl-C needs no handler: everything that was started is on a leash.
    loop {
        stage.check()?;
        thread::sleep(Duration::from_millis(500));
    }
}
