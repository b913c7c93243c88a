//! Roles of other registries that pull from this one: what this registry's policy grants to them. The object is attached
//! to its own registry, whose pass makes the role and tells the object its fate; this pass speaks to that one by the
//! ledger alone.

use super::super::index::OtherRegistry;
use super::super::roles::Place;
use super::{Answer, Attached, Compiler, Contribution, Holding, LedgerState, ObjectId, Stance, Wanted};
use crate::api::{DeletionPolicy, OwnershipState};
use crate::consent::{Asked, Rules, consent};
use crate::kinds::{PtcRole, RoleUpstream, translate};
use crate::names::RegistryKey;
use crate::ownership::InstallationId;
use crate::policy::Statement;
use crate::reason::{Because, Reason};

/// The registry that a guest is attached to, and the role it has there, if it has one.
struct Home<'a> {
    key: &'a RegistryKey,
    registry: &'a OtherRegistry,
    role_arn: Option<String>,
    /// Its ledger has the object, and no role of it, not even a claim.
    has_lost_the_role: bool,
}

impl Home<'_> {
    /// The ARN of the object's role: as it is on record, or as it would be made.
    fn arn_of(&self, object: &Attached, role: &PtcRole, installation: &InstallationId) -> Option<String> {
        let place = Place { registry: self.key, settings: self.registry.registry.spec.roles.as_ref(), installation };
        self.role_arn.clone().or_else(|| Some(place.role(&object.id, role).ok()?.arn))
    }
}

