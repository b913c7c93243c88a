//! The ledger in other hands: slices deleted, edited, cut, in conflict, refused, of another installation or version. Nothing is
//! withdrawn on a doubtful word, nobody else notices, and all of it is told (behaviours 41, 46, 51).

mod hands;
mod time;
mod whose;

use std::time::Duration;

use kube_sim::{Fault, Matching, Phase, Restore, Verb};
use serde_json::{Value, json};

use crate::lab::ledger::LEDGERS;
use crate::lab::objects::{CACHES, POLICIES, REGISTRIES, cache, condition, pull, registry, with};
use crate::lab::{A, B, Lab, list, run};

const C: &str = "333333333333";
const INTERVAL: Duration = Duration::from_secs(310);

/// Changes the spec of a slice.
type Edit = fn(&mut Value);

fn both_pull(lab: &Lab) -> bool {
    lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app")
}

fn name(of: &Value) -> String {
    of["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The slice of a namespace.
fn slice(lab: &Lab, namespace: &str) -> Value {
    lab.slices("default").into_iter().find(|slice| slice["spec"]["namespace"] == namespace).unwrap_or_default()
}

/// Changes a slice as somebody with every right would.
fn edit(lab: &Lab, namespace: &str, change: impl Fn(&mut Value)) {
    let name = name(&slice(lab, namespace));
    lab.kube.edit(LEDGERS, "", &name, |slice| change(&mut slice["spec"])).unwrap();
}

/// The texts of all entries, without uids.
fn entries(lab: &Lab) -> Vec<String> {
    let mut all: Vec<_> =
        lab.ledger("default").iter().map(|e| with(e.clone(), "/uid", &Value::Null).to_string()).collect();
    all.sort();
    all
}

fn registry_condition(lab: &Lab, kind: &str) -> String {
    condition(&lab.kube.get(REGISTRIES, "", "default").unwrap(), kind).0
}

/// Faults of slice writes of one namespace, and how they are told apart from others: by the name of its slices.
fn hit(lab: &Lab, namespace: &str, fault: Fault) {
    let name = name(&slice(lab, namespace));
    let prefix = name.rsplit_once('-').unwrap().0;
    lab.kube.inject(Matching::writes().resource(LEDGERS).name_prefix(prefix), 1, 1_000, fault);
}
