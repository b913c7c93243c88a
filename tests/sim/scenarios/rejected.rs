//! AWS refuses a document and does not say why: one object must not hold up the others (behaviour 18).

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sim::Trust;
use serde_json::{Value, json};

use crate::lab::objects::{POLICIES, condition, pull, with};
use crate::lab::{A, B, Lab, REGION, list, run};

fn account(i: usize) -> String {
    format!("{:012}", 300_000_000_000 + i)
}

fn name(i: usize) -> String {
    format!("pull-{i:02}")
}

/// An object of its own repository, so that statements are not joined.
fn object(i: usize) -> Value {
    pull("team-a", &name(i), "default", &[&account(i)], &format!("team-a/{i:02}/*"))
}

/// The object, with a role of account B beside the account.
fn with_role(object: Value, role: &str) -> Value {
    with(object, "/spec/statements/0/principals/roles", &json!([{"accountId": B, "name": role}]))
}

/// 2⌈log2 n⌉+4.
fn bound(n: usize) -> usize {
    2 * n.next_power_of_two().trailing_zeros() as usize + 4
}

/// Everything granted in a document, a principal and a resource each.
fn grants(text: Option<&str>) -> BTreeSet<(String, String)> {
    let document: Value = text.map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
    let mut all = BTreeSet::new();
    for statement in list(&document["Statement"]) {
        for principal in list(&statement["Principal"]["AWS"]) {
            for resource in list(&statement["Resource"]) {
                all.insert((principal.to_string(), resource.to_string()));
            }
        }
    }
    all
}

/// No write took away what stood before it.
fn assert_nothing_was_missing(lab: &Lab, from: usize) {
    for (before, after) in lab.document_writes(A).iter().skip(from) {
        let (before, after) = (grants(before.as_deref()), grants(after.as_deref()));
        assert!(before.is_subset(&after), "a write took away {:?}", before.difference(&after));
    }
}

fn is_ready(lab: &Lab, i: usize) -> bool {
    lab.is_ready(POLICIES, "team-a", &name(i))
}

/// Behaviour 18, wherever the culprit stands among twenty that come at once.
#[test]
fn one_refused_among_twenty_holds_up_nobody() {
    for culprit in [0, 13] {
        run(300 + culprit as u64, async |lab| {
            lab.two_teams();
            lab.apply(&pull("team-b", "standing", "default", &[B], "team-b/*"));
            lab.until_ready(&["team-b/standing"]).await;
            lab.settle().await;
            let (puts, writes) = (lab.aws_writes("PutRegistryPolicy"), lab.document_writes(A).len());
            for i in 0..20 {
                let object = if i == culprit { with_role(object(i), "ghost") } else { object(i) };
                lab.apply(&object);
            }
            lab.until("all others are Ready", |lab| (0..20).all(|i| i == culprit || is_ready(lab, i))).await;
            lab.until_reason(POLICIES, "team-a", &name(culprit), "Propagating").await;
            let stored = lab.kube.get(POLICIES, "team-a", &name(culprit)).unwrap();
            assert_eq!(condition(&stored, "Ready").0, "Unknown");
            assert_eq!(condition(&stored, "Reconciling").0, "True");
            let puts = lab.aws_writes("PutRegistryPolicy") - puts;
            assert!(puts <= bound(20), "{puts} Puts");
            assert_nothing_was_missing(lab, writes);

            // Five minutes are long enough for any principal to be seen.
            lab.pass(Duration::from_secs(600)).await;
            let stored = lab.kube.get(POLICIES, "team-a", &name(culprit)).unwrap();
            assert_eq!(condition(&stored, "Ready"), ("False".to_owned(), "Rejected".to_owned()));
            assert_eq!(condition(&stored, "Stalled").0, "True");
            assert!((0..20).all(|i| i == culprit || is_ready(lab, i)));

            // Tried again slowly: one Put an attempt, five minutes apart.
            let before = lab.aws_writes("PutRegistryPolicy");
            lab.pass(Duration::from_secs(1800)).await;
            let tried = lab.aws_writes("PutRegistryPolicy") - before;
            assert!((1..=7).contains(&tried), "{tried} Puts in half an hour");

            lab.aws.world(|world| drop(world.add_role(B, "ghost", Trust::default())));
            lab.pass(Duration::from_secs(330)).await;
            assert!(is_ready(lab, culprit), "it heals by itself once the principal is there\n{}", lab.describe());
            assert_nothing_was_missing(lab, writes);
            lab.assert_at_rest().await;
        });
    }
}

