//! Who gets no more because its namespace has its share: behaviours 14, 24 and 49, before AWS is asked.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::api::{CrossAccountPtcRoleSpec, LedgerRule, OwnershipState, PullThroughCacheRuleSpec};
use crate::pass::claims;
use crate::pass::compile::compile;
use crate::policy::Joined;
use crate::reason::{Because, Reason};
use crate::shares::Others;

const NOW: Duration = Duration::from_secs(1000);
const QUARTER: usize = 2_560;

/// A Registry with these rules, objects of several namespaces, and what is on record of them.
struct World {
    rules: Vec<Value>,
    objects: Vec<Attached>,
    on_record: ledger::Holdings,
    memory: Memory,
}

impl World {
    fn new(rules: &[Value]) -> Self {
        let mut memory = memory();
        memory.saw_others(Others { characters: Some(0), rules: Some(0) });
        Self { rules: rules.to_vec(), objects: Vec::new(), on_record: ledger::Holdings::new(), memory }
    }

    /// Both teams by their label, and whatever they ask for.
    fn of_teams(limits: &Value) -> Self {
        Self::new(&[rule("teams", &json!({"selector": {"team": "yes"}}), limits)])
    }

    fn with(mut self, object: Attached) -> Self {
        self.objects.push(object);
        self
    }

    /// An object that has this on record and asks for what its spec says.
    fn with_had(self, object: Attached, has: &[Statement]) -> Self {
        let id = object.id.clone();
        self.with(object).left(&id, LedgerState::Applied, has)
    }

    fn left(mut self, id: &ObjectId, state: LedgerState, has: &[Statement]) -> Self {
        self.on_record.insert(id.clone(), holding(2, state, has));
        self
    }

    fn others(mut self, characters: usize, rules: usize) -> Self {
        self.memory.saw_others(Others { characters: Some(characters), rules: Some(rules) });
        self
    }

    fn compiled(&self) -> Desired {
        let mut registry = registry(&[]);
        registry.spec.allow = serde_json::from_value(json!(self.rules)).unwrap();
        registry.spec.roles = serde_json::from_value(json!({
            "permissionsBoundaryArn": format!("arn:aws:iam::{OWN}:policy/b"),
        }))
        .unwrap();
        let mut gathered = gathered(registry, &[], self.objects.clone());
        gathered.ledger = ledger_of(&key(), &self.on_record);
        let view = Arc::new(NamespaceView { labels: BTreeMap::from([("team".to_owned(), "yes".to_owned())]) });
        let ids = self.objects.iter().map(|object| &object.id).chain(self.on_record.keys());
        gathered.namespaces = ids.map(|id| (id.namespace.clone(), Arc::clone(&view))).collect();
        compile(&gathered, &us(), &self.memory, NOW)
    }

    /// What the object is told that is refused by a limit.
    fn refusals(&self) -> BTreeMap<String, Because> {
        let desired = self.compiled();
        let refused = desired.contributions.iter().filter_map(|c| match &c.stance {
            Stance::Keeps(_, because) => Some((format!("{}/{}", c.id.namespace, c.id.name), because.clone())),
            _ => None,
        });
        refused.inspect(|(id, because)| assert_eq!(because.reason, Reason::LimitExceeded, "{id}")).collect()
    }

    fn refused(&self) -> Vec<String> {
        self.refusals().into_keys().collect()
    }

    fn stance(&self, name: &str) -> Stance {
        self.compiled().contributions.into_iter().find(|c| c.id.name == name).unwrap().stance
    }
}

fn rule(name: &str, namespaces: &Value, limits: &Value) -> Value {
    let mut rule = json!({
        "name": name, "namespaces": namespaces,
        "kinds": ["RegistryPolicy", "PullThroughCacheRule", "CrossAccountPtcRole"], "repositories": ["*"],
        "accountIds": ["*"], "effects": ["Allow", "Deny"], "upstreamHosts": ["*"], "createRepositories": true,
        "retain": true,
    });
    if !limits.is_null() {
        rule["limits"] = limits.clone();
    }
    rule
}

