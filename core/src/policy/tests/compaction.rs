//! Compaction by example: behaviour 15, and what AWS takes it for.

use std::collections::BTreeSet;

use super::super::{Document, REGISTRY_POLICY_LIMIT, atoms, compact, fit, merge};
use super::{aws, pull};
use crate::ownership::InstallationId;

/// Behaviour 15: hundreds of accounts fit where one statement each would not.
#[test]
fn statements_alike_but_for_their_principals_share_one() {
    let accounts: Vec<String> = (0..500_u64).map(|n| format!("{:012}", 100_000_000_000 + n)).collect();
    let single: BTreeSet<_> = accounts.iter().map(|account| pull(&[account])).collect();
    let joined = compact(single.clone());
    assert_eq!(joined.len(), 1);
    assert_eq!(atoms(joined.clone()), single);

    let us = InstallationId::of_cluster("a cluster");
    let document = |statements: BTreeSet<_>| {
        let ours = statements.into_iter().map(|statement| (us.sid(&statement), statement)).collect();
        fit(merge(None, &ours, |_| false), REGISTRY_POLICY_LIMIT, aws())
    };
    assert!(document(joined).unwrap().characters() < 8_000);
    assert!(document(single).unwrap_err().characters > 100_000);
    assert!(fit(Document::empty(), REGISTRY_POLICY_LIMIT, aws()).is_ok());
}

/// Behaviour 15: what differs in more than principals, or in the kind of principal, stays apart.
#[test]
fn kinds_of_principals_and_everything_else_keep_statements_apart() {
    let account = pull(&["111111111111"]);
    let apart = [
        pull(&["*"]),
        pull(&[]).service("codebuild.amazonaws.com"),
        account.clone().deny(),
        account.clone().on(&["team-b/*"]),
        account.clone().actions(&["ecr:BatchGetImage"]),
        account.clone().when("StringEquals", "aws:PrincipalOrgID", &["o-1"]),
    ];
    let all: BTreeSet<_> = apart.into_iter().chain([account]).collect();
    assert_eq!(compact(all.clone()), all);
    assert_eq!(compact([pull(&["*", "111111111111"])]), BTreeSet::from([pull(&["*"]), pull(&["111111111111"])]));
    assert_eq!(
        compact([pull(&["222222222222"]), pull(&["AROAEXAMPLE"])]),
        [pull(&["222222222222", "AROAEXAMPLE"])].into()
    );
}
