//! A plan in words: a line a change, as it stands in `Registry.status.plan`.

use super::plan::{Composition, Plan};
use crate::api::PlanStatus;
use crate::policy::digest::digest;
use crate::policy::{Principal, Statement};

const SHOWN: usize = 50;

pub(super) fn describe(plan: &Plan, composition: &Composition) -> Vec<String> {
    let mut lines = Vec::new();
    if plan.switch_scope {
        lines.push("~ registry policy scope V1 -> V2".to_owned());
    }
    let added = composition.ours.iter().filter(|(sid, _)| !plan.standing.intact.contains(sid));
    lines.extend(added.map(|(sid, statement)| format!("+ statement {sid}: {}", words(statement))));
    for stored in plan.document().map(crate::policy::Document::statements).unwrap_or_default() {
        let gone = plan
            .standing
            .intact
            .iter()
            .chain(&plan.standing.disturbed)
            .find(|sid| stored.sid() == Some(sid.as_str()) && !composition.ours.contains_key(*sid));
        if let Some(sid) = gone {
            lines.push(format!("- statement {sid}"));
        }
    }
    let changed = composition.ours.keys().filter(|sid| plan.standing.disturbed.contains(sid));
    lines.extend(changed.map(|sid| format!("~ statement {sid}: restored")));
    lines.extend(plan.standing.taken_over.iter().map(|sid| format!("~ statement {sid}: taken over")));
    lines.extend(plan.released().map(|(sid, s)| format!("~ statement left behind as {sid}: {}", words(s))));
    lines
}

/// As it is stored: the first lines, and a hash of all.
pub fn status(lines: Vec<String>) -> Option<PlanStatus> {
    if lines.is_empty() {
        return None;
    }
    let hash = hash(lines.iter());
    let omitted = i64::try_from(lines.len().saturating_sub(SHOWN)).unwrap_or(i64::MAX);
    let cut = |line: String| line.chars().take(1024).collect();
    Some(PlanStatus { hash, steps: lines.into_iter().take(SHOWN).map(cut).collect(), omitted })
}

/// A plan with more lines to it.
pub fn with(plan: Option<PlanStatus>, more: Vec<String>) -> Option<PlanStatus> {
    let Some(plan) = plan else { return status(more) };
    let Some(added) = status(more) else { return Some(plan) };
    let hash = hash([plan.hash, added.hash].iter());
    let mut steps = plan.steps;
    steps.extend(added.steps);
    let beyond = i64::try_from(steps.len().saturating_sub(SHOWN)).unwrap_or(i64::MAX);
    steps.truncate(SHOWN);
    Some(PlanStatus { hash, steps, omitted: plan.omitted + added.omitted + beyond })
}

/// A short hash over lines.
pub fn hash<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    let lines: Vec<_> = lines.map(String::as_str).collect();
    digest(&lines.join("\n")).chars().take(16).collect()
}

fn words(statement: &Statement) -> String {
    let list = |all: Vec<&str>| match all.as_slice() {
        few if few.len() <= 5 => few.join(", "),
        [first, .., last] => format!("{first} … {last} ({})", all.len()),
        _ => String::new(),
    };
    let principals = list(statement.principals.iter().map(Principal::as_str).collect());
    let actions = list(statement.actions.iter().map(crate::policy::Action::as_str).collect());
    let resources = list(statement.resources.iter().map(String::as_str).collect());
    format!("{} {principals}: {actions} on {resources}", statement.effect.as_str())
}
