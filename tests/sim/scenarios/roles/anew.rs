//! Another takes the place: somebody's role that of ours, an object that comes back elsewhere that of the one before it
//! (behaviours 28–30, 41).

use aws_sim::Fault;

use super::*;
use crate::lab::HOME;

/// Role `team-a/mirror` attached to Registry `upstream`, which pulls from `default`: it vanishes, and leaves its role there.
/// Then it comes back attached to `default`.
async fn turned_round(lab: &mut Lab, upstreams: &Value) {
    two_registries(lab);
    lab.aws.world(|world| world.set_scope(A, REGION, Some(Scope::V2)));
    let back = role("team-a", "mirror", "default", &["base/*"]);
    lab.apply(&with(back, "/spec/registryRef", &json!({"name": "upstream"})));
    lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
    lab.settle().await;
    lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
    lab.apply(&with(mirror(), "/spec/upstreams", upstreams));
    lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
    lab.pass(INTERVAL).await;
    assert_eq!((roles_in(lab, A), roles_in(lab, B)), (1, 1));
}

fn pulls_from(registry: &str) -> Value {
    json!({"name": registry, "registryRef": {"name": registry}, "repositories": ["base/*"]})
}

fn roles_in(lab: &Lab, account: &str) -> usize {
    lab.aws.world(|world| world.role_names(account)).into_iter().filter(|name| name.starts_with("Ecp")).count()
}

/// A third registry, of an account that the operator may manage.
fn third(lab: &Lab) {
    lab.aws.world(|world| {
        let operator = format!("arn:aws:iam::{HOME}:role/controller");
        world.add_role(HOME, "member", Trust::of([operator.as_str()]).with_external_id("lab"));
        world.add_managed_policy(HOME, BOUNDARY, &crate::lab::boundary());
        world.set_scope(HOME, REGION, Some(Scope::V2));
    });
    lab.apply(&registry("third", HOME));
}

/// Behaviours 28 and 29: whatever keeps the object from being served, a grant to its role's name is not for whoever took it.
#[test]
fn a_role_that_somebody_put_in_place_of_a_held_one_loses_the_grant() {
    for (member, value) in [("suspend", json!(true)), ("upstreams/1/registryRef/name", json!("gone"))] {
        run(1_330, async |lab| {
            two_registries(lab);
            third(lab);
            lab.apply(&with(mirror(), "/spec/upstreams", &json!([pulls_from("upstream"), pulls_from("third")])));
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            lab.settle().await;
            edit(lab, &format!("/spec/{member}"), &value);
            lab.settle().await;
            assert_eq!(granted(lab), ["base/*"]);
            let ours = our_role(lab).unwrap();
            lab.aws.world(|world| {
                world.delete_role(A, &ours.name);
                world.add_role(A, &format!("{}{}", ours.path.trim_start_matches('/'), ours.name), Trust::of([B]));
            });
            lab.pass(INTERVAL * 2).await;
            assert_eq!(granted(lab), Vec::<String>::new(), "{member}: {}", lab.describe());
        });
    }
}

