//! What would be written: the statements of all contributions, put into what AWS has, as far as they fit and are allowed
//! to grow. Pure: it never asks AWS, and a document it makes can be written as it is.

mod exceptions;

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Contribution, Desired, Stance, is_v1, principal_gone};
use super::holds::Holds;
use super::ledger::DocumentRecord;
use super::memory::Memory;
use super::objects::ObjectId;
use super::orphans::{Orphans, Said, Word};
use super::queue::Now;
use super::rejected::allowing_without;
use super::scope::{self, ScopeView};
use super::standing::{Known, Standing};
use super::steps;
use crate::api::LedgerState;
use crate::names::Partition;
use crate::ownership::{InstallationId, Sid};
use crate::policy::{
    Document, Effect, Fitting, Principal, REGISTRY_POLICY_LIMIT, Statement, Stored, TooLarge, compact, fit, merge, same,
};
use crate::reason::{Because, Reason};

/// What was read before planning.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// `None`: there is no policy.
    pub document: Option<&'a Document>,
    pub record: Option<&'a DocumentRecord>,
    /// `None`: nothing rests on it, or it could not be read.
    pub scope: Option<ScopeView>,
}

/// An object's grants that are not all in AWS yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    pub id: ObjectId,
    /// What it has there, and keeps if it may not grow.
    pub from: Vec<Statement>,
    pub to: Vec<Statement>,
    /// What it keeps where even `from`, which may be a narrower and longer text than what stands, has no room: grants that
    /// stand there as they are, and none that it is not to have.
    stands: Vec<Statement>,
    /// It had all this before: somebody else took it away.
    pub restores: bool,
}

/// What a write would do.
#[derive(Clone, Debug)]
pub struct Composition {
    pub ours: BTreeMap<Sid, Statement>,
    pub write: Write,
}

#[derive(Clone, Debug)]
pub enum Write {
    Put(Fitting<Document>),
    /// No statement is left, and AWS has no empty policy.
    Delete,
}

/// An object's grants that are all in AWS already, though perhaps in wider statements.
#[derive(Clone, Debug)]
struct Settled {
    id: ObjectId,
    statements: Vec<Statement>,
    stands: Vec<Statement>,
}

