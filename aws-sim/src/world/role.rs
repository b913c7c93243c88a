//! A role and its history: IAM shows it as it is, everybody else as it was when it had last propagated (aws-facts F,
//! D.9).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::identity::Trust;
use super::registry::StoredPolicy;

/// An hour: what holds unless a role says otherwise.
pub(crate) const DEFAULT_SESSION: u32 = 3_600;

/// Everything of a role that can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Role {
    pub arn: String,
    /// `AROA…`
    pub id: String,
    pub name: String,
    /// From slash to slash.
    pub path: String,
    pub description: Option<String>,
    pub max_session_seconds: u32,
    /// As it was sent.
    pub trust: String,
    /// As they were sent, by name.
    pub inline_policies: BTreeMap<String, String>,
    /// ARNs.
    pub attached_policies: BTreeSet<String>,
    /// An ARN.
    pub permissions_boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// Names.
    pub instance_profiles: BTreeSet<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// The unique ids that the trust's principals stood for when it was set.
    #[serde(skip)]
    pub(crate) trust_bound: BTreeMap<String, String>,
}

impl Role {
    /// Belongs to a service: nobody else may change it.
    pub(crate) fn is_service_linked(&self) -> bool {
        self.path.starts_with("/aws-service-role/")
    }

    /// The trust as documents are stored.
    pub(crate) fn stored_trust(&self) -> StoredPolicy {
        StoredPolicy { text: self.trust.clone(), bound: self.trust_bound.clone() }
    }
}

/// What a role was, and is.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// With the moment from which others see it; the newest last, and never empty.
    versions: Vec<(Duration, Role)>,
    newest: Role,
}

impl History {
    pub(crate) fn new(role: Role, visible_from: Duration) -> Self {
        Self { versions: vec![(visible_from, role.clone())], newest: role }
    }

    /// As IAM shows it.
    pub(crate) fn newest(&self) -> &Role {
        &self.newest
    }

    /// As ECR and STS see it; nothing until it has propagated.
    pub(crate) fn seen_at(&self, now: Duration) -> Option<&Role> {
        self.versions.iter().rev().find(|(from, _)| *from <= now).map(|(_, role)| role)
    }

    /// A change that others see from `visible_from` on.
    pub(crate) fn change<R>(&mut self, now: Duration, visible_from: Duration, edit: impl FnOnce(&mut Role) -> R) -> R {
        let done = edit(&mut self.newest);
        // What nobody will see again may go.
        if let Some(seen) = self.versions.iter().rposition(|(from, _)| *from <= now) {
            self.versions.drain(..seen);
        }
        self.versions.push((visible_from, self.newest.clone()));
        done
    }
}

impl Trust {
    /// The trust policy that says so. Without principals: one that trusts nobody, which IAM would not take.
    pub(crate) fn document(self) -> String {
        let mut statement = json!({
            "Effect": "Allow", "Principal": {"AWS": self.principals}, "Action": "sts:AssumeRole",
        });
        if let Some(id) = &self.external_id {
            statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": id}});
        }
        let statements = if self.principals.is_empty() { json!([]) } else { json!([statement]) };
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }
}

/// The trust policy of a service's role.
pub(crate) fn service_trust(service: &str) -> String {
    let statement: Value = json!({
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole",
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{History, Role};

    /// aws-facts D.9: each change takes its own time.
    #[test]
    fn others_see_a_role_as_it_was_when_it_had_last_propagated() {
        let at = Duration::from_secs;
        let described = |text: &str| Role { description: Some(text.to_owned()), ..Role::default() };
        let mut role = History::new(described("first"), at(10));
        let seen = |role: &History, now| role.seen_at(at(now)).and_then(|r| r.description.clone());
        assert_eq!(seen(&role, 9), None);
        role.change(at(5), at(15), |r| r.description = Some("second".to_owned()));
        assert_eq!(role.newest().description.as_deref(), Some("second"));
        assert_eq!(seen(&role, 9), None);
        assert_eq!(seen(&role, 14).as_deref(), Some("first"));
        assert_eq!(seen(&role, 15).as_deref(), Some("second"));
        role.change(at(20), at(20), |r| r.description = Some("third".to_owned()));
        assert_eq!(seen(&role, 20).as_deref(), Some("third"));
        assert_eq!(role.versions.len(), 2);
    }
}
