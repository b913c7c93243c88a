//! Who of the objects that consent covers gets no more, because its namespace has its share already, or the namespaces of
//! its rule together have theirs (`shares`). Among objects who is on record goes first, then who equals AWS, then the older,
//! then by name.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::super::claims;
use super::super::objects::Meta;
use super::{Compiler, Contribution, ObjectId, Stance, kept};
use crate::api::AllowRule;
use crate::consent::{Asked, consent};
use crate::kinds::Wanted;
use crate::names::RegistryKey;
use crate::policy::{Statement, atoms};
use crate::shares::{Exceeded, Grant, Holder, Measure, Share, Shares};

/// An object, what it has of what is shared, and what it would have instead.
struct Party<'c> {
    at: usize,
    of: &'c Contribution,
    holder: Holder<'c>,
    created: Option<Timestamp>,
    /// All it asks for stands in AWS and would be nobody's without it: its record was lost.
    equals_aws: bool,
    has: Share<'c>,
    wants: Option<Share<'c>>,
}

impl Party<'_> {
    fn is_on_record(&self) -> bool {
        self.has.objects > 0
    }

    fn seniority(&self) -> impl Ord + use<'_> {
        (!self.is_on_record(), !self.equals_aws, self.created, &self.of.id)
    }
}

/// What keeps an object from what it asks for.
enum Bar {
    Limit(Exceeded),
    /// How much others have is not known before AWS was read; until then it gets no finalizer.
    Unread,
}

impl Compiler<'_> {
    /// Holds back who asks for more than its share. Answers whose mere number is too much: nothing of them goes on record.
    pub(super) fn share(&self, contributions: &mut [Contribution]) -> BTreeSet<ObjectId> {
        let mut too_many = BTreeSet::new();
        for (at, bar) in self.bars(contributions) {
            let Some(contribution) = contributions.get_mut(at) else { continue };
            match bar {
                Bar::Unread => contribution.awaits_finalizer = false,
                Bar::Limit(exceeded) => {
                    refuse(contribution, &exceeded);
                    too_many.extend((exceeded.measure == Measure::Objects).then(|| contribution.id.clone()));
                }
            }
        }
        too_many
    }

    fn bars(&self, contributions: &[Contribution]) -> Vec<(usize, Bar)> {
        let mut shares = Shares::new(self.allow(), self.memory.others());
        let parties = self.parties(contributions, &shares);
        for party in &parties {
            shares.count(&party.holder, &party.has);
        }
        // Who asks for no more is refused nothing, and what an edit gives up others may have.
        let mut asking: Vec<_> = parties.iter().filter_map(|party| Some((party, party.wants?))).collect();
        asking.retain(|(party, wants)| !(party.is_on_record() && shares.edit(&party.holder, &party.has, wants)));
        asking.sort_by(|(a, _), (b, _)| a.seniority().cmp(&b.seniority()));
        let mut bars = Vec::new();
        for (party, wants) in asking {
            if party.equals_aws {
                shares.count(&party.holder, &wants);
                continue;
            }
            match shares.ask(&party.holder, &party.has, &wants) {
                Err(exceeded) => bars.push((party.at, Bar::Limit(exceeded))),
                Ok(Grant::IfOthersLeaveIt) if party.of.awaits_finalizer => bars.push((party.at, Bar::Unread)),
                Ok(_) => {}
            }
        }
        bars
    }

    fn parties<'c>(&'c self, contributions: &'c [Contribution], shares: &Shares<'c>) -> Vec<Party<'c>> {
        let objects = self.gathered.attached.iter().chain(&self.gathered.guests);
        let metas: BTreeMap<&ObjectId, &Meta> = objects.map(|object| (&object.id, &object.meta)).collect();
        let party = |(at, of): (usize, &'c Contribution)| self.party(at, of, metas.get(&of.id).copied(), shares);
        let mut parties: Vec<_> = contributions.iter().enumerate().map(party).collect();
        // Anybody can put a finalizer on an object, and has nothing by it of what another has on record.
        let on_record = || {
            let on_record = contributions.iter().filter(|c| c.state.is_some());
            atoms(on_record.flat_map(|c| c.has.iter().cloned()))
        };
        let mut claimed = None;
        for party in parties.iter_mut().filter(|party| party.equals_aws) {
            let claimed = claimed.get_or_insert_with(on_record);
            let asked = atoms(party.wants.iter().flat_map(|wants| wants.statements.iter().cloned()));
            party.equals_aws = !asked.is_subset(claimed);
            claimed.extend(asked);
        }
        parties
    }

    fn party<'c>(&'c self, at: usize, of: &'c Contribution, meta: Option<&Meta>, shares: &Shares<'c>) -> Party<'c> {
        let has = self.has(of);
        let wants = wants(of);
        let labels = self.gathered.namespaces.get(&of.id.namespace).map(|view| &view.labels);
        let asked = || if wants.is_some() { self.asked(of) } else { recorded(of, &self.gathered.key) };
        let holder = Holder { namespace: &of.id.namespace, labels, rule: self.rule_of(of, shares, asked) };
        let equals_aws = has.objects == 0
            && meta.is_some_and(|meta| meta.finalized)
            && wants.is_some_and(|wants| !wants.statements.is_empty() && self.memory.shows_ours(wants.statements));
        Party { at, of, holder, created: meta.and_then(|meta| meta.created), equals_aws, has, wants }
    }

    /// What it has on record, of statements as far as they stay.
    fn has<'c>(&self, of: &'c Contribution) -> Share<'c> {
        let is_on_record = of.state.is_some() || self.gathered.ledger.unreadable.contains(&of.id);
        let stays: &[Statement] = match &of.stance {
            Stance::Wants(_) => &of.has,
            Stance::Keeps(statements, _)
            | Stance::Holds(statements, _)
            | Stance::Orphaned(statements)
            | Stance::Retained(statements) => statements,
            Stance::Leaves | Stance::Released(_) => &[],
        };
        let statements = if is_on_record { stays } else { &[] };
        Share { statements, objects: usize::from(is_on_record), ..of_things(of) }
    }

    /// The first rule, by name, that covers an object.
    fn rule_of<'c>(
        &self,
        of: &Contribution,
        shares: &Shares<'c>,
        asked: impl FnOnce() -> Vec<Asked>,
    ) -> Option<&'c str> {
        let asked = LazyCell::new(asked);
        let labels = self.gathered.namespaces.get(&of.id.namespace).map(|view| &view.labels);
        let covers = |rule: &AllowRule, asked: &Asked| {
            let (rule, key) = (std::slice::from_ref(rule), &self.gathered.key);
            consent(rule, key, of.id.kind, &of.id.namespace, labels, asked).is_ok()
        };
        shares.rule_that(|rule| asked.iter().all(|asked| covers(rule, asked)))
    }

    /// What the registry's owner was asked.
    fn asked(&self, of: &Contribution) -> Vec<Asked> {
        let (kind, key) = (of.id.kind, &self.gathered.key);
        let statements = of.wanted.clone().unwrap_or_default();
        if of.is_guest {
            return vec![Asked::of_statements(&statements, kind, key)];
        }
        let rule = of.own_rule().and_then(|claim| asked_for(&claim.stance)).cloned();
        let wanted = Wanted { statements, under_v2: Vec::new(), rule, role: of.pulls.clone() };
        vec![Asked::of(&wanted, kind, key)]
    }
}

