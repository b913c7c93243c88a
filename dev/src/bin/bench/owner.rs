//! The objects that the benchmark applies, as a user would write them.

use serde_json::{Value, json};

use crate::cluster::API;

/// A kind that is attached.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub kind: &'static str,
    pub plural: &'static str,
}

pub const POLICIES: Kind = Kind { kind: "RegistryPolicy", plural: "registrypolicies" };
pub const CACHES: Kind = Kind { kind: "PullThroughCacheRule", plural: "pullthroughcacherules" };
pub const ROLES: Kind = Kind { kind: "CrossAccountPtcRole", plural: "crossaccountptcroles" };

/// An object of an attached kind.
#[derive(Clone, Debug)]
pub struct Owner {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub spec: Value,
}

impl Owner {
    /// A RegistryPolicy: one account may pull from the same repositories as all others.
    pub fn policy(namespace: &str, name: &str, registry: &str, account: &str) -> Self {
        let spec = json!({
            "registryRef": {"name": registry},
            "statements": [{
                "name": "pull",
                "principals": {"accountIds": [account]},
                "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "repositories": ["bench/*"],
            }],
        });
        Self { kind: POLICIES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// A PullThroughCacheRule of a public upstream.
    pub fn cache(namespace: &str, name: &str, registry: &str, prefix: &str) -> Self {
        let spec = json!({
            "registryRef": {"name": registry}, "cachePrefix": prefix, "upstream": {"type": "EcrPublic"},
        });
        Self { kind: CACHES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// A PullThroughCacheRule of another registry, by the role of a CrossAccountPtcRole.
    pub fn cache_by_role(namespace: &str, name: &str, [registry, upstream]: [&str; 2], role: &str) -> Self {
        let ecr = json!({"registryRef": {"name": upstream}, "roleRef": {"name": role}});
        let spec = json!({
            "registryRef": {"name": registry}, "cachePrefix": name, "upstream": {"type": "Ecr", "ecr": ecr},
        });
        Self { kind: CACHES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// A CrossAccountPtcRole with one upstream.
    pub fn role(namespace: &str, name: &str, registry: &str, upstream: &Value) -> Self {
        let mut upstream = upstream.clone();
        upstream["name"] = "up".into();
        upstream["repositories"] = json!(["bench/*"]);
        let spec = json!({
            "registryRef": {"name": registry}, "upstreams": [upstream], "cacheRepositories": ["bench/*"],
        });
        Self { kind: ROLES, namespace: namespace.to_owned(), name: name.to_owned(), spec }
    }

    /// What no other object of its kind is called.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub fn object(&self) -> Value {
        json!({
            "apiVersion": API,
            "kind": self.kind.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        })
    }
}
