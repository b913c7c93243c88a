//! What AWS has no room for, or does not take: said with the field and the cure, nobody else harmed, and healed once the
//! cause is gone (behaviours 14, 16, 26, 28).

use super::*;
use crate::lab::boundary;
use crate::lab::objects::{POLICIES, pull};

const OTHER: &str = "333333333333";

/// Objects that have nothing to do with the set, in both registries.
fn bystanders(lab: &Lab) {
    lab.apply(&pull("team-b", "here", "default", &[OTHER], "here/*"));
    lab.apply(&pull("team-b", "there", "upstream", &[OTHER], "there/*"));
}

async fn assert_unharmed(lab: &mut Lab) {
    lab.until_ready(&["team-b/here", "team-b/there"]).await;
}

/// The set heals by itself within an interval, and is removed whole.
async fn heals(lab: &mut Lab) {
    lab.pass(LONG).await;
    assert!(is_all_ready(lab), "{} {}\n{}", reason(lab), message(lab), lab.describe());
    assert_unharmed(lab).await;
    lab.assert_at_rest().await;
    delete_set(lab);
    until_set_gone(lab).await;
    assert_eq!((our_role(lab), lab.statements(B).len(), prefixes(lab)), (None, 1, Vec::new()));
    lab.assert_at_rest().await;
}

/// The role says so, with these words, and the rule waits for it.
async fn until_role_says(lab: &mut Lab, reason: &str, words: &[&str]) {
    until_reason(lab, reason).await;
    lab.settle().await;
    let message = message(lab);
    assert_eq!(super::reason(lab), reason, "{message}");
    for word in words {
        assert!(message.contains(word), "{word} is not said: {message}");
    }
    assert_eq!(cache_ready(lab).0, "Unknown", "the rule waits: {}", lab.describe());
    assert_unharmed(lab).await;
}

/// Behaviour 28, aws-facts K.1: without the boundary there is no role.
#[test]
fn a_boundary_that_does_not_exist_is_named() {
    run(1_040, async |lab| {
        lab.aws.world(|world| world.delete_managed_policy(A, BOUNDARY));
        two_registries(lab);
        bystanders(lab);
        apply_set(lab);
        until_role_says(lab, "BoundaryMissing", &[&boundary_arn(), "spec.roles.permissionsBoundaryArn", "create it"])
            .await;
        assert_eq!(role_ready(lab).0, "False");
        assert_eq!((our_role(lab), prefixes(lab), lab.statements(B).len()), (None, Vec::new(), 1));
        lab.aws.world(|world| world.add_managed_policy(A, BOUNDARY, &boundary()));
        heals(lab).await;
    });
}

/// The Registry's owner takes away what bounds roles: what stands is kept, and nobody new is made.
#[test]
fn a_registry_that_names_another_boundary_touches_no_role() {
    run(1_041, async |lab| {
        a_set(lab).await;
        bystanders(lab);
        assert_unharmed(lab).await;
        let before = in_aws(lab).0;
        let other = format!("arn:aws:iam::{A}:policy/other");
        lab.aws.world(|world| world.add_managed_policy(A, "other", &boundary()));
        set_registry(lab, "default", "roles/permissionsBoundaryArn", &json!(other));
        until_reason(lab, "BoundaryMissing").await;
        let message = message(lab);
        assert!(message.contains("put-role-permissions-boundary") && message.contains(&other), "{message}");
        lab.assert_at_rest().await;
        assert_eq!(in_aws(lab).0, before);
        set_registry(lab, "default", "roles/permissionsBoundaryArn", &json!(boundary_arn()));
        heals(lab).await;
    });
}

/// aws-facts F: a thousand roles, and no room for another.
#[test]
fn an_account_full_of_roles_says_so() {
    run(1_042, async |lab| {
        let name = |n: usize| format!("theirs-{n}");
        lab.aws.world(|world| {
            for n in 0..999 {
                world.add_role(A, &name(n), Trust::default());
            }
        });
        two_registries(lab);
        bystanders(lab);
        apply_set(lab);
        until_role_says(lab, "QuotaExceeded", &[A, "RolesPerAccount", "quota"]).await;
        assert_eq!(role_ready(lab).0, "False");
        assert_eq!((our_role(lab), prefixes(lab)), (None, Vec::new()));
        lab.aws.world(|world| world.delete_role(A, &name(7)));
        heals(lab).await;
    });
}

