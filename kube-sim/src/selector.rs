//! Label and field selectors of lists and watches. Fields: `metadata.name` and `metadata.namespace`, as custom resources have them.

use serde_json::Value;

use crate::refusal::Refusal;

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Exists(String),
    Missing(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

/// Which objects of a kind are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Term>,
    fields: Vec<(String, String, bool)>,
}

impl Selector {
    pub(crate) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, Refusal> {
        let mut selector = Self::default();
        for text in split_outside_parentheses(labels.unwrap_or_default()) {
            selector
                .labels
                .push(term(text).ok_or_else(|| Refusal::bad_request(format!("unable to parse requirement: {text}")))?);
        }
        for text in fields.unwrap_or_default().split(',').filter(|t| !t.is_empty()) {
            let (name, value, equal) = match text.split_once("!=") {
                Some((name, value)) => (name, value, false),
                None => match text.split_once('=') {
                    Some((name, value)) => (name, value.trim_start_matches('='), true),
                    None => return Err(Refusal::bad_request(format!("invalid selector: {text}"))),
                },
            };
            let Some(("metadata", field @ ("name" | "namespace"))) = name.split_once('.') else {
                return Err(Refusal::bad_request(format!("field label not supported: {name}")));
            };
            selector.fields.push((field.into(), value.into(), equal));
        }
        Ok(selector)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let label = |name: &str| metadata["labels"][name].as_str();
        self.fields.iter().all(|(f, v, equal)| (metadata[f].as_str().unwrap_or_default() == v) == *equal)
            && self.labels.iter().all(|term| match term {
                Term::Exists(name) => label(name).is_some(),
                Term::Missing(name) => label(name).is_none(),
                Term::In(name, values) => label(name).is_some_and(|l| values.iter().any(|v| v == l)),
                Term::NotIn(name, values) => label(name).is_none_or(|l| values.iter().all(|v| v != l)),
            })
    }
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
