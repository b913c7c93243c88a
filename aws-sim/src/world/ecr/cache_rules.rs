//! CreatePullThroughCacheRule, UpdatePullThroughCacheRule, DeletePullThroughCacheRule (aws-facts A.1, D.1 to D.4).

use serde_json::Value;

use super::EcrCall;
use crate::world::cache_rule::{CacheRule, ROOT, key};
use crate::world::error::AwsError;
use crate::world::secrets::Unusable;
use crate::world::upstream::{self, Access, KINDS, Upstream};

/// Rules of a registry (aws-facts D.4).
const LIMIT: usize = 50;

/// The role that ECR makes for itself (aws-facts D.7).
const SERVICE: &str = "pullthroughcache.ecr.amazonaws.com";
const SERVICE_ROLE: &str = "AWSServiceRoleForECRPullThroughCache";
const SERVICE_ROLE_POLICY: &str = "AWSECRPullThroughCache_ServiceRolePolicy";

const CREATED: [&str; 8] = [
    "ecrRepositoryPrefix",
    "upstreamRegistryUrl",
    "createdAt",
    "registryId",
    "upstreamRegistry",
    "credentialArn",
    "customRoleArn",
    "upstreamRepositoryPrefix",
];
const UPDATED: [&str; 6] =
    ["ecrRepositoryPrefix", "registryId", "updatedAt", "credentialArn", "customRoleArn", "upstreamRepositoryPrefix"];
const DELETED: [&str; 7] = [
    "ecrRepositoryPrefix",
    "upstreamRegistryUrl",
    "createdAt",
    "registryId",
    "credentialArn",
    "customRoleArn",
    "upstreamRepositoryPrefix",
];

pub(super) fn create(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let rule = call.wanted_rule()?;
    let rules = &call.current().cache_rules;
    if rules.contains_key(key(&rule.prefix)) {
        let message = format!(
            "A pull through cache rule already exists with the prefix '{}' in the registry with id '{}'",
            rule.prefix, call.account
        );
        return Err(AwsError::new(400, "PullThroughCacheRuleAlreadyExistsException", message));
    }
    if rules.len() >= LIMIT {
        let message = format!("The registry with id '{}' already has {LIMIT} pull through cache rules", call.account);
        return Err(AwsError::new(400, "LimitExceededException", message));
    }
    call.world.ensure_service_linked_role(call.account, SERVICE, SERVICE_ROLE, SERVICE_ROLE_POLICY);
    let shown = rule.members(call.account, &CREATED);
    call.change(|state| drop(state.cache_rules.insert(key(&rule.prefix).to_owned(), rule)));
    Ok(shown)
}

pub(super) fn update(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let mut rule = call.existing_rule()?;
    let (credential_arn, custom_role_arn) =
        (call.optional_text("credentialArn")?, call.optional_text("customRoleArn")?);
    if credential_arn.is_none() && custom_role_arn.is_none() {
        // pulumi/pulumi-aws#5714, word for word.
        return Err(AwsError::new(
            400,
            "InvalidParameterException",
            "Invalid input: Please set either credential arn or role arn to update the credentials",
        ));
    }
    call.check_credential(credential_arn.as_deref())?;
    call.check_role(custom_role_arn.as_deref())?;
    rule.credential_arn = credential_arn.or(rule.credential_arn);
    rule.custom_role_arn = custom_role_arn.or(rule.custom_role_arn);
    rule.updated_at = call.world.unix_now();
    let shown = rule.members(call.account, &UPDATED);
    call.change(|state| drop(state.cache_rules.insert(key(&rule.prefix).to_owned(), rule)));
    Ok(shown)
}

/// What was cached stays: ordinary repositories (aws-facts D.4).
pub(super) fn delete(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let rule = call.existing_rule()?;
    call.change(|state| drop(state.cache_rules.remove(key(&rule.prefix))));
    Ok(rule.members(call.account, &DELETED))
}

pub(super) fn not_found(account: &str, prefix: &str) -> AwsError {
    let message = format!("Pull through cache rule with prefix '{prefix}' does not exist in registry '{account}'");
    AwsError::new(400, "PullThroughCacheRuleNotFoundException", message)
}