/// Fills the policy of the upstream with a statement of somebody else's.
fn fill(lab: &Lab, characters: usize) {
    let resource = format!("arn:aws:ecr:{REGION}:{B}:repository/{}", "x".repeat(characters));
    lab.aws.world(|world| {
        world.edit_policy(B, REGION, |text| {
            let mut policy: Value =
                text.map_or_else(|| json!({"Version": "2012-10-17"}), |text| serde_json::from_str(&text).unwrap());
            let mut all = crate::lab::list(&policy["Statement"]);
            all.retain(|statement| statement["Sid"] != "filler");
            all.push(json!({
                "Sid": "filler", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{OTHER}:root")},
                "Action": "ecr:ReplicateImage", "Resource": resource,
            }));
            policy["Statement"] = json!(all);
            Some(policy.to_string())
        });
    });
}

/// Behaviour 14: the upstream's policy is full. Its registry's word comes to the object, which is attached elsewhere.
#[test]
fn a_full_policy_of_the_upstream_is_told_by_the_role() {
    run(1_043, async |lab| {
        two_registries(lab);
        bystanders(lab);
        assert_unharmed(lab).await;
        fill(lab, 9_400);
        apply_set(lab);
        until_role_says(lab, "WaitingForUpstream", &["Upstream up", "10240"]).await;
        assert_eq!(upstream_ready(lab).1, "PolicyTooLarge");
        assert!(our_role(lab).is_some(), "the role is no matter of the upstream's");
        fill(lab, 10);
        lab.pass(LONG).await;
        assert!(is_all_ready(lab), "{}", lab.describe());
        assert_unharmed(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 14: a role that asks for more than there is room for keeps what it has.
#[test]
fn a_role_that_asks_for_too_much_keeps_what_it_has() {
    run(1_044, async |lab| {
        a_set(lab).await;
        bystanders(lab);
        lab.keep_nothing_back("upstream");
        assert_unharmed(lab).await;
        let before = lab.statements(B);
        let many: Vec<String> = (0..60).map(|n| format!("team/{n:02}-{}/*", "y".repeat(150))).collect();
        let many: Vec<String> = [vec!["base/*".to_owned()], many].concat();
        edit(lab, "/spec/upstreams/0/repositories", &json!(many));
        until_reason(lab, "WaitingForUpstream").await;
        lab.until("its upstream says why", |lab| upstream_ready(lab).1 == "PolicyTooLarge").await;
        lab.assert_at_rest().await;
        assert_eq!(lab.statements(B), before);
        assert_eq!(prefixes(lab), ["mirror"]);
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*"]));
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
        assert_eq!(lab.statements(B), before);
    });
}

/// Behaviour 16: an upstream under V1 knows nothing of the actions; its owner is told what to do about it.
#[test]
fn an_upstream_under_v1_is_said_to_need_v2() {
    run(1_045, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V1)));
        lab.apply(&pull("team-b", "here", "default", &[OTHER], "here/*"));
        apply_set(lab);
        until_reason(lab, "WaitingForUpstream").await;
        lab.until("its upstream says why", |lab| upstream_ready(lab).1 == "ScopeV1").await;
        lab.settle().await;
        assert!(message(lab).contains("registryPolicy.scope: V2"), "{}", message(lab));
        assert_eq!((cache_ready(lab).0.as_str(), cache_ready(lab).1.as_str()), ("Unknown", "WaitingForUpstream"));
        assert_eq!((lab.statements(B).len(), prefixes(lab)), (0, Vec::new()));
        lab.until_ready(&["team-b/here"]).await;
        lab.assert_at_rest().await;
        set_registry(lab, "upstream", "registryPolicy", &json!({"scope": "V2"}));
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}

/// A registry that names no scope: AWS takes the grant if it is on V2 after all.
#[test]
fn an_upstream_that_names_no_scope_is_tried() {
    run(1_048, async |lab| {
        lab.two_teams();
        lab.apply(&upstream());
        apply_set(lab);
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 35: a role that may not do what it is for is nobody's fault but the spec's: the field is named.
#[test]
fn a_policy_of_its_own_that_iam_would_not_take_is_refused_before_the_call() {
    run(1_046, async |lab| {
        two_registries(lab);
        bystanders(lab);
        let many: Vec<String> = (0..70).map(|n| format!("team/{n:02}-{}/*", "y".repeat(150))).collect();
        let listed = with(mirror(), "/spec/permissionScope", &json!("Listed"));
        lab.apply(&with(listed, "/spec/cacheRepositories", &json!(many)));
        lab.apply(&bare_cache());
        until_role_says(lab, "InvalidSpec", &["spec.permissionScope", "10240"]).await;
        assert_eq!((our_role(lab), lab.aws_writes("CreateRole")), (None, 0));
        edit(lab, "/spec/cacheRepositories", &json!(["mirror/*"]));
        heals(lab).await;
    });
}

/// Behaviour 26: what IAM refuses is said as IAM said it, names the call, and heals without a hand on the object.
#[test]
fn what_iam_refuses_is_said_and_tried_again() {
    let refusals = [
        ("CreateRole", 403, "AccessDenied", "AccessDenied"),
        ("PutRolePolicy", 403, "AccessDenied", "Propagating"),
        ("GetRole", 403, "AccessDenied", "AccessDenied"),
        ("CreateRole", 400, "MalformedPolicyDocument", "Rejected"),
        ("PutRolePolicy", 400, "MalformedPolicyDocument", "Rejected"),
        ("PutRolePolicy", 404, "NoSuchEntity", "Progressing"),
        ("CreateRole", 409, "ConcurrentModification", "Unreachable"),
    ];
    let mut wrong = Vec::new();
    for (operation, status, code, reason) in refusals {
        run(1_047, async |lab| {
            two_registries(lab);
            bystanders(lab);
            assert_unharmed(lab).await;
            lab.aws.world(|world| world.inject(Fault::error(status, code, "sim says no").on(operation).in_account(A)));
            apply_set(lab);
            lab.pass(Duration::from_secs(60)).await;
            let (told, message) = (super::reason(lab), message(lab));
            if told != reason || !message.contains("sim says no") {
                wrong.push(format!("{operation} {code}: {told} {message}"));
            }
            // A role without its policy serves nobody: nothing is granted to it, and no cache begins to pull by it.
            assert!(!lab.is_ready(CACHES, "team-a", "mirror"), "{operation} {code}");
            assert_eq!((prefixes(lab).len(), lab.statements(B).len()), (0, 1), "{operation} {code}");
            assert!(lab.is_ready(POLICIES, "team-b", "here") && lab.is_ready(POLICIES, "team-b", "there"));
            lab.aws.world(aws_sim::World::clear_faults);
            heals(lab).await;
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// aws-facts A.1, K.1: the policy of a role that was made just now is denied until IAM sees its boundary everywhere. That is
/// waited for, and after five minutes it is a denial like any other.
#[test]
fn what_iam_denies_of_a_role_that_was_just_made_is_waited_for_and_not_for_ever() {
    for (denied_for, reasons) in [(90, ["Propagating", "Propagating"]), (600, ["Propagating", "AccessDenied"])] {
        run(1_048, async |lab| {
            two_registries(lab);
            bystanders(lab);
            assert_unharmed(lab).await;
            let denied = Fault::error(403, "AccessDenied", "sim says no");
            lab.aws.world(|world| world.inject(denied.on("PutRolePolicy").in_account(A)));
            apply_set(lab);
            until_reason(lab, reasons[0]).await;
            assert_eq!(role_ready(lab).0, "Unknown", "nobody must act");
            lab.pass(Duration::from_secs(denied_for)).await;
            assert_eq!(reason(lab), reasons[1]);
            assert!(message(lab).contains("sim says no"), "{}", message(lab));
            let tries = lab.aws_writes("PutRolePolicy");
            assert!(tries < 30, "{tries} tries");
            lab.aws.world(aws_sim::World::clear_faults);
            if denied_for < 300 {
                lab.pass(Duration::from_secs(60)).await;
                assert!(is_all_ready(lab), "{} {}\n{}", reason(lab), message(lab), lab.describe());
            }
            heals(lab).await;
        });
    }
}

/// A role that has stood for long is not young because its policy is changed: that a permission is missing is said at once.
#[test]
fn what_iam_denies_of_an_older_role_is_said_at_once() {
    run(1_049, async |lab| {
        a_set(lab).await;
        bystanders(lab);
        assert_unharmed(lab).await;
        let (name, denied) = (our_role(lab).unwrap().name, Fault::error(403, "AccessDenied", "sim says no"));
        lab.aws.world(|world| {
            world.inject(denied.on("PutRolePolicy").in_account(A));
            world.edit_role(A, &name, |role| role.inline_policies.clear());
        });
        lab.reconcile_now("default");
        until_reason(lab, "AccessDenied").await;
        lab.aws.world(aws_sim::World::clear_faults);
        heals(lab).await;
    });
}
