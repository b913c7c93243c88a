//! `PullThroughCacheRule` and `CrossAccountPtcRole`: what they become, who has to consent, and what nobody gets by them.

#![allow(clippy::unwrap_used, reason = "a test that cannot build its input has failed")]

mod attacks;
mod changes;
mod consent;
mod roles;
mod rules;

use ecr_permissions_core::api::{CrossAccountPtcRoleSpec, PullThroughCacheRuleSpec};
use ecr_permissions_core::kinds::{Body, References, Wanted, translate};
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::reason::Because;
use serde_json::{Value, json};

/// The ARN of a role of the downstream.
const ARN: &str = "arn:aws:iam::111111111111:role/ecr-operator/ptc/ecr-cache";

fn key(account: &str, region: &str) -> RegistryKey {
    RegistryKey { account: account.parse().unwrap(), region: region.parse().unwrap() }
}

/// The downstream, to which everything here is attached.
fn own() -> RegistryKey {
    key("111111111111", "eu-west-1")
}

/// Registry `upstream` is of another account, `frankfurt` of the downstream's own.
fn references() -> References {
    References::from_iter([
        ("upstream".to_owned(), key("222222222222", "eu-west-1")),
        ("frankfurt".to_owned(), key("111111111111", "eu-central-1")),
    ])
}

fn with(mut base: Value, text: &str) -> Value {
    let given: serde_json::Map<String, Value> = serde_saphyr::from_str(text).unwrap();
    base.as_object_mut().unwrap().extend(given);
    base
}

/// The spec of a rule for `hub` from `public.ecr.aws`, unless `text` says otherwise.
fn rule_spec(text: &str) -> Value {
    with(json!({"cachePrefix": "hub", "upstream": {"type": "EcrPublic"}}), text)
}

fn rule_body(text: &str) -> Body {
    serde_json::from_value::<PullThroughCacheRuleSpec>(rule_spec(text)).unwrap().into()
}

fn rule_wanted(text: &str) -> Result<Wanted, Because> {
    translate(&rule_body(text), &own(), &references())
}

/// The member `upstream` of a rule that pulls from an ECR private registry.
fn ecr(members: &str) -> String {
    format!("upstream: {{type: Ecr, ecr: {{{members}}}}}")
}

/// The spec of a role that pulls `base/*` of Registry `upstream` into `cache/*`, unless `text` says otherwise.
fn role_spec(text: &str) -> Value {
    let base = json!({
        "upstreams": [{"name": "platform", "registryRef": {"name": "upstream"}, "repositories": ["base/*"]}],
        "cacheRepositories": ["cache/*"],
    });
    with(base, text)
}

fn role_body(text: &str) -> Body {
    serde_json::from_value::<CrossAccountPtcRoleSpec>(role_spec(text)).unwrap().into()
}

fn role_wanted(text: &str) -> Result<Wanted, Because> {
    translate(&role_body(text), &own(), &references())
}
