//! The controls of caches, roles and secrets as data, as they come over HTTP.

use aws_sim::{Control, World, WorldFile};
use serde_json::{Value, json};

use crate::client::*;

fn turn(world: &mut World, control: &str, mut fields: Value) -> Value {
    fields["control"] = json!(control);
    let control: Control = serde_json::from_value(fields).unwrap();
    world.control(control)
}

fn at(more: &Value) -> Value {
    let mut fields = json!({"account": A, "region": REGION});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

/// The five steps of aws-facts D.6, by controls alone.
#[test]
fn a_cross_account_cache_is_set_up_over_the_wire() {
    let (mut world, _, _) = two_accounts();
    let w = &mut world;
    let ask = |w: &mut World| {
        turn(w, "would_pull_through", at(&json!({"puller": B, "repository": "cache/app"})))["allowed"].clone()
    };
    let arn = turn(w, "add_role", json!({"account": A, "name": "ptc/cache"}))["arn"].clone();
    let of_role = |more: Value| {
        let mut fields = json!({"account": A, "role": "cache"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}}});
    turn(w, "set_trust_document", of_role(json!({"document": trust})));
    let allow = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}});
    turn(w, "put_role_policy", of_role(json!({"name": "p", "document": allow})));
    let host = format!("{B}.dkr.ecr.{REGION}.amazonaws.com");
    let rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": host, "customRoleArn": arn});
    turn(w, "put_cache_rule", at(&json!({"rule": rule})));
    turn(w, "put_policy", at(&json!({"text": policy(&json!(B), &json!("ecr:*"))})));
    assert_eq!(ask(w), false);
    turn(w, "add_repository", json!({"account": B, "region": REGION, "name": "app"}));
    let grant = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "ecr:*"}});
    let on_repository = json!({"account": B, "region": REGION, "name": "app", "document": grant});
    turn(w, "put_repository_policy", on_repository.clone());
    assert_eq!(ask(w), true);
    let shown = turn(w, "repository_policy", json!({"account": B, "region": REGION, "name": "app"}));
    assert_eq!(shown["text"], grant.to_string());
    let boundary = turn(w, "add_managed_policy", json!({"account": A, "name": "b", "document": allow}))["arn"].clone();
    turn(w, "set_role_boundary", of_role(json!({"arn": boundary})));
    assert_eq!(ask(w), true);
    turn(w, "delete_managed_policy", json!({"account": A, "name": "b"}));
    assert_eq!(ask(w), false);
    turn(w, "set_role_boundary", of_role(json!({"arn": null})));
    turn(w, "put_role_policy", of_role(json!({"name": "p"})));
    assert_eq!(ask(w), false);
    turn(w, "attach_role_policy", of_role(json!({"arn": "arn:aws:iam::aws:policy/AdministratorAccess"})));
    assert_eq!(ask(w), true);
    let condition = json!({"StringEquals": {"aws:SourceAccount": A}});
    let mut confined = trust.clone();
    confined["Statement"]["Condition"] = condition;
    turn(w, "set_trust_document", of_role(json!({"document": confined})));
    assert_eq!(ask(w), false);
    turn(w, "send_source_account", json!({"sends": true}));
    assert_eq!(ask(w), true);
    turn(w, "detach_role_policy", of_role(json!({"arn": "arn:aws:iam::aws:policy/AdministratorAccess"})));
    assert_eq!(ask(w), false);
    turn(w, "delete_cache_rule", at(&json!({"prefix": "cache"})));
    assert_eq!(turn(w, "cache_rule", at(&json!({"prefix": "cache"}))), json!({"rule": null}));
}