/// Behaviour 30: a guest whose name has an old thing here is a guest all the same: what it drops goes.
#[test]
fn who_has_an_old_role_where_it_pulls_from_loses_what_it_drops() {
    run(1_331, async |lab| {
        third(lab);
        turned_round(lab, &json!([pulls_from("upstream"), pulls_from("third")])).await;
        assert_eq!(granted(lab), ["base/*"]);
        edit(lab, "/spec/upstreams", &json!([pulls_from("third")]));
        lab.until("the grant is gone", |lab| granted(lab).is_empty()).await;
        assert!(is_orphaned(lab, "upstream"), "its old role is still there");
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviours 30 and 41: what became of the old role is no concern of the new one, and the other way round.
#[test]
fn an_old_role_keeps_nobody_waiting_and_can_be_pruned() {
    for is_lost in [false, true] {
        run(1_332, async |lab| {
            third(lab);
            turned_round(lab, &json!([pulls_from("upstream"), pulls_from("third")])).await;
            if is_lost {
                let names = lab.aws.world(|world| world.role_names(B));
                let old = names.into_iter().find(|name| name.starts_with("Ecp")).unwrap();
                lab.aws.world(|world| world.delete_role(B, &old));
                edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "more/*"]));
                lab.pass(INTERVAL).await;
                assert_eq!(role_ready(lab).0, "True", "{}", message(lab));
            }
            prune(lab, "upstream");
            lab.pass(INTERVAL).await;
            assert_eq!((roles_in(lab, B), orphans(lab, "upstream")), (0, String::new()), "{}", lab.describe());
            assert_eq!(role_ready(lab).0, "True", "{}", message(lab));
            lab.assert_at_rest().await;
            delete_role(lab);
            until_role_gone(lab).await;
            assert_eq!((roles_in(lab, A), lab.policy(A), lab.policy(B)), (0, None, None));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 41: two Registries of one account have one IAM. An object that comes back attached to the other has its role
/// back, and the first has nothing of it to prune.
#[test]
fn an_object_that_comes_back_in_another_region_of_its_account_keeps_its_role() {
    run(1_333, async |lab| {
        two_registries(lab);
        lab.apply(&with(registry("other", A), "/spec/region", &json!("eu-central-1")));
        lab.apply(&mirror());
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.settle().await;
        let before = our_role(lab).unwrap();
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        lab.pass(INTERVAL).await;
        assert!(is_orphaned(lab, "default"));
        lab.apply(&with(mirror(), "/spec/registryRef", &json!({"name": "other"})));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.pass(INTERVAL).await;
        assert_eq!((our_role(lab).unwrap().id, orphans(lab, "default")), (before.id, String::new()));
        assert_eq!((role_ready(lab).0.as_str(), granted(lab)), ("True", vec!["base/*".to_owned()]));
        lab.assert_at_rest().await;
        delete_role(lab);
        until_role_gone(lab).await;
        assert_eq!((our_role(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: the word of the role's own registry counts up to the moment of the grant.
#[test]
fn a_word_that_is_taken_back_while_the_upstream_is_about_to_grant_is_heard() {
    run(1_334, async |lab| {
        two_registries(lab);
        lab.settle().await;
        lab.aws.world(|world| {
            world.inject(Fault::delay(Duration::from_secs(20)).on("GetRegistryPolicy").in_account(B));
        });
        lab.apply(&mirror());
        lab.until("the upstream hears of the role", |lab| our_role(lab).is_some()).await;
        lab.pass(Duration::from_secs(3)).await;
        set_registry(lab, "default", "allow", &json!([]));
        lab.until("the role is gone", |lab| our_role(lab).is_none()).await;
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes("PutRegistryPolicy"), 0, "a grant that its owner had taken back");
        lab.assert_at_rest().await;
    });
}

/// aws-facts K.3: the role that was just made is not to be seen for a while. It is waited for, and is no conflict.
#[test]
fn a_role_that_is_not_shown_to_who_made_it_is_no_conflict() {
    for unseen in [1, 3, 6] {
        run(1_335, async |lab| {
            two_registries(lab);
            lab.settle().await;
            lab.aws.world(|world| {
                world.inject(Fault::nothing_there().on("GetRole").in_account(A).times(unseen));
            });
            lab.apply(&mirror());
            for _ in 0..60 {
                lab.pass(Duration::from_secs(1)).await;
                assert_ne!(reason(lab), "RoleConflict", "{unseen}: {}", message(lab));
            }
            assert_eq!((role_ready(lab).0.as_str(), roles_in(lab, A)), ("True", 1), "{unseen}: {}", message(lab));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 30: a role that was adopted goes on serving while a rule pulls by it, as one that was made.
#[test]
fn an_adopted_role_waits_for_the_rule_that_pulls_by_it() {
    run(1_336, async |lab| {
        two_registries(lab);
        let theirs = format!("ecr-operator/{}/ptc/theirs", lab.installation());
        lab.aws.world(|world| {
            world.add_repository(B, REGION, "base/app");
            world.add_role(A, &theirs, Trust::of([A]));
            world.edit_role(A, "theirs", |role| role.permissions_boundary = Some(boundary_arn()));
        });
        lab.rules.role_to_adopt("theirs");
        let adopting = with(mirror(), "/spec/adoption", &json!("Always"));
        lab.apply(&with(adopting, "/spec/roleName", &json!("theirs")));
        lab.apply(&cache());
        until_all_ready(lab).await;
        lab.settle().await;
        delete_role(lab);
        lab.pass(INTERVAL).await;
        assert_eq!((reason(lab).as_str(), granted(lab)), ("DeletionBlocked", vec!["base/*".to_owned()]));
        assert_pulls(lab, "base/app");
        delete_cache(lab);
        until_set_gone(lab).await;
        let left = lab.aws.world(|world| world.role(A, "theirs")).unwrap();
        assert!(left.tags.keys().all(|key| !key.starts_with("ecr-permissions.dev/")), "{left:?}");
        assert_eq!((rule(lab), lab.policy(B)), (None, None));
        lab.assert_at_rest().await;
    });
}
