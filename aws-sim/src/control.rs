//! The controls as data: what another process, a shell or Python sends to `/_sim/CONTROL`. Each is one method of
//! [`World`]; nothing is decided here.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::{Fault, Outage, Scope, Trust, World};

/// A turn of a control. Over HTTP: `POST /_sim/put_policy {"account": …, "region": …, "text": …}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// The calls from `since` on: `{"calls": [...]}`.
    Calls {
        #[serde(default)]
        since: u64,
    },
    /// The registry policy as stored: `{"text": ...}`, null if there is none.
    Policy { account: String, region: String },
    /// A foreign hand puts a policy: any text, or a document.
    PutPolicy { account: String, region: String, text: Option<String>, document: Option<Value> },
    /// A foreign hand deletes the policy.
    DeletePolicy { account: String, region: String },
    /// `{"allowed": ..., "because": ...}`
    Would { principal: String, action: String, repository: String, account: String, region: String },
    /// Null: never set.
    SetScope { account: String, region: String, scope: Option<Scope> },
    /// What registries say that never had a scope; null: no value.
    SetUnsetScope { scope: Option<Scope> },
    /// The replication rules that DescribeRegistry shows.
    SetReplicationRules { account: String, region: String, rules: Vec<Value> },
    /// Owns an account.
    AddAccount { account: String, organization_id: Option<String>, partition: Option<String> },
    /// Changes an account's organization.
    SetOrganization { account: String, organization_id: Option<String> },
    /// Creates or re-creates a role: `{"arn": ...}`.
    AddRole {
        account: String,
        name: String,
        #[serde(default)]
        trust: Trust,
    },
    /// Changes whom a role trusts.
    SetTrust { account: String, name: String, trust: Trust },
    /// Deletes a role.
    DeleteRole { account: String, name: String },
    /// Creates or re-creates a user: `{"arn": ...}`.
    AddUser { account: String, name: String },
    /// Deletes a user.
    DeleteUser { account: String, name: String },
    /// Credentials of `root`, `user/NAME` or `role/NAME`: `{"access_key_id": ..., "secret_access_key": ...}`.
    AccessKey { account: String, principal: String },
    /// The same, with a key id of one's choice.
    AddAccessKey { access_key_id: String, account: String, principal: String },
    /// Expires a key from now on.
    ExpireKey { access_key_id: String },
    /// How long new roles and users stay invisible.
    SetPropagation { ms: u64 },
    /// Whether principals in unknown accounts pass.
    AcceptUnknownAccounts { accept: bool },
    /// Whether account ids read back as root ARNs.
    ConvertAccountIds { convert: bool },
    /// Adds a fault: `{"id": ...}`.
    Inject { fault: Fault },
    /// The faults in force: `{"faults": [{"id", "fault"}]}`.
    Faults {},
    /// Takes a fault away.
    Lift { id: u64 },
    /// Takes every fault away.
    ClearFaults {},
    /// How long every call takes.
    SetDelay {
        base_ms: u64,
        #[serde(default)]
        jitter_ms: u64,
    },
    /// Limits the ECR calls of an account in a Region.
    SetThrottle { account: String, region: String, per_second: f64, burst: u32 },
    /// Limits them no more.
    ClearThrottle { account: String, region: String },
    /// Puts an account out of reach; null: back again.
    SetOutage { account: String, outage: Option<Outage> },
}

impl World {
    /// Turns a control; the answer is what it says of itself.
    pub fn control(&mut self, control: Control) -> Value {
        match control {
            Control::Calls { .. } | Control::Policy { .. } | Control::Would { .. } | Control::Faults {} => {
                self.ask(&control)
            }
            Control::AddAccount { .. }
            | Control::SetOrganization { .. }
            | Control::AddRole { .. }
            | Control::SetTrust { .. }
            | Control::DeleteRole { .. }
            | Control::AddUser { .. }
            | Control::DeleteUser { .. }
            | Control::AccessKey { .. }
            | Control::AddAccessKey { .. }
            | Control::ExpireKey { .. } => self.change_cast(control),
            Control::Inject { .. }
            | Control::Lift { .. }
            | Control::ClearFaults {}
            | Control::SetDelay { .. }
            | Control::SetThrottle { .. }
            | Control::ClearThrottle { .. }
            | Control::SetOutage { .. } => self.disturb(control),
            other => self.change_registry(other),
        }
    }

