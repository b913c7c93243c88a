//! `ReplicationGrant` as statements: the source accounts' roots may replicate, and create what is missing if asked.
//!
//! `ecr:CreateRepository` stands in a statement of its own, because any authorised principal of a source account may
//! call it, not only the replication service (aws-facts K.7). Never confined by `aws:SourceAccount`: replication does
//! not fill that key in, and every image would be refused (aws-facts B.3).

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{DeletionPolicy, RegistryRef, ReplicationGrantSpec};
use crate::names::RegistryKey;
use crate::policy::{Effect, Principal, Shared, Statement};

use super::principals::{Who, accounts, organizations, repositories};
use super::{Attached, Fault, Faults, Place, Terms, Wanted, lengths};

const REPLICATE: &str = "ecr:ReplicateImage";
const CREATE: &str = "ecr:CreateRepository";

pub(super) const TERMS: Terms = Terms {
    repositories: "spec.repositories",
    accounts: "spec.sources.accountIds",
    organizations: "spec.sources.organizationIds",
    everyone: "spec.sources",
    actions: "spec.createRepositories",
    effects: "spec",
    own_actions: Some(&[REPLICATE, CREATE]),
};

impl Attached for ReplicationGrantSpec {
    fn registry_ref(&self) -> Option<&RegistryRef> {
        self.registry_ref.as_ref()
    }

    fn suspend(&self) -> Option<bool> {
        self.suspend
    }

    fn deletion_policy(&self) -> Option<DeletionPolicy> {
        self.deletion_policy
    }

    fn too_long(&self) -> Option<Fault> {
        let actions = if self.create_repositories == Some(true) { 2 } else { 1 };
        lengths::of_grant(&self.sources, &self.repositories, actions)
    }

    fn wanted(&self, Place { registry, .. }: Place<'_>, faults: &mut Faults) -> Wanted {
        let resources = repositories(&self.repositories, "spec.repositories", registry, faults);
        let mut actions = vec![REPLICATE];
        if self.create_repositories == Some(true) {
            actions.push(CREATE);
        }
        let mut statements = Vec::new();
        let resources = Shared::from(resources);
        for who in sources(self, registry, faults) {
            let (principals, conditions) = (Shared::from(who.principals), Shared::from(who.conditions));
            for action in &actions {
                statements.push(Statement {
                    effect: Effect::Allow,
                    principals: principals.clone(),
                    actions: super::actions::parse(&[(*action).to_owned()], "spec", faults).into(),
                    resources: resources.clone(),
                    conditions: conditions.clone(),
                });
            }
        }
        statements.into()
    }
}

/// The source accounts in one, the source organizations in another: a condition would bind both.
fn sources(spec: &ReplicationGrantSpec, registry: &RegistryKey, faults: &mut Faults) -> Vec<Who> {
    let mut all = Vec::new();
    if !spec.sources.account_ids.is_empty() {
        let at = "spec.sources.accountIds";
        let principals: BTreeSet<Principal> =
            accounts(&spec.sources.account_ids, at, faults).map(Principal::Account).collect();
        // From Region to Region inside one account AWS asks for no grant (aws-facts E); who writes one expects
        // something that it does not do.
        if principals.contains(&Principal::Account(registry.account.clone())) {
            let problem = format!(
                "{} is the registry's own account, which needs no grant to replicate to itself",
                registry.account
            );
            faults.add(at, problem, "take it out of the list");
        }
        all.push(Who { principals, conditions: BTreeMap::new() });
    }
    if !spec.sources.organization_ids.is_empty() {
        all.push(organizations(&spec.sources.organization_ids, "spec.sources.organizationIds", faults));
    }
    if all.is_empty() {
        faults.add("spec.sources", "nobody is named", "name accountIds or organizationIds");
    }
    all
}