/// A statement that leaves our hands and stays, under its new Sid.
#[derive(Clone, Debug)]
struct Released {
    /// Nobody, if no object ever claimed it.
    id: Option<ObjectId>,
    sid: String,
    statement: Statement,
    stands: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub struct Plan {
    document: Option<Document>,
    known: Known,
    pub standing: Standing,
    settled: Vec<Settled>,
    pub growth: Vec<Growth>,
    /// Indexes of the growth that fits.
    pub admitted: Vec<usize>,
    released: Vec<Released>,
    /// What stands of what is on record and not believed.
    protected: Vec<Statement>,
    /// What is on record for principals that AWS may not take any more.
    rejected: Vec<Statement>,
    /// Principals that are named in no Allow of ours.
    left_out: BTreeSet<Principal>,
    /// Objects that are not given back now what somebody took from them; they keep their claim to it.
    pub withheld: BTreeSet<ObjectId>,
    /// What each object will have if nothing grows.
    pub without_growth: BTreeMap<ObjectId, Vec<Statement>>,
    /// What each object has in AWS now, if nothing is written at all.
    pub as_it_is: BTreeMap<ObjectId, Vec<Statement>>,
    /// What keeps an object from what it wants.
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// What the Registry must say.
    pub findings: Vec<Because>,
    pub switch_scope: bool,
    pub orphans: Orphans,
    /// What a person has said of them.
    said: Said,
    /// Namespaces whose additions AWS refused last.
    suspects: BTreeSet<String>,
    /// Our Sids that stood there at our last write and do not stand there as we wrote them.
    pub drift: BTreeSet<Sid>,
}

/// Brings what is wanted and what is there together.
pub fn plan(
    desired: &Desired,
    observed: &Observed<'_>,
    installation: &InstallationId,
    partition: Partition,
    memory: &mut Memory,
    now: Now,
) -> Plan {
    let known = Known::new(installation, partition, observed.record, desired);
    let standing = Standing::of(observed.document, &known);
    let drift = drift(observed.record, &standing);
    let scope = scope::decide(desired, observed, partition, &known);
    let mut unclaimed = standing.unclaimed(&desired.contributions, &desired.protected);
    unclaimed.retain(|atom| !memory.gave_up(atom));
    let orphans = Orphans::find(desired, unclaimed);
    let said = orphans.said();
    let protected = standing.exactly(&desired.protected);
    let mut plan = Plan {
        document: observed.document.cloned(),
        known,
        standing,
        settled: Vec::new(),
        growth: Vec::new(),
        admitted: Vec::new(),
        released: Vec::new(),
        protected,
        rejected: Vec::new(),
        left_out: memory.rejected.left_out(),
        withheld: BTreeSet::new(),
        without_growth: BTreeMap::new(),
        as_it_is: BTreeMap::new(),
        verdicts: BTreeMap::new(),
        findings: scope.findings.clone(),
        switch_scope: scope.switch,
        orphans,
        said,
        suspects: memory.suspects.in_turn().into_iter().collect(),
        drift,
    };
    let refused = desired
        .contributions
        .iter()
        .filter(|c| memory.refusal(&c.id, c.wanted.as_deref().unwrap_or_default(), now).is_some());
    let refused = refused.map(|c| c.id.clone()).collect();
    let certain = memory.rejected.certain().cloned().collect();
    let rejected = (memory.rejected.all(), certain);
    let contended = memory.is_contended(now);
    let deciding = Deciding { scope: &scope, refused, rejected, contended, holds: &desired.holds };
    for contribution in &desired.contributions {
        plan.place(contribution, &deciding);
        plan.keep_rejected(contribution, &deciding);
    }
    if plan.orphans.nameless.said == Word::Release {
        let unclaimed: Vec<_> = plan.orphans.unclaimed.iter().cloned().collect();
        plan.release(None, &unclaimed);
    }
    plan.make_room();
    plan.admit();
    plan.report_findings(&deciding);
    plan
}

/// What of ours stood there at the last write and does not stand there now.
fn drift(record: Option<&DocumentRecord>, standing: &Standing) -> BTreeSet<Sid> {
    let written = record.into_iter().flat_map(|record| &record.sids).filter_map(|sid| sid.parse::<Sid>().ok());
    written.filter(|sid| !standing.intact.contains(sid) || standing.disturbed.contains(sid)).collect()
}

struct Deciding<'a> {
    scope: &'a scope::Decision,
    /// Objects whose growth AWS has just refused.
    refused: BTreeSet<ObjectId>,
    /// Principals that AWS may not take any more, and those of them that it refuses for certain.
    rejected: (BTreeSet<Principal>, BTreeSet<Principal>),
    contended: bool,
    holds: &'a Holds,
}

impl Plan {
    fn place(&mut self, contribution: &Contribution, deciding: &Deciding<'_>) {
        let id = &contribution.id;
        let may_have: Vec<_> = contribution.has.iter().chain(contribution.wanted.iter().flatten()).cloned().collect();
        self.as_it_is.insert(id.clone(), self.standing.present(&may_have));
        match &contribution.stance {
            Stance::Wants(wanted) => self.place_wanted(contribution, wanted, deciding),
            Stance::Keeps(floor, because) => {
                self.verdicts.insert(id.clone(), because.clone());
                // While a write is on record, or nothing is, what it has is what AWS shows of it: the rest perhaps never was there.
                let restorable = contribution.state.is_some_and(|state| state != LedgerState::Writing);
                self.grow(contribution, floor, restorable, restorable, deciding);
            }
            Stance::Holds(floor, because) => {
                self.verdicts.insert(id.clone(), because.clone());
                self.settle_standing(id, self.standing.present(floor));
            }
            Stance::Leaves => drop(self.without_growth.insert(id.clone(), Vec::new())),
            Stance::Released(statements) => {
                self.release(Some(id), statements);
                self.without_growth.insert(id.clone(), Vec::new());
            }
            Stance::Orphaned(statements) | Stance::Retained(statements) => {
                match self.said.of(contribution) {
                    Word::None => return self.settle_standing(id, self.standing.present(statements)),
                    Word::Prune => {}
                    Word::Release => self.release(Some(id), statements),
                }
                self.without_growth.insert(id.clone(), Vec::new());
            }
        }
    }

