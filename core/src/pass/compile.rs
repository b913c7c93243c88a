//! What every attached object may have in AWS today: consent, suspension, deletion and the ledger brought together.
//! Knows nothing of AWS's own state; the same function serves the command line.

mod contribution;
mod guests;
mod leaving;
mod sharing;
mod things;
mod upstreams;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

pub use contribution::{Contribution, RoleClaim, RuleClaim, Stance};
use contribution::{orphaned_role, orphaned_rule};
use leaving::released;
pub(in crate::pass) use leaving::was_released;

use super::holds::Holds;
use super::index::Gathered;
use super::ledger::{DocumentRecord, Holding, Holdings, Things};
use super::memory::Memory;
use super::objects::{Attached, ObjectId};
use super::orphans::{Heard, Leaving, SetId, Word};
use super::queue::Now;
use super::scope::ScopeView;
use crate::api::{AllowRule, DeletionPolicy, LedgerState, Management, Scope};
use crate::consent::{Asked, Rules, consent, consented};
use crate::kinds::{Body, Wanted, translate};
use crate::ownership::InstallationId;
use crate::policy::{Effect, Principal, Statement, intersect, is_enforced_under_v1};
use crate::reason::{Because, Reason};

/// What the pass is after.
#[derive(Clone, Debug)]
pub struct Desired {
    pub contributions: Vec<Contribution>,
    /// Whether AWS may be written at all.
    pub restraint: Option<Because>,
    pub wants_scope_v2: bool,
    pub acknowledged_widening: Option<String>,
    /// Installations whose statements become ours.
    pub take_over: BTreeSet<InstallationId>,
    /// What a person has asked of what belongs to nobody.
    pub words: Words,
    /// What is on record and not believed, or not understood: it stays as it stands in AWS.
    pub protected: Vec<Statement>,
    /// Whether something on record cannot be read: then nobody can say what belongs to nobody.
    pub is_incomplete: bool,
    /// What neither grows nor is repaired for now.
    pub holds: Holds,
    /// Objects that are more than their namespace may have: nothing of them goes on record, not even why.
    pub too_many: BTreeSet<ObjectId>,
}

/// A person's words on what belongs to nobody, each naming one set, and the last that were carried out.
#[derive(Clone, Debug, Default)]
pub struct Words {
    pub prune: Option<String>,
    pub release: Option<String>,
    pub handled_prune: Option<String>,
    pub handled_release: Option<String>,
    /// Sets whose statements wait: a rule or a role of the same set is still there, and goes first.
    pub held: BTreeSet<SetId>,
    pub heard: Heard,
    /// No token is heard anew: what is decided later in a pass goes by what rules and roles have heard.
    pub is_closed: bool,
}

impl Words {
    /// Whether something was said that was not carried out yet.
    pub fn is_pending(&self) -> bool {
        let pending = |asked: &Option<String>, handled: &Option<String>| asked.is_some() && asked != handled;
        pending(&self.prune, &self.handled_prune) || pending(&self.release, &self.handled_release)
    }

    /// What was said of an object by a token that named it when it was first heard.
    pub(super) fn heard_on(&self, id: &ObjectId, uid: &str, leaving: Leaving) -> Word {
        let names = |objects: &BTreeMap<ObjectId, (String, Leaving)>| {
            objects.get(id).is_some_and(|(of, why)| of == uid && *why == leaving)
        };
        let mut naming = self.heard.iter().filter(|(_, objects)| names(objects)).map(|(token, _)| self.of(token));
        naming.find(|word| *word != Word::None).unwrap_or_default()
    }

    /// Of what tokens named, what may still be to do.
    pub fn still_heard(&self, heard: &Heard) -> Heard {
        let handled = self.handled();
        let is_open = |token: &String| self.of(token) != Word::None && !handled.contains(token.as_str());
        heard.iter().filter(|(token, _)| is_open(token)).map(|(token, named)| (token.clone(), named.clone())).collect()
    }

    pub(super) fn handled(&self) -> BTreeSet<&str> {
        let handled = [&self.handled_prune, &self.handled_release].into_iter().flatten();
        handled.flat_map(|tokens| tokens.split(',')).collect()
    }

    /// What was said of the set that the token names.
    pub(super) fn of(&self, token: &str) -> Word {
        let names =
            |asked: &Option<String>| !token.is_empty() && asked.iter().any(|all| all.split(',').any(|t| t == token));
        match () {
            () if names(&self.prune) => Word::Prune,
            () if names(&self.release) => Word::Release,
            () => Word::None,
        }
    }
}

