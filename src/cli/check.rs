//! `ecr-permissions check -f FILES`: what the API server and the operator would say of the objects in files, before
//! anybody applies them. It reads files and nothing else: no cluster, no AWS, no credentials.
//!
//! Exit codes, for pipelines: 0 nothing to say; 1 at least one finding; 2 a file could not be read, or is no YAML
//! (what could be read is checked all the same).

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ecr_permissions_core::check::{Report, check};

const FINDINGS: u8 = 1;
const UNREADABLE: u8 = 2;

/// Checks files; of a directory the YAML and JSON files in it; of `-` what comes in.
pub fn run(files: &[PathBuf]) -> ExitCode {
    let mut texts = Vec::new();
    let mut unreadable = Vec::new();
    for path in files {
        match read(path) {
            Ok(read) => texts.extend(read),
            Err(error) => unreadable.push((path.display().to_string(), error.to_string())),
        }
    }
    let mut report = check(&texts);
    report.unreadable.extend(unreadable);
    // Who closed the pipe has read enough.
    _ = tell(&report, texts.len(), &mut io::stdout().lock(), &mut io::stderr().lock());
    ExitCode::from(code(&report))
}

fn code(report: &Report) -> u8 {
    if !report.unreadable.is_empty() {
        UNREADABLE
    } else if report.findings.is_empty() {
        0
    } else {
        FINDINGS
    }
}

fn tell(report: &Report, files: usize, findings: &mut impl Write, remarks: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(findings, "{finding}")?;
    }
    for (file, error) in &report.unreadable {
        writeln!(remarks, "{file}: cannot be read: {error}")?;
    }
    let (objects, found) = (report.checked, report.findings.len());
    writeln!(remarks, "checked {objects} objects in {files} files: {found} findings")
}

/// The texts behind one argument, each with its name.
fn read(path: &Path) -> io::Result<Vec<(String, String)>> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(vec![("-".to_owned(), text)]);
    }
    if !path.is_dir() {
        return Ok(vec![(path.display().to_string(), fs::read_to_string(path)?)]);
    }
    let mut inside: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    inside.retain(|path| path.extension().is_some_and(|ext| ["yaml", "yml", "json"].iter().any(|known| ext == *known)));
    inside.sort();
    inside.into_iter().map(|path| Ok((path.display().to_string(), fs::read_to_string(&path)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(findings: usize, unreadable: usize) -> Report {
        let bad = "apiVersion: ecr-permissions.dev/v1alpha1\nkind: Nothing\nmetadata: {name: x}\n".to_owned();
        let texts: Vec<_> = (0..findings).map(|i| (format!("{i}.yaml"), bad.clone())).collect();
        let unreadable = (0..unreadable).map(|i| (format!("{i}.txt"), "no".to_owned())).collect();
        Report { unreadable, ..check(&texts) }
    }

    #[test]
    fn the_exit_code_tells_clean_findings_and_unreadable_apart() {
        assert_eq!(code(&report(0, 0)), 0);
        assert_eq!(code(&report(2, 0)), 1);
        assert_eq!(code(&report(0, 1)), 2);
        assert_eq!(code(&report(1, 1)), 2);
    }

    #[test]
    fn findings_go_to_one_stream_and_remarks_to_the_other() {
        let (mut findings, mut remarks) = (Vec::new(), Vec::new());
        tell(&report(1, 1), 1, &mut findings, &mut remarks).unwrap();
        let (findings, remarks) = (String::from_utf8(findings).unwrap(), String::from_utf8(remarks).unwrap());
        assert!(findings.starts_with("0.yaml: Nothing x: kind: Nothing of"), "{findings}");
        assert_eq!(remarks, "0.txt: cannot be read: no\nchecked 1 objects in 1 files: 1 findings\n");
    }
}
