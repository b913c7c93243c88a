//! The API server, as a user's client sees it: objects are made, changed, deleted, and looked at.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

use crate::Done;
use crate::operator::PATIENCE;
use crate::owner::{Kind, Owner};
use crate::watch::{Watch, is_ready};

const GROUP: &str = "ecr-permissions.dev";
pub const API: &str = "ecr-permissions.dev/v1alpha1";
/// The definition of the ledger's slices.
const LEDGERS: &str = "registryledgers.internal.ecr-permissions.dev";
/// As many as there are owners in the scene with the most at once.
const AT_ONCE: usize = 50;
const PAGE: u32 = 500;

pub struct Cluster {
    client: Client,
}

/// A slice of the ledger: what tells whether it was rewritten, and whose entries it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub version: String,
    pub namespace: Option<String>,
}

pub type Slices = BTreeMap<String, Slice>;

/// An object and its size, as JSON.
#[derive(Debug)]
pub struct Largest {
    pub name: String,
    pub bytes: usize,
}

impl Cluster {
    pub async fn connect(kubeconfig: &str) -> Done<Self> {
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(Kubeconfig::from_yaml(kubeconfig)?, &options).await?;
        Ok(Self { client: Client::try_from(config)? })
    }

    /// Makes namespaces with these labels.
    pub async fn create_namespaces(&self, names: &[String], labels: &Value) -> Done {
        let api = Api::all_with(self.client.clone(), &core("Namespace", "namespaces"));
        let object = |name: &String| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        create_all(names.iter().map(|name| (api.clone(), object(name))).collect()).await
    }

    /// Makes Registries, and waits until each is Ready.
    pub async fn create_registries(&self, specs: Vec<(String, Value)>) -> Done {
        let api = Api::all_with(self.client.clone(), &resource("Registry", "registries"));
        let start = Instant::now();
        let object = |name: &String, spec: &Value| json!({"apiVersion": API, "kind": "Registry", "metadata": {"name": name}, "spec": spec});
        create_all(specs.iter().map(|(name, spec)| (api.clone(), object(name, spec))).collect()).await?;
        for (name, _) in &specs {
            loop {
                let object = api.get(name).await?;
                if is_ready(&object) {
                    break;
                }
                if start.elapsed() > PATIENCE {
                    return Err(format!("Registry {name} is not Ready: {}", object.data["status"]).into());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Makes all of them, as many at once as there are owners.
    pub async fn create(&self, owners: &[Owner]) -> Done {
        create_all(owners.iter().map(|owner| (self.of(owner), owner.object())).collect()).await
    }

    /// Writes the owner's spec over that of the object which is there.
    pub async fn edit(&self, owner: &Owner) -> Done {
        let patch = Patch::Merge(json!({"spec": owner.spec}));
        self.of(owner).patch(&owner.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Asks for the deletion, and does not wait for it.
    pub async fn delete(&self, owner: &Owner) -> Done {
        self.of(owner).delete(&owner.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Deletes every object of the kind, and waits until none is left.
    pub async fn delete_all(&self, kind: Kind, namespaces: &[String]) -> Done {
        let mut watch = self.watch(kind).await?;
        let all = self.all(kind).list_metadata(&ListParams::default()).await?.items.len();
        let delete = futures::stream::iter(namespaces)
            .map(|namespace| self.delete_in(kind, namespace))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>();
        futures::try_join!(delete, watch.until_gone(all))?;
        Ok(())
    }

    async fn delete_in(&self, kind: Kind, namespace: &str) -> Done {
        let parameters = (DeleteParams::default(), ListParams::default());
        self.namespaced(kind, namespace).delete_collection(&parameters.0, &parameters.1).await?;
        Ok(())
    }

    /// Watches every object of the kind from now on.
    pub async fn watch(&self, kind: Kind) -> Done<Watch> {
        Watch::open(self.all(kind)).await
    }

    /// What the ledger's slices are called here; `None` where there is no definition of them.
    pub async fn ledgers(&self) -> Done<Option<Api<DynamicObject>>> {
        Ok(self
            .definitions()
            .await?
            .into_iter()
            .find(|kind| format!("{}.{}", kind.plural, kind.group) == LEDGERS)
            .map(|kind| Api::all_with(self.client.clone(), &kind)))
    }

    /// Every slice of the ledger.
    pub async fn slices(&self, ledgers: &Api<DynamicObject>) -> Done<Slices> {
        let slice = |object: DynamicObject| {
            let namespace = object.data["spec"]["namespace"].as_str().map(str::to_owned);
            let version = object.resource_version().unwrap_or_default();
            (object.name_any(), Slice { version, namespace })
        };
        Ok(list_all(ledgers).await?.into_iter().map(slice).collect())
    }

    /// The largest of all objects of the operator's kinds, its own included.
    pub async fn largest(&self) -> Done<Largest> {
        let mut largest = Largest { name: "nothing".to_owned(), bytes: 0 };
        for kind in self.definitions().await? {
            for object in list_all(&Api::all_with(self.client.clone(), &kind)).await? {
                let bytes = serde_json::to_vec(&object)?.len();
                if bytes > largest.bytes {
                    largest = Largest { name: format!("{} {}", kind.kind, object.name_any()), bytes };
                }
            }
        }
        Ok(largest)
    }

    /// All kinds of the operator's groups that are defined here.
    async fn definitions(&self) -> Done<Vec<ApiResource>> {
        let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        let kind = ApiResource::from_gvk_with_plural(&kind, "customresourcedefinitions");
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &kind);
        Ok(list_all(&api).await?.iter().filter_map(|definition| defined_by(&definition.data["spec"])).collect())
    }

    /// Objects of a kind that Kubernetes itself has.
    pub fn core_kind(&self, kind: &str, plural: &str, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &core(kind, plural))
    }

    pub fn of(&self, owner: &Owner) -> Api<DynamicObject> {
        self.namespaced(owner.kind, &owner.namespace)
    }

    fn all(&self, kind: Kind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource(kind.kind, kind.plural))
    }

    fn namespaced(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(kind.kind, kind.plural))
    }
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind), plural)
}

fn core(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", kind), plural)
}

/// What a definition defines, if it is one of the operator's groups.
fn defined_by(spec: &Value) -> Option<ApiResource> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let group = text(&spec["group"]).filter(|group| group == GROUP || group.ends_with(&format!(".{GROUP}")))?;
    let kind = GroupVersionKind::gvk(&group, &text(&spec["versions"][0]["name"])?, &text(&spec["names"]["kind"])?);
    Some(ApiResource::from_gvk_with_plural(&kind, &text(&spec["names"]["plural"])?))
}

async fn list_all(api: &Api<DynamicObject>) -> Done<Vec<DynamicObject>> {
    let mut all = Vec::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(all),
        }
    }
}

async fn create_all(objects: Vec<(Api<DynamicObject>, Value)>) -> Done {
    let create = |(api, object): (Api<DynamicObject>, Value)| async move {
        let object: DynamicObject = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object).await?;
        Done::Ok(())
    };
    futures::stream::iter(objects).map(create).buffer_unordered(AT_ONCE).try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_kinds_are_told_by_their_group() {
        let spec = |group: &str| json!({"group": group, "names": {"kind": "Thing", "plural": "things"}, "versions": [{"name": "v1"}]});
        assert_eq!(defined_by(&spec("ecr-permissions.dev")).unwrap().api_version, API.replace("v1alpha1", "v1"));
        assert_eq!(defined_by(&spec("internal.ecr-permissions.dev")).unwrap().plural, "things");
        assert!(defined_by(&spec("not-ecr-permissions.dev")).is_none());
    }
}
