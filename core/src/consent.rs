//! Consent: what the owner of a registry lets others attach (`spec.allow` of the Registry; docs/api.md, "Consent").
//!
//! Nothing is allowed that no rule says. An object is accepted when *one* rule covers all it asks; what it may keep
//! meanwhile is decided atom by atom. Containment is proven, never guessed, and a message never speaks of another
//! namespace's objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::api::{Adoption, AllowRule, Effect as Written, Grantee, Kind, LedgerRole, LedgerRule};
use crate::kinds::{CacheRule, PtcRole, RoleChoice, RoleUpstream, Terms, Wanted, organization_key, terms};
use crate::names::{AccountId, CachePrefix, RegistryKey, RepositoryPattern};
use crate::ownership::is_generated_role_name;
use crate::policy::digest::digest;
use crate::policy::{Action, Effect, Principal, Statement};
use crate::reason::{Because, Reason};

/// What a rule allows when it names no actions (docs/api.md, "Consent").
pub const PULL_ACTIONS: [&str; 3] =
    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];

/// A principal of a statement, and whom it stands for.
type Who = (Principal, Counterparty);

/// One thing that an object asks of the registry's owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    Repository(RepositoryPattern),
    /// A resource that is no repository of this registry: no rule covers it.
    Elsewhere(String),
    Counterparty(Counterparty),
    Action(Action),
    Effect(Effect),
    /// An upstream that is no ECR private registry.
    UpstreamHost(String),
    Secret(String),
    /// A role that others look after, or that gets a name of somebody's choice.
    RoleName(String),
    /// To take over what is there already.
    Adoption(Adoption),
    /// To let others create repositories.
    CreateRepositories,
    /// To grant to all of the role's account.
    GranteeAccount,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(pattern) => write!(f, "repository {pattern}"),
            Self::Elsewhere(resource) => write!(f, "resource {resource}"),
            Self::Counterparty(Counterparty::Account(id)) => write!(f, "account {id}"),
            Self::Counterparty(Counterparty::Organization(id)) => write!(f, "organization {id}"),
            Self::Counterparty(Counterparty::Service(name)) => write!(f, "service {name}"),
            Self::Counterparty(Counterparty::Everyone) => f.write_str("everyone"),
            Self::Counterparty(Counterparty::Unknown(id)) => write!(f, "principal {id}"),
            Self::Action(action) => write!(f, "action {action}"),
            Self::Effect(effect) => write!(f, "effect {effect}"),
            Self::UpstreamHost(host) => write!(f, "upstream host {host}"),
            Self::Secret(name) => write!(f, "secret {name}"),
            Self::RoleName(name) => write!(f, "role {name}"),
            Self::Adoption(adoption) => write!(f, "adoption {adoption:?}"),
            Self::CreateRepositories => f.write_str("createRepositories"),
            Self::GranteeAccount => f.write_str("grantee Account"),
        }
    }
}

/// Everything that an object asks of one registry's owner, each with the field that asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(BTreeSet<(Ask, &'static str)>);

impl Asked {
    /// What the owner of the registry that the object is attached to is asked.
    pub fn of(wanted: &Wanted, kind: Kind, own: &RegistryKey) -> Self {
        let Wanted { statements, under_v2, rule, role } = wanted;
        let mut asked = Self::of_statements(statements, kind, own);
        asked.0.extend(Self::of_statements(under_v2, kind, own).0);
        asked.0.extend(rule.iter().flat_map(asked_by_rule));
        asked.0.extend(role.iter().flat_map(asked_by_role));
        asked
    }

