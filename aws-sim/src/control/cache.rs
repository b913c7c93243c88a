//! Repositories and pull-through cache rules, and whether a pull would go through.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{document_text, nothing};
use crate::world::World;

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum CacheControl {
    /// Whether a pull of `PREFIX/…` goes through the cache: `{"allowed": ..., "because": ...}`.
    WouldPullThrough { puller: String, repository: String, account: String, region: String },
    /// The rule of a prefix, by the members of the API: `{"rule": ...}`, null if there is none.
    CacheRule { account: String, region: String, prefix: String },
    /// `{"prefixes": [...]}`
    CacheRules { account: String, region: String },
    /// A foreign hand puts a rule, by the members of Create.
    PutCacheRule { account: String, region: String, rule: Value },
    /// A foreign hand deletes a rule.
    DeleteCacheRule { account: String, region: String, prefix: String },
    /// `{"repositories": [...]}`
    Repositories { account: String, region: String },
    /// Creates a repository, unless it is there.
    AddRepository { account: String, region: String, name: String },
    /// Deletes a repository and its images.
    DeleteRepository { account: String, region: String, name: String },
    /// Puts an image under a tag; the repository is created if missing: `{"digest": ...}`.
    PutImage { account: String, region: String, name: String, tag: String },
    /// The repository's policy as stored: `{"text": ...}`, null if there is none.
    RepositoryPolicy { account: String, region: String, name: String },
    /// A foreign hand puts it: any text, or a document; neither: takes it away.
    PutRepositoryPolicy { account: String, region: String, name: String, text: Option<String>, document: Option<Value> },
    /// Whether ECR sends `aws:SourceAccount` when it assumes the role of a rule.
    SendSourceAccount { sends: bool },
}

impl CacheControl {
    pub(super) fn turn(self, world: &mut World) -> Value {
        match self {
            Self::WouldPullThrough { puller, repository, account, region } => {
                return json!(world.would_pull_through(&puller, &repository, &account, &region));
            }
            Self::CacheRule { account, region, prefix } => {
                return json!({"rule": world.cache_rule(&account, &region, &prefix)});
            }
            Self::CacheRules { account, region } => {
                return json!({"prefixes": world.cache_prefixes(&account, &region)});
            }
            Self::PutCacheRule { account, region, rule } => world.put_cache_rule(&account, &region, &rule),
            Self::DeleteCacheRule { account, region, prefix } => world.delete_cache_rule(&account, &region, &prefix),
            Self::Repositories { account, region } => {
                return json!({"repositories": world.repositories(&account, &region)});
            }
            Self::AddRepository { account, region, name } => world.add_repository(&account, &region, &name),
            Self::DeleteRepository { account, region, name } => world.delete_repository(&account, &region, &name),
            Self::PutImage { account, region, name, tag } => {
                return json!({"digest": world.put_image(&account, &region, &name, &tag)});
            }
            Self::RepositoryPolicy { account, region, name } => {
                return json!({"text": world.repository_policy_text(&account, &region, &name)});
            }
            Self::PutRepositoryPolicy { account, region, name, text, document } => {
                let text = document_text(text, document);
                world.put_repository_policy(&account, &region, &name, text.as_deref());
            }
            Self::SendSourceAccount { sends } => world.send_source_account(sends),
        }
        nothing()
    }
}
