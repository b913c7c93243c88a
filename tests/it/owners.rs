//! One document, many owners.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::lab::objects::{grant, pull, registry};

/// Behaviours 8 and 9, the main job: two teams, two accounts, and a foreign statement in each.
#[tokio::test]
async fn two_teams_share_one_document_in_each_of_two_accounts_and_the_foreign_statement_stays() {
    let (lab, _) = Lab::shared().await;
    let accounts = ["100000000801", "100000000802"].map(|id| lab.account(id));
    let theirs = accounts.each_ref().map(crate::lab::aws::Account::put_foreign);
    lab.namespace("owners-a").await;
    lab.namespace("owners-b").await;
    let registries = ["owners-1", "owners-2"];
    let mut objects = Vec::new();
    for (name, account) in registries.iter().zip(&accounts) {
        lab.create(&registry(name, account)).await;
        objects.push(pull("owners-a", name, name, "200000000001", "team-a/*"));
        objects.push(grant("owners-b", name, name, "200000000002", "team-b/*"));
    }
    lab.create_all(&objects).await;
    lab.all_ready(&objects).await;
    for (account, theirs) in accounts.iter().zip(&theirs) {
        let statements = account.statements();
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert_eq!(&statements[0], theirs);
        assert!(account.pulls("200000000001", "team-a/app"));
        assert!(!account.pulls("200000000002", "team-a/app"));
    }
    // A change, and a deletion, leave it where and as it is.
    let principals = json!({"spec": {"statements": [{
        "name": "pull", "principals": {"accountIds": ["200000000003"]}, "actions": ["ecr:BatchGetImage"], "repositories": ["team-a/*"],
    }]}});
    lab.edit(&objects[0], principals).await;
    lab.ready(&objects[0]).await;
    assert!(accounts[0].pulls("200000000003", "team-a/app") && !accounts[0].pulls("200000000001", "team-a/app"));
    lab.delete(&objects[1]).await;
    lab.gone(&objects[1]).await;
    let statements = accounts[0].statements();
    assert_eq!((statements.len(), &statements[0]), (2, &theirs[0]));
    assert_eq!(accounts[1].statements().len(), 3);
}

/// Behaviour 10.
#[tokio::test]
async fn the_last_deletion_deletes_the_policy_and_one_that_is_gone_already_is_success() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000001001");
    lab.namespace("last").await;
    let objects = [
        registry("last", &account),
        // Alike but for the account: in AWS they share a statement.
        pull("last", "one", "last", "200000000001", "shared"),
        pull("last", "two", "last", "200000000002", "shared"),
    ];
    lab.create_all(&objects).await;
    lab.all_ready(&objects[1..]).await;
    assert_eq!(account.statements().len(), 1);
    lab.delete(&objects[1]).await;
    lab.gone(&objects[1]).await;
    assert!(account.pulls("200000000002", "shared") && !account.pulls("200000000001", "shared"));
    lab.delete(&objects[2]).await;
    lab.gone(&objects[2]).await;
    assert_eq!((account.text(), account.count("DeleteRegistryPolicy")), (None, 1));

    let again = pull("last", "three", "last", "200000000003", "shared");
    lab.create(&again).await;
    lab.ready(&again).await;
    account.aws.world(|world| world.delete_policy(&account.id, crate::lab::REGION));
    lab.delete(&again).await;
    lab.gone(&again).await;
    assert_eq!(account.text(), None);
}

