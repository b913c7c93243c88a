//! Deletion: finalizers, preconditions, namespaces.

use std::time::Duration;

use anyhow::{bail, ensure};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::{
    ANOTHER_UID, FINALIZER, create, create_namespace, generation, going, held, merge, record, records, refused,
    release, same, version, widget, widgets,
};

pub(super) async fn an_object_without_finalizers_goes_at_once(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "free").await?;
    let answer = api.delete("free", &DeleteParams::default()).await?;
    ensure!(answer.is_right(), "the answer should be a status, it is the object");
    refused(api.get("free").await, 404, "NotFound")?;
    refused(api.delete("free", &DeleteParams::default()).await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_finalizer_holds_the_object(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let before = held(&api, "held").await?;
    let answer = api.delete("held", &DeleteParams::default()).await?;
    ensure!(answer.is_left(), "the answer should be the object, it is a status");
    let after = api.get("held").await?;
    ensure!(after.metadata.deletion_timestamp.is_some(), "no deletionTimestamp");
    same("generation: the going is a new intention", generation(&after), generation(&before) + 1)?;
    api.delete("held", &DeleteParams::default()).await?;
    same("resourceVersion after a second delete", version(&api.get("held").await?)?, version(&after)?)?;
    // As kube's own finalizer helper lets go.
    let patch = Patch::Json::<()>(serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
        {"op": "remove", "path": "/metadata/finalizers/0"},
    ]))?);
    api.patch("held", &PatchParams::default(), &patch).await?;
    refused(api.get("held").await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_finalizer_given_on_create_holds_the_object(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    let mut object = record("held-from-the-start", json!({}));
    object.finalizers_mut().push(FINALIZER.into());
    let made = api.create(&PostParams::default(), &object).await?;
    same("finalizers", made.finalizers(), &[FINALIZER.to_string()])?;
    api.delete("held-from-the-start", &DeleteParams::default()).await?;
    let after = api.get("held-from-the-start").await?;
    ensure!(after.metadata.deletion_timestamp.is_some(), "no deletionTimestamp");
    // The name stays taken while it goes.
    refused(api.create(&PostParams::default(), &object).await, 409, "AlreadyExists")?;
    release(&api, "held-from-the-start").await?;
    refused(api.get("held-from-the-start").await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn the_put_of_no_finalizers_ends_the_object(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut last = going(&api, "let-go").await?;
    last.finalizers_mut().clear();
    api.replace("let-go", &PostParams::default(), &last).await?;
    refused(api.get("let-go").await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_patch_lets_go_of_the_object_it_is_for_only(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let held = held(&api, "let-go-patched").await?;
    api.delete("let-go-patched", &DeleteParams::default()).await?;
    let let_go = |uid: &str, version: Option<String>| json!({"metadata": {"uid": uid, "resourceVersion": version, "finalizers": null}});
    let uid = held.uid().unwrap_or_default();
    let stale = let_go(&uid, held.resource_version());
    refused(merge(&api, "let-go-patched", stale).await, 409, "Conflict")?;
    refused(merge(&api, "let-go-patched", let_go(ANOTHER_UID, None)).await, 422, "Invalid")?;
    let going = api.get("let-go-patched").await?;
    same("finalizers", going.finalizers().len(), 1)?;
    let answer = merge(&api, "let-go-patched", let_go(&uid, going.resource_version())).await?;
    same("finalizers in the answer", answer.finalizers().len(), 0)?;
    let gone = refused(merge(&api, "let-go-patched", let_go(&uid, None)).await, 404, "NotFound")?;
    same("message", gone.as_str(), "widgets.sim.ecr-permissions.dev \"let-go-patched\" not found")
}

pub(super) async fn no_finalizer_is_added_to_a_terminating_object(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let before = going(&api, "no-more").await?;
    let patch = json!({"metadata": {"finalizers": [FINALIZER, "sim.ecr-permissions.dev/more"]}});
    let message = refused(merge(&api, "no-more", patch).await, 422, "Invalid")?;
    let expected = r#"Widget.sim.ecr-permissions.dev "no-more" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"sim.ecr-permissions.dev/more"}"#;
    same("message", message.as_str(), expected)?;
    same("resourceVersion", version(&api.get("no-more").await?)?, version(&before)?)?;
    release(&api, "no-more").await
}

pub(super) async fn a_terminating_object_still_takes_writes(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut object = going(&api, "last-words").await?;
    object.data["status"]["seen"] = 1.into();
    api.replace_status("last-words", &PostParams::default(), &object).await?;
    merge(&api, "last-words", json!({"spec": {"size": 2}, "metadata": {"labels": {"a": "b"}}})).await?;
    let revived = merge(&api, "last-words", json!({"metadata": {"deletionTimestamp": null}})).await?;
    ensure!(revived.metadata.deletion_timestamp.is_some(), "the deletion was taken back");
    same("seen", &revived.data["status"]["seen"], &json!(1))?;
    same("size", &revived.data["spec"]["size"], &json!(2))?;
    release(&api, "last-words").await
}

pub(super) async fn a_delete_with_another_uid_is_a_conflict(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "by-uid").await?;
    let by = |uid: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: None }),
        ..DeleteParams::default()
    };
    let another = Some(ANOTHER_UID.to_string());
    refused(api.delete("by-uid", &by(another)).await, 409, "Conflict")?;
    api.delete("by-uid", &by(made.uid())).await?;
    refused(api.get("by-uid").await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_delete_with_another_resource_version_is_a_conflict(
    client: Client,
    ns: &str,
) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let first = create(&api, "by-version").await?;
    let second = merge(&api, "by-version", json!({"spec": {"size": 2}})).await?;
    let by = |resource_version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid: None, resource_version }),
        ..DeleteParams::default()
    };
    refused(api.delete("by-version", &by(first.resource_version())).await, 409, "Conflict")?;
    api.delete("by-version", &by(second.resource_version())).await?;
    refused(api.get("by-version").await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_delete_holds_to_uid_and_resource_version_together(
    client: Client,
    ns: &str,
) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let first = create(&api, "by-both").await?;
    let second = merge(&api, "by-both", json!({"spec": {"size": 2}})).await?;
    let (uid, stale, found) = (second.uid().unwrap_or_default(), version(&first)?, version(&second)?);
    let conflict =
        |why: String| format!("Operation cannot be fulfilled on Widget.sim.ecr-permissions.dev \"by-both\": {why}");
    let message = refused(api.delete("by-both", &by_both(&uid, stale)).await, 409, "Conflict")?;
    let expected = conflict(format!(
        "the ResourceVersion in the precondition ({stale}) does not match the ResourceVersion in record ({found}). The object might have been modified"
    ));
    same("message of the version", message, expected)?;
    let message = refused(api.delete("by-both", &by_both(ANOTHER_UID, stale)).await, 409, "Conflict")?;
    let expected = conflict(format!(
        "the UID in the precondition ({ANOTHER_UID}) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
    ));
    same("message of the uid", message, expected)?;
    refused(api.delete("by-both", &by_both(ANOTHER_UID, found)).await, 409, "Conflict")?;
    same("resourceVersion", version(&api.get("by-both").await?)?, found)?;
    api.delete("by-both", &by_both(&uid, found)).await?;
    refused(api.delete("by-both", &by_both(&uid, found)).await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_terminating_object_is_deleted_under_preconditions_too(
    client: Client,
    ns: &str,
) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let held = held(&api, "by-both-twice").await?;
    let uid = held.uid().unwrap_or_default();
    api.delete("by-both-twice", &by_both(&uid, version(&held)?)).await?;
    let going = api.get("by-both-twice").await?;
    refused(api.delete("by-both-twice", &by_both(&uid, version(&held)?)).await, 409, "Conflict")?;
    api.delete("by-both-twice", &by_both(&uid, version(&going)?)).await?;
    same("resourceVersion", version(&api.get("by-both-twice").await?)?, version(&going)?)?;
    release(&api, "by-both-twice").await
}

fn by_both(uid: &str, version: u64) -> DeleteParams {
    let preconditions = Preconditions { uid: Some(uid.into()), resource_version: Some(version.to_string()) };
    DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() }
}

