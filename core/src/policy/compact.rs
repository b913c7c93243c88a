//! Statements alike but for their principals share one, so that hundreds of accounts fit into one document
//! (behaviour 15). What is granted, expanded to atoms, never changes.

use std::collections::{BTreeMap, BTreeSet};

use super::shared::Shared;
use super::statement::{Principal, Statement};

/// The same grants in the fewest statements that differ in more than their principals. Kinds do not mix: AWS principals
/// join AWS principals, services join services, and `"*"` stands alone (it would hide the others, and outlive them).
pub fn compact(statements: impl IntoIterator<Item = Statement>) -> BTreeSet<Statement> {
    let groups = grouped(statements).into_iter();
    groups.map(|((_, shared), principals)| Statement { principals, ..shared }).collect()
}

/// Whether both sides grant the same, grant by grant.
pub fn same(a: &[Statement], b: &[Statement]) -> bool {
    compact(a.iter().cloned()) == compact(b.iter().cloned())
}

/// Whether every grant of `narrow` is one of `wide`, exactly as it is.
pub fn covers(wide: &[Statement], narrow: &[Statement]) -> bool {
    let wide = grouped(wide.iter().cloned());
    let narrow = grouped(narrow.iter().cloned());
    narrow.iter().all(|(alike, principals)| wide.get(alike).is_some_and(|all| principals.is_subset(all)))
}

/// Whom statements that are alike otherwise speak of.
fn grouped(
    statements: impl IntoIterator<Item = Statement>,
) -> BTreeMap<(Kind, Statement), Shared<BTreeSet<Principal>>> {
    let mut groups: BTreeMap<(Kind, Statement), Shared<BTreeSet<Principal>>> = BTreeMap::new();
    for statement in statements {
        let (alike, principals) = parted(statement);
        let kinds: BTreeSet<Kind> = principals.iter().map(Kind::of).collect();
        for kind in kinds {
            let of_kind = |principal: &&Principal| Kind::of(principal) == kind;
            let all = groups.entry((kind, alike.clone())).or_default();
            // Nothing is copied of a statement that none is joined with.
            if all.is_empty() && principals.iter().all(|principal| of_kind(&principal)) {
                *all = principals.clone();
            } else {
                all.extend(principals.iter().filter(of_kind).cloned());
            }
        }
    }
    groups
}

/// All of a statement but its principals, and its principals.
pub(super) fn parted(statement: Statement) -> (Statement, Shared<BTreeSet<Principal>>) {
    let principals = statement.principals.clone();
    (Statement { principals: Shared::default(), ..statement }, principals)
}

/// Every grant for one principal each, once.
pub fn atoms(statements: impl IntoIterator<Item = Statement>) -> BTreeSet<Statement> {
    statements.into_iter().flat_map(|statement| statement.atoms().collect::<Vec<_>>()).collect()
}

/// Principals that share a statement are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Everyone,
    Aws,
    Service,
}

impl Kind {
    pub(super) fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Everyone => Self::Everyone,
            Principal::Account(_) | Principal::Aws(_) => Self::Aws,
            Principal::Service(_) => Self::Service,
        }
    }
}
