//! Upstreams that no Registry stands for, and those that need no grant: of the same account (behaviours 22, 26).

use super::*;

const OTHER_REGION: &str = "eu-central-1";

fn external(account: &str, region: &str) -> Value {
    json!({"accountId": account, "region": region})
}

/// The role whose upstream is another's, by account and Region.
fn role_of(upstream: &Value) -> Value {
    let upstreams = json!([{"name": "up", "external": upstream, "repositories": ["base/*"]}]);
    with(mirror(), "/spec/upstreams", &upstreams)
}

fn cache_of(upstream: &Value) -> Value {
    let ecr = json!({"external": upstream, "roleRef": {"name": "mirror"}});
    with(cache(), "/spec/upstream/ecr", &ecr)
}

/// `requiredStatement` of the role's only upstream.
fn required(lab: &Lab) -> Option<Value> {
    Some(serde_json::from_str(upstream_status(lab)["requiredStatement"].as_str()?).unwrap())
}

/// An account whose owner runs no operator: scope V2, and a policy of its own.
fn foreign_registry(lab: &Lab, account: &str) {
    lab.aws.world(|world| {
        world.set_scope(account, REGION, Some(Scope::V2));
        world.add_repository(account, REGION, "base/app");
    });
}

/// The statement that the status prints, added to the other account's policy by hand, is all that was missing.
#[test]
fn the_required_statement_lets_the_pull_through() {
    for (seed, grantee, scope) in [(1_180, "Role", "Any"), (1_181, "Account", "Any"), (1_182, "Role", "Listed")] {
        run(seed, async |lab| {
            lab.two_teams();
            foreign_registry(lab, B);
            let role = with(role_of(&external(B, REGION)), "/spec/grantee", &json!(grantee));
            lab.apply(&with(role, "/spec/permissionScope", &json!(scope)));
            lab.apply(&cache_of(&external(B, REGION)));
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            assert_eq!(upstream_ready(lab).1, "External");
            assert!(message(lab).contains("owners of external upstreams have to add"), "{}", message(lab));
            lab.until_reason(CACHES, "team-a", "mirror", "UpstreamInvalid").await;
            lab.settle().await;
            assert!(!pulls(lab, "base/app"));
            assert_eq!((cache_ready(lab).1.as_str(), lab.aws_writes_of(B)), ("UpstreamInvalid", 0));

            let policy = json!({"Version": "2012-10-17", "Statement": [required(lab).unwrap()]});
            lab.aws.world(|world| world.put_policy(B, REGION, &policy.to_string()));
            assert_pulls(lab, "base/app");
            assert!(!pulls(lab, "tools/app"));
            lab.pass(INTERVAL).await;
            lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
            lab.assert_at_rest().await;
            assert_eq!(lab.policy(B).unwrap()["Statement"].as_array().map_or(1, Vec::len), 1);
        });
    }
}

/// A role that is made anew is the same to the statement, which need not be added again.
#[test]
fn the_required_statement_outlives_the_role() {
    run(1_183, async |lab| {
        lab.two_teams();
        foreign_registry(lab, B);
        lab.apply(&role_of(&external(B, REGION)));
        lab.apply(&cache_of(&external(B, REGION)));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let first = required(lab).unwrap();
        let policy = json!({"Version": "2012-10-17", "Statement": [first]});
        lab.aws.world(|world| world.put_policy(B, REGION, &policy.to_string()));
        let name = our_role(lab).unwrap().name;
        lab.aws.world(|world| world.delete_role(A, &name));
        lab.pass(INTERVAL).await;
        lab.pass(INTERVAL).await;
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
        assert_eq!(required(lab), Some(first));
        assert_pulls(lab, "base/app");
        // What it asks for changes, and so does the statement; its Sid with it, so that both fit into one policy.
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let second = required(lab).unwrap();
        assert_ne!(second["Sid"], policy["Statement"][0]["Sid"]);
        lab.assert_at_rest().await;
    });
}

