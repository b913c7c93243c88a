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

/// The faults found so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, field: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) {
        self.0.push(Fault { field: field.into(), problem: problem.into(), cure: cure.into() });
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
        self.0.len()
    }

    pub fn into_result(self) -> Result<(), Vec<Fault>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}
