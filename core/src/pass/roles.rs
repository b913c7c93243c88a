//! IAM roles as a pass knows them: what each object is to have, and what AWS has. Which roles there are to be is decided
//! in `plan`. Pure.

use std::collections::BTreeMap;

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
