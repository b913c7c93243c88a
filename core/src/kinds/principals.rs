//! Principals, repositories and conditions, from what people write to what a policy says. Every ARN is built here,
//! in the registry's own partition; none is ever taken from a spec.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{ConditionEntry, NamedPrincipal, Principals};
use crate::names::{AccountId, RegistryKey, RepositoryPattern};
use crate::policy::{ConditionKey, Principal};

use super::Faults;

pub(super) type Conditions = BTreeMap<ConditionKey, BTreeSet<String>>;

/// Who a statement speaks of, and the condition that says so where a principal cannot.
#[derive(Debug, Default)]
pub(super) struct Who {
    pub principals: BTreeSet<Principal>,
    pub conditions: Conditions,
}

/// Translates `principals`, found at `at`.
pub(super) fn who(given: &Principals, at: &str, registry: &RegistryKey, faults: &mut Faults) -> Who {
    refuse_mixtures(given, at, faults);
    let mut who = Who::default();
    who.principals.extend(accounts(&given.account_ids, &format!("{at}.accountIds"), faults).map(Principal::Account));
    who.principals.extend(named(&given.roles, "role", &format!("{at}.roles"), registry, faults));
    who.principals.extend(named(&given.users, "user", &format!("{at}.users"), registry, faults));
    who.principals.extend(given.services.iter().cloned().map(Principal::Service));
    if !given.organization_ids.is_empty() {
        let organizations = self::organizations(&given.organization_ids, &format!("{at}.organizationIds"), faults);
        who.principals.extend(organizations.principals);
        who.conditions = organizations.conditions;
    }
    if given.everyone == Some(true) {
        who.principals.insert(Principal::Everyone);
    }
    who
}

/// `services`, `organizationIds` and `everyone` each become something that would widen what stands beside it.
fn refuse_mixtures(given: &Principals, at: &str, faults: &mut Faults) {
    let named = usize::from(!(given.account_ids.is_empty() && given.roles.is_empty() && given.users.is_empty()));
    let lone = [!given.services.is_empty(), !given.organization_ids.is_empty(), given.everyone.is_some()];
    let lone = lone.into_iter().filter(|present| *present).count();
    if named + lone == 0 {
        faults.add(
            at,
            "nobody is named",
            "name one member at least: accountIds, roles, users, organizationIds, services or everyone",
        );
    }
    if named + lone > 1 && lone > 0 {
        faults.add(at, "services, organizationIds and everyone each stand alone", "write a statement for each");
    }
    if given.everyone == Some(false) {
        faults.add(format!("{at}.everyone"), "false says nothing", "write true or leave the field out");
    }
}

/// Account ids, each parsed.
pub(super) fn accounts(given: &[String], at: &str, faults: &mut Faults) -> impl Iterator<Item = AccountId> + use<> {
    let parsed: Vec<AccountId> = given
        .iter()
        .enumerate()
        .filter_map(|(i, id)| faults.parse(&format!("{at}[{i}]"), id, "write the 12 digits, in quotes"))
        .collect();
    parsed.into_iter()
}

/// Everyone, on condition of being of one of the organizations: a principal cannot say that.
pub(super) fn organizations(given: &[String], at: &str, faults: &mut Faults) -> Who {
    for (i, id) in given.iter().enumerate() {
        if !is_organization(id) {
            faults.add(
                format!("{at}[{i}]"),
                format!("{id:?} is not the id of an organization"),
                "write it as o-a1b2c3d4e5",
            );
        }
    }
    Who {
        principals: BTreeSet::from([Principal::Everyone]),
        conditions: BTreeMap::from([(organization_key(), given.iter().cloned().collect())]),
    }
}

/// The condition by which an organization is named.
pub(crate) fn organization_key() -> ConditionKey {
    ConditionKey::new("StringEquals", "aws:PrincipalOrgID")
}

fn is_organization(id: &str) -> bool {
    id.strip_prefix("o-").is_some_and(|rest| {
        (10..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

fn named(
    given: &[NamedPrincipal],
    what: &str,
    at: &str,
    registry: &RegistryKey,
    faults: &mut Faults,
) -> Vec<Principal> {
    let mut principals = Vec::new();
    for (i, NamedPrincipal { account_id, name }) in given.iter().enumerate() {
        let account: Option<AccountId> =
            faults.parse(&format!("{at}[{i}].accountId"), account_id, "write the 12 digits, in quotes");
        if !is_iam_name(name) {
            faults.add(
                format!("{at}[{i}].name"),
                format!("{name:?} is not the name of an IAM {what}"),
                "write its path and name without a leading slash and without wildcards, such as ci/puller",
            );
        } else if let Some(account) = account {
            let partition = registry.partition().as_str();
            principals.push(Principal::Aws(format!("arn:{partition}:iam::{account}:{what}/{name}")));
        }
    }
    principals
}

/// A path of any depth and a name (aws-facts A.3). AWS refuses wildcards in principals; so do we, before it is asked.
pub(super) fn is_iam_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    let mut parts = name.split('/');
    let last_is_short = parts.next_back().is_some_and(|last| last.len() <= 64);
    last_is_short && name.len() <= 576 && name.split('/').all(|part| !part.is_empty() && part.bytes().all(legal))
}

/// The ARNs of repositories in this registry.
pub(super) fn repositories(
    given: &[String],
    at: &str,
    registry: &RegistryKey,
    faults: &mut Faults,
) -> BTreeSet<String> {
    patterns(given, at, faults).iter().map(|pattern| registry.repository_arn(pattern)).collect()
}

/// Repositories, each parsed.
pub(super) fn patterns(given: &[String], at: &str, faults: &mut Faults) -> BTreeSet<RepositoryPattern> {
    if given.is_empty() {
        faults.add(at, "no repository is named", "name one at least; \"*\" means all of the registry");
    }
    let cure = "write a repository's name, or the beginning of names and a \"*\" at the end";
    let parsed = given.iter().enumerate().filter_map(|(i, text)| faults.parse(&format!("{at}[{i}]"), text, cure));
    parsed.collect()
}

/// Adds the conditions of a statement to those its principals brought along.
pub(super) fn conditions(given: &[ConditionEntry], at: &str, conditions: &mut Conditions, faults: &mut Faults) {
    for (i, ConditionEntry { operator, key, values }) in given.iter().enumerate() {
        let condition = ConditionKey::new(operator, key);
        if values.is_empty() {
            faults.add(format!("{at}[{i}].values"), "no value is given", "write one at least");
        }
        // Two entries for one key would be read as "one of either": broader than each.
        if conditions.insert(condition, values.iter().cloned().collect()).is_some() {
            faults.add(
                format!("{at}[{i}]"),
                format!("{operator} {key} is there already (organizationIds writes StringEquals aws:PrincipalOrgID; keys ignore case)"),
                "write each operator and key once, with all their values",
            );
        }
    }
}
