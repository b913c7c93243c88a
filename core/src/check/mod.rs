//! `ecr-permissions check`: what the API server and the operator would say of objects, before anybody applies them.
//! Works on text alone: it asks no cluster and no AWS, so what depends on either (a principal that does not exist, a
//! policy that grows too long) it cannot know.

mod admission;
mod limits;
mod roles;
mod structure;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::api::{
    CrossAccountPtcRole, DeletionPolicy, GROUP, Kind, PullThroughCacheRule, Registry, RegistryPolicy, ReplicationGrant,
};
use crate::consent::{self, Asked, consent};
use crate::kinds::{Body, Fault, Faults, References, Refusal, actions, review};
use crate::names::RegistryKey;
use crate::reason::Because;

pub use admission::Admission;

/// One thing wrong with an object in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    /// Kind, namespace and name: `RegistryPolicy team-a/pull`.
    pub object: String,
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, object, fault } = self;
        write!(f, "{file}: {object}: {fault}")
    }
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// Files that are no YAML, and why.
    pub unreadable: Vec<(String, String)>,
    /// How many objects of ours were looked at.
    pub checked: usize,
}

/// Checks all objects of our kinds in files, each a name and its text. Objects of other groups are passed over; of
/// Namespaces the labels are read, and Registries say what they allow.
pub fn check(files: &[(String, String)]) -> Report {
    let mut report = Report::default();
    let mut objects = Vec::new();
    for (file, text) in files {
        match serde_saphyr::from_multiple::<Value>(text) {
            Ok(documents) => objects.extend(documents.iter().flat_map(|document| unpacked(file, document))),
            Err(error) => report.unreadable.push((file.clone(), error.to_string())),
        }
    }
    let world = World::of(&objects);
    let admission = Admission::new();
    let beyond = limits::beyond(&objects, &world);
    for (at, object) in objects.iter().enumerate().filter(|(_, object)| object.group() == GROUP) {
        report.checked += 1;
        let mut faults = faults(object, &admission, &world);
        faults.extend(beyond.get(&at).cloned());
        let name = object.to_string();
        report.findings.extend(faults.into_iter().map(|fault| Finding {
            file: object.file.clone(),
            object: name.clone(),
            fault,
        }));
    }
    report
}

/// An object as the API server stores it: without nulls.
pub fn as_stored(object: &Value) -> Value {
    let mut object = object.clone();
    structure::without_nulls(&mut object);
    object
}

/// An object of a file.
struct Object {
    file: String,
    value: Value,
}

impl Object {
    fn text(&self, name: &str) -> &str {
        self.value[name].as_str().unwrap_or_default()
    }

    fn meta(&self, name: &str) -> &str {
        self.value["metadata"][name].as_str().unwrap_or_default()
    }

    fn group(&self) -> &str {
        self.text("apiVersion").split_once('/').map_or("", |(group, _)| group)
    }

    /// As kubectl would: objects without a namespace go to `default`.
    fn namespace(&self) -> &str {
        match self.meta("namespace") {
            "" => "default",
            namespace => namespace,
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(self.value.clone()).ok()
    }

    fn body(&self) -> Option<Body> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == self.text("kind"))?;
        match kind {
            Kind::RegistryPolicy => self.parse::<RegistryPolicy>().map(|object| object.spec.into()),
            Kind::ReplicationGrant => self.parse::<ReplicationGrant>().map(|object| object.spec.into()),
            Kind::PullThroughCacheRule => self.parse::<PullThroughCacheRule>().map(|object| object.spec.into()),
            Kind::CrossAccountPtcRole => self.parse::<CrossAccountPtcRole>().map(|object| object.spec.into()),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meta("namespace") {
            "" => write!(f, "{} {}", self.text("kind"), self.meta("name")),
            namespace => write!(f, "{} {namespace}/{}", self.text("kind"), self.meta("name")),
        }
    }
}

/// The objects of one document: a `List` has many, an empty document none.
fn unpacked(file: &str, document: &Value) -> Vec<Object> {
    let values = match as_stored(document) {
        Value::Null => Vec::new(),
        mut list if list["kind"] == "List" && list["items"].is_array() => match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        },
        one => vec![one],
    };
    values.into_iter().map(|value| Object { file: file.to_owned(), value }).collect()
}

