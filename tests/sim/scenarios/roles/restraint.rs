//! One of the two registries is only observed, or suspended; or the role itself is: what would be done is told, nothing is
//! written there, the other side does its part, and all goes on once that is lifted (rule 8, behaviours 26, 38, 44).

use super::*;

/// Who is restrained, how, and what it says.
#[derive(Clone, Copy, Debug)]
struct Restraint {
    registry: &'static str,
    account: &'static str,
    at: &'static str,
    says: &'static str,
}

const RESTRAINTS: [Restraint; 4] = [
    Restraint { registry: "default", account: A, at: "management", says: "ObserveOnly" },
    Restraint { registry: "default", account: A, at: "suspend", says: "Suspended" },
    Restraint { registry: "upstream", account: B, at: "management", says: "ObserveOnly" },
    Restraint { registry: "upstream", account: B, at: "suspend", says: "Suspended" },
];

impl Restraint {
    fn set(self, lab: &Lab) {
        let value = if self.at == "suspend" { json!(true) } else { json!("Observe") };
        set_registry(lab, self.registry, self.at, &value);
    }

    fn lift(self, lab: &Lab) {
        set_registry(lab, self.registry, self.at, &Value::Null);
    }

    fn is_home(self) -> bool {
        self.registry == "default"
    }
}

/// Behaviour 26 under a restraint from the beginning.
#[test]
fn a_set_that_may_not_be_made_is_told_and_made_later() {
    for restraint in RESTRAINTS {
        run(1_050, async |lab| {
            two_registries(lab);
            restraint.set(lab);
            lab.settle().await;
            apply_set(lab);
            lab.settle().await;
            let (reason, message) = (reason(lab), message(lab));
            if restraint.is_home() {
                assert_eq!(reason, restraint.says, "{message}");
                let steps = steps(lab, "default");
                assert!(steps.iter().any(|step| step.starts_with("+ role Ecp")), "{steps:?}");
                assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
            } else {
                assert_eq!((reason.as_str(), upstream_ready(lab).1.as_str()), ("WaitingForUpstream", restraint.says));
                assert!(message.contains("Upstream up"), "{message}");
                let steps = steps(lab, "upstream");
                assert!(steps.iter().any(|step| step.starts_with("+ statement")), "{steps:?}");
                assert!(our_role(lab).is_some(), "the role is no matter of the upstream's");
            }
            assert_eq!(role_ready(lab).0, "Unknown");
            assert_eq!(cache_ready(lab).0, "Unknown");
            assert_eq!((lab.aws_writes_of(restraint.account), prefixes(lab)), (0, Vec::new()), "{restraint:?}");
            lab.assert_at_rest().await;
            restraint.lift(lab);
            until_all_ready(lab).await;
            lab.assert_at_rest().await;
            assert_eq!((steps(lab, "default"), steps(lab, "upstream")), (Vec::new(), Vec::new()));
        });
    }
}

/// Behaviour 38: who equals AWS stays Ready under a restraint of either registry.
#[test]
fn a_set_that_stands_stays_ready_under_a_restraint() {
    for restraint in RESTRAINTS {
        run(1_051, async |lab| {
            a_set(lab).await;
            let before = in_aws(lab);
            restraint.set(lab);
            lab.pass(LONG).await;
            assert!(is_all_ready(lab), "{restraint:?}: {}\n{}", message(lab), lab.describe());
            assert_eq!(steps(lab, restraint.registry), Vec::<String>::new());
            lab.assert_at_rest().await;
            restraint.lift(lab);
            lab.assert_at_rest().await;
            assert!(is_all_ready(lab) && in_aws(lab) == before);
        });
    }
}

