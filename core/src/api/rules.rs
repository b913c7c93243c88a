//! The CEL rules that the API server runs on every write: fast refusals of what the operator would refuse later. They
//! look at one object alone and stay cheap: the API server turns down definitions whose rules might cost too much, and
//! it multiplies a rule's cost by the length of every list round it.

use kube::core::{Message, Rule};

/// Actions that no statement may name: they act on the registry itself, or write policies. In lower case. The table
/// that decides is the policy language's; this is what the API server knows of it.
const REGISTRY_LEVEL: [&str; 31] = [
    "createpullthroughcacherule",
    "createrepositorycreationtemplate",
    "deletepullthroughcacherule",
    "deleteregistrypolicy",
    "deleterepositorycreationtemplate",
    "deleterepositorypolicy",
    "deletesigningconfiguration",
    "deregisterpulltimeupdateexclusion",
    "describepullthroughcacherules",
    "describeregistry",
    "describereplicationbackfillresults",
    "describerepositorycreationtemplates",
    "getaccountsetting",
    "getauthorizationtoken",
    "getregistrypolicy",
    "getregistryscanningconfiguration",
    "getsigningconfiguration",
    "listpulltimeupdateexclusions",
    "listreplicationbackfills",
    "putaccountsetting",
    "putregistrypolicy",
    "putregistryscanningconfiguration",
    "putreplicationconfiguration",
    "putsigningconfiguration",
    "registerpulltimeupdateexclusion",
    "setrepositorypolicy",
    "startreplicationbackfill",
    "stopreplicationbackfill",
    "updatepullthroughcacherule",
    "updaterepositorycreationtemplate",
    "validatepullthroughcacherule",
];

fn rule(rule: impl Into<String>, message: &str) -> Rule {
    Rule::new(rule).message(Message::Message(message.to_owned()))
}

/// For a required field.
pub(super) fn immutable(message: &str) -> Rule {
    rule("self == oldSelf", message)
}

/// On the spec, not on the field: a rule on the field would not see it added or removed.
pub(super) fn registry_ref_is_immutable() -> Rule {
    rule(
        "has(self.registryRef) == has(oldSelf.registryRef) && (!has(self.registryRef) || self.registryRef.name == oldSelf.registryRef.name)",
        "registryRef cannot change, nor come or go: create another object, then delete this one",
    )
    .field_path(".registryRef")
}

pub(super) fn identity_is_of_the_account() -> Rule {
    rule(
        "!has(self.identity) || self.identity.roleArn.contains(':iam::' + self.accountId + ':role/')",
        "identity.roleArn must be a role of accountId: the operator works in that account only",
    )
}

pub(super) fn interval_is_sensible() -> Rule {
    rule(
        "duration(self) >= duration('10s') && duration(self) <= duration('24h')",
        "interval is at least 10s and at most 24h, such as 5m",
    )
}

pub(super) fn namespaces_by_name_or_label() -> Rule {
    rule("has(self.names) != has(self.selector)", "write exactly one of names and selector")
}

pub(super) fn a_limit_is_written() -> Rule {
    rule("has(self.each) || has(self.together)", "nothing is limited: write each, together or both")
}

pub(super) fn an_amount_is_written() -> Rule {
    rule(
        "has(self.objects) || has(self.characters) || has(self.rules) || has(self.roles)",
        "no number is written: write one at least of objects, characters, rules and roles",
    )
}

pub(super) fn somebody_is_named() -> Rule {
    rule(
        "has(self.accountIds) || has(self.roles) || has(self.users) || has(self.organizationIds) || has(self.services) || has(self.everyone)",
        "nobody is named: write one at least of accountIds, roles, users, organizationIds, services and everyone",
    )
}

pub(super) fn the_lone_stand_alone() -> Rule {
    rule(
        "[has(self.accountIds) || has(self.roles) || has(self.users), has(self.organizationIds), has(self.services), has(self.everyone)].filter(present, present).size() <= 1",
        "services, organizationIds and everyone each stand alone: write a statement for each",
    )
}

pub(super) fn only_true(message: &str) -> Rule {
    rule("self", message)
}

pub(super) fn sources_are_named() -> Rule {
    rule(
        "has(self.accountIds) || has(self.organizationIds)",
        "nobody is named: write one at least of accountIds and organizationIds",
    )
}

pub(super) fn actions_are_spelled_out() -> Rule {
    rule(
        "self.all(action, action.matches('^ecr:[A-Za-z]+$'))",
        "an action is spelled out, such as ecr:BatchGetImage: no wildcard, no other service",
    )
}

pub(super) fn actions_are_of_repositories() -> Rule {
    let forbidden: Vec<String> = REGISTRY_LEVEL.iter().map(|name| format!("'ecr:{name}'")).collect();
    rule(
        format!("!self.exists(action, action.lowerAscii() in [{}])", forbidden.join(", ")),
        "no action may act on the registry itself or write policies: take out such as ecr:GetAuthorizationToken, ecr:PutRegistryPolicy, ecr:SetRepositoryPolicy",
    )
}

/// The lint looks closer: at the values, too.
pub(super) fn services_are_confined() -> Rule {
    rule(
        "!has(self.principals.services) || (has(self.conditions) && self.conditions.exists(c, c.operator in ['StringEquals', 'ArnEquals', 'ArnLike'] && c.key.lowerAscii() in ['aws:sourceaccount', 'aws:sourcearn', 'aws:sourceorgid']))",
        "a service acts for whoever asks it: add a condition, StringEquals aws:SourceAccount or aws:SourceOrgID, or ArnEquals aws:SourceArn",
    )
}

