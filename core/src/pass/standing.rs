//! Whose the statements in AWS are: foreign, ours as we wrote them, ours and changed, ours and unclaimed.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Contribution, Desired, Stance};
use super::ledger::DocumentRecord;
use crate::names::Partition;
use crate::ownership::{InstallationId, Mark, Sid, is_intact};
use crate::policy::{Document, Effect, Principal, Statement, Stored, atoms, compact, intersect, merge};
use crate::reason::Aspect;

/// What a document in AWS holds, seen from one installation.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Fingerprints of the foreign statements, in order.
    pub foreign: Vec<String>,
    /// Our statements as we wrote them.
    pub intact: BTreeSet<Sid>,
    /// Sids of ours that stand there more than once, or with other content than they were made of.
    pub disturbed: BTreeSet<Sid>,
    /// Another installation's statements, as it wrote them, that are ours now: they get our Sids.
    pub taken_over: BTreeSet<Sid>,
    /// Statements that carry our mark over content that is not ours, and that we never wrote: left alone.
    pub forged: BTreeSet<Sid>,
    /// Everything granted under our Sids now, one principal each.
    pub granted: BTreeSet<Statement>,
    /// What is granted by statements of ours that neither the last write nor anybody's grants account for.
    pub strangers: BTreeSet<Statement>,
    /// Principals of ours that AWS shows as deleted.
    pub gone: BTreeSet<Principal>,
    /// Whom `granted` speaks of.
    pub(super) names: BTreeSet<Principal>,
}

/// Which Sids under our mark are ours to replace or remove, whatever their content has become.
#[derive(Clone, Debug)]
pub struct Known {
    pub installation: InstallationId,
    pub partition: Partition,
    /// Installations whose statements become ours.
    take_over: BTreeSet<InstallationId>,
    pub written: BTreeSet<Sid>,
    /// What each of those Sids was made of.
    made_of: BTreeMap<Sid, Statement>,
    /// Everything anybody has or wants.
    claims: Vec<Statement>,
}

impl Known {
    /// From the record of the last write and from what the contributions have and want.
    pub fn new(
        installation: &InstallationId,
        partition: Partition,
        record: Option<&DocumentRecord>,
        desired: &Desired,
    ) -> Self {
        let contributions = &desired.contributions;
        let mut written: BTreeSet<Sid> =
            record.into_iter().flat_map(|record| &record.sids).filter_map(|sid| sid.parse().ok()).collect();
        let has = contributions.iter().flat_map(|c| c.has.clone());
        let wants = contributions.iter().flat_map(|c| match &c.stance {
            Stance::Wants(wanted) => wanted.clone(),
            _ => Vec::new(),
        });
        let mut made_of = BTreeMap::new();
        for statement in compact(has).into_iter().chain(compact(wants)) {
            made_of.insert(installation.sid(&statement), statement);
        }
        written.extend(made_of.keys().cloned());
        let claims = contributions.iter().flat_map(|c| c.has.iter().chain(c.wanted.iter().flatten()));
        let claims = claims.chain(&desired.protected).cloned().collect();
        let take_over = desired.take_over.clone();
        Self { installation: installation.clone(), partition, take_over, written, made_of, claims }
    }

    /// Whether we may replace or remove this statement.
    pub fn is_ours(&self, stored: &Stored) -> bool {
        match self.installation.read(stored.sid()) {
            Mark::Ours(sid) => self.written.contains(&sid) || is_intact(&sid, stored.normal(self.partition).as_ref()),
            Mark::OtherInstallation(installation, sid) => self.is_taken_over(&installation, &sid, stored),
            Mark::Foreign => false,
        }
    }

    /// How long the document is without a statement of ours, sent as short as it can be.
    pub fn characters_of_others(&self, document: Option<&Document>) -> usize {
        let others = merge(document, &BTreeMap::new(), |stored: &Stored| self.is_ours(stored));
        others.shortened(self.partition).to_text().chars().count()
    }

    /// Whether another installation's statement is ours now. One that somebody changed was never wholly the other's.
    fn is_taken_over(&self, installation: &InstallationId, sid: &Sid, stored: &Stored) -> bool {
        self.take_over.contains(installation) && is_intact(sid, stored.normal(self.partition).as_ref())
    }
}

