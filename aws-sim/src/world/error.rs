//! What AWS says when it refuses. Texts and codes are those of aws-facts A.0, A.1, A.4 and B.4.

/// A refusal: HTTP status, wire code, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl AwsError {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// `InvalidParameterException` as ECR words it (aws-facts B.4).
    pub(crate) fn invalid_parameter(parameter: &str, constraint: &str) -> Self {
        Self::new(
            400,
            "InvalidParameterException",
            format!("Invalid parameter at '{parameter}' failed to satisfy constraint: '{constraint}'"),
        )
    }

    /// The one text for bad JSON, an action out of scope and an unknown principal alike (aws-facts B.4).
    pub(crate) fn invalid_registry_policy() -> Self {
        Self::invalid_parameter("PolicyText", "Invalid registry policy provided")
    }

    /// The answer of STS and IAM to a parameter they do not like.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// The same, in the words of both for a member that breaks its constraint.
    pub(crate) fn broken_constraint(member: &str, value: &str, constraint: &str) -> Self {
        Self::validation(format!(
            "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"
        ))
    }
}

/// The protocols differ in how a refusal before any operation is named: ECR's codes end in "Exception" (A.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// awsJson1.1: ECR, Secrets Manager, and whatever cannot be told.
    Json,
    /// Query in, XML out: STS and IAM.
    Query,
}

impl Protocol {
    pub(crate) fn missing_token() -> AwsError {
        AwsError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
    }

    pub(crate) fn incomplete_signature(self) -> AwsError {
        let code = match self {
            Self::Json => "IncompleteSignatureException",
            Self::Query => "IncompleteSignature",
        };
        AwsError::new(403, code, "Authorization header requires 'Credential' parameter.")
    }

    pub(crate) fn unknown_key(self) -> AwsError {
        let code = match self {
            Self::Json => "UnrecognizedClientException",
            Self::Query => "InvalidClientTokenId",
        };
        AwsError::new(403, code, "The security token included in the request is invalid.")
    }

    pub(crate) fn expired(self) -> AwsError {
        let code = match self {
            Self::Json => "ExpiredTokenException",
            Self::Query => "ExpiredToken",
        };
        AwsError::new(403, code, "The security token included in the request is expired")
    }

    /// What an identity policy denies in so many words.
    pub(crate) fn explicitly_denied(self, who: &str, action: &str) -> AwsError {
        let code = match self {
            Self::Json => "AccessDeniedException",
            Self::Query => "AccessDenied",
        };
        let why = "with an explicit deny in an identity-based policy";
        AwsError::new(403, code, format!("User: {who} is not authorized to perform: {action} on resource: * {why}"))
    }

    pub(crate) fn wrong_service(self, expected: &str) -> AwsError {
        let code = match self {
            Self::Json => "InvalidSignatureException",
            Self::Query => "SignatureDoesNotMatch",
        };
        AwsError::new(403, code, format!("Credential should be scoped to correct service: '{expected}'. "))
    }

    pub(crate) fn throttled(self) -> AwsError {
        let code = match self {
            Self::Json => "ThrottlingException",
            Self::Query => "Throttling",
        };
        AwsError::new(400, code, "Rate exceeded")
    }

    pub(crate) fn unknown_operation(self, operation: &str, version: &str) -> AwsError {
        match self {
            Self::Json => AwsError::new(404, "UnknownOperationException", format!("Unknown operation {operation}")),
            Self::Query => AwsError::new(
                400,
                "InvalidAction",
                format!("Could not find operation {operation} for version {version}"),
            ),
        }
    }
}
