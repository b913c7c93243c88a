//! Create, update, patch: what is stored, what is refused, what a generation and a resourceVersion count.

use anyhow::ensure;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{
    ANOTHER_UID, create, generation, merge, record, records, refused, same, settled, version, widget, widgets,
};

const PUT: PostParams = PostParams { dry_run: false, field_manager: None };

pub(super) async fn a_stale_put_is_a_conflict(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let stale = create(&api, "stale-put").await?;
    merge(&api, "stale-put", json!({"spec": {"size": 2}})).await?;
    let mut late = stale.clone();
    late.data["spec"]["size"] = 3.into();
    refused(api.replace("stale-put", &PUT, &late).await, 409, "Conflict")?;
    // Also when it would change nothing.
    refused(api.replace("stale-put", &PUT, &stale).await, 409, "Conflict")?;
    same("size", &api.get("stale-put").await?.data["spec"]["size"], &json!(2))
}

pub(super) async fn a_put_needs_a_resource_version(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "unversioned").await?;
    let message = refused(api.replace("unversioned", &PUT, &widget("unversioned", 2)).await, 422, "Invalid")?;
    let expected = "widgets.sim.ecr-permissions.dev \"unversioned\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update";
    same("message", message.as_str(), expected)
}

pub(super) async fn a_put_of_another_uid_is_a_conflict(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "other-uid").await?;
    let mut other = made.clone();
    other.metadata.uid = Some(ANOTHER_UID.into());
    let message = refused(api.replace("other-uid", &PUT, &other).await, 409, "Conflict")?;
    let expected = format!(
        "Operation cannot be fulfilled on widgets.sim.ecr-permissions.dev \"other-uid\": StorageError: invalid object, Code: 4, Key: /registry/sim.ecr-permissions.dev/widgets/{ns}/other-uid, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {ANOTHER_UID}, UID in object meta: {}",
        made.uid().unwrap_or_default(),
    );
    same("message", message, expected)
}

pub(super) async fn a_patch_of_another_uid_is_invalid(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "other-uid-patched").await?;
    let patch = json!({"metadata": {"uid": ANOTHER_UID}, "spec": {"size": 2}});
    let message = refused(merge(&api, "other-uid-patched", patch).await, 422, "Invalid")?;
    let expected = format!(
        "Widget.sim.ecr-permissions.dev \"other-uid-patched\" is invalid: metadata.uid: Invalid value: \"{ANOTHER_UID}\": field is immutable"
    );
    same("message", message, expected)?;
    let patch = json!({"metadata": {"uid": made.uid()}, "spec": {"size": 2}});
    same("size", &merge(&api, "other-uid-patched", patch).await?.data["spec"]["size"], &json!(2))
}

pub(super) async fn a_put_creates_nothing(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut gone = create(&api, "put-of-nothing").await?;
    api.delete("put-of-nothing", &DeleteParams::default()).await?;
    refused(api.replace("put-of-nothing", &PUT, &gone).await, 404, "NotFound")?;
    refused(api.replace_status("put-of-nothing", &PUT, &gone).await, 404, "NotFound")?;
    gone.metadata.resource_version = None;
    refused(api.replace("put-of-nothing", &PUT, &gone).await, 404, "NotFound")?;
    refused(merge(&api, "put-of-nothing", json!({"spec": {"size": 2}})).await, 404, "NotFound")?;
    Ok(())
}

pub(super) async fn a_name_is_taken_once(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "taken").await?;
    let message = refused(api.create(&PUT, &widget("taken", 2)).await, 409, "AlreadyExists")?;
    same("message", message.as_str(), "widgets.sim.ecr-permissions.dev \"taken\" already exists")?;
    let message = refused(api.create(&PUT, &widget("Not_A_Name", 2)).await, 422, "Invalid")?;
    let expected = r#"Widget.sim.ecr-permissions.dev "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"#;
    same("message of the name", message.as_str(), expected)
}

