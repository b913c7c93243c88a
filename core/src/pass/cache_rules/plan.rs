//! Which pull through cache rules a registry is to have, beside those of others.
//!
//! A rule carries no mark, so only the ledger tells whose it is: a claim is on record before a rule is made, and what is
//! found of it afterwards is ours. Never touched: a rule that nobody claimed, unless `adoption` says so.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::SignedDuration;

use super::super::objects::ObjectId;
use super::{Claim, ROOT, Rule, Stance, Stored};
use crate::api::{Adoption, LedgerRule, OwnershipState};
use crate::names::CachePrefix;
use crate::reason::{Because, Reason};

/// Rules of one registry; AWS does not raise it (aws-facts A.7).
pub const RULES_AT_MOST: usize = 50;
/// AWS's clock may be behind ours by this much. A claim is made only where nothing stood, so nothing is gained by less.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(1);

/// What is to be done for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Create(Rule),
    Update(Rule),
    /// The rule with this prefix.
    Delete(String),
}

/// What the registry's rules come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesPlan {
    pub acts: BTreeMap<ObjectId, Act>,
    /// What each object has if nothing is done: told by what was read.
    pub has: BTreeMap<ObjectId, LedgerRule>,
    /// What each object had and still is to have, and AWS does not show.
    pub missing: BTreeMap<ObjectId, LedgerRule>,
    /// Who is held, and has all the same what it would want.
    pub held_equal: BTreeSet<ObjectId>,
    /// Claims of who is not to have them any longer, where AWS shows nothing yet.
    pub given_up: BTreeMap<ObjectId, LedgerRule>,
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// Somebody waits for the list of repositories.
    pub asks_for_repositories: bool,
}

impl RulesPlan {
    /// The ledger's claims before the acts: nothing is made that is not on record.
    pub fn claims(&self) -> BTreeMap<ObjectId, LedgerRule> {
        let claims = self.acts.iter().filter_map(|(id, act)| match act {
            Act::Create(rule) => Some((id.clone(), rule.record(OwnershipState::Claimed))),
            _ => None,
        });
        self.has.clone().into_iter().chain(claims).collect()
    }

    /// A line a change.
    pub fn steps(&self) -> Vec<String> {
        let line = |act: &Act| match act {
            Act::Create(rule) => format!("+ cache rule {}: {}", rule.prefix, upstream(rule)),
            Act::Update(rule) => format!("~ cache rule {}: {}", rule.prefix, upstream(rule)),
            Act::Delete(prefix) => format!("- cache rule {prefix}"),
        };
        self.acts.values().map(line).collect()
    }
}

fn upstream(rule: &Rule) -> String {
    let below = if rule.upstream_prefix == ROOT { String::new() } else { format!("/{}", rule.upstream_prefix) };
    let by = rule.role_arn.as_ref().or(rule.credential_arn.as_ref()).map(|arn| format!(" by {arn}"));
    format!("{}{below}{}", rule.upstream_url, by.unwrap_or_default())
}

/// Brings what the objects say and what AWS has together. `repositories`: all of the registry's, if they were asked for.
pub fn plan_rules(claims: &[Claim<Rule>], stored: &[Stored], repositories: Option<&[String]>) -> RulesPlan {
    let stored: BTreeMap<&str, &Stored> = stored.iter().map(|s| (s.rule.prefix.as_str(), s)).collect();
    let mut planning = Planning { creating: Vec::new(), stored, repositories, plan: RulesPlan::default() };
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
    planning.plan
}

