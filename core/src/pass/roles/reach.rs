//! How far a role gets: which of its upstreams grant to it, and what still needs it. Told from the ledgers of the
//! registries, where each pass writes what it has done. Pure.

use std::collections::BTreeMap;

use super::super::index::{Gathered, OtherRegistry};
use super::super::ledger::Things;
use super::super::objects::{Attached, NamespaceView, ObjectId};
use super::super::{cache_rules, compile, roles};
use crate::api::{LedgerState, LedgerUpstream, OwnershipState};
use crate::consent::{Asked, consent};
use crate::kinds::{PtcRole, RoleUpstream, Target, is_good_for};
use crate::names::RegistryKey;
use crate::policy::{Statement, covers};
use crate::reason::{Because, Reason};
use crate::shares::{Holder, Others, Share, Shares};

/// Whether an upstream lets the role pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It does, or needs not to be asked: it is of the same account.
    Granted,
    /// Its owner has to: no Registry stands for it.
    External,
    /// Not yet.
    Waits(Because),
}

/// The ARN of the role that an object has, as far as the ledger or this pass knows.
pub fn arn_of(id: &ObjectId, things: &Things, applied: &roles::Applied) -> Option<String> {
    let known = match &applied.has {
        Some(has) => has.get(id).or_else(|| applied.missing.get(id).map(|missing| &missing.record)),
        None => things.role.as_ref(),
    };
    known.filter(|role| role.state == OwnershipState::Owned).map(|role| role.arn.clone())
}

/// Whether `upstream` lets the role of the object pull, with the role's ARN if it is there.
pub fn reach(gathered: &Gathered, id: &ObjectId, role: &PtcRole, upstream: &RoleUpstream, arn: Option<&str>) -> Reach {
    let Some(arn) = arn else {
        return Reach::Waits(Because::new(Reason::WaitingForRole, "The role is not there yet."));
    };
    let wanted = role.grants(upstream, &gathered.key, arn);
    if upstream.external {
        return if wanted.is_empty() { Reach::Granted } else { Reach::External };
    }
    let Some(registry) = gathered.others.get(&upstream.key) else {
        return Reach::Waits(Because::new(
            Reason::ReferenceNotFound,
            format!("No Registry stands for {}.", upstream.key),
        ));
    };
    let Some(namespace) = gathered.namespaces.get(&id.namespace) else {
        let message = format!("Namespace {} has not been seen yet.", id.namespace);
        return Reach::Waits(Because::new(Reason::NamespaceNotSeen, message));
    };
    let asked = Asked::of_upstream(role, upstream, &gathered.key);
    let allow = &registry.registry.spec.allow;
    if let Err(because) = consent(allow, &upstream.key, id.kind, &id.namespace, &namespace.labels, &asked) {
        return Reach::Waits(because);
    }
    if wanted.is_empty() {
        let role = gathered.ledger.holdings.get(id).and_then(|holding| holding.things.role.as_ref());
        let is_of_it = |from: &LedgerUpstream| upstream.key.is_at(&from.account_id, &from.region);
        let is_new = !role.is_some_and(|role| role.pulls.from.iter().any(is_of_it));
        return if is_new && registry.takes_nobody_new() {
            Reach::Waits(takes_nobody_new(registry))
        } else {
            Reach::Granted
        };
    }
    let entry = registry.on_record(id);
    let waiting = || {
        let message = format!("Registry {} has not granted to the role yet.", registry.name());
        Because::new(Reason::WaitingForUpstream, message)
    };
    let Some(entry) = entry else {
        if registry.takes_nobody_new() {
            return Reach::Waits(takes_nobody_new(registry));
        }
        return Reach::Waits(one_too_many(id, namespace, registry).unwrap_or_else(waiting));
    };
    if let Some(refused) = &entry.refused {
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == refused.reason);
        return Reach::Waits(Because::new(reason.copied().unwrap_or(Reason::WaitingForUpstream), &refused.message));
    }
    let has = entry.state == LedgerState::Applied && covers(&entry.statements, &wanted);
    if has { Reach::Granted } else { Reach::Waits(waiting()) }
}

/// Of who is more than its namespace may have there nothing is on record, not even why.
fn one_too_many(id: &ObjectId, namespace: &NamespaceView, registry: &OtherRegistry) -> Option<Because> {
    let there = registry.ledger.objects().into_iter().filter(|other| other.namespace == id.namespace).count();
    let holder = Holder { namespace: &id.namespace, labels: Some(&namespace.labels), rule: None };
    let of = |objects: usize| Share { objects, ..Share::default() };
    let mut shares = Shares::new(&registry.registry.spec.allow, Others::default());
    shares.count(&holder, &of(there));
    shares.ask(&holder, &of(0), &of(1)).err().map(|exceeded| exceeded.because())
}

fn takes_nobody_new(registry: &OtherRegistry) -> Because {
    let message = format!("Registry {} is being deleted or released and takes nobody new.", registry.name());
    Because::new(Reason::RegistryTerminating, message)
}

/// A role as cache rules see it that name its object.
#[derive(Clone, Debug, Default)]
pub struct Passable {
    /// If it is there.
    pub arn: Option<String>,
    /// Which registries it was made for, and whether they grant to it.
    pub upstreams: Vec<(RegistryKey, Reach)>,
    /// It is to be removed.
    pub is_leaving: bool,
}

