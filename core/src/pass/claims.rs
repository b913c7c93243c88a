//! Things in AWS that are one object's alone, such as a cache rule or a role: what each object says about its own, and
//! what came of it. The same words for every kind of thing: `W` is the thing as it is wanted, `H` as the ledger has it,
//! `A` what is done about it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::backoff::Whom;
use super::objects::ObjectId;
use super::orphans::{Leaving, Said, Word};
use crate::api::{Adoption, LedgerRole, LedgerRule, OwnershipState};
use crate::names::{RegistryKey, RepositoryPattern};
use crate::reason::Because;

/// A call that nobody waits for any more takes effect within this, or never.
pub const LATE: SignedDuration = SignedDuration::from_mins(1);

/// Where an object stands with its thing.
#[derive(Clone, Debug, PartialEq)]
pub enum Stance<W> {
    /// It gets this.
    Wants(W),
    /// Its edit is refused or waits: it keeps what it has, which comes back if it is lost.
    Keeps(Because),
    /// Whatever it has stays as it is; what it would want, if that can be told.
    Holds(Option<W>, Because),
    /// It may not have what it has any longer.
    Loses(Because),
    /// Deleting: what it made goes.
    Leaves,
    /// Released: what it has stays, and is nobody's.
    Released,
    /// Its object is gone without a word: kept until pruned.
    Orphaned,
    /// Its object left it behind on purpose: kept until pruned, too, by a word of its own.
    Retained,
}

impl<W> Stance<W> {
    /// The same stance on the thing as AWS knows it; what cannot be told keeps an object from what it wants.
    pub fn resolve<R>(&self, resolve: impl Fn(&W) -> Result<R, Because>) -> Stance<R> {
        match self {
            Self::Wants(wanted) => match resolve(wanted) {
                Ok(resolved) => Stance::Wants(resolved),
                Err(because) => Stance::Keeps(because),
            },
            Self::Keeps(because) => Stance::Keeps(because.clone()),
            Self::Holds(wanted, because) => {
                Stance::Holds(wanted.as_ref().and_then(|wanted| resolve(wanted).ok()), because.clone())
            }
            Self::Loses(because) => Stance::Loses(because.clone()),
            Self::Leaves => Stance::Leaves,
            Self::Released => Stance::Released,
            Self::Orphaned => Stance::Orphaned,
            Self::Retained => Stance::Retained,
        }
    }

    /// Whether what the object has is to go.
    pub fn goes(&self) -> bool {
        matches!(self, Self::Loses(_) | Self::Leaves)
    }
}

/// What becomes of what is nobody's, by a person's word.
fn left<W>(word: Word, otherwise: Stance<W>) -> Stance<W> {
    match word {
        Word::None => otherwise,
        Word::Prune => Stance::Leaves,
        Word::Release => Stance::Released,
    }
}

/// What an object lets be done beyond making what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latitude {
    pub adoption: Adoption,
    /// What stands below a cache's prefix already may become part of the cache.
    pub claim_existing: bool,
    /// What cannot be updated is deleted and made anew.
    pub recreate: bool,
}

/// What the ledger has of a thing.
pub trait Record: Clone + PartialEq {
    fn state(&self) -> OwnershipState;
    /// Whether both are of the thing with the same name in AWS.
    fn is_of(&self, other: &Self) -> bool;
    /// What is on record while what was the object's is made again: still its own, as it is to be now.
    #[must_use]
    fn made_again_as(&self, claim: Self) -> Self;
    /// Whether AWS itself would show that a thing is this one and no other of the same name.
    fn identifies(&self) -> bool;
    /// The same, made then by AWS's own word.
    #[must_use]
    fn made_at(self, created_at: String) -> Self;
}

impl Record for LedgerRule {
    fn state(&self) -> OwnershipState {
        self.state
    }

    fn is_of(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }

    /// If it is there all the same, it is still told by when it was made. What was adopted or consented to is another rule
    /// than one of another upstream.
    fn made_again_as(&self, claim: Self) -> Self {
        let pulls_the_same = self.upstream_url == claim.upstream_url && self.upstream_prefix == claim.upstream_prefix;
        let adopted = self.adopted.filter(|_| pulls_the_same);
        let consented = self.consented.filter(|_| pulls_the_same);
        Self { state: self.state, created_at: self.created_at.clone(), adopted, consented, ..claim }
    }

    fn identifies(&self) -> bool {
        self.state == OwnershipState::Owned && self.created_at.is_some()
    }

    fn made_at(self, created_at: String) -> Self {
        Self { created_at: Some(created_at), ..self }
    }
}

impl Record for LedgerRole {
    fn state(&self) -> OwnershipState {
        self.state
    }

    fn is_of(&self, other: &Self) -> bool {
        self.arn == other.arn
    }

    fn made_again_as(&self, claim: Self) -> Self {
        Self { state: self.state, adopted: self.adopted, id: self.id.clone(), ..claim }
    }

