//! Rule 11: nothing is due for longer than 10 s, whatever other objects do (behaviour 47). Due is what stands under our mark
//! and nobody is entitled to. Who is entitled to what is told by the operator's own pure code from what the API server has;
//! what is checked here is that it comes to AWS in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ecr_permissions_core::api::{
    AttachedStatus, CrossAccountPtcRole, Kind, OwnershipState, PullThroughCacheRule, Registry, RegistryLedger,
    RegistryPolicy, ReplicationGrant,
};
use ecr_permissions_core::kinds::Body;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::ownership::InstallationId;
use ecr_permissions_core::pass::Change;
use ecr_permissions_core::pass::compile::{Desired, Stance, compile};
use ecr_permissions_core::pass::index::{Gathered, Index, WatchEvent};
use ecr_permissions_core::pass::ledger::{REGISTRY_POLICY, Slice};
use ecr_permissions_core::pass::memory::{Memory, Patience};
use ecr_permissions_core::pass::objects::{Attached, Meta, NamespaceView, ObjectId, RegistryObject};
use ecr_permissions_core::pass::orphans::{Orphans, Word, set_of};
use ecr_permissions_core::pass::standing::{Known, Standing};
use ecr_permissions_core::policy::{Doc, Effect, Statement};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube_sim::KubeSim;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Lab;
use super::ledger::LEDGERS;

/// So long something may be due; between two looks it is not known.
const WITHIN: Duration = Duration::from_millis(10_500);
/// The watches' own way back to the API server after it was out of reach.
const REOPENED_WITHIN: Duration = Duration::from_secs(75);
/// A start, until the stores are filled.
const STARTED_WITHIN: Duration = Duration::from_secs(5);
/// Answers of AWS that are no disturbance of the registry: something is there already, is not there, or is refused for
/// what it says.
const PLAIN: [&str; 11] = [
    "ok",
    "RegistryPolicyNotFoundException",
    "PullThroughCacheRuleNotFoundException",
    "PullThroughCacheRuleAlreadyExistsException",
    "InvalidParameterException",
    "NoSuchEntity",
    "EntityAlreadyExists",
    "ResourceNotFoundException",
    "MalformedPolicyDocument",
    "DeleteConflict",
    "RepositoryNotFoundException",
];

/// What was due when last looked, and for how long by now.
#[derive(Debug, Default)]
pub struct Due {
    looked_at: Duration,
    is_off: bool,
    /// The revision of the API server and the number of calls to AWS that `found` was told from.
    told_from: (u64, usize),
    /// Up to which call to AWS all have come to an end.
    answered: usize,
    found: BTreeSet<(RegistryKey, String)>,
    since: BTreeMap<(RegistryKey, String), Duration>,
    /// Until when the watches may be behind.
    behind_until: Duration,
    /// Accounts whose last answer was an error, or that have given none; without a name: nobody was let into one.
    away: BTreeSet<Option<String>>,
}

impl Due {
    pub fn switch_off(&mut self) {
        self.is_off = true;
    }

    pub fn started(&mut self, now: Duration) {
        self.behind_until = self.behind_until.max(now + STARTED_WITHIN);
    }
}

impl Lab {
    /// Looks at what is due now: everything that stays due longer than it may is a breach.
    pub(super) fn look_at_due(&mut self) {
        if self.due.is_off {
            return;
        }
        let now = self.clock.now();
        let elapsed = now.saturating_sub(std::mem::replace(&mut self.due.looked_at, now));
        if !self.kube.shows_all() {
            self.due.behind_until = now + REOPENED_WITHIN;
        }
        let state = (self.kube.revision(), self.aws.world(|world| world.calls().len()));
        self.note_answers();
        if state != self.due.told_from {
            self.due.told_from = state;
            self.due.found = self.find_due();
        }
        let found = self.due.found.clone();
        self.due.since.retain(|thing, _| found.contains(thing));
        let accounts = found.iter().map(|(key, _)| key.account.as_str().to_owned());
        let away: BTreeSet<_> = accounts.filter(|account| self.is_away(account)).collect();
        let is_disturbed = self.running.is_none() || now < self.due.behind_until;
        for thing in found {
            let Some(waited) = self.due.since.get_mut(&thing) else {
                // What was not due at the last look has not waited since then.
                self.due.since.insert(thing, Duration::ZERO);
                continue;
            };
            if is_disturbed || away.contains(thing.0.account.as_str()) {
                continue;
            }
            let before = *waited;
            *waited += elapsed;
            if before < WITHIN && *waited >= WITHIN {
                let what = format!("rule 11: due for {WITHIN:?} at {now:?} in {}: {}", thing.0, thing.1);
                self.rules.breach(format!("{what}\n{}", self.lately(&thing.0)));
            }
        }
    }

