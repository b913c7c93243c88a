//! Two clusters, each with an operator of its own, on one registry.

use std::time::Duration;

use serde_json::{Value, json};

use super::aws_reads::{INTERVAL, says};
use crate::lab::objects::{POLICIES, REGISTRIES, namespace, pull, registry};
use crate::lab::{A, B, Lab, REGION, list, normal, run};

const C: &str = "444444444444";
const D: &str = "555555555555";

/// The team's Registry and object; the session's name tells the clusters apart in AWS's records.
async fn settle_in(lab: &mut Lab, session: &str, team: &str, accounts: &[&str]) {
    let mut registry = registry("default", A);
    registry["spec"]["identity"]["sessionName"] = session.into();
    lab.apply(&registry);
    lab.apply(&namespace(team));
    lab.apply(&pull(team, "pull", "default", accounts, &format!("{team}/*")));
    lab.until_ready(&[&format!("{team}/pull")]).await;
}

fn set_of(lab: &Lab, text: Option<&str>) -> Vec<Value> {
    let mark = format!("Ecp{}", lab.installation().as_str());
    let document: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let of_ours = |s: &&Value| s["Sid"].as_str().is_some_and(|sid| sid.starts_with(&mark));
    list(&document["Statement"]).iter().filter(of_ours).map(normal).collect()
}

/// No write of one has ever changed what the other had.
fn assert_apart(labs: [(&Lab, &str); 2]) {
    for (writer, other) in [(labs[0].1, labs[1].0), (labs[1].1, labs[0].0)] {
        other.aws.world(|world| {
            let by =
                |call: &&aws_sim::Call| call.principal.as_deref().is_some_and(|p| p.ends_with(&format!("/{writer}")));
            let writes: Vec<_> = world.calls().iter().filter(by).filter_map(|call| call.write.as_ref()).collect();
            assert!(!writes.is_empty(), "{writer} has written");
            for write in writes {
                assert_eq!(
                    set_of(other, write.before.as_deref()),
                    set_of(other, write.after.as_deref()),
                    "by {writer}"
                );
            }
        });
    }
}

/// Ten intervals at rest, in both clusters.
async fn assert_both_at_rest(first: &mut Lab, second: &mut Lab) {
    second.settle().await;
    first.settle().await;
    let (before, calls) = (second.all_objects(), second.kube.writes().len());
    first.assert_at_rest().await;
    assert_eq!(second.all_objects(), before, "the second cluster changed at rest");
    assert_eq!(second.kube.writes().len(), calls, "the second cluster was written at rest");
    // Without a Registry it asks AWS nothing, and the other's calls are not its own.
    if !second.kube.list(REGISTRIES, "").is_empty() {
        second.assert_at_rest().await;
    }
}

/// Behaviour 17, without the take-over: both sets are there, the same grants in both included.
#[test]
fn two_installations_keep_their_own_sets_on_one_registry() {
    run(1, async |first| {
        let mut second = first.beside().await;
        assert_ne!(first.installation(), second.installation());
        settle_in(first, "first", "team-a", &[B, C]).await;
        settle_in(&mut second, "second", "team-a", &[B, C]).await;
        first.apply(&namespace("team-b"));
        first.apply(&pull("team-b", "pull", "default", &[D], "team-b/*"));
        first.until_ready(&["team-b/pull"]).await;
        assert_both_at_rest(first, &mut second).await;
        assert_eq!(first.statements(A).len(), 3, "equal grants, each under its own mark");

        // Each edits its own.
        second.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        second.until_ready(&["team-a/pull"]).await;
        assert!(first.may_pull(C, "team-a/app"), "the first still grants it");
        first.apply(&pull("team-a", "pull", "default", &[D], "team-a/*"));
        first.until_ready(&["team-a/pull"]).await;
        assert!(first.may_pull(B, "team-a/app"), "the second still grants it");
        assert!(!first.may_pull(C, "team-a/app"), "nobody grants it any more");
        assert_both_at_rest(first, &mut second).await;
        assert_apart([(first, "first"), (&second, "second")]);
        second.stop();
    });
}

