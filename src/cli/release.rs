//! `ecr-permissions release`: lets go of objects. What they have in AWS stays there, under Sids and without tags of ours,
//! and is nobody's from then on. The operator does it, asked by annotations; for an operator that is gone,
//! `--kubernetes-only` takes its finalizers and its records away and changes nothing in AWS.

use std::collections::BTreeSet;
use std::process::ExitCode;

use ::kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use ::kube::{Api, Client, ResourceExt};
use clap::Args;
use ecr_permissions_core::api::{DEFAULT_REGISTRY, FINALIZER, GROUP, INTERNAL_GROUP, Kind, LEDGER_FINALIZER, RELEASE};
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::prune::{left_behind, tokens_of};
use super::{Cluster, connect, in_cluster};

/// Objects of one answer, and writes under way at once.
const PAGE: u32 = 250;
const AT_ONCE: usize = 16;
/// So often is an object freed that somebody else changes meanwhile.
const TRIES_AT_MOST: usize = 5;

#[derive(Args, Debug)]
#[group(id = "what", required = true, multiple = false, args = ["registry", "all"])]
pub struct ReleaseArgs {
    /// The Registry whose objects are let go of (see `kubectl get registries`), with what gone objects left in it.
    registry: Option<String>,
    /// Every object of every Registry.
    #[arg(long)]
    all: bool,
    /// Lets go of no object, and of what gone objects left only what these tokens name (see the conditions `Retained` and
    /// `Orphaned` of the Registry), with commas.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["all", "kubernetes_only"])]
    confirm: Option<String>,
    /// For an operator that is gone: takes finalizers and RegistryLedgers away, and changes nothing in AWS. What stands
    /// there keeps the operator's marks.
    #[arg(long)]
    kubernetes_only: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Connect(#[from] connect::Error),
    #[error("Registry {0} does not exist; see kubectl get registries")]
    NoRegistry(String),
    #[error("the token names nothing that gone objects left in Registry {0}; see its conditions Retained and Orphaned")]
    OtherToken(String),
    #[error("{0} is changed by somebody else all the time; run the command again")]
    KeepsChanging(String),
    #[error("the API server: {0}")]
    Api(#[from] ::kube::Error),
}

pub fn run(args: &ReleaseArgs) -> ExitCode {
    in_cluster(release(args))
}

async fn release(args: &ReleaseArgs) -> Result<String, Error> {
    let client = connect::cluster(&args.cluster).await?;
    let registries = all_of(&client, GROUP, "Registry", "registries").await?;
    let registries: Vec<_> = match &args.registry {
        None => registries,
        Some(name) => {
            let one: Vec<_> = registries.into_iter().filter(|registry| registry.name_any() == *name).collect();
            // A Registry that is gone may have left objects, whose finalizers nobody takes off.
            if one.is_empty() && !args.kubernetes_only {
                return Err(Error::NoRegistry(name.clone()));
            }
            one
        }
    };
    let is_meant = |object: &DynamicObject| {
        let of = object.data["spec"]["registryRef"]["name"].as_str().unwrap_or(DEFAULT_REGISTRY);
        args.registry.as_ref().is_none_or(|name| name == of)
    };
    if let Some(asked) = &args.confirm {
        let named = |registry: &DynamicObject| -> Vec<String> {
            tokens(registry).into_iter().filter(|token| asked.split(',').any(|asked| asked.trim() == token)).collect()
        };
        let named: Vec<_> = registries.iter().map(|registry| (registry, named(registry))).collect();
        let named: Vec<_> = named.into_iter().filter(|(_, tokens)| !tokens.is_empty()).collect();
        for (registry, named) in &named {
            // What was asked before and is still to be done is not forgotten over it.
            let shown = tokens(registry);
            let before = registry.annotations().get(RELEASE).map(|words| words.split(',')).into_iter().flatten();
            let before = before.filter(|word| *word == "true" || shown.iter().any(|token| token == word));
            let words: BTreeSet<_> = before.chain(named.iter().map(String::as_str)).collect();
            annotate(&client, registry, &words.into_iter().collect::<Vec<_>>().join(",")).await?;
        }
        let name = args.registry.clone().unwrap_or_default();
        return if named.is_empty() {
            Err(Error::OtherToken(name))
        } else {
            Ok("Asked. Once it is done, the Registry's conditions name it no more.".to_owned())
        };
    }
    let mut objects = Vec::new();
    for kind in Kind::ALL {
        let of_kind = all_of(&client, GROUP, kind.as_str(), kind.plural()).await?;
        objects.extend(of_kind.into_iter().filter(is_meant));
    }
    if args.kubernetes_only {
        return kubernetes_only(&client, &registries, &objects, args.all).await;
    }
    // The Registry's word is its owner's: an object's own would let anybody leave behind what nobody can withdraw.
    for registry in &registries {
        let words: Vec<_> = ["true".to_owned()].into_iter().chain(tokens(registry)).collect();
        annotate(&client, registry, &words.join(",")).await?;
    }
    let asking: Vec<_> = objects.iter().map(|object| annotate(&client, object, "true")).collect();
    futures::stream::iter(asking).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(format!(
        "Asked for {} objects. Each says Released in its condition Ready once it is done. It is not attached again until the annotation {RELEASE} is taken off it, nor is anything new until it is taken off the Registry.",
        objects.len()
    ))
}

/// Takes away what keeps objects and the operator's records from going.
async fn kubernetes_only(
    client: &Client,
    registries: &[DynamicObject],
    objects: &[DynamicObject],
    all: bool,
) -> Result<String, Error> {
    let ours: Vec<_> = objects.iter().chain(registries).filter(|object| carries(object, FINALIZER)).collect();
    let freeing: Vec<_> = ours.iter().map(|object| free(client, object, FINALIZER)).collect();
    futures::stream::iter(freeing).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let place = |registry: &DynamicObject| {
        let text = |member: &str| registry.data["spec"][member].as_str().unwrap_or_default().to_owned();
        (text("accountId"), text("region"))
    };
    let places: Vec<_> = registries.iter().map(place).collect();
    let mut ledgers = all_of(client, INTERNAL_GROUP, "RegistryLedger", "registryledgers").await?;
    ledgers.retain(|ledger| all || places.contains(&place(ledger)));
    for ledger in &ledgers {
        let api = api_of(client, ledger);
        match api.delete(&ledger.name_any(), &DeleteParams::default()).await {
            Ok(_) => free(client, ledger, LEDGER_FINALIZER).await?,
            Err(::kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(format!(
        "Freed {} objects and removed {} RegistryLedgers. Nothing in AWS was changed: what stands there keeps the operator's marks.",
        ours.len(),
        ledgers.len()
    ))
}

/// What gone objects left in a Registry, by the tokens of its conditions.
fn tokens(registry: &DynamicObject) -> Vec<String> {
    let conditions = registry.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let left =
        conditions.iter().filter(|c| c["status"] == "True" && left_behind(c["type"].as_str().unwrap_or_default()));
    let messages = left.filter_map(|c| c["message"].as_str());
    messages.flat_map(tokens_of).map(str::to_owned).collect()
}

fn carries(object: &DynamicObject, finalizer: &str) -> bool {
    object.finalizers().iter().any(|other| other == finalizer)
}

/// Every object of a kind, page by page.
async fn all_of(client: &Client, group: &str, kind: &str, plural: &str) -> Result<Vec<DynamicObject>, Error> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1alpha1", kind), plural);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut all = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        let more = page.metadata.continue_.filter(|token| !token.is_empty());
        // A list names its kind once, its items do not.
        all.extend(page.items.into_iter().map(|object| DynamicObject {
            types: Some(::kube::core::TypeMeta { api_version: resource.api_version.clone(), kind: kind.to_owned() }),
            ..object
        }));
        let Some(token) = more else { return Ok(all) };
        params = params.continue_token(&token);
    }
}

fn api_of(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.clone().unwrap_or_default();
    let group = types.api_version.split_once('/').map(|(group, _)| group.to_owned()).unwrap_or_default();
    let plural = match Kind::ALL.into_iter().find(|kind| kind.as_str() == types.kind) {
        Some(kind) => kind.plural(),
        None if types.kind == "Registry" => "registries",
        None => "registryledgers",
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, "v1alpha1", &types.kind), plural);
    match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

async fn annotate(client: &Client, object: &DynamicObject, value: &str) -> Result<(), Error> {
    patch(client, object, &json!({ "metadata": { "annotations": { RELEASE: value } } })).await
}

async fn free(client: &Client, object: &DynamicObject, finalizer: &str) -> Result<(), Error> {
    let mut object = object.clone();
    // A finalizer that somebody else puts on meanwhile is not ours to take off.
    for _ in 0..TRIES_AT_MOST {
        let others: Vec<_> = object.finalizers().iter().filter(|other| *other != finalizer).collect();
        let version = object.resource_version();
        let change = json!({ "metadata": { "finalizers": others, "resourceVersion": version } });
        match patch(client, &object, &change).await {
            Err(Error::Api(::kube::Error::Api(status))) if status.code == 409 => {}
            done => return done,
        }
        let Some(newer) = api_of(client, &object).get_opt(&object.name_any()).await? else { return Ok(()) };
        object = newer;
    }
    Err(Error::KeepsChanging(object.name_any()))
}

/// Who is gone meanwhile needs nothing any more.
async fn patch(client: &Client, object: &DynamicObject, change: &Value) -> Result<(), Error> {
    match api_of(client, object).patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(change)).await {
        Err(::kube::Error::Api(status)) if status.code == 404 => Ok(()),
        patched => Ok(patched.map(drop)?),
    }
}
