//! What must not be granted, whoever asks: deny by default (rule 9; behaviour 35). Works on normal form, so no
//! spelling gets round it. It judges a statement by itself; whether its owner may grant this at all is consent's matter.

use std::collections::BTreeSet;

use super::action::Action;
use super::statement::{ConditionKey, Effect, Principal, Statement};
use crate::names::{AccountId, Region, RepositoryPattern};

/// One thing to change, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of finding, for machines; stays the same.
    pub code: &'static str,
    /// The field, what is wrong with it, and the cure.
    pub message: String,
}

fn finding(code: &'static str, message: String) -> Finding {
    Finding { code, message }
}

/// Everything that speaks against a statement. `acknowledge_lockout` is the field of that name; `allow_public` says
/// that a field made for it (`everyone`) asked for access by everyone.
pub fn lint(statement: &Statement, acknowledge_lockout: bool, allow_public: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if statement.principals.is_empty() {
        findings.push(finding("principals-empty", "principals: nobody is named; name at least one".to_owned()));
    }
    if statement.actions.is_empty() {
        let message = "actions: none is named; name at least one, such as ecr:BatchGetImage".to_owned();
        findings.push(finding("actions-empty", message));
    }
    findings.extend(statement.principals.iter().filter_map(lint_principal));
    findings.extend(statement.actions.iter().filter_map(lint_action));
    findings.extend(statement.resources.iter().filter_map(|resource| lint_resource(resource)));
    findings.extend(statement.conditions.iter().flat_map(|(key, values)| lint_condition(key, values)));
    if !acknowledge_lockout {
        findings.extend(lint_lockout(statement));
    }
    if !allow_public {
        findings.extend(lint_public(statement));
    }
    findings.extend(lint_services(statement));
    findings
}

fn lint_action(action: &Action) -> Option<Finding> {
    let (code, why) = if action.is_wildcard() {
        ("action-wildcard", "is a wildcard; name each action, such as ecr:BatchGetImage")
    } else if !action.as_str().get(..4).is_some_and(|service| service.eq_ignore_ascii_case("ecr:")) {
        ("action-not-ecr", "is not an action of ECR; name ecr: actions only")
    } else {
        match action.known() {
            None => ("action-unknown", "is not an action that AWS documents for ECR; correct its name"),
            Some(known) if known.policy_writing => {
                ("action-policy-writing", "lets its holder change what others may do, itself included; remove it")
            }
            Some(known) if known.registry_level => (
                "action-registry-level",
                "acts on the registry, not on repositories; grant it in an IAM identity policy",
            ),
            Some(_) => return None,
        }
    };
    Some(finding(code, format!("actions: {:?} {why}", action.as_str())))
}

fn lint_principal(principal: &Principal) -> Option<Finding> {
    let (well_formed, expected) = match principal {
        Principal::Everyone | Principal::Account(_) => return None,
        Principal::Aws(arn) => (is_principal_arn(arn), "the ARN of a role, a user or a session of an account"),
        Principal::Service(name) => (is_service(name), "a service such as codebuild.amazonaws.com"),
    };
    let message = || format!("principals: {:?} is not {expected}; correct it", principal.as_str());
    (!well_formed).then(|| finding("principal-malformed", message()))
}

/// Groups are no principals, wildcards inside an ARN match nobody, and a unique id is a principal that was deleted
/// (aws-facts B.3, B.5).
fn is_principal_arn(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, name] = parts.as_slice() else { return false };
    let named = |kind: &str| name.strip_prefix(kind).is_some_and(|name| !name.is_empty() && !name.ends_with('/'));
    let kind = match *service {
        "iam" => *name == "root" || named("role/") || named("user/"),
        "sts" => named("assumed-role/") || named("federated-user/"),
        _ => false,
    };
    let literal = !text.contains(['*', '?', ' ']) && !text.contains("${");
    kind && literal && partition.starts_with("aws") && account.parse::<AccountId>().is_ok()
}

fn is_service(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let domain = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".aws.internal"];
    name.bytes().all(legal)
        && domain.iter().any(|domain| name.strip_suffix(domain).is_some_and(|stem| !stem.is_empty()))
}

fn lint_resource(resource: &str) -> Option<Finding> {
    if resource == "*" {
        let message = "repositories: the resource \"*\" is everything; name repositories, or a prefix such as team-a/*";
        return Some(finding("resource-any", message.to_owned()));
    }
    let message = || {
        format!("repositories: {resource:?} is not the ARN of a repository or of a prefix ending in \"*\"; correct it")
    };
    repository_account(resource).is_none().then(|| finding("resource-not-repository", message()))
}

/// The account of `arn:PARTITION:ecr:REGION:ACCOUNT:repository/PATTERN`, if all of it is well-formed.
fn repository_account(arn: &str) -> Option<AccountId> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", partition, "ecr", region, account, name] = parts.as_slice() else { return None };
    let pattern = name.strip_prefix("repository/")?.parse::<RepositoryPattern>();
    let region = region.parse::<Region>().ok().filter(|region| region.partition().as_str() == *partition);
    pattern.ok().and(region).and_then(|_| account.parse().ok())
}

