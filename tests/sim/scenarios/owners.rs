//! One document, many owners.

use serde_json::json;

use crate::lab::objects::{namespace, pull, registry};
use crate::lab::{A, B, REGION, run};

const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::333333333333:root","arn:aws:iam::444444444444:root"]},"Action":"ecr:ReplicateImage","Resource":"*"},{"Sid":"theirs","Effect":"Allow","Principal":{"AWS":"*"},"Action":"ecr:ReplicateImage","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-aaaaaaaaaa"}}}]}"#;

/// Behaviours 8 and 9.
#[test]
fn two_teams_share_one_document_beside_foreign_statements() {
    run(1, async |lab| {
        lab.aws.world(|world| world.put_policy(A, REGION, FOREIGN));
        lab.apply(&registry("default", A));
        lab.apply(&namespace("team-a"));
        lab.apply(&namespace("team-b"));
        lab.apply(&pull("team-a", "pull", "default", &["333333333333"], "team-a/*"));
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until("both are Ready", |lab| {
            lab.is_ready("registrypolicies", "team-a", "pull") && lab.is_ready("registrypolicies", "team-b", "pull")
        })
        .await;
        assert!(lab.may("333333333333", "ecr:BatchGetImage", "team-a/app", A));
        assert!(lab.may(B, "ecr:BatchGetImage", "team-b/app", A));
        assert!(!lab.may(B, "ecr:BatchGetImage", "team-a/app", A));
        let policy = lab.policy(A).unwrap();
        assert_eq!(policy["Statement"].as_array().unwrap().iter().filter(|s| s["Sid"] == json!("theirs")).count(), 2);
        lab.assert_at_rest().await;
    });
}
