//! A call that failed: what the session makes of it, and the words of a condition.

use std::time::Duration;

use aws_sdk_ecr::error::ProvideErrorMetadata;
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;
use aws_smithy_runtime_api::client::result::SdkError;
use ecr_permissions_core::api::Identity;
use ecr_permissions_core::reason::{Because, Reason};

use super::error::{ASSUME_ROLE, Error, Kind, PACKED_POLICY_TOO_LARGE, REGION_DISABLED, no_credentials};
use super::gate::Gate;
use super::session::Session;

/// Credentials that AWS has not taken for so long, nor newer ones, are a person's concern: IAM is never as late.
const HEALS_WITHIN: Duration = Duration::from_mins(5);

impl Session {
    /// A failed call of this session. Who was asked to slow down does so from now on, and credentials that were refused are
    /// not used by the next pass.
    pub(super) fn failed<E, R>(&self, operation: &'static str, error: &SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        self.noted(&self.gate, Error::of(operation, error))
    }

    /// The same for a call of IAM, which has one rate for the whole account.
    pub(super) fn failed_in_iam<E, R>(&self, operation: &'static str, error: &SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        self.noted(&self.iam_gate, Error::of(operation, error))
    }

    fn noted(&self, gate: &Gate, error: Error) -> Error {
        match error.kind {
            Kind::Throttled => gate.throttled(),
            Kind::Unauthenticated => self.credentials.refused(),
            _ => {}
        }
        error
    }

    /// STS did not say whose the credentials are.
    pub(super) fn unidentified(&self, error: &aws_sdk_sts::error::SdkError<GetCallerIdentityError>) -> Because {
        let failure = self.failed("GetCallerIdentity", error);
        if failure.kind == Kind::Transient && self.identity.is_none() && no_credentials(error) {
            let message = "The operator has no AWS credentials of its own, and the Registry names no role: give the pod an identity, or set spec.identity.";
            return Because::new(Reason::Unreachable, message);
        }
        self.because(&failure)
    }

    pub(super) fn of_another_account(&self, account: &str) -> Because {
        let cure = if self.identity.is_some() {
            "spec.identity.roleArn is of another account"
        } else {
            "the pod's own credentials are of another account; name a role of it in spec.identity.roleArn"
        };
        let message =
            format!("The credentials are of account {account}, and the Registry says {}: {cure}.", self.key.account);
        Because::new(Reason::AccountMismatch, message)
    }

    /// A failed call in the words of a condition.
    pub fn because(&self, error: &Error) -> Because {
        if error.kind == Kind::Unauthenticated {
            return self.refused(error);
        }
        let message = match (&self.identity, error.kind, error.code.as_deref()) {
            (_, _, Some(REGION_DISABLED)) => format!(
                "AWS STS is not active in Region {} for account {} ({REGION_DISABLED}): its administrator has to activate the Region.",
                self.key.region, self.key.account
            ),
            (Some(identity), Kind::RoleDenied, Some(PACKED_POLICY_TOO_LARGE)) => format!(
                "Role {} could not be assumed: the session tags that the operator's own session passes on are too long ({PACKED_POLICY_TOO_LARGE}). Let it pass on fewer or shorter ones.",
                identity.role_arn
            ),
            (Some(identity), Kind::RoleDenied, _) => could_not_be_assumed(identity),
            _ => said(error),
        };
        Because::new(error.reason(), message)
    }

    /// AWS does not take the credentials. For a while that heals: others are obtained with the next pass.
    fn refused(&self, error: &Error) -> Because {
        let whose = match &self.identity {
            Some(identity) if error.operation != ASSUME_ROLE => format!("those of role {}", identity.role_arn),
            _ => "the operator's own".to_owned(),
        };
        let said = said(error);
        if self.credentials.refused_for() < HEALS_WITHIN {
            let message = format!(
                "AWS does not take the credentials ({whose}) any more, and others are asked for with the next pass. {said}"
            );
            return Because::new(Reason::CredentialsRefused, message);
        }
        let message = format!(
            "AWS does not take the credentials ({whose}), nor others that were asked for: check that who they stand for exists, and that Region {} is enabled in account {}. {said}",
            self.key.region, self.key.account
        );
        Because::new(Reason::AccessDenied, message)
    }
}

/// The call, and AWS's words.
fn said(error: &Error) -> String {
    format!("{}: {}.", error.operation, error.message.trim_end_matches('.'))
}

fn could_not_be_assumed(identity: &Identity) -> String {
    let with = if identity.external_id.is_some() { "with an external id" } else { "without an external id" };
    format!(
        "Role {} could not be assumed {with}: check that it exists, that its trust policy names the operator's own role, and that both agree on sts:ExternalId.",
        identity.role_arn
    )
}
