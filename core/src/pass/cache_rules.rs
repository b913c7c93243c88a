//! Pull through cache rules as a pass knows them: what AWS has, what each object says about one, and what came of it.
//! Which rules there are to be is decided in `plan`. Pure.

mod plan;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

pub use plan::{Act, Asking, Repositories, RulesPlan, plan_rules};

use super::claims::{self, Latitude};
use super::objects::ObjectId;
use super::orphans::Said;
use super::roles::reach::{Passable, Reach};
use crate::api::{Kind, LedgerRule, OwnershipState, RuleStatus};
use crate::kinds::{CacheRule, RoleChoice};
use crate::names::RegistryKey;
use crate::reason::{Because, Reason};

/// The prefix of the rule that serves what no other serves, and of an upstream that is cached whole.
pub const ROOT: &str = "ROOT";

/// A rule with everything in it resolved, as AWS has it or is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Without a slash at its end, or `ROOT`.
    pub prefix: String,
    pub upstream_url: String,
    /// `ROOT`: all of the upstream.
    pub upstream_prefix: String,
    pub role_arn: Option<String>,
    pub credential_arn: Option<String>,
}

impl Rule {
    fn of(recorded: &LedgerRule) -> Self {
        Self {
            prefix: recorded.prefix.clone(),
            upstream_url: recorded.upstream_url.clone(),
            upstream_prefix: recorded.upstream_prefix.clone().unwrap_or_else(|| ROOT.to_owned()),
            role_arn: recorded.role_arn.clone(),
            credential_arn: recorded.credential_arn.clone(),
        }
    }

    /// Whether one can be made of the other by an update: it sets a role or credentials, and takes neither away.
    fn is_update_of(&self, other: &Self) -> bool {
        let kept = |wanted: &Option<String>, has: &Option<String>| wanted.is_some() || has.is_none();
        self.has_same_upstream(other)
            && kept(&self.role_arn, &other.role_arn)
            && kept(&self.credential_arn, &other.credential_arn)
    }

    fn has_same_upstream(&self, other: &Self) -> bool {
        self.prefix == other.prefix
            && self.upstream_url == other.upstream_url
            && self.upstream_prefix == other.upstream_prefix
    }

    fn record(&self, state: OwnershipState) -> LedgerRule {
        LedgerRule {
            prefix: self.prefix.clone(),
            upstream_url: self.upstream_url.clone(),
            upstream_prefix: (self.upstream_prefix != ROOT).then(|| self.upstream_prefix.clone()),
            role_arn: self.role_arn.clone(),
            credential_arn: self.credential_arn.clone(),
            created_at: None,
            adopted: None,
            consented: None,
            state,
        }
    }
}

/// A rule that AWS has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub rule: Rule,
    pub created_at: Option<Timestamp>,
}

pub type Stance<W> = claims::Stance<W>;
pub type Claim<W> = claims::Claim<W, LedgerRule>;
pub type Applied = claims::Applied<LedgerRule>;

impl Latitude {
    pub fn of_rule(rule: &CacheRule) -> Self {
        Self { adoption: rule.adoption, claim_existing: rule.claim_existing, recreate: rule.recreate }
    }
}

impl CacheRule {
    /// Whether it has the upstream of the rule on record, so that an update makes the one of the other.
    pub(super) fn is_in_place_of(&self, recorded: &LedgerRule) -> bool {
        self.prefix.to_string() == recorded.prefix
            && self.upstream_host == recorded.upstream_url
            && self.upstream_prefix.as_ref().map(ToString::to_string) == recorded.upstream_prefix
    }
}

/// What rules name, as it was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The ARN of each secret.
    pub secrets: BTreeMap<String, Result<String, Because>>,
    /// The roles of the registry's objects.
    pub roles: Option<BTreeMap<ObjectId, Passable>>,
}

impl Claim<CacheRule> {
    /// The rule as AWS knows it.
    pub fn resolved(&self, registry: &RegistryKey, found: &Found, said: &Said) -> Claim<Rule> {
        self.resolve(said, |wanted| resolved(self, wanted, registry, found))
    }

