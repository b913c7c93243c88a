//! One of the two accounts is out of reach (behaviours 26, 37, 44).

use std::time::Duration;

use aws_sim::Outage;

use super::*;
use crate::lab::objects::{cache_by_role, role};
use crate::lab::run;

fn set(lab: &Lab) {
    lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
    lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
}

#[test]
fn an_account_out_of_reach_delays_the_set_and_nothing_else() {
    for away in [A, B] {
        for outage in [Outage::Hang, Outage::Reset] {
            run(1_020, async |lab| {
                two_registries(lab);
                lab.settle().await;
                lab.aws.world(|world| world.set_outage(away, Some(outage)));
                set(lab);
                lab.pass(Duration::from_secs(120)).await;
                assert_eq!(lab.ready(CACHES, "team-a", "mirror").0, "Unknown");
                assert_eq!(lab.ready(ROLES, "team-a", "mirror").0, "Unknown");
                assert_eq!(our_role(lab).is_some(), away == B, "the role does not wait for its upstream");
                assert_eq!(lab.aws.world(|world| world.cache_prefixes(A, REGION)), Vec::<String>::new());
                lab.aws.world(|world| world.set_outage(away, None));
                lab.pass(Duration::from_secs(600)).await;
                until_all_ready(lab).await;
                lab.assert_at_rest().await;
            });
        }
    }
}

#[test]
fn what_was_proven_stays_so_while_an_account_is_out_of_reach() {
    for away in [A, B] {
        run(1_021, async |lab| {
            two_registries(lab);
            set(lab);
            until_all_ready(lab).await;
            lab.settle().await;
            let (rules, grants) = (lab.aws_writes_of(A), lab.aws_writes_of(B));
            lab.aws.world(|world| world.set_outage(away, Some(Outage::Reset)));
            lab.pass(Duration::from_secs(1_200)).await;
            assert!(is_all_ready(lab), "{}", lab.describe());
            lab.aws.world(|world| world.set_outage(away, None));
            lab.pass(Duration::from_secs(600)).await;
            lab.assert_at_rest().await;
            assert_eq!((lab.aws_writes_of(A), lab.aws_writes_of(B)), (rules, grants));
        });
    }
}

/// A deletion waits for the grant to go, says for which registry, and goes on by itself. Who cannot wait lets the object
/// go without AWS: what it leaves is reported.
#[test]
fn a_deletion_waits_for_the_upstream_and_says_so() {
    for abandon in [false, true] {
        run(1_022, async |lab| {
            two_registries(lab);
            set(lab);
            until_all_ready(lab).await;
            lab.aws.world(|world| world.set_outage(B, Some(Outage::Reset)));
            lab.delete(CACHES, "team-a", "mirror");
            lab.delete(ROLES, "team-a", "mirror");
            lab.until_reason(ROLES, "team-a", "mirror", "DeletionBlocked").await;
            lab.until("it names the registry", |lab| {
                lab.message(ROLES, "team-a", "mirror", "Ready").contains("upstream")
            })
            .await;
            assert!(our_role(lab).is_some(), "the grant goes first");
            if abandon {
                lab.annotate(ROLES, "team-a", "mirror", "ecr-permissions.dev/abandon", "true");
                lab.until("it goes", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
                lab.aws.world(|world| world.set_outage(B, None));
                lab.pass(Duration::from_secs(600)).await;
                for registry in ["default", "upstream"] {
                    lab.until("what is left is reported", |lab| {
                        lab.message("registries", "", registry, "Orphaned").contains("team-a/mirror")
                    })
                    .await;
                }
                // What is nobody's goes by a person's word: the grant, then the role.
                for registry in ["upstream", "default"] {
                    let token = lab.prune_token(registry);
                    lab.annotate("registries", "", registry, "ecr-permissions.dev/prune", &token);
                    lab.until("it is pruned", |lab| lab.message("registries", "", registry, "Orphaned").is_empty())
                        .await;
                }
            } else {
                lab.aws.world(|world| world.set_outage(B, None));
                lab.pass(Duration::from_secs(600)).await;
                lab.until("it goes", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
            }
            assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
            lab.assert_at_rest().await;
        });
    }
}
