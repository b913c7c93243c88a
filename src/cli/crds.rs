//! `ecr-permissions crds`: the definitions this very binary understands.

use std::io::{self, Write};
use std::process::ExitCode;

use ecr_permissions_core::api::crd_files;

use super::failed;

pub fn print() -> ExitCode {
    let files = match crd_files() {
        Ok(files) => files,
        Err(error) => return failed(&error),
    };
    let mut out = io::stdout().lock();
    for (_, text) in files {
        // Who closed the pipe has read enough.
        if write!(out, "---\n{text}").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
