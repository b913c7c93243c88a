//! Who keeps a role, who loses it, and what stands in the way.

use super::*;

fn adopted(role: &Role) -> LedgerRole {
    LedgerRole { adopted: Some(true), ..owned(role) }
}

fn with(stance: Stance<Role>, has: LedgerRole) -> Claim<Role> {
    Claim { has: Some(has), stance, ..wanting("x", 1, &role("base", "x")) }
}

/// Behaviours 28 and 30.
#[test]
fn what_an_object_made_goes_with_it_and_what_it_adopted_stays_without_its_tags() {
    let of_x = role("base", "x");
    let there = std::slice::from_ref(&made(&of_x)).to_vec();
    let delete = Some(Act::Delete { name: "base".into(), has_policy: true });
    let release = Some(Act::Release { name: "base".into(), tags: of_x.tags.keys().cloned().collect() });
    for (stance, verdict) in [(Stance::Leaves, vec![]), (Stance::Loses(because()), vec![("x", Reason::NotAllowed)])] {
        let made_it = with(stance.clone(), owned(&of_x));
        let took_it = with(stance.clone(), adopted(&of_x));
        let owns_it = Claim { owns_adopted: true, ..took_it.clone() };
        for (claim, expected) in [(made_it, &delete), (took_it, &release), (owns_it, &delete)] {
            let plan = plan_one(&claim, &there);
            assert_eq!((&act(&plan), reasons(&plan)), (expected, verdict.clone()));
            assert!(plan.has.contains_key(&claim.id), "on record until it is done");
            assert!(act(&plan).unwrap().removes());
        }
        let without = Stored { policy: None, ..made(&of_x) };
        let plan = plan_one(&with(stance, owned(&of_x)), &[without]);
        assert_eq!(act(&plan), Some(Act::Delete { name: "base".into(), has_policy: false }));
        assert_eq!(plan.steps(), ["- role base"]);
    }
}

#[test]
fn a_retained_role_is_nobodys_once_its_tags_are_gone() {
    let of_x = role("base", "x");
    let mut account = vec![Stored { boundary: None, attached: vec!["theirs".into()], ..made(&of_x) }];
    account[0].tags.insert("cost-centre".to_owned(), "42".to_owned());
    let claim = with(Stance::Released, owned(&of_x));
    let first = plan_one(&claim, &account);
    assert_eq!(first.steps(), ["~ role base: left behind"]);
    assert_eq!(record(&first), Some(&owned(&of_x)));
    apply(&first, &mut account);
    assert_eq!(account[0].tags, BTreeMap::from([("cost-centre".to_owned(), "42".to_owned())]));
    let second = plan_one(&after(&claim, &first), &account);
    assert_eq!((act(&second), record(&second), reasons(&second)), (None, None, vec![]));
}

/// Behaviour 30: rule, grant, role.
#[test]
fn a_role_that_is_in_use_waits_for_what_uses_it() {
    let of_x = role("base", "x");
    let uses = Because::new(Reason::Progressing, "A rule uses it.");
    let planned = |claim: &Claim<Role>| {
        let claims = std::slice::from_ref(claim);
        let in_use = BTreeMap::from([(claim.id.clone(), uses.clone())]);
        plan_taking_over(&BTreeSet::new(), claims, &looked_up(claims, &[made(&of_x)]), &in_use)
    };
    let leaving = planned(&with(Stance::Leaves, owned(&of_x)));
    assert_eq!((act(&leaving), record(&leaving)), (None, Some(&owned(&of_x))));
    assert_eq!(leaving.verdicts.into_values().next(), Some(uses.clone()));
    let losing = planned(&with(Stance::Loses(because()), owned(&of_x)));
    assert_eq!((act(&losing), reasons(&losing)), (None, vec![("x", Reason::Progressing)]));
    assert_eq!(message(&losing), "No rule covers it. A rule uses it.");
    // One that was adopted stays, but is nobody's then: the same order.
    assert!(act(&planned(&with(Stance::Leaves, adopted(&of_x)))).is_none());
    // Released without its rules, it would be a role of others to them.
    assert!(act(&planned(&with(Stance::Released, owned(&of_x)))).is_none());
    // Nor is the former role of an object that was made anew taken away under its rules: a name is not worth that.
    let moved = planned(&Claim { has: Some(owned(&of_x)), ..wanting("x", 1, &role("new", "x")) });
    assert_eq!((act(&moved), reasons(&moved)), (None, vec![("x", Reason::ImmutableChange)]));
    assert_eq!(record(&moved), Some(&owned(&of_x)));
    assert!(message(&moved).contains("spec.roleName"), "{}", message(&moved));
}

