//! `dev/mutants/run` with a cargo that only says what a test run would say: which mistakes are chosen, and what counts
//! as noticed.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use dev::Scratch;

/// Says that all is well to each suite of the tree without a mistake; with it, every second time, it does what stands for
/// PLANTED.
const CARGO: &str = r#"#!/bin/sh
echo "$*" >>"$CALLS"
[ $(($(wc -l <"$CALLS") % 2)) -eq 1 ] || { PLANTED; }
echo 'running 1 test'
echo 'test is_fine ... ok'
"#;

fn run(home: &Path, arguments: &[&str], part: Option<&str>) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants/run");
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(script);
    command.args(arguments).env("PATH", path).env("CALLS", home.join("calls"));
    command.env("CARGO_TARGET_DIR", home.join("target"));
    match part {
        Some(part) => command.env("PART", part),
        None => command.env_remove("PART"),
    };
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A run of the first mistake: its exit code, what it said, and how often it called cargo.
fn with_cargo(planted: &str) -> (Option<i32>, String, usize) {
    let home = Scratch::new().unwrap();
    let cargo = home.path().join("cargo");
    fs::write(&cargo, CARGO.replace("PLANTED", planted)).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let all = said(&run(home.path(), &["--list"], None));
    let output = run(home.path(), &all.lines().take(1).collect::<Vec<_>>(), None);
    let calls = fs::read_to_string(home.path().join("calls")).unwrap();
    (output.status.code(), said(&output), calls.lines().count())
}

/// `make test` asks for a Python that is older than the one this script needs.
fn python_is_too_old() -> bool {
    let is_new = Command::new("python3").args(["-c", "import tomllib"]).status().is_ok_and(|status| status.success());
    if !is_new {
        eprintln!("not tested: dev/mutants/run needs Python 3.11");
    }
    !is_new
}

#[test]
fn the_parts_are_the_whole_in_its_order() {
    if python_is_too_old() {
        return;
    }
    let home = Scratch::new().unwrap();
    let list = |part: Option<&str>| said(&run(home.path(), &["--list"], part));
    let parts = ["1/4", "2/4", "3/4", "4/4"].map(|part| list(Some(part)));
    assert_eq!(parts.concat(), list(None));
    let sizes = parts.map(|part| part.lines().count());
    assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
    for wrong in ["5/4", "0/4", "1", "1/0"] {
        assert_eq!(run(home.path(), &["--list"], Some(wrong)).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn every_mistake_can_still_be_planted() {
    if python_is_too_old() {
        return;
    }
    let home = Scratch::new().unwrap();
    let output = run(home.path(), &["--check"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn the_first_test_that_fails_ends_the_tests_of_a_mistake() {
    if python_is_too_old() {
        return;
    }
    let start = Instant::now();
    let (code, said, calls) = with_cargo("echo 'running 2 tests'; echo 'test it::sees ... FAILED'; sleep 600");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("by it::sees") && said.contains("1 of 1 noticed"), "{said}");
    assert!(start.elapsed() < Duration::from_mins(1));
    assert_eq!(calls, 2, "one suite without the mistake, and the same with it");
}

#[test]
fn a_mistake_that_no_test_notices_is_missed() {
    if python_is_too_old() {
        return;
    }
    let (code, said, calls) = with_cargo("true");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("MISSED") && said.contains("0 of 1 noticed"), "{said}");
    assert!(calls >= 2 && calls % 2 == 0, "every suite without the mistake and with it: {calls}");
}

#[test]
fn a_mistake_that_does_not_compile_is_an_error() {
    if python_is_too_old() {
        return;
    }
    let (code, said, _) = with_cargo("echo 'error: could not compile `x`'; exit 101");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not compile"), "{said}");
}