/// Behaviour 11: within the interval by itself, and at once when asked.
#[tokio::test]
async fn what_somebody_changed_in_aws_is_put_back() {
    let (lab, operator) = Lab::shared().await;
    let account = lab.account("100000001101");
    lab.namespace("drift").await;
    let mut often = registry("drift", &account);
    often["spec"]["interval"] = "10s".into();
    let policy = pull("drift", "pull", "drift", "200000000001", "team");
    lab.create_all([&often, &policy]).await;
    lab.ready(&policy).await;
    let ours = account.statements();

    account.aws.world(|world| world.delete_policy(&account.id, crate::lab::REGION));
    account.until("the policy is put back", |account| account.text().is_some()).await;
    assert_eq!(account.statements(), ours);

    let mut edited = ours.clone();
    edited[0]["Principal"] = json!({"AWS": "*"});
    account.put(&json!({"Version": "2012-10-17", "Statement": edited}).to_string());
    lab.reconcile(&policy).await;
    account.until("the statement is put back", |account| account.statements() == ours).await;
    let drifts = operator.metric("ecr_permissions_drift_detected_total", &account.id);
    assert!(drifts >= 2.0, "{drifts}");
}

/// Behaviour 13.
#[tokio::test]
async fn fifty_objects_at_once_are_at_most_three_puts() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000001301");
    lab.namespace("burst").await;
    lab.create(&registry("burst", &account)).await;
    let objects: Vec<_> =
        (0..50).map(|i| pull("burst", &format!("o{i}"), "burst", &format!("2000000013{i:02}"), "team/*")).collect();
    join_all(objects.iter().map(|object| lab.create(object))).await;
    lab.all_ready(&objects).await;
    let puts = account.count("PutRegistryPolicy");
    assert!(puts <= 3, "{puts} puts");
    assert!(objects.iter().enumerate().all(|(i, _)| account.pulls(&format!("2000000013{i:02}"), "team/app")));
}

/// Behaviour 5: what cannot be written back without loss is not written.
#[tokio::test]
async fn a_policy_that_is_no_json_is_left_alone_and_heals_by_itself_once_it_is() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000000501");
    account.put("{\"Version\": \"2012-10-17\", \"Statement\": [");
    let before = account.text();
    lab.namespace("unreadable").await;
    let mut registry = registry("unreadable", &account);
    registry["spec"]["interval"] = "10s".into();
    let policy = pull("unreadable", "pull", "unreadable", "200000000001", "team");
    lab.create_all([&registry, &policy]).await;
    let message = lab.says(&registry, "False", "UnreadableDocument").await;
    assert!(message.contains("ends too early") && message.contains("nothing is written"), "{message}");
    lab.says(&policy, "False", "UnreadableDocument").await;
    assert_eq!((account.text(), account.writes()), (before, 0));
    let theirs = account.put_foreign();
    lab.ready(&policy).await;
    assert_eq!(account.statements()[0], theirs);
}

/// Behaviour 7, as far as the real API server has a part in it: passes at rest write nothing, not even the same.
#[tokio::test]
async fn at_rest_no_pass_writes_to_aws_or_to_an_object() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000000701");
    account.put_foreign();
    lab.namespace("rest").await;
    let registry = registry("rest", &account);
    let objects =
        [pull("rest", "pull", "rest", "200000000001", "team"), grant("rest", "grant", "rest", "200000000002", "team")];
    lab.create(&registry).await;
    lab.create_all(&objects).await;
    lab.all_ready(&objects).await;
    // The look after the last write is part of coming to rest.
    let rested = account.count("GetRegistryPolicy") + 1;
    account.until("the second look", |account| account.count("GetRegistryPolicy") >= rested).await;
    let whole = lab.reconcile(&registry).await;
    let writes = account.writes();
    let mut before = Vec::new();
    for object in &objects {
        before.push(lab.get(object).await);
    }
    for _ in 0..10 {
        let again = lab.reconcile(&registry).await;
        assert_eq!(at_rest(&again), at_rest(&whole));
    }
    for (object, before) in objects.iter().zip(before) {
        assert_eq!(lab.get(object).await, before);
    }
    assert_eq!(account.writes(), writes);
}

/// A Registry's status but for the echo of the question.
fn at_rest(registry: &Value) -> Value {
    let mut status = registry["status"].clone();
    status["lastHandledReconcileAt"] = Value::Null;
    status
}