pub(super) async fn a_create_takes_no_resource_version(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut versioned = widget("versioned", 1);
    versioned.metadata.resource_version = Some("1".into());
    let message = refused(api.create(&PUT, &versioned).await, 500, "")?;
    same("message", message.as_str(), "resourceVersion should not be set on objects to be created")
}

pub(super) async fn a_generated_name_has_its_prefix(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut nameless = widget("", 1);
    nameless.metadata.name = None;
    nameless.metadata.generate_name = Some("generated-".into());
    let (one, two) = (api.create(&PUT, &nameless).await?, api.create(&PUT, &nameless).await?);
    ensure!(one.name_any() != two.name_any(), "the same name twice: {}", one.name_any());
    for made in [one, two] {
        let name = made.name_any();
        ensure!(name.starts_with("generated-") && name.len() == "generated-".len() + 5, "odd name {name}");
    }
    Ok(())
}

pub(super) async fn nothing_is_created_in_a_namespace_that_is_not_there(client: Client, _: &str) -> anyhow::Result<()> {
    let api = widgets(&client, "a-namespace-nobody-made");
    refused(api.create(&PUT, &widget("homeless", 1)).await, 404, "NotFound")?;
    same("widgets there", api.list(&kube::api::ListParams::default()).await?.items.len(), 0)
}

pub(super) async fn a_main_put_leaves_the_status(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "main-put").await?;
    let mut seen = api.get("main-put").await?;
    seen.data["status"]["seen"] = 1.into();
    let mut next = api.replace_status("main-put", &PUT, &seen).await?;
    next.data["spec"]["size"] = 2.into();
    next.data["status"]["seen"] = 9.into();
    let after = api.replace("main-put", &PUT, &next).await?;
    same("seen", &after.data["status"]["seen"], &json!(1))?;
    same("size", &after.data["spec"]["size"], &json!(2))?;
    // A server orders managedFields by their times, so that those of an older answer would be a change.
    let mut without_status = after.clone();
    if let Some(members) = without_status.data.as_object_mut() {
        members.remove("status");
    }
    let kept = api.replace("main-put", &PUT, &without_status).await?;
    same("seen, when the status was left out", &kept.data["status"]["seen"], &json!(1))?;
    same("resourceVersion", version(&kept)?, version(&after)?)
}

pub(super) async fn a_status_put_leaves_spec_and_metadata(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut next = create(&api, "status-put").await?;
    next.data["spec"]["size"] = 7.into();
    next.data["status"]["seen"] = 3.into();
    next.labels_mut().insert("smuggled".into(), "yes".into());
    next.finalizers_mut().push(super::FINALIZER.into());
    let after = api.replace_status("status-put", &PUT, &next).await?;
    same("size", &after.data["spec"]["size"], &json!(1))?;
    same("seen", &after.data["status"]["seen"], &json!(3))?;
    same("labels", after.labels().len(), 0)?;
    same("finalizers", after.finalizers().len(), 0)?;
    same("generation", generation(&after), 1)
}

pub(super) async fn a_status_patch_leaves_the_spec(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "status-patch").await?;
    let patch = json!({"spec": {"size": 5}, "status": {"seen": 4}, "metadata": {"labels": {"smuggled": "yes"}}});
    let after = api.patch_status("status-patch", &PatchParams::default(), &Patch::Merge(&patch)).await?;
    same("size", &after.data["spec"]["size"], &json!(1))?;
    same("seen", &after.data["status"]["seen"], &json!(4))?;
    same("labels", after.labels().len(), 0)?;
    let main = merge(&api, "status-patch", json!({"status": {"seen": 8}})).await?;
    same("seen, patched through the object", &main.data["status"]["seen"], &json!(4))?;
    same("resourceVersion", version(&main)?, version(&after)?)
}

