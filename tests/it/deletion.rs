//! Deleting, with AWS there and not there.

use std::process::Command;

use aws_sim::Outage;
use ecr_permissions_core::api::ABANDON;
use serde_json::{Value, json};

use crate::lab::objects::{pull, registry};
use crate::lab::operator::PROGRAM;
use crate::lab::{Lab, condition};

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
    assert_eq!(prune(&lab, &["escape"]).unwrap().trim(), "Nothing of Registry escape is orphaned.");
    assert!(prune(&lab, &["escape", "--confirm", token]).is_err());
    assert!(prune(&lab, &["no-such"]).unwrap_err().contains("does not exist"));
}

/// `ecr-permissions prune`: what it printed, or what it complained of.
fn prune(lab: &Lab, args: &[&str]) -> Result<String, String> {
    let kubeconfig = lab.plane.kubeconfig();
    let output = Command::new(PROGRAM).arg("prune").args(args).arg("--kubeconfig").arg(kubeconfig).output().unwrap();
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
