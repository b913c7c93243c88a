//! Short words for the objects of a scenario.

use std::sync::LazyLock;

use ecr_permissions_core::api::{Kind, crds};
use kube_sim::{KubeSim, Resource};
use serde_json::{Value, json};

use super::{Lab, REGION};

/// A server of our kinds. Their schemas are made once: a run takes less time than they do.
pub fn serve(sim: KubeSim) -> KubeSim {
    static KINDS: LazyLock<Vec<Resource>> = LazyLock::new(|| {
        crds().iter().map(|crd| Resource::from_crd(&serde_json::to_value(crd).unwrap()).unwrap()).collect()
    });
    KINDS.iter().cloned().fold(sim, KubeSim::serve)
}

/// A Registry of an account that lets every namespace labelled `tenant=yes` attach everything to `team-*`.
pub fn registry(name: &str, account: &str) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "Registry", "metadata": {"name": name},
        "spec": {
            "accountId": account, "region": REGION,
            "identity": {"roleArn": format!("arn:aws:iam::{account}:role/member"), "externalId": "lab"},
            "roles": {"permissionsBoundaryArn": format!("arn:aws:iam::{account}:policy/{BOUNDARY}")},
            "allow": [allow_all()],
        },
    })
}

pub fn allow_all() -> Value {
    json!({
        "name": "tenants", "namespaces": {"selector": {"tenant": "yes"}},
        "kinds": Kind::ALL.map(Kind::as_str), "repositories": ["*"], "accountIds": ["*"], "organizationIds": ["*"],
        "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability", "ecr:PutImage"],
        "effects": ["Allow", "Deny"], "upstreamHosts": ["*"], "secretNames": ["*"], "roleNames": ["*"],
        "adoption": "Always", "retain": true, "granteeAccount": true, "createRepositories": true,
    })
}

pub fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"tenant": "yes"}}})
}

/// A RegistryPolicy that lets accounts pull `repository`.
pub fn pull(namespace: &str, name: &str, registry: &str, accounts: &[&str], repository: &str) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "RegistryPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry},
            "statements": [{
                "name": "pull", "principals": {"accountIds": accounts},
                "actions": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "repositories": [repository],
            }],
        },
    })
}

/// A ReplicationGrant that lets accounts replicate into `repository`.
pub fn grant(namespace: &str, name: &str, registry: &str, accounts: &[&str], repository: &str) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "ReplicationGrant",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "registryRef": {"name": registry}, "sources": {"accountIds": accounts}, "repositories": [repository],
        },
    })
}

/// A PullThroughCacheRule for an upstream that needs no credentials.
pub fn cache(namespace: &str, name: &str, registry: &str, prefix: &str) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "PullThroughCacheRule",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"registryRef": {"name": registry}, "cachePrefix": prefix, "upstream": {"type": "EcrPublic"}},
    })
}

/// A CrossAccountPtcRole of Registry `default` that pulls from the repositories of Registry `upstream`.
pub fn role(namespace: &str, name: &str, upstream: &str, repositories: &[&str]) -> Value {
    json!({
        "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "CrossAccountPtcRole",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "upstreams": [{"name": "up", "registryRef": {"name": upstream}, "repositories": repositories}],
            "cacheRepositories": [format!("{name}/*")],
        },
    })
}

/// A PullThroughCacheRule of Registry `default` with that role; its prefix is its name.
pub fn cache_by_role(namespace: &str, name: &str, upstream: &str, role: &str) -> Value {
    let ecr = json!({"registryRef": {"name": upstream}, "roleRef": {"name": role}});
    with(cache(namespace, name, "default", name), "/spec/upstream", &json!({"type": "Ecr", "ecr": ecr}))
}

/// The object with one member set; `at` is a JSON pointer whose parents are there. Null takes the member away.
pub fn with(mut object: Value, at: &str, value: &Value) -> Value {
    let (parent, member) = at.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match (parent, member.parse::<usize>()) {
        (Value::Array(all), Ok(i)) => all[i] = value.clone(),
        (Value::Object(members), _) if value.is_null() => drop(members.shift_remove(member)),
        (parent, _) => parent[member] = value.clone(),
    }
    object
}

pub const REGISTRIES: &str = "registries";
pub const POLICIES: &str = "registrypolicies";
pub const GRANTS: &str = "replicationgrants";
pub const CACHES: &str = "pullthroughcacherules";
pub const ROLES: &str = "crossaccountptcroles";
/// Every account of the lab has a policy of this name: the boundary of roles.
pub const BOUNDARY: &str = "ptc-boundary";

impl Lab {
    /// Changes the stored object as a user would: one member of it set. Null takes the member away.
    pub fn set(&self, plural: &str, namespace: &str, name: &str, at: &str, value: &Value) {
        self.kube.edit(plural, namespace, name, |object| *object = with(object.take(), at, value)).unwrap();
    }

    /// Annotates an object.
    pub fn annotate(&self, plural: &str, namespace: &str, name: &str, annotation: &str, value: &str) {
        let change = |object: &mut Value| object["metadata"]["annotations"][annotation] = value.into();
        self.kube.edit(plural, namespace, name, change).unwrap();
    }

    /// A person asks for a pass at once; every time is another word.
    pub fn reconcile_now(&self, registry: &str) {
        let asked = format!("{:?}", self.clock.now());
        self.annotate("registries", "", registry, "reconcile.ecr-permissions.dev/requestedAt", &asked);
    }

    /// Every event so far: what it is about, and its reason.
    pub fn events(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = self.kube.list("events", "");
        events.iter().map(|event| (text(&event["regarding"]["name"]), text(&event["reason"]))).collect()
    }

