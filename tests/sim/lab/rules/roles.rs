//! The rules that never break, for IAM roles: each is marked as its object's and bounded, trusts the service alone, and
//! is on record before it is made.

use aws_sim::{Call, DocumentWrite};
use ecr_permissions_core::ownership::InstallationId;
use kube_sim::KubeSim;
use serde_json::Value;

use super::{Lab, Rules, condition, list};
use crate::lab::ledger::of_registry;

const SERVICE: &str = "pullthroughcache.ecr.amazonaws.com";
/// What an upstream grants.
const READS: [&str; 4] =
    ["ecr:batchgetimage", "ecr:getdownloadurlforlayer", "ecr:batchimportupstreamimage", "ecr:getimagecopystatus"];

impl Rules {
    /// Rules 1, 2 and 9 for a write of a role.
    pub(super) fn check_role(&self, call: &Call, write: &DocumentWrite, registries: &[&Value], kube: &KubeSim) {
        let parsed = |text: &Option<String>| -> Value {
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let (before, after) = (parsed(&write.before), parsed(&write.after));
        let name = call.target.as_deref().and_then(|target| target.strip_prefix("role/")).unwrap_or_default();
        let entries = registries.iter().flat_map(|registry| of_registry(kube, registry));
        let recorded: Vec<Value> = entries.filter(|entry| entry["role"]["name"] == name).collect();
        let installation = InstallationId::of_cluster(&super::kube_uid(kube));
        let tag = |role: &Value, key: &str| {
            role["tags"][format!("ecr-permissions.dev/{key}")].as_str().unwrap_or_default().to_owned()
        };
        let is_ours = |role: &Value| tag(role, "installation") == installation.as_str();
        if call.operation == "CreateRole" {
            if !recorded.iter().any(|entry| entry["claimedAt"].is_string()) {
                self.breach(format!("rule 1: role {name} was made without a claim on record: {recorded:?}"));
            }
        } else if !is_ours(&before) && recorded.is_empty() && !self.role_may_be_adopted(&before) {
            self.breach(format!("rule 1: {} of role {name}, which is not ours: {before}", call.operation));
        }
        // What is taken away leaves the rest as others made it.
        if !after.is_null() && !["UntagRole", "DeleteRolePolicy"].contains(&call.operation.as_str()) {
            self.check_role_is_sound(name, &after);
        }
        for member in ["attached_policies", "permissions_boundary", "instance_profiles"] {
            if !before.is_null() && !after.is_null() && before[member] != after[member] {
                self.breach(format!("rule 1: {member} of role {name} was changed by {}", call.operation));
            }
        }
    }

    fn check_role_is_sound(&self, name: &str, role: &Value) {
        let boundary = role["permissions_boundary"].as_str().unwrap_or_default();
        if !boundary.ends_with(crate::lab::objects::BOUNDARY) {
            self.breach(format!("rule 9: role {name} was written without the boundary: {role}"));
        }
        let trust: Value = serde_json::from_str(role["trust"].as_str().unwrap_or_default()).unwrap_or_default();
        for statement in list(&trust["Statement"]) {
            // Service names and actions have no letter case.
            let only = |value: &Value, one: &str| match &list(value)[..] {
                [Value::String(only)] => only.eq_ignore_ascii_case(one),
                _ => false,
            };
            let members = statement["Principal"].as_object().map_or(0, serde_json::Map::len);
            if members != 1
                || !only(&statement["Principal"]["Service"], SERVICE)
                || !only(&statement["Action"], "sts:AssumeRole")
            {
                self.breach(format!("rule 9: role {name} trusts more than the service: {statement}"));
            }
        }
    }

    /// Somebody's role that an object was told to take over.
    pub fn role_to_adopt(&self, name: &str) {
        self.to_adopt.lock().unwrap().insert(name.to_owned());
    }

    fn role_may_be_adopted(&self, role: &Value) -> bool {
        role["name"].as_str().is_some_and(|name| self.to_adopt.lock().unwrap().contains(name))
    }
}

/// What a role asks of its upstreams where the whole account is to pull: as `grants` has it.
pub(super) fn grants_asked(object: &Value, kube: &KubeSim) -> Vec<String> {
    let spec_of = |name: &Value| {
        let registry = kube.get("registries", "", name.as_str().unwrap_or("default")).unwrap_or_default();
        registry["spec"].clone()
    };
    let home = spec_of(&object["spec"]["registryRef"]["name"])["accountId"].clone();
    let mut grants = Vec::new();
    for upstream in list(&object["spec"]["upstreams"]).iter().filter(|upstream| upstream["registryRef"].is_object()) {
        let there = spec_of(&upstream["registryRef"]["name"]);
        for repository in list(&upstream["repositories"]) {
            let [account, region, repository] =
                [&there["accountId"], &there["region"], &repository].map(|text| text.as_str().unwrap_or_default());
            let arn = Value::from(format!("arn:aws:ecr:{region}:{account}:repository/{repository}"));
            grants.extend(READS.map(|action| format!("\"Allow\" {home} {action} {arn} null")));
        }
    }
    grants
}

/// Rule 4 for roles: whoever is Ready has its role, bounded, with its policy and a trust in the service alone, and every
/// upstream that a Registry stands for lets it pull, by AWS's own evaluation.
pub(super) fn assert_served(lab: &Lab, object: &Value) {
    // Suspended: as last proven.
    if condition(object, "Ready").1 != "Succeeded" {
        return;
    }
    let name = &object["metadata"]["name"];
    let role_name = object["status"]["role"]["name"].as_str().unwrap_or_default();
    let spec_of = |registry: &Value| {
        lab.kube.get("registries", "", registry.as_str().unwrap_or("default")).unwrap()["spec"].clone()
    };
    let home = spec_of(&object["spec"]["registryRef"]["name"])["accountId"].as_str().unwrap().to_owned();
    let role = lab.aws.world(|world| world.role(&home, role_name));
    let role = role.unwrap_or_else(|| panic!("seed {}: {name} is Ready without a role\n{}", lab.seed, lab.describe()));
    assert_eq!(object["status"]["role"]["arn"], role.arn, "seed {}: {name}", lab.seed);
    let has_policy = role.inline_policies.get("ecr-pull-through-cache").is_some_and(|p| p.contains("ecr:BatchImport"));
    assert!(has_policy, "seed {}: {name} is Ready, and its role has not its policy: {role:?}", lab.seed);
    lab.rules.check_role_is_sound(role_name, &serde_json::to_value(&role).unwrap());
    for upstream in list(&object["spec"]["upstreams"]).iter().filter(|upstream| upstream["registryRef"].is_object()) {
        let there = spec_of(&upstream["registryRef"]["name"]);
        let [account, region] = ["accountId", "region"].map(|member| there[member].as_str().unwrap());
        if account == home {
            continue;
        }
        for repository in list(&upstream["repositories"]) {
            let repository = repository.as_str().unwrap().replace('*', "x");
            for action in READS {
                let decision = lab.aws.world(|world| world.would(&role.arn, action, &repository, account, region));
                assert!(
                    decision.allowed,
                    "rule 4, seed {}: {name} is Ready, and {account} does not let its role {action} {repository}: {}\n{}",
                    lab.seed,
                    decision.because,
                    lab.describe()
                );
            }
        }
    }
}

/// At rest, every role under our mark is on record in its account, for the object that its tags name; and that object is
/// there, or the Registry says that the role is nobody's.
pub(super) fn assert_recorded(lab: &Lab, account: &str) {
    let of_account = |registry: &Value| registry["spec"]["accountId"] == account;
    let registries: Vec<_> = lab.kube.list("registries", "").into_iter().filter(of_account).collect();
    let entries: Vec<_> = registries.iter().flat_map(|registry| of_registry(&lab.kube, registry)).collect();
    let installation = lab.installation();
    let forged = lab.rules.forged.lock().unwrap().clone();
    for name in lab.aws.world(|world| world.role_names(account)) {
        let role = lab.aws.world(|world| world.role(account, &name)).unwrap();
        let tag = |key: &str| role.tags.get(&format!("ecr-permissions.dev/{key}")).cloned().unwrap_or_default();
        if tag("installation") != installation.as_str() || forged.contains(&name) {
            continue;
        }
        let entry = entries.iter().find(|entry| entry["role"]["name"] == name.as_str());
        let entry = entry.unwrap_or_else(|| {
            panic!("seed {}: role {name} is ours and not on record: {:?}\n{}", lab.seed, role.tags, lab.describe())
        });
        assert_eq!(entry["role"]["arn"], role.arn, "seed {}", lab.seed);
        let [namespace, object] = ["namespace", "name"].map(|member| entry[member].as_str().unwrap());
        let of_state = if entry["state"] == "Retained" { "Retained" } else { "Orphaned" };
        let is_reported = registries.iter().any(|registry| condition(registry, of_state).0 == "True");
        assert!(
            lab.exists(crate::lab::objects::ROLES, namespace, object) || is_reported,
            "seed {}: role {name} outlived its object\n{}",
            lab.seed,
            lab.describe()
        );
    }
}
