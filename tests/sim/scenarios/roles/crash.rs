//! Killed between any two calls and started again, while a role, its grant and its rule are made, changed or removed: the
//! same end (behaviour 42).

use super::*;
use crate::scenarios::crash::ends_alike;

async fn set(lab: &mut Lab) {
    two_registries(lab);
    apply_set(lab);
    until_all_ready(lab).await;
}

#[test]
fn a_crash_while_the_set_is_made_changes_nothing_in_the_end() {
    ends_alike(&async |_| {}, &async |lab| set(lab).await);
}

#[test]
fn a_crash_while_the_set_is_removed_leaves_nothing_behind() {
    ends_alike(&set, &async |lab| {
        delete_set(lab);
        until_set_gone(lab).await;
        assert!(is_nothing_left(lab), "{}", lab.describe());
    });
}

#[test]
fn a_crash_while_the_role_pulls_from_more_changes_nothing_in_the_end() {
    ends_alike(&set, &async |lab| {
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert!(lab.statements(B)[0].to_string().contains("repository/tools/*"));
    });
}

#[test]
fn a_crash_while_a_lost_role_is_made_again_changes_nothing_in_the_end() {
    ends_alike(&set, &async |lab| {
        let name = our_role(lab).unwrap().name;
        lab.aws.world(|world| world.delete_role(A, &name));
        lab.reconcile_now("default");
        lab.until("it is back", |lab| our_role(lab).is_some()).await;
        until_all_ready(lab).await;
    });
}

#[test]
fn a_crash_while_consent_is_withdrawn_leaves_no_grant() {
    ends_alike(&set, &async |lab| {
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.until("the grant is gone", |lab| lab.statements(B).is_empty()).await;
    });
}

/// Behaviour 30: of two upstreams one is dropped. Its grant goes, and what the role itself may do there.
#[test]
fn a_crash_while_an_upstream_is_dropped_leaves_no_grant_there() {
    let other = || {
        let external = json!({"accountId": "444444444444", "region": REGION});
        json!({"name": "other", "external": external, "repositories": ["x/*"]})
    };
    let both = async |lab: &mut Lab| {
        two_registries(lab);
        let object = mirror();
        let up = object["spec"]["upstreams"][0].clone();
        let object = with(object, "/spec/permissionScope", &json!("Listed"));
        lab.apply(&with(object, "/spec/upstreams", &json!([up, other()])));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert_eq!(lab.statements(B).len(), 1);
    };
    ends_alike(&both, &async |lab| {
        edit(lab, "/spec/upstreams", &json!([other()]));
        lab.until("the grant is gone", |lab| lab.statements(B).is_empty()).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let policy = our_role(lab).unwrap().inline_policies[POLICY].clone();
        assert!(policy.contains("444444444444") && !policy.contains(B), "{policy}");
    });
}
