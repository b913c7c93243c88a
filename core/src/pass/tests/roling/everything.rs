//! Every combination of tags, record, adoption and stance with everything that a role can lack.

use super::*;

/// Whose tags a role carries.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tags {
    Ours,
    TakenOver,
    None,
    Incomplete,
    OfAnother,
    OfOtherNamespace,
    OfStranger,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum On {
    Nothing,
    Claimed,
    Owned,
    Adopted,
    /// Owned, of a role that stood there before.
    Former,
}

const TAGS: [Tags; 7] = [
    Tags::Ours,
    Tags::TakenOver,
    Tags::None,
    Tags::Incomplete,
    Tags::OfAnother,
    Tags::OfOtherNamespace,
    Tags::OfStranger,
];
const RECORDS: [On; 5] = [On::Nothing, On::Claimed, On::Owned, On::Adopted, On::Former];
const ADOPTIONS: [Adoption; 3] = [Adoption::Never, Adoption::IfIdentical, Adoption::Always];

fn taken_over() -> InstallationId {
    InstallationId::of_cluster("taken over")
}

fn tags(tags: Tags) -> BTreeMap<String, String> {
    let mut of_x = us().role_tags("team-a", "x");
    match tags {
        Tags::Ours => of_x,
        Tags::TakenOver => taken_over().role_tags("team-a", "x"),
        Tags::None => BTreeMap::new(),
        Tags::Incomplete => {
            of_x.pop_first();
            of_x
        }
        Tags::OfAnother => us().role_tags("team-a", "y"),
        Tags::OfOtherNamespace => us().role_tags("team-b", "x"),
        Tags::OfStranger => InstallationId::of_cluster("stranger").role_tags("team-a", "x"),
    }
}

fn has(on: On, wanted: &Role) -> Option<LedgerRole> {
    match on {
        On::Nothing => None,
        On::Claimed => Some(claimed(wanted)),
        On::Owned => Some(owned(wanted)),
        On::Adopted => Some(LedgerRole { adopted: Some(true), ..owned(wanted) }),
        On::Former => Some(LedgerRole { id: Some("AROAformer".to_owned()), ..owned(wanted) }),
    }
}

fn stances(wanted: &Role) -> [Stance<Role>; 7] {
    [
        Stance::Wants(wanted.clone()),
        Stance::Keeps(because()),
        Stance::Holds(Some(wanted.clone()), because()),
        Stance::Loses(because()),
        Stance::Leaves,
        Stance::Released,
        Stance::Orphaned,
    ]
}

/// The role as it is wanted, and all that can be wrong with it.
fn states(wanted: &Role) -> Vec<Stored> {
    let right = made(wanted);
    let elsewhere = key().role_arn("/elsewhere/", &wanted.name);
    let lettered = wanted.name.to_ascii_uppercase();
    vec![
        right.clone(),
        Stored { trust: "{}".to_owned(), ..right.clone() },
        Stored { policy: None, ..right.clone() },
        Stored { boundary: None, ..right.clone() },
        Stored { attached: vec!["arn:aws:iam::aws:policy/X".to_owned()], ..right.clone() },
        Stored { other_policies: vec!["theirs".to_owned()], ..right.clone() },
        Stored { arn: elsewhere, ..right.clone() },
        Stored { arn: key().role_arn(&wanted.path, &lettered), name: lettered, ..right },
    ]
}

struct Case {
    tags: Tags,
    on: On,
    claim: Claim<Role>,
    there: Option<Stored>,
}

fn each(mut check: impl FnMut(&Case)) {
    let wanted = role("base", "x");
    let there = states(&wanted);
    for stance in stances(&wanted) {
        for on in RECORDS {
            for adoption in ADOPTIONS {
                for owns_adopted in [false, true] {
                    let claim = Claim {
                        has: has(on, &wanted),
                        stance: stance.clone(),
                        owns_adopted,
                        ..adopting(adoption, wanting("x", 1, &wanted))
                    };
                    check(&Case { tags: Tags::None, on, claim: claim.clone(), there: None });
                    for mark in TAGS {
                        for there in &there {
                            let there = Some(Stored { tags: tags(mark), ..there.clone() });
                            check(&Case { tags: mark, on, claim: claim.clone(), there });
                        }
                    }
                }
            }
        }
    }
}

fn planned(claim: &Claim<Role>, account: &[Stored]) -> RolesPlan {
    let claims = std::slice::from_ref(claim);
    let take_over = BTreeSet::from([taken_over()]);
    plan_taking_over(&take_over, claims, &looked_up(claims, account), &BTreeMap::new())
}

