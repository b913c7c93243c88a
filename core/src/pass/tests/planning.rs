//! What would be written, and who may grow.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::names::Partition;
use crate::pass::freshness::{Ages, Proof, Store};
use crate::pass::orphans::{Leaving, Said, Word};
use crate::pass::plan::{Observed, Plan, Write, plan};
use crate::pass::queue::Now;
use crate::pass::scope::ScopeView;
use crate::policy::{REGISTRY_POLICY_LIMIT, atoms};
use crate::reason::Reason;

const NOW: Duration = Duration::from_secs(1000);

fn plan_on(document: Option<&Document>, contributions: Vec<Contribution>) -> Plan {
    let observed = Observed { document, record: None, scope: Some(ScopeView::V2) };
    plan(&desired(contributions), &observed, &us(), Partition::AWS, &mut memory(), NOW)
}

fn wants(name: &str, has: &[Statement], wanted: &[Statement]) -> Contribution {
    let state = (!has.is_empty()).then_some(LedgerState::Applied);
    contribution(name, has, state, Stance::Wants(wanted.to_vec()))
}

/// What is ours in the document that would be written.
fn ours(plan: &Plan) -> BTreeSet<Statement> {
    atoms(plan.compose(&plan.admitted).unwrap().ours.into_values())
}

/// Repositories that take up so many hundred characters.
fn big(name: &str, hundreds: usize) -> Vec<Statement> {
    let name = |i| format!("{name}/{i:03}-{}", "x".repeat(100 - 50 - name.len()));
    let names: Vec<String> = (0..hundreds).map(name).collect();
    pull(&[A], &names.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_equals_aws_is_done() {
    let there = pull(&[A], &["x/*"]);
    let document = document(&[foreign()], &there);
    let plan = plan_on(Some(&document), vec![wants("o", &there, &there)]);
    let composition = plan.compose(&plan.admitted).unwrap();
    assert!(plan.is_done(&composition) && plan.growth.is_empty() && plan.steps(&composition).is_empty());
}

/// Behaviour 15.
#[test]
fn statements_alike_but_for_their_principals_become_one() {
    let plan = plan_on(None, vec![wants("a", &[], &pull(&[A], &["x/*"])), wants("b", &[], &pull(&[B], &["x/*"]))]);
    assert_eq!(plan.compose(&plan.admitted).unwrap().ours.len(), 1);
    assert_eq!(ours(&plan), atoms(pull(&[A, B], &["x/*"])));
}

/// Behaviour 10: the last statement takes the policy along, but not while somebody else's is in it.
#[test]
fn the_last_statement_deletes_the_policy_unless_others_are_in_it() {
    let there = pull(&[A], &["x/*"]);
    let leaves = || vec![contribution("o", &there, Some(LedgerState::Applied), Stance::Leaves)];
    let alone = document(&[], &there);
    let plan = plan_on(Some(&alone), leaves());
    assert!(matches!(plan.compose(&[]).unwrap().write, Write::Delete));
    let shared = document(&[foreign()], &there);
    let plan = plan_on(Some(&shared), leaves());
    let composition = plan.compose(&[]).unwrap();
    let Write::Put(put) = &composition.write else { panic!("others are in it") };
    assert_eq!(put.value().statements().len(), 1);
    assert_eq!(plan.steps(&composition).len(), 1);
}

/// Released statements get a Sid that is not ours, once.
#[test]
fn what_is_released_is_left_under_a_sid_that_is_not_ours() {
    let there = pull(&[A, B], &["x/*"]);
    let leaves = contribution("o", &there, Some(LedgerState::Applied), Stance::Released(pull(&[A], &["x/*"])));
    let stands = document(&[], &there);
    let plan = plan_on(Some(&stands), vec![leaves.clone()]);
    let Write::Put(put) = plan.compose(&[]).unwrap().write else { panic!("it stays") };
    let left = put.value().clone();
    assert_eq!(left.statements().len(), 1);
    assert!(left.statements()[0].sid().unwrap().starts_with("Released"));
    assert_eq!(left.statements()[0].normal(Partition::AWS), Some(pull(&[A], &["x/*"]).remove(0)));

    let again = plan_on(Some(&left), vec![leaves]);
    let composition = again.compose(&[]).unwrap();
    assert!(again.is_done(&composition), "a second try adds nothing");
}

/// Behaviour 14: what fits, fits to the character; what does not is refused with the sizes.
#[test]
fn the_limit_is_exact() {
    let at = |filler: usize| {
        let mut long = foreign();
        long["Resource"] = "x".repeat(filler).into();
        plan_on(Some(&document(&[long], &[])), vec![wants("o", &[], &pull(&[A], &["x/*"]))])
    };
    let Write::Put(short) = at(1).compose(&[0]).unwrap().write else { panic!("it is a Put") };
    let room = REGISTRY_POLICY_LIMIT - short.characters() + 1;
    assert_eq!((at(room).admitted, at(room).verdicts.len()), (vec![0], 0));
    let full = at(room + 1);
    assert!(full.admitted.is_empty());
    let because = &full.verdicts[&id("o")];
    assert_eq!(because.reason, Reason::PolicyTooLarge);
    assert!(because.message.contains("10241") && because.message.contains("10240"), "{}", because.message);
}

/// Behaviour 14: who fits is served whoever does not, and who only gets back what was its own goes first.
#[test]
fn who_fits_is_admitted_and_who_was_there_goes_first() {
    let plan_of = |contributions| plan_on(None, contributions);
    let plan = plan_of(vec![wants("a", &[], &big("a", 120)), wants("b", &[], &pull(&[A], &["x/*"]))]);
    assert_eq!(plan.admitted, [1]);
    assert_eq!(plan.verdicts.keys().collect::<Vec<_>>(), [&id("a")]);

    // Drift took both documents away; only one of them was there before, and they do not fit together.
    let plan = plan_of(vec![wants("a", &[], &big("a", 60)), wants("b", &big("b", 60), &big("b", 60))]);
    assert_eq!((plan.admitted, plan.growth[1].restores), (vec![1], true));
    assert_eq!(plan.verdicts.keys().collect::<Vec<_>>(), [&id("a")]);
}

/// Behaviour 14: an incumbent that grows too much keeps what it had and still wants.
#[test]
fn growth_that_does_not_fit_leaves_what_was_had_and_is_still_wanted() {
    let had = pull(&[A], &["x/*", "y/*"]);
    let mut wanted = big("a", 120);
    wanted[0].resources.insert("arn:aws:ecr:eu-west-1:111111111111:repository/y/*".to_owned());
    let there = document(&[], &had);
    let plan = plan_on(Some(&there), vec![wants("o", &had, &wanted)]);
    assert!(plan.admitted.is_empty());
    assert_eq!(ours(&plan), atoms(pull(&[A], &["y/*"])));
    assert_eq!(plan.without_growth[&id("o")], pull(&[A], &["y/*"]));
}

/// Behaviour 18: no probe takes away what stands.
#[test]
fn a_plan_for_some_keeps_what_the_others_have() {
    let (a, b) = (pull(&[A], &["a/*"]), pull(&[B], &["b/*"]));
    let there = document(&[], &[a.clone(), b.clone()].concat());
    let more = |name: &str, account: &str| pull(&[account], &[&format!("{name}/*"), &format!("{name}-more/*")]);
    let mut plan = plan_on(Some(&there), vec![wants("a", &a, &more("a", A)), wants("b", &b, &more("b", B))]);
    plan.admit_only(|growth| growth.id == id("b"));
    assert_eq!(ours(&plan), atoms([a, more("b", B)].concat()));
}

/// What is held, orphaned or unclaimed stays exactly as it is there: it is not put back where it is gone.
#[test]
fn what_is_held_or_nobodys_stays_as_it_is_there() {
    let because = || crate::reason::Because::new(Reason::Suspended, "");
    let had = pull(&[A, B], &["x/*"]);
    for stance in [Stance::Holds(had.clone(), because()), Stance::Orphaned(had.clone())] {
        let there = document(&[], &pull(&[A], &["x/*"]));
        let held = contribution("o", &had, Some(LedgerState::Applied), stance.clone());
        let plan = plan_on(Some(&there), vec![held.clone()]);
        assert_eq!(ours(&plan), atoms(pull(&[A], &["x/*"])), "{stance:?}");
        assert!(plan.is_done(&plan.compose(&[]).unwrap()));
        assert!(ours(&plan_on(None, vec![held])).is_empty(), "{stance:?}");
    }
    let unclaimed = plan_on(Some(&document(&[], &had)), vec![]);
    assert_eq!(ours(&unclaimed), atoms(had));
    assert!(!unclaimed.orphans.nameless.token.is_empty());
}

/// `prune` removes exactly what its token was printed for.
#[test]
fn prune_takes_exactly_the_orphans_it_was_told() {
    let had = pull(&[A], &["x/*"]);
    let there = document(&[], &[had.clone(), pull(&[B], &["y/*"])].concat());
    let orphan = || contribution("o", &had, Some(LedgerState::Orphan), Stance::Orphaned(had.clone()));
    let stays = || wants("p", &pull(&[B], &["y/*"]), &pull(&[B], &["y/*"]));
    let with_tokens = |asked: Option<String>, handled: Option<String>| {
        let observed = Observed { document: Some(&there), record: None, scope: None };
        let desired = Desired {
            words: Words { prune: asked, handled_prune: handled, ..Words::default() },
            ..desired(vec![orphan(), stays()])
        };
        plan(&desired, &observed, &us(), Partition::AWS, &mut memory(), NOW)
    };
    let with_token = |asked| with_tokens(asked, None);
    let token_of = |plan: &Plan| plan.orphans.left(Leaving::Lost).next().unwrap().token.clone();
    let token = token_of(&with_token(None));
    let both = atoms([had.clone(), pull(&[B], &["y/*"])].concat());
    assert_eq!(ours(&with_token(None)), both);
    assert_eq!(ours(&with_token(Some("another".to_owned()))), both);
    assert_eq!(ours(&with_token(Some(token.clone()))), atoms(pull(&[B], &["y/*"])));
    // The like of what it removed once is another set, with a token of its own.
    let again = with_tokens(Some(token.clone()), Some(token.clone()));
    assert_eq!(ours(&again), both);
    assert_eq!(ours(&with_tokens(Some(token_of(&again)), Some(token))), atoms(pull(&[B], &["y/*"])));
}

/// A namespace that goes on losing objects changes no token but its own, and what was said of the others is carried out.
#[test]
fn each_namespace_has_a_token_of_its_own() {
    let had = pull(&[A], &["x/*"]);
    let of = |namespace: &str, name: &str, stance: Stance| {
        let contribution = contribution(name, &had, Some(LedgerState::Orphan), stance);
        let id = ObjectId { namespace: namespace.to_owned(), ..contribution.id.clone() };
        Contribution { id, ..contribution }
    };
    let lost = |namespace: &str, name: &str| of(namespace, name, Stance::Orphaned(had.clone()));
    let there = document(&[], &had);
    let planned = |contributions: Vec<Contribution>, words: Words| {
        let observed = Observed { document: Some(&there), record: None, scope: None };
        let desired = Desired { words, ..desired(contributions) };
        plan(&desired, &observed, &us(), Partition::AWS, &mut memory(), NOW)
    };
    let tokens = |plan: &Plan| plan.orphans.sets.iter().map(|(id, left)| (id.clone(), left.token.clone())).collect();
    let retained = of("team-a", "r", Stance::Retained(had.clone()));
    let before: BTreeMap<_, _> =
        tokens(&planned(vec![lost("team-a", "o"), retained.clone(), lost("team-b", "o")], Words::default()));
    let more = || vec![lost("team-a", "o"), retained.clone(), lost("team-b", "o"), lost("team-b", "p")];
    let after: BTreeMap<_, _> = tokens(&planned(more(), Words::default()));
    let kept: Vec<_> =
        before.iter().filter(|(set, token)| after.get(*set) == Some(token)).map(|(set, _)| set).collect();
    assert_eq!(kept, [&(Leaving::Lost, "team-a".to_owned()), &(Leaving::Retained, "team-a".to_owned())]);
    let all = before.values().cloned().collect::<Vec<_>>().join(",");
    let said = |words| planned(more(), words).orphans.said();
    let words = Words { prune: Some(all), ..Words::default() };
    let heard = said(words.clone());
    let on = |said: &Said, leaving, namespace: &str| {
        let name = if leaving == Leaving::Retained { "r" } else { "o" };
        said.on(leaving, &ObjectId { namespace: namespace.to_owned(), ..id(name) })
    };
    assert_eq!(on(&heard, Leaving::Lost, "team-a"), Word::Prune);
    assert_eq!(on(&heard, Leaving::Retained, "team-a"), Word::Prune);
    assert_eq!(on(&heard, Leaving::Lost, "team-b"), Word::None);
    // Whose rule or role is still there keeps its statements, and nobody else's.
    let held = said(Words { held: BTreeSet::from([(Leaving::Lost, "team-a".to_owned())]), ..words });
    assert_eq!((on(&held, Leaving::Lost, "team-a"), on(&held, Leaving::Retained, "team-a")), (Word::None, Word::Prune));
}

/// Behaviour 16: under V1 what needs V2 is refused, and nothing else.
#[test]
fn under_v1_only_what_v1_knows_is_written() {
    let replicate = pull(&[A], &["x/*"])
        .into_iter()
        .map(|s| Statement { actions: [crate::policy::Action::new("ecr:ReplicateImage")].into(), ..s })
        .collect::<Vec<_>>();
    let contributions = vec![wants("a", &[], &replicate), wants("b", &[], &pull(&[A], &["x/*"]))];
    let observed = Observed { document: None, record: None, scope: Some(ScopeView::V1) };
    let plan = plan(&desired(contributions), &observed, &us(), Partition::AWS, &mut memory(), NOW);
    assert_eq!(ours(&plan), atoms(replicate));
    assert_eq!(plan.verdicts[&id("b")].reason, Reason::ScopeV1);
    assert!(!plan.switch_scope);
}

/// The views of a kind, old.
fn old(store: Store) -> OldViews {
    let mut ages = Ages::default();
    Store::all().for_each(|store| ages.take(store, Proof::Listed(Now::ZERO)));
    let later = Now::from_mins(10);
    Store::all().filter(|other| *other != store).for_each(|other| ages.take(other, Proof::Reached(later)));
    ages.look(later);
    ages.old().clone()
}

/// Behaviour 53: on an old view nobody grows and nothing is put back; who had something keeps its claim, and what is given up
/// goes.
#[test]
fn an_old_view_adds_nothing_and_puts_nothing_back() {
    let (stays, lost) = (pull(&[A], &["stays/*"]), pull(&[A], &["lost/*"]));
    let had = [stays.clone(), lost.clone()].concat();
    let there = document(&[], &[stays.clone(), pull(&[B], &["narrowed/*", "given-up/*"])].concat());
    let planned = |views: OldViews| {
        let observed = Observed { document: Some(&there), record: None, scope: None };
        let contributions = vec![
            wants("restored", &had, &had),
            wants("new", &[], &pull(&[B], &["new/*"])),
            wants("narrowed", &pull(&[B], &["narrowed/*", "given-up/*"]), &pull(&[B], &["narrowed/*"])),
        ];
        let desired = Desired { holds: Holds { old: views, shared: None }, ..desired(contributions) };
        plan(&desired, &observed, &us(), Partition::AWS, &mut memory(), NOW)
    };
    let narrowed = [stays, pull(&[B], &["narrowed/*"])].concat();
    for store in [Store::Attached(Kind::RegistryPolicy), Store::Registries, Store::Namespaces, Store::Ledgers] {
        let plan = planned(old(store));
        assert_eq!(ours(&plan), atoms(narrowed.clone()), "{store:?}");
        assert!(plan.growth.is_empty() && plan.withheld.contains(&id("restored")), "{store:?}");
        let reason = |name: &str| plan.verdicts.get(&id(name)).map(|because| because.reason);
        assert_eq!((reason("restored"), reason("new")), (Some(Reason::ViewOld), Some(Reason::ViewOld)), "{store:?}");
        assert_eq!(reason("narrowed"), None, "{store:?}");
    }
    let all = [narrowed, lost, pull(&[B], &["new/*"])].concat();
    assert_eq!(ours(&planned(old(Store::Attached(Kind::ReplicationGrant)))), atoms(all), "another kind's");
}
