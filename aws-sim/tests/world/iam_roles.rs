//! Roles through IAM: their life, their tags, their names (aws-facts A.3, F).

use aws_sim::{Role, Trust, World};
use serde_json::{Value, json};

use crate::client::*;

const NAME: (&str, &str) = ("RoleName", "ptc");

fn trust() -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}}]})
    .to_string()
}

fn create(world: &mut World, keys: &Keys, more: &[(&str, &str)]) -> String {
    let trust = trust();
    let mut input = vec![NAME, ("AssumeRolePolicyDocument", trust.as_str())];
    input.extend_from_slice(more);
    in_iam(world, keys, "CreateRole", &input)
}

fn role(world: &World) -> Role {
    world.role(A, "ptc").unwrap()
}

#[test]
fn a_role_is_created_read_and_deleted() {
    let (mut world, a, b) = two_accounts();
    let tags = [("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "a @ b")];
    let more = [("Path", "/ops/ptc/"), ("Description", "d < e"), ("MaxSessionDuration", "7200")];
    let created = create(&mut world, &a, &[more.as_slice(), &tags].concat());
    for text in [created, in_iam(&mut world, &a, "GetRole", &[NAME])] {
        let member = |name: &str| xml(&text, name).unwrap();
        assert_eq!(member("Arn"), format!("arn:aws:iam::{A}:role/ops/ptc/ptc"));
        assert!(member("RoleId").starts_with("AROA"));
        assert_eq!((member("Path"), member("MaxSessionDuration")), ("/ops/ptc/".to_owned(), "7200".to_owned()));
        assert_eq!((member("Description"), member("Value")), ("d &lt; e".to_owned(), "a @ b".to_owned()));
        assert_eq!(member("CreateDate"), "2026-01-01T00:00:00Z");
        let document: Value = serde_json::from_str(&decoded(&member("AssumeRolePolicyDocument"))).unwrap();
        assert_eq!(document["Statement"][0]["Principal"]["Service"], "pullthroughcache.ecr.amazonaws.com");
        assert!(member("AssumeRolePolicyDocument").starts_with("%7B%22Version%22%3A%222012-10-17%22"));
    }
    let (status, code, message) = iam_refuses(&mut world, &b, "GetRole", &[NAME]);
    assert_eq!((status, code.as_str()), (404, "NoSuchEntity"));
    assert_eq!(message, "The role with name ptc cannot be found.");
    in_iam(&mut world, &a, "DeleteRole", &[NAME]);
    assert_eq!(iam_refuses(&mut world, &a, "DeleteRole", &[NAME]).0, 404);
}

/// aws-facts A.3.
#[test]
fn names_are_unique_ignoring_case_and_path() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &[]);
    let trust = trust();
    let input = [("RoleName", "PTC"), ("Path", "/x/"), ("AssumeRolePolicyDocument", trust.as_str())];
    let (status, code, message) = iam_refuses(&mut world, &a, "CreateRole", &input);
    assert_eq!((status, code.as_str()), (409, "EntityAlreadyExists"));
    assert_eq!(message, "Role with name PTC already exists.");
}

#[test]
fn bad_parameters_are_named() {
    let (mut world, a, _) = two_accounts();
    let long = "n".repeat(65);
    let trust = trust();
    let arn = format!("arn:aws:iam::{A}:role/x");
    for (member, value, code) in [
        ("RoleName", "a b", "ValidationError"),
        ("RoleName", long.as_str(), "ValidationError"),
        ("Path", "ops", "ValidationError"),
        ("Description", &"d".repeat(1_001), "ValidationError"),
        ("MaxSessionDuration", "3599", "ValidationError"),
        ("MaxSessionDuration", "43201", "ValidationError"),
        ("PermissionsBoundary", "short", "ValidationError"),
        ("PermissionsBoundary", arn.as_str(), "InvalidInput"),
        ("AssumeRolePolicyDocument", "{", "MalformedPolicyDocument"),
        ("Tags.member.1.Key", "only", "ValidationError"),
    ] {
        let mut input = vec![("RoleName", "new"), ("AssumeRolePolicyDocument", trust.as_str())];
        input.retain(|(name, _)| *name != member);
        input.push((member, value));
        let (status, got, text) = iam_refuses(&mut world, &a, "CreateRole", &input);
        assert_eq!((status, got.as_str()), (400, code), "{member} {value}: {text}");
    }
    assert!(iam_refuses(&mut world, &a, "CreateRole", &[NAME]).2.contains("assumeRolePolicyDocument"));
    assert_eq!(iam_refuses(&mut world, &a, "MakeCoffee", &[]).1, "InvalidAction");
    assert!(world.role(A, "new").is_none());
}

