//! What Prometheus sees. Labels are bounded by the Registries there are; the names follow controller-runtime where it
//! has one, so that existing dashboards work.

use ecr_permissions_core::api::RegistryStatus;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::pass::conditions::find;
use ecr_permissions_core::pass::freshness::{OldViews, Store};
use ecr_permissions_core::pass::ledger::{DocumentRecord, REGISTRY_POLICY};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::aws::metrics::AwsMetrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    account: String,
    region: String,
}

impl Of {
    fn key(key: &RegistryKey) -> Self {
        Self { account: key.account.to_string(), region: key.region.to_string() }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug)]
pub struct Metrics {
    pub aws: AwsMetrics,
    passes: Counter,
    pass_seconds: Histogram,
    depth: Gauge,
    ready: Family<Of, Gauge>,
    drift: Family<Of, Counter>,
    characters: Family<Of, Gauge>,
    statements: Family<Of, Gauge>,
    foreign: Family<Of, Gauge>,
    orphans: Family<Of, Gauge>,
    unserved: Family<Of, Gauge>,
    old_views: Family<OfKind, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            aws: AwsMetrics::default(),
            passes: Counter::default(),
            pass_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 14)),
            depth: Gauge::default(),
            ready: Family::default(),
            drift: Family::default(),
            characters: Family::default(),
            statements: Family::default(),
            foreign: Family::default(),
            orphans: Family::default(),
            unserved: Family::default(),
            old_views: Family::default(),
        }
    }
}

impl Metrics {
    /// The text Prometheus scrapes.
    pub fn text(&self) -> String {
        let mut all = Registry::default();
        self.aws.register(&mut all);
        all.register("controller_runtime_reconcile", "Passes that ended", self.passes.clone());
        all.register("controller_runtime_reconcile_time_seconds", "How long a pass takes", self.pass_seconds.clone());
        all.register("workqueue_depth", "Registries that wait for a pass", self.depth.clone());
        let prefix = all.sub_registry_with_prefix("ecr_permissions");
        prefix.register("registry_ready", "1 if the Registry is Ready", self.ready.clone());
        prefix.register("drift_detected", "Times statements were put back", self.drift.clone());
        prefix.register("policy_characters", "Length of the registry policy; AWS takes 10240", self.characters.clone());
        prefix.register("policy_statements", "Own statements in the registry policy", self.statements.clone());
        prefix.register("policy_foreign_statements", "Statements of others in it", self.foreign.clone());
        prefix.register("orphans", "1 if something in AWS belongs to no object", self.orphans.clone());
        prefix.register("unserved_ledgers", "RegistryLedgers that no Registry stands for", self.unserved.clone());
        prefix.register(
            "view_old",
            "1 if what the API server shows of the kind is not proven to be of the last ten minutes",
            self.old_views.clone(),
        );
        let mut text = String::new();
        // Writing into a String cannot fail.
        if text::encode(&mut text, &all).is_err() {
            text.clear();
        }
        text
    }

    pub(crate) fn passed(&self, seconds: f64) {
        self.passes.inc();
        self.pass_seconds.observe(seconds);
    }

    pub(crate) fn waiting(&self, depth: usize) {
        self.depth.set(number(depth));
    }

    pub(crate) fn drifted(&self, key: &RegistryKey) {
        self.drift.get_or_create(&Of::key(key)).inc();
    }

    /// Ledgers that have something on record of a registry that no Registry stands for.
    pub(crate) fn unserved_ledgers(&self, key: &RegistryKey, ledgers: usize) {
        self.unserved.get_or_create(&Of::key(key)).set(number(ledgers));
    }

    /// Which views are not proven young.
    pub(crate) fn views(&self, old: &OldViews) {
        for store in Store::all() {
            let of = OfKind { kind: store.kind() };
            self.old_views.get_or_create(&of).set(i64::from(old.told().contains(&store)));
        }
    }

    pub(crate) fn registry(&self, key: &RegistryKey, status: &RegistryStatus, record: Option<&DocumentRecord>) {
        let of = Of::key(key);
        let is_true = |kind| find(&status.conditions, kind).is_some_and(|(status, _)| status == "True");
        self.ready.get_or_create(&of).set(i64::from(is_true("Ready")));
        self.orphans.get_or_create(&of).set(i64::from(is_true("Orphaned")));
        self.unserved.remove(&of);
        if let Some(document) = status.documents.get(REGISTRY_POLICY) {
            self.characters.get_or_create(&of).set(document.characters);
        }
        if let Some(record) = record {
            self.statements.get_or_create(&of).set(number(record.sids.len()));
            self.foreign.get_or_create(&of).set(number(record.foreign_hashes.len()));
        }
    }
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
