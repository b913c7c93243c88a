//! Of when each view is, and what rests on one that is old: objects of its kind neither grow nor are repaired. What was
//! seen to be withdrawn goes all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{Now, OLD_AFTER};
use crate::api::Kind;
use crate::reason::{Because, Reason};

/// One of the views, each of a kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    Registries,
    Namespaces,
    Ledgers,
    Attached(Kind),
}

impl Store {
    /// The views on which everything rests. By its ledger a registry tells what it has and what others may have of it.
    const SHARED: [Self; 3] = [Self::Registries, Self::Namespaces, Self::Ledgers];

    pub fn all() -> impl Iterator<Item = Self> {
        Self::SHARED.into_iter().chain(Kind::ALL.into_iter().map(Self::Attached))
    }

    pub fn kind(self) -> &'static str {
        match self {
            Self::Registries => "Registry",
            Self::Namespaces => "Namespace",
            Self::Ledgers => "RegistryLedger",
            Self::Attached(kind) => kind.as_str(),
        }
    }
}

/// What a watch tells of its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a complete list that began then.
    Listed(Now),
    /// By what it was asked for then and has reached.
    Reached(Now),
    /// The API server knows no such kind: there is nothing to see, and nothing to wait for.
    NotInstalled,
}

#[derive(Clone, Copy, Debug)]
struct Age {
    proven: Now,
    listed: Now,
    is_installed: bool,
}

/// Of when the views are that were listed once.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    of: BTreeMap<Store, Age>,
    /// Since when nothing is believed that was not listed anew.
    doubted: Option<Now>,
    old: OldViews,
}

impl Ages {
    pub fn take(&mut self, store: Store, proof: Proof) {
        match (self.of.get_mut(&store), proof) {
            (Some(age), Proof::Listed(at)) => *age = Age { proven: at.max(age.proven), listed: at, is_installed: true },
            (None, Proof::Listed(at)) => {
                self.of.insert(store, Age { proven: at, listed: at, is_installed: true });
            }
            (Some(age), Proof::Reached(at)) => *age = Age { proven: at.max(age.proven), is_installed: true, ..*age },
            (Some(age), Proof::NotInstalled) => age.is_installed = false,
            (None, Proof::Reached(_) | Proof::NotInstalled) => {}
        }
    }

    /// Everything is to be listed anew before anything grows.
    pub fn doubt(&mut self, now: Now) {
        self.doubted = Some(now);
    }

    /// Finds out which views are old by now. Says whether that has changed.
    pub fn look(&mut self, now: Now) -> bool {
        let is_old = |age: &Age| now.saturating_sub(age.proven) >= OLD_AFTER;
        let all = || self.of.iter();
        let of = |is_installed: bool| all().filter(move |(_, age)| is_old(age) && age.is_installed == is_installed);
        let told = of(true).map(|(store, _)| *store).collect();
        let unseen = of(false).map(|(store, _)| *store).collect();
        let awaited = |since: Now| all().any(|(_, age)| age.listed < since && age.is_installed);
        // What cannot be listed is old by then, and holds back what rests on it and nothing else.
        self.doubted = self.doubted.filter(|since| awaited(*since) && now.saturating_sub(*since) < OLD_AFTER);
        let old = OldViews { told, unseen, is_doubted: self.doubted.is_some() };
        let changed = old != self.old;
        self.old = old;
        changed
    }

    /// When the next view becomes old, unless it is proven before, or what is doubted has been awaited for long enough.
    pub fn next(&self, now: Now) -> Option<Now> {
        let since = self.of.values().map(|age| age.proven).chain(self.doubted);
        since.map(|since| since + OLD_AFTER).filter(|at| *at > now).min()
    }

    pub fn old(&self) -> &OldViews {
        &self.old
    }
}

/// The views that are not proven young, as they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldViews {
    told: BTreeSet<Store>,
    /// Those of kinds that the API server does not know.
    unseen: BTreeSet<Store>,
    is_doubted: bool,
}

impl OldViews {
    /// Those that somebody has to know of.
    pub fn told(&self) -> &BTreeSet<Store> {
        &self.told
    }

    pub fn are_all_old(&self) -> bool {
        !self.told.is_empty() && Store::all().all(|store| self.is_old(store))
    }

    fn is_old(&self, store: Store) -> bool {
        self.told.contains(&store) || self.unseen.contains(&store)
    }

    /// Why nothing grows, whatever its kind.
    pub fn hold_everything(&self) -> Option<Because> {
        self.because(Store::SHARED)
    }

    /// Why objects of a kind neither grow nor are repaired.
    pub fn hold(&self, kind: Kind) -> Option<Because> {
        self.because(Store::SHARED.into_iter().chain([Store::Attached(kind)]))
    }

    fn because(&self, stores: impl IntoIterator<Item = Store>) -> Option<Because> {
        if self.is_doubted {
            let message = "The clock of the operator's machine was set, or stood still: everything is listed anew before anything is added.";
            return Some(Because::new(Reason::ViewOld, message));
        }
        let old: Vec<_> = stores.into_iter().filter(|store| self.is_old(*store)).map(Store::kind).collect();
        let message = format!("{}: nothing is added or put back until it is.", unproven(&old));
        (!old.is_empty()).then(|| Because::new(Reason::ViewOld, message))
    }

