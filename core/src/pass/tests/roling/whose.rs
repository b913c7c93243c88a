//! Making, finding, adopting and changing roles.

use super::*;

/// Behaviour 26: claimed, made, found by its tags, left alone.
#[test]
fn a_role_that_is_not_there_is_claimed_and_made_and_known_by_its_id_then() {
    let wanted = role("base", "x");
    let claim = wanting("x", 1, &wanted);
    let first = plan_one(&claim, &[]);
    assert_eq!(act(&first), Some(Act::Create(wanted.clone())));
    assert_eq!(first.on_record(|_| None).into_values().collect::<Vec<_>>(), [claimed(&wanted)]);
    assert_eq!(first.steps(), ["+ role base"]);
    let claim = after(&claim, &first);
    let second = plan_one(&claim, &[made(&wanted)]);
    assert_eq!((record(&second), act(&second), reasons(&second)), (Some(&owned(&wanted)), None, vec![]));
    // The same claim where AWS does not show the role yet: it stays on record, and is made.
    let lost = plan_one(&claim, &[]);
    assert_eq!(lost.missing.values().collect::<Vec<_>>(), [&claimed(&wanted)]);
    assert_eq!(act(&lost), Some(Act::Create(wanted)));
}

/// Behaviour 29: while it is made again it stays the object's own.
#[test]
fn a_role_that_was_deleted_from_outside_is_made_again() {
    let wanted = role("base", "x");
    let claim = owning("x", 1, &wanted);
    let lost = plan_one(&claim, &[]);
    assert_eq!(act(&lost), Some(Act::Create(wanted.clone())));
    assert_eq!(lost.missing.values().collect::<Vec<_>>(), [&owned(&wanted)]);
    assert_eq!(after(&claim, &lost).has, Some(owned(&wanted)));
}

