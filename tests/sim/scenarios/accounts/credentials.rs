//! Credentials that AWS stops taking before their time: a role that is made anew, a key that is replaced, sessions that are
//! revoked. Others are obtained, soon and not too often, and whose they are is proven again.

use super::*;

/// Well within the shortest interval anybody would set for this.
const SOON: Duration = Duration::from_secs(10);

/// Somebody deletes the member role of account A and makes it anew: to AWS it is another one, and its sessions are dead.
fn make_role_anew(lab: &Lab) {
    let operator = format!("arn:aws:iam::{HOME}:role/controller");
    lab.aws.world(|world| {
        world.delete_role(A, "member");
        world.add_role(A, "member", Trust::of([operator.as_str()]).with_external_id("lab"));
    });
}

/// How often a role was assumed, and how often whose the credentials are was asked.
fn issued_and_proven(lab: &Lab) -> (usize, usize) {
    (lab.aws_writes("AssumeRole"), lab.aws_writes("GetCallerIdentity"))
}

/// Both accounts at rest, and one object of A that is Ready.
async fn at_rest(lab: &mut Lab) -> (usize, usize) {
    two_accounts(lab);
    lab.apply(&on("first", "a"));
    lab.until_ready(&["team-a/first"]).await;
    lab.settle().await;
    issued_and_proven(lab)
}

/// Behaviour 33: said, healed within the back-off, and nobody's Ready is taken.
#[test]
fn a_member_role_that_is_made_anew_is_assumed_anew() {
    run(720, async |lab| {
        let (issued, proven) = at_rest(lab).await;
        make_role_anew(lab);
        lab.apply(&on("second", "a"));
        lab.until_reason(POLICIES, "team-a", "second", "CredentialsRefused").await;
        let told = lab.clock.now();
        assert_eq!(lab.ready(POLICIES, "team-a", "second").0, "Unknown");
        let (reason, message) = registry_says(lab, "a");
        assert_eq!(reason, "CredentialsRefused");
        for word in [&format!("arn:aws:iam::{A}:role/member"), "UnrecognizedClientException", "DescribeRegistry"] {
            assert!(message.contains(word), "{word} is not said: {message}");
        }
        assert!(lab.is_ready(POLICIES, "team-a", "first"), "what was proven stays so");
        lab.until_ready(&["team-a/second"]).await;
        assert!(lab.since(told) < SOON, "{:?}", lab.since(told));
        assert_eq!(issued_and_proven(lab), (issued + 1, proven + 1));
        lab.assert_at_rest().await;
    });
}

#[test]
fn reconcile_now_does_not_wait_for_the_back_off() {
    run(721, async |lab| {
        let (issued, _) = at_rest(lab).await;
        make_role_anew(lab);
        lab.reconcile_now("a");
        lab.until("it is told", |lab| registry_says(lab, "a").0 == "CredentialsRefused").await;
        let told = lab.clock.now();
        lab.reconcile_now("a");
        lab.until("it heals", |lab| registry_says(lab, "a").0 == "Succeeded").await;
        assert!(lab.since(told) < Duration::from_millis(500), "{:?}", lab.since(told));
        assert_eq!(issued_and_proven(lab).0, issued + 1);
    });
}

/// aws-facts A.0: each code in each protocol, whatever call it is answered to.
#[test]
fn whatever_call_is_refused_for_its_credentials_others_are_obtained() {
    for (operation, code) in [
        ("DescribeRegistry", "ExpiredTokenException"),
        ("GetRegistryPolicy", "UnrecognizedClientException"),
        ("PutRegistryPolicy", "ExpiredTokenException"),
        ("PutRegistryPolicy", "UnrecognizedClientException"),
        ("DescribePullThroughCacheRules", "ExpiredTokenException"),
        ("CreatePullThroughCacheRule", "UnrecognizedClientException"),
    ] {
        run(722, async |lab| {
            let (issued, proven) = at_rest(lab).await;
            let refused = Fault::error(403, code, "The security token included in the request is invalid");
            lab.aws.world(|world| world.inject(refused.on(operation).in_account(A).once()));
            lab.apply(&on("second", "a"));
            lab.apply(&cache("team-a", "quay", "a", "quay"));
            lab.until_ready(&["team-a/second"]).await;
            lab.until_ready_of(CACHES, &["team-a/quay"]).await;
            lab.settle().await;
            assert_eq!(issued_and_proven(lab), (issued + 1, proven + 1), "{operation} {code}");
            lab.assert_at_rest().await;
        });
    }
}

/// What AWS never takes is not asked for all the time, whoever keeps the operator busy; in the end a person is called.
#[test]
fn credentials_that_are_refused_for_good_cause_no_storm() {
    run(723, async |lab| {
        let (issued, _) = at_rest(lab).await;
        let refused = Fault::error(403, "UnrecognizedClientException", "The security token is invalid");
        lab.aws.world(|world| world.inject(refused.on("DescribeRegistry").in_account(A)));
        lab.apply(&on("other", "b"));
        for n in 0..1_200 {
            lab.apply(&pull("team-a", "busy", "a", &[OTHER], &format!("busy-{n}/*")));
            lab.pass(Duration::from_secs(1)).await;
        }
        let storm = issued_and_proven(lab).0 - issued;
        assert!((5..=10).contains(&storm), "{storm} in twenty minutes");
        assert!(lab.is_ready(POLICIES, "team-a", "other"));
        assert_eq!(lab.ready(POLICIES, "team-a", "busy"), ("False".to_owned(), "AccessDenied".to_owned()));
        let (reason, message) = registry_says(lab, "a");
        assert_eq!(reason, "AccessDenied");
        assert!(message.contains("nor others") && message.contains(REGION) && message.contains(A), "{message}");

        lab.aws.world(aws_sim::World::clear_faults);
        lab.pass(Duration::from_secs(301)).await;
        lab.until_ready(&["team-a/busy", "team-a/first"]).await;
        lab.assert_at_rest().await;
    });
}

