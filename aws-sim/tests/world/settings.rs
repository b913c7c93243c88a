//! Account settings and the registry itself (aws-facts A.1, A.2).

use aws_sim::Scope;
use serde_json::json;

use crate::client::*;

fn scope(world: &mut aws_sim::World, keys: &Keys) -> Answer {
    ask(world, ecr(keys, REGION, "GetAccountSetting", &json!({"name": "REGISTRY_POLICY_SCOPE"})))
}

#[test]
fn the_scope_is_v2_unless_it_was_set_otherwise() {
    let (mut world, a, _) = two_accounts();
    assert_eq!(scope(&mut world, &a).json, json!({"name": "REGISTRY_POLICY_SCOPE", "value": "V2"}));
    world.set_unset_scope(Some(Scope::V1));
    assert_eq!(scope(&mut world, &a).json["value"], "V1");
    world.set_unset_scope(None);
    assert_eq!(scope(&mut world, &a).json, json!({"name": "REGISTRY_POLICY_SCOPE"}));
    assert_eq!(world.scope(A, REGION), Scope::V1);
    let input = json!({"name": "REGISTRY_POLICY_SCOPE", "value": "V2"});
    assert_eq!(ask(&mut world, ecr(&a, REGION, "PutAccountSetting", &input)).json, input);
    assert_eq!(scope(&mut world, &a).json["value"], "V2");
    let elsewhere = ecr(&a, "us-east-1", "GetAccountSetting", &json!({"name": "REGISTRY_POLICY_SCOPE"}));
    assert!(ask(&mut world, elsewhere).json["value"].is_null());
    let call = world.calls().iter().find(|c| c.is_write).unwrap();
    assert_eq!(call.write.as_ref().unwrap().after.as_deref(), Some("V2"));
}

#[test]
fn other_settings_and_values_are_checked() {
    let (mut world, a, _) = two_accounts();
    let mut ask_for = |operation: &str, input| ask(&mut world, ecr(&a, REGION, operation, &input));
    assert_eq!(ask_for("GetAccountSetting", json!({"name": "NO_SUCH"})).code, "InvalidParameterException");
    assert_eq!(ask_for("GetAccountSetting", json!({})).code, "InvalidParameterException");
    assert_eq!(ask_for("GetAccountSetting", json!({"name": "BLOB_MOUNTING"})).json["value"], "DISABLED");
    let mounting = |value: &str| json!({"name": "BLOB_MOUNTING", "value": value});
    assert_eq!(ask_for("PutAccountSetting", mounting("MAYBE")).code, "InvalidParameterException");
    assert_eq!(ask_for("PutAccountSetting", mounting("ENABLED")).status, 200);
    assert_eq!(ask_for("GetAccountSetting", json!({"name": "BLOB_MOUNTING"})).json["value"], "ENABLED");
    let back = json!({"name": "REGISTRY_POLICY_SCOPE", "value": "V1"});
    assert_eq!(ask_for("PutAccountSetting", back).code, "InvalidParameterException");
}

#[test]
fn the_registry_says_whose_it_is_and_what_it_replicates() {
    let (mut world, a, _) = two_accounts();
    let describe = ecr(&a, REGION, "DescribeRegistry", &json!({}));
    let empty = json!({"registryId": A, "replicationConfiguration": {"rules": []}});
    assert_eq!(ask(&mut world, describe).json, empty);
    let rule =
        json!({"destinations": [{"region": "eu-north-1", "registryId": B}], "deleteReplication": {"enabled": true}});
    world.set_replication_rules(A, REGION, vec![rule.clone()]);
    let described = ask(&mut world, ecr(&a, REGION, "DescribeRegistry", &json!({})));
    assert_eq!(described.json["replicationConfiguration"]["rules"], json!([rule]));
}