impl Standing {
    pub fn of(document: Option<&Document>, known: &Known) -> Self {
        let mut standing = Self::default();
        let claims = LazyCell::new(|| Claims::new(&known.claims));
        for stored in document.map(Document::statements).unwrap_or_default() {
            let sid = match known.installation.read(stored.sid()) {
                Mark::Ours(sid) => sid,
                Mark::OtherInstallation(_, sid) if known.is_ours(stored) => {
                    standing.granted.extend(stored.normal(known.partition).iter().flat_map(Statement::atoms));
                    standing.taken_over.insert(sid);
                    continue;
                }
                Mark::Foreign | Mark::OtherInstallation(..) => {
                    standing.foreign.push(stored.fingerprint(known.partition));
                    continue;
                }
            };
            let content = stored.normal(known.partition);
            let intact = is_intact(&sid, content.as_ref());
            if !intact && !known.written.contains(&sid) {
                standing.forged.insert(sid);
                standing.foreign.push(stored.fingerprint(known.partition));
                continue;
            }
            if !intact || !standing.intact.insert(sid.clone()) {
                standing.disturbed.insert(sid.clone());
            }
            let Some(content) = content else { continue };
            if !intact && content.principals.iter().any(Principal::is_unique_id) {
                standing.gone.extend(deleted_principals(known.made_of.get(&sid), &content));
            }
            // Of what somebody changed, only what one of ours has or wants is ours; the rest goes when it is put right.
            if !known.written.contains(&sid) {
                standing.strangers.extend(content.atoms().filter(|atom| !claims.cover(atom)));
            }
            standing.granted.extend(content.atoms().filter(|atom| intact || claims.cover(atom)));
        }
        standing.names = standing.granted.iter().flat_map(|atom| atom.principals.iter().cloned()).collect();
        standing
    }

    /// The part of what somebody has that AWS grants now: what stands there whole, and of what does not, the part that
    /// an earlier narrowing left of it.
    pub fn present(&self, has: &[Statement]) -> Vec<Statement> {
        let near = has.iter().flat_map(|statement| self.near(statement));
        let (whole, missing): (BTreeSet<_>, BTreeSet<_>) = near.partition(|atom| self.grants(atom));
        let left = missing.iter().flat_map(|atom| self.left_of(atom));
        let left: Vec<_> = left.filter(|part| !whole.iter().any(|w| part.is_within(w))).collect();
        compact(whole.into_iter().chain(left)).into_iter().collect()
    }

    /// What somebody who has `has` keeps of `wanted` if nothing may be added: what AWS grants of it whole, and where a
    /// wanted statement reaches further than what stands there, the part that both have in common. Its denials that
    /// stand there stay too: without them it would have more than before.
    pub fn kept(&self, has: &[Statement], wanted: &[Statement]) -> Vec<Statement> {
        let present = self.present(has);
        let (allows, denials): (Vec<_>, Vec<_>) = present.into_iter().partition(|s| s.effect == Effect::Allow);
        // What others have does not count as its own: only what stands there exactly, or within what it has itself.
        let there = |atom: &Statement| {
            self.granted.contains(atom) || allows.iter().chain(&denials).any(|own| atom.is_within(own))
        };
        let (whole, missing): (BTreeSet<_>, BTreeSet<_>) =
            wanted.iter().flat_map(|statement| self.near(statement)).partition(there);
        let is_near = |principal: &Principal| self.speaks_of(principal);
        if missing.is_empty() && wanted.iter().all(|statement| statement.principals.iter().all(is_near)) {
            return compact(whole).into_iter().collect();
        }
        let common = atoms(intersect(&allows, &allowed(wanted).cloned().collect::<Vec<_>>()));
        let parts: Vec<_> = common.into_iter().filter(|part| !whole.iter().any(|w| part.is_within(w))).collect();
        let denials = denials.iter().flat_map(Statement::atoms).collect::<Vec<_>>();
        compact(whole.into_iter().chain(parts).chain(denials)).into_iter().collect()
    }

    /// Of what somebody has, the grants that stand there exactly as they are: writing them again makes nothing longer.
    pub fn exactly(&self, has: &[Statement]) -> Vec<Statement> {
        compact(has.iter().flat_map(|statement| self.near(statement)).filter(|atom| self.granted.contains(atom)))
            .into_iter()
            .collect()
    }

