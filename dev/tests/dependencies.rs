//! What the crates may depend on, as `cargo tree` and `Cargo.lock` see it. deny.toml says more (licences, advisories),
//! but needs cargo-deny; these rules carry the design and are checked with cargo alone.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The names of all crates that `package` depends on through edges of these kinds, whatever the features, on this machine.
fn dependencies(package: &str, edges: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--all-features", "--prefix", "none"])
        .args(["--format", "{p}", "--package", package, "--edges", edges])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(names.contains(package), "{text}");
    names
}

fn those(names: &BTreeSet<String>, banned: impl Fn(&str) -> bool) -> Vec<&str> {
    names.iter().map(String::as_str).filter(|name| banned(name)).collect()
}

fn is_aws_sdk(name: &str) -> bool {
    ["aws-sdk-", "aws-smithy-", "aws-config", "aws-types", "aws-runtime", "aws-credential-types", "aws-sigv4"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[test]
fn the_core_can_do_no_io() {
    let names = dependencies("ecr-permissions-core", "normal,build");
    let banned = ["tokio", "hyper", "reqwest", "kube-client", "kube-runtime", "async-std", "smol", "mio", "rustls"];
    assert_eq!(those(&names, |name| banned.contains(&name) || is_aws_sdk(name)), [""; 0]);
}

/// What imitates AWS must not share our reading of AWS, or both are wrong together.
#[test]
fn the_simulator_knows_neither_our_core_nor_an_aws_sdk() {
    let names = dependencies("aws-sim", "normal,build,dev");
    let ours = |name: &str| name.starts_with("ecr-permissions") || name.starts_with("kube");
    assert_eq!(those(&names, |name| ours(name) || is_aws_sdk(name)), [""; 0]);
}

#[test]
fn the_legacy_http_and_tls_stack_of_the_aws_sdk_stays_out() {
    let lock = include_str!("../../Cargo.lock");
    assert!(lock.contains("name = \"rustls\"\nversion = \"0.23."), "the way Cargo.lock is written has changed");
    for (name, version) in [("hyper", "0."), ("rustls", "0.21."), ("rustls", "0.22."), ("h2", "0.3."), ("openssl", "")]
    {
        assert!(!lock.contains(&format!("name = \"{name}\"\nversion = \"{version}")), "{name} {version}");
    }
}

/// Two cryptographic providers in one program: rustls then picks none, and the program ends at its first connection.
#[test]
fn there_is_one_cryptographic_provider() {
    let names = dependencies("ecr-permissions-operator", "normal");
    assert_eq!(those(&names, |name| ["ring", "aws-lc-rs", "openssl", "boring"].contains(&name)), ["aws-lc-rs"]);
}
