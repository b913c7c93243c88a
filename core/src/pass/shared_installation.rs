//! Whether another cluster writes to AWS under the same installation id, as one restored from a snapshot of etcd does. The
//! sign is what nobody else does to the policy: intact marks of ours come, or go one by one, and no write of ours explains
//! it. A writer that replaces the whole document takes all of ours at once, and whoever wants a statement gone takes that one
//! again and again: that is contention.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::plan::Plan;
use super::queue::Now;
use super::standing::Standing;
use crate::ownership::Sid;
use crate::policy::Statement;
use crate::policy::digest::digest;
use crate::reason::{Because, Reason};

/// So many changes within the time mean that somebody else has the id.
const CHANGES: usize = 2;
const WITHIN: Duration = Duration::from_hours(24);

/// Of our marks, what a read shows that no write of ours explains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unexplained {
    /// What statements of ours grant that we never wrote, or that we took away.
    came: BTreeSet<Statement>,
    /// Statements of ours that are gone, while others of ours stayed.
    went: BTreeSet<Sid>,
    /// What is shown may be what stood before our last write.
    is_late: bool,
}

impl Unexplained {
    /// What a confirmed read shows. `is_late`: it may show what was before our last write.
    pub fn of(plan: &Plan, is_late: bool) -> Self {
        let Standing { strangers, intact, disturbed, .. } = &plan.standing;
        let took = plan.growth.iter().any(|growth| growth.restores) && !intact.is_empty();
        let went = plan.drift.iter().filter(|sid| took && !disturbed.contains(*sid));
        Self { came: strangers.clone(), went: went.cloned().collect(), is_late }
    }
}

/// What was seen of it.
#[derive(Clone, Debug, Default)]
pub struct SharedInstallation {
    /// The grants that came and are still there.
    came: BTreeSet<Statement>,
    /// All that went within the time.
    went: BTreeSet<Sid>,
    changes: VecDeque<Now>,
    /// Names what was noticed, for a person to answer.
    token: Option<String>,
}

impl SharedInstallation {
    /// What is on record of it, and what a person says.
    pub fn recall(&mut self, on_record: Option<&str>, answered: Option<&str>) {
        if self.token.is_none() {
            self.token = on_record.map(str::to_owned);
        }
        if self.token.is_some() && self.token.as_deref() == answered {
            self.token = None;
            self.changes.clear();
            self.went.clear();
        }
    }