    /// The secret that AWS must be asked for.
    pub fn secret(&self) -> Option<&str> {
        match &self.stance {
            Stance::Wants(rule) | Stance::Holds(Some(rule), _) => rule.secret.as_deref(),
            _ => self.lost.as_ref()?.secret.as_deref(),
        }
    }
}

fn resolved(
    claim: &Claim<CacheRule>,
    wanted: &CacheRule,
    registry: &RegistryKey,
    found: &Found,
) -> Result<Rule, Because> {
    let credential_arn = match &wanted.secret {
        None => None,
        Some(name) => Some(found.secrets.get(name).cloned().unwrap_or_else(|| {
            Err(Because::new(Reason::Progressing, format!("Secret {name} has not been looked up yet.")))
        })?),
    };
    let role_arn = match &wanted.role {
        None => None,
        Some(RoleChoice::Ref(name)) => Some(role_by_reference(claim, wanted, name, found)?),
        Some(choice @ RoleChoice::Named(_)) => choice.named_arn(registry),
    };
    Ok(Rule {
        prefix: wanted.prefix.to_string(),
        upstream_url: wanted.upstream_host.clone(),
        upstream_prefix: wanted.upstream_prefix.as_ref().map_or_else(|| ROOT.to_owned(), ToString::to_string),
        role_arn,
        credential_arn,
    })
}

/// The ARN of the role of a CrossAccountPtcRole in the object's namespace. A rule is made once the role is there and its
/// upstream grants to it; one that has the role already keeps it meanwhile.
fn role_by_reference(
    claim: &Claim<CacheRule>,
    wanted: &CacheRule,
    name: &str,
    found: &Found,
) -> Result<String, Because> {
    let waits = |reason, message: String| Err(Because::new(reason, message));
    let id = ObjectId { kind: Kind::CrossAccountPtcRole, namespace: claim.id.namespace.clone(), name: name.to_owned() };
    let Some(roles) = &found.roles else {
        return waits(Reason::Progressing, format!("CrossAccountPtcRole {name} has not been looked at yet."));
    };
    let Some(role) = roles.get(&id) else {
        let message = format!(
            "There is no CrossAccountPtcRole {name} in the namespace that is attached to the same Registry and valid: create it, or name another in spec.upstream.ecr.roleRef."
        );
        return waits(Reason::WaitingForRole, message);
    };
    let upstream = wanted.upstream_account.as_ref();
    let Some((_, reach)) = role.upstreams.iter().find(|(key, _)| Some(key) == upstream) else {
        let upstream = upstream.map_or_else(|| wanted.upstream_host.clone(), ToString::to_string);
        let message = format!(
            "CrossAccountPtcRole {name} was made for other upstreams: add {upstream} to its spec.upstreams, or name another in spec.upstream.ecr.roleRef."
        );
        return waits(Reason::WaitingForRole, message);
    };
    let Some(arn) = &role.arn else {
        return waits(Reason::WaitingForRole, format!("CrossAccountPtcRole {name} has no role yet."));
    };
    if claim.lost.is_some() {
        return Ok(arn.clone());
    }
    let has_it = claim.has.as_ref().is_some_and(|has| has.role_arn.as_ref() == Some(arn));
    if role.is_leaving && !has_it {
        // Whoever pulls by it keeps it from going, and nobody begins to.
        return waits(Reason::WaitingForRole, format!("The role of CrossAccountPtcRole {name} is being removed."));
    }
    match reach {
        Reach::Waits(because) if !has_it => {
            let message = format!(
                "The upstream does not let the role of CrossAccountPtcRole {name} pull yet: {}",
                because.message
            );
            waits(Reason::WaitingForUpstream, message)
        }
        _ => Ok(arn.clone()),
    }
}

/// Whether ECR gets at the upstream, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    pub valid: bool,
    pub failure: Option<String>,
}

/// What an object's status says of its rule.
pub fn status(rule: &LedgerRule, validity: Option<&Validity>) -> RuleStatus {
    RuleStatus {
        upstream_host: rule.upstream_url.clone(),
        role_arn: rule.role_arn.clone(),
        credential_arn: rule.credential_arn.clone(),
        valid: validity.map(|v| v.valid),
        failure: validity.and_then(|v| v.failure.as_ref()).map(|text| text.chars().take(1024).collect()),
    }
}