impl Compiler<'_> {
    pub(super) fn guest(&self, object: &Attached) -> Contribution {
        let holding = self.holdings.get(&object.id);
        let home = self.home(object);
        let pulls = home.as_ref().map(|home| self.pulls(object, home));
        let role = pulls.as_ref().and_then(|pulls| pulls.as_ref().ok());
        let here: Vec<&RoleUpstream> = role.into_iter().flat_map(|role| self.leading_here(role)).collect();
        let arn = home.as_ref().and_then(|home| home.role_arn.as_deref());
        let grants = |home: &Home<'_>, role: &PtcRole, arn: &str| -> Vec<Statement> {
            here.iter().flat_map(|upstream| role.grants(upstream, home.key, arn)).collect()
        };
        let wanted = match (&home, role, arn) {
            (Some(home), Some(role), Some(arn)) => Some(grants(home, role, arn)),
            _ => None,
        };
        let mut has = holding.map(|holding| holding.statements.clone()).unwrap_or_default();
        // What one of its name had here that was attached here and is gone.
        let things = holding.map(|holding| self.left_here(&object.id, &holding.things)).unwrap_or_default();
        let said = match (&home, role) {
            (Some(home), Some(role)) if object.meta.deleting || !home.has_lost_the_role => {
                let arn = home.arn_of(object, role, self.installation);
                let grants = arn.map(|arn| grants(home, role, &arn)).unwrap_or_default();
                self.said_to_have(object, holding, &grants)
            }
            _ => Vec::new(),
        };
        let mut rule = self.rule_without_object(&object.id, &things);
        let mut of_iam = self.role_without_object(Rules::All, &object.id, &things);
        let stance = match &home {
            _ if self.gathered.ledger.unreadable.contains(&object.id) => {
                let message = "What the object has here is on record in a form that this version cannot read.";
                Stance::Holds(Vec::new(), Because::new(Reason::LedgerUnreadable, message))
            }
            _ if object.meta.deleting || self.releases(object) => {
                has.extend(said);
                let may_retain = object.body.deletion_policy() == Some(DeletionPolicy::Retain);
                if let Some(rule) = &mut rule {
                    rule.stance = self.rule_leaving(object, rule, may_retain);
                }
                if let Some(role) = &mut of_iam {
                    role.stance = self.role_leaving(object, role, may_retain);
                }
                self.guest_leaving(object, home.as_ref(), &has)
            }
            None => {
                let message = "The Registry that the object is attached to is not there.";
                self.living(object, &has, None, Answer::Held(Because::new(Reason::RegistryNotFound, message)))
            }
            Some(home) => {
                let answer =
                    self.guest_answer(object, home, pulls.unwrap_or_else(|| Err(not_there())), wanted.clone(), &has);
                if !matches!(answer, Answer::Accepted(_)) {
                    has.extend(said);
                }
                let gone = holding.filter(|h| h.state == LedgerState::PrincipalGone).map(|h: &Holding| h.generation);
                self.living(object, &has, gone, answer)
            }
        };
        if !object.meta.deleting && !self.releases(object) {
            // It is attached elsewhere, and its name had this here: nobody's prune takes it while the object is there.
            let held = Because::new(Reason::Progressing, "The object is attached to another Registry now.");
            self.hold_things(&mut rule, &mut of_iam, &held);
        }
        Contribution {
            id: object.id.clone(),
            uid: object.meta.uid.clone(),
            generation: object.meta.generation,
            has,
            state: holding.map(|holding| holding.state),
            wanted,
            depends_on_scope: false,
            stance,
            rule,
            role: of_iam,
            things,
            pulls: None,
            is_guest: true,
            awaits_finalizer: false,
            warning: None,
        }
    }

    fn home(&self, object: &Attached) -> Option<Home<'_>> {
        let name = object.body.registry_name();
        let (key, registry) = self.gathered.others.iter().find(|(_, registry)| registry.name() == name)?;
        let entry = registry.on_record(&object.id);
        // Without an entry nobody knows whether there is a role; with one that names none, there is none.
        let has_lost_the_role = entry.as_ref().is_some_and(|entry| entry.things.role.is_none());
        let recorded = entry.and_then(|entry| entry.things.role);
        let role_arn = recorded.filter(|role| role.state == OwnershipState::Owned).map(|role| role.arn);
        Some(Home { key, registry, role_arn, has_lost_the_role })
    }

    fn pulls(&self, object: &Attached, home: &Home<'_>) -> Result<PtcRole, Because> {
        let wanted = translate(&object.body, home.key, &self.gathered.references)?;
        wanted.role.ok_or_else(not_there)
    }

    fn leading_here<'r>(&self, role: &'r PtcRole) -> impl Iterator<Item = &'r RoleUpstream> {
        role.upstreams.iter().filter(|upstream| !upstream.external && upstream.key == self.gathered.key)
    }

    /// A rule that still pulls by the role goes before the grant does.
    fn guest_leaving(&self, object: &Attached, home: Option<&Home<'_>>, has: &[Statement]) -> Stance {
        let may_retain = object.body.deletion_policy() == Some(DeletionPolicy::Retain);
        let stance = self.leaving(object, has, may_retain, false);
        if matches!(stance, Stance::Orphaned(_) | Stance::Released(_)) {
            return stance;
        }
        let is_retained = matches!(stance, Stance::Retained(_));
        if is_retained && !home.is_some_and(|home| self.is_retained_at(home, &object.id)) {
            // A grant outlives no role: it would be good for whoever takes the name.
            return Stance::Leaves;
        }
        let Some(Home { registry, role_arn: Some(arn), .. }) = home.filter(|_| !is_retained) else {
            return stance;
        };
        let host = self.gathered.key.host();
        let mut rules = registry.ledger.living_rules(&object.id.namespace);
        let by_it = rules.find(|rule| rule.role_arn.as_deref() == Some(arn) && rule.upstream_url == host);
        match by_it {
            None => stance,
            Some(rule) => {
                let message = format!("The cache rule for prefix {} still pulls by the role.", rule.prefix);
                let because = Because::new(Reason::Progressing, message);
                Stance::Holds(self.still_allowed(&object.id, has), because)
            }
        }
    }

    /// Whether its own registry lets the role stay when the object goes.
    fn is_retained_at(&self, home: &Home<'_>, id: &ObjectId) -> bool {
        let retaining = Rules::Retaining.of(&home.registry.registry.spec.allow);
        let labels = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels);
        let role = home.registry.on_record(id).and_then(|holding| holding.things.role);
        role.is_some_and(|role| {
            consent(&retaining, home.key, id.kind, &id.namespace, labels, &Asked::of_retained_role(&role)).is_ok()
        })
    }

    /// As [`Compiler::answer`], for both owners: this registry's, and that of the registry with the cache.
    fn guest_answer(
        &self,
        object: &Attached,
        home: &Home<'_>,
        pulls: Result<PtcRole, Because>,
        wanted: Option<Vec<Statement>>,
        has: &[Statement],
    ) -> Answer {
        let id = &object.id;
        let Some(labels) = self.gathered.namespaces.get(&id.namespace).map(|view| &view.labels) else {
            let message = format!("Namespace {} has not been seen yet.", id.namespace);
            return Answer::Held(Because::new(Reason::NamespaceNotSeen, message));
        };
        if has.is_empty() && (object.meta.released() || self.gathered.registry.meta.released()) {
            return Answer::Refused(None, super::leaving::released(object));
        }
        if self.gathered.registry.meta.deleting && has.is_empty() {
            let message = "The Registry is being deleted and takes nobody new.";
            return Answer::Refused(None, Because::new(Reason::RegistryTerminating, message));
        }
        let consents = |asked: &Asked| {
            consent(&home.registry.registry.spec.allow, home.key, id.kind, &id.namespace, labels, asked)
        };
        // Whatever the spec says by now: without its own registry's leave the role is to have nothing.
        if let Err(because) = consents(&Asked::of_downstream(&self.gathered.key)) {
            return Answer::Refused(Some(Wanted::default()), because);
        }
        if home.has_lost_the_role && !has.is_empty() {
            // The grant is to the name, and would be good for whoever has it now.
            let message = "The role is not the object's any longer: nothing is granted to it.";
            return Answer::Refused(Some(Wanted::default()), Because::new(Reason::WaitingForRole, message));
        }
        let role = match pulls {
            Ok(role) => role,
            Err(because) => return Answer::Refused(None, because),
        };
        let here: Vec<&RoleUpstream> = self.leading_here(&role).collect();
        let here_is_empty = here.is_empty();
        for upstream in here {
            if let Err(because) = consents(&Asked::of_role_for(&role, upstream)) {
                return Answer::Refused(Some(Wanted::default()), because);
            }
            let asked = Asked::of_upstream(&role, upstream, home.key);
            let (allow, own) = (&self.gathered.registry.spec.allow, &self.gathered.key);
            if let Err(because) = consent(allow, own, id.kind, &id.namespace, labels, &asked) {
                return Answer::Refused(Some(Wanted::from(wanted.unwrap_or_default())), because);
            }
        }
        if object.body.suspend() {
            let message = "Suspended: the object keeps what it has in AWS and changes nothing.";
            return Answer::Held(Because::new(Reason::Suspended, message));
        }
        if here_is_empty {
            return Answer::Accepted(Wanted::default());
        }
        if let Err(because) = consents(&Asked::of(&Wanted { role: Some(role), ..Wanted::default() }, id.kind, home.key))
        {
            // Its own registry refuses the object as it is: it keeps what is left of what it has, and nothing grows.
            return Answer::Refused(Some(Wanted::from(wanted.unwrap_or_default())), because);
        }
        let Some(wanted) = wanted else {
            let message = "The role is not there yet: nothing is granted to a name that anybody could take.";
            return Answer::Held(Because::new(Reason::WaitingForRole, message));
        };
        if !object.meta.finalized {
            let message = "The finalizer is not on the object yet: nothing is added before.";
            return Answer::Unfinalized(Because::new(Reason::Progressing, message));
        }
        Answer::Accepted(Wanted::from(wanted))
    }
}

fn not_there() -> Because {
    Because::new(Reason::WaitingForRole, "The object asks for no role.")
}
