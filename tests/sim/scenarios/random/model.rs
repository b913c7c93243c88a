//! What must stand in AWS, worked out from the objects alone: with no line of the operator's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::lab::objects::{CACHES, GRANTS, POLICIES, REGISTRIES};
use crate::lab::{Lab, REGION, list, normal};

/// One account may do one thing to one resource.
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
        let acts = registry["spec"]["suspend"] != true && registry["spec"]["management"] != "Observe";
        for (id, asked) in &self.asked {
            let object = lab.kube.get(id.0, &id.1, &id.2);
            let Some(object) = object.filter(|o| o["spec"]["registryRef"]["name"] == name) else {
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
            } else if is_deleting {
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

/// The Registry an object names.
pub(super) fn registry_of(lab: &Lab, object: &Value) -> Option<Value> {
    lab.kube.get(REGISTRIES, "", object["spec"]["registryRef"]["name"].as_str()?)
}

fn strings(value: &Value) -> Vec<String> {
    list(value).iter().map(|text| text.as_str().unwrap().to_owned()).collect()
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
        // Caches without pullers grant nothing.
        CACHES => Vec::new(),
        other => panic!("{other}"),
    }
}

/// Whether one rule of the Registry's `allow` covers all of it. The rules of these schedules differ in kinds and
/// repositories only, and select namespaces by the label `tenant=yes`.
fn covers(lab: &Lab, registry: &Value, id: &Id, atoms: &[Atom]) -> bool {
    let namespace = lab.kube.get("namespaces", "", &id.1).unwrap_or_default();
    let kind = if id.0 == POLICIES { "RegistryPolicy" } else { "ReplicationGrant" };
    list(&registry["spec"]["allow"]).iter().any(|rule| {
        namespace["metadata"]["labels"]["tenant"] == "yes"
            && strings(&rule["kinds"]).iter().any(|allowed| allowed == kind)
            && atoms.iter().all(|(_, _, resource)| {
                let repository = resource.split_once(":repository/").unwrap().1;
                strings(&rule["repositories"]).iter().any(|allowed| match allowed.strip_suffix('*') {
                    Some(prefix) => repository.starts_with(prefix),
                    None => repository == allowed,
                })
            })
    })
}

/// What stands in AWS: granted under a mark of ours, left behind on purpose, and everybody else's, in order.
#[derive(Debug, Default)]
pub(super) struct Stands {
    pub(super) ours: BTreeSet<Atom>,
    pub(super) retained: BTreeSet<Atom>,
    pub(super) foreign: Vec<Value>,
}

impl Stands {
    pub(super) fn in_account(lab: &Lab, account: &str) -> Self {
        let mut stands = Self::default();
        for statement in lab.statements(account) {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            if sid.starts_with("Ecp") {
                stands.ours.extend(granted(&statement));
            } else if sid.starts_with("Retained") {
                stands.retained.extend(granted(&statement));
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
    for who in list(&normal(&statement["Principal"]["AWS"])) {
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                all.push((text(&who), text(&action).to_lowercase(), text(&resource)));
            }
        }
    }
    all
}
