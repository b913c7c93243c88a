//! What an object asks for, of whichever kind, as the operator works with it: statements in normal form, and at most one
//! cache rule or one role. Values only; what they become in AWS is decided elsewhere.

use std::collections::BTreeSet;

use crate::api::{Adoption, Grantee, PermissionScope, UpstreamType};
use crate::names::{CachePrefix, RegistryKey, RepositoryPattern};
use crate::policy::Statement;

/// All that an object asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Statements for the policy of the registry it is attached to.
    pub statements: Vec<Statement>,
    /// The same, only where the policy has scope V2: V1 does not enforce them and needs none.
    pub under_v2: Vec<Statement>,
    /// A pull through cache rule of that registry.
    pub rule: Option<CacheRule>,
    /// A role in that registry's account, and what its upstreams have to grant it.
    pub role: Option<PtcRole>,
}

impl From<Vec<Statement>> for Wanted {
    fn from(statements: Vec<Statement>) -> Self {
        Self { statements, ..Self::default() }
    }
}

/// A pull through cache rule. AWS can change `role` and `secret` of one, and nothing else (aws-facts D.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRule {
    pub prefix: CachePrefix,
    pub upstream_registry: UpstreamRegistry,
    /// The whole of AWS's `upstreamRegistryUrl`: a host.
    pub upstream_host: String,
    /// The upstream, if it is an ECR private registry.
    pub upstream_account: Option<RegistryKey>,
    /// Prefix in the upstream; `None`: all of it, which AWS calls `ROOT`.
    pub upstream_prefix: Option<CachePrefix>,
    pub role: Option<RoleChoice>,
    /// Name of the secret with the credentials, without the suffix of its ARN.
    pub secret: Option<String>,
    pub adoption: Adoption,
    /// Repositories that exist under the prefix may become part of the cache (aws-facts K.9).
    pub claim_existing: bool,
    /// What cannot be changed in place is deleted and made anew.
    pub recreate: bool,
}

impl CacheRule {
    /// The repositories of the upstream that it pulls.
    pub fn pulled(&self) -> RepositoryPattern {
        self.upstream_prefix.as_ref().map_or_else(RepositoryPattern::all, CachePrefix::repositories)
    }
}

/// By which role ECR pulls from the upstream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoleChoice {
    /// That of the CrossAccountPtcRole of this name in the object's namespace.
    Ref(String),
    /// One that others look after, in the registry's account: its IAM path, if it has one, and name.
    Named(String),
}

impl RoleChoice {
    /// The ARN of a role of others; `None`: the CrossAccountPtcRole knows its own.
    pub fn named_arn(&self, registry: &RegistryKey) -> Option<String> {
        match self {
            Self::Ref(_) => None,
            Self::Named(name) => Some(registry.role_arn("/", name)),
        }
    }
}

/// What AWS calls `upstreamRegistry` (aws-facts D.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpstreamRegistry {
    Ecr,
    EcrPublic,
    Kubernetes,
    Quay,
    DockerHub,
    GitHub,
    GitLab,
    Azure,
    Chainguard,
}

impl UpstreamRegistry {
    pub const ALL: [Self; 9] = [
        Self::Ecr,
        Self::EcrPublic,
        Self::Kubernetes,
        Self::Quay,
        Self::DockerHub,
        Self::GitHub,
        Self::GitLab,
        Self::Azure,
        Self::Chainguard,
    ];

    /// As AWS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecr => "ecr",
            Self::EcrPublic => "ecr-public",
            Self::Kubernetes => "k8s",
            Self::Quay => "quay",
            Self::DockerHub => "docker-hub",
            Self::GitHub => "github-container-registry",
            Self::GitLab => "gitlab-container-registry",
            Self::Azure => "azure-container-registry",
            Self::Chainguard => "chainguard",
        }
    }

    /// The host, where there is one for all.
    pub fn host(self) -> Option<&'static str> {
        match self {
            Self::Ecr | Self::Azure => None,
            Self::EcrPublic => Some("public.ecr.aws"),
            Self::Kubernetes => Some("registry.k8s.io"),
            Self::Quay => Some("quay.io"),
            Self::DockerHub => Some("registry-1.docker.io"),
            Self::GitHub => Some("ghcr.io"),
            Self::GitLab => Some("registry.gitlab.com"),
            Self::Chainguard => Some("cgr.dev"),
        }
    }

    /// Whether AWS refuses a rule without a secret.
    pub fn needs_secret(self) -> bool {
        matches!(self, Self::DockerHub | Self::GitHub | Self::GitLab | Self::Azure | Self::Chainguard)
    }
}

impl From<UpstreamType> for UpstreamRegistry {
    fn from(written: UpstreamType) -> Self {
        match written {
            UpstreamType::Ecr => Self::Ecr,
            UpstreamType::EcrPublic => Self::EcrPublic,
            UpstreamType::Kubernetes => Self::Kubernetes,
            UpstreamType::Quay => Self::Quay,
            UpstreamType::DockerHub => Self::DockerHub,
            UpstreamType::GitHub => Self::GitHub,
            UpstreamType::GitLab => Self::GitLab,
            UpstreamType::Azure => Self::Azure,
            UpstreamType::Chainguard => Self::Chainguard,
        }
    }
}

/// The role by which ECR pulls from upstreams in other accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PtcRole {
    /// Its name; `None`: the one that follows from the object's ([`crate::ownership::InstallationId::role_name`]).
    pub name: Option<String>,
    pub adoption: Adoption,
    pub upstreams: Vec<RoleUpstream>,
    /// Repositories of the downstream that the role may write.
    pub cache_repositories: BTreeSet<RepositoryPattern>,
    pub grantee: Grantee,
    pub permission_scope: PermissionScope,
    /// The trust holds for the downstream's account only.
    pub trust_source_account: bool,
}

/// A registry the role pulls from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleUpstream {
    /// Name within the object.
    pub name: String,
    pub key: RegistryKey,
    /// No Registry stands for it: the operator writes nothing there.
    pub external: bool,
    pub repositories: BTreeSet<RepositoryPattern>,
}
