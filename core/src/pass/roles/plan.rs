//! Which roles an account is to have for the objects of one registry, beside those of others.
//!
//! A role carries tags that name its object, so whose it is can be told from the role alone; a record of its unique id
//! tells it where the tags were lost (`whose`). Never touched: a role that is not ours, unless `adoption` says so, and a
//! role without the boundary.

use std::collections::BTreeMap;

use super::super::claims::Plan;
use super::super::objects::ObjectId;
use super::act::Act;
use super::pulls::without;
use super::whose::{Conflict, Marks, is_bare, is_bounded, record, wanted};
use super::{Claim, Role, Stance, Stored};
use crate::api::{Adoption, LedgerRole, OwnershipState};
use crate::kinds::without_resources;
use crate::policy::{Flavour, equivalent};
use crate::reason::{Because, Reason};

/// What the roles come to.
pub type RolesPlan = Plan<Act, LedgerRole>;

/// What AWS has, by the names that were asked for: those on record and those wanted.
pub type Found = BTreeMap<String, Result<Option<Stored>, Because>>;

/// Brings what the objects say and what AWS has together. `in_use`: whose role may not be removed yet, and why.
pub fn plan_roles(
    claims: &[Claim<Role>],
    stored: &Found,
    in_use: &BTreeMap<ObjectId, Because>,
    marks: &Marks<'_>,
) -> RolesPlan {
    let mut planning = Planning { stored, in_use, marks, taken: BTreeMap::new(), plan: RolesPlan::default() };
    let mut ordered: Vec<_> = claims.iter().collect();
    ordered.sort_by_cached_key(|claim| seniority(claim));
    // First what everybody has: nobody is given what another's record holds.
    let held: Vec<_> = ordered.into_iter().map(|claim| (claim, planning.take_stock(claim))).collect();
    for (claim, ours) in held {
        let refusal = ours.and_then(|ours| planning.place(claim, ours)).err();
        planning.plan.verdicts.extend(refusal.map(|because| (claim.id.clone(), because)));
    }
    planning.plan
}

struct Planning<'a> {
    stored: &'a Found,
    in_use: &'a BTreeMap<ObjectId, Because>,
    marks: &'a Marks<'a>,
    /// Who has or gets each name, in small letters: IAM compares them so (aws-facts A.3).
    taken: BTreeMap<String, ObjectId>,
    plan: RolesPlan,
}

