//! What AWS could never take, told by lengths alone: a registry policy that had nothing in it but one object's statements
//! would be too long. Nothing is translated for that, and no list is copied.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Effect, NamedPrincipal, PolicyStatement, Principals, Sources};
use crate::policy::REGISTRY_POLICY_LIMIT;

use super::Fault;
use super::principals::organization_key;

/// A statement with nothing in its members: `{"Sid":"","Effect":"Deny","Principal":,"Action":,"Resource":}` and a Sid.
const FRAME: usize = 100;
/// What stands before the name in the shortest ARN of a repository: the partition `aws`, a Region of two characters.
const REPOSITORY: usize = 39;
/// The same of a role or a user.
const NAMED: usize = 31;

/// The fewest characters that a list of texts takes.
fn list(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.map(|length| length + 3).sum::<usize>().saturating_sub(1)
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a String>) -> usize {
    let distinct: BTreeSet<&String> = texts.into_iter().collect();
    list(distinct.into_iter().map(|text| characters(text)))
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

fn repositories<'a>(patterns: impl IntoIterator<Item = &'a str>) -> usize {
    list(patterns.into_iter().map(|pattern| REPOSITORY + characters(pattern)))
}

/// What makes two statements of an object one in the policy.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike<'a> {
    is_deny: bool,
    is_service: bool,
    is_everyone: bool,
    actions: BTreeSet<String>,
    repositories: BTreeSet<&'a str>,
    conditions: BTreeSet<(&'a str, String, BTreeSet<&'a str>)>,
}

impl<'a> Alike<'a> {
    fn of(statement: &'a PolicyStatement) -> Self {
        let Principals { organization_ids, services, everyone, .. } = &statement.principals;
        let conditions = statement.conditions.iter().map(|condition| {
            let values = condition.values.iter().map(String::as_str).collect();
            (condition.operator.as_str(), condition.key.to_ascii_lowercase(), values)
        });
        let organization = |ids: &'a Vec<String>| {
            let (condition, ids) = (organization_key(), ids.iter().map(String::as_str).collect());
            ("StringEquals", condition.key.to_ascii_lowercase(), ids)
        };
        let organizations = Some(organization_ids).filter(|ids| !ids.is_empty()).map(organization);
        Self {
            is_deny: statement.effect == Some(Effect::Deny),
            is_service: !services.is_empty(),
            is_everyone: everyone.is_some() || !organization_ids.is_empty(),
            actions: statement.actions.iter().map(|action| action.to_ascii_lowercase()).collect(),
            repositories: statement.repositories.iter().map(String::as_str).collect(),
            conditions: conditions.chain(organizations).collect(),
        }
    }

    /// The fewest characters of the statement that all of them become.
    fn least(&self, principals: &BTreeSet<(usize, &str, &str)>) -> usize {
        let conditions = self
            .conditions
            .iter()
            .map(|(_, key, values)| characters(key) + 3 + list(values.iter().map(|value| characters(value))));
        FRAME
            + list(principals.iter().map(|(before, _, name)| before + characters(name)))
            + list(self.actions.iter().map(|action| characters(action)))
            + repositories(self.repositories.iter().copied())
            + conditions.sum::<usize>()
    }
}

/// Each principal by what its name stands behind: a length, and what else tells it from others.
fn principals<'p>(given: &'p Principals) -> impl Iterator<Item = (usize, &'p str, &'p str)> {
    let Principals { account_ids, organization_ids: _, services, roles, users, everyone: _ } = given;
    let plain = account_ids.iter().chain(services).map(|name| (0, "", name.as_str()));
    let named = |of: &'p NamedPrincipal| (NAMED, of.account_id.as_str(), of.name.as_str());
    plain.chain(roles.iter().map(named)).chain(users.iter().map(named))
}

/// The fewest characters of each statement that an object's statements become, and the first of them.
fn joined(statements: &[PolicyStatement]) -> Vec<(usize, usize)> {
    let mut joined = BTreeMap::<Alike<'_>, (usize, BTreeSet<_>)>::new();
    for (i, statement) in statements.iter().enumerate() {
        let (_, all) = joined.entry(Alike::of(statement)).or_insert_with(|| (i, BTreeSet::new()));
        all.extend(principals(&statement.principals));
    }
    joined.iter().map(|(alike, (i, all))| (alike.least(all), *i)).collect()
}

/// What the statements of a RegistryPolicy would have at least, if that is more than AWS takes.
pub(super) fn of_statements(statements: &[PolicyStatement]) -> Option<Fault> {
    let least = joined(statements);
    let alone = least.iter().filter(|(least, _)| *least > REGISTRY_POLICY_LIMIT).max();
    let sum = least.iter().map(|(least, _)| least).sum();
    match alone {
        Some((least, i)) => too_long(format!("spec.statements[{i}]"), *least),
        None => too_long("spec.statements".to_owned(), sum),
    }
}

/// The same of a ReplicationGrant, of which `actions` statements are made for its accounts, and as many for its
/// organizations.
pub(super) fn of_grant(sources: &Sources, patterns: &[String], actions: usize) -> Option<Fault> {
    let to = repositories(patterns.iter().collect::<BTreeSet<_>>().into_iter().map(String::as_str));
    let statement = |ids: &[String]| if ids.is_empty() { 0 } else { FRAME + texts(ids) + to };
    let least = actions * (statement(&sources.account_ids) + statement(&sources.organization_ids));
    let longer = texts(&sources.account_ids) > to;
    too_long(if longer { "spec.sources.accountIds" } else { "spec.repositories" }.to_owned(), least)
}

