//! Pull through cache rules over the wire.

use crate::lab::Lab;
use crate::lab::objects::{cache, cache_across, registry};

/// Behaviours 22 and 23: a rule with credentials is made, its pull goes through, its credentials change in place, and
/// it goes with its object; the secret is never read.
#[tokio::test]
async fn a_cache_of_docker_hub_is_made_changed_and_deleted_with_its_object() {
    let (lab, _) = Lab::shared().await;
    let account = lab.account("100000002201");
    lab.namespace("caches").await;
    let owner = registry("caches", &account);
    lab.create(&owner).await;
    let object = cache("caches", "hub", "caches", "hub", "ecr-pullthroughcache/first");
    lab.create(&object).await;
    // Nobody has made the secret yet.
    lab.says(&object, "False", "SecretNotFound").await;
    let first = account.create_secret("ecr-pullthroughcache/first");
    lab.reconcile(&owner).await;
    lab.ready(&object).await;
    assert_eq!(account.cache_rule("hub")["credentialArn"], first.as_str());
    assert!(account.pulls_through("200000000001", "hub/library/nginx"));

    let second = account.create_secret("ecr-pullthroughcache/second");
    let edit = serde_json::json!({"spec": {"upstream": {"secretName": "ecr-pullthroughcache/second"}}});
    lab.edit(&object, edit).await;
    lab.ready(&object).await;
    assert_eq!(account.cache_rule("hub")["credentialArn"], second.as_str());
    assert_eq!(account.count("GetSecretValue"), 0);
    assert_eq!(account.count("CreatePullThroughCacheRule"), 1);

    lab.delete(&object).await;
    lab.gone(&object).await;
    assert!(account.cache_rule("hub").is_null());
    assert!(account.statements().is_empty());
}

/// Behaviours 26 and 30: a cache of another account from two objects, the rule before its role, and nothing of it left.
#[tokio::test]
async fn a_cache_across_accounts_is_made_and_removed_whole() {
    let (lab, _) = Lab::shared().await;
    let (downstream, upstream) = (lab.account("100000002601"), lab.account("100000002602"));
    lab.namespace("across").await;
    lab.create_all(&[registry("across", &downstream), registry("across-up", &upstream)]).await;
    let set = cache_across("across", "mirror", "across", "across-up", "200000000001");
    lab.create_all(&set).await;
    for object in &set {
        lab.ready(object).await;
    }
    assert!(downstream.pulls_through("200000000001", "mirror/base/app"));
    assert!(!downstream.pulls_through("200000000001", "mirror/other/app"));
    assert_eq!(upstream.statements().len(), 1);
    for object in &set {
        lab.delete(object).await;
    }
    for object in &set {
        lab.gone(object).await;
    }
    assert!(downstream.cache_rule("mirror").is_null());
    assert!(upstream.statements().is_empty());
    assert_eq!((downstream.count("CreateRole"), downstream.count("DeleteRole")), (1, 1));
}
