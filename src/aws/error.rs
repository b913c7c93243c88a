//! What an AWS call's failure means, decided in one table by code and kind, never by text: texts differ from day to day
//! and carry request ids, which must not reach a status.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use ecr_permissions_core::reason::Reason;

/// What is to be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The thing is not there.
    NotFound,
    /// Slow down.
    Throttled,
    /// The caller may not; a person must act.
    Denied,
    /// The role could not be assumed, for whatever reason: AWS does not tell a missing role from an untrusted one.
    RoleDenied,
    /// It is there already.
    Exists,
    /// It cannot be deleted: something hangs on it.
    InUse,
    /// A quota is used up.
    Full,
    /// AWS does not take what was sent.
    Invalid,
    /// AWS or the way to it failed; it heals by itself.
    Transient,
    /// This process may not write any more; nothing was sent.
    NotLeading,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct Error {
    pub kind: Kind,
    pub operation: &'static str,
    pub code: Option<String>,
    /// One sentence, the same for the same failure.
    pub message: String,
    /// A write may have happened all the same.
    pub outcome_unknown: bool,
    /// Of a call to IAM, which has one rate for the whole account.
    pub is_of_iam: bool,
}

impl Error {
    pub fn of<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        if let Some(role) = role_refusal(error) {
            return Self { operation, ..role };
        }
        match error {
            SdkError::ServiceError(context) => Self::answered(operation, context.err()),
            SdkError::TimeoutError(_) => Self::unanswered(operation, "AWS did not answer in time", true),
            SdkError::DispatchFailure(failure) => {
                if let Some(refused) = caused_by::<super::session::NotLeading>(error) {
                    return Self {
                        kind: Kind::NotLeading,
                        operation,
                        code: None,
                        message: refused.to_string(),
                        outcome_unknown: false,
                        is_of_iam: false,
                    };
                }
                // Only a request that could not even be made is surely not sent: a connection may break after it was.
                let unsent = failure.as_connector_error().is_some_and(ConnectorError::is_user);
                Self::unanswered(operation, "AWS cannot be reached", !unsent)
            }
            SdkError::ConstructionFailure(_) => {
                let kind = if caused_by::<super::session::NotLeading>(error).is_some() {
                    Kind::NotLeading
                } else {
                    Kind::Transient
                };
                Self {
                    kind,
                    operation,
                    code: None,
                    message: "the request could not be made".into(),
                    outcome_unknown: false,
                    is_of_iam: false,
                }
            }
            _ => Self::unanswered(operation, "AWS answered something that could not be read", true),
        }
    }

    fn answered(operation: &'static str, error: &impl ProvideErrorMetadata) -> Self {
        let code = error.code().unwrap_or("Unknown").to_owned();
        let kind = classify(&code);
        let text = error.message().unwrap_or_default();
        let message = if text.is_empty() { code.clone() } else { format!("{code}: {}", without_request_id(text)) };
        // A fault of the server may have come after the effect; a refusal never does.
        let outcome_unknown = kind == Kind::Transient && code != CONCURRENT;
        Self { kind, operation, outcome_unknown, code: Some(code), message, is_of_iam: false }
    }

    pub(super) fn unanswered(operation: &'static str, message: &str, outcome_unknown: bool) -> Self {
        let message = message.to_owned();
        Self { kind: Kind::Transient, operation, code: None, message, outcome_unknown, is_of_iam: false }
    }

    /// The reason an object or a Registry gives.
    pub fn reason(&self) -> Reason {
        match self.kind {
            Kind::Throttled => Reason::Throttled,
            Kind::Denied | Kind::Invalid | Kind::NotFound | Kind::Exists => Reason::AccessDenied,
            Kind::Full => Reason::QuotaExceeded,
            Kind::InUse => Reason::DeletionBlocked,
            Kind::RoleDenied => Reason::AssumeRoleDenied,
            Kind::Transient | Kind::NotLeading => Reason::Unreachable,
        }
    }
}

/// IAM refuses a change of what somebody else is changing: nothing happened, and it is to be tried again.
const CONCURRENT: &str = "ConcurrentModification";

