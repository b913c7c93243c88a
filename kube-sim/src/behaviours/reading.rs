//! Lists and watches: order, pages, selectors, and what a client that fell behind is told.

use anyhow::{Context, bail, ensure};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::{create, going, merge, refused, release, same, version, widget_type, widgets};

/// What a watch says from `since` on, until `count` events were seen; `ADDED name`, `DELETED name`, …
pub(super) async fn seen(
    api: &Api<DynamicObject>,
    params: &WatchParams,
    since: &str,
    count: usize,
) -> anyhow::Result<Vec<String>> {
    let stream = api.watch(params, since).await?;
    pin_mut!(stream);
    let mut lines = Vec::new();
    while lines.len() < count {
        match stream.next().await.with_context(|| format!("the watch ended after {lines:?}"))?? {
            WatchEvent::Added(object) => lines.push(format!("ADDED {}", object.name_any())),
            WatchEvent::Modified(object) => lines.push(format!("MODIFIED {}", object.name_any())),
            WatchEvent::Deleted(object) => lines.push(format!("DELETED {}", object.name_any())),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => bail!("{} {}", status.code, status.message),
        }
    }
    Ok(lines)
}

pub(super) fn now(list: &kube::core::ObjectList<DynamicObject>) -> anyhow::Result<String> {
    list.metadata.resource_version.clone().context("the list has no resourceVersion")
}

pub(super) fn patient() -> WatchParams {
    WatchParams::default().timeout(20)
}

pub(super) async fn a_watch_tells_create_update_delete_in_order(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let since = now(&api.list(&ListParams::default()).await?)?;
    let script = async {
        create(&api, "story-a").await?;
        create(&api, "story-b").await?;
        merge(&api, "story-a", json!({"spec": {"size": 2}})).await?;
        merge(&api, "story-a", json!({"spec": {"size": 2}})).await?;
        api.delete("story-a", &DeleteParams::default()).await?;
        create(&api, "story-a").await?;
        anyhow::Ok(())
    };
    let params = patient();
    let (told, acted) = tokio::join!(seen(&api, &params, &since, 5), script);
    acted?;
    let expected = ["ADDED story-a", "ADDED story-b", "MODIFIED story-a", "DELETED story-a", "ADDED story-a"];
    same("events", told?, expected.map(String::from).to_vec())?;
    same("events, watched afterwards", seen(&api, &patient(), &since, 5).await?, expected.map(String::from).to_vec())
}

pub(super) async fn a_watch_starts_after_its_resource_version(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let first = create(&api, "since").await?;
    let second = merge(&api, "since", json!({"spec": {"size": 2}})).await?;
    api.delete("since", &DeleteParams::default()).await?;
    let from = |object: &DynamicObject| object.resource_version().unwrap_or_default();
    let params = patient().fields("metadata.name=since");
    same(
        "after the first",
        seen(&api, &params, &from(&first), 2).await?,
        vec!["MODIFIED since".into(), "DELETED since".into()],
    )?;
    same("after the second", seen(&api, &params, &from(&second), 1).await?, vec!["DELETED since".to_string()])
}

pub(super) async fn a_watch_from_a_forgotten_past_is_told_to_list_again(
    client: Client,
    ns: &str,
) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "remembered").await?;
    {
        let stream = api.watch(&patient(), "1").await?;
        pin_mut!(stream);
        let code = match stream.next().await.context("no answer")? {
            Ok(WatchEvent::Error(status)) | Err(kube::Error::Api(status)) => status.code,
            other => bail!("expected 410, got {other:?}"),
        };
        same("code", code, 410)?;
        ensure!(stream.next().await.is_none(), "the watch went on after its error");
    }
    let since = now(&api.list(&ListParams::default()).await?)?;
    create(&api, "after-the-list").await?;
    same("events", seen(&api, &patient(), &since, 1).await?, vec!["ADDED after-the-list".to_string()])
}

pub(super) async fn a_watch_ends_at_its_timeout(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let since = now(&api.list(&ListParams::default()).await?)?;
    let stream = api.watch(&WatchParams::default().timeout(1), &since).await?;
    pin_mut!(stream);
    while let Some(event) = stream.next().await {
        ensure!(matches!(event?, WatchEvent::Bookmark(_)), "something else than a bookmark");
    }
    Ok(())
}

pub(super) async fn leaving_the_selector_is_a_deletion(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let since = now(&api.list(&ListParams::default()).await?)?;
    create(&api, "chosen").await?;
    let label = |value: Option<&str>| json!({"metadata": {"labels": {"chosen": value}}});
    merge(&api, "chosen", label(Some("yes"))).await?;
    merge(&api, "chosen", json!({"spec": {"size": 2}})).await?;
    merge(&api, "chosen", label(None)).await?;
    let expected = vec!["ADDED chosen".to_string(), "MODIFIED chosen".into(), "DELETED chosen".into()];
    same("events", seen(&api, &patient().labels("chosen=yes"), &since, 3).await?, expected)
}

pub(super) async fn the_last_finalizer_ends_in_one_deleted_event(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let before = going(&api, "one-event").await?;
    release(&api, "one-event").await?;
    let params = patient().fields("metadata.name=one-event");
    let stream = api.watch(&params, &before.resource_version().unwrap_or_default()).await?;
    pin_mut!(stream);
    match stream.next().await.context("no event")?? {
        WatchEvent::Deleted(last) => {
            ensure!(version(&last)? > version(&before)?, "the last state has an old resourceVersion");
            same("uid", last.uid(), before.uid())
        }
        other => bail!("expected DELETED, got {other:?}"),
    }
}