/// It goes with its rule; what its statement says elsewhere is another's, and blocks nothing.
#[test]
fn a_role_with_an_external_upstream_goes_without_asking_there() {
    run(1_184, async |lab| {
        lab.two_teams();
        foreign_registry(lab, B);
        lab.apply(&role_of(&external(B, REGION)));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let policy = json!({"Version": "2012-10-17", "Statement": [required(lab).unwrap()]});
        lab.aws.world(|world| world.put_policy(B, REGION, &policy.to_string()));
        delete_role(lab);
        until_role_gone(lab).await;
        assert_eq!((our_role(lab), lab.statements(B).len(), lab.aws_writes_of(B)), (None, 1, 0));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: an upstream that a Registry stands for is that Registry's to give, however it is written.
#[test]
fn an_upstream_that_a_registry_stands_for_is_asked_however_it_is_written() {
    run(1_185, async |lab| {
        two_registries(lab);
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.apply(&role_of(&external(B, REGION)));
        lab.apply(&cache_of(&external(B, REGION)));
        until_reason(lab, "WaitingForUpstream").await;
        lab.assert_at_rest().await;
        assert_eq!((granted(lab), upstream_ready(lab).1), (Vec::new(), "NotAllowed".to_owned()));
        assert_eq!((required(lab), rule(lab)), (None, None));
        set_registry(lab, "upstream", "allow", &json!([allow_all()]));
        until_all_ready(lab).await;
        assert_eq!(granted(lab), ["base/*"]);
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.until("the grant is withdrawn", |lab| granted(lab).is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// A Registry that comes later bounds what is asked from then on: nothing that stands is taken, and nothing is written
/// there, until it consents.
#[test]
fn a_registry_that_comes_later_takes_nothing_that_stands() {
    run(1_194, async |lab| {
        two_registries(lab);
        let upstream = lab.kube.get("registries", "", "upstream").unwrap();
        lab.delete("registries", "", "upstream");
        lab.until("it is gone", |lab| !lab.exists("registries", "", "upstream")).await;
        lab.apply(&role_of(&external(B, REGION)));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert_eq!(upstream_ready(lab).1, "External");
        let policy = json!({"Version": "2012-10-17", "Statement": [required(lab).unwrap()]});
        lab.aws.world(|world| world.put_policy(B, REGION, &policy.to_string()));
        lab.apply(&cache_of(&external(B, REGION)));
        until_all_ready(lab).await;
        let (before, writes) = (in_aws(lab), lab.aws_writes_of(B));
        lab.apply(&json!({
            "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "Registry", "metadata": {"name": "late"},
            "spec": with(upstream, "/spec/allow", &json!([]))["spec"],
        }));
        until_reason(lab, "WaitingForUpstream").await;
        lab.pass(INTERVAL).await;
        assert_eq!((in_aws(lab), lab.aws_writes_of(B)), (before, writes));
        assert_pulls(lab, "base/app");
        assert!(lab.is_ready(CACHES, "team-a", "mirror"), "{}", lab.describe());
        lab.assert_at_rest().await;
        set_registry(lab, "late", "allow", &json!([allow_all()]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        assert_eq!(lab.statements(B).len(), 2, "the owner's own statement stays beside the grant");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 22: the same account in another Region needs no statement anywhere: the role's own policy is enough.
#[test]
fn another_region_of_the_same_account_needs_no_statement() {
    for (seed, is_external) in [(1_186, true), (1_187, false)] {
        run(seed, async |lab| {
            lab.two_teams();
            lab.aws.world(|world| world.add_repository(A, OTHER_REGION, "base/app"));
            let here = external(A, OTHER_REGION);
            let (mut role, mut rule) = (role_of(&here), cache_of(&here));
            if !is_external {
                let other = with(registry("upstream", A), "/spec/region", &json!(OTHER_REGION));
                lab.apply(&other);
                role = mirror();
                rule = cache();
            }
            lab.apply(&role);
            lab.apply(&rule);
            until_all_ready(lab).await;
            assert_eq!((required(lab), upstream_ready(lab).0), (None, "True".to_owned()));
            assert_eq!(lab.aws.world(|world| world.policy_text(A, OTHER_REGION)), None);
            assert_pulls(lab, "base/app");
            lab.assert_at_rest().await;
            delete_set(lab);
            until_set_gone(lab).await;
            assert_eq!(our_role(lab), None);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 22: a cache of another Region of the same account needs no role at all.
#[test]
fn a_cache_of_another_region_needs_no_role() {
    run(1_188, async |lab| {
        lab.two_teams();
        lab.aws.world(|world| world.add_repository(A, OTHER_REGION, "base/app"));
        lab.apply(&with(cache(), "/spec/upstream/ecr", &json!({"external": external(A, OTHER_REGION)})));
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
        assert_pulls(lab, "base/app");
        lab.assert_at_rest().await;
    });
}

/// A role of one partition reaches no registry of another: refused, and nothing is made.
#[test]
fn an_upstream_of_another_partition_is_refused() {
    for (seed, region) in [(1_189, "cn-north-1"), (1_190, "us-gov-west-1")] {
        run(seed, async |lab| {
            lab.two_teams();
            lab.apply(&role_of(&external(B, region)));
            until_reason(lab, "InvalidSpec").await;
            lab.assert_at_rest().await;
            assert_eq!(role_ready(lab), ("False".to_owned(), "InvalidSpec".to_owned()));
            let message = message(lab);
            assert!(message.contains("spec.upstreams[0]") && message.contains("same partition"), "{message}");
            assert_eq!((our_role(lab), lab.aws_writes("CreateRole")), (None, 0));
        });
    }
}

/// The own registry as an upstream of itself is refused.
#[test]
fn the_own_registry_is_no_upstream() {
    run(1_191, async |lab| {
        lab.two_teams();
        lab.apply(&role_of(&external(A, REGION)));
        lab.until("it is refused", |lab| role_ready(lab).0 == "False").await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes("CreateRole"), 0);
    });
}
