//! The rules that never break (docs/behaviours.md), checked on every call as it takes effect. Written against the wire,
//! without the operator's own policy code, so that both cannot be wrong alike.

mod caches;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sim::{Call, World};
use ecr_permissions_core::ownership::InstallationId;
use kube_sim::KubeSim;
use serde_json::Value;

use super::Lab;
use super::objects::{CACHES, GRANTS, POLICIES, ROLES, condition};

#[derive(Clone, Default)]
pub struct Rules {
    broken: Arc<Mutex<Vec<String>>>,
    /// Sids, and names of roles, under our mark that somebody else made up.
    forged: Arc<Mutex<BTreeSet<String>>>,
    reads_lie: Arc<Mutex<bool>>,
    /// Every grant an object was ever seen to ask for: by whom, and when last.
    asked: Arc<Mutex<BTreeMap<String, BTreeMap<String, Duration>>>>,
    /// The revision up to which it is known who asked for what.
    looked: Arc<Mutex<u64>>,
    /// Registries that AWS calls have found observed or suspended: since when.
    restrained: Arc<Mutex<BTreeMap<String, Duration>>>,
    /// Cache rules that somebody else made, or that were given back to somebody else: account and prefix.
    of_others: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// Sessions of other clusters: what they write is not judged by what is asked for here.
    sessions_of_others: Arc<Mutex<BTreeSet<String>>>,
    /// Roles of others that an object was told to take over, by name.
    to_adopt: Arc<Mutex<BTreeSet<String>>>,
}

/// The kinds that have part in a registry policy.
const CONTRIBUTING: [&str; 3] = [POLICIES, GRANTS, CACHES];

/// A pass that is under way may still act on what was asked, or allowed, when it began.
const UNDER_WAY: Duration = Duration::from_mins(1);

impl Rules {
    pub(super) fn breach(&self, text: String) {
        self.broken.lock().unwrap().push(text);
    }

    /// A statement with this Sid, or a role of this name, is not ours, whatever its mark says.
    pub fn marked_by_others(&self, sid: &str) {
        self.forged.lock().unwrap().insert(sid.to_owned());
    }

    /// Calls under this session's name are another cluster's.
    pub fn not_ours(&self, session: &str) {
        self.sessions_of_others.lock().unwrap().insert(session.to_owned());
    }

    /// AWS shows another document than it has: what is written back of it is no growth of ours.
    pub fn reads_lie(&self) {
        *self.reads_lie.lock().unwrap() = true;
    }

