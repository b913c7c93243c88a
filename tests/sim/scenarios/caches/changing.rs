//! Rules that change: in place where AWS can, made anew where that is asked for, refused else (behaviours 23 and 25).

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    SECRET, add_role, caching, create_secret, delete, delete_by_others, docker_hub, member, message, private, reason,
    rule, rule_writes, set_registry, status, until_gone, until_ready, until_reason,
};
use crate::lab::objects::{CACHES, allow_all, with};
use crate::lab::{A, Lab, REGION, run};

const OTHER_SECRET: &str = "ecr-pullthroughcache/other";
const INTERVAL: Duration = Duration::from_secs(310);

async fn hub(lab: &mut Lab) {
    lab.two_teams();
    create_secret(lab, SECRET);
    lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
    until_ready(lab, &["team-a/hub"]).await;
}

/// Behaviour 23: what AWS has no update for is made anew, if that is asked for.
#[test]
fn another_upstream_is_made_anew_where_that_is_asked_for() {
    run(820, async |lab| {
        lab.two_teams();
        let quay = with(caching("team-a/mirror", &json!({"type": "Quay"})), "/spec/replacePolicy", &json!("Recreate"));
        lab.apply(&caching("team-a/mirror", &json!({"type": "EcrPublic"})));
        until_ready(lab, &["team-a/mirror"]).await;
        lab.apply(&quay);
        lab.until("it is made anew", |lab| member(lab, "mirror", "upstreamRegistryUrl") == "quay.io").await;
        until_ready(lab, &["team-a/mirror"]).await;
        assert_eq!(rule_writes(lab), ["Create", "Delete", "Create"]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 23: credentials change in place, and the rule is never gone.
#[test]
fn another_secret_is_an_update_in_place() {
    run(821, async |lab| {
        hub(lab).await;
        let other = create_secret(lab, OTHER_SECRET);
        lab.apply(&caching("team-a/hub", &docker_hub(OTHER_SECRET)));
        until_ready(lab, &["team-a/hub"]).await;
        assert_eq!(member(lab, "hub", "credentialArn"), other);
        assert_eq!(status(lab, "team-a/hub")["credentialArn"], other);
        assert_eq!(rule_writes(lab), ["Create", "Update"]);
        lab.assert_at_rest().await;
    });
}

/// Behaviour 23, aws-facts D.2: a secret that is made anew has another ARN, and the rule follows within the interval.
#[test]
fn a_secret_that_is_made_anew_is_followed() {
    run(822, async |lab| {
        hub(lab).await;
        let before = member(lab, "hub", "credentialArn");
        lab.aws.world(|world| world.delete_secret(A, REGION, SECRET));
        lab.pass(INTERVAL).await;
        assert_eq!(reason(lab, "team-a/hub"), "SecretNotFound", "{}", lab.describe());
        assert_eq!(member(lab, "hub", "credentialArn"), before, "the rule stays as it was");
        lab.assert_at_rest().await;
        let anew = create_secret(lab, SECRET);
        assert_ne!(anew, before);
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/hub"]).await;
        assert_eq!(member(lab, "hub", "credentialArn"), anew);
        assert_eq!(rule_writes(lab), ["Create", "Update"]);
        lab.assert_at_rest().await;
    });
}

/// A secret that awaits its deletion is as good as gone: whoever looks still sees it, ECR does not (aws-facts A.6).
#[test]
fn a_secret_that_is_being_deleted_is_told_of_and_the_rule_kept() {
    run(823, async |lab| {
        hub(lab).await;
        lab.aws.world(|world| world.schedule_secret_deletion(A, REGION, SECRET));
        lab.reconcile_now("default");
        until_reason(lab, "team-a/hub", "SecretNotFound").await;
        assert!(message(lab, "team-a/hub").contains("is being deleted"), "{}", message(lab, "team-a/hub"));
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"]);
        // Its object goes all the same, without asking for the secret.
        delete(lab, "team-a/hub");
        until_gone(lab, "team-a/hub").await;
        assert_eq!(rule(lab, "hub"), None);
        lab.assert_at_rest().await;
    });
}

/// A rule whose secret is gone is made again, as it was on record, if somebody deletes it.
#[test]
fn a_rule_without_its_secret_that_is_deleted_waits_for_the_secret() {
    run(824, async |lab| {
        hub(lab).await;
        lab.aws.world(|world| world.delete_secret(A, REGION, SECRET));
        delete_by_others(lab, "hub");
        lab.reconcile_now("default");
        until_reason(lab, "team-a/hub", "SecretNotFound").await;
        create_secret(lab, SECRET);
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/hub"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 23: another role is an update in place; none at all is something AWS cannot do.
#[test]
fn another_role_is_an_update_and_no_role_needs_a_new_rule() {
    run(825, async |lab| {
        lab.two_teams();
        let (first, second) = (add_role(lab, "first"), add_role(lab, "second"));
        let with_role = |role: &Value| with(private(A, "us-east-1"), "/ecr/roleName", role);
        lab.apply(&caching("team-a/mirror", &private(A, "us-east-1")));
        until_ready(lab, &["team-a/mirror"]).await;
        for (name, arn) in [("first", first), ("second", second)] {
            lab.apply(&caching("team-a/mirror", &with_role(&json!(name))));
            until_ready(lab, &["team-a/mirror"]).await;
            assert_eq!(member(lab, "mirror", "customRoleArn"), arn);
        }
        assert_eq!(rule_writes(lab), ["Create", "Update", "Update"]);
        lab.assert_at_rest().await;

        lab.set(CACHES, "team-a", "mirror", "/spec/upstream/ecr/roleName", &Value::Null);
        until_reason(lab, "team-a/mirror", "ImmutableChange").await;
        assert_eq!(lab.ready(CACHES, "team-a", "mirror").0, "False");
        let told = message(lab, "team-a/mirror");
        assert!(told.contains("spec.replacePolicy: Recreate"), "{told}");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab).len(), 3, "what is refused changes nothing");

        lab.set(CACHES, "team-a", "mirror", "/spec/replacePolicy", &json!("Recreate"));
        until_ready(lab, &["team-a/mirror"]).await;
        assert_eq!(rule(lab, "mirror").unwrap().get("customRoleArn"), None);
        assert_eq!(rule_writes(lab)[3..], ["Delete", "Create"]);
        lab.assert_at_rest().await;
    });
}

/// A role that is not there is AWS's refusal, told with its words, and heals by itself.
#[test]
fn a_role_that_is_not_there_yet_is_refused_by_aws_and_heals() {
    run(826, async |lab| {
        lab.two_teams();
        lab.apply(&caching("team-a/mirror", &with(private(A, "us-east-1"), "/ecr/roleName", &json!("late"))));
        // It may be too young to be seen everywhere: for five minutes that is not for a person to act on.
        until_reason(lab, "team-a/mirror", "Propagating").await;
        assert!(message(lab, "team-a/mirror").contains("the role does not exist"), "{}", message(lab, "team-a/mirror"));
        lab.pass(2 * INTERVAL).await;
        until_reason(lab, "team-a/mirror", "Rejected").await;
        let tries = lab.aws.world(|w| w.calls().iter().filter(|c| c.operation == "CreatePullThroughCacheRule").count());
        assert!(tries <= 18, "asked again slower and slower: {tries} times in five minutes");
        add_role(lab, "late");
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/mirror"]).await;
        lab.assert_at_rest().await;
    });
}

/// Behaviour 25: AWS does not get in: told with AWS's words, the rule stays, and Ready comes back by itself.
#[test]
fn an_upstream_that_aws_does_not_get_into_is_told_and_heals_by_itself() {
    run(827, async |lab| {
        lab.two_teams();
        create_secret(lab, SECRET);
        let opens = |lab: &Lab, opens| lab.aws.world(|world| world.set_secret_opens(A, REGION, SECRET, opens));
        opens(lab, false);
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        until_reason(lab, "team-a/hub", "UpstreamInvalid").await;
        assert_eq!(lab.ready(CACHES, "team-a", "hub").0, "False");
        let words = "does not take what the secret";
        assert!(message(lab, "team-a/hub").contains(words), "{}", message(lab, "team-a/hub"));
        let told = status(lab, "team-a/hub");
        assert!(told["valid"] == false && told["failure"].as_str().unwrap().contains(words), "{told}");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"]);
        opens(lab, true);
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/hub"]).await;
        let told = status(lab, "team-a/hub");
        assert_eq!((told["valid"].clone(), told.get("failure")), (json!(true), None));
        lab.assert_at_rest().await;
        // And the other way around: what was Ready is not, as soon as AWS says so.
        opens(lab, false);
        lab.pass(INTERVAL).await;
        assert_eq!(reason(lab, "team-a/hub"), "UpstreamInvalid");
        lab.assert_at_rest().await;
        assert_eq!(rule_writes(lab), ["Create"]);
    });
}

/// A secret under a key of the customer is nothing that ECR can open (aws-facts D.2): refused with AWS's words.
#[test]
fn a_secret_under_a_customers_key_is_refused_by_aws() {
    run(828, async |lab| {
        lab.two_teams();
        create_secret(lab, SECRET);
        lab.aws.world(|world| world.set_secret_key(A, REGION, SECRET, Some("alias/own")));
        lab.apply(&caching("team-a/hub", &docker_hub(SECRET)));
        until_reason(lab, "team-a/hub", "Rejected").await;
        assert!(message(lab, "team-a/hub").contains("unable to be decrypted"), "{}", message(lab, "team-a/hub"));
        lab.aws.world(|world| world.set_secret_key(A, REGION, SECRET, None));
        lab.pass(INTERVAL).await;
        until_ready(lab, &["team-a/hub"]).await;
        lab.assert_at_rest().await;
    });
}

/// The operator sees what two people change as one, or the object's edit a moment before the Registry's.
async fn together(lab: &mut Lab, at_once: bool, edit: impl Fn(&Lab), allow: impl Fn(&Lab)) {
    lab.settle().await;
    if at_once {
        lab.stop();
        edit(lab);
        allow(lab);
        lab.start().await;
    } else {
        edit(lab);
        lab.pass(Duration::from_secs(30)).await;
        allow(lab);
    }
    lab.pass(Duration::from_secs(30)).await;
}

fn allow_only(lab: &Lab, bound: &str, names: &Value) {
    set_registry(lab, "allow", &json!([with(allow_all(), &format!("/{bound}"), names)]));
}

/// Behaviours 23 and 34: a secret is rotated in `spec.allow` and in the object: that is a change, and no withdrawal.
#[test]
fn a_secret_that_is_rotated_with_its_consent_is_an_update_in_place() {
    for at_once in [true, false] {
        run(927, async |lab| {
            hub(lab).await;
            allow_only(lab, "secretNames", &json!([SECRET]));
            let other = create_secret(lab, OTHER_SECRET);
            lab.aws.world(|world| world.add_repository(A, REGION, "hub/app"));
            let edit = |lab: &Lab| lab.apply(&caching("team-a/hub", &docker_hub(OTHER_SECRET)));
            together(lab, at_once, edit, |lab| allow_only(lab, "secretNames", &json!([OTHER_SECRET]))).await;
            assert_eq!(
                (rule_writes(lab), member(lab, "hub", "credentialArn")),
                (["Create", "Update"].map(str::to_owned).to_vec(), other),
                "at once: {at_once}"
            );
            until_ready(lab, &["team-a/hub"]).await;
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: what it would change to cannot be used, and what it has is not allowed: it has nothing.
#[test]
fn a_rule_goes_if_its_secret_is_not_allowed_and_the_next_one_is_not_there() {
    for at_once in [true, false] {
        run(928, async |lab| {
            hub(lab).await;
            let edit = |lab: &Lab| lab.apply(&caching("team-a/hub", &docker_hub(OTHER_SECRET)));
            together(lab, at_once, edit, |lab| allow_only(lab, "secretNames", &json!([OTHER_SECRET]))).await;
            assert_eq!(
                (rule(lab, "hub"), lab.ready(CACHES, "team-a", "hub").0.as_str()),
                (None, "False"),
                "at once: {at_once}"
            );
            // That there is no such secret is what is left to tell.
            lab.pass(INTERVAL).await;
            assert_eq!(reason(lab, "team-a/hub"), "SecretNotFound");
            lab.assert_at_rest().await;
            let other = create_secret(lab, OTHER_SECRET);
            lab.pass(INTERVAL).await;
            until_ready(lab, &["team-a/hub"]).await;
            assert_eq!(member(lab, "hub", "credentialArn"), other);
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 34: a role that is allowed no more is in no rule, whatever the object says by then, and whatever becomes of
/// that.
#[test]
fn a_role_that_is_allowed_no_more_leaves_the_rule_whatever_the_object_says_now() {
    let role = "/spec/upstream/ecr/roleName";
    let edits: [(&str, &[(&str, Value)]); 6] = [
        ("no edit", &[]),
        ("to one that is allowed", &[(role, json!("second"))]),
        ("to one that is not allowed", &[(role, json!("third"))]),
        ("to one that is not there", &[(role, json!("late"))]),
        ("to one that is allowed, and suspended", &[(role, json!("second")), ("/spec/suspend", json!(true))]),
        ("to none", &[(role, Value::Null)]),
    ];
    let mut wrong = Vec::new();
    for (name, edits) in edits {
        for at_once in [true, false] {
            run(929, async |lab| {
                lab.two_teams();
                let [first, second, _] = ["first", "second", "third"].map(|name| add_role(lab, name));
                let with_first = with(private(A, "us-east-1"), "/ecr/roleName", &json!("first"));
                lab.apply(&caching("team-a/mirror", &with_first));
                until_ready(lab, &["team-a/mirror"]).await;
                allow_only(lab, "roleNames", &json!(["first", "second", "late"]));
                let edit = |lab: &Lab| {
                    for (at, value) in edits {
                        lab.set(CACHES, "team-a", "mirror", at, value);
                    }
                };
                together(lab, at_once, edit, |lab| allow_only(lab, "roleNames", &json!(["second", "late"]))).await;
                if name == "to one that is not there" {
                    // It may be too young to be seen everywhere: that is waited for as long as it may be so.
                    lab.pass(2 * INTERVAL).await;
                }
                let role = member(lab, "mirror", "customRoleArn");
                if role == first {
                    wrong.push((name, at_once));
                    return;
                }
                assert!(role.is_empty() || role == second, "{name}: {role}");
                if name == "to one that is not there" {
                    add_role(lab, "late");
                }
                lab.pass(INTERVAL).await;
                lab.assert_at_rest().await;
                if name == "to one that is allowed" {
                    until_ready(lab, &["team-a/mirror"]).await;
                    assert_eq!((role, rule_writes(lab)), (second, ["Create", "Update"].map(str::to_owned).to_vec()));
                }
            });
        }
    }
    assert!(wrong.is_empty(), "the rule keeps a role that is not allowed (the edit, and whether at once): {wrong:?}");
}