pub(super) async fn pages_are_of_one_moment(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    for name in ["page-b", "page-c", "page-d", "page-e"] {
        create(&api, name).await?;
        merge(&api, name, json!({"metadata": {"labels": {"paged": "yes"}}})).await?;
    }
    let mut params = ListParams::default().labels("paged=yes").limit(3);
    let first = api.list(&params).await?;
    same("names of the first page", names(&first), ["page-b", "page-c", "page-d"].map(String::from).to_vec())?;
    api.delete("page-e", &DeleteParams::default()).await?;
    create(&api, "page-f").await?;
    merge(&api, "page-f", json!({"metadata": {"labels": {"paged": "yes"}}})).await?;
    params = params.continue_token(&first.metadata.continue_.clone().context("no continue token")?);
    let second = api.list(&params).await?;
    same("names of the second page", names(&second), vec!["page-e".to_string()])?;
    same("resourceVersion", now(&second)?, now(&first)?)?;
    ensure!(second.metadata.continue_.as_deref().unwrap_or_default().is_empty(), "there is no third page");
    Ok(())
}

pub(super) async fn a_list_of_one_has_the_revision_of_everything(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "revision-a").await?;
    create(&api, "revision-b").await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let labels = json!({"metadata": {"labels": {"revision": "told"}}});
    let last = namespaces.patch(ns, &PatchParams::default(), &Patch::Merge(labels)).await?;
    let one = api.list_metadata(&ListParams::default().limit(1)).await?;
    same("items", one.items.len(), 1)?;
    let number = |version: Option<String>| version.context("no resourceVersion")?.parse::<u64>().context("no number");
    let (of_list, of_last) = (number(one.metadata.resource_version)?, number(last.resource_version())?);
    ensure!(of_list >= of_last, "the list is of {of_list}, and {of_last} was written before, of another kind");
    Ok(())
}

pub(super) async fn a_list_is_sorted_and_selects(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    for (name, value) in [("sorted-b", "one"), ("sorted-a", "two"), ("sorted-c", "one")] {
        create(&api, name).await?;
        merge(&api, name, json!({"metadata": {"labels": {"sorted": value}}})).await?;
    }
    let labelled = |labels: &str| ListParams::default().labels(labels);
    for (selector, expected) in [
        ("sorted", vec!["sorted-a", "sorted-b", "sorted-c"]),
        ("sorted=one", vec!["sorted-b", "sorted-c"]),
        ("sorted,sorted!=one", vec!["sorted-a"]),
        ("sorted in (one,two),sorted notin (two)", vec!["sorted-b", "sorted-c"]),
    ] {
        same(selector, names(&api.list(&labelled(selector)).await?), expected.into_iter().map(String::from).collect())?;
    }
    let by_name = ListParams::default().fields("metadata.name=sorted-b");
    same("by name", names(&api.list(&by_name).await?), vec!["sorted-b".to_string()])?;
    let everywhere: Api<DynamicObject> = Api::all_with(client, &widget_type());
    let found = everywhere.list(&labelled("sorted=two")).await?;
    ensure!(found.items.iter().any(|object| object.namespace().as_deref() == Some(ns)), "not in the cluster-wide list");
    for (namespace, expected) in [(ns, vec!["sorted-b".to_string()]), ("default", Vec::new())] {
        let params = ListParams::default().fields(&format!("metadata.namespace={namespace},metadata.name=sorted-b"));
        same(namespace, names(&everywhere.list(&params).await?), expected)?;
    }
    refused(api.list(&ListParams::default().fields("spec.size=1")).await, 400, "BadRequest")?;
    Ok(())
}

pub(super) fn names(list: &kube::core::ObjectList<DynamicObject>) -> Vec<String> {
    list.items.iter().map(ResourceExt::name_any).collect()
}

pub(super) async fn every_write_has_a_later_resource_version(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    let one = version(&create(&api, "later-a").await?)?;
    let two = version(&create(&api, "later-b").await?)?;
    let three = version(&merge(&api, "later-a", json!({"spec": {"size": 2}})).await?)?;
    let listed: u64 = now(&api.list(&ListParams::default()).await?)?.parse()?;
    ensure!(one < two && two < three && three <= listed, "not in order: {one}, {two}, {three}, {listed}");
    Ok(())
}

pub(super) async fn a_reflector_follows_the_objects(client: Client, ns: &str) -> anyhow::Result<()> {
    let api = widgets(&client, ns);
    create(&api, "mirrored-before").await?;
    let writer = reflector::store::Writer::new(widget_type());
    let store = writer.as_reader();
    let config = watcher::Config::default().timeout(20);
    let stream = watcher(api.clone(), config).default_backoff().reflect(writer);
    pin_mut!(stream);
    let has = |name: &str| store.state().iter().any(|object| object.name_any() == name);
    while !has("mirrored-before") {
        stream.next().await.context("the watcher ended")??;
    }
    create(&api, "mirrored-after").await?;
    while !has("mirrored-after") {
        stream.next().await.context("the watcher ended")??;
    }
    api.delete("mirrored-before", &DeleteParams::default()).await?;
    while has("mirrored-before") {
        stream.next().await.context("the watcher ended")??;
    }
    Ok(())
}

pub(super) async fn a_metadata_request_gets_metadata(client: Client, ns: &str) -> anyhow::Result<()> {
    let made = create(&widgets(&client, ns), "bare").await?;
    let found = widgets(&client, ns).get_metadata("bare").await?;
    same("uid", found.metadata.uid, made.uid())?;
    Ok(())
}

pub(super) async fn a_namespace_carries_its_name_as_label(client: Client, ns: &str) -> anyhow::Result<()> {
    let namespace = Api::<Namespace>::all(client).get(ns).await?;
    same("label", namespace.labels().get("kubernetes.io/metadata.name").map(String::as_str), Some(ns))
}