    /// What statements alone ask.
    pub fn of_statements(statements: &[Statement], kind: Kind, own: &RegistryKey) -> Self {
        let terms = terms(kind);
        let mut asked = BTreeSet::new();
        for statement in statements {
            for resource in &statement.resources {
                let ask = repository(resource, own).map_or_else(|| Ask::Elsewhere(resource.clone()), Ask::Repository);
                asked.insert((ask, terms.repositories));
            }
            for counterparty in statement.principals.iter().flat_map(|who| counterparties(who, statement, own)) {
                let field = match &counterparty {
                    Counterparty::Account(_) | Counterparty::Unknown(_) => terms.accounts,
                    Counterparty::Organization(_) => terms.organizations,
                    Counterparty::Service(_) | Counterparty::Everyone => terms.everyone,
                };
                asked.insert((Ask::Counterparty(counterparty), field));
            }
            asked.extend(statement.actions.iter().map(|action| match action {
                action if terms.own_actions.is_some() && *action == create_repository() => {
                    (Ask::CreateRepositories, terms.actions)
                }
                action => (Ask::Action(action.clone()), terms.actions),
            }));
            asked.insert((Ask::Effect(statement.effect), terms.effects));
        }
        Self(asked)
    }

    /// What a rule that is on record asks: as little as an object may still have that has it. `by_own_role`: it pulls by a
    /// role that an object of the same namespace made.
    pub fn of_recorded(rule: &LedgerRule, by_own_role: bool) -> Self {
        Self(asked_by_recorded(rule, by_own_role).into_iter().collect())
    }

    /// What a role that is on record asks: as little as an object may still have that has it.
    pub fn of_recorded_role(role: &LedgerRole) -> Self {
        let name = (!is_generated_role_name(&role.name)).then(|| (Ask::RoleName(role.name.clone()), "spec.roleName"));
        Self(name.into_iter().collect())
    }

    /// All that a role asked which nobody asks for any more.
    pub fn of_retained_role(role: &LedgerRole) -> Self {
        let mut asked = Self::of_recorded_role(role);
        let into = role.pulls.into.iter().filter_map(|pattern| pattern.parse().ok());
        asked.0.extend(into.map(|pattern| (Ask::Repository(pattern), "spec.cacheRepositories")));
        let accounts = role.pulls.from.iter().filter_map(|upstream| upstream.account_id.parse().ok());
        asked.0.extend(accounts.map(|account| (Ask::Counterparty(Counterparty::Account(account)), "spec.upstreams")));
        asked
    }

    /// The least that the owner of the registry with the cache is asked for any grant of an upstream: its account.
    pub fn of_downstream(upstream: &RegistryKey) -> Self {
        let account = Ask::Counterparty(Counterparty::Account(upstream.account.clone()));
        Self(BTreeSet::from([(account, "spec.upstreams")]))
    }

    /// What the owner of the registry with the cache is asked for the sake of one upstream alone.
    pub fn of_role_for(role: &PtcRole, upstream: &RoleUpstream) -> Self {
        let alone = PtcRole { upstreams: vec![upstream.clone()], adoption: Adoption::Never, ..role.clone() };
        Self(asked_by_role(&alone).into_iter().collect())
    }

    /// What the owner of an upstream is asked: its repositories, for the account that the role lives in, or for the role
    /// alone.
    pub fn of_upstream(role: &PtcRole, upstream: &RoleUpstream, downstream: &RegistryKey) -> Self {
        let mut asked = Self::of_upstream_repositories(&upstream.repositories, downstream);
        let is_granted = role.grantee == Grantee::Account && upstream.key.account != downstream.account;
        asked.0.extend(is_granted.then_some((Ask::GranteeAccount, "spec.grantee")));
        asked
    }

    /// What the owner of an upstream of the same account is asked for a rule that pulls these repositories.
    pub fn of_cached(repositories: RepositoryPattern, downstream: &RegistryKey) -> Self {
        let account = Ask::Counterparty(Counterparty::Account(downstream.account.clone()));
        let at = "spec.upstream.ecr";
        Self(BTreeSet::from([(Ask::Repository(repositories), at), (account, at)]))
    }

