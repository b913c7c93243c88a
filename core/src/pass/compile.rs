//! What every attached object may have in AWS today: consent, suspension, deletion and the ledger brought together.
//! Knows nothing of AWS's own state; the same function serves the command line.

use std::collections::BTreeSet;

use super::index::Gathered;
use super::ledger::{self, Holding, Holdings};
use super::memory::Memory;
use super::objects::{Attached, ObjectId};
use super::queue::Now;
use crate::api::{DeletionPolicy, LedgerState, Management, Scope};
use crate::consent::{consent, consented};
use crate::kinds::translate;
use crate::policy::{Effect, Principal, Statement, intersect, is_enforced_under_v1};
use crate::reason::{Because, Reason};

/// Where an object stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Stance {
    /// Accepted: it gets all of this.
    Wants(Vec<Statement>),
    /// Refused or held back: it keeps this much of what it has, restored if it is lost.
    Keeps(Vec<Statement>, Because),
    /// Held: whatever of this is in AWS stays as it is there.
    Holds(Vec<Statement>, Because),
    /// Deleting: what it has goes; what is retained stays under a Sid that is not ours.
    Leaves { retained: Vec<Statement> },
    /// Nobody wants it and nobody was seen to give it up: it stays until pruned.
    Orphaned(Vec<Statement>),
}

/// One object's part of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    pub id: ObjectId,
    pub uid: String,
    pub generation: i64,
    /// What the ledger says it has, or may have.
    pub has: Vec<Statement>,
    pub state: Option<LedgerState>,
    /// What it asks for, if that could be told.
    pub wanted: Option<Vec<Statement>>,
    pub stance: Stance,
}

/// What the pass is after.
#[derive(Clone, Debug)]
pub struct Desired {
    pub contributions: Vec<Contribution>,
    /// Whether AWS may be written at all.
    pub restraint: Option<Because>,
    pub wants_scope_v2: bool,
    pub acknowledged_widening: Option<String>,
    /// What a person has asked to be pruned.
    pub prune: Prune,
}

/// A person's word that a set of orphans goes, and the last such word that was carried out.
#[derive(Clone, Debug, Default)]
pub struct Prune {
    pub asked: Option<String>,
    pub handled: Option<String>,
}

