//! Roles that are there already: taken over only if somebody said so, and never from another object (behaviours 28, 35).

use super::*;

const NAME: &str = "mirror-role";
const TAGS: &str = "ecr-permissions.dev/";

/// The object, with a role of this name, and so much leave to adopt.
fn named(adoption: Option<&str>) -> Value {
    let object = with(mirror(), "/spec/roleName", &json!(NAME));
    with(object, "/spec/adoption", &json!(adoption))
}

fn stored(lab: &Lab) -> Role {
    lab.aws.world(|world| world.role(A, NAME)).unwrap()
}

/// Somebody made the role in the operator's path, with a boundary and documents of his own.
fn put_role(lab: &Lab, name: &str, change: impl FnOnce(&mut Role)) -> Role {
    let path = format!("ecr-operator/{}/ptc/{name}", lab.installation());
    lab.aws.world(|world| {
        world.add_role(A, &path, Trust::of([A]));
        world.edit_role(A, name, |role| {
            role.permissions_boundary = Some(boundary_arn());
            change(role);
        });
        world.role(A, name).unwrap()
    })
}

/// The documents that the operator would write.
fn same(role: &mut Role) {
    let service = "pullthroughcache.ecr.amazonaws.com";
    role.trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})
    .to_string();
    let actions = [
        "GetAuthorizationToken",
        "BatchGetImage",
        "GetDownloadUrlForLayer",
        "BatchImportUpstreamImage",
        "GetImageCopyStatus",
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "PutImage",
    ];
    let actions = actions.map(|action| format!("ecr:{action}"));
    let policy =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]});
    role.inline_policies.insert(POLICY.to_owned(), policy.to_string());
}

fn tags_of_ours(role: &Role) -> usize {
    role.tags.keys().filter(|key| key.starts_with(TAGS)).count()
}

/// Behaviour 28: a role that is not ours is not touched, is not granted to, and does not go with the object, whoever chose
/// its name; the cure is told.
#[test]
fn a_role_of_others_is_left_alone() {
    for (seed, is_same, adoption) in [(1_160, false, None), (1_161, true, None), (1_162, false, Some("IfIdentical"))] {
        run(seed, async |lab| {
            two_registries(lab);
            let theirs = put_role(lab, NAME, |role| {
                if is_same {
                    same(role);
                }
            });
            let since = mark(lab);
            lab.apply(&named(adoption));
            until_reason(lab, "RoleConflict").await;
            for word in [NAME, "spec.roleName", "spec.adoption"] {
                assert!(message(lab).contains(word), "{word} is not said: {}", message(lab));
            }
            lab.assert_at_rest().await;
            assert_eq!((stored(lab), granted(lab)), (theirs.clone(), Vec::new()));
            delete_role(lab);
            until_role_gone(lab).await;
            lab.assert_at_rest().await;
            assert_eq!((stored(lab), granted(lab)), (theirs, Vec::new()));
            assert_eq!(writes_since(lab, since), NO_WRITES);
        });
    }
}

