//! A role, its grants and its documents, changed by its owner and by others (behaviours 27, 29, 30, 34).

use std::time::Duration;

use super::*;
use crate::lab::objects::{allow_all, cache_by_role, role};
use crate::lab::run;

fn set(lab: &Lab) {
    lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
    lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
}

fn iam_writes(lab: &Lab) -> Vec<String> {
    let is_write = |call: &&aws_sim::Call| call.service == "iam" && call.is_write;
    lab.aws.world(|world| world.calls().iter().filter(is_write).map(|call| call.operation.clone()).collect())
}

fn edit(lab: &Lab, change: impl FnOnce(&mut aws_sim::Role)) {
    let name = our_role(lab).unwrap().name;
    lab.aws.world(|world| world.edit_role(A, &name, change));
}

/// Behaviour 27: what means the same is left, and what others hang on the role is theirs.
#[test]
fn what_means_the_same_is_not_written_and_what_others_add_stays() {
    run(1_040, async |lab| {
        two_registries(lab);
        set(lab);
        until_all_ready(lab).await;
        let writes = iam_writes(lab).len();
        edit(lab, |role| {
            role.trust = json!({"Statement": {
                "Action": ["sts:AssumeRole"], "Principal": {"Service": ["pullthroughcache.ecr.amazonaws.com"]},
                "Effect": "Allow",
            }, "Version": "2012-10-17"})
            .to_string();
            role.inline_policies.insert("theirs".to_owned(), "{}".to_owned());
            role.tags.insert("cost-centre".to_owned(), "42".to_owned());
        });
        lab.pass(Duration::from_secs(1_200)).await;
        assert_eq!(iam_writes(lab).len(), writes);
        let now = our_role(lab).unwrap();
        assert!(now.inline_policies.contains_key("theirs") && now.tags.contains_key("cost-centre"));
        assert!(is_all_ready(lab));
        lab.assert_at_rest().await;
    });
}

/// What a foreign hand does to a role.
type Change<'a> = &'a dyn Fn(&mut aws_sim::Role);

/// Behaviours 11 and 27: a trust that was widened, a policy that was changed or taken away, tags that were lost.
#[test]
fn what_others_change_of_it_is_put_back() {
    let wide = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": "444444444444"}, "Action": "sts:AssumeRole"},
    ]});
    let changes: [(&str, Change<'_>); 4] = [
        ("UpdateAssumeRolePolicy", &|role| role.trust = wide.to_string()),
        ("PutRolePolicy", &|role| {
            role.inline_policies.insert("ecr-pull-through-cache".to_owned(), wide.to_string());
        }),
        ("PutRolePolicy", &|role| role.inline_policies.clear()),
        ("TagRole", &|role| role.tags.clear()),
    ];
    for (operation, change) in changes {
        run(1_041, async |lab| {
            two_registries(lab);
            set(lab);
            until_all_ready(lab).await;
            let (before, writes) = (our_role(lab).unwrap(), iam_writes(lab).len());
            edit(lab, |role| change(role));
            lab.reconcile_now("default");
            lab.until("it is put back", |lab| iam_writes(lab).len() > writes).await;
            assert_eq!(iam_writes(lab)[writes..], [operation]);
            lab.assert_at_rest().await;
            let after = our_role(lab).unwrap();
            assert_eq!((after.tags, after.inline_policies), (before.tags, before.inline_policies));
            assert!(!after.trust.contains("444444444444"));
        });
    }
}

/// Behaviour 29: by the role's ARN in a condition, the grant is good for the role that is made again.
#[test]
fn a_role_that_others_deleted_is_made_again_and_its_grant_works() {
    run(1_042, async |lab| {
        two_registries(lab);
        let pullers = json!({"accountIds": [A]});
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        let cache = with(cache_by_role("team-a", "mirror", "upstream", "mirror"), "/spec/pullers", &pullers);
        lab.apply(&with(cache, "/spec/createRepositories", &json!(true)));
        until_all_ready(lab).await;
        let puller = format!("arn:aws:iam::{A}:root");
        lab.pulls_through(&puller, "mirror/base/app").unwrap();
        let (name, grants) = (our_role(lab).unwrap().name, lab.statements(B));
        lab.aws.world(|world| world.delete_role(A, &name));
        lab.pulls_through(&puller, "mirror/base/app").unwrap_err();
        lab.reconcile_now("default");
        lab.until("it is back", |lab| our_role(lab).is_some()).await;
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
        lab.pulls_through(&puller, "mirror/base/app").unwrap();
        assert_eq!(lab.statements(B), grants);
    });
}