/// What the files say of each other.
struct World {
    registries: BTreeMap<String, Registry>,
    /// CrossAccountPtcRoles by namespace and name.
    roles: BTreeMap<(String, String), Body>,
    /// Labels of the namespaces among the files.
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

impl World {
    fn of(objects: &[Object]) -> Self {
        let named = |kind: &'static str, group: &'static str| {
            objects.iter().filter(move |object| object.text("kind") == kind && object.group() == group)
        };
        let labels = |object: &Object| {
            let labels: BTreeMap<String, String> =
                serde_json::from_value(object.value["metadata"]["labels"].clone()).unwrap_or_default();
            labels.into_iter().chain([name_label(object.meta("name"))]).collect()
        };
        Self {
            registries: named("Registry", GROUP)
                .filter_map(|o| Some((o.meta("name").to_owned(), o.parse()?)))
                .collect(),
            roles: named(Kind::CrossAccountPtcRole.as_str(), GROUP)
                .filter_map(|o| Some(((o.namespace().to_owned(), o.meta("name").to_owned()), o.body()?)))
                .collect(),
            namespaces: named("Namespace", "").map(|o| (o.meta("name").to_owned(), labels(o))).collect(),
        }
    }

    fn references(&self) -> References {
        self.registries.iter().filter_map(|(name, registry)| Some((name.clone(), key_of(registry)?))).collect()
    }

    /// The labels of a namespace; nothing, if they are not known and a rule of the Registry selects by them: that cannot say
    /// no.
    fn labels(&self, registry: &Registry, namespace: &str) -> Option<BTreeMap<String, String>> {
        let labels = self.namespaces.get(namespace).cloned();
        let selects = registry.spec.allow.iter().any(|rule| rule.namespaces.selector.is_some());
        labels.or_else(|| (!selects).then(|| BTreeMap::from([name_label(namespace)])))
    }