pub(super) async fn a_stale_status_put_is_a_conflict(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut stale = create(&api, "stale-status").await?;
    merge(&api, "stale-status", json!({"metadata": {"annotations": {"a": "b"}}})).await?;
    stale.data["status"]["seen"] = 1.into();
    refused(api.replace_status("stale-status", &PUT, &stale).await, 409, "Conflict")?;
    stale.metadata.resource_version = None;
    refused(api.replace_status("stale-status", &PUT, &stale).await, 422, "Invalid")?;
    Ok(())
}

pub(super) async fn a_merge_patch_honours_a_resource_version(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let first = create(&api, "guarded-patch").await?;
    let guarded =
        |size: i64, version: u64| json!({"metadata": {"resourceVersion": version.to_string()}, "spec": {"size": size}});
    let second = merge(&api, "guarded-patch", guarded(2, version(&first)?)).await?;
    refused(merge(&api, "guarded-patch", guarded(3, version(&first)?)).await, 409, "Conflict")?;
    same("size", &second.data["spec"]["size"], &json!(2))
}

pub(super) async fn a_spec_change_bumps_the_generation(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "generations").await?;
    same("generation at first", generation(&made), 1)?;
    let edited = merge(&api, "generations", json!({"spec": {"size": 2}})).await?;
    same("generation after an edit", generation(&edited), 2)?;
    let mut seen = edited.clone();
    seen.data["status"]["seen"] = 1.into();
    same("generation after a status", generation(&api.replace_status("generations", &PUT, &seen).await?), 2)?;
    let mut forged = api.get("generations").await?;
    forged.metadata.generation = Some(40);
    same("generation as sent", generation(&api.replace("generations", &PUT, &forged).await?), 2)
}

pub(super) async fn a_metadata_edit_does_not_bump_the_generation(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "annotated").await?;
    let patch =
        json!({"metadata": {"annotations": {"a": "b"}, "labels": {"c": "d"}, "finalizers": [super::FINALIZER]}});
    let edited = merge(&api, "annotated", patch).await?;
    same("generation", generation(&edited), 1)?;
    ensure!(version(&edited)? > version(&made)?, "the resourceVersion stayed");
    super::release(&api, "annotated").await
}

pub(super) async fn a_write_that_changes_nothing_keeps_the_resource_version(
    client: Client,
    ns: &str,
) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = settled(&api, "unchanged").await?;
    let before = version(&made)?;
    same("PUT", version(&api.replace("unchanged", &PUT, &made).await?)?, before)?;
    same("status PUT", version(&api.replace_status("unchanged", &PUT, &made).await?)?, before)?;
    same("merge patch", version(&merge(&api, "unchanged", json!({"spec": {"size": 1}})).await?)?, before)?;
    same("empty labels", version(&merge(&api, "unchanged", json!({"metadata": {"labels": {}}})).await?)?, before)?;
    let patch: json_patch::Patch =
        serde_json::from_value(json!([{"op": "replace", "path": "/spec/size", "value": 1}]))?;
    let patched = api.patch("unchanged", &PatchParams::default(), &Patch::Json::<()>(patch)).await?;
    same("JSON patch", version(&patched)?, before)
}

/// The defaults of a fresh object are filled in by each read; storing them is a change of its own, to a server.
pub(super) async fn the_first_write_stores_the_defaults(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "fresh").await?;
    let first = api.replace("fresh", &PUT, &made).await?;
    ensure!(version(&first)? > version(&made)?, "the resourceVersion stayed");
    same("generation", generation(&first), 1)?;
    same("data", &first.data, &made.data)?;
    let second = api.replace("fresh", &PUT, &first).await?;
    same("resourceVersion of the second write", version(&second)?, version(&first)?)
}