impl Desired {
    /// Whether somebody waits for room in its share.
    pub fn has_limited(&self) -> bool {
        let is_limited = |because: &Because| because.reason == Reason::LimitExceeded;
        self.contributions.iter().any(|c| matches!(&c.stance, Stance::Keeps(_, because) if is_limited(because)))
    }

    /// Whether something rests on the registry policy's scope.
    pub fn needs_scope(&self) -> bool {
        let beyond_v1 = |statements: &[Statement]| statements.iter().any(|s| !is_v1(s));
        self.wants_scope_v2
            || self
                .contributions
                .iter()
                .any(|c| c.depends_on_scope || matches!(&c.stance, Stance::Wants(wanted) if beyond_v1(wanted)))
    }
}

impl Desired {
    /// Whether somebody has something in the registry's policy, wants it there, or may have: as the record has it, ours is
    /// in it or it was never read.
    pub fn needs_policy(&self, record: Option<&DocumentRecord>) -> bool {
        let is_part = |c: &Contribution| {
            let asks = match &c.stance {
                Stance::Wants(statements) | Stance::Keeps(statements, _) => !statements.is_empty(),
                _ => false,
            };
            asks || !c.has.is_empty() || c.wanted.as_ref().is_some_and(|wanted| !wanted.is_empty())
        };
        let is_asked = self.wants_scope_v2 || !self.take_over.is_empty() || self.words.is_pending();
        let is_asked = is_asked || !self.protected.is_empty();
        is_asked || self.contributions.iter().any(is_part) || record.is_none_or(|record| !record.sids.is_empty())
    }
}

/// Whether scope V1 enforces every action of the statement.
pub(super) fn is_v1(statement: &Statement) -> bool {
    statement.actions.iter().all(is_enforced_under_v1)
}

/// What an object keeps when its edit is refused: what it has, as far as it still wants it. Its denials all stay:
/// dropping one would widen. New denials are part of the edit that was refused.
pub(super) fn kept(has: &[Statement], wanted: &[Statement]) -> Vec<Statement> {
    let allowed: Vec<_> = wanted.iter().filter(|statement| statement.effect == Effect::Allow).cloned().collect();
    intersect(has, &allowed)
}

pub fn compile(gathered: &Gathered, installation: &InstallationId, memory: &Memory, now: Now) -> Desired {
    let holdings = &gathered.ledger.holdings;
    let holds = Holds { old: gathered.old.clone(), shared: memory.shared.because(gathered.registry.name()) };
    let compiler =
        Compiler { gathered, installation, memory, now, holdings, holds: &holds, asked_roles: OnceCell::new() };
    let mut contributions: Vec<_> = gathered.attached.iter().map(|object| compiler.object(object)).collect();
    contributions.extend(gathered.guests.iter().map(|object| compiler.guest(object)));
    contributions.extend(gathered.elsewhere.iter().map(|object| compiler.elsewhere(object)));
    contributions.extend(gathered.unreadable.iter().filter_map(|id| compiler.unreadable(id)));
    contributions.extend(compiler.orphans());
    let too_many = compiler.share(&mut contributions);
    let spec = &gathered.registry.spec;
    let settings = spec.registry_policy.clone().unwrap_or_default();
    Desired {
        contributions,
        restraint: restraint(gathered),
        wants_scope_v2: settings.scope == Some(Scope::V2) && holds.everything().is_none(),
        acknowledged_widening: settings.acknowledge_widening,
        take_over: spec.take_over_installation_ids.iter().filter_map(|id| id.parse().ok()).collect(),
        words: Words {
            prune: gathered.registry.meta.prune.clone(),
            release: gathered.registry.meta.release.clone(),
            handled_prune: gathered.registry.status.last_handled_prune.clone(),
            handled_release: gathered.registry.status.last_handled_release.clone(),
            held: BTreeSet::new(),
            heard: memory.heard.clone(),
            is_closed: false,
        },
        protected: gathered.ledger.protected.clone(),
        is_incomplete: gathered.ledger.is_incomplete,
        holds,
        too_many,
    }
}

fn restraint(gathered: &Gathered) -> Option<Because> {
    let spec = &gathered.registry.spec;
    if spec.suspend == Some(true) {
        return Some(Because::new(Reason::Suspended, "The Registry is suspended: nothing is written to AWS."));
    }
    (spec.management == Some(Management::Observe)).then(|| {
        Because::new(
            Reason::ObserveOnly,
            "The Registry's management is Observe: what would be done stands in its status.plan.",
        )
    })
}

