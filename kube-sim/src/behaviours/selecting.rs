//! Field selectors, by the `selectableFields` of a definition.

use anyhow::Context;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::reading::{names, now, patient, seen};
use super::{merge, record, records, refused, same};

async fn create(api: &Api<DynamicObject>, name: &str, spec: Value) -> anyhow::Result<()> {
    api.create(&PostParams::default(), &record(name, spec)).await?;
    Ok(())
}

/// The names that each selector finds.
async fn finds(api: &Api<DynamicObject>, expected: &[(&str, &[&str])]) -> anyhow::Result<()> {
    for (selector, found) in expected {
        let list = api.list(&ListParams::default().fields(selector)).await.with_context(|| (*selector).to_string())?;
        same(selector, names(&list), found.iter().map(ToString::to_string).collect())?;
    }
    Ok(())
}

pub(super) async fn a_list_selects_by_the_fields_of_the_definition(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    for (name, region, namespace) in [("field-c", "eu-west-1", "team"), ("field-a", "us-east-1", "team")] {
        create(&api, name, json!({"accountId": "100000000001", "region": region, "namespace": namespace})).await?;
    }
    create(&api, "field-b", json!({"accountId": "100000000001", "region": "eu-west-1", "namespace": "other"})).await?;
    create(&api, "field-d", json!({"accountId": "200000000001", "region": "eu-west-1", "namespace": "team"})).await?;
    finds(
        &api,
        &[
            ("spec.accountId=100000000001", &["field-a", "field-b", "field-c"]),
            ("spec.accountId==100000000001,spec.region=eu-west-1", &["field-b", "field-c"]),
            ("spec.accountId=100000000001,spec.region=eu-west-1,spec.namespace=team", &["field-c"]),
            ("spec.namespace!=team,spec.accountId=100000000001", &["field-b"]),
            ("spec.accountId=100000000001,spec.accountId=200000000001", &[]),
            (",spec.accountId=200000000001,", &["field-d"]),
            ("spec.accountId=100000000001,spec.region= eu-west-1", &[]),
        ],
    )
    .await
}

pub(super) async fn an_absent_field_is_the_empty_string(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    create(&api, "absent-a", json!({"accountId": "100000000002"})).await?;
    create(&api, "absent-b", json!({"accountId": "100000000002", "region": ""})).await?;
    create(&api, "absent-c", json!({"accountId": "100000000002", "region": "eu-west-1"})).await?;
    create(&api, "absent-d", json!({})).await?;
    api.create(&PostParams::default(), &DynamicObject { data: json!({}), ..record("absent-e", json!({})) }).await?;
    finds(
        &api,
        &[
            ("spec.accountId=100000000002,spec.region=", &["absent-a", "absent-b"]),
            ("spec.accountId=100000000002,spec.region!=", &["absent-c"]),
            ("spec.accountId=100000000002,spec.region!=eu-west-1", &["absent-a", "absent-b"]),
            ("metadata.name=absent-d,spec.accountId=", &["absent-d"]),
            ("metadata.name=absent-e,spec.accountId=,spec.priority=,spec.suspend=", &["absent-e"]),
        ],
    )
    .await
}

pub(super) async fn numbers_and_booleans_select_by_their_text(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    let account = "100000000003";
    create(&api, "text-a", json!({"accountId": account, "priority": 0, "suspend": false})).await?;
    create(&api, "text-b", json!({"accountId": account, "priority": -12_000_000, "suspend": true})).await?;
    finds(
        &api,
        &[
            ("spec.accountId=100000000003,spec.priority=0", &["text-a"]),
            ("spec.accountId=100000000003,spec.priority=-12000000", &["text-b"]),
            ("spec.accountId=100000000003,spec.priority=00", &[]),
            ("spec.accountId=100000000003,spec.suspend=false", &["text-a"]),
            ("spec.accountId=100000000003,spec.suspend!=false", &["text-b"]),
        ],
    )
    .await
}

pub(super) async fn the_name_selects_beside_other_fields(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    for name in ["named-a", "named-b"] {
        create(&api, name, json!({"accountId": "100000000004"})).await?;
    }
    finds(
        &api,
        &[
            ("metadata.name=named-b", &["named-b"]),
            ("spec.accountId=100000000004,metadata.name=named-b", &["named-b"]),
            ("spec.accountId=100000000004,metadata.name!=named-b", &["named-a"]),
            ("spec.accountId=nobody,metadata.name=named-b", &[]),
        ],
    )
    .await
}

