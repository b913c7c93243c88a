//! The table of good and bad objects, offline (`tests/testdata/objects`): the definitions' schemas and rules, then the
//! translation. The API server is asked about the same files elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::fs;
use std::path::Path;

use ecr_permissions_core::api::{CrossAccountPtcRole, PullThroughCacheRule, RegistryPolicy, ReplicationGrant};
use ecr_permissions_core::check::{Admission, as_stored};
use ecr_permissions_core::kinds::{Body, References, Wanted, translate};
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::reason::Because;
use serde_json::Value;

struct Case {
    file: String,
    expect: Vec<String>,
    documents: Vec<Value>,
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata/objects").join(folder);
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let case = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        Case {
            file: path.display().to_string(),
            expect: text.lines().filter_map(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect(),
            documents: serde_saphyr::from_multiple(&text).unwrap().iter().map(as_stored).collect(),
        }
    };
    paths.into_iter().map(case).collect()
}

fn said(admission: &Admission, object: &Value, old: Option<&Value>) -> String {
    let faults = admission.faults(object, old);
    faults.iter().map(|fault| [&fault.field, ": ", &fault.problem, ": ", &fault.cure, "\n"].concat()).collect()
}

/// The operator's answer for the registry that the table is written for, beside Registry `upstream` of another account;
/// `None` for a Registry.
fn translated(object: &Value) -> Option<Result<Wanted, Because>> {
    let body: Body = match object["kind"].as_str()? {
        "RegistryPolicy" => serde_json::from_value::<RegistryPolicy>(object.clone()).unwrap().spec.into(),
        "ReplicationGrant" => serde_json::from_value::<ReplicationGrant>(object.clone()).unwrap().spec.into(),
        "PullThroughCacheRule" => serde_json::from_value::<PullThroughCacheRule>(object.clone()).unwrap().spec.into(),
        "CrossAccountPtcRole" => serde_json::from_value::<CrossAccountPtcRole>(object.clone()).unwrap().spec.into(),
        _ => return None,
    };
    let key = |account: &str| RegistryKey { account: account.parse().unwrap(), region: "eu-west-1".parse().unwrap() };
    let references = References::from_iter([("upstream".to_owned(), key("222222222222"))]);
    Some(translate(&body, &key("111111111111"), &references))
}

fn assert_said(case: &Case, said: &str) {
    assert!(!case.expect.is_empty(), "{}: no `# expect:` line", case.file);
    for expected in &case.expect {
        assert!(said.contains(expected.as_str()), "{}: expected {expected:?} in:\n{said}", case.file);
    }
}

#[test]
fn good_objects_are_admitted_and_translated() {
    let admission = Admission::new();
    for case in cases("good") {
        for object in &case.documents {
            assert_eq!(said(&admission, object, None), "", "{}", case.file);
            assert_eq!(said(&admission, object, Some(object)), "", "{}: unchanged", case.file);
            let wanted = translated(object).transpose().unwrap_or_else(|refusal| panic!("{}: {refusal:?}", case.file));
            assert_ne!(wanted, Some(Wanted::default()), "{}", case.file);
        }
    }
}

#[test]
fn bad_objects_are_refused_with_field_and_cure() {
    let admission = Admission::new();
    for case in cases("bad") {
        assert_said(&case, &said(&admission, &case.documents[0], None));
    }
}

#[test]
fn what_cannot_change_is_refused_when_it_does() {
    let admission = Admission::new();
    for case in cases("changed") {
        let [old, new] = &case.documents[..] else { panic!("{}: two documents", case.file) };
        assert_eq!(said(&admission, old, None), "", "{}", case.file);
        assert_eq!(said(&admission, new, None), "", "{}", case.file);
        assert_said(&case, &said(&admission, new, Some(old)));
    }
}

#[test]
fn what_only_the_operator_sees_is_refused_by_the_translation() {
    let admission = Admission::new();
    for case in cases("refused") {
        let object = &case.documents[0];
        assert_eq!(said(&admission, object, None), "", "{}", case.file);
        let because = translated(object).unwrap().expect_err(&case.file);
        assert_eq!(because.reason.as_str(), "InvalidSpec");
        assert_said(&case, &because.message);
    }
}
