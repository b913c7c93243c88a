//! What two sets of statements both grant. Narrowing always applies, widening may be refused: an object whose edit is
//! too large, held or rejected keeps *applied ∩ wanted*, which must never grant more than either side.

use std::collections::{BTreeMap, BTreeSet};

use super::shared::Shared;
use super::statement::{ConditionKey, Effect, Principal, Statement};

/// Operators whose values are alternatives for a plain match: fewer values match less.
const POSITIVE: [&str; 6] =
    ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"];

/// What both sides allow, and what either denies. Statements that stand on both sides come out as they are.
pub fn intersect(applied: &[Statement], wanted: &[Statement]) -> Vec<Statement> {
    let applied: BTreeSet<&Statement> = applied.iter().collect();
    let wanted: BTreeSet<&Statement> = wanted.iter().collect();
    let denied = applied.union(&wanted).filter(|statement| statement.effect == Effect::Deny);
    let mut kept: BTreeSet<Statement> = denied.chain(applied.intersection(&wanted)).copied().cloned().collect();
    let mut pieces: Vec<Statement> = Vec::new();
    for (applied, wanted) in applied.iter().flat_map(|a| wanted.iter().map(move |w| (a, w))) {
        let Some(piece) = both(applied, wanted) else { continue };
        if kept.iter().chain(&pieces).any(|other| piece.is_within(other)) {
            continue;
        }
        pieces.retain(|other| !other.is_within(&piece));
        pieces.push(piece);
    }
    kept.extend(pieces);
    kept.into_iter().collect()
}

impl Statement {
    /// Whether `wide` surely covers all that this one does; `false` also where it cannot be told.
    pub fn is_within(&self, wide: &Self) -> bool {
        let everyone = wide.principals.contains(&Principal::Everyone);
        let principal_covered = |principal: &Principal| {
            wide.principals.contains(principal) || (everyone && matches!(principal, Principal::Account(_)))
        };
        let resource_covered = |narrow: &String| wide.resources.iter().any(|wide| is_pattern_within(narrow, wide));
        let condition_kept = |(key, wide): (&ConditionKey, &BTreeSet<String>)| {
            self.conditions.get(key).is_some_and(|narrow| {
                narrow == wide || (is_positive(key) && !narrow.is_empty() && narrow.is_subset(wide))
            })
        };
        self.effect == wide.effect
            && self.principals.iter().all(principal_covered)
            && self.actions.is_subset(&wide.actions)
            && self.resources.is_empty() == wide.resources.is_empty()
            && (self.resources == wide.resources || self.resources.iter().all(resource_covered))
            && wide.conditions.iter().all(condition_kept)
    }
}

/// Whether everything that the ARN or pattern `narrow` names is named by `wide`: equal, or `wide` is a literal stem
/// with a `*` at its end and `narrow` begins with that stem. Any other wildcard in `wide` proves nothing.
pub fn is_pattern_within(narrow: &str, wide: &str) -> bool {
    let literal = |stem: &&str| !stem.contains(['*', '?']) && !stem.contains("${");
    let stem = wide.strip_suffix('*').filter(literal);
    narrow == wide || stem.is_some_and(|stem| narrow.starts_with(stem))
}

fn both(a: &Statement, b: &Statement) -> Option<Statement> {
    if (a.effect, b.effect) != (Effect::Allow, Effect::Allow) {
        return None;
    }
    let actions: Shared<BTreeSet<_>> = a.actions.intersection(&b.actions).cloned().collect();
    let principals = shared_principals(&a.principals, &b.principals);
    let resources = shared_resources(&a.resources, &b.resources)?;
    let conditions = shared_conditions(&a.conditions, &b.conditions)?;
    let grants = !principals.is_empty() && !actions.is_empty();
    let (principals, resources, conditions) = (principals.into(), resources.into(), conditions.into());
    grants.then_some(Statement { effect: Effect::Allow, principals, actions, resources, conditions })
}

/// `"*"` covers every account's own delegation; of roles and services that is not certain, since naming one also lifts
/// it over its own boundary.
fn shared_principals(a: &BTreeSet<Principal>, b: &BTreeSet<Principal>) -> BTreeSet<Principal> {
    let accounts = |of: &BTreeSet<Principal>, if_everyone_in: &BTreeSet<Principal>| {
        let covered = if_everyone_in.contains(&Principal::Everyone);
        let is_account = |principal: &&Principal| covered && matches!(principal, Principal::Account(_));
        of.iter().filter(is_account).cloned().collect::<Vec<_>>()
    };
    let mut shared: BTreeSet<_> = a.intersection(b).cloned().collect();
    shared.extend(accounts(a, b));
    shared.extend(accounts(b, a));
    shared
}

/// `None`: nothing in common. No resource at all (a repository's own policy) goes with no resource only.
fn shared_resources(a: &BTreeSet<String>, b: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    if a.is_empty() && b.is_empty() {
        return Some(BTreeSet::new());
    }
    let narrower = |(a, b): (&String, &String)| {
        let within = if is_pattern_within(a, b) { Some(a) } else { is_pattern_within(b, a).then_some(b) };
        within.cloned()
    };
    let shared: BTreeSet<_> = a.iter().flat_map(|a| b.iter().map(move |b| (a, b))).filter_map(narrower).collect();
    (!shared.is_empty()).then_some(shared)
}

type Conditions = BTreeMap<ConditionKey, BTreeSet<String>>;

/// Both sides' conditions at once; `None` where two lists of values for one key cannot be joined for certain.
fn shared_conditions(a: &Conditions, b: &Conditions) -> Option<Conditions> {
    let mut shared = a.clone();
    for (key, of_b) in b {
        let values = match a.get(key) {
            None => of_b.clone(),
            Some(of_a) if of_a == of_b => continue,
            Some(of_a) if is_positive(key) => of_a.intersection(of_b).cloned().collect(),
            Some(_) => return None,
        };
        if values.is_empty() && a.contains_key(key) {
            return None;
        }
        shared.insert(key.clone(), values);
    }
    Some(shared)
}

fn is_positive(key: &ConditionKey) -> bool {
    POSITIVE.contains(&key.operator.as_str())
}