/// Codes to kinds (aws-facts A.0, A.1 "Error classes", A.3: those of IAM come without "Exception").
fn classify(code: &str) -> Kind {
    match code {
        "RegistryPolicyNotFoundException"
        | "PullThroughCacheRuleNotFoundException"
        | "ResourceNotFoundException"
        | "NoSuchEntity" => Kind::NotFound,
        "PullThroughCacheRuleAlreadyExistsException" | "EntityAlreadyExists" => Kind::Exists,
        "DeleteConflict" => Kind::InUse,
        "LimitExceededException" | "LimitExceeded" => Kind::Full,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown" => Kind::Throttled,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "InvalidSignatureException"
        | "RegionDisabledException" => Kind::Denied,
        "InvalidParameterException"
        | "ValidationException"
        | "ValidationError"
        | "UnsupportedUpstreamRegistryException"
        | "SecretNotFoundException"
        | "UnableToAccessSecretException"
        | "UnableToDecryptSecretValueException"
        | "UnknownOperationException"
        | "RequestEntityTooLargeException"
        | "MalformedPolicyDocument"
        | "InvalidInput"
        | "UnmodifiableEntity"
        | "PolicyNotAttachable" => Kind::Invalid,
        // ExpiredToken heals with the next credentials; faults and the unknown heal or repeat.
        _ => Kind::Transient,
    }
}

/// A request id is new on every retry: with it, a condition would change on every pass.
pub(super) fn without_request_id(text: &str) -> &str {
    let lower = text.to_ascii_lowercase();
    lower
        .find("request id")
        .and_then(|at| text.get(..at))
        .map_or(text, |cut| cut.trim_end_matches(['(', ' ', ',', ';']))
}

/// Credentials fail inside the call that needed them: the refusal of AssumeRole lies deep in its causes.
fn role_refusal(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let refused = caused_by::<AssumeRoleError>(error)?;
    let kind = match classify(refused.code().unwrap_or_default()) {
        Kind::Denied | Kind::Invalid => Kind::RoleDenied,
        other => other,
    };
    let code = refused.code().map(str::to_owned);
    let message = format!("AssumeRole was refused ({})", code.as_deref().unwrap_or("no code"));
    Some(Error { kind, operation: "AssumeRole", code, message, outcome_unknown: false, is_of_iam: false })
}

fn caused_by<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if let Some(found) = this.downcast_ref::<T>() {
            return Some(found);
        }
        cause = this.source();
    }
    None
}

/// No credentials at all: the pod has no identity, or it cannot be read.
pub(super) fn no_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    caused_by::<CredentialsError>(error).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ecr::error::ErrorMetadata;

    #[test]
    fn every_code_of_the_table_has_its_class() {
        for (code, kind) in [
            ("RegistryPolicyNotFoundException", Kind::NotFound),
            ("ThrottlingException", Kind::Throttled),
            ("AccessDeniedException", Kind::Denied),
            ("InvalidParameterException", Kind::Invalid),
            ("ServerException", Kind::Transient),
            ("InternalFailure", Kind::Transient),
            ("ServiceUnavailable", Kind::Transient),
            ("ExpiredTokenException", Kind::Transient),
            ("LimitExceededException", Kind::Full),
            ("PullThroughCacheRuleAlreadyExistsException", Kind::Exists),
            ("UnsupportedUpstreamRegistryException", Kind::Invalid),
            ("NoSuchEntity", Kind::NotFound),
            ("EntityAlreadyExists", Kind::Exists),
            ("DeleteConflict", Kind::InUse),
            ("LimitExceeded", Kind::Full),
            ("Throttling", Kind::Throttled),
            ("AccessDenied", Kind::Denied),
            ("MalformedPolicyDocument", Kind::Invalid),
            ("InvalidInput", Kind::Invalid),
            ("UnmodifiableEntity", Kind::Invalid),
            ("PolicyNotAttachable", Kind::Invalid),
            ("ConcurrentModification", Kind::Transient),
            ("ServiceFailure", Kind::Transient),
        ] {
            assert_eq!(classify(code), kind, "{code}");
        }
    }

    /// aws-facts A.3: 409 and 500, both to be tried again.
    #[test]
    fn a_fault_may_have_had_its_effect_and_a_refusal_had_none() {
        let answered = |code: &str| Error::answered("CreateRole", &ErrorMetadata::builder().code(code).build());
        assert!(answered("ServiceFailure").outcome_unknown);
        assert!(!answered("ConcurrentModification").outcome_unknown);
        assert!(!answered("EntityAlreadyExists").outcome_unknown);
    }

    #[test]
    fn what_hangs_on_a_role_blocks_its_deletion() {
        let error = Error::answered("DeleteRole", &ErrorMetadata::builder().code("DeleteConflict").build());
        assert_eq!(error.reason(), Reason::DeletionBlocked);
    }

    #[test]
    fn a_request_id_never_reaches_a_status() {
        assert_eq!(without_request_id("no access (Request ID: 1234)"), "no access");
        assert_eq!(without_request_id("no access"), "no access");
    }
}
