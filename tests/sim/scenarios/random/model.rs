//! What must stand in AWS, worked out from the objects alone: with no line of the operator's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::lab::objects::{CACHES, GRANTS, POLICIES, REGISTRIES, ROLES};
use crate::lab::{Lab, REGION, list, normal};

/// One account, or one role by its name, may do one thing to one resource.
pub(super) type Atom = (String, String, String);
/// Plural, namespace, name.
pub(super) type Id = (&'static str, String, String);

/// What everybody has ever asked for, and who left something behind without having been seen to give it up.
#[derive(Default)]
pub(super) struct Model {
    asked: BTreeMap<Id, BTreeSet<Atom>>,
    pub(super) orphans: BTreeSet<Id>,
}

/// What must be there, and what may.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    pub(super) required: BTreeSet<Atom>,
    pub(super) permitted: BTreeSet<Atom>,
}

impl Bounds {
    /// Whether it is asked for, or a part of what is.
    pub(super) fn permit(&self, (who, action, resource): &Atom) -> bool {
        self.required.iter().chain(&self.permitted).any(|(of, to, pattern)| {
            let within = pattern.strip_suffix('*').map_or(resource == pattern, |prefix| resource.starts_with(prefix));
            who == of && action == to && within
        })
    }
}

impl Model {
    /// The object is stored like this from now on.
    pub(super) fn note(&mut self, lab: &Lab, id: &Id) {
        let Some(object) = lab.kube.get(id.0, &id.1, &id.2) else { return };
        let Some(registry) = registry_of(lab, &object) else { return };
        self.asked.entry(id.clone()).or_default().extend(atoms(id.0, &object, &registry));
    }

    /// What may and what must be in the policy of a Registry's account now.
    pub(super) fn bounds(&self, lab: &Lab, registry: &Value) -> Bounds {
        let mut bounds = Bounds::default();
        let name = registry["metadata"]["name"].as_str().unwrap();
        let acts = is_acting(registry);
        for (id, asked) in &self.asked {
            let object = lab.kube.get(id.0, &id.1, &id.2);
            let Some(object) = object.filter(|o| granting(o) == name) else {
                if self.orphans.contains(id) || !acts {
                    bounds.permitted.extend(asked.iter().cloned());
                }
                continue;
            };
            let wanted = atoms(id.0, &object, registry);
            let is_covered = |atom: &Atom| covers(lab, registry, id, std::slice::from_ref(atom));
            let is_deleting = object["metadata"].get("deletionTimestamp").is_some();
            let suspended = object["spec"]["suspend"] == true;
            if !acts {
                bounds.permitted.extend(asked.iter().cloned());
            } else if id.0 == ROLES && (is_deleting || !is_acting(&home_of(lab, &object))) {
                // What becomes of the grant is not this registry's to say: first goes the rule, and in the end all.
                bounds.permitted.extend(asked.iter().cloned());
            } else if is_deleting || id.0 == ROLES && !is_let_in(lab, id, &object) {
            } else if suspended {
                bounds.permitted.extend(asked.iter().filter(|atom| is_covered(atom)).cloned());
            } else if covers(lab, registry, id, &wanted) {
                bounds.required.extend(wanted);
            } else {
                bounds.permitted.extend(wanted.into_iter().filter(is_covered));
            }
        }
        bounds
    }
}

/// The Registry whose policy grants what an object asks for; of a role, its upstream's.
pub(super) fn registry_of(lab: &Lab, object: &Value) -> Option<Value> {
    lab.kube.get(REGISTRIES, "", granting(object).as_str()?)
}

fn granting(object: &Value) -> &Value {
    let spec = &object["spec"];
    if object["kind"] == "CrossAccountPtcRole" {
        &spec["upstreams"][0]["registryRef"]["name"]
    } else {
        &spec["registryRef"]["name"]
    }
}

/// The Registry an object is attached to.
fn home_of(lab: &Lab, object: &Value) -> Value {
    lab.kube.get(REGISTRIES, "", object["spec"]["registryRef"]["name"].as_str().unwrap()).unwrap()
}

fn is_acting(registry: &Value) -> bool {
    registry["spec"]["suspend"] != true && registry["spec"]["management"] != "Observe"
}

/// Whether a role's own registry lets it be.
fn is_let_in(lab: &Lab, id: &Id, role: &Value) -> bool {
    let home = home_of(lab, role);
    allows(lab, &home, id, &strings(&role["spec"]["cacheRepositories"]))
}