    fn ask(&self, control: &Control) -> Value {
        match control {
            Control::Calls { since } => {
                json!({"calls": self.calls().iter().filter(|call| call.seq >= *since).collect::<Vec<_>>()})
            }
            Control::Policy { account, region } => json!({"text": self.policy_text(account, region)}),
            Control::Would { principal, action, repository, account, region } => {
                json!(self.would(principal, action, repository, account, region))
            }
            _ => {
                let faults = self.faults();
                let faults: Vec<_> = faults.iter().map(|(id, fault)| json!({"id": id, "fault": fault})).collect();
                json!({"faults": faults})
            }
        }
    }

    fn change_cast(&mut self, control: Control) -> Value {
        match control {
            Control::AddAccount { account, organization_id, partition } => {
                self.add_account(&account);
                self.set_organization(&account, organization_id.as_deref());
                if let Some(partition) = partition {
                    self.set_partition(&account, &partition);
                }
            }
            Control::SetOrganization { account, organization_id } => {
                self.set_organization(&account, organization_id.as_deref());
            }
            Control::AddRole { account, name, trust } => return json!({"arn": self.add_role(&account, &name, trust)}),
            Control::SetTrust { account, name, trust } => self.set_trust(&account, &name, trust),
            Control::DeleteRole { account, name } => self.delete_role(&account, &name),
            Control::AddUser { account, name } => return json!({"arn": self.add_user(&account, &name)}),
            Control::DeleteUser { account, name } => self.delete_user(&account, &name),
            Control::AccessKey { account, principal } => {
                let (id, secret) = self.access_key(&account, &principal);
                return json!({"access_key_id": id, "secret_access_key": secret});
            }
            Control::AddAccessKey { access_key_id, account, principal } => {
                self.add_access_key(&access_key_id, &account, &principal);
            }
            Control::ExpireKey { access_key_id } => self.expire_key(&access_key_id, self.now()),
            _ => {}
        }
        json!({})
    }

    fn disturb(&mut self, control: Control) -> Value {
        let ms = Duration::from_millis;
        match control {
            Control::Inject { fault } => return json!({"id": self.inject(fault)}),
            Control::Lift { id } => self.lift(id),
            Control::ClearFaults {} => self.clear_faults(),
            Control::SetDelay { base_ms, jitter_ms } => self.set_delay(ms(base_ms), ms(jitter_ms)),
            Control::SetThrottle { account, region, per_second, burst } => {
                self.set_throttle(&account, &region, per_second, burst);
            }
            Control::ClearThrottle { account, region } => self.clear_throttle(&account, &region),
            Control::SetOutage { account, outage } => self.set_outage(&account, outage),
            _ => {}
        }
        json!({})
    }

    fn change_registry(&mut self, control: Control) -> Value {
        match control {
            Control::PutPolicy { account, region, text, document } => {
                let text = text.or_else(|| document.map(|d| d.to_string())).unwrap_or_default();
                self.put_policy(&account, &region, &text);
            }
            Control::DeletePolicy { account, region } => self.delete_policy(&account, &region),
            Control::SetScope { account, region, scope } => self.set_scope(&account, &region, scope),
            Control::SetUnsetScope { scope } => self.set_unset_scope(scope),
            Control::SetReplicationRules { account, region, rules } => {
                self.set_replication_rules(&account, &region, rules);
            }
            Control::SetPropagation { ms } => self.set_propagation(Duration::from_millis(ms)),
            Control::AcceptUnknownAccounts { accept } => self.accept_unknown_accounts(accept),
            Control::ConvertAccountIds { convert } => self.convert_account_ids(convert),
            _ => {}
        }
        json!({})
    }
}