    fn place_wanted(&mut self, contribution: &Contribution, wanted: &[Statement], deciding: &Deciding<'_>) {
        let wanted = &allowing_without(wanted, &deciding.rejected.0)[..];
        let id = &contribution.id;
        if let Some(because) = deciding.scope.refusal(wanted) {
            self.verdicts.insert(id.clone(), because);
            let enforced = self.standing.kept(&contribution.has, wanted).into_iter().filter(is_v1).collect();
            self.settle_standing(id, enforced);
            return;
        }
        let gone = self.standing.gone.clone();
        let names_gone = |s: &Statement| s.principals.iter().any(|p| gone.contains(p));
        if wanted.iter().any(names_gone) && contribution.has.iter().any(names_gone) {
            let principals = wanted.iter().flat_map(|s| s.principals.intersection(&gone)).cloned().collect();
            self.verdicts.insert(id.clone(), principal_gone(&principals));
            self.grow(contribution, &without(wanted, &gone), false, true, deciding);
            return;
        }
        let had = contribution.state.is_some_and(|state| state != LedgerState::Writing);
        // Who has given something up is not given it back, but grows into what it wants instead.
        let all_within = |these: &[Statement], those: &[Statement]| {
            these.iter().flat_map(Statement::atoms).all(|atom| those.iter().any(|statement| atom.is_within(statement)))
        };
        let restores = had && all_within(wanted, &contribution.has) && all_within(&contribution.has, wanted);
        self.grow(contribution, wanted, restores, true, deciding);
    }

    /// The object is to have `to`: what AWS does not have of it yet is growth, if it may grow at all now.
    fn grow(&mut self, of: &Contribution, to: &[Statement], restores: bool, may_grow: bool, deciding: &Deciding<'_>) {
        let from = self.standing.kept(&of.has, to);
        let stands = self.standing.exactly(&from);
        let to: Vec<_> = compact(to.to_vec()).into_iter().collect();
        let is_whole = same(&from, &to);
        let held = deciding.holds.of(of.id.kind).filter(|_| !is_whole && may_grow);
        let withheld = restores && (deciding.contended || deciding.refused.contains(&of.id) || held.is_some());
        if !is_whole && withheld {
            self.withheld.insert(of.id.clone());
        }
        self.without_growth.insert(of.id.clone(), from.clone());
        let is_held = held.is_some();
        if let Some(because) = held {
            self.verdicts.entry(of.id.clone()).or_insert(because);
        }
        if is_whole || withheld || is_held || !may_grow {
            self.settled.push(Settled { id: of.id.clone(), statements: from, stands });
        } else {
            self.growth.push(Growth { id: of.id.clone(), from, to, stands, restores });
        }
    }

    /// The object has this and nothing grows; where there is no room, what stands there exactly.
    fn settle_standing(&mut self, id: &ObjectId, statements: Vec<Statement>) {
        let stands = self.standing.exactly(&statements);
        self.without_growth.insert(id.clone(), statements.clone());
        self.settled.push(Settled { id: id.clone(), statements, stands });
    }

    /// The statements stay under a Sid that is not ours; one that stands there already was written by an earlier try.
    fn release(&mut self, id: Option<&ObjectId>, released: &[Statement]) {
        for statement in self.standing.present(released) {
            let sid = released_sid(&statement);
            let stands = self.document.iter().flat_map(Document::statements).any(|s| s.sid() == Some(sid.as_str()));
            if !stands {
                let stands = self.standing.exactly(std::slice::from_ref(&statement));
                self.released.push(Released { id: id.cloned(), sid, statement, stands });
            }
        }
    }