    /// Why a Registry's owner does not allow what is asked, if that can be told.
    fn refusal(
        &self,
        registry: &Registry,
        key: &RegistryKey,
        body: &Body,
        namespace: &str,
        asked: &Asked,
    ) -> Option<Because> {
        let labels = self.labels(registry, namespace)?;
        consent(&registry.spec.allow, key, body.kind(), namespace, &labels, asked).err()
    }
}

/// The label that Kubernetes gives every namespace.
fn name_label(namespace: &str) -> (String, String) {
    ("kubernetes.io/metadata.name".to_owned(), namespace.to_owned())
}

/// Everything that speaks against an object: what the API server says first, and if it would take the object, what the
/// operator says then.
fn faults(object: &Object, admission: &Admission, world: &World) -> Vec<Fault> {
    let admitted = admission.faults(&object.value, None);
    let own = match (object.body(), object.parse::<Registry>()) {
        (Some(body), _) => attached_faults(object, &body, world),
        (None, Some(registry)) => registry_faults(object.meta("name"), &registry, world),
        (None, None) => Vec::new(),
    };
    // A rule speaks of a list or a statement; the operator names the entry. One of the two is enough.
    let told = |rest: &str| rest.is_empty() || rest.starts_with('[') || rest == ".principals" || rest == ".conditions";
    let closer = |fault: &Fault| own.iter().any(|own| own.field.strip_prefix(&fault.field).is_some_and(told));
    let mut all: Vec<Fault> = admitted.into_iter().filter(|fault| !closer(fault)).collect();
    all.extend(own);
    all
}

fn attached_faults(object: &Object, body: &Body, world: &World) -> Vec<Fault> {
    let registry = world.registries.get(body.registry_name());
    let references = world.references();
    let Some(key) = registry.and_then(key_of).or_else(|| stand_in(body, &references)) else { return Vec::new() };
    let wanted = match review(body, &key, &references) {
        Ok(wanted) => wanted,
        Err(Refusal::Faults(faults)) => return faults,
        // The files are rarely all there is.
        Err(Refusal::Missing(_)) => return Vec::new(),
    };
    let own = registry.map(|registry| (registry, key.clone(), Asked::of(&wanted, body.kind(), &key)));
    let retain =
        own.as_ref().and_then(|(registry, key, asked)| retain_fault(object, body, registry, key, asked, world));
    let upstreams = wanted.role.iter().flat_map(|role| role.upstreams.iter().map(move |upstream| (role, upstream)));
    let theirs = upstreams.filter(|(_, upstream)| !upstream.external).filter_map(|(role, upstream)| {
        let registry = world.registries.values().find(|registry| key_of(registry).as_ref() == Some(&upstream.key))?;
        Some((registry, upstream.key.clone(), Asked::of_upstream(role, upstream, &key)))
    });
    let cached = wanted.rule.iter().filter_map(|rule| {
        let upstream = rule.upstream_account.as_ref().filter(|upstream| upstream.account == key.account)?;
        let registry = world.registries.values().find(|registry| key_of(registry).as_ref() == Some(upstream))?;
        let asked = Asked::of_cached(rule.pulled(), &key);
        Some((registry, upstream.clone(), asked))
    });
    // The stand-in's account is nobody's to allow.
    let theirs = theirs.chain(cached).filter(|_| registry.is_some());
    let refused = own.into_iter().chain(theirs).filter_map(|(registry, key, asked)| {
        let because = world.refusal(registry, &key, body, object.namespace(), &asked)?;
        Some(as_fault(registry, &because, body))
    });
    let by_role = roles::role_fault(object, body, &wanted, &key, world);
    by_role.into_iter().chain(refused).chain(retain).chain(body.too_long()).collect()
}

/// An object that is accepted, and asks to be retained as no rule lets it.
fn retain_fault(
    object: &Object,
    body: &Body,
    registry: &Registry,
    key: &RegistryKey,
    asked: &Asked,
    world: &World,
) -> Option<Fault> {
    let refusal = |registry: &Registry| world.refusal(registry, key, body, object.namespace(), asked);
    let mut retaining = registry.clone();
    retaining.spec.allow = consent::Rules::Retaining.of(&registry.spec.allow).into_owned();
    let asks = body.deletion_policy() == Some(DeletionPolicy::Retain) && refusal(registry).is_none();
    (asks && refusal(&retaining).is_some()).then(|| Fault {
        field: "spec.deletionPolicy".to_owned(),
        problem: "RetainNotAllowed: no rule of the Registry's spec.allow that covers the object has retain: true, so its deletion removes what it has".to_owned(),
        cure: "ask the Registry's owner for it, or leave deletionPolicy out".to_owned(),
    })
}

/// A refusal by the Registry that the object is attached to, or by one of its upstreams.
fn as_fault(registry: &Registry, because: &Because, body: &Body) -> Fault {
    let name = registry.metadata.name.as_deref().unwrap_or_default();
    let by = if name == body.registry_name() { String::new() } else { format!("upstream Registry {name}: ") };
    let message = because.message.trim_end_matches('.');
    let (problem, cure) = message.split_once(". ").or_else(|| message.split_once("; ")).unwrap_or((message, ""));
    Fault { field: "spec".to_owned(), problem: format!("{by}{problem}"), cure: cure.to_owned() }
}

fn registry_faults(name: &str, registry: &Registry, world: &World) -> Vec<Fault> {
    let mut faults = Faults::default();
    for (i, rule) in registry.spec.allow.iter().enumerate().filter(|(_, rule)| !rule.actions.is_empty()) {
        actions::parse(&rule.actions, &format!("spec.allow[{i}].actions"), &mut faults);
    }
    let same = |other: &&Registry| key_of(other).is_some() && key_of(other) == key_of(registry);
    let names: Vec<&str> = world.registries.values().filter(same).filter_map(|r| r.metadata.name.as_deref()).collect();
    if names.iter().any(|other| *other != name) {
        let problem = format!("one account and Region has several Registries: {}", names.join(", "));
        faults.add("spec", problem, "keep one; the later is refused");
    }
    faults.into_result().err().unwrap_or_default()
}

fn key_of(registry: &Registry) -> Option<RegistryKey> {
    Some(RegistryKey { account: registry.spec.account_id.parse().ok()?, region: registry.spec.region.parse().ok()? })
}

/// A registry nobody has, where the files do not say which one is meant; in the partition of what the object speaks of.
fn stand_in(body: &Body, references: &References) -> Option<RegistryKey> {
    let target = body.targets().iter().find_map(|target| target.resolve(references));
    let region = target.map_or_else(|| "us-east-1".parse().ok(), |key| Some(key.region))?;
    Some(RegistryKey { account: "000000000000".parse().ok()?, region })
}