/// aws-facts A.3: "the default value of one hour is applied".
#[test]
fn an_update_without_a_duration_resets_it() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &[("MaxSessionDuration", "7200"), ("Description", "before")]);
    in_iam(&mut world, &a, "UpdateRole", &[NAME, ("Description", "after")]);
    assert_eq!((role(&world).max_session_seconds, role(&world).description.as_deref()), (3_600, Some("after")));
    in_iam(&mut world, &a, "UpdateRole", &[NAME, ("MaxSessionDuration", "43200")]);
    assert_eq!((role(&world).max_session_seconds, role(&world).description.as_deref()), (43_200, Some("after")));
}

/// aws-facts F.
#[test]
fn a_role_goes_when_nothing_hangs_on_it() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &[]);
    world.edit_role(A, "ptc", |role| {
        role.instance_profiles.insert("profile".to_owned());
        role.attached_policies.insert("arn:aws:iam::aws:policy/AdministratorAccess".to_owned());
        role.inline_policies.insert("p".to_owned(), "{}".to_owned());
        role.permissions_boundary = Some("any".to_owned());
    });
    let listed = in_iam(&mut world, &a, "ListInstanceProfilesForRole", &[NAME]);
    assert_eq!(xml(&listed, "InstanceProfileName").unwrap(), "profile");
    let conflict = |expected: &str, world: &mut World| {
        let (status, code, text) = iam_refuses(world, &a, "DeleteRole", &[NAME]);
        assert_eq!((status, code.as_str()), (409, "DeleteConflict"));
        assert_eq!(text, expected);
    };
    conflict("Cannot delete entity, must remove roles from instance profile first.", &mut world);
    world.edit_role(A, "ptc", |role| role.instance_profiles.clear());
    conflict("Cannot delete entity, must detach all policies first.", &mut world);
    world.edit_role(A, "ptc", |role| role.attached_policies.clear());
    conflict("Cannot delete entity, must delete policies first.", &mut world);
    world.edit_role(A, "ptc", |role| role.inline_policies.clear());
    in_iam(&mut world, &a, "DeleteRole", &[NAME]);
    assert!(world.role(A, "ptc").is_none());
}

/// aws-facts F: `UnmodifiableEntity`.
#[test]
fn a_services_role_is_not_to_be_changed() {
    let (mut world, a, _) = two_accounts();
    let rule = json!({"ecrRepositoryPrefix": "cache", "upstreamRegistryUrl": "quay.io"});
    done(&mut world, &a, "CreatePullThroughCacheRule", &rule);
    let name = ("RoleName", "AWSServiceRoleForECRPullThroughCache");
    in_iam(&mut world, &a, "GetRole", &[name]);
    let trust = trust();
    for (operation, more) in [
        ("DeleteRole", vec![]),
        ("UpdateRole", vec![]),
        ("TagRole", vec![("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "")]),
        ("UpdateAssumeRolePolicy", vec![("PolicyDocument", trust.as_str())]),
        ("PutRolePermissionsBoundary", vec![("PermissionsBoundary", "arn:aws:iam::aws:policy/AdministratorAccess")]),
    ] {
        let input = [vec![name], more].concat();
        let (status, code, _) = iam_refuses(&mut world, &a, operation, &input);
        assert_eq!((status, code.as_str()), (400, "UnmodifiableEntity"), "{operation}");
    }
}

/// aws-facts A.3: tags merge, and one bad tag fails the whole call.
#[test]
fn tags_merge_and_a_bad_one_fails_all() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &[]);
    let tag = |pairs: &[(&str, &str)], world: &mut World| {
        let keys: Vec<_> =
            (1..=pairs.len()).map(|n| (format!("Tags.member.{n}.Key"), format!("Tags.member.{n}.Value"))).collect();
        let both = keys.iter().zip(pairs).flat_map(|((k, v), pair)| [(k.as_str(), pair.0), (v.as_str(), pair.1)]);
        let input: Vec<_> = [NAME].into_iter().chain(both).collect();
        ask(world, iam(&a, "TagRole", &input)).code
    };
    assert_eq!(tag(&[("a", "1"), ("b", "")], &mut world), "");
    assert_eq!(tag(&[("A", "2"), ("c", "é /=+-@:")], &mut world), "");
    assert_eq!(tag(&[("d", "1"), ("aws:x", "1")], &mut world), "InvalidInput");
    assert_eq!(tag(&[("d", "1"), ("D", "1")], &mut world), "InvalidInput");
    assert_eq!(tag(&[("d", "1"), ("e?", "1")], &mut world), "ValidationError");
    let many: Vec<_> = (0..49).map(|n| format!("k{n}")).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), "")).collect();
    assert_eq!(tag(&many, &mut world), "LimitExceeded");
    let stored = role(&world).tags;
    assert_eq!(json!(stored), json!({"A": "2", "b": "", "c": "é /=+-@:"}));
    in_iam(&mut world, &a, "UntagRole", &[NAME, ("TagKeys.member.1", "B"), ("TagKeys.member.2", "none")]);
    let listed = in_iam(&mut world, &a, "ListRoleTags", &[NAME, ("MaxItems", "1")]);
    assert_eq!(
        (all_xml(&listed, "Key"), xml(&listed, "IsTruncated").unwrap()),
        (vec!["A".to_owned()], "true".to_owned())
    );
    let marker = xml(&listed, "Marker").unwrap();
    let rest = in_iam(&mut world, &a, "ListRoleTags", &[NAME, ("Marker", &marker)]);
    assert_eq!((all_xml(&rest, "Key"), xml(&rest, "IsTruncated").unwrap()), (vec!["c".to_owned()], "false".to_owned()));
    assert_eq!(iam_refuses(&mut world, &a, "UntagRole", &[NAME]).1, "ValidationError");
}

