//! Taking away waits for nothing that growth needs, and what one namespace does to growth others do not notice (behaviours
//! 47 and 49). That nothing is due for longer than 10 s is checked in every scenario besides (`lab::due`).

use std::time::Duration;

use aws_sim::Fault as AwsFault;
use kube_sim::{Fault, Matching, Phase};
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, pull, registry, with};
use crate::lab::{A, B, Lab, REGION, run};

const C: &str = "444444444444";
const CLOSED: &str = "666666666666";
const INTERVAL: Duration = Duration::from_secs(310);

/// An object that AWS refuses: it names a role that is not there.
fn refused(namespace: &str, i: usize, edited: usize) -> Value {
    let object = pull(namespace, &format!("refused-{i}"), "default", &[B], &format!("{namespace}/{i}/{edited}/*"));
    with(object, "/spec/statements/0/principals/roles", &json!([{"accountId": B, "name": format!("ghost-{i}")}]))
}

/// A chart that names roles before they are there, edited every second: another team's object is Ready, and its deletion
/// done, as though nobody else were there.
#[test]
fn many_refused_objects_keep_nobody_waiting() {
    run(1_600, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-b", "leaves", "default", &[B], "team-b/leaves/*"));
        lab.until_ready(&["team-b/leaves"]).await;
        for i in 0..60 {
            lab.apply(&refused("team-a", i, 0));
        }
        let mut edited = 0;
        for round in 0..6 {
            for _ in 0..5 {
                edited += 1;
                lab.apply(&refused("team-a", edited % 60, edited));
                lab.pass(Duration::from_secs(1)).await;
            }
            let name = format!("new-{round}");
            let made = lab.clock.now();
            lab.apply(&pull("team-b", &name, "default", &[C], &format!("team-b/{name}/*")));
            lab.until("the newcomer is Ready", |lab| lab.is_ready(POLICIES, "team-b", &name)).await;
            assert!(lab.since(made) <= Duration::from_secs(5), "round {round}: {:?}", lab.since(made));
        }
        let deleted = lab.clock.now();
        lab.delete(POLICIES, "team-b", "leaves");
        lab.until("it is withdrawn", |lab| !lab.may_pull(B, "team-b/leaves/x")).await;
        assert!(lab.since(deleted) <= Duration::from_secs(5), "{:?}", lab.since(deleted));
        lab.until("its object is gone", |lab| !lab.exists(POLICIES, "team-b", "leaves")).await;
        assert!(lab.since(deleted) <= Duration::from_secs(10), "{:?}", lab.since(deleted));
    });
}

/// Behaviour 47: statuses that hang keep the pass that writes them, and nothing that is to be withdrawn.
#[test]
fn statuses_that_hang_keep_no_withdrawal() {
    run(1_601, async |lab| {
        lab.two_pulls(B, C).await;
        lab.kube.inject(Matching::writes().resource(POLICIES).status(), 1, 1_000, Fault::Hang(Phase::Before));
        lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/principals/accountIds", &json!([B, C]));
        lab.until("it is granted, and not told", |lab| lab.may_pull(C, "team-a/app")).await;
        let deleted = lab.clock.now();
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("it is withdrawn", |lab| !lab.may_pull(C, "team-b/app")).await;
        assert!(lab.since(deleted) <= Duration::from_secs(3), "{:?}", lab.since(deleted));
        lab.kube.clear_faults();
        lab.settle().await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 47: a finalizer that the API server does not answer for concerns its object alone.
#[test]
fn a_finalizer_that_hangs_keeps_nobody_waiting() {
    run(1_602, async |lab| {
        lab.two_pulls(B, C).await;
        lab.keep_nothing_back("default");
        let finalizers = Matching::writes().resource(POLICIES).main().name_prefix("hangs-");
        lab.kube.inject(finalizers, 1, 1_000, Fault::Hang(Phase::Before));
        for i in 0..50 {
            lab.apply(&pull("team-a", &format!("hangs-{i}"), "default", &[C], &format!("team-a/{i}/*")));
        }
        lab.pass(Duration::from_secs(1)).await;
        let made = lab.clock.now();
        lab.apply(&pull("team-b", "new", "default", &[B], "team-b/new/*"));
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is withdrawn", |lab| !lab.may_pull(B, "team-a/app")).await;
        assert!(lab.since(made) <= Duration::from_secs(5), "{:?}", lab.since(made));
        lab.until("the newcomer is Ready", |lab| lab.is_ready(POLICIES, "team-b", "new")).await;
        assert!(lab.since(made) <= Duration::from_secs(10), "{:?}", lab.since(made));
        lab.kube.clear_faults();
        lab.pass(INTERVAL).await;
        lab.until_ready(&["team-a/hangs-0", "team-a/hangs-49"]).await;
    });
}

/// Behaviour 47: what AWS answers otherwise than it was written holds back no withdrawal.
#[test]
fn a_policy_that_reads_back_otherwise_keeps_no_withdrawal() {
    run(1_603, async |lab| {
        lab.two_pulls(B, C).await;
        lab.aws.world(|world| world.inject(AwsFault::stale_read().on("GetRegistryPolicy").times(3)));
        lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/principals/accountIds", &json!([B, C]));
        lab.pass(Duration::from_secs(2)).await;
        let deleted = lab.clock.now();
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("it is withdrawn", |lab| !lab.may_pull(C, "team-b/app")).await;
        assert!(lab.since(deleted) <= Duration::from_secs(8), "{:?}", lab.since(deleted));
        lab.settle().await;
        assert!(lab.may_pull(C, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// AWS shows account ids as root ARNs, longer than what it counted: what others have put takes no more room than it took.
#[test]
fn ids_that_are_read_as_arns_take_no_room_from_anybody() {
    for number in [300, 450] {
        run(1_604, async |lab| {
            let ids: Vec<_> = (0..number).map(|i| format!("8000000{i:05}")).collect();
            let foreign = json!({"Version": "2012-10-17", "Statement": [
                {"Sid": "customers", "Effect": "Allow", "Principal": {"AWS": ids}, "Action": "ecr:ReplicateImage", "Resource": "*"},
            ]});
            lab.aws.world(|world| world.accept_unknown_accounts(true));
            lab.aws.world(|world| world.put_policy(A, REGION, &foreign.to_string()));
            lab.two_teams();
            lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
            lab.until_ready(&["team-a/pull"]).await;
            let told =
                lab.kube.get("registries", "", "default").unwrap()["status"]["documents"]["RegistryPolicy"].clone();
            assert!(told["characters"].as_i64().unwrap() < 10_240, "{told}");
            lab.assert_at_rest().await;
            lab.delete(POLICIES, "team-a", "pull");
            lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
            assert!(!lab.may_pull(B, "team-a/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// One tenant's quarantine ends with its own mistake: what it asks for once the roles are there it gets.
#[test]
fn a_namespace_in_quarantine_gets_what_aws_takes() {
    run(1_605, async |lab| {
        lab.two_teams();
        for i in 0..8 {
            lab.apply(&refused("team-a", i, 0));
        }
        lab.apply(&pull("team-a", "good", "default", &[C], "team-a/good/*"));
        lab.apply(&pull("team-b", "good", "default", &[C], "team-b/good/*"));
        lab.until("another namespace's is Ready", |lab| lab.is_ready(POLICIES, "team-b", "good")).await;
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "good"), "{}", lab.describe());
        lab.aws.world(|world| {
            for i in 0..8 {
                world.add_role(B, &format!("ghost-{i}"), aws_sim::Trust::of([B]));
            }
        });
        lab.pass(2 * INTERVAL).await;
        for i in 0..8 {
            assert!(lab.is_ready(POLICIES, "team-a", &format!("refused-{i}")), "{i}: {}", lab.describe());
        }
        lab.assert_at_rest().await;
    });
}

/// Behaviour 47: an account that answers again is cleared of what became due meanwhile, whatever the back-off had come to.
#[test]
fn the_end_of_an_outage_leaves_nothing_due() {
    run(1_606, async |lab| {
        lab.apply(&registry("other", B));
        lab.two_pulls(B, C).await;
        lab.aws.world(|world| world.set_outage(A, Some(aws_sim::Outage::Reset)));
        lab.pass(3 * INTERVAL).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.pass(INTERVAL).await;
        lab.aws.world(|world| world.set_outage(A, None));
        let back = lab.clock.now();
        lab.until("it is withdrawn", |lab: &Lab| !lab.may_pull(B, "team-a/app")).await;
        assert!(lab.since(back) <= Duration::from_secs(10), "{:?}", lab.since(back));
        lab.settle().await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 47: what is taken away beside a pass is not written again by it, though the pass began when it was still asked for.
#[test]
fn what_is_withdrawn_beside_a_pass_stays_so() {
    run(1_607, async |lab| {
        lab.two_pulls(B, C).await;
        let slow = AwsFault::delay(Duration::from_secs(4)).on("GetAccountSetting").in_account(A);
        lab.aws.world(|world| world.inject(slow));
        lab.apply(&pull("team-a", "new", "default", &[C], "team-a/new/*"));
        lab.pass(Duration::from_millis(500)).await;
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("it is withdrawn, alone", |lab| !lab.may_pull(C, "team-b/app")).await;
        assert!(!lab.may_pull(C, "team-a/new/x"), "what grows is not there yet");
        let withdrawn = lab.document_writes(A).len();
        lab.until("the other has grown", |lab| lab.may_pull(C, "team-a/new/x")).await;
        lab.aws.world(aws_sim::World::clear_faults);
        lab.settle().await;
        let after = lab.document_writes(A);
        let mut came_back = after[withdrawn..].iter().filter_map(|(_, after)| after.as_ref());
        assert!(!came_back.any(|text| text.contains("repository/team-b/")), "{after:#?}");
        lab.assert_at_rest().await;
    });
}

/// Behaviours 47 and 50: AWS takes no policy any more that names somebody in a closed account. That keeps nothing of anybody
/// else's alive, takes nothing from others for long, and its object says so.
#[test]
fn a_closed_account_keeps_nothing_alive() {
    run(1_608, async |lab| {
        lab.two_teams();
        let others: Vec<_> = (0..20).map(|i| format!("7000000000{i:02}")).collect();
        let named: Vec<_> = others.iter().map(String::as_str).chain([B, CLOSED]).collect();
        lab.apply(&pull("team-a", "pull", "default", &named, "team-a/*"));
        lab.apply(&pull("team-a", "other", "default", &[B, C], "team-a/other/*"));
        lab.apply(&pull("team-b", "pull", "default", &[C], "team-b/*"));
        lab.apply(&pull("team-b", "stays", "default", &[C], "team-b/stays/*"));
        lab.until_ready(&["team-a/pull", "team-a/other", "team-b/pull", "team-b/stays"]).await;
        lab.aws.world(|world| world.close_account(CLOSED, true));
        let deleted = lab.clock.now();
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("it is withdrawn", |lab| !lab.may_pull(C, "team-b/app")).await;
        assert!(lab.since(deleted) <= Duration::from_secs(10), "{:?}", lab.since(deleted));
        lab.until("everybody else is back", |lab| {
            let all = others.iter().map(String::as_str).chain([B]);
            let mut all = all.map(|account| lab.may_pull(account, "team-a/app"));
            all.all(|may| may) && lab.may_pull(C, "team-b/stays/app") && lab.may_pull(C, "team-a/other/app")
        })
        .await;
        assert!(lab.since(deleted) <= Duration::from_secs(30), "{:?}", lab.since(deleted));
        lab.until("the culprit says so", |lab| lab.ready(POLICIES, "team-a", "pull").1 == "Rejected").await;
        lab.until_ready(&["team-a/other", "team-b/stays"]).await;
        lab.apply(&pull("team-b", "new", "default", &[C], "team-b/new/*"));
        lab.until_ready(&["team-b/new"]).await;
        lab.restart().await;
        lab.pass(INTERVAL).await;
        assert!(lab.may_pull(B, "team-a/app") && !lab.is_ready(POLICIES, "team-a", "pull"), "{}", lab.describe());
        lab.aws.world(|world| world.close_account(CLOSED, false));
        lab.pass(2 * INTERVAL).await;
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull(CLOSED, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 50: where statements of others are what AWS refuses, no search takes anything from ours, and AWS is not asked without end.
#[test]
fn what_others_have_in_the_policy_is_searched_once_in_a_while() {
    run(1_609, async |lab| {
        lab.two_pulls(B, C).await;
        let text = lab.policy(A).unwrap();
        let mut statements = text["Statement"].as_array().unwrap().clone();
        statements.push(
            json!({"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{CLOSED}:root")},
            "Action": "ecr:ReplicateImage", "Resource": "*"}),
        );
        let theirs = json!({"Version": "2012-10-17", "Statement": statements});
        lab.aws.world(|world| world.put_policy(A, REGION, &theirs.to_string()));
        lab.aws.world(|world| world.close_account(CLOSED, true));
        let before = lab.aws_writes("PutRegistryPolicy");
        lab.delete(POLICIES, "team-b", "pull");
        lab.pass(Duration::from_secs(300)).await;
        assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app"));
        let puts = lab.aws_writes("PutRegistryPolicy") - before;
        assert!(puts <= 90, "{puts}");
        lab.aws.world(|world| world.close_account(CLOSED, false));
        lab.until("it is withdrawn", |lab| !lab.may_pull(C, "team-b/app")).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 47: who takes something back every second takes the turns of nobody's growth: one Put carries both.
#[test]
fn who_narrows_every_second_starves_nobody() {
    run(1_610, async |lab| {
        lab.two_teams();
        let mut accounts: Vec<_> = (0..40).map(|i| format!("7000000000{i:02}")).collect();
        let named: Vec<_> = accounts.iter().map(String::as_str).collect();
        lab.apply(&pull("team-a", "pull", "default", &named, "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        for round in 0..6 {
            let name = format!("new-{round}");
            let made = lab.clock.now();
            lab.apply(&pull("team-b", &name, "default", &[C], &format!("team-b/{name}/*")));
            while !lab.is_ready(POLICIES, "team-b", &name) {
                accounts.pop();
                lab.set(POLICIES, "team-a", "pull", "/spec/statements/0/principals/accountIds", &json!(accounts));
                lab.pass(Duration::from_millis(700)).await;
                assert!(lab.since(made) <= Duration::from_secs(5), "round {round}: {}", lab.describe());
            }
        }
        lab.assert_at_rest().await;
    });
}

/// Behaviours 47 and 52: what AWS shows otherwise than it was written concerns those alone who have a part in it: others are Ready, come and go.
#[test]
fn one_statement_that_reads_back_otherwise_is_its_objects_alone() {
    run(1_611, async |lab| {
        lab.two_pulls(B, C).await;
        lab.tamper_with_reads(|text| text.replace("repository/team-a/odd/*", "repository/team-a/even/*"));
        lab.apply(&pull("team-a", "odd", "default", &[B], "team-a/odd/*"));
        lab.until("it says so", |lab| lab.ready(POLICIES, "team-a", "odd").1 == "ReadbackDiffers").await;
        let made = lab.clock.now();
        lab.apply(&pull("team-b", "new", "default", &[C], "team-b/new/*"));
        lab.until_ready(&["team-b/new", "team-b/pull", "team-a/pull"]).await;
        assert!(lab.since(made) <= Duration::from_secs(5), "{:?}", lab.since(made));
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("it is withdrawn, and let go", |lab| {
            !lab.may_pull(C, "team-b/app") && !lab.exists(POLICIES, "team-b", "pull")
        })
        .await;
        assert!(!lab.is_ready(POLICIES, "team-a", "odd") && lab.may_pull(B, "team-a/odd/app"));
        lab.delete(POLICIES, "team-a", "odd");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "odd")).await;
        let text = lab.policy(A).unwrap().to_string();
        assert!(!text.contains("team-a/odd"), "{text}");
        lab.assert_at_rest().await;
    });
}
