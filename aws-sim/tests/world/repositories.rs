//! Repositories: created, described, deleted (aws-facts A.1).

use serde_json::json;

use crate::client::*;

#[test]
fn a_repository_is_created_described_and_deleted() {
    let (mut world, a, _) = two_accounts();
    let created =
        done(&mut world, &a, "CreateRepository", &json!({"repositoryName": "team/app"}))["repository"].clone();
    assert_eq!(created["repositoryArn"], format!("arn:aws:ecr:{REGION}:{A}:repository/team/app"));
    assert_eq!(created["repositoryUri"], format!("{A}.dkr.ecr.{REGION}.amazonaws.com/team/app"));
    assert_eq!((&created["registryId"], &created["imageTagMutability"]), (&json!(A), &json!("MUTABLE")));
    assert!((created["createdAt"].as_f64().unwrap() - 1_767_225_600.0).abs() < 1.0);
    let named = json!({"repositoryNames": ["team/app"]});
    assert_eq!(done(&mut world, &a, "DescribeRepositories", &named)["repositories"], json!([created]));
    let gone = done(&mut world, &a, "DeleteRepository", &json!({"repositoryName": "team/app"}));
    assert_eq!(gone["repository"]["repositoryName"], "team/app");
    assert_eq!(done(&mut world, &a, "DescribeRepositories", &json!({})), json!({"repositories": []}));
}

#[test]
fn settings_are_kept() {
    let (mut world, a, _) = two_accounts();
    let input = json!({
        "repositoryName": "app", "imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": true},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "k"}, "tags": [{"Key": "team", "Value": "a"}],
    });
    let repository = done(&mut world, &a, "CreateRepository", &input)["repository"].clone();
    for member in ["imageTagMutability", "imageScanningConfiguration", "encryptionConfiguration"] {
        assert_eq!(repository[member], input[member], "{member}");
    }
}

#[test]
fn bad_names_settings_and_tags_are_refused() {
    let (mut world, a, _) = two_accounts();
    let long = "a".repeat(257);
    for name in ["a", "Upper", "a//b", "/a", "a/", "a b", long.as_str()] {
        let (code, text) = refused(&mut world, &a, "CreateRepository", &json!({"repositoryName": name}));
        assert_eq!(code, "InvalidParameterException", "{name}");
        assert!(text.starts_with("Invalid parameter at 'repositoryName'"), "{text}");
    }
    let with = |member: &str, value| {
        let mut input = json!({"repositoryName": "app"});
        input[member] = value;
        input
    };
    let many: Vec<_> = (0..51).map(|n| json!({"Key": format!("k{n}"), "Value": ""})).collect();
    for (input, code) in [
        (with("imageTagMutability", json!("SOMETIMES")), "InvalidParameterException"),
        (with("tags", json!([{"Key": "aws:x", "Value": ""}])), "InvalidTagParameterException"),
        (with("tags", json!(many)), "TooManyTagsException"),
        (with("registryId", json!("1")), "InvalidParameterException"),
    ] {
        assert_eq!(refused(&mut world, &a, "CreateRepository", &input).0, code, "{input}");
    }
    assert!(world.repositories(A, REGION).is_empty());
}

/// aws-facts A.1: the whole call fails.
#[test]
fn one_unknown_name_fails_the_whole_description() {
    let (mut world, a, _) = two_accounts();
    world.add_repository(A, REGION, "app");
    let (code, text) = refused(&mut world, &a, "DescribeRepositories", &json!({"repositoryNames": ["app", "nowhere"]}));
    assert_eq!(code, "RepositoryNotFoundException");
    assert_eq!(text, format!("The repository with name 'nowhere' does not exist in the registry with id '{A}'"));
    let (code, text) = refused(&mut world, &a, "CreateRepository", &json!({"repositoryName": "app"}));
    assert_eq!(code, "RepositoryAlreadyExistsException");
    assert_eq!(text, format!("The repository with name 'app' already exists in the registry with id '{A}'"));
    assert_eq!(
        refused(&mut world, &a, "DeleteRepository", &json!({"repositoryName": "nowhere"})).0,
        "RepositoryNotFoundException"
    );
}

