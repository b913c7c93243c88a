//! Role, grant and rule, from nothing.

use super::*;

/// The five steps of AWS's guide for a cache of another account's registry (aws-facts D.6), by two objects and without
/// a hand on either account.
#[test]
fn the_five_steps_of_a_cache_across_accounts() {
    run(1_000, async |lab| {
        two_registries(lab);
        lab.aws.world(|world| world.add_repository(B, REGION, "base/app"));
        assert!(!pulls(lab, "base/app"));

        lab.apply(&mirror());
        lab.apply(&cache());
        until_all_ready(lab).await;

        // Step 1: a role in the downstream account, with what it needs to copy images.
        let made = our_role(lab).unwrap();
        assert!(made.inline_policies[POLICY].contains("ecr:BatchImportUpstreamImage"));
        // Step 2: only the pull through cache may assume it.
        assert!(made.trust.contains("pullthroughcache.ecr.amazonaws.com"), "{}", made.trust);
        // Step 3: the upstream registry lets it pull.
        assert_eq!(lab.statements(B).len(), 1, "{:?}", lab.statements(B));
        assert!(lab.statements(B)[0].to_string().contains(&made.arn));
        // Step 4: a rule with the role.
        assert_eq!(rule(lab).unwrap()["customRoleArn"], made.arn);
        // Step 5: and now a pull goes through.
        assert_pulls(lab, "base/app");
        assert!(!pulls(lab, "other/app"));
        lab.assert_at_rest().await;

        delete_set(lab);
        until_set_gone(lab).await;
        assert!(is_nothing_left(lab), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}
