//! Deleting, with AWS there and not there.

use std::process::Command;

use aws_sim::Outage;
use ecr_permissions_core::api::{ABANDON, RegistryLedger};
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::lab::objects::{pull, registry};
use crate::lab::operator::PROGRAM;
use crate::lab::{Lab, condition, is_finalized};

/// Behaviour 44, and the end of what was let go (behaviour 41's `prune`).
#[tokio::test]
async fn an_object_that_cannot_be_removed_from_aws_says_why_and_can_be_let_go_and_pruned_later() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000004401");
    let theirs = account.put_foreign();
    lab.namespace("escape").await;
    let registry = registry("escape", &account);
    let policy = pull("escape", "pull", "escape", "200000000001", "team");
    lab.create_all([&registry, &policy]).await;
    lab.ready(&policy).await;

    lab.aws.world(|world| world.set_outage(&account.id, Some(Outage::Reset)));
    lab.delete(&policy).await;
    let message = lab.says(&policy, "Unknown", "DeletionBlocked").await;
    assert!(message.contains("Unreachable") && message.contains(ABANDON), "{message}");
    lab.annotate(&policy, ABANDON, "true").await;
    lab.gone(&policy).await;

    // Its grant is an orphan, which nobody removes by himself.
    lab.aws.world(|world| world.set_outage(&account.id, None));
    let orphaned = |found: &Value| condition(found, "Orphaned").is_some();
    lab.until(&registry, "reporting orphans", orphaned).await;
    lab.reconcile(&registry).await;
    assert!(account.pulls("200000000001", "team"));

    let shown = prune(&lab, &["escape"]).unwrap();
    assert!(shown.contains("RegistryPolicy escape/pull") && shown.contains("200000000001"), "{shown}");
    let token = shown.split_whitespace().skip_while(|word| *word != "--confirm").nth(1).unwrap();
    let refused = prune(&lab, &["escape", "--confirm", "another"]).unwrap_err();
    assert!(refused.contains("look again"), "{refused}");
    assert!(account.pulls("200000000001", "team"));
    prune(&lab, &["escape", "--confirm", token]).unwrap();
    lab.until(&registry, "without orphans", |found| condition(found, "Orphaned").is_none()).await;
    assert_eq!(account.statements(), [theirs]);
    assert_eq!(prune(&lab, &["escape"]).unwrap().trim(), "Nothing of Registry escape is orphaned or retained.");
    assert!(prune(&lab, &["escape", "--confirm", token]).is_err());
    assert!(prune(&lab, &["no-such"]).unwrap_err().contains("does not exist"));
}

fn prune(lab: &Lab, args: &[&str]) -> Result<String, String> {
    command(lab, "prune", args)
}

fn release(lab: &Lab, args: &[&str]) -> Result<String, String> {
    command(lab, "release", args)
}

/// What a command printed, or what it complained of.
fn command(lab: &Lab, name: &str, args: &[&str]) -> Result<String, String> {
    let kubeconfig = lab.plane.kubeconfig();
    let output = Command::new(PROGRAM).arg(name).args(args).arg("--kubeconfig").arg(kubeconfig).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Behaviour 44: it does not hang.
#[tokio::test]
async fn a_namespace_that_is_deleted_goes_and_so_does_its_access() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000004402");
    lab.namespace("doomed").await;
    let registry = registry("doomed", &account);
    let objects = [
        pull("doomed", "one", "doomed", "200000000001", "team"),
        pull("doomed", "two", "doomed", "200000000002", "other"),
    ];
    lab.create(&registry).await;
    lab.create_all(&objects).await;
    lab.all_ready(&objects).await;
    let namespace = json!({"kind": "Namespace", "metadata": {"name": "doomed"}});
    lab.delete(&namespace).await;
    lab.gone(&namespace).await;
    assert_eq!(account.text(), None);
}

/// A Registry goes last: it serves whoever is attached, and takes nobody new.
#[tokio::test]
async fn a_registry_that_is_deleted_stays_until_nothing_is_attached() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000004403");
    lab.namespace("leaving").await;
    let registry = registry("leaving", &account);
    let objects = [
        pull("leaving", "one", "leaving", "200000000001", "team"),
        pull("leaving", "two", "leaving", "200000000002", "other"),
    ];
    lab.create(&registry).await;
    lab.create_all(&objects).await;
    lab.all_ready(&objects).await;
    lab.delete(&registry).await;
    let late = pull("leaving", "late", "leaving", "200000000003", "late");
    lab.create(&late).await;
    lab.says(&late, "False", "RegistryTerminating").await;
    // It still serves: a deletion is carried out.
    lab.delete(&objects[0]).await;
    lab.gone(&objects[0]).await;
    assert!(!account.pulls("200000000001", "team") && account.pulls("200000000002", "other"));
    assert!(!lab.get(&registry).await["metadata"]["deletionTimestamp"].is_null());
    lab.delete(&objects[1]).await;
    lab.delete(&late).await;
    lab.gone(&registry).await;
    lab.gone(&objects[1]).await;
    lab.gone(&late).await;
    assert_eq!(account.text(), None);
}

