//! One random schedule: what goes wrong in it and what others write, between what users do and how it must end.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sim::{Effect, Fault, Outage as AwsOutage, Trust};
use kube_sim::{Fault as KubeFault, Kinds, Matching, Outage, Phase};
use serde_json::{Value, json};

use super::model::Model;
use crate::lab::objects::{CACHES, GRANTS, POLICIES, REGISTRIES, ROLES, namespace, registry};
use crate::lab::{A, B, CrashPoint, Lab, REGION, list, normal};

pub(super) const NAMESPACES: [&str; 3] = ["n1", "n2", "n3"];
pub(super) const ACCOUNTS: [&str; 5] = ["333333333333", "444444444444", "555555555555", "666666666666", "777777777777"];
pub(super) const HOMES: [(&str, &str); 2] = [("ra", A), ("rb", B)];
pub(super) const RULE_OF_OTHERS: &str = "theirs";
/// Longer than any backoff: an interval, ten minutes of contention.
pub(super) const PATIENCE: Duration = Duration::from_secs(11 * 60);

pub(super) struct Chaos {
    pub(super) rng: fastrand::Rng,
    pub(super) model: Model,
    pub(super) foreign: BTreeMap<&'static str, Vec<Value>>,
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

    pub(super) fn choose<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.rng.usize(0..of.len())]
    }

    pub(super) fn some(&mut self, of: &[&str]) -> Vec<String> {
        let most = self.rng.usize(1..=3);
        let mut all: Vec<String> = (0..most).map(|_| (*self.choose(of)).to_owned()).collect();
        all.sort();
        all.dedup();
        all
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
        let is_ours = |s: &Value| s["Sid"].as_str().is_some_and(|sid| sid.starts_with("Ecp"));
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
}

/// The roles of an account that the operator made.
pub(super) fn roles_of(lab: &Lab, account: &str) -> Vec<String> {
    lab.aws.world(|world| world.role_names(account)).into_iter().filter(|name| name.starts_with('n')).collect()
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
