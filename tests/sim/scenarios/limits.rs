//! The document's limit (behaviour 14).

use serde_json::json;

use crate::lab::objects::{POLICIES, pull};
use crate::lab::{A, B, Lab, REGION, run};

const LIMIT: usize = 10_240;
const OTHER: &str = "333333333333";

/// A foreign policy with a statement that takes up `filler` characters more than it must, and says nothing shorter otherwise.
fn fill(lab: &Lab, filler: usize) {
    let statement = json!({
        "Sid": "filler", "Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "ecr:ReplicateImage",
        "Resource": format!("arn:aws:ecr:eu-west-1:111111111111:repository/{}", "x".repeat(filler)),
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    lab.aws.world(|world| world.put_policy(A, REGION, &policy.to_string()));
}

/// How long the document was that was sent last.
fn last_sent(lab: &Lab) -> usize {
    let sent = lab.aws.world(|world| {
        world.calls().iter().rev().find_map(|call| call.write.as_ref().and_then(|write| write.sent.clone()))
    });
    sent.unwrap().chars().count()
}

/// How much filler leaves the document of `objects` exactly at the limit.
fn filler_for(objects: &[serde_json::Value]) -> usize {
    let mut length = 0;
    run(200, async |lab| {
        fill(lab, 1);
        lab.two_teams();
        for object in objects {
            lab.apply(object);
        }
        lab.settle().await;
        length = last_sent(lab);
    });
    LIMIT - length + 1
}

/// Behaviour 14: the last character fits, and one more is refused without a call, with both sizes in the message.
#[test]
fn ten_thousand_two_hundred_and_forty_characters_pass_and_one_more_is_not_sent() {
    let object = pull("team-a", "pull", "default", &[B], "team-a/*");
    let filler = filler_for(std::slice::from_ref(&object));
    run(201, async |lab| {
        fill(lab, filler);
        lab.two_teams();
        lab.apply(&object);
        lab.until_ready(&["team-a/pull"]).await;
        assert_eq!(last_sent(lab), LIMIT);
        lab.assert_at_rest().await;
    });
    run(202, async |lab| {
        fill(lab, filler + 1);
        lab.two_teams();
        lab.apply(&object);
        lab.until_reason(POLICIES, "team-a", "pull", "PolicyTooLarge").await;
        assert_eq!(lab.ready(POLICIES, "team-a", "pull").0, "False");
        let message = lab.message(POLICIES, "team-a", "pull", "Ready");
        assert!(message.contains("10241") && message.contains("10240"), "{message}");
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0);
        // Room made elsewhere heals it.
        fill(lab, filler);
        lab.pass(std::time::Duration::from_secs(301)).await;
        lab.until_ready(&["team-a/pull"]).await;
        lab.assert_at_rest().await;
    });
}

/// So many repositories that an object with them is most of a document.
fn many(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}/{i:02}-{}/*", "y".repeat(150))).collect()
}

fn large(namespace: &str, count: usize) -> serde_json::Value {
    let mut object = pull(namespace, "large", "default", &[B], "*");
    object["spec"]["statements"][0]["repositories"] = json!(many(namespace, count));
    object
}

/// Behaviour 14: a newcomer that does not fit waits; whoever is there, and whoever fits, is served.
#[test]
fn a_newcomer_that_does_not_fit_takes_nobodys_place() {
    run(203, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&large("team-a", 30));
        lab.until_ready(&["team-a/large"]).await;
        lab.apply(&large("team-b", 30));
        lab.apply(&pull("team-b", "small", "default", &[OTHER], "team-b/*"));
        lab.until_ready(&["team-b/small"]).await;
        lab.until_reason(POLICIES, "team-b", "large", "PolicyTooLarge").await;
        assert!(lab.is_ready(POLICIES, "team-a", "large"));
        assert!(lab.may_pull(OTHER, "team-b/app"));
        lab.assert_at_rest().await;

        lab.delete(POLICIES, "team-a", "large");
        lab.until_ready(&["team-b/large"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 14: the oldest object of all grows too much: it keeps what it had, and evicts nobody.
#[test]
fn an_old_object_that_grows_evicts_nobody() {
    run(204, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&large("team-a", 5));
        lab.until_ready(&["team-a/large"]).await;
        lab.apply(&large("team-b", 30));
        lab.until_ready(&["team-b/large"]).await;
        lab.apply(&large("team-a", 30));
        lab.until_reason(POLICIES, "team-a", "large", "PolicyTooLarge").await;
        lab.assert_at_rest().await;
        assert!(lab.is_ready(POLICIES, "team-b", "large"));
        let kept = many("team-a", 30).iter().map(|r| lab.may_pull(B, &r.replace('*', "app"))).collect::<Vec<_>>();
        assert_eq!(kept.iter().filter(|may| **may).count(), 5, "what it had stays, and nothing of the growth came");

        lab.restart().await;
        lab.assert_at_rest().await;
        assert!(lab.is_ready(POLICIES, "team-b", "large"), "nor does a restart decide anew");
    });
}

/// Narrowing always applies: of an edit that is too large, what it gives up goes.
#[test]
fn an_edit_that_is_too_large_still_narrows() {
    run(205, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&large("team-a", 5));
        lab.apply(&large("team-b", 30));
        lab.until_ready(&["team-a/large", "team-b/large"]).await;
        let mut edit = large("team-a", 30);
        edit["spec"]["statements"][0]["repositories"].as_array_mut().unwrap().remove(0);
        lab.apply(&edit);
        lab.until_reason(POLICIES, "team-a", "large", "PolicyTooLarge").await;
        let repositories = many("team-a", 30);
        let may = |lab: &Lab, i: usize| lab.may_pull(B, &repositories[i].replace('*', "app"));
        assert!(!may(lab, 0), "what the edit gave up is gone");
        assert!((1..5).all(|i| may(lab, i)) && !may(lab, 5));
        lab.assert_at_rest().await;
    });
}

/// A restored statement goes before growth: an incumbent that drifted away gets its place back.
#[test]
fn an_incumbent_gets_its_place_back_before_anybody_grows() {
    run(206, async |lab| {
        lab.two_teams();
        lab.keep_nothing_back("default");
        lab.apply(&large("team-b", 30));
        lab.until_ready(&["team-b/large"]).await;
        lab.apply(&large("team-a", 30));
        lab.until_reason(POLICIES, "team-a", "large", "PolicyTooLarge").await;
        lab.settle().await;
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(std::time::Duration::from_secs(310)).await;
        lab.until_ready(&["team-b/large"]).await;
        assert!(lab.has_reason(POLICIES, "team-a", "large", "PolicyTooLarge"));
        lab.assert_at_rest().await;
    });
}

/// Statements of others fill the document: nothing is written, and everybody is told.
#[test]
fn a_document_that_others_overfill_is_left_alone() {
    run(207, async |lab| {
        fill(lab, 11_000);
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "pull", "PolicyTooLarge").await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0);
    });
}
