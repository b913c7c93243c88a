//! The controls of repositories and cache rules: reading what is stored, and the foreign hand, unchecked and unrecorded.

use serde_json::Value;

use super::World;
use super::cache_rule::{CacheRule, ROOT, key};
use super::registry::State;
use super::repository::Repository;
use super::upstream;

impl World {
    /// A pull-through cache rule as DescribePullThroughCacheRules shows it, without its times.
    pub fn cache_rule(&self, account: &str, region: &str, prefix: &str) -> Option<Value> {
        let rule = self.stored(account, region)?.cache_rules.get(key(prefix))?;
        Some(rule.members(account, &super::ecr::RECORDED))
    }

    /// The prefixes of the rules of a registry, in their order.
    pub fn cache_prefixes(&self, account: &str, region: &str) -> Vec<String> {
        let rules = self.stored(account, region).into_iter().flat_map(|s| s.cache_rules.values());
        rules.map(|rule| rule.prefix.clone()).collect()
    }

    /// Puts a rule by a foreign hand, by the members that Create takes: whatever they say, in place of any other of that
    /// prefix.
    pub fn put_cache_rule(&mut self, account: &str, region: &str, members: &Value) {
        let member = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let url = member("upstreamRegistryUrl").unwrap_or_default();
        let kind = || upstream::of_url(&url, region).map(|u| u.kind.to_owned());
        let now = self.unix_now();
        let rule = CacheRule {
            prefix: member("ecrRepositoryPrefix").unwrap_or_default(),
            upstream_registry: member("upstreamRegistry").or_else(kind).unwrap_or_default(),
            upstream_url: url,
            upstream_prefix: member("upstreamRepositoryPrefix").unwrap_or_else(|| ROOT.to_owned()),
            credential_arn: member("credentialArn"),
            custom_role_arn: member("customRoleArn"),
            created_at: now,
            updated_at: now,
        };
        let prefix = key(&rule.prefix).to_owned();
        self.registry(account, region).change(|state| state.cache_rules.insert(prefix, rule));
    }

    /// Deletes a rule by a foreign hand.
    pub fn delete_cache_rule(&mut self, account: &str, region: &str, prefix: &str) {
        self.registry(account, region).change(|state| state.cache_rules.remove(key(prefix)));
    }

    /// Creates a repository, unless it is there.
    pub fn add_repository(&mut self, account: &str, region: &str, name: &str) {
        let plain = Repository::plain(self.unix_now());
        self.registry(account, region).change(|state| {
            state.repositories.entry(name.to_owned()).or_insert(plain);
        });
    }

    /// Deletes a repository with all that is in it.
    pub fn delete_repository(&mut self, account: &str, region: &str, name: &str) {
        self.registry(account, region).change(|state| state.repositories.remove(name));
    }

    /// The names of the repositories of a registry, in their order.
    pub fn repositories(&self, account: &str, region: &str) -> Vec<String> {
        self.stored(account, region).into_iter().flat_map(|s| s.repositories.keys().cloned()).collect()
    }

    /// Puts an image under a tag, into a repository that is created if it is missing. Returns the digest.
    pub fn put_image(&mut self, account: &str, region: &str, name: &str, tag: &str) -> String {
        self.add_repository(account, region, name);
        let digest = format!("sha256:{}", self.random(b"0123456789abcdef", 64));
        self.edit_repository(account, region, name, |repository| {
            repository.images.insert(tag.to_owned(), digest.clone());
        });
        digest
    }

    /// The policy of a repository as it is stored: the text as it was sent.
    pub fn repository_policy_text(&self, account: &str, region: &str, name: &str) -> Option<String> {
        let repository = self.stored(account, region)?.repositories.get(name)?;
        repository.policy.as_ref().map(|p| p.text.clone())
    }

    /// Puts the policy of a repository by a foreign hand: any text, unchecked; `None` takes it away.
    pub fn put_repository_policy(&mut self, account: &str, region: &str, name: &str, text: Option<&str>) {
        let policy = text.map(|text| self.bind(text));
        self.edit_repository(account, region, name, |repository| repository.policy = policy);
    }

    fn edit_repository(&mut self, account: &str, region: &str, name: &str, edit: impl FnOnce(&mut Repository)) {
        self.registry(account, region).change(|state: &mut State| state.repositories.get_mut(name).map(edit));
    }
}
