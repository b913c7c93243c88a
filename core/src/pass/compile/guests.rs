//! Roles of other registries that pull from this one: what this registry's policy grants to them. The object is attached
//! to its own registry, whose pass makes the role and tells the object its fate; this pass speaks to that one by the
//! ledger alone.

use super::super::ledger;
use super::super::objects::RegistryObject;
use super::{
    Answer, Attached, Compiler, Contribution, Holding, LedgerState, Stance, Wanted, orphaned_role, orphaned_rule,
};
use crate::api::{DeletionPolicy, OwnershipState};
use crate::consent::{Asked, consent};
use crate::kinds::{PtcRole, RoleUpstream, translate};
use crate::names::RegistryKey;
use crate::policy::Statement;
use crate::reason::{Because, Reason};

/// The registry that a guest is attached to, and the role it has there, if it has one.
struct Home<'a> {
    key: &'a RegistryKey,
    registry: &'a RegistryObject,
    role_arn: Option<String>,
    /// Its ledger is there, and has no role of the object, not even a claim.
    has_lost_the_role: bool,
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
        if holding.is_none() && self.ledger_lost && object.meta.finalized && was_granted(object, &here) {
            // Second evidence: our finalizer and its own status say that it had what it asks for.
            let said = object.status.role.as_ref().map(|role| role.arn.as_str());
            has = match (&home, role, arn.or(said)) {
                (Some(home), Some(role), Some(arn)) => grants(home, role, arn),
                _ => Vec::new(),
            };
        }
        let stance = match &home {
            _ if object.meta.deleting => self.guest_leaving(object, home.as_ref(), &has),
            None => {
                let message = "The Registry that the object is attached to is not there.";
                self.living(object, &has, None, Answer::Held(Because::new(Reason::RegistryNotFound, message)))
            }
            Some(home) => {
                let answer =
                    self.guest_answer(object, home, pulls.unwrap_or_else(|| Err(not_there())), wanted.clone(), &has);
                let gone = holding.filter(|h| h.state == LedgerState::PrincipalGone).map(|h: &Holding| h.generation);
                self.living(object, &has, gone, answer)
            }
        };
        Contribution {
            id: object.id.clone(),
            uid: object.meta.uid.clone(),
            generation: object.meta.generation,
            has,
            state: holding.map(|holding| holding.state),
            wanted,
            depends_on_scope: false,
            stance,
            rule: orphaned_rule(&object.id, &things),
            role: orphaned_role(&object.id, &things),
            things,
            pulls: None,
            is_guest: true,
        }
    }

    fn home(&self, object: &Attached) -> Option<Home<'_>> {
        let name = object.body.registry_name();
        let (key, registry) = self.gathered.others.iter().find(|(_, registry)| registry.name() == name)?;
        let recorded = registry.on_record(&object.id).and_then(|entry| entry.role.as_ref());
        let role_arn = recorded.filter(|role| role.state == OwnershipState::Owned).map(|role| role.arn.clone());
        // A pass writes its ledger before it knows all; the last word of a pass comes with the generation.
        let has_a_ledger = !ledger::is_lost(&registry.status) && registry.status.observed_generation >= 0;
        Some(Home { key, registry, role_arn, has_lost_the_role: has_a_ledger && recorded.is_none() })
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
        let retains = object.body.deletion_policy() == Some(DeletionPolicy::Retain);
        let Some(Home { registry, role_arn: Some(arn), .. }) = home.filter(|_| !retains && !object.meta.abandon) else {
            return self.leaving(object, has);
        };
        let host = self.gathered.key.host();
        let by_it = registry
            .status
            .ledger
            .iter()
            .filter_map(|entry| entry.rule.as_ref())
            .find(|rule| rule.role_arn.as_deref() == Some(arn) && rule.upstream_url == host);
        match by_it {
            None => self.leaving(object, has),
            Some(rule) => {
                let message = format!("The cache rule for prefix {} still pulls by the role.", rule.prefix);
                let because = Because::new(Reason::Progressing, message);
                Stance::Holds(self.still_allowed(&object.id, has), because)
            }
        }
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
        if self.gathered.registry.meta.deleting && has.is_empty() {
            let message = "The Registry is being deleted and takes nobody new.";
            return Answer::Refused(None, Because::new(Reason::RegistryTerminating, message));
        }
        let consents =
            |asked: &Asked| consent(&home.registry.spec.allow, home.key, id.kind, &id.namespace, labels, asked);
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
            let asked = Asked::of_upstream(upstream, home.key);
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
            // Deleted now, it would be gone without a word, and what it has would be nobody's.
            let message = "The finalizer is not on the object yet: nothing is added before.";
            return Answer::Held(Because::new(Reason::Progressing, message));
        }
        Answer::Accepted(Wanted::from(wanted))
    }
}

fn not_there() -> Because {
    Because::new(Reason::WaitingForRole, "The object asks for no role.")
}

/// Whether the object's status says that these upstreams had granted to it.
fn was_granted(object: &Attached, upstreams: &[&RoleUpstream]) -> bool {
    let is_ready = |upstream: &&RoleUpstream| {
        let status = object.status.upstreams.iter().find(|status| status.name == upstream.name);
        let ready = status.and_then(|status| super::super::conditions::find(&status.conditions, "Ready"));
        ready.is_some_and(|(status, _)| status == "True")
    };
    !upstreams.is_empty() && upstreams.iter().all(is_ready)
}
