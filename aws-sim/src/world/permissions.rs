//! What a role may do by what it carries: its inline and attached policies, within its boundary (aws-facts H.4).

use std::collections::BTreeMap;

use super::World;
use super::policy::evaluate::{Document, Holder, Question, Verdict};
use super::role::Role;

/// AWS's own policies, as far as anybody here attaches one (aws-facts D.5 for the second).
const OF_AWS: [(&str, &str); 2] = [
    ("AdministratorAccess", r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#),
    (
        "AmazonEC2ContainerRegistryPullOnly",
        r#"{"Statement":{"Effect":"Allow","Resource":"*","Action":["ecr:GetAuthorizationToken","ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer","ecr:BatchImportUpstreamImage"]}}"#,
    ),
];

impl World {
    /// The document of a managed policy, seen from an account; `None` if there is no such policy.
    pub(super) fn managed_policy(&self, account: &str, arn: &str) -> Option<&str> {
        if let Some(name) = arn.split_once(":iam::aws:policy/").map(|(_, name)| name) {
            return OF_AWS.iter().find(|(known, _)| *known == name).map(|(_, document)| *document);
        }
        self.accounts.get(account)?.managed_policies.get(arn).map(String::as_str)
    }

    /// Why a role may not do something; nothing if it may.
    pub(super) fn identity_obstacle(&self, role: &Role, question: &Question<'_>) -> Option<String> {
        let account = role.arn.split(':').nth(4).unwrap_or_default();
        let nobody = BTreeMap::new();
        let says = |text: &str| Document { holder: Holder::Identity, text, renamed: &nobody }.says(question);
        let inline = role.inline_policies.iter().map(|(name, text)| (name.as_str(), Some(text.as_str())));
        let attached = role.attached_policies.iter().map(|arn| (arn.as_str(), self.managed_policy(account, arn)));
        let mut is_allowed = false;
        for (name, text) in inline.chain(attached) {
            match says(text.unwrap_or_default()) {
                Verdict::Denied(because) => return Some(format!("{because} of its policy {name}")),
                Verdict::Allowed(_) => is_allowed = true,
                Verdict::Silent(_) => {}
            }
        }
        if !is_allowed {
            return Some("none of its policies allows it".to_owned());
        }
        let boundary = role.permissions_boundary.as_deref()?;
        let Some(text) = self.managed_policy(account, boundary) else {
            return Some(format!("its boundary {boundary} does not exist"));
        };
        match says(text) {
            Verdict::Allowed(_) => None,
            Verdict::Denied(because) | Verdict::Silent(because) => Some(format!("its boundary {boundary}: {because}")),
        }
    }
}
