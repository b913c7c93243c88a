//! Short words for the objects of a test.

use ecr_permissions_core::api::Kind;
use serde_json::{Value, json};

use super::REGION;
use super::aws::{Account, EXTERNAL_ID};

const API_VERSION: &str = "ecr-permissions.dev/v1alpha1";

/// A Registry of an account that lets every namespace labelled `tenant=yes` attach everything.
pub fn registry(name: &str, account: &Account) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "Registry", "metadata": {"name": name},
        "spec": {
            "accountId": account.id, "region": REGION,
            "identity": {"roleArn": account.role_arn(), "externalId": EXTERNAL_ID},
            "roles": {"permissionsBoundaryArn": account.boundary_arn()},
            "allow": [tenants()],
        },
    })
}

/// The rule that lets them.
pub fn tenants() -> Value {
    json!({
        "name": "tenants", "namespaces": {"selector": {"tenant": "yes"}}, "kinds": Kind::ALL.map(Kind::as_str),
        "repositories": ["*"], "accountIds": ["*"], "upstreamHosts": ["*"], "secretNames": ["*"],
        "createRepositories": true,
    })
}

/// A PullThroughCacheRule of Docker Hub, which needs credentials.
pub fn cache(namespace: &str, name: &str, registry: &str, prefix: &str, secret: &str) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "PullThroughCacheRule", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry}, "cachePrefix": prefix,
            "upstream": {"type": "DockerHub", "secretName": secret}, "pullers": {"accountIds": ["200000000001"]},
            "createRepositories": true,
        },
    })
}

/// A CrossAccountPtcRole that pulls from another Registry, and the cache that pulls by it, both of one name.
pub fn cache_across(namespace: &str, name: &str, registry: &str, upstream: &str, puller: &str) -> [Value; 2] {
    let role = json!({
        "apiVersion": API_VERSION, "kind": "CrossAccountPtcRole", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry}, "cacheRepositories": [format!("{name}/*")],
            "upstreams": [{"name": "up", "registryRef": {"name": upstream}, "repositories": ["base/*"]}],
        },
    });
    let rule = json!({
        "apiVersion": API_VERSION, "kind": "PullThroughCacheRule", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry}, "cachePrefix": name,
            "upstream": {"type": "Ecr", "ecr": {"registryRef": {"name": upstream}, "roleRef": {"name": name}}},
            "pullers": {"accountIds": [puller]}, "createRepositories": true,
        },
    });
    [rule, role]
}

/// A RegistryPolicy that lets one account pull one repository.
pub fn pull(namespace: &str, name: &str, registry: &str, account: &str, repository: &str) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "RegistryPolicy", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry},
            "statements": [{
                "name": "pull", "principals": {"accountIds": [account]}, "actions": ["ecr:BatchGetImage"],
                "repositories": [repository],
            }],
        },
    })
}

/// A ReplicationGrant that lets one account replicate into one repository.
pub fn grant(namespace: &str, name: &str, registry: &str, account: &str, repository: &str) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "ReplicationGrant", "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry}, "sources": {"accountIds": [account]}, "repositories": [repository],
        },
    })
}
