//! Consent: what the owner of a registry lets others attach (`spec.allow` of the Registry; docs/api.md, "Consent").
//!
//! Nothing is allowed that no rule says. An object is accepted when *one* rule covers all it asks; what it may keep
//! meanwhile is decided atom by atom. Containment is proven, never guessed, and a message never speaks of another
//! namespace's objects.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{AllowRule, Effect as Written, Kind, NamespaceSelector};
use crate::kinds::{Terms, organization_key, terms};
use crate::names::{AccountId, RegistryKey, RepositoryPattern};
use crate::policy::{Action, Effect, Principal, Statement};
use crate::reason::{Because, Reason};

/// What a rule allows when it names no actions (docs/api.md, "Consent").
pub const PULL_ACTIONS: [&str; 3] =
    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];

/// A principal of a statement, and whom it stands for.
type Who = (Principal, Counterparty);

/// Everything that statements ask of the registry's owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub repositories: BTreeSet<RepositoryPattern>,
    /// Resources that are no repositories of this registry: no rule covers them.
    pub elsewhere: BTreeSet<String>,
    pub counterparties: BTreeSet<Counterparty>,
    pub actions: BTreeSet<Action>,
    pub effects: BTreeSet<Effect>,
}

/// Who gains (or loses) access, as rules of consent speak of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counterparty {
    Account(AccountId),
    Organization(String),
    Service(String),
    Everyone,
    /// A principal whose account cannot be read from it, such as the id of a deleted role: no rule covers it.
    Unknown(String),
}

impl Asked {
    pub fn of(statements: &[Statement], own: &RegistryKey) -> Self {
        let mut asked = Self::default();
        for statement in statements {
            for resource in &statement.resources {
                match repository(resource, own) {
                    Some(pattern) => asked.repositories.insert(pattern),
                    None => asked.elsewhere.insert(resource.clone()),
                };
            }
            for principal in &statement.principals {
                asked.counterparties.extend(counterparties(principal, statement, own));
            }
            asked.actions.extend(statement.actions.iter().cloned());
            asked.effects.insert(statement.effect);
        }
        asked
    }
}

/// The repositories a resource names, if they are of this registry.
fn repository(resource: &str, own: &RegistryKey) -> Option<RepositoryPattern> {
    let pattern: RepositoryPattern = resource.split_once(":repository/")?.1.parse().ok()?;
    (own.repository_arn(&pattern) == resource).then_some(pattern)
}

/// Whom a principal of a statement stands for. Everyone of some organizations is those organizations.
fn counterparties(principal: &Principal, statement: &Statement, own: &RegistryKey) -> Vec<Counterparty> {
    match principal {
        Principal::Account(account) => vec![Counterparty::Account(account.clone())],
        Principal::Service(service) => vec![Counterparty::Service(service.clone())],
        Principal::Aws(arn) => vec![match account_of(arn, own) {
            Some(account) => Counterparty::Account(account),
            None => Counterparty::Unknown(arn.clone()),
        }],
        Principal::Everyone => match statement.conditions.get(&organization_key()) {
            Some(organizations) => organizations.iter().cloned().map(Counterparty::Organization).collect(),
            None => vec![Counterparty::Everyone],
        },
    }
}

/// The account in `arn:partition:iam::account:…` (or `sts`). Another partition's account of the same digits is not it.
fn account_of(arn: &str, own: &RegistryKey) -> Option<AccountId> {
    let rest = arn.strip_prefix("arn:")?.strip_prefix(own.partition().as_str())?.strip_prefix(':')?;
    rest.split(':').nth(2)?.parse().ok()
}

/// Whether one rule covers everything the statements ask. If none does: what is outside, and by which rule.
pub fn consent(
    allow: &[AllowRule],
    own: &RegistryKey,
    kind: Kind,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    statements: &[Statement],
) -> Result<(), Because> {
    let asked = Asked::of(statements, own);
    let outside = |rule| Bounds::new(rule, own, kind).outside(&asked);
    let speaking: Vec<&AllowRule> = allow.iter().filter(|rule| speaks_of(rule, kind, namespace, labels)).collect();
    let Some((rule, outside)) =
        speaking.iter().map(|rule| (rule, outside(rule))).min_by_key(|(_, outside)| outside.len())
    else {
        return Err(Because::new(
            Reason::NotAllowed,
            format!(
                "No rule of the Registry's spec.allow covers a {kind} in namespace {namespace}; ask the Registry's owner for one."
            ),
        ));
    };
    if outside.is_empty() {
        return Ok(());
    }
    Err(Because::new(
        Reason::NotAllowed,
        format!(
            "Not covered by one rule of the Registry's spec.allow: {}. The closest is {:?}; stay within it, or ask the Registry's owner to widen spec.allow.",
            listed(&outside),
            rule.name
        ),
    ))
}

