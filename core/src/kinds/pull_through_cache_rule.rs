//! `PullThroughCacheRule` as a cache rule, and its pullers as statements: importing what is not there yet under any
//! scope, pulling under V2 alone, since V1 refuses to hear of it (aws-facts B.2, D.5).

use crate::api::{DeletionPolicy, EcrUpstream, PullThroughCacheRuleSpec, RegistryRef, ReplacePolicy, Upstream};
use crate::consent::PULL_ACTIONS;
use crate::names::{CachePrefix, RegistryKey};
use crate::ownership::is_generated_role_name;
use crate::policy::{Effect, Statement};

use super::principals::{is_iam_name, who};
use super::references::is_possible_upstream;
use super::{Attached, CacheRule, Fault, Faults, Place, RoleChoice, Target, Terms, UpstreamRegistry, Wanted, lengths};

/// Rules of one registry; AWS does not raise it (aws-facts A.7).
pub const RULES_AT_MOST: usize = 50;
const IMPORT: &str = "ecr:BatchImportUpstreamImage";
const CREATE: &str = "ecr:CreateRepository";

pub(super) const TERMS: Terms = Terms {
    repositories: "spec.cachePrefix",
    accounts: "spec.pullers",
    organizations: "spec.pullers.organizationIds",
    everyone: "spec.pullers",
    actions: "spec.createRepositories",
    effects: "spec",
    own_actions: Some(&[IMPORT, CREATE, PULL_ACTIONS[0], PULL_ACTIONS[1], PULL_ACTIONS[2]]),
};

impl Attached for PullThroughCacheRuleSpec {
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
        self.upstream.ecr.iter().map(target).collect()
    }

    fn too_long(&self) -> Option<Fault> {
        self.pullers.as_ref().and_then(lengths::of_pullers)
    }

    fn wanted(&self, place: Place<'_>, faults: &mut Faults) -> Wanted {
        let cure = "write 2–30 characters of lower case without a slash at the end, such as docker-hub, or ROOT";
        let prefix: Option<CachePrefix> = faults.parse("spec.cachePrefix", &self.cache_prefix, cure);
        let source = source(&self.upstream, place, faults);
        if self.cache_prefix == "ROOT" && self.upstream.ecr.as_ref().is_some_and(|ecr| ecr.repository_prefix.is_some())
        {
            let problem = "a cachePrefix ROOT stands for the whole upstream";
            faults.add("spec.upstream.ecr.repositoryPrefix", problem, "take it out, or write a cachePrefix");
        }
        let importing = prefix.as_ref().and_then(|prefix| importing(self, prefix, place.registry, faults));
        let pulling = importing.clone().map(|import| Statement { actions: actions(&PULL_ACTIONS).into(), ..import });
        let rule = prefix.zip(source).map(|(prefix, source)| CacheRule {
            prefix,
            upstream_registry: self.upstream.kind.into(),
            upstream_host: source.host,
            upstream_account: source.registry,
            upstream_prefix: source.prefix,
            role: source.role,
            secret: self.upstream.secret_name.clone(),
            adoption: self.adoption.unwrap_or_default(),
            claim_existing: self.claim_existing.unwrap_or(false),
            recreate: self.replace_policy == Some(ReplacePolicy::Recreate),
        });
        Wanted {
            statements: importing.into_iter().collect(),
            under_v2: pulling.into_iter().collect(),
            rule,
            role: None,
        }
    }
}

fn target(ecr: &EcrUpstream) -> Target<'_> {
    Target { registry_ref: ecr.registry_ref.as_ref(), external: ecr.external.as_ref() }
}

fn actions(names: &[&str]) -> std::collections::BTreeSet<crate::policy::Action> {
    names.iter().map(|name| crate::policy::Action::new(name)).collect()
}

/// What lets the pullers import, if there are any.
fn importing(
    spec: &PullThroughCacheRuleSpec,
    prefix: &CachePrefix,
    registry: &RegistryKey,
    faults: &mut Faults,
) -> Option<Statement> {
    let create = spec.create_repositories == Some(true);
    let Some(pullers) = &spec.pullers else {
        if create {
            let problem = "it lets pullers create repositories, and there are none";
            faults.add("spec.createRepositories", problem, "name pullers, or take it out");
        }
        return None;
    };
    let before = faults.count();
    if !pullers.services.is_empty() {
        let problem = "an AWS service does not pull through a cache";
        faults.add("spec.pullers.services", problem, "name accounts, roles or users");
    }
    let who = who(pullers, "spec.pullers", registry, faults);
    let statement = Statement {
        effect: Effect::Allow,
        principals: who.principals.into(),
        actions: if create { actions(&[IMPORT, CREATE]) } else { actions(&[IMPORT]) }.into(),
        resources: [registry.repository_arn(&prefix.repositories())].into(),
        conditions: who.conditions.into(),
    };
    if faults.count() == before {
        faults.lint("spec.pullers", &statement, false, pullers.everyone == Some(true));
    }
    Some(statement)
}