/// Behaviour 28, aws-facts F and K.1.
#[test]
fn a_role_is_not_deleted_under_policies_of_others_nor_without_its_boundary() {
    let of_x = role("base", "x");
    let there = made(&of_x);
    let admin = "arn:aws:iam::aws:policy/AdministratorAccess".to_owned();
    for (there, says) in [
        (Stored { other_policies: vec!["extra".into()], ..there.clone() }, "extra"),
        (Stored { attached: vec![admin.clone()], ..there.clone() }, admin.as_str()),
        (Stored { boundary: None, ..there.clone() }, "aws iam put-role-permissions-boundary --role-name base"),
        (Stored { boundary: Some(admin.clone()), ..there.clone() }, BOUNDARY),
    ] {
        for stance in [Stance::Leaves, Stance::Loses(because())] {
            let plan = plan_one(&with(stance, owned(&of_x)), std::slice::from_ref(&there));
            assert_eq!((act(&plan), reasons(&plan)), (None, vec![("x", Reason::DeletionBlocked)]));
            assert!(message(&plan).contains(says), "{}", message(&plan));
            assert_eq!(record(&plan), Some(&owned(&of_x)));
        }
    }
}

/// A Registry that names no boundary any more: what the role was made with is as good as any, none is not.
#[test]
fn without_a_boundary_in_the_registry_a_role_needs_any() {
    let of_x = role("base", "x");
    let (us, take_over) = (us(), BTreeSet::new());
    let marks = Marks { installation: &us, take_over: &take_over, partition: Partition::AWS, boundary: None };
    let claims = [with(Stance::Leaves, owned(&of_x))];
    let blocked = |there: Stored| {
        let plan = plan_roles(&claims, &looked_up(&claims, &[there]), &BTreeMap::new(), &marks);
        assert_eq!(plan.acts.is_empty(), !plan.verdicts.is_empty());
        !plan.verdicts.is_empty()
    };
    assert!(!blocked(made(&of_x)));
    assert!(blocked(Stored { boundary: None, ..made(&of_x) }));
}

#[test]
fn what_is_not_the_objects_any_more_is_neither_deleted_nor_released() {
    let of_x = role("base", "x");
    let elses = Stored { tags: us().role_tags("team-a", "y"), ..made(&of_x) };
    let anew = Stored { id: "AROAanew".into(), ..untagged(&of_x) };
    for there in [elses, anew] {
        for stance in [Stance::Leaves, Stance::Released, Stance::Orphaned, Stance::Loses(because())] {
            for has in [owned(&of_x), claimed(&of_x), adopted(&of_x)] {
                let claim = Claim { owns_adopted: true, ..with(stance.clone(), has) };
                let plan = plan_one(&claim, std::slice::from_ref(&there));
                assert_eq!((act(&plan), record(&plan)), (None, None));
                assert!(plan.missing.is_empty() && plan.given_up.is_empty());
            }
        }
    }
}

/// Behaviour 41: what AWS does not show is told apart by what the object still is to have.
#[test]
fn what_aws_does_not_show_is_missing_or_given_up() {
    let of_x = role("base", "x");
    for (stance, missing, claimed_given_up) in [
        (Stance::Wants(of_x.clone()), true, false),
        (Stance::Keeps(because()), true, false),
        (Stance::Holds(Some(of_x.clone()), because()), true, false),
        (Stance::Orphaned, true, false),
        (Stance::Loses(because()), false, true),
        (Stance::Leaves, false, true),
        (Stance::Released, false, false),
    ] {
        for has in [owned(&of_x), claimed(&of_x)] {
            let plan = plan_one(&with(stance.clone(), has.clone()), &[]);
            let given_up = claimed_given_up && has.state == OwnershipState::Claimed;
            assert_eq!(plan.missing.values().next(), missing.then_some(&has), "{stance:?}");
            assert_eq!(plan.given_up.values().next(), given_up.then_some(&has), "{stance:?}");
            assert_eq!(plan.acts.is_empty(), !matches!(stance, Stance::Wants(_)), "{stance:?}");
            assert!(plan.has.is_empty());
        }
    }
    // Owned, and about to be made again when its object went: that call may still make one.
    let again = Claim { claimed_at: Some(Timestamp::UNIX_EPOCH), ..with(Stance::Leaves, owned(&of_x)) };
    assert_eq!(plan_one(&again, &[]).given_up.len(), 1);
}

