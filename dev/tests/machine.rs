//! `dev/check-machine` on machines that lack something: a `PATH` with nothing on it but what each case gives.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use dev::Scratch;

/// The programs that every system has: the script's own needs.
const SYSTEM: [&str; 8] = ["sh", "dirname", "sed", "awk", "cut", "cat", "cksum", "mkdir"];

struct Machine(Scratch);

impl Machine {
    fn bare() -> Self {
        let scratch = Scratch::new().unwrap();
        for program in SYSTEM {
            symlink(which(program), scratch.path().join(program)).unwrap();
        }
        Self(scratch)
    }

    /// Adds a program that does no more than print `says` and end with `code`.
    fn with(self, program: &str, says: &str, code: u8) -> Self {
        let path = self.0.path().join(program);
        fs::write(&path, format!("#!/bin/sh\necho '{says}'\nexit {code}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// What the script says, or "" when it is content.
    fn check(&self, needs: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("check-machine");
        // An empty set of programs, so that those of an earlier build do not hide that Go is missing.
        let mut command = Command::new("/bin/sh");
        command.arg(script).args(needs).env_clear().env("PATH", self.0.path()).env("TOOLS_BIN", self.0.path());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), said.is_empty(), "{said}");
        said
    }
}

fn which(program: &str) -> String {
    let output = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn everything_that_is_missing_is_named_at_once_with_the_way_to_get_it() {
    let said = Machine::bare().check(&[]);
    for (what, way) in [
        ("cargo", "https://rustup.rs"),
        ("C compiler", "apt-get install build-essential"),
        ("make", "xcode-select --install"),
        ("Go ", "https://go.dev/dl"),
        ("Python 3.10 or newer with venv", "apt-get install python3-venv"),
        ("git", "apt-get install git"),
    ] {
        assert!(said.contains(what) && said.contains(way), "{what}: {said}");
    }
}

#[test]
fn an_old_go_is_told_from_a_new_one() {
    let old = Machine::bare().with("go", "go1.19.8", 0).check(&["tools"]);
    assert!(old.contains("found 1.19.8"), "{old}");
    assert_eq!(Machine::bare().with("go", "go1.26.8", 0).check(&["tools"]), "");
    assert_eq!(Machine::bare().with("go", "go2.0", 0).check(&["tools"]), "");
}

#[test]
fn an_old_rust_is_told_from_a_new_one() {
    let old = Machine::bare().with("cargo", "cargo 1.85.0 (d73d2caf9 2024-12-31)", 0).check(&["rust"]);
    assert!(old.contains("found 1.85.0"), "{old}");
    let new = Machine::bare().with("cargo", "cargo 1.95.0 (f2d3ce0bd 2026-03-21)", 0).check(&["rust"]);
    assert!(!new.contains("Rust"), "{new}");
}

#[test]
fn a_c_compiler_without_headers_counts_as_none() {
    let said = Machine::bare().with("cc", "stdlib.h: no such file", 1).check(&["rust"]);
    assert!(said.contains("C compiler"), "{said}");
}

#[test]
fn only_what_is_asked_for_is_looked_at() {
    let said = Machine::bare().check(&["git"]);
    assert!(said.contains("git") && !said.contains("cargo") && !said.contains("Python"), "{said}");
    assert_eq!(Machine::bare().with("git", "", 0).check(&["git"]), "");
}