    /// What the owner of an upstream is asked for these repositories.
    pub fn of_upstream_repositories<'p>(
        repositories: impl IntoIterator<Item = &'p RepositoryPattern>,
        downstream: &RegistryKey,
    ) -> Self {
        let terms = terms(Kind::CrossAccountPtcRole);
        let repositories =
            repositories.into_iter().map(|pattern| (Ask::Repository(pattern.clone()), terms.repositories));
        let account = Ask::Counterparty(Counterparty::Account(downstream.account.clone()));
        // As the grant is, so that what is accepted here is what `consented` lets stand.
        let effect = Ask::Effect(Effect::Allow);
        Self(repositories.chain([(account, terms.accounts), (effect, terms.effects)]).collect())
    }
}

/// The parts of a rule that is there, whatever its object says by now. A role is one that others look after, unless the
/// operator made it for the namespace.
fn asked_by_recorded(rule: &LedgerRule, by_own_role: bool) -> Vec<(Ask, &'static str)> {
    let mut asked = Vec::new();
    if let Ok(prefix) = rule.prefix.parse::<CachePrefix>() {
        asked.push((Ask::Repository(prefix.repositories()), "spec.cachePrefix"));
    }
    let host = &rule.upstream_url;
    asked.push(match RegistryKey::of_host(host) {
        Some(upstream) => (Ask::Counterparty(Counterparty::Account(upstream.account)), "spec.upstream.ecr"),
        None => (Ask::UpstreamHost(host.clone()), "spec.upstream"),
    });
    // `…:secret:NAME-abcdef`
    let secret = rule.credential_arn.as_deref().and_then(|arn| Some(arn.split_once(":secret:")?.1.rsplit_once('-')?.0));
    asked.extend(secret.map(|name| (Ask::Secret(name.to_owned()), "spec.upstream.secretName")));
    let of_others = rule.role_arn.as_deref().filter(|_| !by_own_role);
    let name = of_others.and_then(|arn| Some(arn.split_once(":role/")?.1)).filter(|name| !is_generated_role_name(name));
    asked.extend(name.map(|name| (Ask::RoleName(name.to_owned()), "spec.upstream.ecr.roleName")));
    asked
}

fn asked_by_rule(rule: &CacheRule) -> Vec<(Ask, &'static str)> {
    let mut asked = vec![(Ask::Repository(rule.prefix.repositories()), "spec.cachePrefix")];
    asked.push(match &rule.upstream_account {
        Some(upstream) => (Ask::Counterparty(Counterparty::Account(upstream.account.clone())), "spec.upstream.ecr"),
        None => (Ask::UpstreamHost(rule.upstream_host.clone()), "spec.upstream"),
    });
    asked.extend(rule.secret.iter().map(|name| (Ask::Secret(name.clone()), "spec.upstream.secretName")));
    if let Some(RoleChoice::Named(name)) = &rule.role {
        asked.push((Ask::RoleName(name.clone()), "spec.upstream.ecr.roleName"));
    }
    asked.extend(asked_to_adopt(rule.adoption));
    asked
}

fn asked_by_role(role: &PtcRole) -> Vec<(Ask, &'static str)> {
    let repositories = role.cache_repositories.iter().map(|p| (Ask::Repository(p.clone()), "spec.cacheRepositories"));
    let accounts = role
        .upstreams
        .iter()
        .map(|upstream| (Ask::Counterparty(Counterparty::Account(upstream.key.account.clone())), "spec.upstreams"));
    let name = role.name.iter().map(|name| (Ask::RoleName(name.clone()), "spec.roleName"));
    repositories.chain(accounts).chain(name).chain(asked_to_adopt(role.adoption)).collect()
}

fn asked_to_adopt(adoption: Adoption) -> Option<(Ask, &'static str)> {
    (adoption > Adoption::Never).then_some((Ask::Adoption(adoption), "spec.adoption"))
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

/// Which rules of a Registry are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    All,
    /// Those that let what an object has outlive it.
    Retaining,
}