/// An orphan keeps its role until it is pruned, and keeps nobody from a name that AWS has no role of.
#[test]
fn an_orphan_keeps_what_is_there_and_no_name_of_what_is_not() {
    let of_x = role("base", "x");
    let orphan = with(Stance::Orphaned, owned(&of_x));
    let there = plan_one(&orphan, &[untagged(&of_x)]);
    assert_eq!((act(&there), record(&there), reasons(&there)), (None, Some(&owned(&of_x)), vec![]));
    let of_y = role("base", "y");
    let newcomer = wanting("y", 2, &of_y);
    assert_eq!(reasons(&plan(&[orphan.clone(), newcomer.clone()], &[made(&of_x)])), [("y", Reason::RoleConflict)]);
    assert_eq!(act(&plan(&[orphan, newcomer], &[])), Some(Act::Create(of_y)));
}

#[test]
fn who_is_held_is_told_whether_it_has_what_it_would_want_and_nothing_is_done() {
    let of_x = role("base", "x");
    let same = made(&of_x);
    let holding = |wanted: Option<Role>| with(Stance::Holds(wanted, because()), owned(&of_x));
    for (there, equal) in [
        (Stored { trust: SAME_TRUST.into(), ..same.clone() }, true),
        (Stored { trust: "{}".into(), ..same.clone() }, false),
        (Stored { policy: None, ..same.clone() }, false),
        (Stored { boundary: None, ..same.clone() }, false),
        (untagged(&of_x), false),
    ] {
        let plan = plan_one(&holding(Some(of_x.clone())), &[there]);
        assert_eq!((plan.held_equal.len() == 1, act(&plan)), (equal, None));
        assert_eq!((record(&plan), reasons(&plan)), (Some(&owned(&of_x)), vec![("x", Reason::NotAllowed)]));
    }
    assert!(plan_one(&holding(None), &[same]).held_equal.is_empty());
}

#[test]
fn who_is_refused_keeps_its_role_as_it_is() {
    let of_x = role("base", "x");
    let there = Stored { trust: "{}".into(), policy: None, ..untagged(&of_x) };
    let plan = plan_one(&with(Stance::Keeps(because()), owned(&of_x)), &[there]);
    assert_eq!((act(&plan), record(&plan)), (None, Some(&owned(&of_x))));
    assert_eq!(reasons(&plan), [("x", Reason::NotAllowed)]);
}

/// A read that failed says nothing: whoever has something on record keeps it, whatever becomes of the object.
#[test]
fn a_role_that_could_not_be_read_stays_on_record_and_its_name_is_taken() {
    let of_x = role("base", "x");
    let denied = Because::new(Reason::AccessDenied, "No iam:GetRole.");
    let found = Found::from([("base".to_owned(), Err(denied.clone())), ("BASE".to_owned(), Ok(None))]);
    let planned = |claims: &[Claim<Role>]| plan_taking_over(&BTreeSet::new(), claims, &found, &BTreeMap::new());
    let stances = [
        Stance::Wants(of_x.clone()),
        Stance::Keeps(because()),
        Stance::Holds(None, because()),
        Stance::Loses(because()),
        Stance::Leaves,
        Stance::Released,
        Stance::Orphaned,
    ];
    for stance in stances {
        for has in [owned(&of_x), claimed(&of_x)] {
            let plan = planned(&[with(stance.clone(), has.clone()), wanting("y", 0, &role("BASE", "y"))]);
            assert!(plan.acts.is_empty(), "{stance:?}");
            assert_eq!(record(&plan), Some(&has));
            assert_eq!(plan.verdicts[&owner("x")], denied);
            assert_eq!(plan.verdicts[&owner("y")].reason, Reason::RoleConflict);
            assert_eq!(plan.unread, BTreeSet::from([owner("x")]));
        }
    }
    let newcomer = planned(&[wanting("x", 1, &of_x)]);
    assert_eq!((reasons(&newcomer), newcomer.has.len()), (vec![("x", Reason::AccessDenied)], 0));
    // Nor does the former role go while the new name cannot be looked at.
    let former = role("former", "x");
    let moved = [Claim { has: Some(owned(&former)), ..wanting("x", 1, &of_x) }];
    let mut found = looked_up(&moved, &[made(&former)]);
    found.insert("base".to_owned(), Err(denied));
    let plan = plan_taking_over(&BTreeSet::new(), &moved, &found, &BTreeMap::new());
    assert_eq!((reasons(&plan), act(&plan)), (vec![("x", Reason::AccessDenied)], None));
    assert_eq!(record(&plan), Some(&owned(&former)));
}
