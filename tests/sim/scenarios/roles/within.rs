//! Upstreams in the role's own account, in another Region: no policy there grants to the role, so what their Registries
//! have consented to is on record with the role, and goes when they take it back (behaviours 22, 30, 34).

use kube_sim::{Fault, Kinds, Matching, Phase, Verb};

use super::*;
use crate::lab::objects::pull;

pub(super) const OTHER_REGION: &str = "eu-central-1";

/// Registry `upstream` of account A in another Region, with these rules.
fn upstream_beside(lab: &Lab, allow: &Value) {
    let beside = with(registry("upstream", A), "/spec/region", &json!(OTHER_REGION));
    lab.apply(&with(beside, "/spec/allow", allow));
}

fn allow_repositories(repositories: &[&str]) -> Value {
    json!([with(allow_all(), "/repositories", &json!(repositories))])
}

/// Both Registries, and in the other Region what is pulled.
pub(super) fn two_regions(lab: &Lab, allow: &Value) {
    lab.two_teams();
    for name in ["base/app", "tools/app"] {
        lab.aws.world(|world| world.add_repository(A, OTHER_REGION, name));
    }
    upstream_beside(lab, allow);
}

pub(super) fn scoped(scope: &str) -> Value {
    with(mirror(), "/spec/permissionScope", &json!(scope))
}

/// The repositories of the upstream that the role's policy names.
pub(super) fn listed(lab: &Lab) -> Vec<String> {
    let policy: Value = serde_json::from_str(&our_role(lab).unwrap().inline_policies[POLICY]).unwrap();
    let resources = policy["Statement"].as_array().unwrap().iter().flat_map(|statement| list(&statement["Resource"]));
    let upstream = format!("arn:aws:ecr:{OTHER_REGION}:{A}:repository/");
    let mut named: Vec<String> =
        resources.filter_map(|resource| Some(resource.as_str()?.strip_prefix(&upstream)?.to_owned())).collect();
    named.dedup();
    named
}

/// The upstream's owner consents no more: the rule goes, and the role's policy names nothing of it.
pub(super) async fn take_back(lab: &mut Lab) {
    set_registry(lab, "upstream", "allow", &json!([]));
    lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
    lab.until("the policy names it no more", |lab| listed(lab).is_empty()).await;
}