impl Rules {
    pub fn of(self, allow: &[AllowRule]) -> Cow<'_, [AllowRule]> {
        match self {
            Self::All => Cow::Borrowed(allow),
            Self::Retaining => allow.iter().filter(|rule| rule.retain == Some(true)).cloned().collect(),
        }
    }
}

/// Whether one rule covers everything that is asked. If none does: what is outside, and by which rule. Of a namespace that
/// is not there to be seen (no `labels`) a rule by names tells, and one by labels could speak.
pub fn consent<'l>(
    allow: &[AllowRule],
    own: &RegistryKey,
    kind: Kind,
    namespace: &str,
    labels: impl Into<Option<&'l BTreeMap<String, String>>>,
    asked: &Asked,
) -> Result<(), Because> {
    let bounds = speaking(allow, kind, namespace, labels.into()).map(|rule| Bounds::new(rule, own, kind));
    let counted = bounds.map(|bounds| (bounds.outside(asked).count(), bounds));
    let Some((outside, bounds)) = counted.min_by_key(|(outside, _)| *outside) else {
        return Err(Because::new(
            Reason::NotAllowed,
            format!(
                "No rule of the Registry's spec.allow covers a {kind} in namespace {namespace}; ask the Registry's owner for one."
            ),
        ));
    };
    if outside == 0 {
        return Ok(());
    }
    Err(Because::new(
        Reason::NotAllowed,
        format!(
            "Not covered by one rule of the Registry's spec.allow: {}. The closest is {:?}; stay within it, or ask the Registry's owner to widen spec.allow.",
            told(bounds.outside(asked), outside),
            bounds.rule.name
        ),
    ))
}

/// The first ten, and how many more: five hundred accounts are no message.
fn told<'a>(outside: impl Iterator<Item = &'a (Ask, &'static str)>, count: usize) -> String {
    let shown: Vec<_> = outside.take(10).map(|(ask, field)| format!("{ask} ({field})")).collect();
    let more = if count > shown.len() { format!("; and {} more", count - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join("; "))
}

/// The part of the statements that some rule covers today, atom by atom: an atom is one principal (or organization),
/// one action, one resource pattern as it was written. A statement that is covered whole comes back unchanged.
pub fn consented<'l>(
    allow: &[AllowRule],
    own: &RegistryKey,
    kind: Kind,
    namespace: &str,
    labels: impl Into<Option<&'l BTreeMap<String, String>>>,
    statements: &[Statement],
) -> Vec<Statement> {
    let labels = labels.into();
    let bounds = speaking(allow, kind, namespace, labels).map(|rule| Bounds::new(rule, own, kind));
    let bounds: Vec<Bounds> = bounds.collect();
    statements.iter().flat_map(|statement| covered_part(statement, &bounds, own)).collect()
}

