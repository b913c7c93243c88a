//! IAM roles as a pass knows them: what each object is to have, and what AWS has. Which roles there are to be is decided
//! in `plan`. Pure.

mod act;
mod plan;
mod pulls;
pub mod reach;
mod whose;

use std::collections::BTreeMap;

pub use act::Act;
pub use plan::{Found, RolesPlan, plan_roles};
pub use whose::Marks;

use super::claims::{self, Latitude};
use super::objects::ObjectId;
use crate::api::{LedgerPulls, LedgerRole, RoleSettings, RoleStatus};
use crate::kinds::PtcRole;
use crate::names::RegistryKey;
use crate::ownership::InstallationId;
use crate::reason::{Because, Reason};

pub type Stance<W> = claims::Stance<W>;
pub type Claim<W> = claims::Claim<W, LedgerRole>;
pub type Applied = claims::Applied<LedgerRole>;

/// The name of the one inline policy of a role that is the operator's; others are somebody else's.
pub const POLICY: &str = "ecr-pull-through-cache";

/// A role as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    /// With a slash at both ends.
    pub path: String,
    pub arn: String,
    /// The trust policy, as it is sent.
    pub trust: String,
    /// Its own policy, as it is sent.
    pub policy: String,
    /// ARN of the permissions boundary.
    pub boundary: String,
    /// What marks it as the object's.
    pub tags: BTreeMap<String, String>,
    /// What it pulls, for the ledger.
    pub pulls: LedgerPulls,
}

/// A role that AWS has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    pub name: String,
    pub arn: String,
    /// Its unique id: tells it from another of the same name.
    pub id: String,
    /// The trust policy, decoded.
    pub trust: String,
    pub boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// The inline policy [`POLICY`], decoded.
    pub policy: Option<String>,
    /// The names of all other inline policies.
    pub other_policies: Vec<String>,
    /// ARNs of the managed policies attached to it.
    pub attached: Vec<String>,
}

impl Latitude {
    pub fn of_role(role: &PtcRole) -> Self {
        Self { adoption: role.adoption, ..Self::default() }
    }
}

/// Where roles of a registry live, and whose they are.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub registry: &'a RegistryKey,
    pub settings: Option<&'a RoleSettings>,
    pub installation: &'a InstallationId,
}

impl Place<'_> {
    /// The role of an object, with everything in it resolved.
    pub fn role(&self, of: &ObjectId, wanted: &PtcRole) -> Result<Role, Because> {
        let Self { registry, settings, installation } = self;
        let Some(settings) = settings else {
            let message = "The Registry has no spec.roles: write roles.permissionsBoundaryArn there, the policy that bounds every role.";
            return Err(Because::new(Reason::BoundaryMissing, message));
        };
        let name = wanted.name_for(installation, &of.namespace, &of.name);
        let path = settings.path.clone().unwrap_or_else(|| installation.role_path());
        Ok(Role {
            arn: registry.role_arn(&path, &name),
            name,
            path,
            trust: wanted.trust_policy(registry),
            policy: wanted.permission_policy(registry),
            boundary: settings.permissions_boundary_arn.clone(),
            tags: installation.role_tags(&of.namespace, &of.name),
            pulls: wanted.recorded(registry),
        })
    }
}

/// What an object's status says of its role.
pub fn status(role: &LedgerRole) -> RoleStatus {
    RoleStatus { name: role.name.clone(), arn: role.arn.clone() }
}
