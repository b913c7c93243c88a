//! The record of calls, and the shape of an answer.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// One call as it arrived: recorded on arrival, completed when it took effect or was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Counts from 0 over the life of the World; the order of arrival.
    pub seq: u64,
    /// Since start, at arrival.
    #[serde(serialize_with = "as_seconds")]
    pub at: Duration,
    /// The account of the credentials; absent where they are unknown.
    pub account: Option<String>,
    /// The caller's ARN.
    pub principal: Option<String>,
    /// The Region of the credential scope.
    pub region: String,
    /// `ecr`, `sts`, `iam` or `secretsmanager`.
    pub service: String,
    pub operation: String,
    /// What the call is about, where that is one thing: `registry`, `pull-through-cache-rule/PREFIX`,
    /// `repository/NAME`, `role/NAME`, `secret/NAME-OR-ARN`.
    pub target: Option<String>,
    /// True for operations that change something in AWS, whether or not this one did. AssumeRole is not one.
    pub is_write: bool,
    /// `ok`, an error code, or one of `Pending`, `Reset`, `Hang`, `Lost` (stopped by the observer).
    pub outcome: String,
    /// True if the operation ran and succeeded, whatever the caller was told.
    pub took_effect: bool,
    /// For writes: what is written, around the call.
    pub write: Option<DocumentWrite>,
}

/// The raw texts around a write: of a document as it is stored; of a rule, a repository or a role as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentWrite {
    /// As stored before.
    pub before: Option<String>,
    /// As sent: the document, or the call's parameters as JSON; absent for a deletion.
    pub sent: Option<String>,
    /// As stored afterwards; equals `before` if refused.
    pub after: Option<String>,
}

/// What the caller gets, and how long after the effect.
#[derive(Debug)]
pub struct Reply {
    pub after: Duration,
    pub outcome: Outcome,
}

/// How a call ends for its caller.
#[derive(Debug)]
pub enum Outcome {
    Response(::http::Response<Bytes>),
    /// No answer, ever.
    Hang,
    /// The connection breaks.
    Reset,
}

/// Before or after the effect of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    Before,
    After,
}

fn as_seconds<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}
