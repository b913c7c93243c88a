//! Others write the same document, or spoil it: what is theirs stays, what is ours comes back (behaviours 5, 11, 12, 29, 35).

use aws_sim::Trust;
use serde_json::{Value, json};

use super::aws_reads::{C, D, INTERVAL, PUT, foreign_edit, is_ours, ours_of, says, seconds, standing};
use crate::lab::objects::{POLICIES, REGISTRIES, pull};
use crate::lab::{A, B, Lab, REGION, normal, run};

/// Behaviour 12: what others do between two passes is theirs.
#[test]
fn a_foreign_edit_between_two_passes_is_kept() {
    run(6, async |lab| {
        standing(lab).await;
        let theirs =
            json!({"Effect": "Allow", "Principal": {"AWS": [D, C]}, "Action": ["ecr:ReplicateImage"], "Resource": "*"});
        foreign_edit(lab, |all| all.insert(0, theirs.clone()));
        foreign_edit(lab, |all| all.push(theirs.clone()));
        lab.apply(&pull("team-a", "pull", "default", &[D], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        let foreign = |lab: &Lab| lab.statements(A).iter().filter(|s| !is_ours(s)).map(normal).collect::<Vec<_>>();
        assert_eq!(foreign(lab).len(), 3);
        assert_eq!(foreign(lab)[0], normal(&theirs));
        // They take theirs away again, and it does not come back.
        foreign_edit(lab, |all| all.retain(is_ours));
        lab.apply(&pull("team-a", "pull", "default", &[B], "team-a/*"));
        lab.until_ready(&["team-a/pull"]).await;
        assert!(foreign(lab).is_empty());
        lab.assert_at_rest().await;
    });
}

/// Behaviour 12: another tool, that had read before our Put, writes after it.
#[test]
fn a_write_that_was_overtaken_is_noticed_by_the_second_look() {
    run(8, async |lab| {
        standing(lab).await;
        let before = lab.statements(A);
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until_ready(&["team-a/more"]).await;
        lab.pass(seconds(2)).await;
        let theirs =
            json!({"Sid": "new", "Effect": "Allow", "Principal": "*", "Action": "ecr:ReplicateImage", "Resource": "*"});
        foreign_edit(lab, |all| *all = before.into_iter().chain([theirs]).collect());
        assert!(!lab.may_pull(D, "more/app"));
        let overtaken = lab.clock.now();
        lab.until("it is restored", |lab| lab.may_pull(D, "more/app")).await;
        assert!(lab.clock.now().saturating_sub(overtaken) <= seconds(15));
        assert!(lab.statements(A).iter().any(|s| s["Sid"] == "new"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11: whatever happens to a statement of ours, it is back within the interval, and drift is told.
#[test]
fn a_statement_of_ours_that_was_changed_or_deleted_is_restored_within_the_interval() {
    type Edit = fn(&mut Vec<Value>);
    let edits: [Edit; 6] = [
        |all| all.retain(|s| !is_ours(s)),
        |all| drop(all.pop()),
        |all| all.last_mut().unwrap()["Principal"] = json!({"AWS": "arn:aws:iam::666666666666:root"}),
        |all| all.last_mut().unwrap()["Action"] = json!("ecr:BatchGetImage"),
        |all| all.last_mut().unwrap()["NotOurs"] = json!(true),
        |all| all.push(all.last().unwrap().clone()),
    ];
    for (n, edit) in edits.into_iter().enumerate() {
        run(9, async |lab| {
            standing(lab).await;
            let (was, puts) = (normal(&json!(lab.statements(A))), lab.aws_writes(PUT));
            foreign_edit(lab, edit);
            lab.pass(INTERVAL).await;
            assert_eq!(normal(&json!(lab.statements(A))), was, "edit {n}");
            assert_eq!(lab.statements(A).len(), 3, "edit {n}");
            assert_eq!(lab.aws_writes(PUT), puts + 1, "edit {n}");
            assert!(lab.metrics.text().contains("drift_detected_total{"), "{}", lab.metrics.text());
            assert!(lab.events().iter().any(|(_, reason)| reason == "DriftRepaired"), "edit {n}: {:?}", lab.events());
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviour 11: the policy itself is deleted.
#[test]
fn a_policy_that_was_deleted_is_restored_within_the_interval() {
    run(10, async |lab| {
        standing(lab).await;
        lab.aws.world(|world| world.delete_policy(A, REGION));
        lab.pass(INTERVAL).await;
        assert!(lab.may_pull(B, "team-a/app") && lab.may_pull(C, "team-b/app"));
        assert_eq!(lab.statements(A).len(), 2, "what was theirs went by their own hand");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11: a Sid of ours that we wrote, over content that is not ours, goes with its object.
#[test]
fn changed_content_under_our_sid_goes_with_its_object() {
    run(11, async |lab| {
        standing(lab).await;
        foreign_edit(lab, |all| {
            let ours = all.iter_mut().find(|s| s["Resource"].to_string().contains("team-a"));
            ours.unwrap()["Principal"] = json!({"AWS": "arn:aws:iam::666666666666:root"});
        });
        lab.delete(POLICIES, "team-a", "pull");
        lab.until("it is gone", |lab| !lab.exists(POLICIES, "team-a", "pull")).await;
        assert!(ours_of(lab, "team-a").is_none(), "{}", lab.describe());
        assert!(!lab.may_pull("666666666666", "team-a/app"));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 11 and 35: our mark on what we never wrote is no claim.
#[test]
fn a_forged_sid_is_left_alone_and_told() {
    run(12, async |lab| {
        standing(lab).await;
        let mut forged = ours_of(lab, "team-a").unwrap();
        let sid = forged["Sid"].as_str().unwrap();
        let other = if sid.as_bytes()[20] == b'a' { "b" } else { "a" };
        let sid = format!("{}{other}{}", &sid[..20], &sid[21..]);
        forged["Sid"] = json!(sid);
        forged["Principal"] = json!({"AWS": "arn:aws:iam::666666666666:root"});
        lab.rules.marked_by_others(&sid);
        foreign_edit(lab, |all| all.insert(1, forged.clone()));
        lab.pass(INTERVAL).await;
        assert_eq!(says(lab), "SidTampered");
        assert!(lab.message(REGISTRIES, "", "default", "Ready").contains(&sid));
        // The others are served beside it.
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until_ready(&["team-a/more"]).await;
        assert_eq!(normal(&lab.statements(A)[1]), normal(&forged));
        lab.assert_at_rest().await;
        foreign_edit(lab, |all| drop(all.remove(1)));
        lab.pass(INTERVAL).await;
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 12: whoever keeps overwriting us is named, and not fought.
#[test]
fn three_repairs_in_ten_minutes_are_the_last_for_a_while() {
    run(13, async |lab| {
        standing(lab).await;
        let sid = ours_of(lab, "team-a").unwrap()["Sid"].as_str().unwrap().to_owned();
        let (puts, began) = (lab.aws_writes(PUT), lab.clock.now());
        for _ in 0..12 {
            foreign_edit(lab, |all| all.retain(|s| !s["Resource"].to_string().contains("team-a")));
            lab.reconcile_now("default");
            lab.pass(seconds(20)).await;
        }
        assert_eq!(lab.aws_writes(PUT), puts + 3, "{}", lab.describe());
        assert_eq!(says(lab), "ContendedWriter");
        assert!(lab.message(REGISTRIES, "", "default", "Ready").contains(&sid));
        assert!(lab.is_ready(POLICIES, "team-b", "pull"), "who is left alone stays Ready");
        assert!(!lab.is_ready(POLICIES, "team-a", "pull"));
        // The other has stopped: within ten minutes of the first repair it is put back for good.
        lab.pass(seconds(660).saturating_sub(lab.clock.now().saturating_sub(began))).await;
        assert!(lab.is_ready(POLICIES, "team-a", "pull"), "{}", lab.describe());
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviour 29: a deleted role is dropped and not given to whoever takes its name.
#[test]
fn a_principal_that_was_deleted_is_dropped_and_never_granted_again_by_name() {
    run(14, async |lab| {
        standing(lab).await;
        lab.aws.world(|world| world.add_role(B, "app", Trust::of([B])));
        let arn = format!("arn:aws:iam::{B}:role/app");
        let mut object = pull("team-a", "role", "default", &[D], "role/*");
        object["spec"]["statements"][0]["principals"]["roles"] = json!([{"accountId": B, "name": "app"}]);
        lab.apply(&object);
        lab.until_ready(&["team-a/role"]).await;
        let may = |lab: &Lab| lab.aws.world(|w| w.would(&arn, "ecr:BatchGetImage", "role/app", A, REGION)).allowed;
        assert!(may(lab));
        lab.pass(seconds(600)).await;
        lab.aws.world(|world| world.delete_role(B, "app"));
        lab.pass(INTERVAL).await;
        assert_eq!(lab.ready(POLICIES, "team-a", "role"), ("False".to_owned(), "PrincipalGone".to_owned()));
        assert!(lab.message(POLICIES, "team-a", "role", "Ready").contains(&arn));
        assert!(lab.may_pull(D, "role/app"), "only the dead one is dropped");
        assert!(!lab.policy(A).unwrap().to_string().contains("AROA"));
        assert!(lab.is_ready(POLICIES, "team-b", "pull"));
        lab.assert_at_rest().await;

        // Another role of that name gets nothing, not even from a fresh process.
        lab.aws.world(|world| world.add_role(B, "app", Trust::of([B])));
        lab.pass(INTERVAL).await;
        lab.restart().await;
        lab.pass(INTERVAL).await;
        assert!(!may(lab), "{}", lab.describe());
        assert_eq!(lab.ready(POLICIES, "team-a", "role").1, "PrincipalGone");
        lab.assert_at_rest().await;

        // Somebody says that it is meant.
        lab.set(POLICIES, "team-a", "role", "/spec/statements/0/name", &json!("renewed"));
        lab.until_ready(&["team-a/role"]).await;
        assert!(may(lab));
        lab.assert_at_rest().await;
    });
}

/// Statements of others that AWS itself no longer takes keep us from writing; a person decides.
#[test]
fn foreign_statements_that_aws_refuses_stop_every_write() {
    run(16, async |lab| {
        standing(lab).await;
        let dead = json!({"Sid": "dead", "Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{B}:role/none")},
            "Action": "ecr:BatchGetImage", "Resource": "*"});
        foreign_edit(lab, |all| all.insert(0, dead));
        let before = lab.policy(A);
        let puts = lab.aws_writes(PUT);
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until("it says so", |lab| says(lab) == "ForeignRefused").await;
        assert_eq!(lab.policy(A), before);
        assert_eq!(lab.ready(POLICIES, "team-a", "more").0, "False");
        assert!(lab.is_ready(POLICIES, "team-b", "pull"), "what stands is not in question");
        lab.pass(seconds(900)).await;
        assert!(lab.aws_writes(PUT) - puts <= 12, "{} Puts", lab.aws_writes(PUT) - puts);
        foreign_edit(lab, |all| drop(all.remove(0)));
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "more"), "{}", lab.describe());
        assert_eq!(says(lab), "Succeeded");
        lab.assert_at_rest().await;
    });
}

/// Behaviours 5 and 41: somebody makes the policy unreadable for a while; nothing is written, and it heals.
#[test]
fn an_unreadable_policy_is_left_as_it_is() {
    run(17, async |lab| {
        standing(lab).await;
        let was = lab.aws.world(|world| world.policy_text(A, REGION)).unwrap();
        let writes = lab.aws_writes_of(A);
        lab.aws.world(|world| world.put_policy(A, REGION, "{\"Version\":\"2012-10-17\",\"Statement\":"));
        lab.apply(&pull("team-a", "more", "default", &[D], "more/*"));
        lab.until("it says so", |lab| says(lab) == "UnreadableDocument").await;
        lab.pass(INTERVAL).await;
        assert_eq!(lab.aws_writes_of(A), writes);
        lab.aws.world(|world| world.put_policy(A, REGION, &was));
        lab.pass(INTERVAL).await;
        assert!(lab.is_ready(POLICIES, "team-a", "more"));
        lab.assert_at_rest().await;
    });
}