#[test]
fn a_list_comes_in_pages() {
    let (mut world, a, _) = two_accounts();
    let names: Vec<String> = (0..205).map(|n| format!("app-{n:03}")).collect();
    for name in &names {
        world.add_repository(A, REGION, name);
    }
    for (size, pages) in [(None, 3), (Some(205), 1), (Some(100), 3), (Some(204), 2)] {
        let (mut seen, mut count, mut input) = (Vec::new(), 0, json!({"maxResults": size}));
        loop {
            let page = done(&mut world, &a, "DescribeRepositories", &input);
            seen.extend(column(&page["repositories"], "repositoryName"));
            count += 1;
            match page.get("nextToken") {
                Some(token) => input["nextToken"] = token.clone(),
                None => break,
            }
        }
        assert_eq!((&seen, count), (&names, pages), "{size:?}");
    }
    for bad in [json!({"maxResults": 0}), json!({"maxResults": 1001}), json!({"nextToken": "?"})] {
        assert_eq!(refused(&mut world, &a, "DescribeRepositories", &bad).0, "InvalidParameterException", "{bad}");
    }
    let both = json!({"repositoryNames": ["app-000"], "maxResults": 1});
    assert_eq!(refused(&mut world, &a, "DescribeRepositories", &both).0, "InvalidParameterException");
    for count in [0, 101] {
        let input = json!({"repositoryNames": vec!["app-000"; count]});
        assert_eq!(refused(&mut world, &a, "DescribeRepositories", &input).0, "InvalidParameterException");
    }
}

#[test]
fn a_repository_with_images_is_deleted_by_force_only() {
    let (mut world, a, _) = two_accounts();
    let digest = world.put_image(A, REGION, "app", "v1");
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    let (code, text) = refused(&mut world, &a, "DeleteRepository", &json!({"repositoryName": "app"}));
    assert_eq!(code, "RepositoryNotEmptyException");
    assert!(text.contains("still contains images"), "{text}");
    done(&mut world, &a, "DeleteRepository", &json!({"repositoryName": "app", "force": true}));
    assert!(world.repositories(A, REGION).is_empty());
}

/// aws-facts A.0, K.7: a `registryId` of another account needs that account's grant.
#[test]
fn another_accounts_registry_is_open_to_whom_its_policies_name() {
    let (mut world, a, b) = two_accounts();
    let input = json!({"repositoryName": "from-b", "registryId": A});
    let denied = call(&mut world, &b, "CreateRepository", &input);
    assert_eq!((denied.status, denied.code.as_str()), (403, "AccessDeniedException"));
    assert!(denied.message.contains("ecr:CreateRepository"), "{}", denied.message);
    put(&mut world, &a, &policy(&json!(B), &json!("ecr:CreateRepository")));
    assert_eq!(done(&mut world, &b, "CreateRepository", &input)["repository"]["registryId"], A);
    assert_eq!(world.repositories(A, REGION), ["from-b"]);
    assert!(world.repositories(B, REGION).is_empty());
    // Rules are nobody else's business, however open the registry (D.5), nor is the list of all repositories.
    put(&mut world, &a, &policy(&json!(B), &json!("ecr:*")));
    let rule = json!({"registryId": A, "ecrRepositoryPrefix": "theirs", "upstreamRegistryUrl": "quay.io"});
    for operation in ["DescribePullThroughCacheRules", "CreatePullThroughCacheRule", "DescribeRepositories"] {
        let denied = call(&mut world, &b, operation, &rule);
        assert_eq!((denied.status, denied.code.as_str()), (403, "AccessDeniedException"), "{operation}");
    }
    assert!(world.cache_prefixes(A, REGION).is_empty());
    assert_eq!(call(&mut world, &b, "DescribeRepositories", &json!({"registryId": B})).status, 200);
}
