//! The registries that specs speak of besides the one they are attached to: by the name of a Registry, or by account and
//! Region. However it is written, one that a Registry stands for is that Registry's to give.

use std::collections::BTreeMap;

use crate::api::{ExternalRegistry, RegistryRef};
use crate::names::{AccountId, Region, RegistryKey};

use super::Faults;

/// Which registry each Registry stands for, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References(BTreeMap<String, RegistryKey>);

impl References {
    pub fn get(&self, registry: &str) -> Option<&RegistryKey> {
        self.0.get(registry)
    }

    /// Whether a Registry stands for it.
    pub fn stand_for(&self, key: &RegistryKey) -> bool {
        self.0.values().any(|other| other == key)
    }
}

impl FromIterator<(String, RegistryKey)> for References {
    fn from_iter<I: IntoIterator<Item = (String, RegistryKey)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// A registry that a spec speaks of, as it is written: exactly one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub registry_ref: Option<&'a RegistryRef>,
    pub external: Option<&'a ExternalRegistry>,
}

impl<'a> Target<'a> {
    /// Name of the Registry, if it is named by that.
    pub fn registry_name(self) -> Option<&'a str> {
        self.registry_ref.map(|reference| reference.name.as_str())
    }

    /// Which registry it is, if that can be told.
    pub fn resolve(self, references: &References) -> Option<RegistryKey> {
        match (self.registry_ref, self.external) {
            (Some(reference), None) => references.get(&reference.name).cloned(),
            (None, Some(ExternalRegistry { account_id, region })) => {
                Some(RegistryKey { account: account_id.parse().ok()?, region: region.parse().ok()? })
            }
            _ => None,
        }
    }

    /// As [`Target::resolve`], for a target found at `at`: says what keeps it from being told.
    pub(super) fn found(self, at: &str, references: &References, faults: &mut Faults) -> Option<RegistryKey> {
        match (self.registry_ref, self.external) {
            (Some(RegistryRef { name }), None) => {
                let key = references.get(name).cloned();
                if key.is_none() {
                    let cure = "create it, or write external with the account and the Region";
                    faults.add_missing(&format!("{at}.registryRef"), format!("there is no Registry {name:?}"), cure);
                }
                key
            }
            (None, Some(ExternalRegistry { account_id, region })) => {
                let at = format!("{at}.external");
                let account: Option<AccountId> =
                    faults.parse(&format!("{at}.accountId"), account_id, "write the 12 digits, in quotes");
                let region: Option<Region> = faults.parse(&format!("{at}.region"), region, "write it as eu-west-1");
                Some(RegistryKey { account: account?, region: region? })
            }
            _ => {
                faults.add(at, "it takes exactly one of registryRef and external", "write one of the two");
                None
            }
        }
    }
}

/// Whether `upstream` can be an upstream of `downstream`; says why not.
pub(super) fn is_possible_upstream(
    upstream: &RegistryKey,
    downstream: &RegistryKey,
    at: &str,
    faults: &mut Faults,
) -> bool {
    let before = faults.count();
    if upstream == downstream {
        let problem = format!("{upstream} is the registry with the cache itself");
        faults.add(at, problem, "name another registry: another account, or another Region");
    }
    // aws-facts D.8: roles and grants end at the border of a partition.
    let (theirs, ours) = (upstream.partition().as_str(), downstream.partition().as_str());
    if theirs != ours {
        let problem = format!("{upstream} is of partition {theirs}, the registry with the cache of {ours}");
        faults.add(at, problem, "name an upstream in the same partition");
    }
    faults.count() == before
}
