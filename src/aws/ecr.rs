//! The ECR calls that are used. Reads take a proven session; writes take the permit besides, and are never repeated by
//! the SDK: a whole document sent again later would restore what it replaced (aws-facts K.2).

use aws_sdk_ecr::config::Builder;
use aws_smithy_types::retry::RetryConfig;
use ecr_permissions_core::pass::scope::ScopeView;
use ecr_permissions_core::policy::{Doc, Document, Fitting};
use ecr_permissions_core::reason::Because;

use super::error::{Error, Kind};
use super::permit::Permit;
use super::session::{Proven, Session};

const REGISTRY_POLICY_SCOPE: &str = "REGISTRY_POLICY_SCOPE";

/// DescribeRegistry named the registry's own account on this very client, in this pass.
#[derive(Clone, Debug)]
pub struct AccountProof {
    /// Of the credentials that were used.
    pub(super) generation: u64,
}

impl Proven {
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Asks ECR itself whose registry this client reads and writes.
    pub async fn prove_registry(&self) -> Result<AccountProof, Because> {
        self.session.gate.first_read().await;
        let generation = self.session.credentials.generation();
        let registry = self.session.ecr.describe_registry().send().await;
        let registry = registry.map_err(|e| {
            let error = self.session.failed("DescribeRegistry", &e);
            if error.kind == Kind::Denied {
                self.session.credentials.doubted();
            }
            self.session.because(&error)
        })?;
        self.session.credentials.accepted();
        let account = registry.registry_id().unwrap_or_default();
        if self.session.is_account(account) {
            Ok(AccountProof { generation })
        } else {
            Err(self.session.mismatch(account))
        }
    }

    pub async fn registry_policy(&self) -> Result<Doc, Error> {
        self.session.gate.first_read().await;
        match self.session.ecr.get_registry_policy().send().await {
            Ok(policy) => Ok(Doc::of(policy.policy_text())),
            Err(error) => match self.session.failed("GetRegistryPolicy", &error) {
                gone if gone.kind == Kind::NotFound => Ok(Doc::Absent),
                other => Err(other),
            },
        }
    }

    /// The scope of the registry policy; `None`: AWS named neither V1 nor V2.
    pub async fn registry_policy_scope(&self) -> Result<Option<ScopeView>, Error> {
        self.session.gate.read().await;
        let name = REGISTRY_POLICY_SCOPE;
        let setting = self.session.ecr.get_account_setting().name(name).send().await;
        let setting = setting.map_err(|e| self.session.failed("GetAccountSetting", &e))?;
        Ok(match setting.value() {
            Some("V1") => Some(ScopeView::V1),
            Some("V2") => Some(ScopeView::V2),
            _ => None,
        })
    }

    pub async fn put_registry_policy(&self, _: &Permit, document: &Fitting<Document>) -> Result<(), Error> {
        let put = self.session.ecr.put_registry_policy().policy_text(document.text());
        let sent = put.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed("PutRegistryPolicy", &e))
    }

    /// Deletes the policy; one that is gone already is as deleted.
    pub async fn delete_registry_policy(&self, _: &Permit) -> Result<(), Error> {
        let delete = self.session.ecr.delete_registry_policy().customize().config_override(once()).send().await;
        match delete.map_err(|e| self.session.failed("DeleteRegistryPolicy", &e)) {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub async fn switch_scope_to_v2(&self, _: &Permit) -> Result<(), Error> {
        let put = self.session.ecr.put_account_setting().name(REGISTRY_POLICY_SCOPE).value("V2");
        let sent = put.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed("PutAccountSetting", &e))
    }
}

pub(super) fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}
