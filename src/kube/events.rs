//! Events on objects whose readiness changed. An event that cannot be written is not worth a retry: the condition says
//! the same, and a terminating namespace takes none.

use ::kube::Client;
use ::kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::time::Duration;

use ecr_permissions_core::api::{AttachedStatus, GROUP, RegistryStatus};
use ecr_permissions_core::pass::conditions::find;
use ecr_permissions_core::pass::objects::{Attached, RegistryObject};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// How long an event may take; a pass waits for it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Conditions that speak of the ledger or of what is seen; one that heals in a second is told all the same.
const TOLD: [&str; 5] = ["LedgerEdited", "LedgerUnreadable", "ForeignLedger", "HeldElsewhere", "ViewOld"];

#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    pub fn new(client: Client) -> Self {
        let reporter = Reporter { controller: "ecr-permissions".to_owned(), instance: None };
        Self { recorder: Recorder::new(client, reporter) }
    }

    pub async fn object(&self, object: &Attached, status: &AttachedStatus) {
        let reference =
            reference(object.id.kind.as_str(), Some(&object.id.namespace), &object.id.name, &object.meta.uid);
        self.ready(&reference, &status.conditions).await;
    }

    /// Says so if the Registry's readiness or its reason changed, and what trouble of the ledger or of the views is new.
    pub async fn registry(&self, registry: &RegistryObject, status: &RegistryStatus) {
        let is_new = |condition: &&Condition| {
            TOLD.contains(&condition.type_.as_str()) && find(&registry.status.conditions, &condition.type_).is_none()
        };
        for condition in status.conditions.iter().filter(is_new) {
            let event = Event {
                type_: EventType::Warning,
                reason: condition.reason.clone(),
                note: Some(condition.message.chars().take(1000).collect()),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            self.publish(&event, &reference("Registry", None, registry.name(), &registry.meta.uid)).await;
        }
        if find(&registry.status.conditions, "Ready") != find(&status.conditions, "Ready") {
            self.ready(&reference("Registry", None, registry.name(), &registry.meta.uid), &status.conditions).await;
        }
    }

    /// Says that something of ours was changed from outside and is put right.
    pub async fn drift(&self, registry: &RegistryObject, what: &str) {
        let note = format!("Changed from outside, and put right: {what}.");
        let event = Event {
            type_: EventType::Warning,
            reason: "DriftRepaired".to_owned(),
            note: Some(note),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        self.publish(&event, &reference("Registry", None, registry.name(), &registry.meta.uid)).await;
    }

    /// Says whom AWS takes no more, so that something could not be taken away as usual.
    pub async fn rejected(&self, registry: &RegistryObject, who: &str) {
        let note = format!(
            "AWS refused the registry policy although it only took away, and took it without {who}: whom it refuses stays out, the others are put back."
        );
        let event = Event {
            type_: EventType::Warning,
            reason: "PrincipalRejected".to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        self.publish(&event, &reference("Registry", None, registry.name(), &registry.meta.uid)).await;
    }

    async fn ready(&self, about: &ObjectReference, conditions: &[Condition]) {
        let Some(ready) = conditions.iter().find(|condition| condition.type_ == "Ready") else { return };
        let event = Event {
            type_: if ready.status == "False" { EventType::Warning } else { EventType::Normal },
            reason: ready.reason.clone(),
            note: Some(ready.message.chars().take(1000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        self.publish(&event, about).await;
    }

    async fn publish(&self, event: &Event, about: &ObjectReference) {
        match tokio::time::timeout(WRITTEN_WITHIN, self.recorder.publish(event, about)).await {
            Ok(Err(error)) => tracing::debug!(%error, "event not written"),
            Err(_) => tracing::debug!("event not written: the API server does not answer"),
            Ok(Ok(())) => {}
        }
    }
}

fn reference(kind: &str, namespace: Option<&str>, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/v1alpha1")),
        kind: Some(kind.to_owned()),
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}
