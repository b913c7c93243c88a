//! Actions, one by one, so that a fault names the entry it is about. Which actions may be granted is the lint's table.

use std::collections::BTreeSet;

use crate::policy::{Action, Effect, Shared, Statement, lint};

use super::Faults;

/// The actions found at `at`, each judged.
pub(crate) fn parse(given: &[String], at: &str, faults: &mut Faults) -> BTreeSet<Action> {
    if given.is_empty() {
        faults.add(at, "no action is named", "name one at least, such as ecr:BatchGetImage");
    }
    let mut actions = BTreeSet::new();
    for (i, text) in given.iter().enumerate() {
        let action = Action::new(text);
        let alone = Statement {
            effect: Effect::Allow,
            principals: Shared::default(),
            actions: [action.clone()].into(),
            resources: Shared::default(),
            conditions: Shared::default(),
        };
        let findings = lint(&alone, true, true);
        match findings.iter().find(|finding| finding.code.starts_with("action-")) {
            Some(finding) => faults.add_finding(&format!("{at}[{i}]"), &finding.message),
            None => _ = actions.insert(action),
        }
    }
    actions
}
