//! Calls: recorded, observed, delayed, hit by faults; and the same on every run (behaviour 42 rests on it).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::{names, sim, widget, widgets};
use crate::behaviours::{self, widget_type};
use crate::{Call, Fault, KubeSim, Matching, Phase, Then, Verb};

const PUT: PostParams = PostParams { dry_run: false, field_manager: None };

fn code<T: std::fmt::Debug>(answer: kube::Result<T>) -> u16 {
    match answer.unwrap_err() {
        kube::Error::Api(status) => status.code,
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_is_recorded_with_what_it_did() {
    let sim = sim(1);
    let api = widgets(&sim);
    let made = api.create(&PUT, &behaviours::widget("one", 1)).await.unwrap();
    api.replace_status("one", &PUT, &made).await.unwrap();
    let same = api.get("one").await.unwrap();
    api.replace_status("one", &PUT, &same).await.unwrap();
    api.replace("one", &PUT, &made).await.unwrap_err();
    sim.apply(&widget("one", 2)).unwrap();
    let writes: Vec<_> = sim.writes().into_iter().map(|w| (w.verb, w.name, w.subresource, w.changed, w.code)).collect();
    let status = || Some("status".to_string());
    assert_eq!(
        writes,
        [
            (Verb::Create, "one".to_string(), None, true, 201),
            (Verb::Update, "one".into(), status(), true, 200),
            (Verb::Update, "one".into(), status(), false, 200),
            (Verb::Update, "one".into(), None, false, 409),
        ]
    );
    assert!(sim.trace()[0].ends_with("operator create table/widgets/one -> 201 changed"), "{}", sim.trace()[0]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_before_the_effect_leaves_nothing_and_one_after_it_everything() {
    let sim = sim(1);
    let api = widgets(&sim);
    let creates = || Matching::writes().verb(Verb::Create).resource("widgets");
    sim.inject(creates(), 1, 1, Fault::Error(500, Phase::Before));
    sim.inject(creates(), 2, 1, Fault::Error(503, Phase::After));
    assert_eq!(code(api.create(&PUT, &behaviours::widget("before", 1)).await), 500);
    assert!(sim.get("widgets", "table", "before").is_none());
    assert_eq!(code(api.create(&PUT, &behaviours::widget("after", 1)).await), 503);
    assert!(sim.get("widgets", "table", "after").is_some());
    api.create(&PUT, &behaviours::widget("before", 1)).await.unwrap();
    let changed: Vec<bool> = sim.writes().iter().map(|write| write.changed).collect();
    assert_eq!(changed, [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_meets_the_call_it_is_for_and_no_other() {
    let sim = sim(1);
    let api = widgets(&sim);
    sim.inject(Matching::writes().name("two"), 1, 1, Fault::Error(500, Phase::Before));
    sim.inject(Matching::writes().status(), 1, 2, Fault::Error(429, Phase::Before));
    sim.inject(Matching::any().caller("another"), 1, 1, Fault::Reset(Phase::Before));
    let made = api.create(&PUT, &behaviours::widget("one", 1)).await.unwrap();
    assert_eq!(code(api.create(&PUT, &behaviours::widget("two", 1)).await), 500);
    assert_eq!(code(api.replace_status("one", &PUT, &made).await), 429);
    api.replace("one", &PUT, &made).await.unwrap();
    let patch = Patch::Merge(json!({"status": {"seen": 1}}));
    assert_eq!(code(api.patch_status("one", &PatchParams::default(), &patch).await), 429);
    api.patch_status("one", &PatchParams::default(), &patch).await.unwrap();
    let another = behaviours::widgets(&sim.client_as("another"), "table");
    assert!(matches!(another.get("one").await.unwrap_err(), kube::Error::Service(_)));
    another.get("one").await.unwrap();
}

/// As for a name that ends in a hash.
#[tokio::test(start_paused = true)]
async fn a_fault_can_be_for_the_names_that_begin_so() {
    let sim = sim(1);
    let api = widgets(&sim);
    let sliced = || Matching::writes().resource("widgets").name_prefix("slice-");
    sim.inject(sliced().verb(Verb::Create), 2, 1, Fault::Error(500, Phase::Before));
    sim.inject(sliced().verb(Verb::Delete), 1, 1, Fault::Error(503, Phase::Before));
    for (name, refused) in [("other", false), ("slice-1f", false), ("a-slice-1f", false), ("slice-2e", true)] {
        assert_eq!(api.create(&PUT, &behaviours::widget(name, 1)).await.is_err(), refused, "{name}");
    }
    api.delete("other", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(api.delete("slice-1f", &DeleteParams::default()).await), 503);
    // A collection has no name.
    sim.inject(Matching::any().name_prefix("slice-"), 1, 1, Fault::Error(500, Phase::Before));
    api.list(&ListParams::default()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_ends_with_its_caller() {
    let sim = sim(1);
    let api = widgets(&sim);
    for (phase, stored) in [(Phase::Before, false), (Phase::After, true)] {
        sim.inject(Matching::writes(), 1, 1, Fault::Hang(phase));
        let new = behaviours::widget("hung", 1);
        let call = tokio::time::timeout(Duration::from_mins(1), api.create(&PUT, &new));
        assert!(call.await.is_err());
        assert_eq!(sim.get("widgets", "table", "hung").is_some(), stored);
    }
}

/// A crash is a call that never returns, on either side of its effect.
#[tokio::test(start_paused = true)]
async fn an_observer_sees_both_sides_of_every_call_and_decides() {
    let sim = sim(1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, looking) = (Arc::clone(&seen), sim.clone());
    sim.on_call(move |call: &Call, phase| {
        let stored = looking.get("widgets", "table", &call.name).is_some();
        log.lock().unwrap().push((phase, call.name.clone(), stored, call.outcome.map(|outcome| outcome.code)));
        match (call.name.as_str(), phase) {
            ("refused", Phase::Before) => Then::Fail(500),
            ("crashed", Phase::After) => Then::Hang,
            _ => Then::Go,
        }
    });
    let api = widgets(&sim);
    assert_eq!(code(api.create(&PUT, &behaviours::widget("refused", 1)).await), 500);
    let crashing = behaviours::widget("crashed", 1);
    assert!(tokio::time::timeout(Duration::from_secs(1), api.create(&PUT, &crashing)).await.is_err());
    sim.clear_observer();
    api.get("crashed").await.unwrap();
    let expected = [
        (Phase::Before, "refused".to_string(), false, None),
        (Phase::Before, "crashed".into(), false, None),
        (Phase::After, "crashed".into(), true, Some(201)),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_handed_the_body() {
    let sim = sim(1);
    sim.on_call(|call, _| {
        assert_eq!(call.body["spec"]["size"], 7);
        Then::Go
    });
    widgets(&sim).create(&PUT, &behaviours::widget("one", 7)).await.unwrap();
}

/// Two clients that race, a reflector, latency, faults: all in one trace.
async fn story(sim: &KubeSim) -> Vec<String> {
    sim.set_latency(Duration::from_millis(1), Duration::from_millis(40));
    sim.inject(Matching::writes(), 3, 2, Fault::Error(503, Phase::After));
    let writer = |caller: &'static str| async move {
        let api = behaviours::widgets(&sim.client_as(caller), "table");
        for round in 0..10 {
            let name = format!("w{}", round % 3);
            let Ok(Some(mut found)) = api.get_opt(&name).await else {
                let _ = api.create(&PUT, &behaviours::widget(&name, 0)).await;
                continue;
            };
            found.data["spec"]["size"] = round.into();
            found.annotations_mut().insert("by".into(), caller.into());
            // Who is late gets 409: that is the race.
            let _ = api.replace(&name, &PUT, &found).await;
        }
    };
    let client = sim.client_as("reader");
    let reader = async move {
        let store = reflector::store::Writer::new(widget_type());
        let api: Api<kube::core::DynamicObject> = Api::all_with(client, &widget_type());
        let events = watcher(api, watcher::Config::default()).default_backoff().reflect(store);
        let lines = events.map(|event| format!("{event:?}")).take_until(tokio::time::sleep(Duration::from_hours(2)));
        lines.collect::<Vec<_>>().await
    };
    let ((), (), seen) = tokio::join!(writer("left"), writer("right"), reader);
    let mut trace = sim.trace();
    trace.extend(seen);
    trace
}

#[tokio::test(start_paused = true)]
async fn one_seed_is_one_trace() {
    let first = story(&sim(7)).await;
    assert!(first.len() > 50, "only {} lines", first.len());
    assert!(first.iter().any(|line| line.contains("-> 409")), "nobody raced");
    fastrand::seed(1);
    let again = story(&sim(7)).await;
    assert_eq!(first, again);
    assert_ne!(first, story(&sim(8)).await);
}

#[tokio::test(start_paused = true)]
async fn uids_and_times_come_from_the_seed_and_the_virtual_clock() {
    let made = join_all([1, 1, 2].map(|seed| async move {
        let sim = sim(seed);
        tokio::time::advance(Duration::from_secs(90)).await;
        widgets(&sim).create(&PUT, &behaviours::widget("one", 1)).await.unwrap()
    }))
    .await;
    assert_eq!(made[0].uid(), made[1].uid());
    assert_ne!(made[0].uid(), made[2].uid());
    let sim = sim(3);
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!(sim.now().to_string(), "2026-01-01T00:01:30Z");
    let stamped = sim.apply(&widget("one", 1)).unwrap();
    assert_eq!(stamped["metadata"]["creationTimestamp"], "2026-01-01T00:01:30Z");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kind_or_path_is_not_found() {
    let sim = KubeSim::new(1);
    assert_eq!(code(widgets(&sim).get("one").await), 404);
    let version = sim.client().apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "33"));
    assert!(sim.apply(&widget("one", 1)).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_of_when_it_took_effect() {
    let sim = sim(1);
    sim.inject(Matching::any().verb(Verb::List), 1, 1, Fault::Late(Duration::from_secs(20)));
    let (start, api) = (Instant::now(), widgets(&sim));
    let act = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        sim.apply(&widget("one", 1)).unwrap();
    };
    let (listed, ()) = tokio::join!(names(&api), act);
    assert_eq!((listed.len(), start.elapsed().as_secs()), (0, 20));
}
