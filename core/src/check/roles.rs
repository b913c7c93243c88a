//! The role that a cache rule names, where its object is among the files. One that is not may be in the cluster, and is
//! held against nobody.

use super::{Object, World};
use crate::kinds::{Body, Fault, RoleChoice, Wanted, review};
use crate::names::RegistryKey;

const FIELD: &str = "spec.upstream.ecr.roleRef";

/// Why the rule would wait for its role for ever, if that can be told.
pub(super) fn role_fault(
    object: &Object,
    body: &Body,
    wanted: &Wanted,
    key: &RegistryKey,
    world: &World,
) -> Option<Fault> {
    let rule = wanted.rule.as_ref()?;
    let Some(RoleChoice::Ref(name)) = &rule.role else { return None };
    let role = world.roles.get(&(object.namespace().to_owned(), name.clone()))?;
    let fault = |problem, cure| Some(Fault { field: FIELD.to_owned(), problem, cure });
    let (here, there) = (body.registry_name(), role.registry_name());
    if here != there {
        let problem = format!("CrossAccountPtcRole {name} is attached to Registry {there}, and the rule to {here}");
        return fault(problem, format!("name one that is attached to Registry {here}"));
    }
    let upstream = rule.upstream_account.as_ref()?;
    // What is wrong with the role itself is told of the role.
    let made_for = review(role, key, &world.references()).ok()?.role?.upstreams;
    if made_for.iter().any(|made_for| made_for.key == *upstream) {
        return None;
    }
    let problem = format!("CrossAccountPtcRole {name} is made for other upstreams");
    fault(problem, format!("add {upstream} to its spec.upstreams, or name another"))
}
