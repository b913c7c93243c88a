//! How a random schedule must end: healed, and with all allowed.

use std::time::Duration;

use serde_json::json;

use super::chaos::{Chaos, HOMES, NAMESPACES, PATIENCE, RULE_OF_OTHERS, roles_of};
use super::model::Stands;
use super::users::kind_of;
use crate::lab::objects::{CACHES, GRANTS, POLICIES, REGISTRIES, ROLES, allow_all, condition, namespace};
use crate::lab::{Lab, REGION};

impl Chaos {
    pub(super) async fn heal(&mut self, lab: &mut Lab) {
        lab.kube.outage(None);
        lab.kube.clear_faults();
        lab.kube.thaw_watches();
        lab.kube.set_latency(Duration::ZERO, Duration::ZERO);
        lab.kube.set_watch_delay(Duration::ZERO);
        lab.aws.world(|world| {
            world.clear_faults();
            for (_, account) in HOMES {
                world.set_outage(account, None);
            }
        });
        lab.forget_crash();
        lab.pass(PATIENCE).await;
        lab.settle().await;
    }

    /// Whoever is served has what it asks for, nobody has what it did not ask for, and what is foreign is as it was.
    pub(super) fn assert_bounds(&self, lab: &Lab) {
        for (name, account) in HOMES {
            let registry = lab.kube.get(REGISTRIES, "", name).unwrap();
            let (bounds, stands) = (self.model.bounds(lab, &registry), Stands::in_account(lab, account));
            let missing: Vec<_> = bounds.required.difference(&stands.ours).collect();
            assert!(missing.is_empty(), "seed {}: missing in {account}: {missing:#?}\n{}", lab.seed, lab.describe());
            let excess: Vec<_> = stands.ours.iter().filter(|atom| !bounds.permit(atom)).collect();
            assert!(excess.is_empty(), "seed {}: too much in {account}: {excess:#?}\n{}", lab.seed, lab.describe());
            self.assert_foreign(lab, account, &stands);
        }
    }

    fn assert_foreign(&self, lab: &Lab, account: &str, stands: &Stands) {
        let expected = self.foreign.get(account).cloned().unwrap_or_default();
        assert_eq!(stands.foreign, expected, "seed {}: foreign in {account}\n{}", lab.seed, lab.describe());
    }

    /// Everybody is let in, nobody is held, and what belongs to nobody is pruned.
    pub(super) async fn permit_everything(&mut self, lab: &mut Lab) {
        for name in NAMESPACES {
            lab.apply(&namespace(name));
        }
        for (name, _) in HOMES {
            for (at, value) in
                [("suspend", json!(false)), ("management", json!("Enforce")), ("allow", json!([allow_all()]))]
            {
                lab.set(REGISTRIES, "", name, &format!("/spec/{at}"), &value);
            }
        }
        for plural in [POLICIES, GRANTS, CACHES, ROLES] {
            for object in lab.kube.list(plural, "") {
                let part = |member: &str| object["metadata"][member].as_str().unwrap().to_owned();
                lab.set(plural, &part("namespace"), &part("name"), "/spec/suspend", &json!(false));
            }
        }
        // A cache whose role is gone, or is to go, serves nobody; the role waits for it.
        for cache in lab.kube.list(CACHES, "") {
            let part = |member: &str| cache["metadata"][member].as_str().unwrap().to_owned();
            let Some(role) = cache["spec"]["upstream"]["ecr"]["roleRef"]["name"].as_str() else { continue };
            let role = lab.kube.get(ROLES, &part("namespace"), role);
            if role.is_none_or(|role| role["metadata"].get("deletionTimestamp").is_some()) {
                lab.delete(CACHES, &part("namespace"), &part("name"));
            }
        }
        lab.settle().await;
        // What one of its name has in another registry is nobody else's to take: it goes with the object.
        for (name, _) in HOMES {
            for entry in lab.ledger(name) {
                let text = |member: &str| entry[member].as_str().unwrap_or_default().to_owned();
                let plurals = [POLICIES, GRANTS, CACHES].into_iter().find(|plural| kind_of(plural) == entry["kind"]);
                let Some(plural) = plurals else { continue };
                let object = lab.kube.get(plural, &text("namespace"), &text("name"));
                if object.is_some_and(|object| object["spec"]["registryRef"]["name"] != name) {
                    lab.delete(plural, &text("namespace"), &text("name"));
                }
            }
        }
        lab.settle().await;
        for (name, _) in HOMES {
            let registry = lab.kube.get(REGISTRIES, "", name).unwrap();
            let left = ["Orphaned", "Retained"].into_iter().filter(|kind| condition(&registry, kind).0 == "True");
            let tokens: Vec<_> = left.map(|kind| lab.token(name, kind)).collect();
            if !tokens.is_empty() {
                lab.annotate(REGISTRIES, "", name, "ecr-permissions.dev/prune", &tokens.join(","));
            }
        }
        // A role waits for its grant, and both for the rule.
        lab.pass(PATIENCE).await;
        lab.settle().await;
        self.model.orphans.clear();
    }