impl EcrCall<'_> {
    /// The rule of the prefix in the input, as it is.
    fn existing_rule(&mut self) -> Result<CacheRule, AwsError> {
        let prefix = self.text("ecrRepositoryPrefix")?;
        Self::check_prefix("ecrRepositoryPrefix", &prefix)?;
        let found = self.current().cache_rules.get(key(&prefix)).cloned();
        found.ok_or_else(|| not_found(self.account, &prefix))
    }

    fn wanted_rule(&mut self) -> Result<CacheRule, AwsError> {
        let (prefix, url) = (self.text("ecrRepositoryPrefix")?, self.text("upstreamRegistryUrl")?);
        Self::check_prefix("ecrRepositoryPrefix", &prefix)?;
        let upstream_prefix = self.optional_text("upstreamRepositoryPrefix")?;
        if let Some(upstream_prefix) = &upstream_prefix {
            Self::check_prefix("upstreamRepositoryPrefix", upstream_prefix)?;
            if prefix == ROOT {
                let constraint = "must not be set when ecrRepositoryPrefix is ROOT";
                return Err(AwsError::invalid_parameter("upstreamRepositoryPrefix", constraint));
            }
        }
        let upstream = self.wanted_upstream(&url)?;
        let (credential_arn, custom_role_arn) =
            (self.optional_text("credentialArn")?, self.optional_text("customRoleArn")?);
        if upstream.access == Access::Secret && credential_arn.is_none() {
            // aws-controllers-k8s/community#2589; the end of the text is not on record.
            return Err(unsupported(
                "The specified upstream registry requires authentication. Specify a valid Secrets Manager ARN.",
            ));
        }
        self.check_credential(credential_arn.as_deref())?;
        // Whether a rule for another account's registry is refused without a role, or with one that ECR cannot assume,
        // is unverified (aws-facts J.15): here only a role that is not there is, and the rest shows at the first pull.
        self.check_role(custom_role_arn.as_deref())?;
        let now = self.world.unix_now();
        Ok(CacheRule {
            prefix,
            upstream_url: url,
            upstream_registry: upstream.kind.to_owned(),
            upstream_prefix: upstream_prefix.unwrap_or_else(|| ROOT.to_owned()),
            credential_arn,
            custom_role_arn,
            created_at: now,
            updated_at: now,
        })
    }

    /// The upstream of the URL, which `upstreamRegistry` may repeat. Code and text of a contradiction are unverified.
    fn wanted_upstream(&self, url: &str) -> Result<Upstream, AwsError> {
        let named = self.optional_text("upstreamRegistry")?;
        if named.as_ref().is_some_and(|named| !KINDS.contains(&named.as_str())) {
            let constraint = format!("Member must satisfy enum value set: [{}]", KINDS.join(", "));
            return Err(AwsError::invalid_parameter("upstreamRegistry", &constraint));
        }
        let upstream = upstream::of_url(url, self.region)
            .ok_or_else(|| unsupported(&format!("The specified upstream registry '{url}' is not supported")))?;
        if named.is_some_and(|named| named != upstream.kind) {
            let constraint = format!("does not match the upstream registry of '{url}'");
            return Err(AwsError::invalid_parameter("upstreamRegistry", &constraint));
        }
        Ok(upstream)
    }

    /// aws-facts A.0, D.2: the secret's form, that it is there, and that AWS's own key opens it. What it holds is not
    /// looked at.
    fn check_credential(&self, arn: Option<&str>) -> Result<(), AwsError> {
        let Some(arn) = arn else {
            return Ok(());
        };
        if !(50..=612).contains(&arn.chars().count()) {
            return Err(AwsError::invalid_parameter("credentialArn", "Member must have length between 50 and 612"));
        }
        if !is_credential_arn(arn) {
            let constraint = "must satisfy regular expression '^arn:aws(-\\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:\
                              ecr\\-pullthroughcache\\/[a-zA-Z0-9\\/_+=.@-]+$'";
            return Err(AwsError::invalid_parameter("credentialArn", constraint));
        }
        match self.world.usable_secret(self.account, self.region, arn) {
            Ok(_) => Ok(()),
            Err(Unusable::NotFound) => {
                let message = "The ARN of the secret specified in the pull through cache rule was not found.";
                Err(AwsError::new(400, "SecretNotFoundException", message))
            }
            Err(Unusable::CustomerKey) => {
                let message = "The secret is accessible but is unable to be decrypted.";
                Err(AwsError::new(400, "UnableToDecryptSecretValueException", message))
            }
        }
    }

    /// aws-facts A.0: "must be in the same account as the registry". A role that is not there, or not to be seen yet,
    /// is refused too; code and text of both are UNVERIFIED (A.1, D.9, J.15).
    fn check_role(&self, arn: Option<&str>) -> Result<(), AwsError> {
        let Some(arn) = arn else {
            return Ok(());
        };
        if arn.chars().count() > 2048 {
            return Err(AwsError::invalid_parameter("customRoleArn", "Member must have length at most 2048"));
        }
        let is_own = arn.split(':').nth(4) == Some(self.account) && arn.contains(":role/");
        if !is_own {
            let constraint = "the role must be in the same account as the registry";
            return Err(AwsError::invalid_parameter("customRoleArn", constraint));
        }
        if self.world.role_seen(arn).is_none() {
            return Err(AwsError::invalid_parameter("customRoleArn", "the role does not exist"));
        }
        Ok(())
    }
}

fn unsupported(message: &str) -> AwsError {
    AwsError::new(400, "UnsupportedUpstreamRegistryException", message)
}

fn is_credential_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(7, ':').collect();
    let ["arn", partition, "secretsmanager", region, account, "secret", name] = parts.as_slice() else {
        return false;
    };
    let is_place = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_partition = *partition == "aws" || partition.strip_prefix("aws-").is_some_and(is_place);
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c));
    is_partition
        && is_place(region)
        && is_place(account)
        && name.strip_prefix("ecr-pullthroughcache/").is_some_and(is_name)
}

#[cfg(test)]
mod tests {
    use super::is_credential_arn;

    /// aws-facts A.0.
    #[test]
    fn credentials_are_secrets_under_ecrs_own_prefix() {
        let arn = |name: &str| format!("arn:aws:secretsmanager:eu-west-1:111111111111:secret:{name}");
        assert!(is_credential_arn(&arn("ecr-pullthroughcache/team/hub-AbC123")));
        assert!(is_credential_arn(&arn("ecr-pullthroughcache/x").replace(":aws:", ":aws-us-gov:")));
        for bad in ["ecr-pullthroughcache/", "ecr-pullthroughcache/a b", "other/hub", "ecr-pullthroughcache/a:b"] {
            assert!(!is_credential_arn(&arn(bad)), "{bad}");
        }
        assert!(!is_credential_arn(&arn("ecr-pullthroughcache/x").replace("secretsmanager", "ssm")));
    }
}