/// What is on record of a namespace.
async fn entries(lab: &Lab, namespace: &str) -> usize {
    let ledgers: Api<RegistryLedger> = Api::all(lab.client.clone());
    let all = ledgers.list(&ListParams::default().fields(&format!("spec.namespace={namespace}"))).await.unwrap();
    all.items.iter().map(|ledger| ledger.spec.entries.len()).sum()
}

/// Behaviours 45 and 58: `release` gives up marks, records and finalizers, and keeps access.
#[tokio::test]
async fn a_released_registry_keeps_its_access_and_lets_everything_go() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000005801");
    let theirs = account.put_foreign();
    lab.namespace("letting-go").await;
    let mut registry = registry("letting-go", &account);
    registry["spec"]["allow"][0]["retain"] = true.into();
    let objects = [
        pull("letting-go", "one", "letting-go", "200000000001", "team"),
        pull("letting-go", "two", "letting-go", "200000000002", "other"),
    ];
    let mut kept = pull("letting-go", "kept", "letting-go", "200000000003", "kept");
    kept["spec"]["deletionPolicy"] = "Retain".into();
    lab.create(&registry).await;
    lab.create_all(objects.iter().chain([&kept])).await;
    lab.all_ready(objects.iter().chain([&kept])).await;
    lab.delete(&kept).await;
    lab.gone(&kept).await;
    lab.until(&registry, "reporting what is retained", |found| condition(found, "Retained").is_some()).await;
    assert!(prune(&lab, &["letting-go"]).unwrap().contains("RegistryPolicy letting-go/kept"));

    assert!(release(&lab, &["letting-go", "--confirm", "another"]).unwrap_err().contains("names nothing"));
    assert!(release(&lab, &["no-such"]).unwrap_err().contains("does not exist"));
    assert!(release(&lab, &["letting-go"]).unwrap().contains("2 objects"));
    for object in &objects {
        lab.says(object, "False", "Released").await;
        lab.until(object, "without our finalizer", |found| !is_finalized(found)).await;
    }
    lab.until(&registry, "without anything retained", |found| condition(found, "Retained").is_none()).await;
    for (who, repository) in [("200000000001", "team"), ("200000000002", "other"), ("200000000003", "kept")] {
        assert!(account.pulls(who, repository), "{who}");
    }
    let mine = |statement: &&Value| statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("Ecp"));
    let statements = account.statements();
    assert_eq!(statements.iter().filter(mine).count(), 0, "{statements:?}");
    assert!(statements.contains(&theirs));
    assert_eq!(entries(&lab, "letting-go").await, 0);
    for object in objects.iter().chain([&registry]) {
        lab.delete(object).await;
        lab.gone(object).await;
    }
    assert_eq!(account.statements(), statements);
}

/// Behaviour 45: with the operator gone, nothing it left keeps anything from going, and AWS is not asked.
#[tokio::test]
async fn what_an_operator_that_is_gone_left_in_kubernetes_can_be_taken_away() {
    let lab = Lab::alone().await;
    let account = lab.account("100000005802");
    lab.namespace("left-over").await;
    let registry = registry("left-over", &account);
    let object = pull("left-over", "one", "left-over", "200000000001", "team");
    let operator = lab.operator();
    lab.create_all([&registry, &object]).await;
    lab.ready(&object).await;
    drop(operator.terminate());
    let (text, calls) = (account.text(), account.writes());
    let said = release(&lab, &["--all", "--kubernetes-only"]).unwrap();
    assert!(said.contains("Freed 2 objects") && said.contains("Nothing in AWS"), "{said}");
    assert_eq!(entries(&lab, "left-over").await, 0);
    for object in [&object, &registry] {
        lab.delete(object).await;
        lab.gone(object).await;
    }
    assert_eq!((account.text(), account.writes()), (text, calls));
    assert!(account.pulls("200000000001", "team"));
}
