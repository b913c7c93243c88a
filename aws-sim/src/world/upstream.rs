//! The upstreams a pull-through cache rule can have (aws-facts D.1), told by their URL.

use super::identity::{is_account_id, partition_of};

/// What ECR needs to pull from an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    Open,
    /// A secret with a user name and a token.
    Secret,
    /// Another private registry: a role, unless it is the same account's.
    Registry { account: String, region: String },
}

/// An upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// As `upstreamRegistry` names it.
    pub(crate) kind: &'static str,
    pub(crate) access: Access,
}

const FIXED: [(&str, &str, Access); 7] = [
    ("ecr-public", "public.ecr.aws", Access::Open),
    ("k8s", "registry.k8s.io", Access::Open),
    ("quay", "quay.io", Access::Open),
    ("docker-hub", "registry-1.docker.io", Access::Secret),
    ("github-container-registry", "ghcr.io", Access::Secret),
    ("gitlab-container-registry", "registry.gitlab.com", Access::Secret),
    ("chainguard", "cgr.dev", Access::Secret),
];

/// The values of `upstreamRegistry`.
pub(crate) const KINDS: [&str; 9] = [
    "ecr",
    "ecr-public",
    "quay",
    "k8s",
    "docker-hub",
    "github-container-registry",
    "azure-container-registry",
    "gitlab-container-registry",
    "chainguard",
];

/// The upstream behind a URL, seen from a Region; `None` for hosts that ECR does not cache. ECR to ECR stays within a
/// partition (aws-facts D.8: inference).
pub(crate) fn of_url(url: &str, region: &str) -> Option<Upstream> {
    if let Some((kind, _, access)) = FIXED.iter().find(|(_, host, _)| *host == url) {
        return Some(Upstream { kind, access: access.clone() });
    }
    if let Some(name) = url.strip_suffix(".azurecr.io") {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        return is_name.then_some(Upstream { kind: "azure-container-registry", access: Access::Secret });
    }
    let domain = match partition_of(region) {
        "aws" | "aws-us-gov" => ".amazonaws.com",
        "aws-cn" => ".amazonaws.com.cn",
        "aws-eusc" => ".amazonaws.eu",
        _ => return None,
    };
    let (account, upstream_region) = url.strip_suffix(domain)?.split_once(".dkr.ecr.")?;
    let is_registry = is_account_id(account)
        && !upstream_region.is_empty()
        && !upstream_region.contains('.')
        && partition_of(upstream_region) == partition_of(region);
    is_registry.then(|| Upstream {
        kind: "ecr",
        access: Access::Registry { account: account.to_owned(), region: upstream_region.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::{KINDS, of_url};

    /// aws-facts D.1.
    #[test]
    fn every_upstream_is_known_by_its_url() {
        let mut kinds: Vec<_> = [
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com",
            "public.ecr.aws",
            "registry.k8s.io",
            "quay.io",
            "registry-1.docker.io",
            "ghcr.io",
            "registry.gitlab.com",
            "own.azurecr.io",
            "cgr.dev",
        ]
        .into_iter()
        .map(|url| of_url(url, "us-east-1").unwrap().kind)
        .collect();
        let mut all = KINDS.to_vec();
        kinds.sort_unstable();
        all.sort_unstable();
        assert_eq!(kinds, all);
    }

    #[test]
    fn other_hosts_and_other_partitions_are_none() {
        for (url, region) in [
            ("docker.io", "eu-west-1"),
            ("https://quay.io", "eu-west-1"),
            (".azurecr.io", "eu-west-1"),
            ("11111111111.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1"),
            ("111111111111.dkr.ecr.us-gov-west-1.amazonaws.com", "eu-west-1"),
            ("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn", "eu-west-1"),
            ("111111111111.dkr.ecr.eu-west-1.amazonaws.com", "cn-north-1"),
        ] {
            assert_eq!(of_url(url, region), None, "{url} from {region}");
        }
        assert!(of_url("111111111111.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-northwest-1").is_some());
    }
}
