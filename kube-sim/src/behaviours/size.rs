//! Objects and requests that are too large: each limit has its own refusal.

use anyhow::ensure;
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{merge, record, records, refused, same, version};

const PUT: PostParams = PostParams { dry_run: false, field_manager: None };
const KIB: usize = 1024;
const TOO_LARGE: &str = "etcdserver: request is too large";

/// A record whose note has so many bytes.
fn with_note(name: &str, bytes: usize) -> DynamicObject {
    record(name, note(bytes))
}

fn note(bytes: usize) -> Value {
    json!({"note": "x".repeat(bytes)})
}

async fn is_absent(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    ensure!(api.get_opt(name).await?.is_none(), "{name} was stored");
    Ok(())
}

pub(super) async fn an_object_just_under_the_limit_of_etcd_is_stored(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    let mut made = api.create(&PUT, &with_note("large", 1535 * KIB)).await?;
    made.data["spec"]["priority"] = 1.into();
    let after = api.replace("large", &PUT, &made).await?;
    ensure!(version(&after)? > version(&made)?, "the resourceVersion stayed");
    Ok(())
}

pub(super) async fn an_object_over_the_limit_of_etcd_is_refused(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    for bytes in [1536 * KIB, 2000 * KIB] {
        same("message", refused(api.create(&PUT, &with_note("larger", bytes)).await, 500, "")?.as_str(), TOO_LARGE)?;
    }
    is_absent(&api, "larger").await?;
    let made = api.create(&PUT, &with_note("larger", 1)).await?;
    let put = DynamicObject { data: json!({"spec": note(1640 * KIB)}), ..made.clone() };
    same("message of a PUT", refused(api.replace("larger", &PUT, &put).await, 500, "")?.as_str(), TOO_LARGE)?;
    let patch = merge(&api, "larger", json!({"spec": note(1640 * KIB)})).await;
    same("message of a patch", refused(patch, 500, "")?.as_str(), TOO_LARGE)?;
    same("resourceVersion", version(&api.get("larger").await?)?, version(&made)?)
}

pub(super) async fn an_object_that_is_too_large_to_be_sent_to_etcd_is_refused(
    client: Client,
    _: &str,
) -> anyhow::Result<()> {
    let api = records(&client);
    let message = refused(api.create(&PUT, &with_note("unsent", 2100 * KIB)).await, 500, "")?;
    let expected = "rpc error: code = ResourceExhausted desc = trying to send message larger than max (";
    ensure!(message.starts_with(expected) && message.ends_with(" vs. 2097152)"), "{message}");
    is_absent(&api, "unsent").await
}

pub(super) async fn a_body_over_the_limit_of_the_server_is_refused(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    let expected = "Request entity too large: limit is 3145728";
    let message = refused(api.create(&PUT, &with_note("huge", 3073 * KIB)).await, 413, "RequestEntityTooLarge")?;
    same("message", message.as_str(), expected)?;
    is_absent(&api, "huge").await?;
    api.create(&PUT, &with_note("huge", 1)).await?;
    let patch = merge(&api, "huge", json!({"spec": note(3073 * KIB)})).await;
    same("message of a patch", refused(patch, 413, "RequestEntityTooLarge")?.as_str(), expected)
}

pub(super) async fn what_counts_is_the_object_as_it_is_stored(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    // Stored as \u003c, six bytes each.
    let escaped = record("escaped", json!({"note": "<&>".repeat(100 * KIB)}));
    same("message", refused(api.create(&PUT, &escaped).await, 500, "")?.as_str(), TOO_LARGE)?;
    // Stored as two bytes each.
    let quoted = record("quoted", json!({"note": "\"".repeat(800 * KIB)}));
    same("message", refused(api.create(&PUT, &quoted).await, 500, "")?.as_str(), TOO_LARGE)?;
    // Not stored at all.
    let unknown = record("unknown", json!({"note": "x", "unheardOf": "x".repeat(2000 * KIB)}));
    same("note", &api.create(&PUT, &unknown).await?.data["spec"]["note"], &json!("x"))
}

pub(super) async fn a_name_that_is_taken_does_not_hide_the_size(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    api.create(&PUT, &with_note("taken-and-large", 1)).await?;
    let message = refused(api.create(&PUT, &with_note("taken-and-large", 1640 * KIB)).await, 500, "")?;
    same("message", message.as_str(), TOO_LARGE)
}

pub(super) async fn a_dry_run_stores_nothing_and_nothing_is_too_large_for_it(
    client: Client,
    _: &str,
) -> anyhow::Result<()> {
    let api = records(&client);
    let dry = PostParams { dry_run: true, field_manager: None };
    api.create(&dry, &with_note("dry", 1640 * KIB)).await?;
    is_absent(&api, "dry").await
}
