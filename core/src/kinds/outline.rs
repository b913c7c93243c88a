//! What is kept of the spec of an object that no rule lets in: a constant, however long it is. `uid` and `generation` of the
//! object name the spec, which the API server gives again when what is said of it may be another.

use crate::api::{DeletionPolicy, Kind, RegistryRef};
use crate::reason::{Because, Reason};

use super::{Attached, Body, Faults, Place, Wanted};

/// Specs of up to so many bytes stay whole: of one that is refused hardly less would be kept without it, since its
/// conditions say why.
pub const WHOLE_AT_MOST: usize = 2048;

/// Why an object was refused, and what that was decided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Names the rules that were asked and whatever else the answer rests on; it holds as long as they are the same.
    pub by: String,
    pub because: Because,
}

/// What is left of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub(super) kind: Kind,
    registry_ref: Option<RegistryRef>,
    suspend: Option<bool>,
    deletion_policy: Option<DeletionPolicy>,
    /// Nothing, if nobody has judged it.
    pub verdict: Option<Verdict>,
}

impl Outline {
    pub(super) fn of(body: &Body, verdict: Option<Verdict>) -> Self {
        let spec = body.attached();
        Self {
            kind: body.kind(),
            registry_ref: spec.registry_ref().cloned(),
            suspend: spec.suspend(),
            deletion_policy: spec.deletion_policy(),
            verdict,
        }
    }

    /// Why nothing of the object is translated.
    pub fn because(&self) -> Because {
        let unread = || Because::new(Reason::Progressing, "The object is judged once its spec was read again.");
        self.verdict.as_ref().map_or_else(unread, |verdict| verdict.because.clone())
    }
}

impl Attached for Outline {
    fn registry_ref(&self) -> Option<&RegistryRef> {
        self.registry_ref.as_ref()
    }

    fn suspend(&self) -> Option<bool> {
        self.suspend
    }

    fn deletion_policy(&self) -> Option<DeletionPolicy> {
        self.deletion_policy
    }

    fn wanted(&self, _: Place<'_>, faults: &mut Faults) -> Wanted {
        faults.add("spec", self.because().message, "");
        Wanted::default()
    }
}

/// Counts what is written to it.
#[derive(Default)]
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The length of a spec as JSON, without its text.
pub(super) fn length(spec: &impl serde::Serialize) -> usize {
    let mut counter = Counter::default();
    // A spec is text, numbers and lists: it was read from JSON, and nothing keeps it from being written.
    match serde_json::to_writer(&mut counter, spec) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}
