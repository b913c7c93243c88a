//! The names of ECR's actions, what each reaches, and which of them a registry of scope V1 enforces (aws-facts A.8, B.2).

use std::cmp::Ordering;
use std::fmt;

use super::document::Stored;
use crate::names::Partition;

/// An action such as `ecr:BatchGetImage`, or a pattern of them. Compares ignoring case, as IAM does; a known ECR
/// action is spelled the way AWS spells it, anything else as it was given.
#[derive(Clone, Debug)]
pub struct Action(String);

impl Action {
    /// Takes any text: foreign statements hold patterns and other services' actions. [`super::lint()`] judges ours.
    pub fn new(text: &str) -> Self {
        Self(known(text).map_or_else(|| text.to_owned(), |known| format!("ecr:{}", known.name)))
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names more than one action.
    pub fn is_wildcard(&self) -> bool {
        self.0.contains(['*', '?'])
    }

    /// What is known of this action; `None` for patterns, other services and names AWS does not document.
    pub fn known(&self) -> Option<&'static KnownAction> {
        known(&self.0)
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|b| b.to_ascii_lowercase())
    }
}

impl From<&str> for Action {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for Action {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Action {}

impl PartialOrd for Action {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Action {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

/// One action of ECR's service authorization reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownAction {
    /// Without the `ecr:`.
    pub name: &'static str,
    /// IAM knows it with `Resource: "*"` only: it acts on the registry, not on a repository.
    pub registry_level: bool,
    /// Whoever may do it may give himself everything else.
    pub policy_writing: bool,
    /// Enforced by registry policies of scope V1.
    pub enforced_under_v1: bool,
}

const fn repository(name: &'static str) -> KnownAction {
    KnownAction { name, registry_level: false, policy_writing: false, enforced_under_v1: false }
}

const fn v1(name: &'static str) -> KnownAction {
    KnownAction { enforced_under_v1: true, ..repository(name) }
}

const fn registry(name: &'static str) -> KnownAction {
    KnownAction { registry_level: true, ..repository(name) }
}

const fn repository_policy(name: &'static str) -> KnownAction {
    KnownAction { policy_writing: true, ..repository(name) }
}

const fn registry_policy(name: &'static str) -> KnownAction {
    KnownAction { policy_writing: true, ..registry(name) }
}

const KNOWN: &[KnownAction] = &[
    repository("BatchCheckLayerAvailability"),
    repository("BatchDeleteImage"),
    repository("BatchGetImage"),
    repository("BatchGetRepositoryScanningConfiguration"),
    v1("BatchImportUpstreamImage"),
    repository("CompleteLayerUpload"),
    registry("CreatePullThroughCacheRule"),
    v1("CreateRepository"),
    // A template hands a policy to every repository born under its prefix.
    registry_policy("CreateRepositoryCreationTemplate"),
    repository("DeleteLifecyclePolicy"),
    registry("DeletePullThroughCacheRule"),
    registry_policy("DeleteRegistryPolicy"),
    repository("DeleteRepository"),
    registry_policy("DeleteRepositoryCreationTemplate"),
    repository_policy("DeleteRepositoryPolicy"),
    registry("DeleteSigningConfiguration"),
    registry("DeregisterPullTimeUpdateExclusion"),
    repository("DescribeImageReplicationStatus"),
    repository("DescribeImageScanFindings"),
    repository("DescribeImageSigningStatus"),
    repository("DescribeImages"),
    registry("DescribePullThroughCacheRules"),
    registry("DescribeRegistry"),
    registry("DescribeReplicationBackfillResults"),
    repository("DescribeRepositories"),
    registry("DescribeRepositoryCreationTemplates"),
    registry("GetAccountSetting"),
    registry("GetAuthorizationToken"),
    repository("GetDownloadUrlForLayer"),
    repository("GetImageCopyStatus"),
    repository("GetLifecyclePolicy"),
    repository("GetLifecyclePolicyPreview"),
    registry("GetRegistryPolicy"),
    registry("GetRegistryScanningConfiguration"),
    repository("GetRepositoryPolicy"),
    registry("GetSigningConfiguration"),
    repository("InitiateLayerUpload"),
    repository("ListImageReferrers"),
    repository("ListImages"),
    registry("ListPullTimeUpdateExclusions"),
    registry("ListReplicationBackfills"),
    repository("ListTagsForResource"),
    // The scope of the registry policy is an account setting.
    registry_policy("PutAccountSetting"),
    repository("PutImage"),
    repository("PutImageScanningConfiguration"),
    repository("PutImageTagMutability"),
    repository("PutLifecyclePolicy"),
    registry_policy("PutRegistryPolicy"),
    registry("PutRegistryScanningConfiguration"),
    registry("PutReplicationConfiguration"),
    registry("PutSigningConfiguration"),
    registry("RegisterPullTimeUpdateExclusion"),
    v1("ReplicateImage"),
    repository_policy("SetRepositoryPolicy"),
    repository("StartImageScan"),
    repository("StartLifecyclePolicyPreview"),
    registry("StartReplicationBackfill"),
    registry("StopReplicationBackfill"),
    repository("TagResource"),
    repository("UntagResource"),
    repository("UpdateImageStorageClass"),
    registry("UpdatePullThroughCacheRule"),
    registry_policy("UpdateRepositoryCreationTemplate"),
    repository("UploadLayerPart"),
    registry("ValidatePullThroughCacheRule"),
];

fn known(text: &str) -> Option<&'static KnownAction> {
    let (service, name) = text.split_once(':')?;
    let is_ecr = service.eq_ignore_ascii_case("ecr");
    KNOWN.iter().find(|known| is_ecr && known.name.eq_ignore_ascii_case(name))
}

/// Whether a registry of scope V1 enforces this action; any other it refuses or leaves dormant (aws-facts B.2, K.1).
pub fn is_enforced_under_v1(action: &Action) -> bool {
    action.known().is_some_and(|known| known.enforced_under_v1)
}

/// Whether a switch from scope V1 to V2 would wake this statement: an action beyond the three of V1, a wildcard,
/// `NotAction`, or a shape we cannot judge, which a person has to look at (aws-facts K.1).
pub fn is_dormant_under_v1(stored: &Stored, partition: Partition) -> bool {
    stored.normal(partition).is_none_or(|statement| !statement.actions.iter().all(is_enforced_under_v1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaviour 1: the letter case of actions does not matter.
    #[test]
    fn an_action_compares_ignoring_case_and_prints_as_aws_spells_it() {
        assert_eq!(Action::new("ECR:batchgetimage"), Action::new("ecr:BatchGetImage"));
        assert_eq!(Action::new("ECR:batchgetimage").as_str(), "ecr:BatchGetImage");
        assert_eq!(Action::new("ecr:FooBar"), Action::new("Ecr:foobar"));
        assert_eq!(Action::new("ecr:FooBar").as_str(), "ecr:FooBar");
        assert_eq!(Action::new("ecr:A").cmp(&Action::new("ECR:a")), Ordering::Equal);
    }

    /// Behaviour 16: what V1 enforces is three actions.
    #[test]
    fn v1_enforces_three_actions() {
        let enforced: Vec<_> = KNOWN.iter().filter(|known| known.enforced_under_v1).map(|known| known.name).collect();
        assert_eq!(enforced, ["BatchImportUpstreamImage", "CreateRepository", "ReplicateImage"]);
        assert!(is_enforced_under_v1(&Action::new("ecr:replicateimage")));
        assert!(!is_enforced_under_v1(&Action::new("ecr:Replicate*")));
        assert!(!is_enforced_under_v1(&Action::new("s3:ReplicateImage")));
    }

    #[test]
    fn the_table_is_sorted_and_free_of_duplicates() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
