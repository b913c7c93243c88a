//! Every reason a condition can carry, in one table: which condition it speaks of, what `Ready` is, and whether a
//! person must act.

/// Which of an object's conditions a reason speaks of; the ones before it hold, the ones after it are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    Accepted,
    ResolvedRefs,
    Synced,
}

/// What `Ready` says under a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// AWS was read and equals the desired state.
    True,
    /// A person must act: `Ready=False`, `Stalled=True`.
    False,
    /// It heals by itself: `Ready=Unknown`, `Reconciling=True`.
    Waiting,
    /// Nothing happens until somebody asks for it: `Ready=Unknown`, neither stalled nor reconciling.
    Paused,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $aspect:ident, $verdict:ident;)*) => {
        /// Why a condition is what it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
            pub fn aspect(self) -> Aspect {
                match self { $(Self::$name => Aspect::$aspect,)* }
            }
            pub fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)* }
            }
        }
    };
}

reasons! {
    /// AWS was read and equals what the object wants.
    Succeeded => Synced, True;
    /// The spec cannot be done; the message names the field and the cure.
    InvalidSpec => Accepted, False;
    /// No rule of the Registry's `allow` covers the object.
    NotAllowed => Accepted, False;
    /// What the namespace may have of it, or the namespaces of a rule together, is used up.
    LimitExceeded => Accepted, False;
    /// Another Registry stands for the same account and Region.
    DuplicateRegistry => Accepted, False;
    /// The Registry is being deleted and takes nobody new.
    RegistryTerminating => Accepted, False;
    /// `registryRef` leads nowhere.
    RegistryNotFound => ResolvedRefs, Waiting;
    /// Another namespace's object has the cache prefix, or one that it nests with.
    PrefixConflict => Accepted, False;
    /// The change cannot be made in place, and `replacePolicy` does not ask for another way.
    ImmutableChange => Accepted, False;
    /// A Registry or an object that the spec names does not exist.
    ReferenceNotFound => ResolvedRefs, Waiting;
    /// The role that the object names is not there yet, or not visible everywhere.
    WaitingForRole => ResolvedRefs, Waiting;
    /// An upstream's grant is not there yet, or its Registry does not allow it.
    WaitingForUpstream => ResolvedRefs, Waiting;
    /// No Registry stands for the upstream: its owner has to grant.
    External => Synced, Paused;
    /// The secret does not exist in the Registry's account and Region, or is being deleted.
    SecretNotFound => ResolvedRefs, False;
    /// The object's namespace has not been seen yet.
    NamespaceNotSeen => ResolvedRefs, Waiting;
    /// The document would be longer than AWS takes.
    PolicyTooLarge => Synced, False;
    /// AWS refuses the document because of this object.
    Rejected => Synced, False;
    /// AWS refuses a principal that may be too young to be visible everywhere.
    Propagating => Synced, Waiting;
    /// A principal was deleted in AWS.
    PrincipalGone => Synced, False;
    /// The registry's policy scope is V1 and an action needs V2.
    ScopeV1 => Synced, False;
    /// A rule for the prefix is there that is not the object's, and `adoption` does not cover it.
    RuleConflict => Synced, False;
    /// Repositories exist under the cache prefix, and `claimExisting` is not set.
    RepositoriesExist => Synced, False;
    /// AWS has no room for another: its quota of rules or roles is used up.
    QuotaExceeded => Synced, False;
    /// AWS could not log in to the upstream; the message has AWS's words.
    UpstreamInvalid => Synced, False;
    /// A role of that name is there that is not the object's, and `adoption` does not cover it.
    RoleConflict => Synced, False;
    /// The permissions boundary does not exist, or the role does not carry it.
    BoundaryMissing => Synced, False;
    /// The object or its Registry is suspended.
    Suspended => Synced, Paused;
    /// `management: Observe`, and something would have to be written.
    ObserveOnly => Synced, Paused;
    /// The credentials are not of the Registry's account.
    AccountMismatch => Synced, False;
    /// The role could not be assumed.
    AssumeRoleDenied => Synced, False;
    /// AWS does not take the credentials any more; others are asked for.
    CredentialsRefused => Synced, Waiting;
    /// AWS denied a call.
    AccessDenied => Synced, False;
    /// AWS asks to slow down.
    Throttled => Synced, Waiting;
    /// AWS does not answer.
    Unreachable => Synced, Waiting;
    /// AWS was written and has not been read back yet, or answers an older state.
    Progressing => Synced, Waiting;
    /// The policy in AWS is not JSON that can be written back without loss.
    UnreadableDocument => Synced, False;
    /// AWS refuses statements of others that stand in the policy.
    ForeignRefused => Synced, False;
    /// Somebody else keeps overwriting the policy.
    ContendedWriter => Synced, False;
    /// AWS answers something else than was written.
    ReadbackDiffers => Synced, False;
    /// Switching to scope V2 would wake statements of others.
    ScopeWidens => Synced, False;
    /// A statement carries a Sid of the operator and not its content.
    SidTampered => Synced, False;
    /// Somebody edited the ledger: nothing is withdrawn on the word of what was edited, and it is written anew.
    LedgerEdited => Synced, Waiting;
    /// What the API server shows of a kind is not proven to be of the last minutes: nothing is added or put back by it.
    ViewOld => Synced, Waiting;
    /// Another cluster writes to AWS under this installation's id: nothing is added or put back until a person says whose it is.
    InstallationShared => Synced, False;
    /// Something on record cannot be read by this version.
    LedgerUnreadable => Synced, False;
    /// Another installation's ledger is there for the registry.
    ForeignLedger => Synced, Paused;
    /// The object asks to be retained, and no rule of `allow` with `retain: true` covers it: its deletion removes.
    RetainNotAllowed => Synced, Paused;
    /// Objects that are gone left something behind, as they were allowed to.
    Retained => Synced, Paused;
    /// The object was let go of: what it had stays in AWS and is nobody's.
    Released => Accepted, False;
    /// An object that is there has something in this registry, and names another by now or cannot be read.
    HeldElsewhere => Synced, Paused;
    /// The object is being deleted and something keeps it: the message says what.
    DeletionBlocked => Synced, Waiting;
}

impl Reason {
    /// Whether it says nothing of the world but that AWS did not tell just now.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable | Self::CredentialsRefused | Self::Progressing)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal or a delay, told to whoever asked: the reason and one sentence with the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    pub reason: Reason,
    pub message: String,
}

impl Because {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