    /// A narrower text can be a longer one. Where what has to stay has no room as it should be, one object after the
    /// other loses what does not stand there exactly, and says so: nobody else's change waits for it, and nobody keeps more
    /// than it is to have.
    fn make_room(&mut self) {
        let Err(too_large) = self.compose(&[]) else { return };
        if self.is_as_it_stands(&self.ours(&[])) {
            return;
        }
        for i in 0..self.settled.len() {
            let Some(settled) = self.settled.get_mut(i).filter(|settled| settled.statements != settled.stands) else {
                continue;
            };
            settled.statements.clone_from(&settled.stands);
            let (id, stands) = (settled.id.clone(), settled.stands.clone());
            if self.has_no_room(id, &stands, &too_large) {
                return;
            }
        }
        for i in 0..self.growth.len() {
            let Some(growth) = self.growth.get_mut(i).filter(|growth| growth.from != growth.stands) else { continue };
            growth.from.clone_from(&growth.stands);
            let (id, stands) = (growth.id.clone(), growth.stands.clone());
            if self.has_no_room(id, &stands, &too_large) {
                return;
            }
        }
        // Left behind under a Sid of their own they need more room than joined with others': then they stay ours.
        while let Some(Released { id, stands, .. }) = self.released.pop() {
            let has_room = if let Some(id) = id {
                self.settled.push(Settled { id: id.clone(), statements: stands.clone(), stands: stands.clone() });
                self.has_no_room(id, &stands, &too_large)
            } else {
                self.protected.extend(stands);
                self.compose(&[]).is_ok()
            };
            if has_room {
                return;
            }
        }
    }

    /// Notes that the object keeps what stands; whether that made enough room.
    fn has_no_room(&mut self, id: ObjectId, stands: &[Statement], too_large: &TooLarge) -> bool {
        self.verdicts.entry(id.clone()).or_insert_with(|| does_not_fit(too_large));
        self.without_growth.insert(id, stands.to_vec());
        self.compose(&[]).is_ok()
    }

    /// What of ours is to stand in the policy if exactly these grow.
    fn ours(&self, admitted: &[usize]) -> BTreeMap<Sid, Statement> {
        let grown = self.growth.iter().enumerate().map(
            |(i, growth)| {
                if admitted.contains(&i) { &growth.to } else { &growth.from }
            },
        );
        let unclaimed = self.orphans.unclaimed.iter().filter(|_| self.orphans.nameless.said == Word::None);
        let unclaimed = unclaimed.chain(&self.orphans.undecided);
        let settled = self.settled.iter().flat_map(|settled| &settled.statements);
        let statements = grown.flatten().chain(settled).chain(unclaimed).chain(&self.protected).chain(&self.rejected);
        let statements: Vec<_> = statements.cloned().collect();
        compact(allowing_without(&statements, &self.left_out))
            .into_iter()
            .map(|s| (self.known.installation.sid(&s), s))
            .collect()
    }

    /// What is written if exactly these grow.
    pub fn compose(&self, admitted: &[usize]) -> Result<Composition, TooLarge> {
        let ours = self.ours(admitted);
        let mut document = merge(self.document.as_ref(), &ours, |stored: &Stored| self.known.is_ours(stored));
        for Released { sid, statement, .. } in &self.released {
            document.append(sid, statement);
        }
        let partition = self.known.partition;
        let put = |document| Ok(Write::Put(fit(document, REGISTRY_POLICY_LIMIT, partition)?));
        let write = if document.is_empty() { Write::Delete } else { put(document)? };
        Ok(Composition { ours, write })
    }

    /// Whether AWS already has exactly this.
    pub fn is_done(&self, composition: &Composition) -> bool {
        self.is_as_it_stands(&composition.ours)
            && !(matches!(composition.write, Write::Delete) && self.document.is_some())
    }

    fn is_as_it_stands(&self, ours: &BTreeMap<Sid, Statement>) -> bool {
        self.released.is_empty()
            && self.standing.disturbed.is_empty()
            && self.standing.taken_over.is_empty()
            && ours.keys().eq(&self.standing.intact)
    }

    /// Whether nothing is to be written, though what stands there may be longer than what AWS would take.
    pub fn stands_as_wanted(&self) -> bool {
        self.document.is_some() && self.is_as_it_stands(&self.ours(&self.admitted))
    }

