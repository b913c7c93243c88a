//! What the sources must not do, as far as their text shows it.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::fs;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 6] = ["src", "core/src", "aws-sim/src", "kube-sim/src", "dev/src", "tests"];
/// Macros whose arguments are evaluated only at some log levels, or only in debug builds.
const CONDITIONAL: [&str; 10] = [
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "event",
    "enabled",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
];
/// What changes something or waits.
const EFFECTS: [&str; 16] = [
    ".await",
    "&mut ",
    ".next(",
    ".take(",
    ".insert(",
    ".remove(",
    ".push(",
    ".pop(",
    ".drain(",
    ".send(",
    ".replace(",
    ".set(",
    ".store(",
    ".swap(",
    ".fetch_",
    ".tick(",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(extension) if extension == "rs" => vec![path],
        _ => Vec::new(),
    };
    paths.into_iter().flat_map(of).collect()
}

/// The arguments of a macro, from what follows its name and `!`, without what stands between quotes.
fn arguments(text: &str) -> String {
    let (mut depth, mut quoted, mut escaped, mut found) = (0_usize, false, false, String::new());
    for letter in text.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if !quoted {
            found.push(letter);
        }
    }
    found
}

/// Where a conditional macro has an effect among its arguments: the line, and what it is.
fn hidden_effects(text: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    for (at, _) in text.match_indices('!') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let name = &before[before.trim_end_matches(is_part_of_name).len()..];
        if !CONDITIONAL.contains(&name) || !after.starts_with(['(', '[', '{']) {
            continue;
        }
        let arguments = arguments(after);
        let found = EFFECTS.iter().filter(|effect| arguments.contains(**effect));
        all.extend(found.map(|effect| (before.lines().count(), format!("{effect} in {name}!"))));
    }
    all
}

/// A log level, or a release build, must not decide what the program does.
#[test]
fn no_effect_hides_in_a_log_line_or_a_debug_assertion() {
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    let mut found = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| sources(&root.join(folder))) {
        let text = fs::read_to_string(&file).unwrap();
        found
            .extend(hidden_effects(&text).into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_effect_is_found_wherever_it_stands_among_the_arguments() {
    let found = |text: &str| hidden_effects(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    assert_eq!(found("\ntracing::info!(signal = signals.next().await, \"stopping\");"), [2, 2]);
    assert_eq!(found("debug_assert!(\n    all.insert(id),\n);"), [1]);
    assert_eq!(found("warn!(\"(\", n = queue.pop()); info!(\"x\")"), [1]);
    assert_eq!(found("info!(n = all.len(), \"that .await is told\"); signals.next().await"), [0; 0]);
    assert_eq!(found("assert!(all.insert(id)); if !warned { next().await }"), [0; 0]);
}
