//! Property tests: behaviours 1, 6, 9 and 15, and that no input whatever panics or loses a foreign statement.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::json::{Json, compact as without_space};
use super::super::{
    Document, Effect, Flavour, Joined, Principal, Statement, Stored, atoms, compact, equivalent, intersect,
    is_pattern_within, merge, normal,
};
use super::spelling::{Dice, any_policy, change};
use super::{any_statement, arn, aws};
use crate::ownership::{InstallationId, Mark, Sid, is_intact};

fn us() -> InstallationId {
    InstallationId::of_cluster("6f6a1c5e-0000-4000-8000-000000000001")
}

fn is_ours(stored: &Stored) -> bool {
    matches!(us().read(stored.sid()), Mark::Ours(_))
}

fn marked(statements: impl IntoIterator<Item = Statement>) -> BTreeMap<Sid, Statement> {
    statements.into_iter().map(|statement| (us().sid(&statement), statement)).collect()
}

fn any_statements() -> impl Strategy<Value = Vec<Statement>> {
    prop::collection::vec(any_statement(), 0..5)
}

fn same(a: &str, b: &str) -> bool {
    equivalent(a, b, aws(), Flavour::Registry).unwrap()
}

fn foreign(document: &Document) -> Vec<&str> {
    document.statements().iter().filter(|stored| !is_ours(stored)).map(Stored::raw).collect()
}

