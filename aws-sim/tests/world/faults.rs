//! Faults, throttling, outages and delays.

use std::time::Duration;

use aws_sim::{Fault, Outage, Outcome, Trust, World};
use serde_json::json;

use crate::client::*;

const BUSY: &str = "ServerException";

fn busy() -> Fault {
    Fault::error(500, BUSY, "try again")
}

#[test]
fn an_error_before_the_effect_leaves_nothing_and_one_after_it_misleads() {
    let (mut world, a, _) = two_accounts();
    world.inject(busy().on("PutRegistryPolicy").once());
    let refused = put(&mut world, &a, &replication());
    assert_eq!((refused.status, refused.code.as_str(), refused.message.as_str()), (500, BUSY, "try again"));
    assert_eq!(world.policy_text(A, REGION), None);
    world.inject(busy().on("PutRegistryPolicy").after_effect().once());
    assert_eq!(put(&mut world, &a, &replication()).code, BUSY);
    assert_eq!(world.policy_text(A, REGION), Some(replication()));
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
    let seen: Vec<_> = world.calls().iter().map(|c| (c.outcome.as_str(), c.took_effect)).collect();
    assert_eq!(seen, [(BUSY, false), (BUSY, true), ("ok", true)]);
}

#[test]
fn a_fault_strikes_only_what_it_names() {
    let (mut world, a, b) = two_accounts();
    let id = world.inject(busy().of_service("ecr").on("GetRegistryPolicy").in_account(A).in_region(REGION).on_reads());
    assert_eq!(get(&mut world, &a).code, BUSY);
    assert_eq!(get(&mut world, &b).code, "RegistryPolicyNotFoundException");
    let elsewhere = ask(&mut world, ecr(&a, "us-east-1", "GetRegistryPolicy", &json!({})));
    assert_eq!(elsewhere.code, "RegistryPolicyNotFoundException");
    assert_eq!(ask(&mut world, sts(&a, "GetCallerIdentity", &[])).status, 200);
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
    world.lift(id);
    assert_eq!(get(&mut world, &a).status, 200);
    world.inject(busy().on_writes());
    assert_eq!(get(&mut world, &a).status, 200);
    assert_eq!(put(&mut world, &a, &replication()).code, BUSY);
    world.clear_faults();
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
}

#[test]
fn a_fault_counts_its_calls() {
    let (mut world, a, _) = two_accounts();
    world.inject(busy().skipping(2).times(2));
    let codes: Vec<_> = (0..6).map(|_| get(&mut world, &a).code == BUSY).collect();
    assert_eq!(codes, [false, false, true, true, false, false]);
    assert!(world.faults().is_empty());
}

#[test]
fn chance_follows_the_seed() {
    let run = |seed| {
        let mut world = World::new(seed);
        let keys = world.access_key(A, "root").into();
        world.inject(busy().with_probability(0.5));
        (0..40).map(|_| get(&mut world, &keys).code == BUSY).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let struck = run(1).into_iter().filter(|s| *s).count();
    assert!((5..35).contains(&struck), "{struck}");
}

#[test]
fn resets_and_hangs_come_before_or_after_the_effect() {
    let (mut world, a, _) = two_accounts();
    let request = || ecr(&a, REGION, "PutRegistryPolicy", &json!({"policyText": replication()}));
    for (fault, is_reset, effect) in [
        (Fault::reset(), true, false),
        (Fault::hang(), false, false),
        (Fault::reset().after_effect(), true, true),
        (Fault::hang().after_effect(), false, true),
    ] {
        world.delete_policy(A, REGION);
        world.inject(fault.once());
        let outcome = reply(&mut world, request()).outcome;
        assert!(matches!((&outcome, is_reset), (Outcome::Reset, true) | (Outcome::Hang, false)), "{outcome:?}");
        assert_eq!(world.policy_text(A, REGION).is_some(), effect);
    }
}

/// aws-facts K.3.
#[test]
fn a_stale_read_shows_the_state_before_or_none_at_all() {
    let (mut world, a, _) = two_accounts();
    let second = policy(&json!(B), &json!("ecr:CreateRepository"));
    put(&mut world, &a, &replication());
    put(&mut world, &a, &second);
    world.inject(Fault::stale_read().on("GetRegistryPolicy").once());
    assert!(get(&mut world, &a).text.contains("ReplicateImage"));
    world.inject(Fault::nothing_there().on("GetRegistryPolicy").once());
    assert_eq!(get(&mut world, &a).code, "RegistryPolicyNotFoundException");
    assert!(get(&mut world, &a).text.contains("CreateRepository"));
    world.inject(Fault::stale_read().once());
    assert_eq!(put(&mut world, &a, &replication()).status, 200);
    assert_eq!(world.policy_text(A, REGION), Some(replication()));
}

#[test]
fn calls_beyond_the_rate_are_throttled_until_the_bucket_refills() {
    let (mut world, a, b) = two_accounts();
    world.set_throttle(A, REGION, 0.5, 2);
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(get(&mut world, &a));
    }
    assert_eq!((codes[2].status, codes[2].code.as_str()), (400, "ThrottlingException"));
    assert_ne!(codes[1].code, "ThrottlingException");
    assert_ne!(get(&mut world, &b).code, "ThrottlingException");
    world.advance(seconds(1));
    assert_eq!(get(&mut world, &a).code, "ThrottlingException");
    world.advance(seconds(2));
    assert_ne!(get(&mut world, &a).code, "ThrottlingException");
    world.clear_throttle(A, REGION);
    assert_ne!(get(&mut world, &a).code, "ThrottlingException");
}

#[test]
fn an_account_out_of_reach_takes_the_way_into_it_along() {
    let (mut world, a, b) = two_accounts();
    let role = world.add_role(B, "member", Trust::of([A]));
    let outcome = |world: &mut World, request| reply(world, request).outcome;
    let into = || sts(&a, "AssumeRole", &[("RoleArn", &role), ("RoleSessionName", "test")]);
    let inside = || ecr(&b, REGION, "GetRegistryPolicy", &json!({}));
    world.set_outage(B, Some(Outage::Reset));
    assert!(matches!(outcome(&mut world, inside()), Outcome::Reset));
    assert!(matches!(outcome(&mut world, into()), Outcome::Reset));
    assert_eq!(get(&mut world, &a).status, 400);
    world.set_outage(B, Some(Outage::Hang));
    assert!(matches!(outcome(&mut world, inside()), Outcome::Hang));
    world.set_outage(B, None);
    assert!(matches!(outcome(&mut world, into()), Outcome::Response(_)));
}

#[test]
fn delays_add_up() {
    let (mut world, a, _) = two_accounts();
    let ms = Duration::from_millis;
    world.set_delay(ms(50), ms(0));
    world.inject(Fault::delay(ms(100)));
    world.inject(Fault::delay(ms(1000)).after_effect());
    world.inject(busy());
    let answer = reply(&mut world, ecr(&a, REGION, "GetRegistryPolicy", &json!({})));
    assert_eq!(answer.after, ms(1150));
    world.clear_faults();
    world.set_delay(ms(50), ms(10));
    for _ in 0..20 {
        let after = reply(&mut world, ecr(&a, REGION, "GetRegistryPolicy", &json!({}))).after;
        assert!((ms(50)..ms(61)).contains(&after), "{after:?}");
    }
}
