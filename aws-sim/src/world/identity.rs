//! Accounts, roles, users and the credentials that stand for them. Identity policies are not modelled: a caller may do
//! everything in its own account, and what it must not is injected as a fault.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::registry::Versioned;
use super::role::{History, Role};

/// An account the World owns.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) partition: String,
    pub(crate) organization_id: Option<String>,
    /// By ARN.
    pub(crate) entities: Versioned<BTreeMap<String, Entity>>,
    /// Documents of the customer's managed policies, by ARN.
    pub(crate) managed_policies: BTreeMap<String, String>,
    pub(crate) outage: Option<Outage>,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self {
            partition: "aws".to_owned(),
            organization_id: None,
            entities: Versioned::default(),
            managed_policies: BTreeMap::new(),
            outage: None,
        }
    }

    /// A role or user that exists, whether or not others see it yet.
    pub(crate) fn entity(&self, arn: &str) -> Option<&Entity> {
        self.entities.current().get(arn)
    }

    /// A role as IAM shows it.
    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.entity(arn)?.role.as_ref().map(History::newest)
    }
}

/// A role or a user.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    /// `AROA…` or `AIDA…`: another one each time the name is created again.
    pub(crate) unique_id: String,
    /// IAM propagation: unknown to others before.
    pub(crate) visible_from: Duration,
    /// Roles only.
    pub(crate) role: Option<History>,
    /// Sessions that were issued before this are denied everything.
    pub(crate) revoked_before: Option<Duration>,
}

/// Who may assume a role, in short: the trust policy of a role made by a control.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Account ids (any principal of them), root ARNs alike, role or user ARNs, or `*`.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Must come with the call, if set.
    #[serde(default)]
    pub external_id: Option<String>,
}

impl Trust {
    /// Trusts these principals (account ids or ARNs), with no external id.
    pub fn of<S: Into<String>>(principals: impl IntoIterator<Item = S>) -> Self {
        Self { principals: principals.into_iter().map(Into::into).collect(), external_id: None }
    }

    /// Asks for this external id too.
    #[must_use]
    pub fn with_external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.to_owned());
        self
    }
}

/// How an account is out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// Its calls see the connection break.
    Reset,
    /// Its calls get no answer.
    Hang,
}

/// An access key and what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) caller: Caller,
    /// Temporary keys: the token that must come along, and when it ends.
    pub(crate) session: Option<Session>,
}

/// The temporary part of a key.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token: Option<String>,
    /// When AssumeRole issued it.
    pub(crate) issued: Option<Duration>,
    pub(crate) expires: Option<Duration>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) account: String,
    /// As GetCallerIdentity says it: for a role the session's ARN.
    pub(crate) arn: String,
    /// The role's or user's own ARN.
    pub(crate) entity_arn: String,
    /// As GetCallerIdentity says it: for a role `AROA…:session`.
    pub(crate) user_id: String,
    /// Empty for root.
    pub(crate) unique_id: String,
    pub(crate) is_role: bool,
}

/// The partition a Region belongs to.
pub(crate) fn partition_of(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("us-iso-", "aws-iso"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];
    PREFIXES.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Twelve digits.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