/// The first ten, and how many more: five hundred accounts are no message.
fn listed(outside: &[String]) -> String {
    let (shown, rest) = outside.split_at(outside.len().min(10));
    let more = if rest.is_empty() { String::new() } else { format!("; and {} more", rest.len()) };
    format!("{}{more}", shown.join("; "))
}

/// The part of the statements that some rule covers today, atom by atom: an atom is one principal (or organization),
/// one action, one resource pattern as it was written. A statement that is covered whole comes back unchanged.
pub fn consented(
    allow: &[AllowRule],
    own: &RegistryKey,
    kind: Kind,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    statements: &[Statement],
) -> Vec<Statement> {
    let bounds: Vec<Bounds> = allow
        .iter()
        .filter(|rule| speaks_of(rule, kind, namespace, labels))
        .map(|rule| Bounds::new(rule, own, kind))
        .collect();
    statements.iter().flat_map(|statement| covered_part(statement, &bounds, own)).collect()
}

/// A statement split by who is covered by the same rules, then by which actions those rules cover on a resource, and
/// joined again where both came out alike.
fn covered_part(statement: &Statement, bounds: &[Bounds<'_>], own: &RegistryKey) -> Vec<Statement> {
    let mut by_rules: BTreeMap<Vec<usize>, Vec<Who>> = BTreeMap::new();
    for principal in &statement.principals {
        for counterparty in counterparties(principal, statement, own) {
            let covers = |(_, rule): &(usize, &Bounds<'_>)| {
                rule.covers_effect(statement.effect) && rule.covers_counterparty(&counterparty)
            };
            let rules = bounds.iter().enumerate().filter(covers).map(|(i, _)| i).collect();
            by_rules.entry(rules).or_default().push((principal.clone(), counterparty));
        }
    }
    let mut parts: BTreeMap<(BTreeSet<Action>, BTreeSet<String>), Vec<Who>> = BTreeMap::new();
    for (rules, who) in by_rules {
        let rules: Vec<&Bounds<'_>> = rules.into_iter().filter_map(|i| bounds.get(i)).collect();
        for (actions, resources) in covered_actions(statement, &rules, own) {
            parts.entry((actions, resources)).or_default().extend(who.iter().cloned());
        }
    }
    parts.into_iter().map(|((actions, resources), who)| narrowed(statement, &who, actions, resources)).collect()
}

/// Which actions the rules cover on which of the statement's resources.
fn covered_actions(
    statement: &Statement,
    rules: &[&Bounds<'_>],
    own: &RegistryKey,
) -> BTreeMap<BTreeSet<Action>, BTreeSet<String>> {
    let mut by_actions: BTreeMap<BTreeSet<Action>, BTreeSet<String>> = BTreeMap::new();
    for resource in &statement.resources {
        let Some(pattern) = repository(resource, own) else { continue };
        let rules: Vec<_> = rules.iter().filter(|rule| rule.covers_repository(&pattern)).collect();
        let covered = |action: &&Action| rules.iter().any(|rule| rule.covers_action(action));
        let actions: BTreeSet<Action> = statement.actions.iter().filter(covered).cloned().collect();
        by_actions.entry(actions).or_default().insert(resource.clone());
    }
    by_actions.remove(&BTreeSet::new());
    by_actions
}

fn narrowed(statement: &Statement, who: &[Who], actions: BTreeSet<Action>, resources: BTreeSet<String>) -> Statement {
    let mut part = Statement { actions, resources, ..statement.clone() };
    part.principals = who.iter().map(|(principal, _)| principal.clone()).collect();
    let organizations: BTreeSet<String> = who
        .iter()
        .filter_map(|(_, counterparty)| match counterparty {
            Counterparty::Organization(id) => Some(id.clone()),
            _ => None,
        })
        .collect();
    if !organizations.is_empty() {
        part.conditions.insert(organization_key(), organizations);
    }
    part
}

/// Whether a rule is about this kind of object in this namespace at all.
fn speaks_of(rule: &AllowRule, kind: Kind, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
    let NamespaceSelector { names, selector } = &rule.namespaces;
    let selected = match (names, selector) {
        (Some(names), None) => names.iter().any(|name| name == namespace),
        // An empty selector would be every namespace: that is not written by accident here.
        (None, Some(wanted)) => !wanted.is_empty() && wanted.iter().all(|(k, v)| labels.get(k) == Some(v)),
        _ => false,
    };
    selected && rule.kinds.contains(&kind)
}

/// One rule, parsed. A pattern of the rule that does not parse covers nothing.
struct Bounds<'a> {
    rule: &'a AllowRule,
    own: &'a AccountId,
    terms: &'static Terms,
    repositories: Vec<RepositoryPattern>,
    actions: BTreeSet<Action>,
}

impl<'a> Bounds<'a> {
    fn new(rule: &'a AllowRule, own: &'a RegistryKey, kind: Kind) -> Self {
        let terms = terms(kind);
        let parse = |actions: &[&str]| actions.iter().copied().map(Action::new).collect();
        let actions = match terms.own_actions {
            Some(own) => parse(own),
            None if rule.actions.is_empty() => parse(&PULL_ACTIONS),
            None => rule.actions.iter().map(|action| Action::new(action)).collect(),
        };
        let repositories = rule.repositories.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        Self { rule, own: &own.account, terms, repositories, actions }
    }

    fn covers_repository(&self, pattern: &RepositoryPattern) -> bool {
        self.repositories.iter().any(|wide| pattern.is_within(wide))
    }

    fn covers_counterparty(&self, counterparty: &Counterparty) -> bool {
        let listed = |list: &[String], id: &str| list.iter().any(|allowed| allowed == "*" || allowed == id);
        match counterparty {
            Counterparty::Account(id) if self.rule.account_ids.is_empty() => id == self.own,
            Counterparty::Account(id) => listed(&self.rule.account_ids, id.as_str()),
            Counterparty::Organization(id) => listed(&self.rule.organization_ids, id),
            Counterparty::Service(_) | Counterparty::Everyone => self.rule.everyone == Some(true),
            Counterparty::Unknown(_) => false,
        }
    }

    fn covers_action(&self, action: &Action) -> bool {
        self.actions.contains(action)
    }

    fn covers_effect(&self, effect: Effect) -> bool {
        match effect {
            Effect::Allow => self.rule.effects.is_empty() || self.rule.effects.contains(&Written::Allow),
            Effect::Deny => self.rule.effects.contains(&Written::Deny),
        }
    }

    /// What the rule does not cover, each with the field of the object that asks for it.
    fn outside(&self, asked: &Asked) -> Vec<String> {
        let mut outside = Vec::new();
        let terms = self.terms;
        let mut tell = |what: &str, names: Vec<String>, field: &str| {
            outside.extend(names.into_iter().map(|name| format!("{what}{name} ({field})")));
        };
        let repositories = asked.repositories.iter().filter(|pattern| !self.covers_repository(pattern));
        tell("repository ", repositories.map(ToString::to_string).collect(), terms.repositories);
        tell("resource ", asked.elsewhere.iter().cloned().collect(), terms.repositories);
        for counterparty in asked.counterparties.iter().filter(|counterparty| !self.covers_counterparty(counterparty)) {
            match counterparty {
                Counterparty::Account(id) => tell("account ", vec![id.to_string()], terms.accounts),
                Counterparty::Organization(id) => tell("organization ", vec![id.clone()], terms.organizations),
                Counterparty::Service(name) => tell("service ", vec![name.clone()], terms.everyone),
                Counterparty::Everyone => tell("everyone", vec![String::new()], terms.everyone),
                Counterparty::Unknown(id) => tell("principal ", vec![id.clone()], terms.accounts),
            }
        }
        let actions = asked.actions.iter().filter(|action| !self.covers_action(action));
        tell("action ", actions.map(ToString::to_string).collect(), terms.actions);
        let effects = asked.effects.iter().filter(|effect| !self.covers_effect(**effect));
        tell("effect ", effects.map(ToString::to_string).collect(), terms.effects);
        outside
    }
}
