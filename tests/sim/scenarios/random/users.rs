//! What the users of the cluster do in a random schedule, and the owners of its registries.

use serde_json::{Value, json};

use super::chaos::{ACCOUNTS, Chaos, HOMES, NAMESPACES};
use super::model::Id;
use crate::lab::Lab;
use crate::lab::objects::{CACHES, GRANTS, POLICIES, REGISTRIES, ROLES, allow_all};

const REPOSITORIES: [&str; 5] = ["app/*", "app/web", "lib/*", "lib/core", "solo"];
const ACTIONS: [&str; 3] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"];

impl Chaos {
    fn any_id(&mut self) -> Id {
        let plural = *self.choose(&[POLICIES, POLICIES, GRANTS, CACHES, ROLES]);
        (plural, (*self.choose(&NAMESPACES)).to_owned(), (*self.choose(&["one", "two"])).to_owned())
    }

    pub(super) fn as_user(&mut self, lab: &Lab) {
        let id = self.any_id();
        let stored = lab.kube.get(id.0, &id.1, &id.2);
        match (stored, self.rng.u32(0..100)) {
            (Some(object), 0..25) => {
                lab.delete(id.0, &id.1, &id.2);
                if object["spec"]["deletionPolicy"] == "Retain" {
                    self.model.orphans.insert(id);
                }
            }
            (Some(_), 25..32) => {
                lab.annotate(id.0, &id.1, &id.2, "ecr-permissions.dev/abandon", "true");
                lab.delete(id.0, &id.1, &id.2);
                self.model.orphans.insert(id);
            }
            (Some(_), 32..37) => {
                lab.kube.vanish(id.0, &id.1, &id.2).unwrap();
                self.model.orphans.insert(id);
            }
            (Some(object), 37..50) => {
                let suspended = object["spec"]["suspend"] == true;
                lab.set(id.0, &id.1, &id.2, "/spec/suspend", &json!(!suspended));
            }
            (Some(_), 50..55) => {
                let now = format!("{:?}", lab.clock.now());
                lab.annotate(id.0, &id.1, &id.2, "reconcile.ecr-permissions.dev/requestedAt", &now);
            }
            (stored, _) => self.apply(lab, &id, stored.as_ref()),
        }
    }

    fn apply(&mut self, lab: &Lab, id: &Id, stored: Option<&Value>) {
        // The reference cannot change.
        let home = stored.and_then(|object| object["spec"]["registryRef"]["name"].as_str().map(str::to_owned));
        let home = home.unwrap_or_else(|| self.choose(&HOMES).0.to_owned());
        // A role and the cache that pulls by it are of one registry, whoever of them comes first.
        let home = if id.0 == ROLES { home_of_roles(&id.2).to_owned() } else { home };
        let mut spec = json!({"registryRef": {"name": home}});
        if id.0 == POLICIES {
            let statement = |chaos: &mut Self, name: &str| {
                json!({
                    "name": name, "principals": {"accountIds": chaos.some(&ACCOUNTS)},
                    "actions": chaos.some(&ACTIONS), "repositories": chaos.some(&REPOSITORIES),
                })
            };
            let mut statements = vec![statement(self, "first")];
            if self.rng.bool() {
                statements.push(statement(self, "second"));
            }
            spec["statements"] = json!(statements);
        } else if id.0 == CACHES {
            spec["cachePrefix"] = json!(prefix_of(id));
            spec["upstream"] = json!({"type": *self.choose(&["EcrPublic", "Quay", "Kubernetes"])});
            if home == home_of_roles(&id.2) && self.rng.bool() {
                let ecr = json!({"registryRef": {"name": other_than(&home)}, "roleRef": {"name": id.2}});
                spec["upstream"] = json!({"type": "Ecr", "ecr": ecr});
            }
            spec["replacePolicy"] = json!("Recreate");
        } else if id.0 == ROLES {
            let repositories = self.some(&REPOSITORIES);
            let upstream =
                json!({"name": "up", "registryRef": {"name": other_than(&home)}, "repositories": repositories});
            spec["upstreams"] = json!([upstream]);
            spec["roleName"] = json!(prefix_of(id));
            spec["cacheRepositories"] = json!(self.some(&REPOSITORIES));
            spec["grantee"] = json!(*self.choose(&["Role", "Account"]));
            spec["permissionScope"] = json!(*self.choose(&["Any", "Listed"]));
        } else {
            spec["sources"] = json!({"accountIds": self.some(&ACCOUNTS)});
            spec["repositories"] = json!(self.some(&REPOSITORIES));
            spec["createRepositories"] = json!(self.rng.bool());
        }
        // A rule or a role that is left behind is somebody else's, and whoever comes after would be right to be refused.
        if ![CACHES, ROLES].contains(&id.0) && self.rng.u32(0..10) == 0 {
            spec["deletionPolicy"] = json!("Retain");
        }
        lab.apply(&json!({
            "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": kind_of(id.0),
            "metadata": {"namespace": id.1, "name": id.2}, "spec": spec,
        }));
        self.model.note(lab, id);
    }

    pub(super) fn as_owner(&mut self, lab: &Lab) {
        let (name, _) = *self.choose(&HOMES);
        let stored = lab.kube.get(REGISTRIES, "", name).unwrap();
        match self.rng.u32(0..8) {
            0 => {
                let observes = stored["spec"]["management"] == "Observe";
                lab.set(REGISTRIES, "", name, "/spec/management", &json!(if observes { "Enforce" } else { "Observe" }));
            }
            1 => {
                let suspended = stored["spec"]["suspend"] == true;
                lab.set(REGISTRIES, "", name, "/spec/suspend", &json!(!suspended));
            }
            2 => lab.reconcile_now(name),
            3 | 4 => {
                let namespace = *self.choose(&NAMESPACES);
                let tenant = *self.choose(&["yes", "no"]);
                lab.kube
                    .edit("namespaces", "", namespace, |n| n["metadata"]["labels"] = json!({"tenant": tenant}))
                    .unwrap();
            }
            _ => {
                let mut rule = allow_all();
                match self.rng.u32(0..5) {
                    0 => rule["kinds"] = json!(["RegistryPolicy"]),
                    1 => rule["repositories"] = json!(["app/*"]),
                    2 => rule["repositories"] = json!(["lib/*", "solo"]),
                    _ => {}
                }
                let rules = if self.rng.u32(0..8) == 0 { json!([]) } else { json!([rule]) };
                lab.set(REGISTRIES, "", name, "/spec/allow", &rules);
            }
        }
    }
}

pub(super) fn kind_of(plural: &str) -> &'static str {
    match plural {
        POLICIES => "RegistryPolicy",
        GRANTS => "ReplicationGrant",
        ROLES => "CrossAccountPtcRole",
        _ => "PullThroughCacheRule",
    }
}

/// The prefix of an object's cache: no two have one.
fn prefix_of(id: &Id) -> String {
    format!("{}-{}", id.1, id.2)
}

/// Roles of this name live in the first registry and pull from the second, or the other way.
fn home_of_roles(name: &str) -> &'static str {
    HOMES[usize::from(name == "two")].0
}

fn other_than(registry: &str) -> &'static str {
    HOMES[usize::from(registry == HOMES[0].0)].0
}
