//! Intersection by example: narrowing applies, nothing widens.

use super::super::{Statement, intersect, is_pattern_within};
use super::{arn, pull};

const ORG: &str = "aws:PrincipalOrgID";

fn shared(applied: &Statement, wanted: &Statement) -> Vec<Statement> {
    let one_way = intersect(std::slice::from_ref(applied), std::slice::from_ref(wanted));
    let other_way = intersect(std::slice::from_ref(wanted), std::slice::from_ref(applied));
    assert_eq!(one_way, other_way);
    one_way
}

/// Behaviour 14, design "narrowing always applies, widening may be refused".
#[test]
fn an_edit_leaves_what_both_sides_grant() {
    let wanted =
        pull(&["111111111111", "333333333333"]).actions(&["ecr:BatchGetImage", "ecr:PutImage"]).on(&["team-*"]);
    let applied = pull(&["111111111111", "222222222222"]);
    assert_eq!(shared(&applied, &wanted), [pull(&["111111111111"]).actions(&["ecr:BatchGetImage"])]);
    assert_eq!(shared(&applied, &applied), std::slice::from_ref(&applied));
    assert_eq!(shared(&applied, &pull(&["333333333333"])), []);
    assert_eq!(shared(&applied, &applied.clone().on(&["team-b/*"])), []);
    assert_eq!(shared(&applied, &applied.clone().actions(&["ecr:PutImage"])), []);
    assert_eq!(intersect(&[applied], &[]), []);
}

#[test]
fn of_two_patterns_the_narrower_stays() {
    let wanted = pull(&["111111111111"]).on(&["team-a/app", "team-b*", "x*"]);
    let applied = pull(&["111111111111"]).on(&["team-a/*", "team-b/app", "y"]);
    assert_eq!(shared(&applied, &wanted), [pull(&["111111111111"]).on(&["team-a/app", "team-b/app"])]);
}

#[test]
fn conditions_add_up_and_alternatives_shrink() {
    let plain = pull(&["*"]);
    let of = |values: &[&str]| plain.clone().when("StringEquals", ORG, values);
    assert_eq!(shared(&plain, &of(&["o-1"])), [of(&["o-1"])]);
    assert_eq!(shared(&of(&["o-1", "o-2"]), &of(&["o-2", "o-3"])), [of(&["o-2"])]);
    assert_eq!(shared(&of(&["o-1"]), &of(&["o-2"])), []);
    let from = plain.clone().when("StringEquals", "aws:SourceVpc", &["vpc-1"]);
    assert_eq!(shared(&of(&["o-1"]), &from), [of(&["o-1"]).when("StringEquals", "aws:SourceVpc", &["vpc-1"])]);
    // Fewer values of a negation match more: no common ground is certain.
    let not = |values: &[&str]| plain.clone().when("StringNotEquals", ORG, values);
    assert_eq!(shared(&not(&["o-1"]), &not(&["o-1", "o-2"])), []);
    assert_eq!(shared(&not(&["o-1"]), &not(&["o-1"])), [not(&["o-1"])]);
}

#[test]
fn everyone_covers_accounts_and_nobody_else() {
    let everyone = pull(&["*"]);
    assert_eq!(shared(&everyone, &pull(&["111111111111"])), [pull(&["111111111111"])]);
    assert_eq!(shared(&everyone, &pull(&["arn:aws:iam::111111111111:role/r"])), []);
    assert_eq!(shared(&everyone, &pull(&[]).service("codebuild.amazonaws.com")), []);
}

/// Narrowing is never lost: a denial of either side stays.
#[test]
fn denials_of_both_sides_stay() {
    let (old, new) = (pull(&["111111111111"]).deny(), pull(&["222222222222"]).deny());
    assert_eq!(intersect(&[old.clone(), pull(&["*"])], std::slice::from_ref(&new)), [old, new]);
}

#[test]
fn a_piece_that_another_statement_covers_is_not_repeated() {
    let (wide, narrow) = (pull(&["111111111111"]).on(&["team-*"]), pull(&["111111111111"]).on(&["team-a*"]));
    let both = [narrow.clone(), wide.clone()];
    assert_eq!(intersect(&both, std::slice::from_ref(&wide)), [wide]);
    assert_eq!(intersect(&both, std::slice::from_ref(&narrow)), [narrow]);
}

/// Behaviour 35, "pattern tricks": containment is proven, not guessed.
#[test]
fn containment_of_patterns_is_by_literal_stem() {
    let within = |narrow: &str, wide: &str| is_pattern_within(&arn(narrow), &arn(wide));
    assert!(within("team-a", "team-a") && within("team-ab", "team-a*") && within("team-a/b*", "team-a/*"));
    assert!(within("te?m", "te*") && is_pattern_within(&arn("team-a"), "*") && is_pattern_within("*", "*"));
    assert!(!within("team-ab", "team-a") && !within("team-ab", "team-a/*") && !within("team-a*", "team-a/*"));
    assert!(!within("team-b", "t?am-*") && !within("team-b", "*team*") && !within("*", "team-a*"));
    assert!(!within("${aws:username}/x", "${aws:username}*"));
}
