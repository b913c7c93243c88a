//! Who may attach what: refused at first, and withdrawn when the owner thinks better of it (behaviours 34, 35).

use serde_json::{Value, json};

use crate::lab::objects::{GRANTS, POLICIES, condition, grant, namespace, pull, registry, with};
use crate::lab::{A, B, Lab, run};

const OTHER: &str = "333333333333";

/// One narrow rule: RegistryPolicies of tenants, over `team-a/*`, for account B, the pull actions, Allow.
fn narrow() -> Value {
    json!([{
        "name": "narrow", "namespaces": {"selector": {"tenant": "yes"}}, "kinds": ["RegistryPolicy"],
        "repositories": ["team-a/*"], "accountIds": [B],
    }])
}

fn prepare(lab: &Lab, allow: &Value) {
    lab.apply(&with(registry("default", A), "/spec/allow", allow));
    lab.apply(&namespace("team-a"));
}

fn plural(object: &Value) -> &'static str {
    if object["kind"] == "RegistryPolicy" { POLICIES } else { GRANTS }
}

/// What asks for one thing more than `narrow` covers: the thing, and the object.
fn outside() -> Vec<(&'static str, Value)> {
    let fine = || pull("team-a", "object", "default", &[B], "team-a/*");
    let conditions = json!([{"operator": "StringNotEquals", "key": "aws:PrincipalTag/team", "values": ["a"]}]);
    vec![
        ("namespace stranger", pull("stranger", "object", "default", &[B], "team-a/*")),
        ("ReplicationGrant", grant("team-a", "object", "default", &[B], "team-a/*")),
        ("repository team-b/*", with(fine(), "/spec/statements/0/repositories", &json!(["team-a/*", "team-b/*"]))),
        // A pattern is covered when all it can match is: `team-a*` matches `team-ab`.
        ("repository team-a*", with(fine(), "/spec/statements/0/repositories", &json!(["team-a*"]))),
        ("repository team-ab", with(fine(), "/spec/statements/0/repositories", &json!(["team-ab"]))),
        ("repository *", with(fine(), "/spec/statements/0/repositories", &json!(["*"]))),
        (OTHER, with(fine(), "/spec/statements/0/principals/accountIds", &json!([B, OTHER]))),
        ("o-aaaaaaaaaa", with(fine(), "/spec/statements/0/principals", &json!({"organizationIds": ["o-aaaaaaaaaa"]}))),
        (OTHER, with(fine(), "/spec/statements/0/principals", &json!({"roles": [{"accountId": OTHER, "name": "x"}]}))),
        ("ecr:PutImage", with(fine(), "/spec/statements/0/actions", &json!(["ecr:BatchGetImage", "ecr:PutImage"]))),
        (
            "effect Deny",
            with(
                with(fine(), "/spec/statements/0/effect", &json!("Deny")),
                "/spec/statements/0/conditions",
                &conditions,
            ),
        ),
    ]
}

/// Behaviours 34 and 35: the object is refused, says what is not covered, and nothing is written for it.
#[test]
fn whatever_no_rule_covers_is_refused_and_nothing_is_written() {
    for (i, (what, object)) in outside().into_iter().enumerate() {
        run(100 + i as u64, async |lab| {
            prepare(lab, &narrow());
            lab.apply(&object);
            let place = object["metadata"]["namespace"].as_str().unwrap().to_owned();
            lab.until_reason(plural(&object), &place, "object", "NotAllowed").await;
            let stored = lab.kube.get(plural(&object), &place, "object").unwrap();
            for (kind, status) in [("Ready", "False"), ("Stalled", "True"), ("Accepted", "False")] {
                assert_eq!(condition(&stored, kind), (status.to_owned(), "NotAllowed".to_owned()), "{what}: {kind}");
            }
            let message = lab.message(plural(&object), &place, "object", "Ready");
            assert!(message.contains(what), "{what} is not named: {message}");
            lab.assert_at_rest().await;
            assert_eq!((lab.aws_writes_of(A), lab.policy(A)), (0, None), "{what}");

            lab.delete(plural(&object), &place, "object");
            lab.until("it is gone", |lab| !lab.exists(plural(&object), &place, "object")).await;
            assert_eq!(lab.aws_writes_of(A), 0);
        });
    }
}

