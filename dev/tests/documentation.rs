//! What docs/ says of the code is so: the tests it names exist, every reason has its cure, no link leads nowhere.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Where tests lie, and what docs/behaviours.md calls the place.
const PLACES: [(&str, &str); 7] = [
    ("core", "core"),
    ("src", "operator"),
    ("tests/sim", "sim"),
    ("tests/it", "it"),
    ("aws-sim", "aws-sim"),
    ("kube-sim", "kube-sim"),
    ("dev", "dev"),
];

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let of = |path: PathBuf| {
        let is_wanted = path.extension().is_some_and(|found| found == extension);
        if path.is_dir() { files(&path, extension) } else { Vec::from_iter(is_wanted.then_some(path)) }
    };
    paths.into_iter().flat_map(of).collect()
}

/// The numbers after "Behaviour" in a comment: `8 and 9`, `1–4`, `11, 12`.
fn numbers(comment: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for (at, word) in comment.to_lowercase().match_indices("behaviour") {
        let rest = comment[at + word.len()..].trim_start_matches('s');
        let list: String = rest.chars().take_while(|c| c.is_ascii_digit() || " ,–-and".contains(*c)).collect();
        let parts = list.split(',').flat_map(|part| part.split("and"));
        for part in parts {
            let ends: Vec<u32> = part.split(['–', '-']).filter_map(|n| n.trim().parse().ok()).collect();
            if let [first, .., last] | [first @ last] = ends[..] {
                found.extend(first..=last);
            }
        }
    }
    found
}

/// The tests of a file with the behaviours their doc comments name.
fn tests_of(text: &str) -> Vec<(String, BTreeSet<u32>)> {
    let (mut comment, mut is_test, mut tests) = (String::new(), false, Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(words) = line.strip_prefix("/// ") {
            comment = comment + " " + words;
        } else if line.starts_with("#[") {
            is_test |= line.starts_with("#[test") || line.starts_with("#[tokio::test");
        } else {
            let name =
                line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next());
            if let (true, Some(name)) = (is_test, name) {
                tests.push((name.to_owned(), numbers(&comment)));
            }
            (comment, is_test) = (String::new(), false);
        }
    }
    tests
}

/// All tests that name a behaviour: number to `place name`.
fn shown_by() -> BTreeMap<u32, Vec<String>> {
    let mut all = BTreeMap::<u32, Vec<String>>::new();
    for (folder, place) in PLACES {
        for file in files(&root().join(folder), "rs") {
            for (name, behaviours) in tests_of(&fs::read_to_string(file).unwrap()) {
                for n in behaviours {
                    all.entry(n).or_default().push(format!("{place} `{name}`"));
                }
            }
        }
    }
    all
}

/// A row of docs/behaviours.md: number, behaviour, tests.
fn row(line: &str) -> Option<(u32, &str, &str)> {
    let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.splitn(3, " | ");
    Some((cells.next()?.parse().ok()?, cells.next()?, cells.next()?))
}

#[test]
fn the_tests_that_behaviours_name_exist() {
    let (path, tests) = (root().join("docs/behaviours.md"), shown_by());
    let text = fs::read_to_string(&path).unwrap();
    if env::var_os("UPDATE_DOCS").is_some() {
        let line = |line: &str| match row(line) {
            Some((n, behaviour, _)) => {
                let shown = tests.get(&n).map_or_else(|| "—".to_owned(), |all| all.join("<br>"));
                format!("| {n} | {behaviour} | {shown} |\n")
            }
            None => format!("{line}\n"),
        };
        fs::write(&path, text.lines().map(line).collect::<Vec<_>>().concat()).unwrap();
        return;
    }
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    // The numbers between are of parts that are not there yet.
    let expected: Vec<_> = (1..=54).chain([56, 58]).collect();
    assert_eq!(rows.iter().map(|(n, ..)| *n).collect::<Vec<_>>(), expected);
    for (n, _, shown) in rows {
        for named in shown.split("<br>").filter(|named| *named != "—") {
            let exists = tests.get(&n).is_some_and(|all| all.iter().any(|test| test == named));
            assert!(exists, "behaviour {n}: there is no {named}; write the column anew: UPDATE_DOCS=1");
        }
    }
}

#[test]
fn every_reason_is_explained_and_every_explanation_has_its_reason() {
    let table = fs::read_to_string(root().join("core/src/reason.rs")).unwrap();
    let rows = table.lines().filter_map(|line| line.trim().split_once(" => ").filter(|(_, rest)| rest.ends_with(';')));
    let reasons: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).filter(|name| !name.contains('$')).collect();
    assert!(reasons.contains("NotAllowed"), "the table of reasons is written otherwise by now: {reasons:?}");
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let explained: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    assert_eq!(explained, reasons);
}

#[test]
fn no_link_leads_nowhere() {
    let mut documents = files(&root().join("docs"), "md");
    documents.push(root().join("README.md"));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap();
            let target = document.parent().unwrap().join(path);
            let outside = link.contains("://") || path.is_empty();
            assert!(outside || target.exists(), "{}: {link}", document.display());
        }
    }
}

#[test]
fn the_numbers_of_a_comment_are_read_as_a_person_reads_them() {
    let read = |text: &str| numbers(text).into_iter().collect::<Vec<_>>();
    assert_eq!(read("Behaviour 13."), [13]);
    assert_eq!(read("Behaviours 8 and 9."), [8, 9]);
    assert_eq!(read("Behaviours 1–4; aws-facts C.2."), [1, 2, 3, 4]);
    assert_eq!(read("Behaviours 11, 12 and 36: x, 5"), [11, 12, 36]);
    assert_eq!(read("rests on behaviour 42 (it 7)"), [42]);
}
