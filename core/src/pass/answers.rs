//! What AWS answered to questions that a pass need not ask again: they go by time, by a change of who asks, or by a
//! person's request, and never by the number of passes. What is to be acted on is asked again before it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cache_rules::Validity;
use super::index::Gathered;
use super::objects::{Meta, ObjectId};
use super::queue::Now;
use super::roles;
use crate::reason::{Because, Verdict};

/// An answer this young is good for an object that was edited since; a pass once it is older asks.
const GOOD_FOR_EDITS: Duration = Duration::from_secs(5);
/// What failed is not asked about sooner.
const FAILURES_GOOD_FOR: Duration = Duration::from_secs(5);
/// An upstream that is not to be got at is asked about this often, if passes run.
const INVALID_GOOD_FOR: Duration = Duration::from_mins(1);

/// For whose sake something is asked: another, once the Registry or one of the objects is edited or a person asks for a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    registry: String,
    objects: String,
}

impl Asker {
    pub fn of<'i>(gathered: &Gathered, ids: impl IntoIterator<Item = &'i ObjectId>) -> Self {
        let of = |meta: &Meta| format!("{} {} {:?}", meta.uid, meta.generation, meta.reconcile_at);
        let object = |id: &ObjectId| gathered.object(id).map(|object| of(&object.meta)).unwrap_or_default();
        let objects = ids.into_iter().map(object).collect::<Vec<_>>().join("\n");
        Self { registry: of(&gathered.registry.meta), objects }
    }
}

#[derive(Clone, Debug)]
struct Answer<V> {
    value: V,
    asker: Asker,
    at: Now,
    good_for: Duration,
}

/// The answers to one kind of question, by what was asked for.
#[derive(Clone, Debug)]
pub struct Answers<K, V> {
    of: BTreeMap<K, Answer<V>>,
    /// When the first of those is too old that were good for an edited object.
    owed: Option<Now>,
}

impl<K, V> Default for Answers<K, V> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), owed: None }
    }
}

impl<K: Ord, V> Answers<K, V> {
    /// What AWS answered, if that is good still for whoever asks now.
    pub fn get(&mut self, key: &K, asker: &Asker, now: Now) -> Option<&V> {
        let answer = self.of.get(key)?;
        let age = now.saturating_sub(answer.at);
        if age >= answer.good_for || answer.asker.registry != asker.registry {
            return None;
        }
        if answer.asker != *asker {
            if age >= GOOD_FOR_EDITS {
                return None;
            }
            let good_until = answer.at + GOOD_FOR_EDITS;
            self.owed = Some(self.owed.map_or(good_until, |owed| owed.min(good_until)));
        }
        Some(&answer.value)
    }

    pub fn note(&mut self, key: K, asker: Asker, value: V, at: Now, good_for: Duration) {
        self.of.insert(key, Answer { value, asker, at, good_for });
    }

    pub fn forget(&mut self, key: &K) {
        self.of.remove(key);
    }

    /// When the first was asked of those that are known.
    fn oldest(&self) -> Option<Now> {
        self.of.values().map(|answer| answer.at).min()
    }

    fn begin(&mut self, now: Now) {
        self.owed = None;
        self.of.retain(|_, answer| now.saturating_sub(answer.at) < answer.good_for);
    }
}

/// What AWS answered of one registry.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// Roles that are there, by their names.
    pub roles: Answers<String, roles::Stored>,
    /// The ARNs of secrets by their names.
    pub secrets: Answers<String, Result<String, Because>>,
    /// Whether ECR gets at the upstream, by all that the rule says.
    pub validity: Answers<String, Result<Validity, Because>>,
    /// The names of all repositories.
    pub repositories: Answers<(), Result<Vec<String>, Because>>,
    pub good_for: GoodFor,
    /// Roles that were written since the pass began: what was read of them before is not what they are.
    written_roles: BTreeSet<String>,
}

