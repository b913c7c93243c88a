//! `ecr-permissions`: sets up what the whole process shares, and hands over.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One cryptography for the connections to Kubernetes and to AWS, chosen before the first of them.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("ecr-permissions: another cryptographic provider is installed already");
        return ExitCode::FAILURE;
    }
    ecr_permissions::cli::main()
}