/// Text that is almost, or not at all, a policy.
fn any_text() -> impl Strategy<Value = String> {
    let soup = prop::collection::vec(
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\ud800",
            "null",
            "-1.50e+9",
            "true",
            " ",
            "\n",
            "\u{feff}",
            "\"Statement\"",
            "\"Version\"",
            "\"Sid\"",
            "\"a\":",
            "{\"Statement\":[",
            "{\"Sid\":\"x\"}",
            "]}",
            "{}",
            "é",
        ]),
        0..24,
    );
    let bytes = prop::collection::vec(any::<u8>(), 0..64);
    let cut = (any_policy(), any::<u64>(), any::<prop::sample::Index>(), any::<Option<char>>());
    prop_oneof![
        soup.prop_map(|parts| parts.concat()),
        bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        cut.prop_map(|(policy, seed, at, put)| {
            let mut chars: Vec<char> = Dice::new(seed).respell(&policy).chars().collect();
            let at = at.index(chars.len());
            match put {
                Some(put) => chars[at] = put,
                None => chars.truncate(at),
            }
            chars.into_iter().collect()
        }),
        // Wrapped so that most of the soup is well-formed and reaches the statements.
        "[ -~é]{0,12}".prop_map(|text| {
            let text = serde_json::Value::from(text);
            format!("{{ {text} : 1.0 , \"Statement\" : [ {{ {text} : {text} , {text} : [ 1.10 , \"\\ud800\" ] }} , {{}} ] }}")
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Behaviours 1 and 6.
    #[test]
    fn a_policy_equals_itself_in_any_spelling(policy in any_policy(), seeds in any::<[u64; 3]>()) {
        let [a, b, c] = seeds.map(|seed| Dice::new(seed).respell(&policy));
        prop_assert!(same(&a, &a) && same(&a, &b) && same(&b, &a) && same(&b, &c) && same(&a, &c), "{a}\n{b}\n{c}");
    }

    /// Behaviour 6: what differs stays different, in either order and in any spelling.
    #[test]
    fn a_change_that_matters_is_seen_in_any_spelling(policy in any_policy(), seeds in any::<[u64; 3]>()) {
        let changed = change(&policy, &mut Dice::new(seeds[0]));
        let (a, b) = (Dice::new(seeds[1]).respell(&policy), Dice::new(seeds[2]).respell(&changed));
        prop_assert!(policy == changed || (!same(&a, &b) && !same(&b, &a)), "{a}\n{b}");
    }

    /// Behaviour 6.
    #[test]
    fn the_normal_form_is_idempotent(policy in any_policy(), seed in any::<u64>()) {
        for flavour in [Flavour::Registry, Flavour::Repository, Flavour::Trust] {
            let normal = |text: &str| normal::document(&Json::read(text), aws(), flavour);
            let once = normal(&Dice::new(seed).respell(&policy));
            prop_assert_eq!(normal(&once), once);
        }
    }

    /// Behaviour 6: what we write reads back as what we meant, and keeps its mark.
    #[test]
    fn a_statement_of_ours_reads_back_as_itself(statement in any_statement()) {
        let document = merge(None, &marked([statement.clone()]), |_| false);
        let read = Document::parse(&document.to_text()).unwrap();
        let back = read.statements()[0].normal(aws());
        prop_assert_eq!(back.as_ref(), Some(&statement));
        let Mark::Ours(sid) = us().read(read.statements()[0].sid()) else { panic!("not ours") };
        prop_assert!(is_intact(&sid, back.as_ref()));
    }

    #[test]
    fn canonical_text_goes_there_and_back_and_tells_apart(a in any_statement(), b in any_statement()) {
        let back = Statement::from_canonical(&a.canonical());
        prop_assert_eq!(back.as_ref(), Ok(&a));
        prop_assert_eq!(a.canonical() == b.canonical(), a == b);
        prop_assert_eq!(us().sid(&a) == us().sid(&b), a == b);
    }

    /// Behaviour 15.
    #[test]
    fn compaction_keeps_the_meaning(statements in any_statements()) {
        let joined = compact(statements.clone());
        prop_assert_eq!(atoms(joined.clone()), atoms(statements.clone()));
        prop_assert_eq!(&compact(joined.clone()), &joined);
        prop_assert_eq!(&compact(statements.into_iter().rev()), &joined);
    }

    /// What is counted is what is sent, whatever came and went before.
    #[test]
    fn joined_statements_are_as_long_as_they_are_sent(first in any_statements(), then in any_statements()) {
        let sent = |statements: &[Statement]| {
            let document = merge(None, &marked(compact(statements.to_vec())), |_| false);
            let commas = document.statements().len();
            document.statements().iter().map(|stored| stored.raw().chars().count()).sum::<usize>() + commas
        };
        let mut joined = Joined::default();
        joined.add(&first);
        prop_assert_eq!(joined.characters(), sent(&first));
        joined.add(&then);
        joined.add(&first);
        prop_assert_eq!(joined.characters(), sent(&[first.clone(), then.clone()].concat()));
        joined.remove(&first);
        joined.remove(&then);
        prop_assert_eq!(joined.characters(), sent(&first));
        joined.remove(&first);
        prop_assert_eq!(joined.characters(), 0);
    }

    /// Behaviours 5 and 9: no input panics, and what can be written back keeps every foreign byte that matters.
    #[test]
    fn arbitrary_text_is_refused_or_kept(text in any_text(), ours in any_statements()) {
        let Ok(document) = Document::parse(&text) else { return Ok(()) };
        let merged = merge(Some(&document), &marked(ours), is_ours);
        let sent = merged.to_text();
        let read = Document::parse(&sent).unwrap();
        let before: Vec<_> = foreign(&document).into_iter().map(without_space).collect();
        prop_assert_eq!(foreign(&read), before.iter().map(String::as_str).collect::<Vec<_>>());
        for (raw, sent) in foreign(&document).into_iter().zip(foreign(&read)) {
            prop_assert_eq!(Json::read(raw), Json::read(sent));
            let bare = |text: &str| text.replace([' ', '\t', '\n', '\r'], "");
            prop_assert_eq!(bare(raw), bare(sent));
        }
        prop_assert_eq!(read.version(), document.version());
        for stored in document.statements() {
            prop_assert_eq!(stored.fingerprint(aws()).len(), 26);
            let _ = stored.normal(aws());
        }
        prop_assert!(same(&text, &text));
    }

    /// Behaviours 7 and 9: merging what is already there changes nothing, and our own never pile up.
    #[test]
    fn a_merge_is_stable(policy in any_policy(), seed in any::<u64>(), first in any_statements(), then in any_statements()) {
        let theirs = Document::parse(&Dice::new(seed).respell(&policy)).unwrap();
        let (first, then) = (marked(first), marked(then));
        let once = merge(Some(&theirs), &first, is_ours);
        prop_assert_eq!(&merge(Some(&once), &first, is_ours), &once);
        let next = merge(Some(&once), &then, is_ours);
        prop_assert_eq!(foreign(&next), foreign(&theirs));
        let sids: Vec<_> = next.statements().iter().filter(|stored| is_ours(stored)).filter_map(Stored::sid).collect();
        prop_assert_eq!(sids.len(), then.len());
        prop_assert_eq!(sids.into_iter().collect::<BTreeSet<_>>(), then.keys().map(Sid::as_str).collect());
        let without = merge(Some(&next), &BTreeMap::new(), is_ours);
        prop_assert_eq!(without.statements(), theirs.statements());
    }

    /// Rule 2: never broader than either side.
    #[test]
    fn an_intersection_is_within_both(applied in any_statements(), wanted in any_statements(), seed in any::<u64>()) {
        let shared = intersect(&applied, &wanted);
        for allowed in shared.iter().filter(|statement| statement.effect == Effect::Allow) {
            prop_assert!(applied.iter().any(|wide| allowed.is_within(wide)), "{allowed:?}");
            prop_assert!(wanted.iter().any(|wide| allowed.is_within(wide)), "{allowed:?}");
        }
        let mut dice = Dice::new(seed);
        for _ in 0..40 {
            let request = Request::any(&mut dice);
            let by = |statements: &[Statement]| request.is_allowed_by(statements);
            prop_assert!(!by(&shared) || (by(&applied) && by(&wanted)), "{request:?}");
        }
        let own: BTreeSet<_> = applied.iter().cloned().collect();
        prop_assert_eq!(intersect(&applied, &applied).into_iter().collect::<BTreeSet<_>>(), own);
    }
}

/// One request, judged by a few lines that know nothing of `overlap`.
#[derive(Debug)]
struct Request {
    principal: Principal,
    action: &'static str,
    resource: String,
    context: BTreeMap<&'static str, &'static str>,
}

impl Request {
    fn any(dice: &mut Dice) -> Self {
        let principals = ["111111111111", "222222222222", "arn:aws:iam::111111111111:role/Puller", "444444444444"];
        let mut context = BTreeMap::new();
        for key in ["aws:principalorgid", "aws:sourceaccount"] {
            if let Some(&value) = ["a", "b", "c"].get(dice.below(4)) {
                context.insert(key, value);
            }
        }
        Self {
            principal: Principal::aws(principals[dice.below(4)], aws()),
            action: ["ecr:BatchGetImage", "ecr:PutImage", "ecr:Foo"][dice.below(3)],
            resource: arn(["team-a", "team-a/app", "team-ab", "other"][dice.below(4)]),
            context,
        }
    }

    fn is_allowed_by(&self, statements: &[Statement]) -> bool {
        let says = |effect| statements.iter().any(|statement| statement.effect == effect && self.meets(statement));
        says(Effect::Allow) && !says(Effect::Deny)
    }

    fn meets(&self, statement: &Statement) -> bool {
        let principal = [&Principal::Everyone, &self.principal].iter().any(|who| statement.principals.contains(who));
        let action = statement.actions.iter().any(|action| action.as_str().eq_ignore_ascii_case(self.action));
        let resource = statement.resources.is_empty()
            || statement.resources.iter().any(|pattern| is_pattern_within(&self.resource, pattern));
        let conditions = statement.conditions.iter().all(|(condition, values)| {
            let actual = self.context.get(condition.key.to_ascii_lowercase().as_str());
            let listed = actual.is_some_and(|actual| values.contains(*actual));
            if condition.operator == "StringNotEquals" { !listed } else { listed }
        });
        principal && action && resource && conditions
    }
}
