//! `RegistryPolicy` as statements: one for each of the spec's.

use crate::api::{DeletionPolicy, Effect as Written, PolicyStatement, RegistryPolicySpec, RegistryRef};
use crate::names::RegistryKey;
use crate::policy::{Effect, Statement};

use super::principals::{conditions, repositories, who};
use super::{Attached, Fault, Faults, Place, Terms, Wanted, lengths};

pub(super) const TERMS: Terms = Terms {
    repositories: "spec.statements[].repositories",
    accounts: "spec.statements[].principals",
    organizations: "spec.statements[].principals.organizationIds",
    everyone: "spec.statements[].principals",
    actions: "spec.statements[].actions",
    effects: "spec.statements[].effect",
    own_actions: None,
};

impl Attached for RegistryPolicySpec {
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
        lengths::of_statements(&self.statements)
    }

    fn wanted(&self, Place { registry, .. }: Place<'_>, faults: &mut Faults) -> Wanted {
        if self.statements.is_empty() {
            faults.add("spec.statements", "there is none", "write one at least, or delete the object");
        }
        let at = |i| format!("spec.statements[{i}]");
        let translated = |(i, written)| statement(written, &at(i), registry, faults);
        self.statements.iter().enumerate().map(translated).collect::<Vec<_>>().into()
    }
}

fn statement(written: &PolicyStatement, at: &str, registry: &RegistryKey, faults: &mut Faults) -> Statement {
    let PolicyStatement {
        name: _,
        effect,
        principals,
        actions,
        repositories: patterns,
        conditions: entries,
        acknowledge_lockout,
    } = written;
    let before = faults.count();
    let mut who = who(principals, &format!("{at}.principals"), registry, faults);
    conditions(entries, &format!("{at}.conditions"), &mut who.conditions, faults);
    let statement = Statement {
        effect: match effect.unwrap_or_default() {
            Written::Allow => Effect::Allow,
            Written::Deny => Effect::Deny,
        },
        principals: who.principals.into(),
        actions: super::actions::parse(actions, &format!("{at}.actions"), faults).into(),
        resources: repositories(patterns, &format!("{at}.repositories"), registry, faults).into(),
        conditions: who.conditions.into(),
    };
    // The lint judges whole statements: of one that lacks a part it would say what is not so.
    if faults.count() == before {
        faults.lint(at, &statement, acknowledge_lockout.unwrap_or(false), principals.everyone == Some(true));
    }
    statement
}
