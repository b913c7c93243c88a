//! `ecr-permissions prune REGISTRY`: shows what is left in AWS of objects that are gone, and on confirmation asks the
//! operator to remove it. It writes one annotation and never calls AWS: the operator is the only writer, and removes
//! exactly the set that was shown.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use ::kube::Api;
use ::kube::api::{ListParams, Patch, PatchParams};
use clap::Args;
use ecr_permissions_core::api::{LedgerState, PRUNE, Registry, RegistryLedger};
use ecr_permissions_core::pass::ledger::{Holding, Slice, Slices};
use serde_json::json;

use super::{Cluster, connect, in_cluster};

#[derive(Args, Debug)]
pub struct PruneArgs {
    /// The Registry (see `kubectl get registries`).
    registry: String,
    /// The tokens that were shown with the orphans, or some of them, with commas; each names exactly what one namespace left.
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
    #[error("nothing of Registry {0} is orphaned or retained")]
    NothingLeft(String),
    #[error("no token names what is orphaned or retained now; look again: {0}")]
    OtherToken(String),
    #[error("the API server: {0}")]
    Api(#[from] ::kube::Error),
}

pub fn run(args: &PruneArgs) -> ExitCode {
    in_cluster(prune(args))
}

async fn prune(args: &PruneArgs) -> Result<String, Error> {
    let registries: Api<Registry> = Api::all(connect::cluster(&args.cluster).await?);
    let name = &args.registry;
    let registry = registries.get_opt(name).await?.ok_or_else(|| Error::NoRegistry(name.clone()))?;
    let left = left(&registry);
    let message = (!left.is_empty()).then(|| left.join("\n"));
    match (&args.confirm, message) {
        (None, None) => Ok(format!("Nothing of Registry {name} is orphaned or retained.")),
        (None, Some(message)) => {
            let slices: Api<RegistryLedger> = Api::all(registries.into_client());
            let (account, region) = (&registry.spec.account_id, &registry.spec.region);
            let of_registry = format!("spec.accountId={account},spec.region={region}");
            let slices = slices.list(&ListParams::default().fields(&of_registry)).await?;
            Ok(shown(&registry, slices.items, &message))
        }
        (Some(_), None) => Err(Error::NothingLeft(name.clone())),
        (Some(tokens), Some(message)) => {
            let (known, unknown) = sorted(tokens, &left);
            if known.is_empty() {
                return Err(Error::OtherToken(message));
            }
            // What was asked before and is still there is not forgotten over it.
            let pending = registry.metadata.annotations.iter().flatten().find(|(name, _)| *name == PRUNE);
            let pending = pending.map(|(_, tokens)| sorted(tokens, &left).0).unwrap_or_default();
            let asked: BTreeSet<_> = pending.into_iter().chain(known).collect();
            let asked = asked.into_iter().collect::<Vec<_>>().join(",");
            let annotation = json!({ "metadata": { "annotations": { PRUNE: asked } } });
            registries.patch(name, &PatchParams::default(), &Patch::Merge(&annotation)).await?;
            let asked = format!("Asked. Once it is gone, the conditions of Registry {name} name it no more.");
            Ok(if unknown.is_empty() { asked } else { format!("{asked}\n{}", changed(&unknown)) })
        }
    }
}

/// Whether a condition of a Registry tells of what gone objects left.
pub(super) fn left_behind(condition: &str) -> bool {
    ["Orphaned", "Retained"].contains(&condition)
}

/// What the operator says of what gone objects left, if there is any.
fn left(registry: &Registry) -> Vec<&str> {
    let conditions = registry.status.iter().flat_map(|status| &status.conditions);
    conditions.filter(|c| c.status == "True" && left_behind(&c.type_)).map(|c| c.message.as_str()).collect()
}

/// The operator's message has the command that confirms it, with a token for each namespace.
pub(super) fn tokens_of(message: &str) -> impl Iterator<Item = &str> {
    let tokens = message.split_once("--confirm ").and_then(|(_, rest)| rest.split_whitespace().next());
    tokens.into_iter().flat_map(|tokens| tokens.split(','))
}

/// The tokens that name something now, and those that do not any more.
fn sorted<'t>(tokens: &'t str, left: &[&str]) -> (Vec<&'t str>, Vec<&'t str>) {
    let shown: Vec<_> = left.iter().flat_map(|message| tokens_of(message)).collect();
    tokens.split(',').map(str::trim).filter(|token| !token.is_empty()).partition(|token| shown.contains(token))
}

