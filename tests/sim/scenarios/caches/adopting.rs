//! Rules that are there already and are somebody else's (behaviour 24).

use serde_json::{Value, json};

use super::{
    SECRET, caching, create_secret, delete, docker_hub, member, on_record, prefixes, put_by_others, put_by_others_with,
    rule, rule_writes, set_registry, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, allow_all, with};
use crate::lab::{A, Lab, REGION, run};

fn adopting(object: &str, upstream: &Value, adoption: &str) -> Value {
    with(caching(object, upstream), "/spec/adoption", &json!(adoption))
}

fn quay() -> Value {
    json!({"type": "Quay"})
}

/// Behaviour 24: whatever `adoption` asks for, and whatever is there.
#[test]
fn a_rule_of_others_is_adopted_as_far_as_adoption_goes_and_else_left_alone() {
    let identical = |adopted: bool| if adopted { "Succeeded" } else { "RuleConflict" };
    for (adoption, host, adopted) in [
        ("Never", "quay.io", false),
        ("Never", "public.ecr.aws", false),
        ("IfIdentical", "quay.io", true),
        ("IfIdentical", "public.ecr.aws", false),
        ("Always", "quay.io", true),
        // Nothing AWS could change in place.
        ("Always", "public.ecr.aws", false),
    ] {
        run(830, async |lab| {
            lab.two_teams();
            put_by_others(lab, "theirs", host);
            let before = rule(lab, "theirs");
            lab.apply(&adopting("team-a/theirs", &quay(), adoption));
            until_reason(lab, "team-a/theirs", identical(adopted)).await;
            assert_eq!(on_record(lab), if adopted { vec![("theirs".to_owned(), true)] } else { Vec::new() });
            lab.assert_at_rest().await;
            // What was adopted is given back with its object, untouched.
            delete(lab, "team-a/theirs");
            until_gone(lab, "team-a/theirs").await;
            assert_eq!((rule(lab, "theirs"), rule_writes(lab)), (before, Vec::new()), "{adoption} {host}");
            assert_eq!(on_record(lab), Vec::new());
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 24: `Always` brings a rule of the same upstream to the credentials that are wanted, in place.
#[test]
fn a_rule_with_other_credentials_is_adopted_by_always_alone() {
    for adoption in ["Never", "IfIdentical", "Always"] {
        run(831, async |lab| {
            lab.two_teams();
            let (theirs, ours) = (create_secret(lab, "ecr-pullthroughcache/theirs"), create_secret(lab, SECRET));
            let there = json!({"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io", "credentialArn": theirs});
            put_by_others_with(lab, &there);
            lab.apply(&adopting("team-a/hub", &docker_hub(SECRET), adoption));
            if adoption == "Always" {
                until_ready(lab, &["team-a/hub"]).await;
                assert_eq!((member(lab, "hub", "credentialArn"), rule_writes(lab)), (ours, vec!["Update".to_owned()]));
            } else {
                until_reason(lab, "team-a/hub", "RuleConflict").await;
                assert_eq!((member(lab, "hub", "credentialArn"), rule_writes(lab)), (theirs, Vec::new()));
            }
            lab.assert_at_rest().await;
            delete(lab, "team-a/hub");
            until_gone(lab, "team-a/hub").await;
            assert_eq!(prefixes(lab), ["hub"], "{adoption}");
            lab.assert_at_rest().await;
        });
    }
}

/// What was adopted goes with its object only where the object says so in so many words.
#[test]
fn an_adopted_rule_goes_with_its_object_if_deletion_is_written_down() {
    run(832, async |lab| {
        lab.two_teams();
        put_by_others(lab, "theirs", "quay.io");
        let object = adopting("team-a/theirs", &quay(), "IfIdentical");
        lab.apply(&with(object, "/spec/deletionPolicy", &json!("Delete")));
        until_ready(lab, &["team-a/theirs"]).await;
        lab.assert_at_rest().await;
        delete(lab, "team-a/theirs");
        until_gone(lab, "team-a/theirs").await;
        assert_eq!((prefixes(lab), rule_writes(lab)), (Vec::new(), vec!["Delete".to_owned()]));
        lab.assert_at_rest().await;
    });
}

/// A conflict is decided again without an edit of the object that lost it: adoption is allowed later, or the other goes.
#[test]
fn a_conflict_heals_when_adoption_is_asked_for() {
    run(833, async |lab| {
        lab.two_teams();
        put_by_others(lab, "theirs", "quay.io");
        lab.apply(&caching("team-a/theirs", &quay()));
        until_reason(lab, "team-a/theirs", "RuleConflict").await;
        assert_eq!(lab.ready(CACHES, "team-a", "theirs").0, "False");
        lab.assert_at_rest().await;
        lab.apply(&adopting("team-a/theirs", &quay(), "IfIdentical"));
        until_ready(lab, &["team-a/theirs"]).await;
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), Vec::<String>::new());
    });
}

/// `spec.allow` bounds what may be asked for; what was adopted under a wider one is kept by an object that asks for less.
#[test]
fn adoption_is_bounded_by_the_registrys_owner() {
    run(834, async |lab| {
        lab.two_teams();
        let mut bounded = allow_all();
        bounded["adoption"] = json!("IfIdentical");
        set_registry(lab, "allow", &json!([bounded]));
        put_by_others(lab, "theirs", "quay.io");
        lab.apply(&adopting("team-a/theirs", &quay(), "Always"));
        until_reason(lab, "team-a/theirs", "NotAllowed").await;
        lab.assert_at_rest().await;
        lab.apply(&adopting("team-a/theirs", &quay(), "IfIdentical"));
        until_ready(lab, &["team-a/theirs"]).await;
        // Adopted once is adopted: what is asked for later takes nothing back.
        lab.apply(&caching("team-a/theirs", &quay()));
        lab.settle().await;
        until_ready(lab, &["team-a/theirs"]).await;
        assert_eq!(on_record(lab), [("theirs".to_owned(), true)]);
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), Vec::<String>::new());
    });
}

