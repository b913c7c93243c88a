//! The rules that never break, for pull through cache rules: they carry no mark, so only the ledger tells whose they are.

use std::collections::BTreeSet;

use aws_sim::{Call, DocumentWrite};
use kube_sim::KubeSim;
use serde_json::Value;

use super::{Rules, list};
use crate::lab::Lab;
use crate::lab::ledger::of_registry;
use crate::lab::objects::{CACHES, ROLES};

const PULL: [&str; 3] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];

impl Rules {
    /// This rule is somebody else's from now on.
    pub fn rule_of_others(&self, account: &str, prefix: &str) {
        self.of_others.lock().unwrap().insert((account.to_owned(), prefix.to_owned()));
    }

    /// There is no rule of others for this prefix any more.
    pub fn no_rule_of_others(&self, account: &str, prefix: &str) {
        self.of_others.lock().unwrap().remove(&(account.to_owned(), prefix.to_owned()));
    }

    /// Rules 1 and 2 for a write of a cache rule: on record before it is made, nobody else's touched.
    pub(super) fn check_rule(&self, call: &Call, write: &DocumentWrite, registries: &[&Value], kube: &KubeSim) {
        let prefix = call.target.as_deref().and_then(|target| target.split_once('/')).map_or("", |(_, prefix)| prefix);
        let entries = registries.iter().flat_map(|registry| of_registry(kube, registry));
        let on_record: Vec<Value> = entries.filter(|entry| entry["rule"]["prefix"] == prefix).collect();
        let parsed = |text: &Option<String>| -> Value {
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let has_upstream = |entry: &&Value, rule: &Value| entry["rule"]["upstreamUrl"] == rule["upstreamRegistryUrl"];
        let (before, sent) = (parsed(&write.before), parsed(&write.sent));
        let account = call.account.clone().unwrap_or_default();
        if call.operation == "CreatePullThroughCacheRule" {
            let claimed = |entry: &&Value| entry["claimedAt"].is_string() && has_upstream(entry, &sent);
            if !on_record.iter().any(|entry| claimed(&entry)) {
                self.breach(format!("rule 1: rule {prefix} was made without a claim on record: {on_record:?}"));
            }
            return;
        }
        let is_theirs = self.of_others.lock().unwrap().contains(&(account, prefix.to_owned()));
        let adopted = |entry: &&Value| !is_theirs || entry["rule"]["adopted"] == true;
        let ours = on_record.iter().find(|entry| has_upstream(entry, &before) && adopted(entry));
        let Some(ours) = ours else {
            if is_theirs || !is_told_by_an_object(kube, prefix, &before) {
                self.breach(format!("rule 1: {} of {prefix}, which is not ours: {on_record:?}", call.operation));
            }
            return;
        };
        if call.operation == "DeletePullThroughCacheRule" && ours["rule"]["adopted"] == true {
            let part = |member: &str| ours[member].as_str().unwrap_or_default().to_owned();
            let object = kube.get(CACHES, &part("namespace"), &part("name")).unwrap_or_default();
            if object["spec"]["deletionPolicy"] != "Delete" && object["spec"]["replacePolicy"] != "Recreate" {
                self.breach(format!("rule 1: {prefix} was adopted, and deleted though nobody said so"));
            }
        }
    }
}

/// Without a record the object's own word counts: its finalizer, and what its status says of its rule.
fn is_told_by_an_object(kube: &KubeSim, prefix: &str, rule: &Value) -> bool {
    kube.list(CACHES, "").iter().any(|object| {
        object["spec"]["cachePrefix"] == prefix
            && object["status"]["rule"]["upstreamHost"] == rule["upstreamRegistryUrl"]
            && object["metadata"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty())
    })
}

/// What pullers need under any scope.
pub(super) fn import_actions(spec: &Value) -> Vec<Value> {
    let create = (spec["createRepositories"] == true).then(|| "ecr:CreateRepository".into());
    [Value::from("ecr:BatchImportUpstreamImage")].into_iter().chain(create).collect()
}

/// The repositories of the cache.
pub(super) fn repositories(spec: &Value) -> Value {
    match spec["cachePrefix"].as_str() {
        Some("ROOT") => "*".into(),
        prefix => format!("{}/*", prefix.unwrap_or_default()).into(),
    }
}

/// What a cache may grant besides, where the policy has scope V2: whom, what, where.
pub(super) fn asked_under_v2(object: &Value) -> Vec<(Value, Value, Value)> {
    if object["kind"] != "PullThroughCacheRule" {
        return Vec::new();
    }
    let pullers = list(&object["spec"]["pullers"]["accountIds"]);
    let each = |who: Value| PULL.map(|action| (who.clone(), action.into(), repositories(&object["spec"])));
    pullers.into_iter().flat_map(each).collect()
}

/// The Registry an object is attached to: account and Region.
fn home(lab: &Lab, object: &Value) -> (String, String) {
    let name = object["spec"]["registryRef"]["name"].as_str().unwrap_or("default");
    let registry = lab.kube.get("registries", "", name).unwrap();
    let text = |member: &str| registry["spec"][member].as_str().unwrap().to_owned();
    (text("accountId"), text("region"))
}

/// The upstream's host, where the spec alone tells.
fn host(upstream: &Value) -> Option<String> {
    let fixed = match upstream["type"].as_str()? {
        "EcrPublic" => "public.ecr.aws",
        "Kubernetes" => "registry.k8s.io",
        "Quay" => "quay.io",
        "DockerHub" => "registry-1.docker.io",
        "GitHub" => "ghcr.io",
        "GitLab" => "registry.gitlab.com",
        "Chainguard" => "cgr.dev",
        "Azure" => return upstream["azure"]["host"].as_str().map(str::to_owned),
        _ if upstream["ecr"]["registryRef"].is_object() => return None,
        _ => {
            let of = &upstream["ecr"]["external"];
            return Some(format!("{}.dkr.ecr.{}.amazonaws.com", of["accountId"].as_str()?, of["region"].as_str()?));
        }
    };
    Some(fixed.to_owned())
}

/// Rule 4 for caches: whoever is Ready has its rule, with the upstream and the credentials it asks for.
pub(super) fn assert_served(lab: &Lab, object: &Value) {
    let (account, region) = home(lab, object);
    let (spec, name) = (&object["spec"], &object["metadata"]["name"]);
    let prefix = spec["cachePrefix"].as_str().unwrap();
    let rule = lab.aws.world(|world| world.cache_rule(&account, &region, prefix));
    let rule = rule.unwrap_or_else(|| panic!("seed {}: {name} is Ready without a rule\n{}", lab.seed, lab.describe()));
    if let Some(host) = host(&spec["upstream"]) {
        assert_eq!(rule["upstreamRegistryUrl"], host, "seed {}: {name} is Ready\n{}", lab.seed, lab.describe());
    }
    let credentials = rule["credentialArn"].as_str().unwrap_or_default();
    let secret = spec["upstream"]["secretName"].as_str().unwrap_or_default();
    assert!(credentials.contains(secret) && credentials.is_empty() == secret.is_empty(), "{name}: {credentials}");
    let arn = rule["customRoleArn"].as_str().unwrap_or_default();
    let ecr = &spec["upstream"]["ecr"];
    if let Some(role) = ecr["roleRef"]["name"].as_str() {
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        let role = lab.kube.get(ROLES, namespace, role).unwrap_or_default();
        assert_eq!(role["status"]["role"]["arn"], rule["customRoleArn"], "{name}: {role}");
        return;
    }
    let wanted = ecr["roleName"].as_str().unwrap_or_default();
    assert!(arn.ends_with(wanted) && arn.is_empty() == wanted.is_empty(), "{name}: {arn}");
}

/// At rest, every rule is on record, or somebody else's; and every rule on record is there.
pub(super) fn assert_recorded(lab: &Lab, account: &str, region: &str, entries: &[Value]) {
    let others = lab.rules.of_others.lock().unwrap().clone();
    let is_theirs = |prefix: &String| others.contains(&(account.to_owned(), prefix.clone()));
    let on_record: Vec<&Value> = entries.iter().map(|entry| &entry["rule"]).filter(|rule| !rule.is_null()).collect();
    // What is lost and not back yet stays on record, and its object says why.
    let is_served = |entry: &&Value| {
        let part = |member: &str| entry[member].as_str().unwrap_or_default().to_owned();
        lab.is_ready(CACHES, &part("namespace"), &part("name"))
    };
    let served = entries.iter().filter(is_served).filter_map(|entry| entry["rule"]["prefix"].as_str());
    let served: BTreeSet<String> = served.map(str::to_owned).collect();
    let recorded: BTreeSet<String> = on_record.iter().map(|rule| rule["prefix"].as_str().unwrap().to_owned()).collect();
    let in_aws: BTreeSet<String> = lab.aws.world(|world| world.cache_prefixes(account, region)).into_iter().collect();
    let unknown: Vec<_> = in_aws.difference(&recorded).filter(|prefix| !is_theirs(prefix)).collect();
    assert!(unknown.is_empty(), "seed {}: made and not on record: {unknown:?}\n{}", lab.seed, lab.describe());
    let lost: Vec<_> = served.difference(&in_aws).collect();
    assert!(lost.is_empty(), "seed {}: on record and not there: {lost:?}\n{}", lab.seed, lab.describe());
    for rule in on_record {
        let prefix = rule["prefix"].as_str().unwrap();
        let Some(stored) = lab.aws.world(|world| world.cache_rule(account, region, prefix)) else { continue };
        for (here, there) in
            [("upstreamUrl", "upstreamRegistryUrl"), ("credentialArn", "credentialArn"), ("roleArn", "customRoleArn")]
        {
            assert_eq!(rule[here], stored[there], "seed {}: rule {prefix}\n{}", lab.seed, lab.describe());
        }
    }
}