/// Behaviour 17: changed at the same time, again and again, neither overwrites the other for good.
#[test]
fn two_installations_that_write_at_once_both_end_right() {
    run(2, async |first| {
        first.aws.world(|world| world.set_delay(Duration::from_millis(120), Duration::from_millis(80)));
        let mut second = first.beside().await;
        settle_in(first, "first", "team-a", &[B]).await;
        settle_in(&mut second, "second", "team-z", &[B]).await;
        for n in 0..8 {
            first.apply(&pull("team-a", &format!("p{n}"), "default", &[C], &format!("a{n}/*")));
            second.apply(&pull("team-z", &format!("p{n}"), "default", &[D], &format!("z{n}/*")));
            first.pass(Duration::from_millis(700)).await;
        }
        // Overtaken writes are found by the second look, or by the next interval's.
        first.pass(Duration::from_secs(700)).await;
        for n in 0..8 {
            assert!(first.is_ready(POLICIES, "team-a", &format!("p{n}")), "{}", first.describe());
            assert!(second.is_ready(POLICIES, "team-z", &format!("p{n}")), "{}", second.describe());
            assert!(first.may_pull(C, &format!("a{n}/x")) && first.may_pull(D, &format!("z{n}/x")));
        }
        assert_both_at_rest(first, &mut second).await;
        second.stop();
    });
}

/// Behaviour 17: one goes, with all its objects; the other's set stays as it is.
#[test]
fn an_installation_that_goes_takes_only_its_own_with_it() {
    run(3, async |first| {
        let mut second = first.beside().await;
        settle_in(first, "first", "team-a", &[B, C]).await;
        settle_in(&mut second, "second", "team-a", &[B, C]).await;
        let text = |lab: &Lab| lab.policy(A).unwrap().to_string();
        let mine = set_of(first, Some(&text(first)));
        second.delete(POLICIES, "team-a", "pull");
        second.delete(REGISTRIES, "", "default");
        second.until("everything is gone", |lab| lab.all_objects().values().all(Vec::is_empty)).await;
        assert_eq!(set_of(first, Some(&text(first))), mine);
        assert_eq!(first.statements(A).len(), 1);
        assert_both_at_rest(first, &mut second).await;
        assert_apart([(first, "first"), (&second, "second")]);

        // The last one out takes the policy with it.
        first.delete(POLICIES, "team-a", "pull");
        first.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert_eq!(first.policy(A), None);
        assert_both_at_rest(first, &mut second).await;
        second.stop();
    });
}

/// Behaviour 17: a cluster that follows another takes over what that one had, without a gap in access and without a word
/// to what is foreign to both.
#[test]
fn a_cluster_takes_over_the_statements_of_the_one_before_it_without_a_gap() {
    run(5, async |first| {
        settle_in(first, "first", "team-a", &[B, C]).await;
        first.apply(&pull("team-a", "left", "default", &[D], "left/*"));
        first.until_ready(&["team-a/left"]).await;
        first.stop();
        let mut second = first.beside().await;
        settle_in(&mut second, "second", "team-a", &[B, C]).await;
        assert_eq!(first.statements(A).len(), 3, "nobody has said that they are one");
        let since = second.aws.world(|world| world.calls().len());
        let ids = json!([first.installation().as_str()]);
        second.set(REGISTRIES, "", "default", "/spec/takeOverInstallationIds", &ids);
        second
            .until("the former cluster's marks are gone", |lab| {
                lab.statements(A).iter().all(|s| s["Sid"].as_str().unwrap().contains(lab.installation().as_str()))
            })
            .await;
        second.settle().await;
        assert!(second.may_pull(C, "team-a/app"), "{}", second.describe());
        second.aws.world(|world| {
            for write in world.calls()[since..].iter().filter_map(|call| call.write.as_ref()) {
                let after = write.after.as_deref().unwrap_or_default();
                assert!([B, C, D].iter().all(|account| after.contains(account)), "a gap: {after}");
            }
        });
        // What nobody here asks for is kept and named, like everything that belongs to nobody.
        assert!(second.may_pull(D, "left/app"));
        let token = second.prune_token("default");
        second.annotate(REGISTRIES, "", "default", "ecr-permissions.dev/prune", &token);
        second.until("it is pruned", |lab| !lab.may_pull(D, "left/app")).await;
        assert!(second.may_pull(B, "team-a/app"));
        second.assert_at_rest().await;
        second.stop();
    });
}

const IS_MINE: &str = "ecr-permissions.dev/installation-is-mine";

/// The token that the Registry's message prints.
fn is_mine_token(lab: &Lab) -> String {
    let message = lab.message(REGISTRIES, "", "default", "Ready");
    message.split_once(&format!("{IS_MINE}=")).unwrap().1.to_owned()
}

/// Four teams, Ready and at rest, each with an object of its own.
async fn four_teams(lab: &mut Lab) {
    lab.apply(&registry("default", A));
    for (team, account) in [("team-a", B), ("team-b", C), ("team-c", D), ("team-d", B)] {
        lab.apply(&namespace(team));
        lab.apply(&pull(team, "pull", "default", &[account], &format!("{team}/*")));
    }
    lab.until_ready(&["team-a/pull", "team-b/pull", "team-c/pull", "team-d/pull"]).await;
    lab.settle().await;
}

