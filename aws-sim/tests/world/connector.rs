//! The World in one process, on virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sim::{ConnectError, Connector, Fault, Phase, Then, World};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::client::*;

fn connected() -> (Connector, Keys) {
    let (world, a, _) = two_accounts();
    (Connector::new(world), a)
}

fn put_request(keys: &Keys) -> http::Request<bytes::Bytes> {
    ecr(keys, REGION, "PutRegistryPolicy", &json!({"policyText": replication()}))
}

fn stored(connector: &Connector) -> bool {
    connector.world(|world| world.policy_text(A, REGION)).is_some()
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_time_by_tokios_clock() {
    let (connector, keys) = connected();
    connector.world(|world| world.set_delay(seconds(3600), Duration::ZERO));
    let start = Instant::now();
    assert_eq!(connector.call(put_request(&keys)).await.unwrap().status(), 200);
    assert_eq!(start.elapsed(), seconds(3600));
    let call = connector.world(|world| world.calls()[0].clone());
    assert_eq!((call.at, call.outcome.as_str()), (Duration::ZERO, "ok"));
}

#[tokio::test(start_paused = true)]
async fn a_hang_pends_and_a_reset_fails() {
    let (connector, keys) = connected();
    connector.world(|world| world.inject(Fault::hang().once()));
    assert!(timeout(seconds(86_400), connector.call(put_request(&keys))).await.is_err());
    connector.world(|world| world.inject(Fault::reset().once()));
    assert_eq!(connector.call(put_request(&keys)).await.unwrap_err(), ConnectError);
    assert!(!stored(&connector));
}

/// aws-facts K.2: a Put that timed out may still land.
#[tokio::test(start_paused = true)]
async fn a_late_write_lands_although_its_caller_has_gone() {
    let (connector, keys) = connected();
    connector.world(|world| world.inject(Fault::delay(seconds(60)).once()));
    assert!(timeout(seconds(10), connector.call(put_request(&keys))).await.is_err());
    assert!(!stored(&connector));
    tokio::time::sleep(seconds(49)).await;
    assert!(!stored(&connector));
    tokio::time::sleep(seconds(1)).await;
    assert!(stored(&connector));
}

#[tokio::test(start_paused = true)]
async fn late_writes_land_in_the_order_of_their_times() {
    let (connector, keys) = connected();
    connector.world(|world| world.inject(Fault::delay(seconds(60)).once()));
    assert!(timeout(seconds(10), connector.call(put_request(&keys))).await.is_err());
    let delete = ecr(&keys, REGION, "DeleteRegistryPolicy", &json!({}));
    assert_eq!(connector.call(delete).await.unwrap().status(), 400);
    tokio::time::sleep(seconds(60)).await;
    assert!(stored(&connector), "the stale write wins");
}

#[tokio::test(start_paused = true)]
async fn the_observer_sees_every_call_before_and_after_its_effect() {
    let (connector, keys) = connected();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    connector.on_call(move |world, call, phase| {
        log.lock().unwrap().push((call.operation.clone(), phase, world.policy_text(A, REGION).is_some()));
        Then::GoOn
    });
    connector.call(put_request(&keys)).await.unwrap();
    connector.ignore_calls();
    connector.call(put_request(&keys)).await.unwrap();
    let put = "PutRegistryPolicy".to_owned();
    assert_eq!(*seen.lock().unwrap(), [(put.clone(), Phase::Before, false), (put, Phase::After, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_call_is_never_answered_and_has_its_effect_or_not() {
    for (stop_at, effect, outcome) in [(Phase::Before, false, "Lost"), (Phase::After, true, "ok")] {
        let (connector, keys) = connected();
        connector.on_call(move |_, _, phase| if phase == stop_at { Then::Stop } else { Then::GoOn });
        assert!(timeout(seconds(3600), connector.call(put_request(&keys))).await.is_err());
        connector.ignore_calls();
        assert_eq!(stored(&connector), effect);
        assert_eq!(connector.world(|world| world.calls()[0].outcome.clone()), outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_trace() {
    async fn run(seed: u64) -> String {
        let mut world = World::new(seed);
        let keys: Keys = world.access_key(A, "root").into();
        world.set_delay(Duration::from_millis(40), Duration::from_millis(80));
        world.inject(Fault::reset().with_probability(0.2));
        world.inject(Fault::delay(seconds(2)).with_probability(0.3));
        world.inject(Fault::error(500, "ServerException", "").with_probability(0.2).after_effect());
        let connector = Connector::new(world);
        for _ in 0..50 {
            let calls = (connector.call(put_request(&keys)), connector.call(sts(&keys, "GetCallerIdentity", &[])));
            let _both = tokio::join!(calls.0, calls.1);
        }
        connector.world(|world| serde_json::to_string(world.calls()).unwrap())
    }
    let first = run(5).await;
    assert_eq!(first, run(5).await);
    assert_ne!(first, run(6).await);
}