pub(super) async fn a_first_put_without_defaults_keeps_the_resource_version(
    client: Client,
    _: &str,
) -> anyhow::Result<()> {
    let api = records(&client);
    let mut made = record("put-at-once", json!({"region": "eu-west-1", "priority": 1}));
    made.finalizers_mut().push(super::FINALIZER.into());
    let made = api.create(&PUT, &made).await?;
    let mut put = api.replace("put-at-once", &PUT, &made).await?;
    same("resourceVersion", version(&put)?, version(&made)?)?;
    put.data = json!({"spec": {"priority": 2}});
    let after = api.replace("put-at-once", &PUT, &put).await?;
    same("spec, replaced whole", &after.data["spec"], &json!({"priority": 2}))?;
    same("generation", generation(&after), 2)?;
    refused(api.replace("put-at-once", &PUT, &put).await, 409, "Conflict")?;
    super::release(&api, "put-at-once").await
}

pub(super) async fn the_default_status_is_there_on_create(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    for object in [create(&api, "defaulted").await?, api.get("defaulted").await?] {
        let status = &object.data["status"];
        same("condition", &status["conditions"][0]["status"], &json!("Unknown"))?;
        same("observedGeneration", &status["observedGeneration"], &json!(-1))?;
    }
    Ok(())
}

pub(super) async fn a_status_sent_on_create_is_dropped(client: Client, ns: &str) -> anyhow::Result<()> {
    let mut forward = widget("forward", 1);
    forward.data["status"] = json!({"seen": 5, "observedGeneration": 1});
    let made = widgets(&client, ns).create(&PUT, &forward).await?;
    same("seen", &made.data["status"]["seen"], &json!(null))?;
    same("observedGeneration", &made.data["status"]["observedGeneration"], &json!(-1))
}

pub(super) async fn a_missing_member_of_the_status_gets_its_default(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut bare = create(&api, "bare-status").await?;
    bare.data["status"] = json!({"seen": 1});
    let after = api.replace_status("bare-status", &PUT, &bare).await?;
    same("status", &after.data["status"], &json!({"seen": 1, "observedGeneration": -1}))
}

pub(super) async fn an_unknown_member_is_dropped(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut odd = widget("odd", 1);
    odd.data["spec"]["unheardOf"] = 1.into();
    odd.data["aside"] = json!({});
    let made = api.create(&PUT, &odd).await?;
    let mut made = api.replace("odd", &PUT, &made).await?;
    same("spec", &made.data["spec"], &json!({"size": 1}))?;
    same("aside", &made.data["aside"], &json!(null))?;
    let before = version(&made)?;
    made.data["status"]["unheardOf"] = 1.into();
    let after = api.replace_status("odd", &PUT, &made).await?;
    same("resourceVersion after a status of nothing known", version(&after)?, before)
}

pub(super) async fn a_failed_json_patch_test_changes_nothing(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let made = create(&api, "tested").await?;
    let patch = |expected: i64| -> anyhow::Result<Patch<()>> {
        Ok(Patch::Json(serde_json::from_value(json!([
            {"op": "add", "path": "/spec/colour", "value": "red"},
            {"op": "test", "path": "/spec/size", "value": expected},
            {"op": "replace", "path": "/spec/size", "value": 9},
        ]))?))
    };
    refused(api.patch("tested", &PatchParams::default(), &patch(2)?).await, 422, "Invalid")?;
    same("resourceVersion", version(&api.get("tested").await?)?, version(&made)?)?;
    let after = api.patch("tested", &PatchParams::default(), &patch(1)?).await?;
    same("spec", &after.data["spec"], &json!({"size": 9, "colour": "red"}))
}

pub(super) async fn a_json_patch_of_what_is_missing_is_refused(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "patched-nowhere").await?;
    for operation in [
        json!({"op": "remove", "path": "/metadata/finalizers/0"}),
        json!({"op": "test", "path": "/metadata/finalizers/0", "value": super::FINALIZER}),
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": super::FINALIZER}),
    ] {
        let patch: Patch<()> = Patch::Json(serde_json::from_value(json!([operation]))?);
        refused(api.patch("patched-nowhere", &PatchParams::default(), &patch).await, 422, "Invalid")?;
    }
    Ok(())
}

