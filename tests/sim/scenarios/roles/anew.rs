//! Another takes the place: somebody's role that of ours, an object that comes back elsewhere that of the one before it
//! (behaviours 28–30, 41).

use super::*;

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
        assert!(is_held_at(lab, "upstream"), "its old role is still there");
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviours 30 and 41: what became of the old role is no concern of the new one, and the other way round. Nobody prunes what
/// an object has that is there; it goes with the object.
#[test]
fn an_old_role_keeps_nobody_waiting_and_goes_with_the_object() {
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
            assert_eq!(orphans(lab, "upstream"), "", "{}", lab.describe());
            assert!(is_held_at(lab, "upstream"));
            lab.assert_at_rest().await;
            delete_role(lab);
            until_role_gone(lab).await;
            assert_eq!((roles_in(lab, A), roles_in(lab, B), lab.policy(A), lab.policy(B)), (0, 0, None, None));
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

/// Behaviours 41 and 46: an object that comes back with another name for its role keeps the role that its cache lives by.
#[test]
fn an_object_made_anew_with_another_role_name_does_not_lose_the_role_in_use() {
    run(1_303, async |lab| {
        mirroring(lab).await;
        let before = our_role(lab);
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        lab.pass(INTERVAL).await;
        let since = mark(lab);
        lab.apply(&with(mirror(), "/spec/roleName", &json!("other")));
        until_reason(lab, "ImmutableChange").await;
        lab.pass(INTERVAL).await;
        let told = message(lab);
        assert!(told.contains("spec.roleName") && told.contains(&before.as_ref().unwrap().name), "{told}");
        assert_eq!((our_role(lab), writes_since(lab, since)), (before.clone(), Vec::new()));
        assert_pulls(lab, "base/app");
        lab.kube.vanish(ROLES, "team-a", "mirror").unwrap();
        lab.apply(&mirror());
        until_all_ready(lab).await;
        assert_eq!(our_role(lab), before);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 41: the role that it had where it pulls from now is told, and stays on record until the object goes.
#[test]
fn what_an_object_had_where_it_pulls_from_now_is_not_forgotten() {
    run(1_304, async |lab| {
        turned_round(lab, &json!([pulls_from("upstream")])).await;
        assert!(
            lab.message(REGISTRIES, "", "upstream", "HeldElsewhere").contains("team-a/mirror"),
            "{}",
            lab.describe()
        );
        lab.assert_at_rest().await;
        assert_eq!(granted(lab), ["base/*"]);
        delete_role(lab);
        until_role_gone(lab).await;
        assert_eq!((roles_in(lab, A), roles_in(lab, B)), (0, 0), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

fn is_held_at(lab: &Lab, registry: &str) -> bool {
    !lab.message(REGISTRIES, "", registry, "HeldElsewhere").is_empty()
}