fn changed(unknown: &[&str]) -> String {
    format!("Not asked, since it is not what was shown any more: {}. Look again.", unknown.join(", "))
}

fn shown(registry: &Registry, slices: Vec<RegistryLedger>, message: &str) -> String {
    let installation = registry.status.as_ref().and_then(|status| status.installation_id.as_ref()?.parse().ok());
    let slices = slices.into_iter().map(|slice| Arc::new(Slice::of(slice)));
    let slices = installation.map(|installation| Slices::new(&installation, slices)).unwrap_or_default();
    let holdings = slices.objects().into_iter().filter_map(|id| Some((slices.on_record(&id)?, id)));
    let is_left = |holding: &Holding| matches!(holding.state, LedgerState::Orphan | LedgerState::Retained);
    let orphans = holdings.filter(|(holding, _)| is_left(holding)).flat_map(|(holding, id)| {
        let object = format!("{} {}/{}", id.kind, id.namespace, id.name);
        let things = &holding.things;
        let rule = things.rule.iter().map(|rule| format!("  cache rule {} of {}", rule.prefix, rule.upstream_url));
        let role = things.role.iter().map(|role| format!("  role {}", role.arn));
        let statements = holding.statements.iter().map(|statement| format!("  {}", statement.canonical()));
        [object].into_iter().chain(rule).chain(role).chain(statements).collect::<Vec<_>>()
    });
    orphans.chain([message.to_owned()]).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use ecr_permissions_core::ownership::InstallationId;

    use super::*;

    const SAID: &str = "Remove with: ecr-permissions prune default --confirm abc,def . Kept in AWS";

    /// Behaviour 41: a person sees what goes, whatever the kind, before it goes.
    #[test]
    fn everything_that_would_be_removed_is_shown() {
        let installation = InstallationId::of_cluster("us");
        let entry = |kind: &str, more: &str| {
            json!({
                "kind": kind, "name": "base", "part": 0, "data": format!(r#"{{"uid":"u","generation":1,"write":1,"statements":[]{more}}}"#),
            })
        };
        let rule = r#","resources":{"rule":{"prefix":"mirror","upstreamUrl":"public.ecr.aws","state":"Owned"}},"state":"Orphan""#;
        let role = r#","resources":{"role":{"name":"base","arn":"arn:aws:iam::111111111111:role/ptc/base","state":"Owned"}},"state":"Orphan""#;
        let spec = json!({
            "installationId": installation.as_str(), "accountId": "111111111111", "region": "eu-west-1", "namespace": "team-a", "digest": "",
            "entries": [entry("RegistryPolicy", ""), entry("PullThroughCacheRule", rule), entry("CrossAccountPtcRole", role)],
        });
        let mut slice = Slice::of(RegistryLedger::new("slice", serde_json::from_value(spec).unwrap()));
        slice.digest = slice.spec().digest;
        let slice = RegistryLedger::new("slice", slice.spec());
        let registry: Registry = serde_json::from_value(json!({
            "apiVersion": "ecr-permissions.dev/v1alpha1", "kind": "Registry", "metadata": {"name": "default"},
            "spec": {"accountId": "111111111111", "region": "eu-west-1"}, "status": {"installationId": installation.as_str()},
        }))
        .unwrap();
        let expected = [
            "PullThroughCacheRule team-a/base",
            "  cache rule mirror of public.ecr.aws",
            "CrossAccountPtcRole team-a/base",
            "  role arn:aws:iam::111111111111:role/ptc/base",
            "and how",
        ];
        assert_eq!(shown(&registry, vec![slice], "and how").lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_token_is_found_wherever_the_list_is_cut() {
        assert_eq!(tokens_of(SAID).collect::<Vec<_>>(), ["abc", "def"]);
        assert_eq!(tokens_of("Kept in AWS").count(), 0);
    }

    /// What changed in one namespace between showing and confirming keeps nobody's from going.
    #[test]
    fn what_was_shown_is_removed_whatever_changed_beside_it() {
        assert_eq!(sorted("def,gone", &[SAID]), (vec!["def"], vec!["gone"]));
        assert_eq!(sorted("abc,def", &[SAID]), (vec!["abc", "def"], vec![]));
        assert_eq!(sorted("other,", &[SAID]), (vec![], vec!["other"]));
    }
}