struct Compiler<'a> {
    gathered: &'a Gathered,
    installation: &'a InstallationId,
    memory: &'a Memory,
    now: Now,
    holdings: &'a Holdings,
    holds: &'a Holds,
    /// Filled where the role of some rule is not on record: all of it is translated once, and not for every rule.
    asked_roles: OnceCell<BTreeMap<(String, String), ObjectId>>,
}

/// What a living object is answered.
enum Answer {
    Accepted(Wanted),
    /// Nothing of it is changed now.
    Held(Because),
    /// It would be accepted, and does not carry our finalizer yet: deleted now, it would be gone without a word.
    Unfinalized(Because),
    /// It keeps what it has, as far as that is allowed and, if it can be told, asked for.
    Refused(Option<Wanted>, Because),
    /// The same of what stands in AWS: no room is looked for to give it back.
    TooLong(Wanted, Because),
}

impl Compiler<'_> {
    fn object(&self, object: &Attached) -> Contribution {
        let holding = self.holdings.get(&object.id);
        let translated = self.translated(object);
        let mut has = holding.map(|holding| holding.statements.clone()).unwrap_or_default();
        let things = holding.map(|holding| holding.things.clone()).unwrap_or_default();
        let wanted = translated.as_ref().ok().map(|wanted| self.statements(wanted, &has));
        let said = self.said_to_have(object, holding, wanted.as_deref().unwrap_or_default());
        let depends_on_scope = translated.as_ref().is_ok_and(|wanted| !wanted.under_v2.is_empty());
        let written = translated.as_ref().ok().cloned();
        let stance;
        let mut awaits_finalizer = false;
        let pulls = written.as_ref().and_then(|wanted| wanted.role.clone());
        let mut rule = self.rule_claim(object, written.as_ref(), &things);
        let mut role = self.role_claim(object, pulls.as_ref(), &things);
        let warning = self.lacks_retain(object, written.as_ref()).or_else(|| self.lacks_release(object));
        if (object.meta.deleting || self.releases(object)) && !self.gathered.ledger.unreadable.contains(&object.id) {
            let may_retain = self.may_retain(object, written.as_ref());
            if let Some(rule) = &mut rule {
                rule.stance = self.rule_leaving(object, rule, may_retain);
            }
            if let Some(role) = &mut role {
                role.stance = self.role_leaving(object, role, may_retain);
            }
            has.extend(said);
            let stays = rule.as_ref().is_some_and(|rule| matches!(rule.stance, super::claims::Stance::Retained))
                || role.as_ref().is_some_and(|role| matches!(role.stance, super::claims::Stance::Retained));
            stance = self.leaving(object, &has, may_retain, stays);
        } else {
            let has_thing = rule.as_ref().is_some_and(|rule| rule.has.is_some())
                || role.as_ref().is_some_and(|role| role.has.is_some());
            let answer = self.answer(object, has.is_empty() && !has_thing, translated);
            if let Some(rule) = &mut rule {
                let namespace = &object.id.namespace;
                let refused = rule.has.as_ref().and_then(|has| self.upstream_refuses(Rules::All, namespace, has));
                let stance = things::rule_living(&answer, rule, written.and_then(|wanted| wanted.rule), refused);
                rule.stance = self.if_upstream_lets(rule, stance);
            }
            if let Some(role) = &mut role {
                let stance = things::role_living(&answer, role, pulls.as_ref());
                role.stance = self.with_consent(role, stance);
                role.withdrawn.extend(self.no_longer_asked(role));
            }
            if !matches!(answer, Answer::Accepted(_)) {
                has.extend(said);
            }
            awaits_finalizer = matches!(answer, Answer::Unfinalized(_));
            let gone = holding.filter(|h| h.state == LedgerState::PrincipalGone).map(|h| h.generation);
            stance = self.living(object, &has, gone, answer);
        }
        Contribution {
            id: object.id.clone(),
            uid: object.meta.uid.clone(),
            generation: object.meta.generation,
            has,
            state: holding.map(|holding| holding.state),
            wanted,
            depends_on_scope,
            stance,
            things,
            rule,
            role,
            pulls,
            is_guest: false,
            awaits_finalizer,
            warning,
        }
    }

    /// What the object asks for. Where no rule speaks of it, nothing of a spec that was not kept is missed.
    fn translated(&self, object: &Attached) -> Result<Wanted, Because> {
        let (id, key) = (&object.id, &self.gathered.key);
        let view = self.gathered.namespaces.get(&id.namespace).filter(|_| matches!(object.body, Body::Outline(_)));
        if let Some(view) = view {
            consent(self.allow(), key, id.kind, &id.namespace, &view.labels, &Asked::default())?;
        }
        translate(&object.body, key, &self.gathered.references)
    }

    /// Our finalizer comes with acceptance alone, so an object that carries it and has no entry never grew, or its record
    /// was lost: then what stands of what it asks for counts as its own, as far as `allow` lets it ask. Anybody can put a
    /// finalizer on an object, and gains nothing by it.
    fn said_to_have(&self, object: &Attached, holding: Option<&Holding>, wanted: &[Statement]) -> Vec<Statement> {
        let is_on_record = holding.is_some() || self.gathered.ledger.unreadable.contains(&object.id);
        if is_on_record || !object.meta.finalized { Vec::new() } else { self.still_allowed(&object.id, wanted) }
    }

    /// An object that names another Registry by now, or can be read no more: what it has here stays until it goes.
    fn elsewhere(&self, object: &Attached) -> Contribution {
        let message = format!("The object is attached to Registry {} now.", object.body.registry_name());
        let held = Because::new(Reason::Progressing, message);
        let mut contribution = self.held(&object.id, held);
        if object.meta.deleting || self.releases(object) {
            let may_retain = object.body.deletion_policy() == Some(DeletionPolicy::Retain);
            contribution.rule.iter_mut().for_each(|rule| rule.stance = self.rule_leaving(object, rule, may_retain));
            contribution.role.iter_mut().for_each(|role| role.stance = self.role_leaving(object, role, may_retain));
            contribution.stance = self.leaving(object, &contribution.has, may_retain, false);
        }
        contribution
    }

    fn unreadable(&self, id: &ObjectId) -> Option<Contribution> {
        let held = Because::new(Reason::Progressing, "The object cannot be read by this version.");
        self.holdings.contains_key(id).then(|| self.held(id, held))
    }

    /// What is on record of an object, held as it stands.
    fn held(&self, id: &ObjectId, because: Because) -> Contribution {
        let holding = self.holdings.get(id);
        let has = holding.map(|holding| holding.statements.clone()).unwrap_or_default();
        let things = holding.map(|holding| self.left_here(id, &holding.things)).unwrap_or_default();
        let mut rule = self.rule_without_object(id, &things);
        let mut role = self.role_without_object(Rules::All, id, &things);
        self.hold_things(&mut rule, &mut role, &because);
        Contribution {
            id: id.clone(),
            uid: holding.map(|holding| holding.uid.clone()).unwrap_or_default(),
            generation: holding.map(|holding| holding.generation).unwrap_or_default(),
            state: holding.map(|holding| holding.state),
            wanted: None,
            depends_on_scope: false,
            stance: Stance::Holds(self.still_allowed(id, &has), because),
            has,
            things,
            rule,
            role,
            pulls: None,
            is_guest: true,
            awaits_finalizer: false,
            warning: None,
        }
    }

    /// What is asked of the registry's policy. What V1 has no use for is asked under V2 alone; as long as the scope is
    /// not known, what stands there of it stays.
    fn statements(&self, wanted: &Wanted, has: &[Statement]) -> Vec<Statement> {
        let under_v2 = match self.memory.scope() {
            Some(ScopeView::V2) => wanted.under_v2.clone(),
            Some(ScopeView::V1) => Vec::new(),
            None => intersect(has, &wanted.under_v2),
        };
        wanted.statements.iter().cloned().chain(under_v2).collect()
    }

    fn allow(&self) -> &[AllowRule] {
        &self.gathered.registry.spec.allow
    }

    /// What today's `allow` covers of it; where the namespace is not there to be judged, what some rule could cover.
    fn still_allowed(&self, id: &ObjectId, statements: &[Statement]) -> Vec<Statement> {
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        consented(self.allow(), &self.gathered.key, id.kind, &id.namespace, labels, statements)
    }

    fn answer(&self, object: &Attached, is_new: bool, translated: Result<Wanted, Because>) -> Answer {
        if self.gathered.ledger.unreadable.contains(&object.id) {
            let message = "What the object has is on record in a form that this version cannot read: nothing of it is changed. Go back to the version that wrote it, or see the Registry's conditions.";
            return Answer::Held(Because::new(Reason::LedgerUnreadable, message));
        }
        let Some(labels) = self.gathered.namespaces.get(&object.id.namespace).map(|view| &view.labels) else {
            let message = format!("Namespace {} has not been seen yet.", object.id.namespace);
            return Answer::Held(Because::new(Reason::NamespaceNotSeen, message));
        };
        if self.gathered.registry.meta.deleting && is_new {
            let message = "The Registry is being deleted and takes nobody new.";
            return Answer::Refused(None, Because::new(Reason::RegistryTerminating, message));
        }
        if is_new && (object.meta.released() || self.gathered.registry.meta.released()) {
            return Answer::Refused(None, released(object));
        }
        let (allow, key) = (&self.gathered.registry.spec.allow, &self.gathered.key);
        let consent = |wanted: &Wanted| {
            let asked = Asked::of(wanted, object.id.kind, key);
            consent(allow, key, object.id.kind, &object.id.namespace, labels, &asked)
        };
        if object.body.suspend() {
            let message = "Suspended: the object keeps what it has in AWS and changes nothing.";
            // A withdrawn consent is carried out all the same, and says so.
            let refused = match translated {
                Ok(wanted) => consent(&wanted).err(),
                Err(because) => Some(because).filter(|_| matches!(object.body, Body::Outline(_))),
            };
            return Answer::Held(refused.unwrap_or_else(|| Because::new(Reason::Suspended, message)));
        }
        let wanted = match translated {
            Ok(wanted) => wanted,
            Err(because) => return Answer::Refused(None, because),
        };
        if let Err(because) = consent(&wanted) {
            return Answer::Refused(Some(wanted), because);
        }
        if let Some(because) = object.body.never_fits() {
            return Answer::TooLong(wanted, because);
        }
        if !object.meta.finalized {
            let message = "The finalizer is not on the object yet: nothing is added before.";
            return Answer::Unfinalized(Because::new(Reason::Progressing, message));
        }
        Answer::Accepted(wanted)
    }

    fn living(&self, object: &Attached, has: &[Statement], principal_gone_at: Option<i64>, answer: Answer) -> Stance {
        // What was retained is its own again once it is accepted: until then the rules that let it stay bound it.
        let is_retained = self.holdings.get(&object.id).is_some_and(|h| h.state == LedgerState::Retained);
        let still_allowed = |statements: &[Statement]| {
            if is_retained {
                self.retainable(&object.id, statements)
            } else {
                self.still_allowed(&object.id, statements)
            }
        };
        let wanted = match answer {
            Answer::Held(because) | Answer::Unfinalized(because) => {
                return Stance::Holds(still_allowed(has), because);
            }
            Answer::Refused(None, because) => return Stance::Keeps(still_allowed(has), because),
            Answer::Refused(Some(wanted), because) => {
                return Stance::Keeps(still_allowed(&kept(has, &self.statements(&wanted, has))), because);
            }
            Answer::TooLong(wanted, because) => {
                return Stance::Holds(still_allowed(&kept(has, &self.statements(&wanted, has))), because);
            }
            Answer::Accepted(wanted) => self.statements(&wanted, has),
        };
        if principal_gone_at == Some(object.meta.generation) {
            return Stance::Keeps(kept(has, &wanted), principal_gone(&dropped(has, &wanted)));
        }
        if let Some(reason) = self.memory.refusal(&object.id, &wanted, self.now) {
            return Stance::Keeps(kept(has, &wanted), refused_by_aws(reason));
        }
        Stance::Wants(wanted)
    }
}