    fn identifies(&self) -> bool {
        self.state == OwnershipState::Owned && self.id.is_some()
    }

    /// Its tags show whose it is.
    fn made_at(self, _: String) -> Self {
        self
    }
}

/// What is done about a thing.
pub trait Action: Clone + PartialEq {
    type Record: Record;
    /// The claim on what it makes; nothing, if it makes nothing.
    fn claim(&self) -> Option<Self::Record>;
    /// The record with what the act adds to the thing that is there, which is on record before it can be in AWS.
    fn adds_to(&self, record: Self::Record) -> Self::Record {
        record
    }
    /// Whether it takes the thing out of the object's hands.
    fn removes(&self) -> bool;
    /// Whether it gives nobody more than before, and somebody less.
    fn takes_away(&self) -> bool {
        self.removes()
    }
    /// Whether it may put right what somebody else has changed: else it is for what is asked or allowed now.
    fn may_repair(&self) -> bool {
        true
    }
    /// Whether it leaves the thing with less than it has, and adds nothing.
    fn narrows(&self) -> bool {
        false
    }
    /// A line that a person reads.
    fn describe(&self) -> String;
}

/// Repositories that owners of upstreams in a role's own account let it pull no more.
pub type Withdrawn = BTreeSet<(RegistryKey, RepositoryPattern)>;

/// One object's word about one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim<W, H> {
    pub id: ObjectId,
    pub created: Option<Timestamp>,
    /// What it asks for, if it goes without an entry: its record was lost, or it never had anything.
    pub lost: Option<W>,
    /// What the ledger says it has.
    pub has: Option<H>,
    /// When it was about to be made, if it may not have been seen since.
    pub claimed_at: Option<Timestamp>,
    pub stance: Stance<W>,
    pub may: Latitude,
    /// The object says itself that it owns what it adopted: it goes with it.
    pub owns_adopted: bool,
    /// What it has is not what its owner's rules cover today: it may not be kept in place of what is wanted.
    pub outlawed: Option<Because>,
    /// What a role may not pull any more, whatever else of it stays.
    pub withdrawn: Withdrawn,
}

impl<W, H: Clone> Claim<W, H> {
    /// The thing of an object that is gone without a word.
    pub(super) fn orphan(id: &ObjectId, has: Option<H>, claimed_at: Option<Timestamp>) -> Self {
        Self {
            id: id.clone(),
            created: None,
            lost: None,
            has,
            claimed_at,
            stance: Stance::Orphaned,
            may: Latitude::default(),
            owns_adopted: false,
            outlawed: None,
            withdrawn: Withdrawn::new(),
        }
    }

    /// The thing as AWS knows it. Who names what is not there keeps what it has, if that is still allowed; what is
    /// nobody's goes once a person says so.
    pub fn resolve<R>(&self, said: &Said, resolve: impl Fn(&W) -> Result<R, Because>) -> Claim<R, H> {
        let stance = match (self.stance.resolve(&resolve), &self.outlawed) {
            // AWS did not say what is wanted, and will: the answer is not given for it.
            (Stance::Keeps(because), Some(_)) if because.reason.is_passing() => Stance::Holds(None, because),
            (Stance::Keeps(_), Some(because)) => Stance::Loses(because.clone()),
            (Stance::Orphaned, _) => left(said.on(Leaving::Lost, &self.id), Stance::Orphaned),
            (Stance::Retained, _) => left(said.on(Leaving::Retained, &self.id), Stance::Retained),
            (stance, _) => stance,
        };
        Claim {
            id: self.id.clone(),
            created: self.created,
            lost: self.lost.as_ref().and_then(|lost| resolve(lost).ok()),
            has: self.has.clone(),
            claimed_at: self.claimed_at,
            stance,
            may: self.may,
            owns_adopted: self.owns_adopted,
            outlawed: self.outlawed.clone(),
            withdrawn: self.withdrawn.clone(),
        }
    }
}

/// What the things of one kind come to in one registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<A, H> {
    pub acts: BTreeMap<ObjectId, A>,
    /// What each object has if nothing is done: told by what was read.
    pub has: BTreeMap<ObjectId, H>,
    /// What each object had and still is to have, and AWS does not show.
    pub missing: BTreeMap<ObjectId, H>,
    /// Who is held, and has all the same what it would want.
    pub held_equal: BTreeSet<ObjectId>,
    /// Claims of who is not to have them any longer, where AWS shows nothing yet.
    pub given_up: BTreeMap<ObjectId, H>,
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// Who is proven no worse than before: AWS could not be asked again, and the verdict says why.
    pub unread: BTreeSet<ObjectId>,
}

impl<A, H> Default for Plan<A, H> {
    fn default() -> Self {
        Self {
            acts: BTreeMap::new(),
            has: BTreeMap::new(),
            missing: BTreeMap::new(),
            held_equal: BTreeSet::new(),
            given_up: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            unread: BTreeSet::new(),
        }
    }
}