/// Behaviour 27: no call for what is equal in meaning, nor for what others put on it.
#[test]
fn what_is_equal_in_meaning_and_what_others_put_there_is_no_difference() {
    let wanted = role("base", "x");
    let claim = owning("x", 1, &wanted);
    let mut there = Stored { trust: SAME_TRUST.to_owned(), policy: Some(SAME_POLICY.to_owned()), ..made(&wanted) };
    there.other_policies.push("theirs".to_owned());
    there.attached.push("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
    there.tags.insert("cost-centre".to_owned(), "42".to_owned());
    assert_eq!(act(&plan_one(&claim, &[there])), None);
}

/// Behaviour 27, aws-facts F: each part by itself, and text that is no policy counts as different.
#[test]
fn what_is_not_as_wanted_is_changed_and_nothing_else() {
    let wanted = role("base", "x");
    let claim = owning("x", 1, &wanted);
    let there = made(&wanted);
    let (trust, policy) = (Some(TRUST.to_owned()), Some(POLICY.to_owned()));
    let mut without = there.clone();
    let (lost, value) = without.tags.pop_first().unwrap();
    for (there, trust, policy, tags, words) in [
        (Stored { trust: "{}".to_owned(), ..there.clone() }, trust.clone(), None, vec![], "trust policy"),
        (Stored { trust: "%7B".to_owned(), ..there.clone() }, trust.clone(), None, vec![], "trust policy"),
        (Stored { policy: None, ..there.clone() }, None, policy.clone(), vec![], "policy"),
        (Stored { policy: Some(TRUST.to_owned()), ..there.clone() }, None, policy.clone(), vec![], "policy"),
        (Stored { policy: Some("no".to_owned()), ..there.clone() }, None, policy.clone(), vec![], "policy"),
        (without, None, None, vec![(lost, value)], "tags"),
        (
            Stored { trust: String::new(), policy: None, tags: BTreeMap::new(), ..there.clone() },
            trust,
            policy,
            wanted.tags.clone().into_iter().collect(),
            "trust policy, policy, tags",
        ),
    ] {
        let tags = tags.into_iter().collect();
        let plan = plan_one(&claim, &[there]);
        assert_eq!(
            act(&plan),
            Some(Act::Change {
                name: "base".to_owned(),
                trust,
                policy,
                tags,
                pulls: LedgerPulls::default(),
                is_asked: false
            })
        );
        assert_eq!(plan.steps(), [format!("~ role base: {words}")]);
        assert_eq!((record(&plan), reasons(&plan)), (Some(&owned(&wanted)), vec![]));
    }
}

/// Behaviours 28 and 35: a name is no right, nor is a claim, nor tags that are another's or incomplete.
#[test]
fn a_role_that_is_not_the_objects_is_a_conflict() {
    let wanted = role("base", "x");
    let them = InstallationId::of_cluster("them");
    let mut incomplete = made(&wanted);
    incomplete.tags.pop_last();
    let tagged = |tags| Stored { tags, ..made(&wanted) };
    for there in [
        untagged(&wanted),
        incomplete,
        tagged(us().role_tags("team-a", "y")),
        tagged(us().role_tags("team-b", "x")),
        tagged(them.role_tags("team-a", "x")),
        Stored { arn: key().role_arn("/", "base"), ..made(&wanted) },
        Stored { name: "Base".to_owned(), arn: key().role_arn(&us().role_path(), "Base"), ..made(&wanted) },
    ] {
        let claims = [
            wanting("x", 1, &wanted),
            Claim { has: Some(claimed(&wanted)), ..wanting("x", 1, &wanted) },
            Claim {
                has: Some(LedgerRole { id: Some("AROAother".into()), ..owned(&wanted) }),
                ..wanting("x", 1, &wanted)
            },
            Claim { has: Some(LedgerRole { id: None, ..owned(&wanted) }), ..wanting("x", 1, &wanted) },
        ];
        for claim in claims {
            let plan = plan_one(&claim, std::slice::from_ref(&there));
            assert_eq!(reasons(&plan), [("x", Reason::RoleConflict)], "{there:?} {:?}", claim.has);
            assert_eq!((act(&plan), record(&plan), plan.missing.len()), (None, None, 0));
            assert!(message(&plan).starts_with("Role base (spec.roleName) "), "{}", message(&plan));
            assert!(message(&plan).contains("create the object anew with another spec.roleName"));
        }
    }
}

#[test]
fn a_conflict_names_the_field_that_the_name_comes_from_and_a_cure_that_helps() {
    let generated = role(&us().role_name("team-a", "x"), "x");
    let told = |there: Stored| message(&plan_one(&wanting("x", 1, &generated), &[there])).to_owned();
    let there = told(untagged(&generated));
    assert!(there.contains("(the name of who has no spec.roleName) is there already"), "{there}");
    assert!(there.contains("with a spec.roleName, or set spec.adoption"), "{there}");
    // Adoption does not help against the marks of another, nor against another path.
    let marked = told(Stored { tags: us().role_tags("team-b", "x"), ..made(&generated) });
    assert!(marked.contains("spec.takeOverInstallationIds") && !marked.contains("spec.adoption"), "{marked}");
    let elsewhere = told(Stored { arn: "arn:aws:iam::111111111111:role/x".to_owned(), ..untagged(&generated) });
    assert!(elsewhere.contains("as arn:aws:iam::111111111111:role/x") && !elsewhere.contains("spec.adoption"));
}

/// Behaviour 28.
#[test]
fn adoption_goes_as_far_as_it_says_and_never_to_what_is_marked_for_others() {
    use Adoption::{Always, IfIdentical, Never};
    let wanted = role("base", "x");
    let same = untagged(&wanted);
    let reworded = Stored { trust: SAME_TRUST.to_owned(), policy: Some(SAME_POLICY.to_owned()), ..same.clone() };
    let trust = Stored { trust: POLICY.to_owned(), ..same.clone() };
    let bare = Stored { policy: None, ..same.clone() };
    let unbounded = Stored { boundary: None, ..same.clone() };
    let bound_otherwise =
        Stored { boundary: Some("arn:aws:iam::aws:policy/AdministratorAccess".into()), ..same.clone() };
    let elsewhere = Stored { arn: key().role_arn("/", "base"), ..same.clone() };
    let of_another = Stored { tags: us().role_tags("team-a", "y"), ..same.clone() };
    let them = InstallationId::of_cluster("them");
    let of_others = Stored { tags: them.role_tags("team-a", "x"), ..same.clone() };
    let (conflict, boundary) = (Some(Reason::RoleConflict), Some(Reason::BoundaryMissing));
    for (adoption, there, refused) in [
        (Never, &same, conflict),
        (IfIdentical, &same, None),
        (IfIdentical, &reworded, None),
        (IfIdentical, &trust, conflict),
        (IfIdentical, &bare, conflict),
        (IfIdentical, &unbounded, boundary),
        (IfIdentical, &elsewhere, conflict),
        (Always, &same, None),
        (Always, &trust, None),
        (Always, &bare, None),
        (Always, &unbounded, boundary),
        (Always, &bound_otherwise, boundary),
        (Always, &elsewhere, conflict),
        (Always, &of_another, conflict),
        (Always, &of_others, conflict),
    ] {
        let plan = plan_one(&adopting(adoption, wanting("x", 1, &wanted)), std::slice::from_ref(there));
        assert_eq!(reasons(&plan).first().map(|(_, reason)| *reason), refused, "{adoption:?} {there:?}");
        assert_eq!(record(&plan).map(|has| has.adopted), refused.is_none().then_some(Some(true)));
        let Some(Act::Change { trust, policy, tags, .. }) = act(&plan) else {
            assert!(refused.is_some() && act(&plan).is_none());
            continue;
        };
        assert_eq!((trust.is_some(), policy.is_some()), (there.trust == POLICY, there.policy.is_none()));
        assert_eq!((refused, tags), (None, wanted.tags.clone()));
    }
}

/// Behaviour 28, aws-facts K.1: the operator may not put a boundary on a role, so it says how.
#[test]
fn a_role_of_ours_that_lost_its_boundary_is_not_touched() {
    let wanted = role("base", "x");
    for boundary in [None, Some("arn:aws:iam::aws:policy/AdministratorAccess".to_owned())] {
        let there = Stored { boundary, trust: "{}".to_owned(), ..made(&wanted) };
        let plan = plan_one(&owning("x", 1, &wanted), &[there]);
        assert_eq!((reasons(&plan), act(&plan)), (vec![("x", Reason::BoundaryMissing)], None));
        assert_eq!(record(&plan), Some(&owned(&wanted)));
        let cure = format!("aws iam put-role-permissions-boundary --role-name base --permissions-boundary {BOUNDARY}");
        assert!(message(&plan).contains(&cure), "{}", message(&plan));
    }
}

/// Behaviour 17: no gap, the tags are ours from then on; only where the same object asks for it.
#[test]
fn a_role_of_an_installation_that_is_taken_over_becomes_ours() {
    let wanted = role("base", "x");
    let them = InstallationId::of_cluster("them");
    let there = |object: &str| [Stored { tags: them.role_tags("team-a", object), ..made(&wanted) }];
    let claims = [wanting("x", 1, &wanted)];
    let planned = |object: &str| {
        let take_over = BTreeSet::from([them.clone()]);
        plan_taking_over(&take_over, &claims, &looked_up(&claims, &there(object)), &BTreeMap::new())
    };
    let plan = planned("x");
    let Some(Act::Change { trust: None, policy: None, tags, .. }) = act(&plan) else { panic!("{plan:?}") };
    assert_eq!(tags.into_values().collect::<Vec<_>>(), [us().as_str().to_owned()]);
    // Upstreams grant to what is owned: it is, once the tags say so.
    let coming = LedgerRole { state: OwnershipState::Claimed, ..owned(&wanted) };
    assert_eq!(record(&plan), Some(&coming));
    assert_eq!((reasons(&planned("y")), act(&planned("y"))), (vec![("x", Reason::RoleConflict)], None));
    // A record of the id does not outweigh the marks of who took it over from us.
    let lost = plan_one(&owning("x", 1, &wanted), &there("x"));
    assert_eq!((reasons(&lost), record(&lost)), (vec![("x", Reason::RoleConflict)], None));
}

/// aws-facts A.3: IAM has a name once, in whatever letters.
#[test]
fn of_two_objects_that_want_one_name_the_incumbent_has_it_then_the_marked_then_the_older() {
    let (of_x, of_y) = (role("base", "x"), role("BASE", "y"));
    let told = |claims: [Claim<Role>; 2], account: &[Stored]| {
        let plan = plan(&claims, account);
        let refused: Vec<_> = plan.verdicts.iter().map(|(id, because)| (id.name.clone(), because.reason)).collect();
        assert_eq!(refused.len(), 1, "{plan:?}");
        assert_eq!(refused[0].1, Reason::RoleConflict);
        assert!(plan.acts.len() <= 1 && !plan.acts.contains_key(&owner(&refused[0].0)));
        refused[0].0.clone()
    };
    // The older one.
    assert_eq!(told([wanting("x", 1, &of_x), wanting("y", 2, &of_y)], &[]), "y");
    assert_eq!(told([wanting("x", 2, &of_x), wanting("y", 1, &of_y)], &[]), "x");
    // The same age: by name.
    assert_eq!(told([wanting("y", 1, &of_y), wanting("x", 1, &of_x)], &[]), "y");
    // Whoever has it, there or lost, and also if it is refused today.
    assert_eq!(told([wanting("x", 1, &of_x), owning("y", 2, &of_y)], &[made(&of_y)]), "x");
    assert_eq!(told([wanting("x", 1, &of_x), owning("y", 2, &of_y)], &[]), "x");
    let kept = Claim { stance: Stance::Keeps(because()), ..owning("y", 2, &of_y) };
    for account in [vec![], vec![made(&of_y)], vec![untagged(&of_y)]] {
        let newcomer = adopting(Adoption::Always, wanting("x", 1, &role("BASE", "x")));
        let plan = plan(&[newcomer, kept.clone()], &account);
        assert_eq!(reasons(&plan), [("x", Reason::RoleConflict), ("y", Reason::NotAllowed)]);
        assert!(plan.acts.is_empty());
    }
    // A record that is sure goes before a claim.
    let claiming = Claim { has: Some(claimed(&of_x)), ..wanting("x", 1, &of_x) };
    assert_eq!(told([claiming, owning("y", 2, &of_y)], &[]), "x");
    // Without a record, whose tags are on it.
    assert_eq!(told([wanting("x", 1, &of_x), wanting("y", 2, &of_y)], &[made(&of_y)]), "x");
}

/// Who may not have a role that is there does not keep it from who may.
#[test]
fn a_name_that_somebody_is_refused_is_not_taken() {
    let (of_x, of_y) = (role("base", "x"), role("base", "y"));
    let claims = [wanting("x", 1, &of_x), adopting(Adoption::IfIdentical, wanting("y", 2, &of_y))];
    let plan = plan(&claims, &[untagged(&of_y)]);
    assert_eq!(reasons(&plan), [("x", Reason::RoleConflict)]);
    assert_eq!(plan.acts.keys().collect::<Vec<_>>(), [&owner("y")]);
}

/// A role whose tags were lost is its object's by record: an older object that was made anew with its name, and may
/// adopt anything, does not get it.
#[test]
fn what_is_on_record_of_another_is_not_adopted() {
    let (former, of_y) = (role("former", "x"), role("base", "y"));
    let moved = Claim { has: Some(owned(&former)), ..wanting("x", 1, &role("base", "x")) };
    let claims = [adopting(Adoption::Always, moved), owning("y", 9, &of_y)];
    let plan = plan(&claims, &[made(&former), untagged(&of_y)]);
    assert_eq!(reasons(&plan), [("x", Reason::RoleConflict)]);
    assert_eq!(
        act(&plan),
        Some(Act::Change {
            name: "base".into(),
            trust: None,
            policy: None,
            tags: of_y.tags,
            pulls: LedgerPulls::default(),
            is_asked: false
        })
    );
    assert_eq!(plan.has.len(), 2);
}

/// A ledger that says of two that they have one role: it is the older one's alone, and nothing is done for the other.
#[test]
fn a_role_is_one_objects() {
    let (of_x, of_y) = (role("base", "x"), role("base", "y"));
    let leaving = Claim { stance: Stance::Leaves, ..owning("y", 2, &of_y) };
    let plan = plan(&[leaving, owning("x", 1, &of_x)], &[untagged(&of_x)]);
    assert_eq!(plan.has.keys().collect::<Vec<_>>(), [&owner("x")]);
    assert_eq!(
        act(&plan),
        Some(Act::Change {
            name: "base".into(),
            trust: None,
            policy: None,
            tags: of_x.tags,
            pulls: LedgerPulls::default(),
            is_asked: false
        })
    );
}

/// An object that was made anew with another name: the former role goes first, unless the new one cannot come.
#[test]
fn another_name_removes_the_former_role_and_then_makes_the_new_one() {
    let (former, wanted) = (role("former", "x"), role("base", "x"));
    let mut claim = Claim { has: Some(owned(&former)), ..wanting("x", 1, &wanted) };
    let mut account = vec![made(&former)];
    for expected in [Act::Delete { name: "former".into(), has_policy: true }, Act::Create(wanted.clone())] {
        let plan = plan_one(&claim, &account);
        assert_eq!((act(&plan), reasons(&plan)), (Some(expected), vec![]));
        apply(&plan, &mut account);
        claim = after(&claim, &plan);
    }
    assert_eq!(account, [made(&wanted)]);
    let squatted = plan_one(&Claim { has: Some(owned(&former)), ..claim.clone() }, &[made(&former), untagged(&wanted)]);
    assert_eq!((act(&squatted), reasons(&squatted)), (None, vec![("x", Reason::RoleConflict)]));
    // The same name in other letters is another role, and the former one is no stranger in its way.
    let lettered = Claim { has: Some(owned(&role("BASE", "x"))), ..claim };
    let plan = plan_one(&lettered, &[made(&role("BASE", "x"))]);
    assert_eq!(act(&plan), Some(Act::Delete { name: "BASE".into(), has_policy: true }));
}

#[test]
fn a_role_does_not_move_to_another_path() {
    let wanted = role("base", "x");
    let before = Role { arn: key().role_arn("/", "base"), path: "/".to_owned(), ..wanted.clone() };
    let claim = Claim { has: Some(owned(&before)), ..wanting("x", 1, &wanted) };
    let plan = plan_one(&claim, &[Stored { trust: "{}".into(), ..made(&before) }]);
    assert_eq!((reasons(&plan), act(&plan)), (vec![("x", Reason::ImmutableChange)], None));
    assert_eq!(record(&plan), Some(&owned(&before)));
}

/// Behaviour 41: the role tells whose it is, not whether its object made it.
#[test]
fn a_role_that_is_known_by_its_tags_alone_counts_as_adopted_if_its_object_may_adopt() {
    let wanted = role("base", "x");
    let adopted = |adoption, has| {
        let claim = adopting(adoption, Claim { has, ..wanting("x", 1, &wanted) });
        let plan = plan_one(&claim, &[made(&wanted)]);
        assert_eq!((act(&plan), reasons(&plan)), (None, vec![]));
        record(&plan).unwrap().adopted
    };
    assert_eq!(adopted(Adoption::Never, None), None);
    assert_eq!(adopted(Adoption::IfIdentical, None), Some(true));
    // What is on record is as it was recorded: a claim is of a role that the object makes.
    assert_eq!(adopted(Adoption::Always, Some(claimed(&wanted))), None);
    assert_eq!(adopted(Adoption::Always, Some(owned(&wanted))), None);
    let evidence = LedgerRole { adopted: Some(true), ..claimed(&wanted) };
    assert_eq!(adopted(Adoption::Always, Some(evidence)), Some(true));
}