impl Desired {
    /// Whether something rests on the registry policy's scope.
    pub fn needs_scope(&self) -> bool {
        let beyond_v1 = |statements: &[Statement]| statements.iter().any(|s| !is_v1(s));
        self.wants_scope_v2
            || self.contributions.iter().any(|c| matches!(&c.stance, Stance::Wants(wanted) if beyond_v1(wanted)))
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

pub fn compile(gathered: &Gathered, memory: &Memory, now: Now) -> Desired {
    let holdings = ledger::parse(&gathered.registry.status.ledger);
    let compiler = Compiler { gathered, memory, now, ledger_lost: is_ledger_lost(gathered) };
    let mut contributions: Vec<_> =
        gathered.attached.iter().map(|object| compiler.object(object, holdings.get(&object.id))).collect();
    contributions.extend(compiler.orphans(&holdings));
    let spec = &gathered.registry.spec;
    let settings = spec.registry_policy.clone().unwrap_or_default();
    Desired {
        contributions,
        restraint: restraint(gathered),
        wants_scope_v2: settings.scope == Some(Scope::V2),
        acknowledged_widening: settings.acknowledge_widening,
        prune: Prune {
            asked: gathered.registry.meta.prune.clone(),
            handled: gathered.registry.status.last_handled_prune.clone(),
        },
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

/// A status without a ledger, without documents: it was lost, and the objects' own evidence counts.
fn is_ledger_lost(gathered: &Gathered) -> bool {
    let status = &gathered.registry.status;
    status.ledger.is_empty() && status.documents.is_empty()
}

struct Compiler<'a> {
    gathered: &'a Gathered,
    memory: &'a Memory,
    now: Now,
    ledger_lost: bool,
}

impl Compiler<'_> {
    fn object(&self, object: &Attached, holding: Option<&Holding>) -> Contribution {
        let translated =
            translate(&object.body, &self.gathered.key, &References::default()).map(|wanted| wanted.statements);
        let wanted = translated.as_ref().ok().cloned();
        let mut has = holding.map(|holding| holding.statements.clone()).unwrap_or_default();
        if holding.is_none() && self.ledger_lost && object.meta.finalized && object.status.registry.is_some() {
            // Second evidence: our finalizer and its own status say that it had what it asks for.
            has = wanted.clone().unwrap_or_default();
        }
        let state = holding.map(|holding| holding.state);
        let stance = if object.meta.deleting {
            self.leaving(object, &has)
        } else {
            let gone = holding.filter(|h| h.state == LedgerState::PrincipalGone).map(|h| h.generation);
            self.living(object, &has, gone, translated)
        };
        Contribution {
            id: object.id.clone(),
            uid: object.meta.uid.clone(),
            generation: object.meta.generation,
            has,
            state,
            wanted,
            stance,
        }
    }

    fn leaving(&self, object: &Attached, has: &[Statement]) -> Stance {
        if object.meta.abandon {
            return Stance::Orphaned(has.to_vec());
        }
        let retains = object.body.deletion_policy() == Some(DeletionPolicy::Retain);
        Stance::Leaves { retained: if retains { self.still_allowed(&object.id, has) } else { Vec::new() } }
    }

    /// What today's `allow` covers of it; all of it as long as the namespace is not there to be judged.
    fn still_allowed(&self, id: &ObjectId, statements: &[Statement]) -> Vec<Statement> {
        let Some(view) = self.gathered.namespaces.get(&id.namespace) else { return statements.to_vec() };
        let (allow, key) = (&self.gathered.registry.spec.allow, &self.gathered.key);
        consented(allow, key, id.kind, &id.namespace, &view.labels, statements)
    }

    fn living(
        &self,
        object: &Attached,
        has: &[Statement],
        principal_gone_at: Option<i64>,
        translated: Result<Vec<Statement>, Because>,
    ) -> Stance {
        let Some(labels) = self.gathered.namespaces.get(&object.id.namespace).map(|view| &view.labels) else {
            let message = format!("Namespace {} has not been seen yet.", object.id.namespace);
            return Stance::Holds(has.to_vec(), Because::new(Reason::NamespaceNotSeen, message));
        };
        let (allow, key) = (&self.gathered.registry.spec.allow, &self.gathered.key);
        let still_allowed =
            |statements: &[Statement]| consented(allow, key, object.id.kind, &object.id.namespace, labels, statements);
        let consents = |wanted: &[Statement]| {
            let asked = Asked::of_statements(wanted, object.id.kind, key);
            consent(allow, key, object.id.kind, &object.id.namespace, labels, &asked)
        };
        if self.gathered.registry.meta.deleting && has.is_empty() {
            let message = "The Registry is being deleted and takes nobody new.";
            return Stance::Keeps(Vec::new(), Because::new(Reason::RegistryTerminating, message));
        }
        if object.body.suspend() {
            let message = "Suspended: the object keeps what it has in AWS and changes nothing.";
            // A withdrawn consent is carried out all the same, and says so.
            let refused = translated.ok().and_then(|wanted| consents(&wanted).err());
            return Stance::Holds(
                still_allowed(has),
                refused.unwrap_or_else(|| Because::new(Reason::Suspended, message)),
            );
        }
        let wanted = match translated {
            Ok(wanted) => wanted,
            Err(because) => return Stance::Keeps(still_allowed(has), because),
        };
        if let Err(because) = consents(&wanted) {
            return Stance::Keeps(still_allowed(&kept(has, &wanted)), because);
        }
        if principal_gone_at == Some(object.meta.generation) {
            return Stance::Keeps(kept(has, &wanted), principal_gone(&dropped(has, &wanted)));
        }
        if let Some(reason) = self.memory.refusal(&object.id, &wanted, self.now) {
            return Stance::Keeps(kept(has, &wanted), refused_by_aws(reason));
        }
        if !object.meta.finalized {
            // Deleted now, it would be gone without a word, and what it has would be nobody's.
            let message = "The finalizer is not on the object yet: nothing is added before.";
            return Stance::Holds(still_allowed(has), Because::new(Reason::Progressing, message));
        }
        Stance::Wants(wanted)
    }

    fn orphans(&self, holdings: &Holdings) -> Vec<Contribution> {
        let attached: BTreeSet<_> = self.gathered.attached.iter().map(|object| &object.id).collect();
        let gone = holdings.iter().filter(|(id, holding)| !attached.contains(id) && !holding.statements.is_empty());
        gone.map(|(id, holding)| Contribution {
            id: id.clone(),
            uid: holding.uid.clone(),
            generation: holding.generation,
            has: holding.statements.clone(),
            state: Some(holding.state),
            wanted: None,
            stance: Stance::Orphaned(self.still_allowed(id, &holding.statements)),
        })
        .collect()
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