#[test]
fn writes_are_recorded_with_the_role_around_them() {
    let (mut world, a, _) = two_accounts();
    create(&mut world, &a, &[]);
    in_iam(&mut world, &a, "UpdateRole", &[NAME, ("Description", "new")]);
    in_iam(&mut world, &a, "GetRole", &[NAME]);
    in_iam(&mut world, &a, "DeleteRole", &[NAME]);
    let calls = world.calls();
    let brief: Vec<_> = calls.iter().map(|c| (c.service.as_str(), c.region.as_str(), c.is_write)).collect();
    let is = |is_write| ("iam", "aws-global", is_write);
    assert_eq!(brief, [is(true), is(true), is(false), is(true)]);
    assert!(calls.iter().all(|c| c.target.as_deref() == Some("role/ptc") && c.account.as_deref() == Some(A)));
    let parsed = |text: &Option<String>| text.as_deref().map(|t| serde_json::from_str::<Value>(t).unwrap());
    let write = |index: usize| calls[index].write.clone().unwrap();
    assert_eq!(write(0).before, None);
    assert_eq!(parsed(&write(0).after).unwrap()["name"], "ptc");
    assert_eq!(parsed(&write(1).sent).unwrap(), json!({"RoleName": "ptc", "Description": "new"}));
    assert_eq!(parsed(&write(1).before).unwrap()["description"], Value::Null);
    assert_eq!(parsed(&write(1).after).unwrap()["description"], "new");
    assert_eq!((write(3).sent, write(3).after), (None, None));
    assert!(calls[2].write.is_none());
}

#[test]
fn faults_throttling_and_stale_reads_reach_iam() {
    let (mut world, a, _) = two_accounts();
    world.inject(aws_sim::Fault::error(409, "ConcurrentModification", "m").of_service("iam").on("CreateRole").once());
    let trust = trust();
    let input = [NAME, ("AssumeRolePolicyDocument", trust.as_str())];
    assert_eq!(iam_refuses(&mut world, &a, "CreateRole", &input).1, "ConcurrentModification");
    create(&mut world, &a, &[]);
    in_iam(&mut world, &a, "UpdateRole", &[NAME, ("Description", "new")]);
    world.inject(aws_sim::Fault::stale_read().on("GetRole").once());
    assert_eq!(xml(&in_iam(&mut world, &a, "GetRole", &[NAME]), "Description"), None);
    world.inject(aws_sim::Fault::nothing_there().on("GetRole").once());
    assert_eq!(iam_refuses(&mut world, &a, "GetRole", &[NAME]).1, "NoSuchEntity");
    assert_eq!(xml(&in_iam(&mut world, &a, "GetRole", &[NAME]), "Description").unwrap(), "new");
    world.set_throttle(A, "aws-global", 0.1, 1);
    in_iam(&mut world, &a, "GetRole", &[NAME]);
    let (status, code, _) = iam_refuses(&mut world, &a, "GetRole", &[NAME]);
    assert_eq!((status, code.as_str()), (400, "Throttling"));
    assert_eq!(get(&mut world, &a).code, "RegistryPolicyNotFoundException", "ECR has a bucket of its own");
}

/// One truth about roles: what a control makes, IAM shows, and the other way round.
#[test]
fn controls_and_iam_share_their_roles() {
    let (mut world, a, _) = two_accounts();
    world.add_role(A, "ops/made", Trust::of([B]).with_external_id("id"));
    let text = in_iam(&mut world, &a, "GetRole", &[("RoleName", "made")]);
    let document: Value = serde_json::from_str(&decoded(&xml(&text, "AssumeRolePolicyDocument").unwrap())).unwrap();
    assert_eq!(document["Statement"][0]["Principal"]["AWS"], format!("arn:aws:iam::{B}:root"));
    assert_eq!(document["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "id");
    create(&mut world, &a, &[]);
    world.delete_role(A, "ptc");
    assert_eq!(iam_refuses(&mut world, &a, "GetRole", &[NAME]).0, 404);
}
