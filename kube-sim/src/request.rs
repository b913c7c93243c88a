//! From an HTTP request to what it asks for. Parses only: whether it may be, the rules of the store decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, request};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::calls::Verb;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::size::LARGEST_BODY;

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    pub(crate) kind: Arc<Resource>,
    /// Empty: cluster-wide, or every namespace.
    pub(crate) namespace: String,
    /// Empty for collections.
    pub(crate) name: String,
    pub(crate) subresource: Option<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) content_type: String,
    /// The client wants metadata alone.
    pub(crate) metadata_only: bool,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn parse(head: &request::Parts, body: &Bytes, served: &[Arc<Resource>]) -> Result<Self, Refusal> {
        let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_string();
        let content_type = header(http::header::CONTENT_TYPE);
        let query = parse_query(head.uri.query().unwrap_or_default());
        let place = Place::parse(head.uri.path(), served).ok_or_else(Refusal::no_such_path)?;
        let watching = query.get("watch").is_some_and(|v| v == "true" || v == "1");
        let verb = match (&head.method, place.name.is_empty()) {
            (&Method::GET, true) if watching => Verb::Watch,
            (&Method::GET, true) => Verb::List,
            (&Method::GET, false) => Verb::Get,
            (&Method::POST, true) => Verb::Create,
            (&Method::PUT, false) => Verb::Update,
            (&Method::PATCH, false) => Verb::Patch,
            (&Method::DELETE, false) => Verb::Delete,
            (&Method::DELETE, true) => Verb::DeleteCollection,
            _ => return Err(Refusal::method_not_allowed()),
        };
        let write = place.subresource.is_none() || matches!(verb, Verb::Get | Verb::Update | Verb::Patch);
        if !write || (place.kind.namespaced && place.namespace.is_empty() && verb == Verb::Create) {
            return Err(Refusal::method_not_allowed());
        }
        if body.len() > LARGEST_BODY {
            return Err(Refusal::body_too_large(LARGEST_BODY));
        }
        Ok(Self {
            verb,
            kind: place.kind,
            namespace: place.namespace,
            name: place.name,
            subresource: place.subresource,
            query,
            body: parse_body(&content_type, body)?,
            content_type,
            metadata_only: header(http::header::ACCEPT).contains("as=PartialObjectMetadata"),
        })
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

struct Place {
    kind: Arc<Resource>,
    namespace: String,
    name: String,
    subresource: Option<String>,
}

impl Place {
    fn parse(path: &str, served: &[Arc<Resource>]) -> Option<Self> {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // "namespaces/x/status" is the namespace's own, "namespaces/x/leases" is in it.
            ["namespaces", _, "status" | "finalize"] if group.is_empty() => ("", rest),
            ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", None),
            [plural, name] => (*plural, *name, None),
            [plural, name, subresource] => (*plural, *name, Some((*subresource).to_string())),
            _ => return None,
        };
        let kind = served.iter().find(|k| k.group == group && k.version == version && k.plural == plural)?;
        let in_namespace = !namespace.is_empty();
        let placed = if kind.namespaced { in_namespace || name.is_empty() } else { !in_namespace };
        let known = subresource.is_none() || (subresource.as_deref() == Some("status") && kind.status_subresource);
        (placed && known).then(|| Self {
            kind: Arc::clone(kind),
            namespace: namespace.into(),
            name: name.into(),
            subresource,
        })
    }
}

fn parse_query(text: &str) -> BTreeMap<String, String> {
    let decode = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn parse_body(content_type: &str, body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if content_type.contains("yaml") {
        let text = String::from_utf8_lossy(body);
        return serde_saphyr::from_str(&text).map_err(|e| Refusal::bad_request(format!("error decoding YAML: {e}")));
    }
    serde_json::from_slice(body).map_err(|e| Refusal::bad_request(format!("error decoding JSON: {e}")))
}
