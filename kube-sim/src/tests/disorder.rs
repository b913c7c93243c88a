//! Frozen, forgotten, emptied, restored: what clients see then (behaviours 41, 46).

use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{names, sim, soon, watch, watch_since, widget, widgets};
use crate::{Kinds, Outage, Restore};

#[tokio::test(start_paused = true)]
async fn a_frozen_watch_tells_everything_in_order_once_thawed() {
    let sim = sim(1);
    let api = widgets(&sim);
    let mut events = watch(&api).await;
    sim.freeze_watches(Kinds::only(&["widgets"]));
    sim.apply(&widget("one", 1)).unwrap();
    sim.apply(&widget("one", 2)).unwrap();
    assert_eq!(soon(&mut events).await, None);
    assert_eq!(names(&api).await, ["one"], "requests are answered as ever");
    sim.thaw_watches();
    assert_eq!(soon(&mut events).await.unwrap(), "ADDED one");
    assert_eq!(soon(&mut events).await.unwrap(), "MODIFIED one");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_watch_hears_of_a_write_at_once() {
    let sim = sim(1);
    let api = widgets(&sim);
    let mut events = watch(&api).await;
    let start = Instant::now();
    let write = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        api.create(&PostParams::default(), &crate::behaviours::widget("one", 1)).await.unwrap()
    };
    let (event, _) = tokio::join!(events.next(), write);
    assert_eq!(event.unwrap(), "ADDED one");
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn freezing_another_kind_holds_nothing_back() {
    let sim = sim(1);
    let mut events = watch(&widgets(&sim)).await;
    sim.freeze_watches(Kinds::only(&["namespaces"]));
    sim.apply(&widget("one", 1)).unwrap();
    assert_eq!(soon(&mut events).await.unwrap(), "ADDED one");
}

#[tokio::test(start_paused = true)]
async fn a_delayed_event_comes_after_its_delay() {
    let sim = sim(1);
    let mut events = watch(&widgets(&sim)).await;
    sim.set_watch_delay(Duration::from_secs(7));
    let start = Instant::now();
    sim.apply(&widget("one", 1)).unwrap();
    assert_eq!(events.next().await.unwrap(), "ADDED one");
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_watch_cache_answers_lists_of_any_age_and_no_others() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.apply(&widget("one", 1)).unwrap();
    let past = sim.snapshot();
    sim.vanish("widgets", "table", "one").unwrap();
    sim.apply(&widget("two", 1)).unwrap();
    sim.lag_watch_cache(past);
    assert_eq!(names(&api).await, ["two"], "a quorum read sees what is stored");
    let of_any_age = ListParams::default().match_any();
    let old = api.list(&of_any_age).await.unwrap();
    assert_eq!(old.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["one"]);
    assert!(api.list(&of_any_age.clone().fields("metadata.name=two")).await.unwrap().items.is_empty());
    let mut events = watch_since(&api, &old.metadata.resource_version.unwrap()).await;
    assert_eq!(soon(&mut events).await.unwrap(), "DELETED one");
    assert_eq!(soon(&mut events).await.unwrap(), "ADDED two");
    sim.catch_up_watch_cache();
    assert_eq!(api.list(&of_any_age).await.unwrap().items[0].name_any(), "two");
}

#[tokio::test(start_paused = true)]
async fn a_relist_ends_open_watches_and_refuses_to_resume_them() {
    let sim = sim(1);
    let api = widgets(&sim);
    let before = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut events = watch(&api).await;
    sim.relist(&Kinds::All);
    assert_eq!(events.next().await.unwrap(), "410");
    assert_eq!(events.next().await, None);
    assert_eq!(watch_since(&api, &before).await.next().await.unwrap(), "410");
    let mut fresh = watch(&api).await;
    sim.apply(&widget("one", 1)).unwrap();
    assert_eq!(soon(&mut fresh).await.unwrap(), "ADDED one");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_store_lists_nothing_and_still_has_everything() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.apply(&widget("one", 1)).unwrap();
    let mut events = watch(&api).await;
    sim.empty(&Kinds::only(&["widgets"]), false);
    assert!(names(&api).await.is_empty());
    assert_eq!(soon(&mut events).await, None);
    assert_eq!(api.get("one").await.unwrap().name_any(), "one");
    sim.apply(&widget("two", 1)).unwrap();
    assert!(names(&api).await.is_empty(), "what is made meanwhile is hidden too");
    sim.refill(&Kinds::only(&["widgets"]));
    assert_eq!(names(&api).await, ["one", "two"]);
    assert_eq!(soon(&mut events).await.unwrap(), "ADDED one");
    assert_eq!(soon(&mut events).await.unwrap(), "ADDED two");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_store_can_announce_deletions_that_never_were() {
    let sim = sim(1);
    sim.apply(&widget("one", 1)).unwrap();
    let api = widgets(&sim);
    let mut events = watch(&api).await;
    sim.empty(&Kinds::All, true);
    assert_eq!(soon(&mut events).await.unwrap(), "DELETED one");
    assert_eq!(sim.list("widgets", "table").len(), 1);
}

/// Behaviour 41: etcd is put back, its revision with it.
#[tokio::test(start_paused = true)]
async fn a_restored_etcd_goes_back_in_everything() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.apply(&widget("old", 1)).unwrap();
    let (snapshot, then) = (sim.snapshot(), sim.revision());
    sim.apply(&widget("old", 2)).unwrap();
    sim.apply(&widget("new", 1)).unwrap();
    let later = sim.revision().to_string();
    let mut events = watch(&api).await;
    sim.restore(&snapshot, Restore::Etcd);
    assert_eq!(events.next().await.unwrap(), "410");
    assert_eq!(names(&api).await, ["old"]);
    assert_eq!(api.get("old").await.unwrap().data["spec"]["size"], 1);
    assert_eq!(sim.revision(), then);
    assert_eq!(watch_since(&api, &later).await.next().await.unwrap(), "410");
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_the_future_is_blind_until_the_revision_catches_up() {
    let sim = sim(1);
    let api = widgets(&sim);
    let snapshot = sim.snapshot();
    sim.apply(&widget("lost", 1)).unwrap();
    sim.apply(&widget("lost", 2)).unwrap();
    let future = sim.revision().to_string();
    let mut events = watch(&api).await;
    sim.restore(&snapshot, Restore::EtcdBlind);
    assert_eq!(events.next().await, None, "the watch ends without a word");
    let mut blind = watch_since(&api, &future).await;
    assert_eq!(soon(&mut blind).await, None);
    sim.apply(&widget("unseen", 1)).unwrap();
    sim.apply(&widget("unseen", 2)).unwrap();
    assert_eq!(soon(&mut blind).await, None);
    sim.apply(&widget("unseen", 3)).unwrap();
    assert_eq!(soon(&mut blind).await.unwrap(), "MODIFIED unseen");
}

/// Behaviour 46: a backup is created anew.
#[tokio::test(start_paused = true)]
async fn a_recreated_backup_has_new_identities() {
    let sim = sim(1);
    let before = sim.apply(&widget("one", 4)).unwrap();
    sim.edit("widgets", "table", "one", |object| {
        object["status"]["seen"] = 5.into();
        object["metadata"]["finalizers"] = json!(["sim.ecr-permissions.dev/hold"]);
    })
    .unwrap();
    let snapshot = sim.snapshot();
    sim.apply(&widget("later", 1)).unwrap();
    let kube_system = sim.get("namespaces", "", "kube-system").unwrap();
    tokio::time::advance(Duration::from_hours(1)).await;
    for (keep_status, seen) in [(true, json!(5)), (false, Value::Null)] {
        sim.restore(&snapshot, Restore::Recreated { keep_status });
        let after = sim.get("widgets", "table", "one").unwrap();
        assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_ne!(after["metadata"]["creationTimestamp"], before["metadata"]["creationTimestamp"]);
        assert_eq!(after["metadata"]["finalizers"], json!(["sim.ecr-permissions.dev/hold"]));
        assert_eq!(after["spec"], before["spec"]);
        assert_eq!(after["status"]["seen"], seen);
        assert!(sim.get("widgets", "table", "later").is_none());
    }
    assert_eq!(sim.get("namespaces", "", "kube-system").unwrap(), kube_system, "what lives on is not restored over");
}

#[tokio::test(start_paused = true)]
async fn an_outage_breaks_watches_and_answers_nothing() {
    let sim = sim(1);
    let api = widgets(&sim);
    let mut events = watch(&api).await;
    sim.outage(Some(Outage::Unavailable));
    assert_eq!(events.next().await, None);
    let error = api.get("one").await.unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.code == 503));
    sim.outage(Some(Outage::Refused));
    assert!(matches!(api.get("one").await.unwrap_err(), kube::Error::Service(_)));
    sim.outage(None);
    assert!(api.get_opt("one").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_edit_from_outside_passes_every_rule() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.apply(&widget("one", 1)).unwrap();
    let edit = |alter: fn(&mut Value)| sim.edit("widgets", "table", "one", alter).unwrap();
    edit(|object| object["spec"]["size"] = 2.into());
    assert_eq!(api.get("one").await.unwrap().metadata.generation, Some(2));
    edit(|object| object["metadata"]["uid"] = "restored".into());
    edit(|object| object["metadata"]["finalizers"] = json!(["sim.ecr-permissions.dev/hold"]));
    sim.delete("widgets", "table", "one").unwrap();
    assert_eq!(api.get("one").await.unwrap().uid().unwrap(), "restored");
    edit(|object| object["metadata"]["finalizers"] = json!([]));
    assert!(api.get_opt("one").await.unwrap().is_none(), "a stripped finalizer lets the object go");
}

#[tokio::test(start_paused = true)]
async fn a_user_is_held_to_the_size_and_an_edit_from_outside_is_not() {
    let sim = sim(1);
    let mut large = widget("one", 1);
    sim.apply(&large).unwrap();
    large["spec"]["colour"] = "x".repeat(1600 * 1024).into();
    let refusal = sim.apply(&large).unwrap_err().to_string();
    assert!(refusal.contains("etcdserver: request is too large"), "{refusal}");
    sim.edit("widgets", "table", "one", |object| *object = Value::clone(&large)).unwrap();
    assert_eq!(sim.get("widgets", "table", "one").unwrap()["spec"], large["spec"]);
}

#[tokio::test(start_paused = true)]
async fn a_vanished_object_asks_no_finalizer() {
    let sim = sim(1);
    let mut held = widget("one", 1);
    held["metadata"]["finalizers"] = json!(["sim.ecr-permissions.dev/hold"]);
    sim.apply(&held).unwrap();
    let mut events = watch(&widgets(&sim)).await;
    sim.vanish("widgets", "table", "one").unwrap();
    assert_eq!(soon(&mut events).await.unwrap(), "DELETED one");
}

#[tokio::test(start_paused = true)]
async fn a_user_who_applies_again_keeps_status_and_finalizers() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.apply(&widget("one", 1)).unwrap();
    sim.edit("widgets", "table", "one", |object| {
        object["status"]["seen"] = 5.into();
        object["metadata"]["finalizers"] = json!(["sim.ecr-permissions.dev/hold"]);
    })
    .unwrap();
    let mut edited = widget("one", 2);
    edited["metadata"]["annotations"] = json!({"a": "b"});
    sim.apply(&edited).unwrap();
    let after = api.get("one").await.unwrap();
    assert_eq!((after.finalizers().len(), after.annotations().len(), after.metadata.generation), (1, 1, Some(2)));
    assert_eq!(after.data["status"]["seen"], 5);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_a_user_deletes_goes_with_what_is_in_it() {
    let sim = sim(1);
    sim.apply(&widget("one", 1)).unwrap();
    sim.delete("namespaces", "", "table").unwrap();
    assert!(sim.get("namespaces", "", "table").is_none() && sim.list("widgets", "").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_namespace_can_be_held_in_its_going() {
    let sim = sim(1);
    sim.namespaces_by_hand();
    sim.apply(&widget("one", 1)).unwrap();
    sim.delete("namespaces", "", "table").unwrap();
    assert_eq!(names(&widgets(&sim)).await, ["one"]);
    assert!(widgets(&sim).create(&PostParams::default(), &crate::behaviours::widget("two", 1)).await.is_err());
    assert!(sim.step_namespaces());
    assert!(sim.get("namespaces", "", "table").is_none());
    assert!(!sim.step_namespaces());
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_sends_bookmarks_and_ends_at_its_time() {
    let sim = sim(1);
    let start = Instant::now();
    let events: Vec<String> = watch(&widgets(&sim)).await.collect().await;
    assert_eq!(events, ["BOOKMARK"; 5], "each minute, and at the end");
    assert_eq!(start.elapsed().as_secs(), 290);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_forgotten_list_is_refused() {
    let sim = sim(1);
    let api = widgets(&sim);
    for name in ["one", "two"] {
        sim.apply(&widget(name, 1)).unwrap();
    }
    let first = api.list(&ListParams::default().limit(1)).await.unwrap();
    let next = ListParams::default().limit(1).continue_token(&first.metadata.continue_.unwrap());
    assert_eq!(api.list(&next).await.unwrap().items.len(), 1);
    api.delete("two", &DeleteParams::default()).await.unwrap();
    assert_eq!(api.list(&next).await.unwrap().items.len(), 1, "a token can be used again");
    sim.relist(&Kinds::All);
    assert!(matches!(api.list(&next).await.unwrap_err(), kube::Error::Api(status) if status.code == 410));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_watch_tells_where_it_stands_and_nothing_else() {
    let sim = sim(1);
    let mut events = watch(&widgets(&sim)).await;
    sim.stall_watches(Kinds::only(&["widgets"]));
    assert!(!sim.shows_all());
    sim.apply(&widget("one", 1)).unwrap();
    assert_eq!(names(&widgets(&sim)).await, ["one"], "a list shows it");
    assert_eq!(events.next().await.unwrap(), "BOOKMARK");
    sim.stall_watches(Kinds::only(&[]));
    assert_eq!(soon(&mut events).await.unwrap(), "ADDED one");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_bookmarks_sends_none() {
    let sim = sim(1);
    sim.withhold_bookmarks(Kinds::All);
    let events: Vec<String> = watch(&widgets(&sim)).await.collect().await;
    assert_eq!(events, <[String; 0]>::default());
}

#[tokio::test(start_paused = true)]
async fn without_its_definition_a_kind_is_not_served() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.apply(&widget("one", 1)).unwrap();
    let mut events = watch(&api).await;
    sim.take_definition("widgets");
    assert_eq!(events.next().await, None);
    let refused = api.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 404));
    sim.give_definitions_back();
    assert_eq!(names(&api).await, ["one"]);
}