    /// What was asked of the registry while it was due, and what the API server was.
    fn lately(&self, key: &RegistryKey) -> String {
        let since = self.clock.now().saturating_sub(2 * WITHIN);
        let calls = self.aws.world(|world| {
            let of_it = world.calls().iter().filter(|call| call.at >= since);
            let of_it =
                of_it.filter(|call| call.account.as_deref().is_none_or(|account| account == key.account.as_str()));
            of_it.map(|call| format!("{:?} {} {}", call.at, call.operation, call.outcome)).collect::<Vec<_>>()
        });
        let trace = self.kube.trace();
        let asked: Vec<_> = trace.iter().filter(|line| !line.contains(" watch ")).collect();
        let asked = asked.iter().skip(asked.len().saturating_sub(20)).collect::<Vec<_>>();
        let text = self.policy(key.account.as_str());
        format!("AWS: {calls:#?}\nAPI server: {asked:#?}\npolicy: {text:?}\n{}", self.describe())
    }

    /// An account that answers with errors, or into which nobody is let, stops the clock of what is due there until it
    /// answers again.
    fn note_answers(&mut self) {
        let seen = self.due.answered;
        let calls: Vec<_> = self.aws.world(|world| world.calls().get(seen..).unwrap_or_default().to_vec());
        let pending = calls.iter().position(|call| call.outcome == "Pending");
        self.due.answered += pending.unwrap_or(calls.len());
        for call in calls {
            let of = if call.operation == "AssumeRole" { None } else { call.account.clone() };
            if !PLAIN.contains(&call.outcome.as_str()) {
                self.due.away.insert(of);
                continue;
            }
            if of.is_some() {
                self.due.away.remove(&None);
            }
            self.due.away.remove(&of);
        }
    }

    /// Whether AWS is not known to answer for the account.
    fn is_away(&self, account: &str) -> bool {
        let is_away = |of: Option<String>| self.due.away.contains(&of);
        is_away(None)
            || is_away(Some(account.to_owned()))
            || self.aws.world(|world| world.is_disturbed(account))
            || !self.lets_in(account)
    }

    /// Whether the account's role takes the operator in: a process that starts is told so by AWS.
    fn lets_in(&self, account: &str) -> bool {
        let trust = self.aws.world(|world| world.role(account, "member")).map(|role| role.trust).unwrap_or_default();
        trust.contains("role/controller") && trust.contains("\"lab\"")
    }

    fn find_due(&self) -> BTreeSet<(RegistryKey, String)> {
        let installation = self.installation();
        let index = index(&self.kube, &installation);
        let Some(snapshot) = index.ready() else { return BTreeSet::new() };
        let registries = self.kube.list("registries", "");
        let keys = registries.iter().filter_map(|registry| {
            let text = |member: &str| registry["spec"][member].as_str();
            Some(RegistryKey { account: text("accountId")?.parse().ok()?, region: text("region")?.parse().ok()? })
        });
        let keys: BTreeSet<_> = keys.collect();
        let gathered = keys.into_iter().filter_map(|key| snapshot.gather(&key));
        gathered.flat_map(|gathered| self.due_in(&gathered, &installation)).collect()
    }

    fn due_in(&self, gathered: &Gathered, installation: &InstallationId) -> Vec<(RegistryKey, String)> {
        let key = &gathered.key;
        let desired = compile(gathered, installation, &Memory::new(Patience::default()), Duration::ZERO);
        if desired.restraint.is_some() {
            return Vec::new();
        }
        let said = Orphans::find(&desired, BTreeSet::new()).said();
        let is_pruned = |id: &ObjectId| {
            let of_it = desired.contributions.iter().find(|c| c.id == *id);
            of_it.is_some_and(|c| said.of(c) == Word::Prune)
        };
        // Statements of a set go after its rules and roles, and those after the grants to them.
        let with_things = desired.contributions.iter().filter(|c| !c.things.is_empty()).filter_map(set_of);
        let with_things: BTreeSet<_> = with_things.collect();
        let gone = |id: &ObjectId| {
            let of_it = desired.contributions.iter().find(|c| c.id == *id);
            is_pruned(id) && of_it.and_then(set_of).is_none_or(|set| !with_things.contains(&set))
        };
        let statements = self.due_statements(gathered, &desired, installation, gone);
        let rules = desired.contributions.iter().filter_map(|c| {
            let claim = c.own_rule()?;
            let has = claim.has.as_ref().filter(|has| has.state == OwnershipState::Owned)?;
            let goes = claim.stance.goes() && (has.adopted != Some(true) || claim.owns_adopted);
            let stored =
                self.aws.world(|world| world.cache_rule(key.account.as_str(), &key.region.to_string(), &has.prefix))?;
            let is_it = stored["upstreamRegistryUrl"] == has.upstream_url;
            (is_it && (goes || is_pruned(&c.id))).then(|| format!("rule {} of {}", has.prefix, c.id))
        });
        statements.into_iter().chain(rules).map(|what| (key.clone(), what)).collect()
    }