/// Consent that is withdrawn gives an adopted rule back: it was there before, and nobody said that it should go.
#[test]
fn an_adopted_rule_that_is_allowed_no_more_is_given_back() {
    run(835, async |lab| {
        lab.two_teams();
        put_by_others(lab, "theirs", "quay.io");
        lab.apply(&adopting("team-a/theirs", &quay(), "IfIdentical"));
        until_ready(lab, &["team-a/theirs"]).await;
        set_registry(lab, "allow", &json!([]));
        until_reason(lab, "team-a/theirs", "NotAllowed").await;
        lab.until("it is nobody's", |lab| on_record(lab).is_empty()).await;
        assert_eq!((prefixes(lab), rule_writes(lab)), (vec!["theirs".to_owned()], Vec::new()));
        lab.assert_at_rest().await;
    });
}

/// An object that was lost and made again with another prefix before anybody gave its rule up, or after it was missed.
async fn made_anew_with_another_prefix(lab: &mut Lab, missed: bool, first: &Value) {
    lab.apply(first);
    until_ready(lab, &["team-a/mirror"]).await;
    lab.settle().await;
    lab.kube.vanish(CACHES, "team-a", "mirror").unwrap();
    if missed {
        lab.settle().await;
    }
    lab.aws.world(|world| world.add_repository(A, REGION, "second/app"));
    lab.apply(&with(first.clone(), "/spec/cachePrefix", &json!("second")));
    lab.settle().await;
}

