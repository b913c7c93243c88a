//! A repository as it is stored: its settings, its policy, its images by tag.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::identity::partition_of;
use super::registry::StoredPolicy;

/// A repository.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    /// Seconds since 1970.
    pub(crate) created_at: f64,
    pub(crate) mutability: String,
    pub(crate) exclusions: Option<Value>,
    pub(crate) scan_on_push: bool,
    pub(crate) encryption: Value,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) policy: Option<StoredPolicy>,
    /// Digests by tag.
    pub(crate) images: BTreeMap<String, String>,
}

/// The ARN of a repository.
pub(crate) fn arn(account: &str, region: &str, name: &str) -> String {
    format!("arn:{}:ecr:{region}:{account}:repository/{name}", partition_of(region))
}

impl Repository {
    /// A repository with ECR's defaults (aws-facts D.8).
    pub(crate) fn plain(created_at: f64) -> Self {
        let encryption = json!({"encryptionType": "AES256"});
        Self { created_at, mutability: "MUTABLE".to_owned(), encryption, ..Self::default() }
    }

    /// As the API shows it.
    pub(crate) fn shown(&self, account: &str, region: &str, name: &str) -> Value {
        let suffix = match partition_of(region) {
            "aws-cn" => "amazonaws.com.cn",
            "aws-eusc" => "amazonaws.eu",
            _ => "amazonaws.com",
        };
        let mut shown = json!({
            "repositoryArn": arn(account, region, name),
            "registryId": account,
            "repositoryName": name,
            "repositoryUri": format!("{account}.dkr.ecr.{region}.{suffix}/{name}"),
            "createdAt": self.created_at,
            "imageTagMutability": self.mutability,
            "imageScanningConfiguration": {"scanOnPush": self.scan_on_push},
            "encryptionConfiguration": self.encryption,
        });
        if let Some(exclusions) = &self.exclusions {
            shown["imageTagMutabilityExclusionFilters"] = exclusions.clone();
        }
        shown
    }
}
