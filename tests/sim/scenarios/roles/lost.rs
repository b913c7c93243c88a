//! What tells whose a role or a grant is gets lost: ledgers, and statuses (behaviours 30, 41, 44). No grant is withdrawn by
//! it, and nothing is left behind in the end.

use super::*;
use crate::lab::CrashPoint;
use crate::lab::objects::pull;

/// What is lost while no operator runs.
#[derive(Clone, Copy, Debug)]
struct Lost {
    ledgers: &'static [&'static str],
    statuses: bool,
}

const LOSSES: [Lost; 7] = [
    Lost { ledgers: &["default"], statuses: false },
    Lost { ledgers: &["upstream"], statuses: false },
    Lost { ledgers: &["default", "upstream"], statuses: false },
    Lost { ledgers: &[], statuses: true },
    Lost { ledgers: &["default"], statuses: true },
    Lost { ledgers: &["upstream"], statuses: true },
    Lost { ledgers: &["default", "upstream"], statuses: true },
];

fn lose(lab: &Lab, lost: Lost) {
    for registry in lost.ledgers {
        lab.lose_ledger(registry);
    }
    if lost.statuses {
        for plural in [ROLES, CACHES] {
            lab.kube.edit(plural, "team-a", "mirror", |object| object["status"] = Value::Null).unwrap();
        }
    }
}

/// Something that is in the way of the first passes after a loss, and its end.
struct Disturbance {
    name: &'static str,
    begin: fn(&Lab),
    end: fn(&Lab),
}

/// The role may be gone by now.
fn suspend(lab: &Lab, suspended: bool) {
    let _ = lab.kube.edit(ROLES, "team-a", "mirror", |role| role["spec"]["suspend"] = json!(suspended));
}

fn away(lab: &Lab, account: &str, outage: Option<Outage>) {
    lab.aws.world(|world| world.set_outage(account, outage));
}

const DISTURBANCES: [Disturbance; 6] = [
    Disturbance { name: "nothing", begin: |_| {}, end: |_| {} },
    Disturbance {
        name: "the role's account is away",
        begin: |lab| away(lab, A, Some(Outage::Reset)),
        end: |lab| away(lab, A, None),
    },
    Disturbance {
        name: "the upstream's account is away",
        begin: |lab| away(lab, B, Some(Outage::Reset)),
        end: |lab| away(lab, B, None),
    },
    Disturbance { name: "the role is suspended", begin: |lab| suspend(lab, true), end: |lab| suspend(lab, false) },
    Disturbance {
        name: "the Registry is observed",
        begin: |lab| set_registry(lab, "default", "management", &json!("Observe")),
        end: |lab| set_registry(lab, "default", "management", &json!("Enforce")),
    },
    Disturbance {
        name: "the upstream is suspended",
        begin: |lab| set_registry(lab, "upstream", "suspend", &json!(true)),
        end: |lab| set_registry(lab, "upstream", "suspend", &json!(false)),
    },
];

/// Behaviour 41: nothing goes and nothing is made anew; in the end all is on record as before.
#[test]
fn a_lost_ledger_takes_nothing_from_anybody() {
    let mut wrong = Vec::new();
    for Disturbance { name, begin, end } in DISTURBANCES {
        for lost in LOSSES {
            run(1_030, async |lab| {
                a_set(lab).await;
                let (since, before) = (mark(lab), in_aws(lab));
                lab.stop();
                lose(lab, lost);
                begin(lab);
                lab.start().await;
                lab.pass(INTERVAL).await;
                if in_aws(lab) != before {
                    wrong.push(format!("{name}, {lost:?}: changed meanwhile: {:#?}", in_aws(lab)));
                    return;
                }
                end(lab);
                lab.pass(LONG).await;
                if lost.ledgers.contains(&"default") {
                    // A rule carries no mark: without a record it is anybody's.
                    assert_eq!(cache_ready(lab).1, "RuleConflict", "{name}, {lost:?}");
                    lab.set(CACHES, "team-a", "mirror", "/spec/adoption", &json!("IfIdentical"));
                    lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Delete"));
                    lab.pass(INTERVAL).await;
                }
                if !is_all_ready(lab) || in_aws(lab) != before {
                    wrong.push(format!("{name}, {lost:?}: {} {:#?}", message(lab), in_aws(lab)));
                    return;
                }
                lab.assert_at_rest().await;
                let writes = writes_since(lab, since);
                if !writes.is_empty() {
                    wrong.push(format!("{name}, {lost:?}: written for nothing: {writes:?}"));
                }
                delete_set(lab);
                until_set_gone(lab).await;
                if !is_nothing_left(lab) {
                    wrong.push(format!("{name}, {lost:?}: left {:#?}", in_aws(lab)));
                    return;
                }
                lab.assert_at_rest().await;
            });
        }
    }
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), DISTURBANCES.len() * LOSSES.len());
}