fn of_things(of: &Contribution) -> Share<'_> {
    let (rules, roles) = (usize::from(of.things.rule.is_some()), usize::from(of.things.role.is_some()));
    Share { rules, roles, ..Share::default() }
}

/// What it gets if nothing is in its way; nothing, if it is to get nothing more now.
fn wants(of: &Contribution) -> Option<Share<'_>> {
    let statements = match &of.stance {
        Stance::Wants(wanted) => wanted,
        _ if of.awaits_finalizer => of.wanted.as_deref().unwrap_or_default(),
        _ => return None,
    };
    let is_asked = |is_asked: bool, has: usize| usize::from(is_asked).max(has);
    let has = of_things(of);
    let rules = is_asked(of.own_rule().is_some_and(|claim| asked_for(&claim.stance).is_some()), has.rules);
    let roles = is_asked(of.own_role().is_some_and(|claim| asked_for(&claim.stance).is_some()), has.roles);
    let is_something = of.state.is_some() || !statements.is_empty() || rules + roles > 0;
    Some(Share { statements, objects: usize::from(is_something), rules, roles })
}

fn asked_for<W>(stance: &claims::Stance<W>) -> Option<&W> {
    match stance {
        claims::Stance::Wants(wanted) | claims::Stance::Holds(Some(wanted), _) => Some(wanted),
        _ => None,
    }
}

/// What the registry's owner would be asked for what the object has.
fn recorded(of: &Contribution, key: &RegistryKey) -> Vec<Asked> {
    let statements = (!of.has.is_empty()).then(|| Asked::of_statements(&of.has, of.id.kind, key));
    let rule = of.things.rule.as_ref().map(|rule| Asked::of_recorded(rule, true));
    let role = of.things.role.as_ref().map(Asked::of_recorded_role);
    statements.into_iter().chain(rule).chain(role).collect()
}

/// It keeps what it has and still asks for, and gets nothing more.
fn refuse(contribution: &mut Contribution, exceeded: &Exceeded) {
    let because = exceeded.because();
    let stance = match &contribution.stance {
        Stance::Wants(wanted) => kept(&contribution.has, wanted),
        Stance::Holds(floor, _) => floor.clone(),
        _ => return,
    };
    contribution.stance = Stance::Keeps(stance, because.clone());
    contribution.awaits_finalizer = false;
    if contribution.is_guest {
        return;
    }
    if let Some(rule) = contribution.rule.as_mut().filter(|claim| asked_for(&claim.stance).is_some()) {
        rule.stance = claims::Stance::Keeps(because.clone());
    }
    if let Some(role) = contribution.role.as_mut().filter(|claim| asked_for(&claim.stance).is_some()) {
        role.stance = claims::Stance::Keeps(because);
    }
}