pub(super) async fn a_recreated_object_is_another_one(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let first = create(&api, "again").await?;
    merge(&api, "again", json!({"spec": {"size": 2}})).await?;
    api.delete("again", &DeleteParams::default()).await?;
    let second = create(&api, "again").await?;
    ensure!(first.uid() != second.uid(), "the uid came back");
    ensure!(version(&second)? > version(&first)?, "the resourceVersion went back");
    same("generation", generation(&second), 1)?;
    refused(api.replace("again", &PostParams::default(), &first).await, 409, "Conflict")?;
    Ok(())
}

pub(super) async fn a_terminating_namespace_takes_nothing_new(client: Client, ns: &str) -> anyhow::Result<()> {
    let name = format!("{ns}-closing");
    let namespaces = create_namespace(&client, &name).await?;
    let api = widgets(&client, &name);
    held(&api, "inside").await?;
    namespaces.delete(&name, &DeleteParams::default()).await?;
    let namespace = namespaces.get(&name).await?;
    ensure!(namespace.metadata.deletion_timestamp.is_some(), "no deletionTimestamp");
    same("phase", namespace.status.and_then(|s| s.phase).as_deref(), Some("Terminating"))?;
    let message = refused(api.create(&PostParams::default(), &widget("late", 1)).await, 403, "Forbidden")?;
    ensure!(message.contains("being terminated"), "{message}");
    // What is inside still takes writes.
    release(&api, "inside").await
}

pub(super) async fn a_namespace_waits_for_what_is_in_it(client: Client, ns: &str) -> anyhow::Result<()> {
    let name = format!("{ns}-waiting");
    let namespaces = create_namespace(&client, &name).await?;
    let api = widgets(&client, &name);
    held(&api, "inside").await?;
    create(&api, "outgoing").await?;
    namespaces.delete(&name, &DeleteParams::default()).await?;
    let patience = Patience::default();
    while api.get_opt("outgoing").await?.is_some() || api.get("inside").await?.metadata.deletion_timestamp.is_none() {
        patience.wait().await?;
    }
    ensure!(namespaces.get_opt(&name).await?.is_some(), "the namespace went before what is in it");
    release(&api, "inside").await?;
    while namespaces.get_opt(&name).await?.is_some() {
        patience.wait().await?;
    }
    Ok(())
}

/// Asks again until a limit; the controllers of a real cluster take their time.
struct Patience {
    until: tokio::time::Instant,
}

impl Default for Patience {
    fn default() -> Self {
        Self { until: tokio::time::Instant::now() + Duration::from_mins(1) }
    }
}

impl Patience {
    async fn wait(&self) -> anyhow::Result<()> {
        if tokio::time::Instant::now() > self.until {
            bail!("not within a minute");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
}