/// Behaviour 34: what was consented to and is no more goes, however wide the role's policy is, and comes back with consent.
#[test]
fn what_an_upstream_takes_back_goes_and_comes_back() {
    for (seed, scope) in [(1_260, "Any"), (1_261, "Listed")] {
        run(seed, async |lab| {
            two_regions(lab, &json!([allow_all()]));
            lab.apply(&scoped(scope));
            lab.apply(&cache());
            until_all_ready(lab).await;
            lab.settle().await;
            assert_pulls(lab, "base/app");
            take_back(lab).await;
            lab.assert_at_rest().await;
            assert_eq!(
                (upstream_ready(lab).1, cache_ready(lab).1),
                ("NotAllowed".to_owned(), "WaitingForUpstream".to_owned())
            );
            assert!(!lab.events().iter().any(|(reason, _)| reason == "DriftCorrected"), "{:?}", lab.events());
            set_registry(lab, "upstream", "allow", &json!([allow_all()]));
            until_all_ready(lab).await;
            assert_pulls(lab, "base/app");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: neither `suspend` of the objects nor their `Retain` keeps what the upstream's owner takes back.
#[test]
fn neither_suspend_nor_retain_keeps_what_is_taken_back() {
    for (seed, member, value) in [(1_262, "suspend", json!(true)), (1_263, "deletionPolicy", json!("Retain"))] {
        run(seed, async |lab| {
            two_regions(lab, &json!([allow_all()]));
            lab.apply(&scoped("Listed"));
            lab.apply(&cache());
            until_all_ready(lab).await;
            for plural in [ROLES, CACHES] {
                lab.set(plural, "team-a", "mirror", &format!("/spec/{member}"), &value);
            }
            lab.settle().await;
            if member == "deletionPolicy" {
                delete_set(lab);
                until_set_gone(lab).await;
                lab.settle().await;
            }
            assert_pulls(lab, "base/app");
            take_back(lab).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: what of a role lives on without its object is judged like any other.
#[test]
fn a_role_without_its_object_loses_what_is_taken_back() {
    run(1_264, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.apply(&scoped("Listed"));
        lab.apply(&cache());
        until_all_ready(lab).await;
        lab.annotate(ROLES, "team-a", "mirror", "ecr-permissions.dev/abandon", "true");
        delete_role(lab);
        lab.until("the object is gone", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
        lab.settle().await;
        assert_pulls(lab, "base/app");
        take_back(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: a Registry that comes later takes nothing that stands, until it has consented: from then on its word counts.
#[test]
fn a_registry_that_comes_later_takes_only_what_it_has_consented_to() {
    run(1_265, async |lab| {
        two_regions(lab, &json!([]));
        lab.delete(REGISTRIES, "", "upstream");
        lab.until("it is gone", |lab| !lab.exists(REGISTRIES, "", "upstream")).await;
        let external = json!({"accountId": A, "region": OTHER_REGION});
        let upstreams = json!([{"name": "up", "external": external, "repositories": ["base/*"]}]);
        lab.apply(&with(scoped("Listed"), "/spec/upstreams", &upstreams));
        lab.apply(&with(cache(), "/spec/upstream/ecr", &json!({"external": external, "roleRef": {"name": "mirror"}})));
        until_all_ready(lab).await;
        let before = in_aws(lab);
        upstream_beside(lab, &json!([]));
        until_reason(lab, "WaitingForUpstream").await;
        lab.pass(INTERVAL).await;
        assert_eq!(in_aws(lab), before);
        // Nor does it let anything grow.
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
        lab.pass(INTERVAL).await;
        assert_eq!(listed(lab), ["base/*"]);
        set_registry(lab, "upstream", "allow", &json!([allow_all()]));
        until_all_ready(lab).await;
        lab.settle().await;
        assert_eq!(listed(lab), ["base/*", "tools/*"]);
        take_back(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Repository by repository, as in an upstream's own policy: what is still consented to stays.
#[test]
fn only_what_is_taken_back_goes() {
    for (seed, prefix, stays) in [(1_266, "base", true), (1_267, "tools", false)] {
        run(seed, async |lab| {
            two_regions(lab, &json!([allow_all()]));
            lab.apply(&with(scoped("Listed"), "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"])));
            lab.apply(&with(cache(), "/spec/upstream/ecr/repositoryPrefix", &json!(prefix)));
            until_all_ready(lab).await;
            lab.settle().await;
            set_registry(lab, "upstream", "allow", &allow_repositories(&["base/*"]));
            lab.until("the policy names it no more", |lab| listed(lab) == ["base/*"]).await;
            lab.pass(INTERVAL).await;
            assert_eq!(rule(lab).is_some(), stays, "{}", lab.describe());
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: nothing is listed that nobody consents to: in one account the role's policy alone would let it.
#[test]
fn a_role_lists_no_upstream_that_does_not_consent() {
    run(1_268, async |lab| {
        two_regions(lab, &json!([]));
        lab.apply(&scoped("Listed"));
        lab.apply(&cache());
        until_reason(lab, "WaitingForUpstream").await;
        lab.assert_at_rest().await;
        assert_eq!((listed(lab), rule(lab)), (Vec::new(), None));
        set_registry(lab, "upstream", "allow", &json!([allow_all()]));
        until_all_ready(lab).await;
        assert_eq!(listed(lab), ["base/*"]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: a role that was left behind stays no longer than a rule covers what it was made for, the repositories it
/// pulls into and the accounts it pulls from, though its object cannot say so any more.
#[test]
fn a_retained_role_is_judged_by_what_it_pulls() {
    for (seed, narrowed) in [
        (1_269, with(allow_all(), "/repositories", &json!(["tools/*"]))),
        (1_270, with(allow_all(), "/accountIds", &json!([B]))),
    ] {
        run(seed, async |lab| {
            two_regions(lab, &json!([allow_all()]));
            lab.apply(&with(scoped("Listed"), "/spec/deletionPolicy", &json!("Retain")));
            lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            delete_role(lab);
            lab.until("the object is gone", |lab| !lab.exists(ROLES, "team-a", "mirror")).await;
            lab.pass(INTERVAL).await;
            assert!(our_role(lab).is_some());
            set_registry(lab, "default", "allow", &json!([narrowed.clone()]));
            lab.until("the role is gone", |lab| our_role(lab).is_none()).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: a role that is to go and cannot yet loses at once what its upstream takes back.
#[test]
fn a_role_that_cannot_go_yet_loses_what_is_taken_back() {
    run(1_271, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.aws.world(|world| world.set_scope(B, REGION, Some(Scope::V2)));
        lab.apply(&registry("across", B));
        let beside = json!({"name": "up", "registryRef": {"name": "upstream"}, "repositories": ["base/*"]});
        let across = json!({"name": "across", "registryRef": {"name": "across"}, "repositories": ["base/*"]});
        lab.apply(&with(scoped("Listed"), "/spec/upstreams", &json!([beside, across])));
        lab.apply(&cache_by_role("team-a", "mirror", "across", "mirror"));
        until_all_ready(lab).await;
        lab.settle().await;
        delete_role(lab);
        lab.until("its rule keeps it", |lab| message(lab).contains("still pulls by the role")).await;
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.until("the policy names it no more", |lab| listed(lab).is_empty()).await;
        lab.assert_at_rest().await;
        assert!(our_role(lab).is_some() && rule(lab).is_some());
    });
}

/// Behaviours 34 and 41: a watch that stands still gives no consent that was taken back: the upstream's Registry is asked
/// where what rests on it is written.
#[test]
fn a_frozen_watch_of_the_upstreams_registry_gives_no_consent() {
    for has_role in [false, true] {
        run(1_272, async |lab| {
            two_regions(lab, &json!([allow_all()]));
            if has_role {
                lab.apply(&with(scoped("Listed"), "/spec/upstreams/0/repositories", &json!(["tools/*"])));
                lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
            }
            lab.settle().await;
            let before = if has_role { listed(lab) } else { Vec::new() };
            lab.kube.freeze_watches(Kinds::only(&["registries"]));
            set_registry(
                lab,
                "upstream",
                "allow",
                &if has_role { allow_repositories(&["tools/*"]) } else { json!([]) },
            );
            lab.apply(&with(scoped("Listed"), "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"])));
            lab.apply(&cache());
            lab.pass(Duration::from_secs(60)).await;
            let now = if our_role(lab).is_some() { listed(lab) } else { Vec::new() };
            assert_eq!((now, rule(lab)), (before, None), "{}", lab.describe());
            lab.kube.thaw_watches();
            lab.settle().await;
        });
    }
}

/// Behaviour 34: in one account nothing bounds a rule but consent: without a role its upstream is asked all the same, and
/// with one not for the role alone but for what the rule pulls.
#[test]
fn a_rule_pulls_nothing_from_its_own_account_that_is_not_consented_to() {
    for (seed, by_role) in [(1_273, false), (1_274, true)] {
        run(seed, async |lab| {
            two_regions(lab, &allow_repositories(&["base/*"]));
            lab.apply(&mirror());
            let plain = with(cache(), "/spec/upstream/ecr/roleRef", &Value::Null);
            let whole = if by_role { cache() } else { plain };
            lab.apply(&whole);
            lab.until_reason(CACHES, "team-a", "mirror", "WaitingForUpstream").await;
            lab.assert_at_rest().await;
            assert_eq!(rule(lab), None, "it pulls all of the upstream");
            lab.delete(CACHES, "team-a", "mirror");
            lab.until("it is gone", |lab| !lab.exists(CACHES, "team-a", "mirror")).await;
            lab.apply(&with(whole, "/spec/upstream/ecr/repositoryPrefix", &json!("base")));
            lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
            lab.settle().await;
            set_registry(lab, "upstream", "allow", &allow_repositories(&["tools/*"]));
            lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: what was consented to once is asked again when the Registry comes back, however its object names it; a
/// Registry that cannot be read is none that is not there.
#[test]
fn a_registry_that_comes_back_is_asked_again() {
    run(1_275, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        let external = json!({"accountId": A, "region": OTHER_REGION});
        let upstreams = json!([{"name": "up", "external": external, "repositories": ["base/*"]}]);
        lab.apply(&with(scoped("Listed"), "/spec/upstreams", &upstreams));
        lab.apply(&with(cache(), "/spec/upstream/ecr", &json!({"external": external, "roleRef": {"name": "mirror"}})));
        until_all_ready(lab).await;
        lab.settle().await;
        lab.kube.vanish(REGISTRIES, "", "upstream").unwrap();
        lab.pass(INTERVAL).await;
        assert_pulls(lab, "base/app");
        upstream_beside(lab, &json!([]));
        take_back(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: what a rule has without its object is asked for like any other, also when its Registry comes later.
#[test]
fn a_retained_rule_that_was_consented_to_later_goes_when_that_is_taken_back() {
    run(1_276, async |lab| {
        two_regions(lab, &json!([]));
        lab.delete(REGISTRIES, "", "upstream");
        lab.until("it is gone", |lab| !lab.exists(REGISTRIES, "", "upstream")).await;
        let external = json!({"accountId": A, "region": OTHER_REGION});
        let plain = with(bare_cache(), "/spec/upstream/ecr", &json!({"external": external}));
        lab.apply(&with(plain, "/spec/deletionPolicy", &json!("Retain")));
        lab.until_ready_of(CACHES, &["team-a/mirror"]).await;
        lab.settle().await;
        lab.delete(CACHES, "team-a", "mirror");
        lab.until("it is gone", |lab| !lab.exists(CACHES, "team-a", "mirror")).await;
        upstream_beside(lab, &json!([]));
        lab.pass(INTERVAL).await;
        assert!(rule(lab).is_some(), "no Registry was ever asked for it");
        set_registry(lab, "upstream", "allow", &json!([allow_all()]));
        lab.settle().await;
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 34: the role's consent and the rule's are two: without the one for the role nothing is pulled by it.
#[test]
fn a_rule_goes_when_its_role_alone_is_allowed_no_more() {
    run(1_277, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.apply(&scoped("Listed"));
        lab.apply(&cache());
        until_all_ready(lab).await;
        lab.settle().await;
        let rules_alone = with(allow_all(), "/kinds", &json!(["PullThroughCacheRule"]));
        set_registry(lab, "upstream", "allow", &json!([rules_alone]));
        lab.until("the rule is gone", |lab| rule(lab).is_none()).await;
        lab.until("the policy names it no more", |lab| listed(lab).is_empty()).await;
        lab.assert_at_rest().await;
    });
}

/// A Registry that one pass sees changed before the watch brings it is news for its own: what it takes back in its own
/// policy goes then, too.
#[test]
fn what_one_pass_sees_of_a_registry_the_others_hear_of() {
    run(1_278, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        lab.aws.world(|world| world.set_scope(A, OTHER_REGION, Some(Scope::V2)));
        lab.apply(&pull("team-b", "beside", "upstream", &[B], "base/*"));
        lab.until_ready(&["team-b/beside"]).await;
        lab.settle().await;
        let policy = |lab: &Lab| lab.aws.world(|world| world.policy_text(A, OTHER_REGION));
        assert!(policy(lab).is_some());
        lab.kube.freeze_watches(Kinds::only(&["registries"]));
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.apply(&with(bare_cache(), "/spec/upstream/ecr/roleRef", &Value::Null));
        lab.pass(Duration::from_secs(15)).await;
        assert_eq!((policy(lab), rule(lab)), (None, None), "{}", lab.describe());
        lab.kube.thaw_watches();
        lab.settle().await;
    });
}

/// Behaviour 53: nothing is added to a role of which nothing can be proven any more; what its object had given up before that
/// goes out of its policy all the same.
#[test]
fn an_old_view_takes_out_of_a_role_what_was_given_up_and_adds_nothing() {
    run(1_277, async |lab| {
        two_regions(lab, &json!([allow_all()]));
        let asks = |all: &[&str]| with(scoped("Listed"), "/spec/upstreams/0/repositories", &json!(all));
        lab.apply(&asks(&["base/*", "tools/*"]));
        lab.until_ready_of(ROLES, &["team-a/mirror"]).await;
        lab.settle().await;
        lab.aws.world(|world| world.set_outage(A, Some(aws_sim::Outage::Reset)));
        lab.apply(&asks(&["base/*", "more/*"]));
        lab.pass(Duration::from_secs(20)).await;
        let lists = Matching::any().verb(Verb::List).resource(ROLES);
        lab.kube.inject(lists, 1, u32::MAX, Fault::Error(403, Phase::Before));
        lab.kube.stall_watches(Kinds::only(&[ROLES]));
        lab.pass(Duration::from_secs(720)).await;
        lab.aws.world(|world| world.set_outage(A, None));
        lab.pass(Duration::from_secs(330)).await;
        assert_eq!(listed(lab), ["base/*"], "{}", lab.describe());
        lab.kube.clear_faults();
        lab.kube.stall_watches(Kinds::only(&[]));
        lab.until("it has what it asks for", |lab| listed(lab) == ["base/*", "more/*"]).await;
        lab.assert_at_rest().await;
    });
}