fn each(limits: &Value) -> Value {
    json!({"each": limits})
}

/// An object of a namespace, made at this second.
fn made(namespace: &str, name: &str, second: usize, body: Body) -> Attached {
    let created = Some(format!("2026-01-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60));
    let meta = Meta { created: created.map(|at| at.parse().unwrap()), ..meta(name) };
    let id = ObjectId { kind: body.kind(), namespace: namespace.to_owned(), name: name.to_owned() };
    Attached { id, meta, body, status: AttachedStatus::default() }
}

/// One that lets accounts pull from its own repository.
fn policy(namespace: &str, name: &str, second: usize) -> Attached {
    made(namespace, name, second, body(&[A], &[&format!("{name}/*")], &json!({})))
}

/// One that asks for so many characters.
fn long(namespace: &str, name: &str, second: usize, characters: usize) -> Attached {
    let repository = |i: usize, filler: usize| format!("{name}{i}{}/*", "x".repeat(filler));
    let of = |repositories: &[String]| {
        let repositories: Vec<&str> = repositories.iter().map(String::as_str).collect();
        let object = made(namespace, name, second, body(&[A], &repositories, &json!({})));
        (characters - length(&statements(&object)), object)
    };
    let mut repositories = vec![repository(0, 0), repository(1, 0)];
    while of(&repositories).0 > 400 {
        repositories.push(repository(repositories.len(), 150));
    }
    let missing = of(&repositories).0;
    repositories[0] = repository(0, missing / 2);
    repositories[1] = repository(1, missing - missing / 2);
    of(&repositories).1
}

fn statements(object: &Attached) -> Vec<Statement> {
    translate(&object.body, &key(), &References::default()).unwrap().statements
}

fn length(statements: &[Statement]) -> usize {
    let mut joined = Joined::default();
    joined.add(statements);
    joined.characters()
}

fn cache(namespace: &str, name: &str, second: usize) -> Attached {
    let spec = json!({"cachePrefix": name, "upstream": {"type": "EcrPublic"}});
    made(namespace, name, second, Body::from(serde_json::from_value::<PullThroughCacheRuleSpec>(spec).unwrap()))
}

fn role(namespace: &str, name: &str, second: usize) -> Attached {
    let spec = json!({
        "upstreams": [{
            "name": "up", "external": {"accountId": B, "region": "eu-west-1"}, "repositories": ["team/*"],
        }],
        "cacheRepositories": [format!("{name}/*")],
    });
    made(namespace, name, second, Body::from(serde_json::from_value::<CrossAccountPtcRoleSpec>(spec).unwrap()))
}

fn unfinalized(object: Attached) -> Attached {
    let meta = Meta { finalized: false, ..object.meta.clone() };
    Attached { meta, ..object }
}

#[test]
fn the_older_come_first_then_the_name_and_who_is_on_record_before_all() {
    let three = |limits: &Value| {
        World::of_teams(&each(limits))
            .with(policy("team-a", "b", 5))
            .with(policy("team-a", "c", 5))
            .with(policy("team-a", "a", 9))
    };
    assert_eq!(three(&json!({"objects": 3})).refused(), [""; 0]);
    assert_eq!(three(&json!({"objects": 2})).refused(), ["team-a/a"]);
    assert_eq!(three(&json!({"objects": 1})).refused(), ["team-a/a", "team-a/c"]);
    assert_eq!(three(&json!({"objects": 0})).refused(), ["team-a/a", "team-a/b", "team-a/c"]);
    let had = three(&json!({"objects": 1})).with_had(policy("team-a", "z", 9), &pull(&[A], &["z/*"]));
    assert_eq!(had.refused(), ["team-a/a", "team-a/b", "team-a/c"]);
    let message = three(&json!({"objects": 2})).refusals().remove("team-a/a").unwrap().message;
    assert!(message.contains("3 objects") && message.contains("limits.each.objects"), "{message}");
}

/// Of a namespace no other is counted, and what is refused takes nobody's place.
#[test]
fn each_namespace_has_its_own_share() {
    let world = World::of_teams(&each(&json!({"objects": 1, "characters": 700})))
        .with(long("team-a", "too-long", 1, 701))
        .with(policy("team-a", "a", 2))
        .with(policy("team-a", "b", 3))
        .with(long("team-b", "long", 4, 700));
    assert_eq!(world.refused(), ["team-a/b", "team-a/too-long"]);
}

#[test]
fn characters_are_those_that_are_sent_joined_in_the_namespace_and_with_no_other() {
    let pulls =
        |namespace: &str, name: &str, account: &str| made(namespace, name, 1, body(&[account], &["x/*"], &json!({})));
    let alone = length(&pull(&[A], &["x/*"]));
    let both = length(&pull(&[A, B], &["x/*"]));
    assert!(both < 2 * alone);
    let world = |limit: usize| {
        World::of_teams(&each(&json!({"characters": limit})))
            .with(pulls("team-a", "a", A))
            .with(pulls("team-a", "b", B))
            .with(pulls("team-b", "c", A))
    };
    assert_eq!(world(both).refused(), [""; 0]);
    assert_eq!(world(both - 1).refused(), ["team-a/b"]);
    assert_eq!(world(alone - 1).refused(), ["team-a/a", "team-a/b", "team-b/c"], "a neighbour's statement is no help");
}

/// A limit below what is there takes nothing away, and nothing that stays within what there was is refused.
#[test]
fn what_is_on_record_stays_and_only_what_raises_the_sum_is_refused() {
    let had = |name: &str| pull(&[A], &[&format!("{name}/*")]);
    let world = || World::of_teams(&each(&json!({"characters": 0, "objects": 0})));
    let as_it_was = world().with_had(policy("team-a", "a", 1), &had("a"));
    assert_eq!(as_it_was.stance("a"), Stance::Wants(had("a")));
    let swapped = world().with_had(made("team-a", "a", 1, body(&[B], &["a/*"], &json!({}))), &had("a"));
    assert_eq!(swapped.stance("a"), Stance::Wants(pull(&[B], &["a/*"])));
    let raised = world().with_had(made("team-a", "a", 1, body(&[A, B], &["a/*"], &json!({}))), &had("a"));
    let Stance::Keeps(kept, because) = raised.stance("a") else { panic!("it grows") };
    assert_eq!((kept, because.reason), (had("a"), Reason::LimitExceeded));
    let moved = made("team-a", "a", 1, body(&[A, B], &["b/*", "c/*"], &json!({})));
    let Stance::Keeps(kept, _) = world().with_had(moved, &had("a")).stance("a") else { panic!("it grows") };
    assert_eq!(kept, [], "what the edit gives up goes");
}

#[test]
fn what_an_edit_gives_up_another_gets_at_once() {
    let two = pull(&[A], &["a/*", "b/*", "c/*"]);
    let world = |edited: Attached| {
        World::of_teams(&each(&json!({"characters": length(&two)}))).with_had(edited, &two).with(made(
            "team-a",
            "waits",
            2,
            body(&[A], &["d/*"], &json!({})),
        ))
    };
    let whole = world(made("team-a", "a", 1, body(&[A], &["a/*", "b/*", "c/*"], &json!({}))));
    assert_eq!(whole.refused(), ["team-a/waits"]);
    let narrower = World {
        rules: World::of_teams(&each(&json!({"characters": 2 * length(&pull(&[A], &["a/*"]))}))).rules,
        ..world(made("team-a", "a", 1, body(&[A], &["a/*"], &json!({}))))
    };
    assert_eq!(narrower.refused(), [""; 0]);
    let deleted = policy("team-a", "a", 1);
    let deleted = Attached { meta: Meta { deleting: true, ..deleted.meta.clone() }, ..deleted };
    assert_eq!(world(deleted).refused(), [""; 0]);
}

/// Orphans and what was retained count; so does what is on its way out, until it is off the record.
#[test]
fn what_nobody_asks_for_any_more_counts_while_it_is_on_record() {
    let gone = |name: &str| ObjectId { namespace: "team-a".to_owned(), ..id(name) };
    let world = |objects: usize| {
        World::of_teams(&each(&json!({"objects": objects})))
            .left(&gone("orphan"), LedgerState::Orphan, &pull(&[A], &["o/*"]))
            .left(&gone("retained"), LedgerState::Retained, &pull(&[A], &["r/*"]))
            .with(policy("team-a", "new", 1))
    };
    assert_eq!(world(2).refused(), ["team-a/new"]);
    assert_eq!(world(3).refused(), [""; 0]);
    let leaving = policy("team-a", "leaving", 1);
    let leaving = Attached { meta: Meta { deleting: true, ..leaving.meta.clone() }, ..leaving };
    assert_eq!(world(3).with_had(leaving, &pull(&[A], &["l/*"])).refused(), ["team-a/new"]);
    let characters = length(&pull(&[A], &["o/*"])) + length(&pull(&[A], &["r/*"]));
    let mut world = world(3);
    world.rules = World::of_teams(&each(&json!({"characters": characters}))).rules;
    assert_eq!(world.refused(), ["team-a/new"]);
}

#[test]
fn of_several_rules_the_largest_number_counts_and_what_none_writes_is_the_default() {
    let named = json!({"names": ["team-a"]});
    let selected = json!({"selector": {"team": "yes"}});
    let many = |rules: &[Value]| {
        let mut world = World::new(rules);
        world.objects = (0..5).map(|i| policy("team-a", &format!("p{i}"), i)).collect();
        world.refused().len()
    };
    assert_eq!(many(&[rule("a", &named, &each(&json!({"objects": 2})))]), 3);
    let second = rule("b", &selected, &each(&json!({"objects": 4})));
    assert_eq!(many(&[rule("a", &named, &each(&json!({"objects": 2}))), second]), 1);
    assert_eq!(many(&[rule("a", &named, &each(&json!({"objects": 2}))), rule("b", &selected, &Value::Null)]), 3);
    let of_others = rule("b", &json!({"names": ["team-b"]}), &each(&json!({"objects": 9})));
    assert_eq!(many(&[rule("a", &named, &each(&json!({"objects": 2}))), of_others]), 3);
}

#[test]
fn without_a_number_a_namespace_has_a_thousand_objects_and_a_hundred_roles() {
    let mut world = World::of_teams(&Value::Null);
    world.objects =
        (0..1_002).map(|i| made("team-a", &format!("p{i:04}"), i, body(&[A], &["x/*"], &json!({})))).collect();
    assert_eq!(world.refused(), ["team-a/p1000", "team-a/p1001"]);
    world.objects = (0..101).map(|i| role("team-a", &format!("r{i:03}"), i)).collect();
    assert_eq!(world.refused(), ["team-a/r100"]);
    world.rules = World::of_teams(&each(&json!({"roles": 101}))).rules;
    assert_eq!(world.refused(), [""; 0]);
}

/// One who has more than a quarter gets no more once three quarters are used, by whomever; who has less goes on.
#[test]
fn the_last_quarter_of_the_characters_is_kept_for_who_has_less_than_a_quarter() {
    let world = |of_a: usize, others: usize| {
        let world = World::of_teams(&Value::Null).others(others, 0).with(long("team-a", "large", 1, of_a));
        world.with(long("team-b", "small", 2, QUARTER))
    };
    assert_eq!(world(3 * QUARTER, 0).refused(), [""; 0]);
    assert_eq!(world(3 * QUARTER + 1, 0).refused(), ["team-a/large"]);
    assert_eq!(world(3 * QUARTER, 1).refused(), ["team-a/large"], "statements of others count");
    assert_eq!(world(QUARTER, 4 * QUARTER).refused(), [""; 0], "AWS alone says no to who has less than a quarter");
    let message = world(3 * QUARTER + 1, 0).refusals().remove("team-a/large").unwrap().message;
    assert!(message.contains("7681") && message.contains("10240") && message.contains("2560"), "{message}");

    let mut written = world(4 * QUARTER, 0);
    written.rules = World::of_teams(&each(&json!({"characters": 4 * QUARTER}))).rules;
    assert_eq!(written.refused(), [""; 0], "a number that is written stands instead");
    let mut alone = World::new(&[rule("only", &json!({"names": ["team-a"]}), &Value::Null)]);
    alone.objects.push(long("team-a", "large", 1, 4 * QUARTER));
    assert_eq!(alone.refused(), [""; 0], "nothing is kept for nobody");
    alone.rules.push(rule("other", &json!({"names": ["team-b"]}), &Value::Null));
    assert_eq!(alone.refused(), ["team-a/large"]);
}

#[test]
fn the_last_quarter_of_the_rules_is_kept_for_who_has_less_than_a_quarter() {
    let world = |others: usize| {
        let mut world = World::of_teams(&Value::Null).others(0, others);
        world.objects = (0..50).map(|i| cache("team-a", &format!("a{i:02}"), i)).collect();
        world.objects.extend((0..13).map(|i| cache("team-b", &format!("b{i:02}"), 100 + i)));
        world.refused()
    };
    let refused = world(0);
    assert_eq!(refused.iter().filter(|id| id.starts_with("team-a")).count(), 12);
    assert_eq!(refused.iter().filter(|id| id.starts_with("team-b")).cloned().collect::<Vec<_>>(), ["team-b/b12"]);
    assert_eq!(world(30).iter().filter(|id| id.starts_with("team-a")).count(), 38, "a quarter is everybody's");
}

/// A rule that waits is not made, and one that is on record stays what it is.
#[test]
fn a_rule_and_a_role_beyond_the_limit_are_not_made() {
    let world = World::of_teams(&each(&json!({"rules": 0, "roles": 0}))).with(cache("team-a", "cache", 1));
    let compiled = world.with(role("team-a", "r", 1)).with(unfinalized(cache("team-a", "new", 1))).compiled();
    for contribution in &compiled.contributions {
        let of_rule = contribution.rule.as_ref().map(|claim| matches!(claim.stance, claims::Stance::Keeps(_)));
        let of_role = contribution.role.as_ref().map(|claim| matches!(claim.stance, claims::Stance::Keeps(_)));
        assert_eq!(of_rule.or(of_role), Some(true), "{}", contribution.id);
        assert!(!contribution.awaits_finalizer, "{}", contribution.id);
    }
    let mut had = World::of_teams(&each(&json!({"rules": 0}))).with(cache("team-a", "cache", 1));
    let mut holding = holding(2, LedgerState::Applied, &[]);
    holding.things.rule = Some(LedgerRule {
        prefix: "cache".to_owned(),
        upstream_url: "public.ecr.aws".to_owned(),
        upstream_prefix: None,
        role_arn: None,
        credential_arn: None,
        created_at: None,
        adopted: None,
        consented: None,
        state: OwnershipState::Owned,
    });
    had.on_record.insert(had.objects[0].id.clone(), holding);
    assert_eq!(had.refused(), [""; 0]);
}

#[test]
fn what_a_rule_bounds_together_is_counted_by_the_first_that_covers() {
    let everybody = json!({"selector": {"team": "yes"}});
    let world = |rules: &[Value]| {
        World::new(rules)
            .with(policy("team-a", "a", 1))
            .with(policy("team-b", "b", 2))
            .with(policy("team-b", "secret", 3))
            .with(policy("team-c", "c", 4))
    };
    let bounded = rule("m", &everybody, &json!({"together": {"objects": 3}}));
    assert_eq!(world(std::slice::from_ref(&bounded)).refused(), ["team-c/c"]);
    let first = rule("a", &json!({"names": ["team-a"]}), &Value::Null);
    assert_eq!(world(&[bounded.clone(), first]).refused(), [""; 0], "team-a counts by the rule that comes first");
    let mut of_others = rule("a", &json!({"names": ["team-a"]}), &Value::Null);
    of_others["kinds"] = json!(["ReplicationGrant"]);
    assert_eq!(world(&[bounded.clone(), of_others]).refused(), ["team-c/c"], "one that does not cover counts nothing");
    let message = world(std::slice::from_ref(&bounded)).refusals().remove("team-c/c").unwrap().message;
    assert!(message.contains("3 objects") && message.contains("\"m\"") && !message.contains("secret"), "{message}");

    let characters = length(&pull(&[A], &["a/*"])) + length(&pull(&[A], &["b/*"]));
    let tight = rule("m", &everybody, &json!({"together": {"characters": characters}}));
    assert_eq!(world(&[tight]).refused(), ["team-b/secret", "team-c/c"]);
    let gone = ObjectId { namespace: "team-d".to_owned(), ..id("orphan") };
    let with_orphan = world(&[bounded]).left(&gone, LedgerState::Orphan, &pull(&[A], &["o/*"]));
    assert_eq!(with_orphan.refused(), ["team-b/secret", "team-c/c"]);
}

/// The record of a namespace is lost: who stands in AWS goes before who waits, and nobody gets in by a finalizer alone.
#[test]
fn without_a_record_who_equals_aws_goes_first() {
    let world = || {
        World::of_teams(&each(&json!({"objects": 1})))
            .with(policy("team-a", "older", 1))
            .with(policy("team-a", "stands", 2))
    };
    assert_eq!(world().refused(), ["team-a/stands"]);
    let mut shown = world();
    let granted = |world: &World| crate::policy::atoms(statements(&world.objects[1]));
    shown.memory.saw_ours(granted(&shown));
    assert_eq!(shown.refused(), ["team-a/older"]);
    let twin = made("team-a", "twin", 3, shown.objects[1].body.clone());
    assert_eq!(shown.with(twin).refused(), ["team-a/older", "team-a/twin"]);
    let mut had = world();
    had.memory.saw_ours(granted(&had));
    let stands = statements(&had.objects[1]);
    let had = had.with_had(made("team-a", "first", 9, body(&[A], &["stands/*"], &json!({}))), &stands);
    assert_eq!(had.refused(), ["team-a/older", "team-a/stands"], "what it has another has on record");
}

/// How much others have is not known before AWS was read: nobody is given a finalizer who may not be let in.
#[test]
fn a_finalizer_waits_until_it_is_known_what_others_have() {
    let awaits = |object: Attached, memory: Memory| {
        let world = World { memory, ..World::of_teams(&Value::Null).with(unfinalized(object)) };
        assert_eq!(world.refused(), [""; 0]);
        world.compiled().contributions[0].awaits_finalizer
    };
    let known = || World::of_teams(&Value::Null).memory;
    assert!(awaits(long("team-a", "o", 1, QUARTER), memory()));
    assert!(!awaits(long("team-a", "o", 1, QUARTER + 1), memory()));
    assert!(awaits(long("team-a", "o", 1, QUARTER + 1), known()));
}

/// Of who is one too many nothing goes on record; of who asks for too much, why.
#[test]
fn who_is_one_too_many_is_told_apart() {
    let world = World::of_teams(&each(&json!({"objects": 1, "characters": 700})));
    let world = world.with(policy("team-a", "a", 1)).with(policy("team-a", "b", 2)).with(long("team-b", "c", 1, 701));
    assert_eq!(world.compiled().too_many.into_iter().map(|id| id.name).collect::<Vec<_>>(), ["b"]);
}

/// Ten thousand objects of one namespace, and all of them edits of what is there.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures itself")]
fn ten_thousand_objects_are_counted_in_a_moment() {
    let mut world = World::of_teams(&json!({"each": {"objects": 4_000}, "together": {"objects": 6_000}}));
    world.objects = (0..10_000).map(|i| policy("team-a", &format!("p{i:05}"), i)).collect();
    for object in world.objects.iter().take(5_000) {
        world.on_record.insert(object.id.clone(), holding(1, LedgerState::Applied, &pull(&[B], &["x/*"])));
    }
    let begun = std::time::Instant::now();
    let refused = world.refused();
    let took = begun.elapsed();
    assert!(refused.len() > 5_000, "{}", refused.len());
    assert!(took < Duration::from_secs(20), "{took:?}");
}
