//! A pull-through cache rule as it is stored, and which repositories it covers (aws-facts D.3).

use serde_json::{Map, Value, json};

/// The prefix of whatever no other rule covers, and the upstream prefix of whoever named none.
pub(crate) const ROOT: &str = "ROOT";

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CacheRule {
    /// As it was sent: whether AWS keeps a slash at its end is unverified (aws-facts J.14).
    pub(crate) prefix: String,
    pub(crate) upstream_url: String,
    pub(crate) upstream_registry: String,
    pub(crate) upstream_prefix: String,
    pub(crate) credential_arn: Option<String>,
    pub(crate) custom_role_arn: Option<String>,
    /// Seconds since 1970.
    pub(crate) created_at: f64,
    pub(crate) updated_at: f64,
}

/// A prefix as rules are told apart by it: `/` is always assumed at its end (aws-facts D.3).
pub(crate) fn key(prefix: &str) -> &str {
    prefix.strip_suffix('/').unwrap_or(prefix)
}

impl CacheRule {
    /// Members by the names of the API; absent where there is nothing to say.
    pub(crate) fn members(&self, account: &str, names: &[&str]) -> Value {
        let all = json!({
            "ecrRepositoryPrefix": self.prefix,
            "upstreamRegistryUrl": self.upstream_url,
            "upstreamRegistry": self.upstream_registry,
            "upstreamRepositoryPrefix": self.upstream_prefix,
            "credentialArn": self.credential_arn,
            "customRoleArn": self.custom_role_arn,
            "registryId": account,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        });
        let all = all.as_object().cloned().unwrap_or_default();
        let wanted = all.into_iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null());
        Value::Object(wanted.collect::<Map<_, _>>())
    }

    /// The upstream's name of a repository under the rule's prefix.
    pub(crate) fn upstream_repository(&self, repository: &str) -> Option<String> {
        let prefix = key(&self.prefix);
        let rest = if prefix == ROOT { Some(repository) } else { repository.strip_prefix(prefix)?.strip_prefix('/') };
        let upstream_prefix = key(&self.upstream_prefix);
        rest.filter(|rest| !rest.is_empty())
            .map(|rest| if upstream_prefix == ROOT { rest.to_owned() } else { format!("{upstream_prefix}/{rest}") })
    }

    /// How closely the rule's prefix fits: the longest one wins, `ROOT` is what is left.
    pub(crate) fn specificity(&self) -> usize {
        let prefix = key(&self.prefix);
        if prefix == ROOT { 0 } else { prefix.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::CacheRule;

    /// The table of aws-facts D.3.
    #[test]
    fn a_cache_repository_maps_to_its_upstream() {
        for (prefix, upstream, cached, expected) in [
            ("ecr-public", "ROOT", "ecr-public/my-app/image1", Some("my-app/image1")),
            ("ROOT", "ROOT", "my-app/image1", Some("my-app/image1")),
            ("team-a", "team-a", "team-a/myapp/image1", Some("team-a/myapp/image1")),
            ("my-app", "upstream-app", "my-app/image1", Some("upstream-app/image1")),
            ("my-app/", "upstream-app/", "my-app/image1", Some("upstream-app/image1")),
            ("my-app", "ROOT", "my-application/image1", None),
            ("my-app", "ROOT", "my-app", None),
        ] {
            let rule = CacheRule {
                prefix: prefix.to_owned(),
                upstream_url: String::new(),
                upstream_registry: String::new(),
                upstream_prefix: upstream.to_owned(),
                credential_arn: None,
                custom_role_arn: None,
                created_at: 0.0,
                updated_at: 0.0,
            };
            assert_eq!(rule.upstream_repository(cached).as_deref(), expected, "{prefix} {upstream} {cached}");
        }
    }
}