    /// Allows of ours in the policy that are on record, and that nobody is entitled to.
    fn due_statements(
        &self,
        gathered: &Gathered,
        desired: &Desired,
        installation: &InstallationId,
        gone: impl Fn(&ObjectId) -> bool,
    ) -> Vec<String> {
        let key = &gathered.key;
        let text = self.aws.world(|world| world.policy_text(key.account.as_str(), &key.region.to_string()));
        let Doc::Parsed(document) = Doc::of(text.as_deref()) else { return Vec::new() };
        let known = Known::new(installation, key.partition(), gathered.ledger.document(REGISTRY_POLICY), desired);
        let standing = Standing::of(Some(&document), &known);
        let closed = self.aws.world(|world| world.closed_accounts().clone());
        let names_closed = |text: &str| closed.iter().any(|account| text.contains(account));
        let mut foreign = document.statements().iter().filter(|statement| !known.is_ours(statement));
        if foreign.any(|statement| names_deleted(statement.raw()) || names_closed(statement.raw())) {
            return Vec::new();
        }
        let entitled: Vec<Statement> = desired
            .contributions
            .iter()
            .filter(|c| !gone(&c.id))
            .flat_map(|c| match &c.stance {
                Stance::Wants(statements)
                | Stance::Keeps(statements, _)
                | Stance::Holds(statements, _)
                | Stance::Retained(statements)
                | Stance::Orphaned(statements) => statements.clone(),
                Stance::Leaves | Stance::Released(_) => Vec::new(),
            })
            .chain(desired.protected.iter().cloned())
            .collect();
        let had: Vec<&Statement> = desired.contributions.iter().flat_map(|c| &c.has).collect();
        let is_due = |atom: &&Statement| {
            atom.effect == Effect::Allow
                && had.iter().any(|has| atom.is_within(has))
                && !entitled.iter().any(|statement| atom.is_within(statement))
        };
        standing.granted.iter().filter(is_due).map(Statement::canonical).collect()
    }
}

/// AWS takes no document with a principal that is gone, whoever wrote it.
fn names_deleted(statement: &str) -> bool {
    statement.contains("\"AROA") || statement.contains("\"AIDA")
}

/// Everything that the API server has, as watches would show it.
fn index(kube: &KubeSim, installation: &InstallationId) -> Index {
    let mut index = Index::new(installation);
    let registry = |object: Value| {
        let registry: Registry = serde_json::from_value(object).ok()?;
        let status = registry.status.clone().unwrap_or_default();
        Some(RegistryObject::of(&registry.metadata, registry.spec, status))
    };
    relist(&mut index, kube, "registries", name, registry, WatchEvent::Registry);
    let namespace = |object: Value| {
        let meta: ObjectMeta = serde_json::from_value(object["metadata"].clone()).ok()?;
        Some(NamespaceView { labels: meta.labels.unwrap_or_default() })
    };
    relist(&mut index, kube, "namespaces", name, namespace, WatchEvent::Namespace);
    let slice = |object: Value| Some(Slice::of(serde_json::from_value::<RegistryLedger>(object).ok()?));
    relist(&mut index, kube, LEDGERS, name, slice, WatchEvent::Ledger);
    attached(&mut index, kube, Kind::RegistryPolicy, |object: RegistryPolicy| Body::from(object.spec));
    attached(&mut index, kube, Kind::ReplicationGrant, |object: ReplicationGrant| Body::from(object.spec));
    attached(&mut index, kube, Kind::PullThroughCacheRule, |object: PullThroughCacheRule| Body::from(object.spec));
    attached(&mut index, kube, Kind::CrossAccountPtcRole, |object: CrossAccountPtcRole| Body::from(object.spec));
    index
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

fn attached<K: DeserializeOwned>(index: &mut Index, kube: &KubeSim, kind: Kind, body: impl Fn(K) -> Body) {
    let id = |object: &Value| ObjectId {
        kind,
        namespace: object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned(),
        name: name(object),
    };
    let read = |object: Value| {
        let meta: ObjectMeta = serde_json::from_value(object["metadata"].clone()).ok()?;
        let status: AttachedStatus = serde_json::from_value(object["status"].clone()).unwrap_or_default();
        let id = id(&object);
        Some(Attached { id, meta: Meta::of(&meta), body: body(serde_json::from_value(object).ok()?), status })
    };
    relist(index, kube, kind.plural(), id, read, |change| WatchEvent::Attached(kind, change));
}

fn relist<K, V>(
    index: &mut Index,
    kube: &KubeSim,
    plural: &str,
    key: impl Fn(&Value) -> K,
    read: impl Fn(Value) -> Option<V>,
    event: impl Fn(Change<K, V>) -> WatchEvent,
) {
    index.take(event(Change::Listing));
    for object in kube.list(plural, "") {
        let id = key(&object);
        index.take(event(match read(object) {
            Some(view) => Change::ListItem(id, view),
            None => Change::ListUnreadable(id),
        }));
    }
    index.take(event(Change::Listed));
}
