//! Whose the statements in AWS are, and what somebody has of them.

use super::*;
use crate::names::Partition;
use crate::pass::ledger::DocumentRecord;
use crate::pass::standing::{Known, Standing, needs_confirmation};
use crate::policy::atoms;

fn known(contributions: &[Contribution]) -> Known {
    Known::new(&us(), Partition::AWS, None, &desired(contributions.to_vec()))
}

fn standing(document: &Document) -> Standing {
    Standing::of(Some(document), &known(&[]))
}

/// Under the Sid of `made_of`, other content.
fn tampered(made_of: &Statement, content: &Statement) -> Value {
    content.to_value(Some(us().sid(made_of).as_str()))
}

/// Behaviours 9, 11 and 35.
#[test]
fn every_statement_is_foreign_ours_or_forged() {
    let ours = pull(&[A], &["x/*"]).remove(0);
    let sid = us().sid(&ours);
    let theirs = ours.to_value(Some(InstallationId::of_cluster("them").sid(&ours).as_str()));
    let all = standing(&document(&[foreign(), foreign(), theirs], std::slice::from_ref(&ours)));
    assert_eq!(all.foreign.len(), 3, "two of one Sid, and another installation's");
    assert_eq!(all.intact, [sid.clone()].into());
    assert!(all.disturbed.is_empty() && all.forged.is_empty());
    assert_eq!(all.granted, atoms([ours.clone()]));

    let other = pull(&[B], &["y/*"]).remove(0);
    let changed = document(&[tampered(&ours, &other)], &[]);
    let never_written = standing(&changed);
    assert_eq!(
        (never_written.forged, never_written.foreign.len()),
        ([sid.clone()].into(), 1),
        "never ours: left alone"
    );
    assert!(never_written.granted.is_empty());

    let record = DocumentRecord { sids: vec![sid.to_string()], ..DocumentRecord::default() };
    let once_ours = Known::new(&us(), Partition::AWS, Some(&record), &desired(Vec::new()));
    let disturbed = Standing::of(Some(&changed), &once_ours);
    assert_eq!(disturbed.disturbed, [sid.clone()].into(), "written by us before: ours to put right");
    assert!(disturbed.intact.is_empty() && disturbed.forged.is_empty());

    let twice = standing(&document(&[tampered(&ours, &ours)], &[ours]));
    assert_eq!((twice.intact, twice.disturbed), ([sid.clone()].into(), [sid].into()));
}

#[test]
fn nothing_stands_where_there_is_no_policy() {
    let empty = Standing::of(None, &known(&[]));
    assert!(empty.granted.is_empty() && empty.foreign.is_empty() && empty.present(&pull(&[A], &["x/*"])).is_empty());
}

/// What somebody has, of what stands there.
#[test]
fn what_is_present_is_whole_or_the_part_that_is_left() {
    let there = standing(&document(&[], &pull(&[A, B], &["x/*", "y/*"])));
    let table = [
        ("the same", pull(&[A, B], &["x/*", "y/*"]), pull(&[A, B], &["x/*", "y/*"])),
        ("one of two who share", pull(&[A], &["x/*", "y/*"]), pull(&[A], &["x/*", "y/*"])),
        ("narrower than what stands", pull(&[A], &["x/app"]), pull(&[A], &["x/app"])),
        ("wider than what stands", pull(&[A], &["x/*", "y/*", "z/*"]), pull(&[A], &["x/*", "y/*"])),
        ("another account", pull(&["666666666666"], &["x/*"]), vec![]),
        ("another repository", pull(&[A], &["z/*"]), vec![]),
    ];
    for (what, has, present) in table {
        assert_eq!(there.present(&has), present, "{what}");
    }
    assert!(there.present(&deny(&[A], &["x/*"])).is_empty(), "an Allow is no part of a Deny");
}

