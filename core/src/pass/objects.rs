//! The objects as a pass sees them: what the API server sent, without what no decision needs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use super::ledger::Slice;
use crate::api::{self, AttachedStatus, Kind, RegistrySpec, RegistryStatus};
use crate::kinds::Body;
use crate::names::RegistryKey;

/// Names one attached object for ever: a restored object has another uid and keeps its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// The metadata that decisions rest on.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    pub name: String,
    pub uid: String,
    pub generation: i64,
    pub resource_version: String,
    pub created: Option<Timestamp>,
    pub deleting: bool,
    /// Our finalizer is on it.
    pub finalized: bool,
    /// The finalizers of others, which stay where they are.
    pub other_finalizers: Vec<String>,
    pub abandon: bool,
    pub prune: Option<String>,
    /// `true`, and on a Registry tokens of what gone objects left and is to be released.
    pub release: Option<String>,
    /// On a Registry: the installation id is this cluster's, says the answer to one token.
    pub installation_is_mine: Option<String>,
    pub reconcile_at: Option<String>,
}

impl Meta {
    pub fn of(meta: &ObjectMeta) -> Self {
        let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        let (ours, others): (Vec<_>, Vec<_>) =
            meta.finalizers.iter().flatten().cloned().partition(|finalizer| finalizer == api::FINALIZER);
        Self {
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
            deleting: meta.deletion_timestamp.is_some(),
            finalized: !ours.is_empty(),
            other_finalizers: others,
            abandon: annotation(api::ABANDON).as_deref() == Some("true"),
            // As much as the status takes: what is beyond names nothing.
            prune: annotation(api::PRUNE).map(|value| value.chars().take(api::WORDS_AT_MOST).collect()),
            release: annotation(api::RELEASE).map(|value| value.chars().take(api::WORDS_AT_MOST).collect()),
            installation_is_mine: annotation(api::INSTALLATION_IS_MINE),
            // As much as the status takes: a longer value is the same request.
            reconcile_at: annotation(api::RECONCILE_NOW).map(|value| value.chars().take(256).collect()),
        }
    }

    /// Whether the object is to be let go of as it is, or the objects of the Registry are.
    pub fn released(&self) -> bool {
        self.release.iter().any(|words| words.split(',').any(|word| word == "true"))
    }

    /// Whether a newer version differs in something a pass must answer: not in what a pass itself writes.
    fn calls_for_a_pass(&self, newer: &Self) -> bool {
        let finalizer_lost = self.finalized && !newer.finalized;
        let Self {
            name: _,
            uid,
            generation,
            resource_version: _,
            created: _,
            deleting,
            finalized: _,
            other_finalizers: _,
            abandon,
            prune,
            release,
            installation_is_mine,
            reconcile_at,
        } = self;
        finalizer_lost
            || *uid != newer.uid
            || *generation != newer.generation
            || *deleting != newer.deleting
            || *abandon != newer.abandon
            || *prune != newer.prune
            || *release != newer.release
            || *installation_is_mine != newer.installation_is_mine
            || *reconcile_at != newer.reconcile_at
    }
}

/// An object of an attached kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Attached {
    pub id: ObjectId,
    pub meta: Meta,
    pub body: Body,
    pub status: AttachedStatus,
}

/// A Registry.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryObject {
    pub meta: Meta,
    pub spec: RegistrySpec,
    pub status: RegistryStatus,
}

impl RegistryObject {
    pub fn of(meta: &ObjectMeta, spec: RegistrySpec, status: RegistryStatus) -> Self {
        Self { meta: Meta::of(meta), spec, status }
    }

    pub fn name(&self) -> &str {
        &self.meta.name
    }

    /// The registry it stands for; `None` only if the schema was bypassed.
    pub fn key(&self) -> Option<RegistryKey> {
        Some(RegistryKey { account: self.spec.account_id.parse().ok()?, region: self.spec.region.parse().ok()? })
    }

    /// Who the Registry is when two stand for the same key: whom the ledger names, then whoever carries our finalizer, since
    /// it had one (a backup may come back without ledgers), then the older, then the name.
    pub(crate) fn seniority(&self, served: Option<&str>) -> impl Ord + use<> {
        (served != Some(self.name()), !self.meta.finalized, self.meta.created, self.meta.name.clone())
    }
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceView {
    pub labels: std::collections::BTreeMap<String, String>,
}

/// What the watches keep of an object: how to tell that a newer version calls for a pass.
pub(crate) trait Watched {
    fn resource_version(&self) -> &str;
    fn calls_for_a_pass(&self, newer: &Self) -> bool;
}

impl Watched for Attached {
    fn resource_version(&self) -> &str {
        &self.meta.resource_version
    }
    fn calls_for_a_pass(&self, newer: &Self) -> bool {
        self.meta.calls_for_a_pass(&newer.meta)
    }
}

impl Watched for RegistryObject {
    fn resource_version(&self) -> &str {
        &self.meta.resource_version
    }
    fn calls_for_a_pass(&self, newer: &Self) -> bool {
        self.meta.calls_for_a_pass(&newer.meta)
    }
}

impl Watched for NamespaceView {
    fn resource_version(&self) -> &'static str {
        ""
    }
    fn calls_for_a_pass(&self, newer: &Self) -> bool {
        self != newer
    }
}

impl Watched for Slice {
    fn resource_version(&self) -> &str {
        &self.resource_version
    }
    fn calls_for_a_pass(&self, newer: &Self) -> bool {
        let as_text = |slice: &Self| Self { resource_version: String::new(), finalized: true, ..slice.clone() };
        as_text(self) != as_text(newer) || self.finalized && !newer.finalized
    }
}
