//! Which pull through cache rules a registry is to have, beside those of others.
//!
//! A rule carries no mark, so only the ledger tells whose it is: a claim is on record before a rule is made, and what is
//! found of it afterwards is ours. Never touched: a rule that nobody claimed, unless `adoption` says so.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::super::claims::{Action, LATE, Plan};
use super::super::objects::ObjectId;
use super::{Claim, ROOT, Rule, Stance, Stored};
use crate::api::{Adoption, LedgerRule, OwnershipState};
use crate::kinds::RULES_AT_MOST;
use crate::names::CachePrefix;
use crate::reason::{Because, Reason};

/// AWS's clock may be behind ours by this much.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// What is to be done for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Create(Rule),
    Update(Rule),
    /// The rule with this prefix.
    Delete(String),
}

impl Action for Act {
    type Record = LedgerRule;

    fn claim(&self) -> Option<LedgerRule> {
        match self {
            Self::Create(rule) => Some(rule.record(OwnershipState::Claimed)),
            Self::Update(_) | Self::Delete(_) => None,
        }
    }

    fn removes(&self) -> bool {
        matches!(self, Self::Delete(_))
    }

    fn describe(&self) -> String {
        match self {
            Self::Create(rule) => format!("+ cache rule {}: {}", rule.prefix, upstream(rule)),
            Self::Update(rule) => format!("~ cache rule {}: {}", rule.prefix, upstream(rule)),
            Self::Delete(prefix) => format!("- cache rule {prefix}"),
        }
    }
}

/// What the registry's rules come to.
pub type RulesPlan = Plan<Act, LedgerRule>;

/// The names of the registry's repositories, or what kept AWS from telling them.
pub type Repositories = Result<Vec<String>, Because>;

/// Who cannot be decided on without the list of repositories.
pub type Asking = BTreeSet<ObjectId>;

fn upstream(rule: &Rule) -> String {
    let below = if rule.upstream_prefix == ROOT { String::new() } else { format!("/{}", rule.upstream_prefix) };
    let by = rule.role_arn.as_ref().or(rule.credential_arn.as_ref()).map(|arn| format!(" by {arn}"));
    format!("{}{below}{}", rule.upstream_url, by.unwrap_or_default())
}

/// Brings what the objects say and what AWS has together. `repositories`: nothing, if they were not asked for; then the
/// answer names who waits for them.
pub fn plan_rules(
    claims: &[Claim<Rule>],
    stored: &[Stored],
    repositories: Option<&Repositories>,
) -> (RulesPlan, Asking) {
    let stored: BTreeMap<&str, &Stored> = stored.iter().map(|s| (s.rule.prefix.as_str(), s)).collect();
    let claimed = claims.iter().filter_map(|claim| Some((prefix_of(claim)?.to_owned(), claim.id.clone()))).collect();
    let (plan, asking) = Default::default();
    let mut planning = Planning { creating: Vec::new(), stored, claimed, repositories, plan, asking };
    let mut ordered: Vec<&Claim<Rule>> = claims.iter().collect();
    ordered.sort_by_key(|claim| planning.seniority(claim));
    let mut served: Vec<&Claim<Rule>> = Vec::new();
    for claim in ordered {
        let refusal = planning.place(claim, &served);
        // Whoever equals AWS has perhaps had it before a ledger was lost: nobody else gets in its way meanwhile.
        if refusal.is_none() || claim.has.is_some() || planning.equals(claim) {
            served.push(claim);
        }
        planning.plan.verdicts.extend(refusal.map(|because| (claim.id.clone(), because)));
    }
    planning.fit();
    (planning.plan, planning.asking)
}

struct Planning<'a> {
    /// Who gets a rule that is not there, those who had it first.
    creating: Vec<ObjectId>,
    stored: BTreeMap<&'a str, &'a Stored>,
    /// Who has or wants a prefix.
    claimed: BTreeMap<String, ObjectId>,
    repositories: Option<&'a Repositories>,
    plan: RulesPlan,
    asking: Asking,
}