/// Narrowing always applies, widening may be refused: what is kept is in AWS, was had, and is wanted.
#[test]
fn what_is_kept_is_had_and_wanted_and_there() {
    let there = standing(&document(&[], &[pull(&[A, B], &["x/*", "y/*"]), deny(&[A], &["y/secret"])].concat()));
    let had = pull(&[A, B], &["x/*", "y/*"]);
    let table = [
        ("the same", had.clone(), had.clone(), had.clone()),
        ("a repository more", had.clone(), pull(&[A, B], &["x/*", "y/*", "z/*"]), had.clone()),
        ("one out, one in", had.clone(), pull(&[A, B], &["y/*", "z/*"]), pull(&[A, B], &["y/*"])),
        ("an account more", had.clone(), pull(&[A, "666666666666"], &["x/*", "y/*"]), pull(&[A], &["x/*", "y/*"])),
        ("nothing of it had", vec![], pull(&[A], &["x/*", "z/*"]), vec![]),
        ("a denial that is wanted", vec![], deny(&[A], &["y/secret"]), deny(&[A], &["y/secret"])),
    ];
    for (what, has, wanted, kept) in table {
        assert_eq!(there.kept(&has, &wanted), kept, "{what}");
    }
}

/// aws-facts B.5: AWS shows a deleted role by its id.
#[test]
fn a_principal_that_reads_back_as_an_id_is_gone() {
    let role = "arn:aws:iam::333333333333:role/puller";
    let mut made_of = pull(&[B], &["x/*"]).remove(0);
    made_of.principals.insert(crate::policy::Principal::aws(role, Partition::AWS));
    let mut shown = pull(&[B], &["x/*"]).remove(0);
    shown.principals.insert(crate::policy::Principal::aws("AROAEXAMPLEID", Partition::AWS));
    let wants = contribution(
        "o",
        std::slice::from_ref(&made_of),
        Some(LedgerState::Applied),
        Stance::Wants(vec![made_of.clone()]),
    );
    let standing = Standing::of(Some(&document(&[tampered(&made_of, &shown)], &[])), &known(&[wants]));
    assert_eq!(standing.gone, [crate::policy::Principal::aws(role, Partition::AWS)].into());
    assert_eq!(standing.disturbed, [us().sid(&made_of)].into());
}

/// What stands under our mark and nobody claims is told, never what somebody has or wants.
#[test]
fn what_nobody_has_or_wants_is_unclaimed() {
    let there = standing(&document(&[foreign()], &pull(&[A, B], &["x/*"])));
    let claims = |has: &[Statement], stance: Stance| [contribution("o", has, Some(LedgerState::Applied), stance)];
    let all = atoms(pull(&[A, B], &["x/*"]));
    assert_eq!(there.unclaimed(&[], &[]), all);
    assert_eq!(
        there.unclaimed(&claims(&pull(&[A], &["x/*"]), Stance::Orphaned(vec![])), &[]),
        atoms(pull(&[B], &["x/*"]))
    );
    let wants = claims(&[], Stance::Wants(pull(&[A, B], &["x/*"])));
    assert!(there.unclaimed(&wants, &[]).is_empty());
}

/// aws-facts K.3: a read that shows less than last time is confirmed by another.
#[test]
fn a_read_that_shows_less_is_not_believed_at_once() {
    let record = |foreign: &[&str], sids: &[&str]| DocumentRecord {
        foreign_hashes: foreign.iter().map(ToString::to_string).collect(),
        sids: sids.iter().map(ToString::to_string).collect(),
        ..DocumentRecord::default()
    };
    let seen = |foreign: &[&str]| Standing {
        foreign: foreign.iter().map(ToString::to_string).collect(),
        ..Standing::default()
    };
    let table = [
        ("no record, a policy", None, false, seen(&["a"]), false),
        ("no record, none", None, true, seen(&[]), true),
        ("as ever", Some(record(&["a", "b"], &[])), false, seen(&["a", "b"]), false),
        ("in another order", Some(record(&["a", "b"], &[])), false, seen(&["b", "a"]), false),
        ("one more", Some(record(&["a"], &[])), false, seen(&["a", "b"]), false),
        ("one less", Some(record(&["a", "b"], &[])), false, seen(&["a"]), true),
        ("one of two alike", Some(record(&["a", "a"], &[])), false, seen(&["a"]), true),
        ("one for another", Some(record(&["a"], &[])), false, seen(&["b"]), true),
        ("ours gone with the policy", Some(record(&[], &["s"])), true, seen(&[]), true),
        ("there never was one", Some(record(&[], &[])), true, seen(&[]), false),
    ];
    for (what, record, absent, seen, doubtful) in table {
        assert_eq!(needs_confirmation(record.as_ref(), absent, &seen), doubtful, "{what}");
    }
}