    /// The token that a Registry prints for a prune of what belongs to nobody.
    pub fn prune_token(&self, registry: &str) -> String {
        self.token(registry, "Orphaned")
    }

    /// The token that a condition of a Registry prints, `Orphaned` or `Retained`.
    pub fn token(&self, registry: &str, kind: &str) -> String {
        let message = self.message(REGISTRIES, "", registry, kind);
        let said = message.split_once("--confirm ").unwrap().1;
        said.split_whitespace().next().unwrap().to_owned()
    }

    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.kube.delete(plural, namespace, name).unwrap();
    }

    pub fn exists(&self, plural: &str, namespace: &str, name: &str) -> bool {
        self.kube.get(plural, namespace, name).is_some()
    }

    /// Registry `default` of account A, and two namespaces of tenants.
    pub fn two_teams(&self) {
        self.apply(&registry("default", super::A));
        self.apply(&namespace("team-a"));
        self.apply(&namespace("team-b"));
    }

    /// Leaves it to AWS how much a namespace may have of a registry: nothing is kept for another.
    pub fn keep_nothing_back(&self, registry: &str) {
        let limits = json!({"each": {"characters": 100_000, "rules": 50}});
        self.set(REGISTRIES, "", registry, "/spec/allow/0/limits", &limits);
    }

    /// Two teams, each with an object that lets an account pull what is the team's; all Ready and at rest.
    pub async fn two_pulls(&mut self, of_a: &str, of_b: &str) {
        self.two_teams();
        self.apply(&pull("team-a", "pull", "default", &[of_a], "team-a/*"));
        self.apply(&pull("team-b", "pull", "default", &[of_b], "team-b/*"));
        self.until_ready(&["team-a/pull", "team-b/pull"]).await;
        self.settle().await;
    }

    /// Waits until every one of these RegistryPolicies (`namespace/name`) is Ready.
    pub async fn until_ready(&mut self, objects: &[&str]) {
        self.until_ready_of(POLICIES, objects).await;
    }

    /// Waits until objects of a kind, each `namespace/name`, are Ready.
    pub async fn until_ready_of(&mut self, plural: &str, objects: &[&str]) {
        let what = format!("{} Ready", objects.join(", "));
        let ready = |lab: &Self, object: &str| {
            let (namespace, name) = object.split_once('/').unwrap();
            lab.is_ready(plural, namespace, name)
        };
        self.until(&what, |lab| objects.iter().all(|object| ready(lab, object))).await;
    }

    /// Waits until an object's `Ready` has a reason for the generation it is at.
    pub async fn until_reason(&mut self, plural: &str, namespace: &str, name: &str, reason: &str) {
        let what = format!("reason {reason} of {namespace}/{name}");
        self.until(&what, |lab| lab.has_reason(plural, namespace, name, reason)).await;
    }

    pub fn has_reason(&self, plural: &str, namespace: &str, name: &str, reason: &str) -> bool {
        let object = self.kube.get(plural, namespace, name).unwrap_or_default();
        condition(&object, "Ready").1 == reason
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
    }

    /// The message of an object's condition.
    pub fn message(&self, plural: &str, namespace: &str, name: &str, kind: &str) -> String {
        let object = self.kube.get(plural, namespace, name).unwrap_or_default();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
        found["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The statements of the registry policy, as they are stored.
    pub fn statements(&self, account: &str) -> Vec<Value> {
        self.policy(account).map(|policy| super::list(&policy["Statement"])).unwrap_or_default()
    }

    /// Every write of a document that took effect in the account: the text before it, and the text after it.
    pub fn document_writes(&self, account: &str) -> Vec<(Option<String>, Option<String>)> {
        self.aws.world(|world| {
            let writes = world.calls().iter().filter(|call| call.account.as_deref() == Some(account));
            writes
                .filter(|call| call.operation != "PutAccountSetting" && call.took_effect)
                .filter_map(|call| call.write.clone())
                .map(|write| (write.before, write.after))
                .collect()
        })
    }

    /// How many calls AWS has got so far.
    pub fn aws_calls(&self, account: &str) -> usize {
        self.aws.world(|world| world.calls().iter().filter(|c| c.account.as_deref() == Some(account)).count())
    }

    pub fn aws_writes_of(&self, account: &str) -> usize {
        let is_of = |call: &aws_sim::Call| call.is_write && call.account.as_deref() == Some(account);
        self.aws.world(|world| world.calls().iter().filter(|call| is_of(call)).count())
    }

    /// May any principal of the account pull from the repository of registry A?
    pub fn may_pull(&self, account: &str, repository: &str) -> bool {
        self.may(account, "ecr:BatchGetImage", repository, super::A)
    }

    /// Whether a principal's pull through the cache of registry A would succeed, and why not.
    pub fn pulls_through(&self, principal: &str, repository: &str) -> Result<(), String> {
        let decision = self.aws.world(|world| world.would_pull_through(principal, repository, super::A, REGION));
        if decision.allowed { Ok(()) } else { Err(decision.because) }
    }

    pub fn apply(&self, object: &Value) {
        self.kube.apply(object).unwrap();
    }

    /// Status and reason of an object's `Ready`.
    pub fn ready(&self, plural: &str, namespace: &str, name: &str) -> (String, String) {
        let object = self.kube.get(plural, namespace, name).unwrap_or_default();
        condition(&object, "Ready")
    }

    pub fn is_ready(&self, plural: &str, namespace: &str, name: &str) -> bool {
        let Some(object) = self.kube.get(plural, namespace, name) else { return false };
        condition(&object, "Ready").0 == "True"
            && object["status"]["observedGeneration"] == object["metadata"]["generation"]
    }
}

/// Status and reason of a condition; empty if it is not there.
pub fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind).cloned().unwrap_or_default();
    let text = |member: &str| found[member].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}