pub(super) fn lockout_is_acknowledged() -> Rule {
    rule(
        "!(has(self.effect) && self.effect == 'Deny' && (has(self.principals.everyone) || has(self.principals.organizationIds))) || has(self.acknowledgeLockout)",
        "a Deny to everyone may lock out its own author: name whom to refuse, or set acknowledgeLockout: true",
    )
}

pub(super) fn boundary_is_of_the_account() -> Rule {
    rule(
        "!has(self.roles) || self.roles.permissionsBoundaryArn.contains(':iam::' + self.accountId + ':policy/')",
        "roles.permissionsBoundaryArn must be a policy of accountId: the roles it bounds live there",
    )
}

pub(super) fn roles_have_a_boundary() -> Rule {
    rule(
        "has(self.roles) || !has(self.allow) || !self.allow.exists(rule, 'CrossAccountPtcRole' in rule.kinds)",
        "allow lets objects of kind CrossAccountPtcRole make roles, which nothing bounds: set roles.permissionsBoundaryArn",
    )
}

/// Whether `path` neither came nor went nor changed. A member on the way to it must be there, before and after.
fn same(path: &str) -> String {
    format!("has(self.{path}) == has(oldSelf.{path}) && (!has(self.{path}) || self.{path} == oldSelf.{path})")
}

/// What AWS updates is left out: `secretName`, `roleRef`, `roleName` (aws-facts D.4).
pub(super) fn upstream_is_immutable() -> Rule {
    let external = ["upstream.ecr.external.accountId", "upstream.ecr.external.region"].map(same).join(" && ");
    let ecr = [
        "has(self.upstream.ecr.registryRef) == has(oldSelf.upstream.ecr.registryRef)".to_owned(),
        format!("(!has(self.upstream.ecr.registryRef) || ({}))", same("upstream.ecr.registryRef.name")),
        "has(self.upstream.ecr.external) == has(oldSelf.upstream.ecr.external)".to_owned(),
        format!("(!has(self.upstream.ecr.external) || ({external}))"),
        same("upstream.ecr.repositoryPrefix"),
    ];
    let parts = [
        "self.upstream.type == oldSelf.upstream.type".to_owned(),
        "has(self.upstream.ecr) == has(oldSelf.upstream.ecr)".to_owned(),
        format!("(!has(self.upstream.ecr) || ({}))", ecr.join(" && ")),
        "has(self.upstream.azure) == has(oldSelf.upstream.azure)".to_owned(),
        format!("(!has(self.upstream.azure) || ({}))", same("upstream.azure.host")),
    ];
    let recreate = "has(self.replacePolicy) && self.replacePolicy == 'Recreate'";
    rule(
        format!("({recreate}) || ({})", parts.join(" && ")),
        "upstream cannot change, but for secretName, roleRef and roleName: create another object, or set replacePolicy: Recreate to have the rule deleted and made anew",
    )
    .field_path(".upstream")
}

pub(super) fn role_name_is_immutable() -> Rule {
    rule(same("roleName"), "roleName cannot change, nor come or go: create another object, then delete this one")
        .field_path(".roleName")
}

pub(super) fn the_root_takes_the_whole_upstream() -> Rule {
    rule(
        "self.cachePrefix != 'ROOT' || !has(self.upstream.ecr) || !has(self.upstream.ecr.repositoryPrefix)",
        "cachePrefix ROOT stands for the whole upstream: take out upstream.ecr.repositoryPrefix, or write a cachePrefix",
    )
}

pub(super) fn pullers_are_no_services() -> Rule {
    rule(
        "!has(self.pullers) || !has(self.pullers.services)",
        "an AWS service does not pull through a cache: take out pullers.services, name accounts, roles or users",
    )
}

pub(super) fn who_creates_is_named() -> Rule {
    rule(
        "!has(self.createRepositories) || !self.createRepositories || has(self.pullers)",
        "createRepositories lets pullers create repositories, and there are none: name pullers, or take it out",
    )
}

pub(super) fn ecr_is_described_by_ecr() -> Rule {
    rule(
        "(self.type == 'Ecr') == has(self.ecr)",
        "ecr describes an upstream of type Ecr and of no other: write both or neither",
    )
}

pub(super) fn azure_is_described_by_azure() -> Rule {
    rule(
        "(self.type == 'Azure') == has(self.azure)",
        "azure describes an upstream of type Azure and of no other: write both or neither",
    )
}

/// The types whose upstream asks for credentials (aws-facts D.1); the translation has the same list.
const WITH_CREDENTIALS: &str = "self.type in ['DockerHub', 'GitHub', 'GitLab', 'Azure', 'Chainguard']";

pub(super) fn credentials_are_named() -> Rule {
    rule(
        format!("!({WITH_CREDENTIALS}) || has(self.secretName)"),
        "this type of upstream needs credentials: set secretName, such as ecr-pullthroughcache/docker-hub",
    )
}

pub(super) fn credentials_are_used() -> Rule {
    rule(
        format!("({WITH_CREDENTIALS}) || !has(self.secretName)"),
        "this type of upstream takes no credentials: take out secretName",
    )
}

pub(super) fn one_target() -> Rule {
    rule("has(self.registryRef) != has(self.external)", "write exactly one of registryRef and external")
}

pub(super) fn one_role() -> Rule {
    rule("!(has(self.roleRef) && has(self.roleName))", "write at most one of roleRef and roleName")
}

#[cfg(test)]
mod tests {
    use super::REGISTRY_LEVEL;
    use crate::policy::Action;

    #[test]
    fn what_the_api_server_forbids_the_lint_forbids_too() {
        for name in REGISTRY_LEVEL {
            let known = Action::new(&format!("ecr:{name}")).known();
            assert!(known.is_some_and(|known| known.registry_level || known.policy_writing), "{name}");
        }
    }
}