/// An edit that needs something of the restrained registry: of its upstream a wider grant, of its home another policy.
#[test]
fn an_edit_waits_for_the_restraint_to_be_lifted() {
    for restraint in RESTRAINTS {
        run(1_052, async |lab| {
            a_set(lab).await;
            restraint.set(lab);
            lab.settle().await;
            let writes = lab.aws_writes_of(restraint.account);
            edit(lab, "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
            edit(lab, "/spec/permissionScope", &json!("Listed"));
            lab.settle().await;
            assert_eq!(role_ready(lab).0, "Unknown", "{}", message(lab));
            assert!(!steps(lab, restraint.registry).is_empty(), "{restraint:?}");
            assert_eq!(lab.aws_writes_of(restraint.account), writes);
            assert_eq!(prefixes(lab), ["mirror"]);
            lab.assert_at_rest().await;
            restraint.lift(lab);
            until_all_ready(lab).await;
            assert!(lab.statements(B)[0].to_string().contains("tools/*"));
            assert!(our_role(lab).unwrap().inline_policies[POLICY].contains("tools/*"));
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 30 and 44: a deletion that a restraint keeps waiting says of which registry, and ends by itself.
#[test]
fn a_deletion_waits_for_the_restraint_to_be_lifted() {
    for restraint in RESTRAINTS {
        run(1_053, async |lab| {
            a_set(lab).await;
            restraint.set(lab);
            lab.settle().await;
            let writes = lab.aws_writes_of(restraint.account);
            delete_set(lab);
            until_reason(lab, "DeletionBlocked").await;
            lab.settle().await;
            let (reason, message) = (reason(lab), message(lab));
            assert_eq!(reason, "DeletionBlocked", "{restraint:?}");
            let words = if restraint.is_home() { "cache rule for prefix mirror" } else { "Registry upstream" };
            assert!(message.contains(words), "{restraint:?}: {message}");
            if restraint.is_home() {
                let message = lab.message(CACHES, "team-a", "mirror", "Ready");
                assert!(message.contains(restraint.says), "{restraint:?}: {message}");
            }
            assert!(our_role(lab).is_some() && lab.exists(ROLES, "team-a", "mirror"));
            assert_eq!(lab.aws_writes_of(restraint.account), writes);
            lab.assert_at_rest().await;
            restraint.lift(lab);
            until_set_gone(lab).await;
            assert!(is_nothing_left(lab), "{restraint:?}\n{}", lab.describe());
            lab.assert_at_rest().await;
        });
    }
}

/// Rule 8: what others take away under a restraint is told and stays away.
#[test]
fn what_is_lost_under_a_restraint_comes_back_when_it_is_lifted() {
    for restraint in RESTRAINTS {
        run(1_054, async |lab| {
            a_set(lab).await;
            let name = our_role(lab).unwrap().name;
            restraint.set(lab);
            lab.settle().await;
            lab.aws.world(|world| {
                if restraint.is_home() { world.delete_role(A, &name) } else { world.delete_policy(B, REGION) }
            });
            lab.pass(LONG).await;
            assert_eq!(role_ready(lab).0, "Unknown", "{restraint:?}: {}", message(lab));
            assert!(!steps(lab, restraint.registry).is_empty(), "{restraint:?}");
            assert!(our_role(lab).is_none() || lab.statements(B).is_empty());
            lab.assert_at_rest().await;
            restraint.lift(lab);
            until_all_ready(lab).await;
            lab.assert_at_rest().await;
            assert!(our_role(lab).is_some() && lab.statements(B).len() == 1);
        });
    }
}

/// Suspended from the start, it gets nothing in either account until it is not any more.
#[test]
fn a_role_that_is_suspended_from_the_start_gets_nothing() {
    run(1_055, async |lab| {
        two_registries(lab);
        lab.apply(&with(mirror(), "/spec/suspend", &json!(true)));
        lab.apply(&bare_cache());
        until_reason(lab, "Suspended").await;
        lab.assert_at_rest().await;
        assert_eq!((lab.aws_writes_of(A), lab.aws_writes_of(B)), (0, 0));
        edit(lab, "/spec/suspend", &Value::Null);
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
    });
}

/// Suspended, it changes nothing and loses nothing in either account, and is as ready as it was last proven to be.
#[test]
fn a_suspended_role_keeps_what_it_has() {
    for (seed, resumed) in [(1_056, Value::Null), (1_057, json!(false))] {
        run(seed, async |lab| {
            mirroring(lab).await;
            let (since, before) = (mark(lab), in_aws(lab));
            edit(lab, "/spec/suspend", &json!(true));
            until_reason(lab, "Suspended").await;
            lab.pass(INTERVAL).await;
            assert!(is_all_ready(lab), "as ready as it was: {}", message(lab));
            edit(lab, "/spec/permissionScope", &json!("Listed"));
            edit(lab, "/spec/upstreams/0/repositories", &json!(["tools/*"]));
            lab.pass(LONG).await;
            lab.assert_at_rest().await;
            assert_eq!(role_ready(lab), ("Unknown".to_owned(), "Suspended".to_owned()));
            assert_eq!((in_aws(lab), writes_since(lab, since)), (before, Vec::new()));
            assert_pulls(lab, "base/app");
            edit(lab, "/spec/suspend", &resumed);
            until_all_ready(lab).await;
            assert_eq!(granted(lab), ["tools/*"]);
            assert_pulls(lab, "tools/app");
            lab.assert_at_rest().await;
        });
    }
}

/// Behaviours 30 and 44: why an upstream does not let a role go is told where the role is.
#[test]
fn why_an_upstream_keeps_its_grant_is_told_by_the_role() {
    run(1_306, async |lab| {
        mirroring(lab).await;
        set_registry(lab, "upstream", "suspend", &json!(true));
        lab.settle().await;
        lab.delete(CACHES, "team-a", "mirror");
        lab.delete(ROLES, "team-a", "mirror");
        lab.pass(INTERVAL).await;
        let told = message(lab);
        assert!(told.contains("Registry upstream still grants to the role"), "{told}");
        assert!(told.contains("The Registry is suspended"), "{told}");
        set_registry(lab, "upstream", "suspend", &Value::Null);
        until_role_gone(lab).await;
        assert_eq!((our_role(lab), rule(lab), lab.policy(B)), (None, None, None));
        lab.assert_at_rest().await;
    });
}

/// Behaviour 30: an upstream is dropped from the spec of a suspended role. Its grant stays until it is suspended no more.
#[test]
fn an_upstream_that_is_dropped_under_suspension_keeps_its_grant_until_that_ends() {
    run(1_308, async |lab| {
        mirroring(lab).await;
        edit(lab, "/spec/suspend", &json!(true));
        lab.settle().await;
        lab.apply(&registry("third", crate::lab::HOME));
        edit(lab, "/spec/upstreams/0/registryRef/name", &json!("third"));
        lab.pass(INTERVAL).await;
        assert_eq!((granted(lab), reason(lab).as_str()), (vec!["base/*".to_owned()], "Suspended"));
        assert_pulls(lab, "base/app");
        edit(lab, "/spec/suspend", &Value::Null);
        lab.until("the grant is gone", |lab| lab.policy(B).is_none()).await;
        lab.settle().await;
        assert_eq!(granted(lab), Vec::<String>::new());
    });
}