    /// The grants of a statement of which something may stand there: to nobody else is anything expanded.
    fn near(&self, statement: &Statement) -> impl Iterator<Item = Statement> {
        let near = statement.principals.iter().filter(|principal| self.speaks_of(principal));
        near.map(|principal| statement.to(principal))
    }

    /// Whether something granted is to the principal, to whoever covers it, or to somebody it covers.
    fn speaks_of(&self, principal: &Principal) -> bool {
        let everyone = &Principal::Everyone;
        principal == everyone || self.names.contains(everyone) || self.names.contains(principal)
    }

    fn grants(&self, atom: &Statement) -> bool {
        self.granted.contains(atom) || self.granted.iter().any(|granted| atom.is_within(granted))
    }

    /// What stands there of a grant that does not stand there whole; of a denial, what denies part of it.
    fn left_of(&self, atom: &Statement) -> Vec<Statement> {
        if atom.effect == Effect::Deny {
            return self.granted.iter().filter(|granted| granted.is_within(atom)).cloned().collect();
        }
        let near: Vec<_> = allowed(&self.granted).filter(|granted| may_overlap(granted, atom)).cloned().collect();
        intersect(&near, std::slice::from_ref(atom))
    }

    /// What AWS grants under our mark and nobody has, wants or gives up. Who is held gets nothing new, and so does not
    /// want it in this sense: what stands there may be its own, of which the record was lost.
    pub fn unclaimed(&self, contributions: &[Contribution], protected: &[Statement]) -> BTreeSet<Statement> {
        let is_held =
            |c: &&Contribution| matches!(&c.stance, Stance::Holds(_, why) if why.reason.aspect() > Aspect::Accepted);
        let wanting = contributions.iter().filter(|c| !is_held(c));
        let wanted = wanting.flat_map(|c| c.wanted.iter().flatten());
        let claims = Claims::new(contributions.iter().flat_map(|c| &c.has).chain(protected).chain(wanted));
        let claimed = |atom: &Statement| claims.cover(atom) || atom.principals.iter().any(Principal::is_unique_id);
        self.granted.iter().filter(|atom| !claimed(atom)).cloned().collect()
    }
}

/// Statements by whom they speak of.
struct Claims<'a>(BTreeMap<&'a Principal, Vec<&'a Statement>>);

impl<'a> Claims<'a> {
    fn new(statements: impl IntoIterator<Item = &'a Statement>) -> Self {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for statement in statements {
            for principal in &statement.principals {
                all.entry(principal).or_default().push(statement);
            }
        }
        Self(all)
    }

    /// Whether one of them covers a grant for one principal.
    fn cover(&self, atom: &Statement) -> bool {
        let who = atom.principals.iter().chain([&Principal::Everyone]);
        who.filter_map(|principal| self.0.get(principal)).flatten().any(|claim| atom.is_within(claim))
    }
}

fn allowed<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> impl Iterator<Item = &'a Statement> {
    statements.into_iter().filter(|statement| statement.effect == Effect::Allow)
}

/// Whether two grants can have anything in common, told by who they are for.
fn may_overlap(a: &Statement, b: &Statement) -> bool {
    let everyone = |statement: &Statement| statement.principals.contains(&Principal::Everyone);
    !a.principals.is_disjoint(&b.principals) || everyone(a) || everyone(b)
}

/// AWS replaces a deleted role or user by its unique id: whoever is missing beside such ids is gone.
fn deleted_principals(made_of: Option<&Statement>, content: &Statement) -> Vec<Principal> {
    let Some(made_of) = made_of else { return Vec::new() };
    let named = made_of.principals.iter().filter(|p| matches!(p, Principal::Aws(_)) && !p.is_unique_id());
    named.filter(|principal| !content.principals.contains(principal)).cloned().collect()
}

/// Whether a read must be confirmed by another before it is acted on: foreign statements are fewer than last time, or
/// the policy is gone (aws-facts K.3: reads may be stale, and a Put on a stale read erases what it did not show).
pub fn needs_confirmation(record: Option<&DocumentRecord>, absent: bool, standing: &Standing) -> bool {
    let Some(record) = record else { return absent };
    let fewer = record.foreign_hashes.iter().any(|hash| {
        let count = |all: &[String]| all.iter().filter(|other| *other == hash).count();
        count(&standing.foreign) < count(&record.foreign_hashes)
    });
    fewer || (absent && !(record.sids.is_empty() && record.foreign_hashes.is_empty()))
}
