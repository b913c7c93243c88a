//! The rules that never break, for IAM roles: each is marked as its object's and bounded, trusts the service alone, and
//! is on record before it is made.

use aws_sim::{Call, DocumentWrite};
use ecr_permissions_core::ownership::InstallationId;
use kube_sim::KubeSim;
use serde_json::Value;

use super::{Rules, list};

const SERVICE: &str = "pullthroughcache.ecr.amazonaws.com";
/// What an upstream grants.
const READS: [&str; 4] =
    ["ecr:batchgetimage", "ecr:getdownloadurlforlayer", "ecr:batchimportupstreamimage", "ecr:getimagecopystatus"];

impl Rules {
    /// Rules 1, 2 and 9 for a write of a role.
    pub(super) fn check_role(&self, call: &Call, write: &DocumentWrite, registries: &[&Value], kube_system: &str) {
        let parsed = |text: &Option<String>| -> Value {
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let (before, after) = (parsed(&write.before), parsed(&write.after));
        let name = call.target.as_deref().and_then(|target| target.strip_prefix("role/")).unwrap_or_default();
        let entries = registries.iter().flat_map(|registry| list(&registry["status"]["ledger"]));
        let recorded: Vec<Value> = entries.filter(|entry| entry["role"]["name"] == name).collect();
        let installation = InstallationId::of_cluster(kube_system);
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
        if !after.is_null() && call.operation != "UntagRole" {
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
            let only = |value: &Value, one: &str| list(value) == [Value::from(one)];
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
