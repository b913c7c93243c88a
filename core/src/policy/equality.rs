//! Whether two policy documents mean the same: the verdicts of awspolicyequivalence with the deviations of aws-facts
//! C.3. Used to decide that nothing has to be written, so a doubt is always "different".

use serde::de::IgnoredAny;

use super::document::Unreadable;
use super::json::Json;
use super::normal;
use crate::names::Partition;

/// What kind of document is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// A registry's policy.
    Registry,
    /// A repository's policy, in which no Resource is the same as `"*"`.
    Repository,
    /// A role's trust policy, or a policy of its own: what is not written is not implied.
    Trust,
}

/// Whether `a` and `b` mean the same. Sids count: they say whose a statement is.
pub fn equivalent(a: &str, b: &str, partition: Partition, flavour: Flavour) -> Result<bool, Unreadable> {
    let normal = |text: &str| -> Result<String, Unreadable> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| Unreadable(format!("the policy is not JSON: {error}")))?;
        Ok(normal::document(&Json::read(text), partition, flavour))
    };
    Ok(normal(a)? == normal(b)?)
}
