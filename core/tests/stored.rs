//! What stands in the API server already: objects that an older version wrote are still read, and each kind's status has
//! room for what the operator writes there, and for nothing of other kinds.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

use std::collections::BTreeSet;

use ecr_permissions_core::api::{
    AttachedStatus, Kind, PullThroughCacheRule, Registry, RegistryPolicy, RoleStatus, RuleStatus, UpstreamStatus, crds,
};
use serde_json::json;

#[test]
fn old_objects_are_read_without_what_they_did_not_have() {
    let registry: Registry = serde_json::from_value(json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "Registry", "metadata": {"name": "default"},
        "spec": {
            "accountId": "111111111111", "region": "eu-west-1",
            "allow": [{"name": "a", "namespaces": {"names": ["a"]}, "kinds": ["RegistryPolicy"], "repositories": ["*"]}],
        },
    }))
    .unwrap();
    assert_eq!((registry.spec.roles, registry.spec.take_over_installation_ids), (None, vec![]));
    let rule = &registry.spec.allow[0];
    assert_eq!(
        (&rule.upstream_hosts, &rule.secret_names, &rule.role_names, rule.adoption),
        (&vec![], &vec![], &vec![], None)
    );
    let policy: RegistryPolicy = serde_json::from_value(json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "RegistryPolicy", "metadata": {"name": "a"},
        "spec": {"statements": []}, "status": {"observedGeneration": 1, "conditions": []},
    }))
    .unwrap();
    assert_eq!(policy.status, Some(AttachedStatus { observed_generation: 1, ..AttachedStatus::default() }));
}

/// The API server's default for an object that nobody has looked at.
#[test]
fn a_status_that_has_seen_nothing_is_read() {
    let rule: PullThroughCacheRule = serde_json::from_value(json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "PullThroughCacheRule", "metadata": {"name": "a"},
        "spec": {"cachePrefix": "hub", "upstream": {"type": "EcrPublic"}}, "status": {"observedGeneration": -1},
    }))
    .unwrap();
    assert_eq!(rule.status, Some(AttachedStatus::default()));
    let empty = serde_json::to_value(AttachedStatus::default()).unwrap();
    assert_eq!(empty, json!({"observedGeneration": -1}));
}

/// The members of a kind's status, by its definition.
fn members(kind: Kind) -> BTreeSet<String> {
    let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind.as_str()).unwrap();
    let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    let status = schema.properties.unwrap().remove("status").unwrap();
    status.properties.unwrap().into_keys().collect()
}

#[test]
fn every_status_has_the_members_of_its_kind_and_no_others() {
    let common = ["conditions", "lastHandledReconcileAt", "observedGeneration", "registry"];
    let own = |kind| -> Vec<String> {
        let all = members(kind);
        assert!(common.iter().all(|member| all.contains(*member)), "{kind}: {all:?}");
        all.into_iter().filter(|member| !common.contains(&member.as_str())).collect()
    };
    assert_eq!(own(Kind::RegistryPolicy), [""; 0]);
    assert_eq!(own(Kind::ReplicationGrant), [""; 0]);
    assert_eq!(own(Kind::PullThroughCacheRule), ["rule"]);
    assert_eq!(own(Kind::CrossAccountPtcRole), ["role", "upstreams"]);
}

/// Whatever the operator may write is in some kind's definition: what is not, the API server drops.
#[test]
fn no_member_of_a_status_is_without_a_definition() {
    let whole = AttachedStatus {
        rule: Some(RuleStatus::default()),
        role: Some(RoleStatus::default()),
        upstreams: vec![UpstreamStatus {
            name: "a".to_owned(),
            observed_generation: 1,
            conditions: Vec::new(),
            required_statement: Some("{}".to_owned()),
        }],
        ..AttachedStatus::default()
    };
    let defined: BTreeSet<String> = Kind::ALL.into_iter().flat_map(members).collect();
    for member in serde_json::to_value(whole).unwrap().as_object().unwrap().keys() {
        assert!(defined.contains(member), "{member}");
    }
}
