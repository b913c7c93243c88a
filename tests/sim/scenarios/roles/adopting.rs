//! Roles that are there already, and are not ours (behaviours 28 and 35).

use std::time::Duration;

use aws_sim::Trust;

use super::*;
use crate::lab::objects::{BOUNDARY, role};
use crate::lab::run;

/// A role of others, as it would be if the operator had made it, but for its tags.
fn put_by_others(lab: &Lab, name: &str, change: impl FnOnce(&mut aws_sim::Role)) {
    let boundary = format!("arn:aws:iam::{A}:policy/{BOUNDARY}");
    let path = format!("ecr-operator/{}/ptc", lab.installation());
    lab.aws.world(|world| {
        world.add_role(A, &format!("{path}/{name}"), Trust::default());
        world.edit_role(A, name, |role| {
            role.permissions_boundary = Some(boundary);
            role.trust = json!({"Version": "2012-10-17", "Statement": {
                "Effect": "Allow", "Principal": {"Service": ["pullthroughcache.ecr.amazonaws.com"]},
                "Action": ["sts:AssumeRole"],
            }})
            .to_string();
            role.inline_policies
                .insert("theirs".to_owned(), json!({"Version": "2012-10-17", "Statement": []}).to_string());
            change(role);
        });
    });
}

fn named(name: &str) -> Value {
    with(role("team-a", "mirror", "upstream", &["base/*"]), "/spec/roleName", &json!(name))
}

fn iam_writes(lab: &Lab) -> usize {
    lab.aws.world(|world| world.calls().iter().filter(|call| call.service == "iam" && call.is_write).count())
}

fn stored(lab: &Lab, name: &str) -> aws_sim::Role {
    lab.aws.world(|world| world.role(A, name)).unwrap()
}

