//! What the commands print and how they end, as a person at a terminal sees it. The files beside this one are the
//! sessions; `TRYCMD=overwrite cargo test --test cli` writes what is printed now into them.

#[test]
fn every_session_goes_as_written() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd");
}

/// What `crds` prints is what is installed from `crds/`.
#[test]
fn the_definitions_are_printed_as_they_are_stored() {
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_ecr-permissions")).arg("crds").output().unwrap();
    let mut documents: Vec<_> = std::str::from_utf8(&printed.stdout).unwrap().split("---\n").skip(1).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let mut files: Vec<_> = files.collect();
    documents.sort_unstable();
    files.sort_unstable();
    assert!(printed.status.success() && documents == files, "{documents:#?}");
}
