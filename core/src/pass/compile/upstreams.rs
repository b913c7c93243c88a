//! Upstreams in the own account, of roles and of cache rules. No policy there bounds what they pull (aws-facts D.6): so the
//! pass that makes them asks the upstreams' Registries itself, and the entry of the role or the rule says what those have
//! consented to.

use std::collections::{BTreeMap, BTreeSet};

use super::super::claims::{Stance, Withdrawn};
use super::super::ledger::Things;
use super::super::objects::{Attached, ObjectId};
use super::super::roles::Place;
use super::{Compiler, RoleClaim, RuleClaim, orphaned_role};
use crate::api::{Kind, LedgerRole, LedgerRule};
use crate::consent::{Asked, Rules, consent};
use crate::kinds::{CacheRule, PtcRole, RoleUpstream, Wanted, translate};
use crate::names::{CachePrefix, RegistryKey, RepositoryPattern};
use crate::reason::{Because, Reason};

/// What a role pulls from one upstream, as it is on record.
#[derive(Default)]
struct Recorded {
    repositories: BTreeSet<RepositoryPattern>,
    /// No Registry has consented to it.
    external: bool,
}

impl Recorded {
    /// Nothing, if the role was not made for the upstream.
    fn of(role: &LedgerRole, upstream: &RegistryKey) -> Option<Self> {
        let of_it = role.pulls.from.iter().filter(|from| upstream.is_at(&from.account_id, &from.region));
        let mut of_it = of_it.peekable();
        of_it.peek()?;
        let mut recorded = Self::default();
        for from in of_it {
            recorded.external |= from.external == Some(true);
            recorded.repositories.extend(from.repositories.iter().filter_map(|pattern| pattern.parse().ok()));
        }
        Some(recorded)
    }
}

/// The repositories of the upstream that a rule on record pulls.
fn pulled(has: &LedgerRule) -> RepositoryPattern {
    let prefix = has.upstream_prefix.as_ref().and_then(|prefix| prefix.parse::<CachePrefix>().ok());
    prefix.as_ref().map_or_else(RepositoryPattern::all, CachePrefix::repositories)
}