/// A name proves nothing, whoever chose it: not ours, not touched, told with the cure, and left when the object goes.
#[test]
fn a_role_of_others_is_not_touched() {
    run(1_030, async |lab| {
        two_registries(lab);
        put_by_others(lab, "theirs", |_| {});
        let before = stored(lab, "theirs");
        lab.apply(&named("theirs"));
        lab.until_reason(ROLES, "team-a", "mirror", "RoleConflict").await;
        let told = lab.message(ROLES, "team-a", "mirror", "Ready");
        assert!(told.contains("spec.roleName") && told.contains("spec.adoption"), "{told}");
        lab.pass(Duration::from_secs(600)).await;
        lab.delete(ROLES, "team-a", "mirror");
        lab.until("it goes", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
        assert_eq!((stored(lab, "theirs"), iam_writes(lab)), (before, 0));
        assert_eq!(lab.statements(B), Vec::<Value>::new(), "nobody grants to a role of others");
        lab.assert_at_rest().await;
    });
}

/// Somebody was faster than the operator, at the very name it would give: the tags tell.
#[test]
fn a_squatter_at_the_generated_name_gets_nothing() {
    for tags in [None, Some(("team-b", "mirror")), Some(("team-a", "other"))] {
        run(1_031, async |lab| {
            two_registries(lab);
            let installation = lab.installation();
            let name = installation.role_name("team-a", "mirror");
            lab.rules.marked_by_others(&name);
            put_by_others(lab, &name, |role| {
                if let Some((namespace, object)) = tags {
                    role.tags = installation.role_tags(namespace, object);
                }
            });
            lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
            lab.until_reason(ROLES, "team-a", "mirror", "RoleConflict").await;
            lab.pass(Duration::from_secs(600)).await;
            assert_eq!((iam_writes(lab), lab.statements(B).len()), (0, 0));
            lab.delete(ROLES, "team-a", "mirror");
            lab.until("it goes", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
            assert_eq!(iam_writes(lab), 0);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 28: adopted by leave alone, and left behind when the object goes unless it says that it owns the role.
#[test]
fn a_role_is_adopted_as_far_as_the_object_says() {
    for (adoption, owns) in [("IfIdentical", false), ("Always", false), ("Always", true)] {
        run(1_032, async |lab| {
            two_registries(lab);
            put_by_others(lab, "theirs", |_| {});
            lab.rules.role_to_adopt("theirs");
            let mut object = with(named("theirs"), "/spec/adoption", &json!(adoption));
            if owns {
                object = with(object, "/spec/deletionPolicy", &json!("Delete"));
            }
            lab.apply(&object);
            if adoption == "IfIdentical" {
                // It has no policy of ours.
                lab.until_reason(ROLES, "team-a", "mirror", "RoleConflict").await;
                assert_eq!(iam_writes(lab), 0);
                lab.assert_at_rest().await;
                return;
            }
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            let adopted = stored(lab, "theirs");
            assert!(adopted.inline_policies.contains_key("ecr-pull-through-cache"));
            assert!(adopted.inline_policies.contains_key("theirs"), "what is theirs on it stays");
            assert!(!adopted.tags.is_empty());
            lab.assert_at_rest().await;
            lab.delete(ROLES, "team-a", "mirror");
            if owns {
                // Their policy still hangs on it.
                lab.until("it is named", |lab| {
                    lab.has_reason(ROLES, "team-a", "mirror", "DeletionBlocked")
                        && lab.message(ROLES, "team-a", "mirror", "Ready").contains("theirs.")
                })
                .await;
                lab.aws.world(|world| world.edit_role(A, "theirs", |role| drop(role.inline_policies.remove("theirs"))));
                lab.pass(Duration::from_secs(600)).await;
            }
            lab.until("it goes", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
            let left = lab.aws.world(|world| world.role(A, "theirs"));
            assert_eq!(left.is_some(), !owns);
            assert!(left.is_none_or(|role| role.tags.is_empty()), "it is nobody's again");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 28: a role without the boundary is not touched, neither for adoption nor when it is ours.
#[test]
fn a_role_that_lost_its_boundary_is_not_touched() {
    run(1_033, async |lab| {
        two_registries(lab);
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let name = our_role(lab).unwrap().name;
        lab.aws.world(|world| world.edit_role(A, &name, |role| role.permissions_boundary = None));
        let writes = iam_writes(lab);
        lab.reconcile_now("default");
        lab.until_reason(ROLES, "team-a", "mirror", "BoundaryMissing").await;
        let told = lab.message(ROLES, "team-a", "mirror", "Ready");
        assert!(told.contains("aws iam put-role-permissions-boundary"), "{told}");
        lab.delete(ROLES, "team-a", "mirror");
        lab.until_reason(ROLES, "team-a", "mirror", "DeletionBlocked").await;
        lab.pass(Duration::from_secs(600)).await;
        assert_eq!(iam_writes(lab), writes);
        let boundary = format!("arn:aws:iam::{A}:policy/{BOUNDARY}");
        lab.aws.world(|world| world.edit_role(A, &name, |role| role.permissions_boundary = Some(boundary)));
        lab.pass(Duration::from_secs(600)).await;
        lab.until("it goes", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// A boundary that does not exist: told with the field, and healed once it is there.
#[test]
fn a_boundary_that_does_not_exist_is_told_with_its_field() {
    run(1_034, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.delete_managed_policy(A, BOUNDARY));
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.until_reason(ROLES, "team-a", "mirror", "BoundaryMissing").await;
        let told = lab.message(ROLES, "team-a", "mirror", "Ready");
        assert!(told.contains("spec.roles.permissionsBoundaryArn"), "{told}");
        assert_eq!(our_role(lab), None);
        lab.aws.world(|world| world.add_managed_policy(A, BOUNDARY, r#"{"Version":"2012-10-17","Statement":[]}"#));
        lab.pass(Duration::from_secs(600)).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: a role by a name of one's choice needs the leave of the registry's owner, and goes with it.
#[test]
fn a_name_of_ones_choice_needs_leave() {
    run(1_035, async |lab| {
        two_registries(lab);
        let allow = |names: Value| with(crate::lab::objects::allow_all(), "/roleNames", &names);
        lab.set("registries", "", "default", "/spec/allow", &json!([allow(json!(["other"]))]));
        lab.apply(&named("mine"));
        lab.until_reason(ROLES, "team-a", "mirror", "NotAllowed").await;
        assert!(lab.message(ROLES, "team-a", "mirror", "Ready").contains("role mine (spec.roleName)"));
        assert_eq!(iam_writes(lab), 0);
        lab.set("registries", "", "default", "/spec/allow", &json!([allow(json!(["mine"]))]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.set("registries", "", "default", "/spec/allow", &json!([allow(json!(["other"]))]));
        lab.until("the role is gone", |lab| lab.aws.world(|world| world.role(A, "mine")).is_none()).await;
        assert_eq!(lab.statements(B), Vec::<Value>::new());
        lab.assert_at_rest().await;
    });
}
