//! Pull through cache rules: made, changed and deleted beside those of others (behaviours 22–25).

use aws_sim::Call;
use serde_json::json;

use crate::lab::objects::{CACHES, cache, with};
use crate::lab::{A, Lab, REGION, run};

fn rule_writes(lab: &Lab) -> Vec<String> {
    let is_rule = |call: &&Call| call.is_write && call.operation.ends_with("PullThroughCacheRule");
    lab.aws.world(|world| world.calls().iter().filter(is_rule).map(|call| call.operation.clone()).collect())
}

/// Behaviour 22: a rule is made once, is left alone from then on, and goes with its object.
#[test]
fn a_cache_rule_is_made_once_and_goes_with_its_object() {
    run(800, async |lab| {
        lab.two_teams();
        lab.apply(&cache("team-a", "public", "default", "team-a/public"));
        lab.until_ready_of(CACHES, &["team-a/public"]).await;
        let rule = lab.aws.world(|world| world.cache_rule(A, REGION, "team-a/public")).unwrap();
        assert_eq!(rule["upstreamRegistryUrl"], "public.ecr.aws", "{rule}");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["CreatePullThroughCacheRule"]);
        lab.delete(CACHES, "team-a", "public");
        lab.until("it is gone", |lab| !lab.exists(CACHES, "team-a", "public")).await;
        assert_eq!(lab.aws.world(|world| world.cache_prefixes(A, REGION)), Vec::<String>::new());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 23: what AWS has no update for is refused, and made anew if that is asked for.
#[test]
fn what_cannot_be_updated_is_refused_or_made_anew() {
    run(801, async |lab| {
        lab.two_teams();
        lab.apply(&cache("team-a", "mirror", "default", "mirror"));
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
        let quay = with(cache("team-a", "mirror", "default", "mirror"), "/spec/upstream", &json!({"type": "Quay"}));
        lab.apply(&with(quay, "/spec/replacePolicy", &json!("Recreate")));
        lab.settle().await;
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
        let rule = lab.aws.world(|world| world.cache_rule(A, REGION, "mirror")).unwrap();
        assert_eq!(rule["upstreamRegistryUrl"], "quay.io", "{rule}");
        lab.assert_at_rest().await;
    });
}
