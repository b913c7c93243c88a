//! What AWS does not take, or shows otherwise than it was written: whom it concerns keeps it on record and is told, and
//! everybody else has what the plan says.

use std::collections::{BTreeMap, BTreeSet};

use super::{Composition, Deciding, Plan};
use crate::ownership::Sid;
use crate::pass::compile::{Contribution, Desired, Stance};
use crate::pass::orphans::Word;
use crate::pass::rejected::allowed_to;
use crate::policy::{Effect, Principal, Statement, compact};
use crate::reason::{Because, Reason};

impl Plan {
    /// What an object may have.
    fn entitled<'c>(&self, contribution: &'c Contribution) -> &'c [Statement] {
        match &contribution.stance {
            Stance::Wants(statements) | Stance::Keeps(statements, _) | Stance::Holds(statements, _) => statements,
            Stance::Orphaned(statements) | Stance::Retained(statements) if self.said.of(contribution) == Word::None => {
                statements
            }
            _ => &[],
        }
    }

    /// What an object has on record for a principal that AWS may not take stays on record, and it is told.
    pub(super) fn keep_rejected(&mut self, contribution: &Contribution, deciding: &Deciding<'_>) {
        let (rejected, certain) = &deciding.rejected;
        if rejected.is_empty() {
            return;
        }
        let entitled = self.entitled(contribution);
        let id = &contribution.id;
        let asked = allowed_to(entitled, rejected);
        let named: BTreeSet<_> = asked.iter().flat_map(|atom| &atom.principals).cloned().collect();
        if named.is_empty() {
            return;
        }
        self.verdicts.entry(id.clone()).or_insert_with(|| not_taken(&named, certain));
        let had = allowed_to(&contribution.has, rejected);
        let kept: Vec<_> = asked.into_iter().filter(|atom| had.iter().any(|has| atom.is_within(has))).collect();
        self.without_growth.entry(id.clone()).or_default().extend(kept.iter().cloned());
        self.rejected.extend(kept);
    }

    /// Names these in no Allow of ours, whoever has them.
    pub fn leave_out(&mut self, principals: &BTreeSet<Principal>) {
        self.left_out.extend(principals.iter().cloned());
    }

    /// Whom our Allows that stand there name.
    pub fn allowed(&self) -> BTreeSet<Principal> {
        let allows = self.standing.granted.iter().filter(|atom| atom.effect == Effect::Allow);
        allows.flat_map(|atom| &atom.principals).cloned().collect()
    }

    /// The statements that stand there otherwise than they were written, if all else is as wanted.
    pub fn differs_only_in(&self, composition: &Composition) -> Option<BTreeMap<Sid, Statement>> {
        let Self { standing, released, .. } = self;
        let there: BTreeSet<_> = standing.intact.union(&standing.disturbed).collect();
        let is_alike = released.is_empty() && standing.taken_over.is_empty() && composition.ours.keys().eq(there);
        let differing = composition.ours.iter().filter(|(sid, _)| standing.disturbed.contains(*sid));
        is_alike.then(|| differing.map(|(sid, statement)| (sid.clone(), statement.clone())).collect())
    }

    /// Takes these for what they were written as: who has a part in them keeps it on record and is told, and everybody else
    /// has what stands there.
    pub fn accept_differing(&mut self, differing: &BTreeMap<Sid, Statement>, desired: &Desired) {
        let part_of = |atom: &Statement| differing.iter().find(|(_, whole)| atom.is_within(whole)).map(|(sid, _)| sid);
        for contribution in &desired.contributions {
            let entitled = self.entitled(contribution);
            let is_its_own = |atom: &Statement| entitled.iter().any(|statement| atom.is_within(statement));
            let has = contribution.has.iter().flat_map(Statement::atoms).filter(is_its_own);
            let parts: Vec<_> = has.filter_map(|atom| Some((part_of(&atom)?, atom))).collect();
            let Some((sid, _)) = parts.first() else { continue };
            self.verdicts.entry(contribution.id.clone()).or_insert_with(|| differs(sid));
            let kept = self.without_growth.entry(contribution.id.clone()).or_default();
            *kept = compact(kept.drain(..).chain(parts.into_iter().map(|(_, atom)| atom))).into_iter().collect();
        }
    }
}

/// What an object is told that has a part in a statement which AWS shows otherwise than it was written.
fn differs(sid: &Sid) -> Because {
    let message = format!(
        "AWS shows statement {sid} of the registry policy otherwise than it was written, twice: it is not written again as it is. Compare it with the object, and report it."
    );
    Because::new(Reason::ReadbackDiffers, message)
}

/// What an object is told that names a principal AWS may not take.
fn not_taken(named: &BTreeSet<Principal>, certain: &BTreeSet<Principal>) -> Because {
    let list = |all: Vec<&Principal>| all.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let refused: Vec<_> = named.intersection(certain).collect();
    if refused.is_empty() {
        let message = format!(
            "AWS refused the registry policy, and took it without {}: whom it refuses is being looked for, and everybody else is put back.",
            list(named.iter().collect())
        );
        return Because::new(Reason::Progressing, message);
    }
    let message = format!(
        "AWS takes no registry policy any more that names {}: a closed account, perhaps. It is left out, everything else stands, and it is tried again now and then. Remove it from the object, or put it right.",
        list(refused)
    );
    Because::new(Reason::Rejected, message)
}