/// A statement split by who is covered by the same rules, then by which actions those rules cover on a resource, and
/// joined again where both came out alike.
fn covered_part(statement: &Statement, bounds: &[Bounds<'_>], own: &RegistryKey) -> Vec<Statement> {
    let mut by_rules: BTreeMap<Vec<usize>, Vec<Who>> = BTreeMap::new();
    for principal in &statement.principals {
        for counterparty in counterparties(principal, statement, own) {
            let covers = |(_, rule): &(usize, &Bounds<'_>)| {
                rule.covers_effect(statement.effect)
                    && rule.covers_counterparty(&counterparty)
                    && rule.covers_grantee(statement)
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
    let mut part = Statement { actions: actions.into(), resources: resources.into(), ..statement.clone() };
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

/// The rules that are about this kind of object in this namespace at all.
fn speaking<'a>(
    allow: &'a [AllowRule],
    kind: Kind,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> impl Iterator<Item = &'a AllowRule> {
    allow.iter().filter(move |rule| speaks_of(rule, kind, namespace, labels))
}

/// Names what decides of objects of this kind in this namespace: as long as it is the same, so is the answer to each of
/// them. Nothing, if no rule speaks of them: then they are refused without a look at what they ask.
pub fn decided_by(
    allow: &[AllowRule],
    own: &RegistryKey,
    kind: Kind,
    namespace: &str,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let rules: Vec<_> = speaking(allow, kind, namespace, Some(labels)).collect();
    (!rules.is_empty()).then(|| digest(&format!("{own} {rules:?}")))
}

/// Whether a rule is about this kind of object in this namespace at all.
fn speaks_of(rule: &AllowRule, kind: Kind, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
    rule.namespaces.selects(namespace, labels) && rule.kinds.contains(&kind)
}

fn create_repository() -> Action {
    Action::new("ecr:CreateRepository")
}

/// One rule, parsed. A pattern of the rule that does not parse covers nothing.
struct Bounds<'a> {
    rule: &'a AllowRule,
    kind: Kind,
    own: &'a AccountId,
    repositories: Vec<RepositoryPattern>,
    actions: BTreeSet<Action>,
}

impl<'a> Bounds<'a> {
    fn new(rule: &'a AllowRule, own: &'a RegistryKey, kind: Kind) -> Self {
        let Terms { own_actions, .. } = terms(kind);
        let parse = |actions: &[&str]| actions.iter().copied().map(Action::new).collect();
        let mut actions: BTreeSet<Action> = match own_actions {
            Some(own) => parse(own),
            None if rule.actions.is_empty() => parse(&PULL_ACTIONS),
            None => rule.actions.iter().map(|action| Action::new(action)).collect(),
        };
        if own_actions.is_some() && rule.create_repositories != Some(true) {
            actions.remove(&create_repository());
        }
        let repositories = rule.repositories.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        Self { rule, kind, own: &own.account, repositories, actions }
    }

    fn covers_repository(&self, pattern: &RepositoryPattern) -> bool {
        self.repositories.iter().any(|wide| pattern.is_within(wide))
    }

    fn covers_counterparty(&self, counterparty: &Counterparty) -> bool {
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

    /// What a role's upstream grants is bound to the role by a condition, unless all of its account is meant.
    fn covers_grantee(&self, statement: &Statement) -> bool {
        self.kind != Kind::CrossAccountPtcRole
            || statement.effect == Effect::Deny
            || !statement.conditions.is_empty()
            || self.rule.grantee_account == Some(true)
    }

    /// An object may ask for no more than the rule says, and for nothing if it says nothing.
    fn covers_adoption(&self, adoption: Adoption) -> bool {
        adoption <= self.rule.adoption.unwrap_or_default()
    }

    fn covers(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Repository(pattern) => self.covers_repository(pattern),
            Ask::Elsewhere(_) => false,
            Ask::Counterparty(counterparty) => self.covers_counterparty(counterparty),
            Ask::Action(action) => self.covers_action(action),
            Ask::Effect(effect) => self.covers_effect(*effect),
            Ask::UpstreamHost(host) => listed(&self.rule.upstream_hosts, host),
            Ask::Secret(name) => listed(&self.rule.secret_names, name),
            Ask::RoleName(name) => listed(&self.rule.role_names, name),
            Ask::Adoption(adoption) => self.covers_adoption(*adoption),
            Ask::CreateRepositories => self.rule.create_repositories == Some(true),
            Ask::GranteeAccount => self.rule.grantee_account == Some(true),
        }
    }

    /// What the rule does not cover, each with the field of the object that asks for it.
    fn outside<'q>(&self, asked: &'q Asked) -> impl Iterator<Item = &'q (Ask, &'static str)> {
        asked.0.iter().filter(|(ask, _)| !self.covers(ask))
    }
}

fn listed(list: &[String], name: &str) -> bool {
    list.iter().any(|allowed| allowed == "*" || allowed == name)
}