/// Behaviour 30: of two upstreams one is dropped: its grant goes, and nothing else.
#[test]
fn an_upstream_that_is_dropped_grants_no_more_and_the_others_do() {
    run(1_043, async |lab| {
        two_registries(lab);
        let other = json!({"name": "other", "external": {"accountId": "444444444444", "region": REGION}, "repositories": ["x/*"]});
        let both = role("team-a", "mirror", "upstream", &["base/*"]);
        let both = with(
            both,
            "/spec/upstreams",
            &json!([role("a", "b", "upstream", &["base/*"])["spec"]["upstreams"][0], other]),
        );
        lab.apply(&both);
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert_eq!(lab.statements(B).len(), 1);
        let made = our_role(lab).unwrap();
        lab.set(ROLES, "team-a", "mirror", "/spec/upstreams", &json!([other]));
        lab.until("its grant goes", |lab| lab.statements(B).is_empty()).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert_eq!(our_role(lab).map(|role| role.id), Some(made.id));
        lab.assert_at_rest().await;
    });
}

/// Behaviours 30 and 34: either owner's word is enough to take the grant away; the word given again, it comes back.
#[test]
fn either_owner_takes_the_grant_away() {
    for owner in ["default", "upstream"] {
        run(1_044, async |lab| {
            two_registries(lab);
            set(lab);
            until_all_ready(lab).await;
            let without = with(allow_all(), "/kinds", &json!(["RegistryPolicy", "PullThroughCacheRule"]));
            lab.set("registries", "", owner, "/spec/allow", &json!([without]));
            lab.until("the grant goes", |lab| lab.statements(B).is_empty()).await;
            lab.until("it is told", |lab| lab.ready(ROLES, "team-a", "mirror").0 != "True").await;
            lab.settle().await;
            let status = lab.kube.get(ROLES, "team-a", "mirror").unwrap()["status"].clone();
            if owner == "upstream" {
                assert_eq!(lab.ready(ROLES, "team-a", "mirror").1, "WaitingForUpstream");
                let upstream = &status["upstreams"][0]["conditions"][0];
                assert_eq!(
                    (&upstream["status"], &upstream["reason"]),
                    (&json!("False"), &json!("NotAllowed")),
                    "{status}"
                );
                assert!(our_role(lab).is_some(), "the role is its own registry's matter");
            } else {
                assert_eq!(lab.ready(ROLES, "team-a", "mirror").1, "NotAllowed");
                lab.until("the role goes", |lab| our_role(lab).is_none()).await;
            }
            lab.assert_at_rest().await;
            lab.set("registries", "", owner, "/spec/allow", &json!([allow_all()]));
            until_all_ready(lab).await;
            lab.assert_at_rest().await;
        });
    }
}

/// An edit that is refused changes nothing: the role stays, and so does what is granted, wanted and allowed.
#[test]
fn an_edit_that_is_refused_keeps_what_there_is() {
    run(1_045, async |lab| {
        two_registries(lab);
        let narrow = with(allow_all(), "/accountIds", &json!([A, B]));
        lab.set("registries", "", "default", "/spec/allow", &json!([narrow]));
        set(lab);
        until_all_ready(lab).await;
        let (made, grants) = (our_role(lab), lab.statements(B));
        let stranger = json!({"name": "more", "external": {"accountId": "555555555555", "region": REGION}, "repositories": ["x/*"]});
        let mut upstreams = role("a", "b", "upstream", &["base/*"])["spec"]["upstreams"].clone();
        upstreams.as_array_mut().unwrap().push(stranger);
        lab.set(ROLES, "team-a", "mirror", "/spec/upstreams", &upstreams);
        lab.until_reason(ROLES, "team-a", "mirror", "NotAllowed").await;
        lab.pass(Duration::from_secs(600)).await;
        assert_eq!((our_role(lab), lab.statements(B)), (made, grants));
        assert!(lab.is_ready(CACHES, "team-a", "mirror"), "the cache is as it was");
        lab.assert_at_rest().await;
    });
}