/// Behaviours 24 and 41: what was only adopted is given back, also by an object that comes back with another prefix.
#[test]
fn an_adopted_rule_stays_when_its_object_is_made_anew_with_another_prefix() {
    for missed in [false, true] {
        run(925, async |lab| {
            lab.two_teams();
            put_by_others(lab, "first", "quay.io");
            let theirs = rule(lab, "first");
            let first = with(adopting("team-a/mirror", &quay(), "IfIdentical"), "/spec/cachePrefix", &json!("first"));
            made_anew_with_another_prefix(lab, missed, &first).await;
            assert_eq!((rule(lab, "first"), rule_writes(lab)), (theirs.clone(), Vec::new()), "missed: {missed}");
            until_reason(lab, "team-a/mirror", "RepositoriesExist").await;
            lab.assert_at_rest().await;
            lab.set(CACHES, "team-a", "mirror", "/spec/claimExisting", &json!(true));
            until_ready(lab, &["team-a/mirror"]).await;
            assert_eq!(on_record(lab), [("second".to_owned(), false)]);
            lab.assert_at_rest().await;
            delete(lab, "team-a/mirror");
            until_gone(lab, "team-a/mirror").await;
            assert_eq!((rule(lab, "first"), prefixes(lab)), (theirs.clone(), vec!["first".to_owned()]));
            lab.assert_at_rest().await;
        });
    }
}

/// aws-facts K.9: a prefix is new to who had another one before: repositories below it are claimed only on request.
#[test]
fn an_object_made_anew_with_another_prefix_is_asked_about_the_repositories_there() {
    for missed in [false, true] {
        run(926, async |lab| {
            lab.two_teams();
            let first = with(caching("team-a/mirror", &quay()), "/spec/cachePrefix", &json!("first"));
            made_anew_with_another_prefix(lab, missed, &first).await;
            assert_eq!(rule(lab, "second"), None, "missed: {missed}");
            until_reason(lab, "team-a/mirror", "RepositoriesExist").await;
            lab.assert_at_rest().await;
            lab.set(CACHES, "team-a", "mirror", "/spec/claimExisting", &json!(true));
            until_ready(lab, &["team-a/mirror"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// A rule that was only adopted stays when what its object left is pruned, is nobody's, and keeps nothing else waiting.
#[test]
fn an_adopted_rule_keeps_no_prune_waiting() {
    run(838, async |lab| {
        lab.two_teams();
        put_by_others(lab, "theirs", "quay.io");
        let adopting = adopting("team-a/theirs", &quay(), "IfIdentical");
        lab.apply(&with(adopting, "/spec/pullers", &json!({"accountIds": ["444444444444"]})));
        until_ready(lab, &["team-a/theirs"]).await;
        lab.settle().await;
        lab.kube.vanish(CACHES, "team-a", "theirs").unwrap();
        lab.until("it is reported", super::is_orphaned).await;
        lab.settle().await;
        let token = lab.prune_token("default");
        lab.annotate("registries", "", "default", "ecr-permissions.dev/prune", &token);
        lab.until("it is carried out", |lab| {
            lab.kube.get("registries", "", "default").unwrap()["status"]["lastHandledPrune"] == token.as_str()
        })
        .await;
        assert_eq!((prefixes(lab), lab.policy(A), on_record(lab)), (vec!["theirs".to_owned()], None, Vec::new()));
        lab.assert_at_rest().await;
    });
}

/// A rule that was adopted and is made anew with another upstream is the object's own: it goes with it.
#[test]
fn what_takes_the_place_of_an_adopted_rule_is_not_adopted() {
    run(1_521, async |lab| {
        lab.two_teams();
        put_by_others(lab, "quay", "quay.io");
        let adopting = with(caching("team-a/quay", &quay()), "/spec/adoption", &json!("IfIdentical"));
        lab.apply(&adopting);
        until_ready(lab, &["team-a/quay"]).await;
        lab.rules.no_rule_of_others(A, "quay");
        let public = with(adopting, "/spec/upstream", &json!({"type": "EcrPublic"}));
        lab.apply(&with(public, "/spec/replacePolicy", &json!("Recreate")));
        lab.settle().await;
        until_ready(lab, &["team-a/quay"]).await;
        delete(lab, "team-a/quay");
        until_gone(lab, "team-a/quay").await;
        assert_eq!(prefixes(lab), Vec::<String>::new());
    });
}
