//! What stays in AWS and belongs to nobody who is there: kept and told, and removed or released when a person says so.
//! Each namespace's is a set of its own, what was lost without a word (orphans) and what was left behind on purpose
//! (retained) are two: nobody can change what another's token names.
//!
//! The word is a token that names exactly one set, and works once: what is lost later is another set, even if it looks
//! the same.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Contribution, Desired, Stance, Words};
use super::objects::ObjectId;
use crate::policy::Statement;
use crate::policy::digest::digest;

/// What a person has said of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Word {
    #[default]
    None,
    /// It goes.
    Prune,
    /// It stays, under Sids that are not ours.
    Release,
}

/// Why something was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaving {
    /// Gone without a word, or abandoned.
    Lost,
    /// Gone with `deletionPolicy: Retain`, which a rule lets it have.
    Retained,
}

impl Leaving {
    fn of(contribution: &Contribution) -> Option<Self> {
        match contribution.stance {
            Stance::Orphaned(_) => Some(Self::Lost),
            Stance::Retained(_) => Some(Self::Retained),
            _ => None,
        }
    }
}

/// Names a set: why it was left, and by objects of which namespace.
pub type SetId = (Leaving, String);

/// Which set an object that is gone left something to.
pub fn set_of(contribution: &Contribution) -> Option<SetId> {
    Leaving::of(contribution).map(|leaving| (leaving, contribution.id.namespace.clone()))
}

/// What a person has said of what each object left; nothing of those that are not here. It is of those that the token was
/// made of: what their namespace loses afterwards was not spoken of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    of: BTreeMap<ObjectId, (Leaving, Word)>,
    unclaimed: Word,
}

impl Said {
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What was said of what this object left for this reason.
    pub fn on(&self, leaving: Leaving, id: &ObjectId) -> Word {
        self.of.get(id).filter(|(of, _)| *of == leaving).map(|(_, word)| *word).unwrap_or_default()
    }

    /// What was said of what this object left.
    pub fn of(&self, contribution: &Contribution) -> Word {
        Leaving::of(contribution).map(|leaving| self.on(leaving, &contribution.id)).unwrap_or_default()
    }

    /// What was said of what no object ever claimed.
    pub fn of_unclaimed(&self) -> Word {
        self.unclaimed
    }
}

/// Of what was spoken of, what is still there: it goes on being spoken of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    pub objects: BTreeSet<ObjectId>,
    pub sets: BTreeSet<SetId>,
    pub unclaimed: bool,
}

impl Waits {
    /// What these objects left is still there.
    pub fn add<'c>(&mut self, left: impl Iterator<Item = &'c Contribution>) {
        for contribution in left {
            self.objects.insert(contribution.id.clone());
            self.sets.extend(set_of(contribution));
        }
    }
}

/// What each token named when a pass first heard it, with the uids of the objects: what their namespace loses later makes
/// another set of another token, and takes nothing back.
pub type Heard = BTreeMap<String, BTreeMap<ObjectId, (String, Leaving)>>;

impl Waits {
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && !self.unclaimed
    }
}

/// What objects that are gone have, as far as they are of one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub of: BTreeMap<ObjectId, Vec<Statement>>,
    pub uids: BTreeMap<ObjectId, String>,
    /// Names this set for `prune` and `release`.
    pub token: String,
    /// What was said of all of it.
    pub said: Word,
    /// What was said of what each object left.
    said_of: BTreeMap<ObjectId, Word>,
}

impl Left {
    fn new(contributions: &[&Contribution]) -> (Self, Vec<String>) {
        let mut left = Self::default();
        let mut lines = Vec::new();
        for contribution in contributions {
            let (Stance::Orphaned(statements) | Stance::Retained(statements)) = &contribution.stance else { continue };
            let rule = contribution.things.rule.as_ref();
            lines.extend(rule.map(|rule| format!("{} {} rule {}", contribution.id, contribution.uid, rule.prefix)));
            let role = contribution.things.role.as_ref();
            lines.extend(role.map(|role| format!("{} {} role {}", contribution.id, contribution.uid, role.arn)));
            // The uid tells an object from one of the same name that was made and lost later.
            let named =
                |statement: &Statement| format!("{} {} {}", contribution.id, contribution.uid, statement.canonical());
            lines.extend(contribution.has.iter().map(named));
            left.of.insert(contribution.id.clone(), statements.clone());
            left.uids.insert(contribution.id.clone(), contribution.uid.clone());
        }
        (left, lines)
    }

