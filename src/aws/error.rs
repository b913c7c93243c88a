//! What an AWS call's failure means, decided in one table by code and kind, never by text: texts differ from day to day
//! and carry request ids, which must not reach a status.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use ecr_permissions_core::reason::Reason;

/// The call that fails inside of others.
pub(super) const ASSUME_ROLE: &str = "AssumeRole";

/// What is to be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The thing is not there.
    NotFound,
    /// Slow down.
    Throttled,
    /// AWS does not take the credentials, or not any more: others are to be had.
    Unauthenticated,
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
}

impl Error {
    pub fn of<E, R>(operation: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        if let Some(role) = role_refusal(error) {
            return role;
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
        let outcome_unknown = kind == Kind::Transient && !WITHOUT_EFFECT.contains(&code.as_str());
        Self { kind, operation, outcome_unknown, code: Some(code), message }
    }

    pub(super) fn unanswered(operation: &'static str, message: &str, outcome_unknown: bool) -> Self {
        let message = message.to_owned();
        Self { kind: Kind::Transient, operation, code: None, message, outcome_unknown }
    }

    /// The reason an object or a Registry gives.
    pub fn reason(&self) -> Reason {
        match self.kind {
            Kind::Throttled => Reason::Throttled,
            Kind::Unauthenticated => Reason::CredentialsRefused,
            Kind::Denied | Kind::Invalid => Reason::AccessDenied,
            // What was read is not so any more, or not shown yet: the next read tells, and decides anew.
            Kind::NotFound | Kind::Exists => Reason::Progressing,
            Kind::Full => Reason::QuotaExceeded,
            Kind::InUse => Reason::DeletionBlocked,
            Kind::RoleDenied => Reason::AssumeRoleDenied,
            Kind::Transient | Kind::NotLeading => Reason::Unreachable,
        }
    }
}

/// Codes by kind (aws-facts A.0 to A.6; those of IAM and STS come without "Exception"). What is not here heals or repeats.
const CODES: [(Kind, &[&str]); 9] = [
    (
        Kind::NotFound,
        &[
            "NoSuchEntity",
            "NotFoundException",
            "PullThroughCacheRuleNotFoundException",
            "RegistryPolicyNotFoundException",
            "RepositoryNotFoundException",
            "RepositoryPolicyNotFoundException",
            "ResourceNotFoundException",
            "TemplateNotFoundException",
        ],
    ),
    (
        Kind::Exists,
        &[
            "EntityAlreadyExists",
            "PullThroughCacheRuleAlreadyExistsException",
            "RepositoryAlreadyExistsException",
            "ResourceExistsException",
            "TemplateAlreadyExistsException",
        ],
    ),
    (Kind::InUse, &["DeleteConflict"]),
    (Kind::Full, &["LimitExceeded", "LimitExceededException"]),
    (
        Kind::Throttled,
        &[
            "RequestLimitExceeded",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ],
    ),
    (
        Kind::Unauthenticated,
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnauthenticatedException",
            "UnrecognizedClientException",
        ],
    ),
    (
        Kind::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "OptInRequired",
            REGION_DISABLED,
            "SignatureDoesNotMatch",
        ],
    ),
    (
        Kind::Invalid,
        &[
            "InvalidInput",
            "InvalidInputException",
            "InvalidParameterException",
            "InvalidRequestException",
            "InvalidTagParameterException",
            "MalformedPolicyDocument",
            PACKED_POLICY_TOO_LARGE,
            "PolicyNotAttachable",
            "RequestEntityTooLargeException",
            "SecretNotFoundException",
            "TooManyTagsException",
            "UnableToAccessSecretException",
            "UnableToDecryptSecretValueException",
            "UnknownOperationException",
            "UnmodifiableEntity",
            "UnsupportedUpstreamRegistryException",
            "ValidationError",
            "ValidationException",
        ],
    ),
    (
        Kind::Transient,
        &[
            "ConcurrentModification",
            "InternalFailure",
            "InternalServiceError",
            "RegionSetupInProgressException",
            "RequestTimeoutException",
            "ServerException",
            "ServiceException",
            "ServiceFailure",
            "ServiceUnavailable",
        ],
    ),
];

/// What passes and had no effect: somebody else is changing the same, or the Region is not set up yet.
const WITHOUT_EFFECT: [&str; 2] = ["ConcurrentModification", "RegionSetupInProgressException"];
/// The account that the credentials are to be of has STS switched off in the Region.
pub(super) const REGION_DISABLED: &str = "RegionDisabledException";
/// The tags that a session inherits are too long for another session.
pub(super) const PACKED_POLICY_TOO_LARGE: &str = "PackedPolicyTooLarge";

