//! Role, grant and rule, from nothing.

use super::*;

use crate::lab::run;

/// The five steps of AWS's guide for a cache of another account's registry (aws-facts D.6), by two objects and without
/// a hand on either account.
#[test]
fn the_five_steps_of_a_cache_across_accounts() {
    run(1_000, async |lab| {
        two_registries(lab);
        let puller = format!("arn:aws:iam::{A}:root");
        lab.aws.world(|world| world.add_repository(B, REGION, "base/app"));
        lab.pulls_through(&puller, "mirror/base/app").unwrap_err();

        lab.apply(&role("team-a", "mirror", "upstream", &["base/*"]));
        let pullers = json!({"accountIds": [A]});
        let cache = with(cache_by_role("team-a", "mirror", "upstream", "mirror"), "/spec/pullers", &pullers);
        lab.apply(&with(cache, "/spec/createRepositories", &json!(true)));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;

        // Step 1: a role in the downstream account, with what it needs to copy images.
        let made = our_role(lab).unwrap();
        assert!(made.inline_policies["ecr-pull-through-cache"].contains("ecr:BatchImportUpstreamImage"));
        // Step 2: only the pull through cache may assume it.
        assert!(made.trust.contains("pullthroughcache.ecr.amazonaws.com"), "{}", made.trust);
        // Step 3: the upstream registry lets it pull.
        assert_eq!(lab.statements(B).len(), 1, "{:?}", lab.statements(B));
        assert!(lab.statements(B)[0].to_string().contains(&made.arn));
        // Step 4: a rule with the role.
        let rule = lab.aws.world(|world| world.cache_rule(A, REGION, "mirror")).unwrap();
        assert_eq!(rule["customRoleArn"], made.arn);
        // Step 5: and now a pull goes through.
        lab.pulls_through(&puller, "mirror/base/app").unwrap();
        lab.pulls_through(&puller, "mirror/other/app").unwrap_err();
        lab.assert_at_rest().await;

        lab.delete(CACHES, "team-a", "mirror");
        lab.delete(ROLES, "team-a", "mirror");
        lab.until("both are gone", |lab| {
            !lab.exists(CACHES, "team-a", "mirror") && !lab.exists(ROLES, "team-a", "mirror")
        })
        .await;
        assert_eq!(our_role(lab), None);
        assert_eq!(lab.statements(B), Vec::<Value>::new());
        lab.assert_at_rest().await;
    });
}