#[test]
fn rules_repositories_roles_and_secrets_are_read_and_changed() {
    let (mut world, a, _) = two_accounts();
    let w = &mut world;
    let digest = turn(w, "put_image", at(&json!({"name": "app", "tag": "v1"})))["digest"].clone();
    assert!(digest.as_str().unwrap().starts_with("sha256:"));
    assert_eq!(turn(w, "repositories", at(&json!({}))), json!({"repositories": ["app"]}));
    turn(w, "delete_repository", at(&json!({"name": "app"})));
    assert_eq!(turn(w, "repositories", at(&json!({}))), json!({"repositories": []}));
    let rule = json!({"ecrRepositoryPrefix": "q", "upstreamRegistryUrl": "quay.io"});
    turn(w, "put_cache_rule", at(&json!({"rule": rule})));
    assert_eq!(turn(w, "cache_rules", at(&json!({}))), json!({"prefixes": ["q"]}));
    assert_eq!(turn(w, "cache_rule", at(&json!({"prefix": "q"})))["rule"]["upstreamRegistry"], "quay");

    turn(w, "add_role", json!({"account": A, "name": "r"}));
    let of_role = |more: Value| {
        let mut fields = json!({"account": A, "role": "r"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    turn(w, "tag_role", of_role(json!({"tags": {"a": "1", "b": "2"}})));
    turn(w, "tag_role", of_role(json!({"tags": {"a": null, "b": "3"}})));
    turn(w, "set_instance_profile", of_role(json!({"name": "p", "contains": true})));
    let shown = turn(w, "role", of_role(json!({})))["role"].clone();
    assert_eq!((&shown["tags"], &shown["instance_profiles"]), (&json!({"b": "3"}), &json!(["p"])));
    turn(w, "set_instance_profile", of_role(json!({"name": "p", "contains": false})));
    assert_eq!(turn(w, "role", of_role(json!({})))["role"]["instance_profiles"], json!([]));
    assert_eq!(turn(w, "role", json!({"account": A, "role": "nobody"})), json!({"role": null}));

    let secret = json!({"name": "ecr-pullthroughcache/hub"});
    let of_secret = |mut fields: Value, name: &str, value: Value| {
        fields[name] = value;
        at(&fields)
    };
    let arn = turn(w, "create_secret", at(&secret))["arn"].clone();
    let rule = json!({"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "ghcr.io", "credentialArn": arn});
    turn(w, "put_cache_rule", at(&json!({"rule": rule})));
    let valid = |w: &mut World| {
        done(w, &a, "ValidatePullThroughCacheRule", &json!({"ecrRepositoryPrefix": "hub"}))["isValid"].clone()
    };
    assert_eq!(valid(w), true);
    turn(w, "set_secret_opens", of_secret(secret.clone(), "opens", json!(false)));
    assert_eq!(valid(w), false);
    turn(w, "set_secret_opens", of_secret(secret.clone(), "opens", json!(true)));
    turn(w, "set_secret_key", of_secret(secret.clone(), "kms_key_id", json!("k")));
    assert_eq!(valid(w), false);
    turn(w, "set_secret_key", of_secret(secret.clone(), "kms_key_id", json!(null)));
    assert_eq!(valid(w), true);
    turn(w, "schedule_secret_deletion", at(&secret));
    assert_eq!(valid(w), false);
    turn(w, "delete_secret", at(&secret));
    assert_eq!(valid(w), false);

    let throttle = at(&json!({"operation": "DescribeRepositories", "per_second": 0.1, "burst": 1}));
    turn(w, "set_throttle", throttle);
    done(w, &a, "DescribeRepositories", &json!({}));
    assert_eq!(refused(w, &a, "DescribeRepositories", &json!({})).0, "ThrottlingException");
    done(w, &a, "DescribePullThroughCacheRules", &json!({}));
}

#[test]
fn a_misspelt_field_is_told_apart_from_a_misspelt_control() {
    let read = |fields: Value| serde_json::from_value::<Control>(fields).unwrap_err().to_string();
    assert!(read(json!({"control": "role", "account": A, "name": "x"})).contains("unknown field `name`"));
    assert!(read(json!({"control": "rolle"})).contains("there is no control `rolle`"));
    assert!(read(json!({"control": "set_scope", "account": A, "region": REGION, "scope": "V3"})).contains("V3"));
}

#[test]
fn a_world_file_holds_caches_roles_and_secrets() {
    let allow = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}});
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}}});
    let boundary = format!("arn:aws:iam::{A}:policy/boundary");
    let role = format!("arn:aws:iam::{A}:role/ptc");
    let host = format!("{B}.dkr.ecr.{REGION}.amazonaws.com");
    let file: WorldFile = serde_json::from_value(json!({
        "propagation_ms": 2000,
        "accounts": [
            {
                "id": A,
                "managed_policies": {"boundary": allow},
                "roles": [{"name": "ptc", "trust_document": trust, "inline_policies": {"p": allow},
                    "attached_policies": ["arn:aws:iam::aws:policy/AdministratorAccess"],
                    "permissions_boundary": boundary, "tags": {"k": "v"}}],
                "registries": [{
                    "region": REGION,
                    "policy": policy(&json!(A), &json!("ecr:*")),
                    "cache_rules": [{"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": host, "customRoleArn": role}],
                    "secrets": [{"name": "ecr-pullthroughcache/a", "kms_key_id": "k", "opens": false}],
                }]
            },
            {
                "id": B,
                "registries": [{"region": REGION, "repositories": [
                    {"name": "app", "policy": {"Statement": {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "ecr:*"}},
                        "images": ["v1", "v2"]},
                ]}]
            }
        ]
    }))
    .unwrap();
    let mut world = file.build();
    let decision = world.would_pull_through(A, "cache/app", A, REGION);
    assert!(decision.allowed, "{}", decision.because);
    let stored = world.role(A, "ptc").unwrap();
    assert_eq!(
        (stored.permissions_boundary, stored.tags.len(), stored.attached_policies.len()),
        (Some(boundary), 1, 1)
    );
    assert_eq!(world.repositories(B, REGION), ["app"]);
    let a: Keys = world.access_key(A, "root").into();
    let described =
        ask(&mut world, secrets(&a, REGION, "DescribeSecret", &json!({"SecretId": "ecr-pullthroughcache/a"})));
    assert_eq!(described.json["KmsKeyId"], "k");
    // The delay holds for what comes after the file.
    world.add_role(A, "young", aws_sim::Trust::of([A]));
    let young = format!("arn:aws:iam::{A}:role/young");
    assert_eq!(assume(&mut world, &a, &young, &[]).code, "AccessDenied");
}