    pub fn assert_kept(&self, seed: u64) {
        let broken = self.broken.lock().unwrap();
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}\nrepeat with: SIM_SEED={seed}");
    }

    pub(super) fn kube_call(&self, call: &kube_sim::Call) {
        if call.caller != "operator" {
            return;
        }
        if call.resource == "secrets" {
            self.breach(format!("rule 10: a Secret was asked for: {}", call.line()));
        }
        if call.verb.is_write()
            && call.body.get("spec").is_some_and(|spec| !spec.is_null())
            && call.group == "ecr-permissions.dev"
        {
            self.breach(format!("rule 10: a spec was written: {} {}", call.line(), call.body));
        }
    }

    /// Takes note of what is asked for and what is restrained, so that a write is judged by more than this moment.
    fn look(&self, call: &Call, kube: &KubeSim) {
        let mut restrained = self.restrained.lock().unwrap();
        for registry in kube.list("registries", "") {
            let name = registry["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if registry["spec"]["suspend"] == true || registry["spec"]["management"] == "Observe" {
                restrained.entry(name).or_insert(call.at);
            } else {
                restrained.remove(&name);
            }
        }
        let mut asked = self.asked.lock().unwrap();
        // A backup that was restored counts from an older revision on.
        let since = std::mem::replace(&mut *self.looked.lock().unwrap(), kube.revision()).min(kube.revision());
        for plural in CONTRIBUTING {
            // An edit that is taken back before the next call was perhaps seen nevertheless.
            for object in kube.list(plural, "").into_iter().chain(kube.written_since(plural, since)) {
                let name = object["spec"]["registryRef"]["name"].as_str().unwrap_or("default");
                let Some(registry) = kube.get("registries", "", name) else { continue };
                for grant in grants_asked(&object, &registry["spec"]) {
                    asked.entry(grant).or_default().insert(identity(&object), call.at);
                }
            }
        }
        for object in kube.list(ROLES, "").into_iter().chain(kube.written_since(ROLES, since)) {
            for grant in roles::grants_asked(&object, kube) {
                asked.entry(grant).or_default().insert(identity(&object), call.at);
            }
        }
    }

    /// Rule 2: what a write adds is asked for by somebody who is there, or was when the pass began.
    fn check_growth(&self, call: &Call, kube: &KubeSim, before: &[Value], sent: &[Value]) {
        if *self.reads_lie.lock().unwrap() {
            return;
        }
        // Another cluster's statements are asked for by objects that are not here.
        let mark = format!("Ecp{}", InstallationId::of_cluster(&kube_uid(kube)));
        let before: BTreeSet<String> = before.iter().flat_map(grants).collect();
        let here: BTreeSet<String> = CONTRIBUTING
            .iter()
            .chain([&ROLES])
            .flat_map(|plural| kube.list(plural, ""))
            .map(|object| identity(&object))
            .collect();
        let asked = self.asked.lock().unwrap();
        let is_plain =
            |grant: &&String| grant.starts_with("\"Allow\" \"") && grant.ends_with(" null") && !grant.contains("role/");
        let is_ours = |s: &&Value| s["Sid"].as_str().is_some_and(|sid| sid.starts_with(&mark));
        let ours = sent.iter().filter(is_ours).flat_map(grants).collect::<BTreeSet<_>>();
        for grant in ours.difference(&before).filter(is_plain) {
            let by = asked.get(grant).cloned().unwrap_or_default();
            let fine = by.iter().any(|(id, at)| here.contains(id) || call.at.saturating_sub(*at) < UNDER_WAY);
            if !fine {
                self.breach(format!("rule 2: nobody asks for what a write added: {grant}"));
            }
        }
    }

    pub(super) fn aws_call(&self, world: &World, call: &Call, kube: &KubeSim) {
        let session = call.principal.as_deref().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
        if self.sessions_of_others.lock().unwrap().contains(session) {
            return;
        }
        self.look(call, kube);
        if call.service == "secretsmanager" && call.operation != "DescribeSecret" {
            self.breach(format!("rule 10: {} was called", call.operation));
        }
        if !call.is_write || !call.took_effect {
            return;
        }
        let registries = kube.list("registries", "");
        let of_call: Vec<&Value> = registries
            .iter()
            .filter(|r| {
                // IAM is of an account, wherever it is called.
                r["spec"]["accountId"].as_str() == call.account.as_deref()
                    && (call.service == "iam" || r["spec"]["region"].as_str() == Some(call.region.as_str()))
            })
            .collect();
        if of_call.is_empty() {
            self.breach(format!("rule 5: a write to account {:?} that no Registry stands for", call.account));
        }
        let restrained = self.restrained.lock().unwrap().clone();
        let since = |r: &&Value| restrained.get(r["metadata"]["name"].as_str().unwrap_or_default()).copied();
        if of_call.iter().all(|r| since(r).is_some_and(|since| call.at.saturating_sub(since) > UNDER_WAY))
            && !of_call.is_empty()
        {
            self.breach(format!("rule 8: {} was called under Observe or suspension", call.operation));
        }
        let Some(write) = &call.write else { return };
        if call.service == "iam" {
            self.check_role(call, write, &of_call, kube);
            return;
        }
        if call.operation.ends_with("PullThroughCacheRule") {
            self.check_rule(call, write, &of_call, kube);
            return;
        }
        if !["PutRegistryPolicy", "DeleteRegistryPolicy"].contains(&call.operation.as_str()) {
            return;
        }
        let statements = |text: &Option<String>| -> Vec<Value> {
            text.as_deref()
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .map(|doc| list(&doc["Statement"]))
                .unwrap_or_default()
        };
        let (before, after) = (statements(&write.before), statements(&write.after));
        self.check_growth(call, kube, &before, &statements(&write.sent));
        let forged = self.forged.lock().unwrap().clone();
        let is_forged = |s: &Value| s["Sid"].as_str().is_some_and(|sid| forged.contains(sid));
        let foreign = |all: &[Value]| -> Vec<Value> {
            all.iter().filter(|s| !is_marked(s) || is_forged(s)).map(normal).collect()
        };
        let (was, is) = (foreign(&before), foreign(&after));
        if was != is {
            self.breach(format!("rule 1: foreign statements changed on a write\nbefore {was:#?}\nafter {is:#?}"));
        }
        if let Some(sent) = &write.sent {
            if sent.chars().count() > 10_240 {
                self.breach(format!("rule 6: {} characters were sent", sent.chars().count()));
            }
            if serde_json::from_str::<Value>(sent).is_err() {
                self.breach("rule 6: what was sent is not JSON".to_owned());
            }
        }
        for statement in after.iter().filter(|s| is_marked(s)) {
            let everyone = statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*";
            if everyone && statement["Effect"] == "Allow" && statement.get("Condition").is_none() {
                self.breach(format!("rule 9: the registry was opened to everyone: {statement}"));
            }
        }
        let _ = world;
    }
}

