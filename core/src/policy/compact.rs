//! Statements alike but for their principals share one, so that hundreds of accounts fit into one document
//! (behaviour 15). What is granted, expanded to atoms, never changes.

use std::collections::{BTreeMap, BTreeSet};

use super::statement::{Principal, Statement};

/// The same grants in the fewest statements that differ in more than their principals. Kinds do not mix: AWS principals
/// join AWS principals, services join services, and `"*"` stands alone (it would hide the others, and outlive them).
pub fn compact(statements: impl IntoIterator<Item = Statement>) -> BTreeSet<Statement> {
    let mut groups: BTreeMap<(Kind, Statement), BTreeSet<Principal>> = BTreeMap::new();
    for statement in statements {
        let (shared, principals) = parted(statement);
        for principal in principals {
            groups.entry((Kind::of(&principal), shared.clone())).or_default().insert(principal);
        }
    }
    groups.into_iter().map(|((_, shared), principals)| Statement { principals, ..shared }).collect()
}

/// All of a statement but its principals, and its principals.
pub(super) fn parted(statement: Statement) -> (Statement, BTreeSet<Principal>) {
    let Statement { effect, principals, actions, resources, conditions } = statement;
    (Statement { effect, principals: BTreeSet::new(), actions, resources, conditions }, principals)
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
