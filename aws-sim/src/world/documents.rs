//! What is stored in registries: reading it, and the controls that change it from outside. Nothing here is recorded as a
//! call: it is the foreign hand, the console, another tool.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::World;
use super::faults::Fault;
use super::identity::partition_of;
use super::policy::render::{Layout, Rendering};
use super::policy::{self, as_list};
use super::registry::{Scope, State, StoredPolicy};
use super::role::Role;

impl World {
    /// The registry policy as it is stored: the text as it was sent.
    pub fn policy_text(&self, account: &str, region: &str) -> Option<String> {
        self.stored(account, region)?.policy.as_ref().map(|p| p.text.clone())
    }

    /// Puts a registry policy by a foreign hand: any text, unchecked.
    pub fn put_policy(&mut self, account: &str, region: &str, text: &str) {
        let stored = self.bind(text);
        self.registry(account, region).change(|state| state.policy = Some(stored));
    }

    /// Deletes the registry policy by a foreign hand.
    pub fn delete_policy(&mut self, account: &str, region: &str) {
        self.registry(account, region).change(|state| state.policy = None);
    }

    /// Edits the registry policy by a foreign hand: `None` is no policy, before and after.
    pub fn edit_policy(&mut self, account: &str, region: &str, edit: impl FnOnce(Option<String>) -> Option<String>) {
        match edit(self.policy_text(account, region)) {
            Some(text) => self.put_policy(account, region, &text),
            None => self.delete_policy(account, region),
        }
    }

    /// Sets REGISTRY_POLICY_SCOPE; `None`: never set.
    pub fn set_scope(&mut self, account: &str, region: &str, scope: Option<Scope>) {
        self.registry(account, region).change(|state| state.scope = scope);
    }

    /// The scope in force.
    pub fn scope(&self, account: &str, region: &str) -> Scope {
        self.scope_of(self.stored(account, region).and_then(|s| s.scope))
    }

    /// What registries say that never had a scope (aws-facts A.2: unverified). `None`: an answer without a value, and V1
    /// in force. V2 unless set.
    pub fn set_unset_scope(&mut self, scope: Option<Scope>) {
        self.habits.unset_scope = scope;
    }

    /// The rules that DescribeRegistry shows, as JSON: any member goes, `deleteReplication` among them.
    pub fn set_replication_rules(&mut self, account: &str, region: &str, rules: Vec<Value>) {
        self.registry(account, region).change(|state| state.replication_rules = rules);
    }

    /// Whether principals may lie in accounts the World does not own. True unless set; roles and users of owned accounts
    /// must exist in any case.
    pub fn accept_unknown_accounts(&mut self, accept: bool) {
        self.habits.accept_unknown_accounts = accept;
    }

    /// What the answers of an operation of ECR's lack from now on, wherever it stands in them; nothing: all is there again.
    pub fn omit_members<S: Into<String>>(&mut self, operation: &str, members: impl IntoIterator<Item = S>) {
        let members = members.into_iter().map(Into::into).collect();
        self.habits.omitted.insert(operation.to_owned(), members);
    }

    /// Whether account ids read back as root ARNs (aws-facts B.5: "not in every case"). True unless set.
    pub fn convert_account_ids(&mut self, convert: bool) {
        self.habits.convert_account_ids = convert;
    }

    /// Every call takes this long, half of it before its effect, and up to `jitter` longer by chance.
    pub fn set_delay(&mut self, base: Duration, jitter: Duration) {
        self.delay = base;
        self.jitter = jitter;
    }

    /// Adds a fault; the id lifts it.
    pub fn inject(&mut self, fault: Fault) -> u64 {
        self.faults.inject(fault)
    }

    /// Takes a fault away.
    pub fn lift(&mut self, id: u64) {
        self.faults.lift(id);
    }

    /// Takes every fault away; throttling, outages and delay stay.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<(u64, Fault)> {
        self.faults.list()
    }

    /// Whether calls of an account may fail or be late by a fault, an outage or throttling that is in force.
    pub fn is_disturbed(&self, account: &str) -> bool {
        let is_out = self.accounts.get(account).is_some_and(|account| account.outage.is_some());
        is_out || !self.faults.list().is_empty() || self.throttles.concern(account)
    }

    /// Calls of an account in a Region beyond this rate are answered `ThrottlingException`: ECR's, or in the Region
    /// `aws-global` IAM's, which says `Throttling`.
    pub fn set_throttle(&mut self, account: &str, region: &str, per_second: f64, burst: u32) {
        self.throttles.set((account, region, ""), per_second, burst, self.now);
    }

    /// The same for one operation of ECR, IAM or Secrets Manager.
    pub fn set_operation_throttle(
        &mut self,
        account: &str,
        region: &str,
        operation: &str,
        per_second: f64,
        burst: u32,
    ) {
        self.throttles.set((account, region, operation), per_second, burst, self.now);
    }

    /// No throttling any more.
    pub fn clear_throttle(&mut self, account: &str, region: &str) {
        self.throttles.clear(account, region);
    }

    pub(super) fn scope_of(&self, set: Option<Scope>) -> Scope {
        set.or(self.habits.unset_scope).unwrap_or(Scope::V1)
    }

    /// A policy as a read of ECR shows it: differently each time.
    pub(super) fn render(&mut self, policy: &StoredPolicy, region: &str) -> String {
        self.render_as(policy, Layout::Pretty, partition_of(region))
    }

    /// A trust policy as a read of IAM shows it.
    pub(super) fn render_trust(&mut self, role: &Role) -> String {
        let partition = role.arn.split(':').nth(1).unwrap_or_default();
        self.render_as(&role.stored_trust(), Layout::Compact, partition)
    }

    fn render_as(&mut self, policy: &StoredPolicy, layout: Layout, partition: &str) -> String {
        let renamed = self.renamed(policy);
        let convert_account_ids = self.habits.convert_account_ids;
        let rendering = Rendering { layout, partition, convert_account_ids, renamed: &renamed };
        rendering.render(&policy.text, &mut self.rng)
    }

    /// A text with the unique ids that its ARNs stand for today.
    pub(super) fn bind(&self, text: &str) -> StoredPolicy {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let principals = policy::statements(&document).into_iter().filter_map(|s| s.get("Principal")?.get("AWS"));
        let names = principals.flat_map(as_list).filter_map(Value::as_str);
        let bound = names.filter_map(|name| Some((name.to_owned(), self.unique_id(name)?))).collect();
        StoredPolicy { text: text.to_owned(), bound }
    }

    pub(super) fn stored(&self, account: &str, region: &str) -> Option<&State> {
        self.registries.get(&(account.to_owned(), region.to_owned())).map(super::registry::Versioned::current)
    }

    fn unique_id(&self, arn: &str) -> Option<String> {
        let account = arn.split(':').nth(4)?;
        self.accounts.get(account)?.entity(arn).map(|e| e.unique_id.clone())
    }

    /// The ARNs whose entity is gone, or is another one by now.
    pub(super) fn renamed(&self, policy: &StoredPolicy) -> BTreeMap<String, String> {
        let gone = policy.bound.iter().filter(|(arn, id)| self.unique_id(arn).as_ref() != Some(id));
        gone.map(|(arn, id)| (arn.clone(), id.clone())).collect()
    }
}