/// AWS's own sample grants to the whole account; the default grants to the role alone (aws-facts K.8).
#[test]
fn the_whole_account_is_granted_to_only_where_that_is_asked_for() {
    run(1_046, async |lab| {
        two_registries(lab);
        set(lab);
        until_all_ready(lab).await;
        assert!(lab.statements(B)[0]["Condition"].is_object());
        lab.set(ROLES, "team-a", "mirror", "/spec/grantee", &json!("Account"));
        lab.until("the condition goes", |lab| lab.statements(B).iter().all(|s| s.get("Condition").is_none())).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.set(ROLES, "team-a", "mirror", "/spec/permissionScope", &json!("Listed"));
        lab.until("the role's policy narrows", |lab| {
            our_role(lab).unwrap().inline_policies["ecr-pull-through-cache"].contains("repository/base/*")
        })
        .await;
        lab.set(ROLES, "team-a", "mirror", "/spec/trustSourceAccount", &json!(true));
        lab.until("its trust narrows", |lab| our_role(lab).unwrap().trust.contains("aws:SourceAccount")).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviours 29 and 35: somebody put a role of theirs in the place of ours: the grant was to the name, and goes.
#[test]
fn a_role_of_others_in_the_place_of_ours_inherits_no_grant() {
    run(1_047, async |lab| {
        two_registries(lab);
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let name = our_role(lab).unwrap().name;
        lab.aws.world(|world| {
            world.delete_role(A, &name);
            let path = format!("ecr-operator/{}/ptc", lab.installation());
            world.add_role(A, &format!("{path}/{name}"), aws_sim::Trust::default());
        });
        lab.reconcile_now("default");
        lab.until_reason(ROLES, "team-a", "mirror", "RoleConflict").await;
        lab.until("the grant goes", |lab| lab.statements(B).is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: its own registry's leave withdrawn, whatever the object says by then, takes grant and role away.
#[test]
fn an_object_that_makes_no_sense_keeps_nothing_that_is_not_allowed() {
    run(1_048, async |lab| {
        two_registries(lab);
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let nowhere = json!({"name": "nowhere", "registryRef": {"name": "missing"}, "repositories": ["x/*"]});
        let mut upstreams = role("a", "b", "upstream", &["base/*"])["spec"]["upstreams"].clone();
        upstreams.as_array_mut().unwrap().push(nowhere);
        lab.set(ROLES, "team-a", "mirror", "/spec/upstreams", &upstreams);
        lab.until_reason(ROLES, "team-a", "mirror", "ReferenceNotFound").await;
        lab.settle().await;
        assert_eq!(lab.statements(B).len(), 1, "an edit that cannot be followed changes nothing");
        lab.set("registries", "", "default", "/spec/allow", &json!([]));
        lab.until("grant and role go", |lab| lab.statements(B).is_empty() && our_role(lab).is_none()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: an object is accepted whole or not at all: refused by its own registry, it gains nothing at an upstream.
#[test]
fn an_edit_that_is_refused_widens_no_grant() {
    run(1_049, async |lab| {
        two_registries(lab);
        let narrow = with(allow_all(), "/accountIds", &json!([A, B]));
        lab.set("registries", "", "default", "/spec/allow", &json!([narrow]));
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let grants = lab.statements(B);
        let stranger = json!({"name": "more", "external": {"accountId": "555555555555", "region": REGION}, "repositories": ["x/*"]});
        let mut upstreams = role("a", "b", "upstream", &["base/*", "more/*"])["spec"]["upstreams"].clone();
        upstreams.as_array_mut().unwrap().push(stranger);
        lab.set(ROLES, "team-a", "mirror", "/spec/upstreams", &upstreams);
        lab.until_reason(ROLES, "team-a", "mirror", "NotAllowed").await;
        lab.pass(Duration::from_secs(600)).await;
        assert_eq!(lab.statements(B), grants);
        lab.assert_at_rest().await;
    });
}
