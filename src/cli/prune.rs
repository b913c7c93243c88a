//! `ecr-permissions prune REGISTRY`: shows what is left in AWS of objects that are gone, and on confirmation asks the
//! operator to remove it. It writes one annotation and never calls AWS: the operator is the only writer, and removes
//! exactly the set that was shown.

use std::process::ExitCode;

use ::kube::Api;
use ::kube::api::{Patch, PatchParams};
use clap::Args;
use ecr_permissions_core::api::{LedgerState, PRUNE, Registry};
use serde_json::json;

use super::{Cluster, connect, failed};

#[derive(Args, Debug)]
pub struct PruneArgs {
    /// The Registry (see `kubectl get registries`).
    registry: String,
    /// The token that was shown with the orphans; it names exactly them.
    #[arg(long, value_name = "TOKEN")]
    confirm: Option<String>,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Connect(#[from] connect::Error),
    #[error("Registry {0} does not exist; see kubectl get registries")]
    NoRegistry(String),
    #[error("nothing of Registry {0} is orphaned")]
    NothingOrphaned(String),
    #[error("the token does not name what is orphaned now; look again: {0}")]
    OtherOrphans(String),
    #[error("the API server: {0}")]
    Api(#[from] ::kube::Error),
    #[error("cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

pub fn run(args: &PruneArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Error::from(error)),
    };
    match runtime.block_on(prune(args)) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

async fn prune(args: &PruneArgs) -> Result<String, Error> {
    let registries: Api<Registry> = Api::all(connect::cluster(&args.cluster).await?);
    let name = &args.registry;
    let registry = registries.get_opt(name).await?.ok_or_else(|| Error::NoRegistry(name.clone()))?;
    let message = orphaned(&registry);
    match (&args.confirm, message) {
        (None, None) => Ok(format!("Nothing of Registry {name} is orphaned.")),
        (None, Some(message)) => Ok(shown(&registry, message)),
        (Some(_), None) => Err(Error::NothingOrphaned(name.clone())),
        (Some(token), Some(message)) if !confirms(token, message) => Err(Error::OtherOrphans(message.to_owned())),
        (Some(token), Some(_)) => {
            let annotation = json!({ "metadata": { "annotations": { PRUNE: token } } });
            registries.patch(name, &PatchParams::default(), &Patch::Merge(&annotation)).await?;
            Ok(format!("Asked. Once they are gone, the condition Orphaned is gone from Registry {name}."))
        }
    }
}

/// What the operator says of orphans, if there are any.
fn orphaned(registry: &Registry) -> Option<&str> {
    let conditions = &registry.status.as_ref()?.conditions;
    conditions.iter().find(|c| c.type_ == "Orphaned" && c.status == "True").map(|c| c.message.as_str())
}

/// The operator's message ends with the command that confirms it.
fn confirms(token: &str, message: &str) -> bool {
    !token.is_empty() && message.split_whitespace().next_back() == Some(token)
}

fn shown(registry: &Registry, message: &str) -> String {
    let ledger = registry.status.iter().flat_map(|status| &status.ledger);
    let orphans = ledger.filter(|entry| entry.state == LedgerState::Orphan).flat_map(|entry| {
        let object = format!("{} {}/{}", entry.kind, entry.namespace, entry.name);
        let rule = entry.rule.iter().map(|rule| format!("  cache rule {} of {}", rule.prefix, rule.upstream_url));
        let role = entry.role.iter().map(|role| format!("  role {}", role.arn));
        let statements = entry.statements.iter().map(|statement| format!("  {statement}"));
        std::iter::once(object).chain(rule).chain(role).chain(statements)
    });
    orphans.chain([message.to_owned()]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaviour 41: a person sees what goes, whatever the kind, before it goes.
    #[test]
    fn everything_that_would_be_removed_is_shown() {
        let object = |kind: &str, state: &str| json!({"kind": kind, "namespace": "team-a", "name": "base", "uid": "u", "generation": 1, "state": state});
        let mut ledger = [object("RegistryPolicy", "Applied"), object("PullThroughCacheRule", "Orphan")].to_vec();
        ledger[1]["rule"] = json!({"prefix": "mirror", "upstreamUrl": "public.ecr.aws", "state": "Owned"});
        ledger[1]["statements"] = json!(["a statement"]);
        let mut role = object("CrossAccountPtcRole", "Orphan");
        role["role"] = json!({"name": "base", "arn": "arn:aws:iam::111111111111:role/ptc/base", "state": "Owned"});
        ledger.push(role);
        let registry: Registry = serde_json::from_value(json!({
            "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "Registry", "metadata": {"name": "default"},
            "spec": {"accountId": "111111111111", "region": "eu-west-1"}, "status": {"ledger": ledger},
        }))
        .unwrap();
        let expected = [
            "PullThroughCacheRule team-a/base",
            "  cache rule mirror of public.ecr.aws",
            "  a statement",
            "CrossAccountPtcRole team-a/base",
            "  role arn:aws:iam::111111111111:role/ptc/base",
            "and how",
        ];
        assert_eq!(shown(&registry, "and how").lines().collect::<Vec<_>>(), expected);
    }
}
