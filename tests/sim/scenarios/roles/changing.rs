//! Roles that change, by their objects and by others' hands (behaviours 11, 27, 29, 30).

use super::*;
use crate::lab::HOME;

/// More repositories are granted, then others: what is no longer named is no longer granted.
#[test]
fn the_grant_follows_the_repositories_of_the_spec() {
    run(1_100, async |lab| {
        mirroring(lab).await;
        assert!(!pulls(lab, "tools/app"));
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        until_all_ready(lab).await;
        assert_eq!(granted(lab), ["base/*", "tools/*"]);
        assert_pulls(lab, "base/app");
        assert_pulls(lab, "tools/app");
        edit(lab, "/spec/upstreams/0/repositories", &json!(["tools/*"]));
        until_all_ready(lab).await;
        assert_eq!(granted(lab), ["tools/*"]);
        assert!(!pulls(lab, "base/app"));
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes("CreateRole"), 1);
    });
}

/// Behaviour 30: an upstream that is no longer named loses its grant, and the others keep theirs.
#[test]
fn upstreams_come_and_go_by_themselves() {
    run(1_101, async |lab| {
        let third = "333333333333";
        lab.aws.world(|world| {
            world.add_account(third);
            let operator = Trust::of([format!("arn:aws:iam::{HOME}:role/controller")]);
            world.add_role(third, "member", operator.with_external_id("lab"));
            world.set_scope(third, REGION, Some(Scope::V2));
        });
        mirroring(lab).await;
        let first = our_role(lab).unwrap();
        lab.apply(&registry("third", third));
        let both = json!([
            {"name": "up", "registryRef": {"name": "upstream"}, "repositories": ["base/*"]},
            {"name": "third", "registryRef": {"name": "third"}, "repositories": ["lib/*"]},
        ]);
        edit(lab, "/spec/upstreams", &both);
        until_all_ready(lab).await;
        assert_eq!((granted(lab), lab.statements(third).len()), (vec!["base/*".to_owned()], 1));
        let kept = lab.statements(B);
        edit(lab, "/spec/upstreams", &json!([both[0]]));
        lab.until("the dropped upstream's grant is gone", |lab| lab.statements(third).is_empty()).await;
        until_all_ready(lab).await;
        assert_eq!(lab.statements(B), kept);
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;

        // The one that the cache pulls from: the cache says so.
        edit(lab, "/spec/upstreams", &json!([both[1]]));
        lab.until("its grant moved", |lab| granted(lab).is_empty() && lab.statements(third).len() == 1).await;
        assert!(!pulls(lab, "base/app"));
        lab.until("the cache says so", |lab| cache_ready(lab).0 != "True").await;
        assert_eq!(our_role(lab).map(|role| role.id), Some(first.id), "it is the same role");
        lab.assert_at_rest().await;
        edit(lab, "/spec/upstreams", &both);
        until_all_ready(lab).await;
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// The role alone by its ARN, or every principal of its account, as AWS's own sample grants.
#[test]
fn the_grantee_may_be_the_role_or_its_account() {
    run(1_102, async |lab| {
        mirroring(lab).await;
        let arn = our_role(lab).unwrap().arn;
        assert_eq!(lab.statements(B)[0]["Condition"]["ArnEquals"]["aws:PrincipalArn"], arn);
        assert!(!lab.may(A, "ecr:BatchGetImage", "base/app", B), "others of the account may not");
        edit(lab, "/spec/grantee", &json!("Account"));
        until_all_ready(lab).await;
        assert_eq!(lab.statements(B)[0].get("Condition"), None);
        assert!(lab.may(A, "ecr:BatchGetImage", "base/app", B));
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
        edit(lab, "/spec/grantee", &json!("Role"));
        until_all_ready(lab).await;
        assert!(!lab.may(A, "ecr:BatchGetImage", "base/app", B));
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// The narrowings change the role's documents and nothing else; without them they are as before.
#[test]
fn narrower_documents_are_written_to_the_same_role() {
    run(1_103, async |lab| {
        lab.aws.world(|world| world.send_source_account(true));
        mirroring(lab).await;
        let first = our_role(lab).unwrap();
        let since = mark(lab);
        edit(lab, "/spec/permissionScope", &json!("Listed"));
        until_all_ready(lab).await;
        assert_eq!(writes_since(lab, since), ["PutRolePolicy"]);
        let listed = our_role(lab).unwrap();
        for pattern in ["repository/mirror/*", "repository/base/*"] {
            assert!(listed.inline_policies[POLICY].contains(pattern), "{:?}", listed.inline_policies);
        }
        assert_pulls(lab, "base/app");

        let since = mark(lab);
        edit(lab, "/spec/trustSourceAccount", &json!(true));
        until_all_ready(lab).await;
        assert_eq!(writes_since(lab, since), ["UpdateAssumeRolePolicy"]);
        assert!(our_role(lab).unwrap().trust.contains("aws:SourceAccount"));
        lab.assert_at_rest().await;

        edit(lab, "/spec/permissionScope", &Value::Null);
        edit(lab, "/spec/trustSourceAccount", &json!(false));
        until_all_ready(lab).await;
        let last = our_role(lab).unwrap();
        assert_eq!((&last.id, &last.trust, &last.inline_policies), (&first.id, &first.trust, &first.inline_policies));
        lab.assert_at_rest().await;
    });
}

/// Whether ECR says for whom it assumes the role, nobody could verify (aws-facts D.6): where it does not, the cache tells.
#[test]
fn a_cache_says_when_ecr_cannot_assume_the_narrowed_role() {
    run(1_112, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/trustSourceAccount", &json!(true));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.pass(INTERVAL).await;
        lab.until_reason(CACHES, "team-a", "mirror", "UpstreamInvalid").await;
        assert!(!pulls(lab, "base/app"));
        lab.assert_at_rest().await;
        edit(lab, "/spec/trustSourceAccount", &Value::Null);
        lab.pass(INTERVAL).await;
        until_all_ready(lab).await;
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// Under `Listed` a repository that the spec adds is added to both: what the role may read, and what is granted to it.
#[test]
fn a_listed_role_may_read_what_is_added() {
    run(1_104, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/permissionScope", &json!("Listed"));
        until_all_ready(lab).await;
        assert!(!pulls(lab, "tools/app"));
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        until_all_ready(lab).await;
        assert_pulls(lab, "tools/app");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 27: documents equal in meaning are not written, whatever their form: a list of one statement, or the one.
#[test]
fn documents_equal_in_meaning_are_left_as_they_are() {
    for (seed, is_list) in [(1_105, true), (1_113, false)] {
        run(seed, async |lab| {
            mirroring(lab).await;
            edit_role(lab, |role| {
                let trust: Value = serde_json::from_str(&role.trust).unwrap();
                let principal = json!({"Service": [trust["Statement"][0]["Principal"]["Service"]]});
                let mut same = json!({"Action": ["STS:AssumeRole"], "Principal": principal, "Effect": "Allow"});
                if is_list {
                    same["Sid"] = json!("");
                    same = json!([same]);
                }
                let trust = json!({"Statement": same, "Version": "2012-10-17"});
                role.trust = serde_json::to_string_pretty(&trust).unwrap();
                let mut policy: Value = serde_json::from_str(&role.inline_policies[POLICY]).unwrap();
                let mut actions = list(&policy["Statement"][0]["Action"]);
                actions.reverse();
                policy["Statement"][0]["Action"] = Value::Array(actions);
                role.inline_policies.insert(POLICY.to_owned(), serde_json::to_string_pretty(&policy).unwrap());
            });
            let (since, theirs) = (mark(lab), our_role(lab));
            lab.pass(2 * LONG).await;
            lab.assert_at_rest().await;
            assert_eq!((writes_since(lab, since), our_role(lab)), (Vec::new(), theirs));
            assert!(is_all_ready(lab), "{}", lab.describe());
            assert_pulls(lab, "base/app");
        });
    }
}

/// Behaviour 27: what others hang on the role stays, also while its own documents change.
#[test]
fn policies_attachments_and_tags_of_others_stay() {
    run(1_106, async |lab| {
        lab.aws.world(|world| world.send_source_account(true));
        mirroring(lab).await;
        let managed = lab.aws.world(|world| world.add_managed_policy(A, "audit", EMPTY));
        let theirs = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}"#;
        edit_role(lab, |role| {
            role.inline_policies.insert("theirs".to_owned(), theirs.to_owned());
            role.attached_policies.insert(managed.clone());
            role.tags.insert("cost".to_owned(), "42".to_owned());
            role.description = Some("theirs".to_owned());
        });
        let since = mark(lab);
        lab.assert_at_rest().await;
        assert_eq!(writes_since(lab, since), NO_WRITES);
        assert!(is_all_ready(lab), "{}", lab.describe());
        edit(lab, "/spec/permissionScope", &json!("Listed"));
        edit(lab, "/spec/trustSourceAccount", &json!(true));
        until_all_ready(lab).await;
        let role = our_role(lab).unwrap();
        assert_eq!(role.inline_policies["theirs"], theirs);
        assert!(role.attached_policies.contains(&managed));
        assert_eq!((role.tags["cost"].as_str(), role.description.as_deref()), ("42", Some("theirs")));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 29: made again under its name, the role is another to IAM, and its grant means it nevertheless.
#[test]
fn a_role_that_somebody_deleted_is_made_again_and_its_grant_works() {
    for (seed, is_asked_for) in [(1_107, false), (1_114, true)] {
        run(seed, async |lab| {
            mirroring(lab).await;
            let (first, grant) = (our_role(lab).unwrap(), lab.statements(B));
            lab.aws.world(|world| world.delete_role(A, &first.name));
            assert!(!pulls(lab, "base/app"));
            if is_asked_for {
                lab.reconcile_now("default");
                lab.until("it is back", |lab| our_role(lab).is_some()).await;
            } else {
                lab.pass(INTERVAL).await;
            }
            until_all_ready(lab).await;
            let again = our_role(lab).unwrap();
            assert_ne!(again.id, first.id);
            assert_eq!((again.arn, again.tags), (first.arn, first.tags));
            assert_eq!(lab.statements(B), grant, "the same grant, to the same name");
            assert_pulls(lab, "base/app");
            lab.assert_at_rest().await;
        });
    }
}

/// What a foreign hand does to a role.
type Change<'a> = &'a dyn Fn(&mut Role);

/// Behaviours 11 and 27: somebody lets others assume the role, lets it do more or nothing, or takes away what says whose it
/// is: put back with one call, in time or when it is asked for, and nothing is ever wider by our hand.
#[test]
fn what_others_change_of_it_is_put_back() {
    let anybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
    let another = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "pullthroughcache.ecr.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": "444444444444"}, "Action": "sts:AssumeRole"}]});
    let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}"#;
    let changes: [(&str, Change<'_>); 6] = [
        ("UpdateAssumeRolePolicy", &|role| role.trust = anybody.to_string()),
        ("UpdateAssumeRolePolicy", &|role| role.trust = another.to_string()),
        ("PutRolePolicy", &|role| drop(role.inline_policies.insert(POLICY.to_owned(), all.to_owned()))),
        ("PutRolePolicy", &|role| drop(role.inline_policies.insert(POLICY.to_owned(), another.to_string()))),
        ("PutRolePolicy", &|role| role.inline_policies.clear()),
        ("TagRole", &|role| role.tags.clear()),
    ];
    for (seed, is_asked_for) in [(1_108, false), (1_115, true)] {
        run(seed, async |lab| {
            mirroring(lab).await;
            let first = our_role(lab);
            for (operation, change) in changes {
                let since = mark(lab);
                edit_role(lab, change);
                if is_asked_for {
                    lab.reconcile_now("default");
                    lab.until("it is put back", |lab| !writes_since(lab, since).is_empty()).await;
                } else {
                    lab.pass(INTERVAL).await;
                }
                until_all_ready(lab).await;
                assert_eq!((our_role(lab), writes_since(lab, since)), (first.clone(), vec![operation.to_owned()]));
            }
            lab.assert_at_rest().await;
            assert_pulls(lab, "base/app");
        });
    }
}

/// Behaviour 28: a role without the boundary is neither changed nor deleted: nothing would bound it. Its owner is told the
/// cure.
#[test]
fn a_role_that_lost_its_boundary_is_not_touched_until_it_is_back() {
    run(1_109, async |lab| {
        mirroring(lab).await;
        edit_role(lab, |role| role.permissions_boundary = None);
        lab.pass(INTERVAL).await;
        until_reason(lab, "BoundaryMissing").await;
        let since = mark(lab);
        edit(lab, "/spec/permissionScope", &json!("Listed"));
        until_reason(lab, "BoundaryMissing").await;
        assert!(message(lab).contains("aws iam put-role-permissions-boundary"), "{}", message(lab));
        lab.assert_at_rest().await;
        assert_eq!(writes_since(lab, since), NO_WRITES);
        edit_role(lab, |role| role.permissions_boundary = Some(boundary_arn()));
        lab.pass(INTERVAL).await;
        until_all_ready(lab).await;
        assert!(our_role(lab).unwrap().inline_policies[POLICY].contains("repository/mirror/*"));
        lab.assert_at_rest().await;

        edit_role(lab, |role| role.permissions_boundary = None);
        lab.reconcile_now("default");
        until_reason(lab, "BoundaryMissing").await;
        let unbounded = our_role(lab);
        delete_set(lab);
        until_cache_gone(lab).await;
        until_reason(lab, "DeletionBlocked").await;
        lab.assert_at_rest().await;
        assert_eq!((our_role(lab), reason(lab)), (unbounded, "DeletionBlocked".to_owned()));
        edit_role(lab, |role| role.permissions_boundary = Some(boundary_arn()));
        lab.pass(LONG).await;
        until_role_gone(lab).await;
        assert!(is_nothing_left(lab), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// The cache's role is another: the rule is changed in place, and the former role is of no use to it.
#[test]
fn a_cache_moves_from_one_role_to_another() {
    run(1_111, async |lab| {
        mirroring(lab).await;
        let first = our_role(lab).unwrap();
        let other = with(mirror(), "/metadata/name", &json!("other"));
        lab.apply(&with(other, "/spec/roleName", &json!("other-role")));
        lab.until_ready_of(ROLES, &["team-a/other"]).await;
        lab.apply(&with(cache(), "/spec/upstream/ecr/roleRef/name", &json!("other")));
        until_all_ready(lab).await;
        let arn = lab.aws.world(|world| world.role(A, "other-role")).unwrap().arn;
        assert_eq!(rule(lab).unwrap()["customRoleArn"], arn);
        assert_pulls(lab, "base/app");
        delete_role(lab);
        until_role_gone(lab).await;
        assert_eq!(lab.aws.world(|world| world.role(A, &first.name)), None);
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11: a role or a rule that somebody changes is put right, and drift is told. What an owner edits is none.
#[test]
fn what_somebody_changes_is_drift_and_what_an_owner_edits_is_not() {
    run(1_309, async |lab| {
        mirroring(lab).await;
        let is_drift = |lab: &Lab| lab.events().iter().any(|(_, reason)| reason == "DriftRepaired");
        edit(lab, "/spec/permissionScope", &json!("Listed"));
        until_all_ready(lab).await;
        lab.pass(INTERVAL).await;
        assert!(!is_drift(lab), "{:?}", lab.events());
        edit_role(lab, |role| {
            role.trust = role.trust.replace("pullthroughcache.ecr.amazonaws.com", "ec2.amazonaws.com");
        });
        lab.pass(INTERVAL).await;
        assert!(our_role(lab).unwrap().trust.contains("pullthroughcache"));
        assert!(is_drift(lab), "{:?}", lab.events());
        assert!(lab.metrics.text().contains("drift_detected_total{"), "{}", lab.metrics.text());
        lab.assert_at_rest().await;
    });
}