/// A principal that is only slow to be seen never is an error.
#[test]
fn a_young_principal_is_waited_for() {
    run(320, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.set_propagation(Duration::from_secs(30)));
        lab.aws.world(|world| drop(world.add_role(B, "young", Trust::default())));
        lab.apply(&with_role(object(0), "young"));
        lab.apply(&object(1));
        let failed = |lab: &Lab| lab.ready(POLICIES, "team-a", &name(0)).0 == "False";
        for _ in 0..120 {
            lab.pass(Duration::from_secs(1)).await;
            assert!(!failed(lab), "never terminal\n{}", lab.describe());
        }
        assert!(is_ready(lab, 0) && is_ready(lab, 1));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 18 with several culprits: each costs its bound, all others are served.
#[test]
fn three_refused_among_twenty_are_all_found() {
    run(321, async |lab| {
        lab.two_teams();
        let culprits = [2, 3, 17];
        for i in 0..20 {
            let object = if culprits.contains(&i) { with_role(object(i), &format!("ghost-{i}")) } else { object(i) };
            lab.apply(&object);
        }
        // Three refusals in a minute are a quarantine: one question in ten seconds until one is accepted.
        lab.pass(Duration::from_secs(60)).await;
        lab.until("all others are Ready", |lab| (0..20).all(|i| culprits.contains(&i) || is_ready(lab, i))).await;
        for culprit in culprits {
            lab.until_reason(POLICIES, "team-a", &name(culprit), "Propagating").await;
        }
        assert!(lab.aws_writes("PutRegistryPolicy") <= 3 * bound(20));
        assert_nothing_was_missing(lab, 0);
        for culprit in culprits {
            lab.delete(POLICIES, "team-a", &name(culprit));
        }
        lab.until("they are gone", |lab| lab.kube.list(POLICIES, "team-a").len() == 17).await;
        lab.assert_at_rest().await;
    });
}

/// An edit that AWS refuses keeps what the object had and still wants, at every moment; what it gave up goes. Also where
/// the edit is inside one statement.
#[test]
fn a_refused_edit_keeps_what_stood_and_narrows_all_the_same() {
    run(322, async |lab| {
        lab.two_teams();
        let repositories = |all: &[&str]| {
            let wide = with(object(0), "/spec/statements/0/repositories", &json!(all));
            with(wide, "/spec/statements/0/principals/accountIds", &json!([B]))
        };
        lab.apply(&repositories(&["team-a/stays", "team-a/goes"]));
        lab.apply(&object(1));
        lab.until("both are Ready", |lab| is_ready(lab, 0) && is_ready(lab, 1)).await;
        let writes = lab.document_writes(A).len();

        lab.apply(&with_role(repositories(&["team-a/stays", "team-a/comes"]), "ghost"));
        lab.until_reason(POLICIES, "team-a", &name(0), "Propagating").await;
        lab.pass(Duration::from_secs(900)).await;
        assert_eq!(lab.ready(POLICIES, "team-a", &name(0)).1, "Rejected");
        assert!(lab.may_pull(B, "team-a/stays"), "what it had stays\n{}", lab.describe());
        assert!(!lab.may_pull(B, "team-a/goes"), "what it gave up is gone");
        assert!(!lab.may_pull(B, "team-a/comes"), "what was refused did not come");
        let stays = |text: &Option<String>| grants(text.as_deref()).iter().any(|(_, r)| r.contains("team-a/stays"));
        assert!(lab.document_writes(A)[writes..].iter().all(|(_, after)| stays(after)), "at no moment was it missing");
        assert!(is_ready(lab, 1));

        lab.apply(&repositories(&["team-a/stays", "team-a/comes"]));
        lab.until("the cured edit is Ready", |lab| is_ready(lab, 0)).await;
        lab.assert_at_rest().await;
    });
}

/// The culprit learned of before a crash is found again after it, and nobody who stood falls.
#[test]
fn a_restart_finds_the_culprit_again_and_drops_nobody() {
    run(323, async |lab| {
        lab.two_teams();
        for i in 0..8 {
            lab.apply(&if i == 4 { with_role(object(i), "ghost") } else { object(i) });
        }
        lab.until("all others are Ready", |lab| (0..8).all(|i| i == 4 || is_ready(lab, i))).await;
        lab.restart().await;
        lab.pass(Duration::from_secs(60)).await;
        assert!((0..8).all(|i| i == 4 || is_ready(lab, i)));
        assert!(!is_ready(lab, 4));
        assert_nothing_was_missing(lab, 0);
        lab.delete(POLICIES, "team-a", &name(4));
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", &name(4))).await;
        lab.assert_at_rest().await;
    });
}

/// An edit that comes while the culprit is searched for has not been refused: nobody waits for a retry of it.
#[test]
fn a_cure_during_the_search_is_tried_at_once() {
    run(325, async |lab| {
        lab.two_teams();
        for i in 0..20 {
            lab.apply(&if i == 19 { with_role(object(i), "ghost") } else { object(i) });
        }
        lab.until("the search is on", |lab| lab.aws_writes("PutRegistryPolicy") == 4).await;
        lab.apply(&object(19));
        let cured = lab.clock.now();
        lab.until("everybody is Ready", |lab| (0..20).all(|i| is_ready(lab, i))).await;
        let took = lab.since(cured);
        assert!(took < Duration::from_secs(12), "{took:?}");
        lab.assert_at_rest().await;
    });
}

/// A principal goes from AWS while nobody looks: the Put that names it in a foreign statement is refused, and nobody of
/// ours is to blame.
#[test]
fn what_others_broke_is_nobodys_fault() {
    run(324, async |lab| {
        let foreign = json!({"Version": "2012-10-17", "Statement": [
            {"Sid": "broken", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{B}:role/never")}, "Action": "ecr:BatchGetImage", "Resource": "*"},
        ]});
        lab.aws.world(|world| world.put_policy(A, REGION, &foreign.to_string()));
        lab.two_teams();
        (0..4).for_each(|i| lab.apply(&object(i)));
        lab.pass(Duration::from_secs(60)).await;
        for i in 0..4 {
            assert_eq!(lab.ready(POLICIES, "team-a", &name(i)).1, "ForeignRefused", "{}", lab.describe());
        }
        let registry = lab.kube.get("registries", "", "default").unwrap();
        assert_eq!(condition(&registry, "Ready").1, "ForeignRefused");
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(Duration::from_secs(360)).await;
        assert!((0..4).all(|i| is_ready(lab, i)));
        lab.assert_at_rest().await;
    });
}