/// Behaviour 56: a copy of the cluster has everything of ours, and what is deleted there is taken from us.
#[test]
fn a_copy_of_the_cluster_is_noticed_by_what_it_takes_away() {
    run(6, async |lab| {
        four_teams(lab).await;
        let mut copy = lab.copy().await;
        assert_eq!(copy.installation(), lab.installation());
        lab.pass(INTERVAL).await;
        assert_eq!((says(lab), says(&copy)), ("Succeeded".to_owned(), "Succeeded".to_owned()));
        copy.delete(POLICIES, "team-a", "pull");
        copy.until("it is gone", |copy| !copy.exists(POLICIES, "team-a", "pull")).await;
        lab.pass(INTERVAL).await;
        copy.delete(POLICIES, "team-b", "pull");
        copy.until("it is gone", |copy| !copy.exists(POLICIES, "team-b", "pull")).await;
        lab.pass(INTERVAL * 2).await;
        assert_eq!(says(lab), "InstallationShared", "{}", lab.describe());
        copy.stop();

        // Nothing is put back and nobody grows; who has what it asks for keeps it, and what is taken away goes.
        lab.apply(&pull("team-c", "more", "default", &[C], "more/*"));
        lab.until_reason(POLICIES, "team-c", "more", "InstallationShared").await;
        lab.restart().await;
        lab.delete(POLICIES, "team-d", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-d", "pull")).await;
        lab.pass(INTERVAL * 2).await;
        assert!(!lab.may_pull(B, "team-d/app") && !lab.may_pull(C, "team-b/app") && !lab.may_pull(C, "more/app"));
        assert!(lab.is_ready(POLICIES, "team-c", "pull") && lab.may_pull(D, "team-c/app"), "{}", lab.describe());
        assert_eq!(lab.ready(POLICIES, "team-b", "pull").1, "InstallationShared");
        assert_eq!(says(lab), "InstallationShared", "the record outlives the process");
        assert!(lab.events().iter().any(|(_, reason)| reason == "InstallationShared"), "{:?}", lab.events());
        lab.assert_at_rest().await;

        // Only its own token is an answer.
        lab.annotate(REGISTRIES, "", "default", IS_MINE, "true");
        lab.pass(INTERVAL).await;
        assert_eq!(says(lab), "InstallationShared");
        let token = is_mine_token(lab);
        lab.annotate(REGISTRIES, "", "default", IS_MINE, &token);
        lab.until_ready(&["team-a/pull", "team-b/pull", "team-c/pull", "team-c/more"]).await;
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 56: the copy puts back what was taken away here.
#[test]
fn a_copy_of_the_cluster_is_noticed_by_what_it_puts_back() {
    run(7, async |lab| {
        four_teams(lab).await;
        let mut copy = lab.copy().await;
        lab.pass(INTERVAL).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-b", "pull")).await;
        lab.pass(INTERVAL * 5).await;
        assert_eq!(says(lab), "InstallationShared", "{}", lab.describe());
        copy.stop();
        lab.pass(INTERVAL).await;
        assert!(!lab.may_pull(B, "team-a/app") && !lab.may_pull(C, "team-b/app"), "{}", lab.describe());
        assert!(lab.may_pull(D, "team-c/app") && lab.is_ready(POLICIES, "team-c", "pull"));
        let token = is_mine_token(lab);
        lab.annotate(REGISTRIES, "", "default", IS_MINE, &token);
        lab.until("it is over", |lab| says(lab) == "Succeeded").await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 56: whoever replaces the whole policy again and again has no mark of ours, and is told as what it is.
#[test]
fn a_tool_that_replaces_the_whole_policy_is_no_copy_of_the_cluster() {
    run(8, async |lab| {
        four_teams(lab).await;
        for n in 0..4 {
            let theirs = json!({"Version": "2012-10-17", "Statement": [{"Sid": format!("theirs{n}"), "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "ecr:ReplicateImage", "Resource": "*"}]});
            lab.aws.world(|world| world.put_policy(A, REGION, &theirs.to_string()));
            lab.apply(&pull("team-c", &format!("n{n}"), "default", &[C], &format!("n{n}/*")));
            lab.pass(INTERVAL).await;
            assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, &format!("n{n}/app")), "{n}: {}", lab.describe());
            lab.pass(Duration::from_mins(20)).await;
            assert_eq!(says(lab), "Succeeded", "{n}");
        }
        lab.assert_at_rest().await;
    });
}