    /// What the Registry says of them.
    pub fn message(&self) -> Option<String> {
        let old: Vec<_> = self.told.iter().map(|store| store.kind()).collect();
        let message = format!(
            "{}. Nothing is added or put back that rests on it; what was seen to be withdrawn goes. See whether the operator may list and watch these kinds, and how the API server is.",
            unproven(&old)
        );
        (!old.is_empty()).then_some(message)
    }
}

fn unproven(kinds: &[&str]) -> String {
    format!("What the API server shows of {} is not proven to be of the last ten minutes", kinds.join(", "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn at(minutes: u64) -> Now {
        Duration::from_mins(minutes)
    }

    const POLICIES: Store = Store::Attached(Kind::RegistryPolicy);

    /// All listed at 0.
    fn listed() -> Ages {
        let mut ages = Ages::default();
        Store::all().for_each(|store| ages.take(store, Proof::Listed(Now::ZERO)));
        assert!(!ages.look(at(1)));
        ages
    }

    fn but(ages: &mut Ages, store: Store, proof: Proof) {
        Store::all().filter(|other| *other != store).for_each(|other| ages.take(other, proof));
    }

    /// Behaviour 53.
    #[test]
    fn a_view_is_old_after_ten_minutes_and_holds_its_own_kind() {
        let mut ages = listed();
        but(&mut ages, POLICIES, Proof::Reached(at(8)));
        assert_eq!(ages.next(at(9)), Some(at(10)));
        assert!(!ages.look(at(9) + Duration::from_secs(59)));
        assert!(ages.look(at(10)));
        let old = ages.old().clone();
        assert_eq!(old.told(), &BTreeSet::from([POLICIES]));
        let because = old.hold(Kind::RegistryPolicy).unwrap();
        assert!(because.reason == Reason::ViewOld && because.message.contains("RegistryPolicy"), "{because:?}");
        assert!(old.message().unwrap().contains("RegistryPolicy"));
        assert_eq!((old.hold(Kind::ReplicationGrant), old.hold_everything()), (None, None));
        assert!(!old.are_all_old());
        ages.take(POLICIES, Proof::Reached(at(10)));
        assert!(ages.look(at(11)) && ages.old() == &OldViews::default());
    }

    #[test]
    fn what_everything_rests_on_holds_everything() {
        for shared in Store::SHARED {
            let mut ages = listed();
            but(&mut ages, shared, Proof::Reached(at(8)));
            ages.look(at(12));
            assert!(Kind::ALL.into_iter().all(|kind| ages.old().hold(kind).is_some()), "{shared:?}");
            assert!(ages.old().hold_everything().is_some() && !ages.old().are_all_old(), "{shared:?}");
        }
    }

    #[test]
    fn only_together_are_they_all_old() {
        let mut ages = listed();
        ages.look(at(12));
        assert!(ages.old().are_all_old());
        ages.take(Store::Namespaces, Proof::Reached(at(12)));
        ages.look(at(12));
        assert!(!ages.old().are_all_old());
    }

    #[test]
    fn a_kind_that_is_not_installed_is_no_old_view_and_adds_nothing() {
        let mut ages = listed();
        but(&mut ages, POLICIES, Proof::Reached(at(11)));
        ages.take(POLICIES, Proof::NotInstalled);
        ages.look(at(12));
        assert!(ages.old().told().is_empty() && ages.old().message().is_none());
        assert!(ages.old().hold(Kind::RegistryPolicy).is_some() && ages.old().hold(Kind::ReplicationGrant).is_none());
        ages.take(POLICIES, Proof::Listed(at(12)));
        ages.look(at(12));
        assert_eq!(ages.old(), &OldViews::default());
    }

    #[test]
    fn what_is_doubted_is_listed_anew_before_anything_grows() {
        let mut ages = listed();
        ages.doubt(at(5));
        assert!(ages.look(at(5)));
        but(&mut ages, POLICIES, Proof::Listed(at(5)));
        ages.take(POLICIES, Proof::Reached(at(6)));
        ages.look(at(6));
        assert!(Kind::ALL.into_iter().all(|kind| ages.old().hold(kind).is_some()), "a question is no list");
        ages.take(POLICIES, Proof::Listed(at(6)));
        assert!(ages.look(at(6)));
        assert_eq!(ages.old(), &OldViews::default());
    }

    #[test]
    fn what_cannot_be_listed_does_not_hold_back_everything_for_ever() {
        let mut ages = listed();
        ages.doubt(at(5));
        but(&mut ages, POLICIES, Proof::Listed(at(9)));
        but(&mut ages, POLICIES, Proof::Reached(at(14)));
        ages.look(at(14));
        assert!(ages.old().hold(Kind::ReplicationGrant).is_some());
        assert_eq!(ages.next(at(14)), Some(at(15)));
        ages.look(at(15));
        assert!(ages.old().hold(Kind::ReplicationGrant).is_none() && ages.old().hold(Kind::RegistryPolicy).is_some());
    }
}
