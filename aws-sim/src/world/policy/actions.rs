//! Which actions a registry policy may name (aws-facts B.2, K.1).

use super::matches_pattern;
use crate::world::registry::Scope;

/// All that V1 enforces, and all that it lets one name.
pub(crate) const V1_ACTIONS: [&str; 3] = ["ecr:ReplicateImage", "ecr:BatchImportUpstreamImage", "ecr:CreateRepository"];

/// ECR's actions: the operations of its API, and three that are permissions only.
const ECR_ACTIONS: [&str; 65] = [
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "BatchGetRepositoryScanningConfiguration",
    "BatchImportUpstreamImage",
    "CompleteLayerUpload",
    "CreatePullThroughCacheRule",
    "CreateRepository",
    "CreateRepositoryCreationTemplate",
    "DeleteLifecyclePolicy",
    "DeletePullThroughCacheRule",
    "DeleteRegistryPolicy",
    "DeleteRepository",
    "DeleteRepositoryCreationTemplate",
    "DeleteRepositoryPolicy",
    "DeleteSigningConfiguration",
    "DeregisterPullTimeUpdateExclusion",
    "DescribeImageReplicationStatus",
    "DescribeImageScanFindings",
    "DescribeImageSigningStatus",
    "DescribeImages",
    "DescribePullThroughCacheRules",
    "DescribeRegistry",
    "DescribeReplicationBackfillResults",
    "DescribeRepositories",
    "DescribeRepositoryCreationTemplates",
    "GetAccountSetting",
    "GetAuthorizationToken",
    "GetDownloadUrlForLayer",
    "GetImageCopyStatus",
    "GetLifecyclePolicy",
    "GetLifecyclePolicyPreview",
    "GetRegistryPolicy",
    "GetRegistryScanningConfiguration",
    "GetRepositoryPolicy",
    "GetSigningConfiguration",
    "InitiateLayerUpload",
    "ListImageReferrers",
    "ListImages",
    "ListPullTimeUpdateExclusions",
    "ListReplicationBackfills",
    "ListTagsForResource",
    "PutAccountSetting",
    "PutImage",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "PutLifecyclePolicy",
    "PutRegistryPolicy",
    "PutRegistryScanningConfiguration",
    "PutReplicationConfiguration",
    "PutSigningConfiguration",
    "RegisterPullTimeUpdateExclusion",
    "ReplicateImage",
    "SetRepositoryPolicy",
    "StartImageScan",
    "StartLifecyclePolicyPreview",
    "StartReplicationBackfill",
    "StopReplicationBackfill",
    "TagResource",
    "UntagResource",
    "UpdateImageStorageClass",
    "UpdatePullThroughCacheRule",
    "UpdateRepositoryCreationTemplate",
    "UploadLayerPart",
    "ValidatePullThroughCacheRule",
];

/// Whether a Put may name this action. A wildcard is stored in either scope (K.1); under V1 it sleeps. Names ignore
/// letter case, as IAM's do.
pub(crate) fn is_accepted(action: &str, scope: Scope) -> bool {
    let is_wildcard = action.contains(['*', '?']);
    match (action.split_once(':'), scope) {
        (None, _) => action == "*",
        (Some((service, _)), _) if is_wildcard => service.eq_ignore_ascii_case("ecr"),
        (Some(_), Scope::V1) => V1_ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(action)),
        (Some((service, name)), Scope::V2) => {
            service.eq_ignore_ascii_case("ecr") && ECR_ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
        }
    }
}

/// Whether the registry policy has a say about this action at all.
pub(crate) fn is_enforced(action: &str, scope: Scope) -> bool {
    scope == Scope::V2 || V1_ACTIONS.iter().any(|known| known.eq_ignore_ascii_case(action))
}

/// Whether a pattern of a statement covers an action.
pub(crate) fn covers(pattern: &str, action: &str) -> bool {
    matches_pattern(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{Scope, is_accepted};

    /// aws-facts B.2, K.1.
    #[test]
    fn v1_takes_its_three_actions_and_wildcards_and_v2_takes_every_ecr_action() {
        for (action, in_v1, in_v2) in [
            ("ecr:ReplicateImage", true, true),
            ("ECR:createrepository", true, true),
            ("ecr:BatchImportUpstreamImage", true, true),
            ("ecr:BatchGetImage", false, true),
            ("ecr:GetImageCopyStatus", false, true),
            ("ecr:*", true, true),
            ("ecr:Batch*", true, true),
            ("*", true, true),
            ("ecr:NoSuchAction", false, false),
            ("s3:GetObject", false, false),
            ("s3:*", false, false),
            ("ReplicateImage", false, false),
        ] {
            assert_eq!(is_accepted(action, Scope::V1), in_v1, "{action} under V1");
            assert_eq!(is_accepted(action, Scope::V2), in_v2, "{action} under V2");
        }
    }
}