    fn named(self, lines: Vec<String>, words: &Words, handled: &BTreeSet<&str>) -> Self {
        let token = token(lines, handled);
        let said = words.of(&token);
        Self { token, said, ..self }
    }

    /// The same, with what was said of each object by tokens of now and of earlier passes.
    fn spoken_of(mut self, leaving: Leaving, words: &Words) -> Self {
        let by_token = if words.is_closed { Word::None } else { self.said };
        let heard = |id: &ObjectId, uid: &String| match by_token {
            Word::None => words.heard_on(id, uid, leaving),
            word => word,
        };
        self.said_of = self.uids.iter().map(|(id, uid)| (id.clone(), heard(id, uid))).collect();
        let mut all = self.said_of.values().copied();
        let first = all.next().unwrap_or_default();
        self.said = if all.all(|word| word == first) { first } else { Word::None };
        self
    }
}

/// What stays in AWS and belongs to nobody who is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    pub sets: BTreeMap<SetId, Left>,
    /// Statements under our Sids that no object ever claimed, a set of their own.
    pub unclaimed: BTreeSet<Statement>,
    pub nameless: Left,
    /// The same, while something on record cannot be read: nobody's word takes them.
    pub undecided: BTreeSet<Statement>,
}

impl Orphans {
    /// The sets that were left for one reason.
    pub fn left(&self, leaving: Leaving) -> impl Iterator<Item = &Left> {
        self.sets.iter().filter(move |((of, _), _)| *of == leaving).map(|(_, left)| left)
    }

    pub fn said(&self) -> Said {
        self.said_where(|_| true, self.nameless.said)
    }

    fn said_where(&self, is_heard: impl Fn(&Left) -> bool, unclaimed: Word) -> Said {
        let sets = self.sets.iter().filter(|(_, left)| is_heard(left));
        let of = sets.flat_map(|((leaving, _), left)| {
            let spoken_of = left.said_of.iter().filter(|(_, word)| **word != Word::None);
            spoken_of.map(|(id, word)| (id.clone(), (*leaving, *word)))
        });
        Said { of: of.collect(), unclaimed }
    }

    /// What the tokens that are heard now name.
    pub fn named(&self, words: &Words) -> Heard {
        let named = self.sets.iter().filter(|(_, left)| words.of(&left.token) != Word::None);
        let objects = |leaving: Leaving, left: &Left| {
            left.uids.iter().map(|(id, uid)| (id.clone(), (uid.clone(), leaving))).collect()
        };
        named.map(|((leaving, _), left)| (left.token.clone(), objects(*leaving, left))).collect()
    }

    /// The same, without the policy: what has statements in it waits until it can be read.
    pub fn said_of_things(&self) -> Said {
        self.said_where(|left| left.of.values().all(Vec::is_empty), Word::None)
    }

    pub fn find(desired: &Desired, unclaimed: BTreeSet<Statement>) -> Self {
        // What cannot be read may say whose they are.
        let (unclaimed, undecided) =
            if desired.is_incomplete { (BTreeSet::new(), unclaimed) } else { (unclaimed, BTreeSet::new()) };
        let words = &desired.words;
        let handled = words.handled();
        let mut by_set = BTreeMap::<SetId, Vec<&Contribution>>::new();
        for contribution in &desired.contributions {
            if let Some(set) = set_of(contribution) {
                by_set.entry(set).or_default().push(contribution);
            }
        }
        let sets = by_set.into_iter().map(|(id, contributions)| {
            let (left, lines) = Left::new(&contributions);
            let mut left = left.named(lines, words, &handled).spoken_of(id.0, words);
            if words.held.contains(&id) {
                left.said = Word::None;
                left.said_of.clear();
            }
            (id, left)
        });
        let lines: Vec<_> = unclaimed.iter().map(Statement::canonical).collect();
        let nameless = if lines.is_empty() { Left::default() } else { Left::default().named(lines, words, &handled) };
        Self { sets: sets.collect(), unclaimed, nameless, undecided }
    }
}

/// Statements that no object ever claimed carry no uid: after its use a token names their like no more.
fn token(mut lines: Vec<String>, handled: &BTreeSet<&str>) -> String {
    let short = |lines: &[String]| -> String { digest(&lines.join("\n")).chars().take(16).collect() };
    let mut token = short(&lines);
    while handled.contains(token.as_str()) {
        lines.push(token);
        token = short(&lines);
    }
    token
}