/// Behaviour 28: an identical one is adopted by tags alone, and stays when its object goes.
#[test]
fn an_identical_role_is_adopted_and_stays() {
    run(1_163, async |lab| {
        two_registries(lab);
        let theirs = put_role(lab, NAME, same);
        lab.rules.role_to_adopt(NAME);
        let since = mark(lab);
        lab.apply(&named(Some("IfIdentical")));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let writes = writes_since(lab, since);
        assert_eq!(writes.iter().filter(|operation| operation.contains("Role")).collect::<Vec<_>>(), ["TagRole"]);
        assert_eq!((tags_of_ours(&stored(lab)), stored(lab).id), (4, theirs.id.clone()));
        assert_eq!(granted(lab), ["base/*"]);
        lab.assert_at_rest().await;
        delete_role(lab);
        until_role_gone(lab).await;
        assert_eq!((stored(lab), granted(lab)), (theirs, Vec::new()), "as it was");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 28: whatever it is, if both say `Always`; what is theirs on it stays. It is left as nobody's when the object
/// goes; written down, the deletion takes it along, but not what others hang on it.
#[test]
fn any_role_is_adopted_with_always_and_goes_if_it_is_told_to() {
    for (seed, owns) in [(1_164, true), (1_176, false)] {
        run(seed, async |lab| {
            two_registries(lab);
            let theirs =
                put_role(lab, NAME, |role| drop(role.inline_policies.insert("theirs".to_owned(), EMPTY.to_owned())));
            lab.rules.role_to_adopt(NAME);
            let policy = if owns { json!("Delete") } else { Value::Null };
            lab.apply(&with(named(Some("Always")), "/spec/deletionPolicy", &policy));
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            let adopted = stored(lab);
            assert_eq!((adopted.id == theirs.id, adopted.trust == theirs.trust), (true, false));
            assert_eq!((adopted.inline_policies["theirs"].as_str(), tags_of_ours(&adopted)), (EMPTY, 4));
            assert!(adopted.inline_policies.contains_key(POLICY));
            lab.assert_at_rest().await;
            delete_role(lab);
            if owns {
                lab.until("their policy is named", |lab| {
                    lab.has_reason(ROLES, "team-a", "mirror", "DeletionBlocked") && message(lab).contains("theirs.")
                })
                .await;
                lab.aws.world(|world| world.edit_role(A, NAME, |role| drop(role.inline_policies.remove("theirs"))));
                lab.pass(LONG).await;
            }
            until_role_gone(lab).await;
            let left = lab.aws.world(|world| world.role(A, NAME));
            assert_eq!((left.is_some(), granted(lab)), (!owns, Vec::new()));
            assert!(left.is_none_or(|role| role.tags.is_empty()), "it is nobody's again");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: the Registry's `allow` bounds what an object may adopt; withdrawn, what was adopted is kept as it is.
#[test]
fn adoption_needs_the_registrys_leave() {
    for (seed, allowed) in [(1_165, json!("IfIdentical")), (1_166, Value::Null)] {
        run(seed, async |lab| {
            two_registries(lab);
            let theirs = put_role(lab, NAME, |_| ());
            set_registry(lab, "default", "allow", &json!([with(allow_all(), "/adoption", &allowed)]));
            lab.apply(&named(Some("Always")));
            until_reason(lab, "NotAllowed").await;
            lab.assert_at_rest().await;
            assert_eq!((stored(lab), granted(lab)), (theirs, Vec::new()));
        });
    }
}

/// Behaviour 28: without the boundary it is not touched, even with `Always`; with it, it is adopted.
#[test]
fn a_role_without_the_boundary_is_not_adopted() {
    for (seed, other) in [(1_167, None), (1_168, Some(format!("arn:aws:iam::{A}:policy/other")))] {
        run(seed, async |lab| {
            two_registries(lab);
            lab.aws.world(|world| world.add_managed_policy(A, "other", EMPTY));
            let theirs = put_role(lab, NAME, |role| role.permissions_boundary = other);
            lab.apply(&named(Some("Always")));
            until_reason(lab, "BoundaryMissing").await;
            assert!(message(lab).contains("put-role-permissions-boundary"), "{}", message(lab));
            lab.assert_at_rest().await;
            assert_eq!((stored(lab), granted(lab)), (theirs, Vec::new()));
            lab.rules.role_to_adopt(NAME);
            lab.aws.world(|world| {
                world.edit_role(A, NAME, |role| role.permissions_boundary = Some(boundary_arn()));
            });
            lab.pass(INTERVAL).await;
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 35: tags of another object, or of another cluster: not even `Always` takes it.
#[test]
fn a_role_with_the_tags_of_another_is_never_taken() {
    for (seed, is_ours) in [(1_169, true), (1_170, false)] {
        run(seed, async |lab| {
            two_registries(lab);
            let installation = if is_ours { lab.installation().to_string() } else { "abcdefghij".to_owned() };
            let theirs = put_role(lab, NAME, |role| {
                same(role);
                for (key, value) in [
                    ("installation", installation.as_str()),
                    ("kind", "CrossAccountPtcRole"),
                    ("namespace", if is_ours { "team-b" } else { "team-a" }),
                    ("name", "mirror"),
                ] {
                    role.tags.insert(format!("{TAGS}{key}"), value.to_owned());
                }
            });
            lab.apply(&named(Some("Always")));
            until_reason(lab, "RoleConflict").await;
            assert!(message(lab).contains("tags of another object"), "{}", message(lab));
            lab.settle().await;
            lab.pass(INTERVAL).await;
            assert_eq!((stored(lab), granted(lab)), (theirs, Vec::new()));
            delete_role(lab);
            until_role_gone(lab).await;
        });
    }
}

/// Behaviour 35: somebody makes a role by the name that the object's would get, to be granted to. It is not: a name proves
/// nothing, nor do the tags of another object.
#[test]
fn a_squatter_on_the_generated_name_gets_nothing() {
    for (seed, had_one, is_in_path, marked) in [
        (1_171, true, true, None),
        (1_172, true, false, None),
        (1_177, false, true, None),
        (1_178, false, true, Some(("team-b", "mirror"))),
        (1_179, false, true, Some(("team-a", "other"))),
    ] {
        run(seed, async |lab| {
            two_registries(lab);
            let installation = lab.installation();
            let name = installation.role_name("team-a", "mirror");
            if had_one {
                lab.apply(&mirror());
                lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
                assert_eq!(our_role(lab).unwrap().name, name);
                delete_role(lab);
                until_role_gone(lab).await;
            }
            if is_in_path {
                put_role(lab, &name, same);
            } else {
                lab.aws.world(|world| world.add_role(A, &name, Trust::of([B])));
            }
            if let Some((namespace, object)) = marked {
                lab.rules.marked_by_others(&name);
                edit_role(lab, |role| role.tags = installation.role_tags(namespace, object));
            }
            let (since, squatter) = (mark(lab), our_role(lab));
            lab.apply(&mirror());
            until_reason(lab, "RoleConflict").await;
            lab.assert_at_rest().await;
            delete_role(lab);
            until_role_gone(lab).await;
            lab.assert_at_rest().await;
            assert_eq!((our_role(lab), granted(lab)), (squatter, Vec::new()));
            assert_eq!(writes_since(lab, since), NO_WRITES);
            // It goes, and the object gets what it asked for.
            lab.apply(&mirror());
            until_reason(lab, "RoleConflict").await;
            lab.aws.world(|world| world.delete_role(A, &name));
            lab.pass(INTERVAL).await;
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            lab.assert_at_rest().await;
            assert_eq!(our_role(lab).unwrap().tags, installation.role_tags("team-a", "mirror"));
        });
    }
}

/// Behaviours 28, 29 and 35: somebody deletes our role and makes his own of its name: the grant is by name and reaches it, so it
/// goes, and the object says why.
#[test]
fn a_role_that_somebody_put_in_place_of_ours_loses_the_grant() {
    run(1_173, async |lab| {
        two_registries(lab);
        lab.apply(&mirror());
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let ours = our_role(lab).unwrap();
        lab.aws.world(|world| {
            world.delete_role(A, &ours.name);
            world.add_role(A, &format!("{}{}", ours.path.trim_start_matches('/'), ours.name), Trust::of([B]));
        });
        let theirs = our_role(lab);
        lab.pass(INTERVAL).await;
        until_reason(lab, "RoleConflict").await;
        lab.pass(INTERVAL).await;
        lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
        lab.assert_at_rest().await;
        assert_eq!(our_role(lab), theirs);
    });
}

/// Two objects with one name for their role: who had it first keeps it, and the other is told.
#[test]
fn two_objects_do_not_share_a_role() {
    run(1_174, async |lab| {
        two_registries(lab);
        lab.apply(&named(None));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let first = stored(lab);
        lab.apply(&with(named(Some("Always")), "/metadata/namespace", &json!("team-b")));
        lab.until_reason(ROLES, "team-b", "mirror", "RoleConflict").await;
        let told = lab.message(ROLES, "team-b", "mirror", "Ready");
        assert!(!told.contains("team-a"), "no word of others' objects: {told}");
        lab.assert_at_rest().await;
        assert_eq!((stored(lab), granted(lab).len(), reason(lab)), (first, 1, "Succeeded".to_owned()));
        // The first gives it up, and the second gets one of its own.
        delete_role(lab);
        until_role_gone(lab).await;
        lab.pass(INTERVAL).await;
        lab.until_ready_of(ROLES, &["team-b/mirror"]).await;
        assert_eq!(stored(lab).tags[&format!("{TAGS}namespace")], "team-b");
        lab.assert_at_rest().await;
    });
}

/// The letter case of a name is no difference to IAM, and the path none to its uniqueness.
#[test]
fn a_name_in_other_letters_is_the_same_name() {
    run(1_175, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.add_role(A, "Mirror-Role", Trust::of([B])));
        lab.apply(&named(Some("Always")));
        until_reason(lab, "RoleConflict").await;
        assert!(message(lab).contains("other letters"), "{}", message(lab));
        let tried = lab.aws_writes("CreateRole");
        lab.pass(10 * INTERVAL).await;
        until_reason(lab, "RoleConflict").await;
        // IAM tells only whoever tries: that is done at the pace of other refusals.
        let tried = lab.aws_writes("CreateRole") - tried;
        assert!(tried <= 40, "{tried} times in ten intervals");
        assert_eq!(granted(lab), Vec::<String>::new());
        edit(lab, "/spec/adoption", &Value::Null);
        lab.aws.world(|world| world.delete_role(A, "Mirror-Role"));
        lab.pass(INTERVAL).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 28: a role that is adopted comes with whatever trust it had. It is granted to once that is put right, and
/// under Observe not at all.
#[test]
fn an_adopted_role_is_granted_to_once_it_is_as_it_should_be() {
    for observes in [false, true] {
        run(1_301, async |lab| {
            two_registries(lab);
            set_registry(lab, "default", "allow/0/adoption", &json!("Always"));
            let path = format!("ecr-operator/{}/ptc/theirs", lab.installation());
            lab.aws.world(|world| {
                world.add_role(A, &path, Trust::of(["*"]));
                world.edit_role(A, "theirs", |role| {
                    role.permissions_boundary = Some(format!("arn:aws:iam::{A}:policy/{BOUNDARY}"));
                });
                world.inject(Fault::error(403, "AccessDenied", "sim").on("UpdateAssumeRolePolicy"));
            });
            if observes {
                set_registry(lab, "default", "management", &json!("Observe"));
            }
            let adopting = with(mirror(), "/spec/adoption", &json!("Always"));
            lab.apply(&with(adopting, "/spec/roleName", &json!("theirs")));
            until_reason(lab, if observes { "ObserveOnly" } else { "AccessDenied" }).await;
            lab.pass(INTERVAL).await;
            assert_eq!(lab.policy(B), None, "granted to a role that anybody may assume");
            assert_eq!(lab.ledger("default")[0]["role"]["state"], "Claimed");
            lab.aws.world(aws_sim::World::clear_faults);
            set_registry(lab, "default", "management", &Value::Null);
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            assert_eq!(granted(lab), ["base/*"]);
            lab.assert_at_rest().await;
        });
    }
}
