//! What may change of a rule while it is there: what AWS can update (aws-facts D.4), and with `Recreate` the rest.

use ecr_permissions_core::check::Admission;
use serde_json::{Value, json};

use super::{ecr, role_spec, rule_spec};

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": kind,
        "metadata": {"name": "x", "namespace": "team-a"}, "spec": spec,
    })
}

/// Behaviour 23.
#[test]
fn what_aws_updates_may_change_come_and_go() {
    let secret = |name: &str| format!("upstream: {{type: DockerHub, secretName: ecr-pullthroughcache/{name}}}");
    let by = |role: &str| ecr(&format!("registryRef: {{name: upstream}}{role}"));
    let changes = [
        (secret("a"), secret("b")),
        (by(", roleRef: {name: a}"), by(", roleRef: {name: b}")),
        (by(", roleRef: {name: a}"), by(", roleName: b")),
        (by(""), by(", roleRef: {name: a}")),
        (
            "{}".to_owned(),
            r#"{pullers: {accountIds: ["222222222222"]}, claimExisting: true, suspend: true}"#.to_owned(),
        ),
    ];
    let admission = Admission::new();
    for (old, new) in changes {
        let [old, new] = [old, new].map(|text| object("PullThroughCacheRule", &rule_spec(&text)));
        assert_eq!(admission.faults(&new, Some(&old)), [], "{new}");
    }
}

/// Behaviour 23: all of the upstream may change, if the object says that the rule is to be made anew.
#[test]
fn with_recreate_the_upstream_may_be_another() {
    let external = |account: &str| ecr(&format!(r#"external: {{accountId: "{account}", region: us-east-1}}"#));
    let changes = [
        ("{}".to_owned(), "upstream: {type: Quay}".to_owned()),
        (external("222222222222"), external("333333333333")),
        (external("222222222222"), ecr("registryRef: {name: upstream}, repositoryPrefix: base")),
        (ecr("registryRef: {name: upstream}"), "upstream: {type: Quay}".to_owned()),
    ];
    let admission = Admission::new();
    for (old, new) in changes {
        let old = object("PullThroughCacheRule", &rule_spec(&old));
        let refused = object("PullThroughCacheRule", &rule_spec(&new));
        assert_eq!(admission.faults(&refused, Some(&old)).len(), 1, "{new}");
        let accepted = object("PullThroughCacheRule", &rule_spec(&format!("{{replacePolicy: Recreate, {new}}}")));
        assert_eq!(admission.faults(&accepted, Some(&old)), [], "{new}");
    }
}

#[test]
fn upstreams_of_a_role_come_and_go() {
    let more =
        r#"upstreams: [{name: b, external: {accountId: "333333333333", region: us-east-1}, repositories: ["*"]}]"#;
    let [one, other] = ["{}", more].map(|text| object("CrossAccountPtcRole", &role_spec(text)));
    let admission = Admission::new();
    assert_eq!(admission.faults(&one, Some(&other)), []);
    assert_eq!(admission.faults(&other, Some(&one)), []);
}