impl<'a> Planning<'a> {
    fn named(&self, name: &str) -> Result<Option<&'a Stored>, Because> {
        match self.stored.get(name) {
            Some(Ok(role)) => Ok(role.as_ref()),
            Some(Err(because)) => Err(because.clone()),
            None => Err(Because::new(Reason::Progressing, format!("Role {name} has not been looked up yet."))),
        }
    }

    fn is_taken(&self, claim: &Claim<Role>, name: &str) -> bool {
        self.taken.get(&name.to_ascii_lowercase()).is_some_and(|id| *id != claim.id)
    }

    fn take(&mut self, claim: &Claim<Role>, name: &str) {
        self.taken.entry(name.to_ascii_lowercase()).or_insert_with(|| claim.id.clone());
    }

    /// What of AWS is the object's; an error, if AWS did not say.
    fn take_stock(&mut self, claim: &Claim<Role>) -> Result<Option<&'a Stored>, Because> {
        let mut is_gone = false;
        if let Some(has) = &claim.has {
            match self.named(&has.name) {
                Ok(Some(role)) if self.is_ours(claim, role) => return Ok(Some(self.hold(claim, role))),
                Ok(found) => is_gone = found.is_none(),
                Err(because) => {
                    // Nothing new is known of it: it stays on record as it is.
                    self.plan.has.insert(claim.id.clone(), has.clone());
                    self.plan.unread.insert(claim.id.clone());
                    self.take(claim, &has.name);
                    return Err(because);
                }
            }
        }
        let at_the_wanted_name = wanted(claim).and_then(|wanted| self.named(&wanted.name).ok().flatten());
        if let Some(role) = at_the_wanted_name.filter(|role| self.is_ours(claim, role)) {
            return Ok(Some(self.hold(claim, role)));
        }
        if let Some(has) = claim.has.as_ref().filter(|_| is_gone) {
            self.lacks(claim, has);
        }
        Ok(None)
    }

    fn is_ours(&self, claim: &Claim<Role>, role: &Stored) -> bool {
        self.marks.are_of(claim, role) && !self.is_taken(claim, &role.name)
    }

    fn hold(&mut self, claim: &Claim<Role>, role: &'a Stored) -> &'a Stored {
        self.plan.has.insert(claim.id.clone(), record(claim, role));
        self.take(claim, &role.name);
        role
    }

    /// AWS has no role of the name on record.
    fn lacks(&mut self, claim: &Claim<Role>, has: &LedgerRole) {
        match &claim.stance {
            Stance::Wants(_) | Stance::Keeps(_) | Stance::Holds(..) => {
                self.plan.missing.insert(claim.id.clone(), has.clone());
                // It comes back to whom it was; what the object wants instead is another name.
                if wanted(claim).is_none_or(|wanted| is_one_name(&wanted.name, &has.name)) {
                    self.take(claim, &has.name);
                }
            }
            // Kept until pruned, and in nobody's way.
            Stance::Orphaned | Stance::Retained => drop(self.plan.missing.insert(claim.id.clone(), has.clone())),
            // Of a call that was made on the claim, a role may come yet.
            Stance::Loses(_) | Stance::Leaves if has.state == OwnershipState::Claimed || claim.claimed_at.is_some() => {
                self.plan.given_up.insert(claim.id.clone(), has.clone());
            }
            Stance::Loses(_) | Stance::Leaves | Stance::Released => {}
        }
    }

    /// Decides on one object; an error is what keeps it from what it wants.
    fn place(&mut self, claim: &Claim<Role>, ours: Option<&Stored>) -> Result<(), Because> {
        if !claim.stance.goes()
            && ours.is_some_and(|role| self.narrow(claim, role))
            && matches!(claim.stance, Stance::Wants(_) | Stance::Released)
        {
            return Ok(());
        }
        let placed = self.place_by_stance(claim, ours);
        // What keeps a role from going keeps nothing in its policy.
        if claim.stance.goes()
            && !self.plan.acts.contains_key(&claim.id)
            && let Some(role) = ours
        {
            self.narrow(claim, role);
        }
        placed
    }

    fn place_by_stance(&mut self, claim: &Claim<Role>, ours: Option<&Stored>) -> Result<(), Because> {
        match &claim.stance {
            Stance::Wants(wanted) => self.place_wanted(claim, ours, wanted),
            // What it would be made of is not known: it is neither changed nor made again.
            Stance::Keeps(because) => Err(because.clone()),
            Stance::Holds(wanted, because) => {
                let is_equal = |wanted: &Role| ours.is_some_and(|role| self.is_as_wanted(role, wanted));
                if wanted.as_ref().is_some_and(is_equal) {
                    self.plan.held_equal.insert(claim.id.clone());
                }
                Err(because.clone())
            }
            Stance::Loses(because) => {
                let removed = ours.map_or(Ok(()), |role| self.remove(claim, role));
                Err(removed.map_or_else(
                    |blocked| Because::new(blocked.reason, format!("{} {}", because.message, blocked.message)),
                    |()| because.clone(),
                ))
            }
            Stance::Leaves => ours.map_or(Ok(()), |role| self.remove(claim, role)),
            Stance::Released => {
                if let Some(because) = self.in_use.get(&claim.id) {
                    return Err(because.clone());
                }
                if let Some(role) = ours {
                    self.release(claim, role);
                }
                Ok(())
            }
            Stance::Orphaned | Stance::Retained => Ok(()),
        }
    }

    fn place_wanted(&mut self, claim: &Claim<Role>, ours: Option<&Stored>, wanted: &Role) -> Result<(), Because> {
        if let Some(role) = ours.filter(|role| role.name == wanted.name) {
            return self.change(claim, role, wanted);
        }
        if self.is_taken(claim, &wanted.name) {
            return Err(Conflict::Taken.over(wanted));
        }
        // The object was made anew with another name, perhaps the same in other letters. Nothing goes for what cannot come.
        let there = self.named(&wanted.name)?.filter(|role| ours.is_none_or(|ours| ours.id != role.id));
        if let Some(role) = there {
            self.may_adopt(claim, role, wanted)?;
        }
        if let Some(former) = ours {
            if let Some(because) = self.in_use.get(&claim.id) {
                return Err(renamed(former, wanted, because));
            }
            self.remove(claim, former)?;
            if self.plan.acts.contains_key(&claim.id) {
                return Ok(());
            }
        }
        self.take(claim, &wanted.name);
        if let Some(role) = there {
            let adopted = LedgerRole { adopted: Some(true), ..record(claim, role) };
            self.plan.has.insert(claim.id.clone(), adopted);
            self.become_wanted(claim, role, wanted);
        } else {
            self.act(claim, Some(Act::Create(wanted.clone())));
        }
        Ok(())
    }

    /// Takes out of the role's policy what may not stay there; once it is not there, it is off the record too. Answers
    /// whether there is something to do.
    fn narrow(&mut self, claim: &Claim<Role>, role: &Stored) -> bool {
        let withdrawn = claim.withdrawn.iter().map(|(upstream, pattern)| upstream.repository_arn(pattern)).collect();
        let policy = role.policy.as_ref().and_then(|policy| without_resources(policy, &withdrawn));
        let is_there = policy.is_some();
        self.act(claim, policy.map(|policy| Act::Narrow { name: role.name.clone(), policy }));
        if let Some(has) = self.plan.has.get_mut(&claim.id).filter(|_| !is_there) {
            has.pulls = without(std::mem::take(&mut has.pulls), &claim.withdrawn);
        }
        is_there
    }

    fn act(&mut self, claim: &Claim<Role>, act: Option<Act>) {
        self.plan.acts.extend(act.map(|act| (claim.id.clone(), act)));
    }

    /// The role is the object's: it becomes what is wanted.
    fn change(&mut self, claim: &Claim<Role>, role: &Stored, wanted: &Role) -> Result<(), Because> {
        if role.arn != wanted.arn {
            let message = format!(
                "The role is {}, and the Registry's spec.roles.path would have it be {}: a role cannot move. Set the path back, or delete the object and create it again.",
                role.arn, wanted.arn
            );
            return Err(Because::new(Reason::ImmutableChange, message));
        }
        is_bounded(role, wanted)?;
        self.become_wanted(claim, role, wanted);
        Ok(())
    }

    /// A role that comes to the object is its own once it is as wanted: upstreams grant to what is owned. What was its own
    /// before stays so.
    fn become_wanted(&mut self, claim: &Claim<Role>, role: &Stored, wanted: &Role) {
        let mut difference = self.difference(role, wanted);
        if let Some(Act::Change { is_asked, .. }) = &mut difference {
            *is_asked = claim.has.as_ref().is_some_and(|has| has.pulls != wanted.pulls);
        }
        let was_owned = claim.has.as_ref().is_some_and(|has| has.state == OwnershipState::Owned && has.arn == role.arn);
        if let Some(has) = self.plan.has.get_mut(&claim.id) {
            if difference.is_some() && !was_owned {
                has.state = OwnershipState::Claimed;
            }
            if difference.is_none() {
                has.pulls = wanted.pulls.clone();
            }
        }
        self.act(claim, difference);
    }

    /// Whether a role that is not the object's may become it.
    fn may_adopt(&self, claim: &Claim<Role>, role: &Stored, wanted: &Role) -> Result<(), Because> {
        if self.marks.name_another(claim, role) {
            return Err(Conflict::OfAnother.over(wanted));
        }
        if role.arn != wanted.arn {
            return Err(Conflict::Elsewhere(&role.arn).over(wanted));
        }
        if claim.may.adoption == Adoption::Never {
            return Err(Conflict::There.over(wanted));
        }
        is_bounded(role, wanted)?;
        let change = self.difference(role, wanted);
        let differs = matches!(change, Some(Act::Change { trust, policy, .. }) if trust.is_some() || policy.is_some());
        if differs && claim.may.adoption < Adoption::Always {
            return Err(Conflict::Differs.over(wanted));
        }
        Ok(())
    }

    /// What of the role is not as wanted. Policies, attachments and tags of others are no part of it; what cannot be read
    /// is not what is wanted.
    fn difference(&self, role: &Stored, wanted: &Role) -> Option<Act> {
        let is_same = |a: &str, b: &str| equivalent(a, b, self.marks.partition, Flavour::Trust).unwrap_or(false);
        let trust = (!is_same(&role.trust, &wanted.trust)).then(|| wanted.trust.clone());
        let has_policy = role.policy.as_ref().is_some_and(|policy| is_same(policy, &wanted.policy));
        let policy = (!has_policy).then(|| wanted.policy.clone());
        let mut tags = wanted.tags.clone();
        tags.retain(|key, value| role.tags.get(key) != Some(value));
        let name = wanted.name.clone();
        let differs = trust.is_some() || policy.is_some() || !tags.is_empty();
        differs.then_some(Act::Change { name, trust, policy, tags, pulls: wanted.pulls.clone(), is_asked: false })
    }

    fn is_as_wanted(&self, role: &Stored, wanted: &Role) -> bool {
        role.arn == wanted.arn && is_bounded(role, wanted).is_ok() && self.difference(role, wanted).is_none()
    }

    /// What the object made or says it owns goes; what it only adopted stays, and is nobody's.
    fn remove(&mut self, claim: &Claim<Role>, role: &Stored) -> Result<(), Because> {
        if let Some(because) = self.in_use.get(&claim.id) {
            return Err(because.clone());
        }
        let is_adopted = self.plan.has.get(&claim.id).is_some_and(|has| has.adopted == Some(true));
        if is_adopted && !claim.owns_adopted {
            self.release(claim, role);
            return Ok(());
        }
        self.marks.let_delete(role)?;
        is_bare(role)?;
        self.act(claim, Some(Act::Delete { name: role.name.clone(), has_policy: role.policy.is_some() }));
        Ok(())
    }

    /// The role stays, without our tags. Until they are gone it is on record.
    fn release(&mut self, claim: &Claim<Role>, role: &Stored) {
        let ours = self.marks.installation.role_tags(&claim.id.namespace, &claim.id.name);
        let tags: Vec<_> = role.tags.keys().filter(|key| ours.contains_key(*key)).cloned().collect();
        if tags.is_empty() {
            self.plan.has.remove(&claim.id);
        } else {
            self.act(claim, Some(Act::Release { name: role.name.clone(), tags }));
        }
    }
}

/// What works by the former role would stop: it is not taken away for the sake of a name.
fn renamed(former: &Stored, wanted: &Role, in_use: &Because) -> Because {
    let message = format!(
        "The object has role {} and asks for {}, and a role cannot be renamed. {} Set spec.roleName back (or leave it out, if the role's name is the operator's), or delete the object and create it again once its role is gone.",
        former.name, wanted.name, in_use.message
    );
    Because::new(Reason::ImmutableChange, message)
}

/// Whoever has it on record, then the older. Who has it by its tags has it before anybody is given a role.
fn seniority(claim: &Claim<Role>) -> impl Ord + use<> {
    let has = claim.has.as_ref().filter(|has| wanted(claim).is_none_or(|wanted| is_one_name(&has.name, &wanted.name)));
    let by_record = match has.map(|has| has.state) {
        Some(OwnershipState::Owned) => 0,
        Some(OwnershipState::Claimed) => 1,
        None => 2,
    };
    (by_record, claim.created, claim.id.clone())
}

fn is_one_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}