impl<A: Action<Record = H>, H: Record> Plan<A, H> {
    /// Leaves out what adds or repairs for objects that are held, and says why. What takes away is done all the same, unless
    /// it only makes room for another.
    pub fn hold_back<W>(&mut self, claims: &[Claim<W, H>], held: impl Fn(&ObjectId) -> Option<Because>) {
        let is_replaced =
            |stance: &Stance<W>| matches!(stance, Stance::Wants(_) | Stance::Keeps(_) | Stance::Holds(..));
        for claim in claims.iter().filter(|claim| is_replaced(&claim.stance)) {
            let Some(because) = held(&claim.id) else { continue };
            if self.acts.get(&claim.id).is_some_and(|act| !act.narrows()) {
                self.acts.remove(&claim.id);
                self.verdicts.entry(claim.id.clone()).or_insert(because);
            }
        }
    }

    /// What must be on record before the acts: nothing is made that is not claimed. `recorded`: the ledger as it is.
    pub fn on_record<'a>(&self, recorded: impl Fn(&ObjectId) -> Option<&'a H>) -> BTreeMap<ObjectId, H>
    where
        H: 'a,
    {
        let claims = self.acts.iter().filter_map(|(id, act)| {
            let claim = act.claim()?;
            let owned = recorded(id).filter(|has| has.state() == OwnershipState::Owned && has.is_of(&claim));
            Some((id.clone(), owned.map_or_else(|| claim.clone(), |owned| owned.made_again_as(claim.clone()))))
        });
        let has = self.has.iter().map(|(id, has)| {
            let added = self.acts.get(id).map(|act| act.adds_to(has.clone()));
            (id.clone(), added.unwrap_or_else(|| has.clone()))
        });
        has.chain(claims).collect()
    }

    /// A line a change.
    pub fn steps(&self) -> Vec<String> {
        self.acts.values().map(Action::describe).collect()
    }
}

/// What stays on record though AWS does not show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing<H> {
    pub record: H,
    /// It was claimed then, and a call that was made on the claim may still take effect.
    pub claimed_at: Option<Timestamp>,
}

/// What a pass came to with the things of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied<H> {
    /// What each object has, if AWS was read and nothing is left to do that may be done.
    pub has: Option<BTreeMap<ObjectId, H>>,
    /// What stays on record though AWS does not show it: it comes back, or perhaps is on its way.
    pub missing: BTreeMap<ObjectId, Missing<H>>,
    /// Who is held, and has all the same what it would want.
    pub held_equal: BTreeSet<ObjectId>,
    /// Of whose call a thing may still come, though nobody waits for it any more.
    pub awaits_late: BTreeSet<ObjectId>,
    /// What keeps single objects from what they want.
    pub verdicts: BTreeMap<ObjectId, Because>,
    /// Who is proven no worse than before: AWS could not be asked again, and the verdict says why.
    pub unread: BTreeSet<ObjectId>,
    /// What kept everybody from it.
    pub failure: Option<Because>,
    /// AWS did not do what was to take something away.
    pub still_due: bool,
    /// What would be done, if it were not forbidden.
    pub steps: Vec<String>,
}

impl<H> Default for Applied<H> {
    fn default() -> Self {
        Self {
            has: None,
            missing: BTreeMap::new(),
            held_equal: BTreeSet::new(),
            awaits_late: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            unread: BTreeSet::new(),
            failure: None,
            still_due: false,
            steps: Vec::new(),
        }
    }
}

impl<H> Applied<H> {
    /// Nobody has to do with such things.
    pub fn none() -> Self {
        Self { has: Some(BTreeMap::new()), ..Self::default() }
    }

    /// A pass that could not ask AWS.
    pub fn failed(because: Because) -> Self {
        Self { failure: Some(because), ..Self::default() }
    }

    /// Whether something may still have to go that AWS would let go of.
    pub fn is_due(&self) -> bool {
        self.failure.is_some() || self.still_due
    }

    /// For whom AWS left something open that it may well tell when it is asked again.
    pub fn left_open(&self) -> impl Iterator<Item = Whom> {
        let of_all = self.failure.is_some().then_some(Whom::Registry);
        let passing = self.verdicts.iter().filter(|(_, because)| because.reason.is_passing()).map(|(id, _)| id);
        let objects = passing.chain(&self.unread).chain(&self.awaits_late);
        of_all.into_iter().chain(objects.map(|id| Whom::Object(id.clone())))
    }

    /// What keeps the object from what it wants, or everybody.
    pub fn told(&self, id: &ObjectId) -> Option<&Because> {
        self.verdicts.get(id).or(self.failure.as_ref())
    }

    /// Whether the object has nothing, as far as AWS was read; `recorded`: the ledger says that it has something.
    pub fn has_nothing(&self, id: &ObjectId, recorded: bool) -> bool {
        match &self.has {
            Some(has) => !has.contains_key(id) && !self.missing.contains_key(id),
            None => !recorded,
        }
    }
}
