//! One of the two registries is only observed, or suspended; or the role itself is: what would be done is told, nothing is
//! written there, the other side does its part, and all goes on once that is lifted (rule 8, behaviours 26, 38, 44).

use super::*;
use crate::lab::run;

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
        lab.set(REGISTRIES, "", self.registry, &format!("/spec/{}", self.at), &value);
    }

    fn lift(self, lab: &Lab) {
        lab.set(REGISTRIES, "", self.registry, &format!("/spec/{}", self.at), &Value::Null);
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
            let (reason, message) = role_says(lab);
            if restraint.is_home() {
                assert_eq!(reason, restraint.says, "{message}");
                assert!(steps(lab, "default").iter().any(|s| s.starts_with("+ role ")), "{:?}", steps(lab, "default"));
                assert_eq!((our_role(lab), lab.statements(B)), (None, Vec::new()));
            } else {
                assert_eq!((reason.as_str(), upstream_says(lab).0.as_str()), ("WaitingForUpstream", restraint.says));
                assert!(message.contains("Upstream up"), "{message}");
                let steps = steps(lab, "upstream");
                assert!(steps.iter().any(|step| step.starts_with("+ statement")), "{steps:?}");
                assert!(our_role(lab).is_some(), "the role is no matter of the upstream's");
            }
            assert_eq!(lab.ready(ROLES, "team-a", "mirror").0, "Unknown");
            assert_eq!(lab.ready(CACHES, "team-a", "mirror").0, "Unknown");
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
            assert!(is_all_ready(lab), "{restraint:?}: {:?}\n{}", role_says(lab), lab.describe());
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
            lab.set(ROLES, "team-a", "mirror", "/spec/upstreams/0/repositories", &json!(["base/*", "tools/*"]));
            lab.set(ROLES, "team-a", "mirror", "/spec/permissionScope", &json!("Listed"));
            lab.settle().await;
            assert_eq!(lab.ready(ROLES, "team-a", "mirror").0, "Unknown", "{:?}", role_says(lab));
            assert!(!steps(lab, restraint.registry).is_empty(), "{restraint:?}");
            assert_eq!(lab.aws_writes_of(restraint.account), writes);
            assert_eq!(prefixes(lab), ["mirror"]);
            lab.assert_at_rest().await;
            restraint.lift(lab);
            until_all_ready(lab).await;
            assert!(lab.statements(B)[0].to_string().contains("tools/*"));
            assert!(our_role(lab).unwrap().inline_policies["ecr-pull-through-cache"].contains("tools/*"));
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
            lab.until_reason(ROLES, "team-a", "mirror", "DeletionBlocked").await;
            lab.settle().await;
            let (reason, message) = role_says(lab);
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
            assert_eq!(lab.ready(ROLES, "team-a", "mirror").0, "Unknown", "{restraint:?}: {:?}", role_says(lab));
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

/// A suspended object keeps what it has in both accounts and changes nothing, and one that is suspended from the start
/// gets nothing.
#[test]
fn a_suspended_role_changes_nothing_in_either_account() {
    run(1_055, async |lab| {
        two_registries(lab);
        lab.apply(&with(role("team-a", "mirror", "upstream", &["base/*"]), "/spec/suspend", &json!(true)));
        lab.apply(&cache_by_role("team-a", "mirror", "upstream", "mirror"));
        lab.until_reason(ROLES, "team-a", "mirror", "Suspended").await;
        lab.assert_at_rest().await;
        assert_eq!((lab.aws_writes_of(A), lab.aws_writes_of(B)), (0, 0));
        lab.set(ROLES, "team-a", "mirror", "/spec/suspend", &Value::Null);
        until_all_ready(lab).await;
        lab.settle().await;
        let before = in_aws(lab);
        lab.set(ROLES, "team-a", "mirror", "/spec/suspend", &json!(true));
        lab.pass(INTERVAL).await;
        assert!(is_all_ready(lab), "as ready as it was: {:?}", role_says(lab));
        lab.set(ROLES, "team-a", "mirror", "/spec/upstreams/0/repositories", &json!(["tools/*"]));
        lab.until_reason(ROLES, "team-a", "mirror", "Suspended").await;
        lab.assert_at_rest().await;
        assert_eq!((lab.ready(ROLES, "team-a", "mirror").0.as_str(), in_aws(lab)), ("Unknown", before));
        lab.set(ROLES, "team-a", "mirror", "/spec/suspend", &json!(false));
        until_all_ready(lab).await;
        lab.assert_at_rest().await;
        assert!(lab.statements(B)[0].to_string().contains("tools/*"));
    });
}