pub(super) async fn a_value_is_taken_as_it_is_and_can_be_escaped(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    create(&api, "escaped-a", json!({"accountId": "100000000005", "namespace": "a,b=c\\d"})).await?;
    create(&api, "escaped-b", json!({"accountId": "100000000005", "namespace": "!x"})).await?;
    finds(
        &api,
        &[
            (r"spec.accountId=100000000005,spec.namespace=a\,b\=c\\d", &["escaped-a"]),
            ("spec.accountId=100000000005,spec.namespace=!x", &["escaped-b"]),
        ],
    )
    .await
}

pub(super) async fn another_field_cannot_be_selected_by(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    for (selector, label) in [
        ("spec.note=x", "spec.note"),
        ("spec.note!=x", "spec.note"),
        ("spec=x", "spec"),
        (".spec.region=x", ".spec.region"),
        ("=x", ""),
        ("spec.region=x,metadata.uid=x", "metadata.uid"),
        ("spec.zone=x,spec.note=x", "spec.note"),
        // Objects of the cluster have no namespace to select by.
        ("metadata.namespace=x", "metadata.namespace"),
    ] {
        let expected = format!("field label not supported: {label}");
        let message = refused(api.list(&ListParams::default().fields(selector)).await, 400, "BadRequest")?;
        same(selector, message, expected.clone())?;
        let watch = api.watch(&patient().fields(selector), "0").await;
        same(selector, refused(watch.map(|_| ()), 400, "BadRequest")?, expected)?;
    }
    Ok(())
}

pub(super) async fn what_is_no_field_selector_is_refused(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    for (selector, expected) in [
        ("spec.region", "invalid selector: 'spec.region'; can't understand 'spec.region'"),
        ("spec.region=a=b", "invalid field selector: unescaped character in value: 61"),
        (r"spec.region=a\b", r"invalid field selector: invalid escape sequence: \b"),
        ("spec.region=a\\", r"invalid field selector: invalid escape sequence: \"),
    ] {
        let message = refused(api.list(&ListParams::default().fields(selector)).await, 400, "BadRequest")?;
        same(selector, message.as_str(), expected)?;
    }
    Ok(())
}

pub(super) async fn a_page_selects_by_field(client: Client, _: &str) -> anyhow::Result<()> {
    let api = records(&client);
    for (name, account) in [("part-a", "6"), ("part-b", "7"), ("part-c", "6"), ("part-d", "6")] {
        create(&api, name, json!({"accountId": account})).await?;
    }
    let params = ListParams::default().fields("spec.accountId=6").limit(2);
    let first = api.list(&params).await?;
    same("names of the first page", names(&first), vec!["part-a".to_string(), "part-c".into()])?;
    same("remainingItemCount", first.metadata.remaining_item_count, None)?;
    let token = first.metadata.continue_.context("no continue token")?;
    let second = api.list(&params.continue_token(&token)).await?;
    same("names of the second page", names(&second), vec!["part-d".to_string()])
}

pub(super) async fn entering_and_leaving_the_field_selector_is_told_to_watches(
    client: Client,
    _: &str,
) -> anyhow::Result<()> {
    let api = records(&client);
    let since = now(&api.list(&ListParams::default()).await?)?;
    let region = |region: &str| json!({"spec": {"region": region}});
    create(&api, "moving", json!({"accountId": "100000000008", "region": "eu-west-1"})).await?;
    create(&api, "never-there", json!({"accountId": "100000000009", "region": "us-east-1"})).await?;
    merge(&api, "moving", region("us-east-1")).await?;
    merge(&api, "moving", json!({"spec": {"note": "there"}})).await?;
    merge(&api, "moving", region("eu-west-1")).await?;
    merge(&api, "moving", json!({"spec": {"note": "back"}})).await?;
    merge(&api, "moving", region("us-east-1")).await?;
    api.delete("moving", &DeleteParams::default()).await?;
    let params = patient().fields("spec.accountId=100000000008,spec.region=us-east-1");
    let expected = ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"].map(|event| format!("{event} moving"));
    same("events", seen(&api, &params, &since, 5).await?, expected.to_vec())
}
