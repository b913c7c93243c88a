//! Principals that AWS stopped taking: found in few writes, put back by halves, tried again alone.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::queue::Now;
use super::super::rejected::{Rejected, allowed_to, allowing_without};
use super::*;
use crate::policy::Principal;

fn account(i: usize) -> Principal {
    Principal::Account(format!("{i:012}").parse().unwrap())
}

fn at(seconds: u64) -> Now {
    Duration::from_secs(seconds)
}

/// Searches and puts back among `n` accounts of which AWS refuses `closed`; answers how many writes that took.
fn search(rejected: &mut Rejected, n: usize, closed: &[usize]) -> (usize, usize) {
    let patience = Patience::default();
    let ours: BTreeSet<_> = (0..n).map(account).collect();
    let closed: BTreeSet<_> = closed.iter().map(|i| account(*i)).collect();
    let is_taken = |left_out: &BTreeSet<Principal>| closed.is_subset(left_out);
    let mut until_done = 0;
    for set in rejected.suspects(&ours) {
        until_done += 1;
        if is_taken(&set) {
            rejected.found(set, &patience, at(0));
            break;
        }
    }
    let mut putting_back = 0;
    let mut out = rejected.left_out();
    while rejected.put_back(at(0)) {
        putting_back += 1;
        let taken = is_taken(&rejected.left_out());
        rejected.answer(taken, &patience, at(0));
        assert!(rejected.left_out().is_subset(&out), "a probe left somebody out who was back");
        out = rejected.left_out();
    }
    (until_done, putting_back)
}

#[test]
fn the_first_accepted_write_comes_within_three_and_only_the_refused_stay_out() {
    for n in 1..40 {
        for closed in [vec![0], vec![n - 1], vec![0, n - 1], (0..n).collect()] {
            let mut rejected = Rejected::default();
            let (until_done, putting_back) = search(&mut rejected, n, &closed);
            assert!(until_done <= 3, "{until_done} of {n}");
            assert!(putting_back <= closed.len() * 14, "{putting_back} of {n}");
            let closed: BTreeSet<_> = closed.into_iter().map(account).collect();
            assert_eq!(rejected.certain().cloned().collect::<BTreeSet<_>>(), closed, "{n}");
            assert_eq!(rejected.left_out(), closed);
        }
    }
}

#[test]
fn one_that_was_refused_is_tried_again_alone_and_slowly() {
    let mut rejected = Rejected::default();
    search(&mut rejected, 8, &[3, 5]);
    assert!(!rejected.put_back(at(1)), "not at once");
    let patience = Patience::default();
    let first = rejected.next(at(0)).unwrap();
    assert!(rejected.put_back(first) && rejected.left_out() == BTreeSet::from([account(5)]));
    rejected.answer(false, &patience, first);
    assert!(rejected.put_back(first) && rejected.left_out() == BTreeSet::from([account(3)]));
    rejected.answer(true, &patience, first);
    assert_eq!(rejected.left_out(), BTreeSet::from([account(3)]));
    assert!(!rejected.put_back(first + patience.first_retry), "the wait doubles");
    assert!(rejected.put_back(first + patience.first_retry * 2));
}

#[test]
fn who_was_refused_before_is_the_first_suspect() {
    let mut rejected = Rejected::default();
    search(&mut rejected, 8, &[3]);
    let now = rejected.next(at(0)).unwrap();
    assert!(rejected.put_back(now));
    rejected.answer(true, &Patience::default(), now);
    assert!(rejected.left_out().is_empty());
    assert_eq!(search(&mut rejected, 8, &[3]), (1, 0));
}

#[test]
fn a_write_without_an_answer_leaves_out_who_was_out() {
    let mut rejected = Rejected::default();
    rejected.found((0..4).map(account).collect(), &Patience::default(), at(0));
    assert!(rejected.put_back(at(0)) && rejected.left_out().len() < 4);
    rejected.unanswered();
    assert_eq!(rejected.left_out().len(), 4);
    assert!(rejected.put_back(at(0)));
}

#[test]
fn a_denial_loses_nobody() {
    let out = BTreeSet::from([Principal::Account(A.parse().unwrap())]);
    let denied = deny(&[A, B], &["app/*"]);
    assert_eq!(allowing_without(&denied, &out), denied);
    assert_eq!(allowing_without(&pull(&[A, B], &["app/*"]), &out), pull(&[B], &["app/*"]));
    assert_eq!(allowing_without(&pull(&[A], &["app/*"]), &out), []);
    assert_eq!(allowed_to(&pull(&[A, B], &["app/*"]), &out), pull(&[A], &["app/*"]));
}