/// Whether the role is the object's, said anew and in other words than the plan says it.
fn is_ours(case: &Case, there: &Stored) -> bool {
    let in_place = there.arn == role("base", "x").arn;
    let place_is_known = case.on != On::Nothing || matches!(case.claim.stance, Stance::Wants(_) | Stance::Holds(..));
    in_place
        && place_is_known
        && match case.tags {
            Tags::Ours | Tags::TakenOver => true,
            Tags::None | Tags::Incomplete => matches!(case.on, On::Owned | On::Adopted),
            Tags::OfAnother | Tags::OfOtherNamespace | Tags::OfStranger => false,
        }
}

/// Behaviours 28 and 35.
#[test]
fn nothing_is_ever_done_to_a_role_that_is_not_ours_without_adoption() {
    let mut acts = 0;
    each(|case| {
        let Some(there) = &case.there else { return };
        let plan = planned(&case.claim, std::slice::from_ref(there));
        let about = format!("{:?} {:?} {:?} {there:?}", case.tags, case.on, case.claim);
        if is_ours(case, there) {
            acts += usize::from(!plan.acts.is_empty());
            let has = plan.has.get(&case.claim.id);
            let released = matches!(case.claim.stance, Stance::Released | Stance::Leaves | Stance::Loses(_));
            assert!(has.is_some_and(|has| has.id.as_ref() == Some(&there.id)) || released, "{about}");
            return;
        }
        let marked_for_others = matches!(case.tags, Tags::OfAnother | Tags::OfOtherNamespace | Tags::OfStranger);
        let adopts = matches!(case.claim.stance, Stance::Wants(_))
            && case.claim.may.adoption > Adoption::Never
            && !marked_for_others
            && there.arn == role("base", "x").arn
            && there.boundary.as_deref() == Some(BOUNDARY);
        if !adopts {
            assert!(plan.acts.is_empty() && plan.has.is_empty(), "{about}");
        }
        assert!(!plan.acts.values().any(Action::removes), "{about}");
    });
    assert!(acts > 100, "{acts}");
}

/// aws-facts K.1: what IAM would not let us do anyway is not tried.
#[test]
fn a_role_without_its_boundary_is_never_changed_adopted_or_deleted() {
    each(|case| {
        let Some(there) = case.there.as_ref().filter(|there| there.boundary.is_none()) else { return };
        let plan = planned(&case.claim, std::slice::from_ref(there));
        assert!(plan.acts.values().all(|act| matches!(act, Act::Release { .. })), "{:?}", plan.acts);
    });
}

/// Once the acts are done nothing is left to do, and whoever wants a role has it or is told why not.
#[test]
fn a_plan_that_was_carried_out_leaves_nothing_to_do() {
    each(|case| {
        let mut account: Vec<_> = case.there.iter().cloned().collect();
        let first = planned(&case.claim, &account);
        apply(&first, &mut account);
        let claim = after(&case.claim, &first);
        let second = planned(&claim, &account);
        let about = format!("{:?} {:?} {:?}: {first:?}, then {second:?}", case.tags, case.on, case.claim);
        assert!(second.acts.is_empty(), "{about}");
        match &claim.stance {
            Stance::Wants(wanted) => {
                let is_right = |role: &Stored| {
                    let Stored { other_policies, attached, .. } = role.clone();
                    *role == Stored { other_policies, attached, ..made(wanted) }
                };
                assert_eq!(account.iter().any(is_right), second.verdicts.is_empty(), "{about}");
                assert!(!second.verdicts.is_empty() || !second.has.is_empty(), "{about}");
            }
            Stance::Leaves => assert_eq!(second.has.is_empty(), second.verdicts.is_empty(), "{about}"),
            Stance::Released => assert!(second.has.is_empty() && second.verdicts.is_empty(), "{about}"),
            _ => {}
        }
        let third = planned(&after(&claim, &second), &account);
        assert!(third.acts.is_empty(), "{about}");
    });
}

/// What others put on a role, and roles that no act names, are as they were.
#[test]
fn what_others_put_on_a_role_is_there_as_long_as_the_role() {
    each(|case| {
        let Some(there) = &case.there else { return };
        let mut there = there.clone();
        there.tags.insert("cost-centre".to_owned(), "42".to_owned());
        let mut account = vec![there.clone()];
        apply(&planned(&case.claim, &account), &mut account);
        let Some(left) = account.first() else { return };
        assert_eq!(left.tags.get("cost-centre").map(String::as_str), Some("42"));
        assert_eq!((&left.attached, &left.other_policies), (&there.attached, &there.other_policies));
        assert_eq!((&left.boundary, &left.arn, &left.id), (&there.boundary, &there.arn, &there.id));
    });
}
