//! Roles, and the controls that change them from outside: the foreign hand, unrecorded. IAM's operations work on the
//! same store.

use super::World;
use super::identity::{Entity, Trust};
use super::role::{DEFAULT_SESSION, History, Role, service_trust};

impl World {
    /// Creates a role, or re-creates it with a new unique id; `name` includes the IAM path (`team/member`). Returns the
    /// ARN. Others see it after the propagation delay.
    pub fn add_role(&mut self, account: &str, name: &str, trust: Trust) -> String {
        let (path, short) =
            name.rsplit_once('/').map_or_else(|| ("/".to_owned(), name), |(p, n)| (format!("/{p}/"), n));
        let role = Role {
            name: short.to_owned(),
            path,
            trust: trust.document(),
            max_session_seconds: DEFAULT_SESSION,
            ..Role::default()
        };
        self.insert_role(account, role).arn
    }

    /// A role as IAM shows it; `name` with or without its path.
    pub fn role(&self, account: &str, name: &str) -> Option<Role> {
        let account = self.accounts.get(account)?;
        account.role(&account.role_arn(name)?).cloned()
    }

    /// The names of an account's roles, without their paths.
    pub fn role_names(&self, account: &str) -> Vec<String> {
        let entities = self.accounts.get(account).into_iter().flat_map(|account| account.entities.current().values());
        entities.filter_map(|entity| entity.role.as_ref()).map(|role| role.newest().name.clone()).collect()
    }

    /// Changes a role by a foreign hand, unchecked; nothing if there is none. Others see it after the propagation delay.
    pub fn edit_role(&mut self, account: &str, name: &str, edit: impl FnOnce(&mut Role)) {
        if let Some(arn) = self.owned(account).role_arn(name) {
            self.change_role(account, &arn, edit);
        }
    }

    /// Changes whom a role trusts; nothing if there is no such role.
    pub fn set_trust(&mut self, account: &str, name: &str, trust: Trust) {
        self.edit_role(account, name, |role| role.trust = trust.document());
    }

    /// Deletes a role, whatever hangs on it: its sessions die, and policies that name it read back its `AROA…` id.
    pub fn delete_role(&mut self, account: &str, name: &str) {
        let owned = self.owned(account);
        if let Some(arn) = owned.role_arn(name) {
            owned.entities.change(|all| all.remove(&arn));
        }
    }

    /// Revokes a role's sessions, as the console does by a policy that denies everything to those that were issued before
    /// (IAM guide, "Revoke IAM role temporary security credentials"). Those that are issued from now on may go on.
    pub fn revoke_sessions(&mut self, account: &str, name: &str) {
        let now = self.now;
        let owned = self.owned(account);
        if let Some(arn) = owned.role_arn(name) {
            owned.entities.change(|all| {
                if let Some(role) = all.get_mut(&arn) {
                    role.revoked_before = Some(now);
                }
            });
        }
    }

    /// Creates a managed policy of the customer: what a boundary or an attachment may name. Returns the ARN.
    pub fn add_managed_policy(&mut self, account: &str, name: &str, document: &str) -> String {
        let owned = self.owned(account);
        let arn = format!("arn:{}:iam::{account}:policy/{name}", owned.partition);
        owned.managed_policies.insert(arn.clone(), document.to_owned());
        arn
    }

    /// Deletes a managed policy, wherever it is in use.
    pub fn delete_managed_policy(&mut self, account: &str, name: &str) {
        let owned = self.owned(account);
        let arn = format!("arn:{}:iam::{account}:policy/{name}", owned.partition);
        owned.managed_policies.remove(&arn);
    }

    /// Stores a role with a new unique id in place of any of its name; names ignore letter case (aws-facts A.3).
    pub(super) fn insert_role(&mut self, account: &str, mut role: Role) -> Role {
        role.id = self.unique_id_of_new("AROA");
        role.created_at = self.epoch + self.now.as_secs();
        role.trust_bound = self.bind(&role.trust).bound;
        let visible_from = self.now + self.habits.propagation;
        let owned = self.owned(account);
        role.arn = format!("arn:{}:iam::{account}:role{}{}", owned.partition, role.path, role.name);
        let older = owned.role_arn_ignoring_case(&role.name);
        let history = History::new(role.clone(), visible_from);
        let entity = Entity { unique_id: role.id.clone(), visible_from, role: Some(history), revoked_before: None };
        owned.entities.change(|all| {
            older.and_then(|arn| all.remove(&arn));
            all.insert(role.arn.clone(), entity)
        });
        role
    }

    /// Changes a role; a new trust is bound to whom it names today.
    pub(super) fn change_role<R>(&mut self, account: &str, arn: &str, edit: impl FnOnce(&mut Role) -> R) -> Option<R> {
        let mut changed = self.accounts.get(account)?.role(arn)?.clone();
        let trust_before = changed.trust.clone();
        let done = edit(&mut changed);
        if changed.trust != trust_before {
            changed.trust_bound = self.bind(&changed.trust).bound;
        }
        let (now, visible_from) = (self.now, self.now + self.habits.propagation);
        let owned = self.owned(account);
        owned.entities.change(|all| {
            if let Some(history) = all.get_mut(arn).and_then(|e| e.role.as_mut()) {
                history.change(now, visible_from, |role| *role = changed);
            }
        });
        Some(done)
    }

    /// A service's own role, created by the service on its first need (aws-facts D.7).
    pub(super) fn ensure_service_linked_role(&mut self, account: &str, service: &str, name: &str, policy: &str) {
        if self.owned(account).role_arn(name).is_some() {
            return;
        }
        let partition = self.owned(account).partition.clone();
        let role = Role {
            name: name.to_owned(),
            path: format!("/aws-service-role/{service}/"),
            trust: service_trust(service),
            max_session_seconds: DEFAULT_SESSION,
            attached_policies: [format!("arn:{partition}:iam::aws:policy/aws-service-role/{policy}")].into(),
            ..Role::default()
        };
        self.insert_role(account, role);
    }

    /// A role as ECR and STS see it by now.
    pub(super) fn role_seen(&self, arn: &str) -> Option<&Role> {
        let account = arn.split(':').nth(4)?;
        self.visible_entity(account, arn)?.role.as_ref()?.seen_at(self.now)
    }
}

impl super::identity::Account {
    /// The ARN of a role named with or without its path.
    pub(super) fn role_arn(&self, name: &str) -> Option<String> {
        let of_name =
            |arn: &str| arn.split_once(":role/").is_some_and(|(_, n)| n == name || n.ends_with(&format!("/{name}")));
        self.entities.current().keys().find(|arn| of_name(arn)).cloned()
    }

    /// The ARN of a role of this name in any writing.
    pub(super) fn role_arn_ignoring_case(&self, name: &str) -> Option<String> {
        let roles = self.entities.current().values().filter_map(|e| e.role.as_ref());
        roles.map(History::newest).find(|role| role.name.eq_ignore_ascii_case(name)).map(|role| role.arn.clone())
    }
}