pub(super) async fn what_the_server_sets_cannot_be_written(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let mut forged = widget("forged", 1);
    forged.metadata.uid = Some(ANOTHER_UID.into());
    forged.metadata.generation = Some(7);
    forged.metadata.creation_timestamp = Some(serde_json::from_value(json!("2001-01-01T00:00:00Z"))?);
    let made = api.create(&PUT, &forged).await?;
    ensure!(made.uid() != forged.uid(), "the uid was taken over");
    ensure!(made.creation_timestamp() != forged.creation_timestamp(), "the creationTimestamp was taken over");
    same("generation", generation(&made), 1)?;
    let made = api.replace("forged", &PUT, &made).await?;
    let patch = json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7}});
    let after = merge(&api, "forged", patch).await?;
    same("resourceVersion", version(&after)?, version(&made)?)
}

pub(super) async fn a_dry_run_changes_nothing(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let dry = PostParams { dry_run: true, field_manager: None };
    api.create(&dry, &widget("dry", 1)).await?;
    refused(api.get("dry").await, 404, "NotFound")?;
    let mut made = create(&api, "dry").await?;
    let before = version(&made)?;
    made.data["spec"]["size"] = 2.into();
    same("size as answered", &api.replace("dry", &dry, &made).await?.data["spec"]["size"], &json!(2))?;
    same("resourceVersion", version(&api.get("dry").await?)?, before)
}

pub(super) async fn an_apply_drops_what_it_no_longer_names(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let params = PatchParams::apply("somebody").force();
    let mut wanted = DynamicObject::new("applied", &super::widget_type());
    wanted.data = json!({"spec": {"size": 1, "colour": "red"}});
    api.patch("applied", &params, &Patch::Apply(&wanted)).await?;
    let made = api.patch("applied", &params, &Patch::Apply(&wanted)).await?;
    let again = api.patch("applied", &params, &Patch::Apply(&wanted)).await?;
    same("resourceVersion, applied twice", version(&again)?, version(&made)?)?;
    merge(&api, "applied", json!({"metadata": {"labels": {"of": "another"}}})).await?;
    wanted.data = json!({"spec": {"size": 2}});
    let after = api.patch("applied", &params, &Patch::Apply(&wanted)).await?;
    same("spec", &after.data["spec"], &json!({"size": 2}))?;
    same("labels", after.labels().len(), 1)
}

pub(super) async fn a_lease_is_taken_by_one(client: Client, ns: &str) -> anyhow::Result<()> {
    let api: Api<Lease> = Api::namespaced(client, ns);
    let lease = |holder: &str| json!({"metadata": {"name": "leader"}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15}});
    let made = api.create(&PUT, &serde_json::from_value(lease("one"))?).await?;
    refused(api.create(&PUT, &serde_json::from_value(lease("two"))?).await, 409, "AlreadyExists")?;
    let with = |holder: &str| {
        let mut next = made.clone();
        next.spec.get_or_insert_default().holder_identity = Some(holder.into());
        next
    };
    api.replace("leader", &PUT, &with("two")).await?;
    refused(api.replace("leader", &PUT, &with("three")).await, 409, "Conflict")?;
    let holder = api.get("leader").await?.spec.and_then(|spec| spec.holder_identity);
    same("holder", holder.as_deref(), Some("two"))
}

pub(super) async fn an_event_is_created_and_patched(client: Client, ns: &str) -> anyhow::Result<()> {
    let api: Api<Event> = Api::namespaced(client, ns);
    let event = json!({
        "metadata": {"name": "happened", "namespace": ns}, "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal",
        "reason": "Tried", "action": "Try", "note": "once", "reportingController": "sim.ecr-permissions.dev/table",
        "reportingInstance": "one", "regarding": {"kind": "Widget", "namespace": ns, "name": "any"},
    });
    api.create(&PUT, &serde_json::from_value(event)?).await?;
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    let after = api.patch("happened", &PatchParams::default(), &Patch::Merge(series)).await?;
    same("count", after.series.map(|series| series.count), Some(2))
}
