//! Upstreams without a Registry, of the same account, and of a registry that cannot grant (behaviours 16, 22).

use super::*;
use crate::lab::objects::{cache_by_role, role};
use crate::lab::run;

/// The statement that is printed is the one that is missing: put into the other account by hand, the pull goes through.
#[test]
fn what_is_printed_for_the_owner_of_an_external_upstream_is_what_it_takes() {
    run(1_060, async |lab| {
        lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
        lab.two_teams();
        let external = json!({"accountId": B, "region": REGION});
        let upstreams = json!([{"name": "up", "external": external, "repositories": ["base/*"]}]);
        lab.apply(&with(role("team-a", "mirror", "", &[]), "/spec/upstreams", &upstreams));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        let status = lab.kube.get(ROLES, "team-a", "mirror").unwrap()["status"]["upstreams"][0].clone();
        assert_eq!(status["conditions"][0]["reason"], "External", "{status}");
        assert_eq!(lab.statements(B), Vec::<Value>::new());

        let ecr = json!({"external": external, "roleRef": {"name": "mirror"}});
        let cache = cache_by_role("team-a", "mirror", "", "mirror");
        let cache = with(cache, "/spec/upstream/ecr", &ecr);
        let cache = with(cache, "/spec/pullers", &json!({"accountIds": [A]}));
        lab.apply(&with(cache, "/spec/createRepositories", &json!(true)));
        lab.until_reason(CACHES, "team-a", "mirror", "UpstreamInvalid").await;
        let puller = format!("arn:aws:iam::{A}:root");
        lab.pulls_through(&puller, "mirror/base/app").unwrap_err();

        let required: Value = serde_json::from_str(status["requiredStatement"].as_str().unwrap()).unwrap();
        let policy = json!({"Version": "2012-10-17", "Statement": [required]}).to_string();
        lab.aws.world(|world| world.put_policy(B, REGION, &policy));
        lab.pulls_through(&puller, "mirror/base/app").unwrap();
        lab.pulls_through(&puller, "mirror/other/app").unwrap_err();
        lab.pass(std::time::Duration::from_secs(600)).await;
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 22: inside one account the role's own policy is enough, whatever the Region: nothing is granted.
#[test]
fn another_region_of_the_same_account_needs_no_grant() {
    run(1_061, async |lab| {
        lab.two_teams();
        let mut there = registry("elsewhere", A);
        there["spec"]["region"] = json!("us-east-1");
        lab.apply(&there);
        lab.apply(&role("team-a", "mirror", "elsewhere", &["base/*"]));
        lab.apply(&cache_by_role("team-a", "mirror", "elsewhere", "mirror"));
        until_all_ready(lab).await;
        assert_eq!(lab.aws.world(|world| world.policy_text(A, "us-east-1")), None);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 16: an upstream under scope V1 cannot grant to the role: told where the cure is, and healed by it.
#[test]
fn an_upstream_under_scope_v1_says_so_and_heals() {
    run(1_062, async |lab| {
        lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V1)));
        lab.two_teams();
        lab.apply(&upstream());
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
        lab.until_reason(ROLES, "team-a", "mirror", "WaitingForUpstream").await;
        let is_told = |lab: &Lab| {
            let status = lab.kube.get(ROLES, "team-a", "mirror").unwrap()["status"]["upstreams"][0].clone();
            status["conditions"][0]["reason"] == "ScopeV1"
        };
        lab.until("the scope is named", is_told).await;
        assert_eq!(
            (lab.statements(B).len(), lab.ready(CACHES, "team-a", "mirror").1.as_str()),
            (0, "WaitingForUpstream")
        );
        lab.assert_at_rest().await;
        lab.set("registries", "", "upstream", "/spec/registryPolicy", &json!({"scope": "V2"}));
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Bad input: a role and its upstream in different partitions.
#[test]
fn no_role_reaches_over_the_border_of_a_partition() {
    run(1_063, async |lab| {
        lab.two_teams();
        let upstreams =
            json!([{"name": "up", "external": {"accountId": B, "region": "cn-north-1"}, "repositories": ["base/*"]}]);
        lab.apply(&with(role("team-a", "mirror", "", &[]), "/spec/upstreams", &upstreams));
        lab.until_reason(ROLES, "team-a", "mirror", "InvalidSpec").await;
        let told = lab.message(ROLES, "team-a", "mirror", "Ready");
        assert!(told.contains("spec.upstreams[0]") && told.contains("same partition"), "{told}");
        assert_eq!(our_role(lab), None);
        lab.assert_at_rest().await;
    });
}

/// A registry that names no scope: AWS takes the grant if it is on V2 after all.
#[test]
fn an_upstream_that_names_no_scope_is_tried() {
    run(1_064, async |lab| {
        lab.two_teams();
        lab.apply(&upstream());
        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}