    /// Lets everything grow that fits: all at once if it can be, else one by one, those who only get back what was
    /// theirs first, and last those of which AWS may take nothing.
    fn admit(&mut self) {
        let mut order: Vec<usize> = (0..self.growth.len()).collect();
        if self.compose(&order).is_ok() {
            self.admitted = order;
            return;
        }
        let is_suspect = |growth: &Growth| self.suspects.contains(&growth.id.namespace);
        order.sort_by_key(|i| self.growth.get(*i).map(|growth| (is_suspect(growth), !growth.restores)));
        for i in order {
            self.admitted.push(i);
            if let Err(too_large) = self.compose(&self.admitted) {
                self.admitted.pop();
                if let Some(growth) = self.growth.get(i) {
                    self.verdicts.insert(growth.id.clone(), does_not_fit(&too_large));
                    if growth.restores {
                        self.withheld.insert(growth.id.clone());
                    }
                }
            }
        }
        self.admitted.sort_unstable();
    }

    /// Narrows what may grow to a probe's objects.
    pub fn admit_only(&mut self, may: impl Fn(&Growth) -> bool) {
        let growth = &self.growth;
        self.admitted.retain(|i| growth.get(*i).is_some_and(&may));
    }

    /// Lets nothing grow, and keeps every Deny of ours that stands: without it somebody would have more than before.
    pub fn narrow(&mut self) {
        self.admitted.clear();
        let denials = self.standing.granted.iter().filter(|atom| atom.effect == Effect::Deny);
        self.protected.extend(denials.cloned());
    }

    /// Leaves out the growth of these objects, and says why.
    pub fn hold_back(&mut self, ids: &BTreeSet<ObjectId>, because: &Because) {
        let held = self.growth.iter().map(|growth| &growth.id).filter(|id| ids.contains(*id));
        for id in held {
            self.verdicts.entry(id.clone()).or_insert_with(|| because.clone());
        }
        self.admit_only(|growth| !ids.contains(&growth.id));
    }

    fn report_findings(&mut self, deciding: &Deciding<'_>) {
        self.findings.extend(deciding.holds.shared.clone());
        if !self.standing.forged.is_empty() {
            let sids: Vec<_> = self.standing.forged.iter().map(Sid::as_str).collect();
            let message = format!(
                "Statements carry a Sid of this operator over content it never wrote; they are left alone: {}. Remove them in AWS.",
                sids.join(", ")
            );
            self.findings.push(Because::new(Reason::SidTampered, message));
        }
        if deciding.contended && !self.drift.is_empty() {
            let sids: Vec<_> = self.drift.iter().map(Sid::as_str).collect();
            let message = format!(
                "Somebody else keeps writing this policy: {} were put back three times in ten minutes. Find the other writer (CloudTrail, PutRegistryPolicy); they are put back again later.",
                sids.join(", ")
            );
            self.findings.push(Because::new(Reason::ContendedWriter, message));
        }
    }

    /// What a person would read: a line a change.
    pub fn steps(&self, composition: &Composition) -> Vec<String> {
        steps::describe(self, composition)
    }

    pub fn partition(&self) -> Partition {
        self.known.partition
    }

    pub(super) fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    pub(super) fn released(&self) -> impl Iterator<Item = (&str, &Statement)> {
        self.released.iter().map(|released| (released.sid.as_str(), &released.statement))
    }
}

fn does_not_fit(too_large: &TooLarge) -> Because {
    let message = format!(
        "The registry policy would have {} characters, and AWS takes {}. What stands of the object's already stays; shorten it, or remove statements of others.",
        too_large.characters, too_large.limit
    );
    Because::new(Reason::PolicyTooLarge, message)
}

/// The Sid of a statement that was released: deterministic, and not ours to touch.
fn released_sid(statement: &Statement) -> String {
    format!("Released{}", crate::policy::digest::digest(&statement.canonical()))
}

/// The statements without some principals.
pub fn without(statements: &[Statement], gone: &BTreeSet<Principal>) -> Vec<Statement> {
    statements
        .iter()
        .map(|s| Statement { principals: s.principals.difference(gone).cloned().collect(), ..s.clone() })
        .filter(|s| !s.principals.is_empty())
        .collect()
}
