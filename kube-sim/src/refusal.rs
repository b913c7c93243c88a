//! The answers of an API server that says no, as the `Status` objects clients decide on.

use serde_json::{Value, json};

use crate::store::Key;

/// A request that was refused: HTTP code, reason and message as kube-apiserver gives them.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    /// Empty: the real server knew none.
    reason: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn about(mut self, kind: &str, name: &str) -> Self {
        let (plural, group) = kind.split_once('.').unwrap_or((kind, ""));
        self.details = json!({"name": name, "group": group, "kind": plural});
        self
    }

    fn cause(mut self, reason: &str, field: &str, message: &str) -> Self {
        self.details["causes"] = json!([{"reason": reason, "field": field, "message": message}]);
        self
    }

    pub(crate) fn not_found(kind: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{kind} \"{name}\" not found")).about(kind, name)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub(crate) fn already_exists(kind: &str, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{kind} \"{name}\" already exists")).about(kind, name)
    }

    pub(crate) fn conflict(kind: &str, name: &str, why: &str) -> Self {
        Self::new(409, "Conflict", format!("Operation cannot be fulfilled on {kind} \"{name}\": {why}"))
            .about(kind, name)
    }

    /// The resourceVersion that was sent is not the one that is stored.
    pub(crate) fn stale(kind: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// A PUT was made for another object of this name.
    pub(crate) fn uid_precondition(key: &Key, wanted: &str, found: &str) -> Self {
        let path = key.path();
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        );
        Self::conflict(&key.kind, &key.name, &why)
    }

    pub(crate) fn version_on_create() -> Self {
        Self::new(500, "", "resourceVersion should not be set on objects to be created")
    }

    /// The body of the request is over the server's own limit.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// The object is over the limit of etcd.
    pub(crate) fn request_too_large() -> Self {
        Self::new(500, "", "etcdserver: request is too large")
    }

    /// The object is so large that it was not sent to etcd at all.
    pub(crate) fn message_too_large(size: usize, limit: usize) -> Self {
        let why = format!("trying to send message larger than max ({size} vs. {limit})");
        Self::new(500, "", format!("rpc error: code = ResourceExhausted desc = {why}"))
    }

    pub(crate) fn invalid(kind: &str, name: &str, field: &str, why: &str) -> Self {
        let cause = if why.starts_with("Forbidden") { "FieldValueForbidden" } else { "FieldValueInvalid" };
        Self::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {field}: {why}"))
            .about(kind, name)
            .cause(cause, field, why)
    }

    /// A JSON patch that cannot be applied, a failed `test` included.
    pub(crate) fn patch_failed(why: &str) -> Self {
        let mut refusal = Self::new(422, "Invalid", "the server rejected our request due to an error in our request");
        refusal.details = json!({"causes": [{"reason": "UnexpectedServerResponse", "message": why}]});
        refusal
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn unsupported_media_type(given: &str) -> Self {
        Self::new(415, "UnsupportedMediaType", format!("the body of the request was in an unknown format: {given}"))
    }

    /// Nothing new may come into a namespace that is going.
    pub(crate) fn namespace_terminating(kind: &str, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        Self::new(403, "Forbidden", format!("{kind} \"{name}\" is forbidden: {why}")).about(kind, name).cause(
            "NamespaceTerminating",
            "metadata.namespace",
            &format!("namespace {namespace} is being terminated"),
        )
    }

    /// What the client knows is older than what the server remembers: it must list again.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub(crate) fn continue_expired() -> Self {
        Self::new(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
    }

    /// An answer made up for a test: the reason that belongs to `code`.
    pub(crate) fn of_code(code: u16) -> Self {
        let (reason, message) = match code {
            400 => ("BadRequest", "the server rejected our request"),
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "forbidden: the simulated server was told to refuse"),
            404 => ("NotFound", "the server could not find the requested resource"),
            409 => ("Conflict", "Operation cannot be fulfilled: the object has been modified"),
            410 => ("Expired", "too old resource version"),
            422 => ("Invalid", "the server rejected our request due to an error in our request"),
            429 => ("TooManyRequests", "the server has received too many requests, please try again later"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the request did not complete within the allotted timeout"),
            _ => ("InternalError", "Internal error occurred: the simulated server was told to fail"),
        };
        Self::new(code, reason, message)
    }

    pub(crate) fn body(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Refusal {}
