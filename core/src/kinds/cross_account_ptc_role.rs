//! `CrossAccountPtcRole` as a role. What the role's upstreams have to grant follows from it once its ARN is known
//! (`role_documents`); nothing of it stands in the policy of the registry it is attached to.

use crate::api::{CrossAccountPtcRoleSpec, DeletionPolicy, GrantVia, RegistryRef, RoleUpstream as Written};
use crate::ownership::is_generated_role_name;

use super::principals::{is_iam_name, patterns};
use super::references::is_possible_upstream;
use super::role_documents::{INLINE_LIMIT, UPSTREAM_ACTIONS};
use super::{Attached, Faults, Place, PtcRole, RoleUpstream, Target, Terms, Wanted};

/// As the upstream's owner is asked: what the object wants of its own registry has fields of its own.
pub(super) const TERMS: Terms = Terms {
    repositories: "spec.upstreams[].repositories",
    accounts: "spec.registryRef",
    organizations: "spec",
    everyone: "spec",
    actions: "spec",
    effects: "spec",
    own_actions: Some(&UPSTREAM_ACTIONS),
};

/// Characters of all repositories that a role pulls: they stay on record with it, beside those of the namespace's others.
const NAMES_AT_MOST: usize = 16_384;

impl Attached for CrossAccountPtcRoleSpec {
    fn registry_ref(&self) -> Option<&RegistryRef> {
        self.registry_ref.as_ref()
    }

    fn suspend(&self) -> Option<bool> {
        self.suspend
    }

    fn deletion_policy(&self) -> Option<DeletionPolicy> {
        self.deletion_policy
    }

    fn targets(&self) -> Vec<Target<'_>> {
        self.upstreams.iter().map(target).collect()
    }

    fn wanted(&self, place: Place<'_>, faults: &mut Faults) -> Wanted {
        if let Some(name) = &self.role_name {
            name_is_legal(name, faults);
        }
        if self.upstreams.is_empty() {
            faults.add("spec.upstreams", "there is none", "write one at least, or delete the object");
        }
        let at = |i| format!("spec.upstreams[{i}]");
        let upstreams =
            self.upstreams.iter().enumerate().filter_map(|(i, written)| upstream(written, &at(i), place, faults));
        let role = PtcRole {
            name: self.role_name.clone(),
            adoption: self.adoption.unwrap_or_default(),
            upstreams: upstreams.collect(),
            cache_repositories: patterns(&self.cache_repositories, "spec.cacheRepositories", faults),
            grantee: self.grantee.unwrap_or_default(),
            permission_scope: self.permission_scope.unwrap_or_default(),
            trust_source_account: self.trust_source_account.unwrap_or(false),
        };
        let characters = role.permission_policy(place.registry).chars().count();
        if characters > INLINE_LIMIT {
            let problem = format!("the role's policy would have {characters} characters, IAM takes {INLINE_LIMIT}");
            faults.add("spec.permissionScope", problem, "name fewer repositories, or leave Listed out");
        }
        let named = role.upstreams.iter().flat_map(|upstream| &upstream.repositories).chain(&role.cache_repositories);
        let named: usize = named.map(|pattern| pattern.as_str().len()).sum();
        if named > NAMES_AT_MOST {
            let problem = format!(
                "its repositories and those of all upstreams have {named} characters together, {NAMES_AT_MOST} are taken"
            );
            faults.add("spec.upstreams", problem, "name prefixes with a * at their end, or make two objects of it");
        }
        Wanted { role: Some(role), ..Wanted::default() }
    }
}

fn target(written: &Written) -> Target<'_> {
    Target { registry_ref: written.registry_ref.as_ref(), external: written.external.as_ref() }
}

fn name_is_legal(name: &str, faults: &mut Faults) {
    let at = "spec.roleName";
    if name.contains('/') || !is_iam_name(name) {
        let cure =
            "write 1–64 letters, digits or _+=,.@- without a path: the Registry's roles.path says where it lives";
        faults.add(at, format!("{name:?} is not the name of an IAM role"), cure);
    } else if is_generated_role_name(name) {
        let problem = format!("{name:?} is of the form that the operator gives to roles without a name");
        faults.add(at, problem, "write another, or leave it out");
    }
}

fn upstream(written: &Written, at: &str, place: Place<'_>, faults: &mut Faults) -> Option<RoleUpstream> {
    if written.grant_via == Some(GrantVia::RepositoryPolicies) {
        let problem = "this version grants in the upstream's registry policy only, not in policies of repositories";
        faults.add(format!("{at}.grantVia"), problem, "write RegistryPolicy, or leave it out");
    }
    let repositories = patterns(&written.repositories, &format!("{at}.repositories"), faults);
    let key = target(written).found(at, place.references, faults)?;
    let external = !place.references.stand_for(&key);
    is_possible_upstream(&key, place.registry, at, faults).then(|| RoleUpstream {
        name: written.name.clone(),
        key,
        external,
        repositories,
    })
}