/// The roles of the objects attached to the registry, for its cache rules.
pub fn passable(
    gathered: &Gathered,
    contributions: &[compile::Contribution],
    applied: &roles::Applied,
) -> BTreeMap<ObjectId, Passable> {
    let passable = |contribution: &compile::Contribution| {
        let role = contribution.pulls.as_ref().filter(|_| !contribution.is_guest)?;
        let arn = arn_of(&contribution.id, &contribution.things, applied);
        let reach_of = |u: &RoleUpstream| reach(gathered, &contribution.id, role, u, arn.as_deref());
        let upstreams = role.upstreams.iter().map(|u| (u.key.clone(), reach_of(u))).collect();
        let is_leaving = contribution.role.as_ref().is_some_and(|claim| claim.stance.goes());
        Some((contribution.id.clone(), Passable { arn, upstreams, is_leaving }))
    };
    contributions.iter().filter_map(passable).collect()
}

/// What keeps a role from being removed: grants in other registries, and rules that pull by it. A role that may not be
/// kept waits for the grants alone: without them the rules serve nobody.
pub fn in_use(
    gathered: &Gathered,
    contributions: &[compile::Contribution],
    rules: &Result<Vec<(String, String)>, Because>,
) -> BTreeMap<ObjectId, Because> {
    // Whose rule does not delay the role of this namespace: another namespace's, or what was left behind.
    let is_nothing_to = |namespace: &str, prefix: &str| {
        contributions.iter().any(|other| {
            let has_it = other.rule.as_ref().and_then(|rule| rule.has.as_ref()).is_some_and(|has| has.prefix == prefix);
            has_it && (other.id.namespace != namespace || other.is_orphaned() || other.is_retained())
        })
    };
    let held = contributions.iter().filter_map(|contribution| {
        let claim = contribution.role.as_ref()?;
        let arn = &claim.has.as_ref()?.arn;
        if claim.stance == roles::Stance::Released {
            return Some((contribution.id.clone(), pulled_by(contributions, arn)?));
        }
        let namespace = contribution.id.namespace.as_str();
        let by_it = match rules {
            _ if matches!(claim.stance, roles::Stance::Loses(_)) => None,
            Ok(rules) => {
                let mut rules = rules.iter().filter(|(_, role)| role == arn);
                rules.find(|(prefix, _)| !is_nothing_to(namespace, prefix)).map(|(prefix, _)| {
                    let message = format!("The cache rule for prefix {prefix} still pulls by the role: it goes first.");
                    Because::new(Reason::Progressing, message)
                })
            }
            Err(because) => Some(because.clone()),
        };
        Some((contribution.id.clone(), by_it.or_else(|| still_granted(gathered, &contribution.id, Some(arn)))?))
    });
    held.collect()
}

/// What keeps a role that is to go: a grant in another registry, which goes first, and what that one says of it.
pub fn still_granted(gathered: &Gathered, id: &ObjectId, arn: Option<&str>) -> Option<Because> {
    let registry = granting(gathered, id, arn)?;
    let refused = registry.on_record(id).and_then(|entry| entry.refused);
    let why = refused.map(|refused| format!(" {}", refused.message)).unwrap_or_default();
    let message = format!("Registry {} still grants to the role: the grant goes first.{why}", registry.name());
    Some(Because::new(Reason::Progressing, message))
}

/// A registry that grants to this role of the object, or to any that it has, as far as anybody knows. One of the object's
/// name may have had another role before.
pub fn granting<'a>(gathered: &'a Gathered, id: &ObjectId, arn: Option<&str>) -> Option<&'a OtherRegistry> {
    let is_to_it = |statement: &Statement| arn.is_none_or(|arn| is_good_for(statement, arn));
    let object = gathered.object(id);
    let grants = |key: &RegistryKey, registry: &OtherRegistry| match registry.on_record(id) {
        Some(entry) => entry.statements.iter().any(is_to_it),
        None => object.is_some_and(|object| may_grant(gathered, object, key, registry)),
    };
    gathered.others.iter().find(|(key, registry)| grants(key, registry)).map(|(_, registry)| registry)
}

/// A rule of a living object that pulls by a role which is to be released: without the role on record it would be taken
/// for one that pulls by a role of others.
fn pulled_by(contributions: &[compile::Contribution], arn: &str) -> Option<Because> {
    let rules = contributions.iter().filter_map(|contribution| contribution.rule.as_ref());
    let goes = |rule: &&compile::RuleClaim| rule.stance.goes() || rule.stance == cache_rules::Stance::Released;
    let mut staying = rules.filter(|rule| !goes(rule));
    let rule = staying.find_map(|rule| rule.has.as_ref().filter(|has| has.role_arn.as_deref() == Some(arn)))?;
    let message = format!("The cache rule for prefix {} pulls by the role: release its object too.", rule.prefix);
    Some(Because::new(Reason::Progressing, message))
}

/// Whether a registry that has nothing of a deleting object on record may grant to it all the same: its record may have
/// been lost. It says itself once it has read its policy.
fn may_grant(gathered: &Gathered, object: &Attached, key: &RegistryKey, registry: &OtherRegistry) -> bool {
    let leads_there = |target: &Target<'_>| target.resolve(&gathered.references).as_ref() == Some(key);
    let has_said_so = || gathered.withdrawn.contains(&(key.clone(), object.id.clone()));
    let Some(namespace) = gathered.namespaces.get(&object.id.namespace) else { return false };
    let is_covered = || {
        let account = Asked::of_downstream(&gathered.key);
        let allow = &registry.registry.spec.allow;
        consent(allow, key, object.id.kind, &object.id.namespace, &namespace.labels, &account).is_ok()
    };
    object.meta.deleting
        && object.meta.finalized
        && !object.meta.abandon
        && object.body.targets().iter().any(leads_there)
        && !has_said_so()
        && is_covered()
}