/// Behaviours 30 and 41: who is deleted after the loss, or was when it happened, takes all of it along. It waits for no
/// upstream that cannot be asked and has nothing of it on record: what is found there later is told.
#[test]
fn a_lost_ledger_leaves_nothing_of_who_is_being_deleted() {
    let mut wrong = Vec::new();
    for Disturbance { name, begin, end } in DISTURBANCES {
        for lost in LOSSES.into_iter().filter(|lost| !lost.statuses) {
            run(1_031, async |lab| {
                a_set(lab).await;
                lab.set(CACHES, "team-a", "mirror", "/spec/adoption", &json!("IfIdentical"));
                lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Delete"));
                lab.settle().await;
                lab.stop();
                lose(lab, lost);
                begin(lab);
                delete_set(lab);
                lab.start().await;
                lab.pass(Duration::from_secs(60)).await;
                end(lab);
                lab.pass(LONG).await;
                until_set_gone(lab).await;
                if name == "the upstream's account is away" && lost.ledgers.contains(&"upstream") {
                    assert!(our_role(lab).is_none(), "{lost:?}");
                    assert!(is_orphaned(lab, "upstream"), "{lost:?}: left, and nobody says so");
                } else if !is_nothing_left(lab) {
                    wrong.push(format!("{name}, {lost:?}: {:#?}", in_aws(lab)));
                    return;
                }
                lab.assert_at_rest().await;
            });
        }
    }
    assert!(wrong.is_empty(), "{} went and left: {wrong:#?}", wrong.len());
}

/// Behaviour 41: a role says by its tags whose it is, and a statement by its Sid that it is ours: with everything else
/// lost, neither outlives its object in silence. A rule says nothing: it is anybody's, and keeps the role it pulls by
/// until somebody has removed it. Where nothing is left that says that there is a role, nobody waits for its account.
#[test]
fn who_is_deleted_with_ledgers_and_statuses_lost_leaves_nothing_unsaid() {
    for Disturbance { name, begin, end } in DISTURBANCES {
        for lost in LOSSES.into_iter().filter(|lost| lost.statuses) {
            run(1_032, async |lab| {
                a_set(lab).await;
                lab.stop();
                lose(lab, lost);
                delete_set(lab);
                begin(lab);
                lab.start().await;
                lab.pass(Duration::from_secs(60)).await;
                end(lab);
                lab.pass(LONG).await;
                let is_unasked = name == "the role's account is away" && lost.ledgers.contains(&"default");
                if lost.ledgers.contains(&"default") && !is_unasked {
                    let (told, message) = (reason(lab), message(lab));
                    assert_eq!(told, "DeletionBlocked", "{name}, {lost:?}: {message}");
                    let why = "The cache rule for prefix mirror still pulls by the role";
                    assert!(message.contains(why), "{name}, {lost:?}: {message}");
                    lab.aws.world(|world| world.delete_cache_rule(A, REGION, "mirror"));
                    lab.pass(INTERVAL).await;
                }
                until_set_gone(lab).await;
                assert_eq!(our_role(lab).is_some(), is_unasked, "{name}, {lost:?}");
                let is_told = lab.statements(B).is_empty() || is_orphaned(lab, "upstream");
                assert!(is_told, "{name}, {lost:?}: left, and nobody says so");
            });
        }
    }
}

/// Behaviour 41: somebody new comes with the loss, and is written into the ledgers first. Nobody loses anything for it, and
/// what objects say of themselves is on record from that write on: a crash right after it leaves nothing unsaid.
#[test]
fn somebody_new_does_not_end_a_loss_for_the_others() {
    for calls in [None, Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), Some(8), Some(10), Some(12)] {
        run(1_051, async |lab| {
            a_set(lab).await;
            lab.set(CACHES, "team-a", "mirror", "/spec/adoption", &json!("IfIdentical"));
            lab.set(CACHES, "team-a", "mirror", "/spec/deletionPolicy", &json!("Delete"));
            lab.settle().await;
            let (before, writes) = (in_aws(lab).0, lab.document_writes(B).len());
            lab.stop();
            lose(lab, Lost { ledgers: &["default", "upstream"], statuses: false });
            for (name, registry) in [("here", "default"), ("there", "upstream")] {
                lab.apply(&pull("team-b", name, registry, &["333333333333"], "tools/*"));
            }
            if let Some(call) = calls {
                lab.crash_at(CrashPoint { call: lab.calls() + call, after: true });
            }
            lab.start().await;
            lab.pass(Duration::from_secs(20)).await;
            lab.until_ready(&["team-b/here", "team-b/there"]).await;
            lab.pass(LONG).await;
            let arn = &before.as_ref().unwrap().arn;
            for (_, after) in &lab.document_writes(B)[writes..] {
                assert!(after.as_ref().is_some_and(|document| document.contains(arn.as_str())), "{calls:?}: {after:?}");
            }
            assert_eq!(in_aws(lab).0, before, "{calls:?}");
            assert!(is_all_ready(lab), "{calls:?}: {}", message(lab));
            lab.assert_at_rest().await;
            delete_set(lab);
            until_set_gone(lab).await;
            assert!(our_role(lab).is_none() && granted(lab).iter().all(|name| name == "tools/*"), "{calls:?}");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 44: who never had anything waits for no account.
#[test]
fn who_never_had_a_role_goes_at_once_though_its_account_is_away() {
    run(1_039, async |lab| {
        away(lab, A, Some(Outage::Reset));
        two_registries(lab);
        lab.apply(&mirror());
        until_reason(lab, "Unreachable").await;
        lab.delete(ROLES, "team-a", "mirror");
        until_role_gone(lab).await;
        away(lab, A, None);
        lab.assert_at_rest().await;
    });
}
