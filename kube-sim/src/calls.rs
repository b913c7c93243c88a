//! What a test sees of the traffic: each request as a `Call`, and the faults that can be planned for some of them.

use std::time::Duration;

use serde_json::Value;

use crate::writes::Part;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// One request of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Position among all requests of this server, from 1.
    pub seq: u64,
    /// Virtual time since the server was made.
    pub at: Duration,
    /// Whose client it was: the name given to `KubeSim::client_as`.
    pub caller: String,
    pub verb: Verb,
    pub group: String,
    /// The plural, as in the URL.
    pub resource: String,
    /// Empty: cluster-wide.
    pub namespace: String,
    /// Empty for collections and generated names.
    pub name: String,
    pub subresource: Option<String>,
    /// Of a list: how many objects were asked for at most.
    pub limit: Option<u32>,
    /// As sent; null if there was none.
    pub body: Value,
    /// Known once it was answered.
    pub outcome: Option<Outcome>,
}

impl Call {
    /// `update registries/main/status`: one line of a trace.
    pub fn line(&self) -> String {
        let place: Vec<&str> = [self.namespace.as_str(), &self.resource, &self.name]
            .into_iter()
            .chain(self.subresource.as_deref())
            .filter(|part| !part.is_empty())
            .collect();
        let outcome = match self.outcome {
            Some(Outcome { code, changed }) => format!(" -> {code}{}", if changed { " changed" } else { "" }),
            None => " -> no answer".into(),
        };
        let verb = format!("{:?}", self.verb).to_lowercase();
        format!("{:>12?} {} {verb} {}{outcome}", self.at, self.caller, place.join("/"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP code the effect had; a planned fault after the effect does not alter it.
    pub code: u16,
    /// Whether anything was stored.
    pub changed: bool,
}

/// A write as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub seq: u64,
    pub caller: String,
    pub verb: Verb,
    pub resource: String,
    pub namespace: String,
    pub name: String,
    pub subresource: Option<String>,
    pub changed: bool,
    /// 0 if it never came to an effect.
    pub code: u16,
}

impl From<&Call> for Write {
    fn from(call: &Call) -> Self {
        Self {
            seq: call.seq,
            caller: call.caller.clone(),
            verb: call.verb,
            resource: call.resource.clone(),
            namespace: call.namespace.clone(),
            name: call.name.clone(),
            subresource: call.subresource.clone(),
            changed: call.outcome.is_some_and(|outcome| outcome.changed),
            code: call.outcome.map_or(0, |outcome| outcome.code),
        }
    }
}

/// On which side of the effect something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Before,
    After,
}

/// What an observer wants to become of the call it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Go,
    /// No answer, ever: the client is about to be dropped (a crash), or must time out.
    Hang,
    /// An error of this HTTP code.
    Fail(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Error(u16, Phase),
    Hang(Phase),
    /// The connection breaks: the client gets no HTTP answer.
    Reset(Phase),
    /// The answer comes this much later than the effect.
    Late(Duration),
}

impl Fault {
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Error(_, phase) | Self::Hang(phase) | Self::Reset(phase) => phase,
            Self::Late(_) => Phase::After,
        }
    }
}

/// Which calls a fault is for; what is not named matches all.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    verb: Option<Verb>,
    writes_only: bool,
    resource: Option<String>,
    name: Option<String>,
    name_prefix: Option<String>,
    part: Option<Part>,
    caller: Option<String>,
}

impl Matching {
    pub fn any() -> Self {
        Self::default()
    }

    pub fn writes() -> Self {
        Self { writes_only: true, ..Self::default() }
    }

    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// The plural, as in the URL.
    #[must_use]
    pub fn resource(mut self, plural: &str) -> Self {
        self.resource = Some(plural.into());
        self
    }

    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// For names whose end is not known beforehand.
    #[must_use]
    pub fn name_prefix(mut self, prefix: &str) -> Self {
        self.name_prefix = Some(prefix.into());
        self
    }

    /// Only calls to `…/status`.
    #[must_use]
    pub fn status(mut self) -> Self {
        self.part = Some(Part::Status);
        self
    }

    /// Only calls to the object itself.
    #[must_use]
    pub fn main(mut self) -> Self {
        self.part = Some(Part::Main);
        self
    }

    #[must_use]
    pub fn caller(mut self, caller: &str) -> Self {
        self.caller = Some(caller.into());
        self
    }

    pub fn matches(&self, call: &Call) -> bool {
        self.verb.is_none_or(|verb| verb == call.verb)
            && (!self.writes_only || call.verb.is_write())
            && self.resource.as_ref().is_none_or(|resource| *resource == call.resource)
            && self.name.as_ref().is_none_or(|name| *name == call.name)
            && self.name_prefix.as_ref().is_none_or(|prefix| call.name.starts_with(prefix))
            && self.part.is_none_or(|part| (part == Part::Status) == call.subresource.is_some())
            && self.caller.as_ref().is_none_or(|caller| *caller == call.caller)
    }
}

/// A fault that waits for its call.
#[derive(Debug)]
pub(crate) struct Planned {
    matching: Matching,
    /// Matching calls to let pass.
    skip: u32,
    /// Then this many are hit.
    times: u32,
    fault: Fault,
}

impl Planned {
    pub(crate) fn new(matching: Matching, nth: u32, times: u32, fault: Fault) -> Self {
        Self { matching, skip: nth.saturating_sub(1), times, fault }
    }

    /// The fault, if it is for this call; counts the call.
    pub(crate) fn strike(&mut self, call: &Call) -> Option<Fault> {
        if self.times == 0 || !self.matching.matches(call) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times -= 1;
        Some(self.fault)
    }
}