    /// A confirmed read was seen. Whether it is noticed by it that somebody else has the id.
    pub fn saw(&mut self, unexplained: Unexplained, now: Now, salt: &str) -> bool {
        while self.changes.front().is_some_and(|at| now.saturating_sub(*at) > WITHIN) {
            self.changes.pop_front();
        }
        if self.changes.is_empty() {
            self.went.clear();
        }
        let Unexplained { mut came, mut went, is_late } = unexplained;
        if is_late {
            came.retain(|atom| self.came.contains(atom));
            went.clear();
        }
        let has_changed = !came.is_subset(&self.came) || !went.is_subset(&self.went);
        self.came = came;
        self.went.extend(went);
        if has_changed {
            self.changes.push_back(now);
        }
        let is_noticed = has_changed && self.token.is_none() && self.changes.len() >= CHANGES;
        if is_noticed {
            self.token = Some(digest(&format!("installation shared {salt}")));
        }
        is_noticed
    }

    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Why nothing grows and nothing is put back.
    pub fn because(&self, registry: &str) -> Option<Because> {
        let token = self.token.as_ref()?;
        let message = format!(
            "Somebody else writes statements of this installation id into the registry policy: another cluster, made from a copy of this one perhaps. Nothing is added or put back; what is to be withdrawn goes. Stop the other operator, then say that the id is this cluster's: kubectl annotate registries.ecr-permissions.dev {registry} --overwrite {}={token}",
            crate::api::INSTALLATION_IS_MINE
        );
        Some(Because::new(Reason::InstallationShared, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(account: &str) -> Statement {
        let text =
            r#"{"Effect":"Allow","Principal":{"AWS":["ACCOUNT"]},"Action":["ecr:batchgetimage"],"Resource":["*"]}"#;
        Statement::from_canonical(&text.replace("ACCOUNT", account)).unwrap()
    }

    fn came(accounts: &[&str]) -> Unexplained {
        let came = accounts.iter().map(|account| grant(account)).collect();
        Unexplained { came, ..Unexplained::default() }
    }

    fn went(accounts: &[&str]) -> Unexplained {
        let us = crate::ownership::InstallationId::of_cluster("us");
        let went = accounts.iter().map(|account| us.sid(&grant(account))).collect();
        Unexplained { went, ..Unexplained::default() }
    }

    const A: &str = "111111111111";
    const B: &str = "222222222222";
    const fn at(minutes: u64) -> Now {
        Duration::from_mins(minutes)
    }

    /// Whether the reads, a minute apart, show it at their end and not before.
    fn notices(reads: &[Unexplained]) -> bool {
        let mut shared = SharedInstallation::default();
        let mut noticed = (1..).zip(reads).map(|(minute, read)| shared.saw(read.clone(), at(minute), "now"));
        let first = noticed.by_ref().position(|noticed| noticed);
        assert!(first.is_none_or(|first| first + 1 == reads.len()), "noticed before its end: {first:?}");
        first.is_some()
    }

    /// Behaviour 56.
    #[test]
    fn two_changes_that_nothing_explains_are_noticed_and_one_is_not() {
        let none = || came(&[]);
        let late = |accounts: &[&str]| Unexplained { is_late: true, ..came(accounts) };
        assert!(notices(&[came(&[A]), none(), came(&[A])]), "what was withdrawn comes back again");
        assert!(notices(&[came(&[A]), came(&[A, B])]));
        assert!(notices(&[went(&[A]), went(&[B])]));
        assert!(notices(&[went(&[A]), none(), came(&[B])]));
        assert!(!notices(&[came(&[A]), came(&[A]), came(&[]), none()]), "it is the same that stays");
        assert!(
            !notices(&[went(&[A]), none(), went(&[A]), none(), went(&[A])]),
            "one that is taken again is contended"
        );
        assert!(!notices(&[late(&[A]), none(), late(&[A, B])]), "it may be what we took away");
        let late_without = |accounts: &[&str]| Unexplained { is_late: true, ..went(accounts) };
        assert!(!notices(&[late_without(&[A]), none(), late_without(&[B])]), "it may be what we have just written");
        assert!(!notices(&[came(&[A]), late(&[A]), came(&[A])]));
        assert!(notices(&[came(&[A]), late(&[]), came(&[A])]), "what we took away came back");
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let mut shared = SharedInstallation::default();
        assert!(!shared.saw(went(&[A]), at(0), ""));
        assert!(!shared.saw(came(&[B]), at(24 * 60 + 1), ""));
        assert!(shared.saw(went(&[A]), at(24 * 60 + 2), ""));
    }

    #[test]
    fn it_is_over_when_a_person_answers_with_its_token_and_not_before() {
        let mut shared = SharedInstallation::default();
        shared.saw(went(&[A]), at(0), "first");
        shared.saw(went(&[B]), at(1), "first");
        let token = shared.token().unwrap().to_owned();
        let because = shared.because("default").unwrap();
        assert!(because.reason == Reason::InstallationShared && because.message.contains(&token), "{because:?}");
        for word in [None, Some("true"), Some("")] {
            shared.recall(Some(&token), word);
            assert_eq!(shared.token(), Some(token.as_str()), "{word:?}");
        }
        // A process that has just started knows it by the record.
        let mut anew = SharedInstallation::default();
        anew.recall(Some(&token), None);
        assert_eq!(anew.token(), Some(token.as_str()));
        for shared in [&mut shared, &mut anew] {
            shared.recall(Some(&token), Some(&token));
            assert_eq!((shared.token(), shared.because("default")), (None, None));
            // The record is written later.
            shared.recall(Some(&token), Some(&token));
            assert_eq!(shared.token(), None);
        }
        // An answer is to one token.
        assert!(!shared.saw(went(&[A]), at(2), "second"), "counted anew");
        assert!(shared.saw(came(&[B]), at(3), "second"));
        assert_ne!(shared.token(), Some(token.as_str()));
        shared.recall(None, Some(&token));
        assert!(shared.token().is_some());
    }
}
