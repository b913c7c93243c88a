//! What each kind of object asks for, as statements of our own in normal form: a pure function of the spec and the
//! registry it is attached to. It never looks at other objects, at `allow` or at AWS, and never leaves out silently
//! what it cannot translate: an object is translated whole or refused with every fault it has.
//!
//! A new kind is a file here, a file in `api`, and a row in the table below.

pub(crate) mod actions;
mod faults;
mod principals;
mod registry_policy;
mod replication_grant;

pub use faults::{Fault, Faults};
pub(crate) use principals::organization_key;

use crate::api::{DEFAULT_REGISTRY, DeletionPolicy, Kind, RegistryPolicySpec, RegistryRef, ReplicationGrantSpec};
use crate::names::RegistryKey;
use crate::policy::Statement;
use crate::reason::{Because, Reason};

/// What every attached kind has in its spec, and how it becomes statements.
pub trait Attached {
    fn registry_ref(&self) -> Option<&RegistryRef>;
    fn suspend(&self) -> Option<bool>;
    fn deletion_policy(&self) -> Option<DeletionPolicy>;
    /// The statements the spec asks for. What cannot be translated is added to `faults`.
    fn statements(&self, registry: &RegistryKey, faults: &mut Faults) -> Vec<Statement>;
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
        /// The spec of an attached object, of whichever kind.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Body { $($kind($spec),)* }

        impl Body {
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            fn attached(&self) -> &dyn Attached {
                match self { $(Self::$kind(spec) => spec,)* }
            }
        }

        $(impl From<$spec> for Body {
            fn from(spec: $spec) -> Self {
                Self::$kind(spec)
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
}

/// The statements an object asks for, or everything that is wrong with it in one message.
pub fn translate(body: &Body, registry: &RegistryKey) -> Result<Vec<Statement>, Because> {
    review(body, registry).map_err(|faults| {
        // A condition's message has an end, and nobody reads on after ten.
        let mut sentences: Vec<String> = faults.iter().take(10).map(ToString::to_string).collect();
        if faults.len() > sentences.len() {
            sentences.push(format!("And {} more.", faults.len() - sentences.len()));
        }
        Because::new(Reason::InvalidSpec, sentences.join(" "))
    })
}

/// As [`translate`], with the faults one by one, for who shows them in a list.
pub fn review(body: &Body, registry: &RegistryKey) -> Result<Vec<Statement>, Vec<Fault>> {
    let mut faults = Faults::default();
    let statements = body.attached().statements(registry, &mut faults);
    faults.into_result().map(|()| statements)
}
