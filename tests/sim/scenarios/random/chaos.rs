//! One random schedule: what users do, what goes wrong, what others write, and how it must end.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sim::{Effect, Fault, Outage as AwsOutage, Trust};
use kube_sim::{Fault as KubeFault, Kinds, Matching, Outage, Phase};
use serde_json::{Value, json};

use super::model::{Id, Model, Stands};
use crate::lab::objects::{CACHES, GRANTS, POLICIES, REGISTRIES, ROLES, allow_all, condition, namespace, registry};
use crate::lab::{A, B, CrashPoint, Lab, REGION, list, normal};

const NAMESPACES: [&str; 3] = ["n1", "n2", "n3"];
const ACCOUNTS: [&str; 5] = ["333333333333", "444444444444", "555555555555", "666666666666", "777777777777"];
const REPOSITORIES: [&str; 5] = ["app/*", "app/web", "lib/*", "lib/core", "solo"];
const ACTIONS: [&str; 3] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"];
pub(super) const HOMES: [(&str, &str); 2] = [("ra", A), ("rb", B)];
const RULE_OF_OTHERS: &str = "theirs";
/// Longer than any backoff: an interval, ten minutes of contention.
const PATIENCE: Duration = Duration::from_secs(11 * 60);

pub(super) struct Chaos {
    rng: fastrand::Rng,
    model: Model,
    foreign: BTreeMap<&'static str, Vec<Value>>,
    /// When the foreign hand last wrote.
    touched: BTreeMap<&'static str, Duration>,
    serial: u32,
}

impl Chaos {
    pub(super) fn begin(lab: &Lab, seed: u64) -> Self {
        let mut chaos = Self {
            rng: fastrand::Rng::with_seed(seed ^ 0x6368_616f),
            model: Model::default(),
            foreign: BTreeMap::new(),
            touched: BTreeMap::new(),
            serial: 0,
        };
        for name in NAMESPACES {
            lab.apply(&namespace(name));
        }
        for (name, account) in HOMES {
            lab.apply(&registry(name, account));
            lab.rules.rule_of_others(account, RULE_OF_OTHERS);
            let theirs = json!({"ecrRepositoryPrefix": RULE_OF_OTHERS, "upstreamRegistryUrl": "quay.io"});
            lab.aws.world(|world| world.put_cache_rule(account, REGION, &theirs));
            for _ in 0..chaos.rng.usize(0..3) {
                chaos.write_foreign(lab, account);
            }
        }
        chaos
    }

    pub(super) async fn step(&mut self, lab: &mut Lab) {
        match self.rng.u32(0..100) {
            0..45 => self.as_user(lab),
            45..60 => self.as_owner(lab),
            60..75 => self.break_aws(lab),
            75..87 => self.break_kube(lab).await,
            _ => self.as_stranger(lab).await,
        }
        let wait = *self.choose(&[0, 0, 5, 40, 300, 1500, 6000, 20_000, 70_000]);
        lab.pass(Duration::from_millis(wait)).await;
    }

    fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.rng.usize(0..of.len())]
    }

    fn some(&mut self, of: &[&str]) -> Vec<String> {
        let most = self.rng.usize(1..=3);
        let mut all: Vec<String> = (0..most).map(|_| (*self.choose(of)).to_owned()).collect();
        all.sort();
        all.dedup();
        all
    }

    // ── the users of the cluster ──

    fn any_id(&mut self) -> Id {
        let plural = *self.choose(&[POLICIES, POLICIES, GRANTS, CACHES, ROLES]);
        (plural, (*self.choose(&NAMESPACES)).to_owned(), (*self.choose(&["one", "two"])).to_owned())
    }

    fn as_user(&mut self, lab: &Lab) {
        let id = self.any_id();
        let stored = lab.kube.get(id.0, &id.1, &id.2);
        match (stored, self.rng.u32(0..100)) {
            (Some(_), 0..25) => lab.delete(id.0, &id.1, &id.2),
            (Some(_), 25..32) => {
                lab.annotate(id.0, &id.1, &id.2, "ecr-permissions.dev/abandon", "true");
                lab.delete(id.0, &id.1, &id.2);
                self.model.orphans.insert(id);
            }
            (Some(_), 32..37) => {
                lab.kube.vanish(id.0, &id.1, &id.2).unwrap();
                self.model.orphans.insert(id);
            }
            (Some(object), 37..50) => {
                let suspended = object["spec"]["suspend"] == true;
                lab.set(id.0, &id.1, &id.2, "/spec/suspend", &json!(!suspended));
            }
            (Some(_), 50..55) => {
                let now = format!("{:?}", lab.clock.now());
                lab.annotate(id.0, &id.1, &id.2, "reconcile.ecr-permissions.dev/requestedAt", &now);
            }
            (stored, _) => self.apply(lab, &id, stored.as_ref()),
        }
    }

    fn apply(&mut self, lab: &Lab, id: &Id, stored: Option<&Value>) {
        // The reference cannot change.
        let home = stored.and_then(|object| object["spec"]["registryRef"]["name"].as_str().map(str::to_owned));
        let home = home.unwrap_or_else(|| self.choose(&HOMES).0.to_owned());
        // A role and the cache that pulls by it are of one registry, whoever of them comes first.
        let home = if id.0 == ROLES { home_of_roles(&id.2).to_owned() } else { home };
        let mut spec = json!({"registryRef": {"name": home}});
        if id.0 == POLICIES {
            let statement = |chaos: &mut Self, name: &str| {
                json!({
                    "name": name, "principals": {"accountIds": chaos.some(&ACCOUNTS)},
                    "actions": chaos.some(&ACTIONS), "repositories": chaos.some(&REPOSITORIES),
                })
            };
            let mut statements = vec![statement(self, "first")];
            if self.rng.bool() {
                statements.push(statement(self, "second"));
            }
            spec["statements"] = json!(statements);
        } else if id.0 == CACHES {
            spec["cachePrefix"] = json!(prefix_of(id));
            spec["upstream"] = json!({"type": *self.choose(&["EcrPublic", "Quay", "Kubernetes"])});
            if home == home_of_roles(&id.2) && self.rng.bool() {
                let ecr = json!({"registryRef": {"name": other_than(&home)}, "roleRef": {"name": id.2}});
                spec["upstream"] = json!({"type": "Ecr", "ecr": ecr});
            }
            spec["replacePolicy"] = json!("Recreate");
        } else if id.0 == ROLES {
            let repositories = self.some(&REPOSITORIES);
            let upstream =
                json!({"name": "up", "registryRef": {"name": other_than(&home)}, "repositories": repositories});
            spec["upstreams"] = json!([upstream]);
            spec["roleName"] = json!(prefix_of(id));
            spec["cacheRepositories"] = json!(self.some(&REPOSITORIES));
            spec["grantee"] = json!(*self.choose(&["Role", "Account"]));
            spec["permissionScope"] = json!(*self.choose(&["Any", "Listed"]));
        } else {
            spec["sources"] = json!({"accountIds": self.some(&ACCOUNTS)});
            spec["repositories"] = json!(self.some(&REPOSITORIES));
            spec["createRepositories"] = json!(self.rng.bool());
        }
        // A rule or a role that is left behind is somebody else's, and whoever comes after would be right to be refused.
        if ![CACHES, ROLES].contains(&id.0) && self.rng.u32(0..10) == 0 {
            spec["deletionPolicy"] = json!("Retain");
        }
        let kind = match id.0 {
            POLICIES => "RegistryPolicy",
            GRANTS => "ReplicationGrant",
            ROLES => "CrossAccountPtcRole",
            _ => "PullThroughCacheRule",
        };
        lab.apply(&json!({
            "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": kind,
            "metadata": {"namespace": id.1, "name": id.2}, "spec": spec,
        }));
        self.model.note(lab, id);
    }

    // ── the owners of the registries ──

    fn as_owner(&mut self, lab: &Lab) {
        let (name, _) = *self.choose(&HOMES);
        let stored = lab.kube.get(REGISTRIES, "", name).unwrap();
        match self.rng.u32(0..8) {
            0 => {
                let observes = stored["spec"]["management"] == "Observe";
                lab.set(REGISTRIES, "", name, "/spec/management", &json!(if observes { "Enforce" } else { "Observe" }));
            }
            1 => {
                let suspended = stored["spec"]["suspend"] == true;
                lab.set(REGISTRIES, "", name, "/spec/suspend", &json!(!suspended));
            }
            2 => lab.reconcile_now(name),
            3 | 4 => {
                let namespace = *self.choose(&NAMESPACES);
                let tenant = *self.choose(&["yes", "no"]);
                lab.kube
                    .edit("namespaces", "", namespace, |n| n["metadata"]["labels"] = json!({"tenant": tenant}))
                    .unwrap();
            }
            _ => {
                let mut rule = allow_all();
                match self.rng.u32(0..5) {
                    0 => rule["kinds"] = json!(["RegistryPolicy"]),
                    1 => rule["repositories"] = json!(["app/*"]),
                    2 => rule["repositories"] = json!(["lib/*", "solo"]),
                    _ => {}
                }
                let rules = if self.rng.u32(0..8) == 0 { json!([]) } else { json!([rule]) };
                lab.set(REGISTRIES, "", name, "/spec/allow", &rules);
            }
        }
    }

    // ── what goes wrong ──

    fn break_aws(&mut self, lab: &Lab) {
        let (_, account) = *self.choose(&HOMES);
        let times = self.rng.u64(1..4);
        let ms = self.rng.u64(10..15_000);
        let safe = self.was_written_since(lab, account);
        let fault = match self.rng.u32(0..14) {
            0 => Fault::error(500, "ServerException", "sim"),
            1 => Fault::error(500, "ServerException", "sim").after_effect(),
            2 => Fault::error(400, "ThrottlingException", "Rate exceeded"),
            3 => Fault::error(400, "AccessDeniedException", "sim").on_reads(),
            4 => Fault::error(400, "InvalidParameterException", "sim").on("PutRegistryPolicy"),
            5 => Fault::reset(),
            6 => Fault::reset().after_effect(),
            7 => Fault::hang(),
            8 => Fault::hang().after_effect(),
            9 => Fault::delay(Duration::from_millis(ms)),
            10 => Fault::delay(Duration::from_millis(ms)).after_effect(),
            // A read of the past hides a foreign edit nobody has seen yet: that race cannot be won, and is not run. And
            // what two reads in a row say is believed: never two of these.
            11 | 12 if safe && !is_misled(lab) => {
                let read = *self.choose(&[Fault::stale_read as fn() -> Fault, Fault::nothing_there]);
                lab.aws.world(|world| world.inject(read().on("GetRegistryPolicy").in_account(account).once()));
                return;
            }
            _ => {
                let outage = *self.choose(&[Some(AwsOutage::Reset), Some(AwsOutage::Hang), None]);
                lab.aws.world(|world| world.set_outage(account, outage));
                return;
            }
        };
        lab.aws.world(|world| world.inject(fault.in_account(account).times(times)));
    }

    /// Whether the operator has written to the account since the foreign hand did.
    fn was_written_since(&self, lab: &Lab, account: &'static str) -> bool {
        let touched = self.touched.get(account).copied().unwrap_or_default();
        lab.aws.world(|world| {
            let ours = |c: &aws_sim::Call| c.is_write && c.took_effect && c.account.as_deref() == Some(account);
            world.calls().iter().rev().any(|call| ours(call) && call.at > touched)
        })
    }

    async fn break_kube(&mut self, lab: &mut Lab) {
        let kind = *self.choose(&[REGISTRIES, POLICIES, GRANTS, CACHES, ROLES, "namespaces"]);
        let phase = *self.choose(&[Phase::Before, Phase::After]);
        let (nth, times) = (self.rng.u32(1..4), self.rng.u32(1..3));
        match self.rng.u32(0..12) {
            0 => lab.kube.inject(Matching::writes(), nth, times, KubeFault::Error(500, phase)),
            1 => lab.kube.inject(Matching::writes(), nth, times, KubeFault::Error(409, Phase::Before)),
            2 => lab.kube.inject(Matching::writes(), nth, times, KubeFault::Reset(phase)),
            3 => lab.kube.freeze_watches(Kinds::only(&[kind])),
            4 => lab.kube.thaw_watches(),
            5 => lab.kube.relist(&Kinds::only(&[kind])),
            6 => lab.kube.outage(Some(*self.choose(&[Outage::Refused, Outage::Unavailable]))),
            7 => lab.kube.outage(None),
            8 => lab.kube.set_latency(Duration::from_millis(1), Duration::from_millis(200)),
            9 => lab.kube.set_watch_delay(Duration::from_millis(self.rng.u64(0..3000))),
            10 => lab.restart().await,
            _ => {
                let call = lab.calls() + self.rng.usize(1..12);
                lab.crash_at(CrashPoint { call, after: self.rng.bool() });
            }
        }
    }

    // ── the others who write the same document ──

    async fn as_stranger(&mut self, lab: &mut Lab) {
        let (_, account) = *self.choose(&HOMES);
        // A write of theirs between our read and our Put is lost, and nobody can see it: that race is not run.
        lab.aws.world(aws_sim::World::clear_faults);
        for _ in 0..20 {
            if is_quiet(lab) {
                match self.rng.u32(0..4) {
                    0 => self.spoil_role(lab, account),
                    _ => self.write_foreign(lab, account),
                }
                return;
            }
            lab.pass(Duration::from_secs(1)).await;
        }
    }

    /// A role of ours goes, or is no longer what it was.
    fn spoil_role(&mut self, lab: &Lab, account: &'static str) {
        let names = roles_of(lab, account);
        if names.is_empty() {
            return;
        }
        let (name, what) = (self.choose(&names).clone(), self.rng.u32(0..3));
        lab.aws.world(|world| match what {
            0 => world.delete_role(account, &name),
            1 => world.edit_role(account, &name, |role| role.inline_policies.clear()),
            _ => world.set_trust(account, &name, Trust::of([format!("arn:aws:iam::{account}:root")])),
        });
    }

    fn write_foreign(&mut self, lab: &Lab, account: &'static str) {
        self.serial += 1;
        let statement = json!({
            "Sid": *self.choose(&["theirs", "others"]), "Effect": "Allow",
            "Principal": {"AWS": self.some(&ACCOUNTS)}, "Action": "ecr:ReplicateImage", "Resource": "*",
            "Condition": {"StringEquals": {"aws:PrincipalTag/serial": self.serial.to_string()}},
        });
        let what = self.rng.u32(0..10);
        let at = self.rng.usize(0..4);
        let is_ours =
            |s: &Value| s["Sid"].as_str().is_some_and(|sid| sid.starts_with("Ecp") || sid.starts_with("Retained"));
        let mut after = Vec::new();
        lab.aws.world(|world| {
            world.edit_policy(account, REGION, |text| {
                let mut document = text.map_or_else(
                    || json!({"Version": "2012-10-17", "Statement": []}),
                    |text| serde_json::from_str(&text).unwrap(),
                );
                let mut all = list(&document["Statement"]);
                match what {
                    // The whole policy goes, ours with it.
                    0 => all.clear(),
                    // One of ours goes.
                    1 => drop(all.iter().position(is_ours).map(|i| all.remove(i))),
                    // Theirs change.
                    2 => drop(all.iter().position(|s| !is_ours(s)).map(|i| all.remove(i))),
                    3 => {
                        if let Some(i) = all.iter().position(|s| !is_ours(s)) {
                            all[i] = statement;
                        }
                    }
                    _ => all.insert(at.min(all.len()), statement),
                }
                after = all.iter().filter(|s| !is_ours(s)).map(normal).collect();
                let is_empty = all.is_empty();
                document["Statement"] = Value::Array(all);
                (!is_empty).then(|| document.to_string())
            });
        });
        self.foreign.insert(account, after);
        self.touched.insert(account, lab.clock.now());
    }

    // ── the end ──

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
        for (name, _) in HOMES {
            let registry = lab.kube.get(REGISTRIES, "", name).unwrap();
            if condition(&registry, "Orphaned").0 == "True" {
                let token = lab.prune_token(name);
                lab.annotate(REGISTRIES, "", name, "ecr-permissions.dev/prune", &token);
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

/// The prefix of an object's cache: no two have one.
fn prefix_of(id: &Id) -> String {
    format!("{}-{}", id.1, id.2)
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

/// Roles of this name live in the first registry and pull from the second, or the other way.
fn home_of_roles(name: &str) -> &'static str {
    HOMES[usize::from(name == "two")].0
}

fn other_than(registry: &str) -> &'static str {
    HOMES[usize::from(registry == HOMES[0].0)].0
}

/// The roles of an account that the operator made.
fn roles_of(lab: &Lab, account: &str) -> Vec<String> {
    lab.aws.world(|world| world.role_names(account)).into_iter().filter(|name| name.starts_with('n')).collect()
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

/// Whether a read will be answered with something else than what is there.
fn is_misled(lab: &Lab) -> bool {
    let misleads = |fault: &Fault| matches!(fault.effect, Effect::NothingThere | Effect::StaleRead);
    lab.aws.world(|world| world.faults().iter().any(|(_, fault)| misleads(fault)))
}

/// No call is under way, and none was made for a while: what is read next is read after this moment.
fn is_quiet(lab: &Lab) -> bool {
    let now = lab.clock.now();
    lab.aws.world(|world| {
        let recent = world.calls().iter().rev().take(40);
        recent.clone().all(|call| call.outcome != "Pending")
            && recent.clone().next().is_none_or(|last| now.saturating_sub(last.at) > Duration::from_secs(1))
    })
}
