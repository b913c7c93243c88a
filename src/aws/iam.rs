//! The IAM calls for roles. A write is never repeated by the SDK: the next read says what came of it. Of a role's
//! policies only the one of ours is written; those of others are looked at by name, and never touched.

use std::collections::BTreeMap;

use aws_sdk_iam::config::Builder;
use aws_sdk_iam::error::{BuildError, SdkError};
use aws_sdk_iam::operation::tag_role::TagRoleError;
use aws_sdk_iam::types::Tag;
use aws_smithy_types::retry::RetryConfig;
use ecr_permissions_core::pass::roles::{POLICY, Role, Stored};
use percent_encoding::percent_decode_str;

use super::error::{Error, Kind};
use super::permit::Permit;
use super::session::Proven;

/// The most that IAM puts on a page (aws-facts A.3).
const PAGE: i32 = 1000;

impl Proven {
    /// A role and what hangs on it; `None`: it is not there, or went while it was read.
    pub async fn role(&self, name: &str) -> Result<Option<Stored>, Error> {
        let Some(role) = there(self.bare_role(name).await)? else { return Ok(None) };
        // Three calls at once are much to carry about for whoever waits.
        let hanging =
            Box::pin(async { futures::try_join!(self.own_policy(name), self.inline(name), self.attached(name)) });
        Ok(there(hanging.await)?.map(|(policy, other_policies, attached)| Stored {
            policy,
            other_policies,
            attached,
            ..role
        }))
    }

    /// A role without its policies.
    async fn bare_role(&self, name: &str) -> Result<Stored, Error> {
        self.session.iam_gate.read().await;
        let answer = self
            .session
            .iam
            .get_role()
            .role_name(name)
            .send()
            .await
            .map_err(|e| self.session.failed_in_iam("GetRole", &e))?;
        let role = answer.role().ok_or_else(|| Error::unanswered("GetRole", "AWS answered without a role", false))?;
        let boundary = role.permissions_boundary().and_then(|boundary| boundary.permissions_boundary_arn());
        Ok(Stored {
            name: role.role_name().to_owned(),
            arn: role.arn().to_owned(),
            id: role.role_id().to_owned(),
            trust: decoded(role.assume_role_policy_document().unwrap_or_default()),
            boundary: boundary.map(str::to_owned),
            tags: role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
            ..Stored::default()
        })
    }

    /// The policy of ours. Whether it or its role is missing, IAM does not say: the lists do.
    async fn own_policy(&self, name: &str) -> Result<Option<String>, Error> {
        self.session.iam_gate.read().await;
        let get = self.session.iam.get_role_policy().role_name(name).policy_name(POLICY);
        let policy = there(get.send().await.map_err(|e| self.session.failed_in_iam("GetRolePolicy", &e)))?;
        Ok(policy.map(|policy| decoded(policy.policy_document())))
    }

    /// The names of all inline policies but ours.
    async fn inline(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut marker = None;
        loop {
            self.session.iam_gate.read().await;
            let list = self.session.iam.list_role_policies().role_name(name).set_marker(marker).max_items(PAGE);
            let page = list.send().await.map_err(|e| self.session.failed_in_iam("ListRolePolicies", &e))?;
            names.extend(page.policy_names().iter().filter(|name| *name != POLICY).cloned());
            marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
            if marker.is_none() {
                return Ok(names);
            }
        }
    }

    /// The ARNs of the managed policies attached to a role.
    async fn attached(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut arns = Vec::new();
        let mut marker = None;
        loop {
            self.session.iam_gate.read().await;
            let list = self.session.iam.list_attached_role_policies().role_name(name).set_marker(marker);
            let page = list
                .max_items(PAGE)
                .send()
                .await
                .map_err(|e| self.session.failed_in_iam("ListAttachedRolePolicies", &e))?;
            arns.extend(page.attached_policies().iter().filter_map(|policy| policy.policy_arn().map(str::to_owned)));
            marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
            if marker.is_none() {
                return Ok(arns);
            }
        }
    }

    /// Creates a role without its policy. `NotFound`: its boundary does not exist (aws-facts A.3).
    pub async fn create_role(&self, _: Permit, role: &Role) -> Result<(), Error> {
        let create = self
            .session
            .iam
            .create_role()
            .role_name(&role.name)
            .path(&role.path)
            .assume_role_policy_document(&role.trust)
            .permissions_boundary(&role.boundary)
            .set_tags(Some(tags("CreateRole", &role.tags)?));
        let sent = create.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed_in_iam("CreateRole", &e))
    }

    /// Replaces whom a role trusts.
    pub async fn update_role_trust(&self, _: Permit, name: &str, document: &str) -> Result<(), Error> {
        let update = self.session.iam.update_assume_role_policy().role_name(name).policy_document(document);
        let sent = update.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed_in_iam("UpdateAssumeRolePolicy", &e))
    }

    /// Puts the policy of ours, in place of what it was.
    pub async fn put_role_policy(&self, _: Permit, name: &str, document: &str) -> Result<(), Error> {
        let put = self.session.iam.put_role_policy().role_name(name).policy_name(POLICY).policy_document(document);
        let sent = put.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed_in_iam("PutRolePolicy", &e))
    }

    /// Deletes the policy of ours; one that is gone already, with its role or without, is as deleted.
    pub async fn delete_role_policy(&self, _: Permit, name: &str) -> Result<(), Error> {
        let delete = self.session.iam.delete_role_policy().role_name(name).policy_name(POLICY);
        let sent = delete.customize().config_override(once()).send().await;
        there(sent.map_err(|e| self.session.failed_in_iam("DeleteRolePolicy", &e))).map(drop)
    }

    /// Deletes a role; one that is gone already is as deleted. `InUse`: something hangs on it.
    pub async fn delete_role(&self, _: Permit, name: &str) -> Result<(), Error> {
        let delete = self.session.iam.delete_role().role_name(name);
        let sent = delete.customize().config_override(once()).send().await;
        there(sent.map_err(|e| self.session.failed_in_iam("DeleteRole", &e))).map(drop)
    }

    /// Sets these tags, and leaves all others.
    pub async fn tag_role(&self, _: Permit, name: &str, wanted: &BTreeMap<String, String>) -> Result<(), Error> {
        let tag = self.session.iam.tag_role().role_name(name).set_tags(Some(tags("TagRole", wanted)?));
        let sent = tag.customize().config_override(once()).send().await;
        sent.map(drop).map_err(|e| self.session.failed_in_iam("TagRole", &e))
    }

    /// Takes tags away; those that are gone already, with their role or without, are as taken away.
    pub async fn untag_role(&self, _: Permit, name: &str, keys: &[String]) -> Result<(), Error> {
        let untag = self.session.iam.untag_role().role_name(name).set_tag_keys(Some(keys.to_vec()));
        let sent = untag.customize().config_override(once()).send().await;
        there(sent.map_err(|e| self.session.failed_in_iam("UntagRole", &e))).map(drop)
    }
}

fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// What was asked about, if it is there.
fn there<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Tags as they are sent; one has a key and a value, so that none fails to be made.
fn tags(operation: &'static str, tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, Error> {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let made: Result<_, BuildError> = tags.collect();
    made.map_err(|e| Error::of(operation, &SdkError::<TagRoleError>::construction_failure(e)))
}

/// A document as it was put (aws-facts A.3, notes). What is not UTF-8 equals nothing of ours.
fn decoded(document: &str) -> String {
    percent_decode_str(document).decode_utf8_lossy().into_owned()
}
