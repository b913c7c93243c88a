//! Nobody knows what became of a call to IAM, or IAM shows an older answer: in the end there is one role, or none
//! (behaviours 26 and 42, aws-facts K.3).

use super::*;

/// Each way not to know what became of a call.
fn unknowns(operation: &str) -> [Fault; 6] {
    let late = Fault::delay(Duration::from_secs(15));
    let server = Fault::error(500, "ServiceFailure", "sim").after_effect();
    let all =
        [server, Fault::reset(), Fault::reset().after_effect(), Fault::hang(), Fault::hang().after_effect(), late];
    all.map(|fault| fault.on(operation).in_account(A).once())
}

fn roles_made(lab: &Lab) -> usize {
    lab.aws.world(|world| world.calls().iter().filter(|c| c.took_effect && c.operation == "CreateRole").count())
}

/// One role, granted to, and by it the pull goes through.
#[track_caller]
fn assert_whole(lab: &Lab, fault: &Fault) {
    assert_eq!((roles_in(lab, A), granted(lab)), (1, vec!["base/*".to_owned()]), "{fault:?}");
    assert_pulls(lab, "base/app");
}

#[test]
fn a_role_that_nobody_knows_to_be_made_is_made_once() {
    for fault in ["CreateRole", "PutRolePolicy"].into_iter().flat_map(unknowns) {
        run(1_320, async |lab| {
            lab.aws.world(|world| world.inject(fault.clone()));
            mirroring(lab).await;
            assert_whole(lab, &fault);
            assert_eq!(roles_made(lab), 1, "{fault:?}");
            lab.assert_at_rest().await;
        });
    }
}

#[test]
fn a_change_that_nobody_knows_the_end_of_ends_with_what_is_wanted() {
    for operation in ["PutRolePolicy", "UpdateAssumeRolePolicy", "TagRole"] {
        for fault in unknowns(operation) {
            run(1_321, async |lab| {
                mirroring(lab).await;
                lab.aws.world(|world| world.inject(fault.clone()));
                edit_role(lab, |role| {
                    role.trust = role.trust.replace("pullthroughcache.ecr", "ec2");
                    role.tags.remove("ecr-permissions.dev/name");
                });
                edit(lab, "/spec/permissionScope", &json!("Listed"));
                lab.pass(INTERVAL).await;
                until_all_ready(lab).await;
                assert_whole(lab, &fault);
                lab.assert_at_rest().await;
            });
        }
    }
}

#[test]
fn a_removal_that_nobody_knows_the_end_of_holds_the_object_until_the_role_is_gone() {
    for operation in ["DeleteRolePolicy", "DeleteRole"] {
        for fault in unknowns(operation) {
            run(1_322, async |lab| {
                mirroring(lab).await;
                lab.aws.world(|world| world.inject(fault.clone()));
                lab.delete(CACHES, "team-a", "mirror");
                lab.delete(ROLES, "team-a", "mirror");
                until_role_gone(lab).await;
                assert_eq!((our_role(lab), rule(lab), lab.policy(B)), (None, None, None), "{fault:?}");
                lab.assert_at_rest().await;
            });
        }
    }
}

/// Behaviour 42: a role that may still come of a call is waited for, also by an object that is deleted meanwhile.
#[test]
fn a_role_that_comes_late_does_not_outlive_its_object() {
    run(1_323, async |lab| {
        two_registries(lab);
        lab.settle().await;
        lab.aws.world(|world| world.inject(Fault::delay(Duration::from_secs(25)).on("CreateRole").once()));
        lab.apply(&mirror());
        lab.until("nobody knows", |lab| reason(lab) == "Unreachable").await;
        lab.delete(ROLES, "team-a", "mirror");
        until_role_gone(lab).await;
        lab.pass(Duration::from_secs(60)).await;
        assert_eq!((our_role(lab), roles_made(lab)), (None, 1));
        lab.assert_at_rest().await;
    });
}

/// The same while IAM cannot be asked at all: a claim is as open after it as before.
#[test]
fn a_role_that_comes_late_while_iam_says_nothing_does_not_outlive_its_object() {
    run(1_324, async |lab| {
        two_registries(lab);
        lab.settle().await;
        lab.aws.world(|world| {
            world.inject(Fault::delay(Duration::from_secs(25)).on("CreateRole").once());
        });
        lab.apply(&mirror());
        lab.until("nobody knows", |lab| reason(lab) == "Unreachable").await;
        lab.aws.world(|world| world.inject(Fault::error(403, "AccessDenied", "sim").on("GetRole").in_account(A)));
        lab.delete(ROLES, "team-a", "mirror");
        lab.pass(Duration::from_secs(10)).await;
        assert!(lab.exists(ROLES, "team-a", "mirror"), "it may have a role");
        assert!(message(lab).contains("AccessDenied"), "{}", message(lab));
        lab.aws.world(aws_sim::World::clear_faults);
        until_role_gone(lab).await;
        lab.pass(Duration::from_secs(60)).await;
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// aws-facts K.3: one answer that shows no role is no proof that it is gone.
#[test]
fn a_role_that_one_answer_does_not_show_is_not_made_again() {
    for fault in [Fault::nothing_there(), Fault::stale_read()] {
        run(1_325, async |lab| {
            mirroring(lab).await;
            lab.aws.world(|world| world.inject(fault.clone().on("GetRole").in_account(A).once()));
            lab.pass(INTERVAL).await;
            until_all_ready(lab).await;
            assert_whole(lab, &fault);
            lab.assert_at_rest().await;
        });
    }
}

/// The same of a role that is to go: it is looked for again before it counts as gone, whichever pass the answer is for.
#[test]
fn a_role_that_one_answer_does_not_show_does_not_outlive_its_object() {
    for answers_before in 0..3 {
        run(1_326, async |lab| {
            mirroring(lab).await;
            delete_cache(lab);
            until_cache_gone(lab).await;
            lab.settle().await;
            let fault = Fault::nothing_there().on("GetRole").in_account(A).skipping(answers_before).once();
            lab.aws.world(|world| world.inject(fault));
            delete_role(lab);
            until_role_gone(lab).await;
            assert_eq!((our_role(lab), lab.policy(B)), (None, None), "{answers_before}");
            lab.assert_at_rest().await;
        });
    }
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
