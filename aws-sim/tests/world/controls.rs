//! The controls as data, and Worlds from files.

use aws_sim::{Control, Scope, WorldFile};
use serde_json::{Value, json};

use crate::client::*;

fn turn(world: &mut aws_sim::World, control: Value) -> Value {
    let control: Control = serde_json::from_value(control).unwrap();
    world.control(control)
}

#[test]
fn every_control_can_be_turned_by_json() {
    let (mut world, a, _) = two_accounts();
    let at = |control: &str| json!({"control": control, "account": A, "region": REGION});
    let with = |mut control: Value, member: &str, value: Value| {
        control[member] = value;
        control
    };
    turn(&mut world, with(at("put_policy"), "document", json!({"Statement": []})));
    assert_eq!(turn(&mut world, at("policy")), json!({"text": "{\"Statement\":[]}"}));
    turn(&mut world, at("delete_policy"));
    assert_eq!(turn(&mut world, at("policy")), json!({"text": null}));
    turn(&mut world, with(at("set_scope"), "scope", json!("V1")));
    assert_eq!(world.scope(A, REGION), Scope::V1);
    turn(&mut world, with(at("put_policy"), "text", json!(replication())));
    let question = json!({"control": "would", "principal": B, "action": "ecr:ReplicateImage", "repository": "app",
        "account": A, "region": REGION});
    assert_eq!(turn(&mut world, question)["allowed"], true);

    let role =
        turn(&mut world, json!({"control": "add_role", "account": B, "name": "r", "trust": {"principals": [A]}}));
    assert_eq!(assume(&mut world, &a, role["arn"].as_str().unwrap(), &[]).status, 200);
    turn(&mut world, json!({"control": "delete_role", "account": B, "name": "r"}));
    assert_eq!(assume(&mut world, &a, role["arn"].as_str().unwrap(), &[]).code, "AccessDenied");

    let fault = json!({"operation": "GetRegistryPolicy", "times": 1, "phase": "after",
        "effect": {"error": {"status": 500, "code": "ServerException", "message": "m"}}});
    let id = turn(&mut world, json!({"control": "inject", "fault": fault}))["id"].clone();
    assert_eq!(turn(&mut world, json!({"control": "faults"}))["faults"][0]["id"], id);
    assert_eq!(get(&mut world, &a).code, "ServerException");
    turn(&mut world, json!({"control": "inject", "fault": {"effect": "hang"}}));
    turn(&mut world, json!({"control": "clear_faults"}));
    assert_eq!(get(&mut world, &a).status, 200);
    turn(&mut world, json!({"control": "expire_key", "access_key_id": a.id}));
    assert_eq!(get(&mut world, &a).code, "ExpiredTokenException");
    turn(&mut world, json!({"control": "delete_access_key", "access_key_id": a.id}));
    assert_eq!(get(&mut world, &a).code, "UnrecognizedClientException");
    turn(&mut world, json!({"control": "revoke_sessions", "account": B, "name": "r"}));
    let calls = turn(&mut world, json!({"control": "calls", "since": 2}));
    assert_eq!(calls["calls"][0]["outcome"], "ServerException");
    assert!(calls["calls"][0]["at"].is_number());
}

#[test]
fn a_control_that_is_misspelt_is_refused() {
    for control in [
        json!({"control": "no_such"}),
        json!({"control": "policy", "account": A}),
        json!({"control": "inject", "fault": {"effect": "hang", "opration": "x"}}),
    ] {
        assert!(serde_json::from_value::<Control>(control.clone()).is_err(), "{control}");
    }
}

#[test]
fn a_world_file_sets_everything_up() {
    let file: WorldFile = serde_json::from_value(json!({
        "seed": 3,
        "unset_scope": "V1",
        "accounts": [
            {
                "id": A,
                "organization_id": "o-1",
                "users": ["alice"],
                "access_keys": [{"id": "AKIAHOME", "principal": "user/alice"}],
                "registries": [{"region": REGION, "scope": "V2",
                    "policy": serde_json::from_str::<Value>(&replication()).unwrap()}]
            },
            {
                "id": B,
                "roles": [{"name": "ops/member", "trust": {"principals": [A], "external_id": "xx"}}],
                "registries": [{"region": REGION, "policy": "not json", "replication_rules": [{"odd": 1}]}]
            }
        ]
    }))
    .unwrap();
    let mut world = file.build();
    let alice = Keys { id: "AKIAHOME".to_owned(), token: None };
    assert!(get(&mut world, &alice).text.contains(B));
    assert_eq!((world.scope(A, REGION), world.scope(B, REGION)), (Scope::V2, Scope::V1));
    let role = format!("arn:aws:iam::{B}:role/ops/member");
    let member = minted(&assume(&mut world, &alice, &role, &[("ExternalId", "xx")]));
    assert_eq!(get(&mut world, &member).json["policyText"], "not json");
    let rules = ask(&mut world, ecr(&member, REGION, "DescribeRegistry", &json!({})));
    assert_eq!(rules.json["replicationConfiguration"]["rules"][0]["odd"], 1);
    assert!(serde_json::from_value::<WorldFile>(json!({"accuonts": []})).is_err());
}