impl<'a> Planning<'a> {
    /// The incumbent, then whoever equals AWS already, then the older.
    fn seniority(&self, claim: &'a Claim<Rule>) -> impl Ord + use<'a> {
        (claim.has.is_none(), !self.equals(claim), claim.created, &claim.id)
    }

    /// Whether AWS has what the object wants.
    fn equals(&self, claim: &Claim<Rule>) -> bool {
        match &claim.stance {
            Stance::Wants(rule) => self.stored.get(rule.prefix.as_str()).is_some_and(|s| s.rule == *rule),
            _ => false,
        }
    }

    /// Decides on one object; the answer is what keeps it from what it wants.
    fn place(&mut self, claim: &Claim<Rule>, served: &[&Claim<Rule>]) -> Option<Because> {
        let owned = self.owned(claim);
        if let Some(owned) = &owned {
            self.plan.has.insert(claim.id.clone(), owned.clone());
        } else if let Some(has) = claim.has.clone().filter(|has| !self.stored.contains_key(has.prefix.as_str())) {
            self.lacks(claim, has);
        }
        match &claim.stance {
            Stance::Wants(rule) => self.place_wanted(claim, owned.as_ref(), rule, served),
            Stance::Keeps(because) => {
                // A claim alone gives no right to be made: only what it was is.
                if let Some(has) =
                    claim.has.as_ref().filter(|has| owned.is_some() || has.state == OwnershipState::Owned)
                {
                    self.place_wanted(claim, owned.as_ref(), &Rule::of(has), served);
                }
                Some(because.clone())
            }
            Stance::Holds(wanted, because) => {
                let stored = owned.as_ref().and_then(|owned| self.stored.get(owned.prefix.as_str()));
                if stored.is_some_and(|stored| wanted.as_ref() == Some(&stored.rule)) {
                    self.plan.held_equal.insert(claim.id.clone());
                }
                Some(because.clone())
            }
            Stance::Loses(because) => {
                self.takes_away(claim, owned.as_ref());
                Some(because.clone())
            }
            Stance::Released => {
                self.plan.has.remove(&claim.id);
                None
            }
            Stance::Leaves => {
                self.takes_away(claim, owned.as_ref());
                None
            }
            Stance::Orphaned | Stance::Retained => None,
        }
    }

    /// AWS does not show what the object has on record.
    fn lacks(&mut self, claim: &Claim<Rule>, has: LedgerRule) {
        match claim.stance {
            Stance::Wants(_) | Stance::Keeps(_) | Stance::Holds(..) => {
                self.plan.missing.insert(claim.id.clone(), has);
            }
            // Kept until pruned.
            Stance::Orphaned | Stance::Retained if has.state == OwnershipState::Owned => {
                self.plan.missing.insert(claim.id.clone(), has);
            }
            // Of a call that was made on the claim, a rule may come yet.
            Stance::Loses(_) | Stance::Leaves | Stance::Orphaned | Stance::Retained
                if has.state == OwnershipState::Claimed || claim.claimed_at.is_some() =>
            {
                self.plan.given_up.insert(claim.id.clone(), has);
            }
            _ => {}
        }
    }

    /// Deletes what the object made or says it owns; what it only adopted stays, and is nobody's.
    fn takes_away(&mut self, claim: &Claim<Rule>, owned: Option<&LedgerRule>) {
        match owned.filter(|owned| owned.adopted != Some(true) || claim.owns_adopted) {
            Some(owned) => self.delete(claim, &owned.prefix),
            None => drop(self.plan.has.remove(&claim.id)),
        }
    }

    /// What the object has in AWS, told from its entry and what AWS shows; `None`: nothing, or somebody else's rule.
    fn owned(&self, claim: &Claim<Rule>) -> Option<LedgerRule> {
        let Some(has) = &claim.has else { return self.adoptable(claim) };
        let stored = self.stored.get(has.prefix.as_str())?;
        let recorded = Rule::of(has);
        // What a call made on the claim: not what stood there before, and not what came when no call could any more.
        let is_since = |claimed: Timestamp| {
            let until = claimed + LATE + CLOCKS_DIFFER;
            stored.created_at.is_none_or(|made| made >= claimed - CLOCKS_DIFFER && made <= until)
        };
        let known = has.created_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        let is_the_same = known.zip(stored.created_at).map(|(known, made)| known == made);
        let ours = match (has.state, is_the_same) {
            // When it was made, AWS has said itself: whatever it shows of the rule now, it is this one.
            (_, Some(true)) => true,
            (OwnershipState::Claimed, Some(false)) => false,
            (OwnershipState::Claimed, None) => stored.rule == recorded && claim.claimed_at.is_none_or(is_since),
            (OwnershipState::Owned, same) => {
                stored.rule.has_same_upstream(&recorded) && claim.claimed_at.map_or_else(|| same.is_none(), is_since)
            }
        };
        // AWS cannot change the upstream of a rule, so what it shows of it may differ from what it has.
        let created_at = stored.created_at.map(|at| at.to_string()).or_else(|| has.created_at.clone());
        ours.then(|| LedgerRule {
            created_at,
            role_arn: stored.rule.role_arn.clone(),
            credential_arn: stored.rule.credential_arn.clone(),
            state: OwnershipState::Owned,
            ..has.clone()
        })
    }

    /// What an object that goes without an entry would have been given by its `adoption`: as adopted as that.
    fn adoptable(&self, claim: &Claim<Rule>) -> Option<LedgerRule> {
        let lost = claim.lost.as_ref().filter(|_| claim.may.adoption >= Adoption::IfIdentical)?;
        let stored = self.stored.get(lost.prefix.as_str()).filter(|stored| stored.rule == *lost)?;
        let is_anothers = self.claimed.get(lost.prefix.as_str()).is_some_and(|id| *id != claim.id);
        (!is_anothers).then(|| LedgerRule {
            created_at: stored.created_at.map(|at| at.to_string()),
            adopted: Some(true),
            ..stored.rule.record(OwnershipState::Owned)
        })
    }

    fn place_wanted(
        &mut self,
        claim: &Claim<Rule>,
        owned: Option<&LedgerRule>,
        wanted: &Rule,
        served: &[&Claim<Rule>],
    ) -> Option<Because> {
        if let Some(because) = contested(claim, wanted, served) {
            return Some(because);
        }
        let (owned, other) = match owned {
            Some(owned) if owned.prefix != wanted.prefix => (None, Some(owned)),
            owned => (owned, None),
        };
        if other.is_some() {
            // The object was made anew with another prefix: first its former rule goes, if it is to go.
            self.takes_away(claim, other);
            if self.plan.acts.contains_key(&claim.id) {
                return None;
            }
        }
        let Some(stored) = self.stored.get(wanted.prefix.as_str()).copied() else {
            return self.create(claim, wanted);
        };
        match owned {
            None => self.adopt(claim, wanted, stored),
            Some(owned) => self.change(claim, owned, wanted, stored),
        }
    }

    /// The rule that is there is the object's: it becomes what is wanted.
    fn change(&mut self, claim: &Claim<Rule>, owned: &LedgerRule, wanted: &Rule, stored: &Stored) -> Option<Because> {
        if stored.rule == *wanted {
            return None;
        }
        if wanted.is_update_of(&stored.rule) {
            self.act(claim, Act::Update(wanted.clone()));
            return None;
        }
        if wanted.is_update_of(&Rule::of(owned)) {
            return Some(Because::new(
                Reason::ReadbackDiffers,
                format!(
                    "AWS shows the rule for prefix {} otherwise than it was made: it shows {}. Nothing is changed for that; compare it in AWS with the object, and report it.",
                    wanted.prefix,
                    upstream(&stored.rule)
                ),
            ));
        }
        if claim.may.recreate {
            self.delete(claim, &wanted.prefix);
            return None;
        }
        if let Some(because) = &claim.outlawed {
            // It may not stay as it is, and cannot become what is wanted.
            self.delete(claim, &wanted.prefix);
            return Some(because.clone());
        }
        Some(Because::new(
            Reason::ImmutableChange,
            format!(
                "The rule for prefix {} caches {}, and AWS cannot change that in place. Undo the edit, or set spec.replacePolicy: Recreate: then the rule is deleted and made anew, and meanwhile only what is cached is served.",
                wanted.prefix,
                upstream(&stored.rule)
            ),
        ))
    }

    fn create(&mut self, claim: &Claim<Rule>, wanted: &Rule) -> Option<Because> {
        let first_time = claim.has.as_ref().is_none_or(|has| has.prefix != wanted.prefix);
        if first_time && !claim.may.claim_existing {
            let repositories = match self.repositories {
                Some(Ok(repositories)) => repositories,
                Some(Err(because)) => return Some(because.clone()),
                None => {
                    self.asking.insert(claim.id.clone());
                    return None;
                }
            };
            let inside: Vec<_> = repositories.iter().filter(|name| self.would_serve(&wanted.prefix, name)).collect();
            if let Some(first) = inside.first() {
                return Some(Because::new(
                    Reason::RepositoriesExist,
                    format!(
                        "{} repositories stand below prefix {} already (the first is {first}): a cache may overwrite their tags. Choose another spec.cachePrefix, or set spec.claimExisting: true.",
                        inside.len(),
                        wanted.prefix
                    ),
                ));
            }
        }
        self.creating.push(claim.id.clone());
        self.act(claim, Act::Create(wanted.clone()));
        None
    }

    /// Whether a repository would become part of the cache: the most specific prefix wins.
    fn would_serve(&self, prefix: &str, repository: &str) -> bool {
        let below = |prefix: &str| is_below(prefix, repository);
        below(prefix) && !self.stored.keys().any(|other| other.len() > prefix.len() && *other != ROOT && below(other))
            || prefix == ROOT && !self.stored.keys().any(|other| below(other))
    }

    /// A rule stands there that is not the object's.
    fn adopt(&mut self, claim: &Claim<Rule>, wanted: &Rule, stored: &Stored) -> Option<Because> {
        let identical = stored.rule == *wanted;
        let adopts = identical && claim.may.adoption >= Adoption::IfIdentical
            || claim.may.adoption == Adoption::Always && wanted.is_update_of(&stored.rule);
        if !adopts {
            let what = if identical { "the same" } else { "another" };
            return Some(Because::new(
                Reason::RuleConflict,
                format!(
                    "A rule for prefix {} is there already, with {what} upstream settings ({}), and is not this object's. Delete it in AWS, choose another spec.cachePrefix, or set spec.adoption (the Registry's spec.allow bounds it).",
                    wanted.prefix,
                    upstream(&stored.rule)
                ),
            ));
        }
        let adopted = LedgerRule {
            created_at: stored.created_at.map(|at| at.to_string()),
            adopted: Some(true),
            ..stored.rule.record(OwnershipState::Owned)
        };
        self.plan.has.insert(claim.id.clone(), adopted);
        if !identical {
            self.act(claim, Act::Update(wanted.clone()));
        }
        None
    }

    fn act(&mut self, claim: &Claim<Rule>, act: Act) {
        self.plan.acts.insert(claim.id.clone(), act);
    }

    fn delete(&mut self, claim: &Claim<Rule>, prefix: &str) {
        self.act(claim, Act::Delete(prefix.to_owned()));
    }

    /// No more rules than AWS takes; who gets one back goes before who gets one.
    fn fit(&mut self) {
        let deleted = self.plan.acts.values().filter(|act| matches!(act, Act::Delete(_))).count();
        let room = RULES_AT_MOST.saturating_sub(self.stored.len().saturating_sub(deleted));
        for id in self.creating.split_off(room.min(self.creating.len())) {
            self.plan.acts.remove(&id);
            let message = format!(
                "The registry has {} cache rules, and AWS takes {RULES_AT_MOST}, not more: remove one.",
                self.stored.len()
            );
            self.plan.verdicts.insert(id, Because::new(Reason::QuotaExceeded, message));
        }
    }
}

/// The prefix that an object wants, or has.
fn prefix_of(claim: &Claim<Rule>) -> Option<&str> {
    match &claim.stance {
        Stance::Wants(rule) => Some(rule.prefix.as_str()),
        _ => claim.has.as_ref().map(|has| has.prefix.as_str()),
    }
}

/// Whether the prefix is somebody else's: taken, or above or below one that is another namespace's. `ROOT` serves what
/// no other serves, so it takes nothing from anybody.
fn contested(claim: &Claim<Rule>, wanted: &Rule, served: &[&Claim<Rule>]) -> Option<Because> {
    let nests = |a: &str, b: &str| {
        let parsed = a.parse::<CachePrefix>().ok().zip(b.parse::<CachePrefix>().ok());
        parsed.is_some_and(|(a, b)| a.overlaps(&b))
    };
    let taken = served.iter().filter(|other| other.id != claim.id).find(|other| {
        prefix_of(other).is_some_and(|prefix| {
            prefix == wanted.prefix || (other.id.namespace != claim.id.namespace && nests(prefix, &wanted.prefix))
        })
    })?;
    let how = if prefix_of(taken) == Some(wanted.prefix.as_str()) { "is taken" } else { "overlaps another" };
    Some(Because::new(
        Reason::PrefixConflict,
        format!(
            "Prefix {} {how} in this registry: whoever had it first keeps it. Choose another spec.cachePrefix.",
            wanted.prefix
        ),
    ))
}

/// Whether a repository, or a prefix, lies below a prefix. A slash is always assumed at its end (aws-facts D.3).
fn is_below(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}
