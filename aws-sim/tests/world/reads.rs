//! What a stored policy looks like when it is read (aws-facts B.5).

use std::collections::BTreeSet;

use aws_sim::{Trust, World};
use serde_json::{Value, json};

use crate::client::*;

fn principals(answer: &Answer) -> Value {
    let document: Value = serde_json::from_str(answer.json["policyText"].as_str().unwrap()).unwrap();
    document["Statement"][0]["Principal"]["AWS"].clone()
}

#[test]
fn principals_change_their_order_from_read_to_read_and_nothing_else_does() {
    let (mut world, a, _) = two_accounts();
    let accounts: Vec<String> = (0..6).map(|n| format!("{n}").repeat(12)).collect();
    put(&mut world, &a, &policy(&json!(accounts), &json!(["ecr:ReplicateImage", "ecr:CreateRepository"])));
    let (mut orders, mut members, mut rest) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..20 {
        let answer = get(&mut world, &a);
        let text = answer.json["policyText"].as_str().unwrap().to_owned();
        let shown = principals(&answer).as_array().unwrap().clone();
        let mut sorted: Vec<String> = shown.iter().map(ToString::to_string).collect();
        rest.insert(sorted.iter().fold(text, |text, name| text.replace(name, "")));
        orders.insert(sorted.clone());
        sorted.sort();
        members.insert(sorted);
    }
    assert!(orders.len() > 5, "{}", orders.len());
    assert_eq!((members.len(), rest.len()), (1, 1));
}

#[test]
fn an_account_id_reads_back_as_the_root_of_the_regions_partition() {
    let (mut world, a, _) = two_accounts();
    put(&mut world, &a, &replication());
    assert_eq!(principals(&get(&mut world, &a)), format!("arn:aws:iam::{B}:root"));
    world.convert_account_ids(false);
    assert_eq!(principals(&get(&mut world, &a)), B);
    world.convert_account_ids(true);
    let request = ecr(&a, "us-gov-west-1", "PutRegistryPolicy", &json!({"policyText": replication()}));
    assert_eq!(principals(&ask(&mut world, request)), format!("arn:aws-us-gov:iam::{B}:root"));
}

#[test]
fn one_element_lists_read_back_as_scalars() {
    let (mut world, a, _) = two_accounts();
    put(&mut world, &a, &policy(&json!([B]), &json!(["ecr:ReplicateImage"])));
    let answer = get(&mut world, &a);
    let document: Value = serde_json::from_str(answer.json["policyText"].as_str().unwrap()).unwrap();
    assert_eq!(document["Statement"][0]["Action"], "ecr:ReplicateImage");
    assert!(principals(&answer).is_string());
    assert!(document["Statement"].is_array());
}

/// aws-facts B.5, K.10: a role of the same name is another principal.
#[test]
fn a_deleted_role_reads_back_as_its_id_even_when_its_name_is_taken_again() {
    let (mut world, a, _) = two_accounts();
    let role = world.add_role(A, "puller", Trust::default());
    put(&mut world, &a, &policy(&json!(role), &json!("ecr:BatchGetImage")));
    assert_eq!(principals(&get(&mut world, &a)), role.as_str());
    world.delete_role(A, "puller");
    let dead = principals(&get(&mut world, &a));
    assert!(dead.as_str().unwrap().starts_with("AROA"));
    world.add_role(A, "puller", Trust::default());
    assert_eq!(principals(&get(&mut world, &a)), dead);
    assert!(!world.would(&role, "ecr:BatchGetImage", "app", A, REGION).allowed);
    put(&mut world, &a, &policy(&json!(role), &json!("ecr:BatchGetImage")));
    assert_eq!(principals(&get(&mut world, &a)), role.as_str());
    assert!(world.would(&role, "ecr:BatchGetImage", "app", A, REGION).allowed);
}

#[test]
fn a_foreign_hand_stores_anything_and_leaves_no_call() {
    let (mut world, a, _) = two_accounts();
    world.put_policy(A, REGION, "not json");
    world.edit_policy(A, REGION, |text| text.map(|t| format!("{t} at all")));
    assert_eq!(world.calls().len(), 0);
    assert_eq!(get(&mut world, &a).json["policyText"], "not json at all");
    world.edit_policy(A, REGION, |_| None);
    assert_eq!(get(&mut world, &a).code, "RegistryPolicyNotFoundException");
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = |seed| {
        let mut world = World::new(seed);
        let keys = world.access_key(A, "root").into();
        let accounts: Vec<String> = (0..9).map(|n| format!("{n}").repeat(12)).collect();
        put(&mut world, &keys, &policy(&json!(accounts), &json!("ecr:ReplicateImage")));
        (0..5).map(|_| get(&mut world, &keys).text).collect::<Vec<_>>()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
