//! Our own statements, in normal form: equal values grant the same, whatever their text looked like. They are only
//! ever made from custom resources, the ledger, or a stored statement whose every member we understand; foreign JSON
//! that we do not fully understand never becomes one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use super::action::Action;
use super::shared::Shared;
use crate::names::{AccountId, Partition};

/// Whether a statement gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Adds to what others allow.
    Allow,
    /// Wins over every Allow.
    Deny,
}

impl Effect {
    /// As AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who a statement speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// `"*"`, which is the same as `{"AWS":"*"}`.
    Everyone,
    /// Every principal of an account that its administrators let: an account id or its root ARN in our partition.
    Account(AccountId),
    /// An ARN of a role, a user or a session, the root of another partition, or the unique id that AWS shows instead of
    /// a deleted principal. Never an account id, our partition's root ARN or `"*"`: use [`Principal::aws`].
    Aws(String),
    /// A service such as `codebuild.amazonaws.com`.
    Service(String),
}

impl Principal {
    /// An entry of a policy's `AWS` list, in normal form (aws-facts C.3: an id equals the root ARN of one partition only).
    pub fn aws(text: &str, partition: Partition) -> Self {
        let root = root_account(text).filter(|(of, _)| *of == partition.as_str()).map(|(_, account)| account);
        Self::aws_as_written(root.unwrap_or(text))
    }

    /// As [`Principal::aws`] for text that is in normal form already.
    pub(super) fn aws_as_written(text: &str) -> Self {
        match text {
            "*" => Self::Everyone,
            text => text.parse().map_or_else(|_| Self::Aws(text.to_owned()), Self::Account),
        }
    }

    /// Whether this is what is left of a deleted principal: `AROA…` of a role, `AIDA…` of a user (aws-facts B.5).
    pub fn is_unique_id(&self) -> bool {
        let Self::Aws(text) = self else { return false };
        let tail = text.strip_prefix("AROA").or_else(|| text.strip_prefix("AIDA"));
        tail.is_some_and(|tail| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
    }

    /// As it is sent: account ids as 12 digits, which AWS turns into root ARNs and which are shorter.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Everyone => "*",
            Self::Account(account) => account.as_str(),
            Self::Aws(text) | Self::Service(text) => text,
        }
    }

    /// The member of `Principal` that it stands under.
    pub(super) fn kind(&self) -> &'static str {
        if matches!(self, Self::Service(_)) { "Service" } else { "AWS" }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The partition and the account of `arn:PARTITION:iam::ACCOUNT:root`.
pub(super) fn root_account(arn: &str) -> Option<(&str, &str)> {
    let (partition, rest) = arn.strip_prefix("arn:")?.split_once(":iam::")?;
    let account = rest.strip_suffix(":root")?;
    (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())).then_some((partition, account))
}

/// What a condition looks at: `StringEquals` of `aws:PrincipalOrgID`. The key compares ignoring case, as IAM does.
#[derive(Clone, Debug)]
pub struct ConditionKey {
    /// The operator, exactly as AWS spells it.
    pub operator: String,
    /// The key, in any case.
    pub key: String,
}

impl ConditionKey {
    /// An operator and a key.
    pub fn new(operator: impl Into<String>, key: impl Into<String>) -> Self {
        Self { operator: operator.into(), key: key.into() }
    }
}

impl PartialEq for ConditionKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ConditionKey {}

impl PartialOrd for ConditionKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ConditionKey {
    fn cmp(&self, other: &Self) -> Ordering {
        fn folded(key: &str) -> impl Iterator<Item = u8> {
            key.bytes().map(|b| b.to_ascii_lowercase())
        }
        self.operator.cmp(&other.operator).then_with(|| folded(&self.key).cmp(folded(&other.key)))
    }
}

/// One statement. The values of one condition are alternatives; several conditions must all hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Gives or takes.
    pub effect: Effect,
    /// To or from whom.
    pub principals: Shared<BTreeSet<Principal>>,
    /// What.
    pub actions: Shared<BTreeSet<Action>>,
    /// Repository ARNs, exact or with a `*` at the end; empty in a repository's own policy (aws-facts B.1).
    pub resources: Shared<BTreeSet<String>>,
    /// Only if all of this holds.
    pub conditions: Shared<BTreeMap<ConditionKey, BTreeSet<String>>>,
}

impl Statement {
    /// The same grants, one principal each.
    pub fn atoms(&self) -> impl Iterator<Item = Self> {
        self.principals.iter().map(|principal| self.to(principal))
    }

    /// The same grants to this principal alone; all else is shared.
    #[must_use]
    pub fn to(&self, principal: &Principal) -> Self {
        Self { principals: [principal.clone()].into(), ..self.clone() }
    }

    /// As it is sent to AWS: single elements without a list, nothing empty but a condition's values (an empty list there
    /// matches nothing, so leaving it out would widen).
    pub fn to_value(&self, sid: Option<&str>) -> Value {
        let mut members = Map::new();
        if let Some(sid) = sid {
            members.insert("Sid".to_owned(), sid.into());
        }
        members.insert("Effect".to_owned(), self.effect.as_str().into());
        if !self.principals.is_empty() {
            members.insert("Principal".to_owned(), self.principal_value());
        }
        if !self.actions.is_empty() {
            members.insert("Action".to_owned(), scalar_or_list(self.actions.iter().map(Action::as_str)));
        }
        if !self.resources.is_empty() {
            members.insert("Resource".to_owned(), scalar_or_list(self.resources.iter().map(String::as_str)));
        }
        if !self.conditions.is_empty() {
            members.insert("Condition".to_owned(), self.condition_value());
        }
        Value::Object(members)
    }

    fn principal_value(&self) -> Value {
        if self.principals.iter().eq([&Principal::Everyone]) {
            return "*".into();
        }
        let mut kinds = Map::new();
        for kind in ["AWS", "Service"] {
            let of_kind = || self.principals.iter().filter(|principal| principal.kind() == kind);
            if of_kind().next().is_some() {
                kinds.insert(kind.to_owned(), scalar_or_list(of_kind().map(Principal::as_str)));
            }
        }
        Value::Object(kinds)
    }

    fn condition_value(&self) -> Value {
        let mut operators: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for (ConditionKey { operator, key }, values) in &self.conditions {
            let values = scalar_or_list(values.iter().map(String::as_str));
            operators.entry(operator.as_str()).or_default().insert(key.clone(), values);
        }
        operators.into_iter().map(|(operator, keys)| (operator.to_owned(), Value::Object(keys))).collect()
    }
}

fn scalar_or_list<'a>(values: impl Iterator<Item = &'a str>) -> Value {
    let mut values: Vec<Value> = values.map(Value::from).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}