impl Compiler<'_> {
    /// What the upstream's Registry says to a role that pulls these repositories; nothing, if none stands for it.
    fn upstream_says<'p>(
        &self,
        rules: Rules,
        namespace: &str,
        upstream: &RegistryKey,
        repositories: impl IntoIterator<Item = &'p RepositoryPattern>,
    ) -> Option<Result<(), Because>> {
        let asked = Asked::of_upstream_repositories(repositories, &self.gathered.key);
        self.ask_upstream(rules, Kind::CrossAccountPtcRole, namespace, upstream, &asked)
    }

    /// The same to a cache rule, with a role or without.
    fn upstream_says_of_rule(
        &self,
        rules: Rules,
        namespace: &str,
        upstream: &RegistryKey,
        pulled: RepositoryPattern,
    ) -> Option<Result<(), Because>> {
        let asked = Asked::of_cached(pulled, &self.gathered.key);
        self.ask_upstream(rules, Kind::PullThroughCacheRule, namespace, upstream, &asked)
    }

    fn ask_upstream(
        &self,
        rules: Rules,
        kind: Kind,
        namespace: &str,
        upstream: &RegistryKey,
        asked: &Asked,
    ) -> Option<Result<(), Because>> {
        let allow = &self.gathered.others.get(upstream)?.registry.spec.allow;
        let labels = self.gathered.namespaces.get(namespace).map(|view| &view.labels);
        Some(consent(&rules.of(allow), upstream, kind, namespace, labels, asked))
    }

    fn is_of_own_account(&self, upstream: &RegistryKey) -> bool {
        upstream.account == self.gathered.key.account && *upstream != self.gathered.key
    }

    /// Whether the upstream takes nobody new: it goes, is let go of, or cannot be told from a Registry that cannot be read.
    fn takes_nobody_new(&self, upstream: &RegistryKey) -> bool {
        match self.gathered.others.get(upstream) {
            Some(other) => other.takes_nobody_new(),
            None => self.gathered.unread_registry,
        }
    }

    /// The role that an object asks for, with no more of each upstream in its own account than its Registry lets it have:
    /// what it consents to, and else what stands as it is on record, consented to before or asked of no Registry.
    pub(super) fn as_consented(&self, id: &ObjectId, role: &PtcRole, has: Option<&LedgerRole>) -> PtcRole {
        let consented = |upstream: &RoleUpstream| {
            if !self.is_of_own_account(&upstream.key) {
                return Some(upstream.clone());
            }
            let says = |patterns: &BTreeSet<RepositoryPattern>| {
                self.upstream_says(Rules::All, &id.namespace, &upstream.key, patterns)
            };
            let recorded = has.and_then(|has| Recorded::of(has, &upstream.key));
            let is_refused = matches!(says(&upstream.repositories), Some(Err(_)));
            if !is_refused && !self.takes_nobody_new(&upstream.key) {
                // A Registry that has consented once is asked again when it comes back.
                let external = upstream.external && recorded.is_none_or(|recorded| recorded.external);
                return Some(RoleUpstream { external, ..upstream.clone() });
            }
            let recorded = recorded?;
            let still = |pattern: &RepositoryPattern| {
                recorded.external || !matches!(says(&BTreeSet::from([pattern.clone()])), Some(Err(_)))
            };
            let repositories: BTreeSet<_> =
                upstream.repositories.intersection(&recorded.repositories).filter(|p| still(p)).cloned().collect();
            (!repositories.is_empty()).then(|| RoleUpstream {
                repositories,
                external: recorded.external,
                ..upstream.clone()
            })
        };
        PtcRole { upstreams: role.upstreams.iter().filter_map(consented).collect(), ..role.clone() }
    }

    /// The role on record with what upstreams of its own account have consented to since, and what they have taken back.
    pub(super) fn under_consent(&self, rules: Rules, id: &ObjectId, mut has: LedgerRole) -> (LedgerRole, Withdrawn) {
        let mut withdrawn = Withdrawn::new();
        for upstream in self.gathered.others.keys().filter(|upstream| self.is_of_own_account(upstream)) {
            let Some(recorded) = Recorded::of(&has, upstream) else { continue };
            let says = |patterns: &[&RepositoryPattern]| {
                self.upstream_says(rules, &id.namespace, upstream, patterns.iter().copied())
            };
            let all: Vec<_> = recorded.repositories.iter().collect();
            let consents = matches!(says(&all), Some(Ok(())));
            if recorded.external && consents {
                let from = has.pulls.from.iter_mut().filter(|from| upstream.is_at(&from.account_id, &from.region));
                from.for_each(|from| from.external = None);
            }
            if !recorded.external && !consents {
                let taken = recorded.repositories.iter().filter(|pattern| matches!(says(&[*pattern]), Some(Err(_))));
                withdrawn.extend(taken.map(|pattern| (upstream.clone(), pattern.clone())));
            }
        }
        (has, withdrawn)
    }

    /// The claim on a role whose object is not here to speak for it.
    pub(super) fn role_without_object(&self, rules: Rules, id: &ObjectId, things: &Things) -> Option<RoleClaim> {
        let mut claim = orphaned_role(id, things)?;
        let has = claim.has.take()?;
        let (has, withdrawn) = self.under_consent(rules, id, has);
        Some(RoleClaim { has: Some(has), withdrawn, ..claim })
    }

    fn waits_for_upstreams(&self, role: &PtcRole) -> bool {
        let keys = role.upstreams.iter().map(|upstream| &upstream.key);
        let mut own = keys.filter(|key| self.is_of_own_account(key));
        own.any(|key| self.takes_nobody_new(key))
    }

    /// What is wanted of a role, as upstreams of its own account consent to it.
    pub(super) fn with_consent(&self, claim: &RoleClaim, stance: Stance<PtcRole>) -> Stance<PtcRole> {
        match stance {
            // A role that is not on record may be there all the same, and what it has is not taken from it meanwhile.
            Stance::Wants(wanted) if claim.has.is_none() && self.waits_for_upstreams(&wanted) => {
                let message =
                    "An upstream of the role's own account takes nobody new now, or a Registry cannot be read.";
                Stance::Holds(None, Because::new(Reason::WaitingForUpstream, message))
            }
            Stance::Wants(wanted) => Stance::Wants(self.as_consented(&claim.id, &wanted, claim.has.as_ref())),
            Stance::Holds(Some(wanted), because) => {
                Stance::Holds(Some(self.as_consented(&claim.id, &wanted, claim.has.as_ref())), because)
            }
            other => other,
        }
    }

    /// The rule on record, with what the Registry of its upstream has said since.
    pub(super) fn rule_under_consent(&self, namespace: &str, mut has: LedgerRule) -> LedgerRule {
        let Some(upstream) = self.upstream_of_own_account(&has) else { return has };
        match self.upstream_says_of_rule(Rules::All, namespace, &upstream, pulled(&has)) {
            Some(Ok(())) => has.consented = Some(true),
            None if !self.gathered.unread_registry && has.consented.is_none() => has.consented = Some(false),
            _ => {}
        }
        has
    }

    /// The upstream of a rule on record, if it is of the rule's own account.
    fn upstream_of_own_account(&self, has: &LedgerRule) -> Option<RegistryKey> {
        RegistryKey::of_host(&has.upstream_url).filter(|key| self.is_of_own_account(key))
    }

    /// A rule that an object asks for, where its upstream is of its own account and does not let a new one pull.
    pub(super) fn if_upstream_lets(&self, claim: &RuleClaim, stance: Stance<CacheRule>) -> Stance<CacheRule> {
        let Stance::Wants(wanted) = &stance else { return stance };
        let stands = claim.has.as_ref().is_some_and(|has| wanted.is_in_place_of(has));
        let Some(upstream) = wanted.upstream_account.as_ref().filter(|key| !stands && self.is_of_own_account(key))
        else {
            return stance;
        };
        let says = self.upstream_says_of_rule(Rules::All, &claim.id.namespace, upstream, wanted.pulled());
        let why = match says {
            Some(Err(because)) => because.message,
            _ if self.takes_nobody_new(upstream) => "it takes nobody new.".to_owned(),
            _ => return stance,
        };
        let message = format!("The upstream {upstream} does not let the rule pull: {why}");
        Stance::Keeps(Because::new(Reason::WaitingForUpstream, message))
    }

    /// Why a rule may not pull from an upstream of its own account any longer.
    pub(super) fn upstream_refuses(&self, rules: Rules, namespace: &str, has: &LedgerRule) -> Option<Because> {
        self.rule_is_refused(rules, namespace, has).or_else(|| self.rule_by_role_is_refused(rules, namespace, has))
    }

    /// As [`Compiler::upstream_refuses`], for what the rule itself pulls. One that no Registry was ever asked for stays.
    fn rule_is_refused(&self, rules: Rules, namespace: &str, has: &LedgerRule) -> Option<Because> {
        let upstream = self.upstream_of_own_account(has).filter(|_| has.consented != Some(false))?;
        let says = self.upstream_says_of_rule(rules, namespace, &upstream, pulled(has))?;
        let message =
            |because: Because| format!("The upstream {upstream} does not let the rule pull: {}", because.message);
        says.err().map(|because| Because::new(Reason::WaitingForUpstream, message(because)))
    }

    /// The same for the role that its namespace made and that it pulls by.
    fn rule_by_role_is_refused(&self, rules: Rules, namespace: &str, has: &LedgerRule) -> Option<Because> {
        let pulled_from =
            |upstream: &&RegistryKey| self.is_of_own_account(upstream) && upstream.host() == has.upstream_url;
        let upstream = self.gathered.others.keys().find(pulled_from)?;
        let (id, recorded) = self.own_role(namespace, has.role_arn.as_deref()?)?;
        let object = self.gathered.attached.iter().find(|object| object.id == id);
        let asked = object
            .and_then(|object| self.role_asked(object))
            .map(|(role, _)| role)
            .filter(|role| role.upstreams.iter().any(|asked| asked.key == *upstream));
        if let Some(role) = asked {
            let asked =
                role.upstreams.iter().filter(|asked| asked.key == *upstream).flat_map(|asked| &asked.repositories);
            if matches!(self.upstream_says(rules, namespace, upstream, asked), Some(Ok(()))) {
                return None;
            }
        }
        let pulls = pulled(has);
        let concerns = |pattern: &RepositoryPattern| pattern.is_within(&pulls) || pulls.is_within(pattern);
        let recorded = recorded.and_then(|role| Recorded::of(&role, upstream)).unwrap_or_default();
        let concerned: Vec<_> = recorded.repositories.iter().filter(|pattern| concerns(pattern)).collect();
        let says = self.upstream_says(rules, namespace, upstream, concerned.iter().copied())?;
        let because = match says {
            _ if recorded.external => return None,
            Ok(()) if !concerned.is_empty() => return None,
            Ok(()) => "it was not asked for it.".to_owned(),
            Err(because) => because.message,
        };
        let message = format!(
            "The upstream {upstream} does not let the role of CrossAccountPtcRole {} pull, and its rule goes: {because}",
            id.name
        );
        Some(Because::new(Reason::WaitingForUpstream, message))
    }

    /// The object of the namespace whose role this is, and its record, unless that was lost.
    pub(super) fn own_role(&self, namespace: &str, arn: &str) -> Option<(ObjectId, Option<LedgerRole>)> {
        let recorded = self.holdings.iter().filter(|(id, _)| id.namespace == namespace);
        let mut recorded = recorded.filter_map(|(id, holding)| Some((id, holding.things.role.as_ref()?)));
        if let Some((id, role)) = recorded.find(|(_, role)| role.arn == arn) {
            return Some((id.clone(), Some(role.clone())));
        }
        let asked = self.asked_roles.get_or_init(|| self.roles_asked());
        asked.get(&(namespace.to_owned(), arn.to_owned())).map(|id| (id.clone(), None))
    }

    /// The objects that may have a role of this ARN, by their namespaces: without its entry a role is still its object's.
    fn roles_asked(&self) -> BTreeMap<(String, String), ObjectId> {
        let place = Place {
            registry: &self.gathered.key,
            settings: self.gathered.registry.spec.roles.as_ref(),
            installation: self.installation,
        };
        let roles = self.gathered.attached.iter().filter(|object| object.id.kind == Kind::CrossAccountPtcRole);
        let asked = roles.filter_map(|object| {
            let (role, is_covered) = self.role_asked(object)?;
            let role = is_covered.then(|| place.role(&object.id, &role))?.ok()?;
            Some(((object.id.namespace.clone(), role.arn), object.id.clone()))
        });
        asked.collect()
    }

    /// The role that an object asks for, and whether its Registry lets it.
    fn role_asked(&self, object: &Attached) -> Option<(PtcRole, bool)> {
        let id = &object.id;
        let key = &self.gathered.key;
        let role = translate(&object.body, key, &self.gathered.references).ok()?.role?;
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        let asked = Asked::of(&Wanted { role: Some(role.clone()), ..Wanted::default() }, id.kind, key);
        let allow = &self.gathered.registry.spec.allow;
        let is_covered = consent(allow, key, id.kind, &id.namespace, labels, &asked).is_ok();
        Some((role, is_covered))
    }
}
