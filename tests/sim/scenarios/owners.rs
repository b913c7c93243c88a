//! One document, many owners.

use std::time::Duration;

use aws_sim::Fault;
use serde_json::{Value, json};

use crate::lab::objects::{GRANTS, POLICIES, grant, namespace, pull, with};
use crate::lab::{A, B, Lab, REGION, normal, run};

const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::333333333333:root","arn:aws:iam::444444444444:root"]},"Action":"ecr:ReplicateImage","Resource":"*"},{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"*"},"Action":"ecr:ReplicateImage","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-aaaaaaaaaa"}}}]}"#;

/// Behaviours 8 and 9.
#[test]
fn two_teams_share_one_document_beside_foreign_statements() {
    run(1, async |lab| {
        lab.aws.world(|world| world.put_policy(A, REGION, FOREIGN));
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &["333333333333"], "team-a/*"));
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
        assert!(lab.may_pull("333333333333", "team-a/app"));
        assert!(lab.may_pull(B, "team-b/app"));
        assert!(!lab.may_pull(B, "team-a/app"));
        assert_eq!(lab.statements(A).iter().filter(|s| s["Sid"] == json!("theirs")).count(), 2);
        lab.assert_at_rest().await;
    });
}

/// Statements no operator would write: without a Sid, two with one Sid, unknown members, negations, numbers, an odd
/// order of members, a scalar where a list could be.
fn odd_statements() -> Vec<Value> {
    vec![
        json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "ecr:ReplicateImage", "Resource": "*"}),
        json!({"Sid": "twice", "Effect": "Deny", "Principal": "*", "NotAction": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], "Resource": "arn:aws:ecr:eu-west-1:111111111111:repository/vault/*"}),
        json!({"Sid": "twice", "Effect": "Deny", "NotPrincipal": {"AWS": ["arn:aws:iam::333333333333:root", "arn:aws:iam::444444444444:root"]}, "Action": "ecr:PutImage", "NotResource": "arn:aws:ecr:eu-west-1:111111111111:repository/open/*"}),
        json!({"Resource": ["*"], "Action": ["ecr:*"], "Principal": {"AWS": "444444444444"}, "Effect": "Allow", "Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": 3600}, "Bool": {"aws:SecureTransport": true}}}),
        json!({"Sid": "", "Effect": "Allow", "Principal": {"Service": ["replication.ecr.amazonaws.com"]}, "Action": "ecr:ReplicateImage", "Resource": "*", "Comment": "a member nobody knows: \u{e9}\u{1F600} \" \\ /"}),
        json!({"Sid": "EcpLooksLikeOurs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444444444444:root"}, "Action": "ecr:ReplicateImage", "Resource": "*"}),
    ]
}

/// The foreign statements of account A's policy, in order.
fn foreign(lab: &Lab) -> Vec<Value> {
    let mark = format!("Ecp{}", lab.installation());
    let is_ours = |s: &Value| s["Sid"].as_str().is_some_and(|sid| sid.starts_with(&mark));
    lab.statements(A).iter().filter(|s| !is_ours(s)).map(normal).collect()
}

/// Behaviour 9, in place and in value, for every shape of statement and every change of ours.
#[test]
fn odd_foreign_statements_stay_as_they_are_while_ours_come_change_and_go() {
    run(2, async |lab| {
        let odd = odd_statements();
        let theirs: Vec<Value> = odd.iter().map(normal).collect();
        let policy = json!({"Id": "theirs", "Version": "2008-10-17", "Statement": odd});
        lab.aws.world(|world| world.put_policy(A, REGION, &policy.to_string()));
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &["333333333333"], "team-a/*"));
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
        assert_eq!(foreign(lab), theirs);

        lab.apply(&pull("team-a", "pull", "default", &["555555555555"], "team-a/app"));
        lab.until_ready(&["team-a/pull"]).await;
        assert!(lab.may_pull("555555555555", "team-a/app") && !lab.may_pull("333333333333", "team-a/app"));
        assert_eq!(foreign(lab), theirs);

        lab.delete(POLICIES, "team-a", "pull");
        lab.delete(POLICIES, "team-b", "pull");
        lab.until("both are gone", |lab| lab.kube.list(POLICIES, "").is_empty()).await;
        assert_eq!(foreign(lab), theirs);
        assert_eq!(lab.statements(A).len(), theirs.len(), "nothing of ours is left");
        let after = lab.policy(A).unwrap();
        assert_eq!((&after["Id"], &after["Version"]), (&json!("theirs"), &json!("2008-10-17")));
        lab.assert_at_rest().await;
    });
}

