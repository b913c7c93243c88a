//! Accounts, roles, users and keys: the World's cast, and the controls that change it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::World;
use super::identity::{Account, Caller, Entity, Key, Outage, Session, Trust};
use super::policy::principal::Principal;

const KEY_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SECRET_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl World {
    /// The World owns this account from now on (twelve digits): its roles and users exist only if they are created.
    pub fn add_account(&mut self, account: &str) {
        self.accounts.entry(account.to_owned()).or_insert_with(Account::new);
    }

    /// The account's organization: what `aws:PrincipalOrgID` holds for its principals.
    pub fn set_organization(&mut self, account: &str, organization_id: Option<&str>) {
        self.owned(account).organization_id = organization_id.map(str::to_owned);
    }

    /// The partition of an account's ARNs: `aws` unless set. Set it before roles are created.
    pub fn set_partition(&mut self, account: &str, partition: &str) {
        partition.clone_into(&mut self.owned(account).partition);
    }

    /// Creates a user, or re-creates it with a new unique id. Returns the ARN.
    pub fn add_user(&mut self, account: &str, name: &str) -> String {
        let unique_id = self.unique_id_of_new("AIDA");
        let visible_from = self.now + self.habits.propagation;
        let owned = self.owned(account);
        let arn = format!("arn:{}:iam::{account}:user/{name}", owned.partition);
        owned.entities.change(|all| {
            all.insert(arn.clone(), Entity { unique_id, visible_from, role: None, revoked_before: None })
        });
        arn
    }

    /// Deletes a user: its keys die, and policies that name it read back its `AIDA…` id.
    pub fn delete_user(&mut self, account: &str, name: &str) {
        let owned = self.owned(account);
        let arn = format!("arn:{}:iam::{account}:user/{name}", owned.partition);
        owned.entities.change(|all| all.remove(&arn));
    }

    /// How long what is created or changed in IAM from now on stays unknown to others: roles and users to policies, to
    /// ECR and to AssumeRole. Deletions are seen at once.
    pub fn set_propagation(&mut self, delay: Duration) {
        self.habits.propagation = delay;
    }

    /// An account out of reach: its calls, and AssumeRole into it, end so. `None`: back again.
    pub fn set_outage(&mut self, account: &str, outage: Option<Outage>) {
        self.owned(account).outage = outage;
    }

    /// The account's owner closes it, or opens it again: no policy may name it or anybody in it from then on.
    pub fn close_account(&mut self, account: &str, closed: bool) {
        if closed {
            self.closed.insert(account.to_owned());
        } else {
            self.closed.remove(account);
        }
    }

    /// Accounts that are closed.
    pub fn closed_accounts(&self) -> &BTreeSet<String> {
        &self.closed
    }

    /// Lasting credentials (key id, secret) of a principal: `root`, `user/NAME` or `role/NAME`, created if missing. The
    /// secret is not verified.
    pub fn access_key(&mut self, account: &str, principal: &str) -> (String, String) {
        let key_id = format!("AKIA{}", self.random(KEY_LETTERS, 16));
        let secret = self.random(SECRET_LETTERS, 40);
        self.add_access_key(&key_id, account, principal);
        (key_id, secret)
    }

    /// As [`World::access_key`], with a key id of one's choice.
    pub fn add_access_key(&mut self, key_id: &str, account: &str, principal: &str) {
        let partition = self.owned(account).partition.clone();
        let arn = format!("arn:{partition}:iam::{account}:{principal}");
        let is_missing = self.owned(account).entity(&arn).is_none();
        let is_role = principal.starts_with("role/");
        match principal.split_once('/') {
            Some(("role", name)) if is_missing => drop(self.add_role(account, name, Trust::default())),
            Some(("user", name)) if is_missing => drop(self.add_user(account, name)),
            _ => {}
        }
        let is_user = principal.starts_with("user/");
        let unique_id = self.owned(account).entity(&arn).map_or_else(String::new, |e| e.unique_id.clone());
        let caller = if is_role {
            session_caller(account, &partition, &arn, &unique_id, "sim")
        } else {
            let user_id = if is_user { unique_id.clone() } else { account.to_owned() };
            let account = account.to_owned();
            Caller { account, arn: arn.clone(), entity_arn: arn, user_id, unique_id, is_role }
        };
        self.keys.insert(key_id.to_owned(), Key { caller, session: None });
    }

    /// The credentials of this key are expired from `at` (since start) on.
    pub fn expire_key(&mut self, key_id: &str, at: Duration) {
        if let Some(key) = self.keys.get_mut(key_id) {
            let before = key.session.take().unwrap_or(Session { token: None, issued: None, expires: None });
            key.session = Some(Session { expires: Some(at), ..before });
        }
    }

    /// Deletes a key: it is unknown from now on.
    pub fn delete_access_key(&mut self, key_id: &str) {
        self.keys.remove(key_id);
    }

    /// What start means as seconds since 1970: AssumeRole tells its callers when their keys end.
    pub fn set_epoch(&mut self, unix_seconds: u64) {
        self.epoch = unix_seconds;
    }

    /// Mints temporary keys for a session of a role: (key id, secret, token).
    pub(crate) fn mint(&mut self, caller: Caller, lasting: Duration) -> (String, String, String) {
        let key_id = format!("ASIA{}", self.random(KEY_LETTERS, 16));
        let secret = self.random(SECRET_LETTERS, 40);
        let token = self.random(SECRET_LETTERS, 120);
        let session = Session { token: Some(token.clone()), issued: Some(self.now), expires: Some(self.now + lasting) };
        self.keys.insert(key_id.clone(), Key { caller, session: Some(session) });
        (key_id, secret, token)
    }

    /// A role or user that others can see by now.
    pub(crate) fn visible_entity(&self, account: &str, arn: &str) -> Option<&Entity> {
        self.accounts.get(account)?.entity(arn).filter(|e| e.visible_from <= self.now)
    }

    /// Whether a policy may name this principal (aws-facts B.4: unknown or not yet visible is refused).
    pub(crate) fn exists(&self, principal: Principal<'_>, name: &str) -> bool {
        let is_owned = |account: &str| self.accounts.contains_key(account);
        let is_closed = match principal {
            Principal::Account(account) | Principal::Entity { account } | Principal::Session { account, .. } => {
                self.closed.contains(account)
            }
            Principal::Everyone => false,
        };
        if is_closed {
            return false;
        }
        match principal {
            Principal::Everyone => true,
            Principal::Account(account) => is_owned(account) || self.habits.accept_unknown_accounts,
            Principal::Entity { account } if is_owned(account) => self.visible_entity(account, name).is_some(),
            Principal::Session { account, role } if is_owned(account) => {
                let named = |arn: &str| arn.contains(":role/") && arn.rsplit('/').next() == Some(role);
                let entities = self.accounts.get(account).into_iter().flat_map(|a| a.entities.current());
                entities.into_iter().any(|(arn, e)| named(arn) && e.visible_from <= self.now)
            }
            Principal::Entity { .. } | Principal::Session { .. } => self.habits.accept_unknown_accounts,
        }
    }

    pub(super) fn owned(&mut self, account: &str) -> &mut Account {
        self.accounts.entry(account.to_owned()).or_insert_with(Account::new)
    }

    pub(super) fn unique_id_of_new(&mut self, prefix: &str) -> String {
        format!("{prefix}{}", self.random(KEY_LETTERS, 17))
    }
}

/// A session of a role, as GetCallerIdentity shows it: without the role's path.
pub(crate) fn session_caller(account: &str, partition: &str, role_arn: &str, unique_id: &str, name: &str) -> Caller {
    let role = role_arn.rsplit('/').next().unwrap_or_default();
    Caller {
        account: account.to_owned(),
        arn: format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}"),
        entity_arn: role_arn.to_owned(),
        user_id: format!("{unique_id}:{name}"),
        unique_id: unique_id.to_owned(),
        is_role: true,
    }
}
