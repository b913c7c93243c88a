//! Pull through cache rules as a pass knows them: what AWS has, what each object says about one, and what came of it.
//! Which rules there are to be is decided in `plan`. Pure.

mod plan;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

pub use plan::{Act, RULES_AT_MOST, RulesPlan, plan_rules};

use super::ledger::Things;
use super::objects::ObjectId;
use crate::api::{Adoption, LedgerRule, OwnershipState, RuleStatus};
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

/// Where an object stands with its rule: `R` is a rule as the object writes it, or with all in it resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Stance<R> {
    /// It gets this.
    Wants(R),
    /// Its edit is refused or waits: it keeps the rule it has, which comes back if it is lost.
    Keeps(Because),
    /// Whatever it has stays as it is; what it would want, if that can be told.
    Holds(Option<R>, Because),
    /// It may not have what it has any longer.
    Loses(Because),
    /// Deleting: what it made goes.
    Leaves,
    /// Deleting or abandoned: what it has stays, and is nobody's.
    Retains,
    /// Its object is gone without a word: kept until pruned.
    Orphaned,
}

/// What an object lets be done beyond making what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latitude {
    pub adoption: Adoption,
    /// Repositories that stand below the prefix already may become part of the cache.
    pub claim_existing: bool,
    /// What cannot be updated is deleted and made anew.
    pub recreate: bool,
}

impl Latitude {
    pub fn of(rule: &CacheRule) -> Self {
        Self { adoption: rule.adoption, claim_existing: rule.claim_existing, recreate: rule.recreate }
    }
}

/// One object's word about one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim<R> {
    pub id: ObjectId,
    pub created: Option<Timestamp>,
    pub has: Option<LedgerRule>,
    pub claimed_at: Option<Timestamp>,
    pub stance: Stance<R>,
    pub may: Latitude,
    /// The object says itself that it owns what it adopted: it goes with it.
    pub owns_adopted: bool,
    /// The ledger was lost, and the object itself says that it had the rule.
    pub had_it: bool,
}

/// What rules name, as it was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The ARN of each secret.
    pub secrets: BTreeMap<String, Result<String, Because>>,
}

impl Claim<CacheRule> {
    /// The rule of an object that is gone without a word.
    pub(super) fn orphan(id: &ObjectId, things: &Things) -> Self {
        Self {
            id: id.clone(),
            created: None,
            has: things.rule.clone(),
            claimed_at: things.claimed_at,
            stance: Stance::Orphaned,
            may: Latitude::default(),
            owns_adopted: false,
            had_it: false,
        }
    }

    /// The rule as AWS knows it; a claim that names what is not there keeps what it has.
    pub fn resolve(&self, registry: &RegistryKey, found: &Found, pruned: bool) -> Claim<Rule> {
        let stance = match &self.stance {
            Stance::Wants(wanted) => match resolved(wanted, registry, found) {
                Ok(rule) => Stance::Wants(rule),
                Err(because) => Stance::Keeps(because),
            },
            Stance::Keeps(because) => Stance::Keeps(because.clone()),
            Stance::Holds(wanted, because) => {
                let wanted = wanted.as_ref().and_then(|wanted| resolved(wanted, registry, found).ok());
                Stance::Holds(wanted, because.clone())
            }
            Stance::Loses(because) => Stance::Loses(because.clone()),
            Stance::Orphaned if pruned => Stance::Leaves,
            Stance::Leaves => Stance::Leaves,
            Stance::Retains => Stance::Retains,
            Stance::Orphaned => Stance::Orphaned,
        };
        Claim {
            id: self.id.clone(),
            created: self.created,
            has: self.has.clone(),
            claimed_at: self.claimed_at,
            stance,
            may: self.may,
            owns_adopted: self.owns_adopted,
            had_it: self.had_it,
        }
    }

    /// The secret that AWS must be asked for.
    pub fn secret(&self) -> Option<&str> {
        match &self.stance {
            Stance::Wants(rule) | Stance::Holds(Some(rule), _) => rule.secret.as_deref(),
            _ => None,
        }
    }
}

fn resolved(wanted: &CacheRule, registry: &RegistryKey, found: &Found) -> Result<Rule, Because> {
    let credential_arn = match &wanted.secret {
        None => None,
        Some(name) => Some(found.secrets.get(name).cloned().unwrap_or_else(|| {
            Err(Because::new(Reason::Progressing, format!("Secret {name} has not been looked up yet.")))
        })?),
    };
    let role_arn = match &wanted.role {
        None => None,
        Some(RoleChoice::Ref(name)) => {
            let message = format!("CrossAccountPtcRole {name} has no role yet.");
            return Err(Because::new(Reason::WaitingForRole, message));
        }
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

/// What a pass came to with the rules.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What each object has, if AWS was read and nothing is left to do.
    pub has: Option<BTreeMap<ObjectId, LedgerRule>>,
    /// What stays on record though AWS does not show it: it comes back, or perhaps is on its way.
    pub missing: BTreeMap<ObjectId, LedgerRule>,
    /// Who is held, and has all the same what it would want.
    pub held_equal: BTreeSet<ObjectId>,
    /// A rule may still come of a call that nobody waits for any more.
    pub awaits_late: bool,
    /// What keeps single objects from what they want.
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// What kept everybody from it.
    pub failure: Option<Because>,
    /// What AWS says of the way to the upstream, where it was asked.
    pub validity: BTreeMap<ObjectId, Validity>,
    /// What would be done, if it were not forbidden.
    pub steps: Vec<String>,
}

/// Whether ECR gets at the upstream, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    pub valid: bool,
    pub failure: Option<String>,
}

impl Applied {
    /// What the object's status says of its rule.
    pub fn status(&self, id: &ObjectId) -> Option<RuleStatus> {
        let rule = self.has.as_ref()?.get(id)?;
        let validity = self.validity.get(id);
        Some(RuleStatus {
            upstream_host: rule.upstream_url.clone(),
            role_arn: rule.role_arn.clone(),
            credential_arn: rule.credential_arn.clone(),
            valid: validity.map(|v| v.valid),
            failure: validity.and_then(|v| v.failure.as_ref()).map(|text| text.chars().take(1024).collect()),
        })
    }
}
