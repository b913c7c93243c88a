//! Two clusters on the same accounts: they keep apart, and one may follow the other (behaviour 17).

use super::*;

/// The Registry's name for itself in AWS's records, so that the clusters can be told apart.
fn named(lab: &Lab, session: &str) {
    for name in ["default", "upstream"] {
        set_registry(lab, name, "identity/sessionName", &json!(session));
    }
}

fn roles_of(lab: &Lab) -> Vec<Role> {
    let mark = lab.installation();
    lab.aws.world(|world| {
        let roles: Vec<_> = world.role_names(A).iter().filter_map(|name| world.role(A, name)).collect();
        let is_ours =
            |role: &Role| role.tags.get("ecr-permissions.dev/installation").is_some_and(|id| id == mark.as_str());
        roles.into_iter().filter(is_ours).collect()
    })
}

/// A second cluster with the same objects; its cache has a prefix of its own.
async fn settle_in(lab: &mut Lab, prefix: &str) {
    two_registries(lab);
    named(lab, "second");
    lab.apply(&mirror());
    lab.apply(&with(bare_cache(), "/spec/cachePrefix", &json!(prefix)));
    until_all_ready(lab).await;
    lab.settle().await;
}

/// Behaviour 17: alike in all but their cluster, each has a role, a grant and a rule of its own, and takes only that away.
#[test]
fn two_installations_on_the_same_accounts_keep_apart() {
    run(1_037, async |first| {
        first.rules.not_ours("second");
        a_set(first).await;
        let mut second = first.beside().await;
        settle_in(&mut second, "second").await;
        let (of_first, of_second) = (roles_of(first), roles_of(&second));
        assert_eq!((of_first.len(), of_second.len(), first.statements(B).len()), (1, 1, 2));
        first.settle().await;
        assert!(is_all_ready(first) && is_all_ready(&second), "{}\n{}", first.describe(), second.describe());
        delete_set(&second);
        until_set_gone(&mut second).await;
        second.settle().await;
        assert_eq!((roles_of(first), roles_of(&second)), (of_first, Vec::new()));
        assert_eq!(prefixes(first), ["mirror"]);
        until_all_ready(first).await;
        second.stop();
        first.assert_at_rest().await;
    });
}

/// Behaviour 17: a cluster that follows another takes its role over, if it is to have the same name and path, and the
/// grant without a gap.
#[test]
fn a_cluster_takes_over_the_role_of_the_one_before_it() {
    run(1_038, async |first| {
        first.rules.not_ours("second");
        let path = json!("/ptc/");
        let named_role = || with(mirror(), "/spec/roleName", &json!("mirror"));
        let begin = |lab: &Lab| {
            lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
            lab.apply(&namespace("team-a"));
            for registry in [registry("default", A), upstream()] {
                lab.apply(&with(registry, "/spec/roles/path", &path));
            }
            lab.apply(&named_role());
        };
        begin(first);
        first.until_ready_of(ROLES, &["team-a/mirror"]).await;
        first.settle().await;
        let role_of = |lab: &Lab| lab.aws.world(|world| world.role(A, "mirror")).unwrap();
        let before = role_of(first);
        first.stop();
        let mut second = first.beside().await;
        begin(&second);
        named(&second, "second");
        until_reason(&mut second, "RoleConflict").await;
        let message = message(&second);
        assert!(message.contains("takeOverInstallationIds"), "{message}");
        assert_eq!(role_of(&second), before);
        let since = second.aws.world(|world| world.calls().len());
        for name in ["default", "upstream"] {
            let ids = json!([first.installation().as_str()]);
            second.set(REGISTRIES, "", name, "/spec/takeOverInstallationIds", &ids);
        }
        second.until_ready_of(ROLES, &["team-a/mirror"]).await;
        second.settle().await;
        let after = role_of(&second);
        assert_eq!((after.id, after.trust), (before.id, before.trust), "it is the same role");
        assert_eq!(after.tags["ecr-permissions.dev/installation"], second.installation().as_str());
        second.aws.world(|world| {
            let writes = world.calls()[since..].iter().filter(|call| call.operation == "PutRegistryPolicy");
            for write in writes.filter_map(|call| call.write.as_ref()) {
                assert!(write.after.as_deref().unwrap_or_default().contains(&before.arn), "a gap: {write:?}");
            }
        });
        second.assert_at_rest().await;
        second.delete(ROLES, "team-a", "mirror");
        second.until("it is gone", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
        assert_eq!((second.aws.world(|world| world.role(A, "mirror")), second.statements(B)), (None, Vec::new()));
        second.assert_at_rest().await;
        second.stop();
    });
}