/// Where images come from.
struct Source {
    host: String,
    registry: Option<RegistryKey>,
    prefix: Option<CachePrefix>,
    role: Option<RoleChoice>,
}

impl Source {
    fn host(host: impl Into<String>) -> Self {
        Self { host: host.into(), registry: None, prefix: None, role: None }
    }
}

fn source(upstream: &Upstream, place: Place<'_>, faults: &mut Faults) -> Option<Source> {
    let Upstream { kind, ecr, azure, secret_name } = upstream;
    let registry = UpstreamRegistry::from(*kind);
    for (member, needs, present) in
        [("ecr", UpstreamRegistry::Ecr, ecr.is_some()), ("azure", UpstreamRegistry::Azure, azure.is_some())]
    {
        if (registry == needs) != present {
            let problem = format!("it describes an upstream of type {needs:?} and of no other");
            faults.add(format!("spec.upstream.{member}"), problem, "write both or neither");
        }
    }
    credentials(registry, secret_name.as_deref(), faults);
    if let Some(host) = registry.host() {
        return Some(Source::host(host));
    }
    if let (UpstreamRegistry::Azure, Some(azure)) = (registry, azure) {
        if !is_azure_host(&azure.host) {
            let problem = format!("{:?} is not the host of a registry of Azure's", azure.host);
            faults.add("spec.upstream.azure.host", problem, "write it as example.azurecr.io");
        }
        return Some(Source::host(&azure.host));
    }
    ecr.as_ref().and_then(|ecr| private(ecr, place, faults))
}

fn credentials(registry: UpstreamRegistry, secret: Option<&str>, faults: &mut Faults) {
    let at = "spec.upstream.secretName";
    match (registry.needs_secret(), secret) {
        (true, None) => {
            let problem = format!("an upstream of type {registry:?} needs credentials, and no secret is named");
            faults.add(at, problem, "name one, such as ecr-pullthroughcache/docker-hub");
        }
        (false, Some(_)) => {
            faults.add(at, format!("an upstream of type {registry:?} takes no credentials"), "take it out");
        }
        (true, Some(name)) if !is_secret_name(name) => {
            let problem = format!("{name:?} is not the name of a secret that ECR can use");
            let cure = "write its name without the ARN: ecr-pullthroughcache/ and letters, digits or /_+=.@-";
            faults.add(at, problem, cure);
        }
        _ => {}
    }
}

/// aws-facts D.2 and A.0: the prefix is ECR's own, and the ARN that follows from the name must match AWS's pattern.
fn is_secret_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
    let rest = name.strip_prefix("ecr-pullthroughcache/");
    name.len() <= 512 && rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(legal))
}

fn is_azure_host(host: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name = host.strip_suffix(".azurecr.io");
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(legal) && !name.starts_with('-') && !name.ends_with('-')
    })
}

/// Another ECR private registry.
fn private(ecr: &EcrUpstream, place: Place<'_>, faults: &mut Faults) -> Option<Source> {
    let at = "spec.upstream.ecr";
    let role = role(ecr, faults);
    let cure = "write 2–30 characters of lower case without a slash at the end, or leave it out";
    let given = ecr.repository_prefix.as_deref();
    let prefix: Option<CachePrefix> =
        given.and_then(|given| faults.parse(&format!("{at}.repositoryPrefix"), given, cure));
    let registry = target(ecr).found(at, place.references, faults)?;
    if is_possible_upstream(&registry, place.registry, at, faults)
        && registry.account != place.registry.account
        && role.is_none()
    {
        // aws-facts D.6: ECR's own role serves its own account alone.
        let problem = format!("the upstream {registry} is in another account, and no role is named to pull from it");
        faults.add(at, problem, "set roleRef to a CrossAccountPtcRole of this namespace");
    }
    let prefix = prefix.filter(|prefix| !prefix.is_root());
    Some(Source { host: registry.host(), registry: Some(registry), prefix, role })
}

fn role(ecr: &EcrUpstream, faults: &mut Faults) -> Option<RoleChoice> {
    match (&ecr.role_ref, &ecr.role_name) {
        (None, None) => None,
        (Some(reference), None) => Some(RoleChoice::Ref(reference.name.clone())),
        (None, Some(name)) => {
            let at = "spec.upstream.ecr.roleName";
            if !is_iam_name(name) {
                let cure = "write its path and name without a leading slash and without wildcards, such as ecr-cache";
                faults.add(at, format!("{name:?} is not the name of an IAM role"), cure);
            } else if is_generated_role_name(name) {
                let problem = format!("{name:?} is a role that the operator makes for some CrossAccountPtcRole");
                faults.add(at, problem, "set roleRef to that object, in its namespace");
            }
            Some(RoleChoice::Named(name.clone()))
        }
        (Some(_), Some(_)) => {
            faults.add("spec.upstream.ecr", "it takes at most one of roleRef and roleName", "write one of the two");
            None
        }
    }
}
