//! What an earlier version stored is read without losing anything (`tests/testdata/stored`), and what a later one stored
//! comes back byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its input has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use ecr_permissions_core::api::{
    CrossAccountPtcRole, PullThroughCacheRule, Registry, RegistryLedger, RegistryPolicy, ReplicationGrant,
};
use ecr_permissions_core::pass::ledger::{DocumentRecord, Entry, Mark, Slice};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata/stored")
}

/// Every stored object of a folder.
fn stored(version: &str) -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir(folder().join(version)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| serde_saphyr::from_multiple::<Value>(&fs::read_to_string(file).unwrap()).unwrap();
    files.iter().flat_map(read).collect()
}

fn versions() -> Vec<String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    folders.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name != "later").collect()
}

/// Reads an object as its type and writes it again.
fn there_and_back<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

/// `None`: an object of no kind of ours.
fn again(object: &Value) -> Option<Value> {
    Some(match object["kind"].as_str()? {
        "Registry" => there_and_back::<Registry>(object),
        "RegistryLedger" => there_and_back::<RegistryLedger>(object),
        "RegistryPolicy" => there_and_back::<RegistryPolicy>(object),
        "ReplicationGrant" => there_and_back::<ReplicationGrant>(object),
        "PullThroughCacheRule" => there_and_back::<PullThroughCacheRule>(object),
        "CrossAccountPtcRole" => there_and_back::<CrossAccountPtcRole>(object),
        _ => return None,
    })
}

fn slices(version: &str) -> Vec<Slice> {
    let ledgers = stored(version).into_iter().filter(|object| object["kind"] == "RegistryLedger");
    ledgers.map(|object| Slice::of(serde_json::from_value(object).unwrap())).collect()
}

#[test]
fn every_version_is_read_and_loses_nothing() {
    let versions = versions();
    assert!(
        versions.contains(&env!("CARGO_PKG_VERSION").to_owned()),
        "this version's objects are not there: {versions:?}"
    );
    for version in versions {
        let all = stored(&version);
        assert!(all.len() > 9, "{version} has {} objects", all.len());
        for object in all {
            let again = again(&object).unwrap();
            for part in ["spec", "status"] {
                assert_eq!(again[part], object[part], "{version}: {} {}", object["kind"], object["metadata"]["name"]);
            }
        }
    }
}

/// Behaviour 51: the digest is the stored one, and every entry says the same in the same bytes.
#[test]
fn the_slices_of_every_version_are_believed() {
    for version in versions() {
        let slices = slices(&version);
        assert!(slices.iter().map(|slice| slice.entries.len()).sum::<usize>() > 5, "{version}");
        for slice in slices {
            assert!(!slice.is_edited(), "{version}: {}", slice.name);
            for (part, text) in &slice.entries {
                assert_eq!(Entry::read(text).unwrap().text(), *text, "{version}: {part:?}");
            }
            for (key, text) in &slice.documents {
                assert_eq!(DocumentRecord::read(text).unwrap().text(), *text, "{version}: {key}");
            }
        }
    }
}

/// Behaviour 46: members, states, resources and kinds of a later version are kept as they are.
#[test]
fn what_a_later_version_stored_comes_back_byte_for_byte() {
    for slice in slices("later") {
        for (part, text) in &slice.entries {
            let entry = Entry::read(text).unwrap();
            assert_eq!(entry.text(), *text, "{part:?}");
            if part.name == "of-a-new-state" {
                assert_eq!(entry.mark, Some(Mark::Unknown("Paused".to_owned())));
            }
        }
        for (key, text) in &slice.documents {
            assert_eq!(DocumentRecord::read(text).unwrap().text(), *text, "{key}");
        }
    }
}
