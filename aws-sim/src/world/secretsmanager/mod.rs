//! Secrets Manager: DescribeSecret, and GetSecretValue, which is always refused: a secret's value is nobody's business
//! here, and a test can tell from the record that nobody asked (aws-facts A.6).

use serde_json::{Map, Value, json};

use super::World;
use super::error::AwsError;
use super::identity::Caller;
use super::registry::View;
use super::secrets::Secret;
use super::wire::Asked;

const NOT_FOUND: &str = "Secrets Manager can't find the specified secret.";

/// Runs the operation that was asked for.
pub(super) fn run(world: &mut World, caller: &Caller, asked: &Asked, view: View) -> Result<Value, AwsError> {
    match asked.operation.as_str() {
        "DescribeSecret" => describe(world, caller, asked, view),
        "GetSecretValue" => {
            let id = secret_id(asked).unwrap_or_default();
            let message = format!(
                "User: {} is not authorized to perform: secretsmanager:GetSecretValue on resource: {id}",
                caller.arn
            );
            Err(AwsError::new(400, "AccessDeniedException", message))
        }
        other => Err(asked.protocol.unknown_operation(other, "")),
    }
}

/// What a call is about: the secret as the caller names it.
pub(super) fn target(asked: &Asked) -> Option<String> {
    secret_id(asked).map(|id| format!("secret/{id}"))
}

fn secret_id(asked: &Asked) -> Option<String> {
    let input: Map<String, Value> = serde_json::from_slice(&asked.body).ok()?;
    input.get("SecretId")?.as_str().map(str::to_owned)
}

fn describe(world: &mut World, caller: &Caller, asked: &Asked, view: View) -> Result<Value, AwsError> {
    let id = secret_id(asked).filter(|id| (1..=2_048).contains(&id.chars().count()));
    let refused =
        || AwsError::new(400, "InvalidParameterException", "You must provide a SecretId of 1 to 2048 characters.");
    let id = id.ok_or_else(refused)?;
    let secrets = world.secrets_mut(&caller.account, &asked.region).seen(view);
    let found = secrets.iter().find(|(name, secret)| is_meant(&id, name, secret));
    let (name, secret) = found.ok_or_else(|| AwsError::new(400, "ResourceNotFoundException", NOT_FOUND))?;
    let mut shown = json!({
        "ARN": secret.arn,
        "Name": name,
        "CreatedDate": secret.created_at,
        "LastChangedDate": secret.created_at,
        "VersionIdsToStages": {&secret.version_id: ["AWSCURRENT"]},
    });
    if let Some(key) = &secret.kms_key_id {
        shown["KmsKeyId"] = key.as_str().into();
    }
    if let Some(date) = secret.deleted_at {
        shown["DeletedDate"] = date.into();
    }
    Ok(shown)
}

/// By name, by ARN, or by ARN without the random end. A re-created secret is not meant by the ARN of the first.
fn is_meant(id: &str, name: &str, secret: &Secret) -> bool {
    let without_end = secret.arn.rsplit_once('-').map(|(arn, _)| arn);
    id == name || id == secret.arn || Some(id) == without_end
}