/// The same of the pullers of a cache.
pub(super) fn of_pullers(pullers: &Principals) -> Option<Fault> {
    let all: BTreeSet<_> = principals(pullers).collect();
    let least = FRAME + list(all.iter().map(|(before, _, name)| before + characters(name)));
    too_long("spec.pullers".to_owned(), least)
}

fn too_long(field: String, least: usize) -> Option<Fault> {
    (least > REGISTRY_POLICY_LIMIT).then(|| Fault {
        field,
        problem: format!(
            "it takes {least} characters of the registry policy at least, and AWS takes {REGISTRY_POLICY_LIMIT} of all statements together"
        ),
        cure: "name prefixes with a * at their end, organizations in place of accounts, or less".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::{RegistryPolicySpec, ReplicationGrantSpec};
    use crate::kinds::{Body, References, translate};
    use crate::policy::{Statement, compact};

    /// What is sent of an object, at least: its statements joined, in an account and a Region of the shortest names.
    fn sent(body: &Body) -> usize {
        let registry =
            crate::names::RegistryKey { account: "111111111111".parse().unwrap(), region: "xx".parse().unwrap() };
        let statements: Vec<Statement> = translate(body, &registry, &References::default()).unwrap().statements;
        let sid = "x".repeat(39);
        compact(statements).iter().map(|s| s.to_value(Some(&sid)).to_string().chars().count()).sum()
    }

    fn least(spec: &RegistryPolicySpec) -> usize {
        joined(&spec.statements).iter().map(|(least, _)| least).sum()
    }

    fn spec(statements: &Value) -> RegistryPolicySpec {
        serde_json::from_value(json!({"statements": statements})).unwrap()
    }

    fn accounts(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("{:012}", 700_000_000_000_u64 + i as u64)).collect()
    }

    fn names(count: usize, characters: usize) -> Vec<String> {
        (0..count).map(|i| format!("team-a/{i:03}{}", "x".repeat(characters - 10))).collect()
    }

    #[test]
    fn what_is_told_by_lengths_is_close_to_what_is_sent() {
        let statement = |name: &str, accounts: &[String]| json!({"name": name, "principals": {"accountIds": accounts}, "actions": ["ecr:BatchGetImage"], "repositories": names(20, 200)});
        let all = accounts(300);
        let spec = spec(&json!([statement("a", &all[..200]), statement("b", &all[100..])]));
        let (least, sent) = (least(&spec), sent(&Body::from(spec)));
        assert!(least <= sent && sent - least < 50, "{least} and {sent}");
    }

    #[test]
    fn a_grant_to_create_counts_twice() {
        let grant = |create: bool| -> ReplicationGrantSpec {
            let spec = json!({"sources": {"accountIds": accounts(400)}, "repositories": ["x/*"], "createRepositories": create});
            serde_json::from_value(spec).unwrap()
        };
        assert_eq!(Body::from(grant(false)).too_long(), None);
        let told = Body::from(grant(true)).too_long().unwrap();
        assert_eq!(told.field, "spec.sources.accountIds");
        assert!(told.problem.starts_with("it takes 12"), "{told}");
        assert!(sent(&Body::from(grant(true))) > REGISTRY_POLICY_LIMIT);
    }

    #[test]
    fn pullers_are_counted_with_their_accounts() {
        let pullers = |count: usize| {
            let role = |i: usize| json!({"accountId": "222222222222", "name": format!("{i:03}{}", "x".repeat(60))});
            let pullers = json!({"roles": (0..count).map(role).collect::<Vec<_>>()});
            of_pullers(&serde_json::from_value(pullers).unwrap())
        };
        assert_eq!(pullers(100), None);
        let with_users = json!({"accountIds": accounts(500), "users": [{"accountId": "222222222222", "name": "x".repeat(64)}], "roles": (0..50).map(|i| json!({"accountId": "222222222222", "name": format!("{i:03}{}", "x".repeat(60))})).collect::<Vec<_>>()});
        assert_eq!(of_pullers(&serde_json::from_value(with_users).unwrap()).unwrap().field, "spec.pullers");
    }

    fn any_statement() -> impl Strategy<Value = Value> {
        let some = |of: &'static [&'static str]| proptest::sample::subsequence(of.to_vec(), 1..=of.len());
        let principals = prop_oneof![
            some(&["222222222222", "333333333333"]).prop_map(|ids| json!({"accountIds": ids})),
            some(&["o-a1b2c3d4e5", "o-b1b2c3d4e5"]).prop_map(|ids| json!({"organizationIds": ids})),
            some(&["a", "ci/b"]).prop_map(|names| {
                let role = |name: &str| json!({"accountId": "222222222222", "name": name});
                json!({"roles": names.iter().map(|name| role(name)).collect::<Vec<_>>(), "users": [role("a")]})
            }),
        ];
        let actions = some(&["ecr:BatchGetImage", "ecr:batchgetimage", "ecr:PutImage"]);
        let conditions = prop_oneof![
            Just(json!([])),
            Just(json!([{"operator": "StringEquals", "key": "aws:PrincipalTag/a", "values": ["x", "ö"]}])),
            Just(json!([{"operator": "StringEquals", "key": "aws:principaltag/A", "values": ["x", "ö"]}])),
        ];
        (principals, actions, some(&["x/*", "yy", "team-a/z"]), conditions).prop_map(
            |(principals, actions, repositories, conditions)| {
                json!({"name": "s", "principals": principals, "actions": actions, "repositories": repositories, "conditions": conditions})
            },
        )
    }

    proptest! {
        /// Nobody is refused for lengths that would fit.
        #[test]
        fn lengths_are_never_more_than_what_is_sent(statements in proptest::collection::vec(any_statement(), 1..6)) {
            let spec = spec(&Value::Array(statements));
            prop_assert!(least(&spec) <= sent(&Body::from(spec)));
        }
    }
}
