//! One of the two accounts is out of reach (behaviours 26, 37, 44).

use super::*;
use crate::lab::HOME;

#[test]
fn an_account_out_of_reach_delays_the_set_and_nothing_else() {
    for away in [A, B] {
        for outage in [Outage::Hang, Outage::Reset] {
            run(1_020, async |lab| {
                two_registries(lab);
                lab.settle().await;
                lab.aws.world(|world| world.set_outage(away, Some(outage)));
                apply_set(lab);
                lab.pass(Duration::from_secs(120)).await;
                assert_eq!(cache_ready(lab).0, "Unknown");
                assert_eq!(role_ready(lab).0, "Unknown");
                assert_eq!(our_role(lab).is_some(), away == B, "the role does not wait for its upstream");
                assert_eq!(prefixes(lab), Vec::<String>::new());
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
            a_set(lab).await;
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
    for abandoned in [false, true] {
        run(1_022, async |lab| {
            two_registries(lab);
            apply_set(lab);
            until_all_ready(lab).await;
            lab.aws.world(|world| world.set_outage(B, Some(Outage::Reset)));
            delete_set(lab);
            until_reason(lab, "DeletionBlocked").await;
            lab.until("it names the registry", |lab| message(lab).contains("upstream")).await;
            assert!(our_role(lab).is_some(), "the grant goes first");
            if abandoned {
                abandon(lab, ROLES);
                until_role_gone(lab).await;
                lab.aws.world(|world| world.set_outage(B, None));
                lab.pass(Duration::from_secs(600)).await;
                until_reported(lab).await;
                // What is nobody's goes by a person's word: the grant, then the role.
                for registry in ["upstream", "default"] {
                    prune(lab, registry);
                    lab.until("it is pruned", |lab| orphans(lab, registry).is_empty()).await;
                }
            } else {
                lab.aws.world(|world| world.set_outage(B, None));
                lab.pass(Duration::from_secs(600)).await;
                until_role_gone(lab).await;
            }
            assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
            lab.assert_at_rest().await;
        });
    }
}

/// How an account can keep the operator out.
#[derive(Clone, Copy, Debug)]
enum KeptOut {
    Denied,
    Throttled,
}

impl KeptOut {
    /// A denial is met by the next process: a session that is there goes on.
    async fn begin(self, lab: &mut Lab, account: &str) {
        lab.aws.world(|world| match self {
            Self::Denied => world.set_trust(account, "member", Trust::of([HOME]).with_external_id("another")),
            Self::Throttled => {
                world.set_throttle(account, REGION, 0.02, 1);
                world.set_throttle(account, "aws-global", 0.02, 1);
            }
        });
        if matches!(self, Self::Denied) {
            lab.restart().await;
        }
    }

    fn end(self, lab: &Lab, account: &str) {
        let operator = format!("arn:aws:iam::{HOME}:role/controller");
        lab.aws.world(|world| match self {
            Self::Denied => world.set_trust(account, "member", Trust::of([operator.as_str()]).with_external_id("lab")),
            Self::Throttled => {
                world.clear_throttle(account, REGION);
                world.clear_throttle(account, "aws-global");
            }
        });
    }
}

const WAYS: [(&str, KeptOut); 4] =
    [(A, KeptOut::Denied), (A, KeptOut::Throttled), (B, KeptOut::Denied), (B, KeptOut::Throttled)];

/// Behaviours 26, 33, 37: the set is made as soon as the account lets the operator in; throttling is no person's matter.
#[test]
fn a_set_that_is_made_while_an_account_keeps_the_operator_out_heals_by_itself() {
    for (away, way) in WAYS {
        run(1_023, async |lab| {
            two_registries(lab);
            lab.settle().await;
            way.begin(lab, away).await;
            apply_set(lab);
            lab.pass(Duration::from_secs(60)).await;
            for plural in [ROLES, CACHES] {
                let (status, reason) = lab.ready(plural, "team-a", "mirror");
                let of_home = matches!(way, KeptOut::Denied) && away == A;
                let expected = if of_home { "False" } else { "Unknown" };
                assert_eq!(status, expected, "{way:?} in {away}: {plural} {reason}\n{}", lab.describe());
                if of_home {
                    assert_eq!(reason, "AssumeRoleDenied");
                }
            }
            way.end(lab, away);
            lab.pass(LONG).await;
            until_all_ready(lab).await;
            lab.assert_at_rest().await;
        });
    }
}

/// What stands goes on; an edit comes through when the account lets the operator in.
#[test]
fn an_edit_waits_for_an_account_that_keeps_the_operator_out() {
    for (away, way) in WAYS {
        run(1_024, async |lab| {
            a_set(lab).await;
            let (id, before) = (our_role(lab).unwrap().id, rule(lab));
            way.begin(lab, away).await;
            edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
            lab.pass(Duration::from_secs(30)).await;
            assert!(lab.statements(B)[0].to_string().contains("repository/base/*"), "what stood stays");
            assert_eq!(our_role(lab).unwrap().id, id);
            assert_eq!(rule(lab), before);
            if matches!(way, KeptOut::Denied) {
                assert!(!lab.is_ready(ROLES, "team-a", "mirror"), "not of this generation\n{}", lab.describe());
            }
            way.end(lab, away);
            lab.pass(LONG).await;
            until_all_ready(lab).await;
            let grants = lab.statements(B);
            assert!(grants[0].to_string().contains("repository/tools/*"), "{grants:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 44: it waits, says for which account, and goes on by itself.
#[test]
fn a_deletion_waits_for_an_account_that_keeps_the_operator_out() {
    for (away, way) in WAYS {
        run(1_025, async |lab| {
            a_set(lab).await;
            way.begin(lab, away).await;
            delete_set(lab);
            lab.pass(Duration::from_secs(20)).await;
            if matches!(way, KeptOut::Denied) {
                assert!(our_role(lab).is_some(), "the grant goes first");
                assert_eq!(reason(lab), "DeletionBlocked", "{}", lab.describe());
                let told = message(lab);
                let named = if away == A { "default" } else { "upstream" };
                assert!(told.contains(named) || told.contains(away), "{way:?} in {away}: {told}");
            }
            way.end(lab, away);
            lab.pass(LONG).await;
            until_set_gone(lab).await;
            assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 44: with the account of the role itself away, who cannot wait lets the object go; what is left is reported.
#[test]
fn a_role_is_let_go_while_its_own_account_is_away() {
    run(1_026, async |lab| {
        two_registries(lab);
        lab.apply(&mirror());
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.settle().await;
        lab.aws.world(|world| world.set_outage(A, Some(Outage::Reset)));
        delete_role(lab);
        until_reason(lab, "DeletionBlocked").await;
        abandon(lab, ROLES);
        until_role_gone(lab).await;
        lab.aws.world(|world| world.set_outage(A, None));
        lab.pass(LONG).await;
        assert!(our_role(lab).is_some(), "abandoned is not deleted");
        let told = orphans(lab, "default");
        assert!(told.contains("team-a/mirror"), "{told}\n{}", lab.describe());
        lab.assert_at_rest().await;
        for registry in ["upstream", "default"] {
            if !orphans(lab, registry).is_empty() {
                prune(lab, registry);
                lab.until("it is pruned", |lab| orphans(lab, registry).is_empty()).await;
            }
        }
        assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 37: a suspended role stays as ready as it was while its upstream's account is away.
#[test]
fn a_suspended_role_stays_ready_while_its_upstream_is_away() {
    run(1_307, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/suspend", &json!(true));
        lab.pass(INTERVAL).await;
        let ready = || lab.ready(ROLES, "team-a", "mirror");
        assert_eq!(ready(), ("True".to_owned(), "Suspended".to_owned()));
        lab.aws.world(|world| world.set_outage(B, Some(Outage::Hang)));
        lab.pass(INTERVAL * 2).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror"), ("True".to_owned(), "Suspended".to_owned()));
        lab.aws.world(|world| world.set_outage(B, None));
        lab.pass(INTERVAL * 2).await;
        assert_eq!(lab.ready(ROLES, "team-a", "mirror"), ("True".to_owned(), "Suspended".to_owned()));
        lab.assert_at_rest().await;
    });
}
