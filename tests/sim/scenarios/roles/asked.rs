//! Whether the Registry of an upstream in the role's own account is asked whenever something rests on its consent: for a
//! repair and a second try, while it goes, and for what the operator has no entry or no readable object of (behaviours 22,
//! 34, 41).

use kube_sim::Kinds;

use super::within::{OTHER_REGION, listed, scoped, take_back, two_regions};
use super::*;
use crate::lab::objects::pull;

/// The role and the cache at work, with all that they ask of an upstream of their own account.
async fn mirroring_beside(lab: &mut Lab) {
    two_regions(lab, &json!([allow_all()]));
    lab.apply(&scoped("Listed"));
    lab.apply(&cache());
    until_all_ready(lab).await;
}

/// Both Registries; an object keeps the upstream's there while it is being deleted.
async fn upstream_with_an_object(lab: &mut Lab) {
    two_regions(lab, &json!([allow_all()]));
    lab.aws.world(|world| world.set_scope(A, OTHER_REGION, Some(Scope::V2)));
    lab.apply(&pull("team-b", "beside", "upstream", &[B], "base/*"));
    lab.until_ready(&["team-b/beside"]).await;
}

/// What somebody took from AWS is not given back by a consent that was taken back meanwhile.
#[test]
fn a_repair_asks_the_upstream() {
    run(1_510, async |lab| {
        mirroring_beside(lab).await;
        lab.settle().await;
        lab.kube.freeze_watches(Kinds::only(&["registries"]));
        set_registry(lab, "upstream", "allow", &json!([]));
        edit_role(lab, |role| drop(role.inline_policies.insert(POLICY.to_owned(), EMPTY.to_owned())));
        lab.aws.world(|world| world.delete_cache_rule(A, REGION, "mirror"));
        let before = mark(lab);
        lab.pass(INTERVAL).await;
        let gives_back = lab.aws.world(|world| {
            let sent = world.calls()[before..].iter().filter_map(|call| call.write.as_ref()?.sent.clone());
            sent.filter(|sent| sent.contains(OTHER_REGION)).collect::<Vec<_>>()
        });
        assert_eq!(gives_back, NO_WRITES);
        lab.kube.thaw_watches();
        lab.settle().await;
        assert_eq!((listed(lab), rule(lab)), (Vec::new(), None), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// A role that was made without its policy gets none by a consent that was taken back before the second try.
#[test]
fn a_second_try_asks_the_upstream() {
    run(1_511, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        let denied = Fault::error(403, "AccessDenied", "sim").on("PutRolePolicy");
        lab.aws.world(|world| world.inject(denied));
        lab.apply(&scoped("Listed"));
        lab.until("its policy was denied", |lab| lab.aws_writes("PutRolePolicy") > 0).await;
        lab.kube.freeze_watches(Kinds::only(&["registries"]));
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.pass(Duration::from_secs(11)).await;
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(INTERVAL).await;
        assert!(our_role(lab).is_some() && listed(lab).is_empty(), "{}", lab.describe());
        lab.kube.thaw_watches();
        lab.settle().await;
    });
}

/// An upstream that is being deleted or released lets nobody new pull, and takes nothing from those that do.
#[test]
fn an_upstream_that_goes_takes_nobody_new() {
    for is_deleted in [true, false] {
        run(1_512, async |lab| {
            upstream_with_an_object(lab).await;
            lab.apply(&scoped("Listed"));
            lab.apply(&cache());
            until_all_ready(lab).await;
            if is_deleted {
                lab.delete(REGISTRIES, "", "upstream");
            } else {
                lab.annotate(REGISTRIES, "", "upstream", "ecr-permissions.dev/release", "true");
            }
            lab.settle().await;
            edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
            lab.apply(&with(
                role("team-a", "later", "upstream", &["tools/*"]),
                "/spec/permissionScope",
                &json!("Listed"),
            ));
            lab.apply(&with(
                cache_by_role("team-a", "later", "upstream", "later"),
                "/spec/upstream/ecr/roleRef",
                &Value::Null,
            ));
            lab.pass(INTERVAL).await;
            assert_pulls(lab, "base/app");
            assert_eq!(listed(lab), ["base/*"], "{is_deleted}");
            assert_eq!(
                (prefixes(lab), roles_in(lab, A)),
                (vec!["mirror".to_owned()], 1),
                "{is_deleted}: {}",
                lab.describe()
            );
        });
    }
}

/// What an object that cannot be read any more has is judged like any other.
#[test]
fn what_an_unreadable_object_has_goes_when_it_is_taken_back() {
    run(1_513, async |lab| {
        mirroring_beside(lab).await;
        for plural in [ROLES, CACHES] {
            lab.set(plural, "team-a", "mirror", "/spec/deletionPolicy", &json!("Archive"));
        }
        lab.settle().await;
        assert_pulls(lab, "base/app");
        take_back(lab).await;
        lab.assert_at_rest().await;
    });
}

/// What an object keeps at the Registry that it was attached to before is judged there.
#[test]
fn what_an_object_has_elsewhere_goes_when_it_is_taken_back() {
    run(1_514, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.apply(&registry("third", B));
        lab.apply(&scoped("Listed"));
        lab.apply(&cache());
        until_all_ready(lab).await;
        lab.set(REGISTRIES, "", "third", "/spec/suspend", &json!(true));
        lab.settle().await;
        lab.set(CACHES, "team-a", "mirror", "/spec/registryRef", &json!({"name": "third"}));
        lab.pass(INTERVAL).await;
        assert!(rule(lab).is_some(), "its new Registry has not taken it yet\n{}", lab.describe());
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
        lab.settle().await;
    });
}

/// A role whose entry was lost keeps what it has while its upstream cannot be asked, and grows by nothing.
#[test]
fn a_role_without_its_entry_keeps_its_policy_while_its_upstream_goes() {
    run(1_515, async |lab| {
        upstream_with_an_object(lab).await;
        lab.apply(&scoped("Listed"));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.delete(REGISTRIES, "", "upstream");
        lab.settle().await;
        lab.stop();
        lab.lose_ledger("default");
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        lab.start().await;
        lab.pass(INTERVAL).await;
        assert_eq!(listed(lab), ["base/*"], "{}", lab.describe());
    });
}

/// Edits that AWS refuses one after the other neither fill the record nor drop from it what the role's policy still names.
#[test]
fn refused_edits_leave_on_record_what_stands() {
    run(1_516, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.apply(&scoped("Listed"));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let denied = Fault::error(403, "AccessDenied", "sim").on("PutRolePolicy");
        lab.aws.world(|world| world.inject(denied));
        for edited in 0..12 {
            let long = "x".repeat(190);
            let names: Vec<_> = (0..20).map(|i| format!("base/{edited}/{i}/{long}")).collect();
            edit(lab, "/spec/upstreams/0/repositories", &json!(names));
            lab.settle().await;
        }
        let entries = lab.ledger("default");
        let recorded = entries.iter().find(|entry| entry["kind"] == "CrossAccountPtcRole").unwrap()["role"].to_string();
        assert!(recorded.len() < 25_000, "{} characters", recorded.len());
        assert!(recorded.contains("base/11/0/"), "the last one is on record before it is made");
        // Nor do they take off the record what the role's policy names: held as it is, it loses it all the same.
        edit(lab, "/spec/suspend", &json!(true));
        lab.settle().await;
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.aws.world(aws_sim::World::clear_faults);
        lab.until("the policy names it no more", |lab| listed(lab).is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// A Registry that is being deleted stays until nothing of its account pulls from it by its consent: whoever is left could
/// not be withdrawn by anybody.
#[test]
fn an_upstream_stays_until_nothing_rests_on_its_consent() {
    for by_role in [true, false] {
        run(1_517, async |lab| {
            two_regions(lab, &json!([allow_all()]));
            if by_role {
                lab.apply(&scoped("Listed"));
                lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            } else {
                lab.apply(&with(bare_cache(), "/spec/upstream/ecr/roleRef", &Value::Null));
                lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
            }
            lab.settle().await;
            lab.delete(REGISTRIES, "", "upstream");
            lab.settle().await;
            let kind = if by_role { "CrossAccountPtcRole" } else { "PullThroughCacheRule" };
            let told = lab.message(REGISTRIES, "", "upstream", "Ready");
            assert!(told.contains(&format!("{kind}/team-a/mirror")), "{told}");
            lab.assert_at_rest().await;
            if by_role {
                delete_role(lab);
            } else {
                delete_cache(lab);
            }
            lab.until("it is gone", |lab| !lab.exists(REGISTRIES, "", "upstream")).await;
            lab.assert_at_rest().await;
        });
    }
}

/// What AWS does not show of one object's role for a while keeps nobody else's from going.
#[test]
fn one_role_that_is_not_shown_as_written_fails_no_other() {
    run(1_518, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.apply(&scoped("Listed"));
        lab.apply(&role("team-b", "other", "upstream", &["base/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror", "team-b/other"]).await;
        lab.settle().await;
        lab.aws.world(|world| world.inject(Fault::stale_read().on("GetRolePolicy").times(40)));
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        lab.pass(Duration::from_secs(2)).await;
        lab.delete(ROLES, "team-b", "other");
        lab.pass(Duration::from_secs(10)).await;
        assert!(!lab.exists(ROLES, "team-b", "other"), "{}", lab.describe());
        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(INTERVAL).await;
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}
