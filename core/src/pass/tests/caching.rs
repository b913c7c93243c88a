//! Which cache rules a registry is to have (behaviours 23 and 24).

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::super::cache_rules::{Act, Claim, Rule, RulesPlan, Stance, Stored, plan_rules};
use super::super::claims::Latitude;
use super::*;
use crate::api::{Adoption, LedgerRule, OwnershipState};
use crate::kinds::RULES_AT_MOST;
use crate::reason::{Because, Reason};

fn rule(prefix: &str, upstream: &str) -> Rule {
    Rule {
        prefix: prefix.to_owned(),
        upstream_url: upstream.to_owned(),
        upstream_prefix: "ROOT".to_owned(),
        role_arn: None,
        credential_arn: None,
    }
}

fn credentials(rule: Rule, secret: &str) -> Rule {
    Rule { credential_arn: Some(format!("arn:aws:secretsmanager:eu-west-1:111111111111:secret:{secret}")), ..rule }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn stored(rule: &Rule) -> Stored {
    Stored { rule: rule.clone(), created_at: Some(at(1_000)) }
}

fn recorded(rule: &Rule, state: OwnershipState) -> LedgerRule {
    LedgerRule {
        prefix: rule.prefix.clone(),
        upstream_url: rule.upstream_url.clone(),
        upstream_prefix: None,
        role_arn: rule.role_arn.clone(),
        credential_arn: rule.credential_arn.clone(),
        created_at: None,
        adopted: None,
        consented: None,
        state,
    }
}

fn owner(namespace: &str, name: &str) -> ObjectId {
    ObjectId { kind: crate::api::Kind::PullThroughCacheRule, namespace: namespace.to_owned(), name: name.to_owned() }
}

/// A newcomer in namespace `team-NAME`, made at `created`.
fn wanting(name: &str, created: i64, rule: &Rule) -> Claim<Rule> {
    Claim {
        id: owner(&format!("team-{name}"), name),
        created: Some(at(created)),
        lost: None,
        has: None,
        claimed_at: None,
        stance: Stance::Wants(rule.clone()),
        may: Latitude::default(),
        owns_adopted: false,
        outlawed: None,
        withdrawn: BTreeSet::new(),
    }
}

fn adopting(adoption: Adoption) -> Latitude {
    Latitude { adoption, ..Latitude::default() }
}

fn owning(name: &str, created: i64, has: &Rule, wants: &Rule) -> Claim<Rule> {
    Claim { has: Some(recorded(has, OwnershipState::Owned)), ..wanting(name, created, wants) }
}

fn plan(claims: &[Claim<Rule>], there: &[Rule]) -> RulesPlan {
    let there: Vec<_> = there.iter().map(stored).collect();
    plan_rules(claims, &there, Some(&Ok(Vec::new()))).0
}

fn reasons(plan: &RulesPlan) -> Vec<(String, Reason)> {
    plan.verdicts.iter().map(|(id, because)| (id.name.clone(), because.reason)).collect()
}

fn acts(plan: &RulesPlan) -> Vec<(String, Act)> {
    plan.acts.iter().map(|(id, act)| (id.name.clone(), act.clone())).collect()
}

#[test]
fn a_rule_that_is_not_there_is_claimed_and_made_and_one_that_is_there_is_left() {
    let wanted = rule("a", "public.ecr.aws");
    let first = plan(&[wanting("x", 1, &wanted)], &[]);
    assert_eq!(acts(&first), [("x".to_owned(), Act::Create(wanted.clone()))]);
    assert_eq!(
        first.on_record(|_| None).values().map(|claim| claim.state).collect::<Vec<_>>(),
        [OwnershipState::Claimed]
    );
    let claimed = Claim {
        has: Some(recorded(&wanted, OwnershipState::Claimed)),
        claimed_at: Some(at(990)),
        ..wanting("x", 1, &wanted)
    };
    let made = plan(std::slice::from_ref(&claimed), std::slice::from_ref(&wanted));
    assert!(made.acts.is_empty() && made.verdicts.is_empty());
    assert_eq!(made.has.values().map(|has| has.state).collect::<Vec<_>>(), [OwnershipState::Owned]);
    // Made long before the claim: somebody else's.
    let late = Claim { claimed_at: Some(at(2_000)), ..claimed };
    assert_eq!(reasons(&plan(&[late], &[wanted])), [("x".to_owned(), Reason::RuleConflict)]);
}

#[test]
fn whoever_had_a_prefix_keeps_it_whatever_the_objects_ages_say() {
    let wanted = rule("a", "quay.io");
    let incumbent = owning("old", 9, &wanted, &wanted);
    let restored = plan(&[wanting("new", 1, &wanted), incumbent.clone()], std::slice::from_ref(&wanted));
    assert_eq!(reasons(&restored), [("new".to_owned(), Reason::PrefixConflict)]);
    assert!(restored.acts.is_empty());
    // Also while the incumbent is held, refused, or on its way out.
    let because = Because::new(Reason::Suspended, "");
    for stance in [Stance::Holds(None, because.clone()), Stance::Keeps(because), Stance::Leaves] {
        let plan =
            plan(&[wanting("new", 1, &wanted), Claim { stance, ..incumbent.clone() }], std::slice::from_ref(&wanted));
        assert!(reasons(&plan).contains(&("new".to_owned(), Reason::PrefixConflict)));
    }
    // Among newcomers the older one, and the other is told.
    let two = plan(&[wanting("young", 2, &wanted), wanting("elder", 1, &wanted)], &[]);
    assert_eq!(reasons(&two), [("young".to_owned(), Reason::PrefixConflict)]);
    assert_eq!(acts(&two).len(), 1);
}

#[test]
fn prefixes_nest_within_a_namespace_only_and_the_root_is_exempt() {
    let (outer, inner, root) = (rule("aa", "quay.io"), rule("aa/bb", "quay.io"), rule("ROOT", "quay.io"));
    let across = plan(&[wanting("x", 1, &outer), wanting("y", 2, &inner), wanting("z", 3, &root)], &[]);
    assert_eq!(reasons(&across), [("y".to_owned(), Reason::PrefixConflict)]);
    let mut own = wanting("y", 2, &inner);
    own.id.namespace = "team-x".to_owned();
    assert!(plan(&[wanting("x", 1, &outer), own], &[]).verdicts.is_empty());
    assert!(plan(&[wanting("x", 1, &outer), wanting("y", 2, &rule("aab", "quay.io"))], &[]).verdicts.is_empty());
}

#[test]
fn a_rule_of_others_is_touched_only_as_far_as_adoption_goes() {
    let (same, other) = (rule("a", "quay.io"), rule("a", "ghcr.io"));
    let secret = credentials(same.clone(), "s-abcdef");
    for (adoption, there, conflict, acts_on) in [
        (Adoption::Never, &same, true, None),
        (Adoption::IfIdentical, &same, false, None),
        (Adoption::IfIdentical, &other, true, None),
        (Adoption::Always, &other, true, None),
        (Adoption::IfIdentical, &secret, true, None),
        (Adoption::Always, &same, false, None),
    ] {
        let wanting = Claim { may: adopting(adoption), ..wanting("x", 1, &same) };
        let plan = plan(&[wanting], std::slice::from_ref(there));
        assert_eq!(!plan.verdicts.is_empty(), conflict, "{adoption:?} {there:?}");
        assert_eq!(plan.acts.values().next().cloned(), acts_on);
        assert_eq!(plan.has.values().any(|has| has.adopted == Some(true)), !conflict);
    }
    let wanting = Claim { may: adopting(Adoption::Always), ..wanting("x", 1, &secret) };
    assert_eq!(acts(&plan(&[wanting], &[same])), [("x".to_owned(), Act::Update(secret))]);
}

#[test]
fn an_adopted_rule_stays_unless_its_object_says_that_it_owns_it() {
    let there = rule("a", "quay.io");
    let mut leaving = Claim { stance: Stance::Leaves, ..owning("x", 1, &there, &there) };
    assert_eq!(acts(&plan(std::slice::from_ref(&leaving), std::slice::from_ref(&there))).len(), 1);
    leaving.has.as_mut().unwrap().adopted = Some(true);
    let given_back = plan(std::slice::from_ref(&leaving), std::slice::from_ref(&there));
    assert!(given_back.acts.is_empty() && given_back.has.is_empty());
    leaving.owns_adopted = true;
    assert_eq!(acts(&plan(&[leaving], &[there])).len(), 1);
}

#[test]
fn what_aws_cannot_update_is_refused_or_deleted_to_be_made_anew() {
    let (has, new) = (rule("a", "quay.io"), rule("a", "ghcr.io"));
    let edited = owning("x", 1, &has, &new);
    assert_eq!(
        reasons(&plan(std::slice::from_ref(&edited), std::slice::from_ref(&has))),
        [("x".to_owned(), Reason::ImmutableChange)]
    );
    let recreating = Claim { may: Latitude { recreate: true, ..Latitude::default() }, ..edited };
    assert_eq!(
        acts(&plan(std::slice::from_ref(&recreating), std::slice::from_ref(&has))),
        [("x".to_owned(), Act::Delete("a".to_owned()))]
    );
    assert_eq!(acts(&plan(&[recreating], &[])), [("x".to_owned(), Act::Create(new))]);
    // Credentials come by an update, and go by none.
    let with = credentials(has.clone(), "s-abcdef");
    assert_eq!(
        acts(&plan(&[owning("x", 1, &has, &with)], std::slice::from_ref(&has))),
        [("x".to_owned(), Act::Update(with.clone()))]
    );
    assert_eq!(reasons(&plan(&[owning("x", 1, &with, &has)], &[with])), [("x".to_owned(), Reason::ImmutableChange)]);
}

#[test]
fn a_rule_that_somebody_replaced_is_not_ours_and_one_that_is_gone_is_made_again() {
    let (ours, theirs) = (rule("a", "quay.io"), rule("a", "ghcr.io"));
    let claim = owning("x", 1, &ours, &ours);
    let replaced = plan(std::slice::from_ref(&claim), std::slice::from_ref(&theirs));
    assert_eq!((reasons(&replaced), replaced.has.is_empty()), (vec![("x".to_owned(), Reason::RuleConflict)], true));
    assert_eq!(acts(&plan(std::slice::from_ref(&claim), &[])), [("x".to_owned(), Act::Create(ours.clone()))]);
    let leaving = Claim { stance: Stance::Leaves, ..claim };
    assert!(plan(&[leaving], &[theirs]).acts.is_empty());
}

#[test]
fn the_fifty_first_is_refused_and_who_gets_one_back_goes_first() {
    let theirs: Vec<_> = (0..RULES_AT_MOST - 1).map(|n| rule(&format!("theirs-{n}"), "quay.io")).collect();
    let lost = rule("lost", "quay.io");
    let claims = [wanting("a", 1, &rule("new", "quay.io")), owning("z", 9, &lost, &lost)];
    let plan = plan(&claims, &theirs);
    assert_eq!(acts(&plan), [("z".to_owned(), Act::Create(lost))]);
    assert_eq!(reasons(&plan), [("a".to_owned(), Reason::QuotaExceeded)]);
}

#[test]
fn repositories_below_a_prefix_are_not_claimed_by_accident() {
    let wanted = rule("team/a", "quay.io");
    let claim = wanting("x", 1, &wanted);
    let (undecided, asking) = plan_rules(std::slice::from_ref(&claim), &[], None);
    assert!(undecided.acts.is_empty() && asking.contains(&claim.id));
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let decide = |claim: &Claim<Rule>, all: &[&str], there: &[Stored]| {
        plan_rules(std::slice::from_ref(claim), there, Some(&Ok(names(all)))).0.verdicts.len()
    };
    assert_eq!(decide(&claim, &["team/a/app"], &[]), 1);
    assert_eq!(decide(&claim, &["team/ab", "team", "team/a"], &[]), 0);
    assert_eq!(
        decide(
            &Claim { may: Latitude { claim_existing: true, ..Latitude::default() }, ..claim.clone() },
            &["team/a/app"],
            &[]
        ),
        0
    );
    // It is another rule's already, which is more specific.
    assert_eq!(decide(&claim, &["team/a/b/app"], &[stored(&rule("team/a/b", "quay.io"))]), 0);
    let root = wanting("r", 1, &rule("ROOT", "quay.io"));
    assert_eq!(decide(&root, &["anything"], &[]), 1);
    assert_eq!(decide(&root, &["team/a/app"], &[stored(&wanted)]), 0);
}

/// A rule that was deleted and made anew by others is theirs, whatever it says: only while the object makes it anew
/// itself does another time of making count.
#[test]
fn a_rule_that_others_made_anew_is_theirs() {
    let ours = rule("a", "quay.io");
    let known =
        |second: i64| LedgerRule { created_at: Some(at(second).to_string()), ..recorded(&ours, OwnershipState::Owned) };
    let has = |second: i64, claimed_at: Option<Timestamp>| Claim {
        has: Some(known(second)),
        claimed_at,
        ..wanting("x", 1, &ours)
    };
    let there = std::slice::from_ref(&ours);
    assert!(plan(&[has(1_000, None)], there).verdicts.is_empty());
    assert_eq!(reasons(&plan(&[has(900, None)], there)), [("x".to_owned(), Reason::RuleConflict)]);
    assert!(plan(&[has(900, Some(at(990)))], there).verdicts.is_empty());
    let leaving = |claim: Claim<Rule>| Claim { stance: Stance::Leaves, ..claim };
    assert!(plan(&[leaving(has(900, None))], there).acts.is_empty());
    assert_eq!(acts(&plan(&[leaving(has(1_000, None))], there)).len(), 1);
}

/// What an object only took over outlives it, also when it is made anew with another prefix; and the new prefix is
/// looked at like anybody's.
#[test]
fn another_prefix_deletes_what_was_made_and_leaves_what_was_adopted() {
    let (old, new) = (rule("old", "quay.io"), rule("new", "quay.io"));
    let mut moved = owning("x", 1, &old, &new);
    assert_eq!(
        acts(&plan(std::slice::from_ref(&moved), std::slice::from_ref(&old))),
        [("x".to_owned(), Act::Delete("old".to_owned()))]
    );
    moved.has.as_mut().unwrap().adopted = Some(true);
    let kept = plan(std::slice::from_ref(&moved), std::slice::from_ref(&old));
    assert_eq!((acts(&kept), kept.has.is_empty()), (vec![("x".to_owned(), Act::Create(new))], true));
    let taken = Ok(vec!["new/app".to_owned()]);
    let (refused, _) = plan_rules(&[moved], &[stored(&old)], Some(&taken));
    assert_eq!(reasons(&refused), [("x".to_owned(), Reason::RepositoriesExist)]);
}

/// AWS does not list the repositories: that stops those who ask, and nobody else.
#[test]
fn an_unread_list_of_repositories_stops_those_who_need_it() {
    let (asks, does_not) = (rule("a", "quay.io"), rule("b", "quay.io"));
    let claiming =
        Claim { may: Latitude { claim_existing: true, ..Latitude::default() }, ..wanting("y", 1, &does_not) };
    let unread = Err(Because::new(Reason::AccessDenied, "no"));
    let (plan, _) = plan_rules(&[wanting("x", 1, &asks), claiming], &[], Some(&unread));
    assert_eq!(acts(&plan), [("y".to_owned(), Act::Create(does_not))]);
    assert_eq!(reasons(&plan), [("x".to_owned(), Reason::AccessDenied)]);
}

/// A claim is no right to have a rule made: refused, the object gets back only what it had.
#[test]
fn who_is_refused_gets_back_what_it_had_and_not_what_it_claimed() {
    let wanted = rule("a", "quay.io");
    let because = Because::new(Reason::NotAllowed, "");
    let keeping = |state| Claim {
        has: Some(recorded(&wanted, state)),
        stance: Stance::Keeps(because.clone()),
        ..wanting("x", 1, &wanted)
    };
    assert!(plan(&[keeping(OwnershipState::Claimed)], &[]).acts.is_empty());
    assert_eq!(acts(&plan(&[keeping(OwnershipState::Owned)], &[])), [("x".to_owned(), Act::Create(wanted.clone()))]);
    // While it is made again it stays the object's own.
    let lost = plan(&[keeping(OwnershipState::Owned)], &[]);
    let before = recorded(&wanted, OwnershipState::Owned);
    assert_eq!(
        lost.on_record(|_| Some(&before)).values().map(|has| has.state).collect::<Vec<_>>(),
        [OwnershipState::Owned]
    );
}