/// Absent means none (docs/api.md, "Consent").
#[test]
fn a_registry_without_rules_takes_nobody() {
    run(120, async |lab| {
        prepare(lab, &Value::Null);
        lab.apply(&pull("team-a", "object", "default", &[A], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "object", "NotAllowed").await;
        lab.assert_at_rest().await;
        assert_eq!(lab.aws_writes_of(A), 0);
    });
}

/// One rule must cover all of it: what two rules cover together is not covered, and what is covered is not granted alone.
#[test]
fn an_object_is_accepted_by_one_rule_or_not_at_all() {
    run(121, async |lab| {
        let rule = |name: &str, account: &str, repository: &str| {
            json!({
                "name": name, "namespaces": {"names": ["team-a"]}, "kinds": ["RegistryPolicy"],
                "repositories": [repository], "accountIds": [account],
            })
        };
        prepare(lab, &json!([rule("one", B, "team-a/*"), rule("two", OTHER, "team-b/*")]));
        let both = pull("team-a", "object", "default", &[B], "team-a/*");
        let second = json!({
            "name": "second", "principals": {"accountIds": [OTHER]}, "actions": ["ecr:BatchGetImage"],
            "repositories": ["team-b/*"],
        });
        let both = with(both.clone(), "/spec/statements", &json!([both["spec"]["statements"][0], second]));
        lab.apply(&both);
        lab.until_reason(POLICIES, "team-a", "object", "NotAllowed").await;
        assert_eq!(lab.policy(A), None, "all or nothing");
        lab.assert_at_rest().await;
    });
}

/// A message to a tenant never speaks of what others have.
#[test]
fn a_refusal_names_no_other_namespace() {
    run(122, async |lab| {
        let mut allow = narrow();
        let mut secret = allow[0].clone();
        secret["name"] = json!("hidden");
        secret["namespaces"] = json!({"names": ["secret-team"]});
        secret["accountIds"] = json!([OTHER]);
        allow.as_array_mut().unwrap().push(secret);
        prepare(lab, &allow);
        lab.apply(&pull("secret-team", "theirs", "default", &[OTHER], "team-a/*"));
        lab.apply(&pull("team-a", "object", "default", &[OTHER], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "object", "NotAllowed").await;
        lab.until_ready(&["secret-team/theirs"]).await;
        let message = lab.message(POLICIES, "team-a", "object", "Ready");
        assert!(!message.contains("secret-team") && !message.contains("theirs"), "{message}");
        lab.assert_at_rest().await;
    });
}

/// An object as it lives when its consent is withdrawn.
#[derive(Clone, Copy, Debug)]
enum Life {
    Plain,
    Suspended,
    Retained,
    SuspendedAndRetained,
}

impl Life {
    const ALL: [Self; 4] = [Self::Plain, Self::Suspended, Self::Retained, Self::SuspendedAndRetained];

    fn begin(self, lab: &Lab, plural: &str) {
        if matches!(self, Self::Suspended | Self::SuspendedAndRetained) {
            lab.set(plural, "team-a", "object", "/spec/suspend", &json!(true));
        }
        if matches!(self, Self::Retained | Self::SuspendedAndRetained) {
            lab.set(plural, "team-a", "object", "/spec/deletionPolicy", &json!("Retain"));
        }
    }
}

/// A way to withdraw consent: a member of the Registry's only rule, or of the namespace, and its new value.
const WITHDRAWALS: [(&str, &str); 8] = [
    ("/spec/allow", "[]"),
    ("/spec/allow/0/namespaces", r#"{"names":["team-b"]}"#),
    ("/spec/allow/0/kinds", r#"["OTHER-KIND"]"#),
    ("/spec/allow/0/repositories", r#"["team-a/app","team-a","team-b/*"]"#),
    ("/spec/allow/0/accountIds", r#"["333333333333"]"#),
    ("/spec/allow/0/actions", r#"["ecr:PutImage"]"#),
    ("/spec/allow/0/effects", r#"["Deny"]"#),
    ("/metadata/labels", r#"{"tenant":"no"}"#),
];

async fn withdrawn(lab: &mut Lab, at: &str, value: &str, life: Life, object: &Value) {
    let (plural, other) = match plural(object) {
        POLICIES => (POLICIES, "ReplicationGrant"),
        _ => (GRANTS, "RegistryPolicy"),
    };
    let wide = json!([{
        "name": "wide", "namespaces": {"selector": {"tenant": "yes"}}, "kinds": ["RegistryPolicy", "ReplicationGrant"],
        "repositories": ["*"], "accountIds": ["*"],
    }]);
    prepare(lab, &wide);
    lab.apply(object);
    lab.until("it is Ready", |lab| lab.is_ready(plural, "team-a", "object")).await;
    life.begin(lab, plural);
    lab.settle().await;
    assert!(lab.policy(A).is_some());

    let value: Value = serde_json::from_str(&value.replace("OTHER-KIND", other)).unwrap();
    match at.strip_prefix("/spec") {
        Some(_) => lab.set("registries", "", "default", at, &value),
        None => lab.set("namespaces", "", "team-a", at, &value),
    }
    lab.until("the access is gone", |lab| lab.policy(A).is_none()).await;
    lab.until("it says so", |lab| lab.ready(plural, "team-a", "object").0 != "True").await;
    lab.assert_at_rest().await;
    assert_eq!(lab.policy(A), None);
}

/// Behaviour 34: access goes when the rule does, whoever moved, even from suspended objects and from those that say
/// Retain, as long as they live.
#[test]
fn withdrawn_consent_takes_the_access_along_in_every_dimension_and_walk_of_life() {
    let object = pull("team-a", "object", "default", &[B], "team-a/*");
    for (i, (at, value)) in WITHDRAWALS.iter().enumerate() {
        for (j, life) in Life::ALL.into_iter().enumerate() {
            run(130 + (i * 4 + j) as u64, async |lab| withdrawn(lab, at, value, life, &object).await);
        }
    }
}

/// Behaviour 34 for the other kind: its actions are its own, so a rule's `actions` are not about them.
#[test]
fn withdrawn_consent_takes_a_replication_grant_along() {
    let object = grant("team-a", "object", "default", &[B], "team-a/*");
    for (i, (at, value)) in WITHDRAWALS.iter().enumerate().filter(|(_, (at, _))| !at.ends_with("/actions")) {
        let life = Life::ALL[i % 4];
        run(170 + i as u64, async |lab| withdrawn(lab, at, value, life, &object).await);
    }
}

/// What is still covered of a refused object stays, what is not goes (docs/behaviours.md, "Rules that never break").
#[test]
fn of_a_live_object_only_what_is_no_longer_covered_goes() {
    run(180, async |lab| {
        prepare(lab, &with(narrow(), "/0/accountIds", &json!([B, OTHER])));
        lab.apply(&pull("team-a", "object", "default", &[B, OTHER], "team-a/*"));
        lab.until_ready(&["team-a/object"]).await;
        lab.set("registries", "", "default", "/spec/allow/0/accountIds", &json!([B]));
        lab.until_reason(POLICIES, "team-a", "object", "NotAllowed").await;
        assert!(lab.may_pull(B, "team-a/app") && !lab.may_pull(OTHER, "team-a/app"));
        lab.assert_at_rest().await;

        lab.set("registries", "", "default", "/spec/allow/0/accountIds", &json!([B, OTHER]));
        lab.until_ready(&["team-a/object"]).await;
        assert!(lab.may_pull(OTHER, "team-a/app"), "consent given again heals without an edit");
        lab.assert_at_rest().await;
    });
}

/// A denial that is no longer allowed goes too, and one that is refused was never there.
#[test]
fn a_denial_goes_with_its_consent() {
    run(181, async |lab| {
        prepare(lab, &with(narrow(), "/0/effects", &json!(["Allow", "Deny"])));
        let deny =
            with(pull("team-a", "deny", "default", &[B], "team-a/secret"), "/spec/statements/0/effect", &json!("Deny"));
        lab.apply(&pull("team-a", "object", "default", &[B], "team-a/*"));
        lab.apply(&deny);
        lab.until_ready(&["team-a/object", "team-a/deny"]).await;
        assert!(lab.may_pull(B, "team-a/app") && !lab.may_pull(B, "team-a/secret"));
        lab.set("registries", "", "default", "/spec/allow/0/effects", &json!(["Allow"]));
        lab.until_reason(POLICIES, "team-a", "deny", "NotAllowed").await;
        lab.until("the denial is gone", |lab| lab.may_pull(B, "team-a/secret")).await;
        lab.assert_at_rest().await;
    });
}

/// A refused edit widens nothing and narrows all the same.
#[test]
fn a_refused_edit_still_narrows() {
    run(182, async |lab| {
        prepare(lab, &with(narrow(), "/0/accountIds", &json!([B, OTHER])));
        lab.apply(&pull("team-a", "object", "default", &[B, OTHER], "team-a/*"));
        lab.until_ready(&["team-a/object"]).await;
        lab.apply(&pull("team-a", "object", "default", &[B, "444444444444"], "team-a/*"));
        lab.until_reason(POLICIES, "team-a", "object", "NotAllowed").await;
        assert!(lab.may_pull(B, "team-a/app"));
        assert!(!lab.may_pull(OTHER, "team-a/app"), "what the edit gave up is gone");
        assert!(!lab.may_pull("444444444444", "team-a/app"));
        lab.assert_at_rest().await;
    });
}
