//! What each kind of object asks for: statements of our own in normal form, a cache rule, a role. A pure function of the
//! spec, the registry it is attached to, and the names of other Registries. It never looks at `allow` or at AWS, and never leaves out silently
//! what it cannot translate: an object is translated whole or refused with every fault it has.
//!
//! A new kind is a file here, a file in `api`, and a row in the table below.

pub(crate) mod actions;
mod cross_account_ptc_role;
mod faults;
mod lengths;
mod outline;
mod principals;
mod pull_through_cache_rule;
mod references;
mod registry_policy;
mod replication_grant;
mod role_documents;
mod wanted;

pub use faults::{Fault, Faults, Refusal};
pub use outline::{Outline, Verdict, WHOLE_AT_MOST};
pub(crate) use principals::organization_key;
pub use pull_through_cache_rule::RULES_AT_MOST;
pub use references::{References, Target};
pub use role_documents::{is_good_for, resources, without_resources};
pub use wanted::{CacheRule, PtcRole, RoleChoice, RoleUpstream, UpstreamRegistry, Wanted};

use std::sync::Arc;

use crate::api::{
    CrossAccountPtcRoleSpec, DEFAULT_REGISTRY, DeletionPolicy, Kind, PullThroughCacheRuleSpec, RegistryPolicySpec,
    RegistryRef, ReplicationGrantSpec,
};
use crate::names::RegistryKey;
use crate::reason::{Because, Reason};

/// Where an object is translated: the registry it is attached to, and the others there are.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub registry: &'a RegistryKey,
    pub references: &'a References,
}

/// What every attached kind has in its spec, and what it becomes.
pub trait Attached {
    fn registry_ref(&self) -> Option<&RegistryRef>;
    fn suspend(&self) -> Option<bool>;
    fn deletion_policy(&self) -> Option<DeletionPolicy>;
    /// The other registries the spec speaks of.
    fn targets(&self) -> Vec<Target<'_>> {
        Vec::new()
    }
    /// What of the spec alone is longer than AWS takes of everybody together.
    fn too_long(&self) -> Option<Fault> {
        None
    }
    /// What the spec asks for. What cannot be translated is added to `faults`.
    fn wanted(&self, place: Place<'_>, faults: &mut Faults) -> Wanted;
}

/// How consent is asked for in a kind's own words (docs/api.md, "Consent").
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The field that names repositories.
    pub repositories: &'static str,
    /// The field that names accounts.
    pub accounts: &'static str,
    /// The field that names organizations.
    pub organizations: &'static str,
    /// The field that names everyone or a service.
    pub everyone: &'static str,
    /// The field that names actions.
    pub actions: &'static str,
    /// The field that names effects.
    pub effects: &'static str,
    /// The actions the kind is made of; `None`: the object names them, and a rule's `actions` bound them.
    pub own_actions: Option<&'static [&'static str]>,
}

macro_rules! kinds {
    ($($kind:ident($spec:ty) = $module:ident;)*) => {
        /// The spec of an attached object, of whichever kind, or what is left of one; copies share it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Body { $($kind(Arc<$spec>),)* Outline(Box<Outline>) }

        impl Body {
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* Self::Outline(outline) => outline.kind }
            }

            fn attached(&self) -> &dyn Attached {
                match self { $(Self::$kind(spec) => spec.as_ref(),)* Self::Outline(outline) => outline.as_ref() }
            }

            /// How long the spec is as JSON, in bytes; of what is left of one: nothing.
            pub fn length(&self) -> usize {
                match self { $(Self::$kind(spec) => outline::length(spec.as_ref()),)* Self::Outline(_) => 0 }
            }
        }

        $(impl From<$spec> for Body {
            fn from(spec: $spec) -> Self {
                Self::$kind(Arc::new(spec))
            }
        })*

        /// The words in which a kind asks for consent.
        pub fn terms(kind: Kind) -> &'static Terms {
            match kind { $(Kind::$kind => &$module::TERMS,)* }
        }
    };
}

kinds! {
    RegistryPolicy(RegistryPolicySpec) = registry_policy;
    ReplicationGrant(ReplicationGrantSpec) = replication_grant;
    PullThroughCacheRule(PullThroughCacheRuleSpec) = pull_through_cache_rule;
    CrossAccountPtcRole(CrossAccountPtcRoleSpec) = cross_account_ptc_role;
}

impl Body {
    /// Name of the Registry the object is attached to.
    pub fn registry_name(&self) -> &str {
        self.attached().registry_ref().map_or(DEFAULT_REGISTRY, |reference| reference.name.as_str())
    }

    /// Whether the object keeps what it has and changes nothing.
    pub fn suspend(&self) -> bool {
        self.attached().suspend().unwrap_or(false)
    }

    /// What the object says of its own deletion; `None`: nothing, which means `Delete` for all but adopted things.
    pub fn deletion_policy(&self) -> Option<DeletionPolicy> {
        self.attached().deletion_policy()
    }

    /// The other registries the object speaks of: a change of a Registry it names is a change for the object.
    pub fn targets(&self) -> Vec<Target<'_>> {
        self.attached().targets()
    }

    /// What of the object alone is longer than AWS takes of everybody together, told by lengths.
    pub fn too_long(&self) -> Option<Fault> {
        self.attached().too_long()
    }

    /// Why the object can never be in a policy, whatever else is in it.
    pub fn never_fits(&self) -> Option<Because> {
        self.too_long().map(|fault| Because::new(Reason::PolicyTooLarge, fault.to_string()))
    }

    /// The same with nothing of the spec but what it is kept for.
    #[must_use]
    pub fn outlined(&self, verdict: Option<Verdict>) -> Self {
        Self::Outline(Box::new(Outline::of(self, verdict)))
    }
}

/// What an object asks for, or everything that is wrong with it in one message.
pub fn translate(body: &Body, registry: &RegistryKey, references: &References) -> Result<Wanted, Because> {
    if let Body::Outline(outline) = body {
        return Err(outline.because());
    }
    review(body, registry, references).map_err(|refusal| {
        let (reason, faults) = match refusal {
            Refusal::Faults(faults) => (Reason::InvalidSpec, faults),
            Refusal::Missing(faults) => (Reason::ReferenceNotFound, faults),
        };
        // A condition's message has an end, and nobody reads on after ten.
        let mut sentences: Vec<String> = faults.iter().take(10).map(ToString::to_string).collect();
        if faults.len() > sentences.len() {
            sentences.push(format!("And {} more.", faults.len() - sentences.len()));
        }
        Because::new(reason, sentences.join(" "))
    })
}

/// As [`translate`], with the faults one by one, for who shows them in a list.
pub fn review(body: &Body, registry: &RegistryKey, references: &References) -> Result<Wanted, Refusal> {
    let mut faults = Faults::default();
    let wanted = body.attached().wanted(Place { registry, references }, &mut faults);
    faults.into_refusal().map(|()| wanted)
}