/// The principals that an object asks for and no longer has.
fn dropped(has: &[Statement], wanted: &[Statement]) -> BTreeSet<Principal> {
    let named = |statements: &[Statement]| -> BTreeSet<_> {
        statements.iter().flat_map(|s| &s.principals).filter(|p| matches!(p, Principal::Aws(_))).cloned().collect()
    };
    named(wanted).difference(&named(has)).cloned().collect()
}

/// The words for an object whose principal was deleted.
pub(super) fn principal_gone(gone: &BTreeSet<Principal>) -> Because {
    let names: Vec<_> = gone.iter().map(Principal::as_str).collect();
    let message = format!(
        "{} was deleted in AWS. Its grant is dropped and not given to another of that name: remove it, or edit the object once it exists again.",
        names.join(", ")
    );
    Because::new(Reason::PrincipalGone, message)
}

/// The words for an object whose addition AWS refused.
pub fn refused_by_aws(reason: Reason) -> Because {
    let message = if reason == Reason::Propagating {
        "AWS refuses the document with this object in it; a role or user it names may be too young to be visible everywhere. It is tried again."
    } else {
        "AWS refuses the document with this object in it and does not say why: check that every account, role and user it names exists. What the object had before stays; it is tried again slowly."
    };
    Because::new(reason, message)
}