    /// AWS has exactly what the objects ask for, and every object is Ready.
    pub(super) fn assert_exact(&self, lab: &Lab) {
        for (name, account) in HOMES {
            let registry = lab.kube.get(REGISTRIES, "", name).unwrap();
            let (bounds, stands) = (self.model.bounds(lab, &registry), Stands::in_account(lab, account));
            assert_eq!(stands.ours, bounds.required, "seed {}: {account}\n{}", lab.seed, lab.describe());
            self.assert_foreign(lab, account, &stands);
            assert_rules(lab, name, account);
            assert_roles(lab, name, account);
            assert_eq!(condition(&registry, "Ready").0, "True", "seed {}: {name}\n{}", lab.seed, lab.describe());
            assert_eq!(condition(&registry, "Orphaned").0, "", "seed {}: {name}\n{}", lab.seed, lab.describe());
            // Whether a role can do what it is for is looked at by itself.
            let of_accounts = bounds.required.into_iter().filter(|(who, ..)| who.parse::<u64>().is_ok());
            for (who, action, resource) in of_accounts {
                let repository = resource.rsplit_once(":repository/").unwrap().1.replace('*', "x");
                assert!(lab.may(&who, &action, &repository, account), "seed {}: {who} {action} {repository}", lab.seed);
            }
        }
        for plural in [POLICIES, GRANTS, CACHES, ROLES] {
            for object in lab.kube.list(plural, "") {
                let (ready, reason) = condition(&object, "Ready");
                assert_eq!(ready, "True", "seed {}: {reason} {}\n{}", lab.seed, object["metadata"], lab.describe());
                assert!(object["metadata"].get("deletionTimestamp").is_none(), "seed {}: {}", lab.seed, lab.describe());
            }
        }
    }
}

/// The registry has one rule for each of its caches, and the one of others as it was.
fn assert_rules(lab: &Lab, registry: &str, account: &str) {
    let caches = lab.kube.list(CACHES, "").into_iter().filter(|o| o["spec"]["registryRef"]["name"] == registry);
    let wanted = caches.map(|object| object["spec"]["cachePrefix"].as_str().unwrap().to_owned());
    let mut wanted: Vec<String> = wanted.chain([RULE_OF_OTHERS.to_owned()]).collect();
    wanted.sort();
    let stands = lab.aws.world(|world| world.cache_prefixes(account, REGION));
    assert_eq!(stands, wanted, "seed {}: rules of {account}\n{}", lab.seed, lab.describe());
    let theirs = lab.aws.world(|world| world.cache_rule(account, REGION, RULE_OF_OTHERS)).unwrap();
    assert_eq!(theirs["upstreamRegistryUrl"], "quay.io", "seed {}: {theirs}", lab.seed);
}

/// The account has one role for each of its objects, and no other.
fn assert_roles(lab: &Lab, registry: &str, account: &str) {
    let roles = lab.kube.list(ROLES, "").into_iter().filter(|o| o["spec"]["registryRef"]["name"] == registry);
    let mut wanted: Vec<String> = roles.map(|o| o["spec"]["roleName"].as_str().unwrap().to_owned()).collect();
    wanted.sort();
    let mut stands = roles_of(lab, account);
    stands.sort();
    assert_eq!(stands, wanted, "seed {}: roles of {account}\n{}", lab.seed, lab.describe());
}