const OPERATORS: [&str; 26] = [
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "BinaryEquals",
    "Bool",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericNotEquals",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
];

fn lint_condition(key: &ConditionKey, values: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ConditionKey { operator, key } = key;
    let plain =
        operator.strip_prefix("ForAnyValue:").or_else(|| operator.strip_prefix("ForAllValues:")).unwrap_or(operator);
    if operator != "Null" && !OPERATORS.contains(&plain.strip_suffix("IfExists").unwrap_or(plain)) {
        let message =
            format!("conditions: {operator:?} is not a condition operator of IAM; correct it, as in StringEquals");
        findings.push(finding("condition-operator", message));
    }
    if key.trim().is_empty() || !key.contains(':') {
        let message = format!("conditions: {key:?} is not a condition key; name one, such as aws:PrincipalOrgID");
        findings.push(finding("condition-key", message));
    }
    if values.is_empty() {
        findings.push(finding("condition-empty", format!("conditions: {operator} of {key} has no value; give one")));
    }
    let variables = values.iter().filter(|value| value.contains("${")).map(|value| {
        let why =
            "is a policy variable, which a document of Version 2008-10-17 reads as plain text; write the value out";
        finding("policy-variable", format!("conditions: {value:?} of {key} {why}"))
    });
    findings.extend(variables);
    findings
}

fn lint_lockout(statement: &Statement) -> Option<Finding> {
    let owners: BTreeSet<_> = statement.resources.iter().filter_map(|resource| repository_account(resource)).collect();
    let shut_out = statement.principals.iter().find(|principal| match principal {
        Principal::Everyone => true,
        Principal::Account(account) => owners.contains(account),
        Principal::Aws(_) | Principal::Service(_) => false,
    })?;
    let message = || {
        let cure = "name whom to refuse, or set acknowledgeLockout: true";
        format!("principals: a Deny to {:?} shuts out the registry's owner; {cure}", shut_out.as_str())
    };
    (statement.effect == Effect::Deny).then(|| finding("lockout", message()))
}

fn lint_public(statement: &Statement) -> Option<Finding> {
    let callers = ["aws:principalorgid", "aws:principalaccount", "aws:principalarn", "aws:principalorgpaths"];
    let public = statement.effect == Effect::Allow
        && statement.principals.contains(&Principal::Everyone)
        && !is_confined(statement, &callers);
    let message = "principals: everyone is public access; name accounts, roles or users, or add a literal condition such as \
                   StringEquals of aws:PrincipalOrgID (IfExists, ForAllValues, Null and wildcards do not restrict)";
    public.then(|| finding("public", message.to_owned()))
}

/// A service acts for whoever asks it to: without the source written out it is a confused deputy.
fn lint_services(statement: &Statement) -> Vec<Finding> {
    let confined = is_confined(statement, &["aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid"]);
    let services = statement.principals.iter().filter(|principal| matches!(principal, Principal::Service(_)));
    let cure = "add a literal condition: StringEquals of aws:SourceAccount or aws:SourceOrgID, or ArnLike of aws:SourceArn \
                with its account written out";
    let message = |service| format!("conditions: the service {service} would act for any account; {cure}");
    services.filter(|_| !confined).map(|service| finding("service-unconfined", message(service))).collect()
}

fn is_confined(statement: &Statement, keys: &[&str]) -> bool {
    statement.conditions.iter().any(|(key, values)| is_restriction(key, values, keys))
}

/// Whether a condition surely names somebody: a positive operator, and every value (they are alternatives) literal.
fn is_restriction(condition: &ConditionKey, values: &BTreeSet<String>, keys: &[&str]) -> bool {
    let key = condition.key.to_ascii_lowercase();
    let literal = |value: &String| !value.is_empty() && !value.contains(['*', '?']) && !value.contains("${");
    let names_account = |value: &String| {
        let parts: Vec<_> = value.splitn(6, ':').collect();
        let ["arn", partition, service, _, account, name] = parts.as_slice() else { return false };
        let fixed = [partition, service].iter().all(|part| !part.is_empty() && !part.contains(['*', '?']));
        fixed && !name.is_empty() && account.parse::<AccountId>().is_ok() && !value.contains("${")
    };
    let holds = match condition.operator.as_str() {
        "StringEquals" => values.iter().all(literal),
        // The one key of these that has several values at once.
        "ForAnyValue:StringEquals" => key == "aws:principalorgpaths" && values.iter().all(literal),
        "ArnEquals" | "ArnLike" => key.ends_with("arn") && values.iter().all(names_account),
        _ => false,
    };
    keys.contains(&key.as_str()) && !values.is_empty() && holds
}