struct Planning<'a> {
    /// Who gets a rule that is not there, those who had it first.
    creating: Vec<ObjectId>,
    stored: BTreeMap<&'a str, &'a Stored>,
    repositories: Option<&'a [String]>,
    plan: RulesPlan,
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
            match claim.stance {
                Stance::Wants(_) | Stance::Keeps(_) | Stance::Holds(..) => {
                    self.plan.missing.insert(claim.id.clone(), has);
                }
                Stance::Loses(_) | Stance::Leaves | Stance::Orphaned if has.state == OwnershipState::Claimed => {
                    self.plan.given_up.insert(claim.id.clone(), has);
                }
                _ => {}
            }
        }
        let goes = |planning: &mut Self| {
            if let Some(owned) = owned.as_ref().filter(|owned| owned.adopted != Some(true) || claim.owns_adopted) {
                planning.delete(claim, &owned.prefix);
            } else {
                planning.plan.has.remove(&claim.id);
            }
        };
        match &claim.stance {
            Stance::Wants(rule) => self.place_wanted(claim, owned.as_ref(), rule, served),
            Stance::Keeps(because) => {
                if let Some(has) = &claim.has {
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
                goes(self);
                Some(because.clone())
            }
            Stance::Retains => {
                self.plan.has.remove(&claim.id);
                None
            }
            Stance::Leaves => {
                goes(self);
                None
            }
            Stance::Orphaned => None,
        }
    }

    /// What the object has in AWS, told from its entry and what AWS shows; `None`: nothing, or somebody else's rule.
    fn owned(&self, claim: &Claim<Rule>) -> Option<LedgerRule> {
        let has = claim.has.as_ref()?;
        let stored = self.stored.get(has.prefix.as_str())?;
        let recorded = Rule::of(has);
        let ours = match has.state {
            OwnershipState::Owned => stored.rule.has_same_upstream(&recorded),
            OwnershipState::Claimed => {
                let after = claim.claimed_at.zip(stored.created_at);
                stored.rule == recorded && after.is_none_or(|(claimed, made)| made >= claimed - CLOCKS_DIFFER)
            }
        };
        ours.then(|| LedgerRule {
            created_at: stored.created_at.map(|at| at.to_string()),
            adopted: has.adopted,
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
        if let Some(other) = owned.filter(|owned| owned.prefix != wanted.prefix) {
            // The object was made anew with another prefix.
            self.delete(claim, &other.prefix);
            return None;
        }
        let Some(stored) = self.stored.get(wanted.prefix.as_str()).copied() else {
            return self.create(claim, wanted);
        };
        if owned.is_none() {
            return self.adopt(claim, wanted, stored);
        }
        self.change(claim, wanted, stored)
    }

    /// The rule that is there is the object's: it becomes what is wanted.
    fn change(&mut self, claim: &Claim<Rule>, wanted: &Rule, stored: &Stored) -> Option<Because> {
        if stored.rule == *wanted {
            return None;
        }
        if wanted.is_update_of(&stored.rule) {
            self.act(claim, Act::Update(wanted.clone()));
            return None;
        }
        if claim.may.recreate {
            self.delete(claim, &wanted.prefix);
            return None;
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
        let first_time = claim.has.is_none() && !claim.had_it;
        if first_time && !claim.may.claim_existing {
            let Some(repositories) = self.repositories else {
                self.plan.asks_for_repositories = true;
                return None;
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
        let adopts = identical && (claim.had_it || claim.may.adoption >= Adoption::IfIdentical)
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
            adopted: (!claim.had_it).then_some(true),
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

/// Whether the prefix is somebody else's: taken, or above or below one that is another namespace's. `ROOT` serves what
/// no other serves, so it takes nothing from anybody.
fn contested(claim: &Claim<Rule>, wanted: &Rule, served: &[&Claim<Rule>]) -> Option<Because> {
    let prefix_of = |other: &&Claim<Rule>| match &other.stance {
        Stance::Wants(rule) => Some(rule.prefix.clone()),
        _ => other.has.as_ref().map(|has| has.prefix.clone()),
    };
    let nests = |a: &str, b: &str| {
        let parsed = a.parse::<CachePrefix>().ok().zip(b.parse::<CachePrefix>().ok());
        parsed.is_some_and(|(a, b)| a.overlaps(&b))
    };
    let taken = served.iter().filter(|other| other.id != claim.id).find(|other| {
        prefix_of(other).is_some_and(|prefix| {
            prefix == wanted.prefix || (other.id.namespace != claim.id.namespace && nests(&prefix, &wanted.prefix))
        })
    })?;
    let how = if prefix_of(taken).as_deref() == Some(wanted.prefix.as_str()) { "is taken" } else { "overlaps another" };
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