fn strings(value: &Value) -> Vec<String> {
    list(value).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The account of the registry that an object is attached to.
fn home_account(object: &Value) -> Value {
    let name = object["spec"]["registryRef"]["name"].as_str().unwrap();
    super::chaos::HOMES.iter().find(|(home, _)| *home == name).unwrap().1.into()
}

/// What an object asks for.
fn atoms(plural: &str, object: &Value, registry: &Value) -> Vec<Atom> {
    let spec = &object["spec"];
    let arn = |repository: &String| {
        format!("arn:aws:ecr:{REGION}:{}:repository/{repository}", registry["spec"]["accountId"].as_str().unwrap())
    };
    let cross = |accounts: &Value, actions: &[String], repositories: &Value| -> Vec<Atom> {
        let (accounts, repositories) = (strings(accounts), strings(repositories));
        let mut all = Vec::new();
        for account in &accounts {
            for action in actions {
                all.extend(repositories.iter().map(|r| (account.clone(), action.to_lowercase(), arn(r))));
            }
        }
        all
    };
    match plural {
        POLICIES => list(&spec["statements"])
            .iter()
            .flat_map(|s| cross(&s["principals"]["accountIds"], &strings(&s["actions"]), &s["repositories"]))
            .collect(),
        GRANTS => {
            let mut actions = vec!["ecr:ReplicateImage".to_owned()];
            if spec["createRepositories"] == true {
                actions.push("ecr:CreateRepository".to_owned());
            }
            cross(&spec["sources"]["accountIds"], &actions, &spec["repositories"])
        }
        ROLES => {
            let who = if spec["grantee"] == "Account" { home_account(object) } else { spec["roleName"].clone() };
            let reads = ["BatchGetImage", "GetDownloadUrlForLayer", "BatchImportUpstreamImage", "GetImageCopyStatus"];
            let actions = reads.map(|action| format!("ecr:{action}"));
            cross(&serde_json::json!([who]), &actions, &spec["upstreams"][0]["repositories"])
        }
        // Caches without pullers grant nothing.
        CACHES => Vec::new(),
        other => panic!("{other}"),
    }
}

/// Whether one rule of the Registry's `allow` covers all of it. The rules of these schedules differ in kinds and
/// repositories only, and select namespaces by the label `tenant=yes`.
fn covers(lab: &Lab, registry: &Value, id: &Id, atoms: &[Atom]) -> bool {
    let repository = |(_, _, resource): &Atom| resource.split_once(":repository/").unwrap().1.to_owned();
    allows(lab, registry, id, &atoms.iter().map(repository).collect::<Vec<_>>())
}

fn allows(lab: &Lab, registry: &Value, id: &Id, repositories: &[String]) -> bool {
    let namespace = lab.kube.get("namespaces", "", &id.1).unwrap_or_default();
    let kind = match id.0 {
        POLICIES => "RegistryPolicy",
        GRANTS => "ReplicationGrant",
        CACHES => "PullThroughCacheRule",
        _ => "CrossAccountPtcRole",
    };
    list(&registry["spec"]["allow"]).iter().any(|rule| {
        namespace["metadata"]["labels"]["tenant"] == "yes"
            && strings(&rule["kinds"]).iter().any(|allowed| allowed == kind)
            && repositories.iter().all(|repository| {
                strings(&rule["repositories"]).iter().any(|allowed| match allowed.strip_suffix('*') {
                    Some(prefix) => repository.starts_with(prefix),
                    None => repository == allowed,
                })
            })
    })
}

/// What stands in AWS: granted under a mark of ours, and everybody else's, in order.
#[derive(Debug, Default)]
pub(super) struct Stands {
    pub(super) ours: BTreeSet<Atom>,
    pub(super) foreign: Vec<Value>,
}

impl Stands {
    pub(super) fn in_account(lab: &Lab, account: &str) -> Self {
        let mut stands = Self::default();
        for statement in lab.statements(account) {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            if sid.starts_with("Ecp") {
                stands.ours.extend(granted(&statement));
            } else {
                stands.foreign.push(normal(&statement));
            }
        }
        stands
    }
}

fn granted(statement: &Value) -> Vec<Atom> {
    assert_eq!(statement["Effect"], "Allow");
    let mut all = Vec::new();
    // Whoever is named by a condition is meant, and nobody else of its account.
    let conditions = statement["Condition"]["ArnEquals"].as_object().into_iter().flatten();
    let mut arns = conditions.filter(|(key, _)| key.eq_ignore_ascii_case("aws:PrincipalArn")).map(|(_, arn)| arn);
    let role = arns.next().and_then(Value::as_str).and_then(|arn| arn.rsplit('/').next());
    let principals = role.map_or_else(|| list(&normal(&statement["Principal"]["AWS"])), |role| vec![role.into()]);
    for who in principals {
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                all.push((text(&who), text(&action).to_lowercase(), text(&resource)));
            }
        }
    }
    all
}