fn classify(code: &str) -> Kind {
    CODES.iter().find(|(_, codes)| codes.contains(&code)).map_or(Kind::Transient, |(kind, _)| *kind)
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
    let refused = Error::answered(ASSUME_ROLE, caused_by::<AssumeRoleError>(error)?);
    let kind = match refused.kind {
        Kind::Denied | Kind::Invalid => Kind::RoleDenied,
        other => other,
    };
    Some(Error { kind, outcome_unknown: false, ..refused })
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

    /// The code, its kind, the reason that is told, and whether a write may have happened.
    const TABLE: [(&str, Kind, Reason, bool); 64] = {
        use Reason::{
            AccessDenied, CredentialsRefused, DeletionBlocked, Progressing, QuotaExceeded, Throttled, Unreachable,
        };
        [
            ("NoSuchEntity", Kind::NotFound, Progressing, false),
            ("NotFoundException", Kind::NotFound, Progressing, false),
            ("PullThroughCacheRuleNotFoundException", Kind::NotFound, Progressing, false),
            ("RegistryPolicyNotFoundException", Kind::NotFound, Progressing, false),
            ("RepositoryNotFoundException", Kind::NotFound, Progressing, false),
            ("RepositoryPolicyNotFoundException", Kind::NotFound, Progressing, false),
            ("ResourceNotFoundException", Kind::NotFound, Progressing, false),
            ("TemplateNotFoundException", Kind::NotFound, Progressing, false),
            ("EntityAlreadyExists", Kind::Exists, Progressing, false),
            ("PullThroughCacheRuleAlreadyExistsException", Kind::Exists, Progressing, false),
            ("RepositoryAlreadyExistsException", Kind::Exists, Progressing, false),
            ("ResourceExistsException", Kind::Exists, Progressing, false),
            ("TemplateAlreadyExistsException", Kind::Exists, Progressing, false),
            ("DeleteConflict", Kind::InUse, DeletionBlocked, false),
            ("LimitExceeded", Kind::Full, QuotaExceeded, false),
            ("LimitExceededException", Kind::Full, QuotaExceeded, false),
            ("RequestLimitExceeded", Kind::Throttled, Throttled, false),
            ("SlowDown", Kind::Throttled, Throttled, false),
            ("ThrottledException", Kind::Throttled, Throttled, false),
            ("Throttling", Kind::Throttled, Throttled, false),
            ("ThrottlingException", Kind::Throttled, Throttled, false),
            ("TooManyRequestsException", Kind::Throttled, Throttled, false),
            ("ExpiredToken", Kind::Unauthenticated, CredentialsRefused, false),
            ("ExpiredTokenException", Kind::Unauthenticated, CredentialsRefused, false),
            ("InvalidClientTokenId", Kind::Unauthenticated, CredentialsRefused, false),
            ("UnauthenticatedException", Kind::Unauthenticated, CredentialsRefused, false),
            ("UnrecognizedClientException", Kind::Unauthenticated, CredentialsRefused, false),
            ("AccessDenied", Kind::Denied, AccessDenied, false),
            ("AccessDeniedException", Kind::Denied, AccessDenied, false),
            ("IncompleteSignature", Kind::Denied, AccessDenied, false),
            ("IncompleteSignatureException", Kind::Denied, AccessDenied, false),
            ("InvalidSignatureException", Kind::Denied, AccessDenied, false),
            ("MissingAuthenticationToken", Kind::Denied, AccessDenied, false),
            ("OptInRequired", Kind::Denied, AccessDenied, false),
            ("RegionDisabledException", Kind::Denied, AccessDenied, false),
            ("SignatureDoesNotMatch", Kind::Denied, AccessDenied, false),
            ("InvalidInput", Kind::Invalid, AccessDenied, false),
            ("InvalidInputException", Kind::Invalid, AccessDenied, false),
            ("InvalidParameterException", Kind::Invalid, AccessDenied, false),
            ("InvalidRequestException", Kind::Invalid, AccessDenied, false),
            ("InvalidTagParameterException", Kind::Invalid, AccessDenied, false),
            ("MalformedPolicyDocument", Kind::Invalid, AccessDenied, false),
            ("PackedPolicyTooLarge", Kind::Invalid, AccessDenied, false),
            ("PolicyNotAttachable", Kind::Invalid, AccessDenied, false),
            ("RequestEntityTooLargeException", Kind::Invalid, AccessDenied, false),
            ("SecretNotFoundException", Kind::Invalid, AccessDenied, false),
            ("TooManyTagsException", Kind::Invalid, AccessDenied, false),
            ("UnableToAccessSecretException", Kind::Invalid, AccessDenied, false),
            ("UnableToDecryptSecretValueException", Kind::Invalid, AccessDenied, false),
            ("UnknownOperationException", Kind::Invalid, AccessDenied, false),
            ("UnmodifiableEntity", Kind::Invalid, AccessDenied, false),
            ("UnsupportedUpstreamRegistryException", Kind::Invalid, AccessDenied, false),
            ("ValidationError", Kind::Invalid, AccessDenied, false),
            ("ValidationException", Kind::Invalid, AccessDenied, false),
            ("ConcurrentModification", Kind::Transient, Unreachable, false),
            ("RegionSetupInProgressException", Kind::Transient, Unreachable, false),
            ("InternalFailure", Kind::Transient, Unreachable, true),
            ("InternalServiceError", Kind::Transient, Unreachable, true),
            ("RequestTimeoutException", Kind::Transient, Unreachable, true),
            ("ServerException", Kind::Transient, Unreachable, true),
            ("ServiceException", Kind::Transient, Unreachable, true),
            ("ServiceFailure", Kind::Transient, Unreachable, true),
            ("ServiceUnavailable", Kind::Transient, Unreachable, true),
            ("TheNewestOfCodes", Kind::Transient, Unreachable, true),
        ]
    };

    #[test]
    fn every_code_has_its_kind_its_reason_and_its_effect() {
        for (code, kind, reason, outcome_unknown) in TABLE {
            let error = Error::answered("PutRolePolicy", &ErrorMetadata::builder().code(code).build());
            assert_eq!((error.kind, error.reason(), error.outcome_unknown), (kind, reason, outcome_unknown), "{code}");
        }
    }

    #[test]
    fn every_code_stands_once_and_is_looked_at_above() {
        let all: Vec<_> = CODES.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        for code in &all {
            assert_eq!(all.iter().filter(|other| *other == code).count(), 1, "{code}");
            assert!(TABLE.iter().any(|(looked_at, ..)| looked_at == code), "{code}");
        }
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