/// A single statement that is not in a list is a foreign statement like any other.
#[test]
fn a_lone_foreign_statement_outside_a_list_stays() {
    run(3, async |lab| {
        let lone = odd_statements().remove(1);
        let policy = json!({"Version": "2012-10-17", "Statement": lone});
        lab.aws.world(|world| world.put_policy(A, REGION, &policy.to_string()));
        lab.two_teams();
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-b/pull"]).await;
        assert_eq!(foreign(lab), [normal(&lone)]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 10: out of a statement that two objects share, one object's deletion takes its own part alone.
#[test]
fn deleting_one_of_two_who_share_a_statement_takes_its_part_alone() {
    const FIRST: &str = "333333333333";
    const SHARED: &str = "444444444444";
    const SECOND: &str = "555555555555";
    for (goes, lost, left) in [("team-a", FIRST, SECOND), ("team-b", SECOND, FIRST)] {
        run(4, async |lab| {
            lab.two_teams();
            lab.apply(&pull("team-a", "pull", "default", &[FIRST, SHARED], "shared/*"));
            lab.apply(&pull("team-b", "pull", "default", &[SHARED, SECOND], "shared/*"));
            lab.until_ready(&["team-a/pull", "team-b/pull"]).await;
            assert_eq!(lab.statements(A).len(), 1, "statements alike but for their principals are one");

            lab.delete(POLICIES, goes, "pull");
            lab.until("it is gone", |lab| !lab.exists(POLICIES, goes, "pull")).await;
            assert!(!lab.may_pull(lost, "shared/app"), "what it alone granted is gone");
            assert!(lab.may_pull(SHARED, "shared/app"), "what both granted stays");
            assert!(lab.may_pull(left, "shared/app"));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 10: AWS has no empty policy.
#[test]
fn the_last_statement_to_go_takes_the_policy_along() {
    run(5, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert_eq!(lab.policy(A), None);
        assert_eq!(lab.aws_writes("DeleteRegistryPolicy"), 1);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 10: a policy that goes by another hand while ours is on its way is as deleted.
#[test]
fn a_policy_that_is_gone_already_is_as_deleted() {
    run(6, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.settle().await;
        lab.aws.world(|world| world.inject(Fault::delay(Duration::from_secs(3)).on("DeleteRegistryPolicy").once()));
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("the deletion is under way", |lab| lab.aws_writes("DeleteRegistryPolicy") == 1).await;
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        let outcome = lab.aws.world(|world| {
            world.calls().iter().find(|call| call.operation == "DeleteRegistryPolicy").map(|call| call.outcome.clone())
        });
        assert_eq!(outcome.as_deref(), Some("RegistryPolicyNotFoundException"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 13.
#[test]
fn fifty_owners_at_once_cost_three_puts_at_most() {
    for seed in 7..10 {
        run(seed, async |lab| {
            lab.two_teams();
            lab.settle().await;
            for i in 0..50 {
                let account = format!("{:012}", 300_000_000_000_u64 + i);
                let name = format!("pull-{i}");
                lab.apply(&pull("team-a", &name, "default", &[&account], "team-a/*"));
                // As a client would send them: one after the other, some ahead of the rest.
                lab.pass(Duration::from_millis(3)).await;
            }
            lab.until("all are Ready", |lab| (0..50).all(|i| lab.is_ready(POLICIES, "team-a", &format!("pull-{i}"))))
                .await;
            assert!(lab.aws_writes("PutRegistryPolicy") <= 3, "{} Puts", lab.aws_writes("PutRegistryPolicy"));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 15: one statement each would be four times what AWS takes.
#[test]
fn hundreds_of_accounts_fit_because_their_statements_are_joined() {
    run(10, async |lab| {
        lab.two_teams();
        let accounts: Vec<String> = (0..200).map(|i| format!("{:012}", 300_000_000_000_u64 + i)).collect();
        for (i, account) in accounts.iter().enumerate() {
            lab.apply(&pull("team-a", &format!("pull-{i}"), "default", &[account], "team-a/*"));
        }
        lab.until("all are Ready", |lab| {
            (0..accounts.len()).all(|i| lab.is_ready(POLICIES, "team-a", &format!("pull-{i}")))
        })
        .await;
        assert_eq!(lab.statements(A).len(), 1);
        assert!(accounts.iter().all(|account| lab.may_pull(account, "team-a/app")));
        assert!(!lab.may_pull(B, "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Both kinds share the document, and each takes only its own with it. `ReplicationGrant` makes two statements: to
/// replicate, and, asked for, to create the repositories.
#[test]
fn a_replication_grant_and_a_policy_share_the_document() {
    run(11, async |lab| {
        lab.two_teams();
        lab.apply(&pull("team-a", "pull", "default", &[B], "mirror/*"));
        let mirror = grant("team-b", "mirror", "default", &[B], "mirror/*");
        lab.apply(&with(mirror.clone(), "/spec/createRepositories", &json!(true)));
        lab.until("both are Ready", |lab| {
            lab.is_ready(POLICIES, "team-a", "pull") && lab.is_ready(GRANTS, "team-b", "mirror")
        })
        .await;
        let may = |lab: &Lab, action: &str| lab.may(B, action, "mirror/app", A);
        assert!(may(lab, "ecr:ReplicateImage") && may(lab, "ecr:CreateRepository") && may(lab, "ecr:BatchGetImage"));

        lab.apply(&mirror);
        lab.until("the narrower grant is Ready", |lab| lab.is_ready(GRANTS, "team-b", "mirror")).await;
        assert!(may(lab, "ecr:ReplicateImage") && !may(lab, "ecr:CreateRepository"));

        lab.delete(GRANTS, "team-b", "mirror");
        lab.until("the grant is gone", |lab| !lab.exists(GRANTS, "team-b", "mirror")).await;
        assert!(!may(lab, "ecr:ReplicateImage") && may(lab, "ecr:BatchGetImage"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 7: passes go on, and neither AWS nor any object changes; AWS shuffles what it answers all the while.
#[test]
fn ten_passes_at_rest_write_nothing_anywhere() {
    run(12, async |lab| {
        lab.aws.world(|world| world.put_policy(A, REGION, FOREIGN));
        lab.two_teams();
        lab.apply(&namespace("stranger"));
        lab.set("namespaces", "", "stranger", "/metadata/labels", &json!({}));
        lab.apply(&pull("team-a", "pull", "default", &["333333333333", B, "444444444444"], "team-a/*"));
        lab.apply(&pull("stranger", "refused", "default", &[B], "team-a/*"));
        lab.apply(&pull("team-b", "nowhere", "missing", &[B], "team-b/*"));
        lab.until_ready(&["team-a/pull"]).await;
        lab.settle().await;
        let reads = lab.aws_calls(A);
        let (before, writes) = (lab.all_objects(), lab.kube.writes().len());
        lab.pass(Duration::from_secs(10 * 300)).await;
        assert!(lab.aws_calls(A) >= reads + 10, "passes went on");
        assert_eq!(lab.all_objects(), before, "not even a resourceVersion or a transition time moved");
        assert_eq!(lab.kube.writes().len(), writes, "no event either");
        lab.assert_at_rest().await;
    });
}