/// For how long answers are good, where passes run by themselves this often.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoodFor(Duration);

impl GoodFor {
    /// A pass that comes by itself asks, and it may come a tenth earlier.
    pub fn any(self) -> Duration {
        self.0.mul_f64(0.8)
    }

    /// What may have failed.
    pub fn result<V>(self, result: &Result<V, Because>) -> Duration {
        let is_failure = |because: &Because| because.reason.verdict() == Verdict::Waiting;
        if result.as_ref().is_err_and(is_failure) { FAILURES_GOOD_FOR.min(self.any()) } else { self.any() }
    }

    /// Whether ECR gets at an upstream.
    pub fn validity(self, result: &Result<Validity, Because>) -> Duration {
        match result {
            Ok(validity) if !validity.valid => INVALID_GOOD_FOR.min(self.any()),
            Ok(_) => self.any(),
            Err(_) => FAILURES_GOOD_FOR.min(self.any()),
        }
    }
}

impl Answered {
    /// A pass begins.
    pub fn begin(&mut self, interval: Duration, now: Now) {
        self.good_for = GoodFor(interval);
        self.written_roles.clear();
        self.roles.begin(now);
        self.secrets.begin(now);
        self.validity.begin(now);
        self.repositories.begin(now);
    }

    /// A role was written, or may have been.
    pub fn wrote_role(&mut self, name: &str) {
        self.roles.forget(&name.to_owned());
        self.written_roles.insert(name.to_owned());
    }

    /// What a pass was answered takes the place of what it began with. Answers the roles that were written beside it.
    pub fn replace(&mut self, answered: Self) -> BTreeSet<String> {
        let written = std::mem::replace(self, answered).written_roles;
        for name in &written {
            self.wrote_role(name);
        }
        written
    }

    /// When AWS is to be asked again: an interval after it was, and sooner for who was answered with what had been answered
    /// to another.
    pub fn owed(&self) -> Option<Now> {
        let Self { roles, secrets, validity, repositories, good_for: GoodFor(interval), written_roles: _ } = self;
        let owed = [roles.owed, secrets.owed, validity.owed, repositories.owed].into_iter().flatten();
        let oldest = [roles.oldest(), secrets.oldest(), validity.oldest(), repositories.oldest()].into_iter().flatten();
        owed.chain(oldest.map(|at| at + *interval)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Now {
        Duration::from_secs(seconds)
    }

    fn asker(registry: &str, objects: &str) -> Asker {
        Asker { registry: registry.to_owned(), objects: objects.to_owned() }
    }

    /// Behaviour 54.
    #[test]
    fn an_answer_is_good_for_a_while_and_for_who_asked_for_it() {
        let mut answered = Answered::default();
        answered.begin(at(300), at(10));
        let (first, edited) = (asker("r1", "a1"), asker("r1", "a2"));
        let good_for = answered.good_for.any();
        answered.roles.note("role".to_owned(), first.clone(), roles::Stored::default(), at(10), good_for);
        let mut is_good = |name: &str, asker: &Asker, now| answered.roles.get(&name.to_owned(), asker, now).is_some();
        assert!(is_good("role", &first, at(249)));
        assert!(!is_good("role", &first, at(250)), "the next pass that comes by itself asks");
        assert!(!is_good("role", &asker("r2", "a1"), at(11)), "a person asked, or the Registry was edited");
        assert!(!is_good("another", &first, at(11)));
        assert_eq!(answered.owed(), Some(at(310)), "whatever passes run meanwhile");
        let mut is_good = |asker: &Asker, now| answered.roles.get(&"role".to_owned(), asker, now).is_some();
        assert!(is_good(&edited, at(14)), "edits ask no more often than that");
        assert!(!is_good(&edited, at(15)));
        assert_eq!(answered.owed(), Some(at(15)), "but they ask");
        answered.begin(at(300), at(250));
        assert!(answered.roles.of.is_empty() && answered.owed().is_none());
    }
}
