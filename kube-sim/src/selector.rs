//! Label and field selectors of lists and watches. Fields are those of the metadata and those that the kind's CRD declares
//! selectable.

use std::borrow::Cow;

use serde_json::Value;

use crate::refusal::Refusal;
use crate::request::Asked;
use crate::resource::Resource;

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

#[derive(Clone, Debug)]
struct FieldTerm {
    /// The members from the root to the field.
    path: Vec<String>,
    value: String,
    equal: bool,
}

/// Which objects of a kind are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Term>,
    fields: Vec<FieldTerm>,
}

impl Selector {
    /// The selector in the query of a request.
    pub(crate) fn of(asked: &Asked) -> Result<Self, Refusal> {
        let mut selector = Self::default();
        for text in split_outside_parentheses(asked.query("labelSelector").unwrap_or_default()) {
            selector
                .labels
                .push(term(text).ok_or_else(|| Refusal::bad_request(format!("unable to parse requirement: {text}")))?);
        }
        selector.fields = field_terms(&asked.kind, asked.query("fieldSelector").unwrap_or_default())?;
        Ok(selector)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"][name].as_str();
        self.fields.iter().all(|term| (text_at(object, &term.path) == term.value) == term.equal)
            && self.labels.iter().all(|term| match term {
                Term::Exists(name) => label(name).is_some(),
                Term::Missing(name) => label(name).is_none(),
                Term::In(name, values) => label(name).is_some_and(|l| values.iter().any(|v| v == l)),
                Term::NotIn(name, values) => label(name).is_none_or(|l| values.iter().all(|v| v != l)),
            })
    }
}

/// A field as selectors compare it: what is absent is the empty string.
fn text_at<'a>(object: &'a Value, path: &[String]) -> Cow<'a, str> {
    match path.iter().fold(object, |value, member| &value[member]) {
        Value::Null => "".into(),
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

fn field_terms(kind: &Resource, selector: &str) -> Result<Vec<FieldTerm>, Refusal> {
    let mut terms = split_unescaped(selector);
    // As the real server does: it decides which of several bad terms the refusal speaks of.
    terms.sort_unstable();
    let mut parsed = Vec::new();
    for text in terms {
        let why = || Refusal::bad_request(format!("invalid selector: '{selector}'; can't understand '{text}'"));
        let (label, equal, value) = split_operator(text).ok_or_else(why)?;
        parsed.push((label, equal, unescaped(value)?));
    }
    let supported = |(label, equal, value): (&str, bool, String)| {
        if !kind.selects_by(label) {
            return Err(Refusal::bad_request(format!("field label not supported: {label}")));
        }
        Ok(FieldTerm { path: label.split('.').map(String::from).collect(), value, equal })
    };
    parsed.into_iter().map(supported).collect()
}

/// The terms between commas; one after a backslash is part of a value.
fn split_unescaped(selector: &str) -> Vec<&str> {
    let mut escaped = false;
    let at_comma = |c: char| {
        let splits = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    };
    selector.split(at_comma).filter(|term| !term.is_empty()).collect()
}

/// The label, whether it shall be equal, and the value.
fn split_operator(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=')?;
    let (label, value) = (&term[..at], &term[at + 1..]);
    match label.strip_suffix('!') {
        Some(label) => Some((label, false, value)),
        None => Some((label, true, value.strip_prefix('=').unwrap_or(value))),
    }
}

fn unescaped(value: &str) -> Result<String, Refusal> {
    let mut text = String::new();
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c @ ('\\' | ',' | '=')) => text.push(c),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    let why = format!("invalid field selector: invalid escape sequence: {sequence}");
                    return Err(Refusal::bad_request(why));
                }
            },
            ',' | '=' => {
                let why = format!("invalid field selector: unescaped character in value: {}", u32::from(c));
                return Err(Refusal::bad_request(why));
            }
            _ => text.push(c),
        }
    }
    Ok(text)
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn term(text: &str) -> Option<Term> {
    let values = |list: &str| -> Option<Vec<String>> {
        let inner = list.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|v| v.trim().to_string()).collect())
    };
    if let Some((name, list)) = text.split_once(" notin ") {
        return Some(Term::NotIn(name.trim().into(), values(list)?));
    }
    if let Some((name, list)) = text.split_once(" in ") {
        return Some(Term::In(name.trim().into(), values(list)?));
    }
    if let Some((name, value)) = text.split_once("!=") {
        return Some(Term::NotIn(name.trim().into(), vec![value.trim().into()]));
    }
    if let Some((name, value)) = text.split_once('=') {
        return Some(Term::In(name.trim().into(), vec![value.trim_start_matches('=').trim().into()]));
    }
    match text.strip_prefix('!') {
        Some(name) => Some(Term::Missing(name.trim().into())),
        None => (!text.contains(char::is_whitespace)).then(|| Term::Exists(text.into())),
    }
}