/// The UID that the cluster's installation id is made of.
fn kube_uid(kube: &KubeSim) -> String {
    let kube_system = kube.get("namespaces", "", "kube-system").unwrap_or_default();
    kube_system["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

/// Rule 4: whoever is Ready has what it asks for, by AWS's own evaluation. And the ledger of a Registry that is Ready
/// is what stands in AWS, no more and no less.
pub(super) fn assert_truth(lab: &Lab) {
    for plural in CONTRIBUTING {
        let objects = lab.kube.list(plural, "");
        for object in objects.iter().filter(|object| is_ready(object)) {
            assert_granted(lab, object);
            if plural == CACHES {
                caches::assert_served(lab, object);
            }
        }
    }
    for object in lab.kube.list(ROLES, "").iter().filter(|object| is_ready(object)) {
        roles::assert_served(lab, object);
    }
    for registry in lab.kube.list("registries", "") {
        assert_ledger(lab, &registry);
    }
}

fn is_ready(object: &Value) -> bool {
    condition(object, "Ready").0 == "True" && object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// What an object asks for accounts to be able to do: whom, what, where. Conditions and denials are left out.
fn asked(object: &Value) -> Vec<(Value, Value, Value)> {
    let product = |who: &Value, what: Vec<Value>, where_: &Value| {
        let mut all = Vec::new();
        for who in list(who) {
            for what in &what {
                all.extend(list(where_).into_iter().map(|where_| (who.clone(), what.clone(), where_)));
            }
        }
        all
    };
    let spec = &object["spec"];
    if object["kind"] == "ReplicationGrant" {
        let create = (spec["createRepositories"] == true).then(|| "ecr:CreateRepository".into());
        let what = [Value::from("ecr:ReplicateImage")].into_iter().chain(create).collect();
        return product(&spec["sources"]["accountIds"], what, &spec["repositories"]);
    }
    if object["kind"] == "PullThroughCacheRule" {
        return product(&spec["pullers"]["accountIds"], caches::import_actions(spec), &caches::repositories(spec));
    }
    let plain = |s: &Value| s["effect"] != "Deny" && s.get("conditions").is_none();
    let statements = list(&spec["statements"]).into_iter().filter(plain);
    statements.flat_map(|s| product(&s["principals"]["accountIds"], list(&s["actions"]), &s["repositories"])).collect()
}

fn identity(object: &Value) -> String {
    let of = |member: &str| object["metadata"][member].as_str().unwrap_or_default().to_owned();
    format!("{} {}/{}", object["kind"].as_str().unwrap_or_default(), of("namespace"), of("name"))
}

/// What an object asks for, in the words of `grants`.
fn grants_asked(object: &Value, registry: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (account, region) = (text(&registry["accountId"]), text(&registry["region"]));
    let arn = |repository: &Value| format!("arn:aws:ecr:{region}:{account}:repository/{}", text(repository));
    let grant = |(who, action, repository): (Value, Value, Value)| {
        format!("\"Allow\" {who} {} {} null", text(&action).to_ascii_lowercase(), Value::from(arn(&repository)))
    };
    asked(object).into_iter().chain(caches::asked_under_v2(object)).map(grant).collect()
}

fn assert_granted(lab: &Lab, object: &Value) {
    let name = object["spec"]["registryRef"]["name"].as_str().unwrap_or("default");
    let registry = lab.kube.get("registries", "", name).unwrap();
    let account = registry["spec"]["accountId"].as_str().unwrap();
    let region = registry["spec"]["region"].as_str().unwrap();
    for (who, action, repository) in asked(object) {
        let (who, action) = (who.as_str().unwrap(), action.as_str().unwrap());
        let repository = repository.as_str().unwrap().replace('*', "x");
        let decision =
            lab.aws.world(|w| w.would(&format!("arn:aws:iam::{who}:root"), action, &repository, account, region));
        assert!(
            decision.allowed,
            "rule 4, seed {}: {}/{} is Ready, and {who} may not {action} {repository}: {}\n{}",
            lab.seed,
            object["metadata"]["namespace"],
            object["metadata"]["name"],
            decision.because,
            lab.describe()
        );
    }
}

/// At rest, with nothing left to say, ledger and AWS agree grant by grant.
fn assert_ledger(lab: &Lab, registry: &Value) {
    if condition(registry, "Ready") != ("True".to_owned(), "Succeeded".to_owned())
        || condition(registry, "Orphaned").0 == "True"
        || registry["spec"]["suspend"] == true
        || registry["spec"]["management"] == "Observe"
    {
        return;
    }
    let account = registry["spec"]["accountId"].as_str().unwrap();
    let region = registry["spec"]["region"].as_str().unwrap();
    let text = lab.aws.world(|world| world.policy_text(account, region));
    let document: Value = text.map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
    let mark = format!("Ecp{}", lab.installation());
    let stored = list(&document["Statement"]);
    let ours = stored.iter().filter(|s| s["Sid"].as_str().is_some_and(|sid| sid.starts_with(&mark)));
    let in_aws: BTreeSet<String> = ours.flat_map(grants).collect();
    let entries = super::ledger::entries(&lab.kube, account, region);
    let recorded = entries.iter().flat_map(|entry| list(&entry["statements"]));
    let recorded: BTreeSet<String> = recorded.flat_map(|statement| grants(&statement)).collect();
    assert_eq!(recorded, in_aws, "seed {}: the ledger (left) is not what stands in AWS\n{}", lab.seed, lab.describe());
    caches::assert_recorded(lab, account, region, &entries);
    roles::assert_recorded(lab, account);
}

/// A statement as single grants: effect, one principal, one action, one resource, the conditions.
fn grants(statement: &Value) -> Vec<String> {
    let statement = normal(statement);
    let principals = match &statement["Principal"] {
        Value::Object(kinds) => kinds.values().flat_map(list).collect(),
        everyone => vec![everyone.clone()],
    };
    let mut all = Vec::new();
    for principal in principals {
        for action in list(&statement["Action"]) {
            let action = action.as_str().unwrap_or_default().to_ascii_lowercase();
            for resource in list(&statement["Resource"]) {
                // IAM compares the keys ignoring case.
                let conditions = statement["Condition"].to_string().replace("aws:PrincipalArn", "aws:principalarn");
                all.push(format!("{} {principal} {action} {resource} {conditions}", statement["Effect"]));
            }
        }
    }
    all
}

/// A statement under any installation's mark, or one we released.
fn is_marked(statement: &Value) -> bool {
    statement["Sid"]
        .as_str()
        .is_some_and(|sid| (sid.starts_with("Ecp") && sid.len() == 39) || sid.starts_with("Released"))
}

pub fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// A value without what AWS changes on a read: list order, one-element lists, ids and root ARNs.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Array(all) => {
            let mut all: Vec<Value> = all.iter().map(normal).collect();
            all.sort_by_key(ToString::to_string);
            all.dedup();
            if all.len() == 1 { all.remove(0) } else { Value::Array(all) }
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(k, v)| (k.clone(), normal(v))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::String(text) => {
            let id = text.strip_prefix("arn:aws:iam::").and_then(|rest| rest.strip_suffix(":root"));
            Value::String(id.unwrap_or(text).to_owned())
        }
        other => other.clone(),
    }
}
