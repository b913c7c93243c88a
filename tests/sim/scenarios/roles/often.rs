//! What IAM is asked for once in a while, however often passes run.

use kube_sim::{Fault as KubeFault, Matching, Phase};

use super::*;
use crate::lab::objects::{POLICIES, pull};

const ASKED: [&str; 4] = ["GetRole", "GetRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"];

fn asked(lab: &Lab) -> usize {
    ASKED.iter().map(|operation| lab.aws_writes(operation)).sum()
}

/// Behaviour 54: a role is read once in an interval, and again before it is changed.
#[test]
fn an_outsider_that_edits_makes_nobody_read_roles() {
    run(1_170, async |lab| {
        a_set(lab).await;
        lab.apply(&namespace("outside"));
        set_registry(lab, "default", "allow/0/namespaces", &json!({"names": ["team-a"]}));
        lab.settle().await;
        let before = asked(lab);
        for n in 0..300 {
            lab.apply(&pull("outside", "edited", "default", &[B], &format!("o{n}/*")));
            lab.pass(Duration::from_secs(1)).await;
        }
        assert!(lab.has_reason(POLICIES, "outside", "edited", "NotAllowed"), "{}", lab.describe());
        assert!(asked(lab) - before <= 8, "{} reads of one role in 300 seconds", asked(lab) - before);

        // What somebody changed meanwhile is seen before the role is written, and within the interval anyhow.
        let trust = our_role(lab).unwrap().trust;
        edit_role(lab, |role| role.trust = role.trust.replace("pullthroughcache.ecr", "ec2"));
        edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "more/*"]));
        lab.pass(Duration::from_secs(10)).await;
        until_all_ready(lab).await;
        assert_eq!(our_role(lab).unwrap().trust, trust);
        // Also where the pass before it runs for another reason.
        lab.settle().await;
        lab.pass(Duration::from_secs(200)).await;
        lab.apply(&pull("outside", "edited", "default", &[B], "last/*"));
        lab.pass(Duration::from_secs(2)).await;
        edit_role(lab, |role| role.trust = role.trust.replace("pullthroughcache.ecr", "ec2"));
        lab.pass(Duration::from_secs(301)).await;
        assert_eq!(our_role(lab).unwrap().trust, trust);
        lab.assert_at_rest().await;
    });
}

/// Behaviours 49 and 54: sixty roles of one team are looked up for a minute after a start, and keep nobody else waiting.
#[test]
fn a_start_with_sixty_roles_of_one_team_keeps_nobody_else_waiting() {
    run(1_171, async |lab| {
        two_registries(lab);
        let external = json!({"accountId": "777777777777", "region": REGION});
        let upstreams = json!([{"name": "up", "external": external, "repositories": ["base/*"]}]);
        for n in 0..60 {
            let role = role("team-a", &format!("m{n:02}"), "upstream", &["base/*"]);
            lab.apply(&with(role, "/spec/upstreams", &upstreams));
        }
        lab.pass(Duration::from_mins(5)).await;
        let is_ready = |lab: &Lab, n: usize| lab.is_ready(ROLES, "team-a", &format!("m{n:02}"));
        assert!((0..60).all(|n| is_ready(lab, n)), "{}", lab.describe());
        lab.apply(&pull("team-b", "stays", "default", &[B], "stays/*"));
        lab.until_ready(&["team-b/stays"]).await;

        lab.restart().await;
        let since = lab.clock.now();
        lab.apply(&role("team-b", "new", "upstream", &["new/*"]));
        lab.apply(&pull("team-b", "new", "default", &[B], "new/*"));
        lab.delete(POLICIES, "team-b", "stays");
        lab.until("it is Ready", |lab| lab.is_ready(POLICIES, "team-b", "new")).await;
        assert!(lab.since(since) <= Duration::from_secs(10), "{:?}", lab.since(since));
        assert!(!lab.may_pull(B, "stays/app"));
        lab.until("the role is Ready", |lab| lab.is_ready(ROLES, "team-b", "new")).await;
        assert!(lab.since(since) <= Duration::from_secs(30), "{:?}", lab.since(since));
        assert!((0..60).all(|n| is_ready(lab, n)), "who is not looked up yet is no worse than before");
    });
}

/// What was taken out of a role beside a pass is known to be out of it: consent that comes back at once puts it back.
#[test]
fn what_was_taken_out_of_a_role_beside_a_pass_is_put_back_with_consent() {
    run(1_172, async |lab| {
        within::two_regions(lab, &json!([allow_all()]));
        lab.apply(&within::scoped("Listed"));
        lab.until("the policy names it", |lab| our_role(lab).is_some() && !within::listed(lab).is_empty()).await;
        lab.apply(&pull("team-b", "pull", "default", &[B], "team-b/*"));
        lab.until_ready(&["team-b/pull"]).await;
        lab.settle().await;
        let statuses = Matching::writes().resource(POLICIES).status();
        lab.kube.inject(statuses, 1, 1_000, KubeFault::Hang(Phase::Before));
        lab.set(POLICIES, "team-b", "pull", "/spec/statements/0/principals/accountIds", &json!([B, "444444444444"]));
        lab.until("it is granted, and not told", |lab| lab.may_pull("444444444444", "team-b/app")).await;
        set_registry(lab, "upstream", "allow", &json!([]));
        lab.until("the policy names it no more", |lab| within::listed(lab).is_empty()).await;
        set_registry(lab, "upstream", "allow", &json!([allow_all()]));
        lab.kube.clear_faults();
        lab.pass(Duration::from_secs(30)).await;
        assert_eq!(within::listed(lab), ["base/*"], "{}", lab.describe());
        lab.assert_at_rest().await;
    });
}