/// The role is gone for a while: then it cannot be assumed, which is said, and heals once it can.
#[test]
fn a_member_role_that_is_away_for_a_while_is_named() {
    run(724, async |lab| {
        at_rest(lab).await;
        lab.aws.world(|world| world.delete_role(A, "member"));
        lab.apply(&on("second", "a"));
        lab.until_reason(POLICIES, "team-a", "second", "AssumeRoleDenied").await;
        lab.pass(Duration::from_secs(600)).await;
        lab.aws.world(|world| world.set_propagation(Duration::from_secs(30)));
        make_role_anew(lab);
        lab.pass(Duration::from_secs(301 + 30)).await;
        assert!(lab.is_ready(POLICIES, "team-a", "second"), "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}

/// The pod's own key is replaced: for its own registry, and for the roles that it assumes.
#[test]
fn a_key_of_the_operators_own_that_is_replaced_is_followed() {
    run(725, async |lab| {
        lab.apply(&with(registry("home", HOME), "/spec/identity", &Value::Null));
        lab.apply(&on("at-home", "home"));
        at_rest(lab).await;
        lab.replace_home_key(HOME);
        make_role_anew(lab);
        let replaced = lab.clock.now();
        lab.apply(&on("new-at-home", "home"));
        lab.apply(&on("second", "a"));
        lab.until_ready(&["team-a/new-at-home", "team-a/second", "team-a/at-home"]).await;
        assert!(lab.since(replaced) < SOON, "{:?}", lab.since(replaced));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 33: whose the new credentials are is not taken for granted.
#[test]
fn a_new_key_of_another_account_writes_nothing() {
    run(726, async |lab| {
        lab.apply(&with(registry("home", HOME), "/spec/identity", &Value::Null));
        lab.apply(&on("at-home", "home"));
        let (_, proven) = at_rest(lab).await;
        lab.replace_home_key(B);
        lab.apply(&on("new-at-home", "home"));
        lab.until_reason(POLICIES, "team-a", "new-at-home", "AccountMismatch").await;
        assert!(issued_and_proven(lab).1 > proven);
        lab.assert_at_rest().await;
        assert_eq!((lab.policy(B), lab.aws_writes_of(B)), (None, 0));
        lab.replace_home_key(HOME);
        lab.pass(Duration::from_secs(301)).await;
        lab.until_ready(&["team-a/new-at-home", "team-a/at-home"]).await;
    });
}

/// The operator's own key is no good when the role is to be assumed: it is not the role that is named.
#[test]
fn a_dead_key_of_the_operators_own_is_told_from_a_role_that_refuses() {
    run(727, async |lab| {
        lab.apply(&namespace("team-a"));
        let dead = Fault::error(403, "ExpiredToken", "The security token included in the request is expired");
        lab.aws.world(|world| world.inject(dead.on("AssumeRole")));
        lab.apply(&registry("a", A));
        lab.apply(&on("first", "a"));
        lab.until_reason(POLICIES, "team-a", "first", "CredentialsRefused").await;
        let message = registry_says(lab, "a").1;
        assert!(message.contains("the operator's own") && message.contains("AssumeRole: ExpiredToken"), "{message}");
        lab.aws.world(aws_sim::World::clear_faults);
        lab.until_ready(&["team-a/first"]).await;
        lab.assert_at_rest().await;
    });
}

/// Somebody revokes the sessions of the role: AWS denies everything to the one in use, and nothing to the next.
#[test]
fn a_session_that_was_revoked_is_followed_by_another() {
    run(728, async |lab| {
        let (issued, proven) = at_rest(lab).await;
        lab.aws.world(|world| world.revoke_sessions(A, "member"));
        lab.apply(&on("second", "a"));
        lab.until_reason(POLICIES, "team-a", "second", "AccessDenied").await;
        let told = lab.clock.now();
        lab.until_ready(&["team-a/second", "team-a/first"]).await;
        assert!(lab.since(told) < SOON, "{:?}", lab.since(told));
        assert_eq!(issued_and_proven(lab), (issued + 1, proven + 1));
        lab.assert_at_rest().await;
    });
}

/// aws-facts A.4: what AssumeRole is refused for and AWS does tell has a sentence of its own.
#[test]
fn a_refusal_of_assume_role_that_aws_explains_is_explained() {
    for (status, code, words) in [
        (403, "RegionDisabledException", ["AWS STS is not active", REGION]),
        (400, "PackedPolicyTooLarge", ["session tags", "role/member"]),
    ] {
        run(729, async |lab| {
            two_accounts(lab);
            lab.aws.world(|world| world.inject(Fault::error(status, code, "sim").on("AssumeRole")));
            lab.restart().await;
            lab.apply(&on("first", "a"));
            lab.until_reason(POLICIES, "team-a", "first", "AssumeRoleDenied").await;
            let message = lab.message(POLICIES, "team-a", "first", "Ready");
            for word in words.into_iter().chain([code]) {
                assert!(message.contains(word), "{word} is not said: {message}");
            }
            lab.aws.world(aws_sim::World::clear_faults);
            lab.pass(Duration::from_secs(301)).await;
            lab.until_ready(&["team-a/first"]).await;
            lab.assert_at_rest().await;
        });
    }
}
