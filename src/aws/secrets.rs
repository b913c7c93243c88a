//! The one call for secrets: what a secret's ARN is. Its value is never asked for.

use ecr_permissions_core::reason::{Because, Reason};

use super::error::Kind;
use super::session::Proven;

impl Proven {
    /// The ARN of a secret, with its random suffix.
    pub async fn secret_arn(&self, name: &str) -> Result<String, Because> {
        self.session.gate.read().await;
        let session = self.session();
        let gone = |why: &str| {
            let message = format!(
                "Secret {name} {why} in account {} in {}: create it there, or name another in spec.upstream.secretName.",
                session.key().account,
                session.key().region
            );
            Because::new(Reason::SecretNotFound, message)
        };
        match session.secrets.describe_secret().secret_id(name).send().await {
            Ok(secret) if secret.deleted_date().is_some() => Err(gone("is being deleted")),
            Ok(secret) => secret.arn().map(str::to_owned).ok_or_else(|| gone("has no ARN")),
            Err(error) => match session.failed("DescribeSecret", &error) {
                missing if missing.kind == Kind::NotFound => Err(gone("does not exist")),
                other => Err(session.because(&other)),
            },
        }
    }
}
