//! The command line: a file a subcommand. Whatever a person asks for here, AWS is called by the running operator alone;
//! the other commands read files or objects, and `prune` and `release` write annotations.

mod check;
mod connect;
mod crds;
mod prune;
mod release;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Keeps the permissions of Amazon ECR private registries equal to what Kubernetes objects say.
#[derive(Debug, Parser)]
#[command(name = "ecr-permissions", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the operator.
    ///
    /// AWS credentials and endpoints come from the environment, as for every AWS program: web identity, EKS Pod Identity,
    /// instance role, `AWS_PROFILE`, `AWS_ENDPOINT_URL`.
    Run(run::RunArgs),
    /// Says what the API server and the operator would say of the objects in files. Needs no cluster and no AWS.
    ///
    /// Exit code 0: nothing to say; 1: findings; 2: a file that cannot be read.
    Check {
        /// Files or folders with YAML or JSON; `-` is standard input.
        #[arg(short = 'f', long = "filename", value_name = "FILES", required = true, num_args = 1..)]
        files: Vec<PathBuf>,
    },
    /// Prints the custom resource definitions as YAML, for `kubectl apply -f -`.
    Crds,
    /// Removes what is left in AWS of objects that are gone. Without --confirm it only shows it.
    Prune(prune::PruneArgs),
    /// Lets go of objects: what they have in AWS stays there and is nobody's.
    Release(release::ReleaseArgs),
}

/// Which cluster.
#[derive(Args, Debug)]
struct Cluster {
    /// Absent: as kubectl, or the Pod's own service account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig other than its current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// Parses the arguments and does what they say.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check { files } => check::run(&files),
        Command::Crds => crds::print(),
        Command::Prune(args) => prune::run(&args),
        Command::Release(args) => release::run(&args),
    }
}

/// Runs a command that speaks to the cluster, and prints what came of it.
fn in_cluster<E: std::fmt::Display>(command: impl Future<Output = Result<String, E>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    match runtime.block_on(command) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// What a command could not do, told to the person who asked for it.
fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("ecr-permissions: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn timings_for_tests_are_not_shown_to_people() {
        let mut command = Cli::command();
        let run = command.find_subcommand_mut("run").unwrap();
        assert!(!run.render_long_help().to_string().contains("test-timings"));
    }
}
