//! Secrets as far as others can tell: a name, an ARN with its random end, a key, a date of deletion. No value is kept:
//! whether it would open the upstream is a control's word.

use std::collections::BTreeMap;

use super::World;
use super::identity::partition_of;
use super::registry::Versioned;

const SUFFIX_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How long a secret lies in wait before it is gone (aws-facts A.6).
const RECOVERY_WINDOW: f64 = 30.0 * 86_400.0;

/// A secret.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) arn: String,
    /// Of the customer; none: `aws/secretsmanager`.
    pub(crate) kms_key_id: Option<String>,
    /// Seconds since 1970.
    pub(crate) created_at: f64,
    /// When it will be gone; until then it can be described and not be read.
    pub(crate) deleted_at: Option<f64>,
    pub(crate) version_id: String,
    /// Whether the upstream takes what it holds.
    pub(crate) opens_upstream: bool,
}

/// The secrets of an account in a Region, by name.
pub(crate) type Secrets = Versioned<BTreeMap<String, Secret>>;

/// Why ECR cannot use a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    NotFound,
    /// A key of the customer (aws-facts D.2).
    CustomerKey,
}

impl World {
    /// Creates a secret, or re-creates it: its ARN ends in six other characters then. Returns the ARN.
    pub fn create_secret(&mut self, account: &str, region: &str, name: &str) -> String {
        let suffix = self.random(SUFFIX_LETTERS, 6);
        let arn = format!("arn:{}:secretsmanager:{region}:{account}:secret:{name}-{suffix}", partition_of(region));
        let (created_at, version_id) = (self.unix_now(), self.request_id());
        let secret = Secret {
            arn: arn.clone(),
            kms_key_id: None,
            created_at,
            deleted_at: None,
            version_id,
            opens_upstream: true,
        };
        self.secrets_mut(account, region).change(|secrets| secrets.insert(name.to_owned(), secret));
        arn
    }

    /// Encrypts a secret with a key of the customer; `None`: with AWS's own.
    pub fn set_secret_key(&mut self, account: &str, region: &str, name: &str, kms_key_id: Option<&str>) {
        self.edit_secret(account, region, name, |secret| secret.kms_key_id = kms_key_id.map(str::to_owned));
    }

    /// Whether the upstream takes what the secret holds. True unless set.
    pub fn set_secret_opens(&mut self, account: &str, region: &str, name: &str, opens: bool) {
        self.edit_secret(account, region, name, |secret| secret.opens_upstream = opens);
    }

    /// Schedules the deletion of a secret: it can still be described, with its `DeletedDate`.
    pub fn schedule_secret_deletion(&mut self, account: &str, region: &str, name: &str) {
        let date = self.unix_now() + RECOVERY_WINDOW;
        self.edit_secret(account, region, name, |secret| secret.deleted_at = Some(date));
    }

    /// Deletes a secret for good.
    pub fn delete_secret(&mut self, account: &str, region: &str, name: &str) {
        self.secrets_mut(account, region).change(|secrets| secrets.remove(name));
    }

    pub(super) fn secrets_mut(&mut self, account: &str, region: &str) -> &mut Secrets {
        self.secrets.entry((account.to_owned(), region.to_owned())).or_default()
    }

    /// The secret that ECR reads for a rule of this registry: the whole ARN must match, so that a re-created secret is
    /// another one. One that awaits its deletion cannot be read.
    pub(super) fn usable_secret(&self, account: &str, region: &str, arn: &str) -> Result<&Secret, Unusable> {
        let secrets = self.secrets.get(&(account.to_owned(), region.to_owned())).map(Versioned::current);
        let found = secrets.into_iter().flat_map(BTreeMap::values).find(|secret| secret.arn == arn);
        let secret = found.filter(|secret| secret.deleted_at.is_none()).ok_or(Unusable::NotFound)?;
        if secret.kms_key_id.is_some() { Err(Unusable::CustomerKey) } else { Ok(secret) }
    }

    fn edit_secret(&mut self, account: &str, region: &str, name: &str, edit: impl FnOnce(&mut Secret)) {
        self.secrets_mut(account, region).change(|secrets| secrets.get_mut(name).map(edit));
    }
}
