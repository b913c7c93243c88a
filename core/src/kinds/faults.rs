//! What is wrong with a spec: the field, the problem, the cure. Collected, so that one reading shows all of it.

use std::fmt;

use crate::policy::{self, Statement};

/// One thing wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Path of the field: `spec.statements[2].actions[0]`.
    pub field: String,
    /// What is wrong, as the rest of a sentence that starts with the field.
    pub problem: String,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, problem, cure } = self;
        let cure = if cure.is_empty() { String::new() } else { format!("; {cure}") };
        write!(f, "{field}: {problem}{cure}.")
    }
}

/// Why an object is not translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The spec cannot be done, whatever else there is.
    Faults(Vec<Fault>),
    /// The spec names what does not exist yet.
    Missing(Vec<Fault>),
}

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults {
    faults: Vec<Fault>,
    missing: Vec<Fault>,
}

impl Faults {
    pub fn add(&mut self, field: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) {
        self.faults.push(Fault { field: field.into(), problem: problem.into(), cure: cure.into() });
    }

    /// Something that may come to exist without an edit: it makes nobody's spec wrong.
    pub(super) fn add_missing(&mut self, field: &str, problem: String, cure: &str) {
        self.missing.push(Fault { field: field.to_owned(), problem, cure: cure.to_owned() });
    }

    /// The parsed value, or a fault that shows what was given.
    pub fn parse<T: std::str::FromStr<Err: fmt::Display>>(
        &mut self,
        field: &str,
        given: &str,
        cure: &str,
    ) -> Option<T> {
        given.parse().map_err(|error: T::Err| self.add(field, error.to_string(), cure)).ok()
    }

    /// What the policy lint says of a statement found at `at`.
    pub fn lint(&mut self, at: &str, statement: &Statement, acknowledge_lockout: bool, allow_public: bool) {
        for finding in policy::lint(statement, acknowledge_lockout, allow_public) {
            let field = finding.message.split_once(": ").map_or("", |(field, _)| field);
            self.add_finding(&format!("{at}.{field}"), &finding.message);
        }
    }

    /// A finding of the lint, which reads `field: problem; cure`, at a field known better than it knows it.
    pub(super) fn add_finding(&mut self, field: &str, message: &str) {
        let sentence = message.split_once(": ").map_or(message, |(_, rest)| rest);
        let (problem, cure) = sentence.split_once("; ").unwrap_or((sentence, ""));
        self.add(field, problem, cure);
    }

    pub fn count(&self) -> usize {
        self.faults.len()
    }

    pub fn into_result(self) -> Result<(), Vec<Fault>> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults) }
    }

    /// What is wrong comes before what is missing: the former never heals by itself.
    pub fn into_refusal(self) -> Result<(), Refusal> {
        if !self.faults.is_empty() {
            return Err(Refusal::Faults(self.faults));
        }
        if self.missing.is_empty() { Ok(()) } else { Err(Refusal::Missing(self.missing)) }
    }
}
