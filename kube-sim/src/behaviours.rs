//! The table of API behaviours that the operator leans on, written against a plain client.
//!
//! It runs against this in-memory server and against a real kube-apiserver alike, so that the first cannot lie. Nothing here may
//! know which of the two answers.

mod deletion;
mod reading;
mod selecting;
mod size;
mod writing;

use anyhow::{Context, bail, ensure};
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// One thing an API server does.
#[derive(Clone, Copy)]
pub struct Behaviour {
    pub name: &'static str,
    /// The namespace goes through its real life: a server without kube-controller-manager cannot show this.
    pub needs_controller_manager: bool,
    /// Takes a namespace that exists; shares it with all the others.
    pub check: for<'a> fn(Client, &'a str) -> BoxFuture<'a, anyhow::Result<()>>,
}

macro_rules! table {
    ($managed:literal: $($module:ident :: $name:ident,)*) => {
        &[$(Behaviour {
            name: stringify!($name),
            needs_controller_manager: $managed,
            check: |client, ns| Box::pin($module::$name(client, ns)),
        },)*]
    };
}

/// The table.
pub const ALL: &[&[Behaviour]] = &[
    table![false:
        writing::a_stale_put_is_a_conflict,
        writing::a_put_needs_a_resource_version,
        writing::a_put_of_another_uid_is_a_conflict,
        writing::a_patch_of_another_uid_is_invalid,
        writing::a_put_creates_nothing,
        writing::a_name_is_taken_once,
        writing::a_create_takes_no_resource_version,
        writing::a_generated_name_has_its_prefix,
        writing::nothing_is_created_in_a_namespace_that_is_not_there,
        writing::a_main_put_leaves_the_status,
        writing::a_status_put_leaves_spec_and_metadata,
        writing::a_status_patch_leaves_the_spec,
        writing::a_stale_status_put_is_a_conflict,
        writing::a_merge_patch_honours_a_resource_version,
        writing::a_spec_change_bumps_the_generation,
        writing::a_metadata_edit_does_not_bump_the_generation,
        writing::a_write_that_changes_nothing_keeps_the_resource_version,
        writing::the_first_write_stores_the_defaults,
        writing::a_first_put_without_defaults_keeps_the_resource_version,
        writing::the_default_status_is_there_on_create,
        writing::a_status_sent_on_create_is_dropped,
        writing::a_missing_member_of_the_status_gets_its_default,
        writing::an_unknown_member_is_dropped,
        writing::a_failed_json_patch_test_changes_nothing,
        writing::a_json_patch_of_what_is_missing_is_refused,
        writing::what_the_server_sets_cannot_be_written,
        writing::a_dry_run_changes_nothing,
        writing::an_apply_drops_what_it_no_longer_names,
        writing::a_lease_is_taken_by_one,
        writing::an_event_is_created_and_patched,
    ],
    table![false:
        deletion::an_object_without_finalizers_goes_at_once,
        deletion::a_finalizer_holds_the_object,
        deletion::a_finalizer_given_on_create_holds_the_object,
        deletion::the_put_of_no_finalizers_ends_the_object,
        deletion::a_patch_lets_go_of_the_object_it_is_for_only,
        deletion::no_finalizer_is_added_to_a_terminating_object,
        deletion::a_terminating_object_still_takes_writes,
        deletion::a_delete_with_another_uid_is_a_conflict,
        deletion::a_delete_with_another_resource_version_is_a_conflict,
        deletion::a_delete_holds_to_uid_and_resource_version_together,
        deletion::a_terminating_object_is_deleted_under_preconditions_too,
        deletion::a_recreated_object_is_another_one,
        deletion::a_terminating_namespace_takes_nothing_new,
    ],
    table![true: deletion::a_namespace_waits_for_what_is_in_it,],
    table![false:
        reading::a_watch_tells_create_update_delete_in_order,
        reading::a_watch_starts_after_its_resource_version,
        reading::a_watch_from_a_forgotten_past_is_told_to_list_again,
        reading::a_watch_ends_at_its_timeout,
        reading::leaving_the_selector_is_a_deletion,
        reading::the_last_finalizer_ends_in_one_deleted_event,
        reading::pages_are_of_one_moment,
        reading::a_list_of_one_has_the_revision_of_everything,
        reading::a_list_is_sorted_and_selects,
        reading::every_write_has_a_later_resource_version,
        reading::a_reflector_follows_the_objects,
        reading::a_metadata_request_gets_metadata,
        reading::a_namespace_carries_its_name_as_label,
    ],
    table![false:
        selecting::a_list_selects_by_the_fields_of_the_definition,
        selecting::an_absent_field_is_the_empty_string,
        selecting::numbers_and_booleans_select_by_their_text,
        selecting::the_name_selects_beside_other_fields,
        selecting::a_value_is_taken_as_it_is_and_can_be_escaped,
        selecting::another_field_cannot_be_selected_by,
        selecting::what_is_no_field_selector_is_refused,
        selecting::a_page_selects_by_field,
        selecting::entering_and_leaving_the_field_selector_is_told_to_watches,
    ],
    table![false:
        size::an_object_just_under_the_limit_of_etcd_is_stored,
        size::an_object_over_the_limit_of_etcd_is_refused,
        size::an_object_that_is_too_large_to_be_sent_to_etcd_is_refused,
        size::a_body_over_the_limit_of_the_server_is_refused,
        size::what_counts_is_the_object_as_it_is_stored,
        size::a_name_that_is_taken_does_not_hide_the_size,
        size::a_dry_run_stores_nothing_and_nothing_is_too_large_for_it,
    ],
];

/// Runs the whole table in `ns`, which must exist and must not hold widgets; an error names each behaviour that failed.
pub async fn run(client: &Client, ns: &str, controller_manager: bool) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for behaviour in ALL.iter().flat_map(|part| part.iter()) {
        if behaviour.needs_controller_manager && !controller_manager {
            continue;
        }
        if let Err(error) = (behaviour.check)(client.clone(), ns).await {
            failures.push(format!("{}: {error:#}", behaviour.name));
        }
    }
    ensure!(failures.is_empty(), "{} behaviours differ:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

/// The definitions of the kinds that the table is about. Both servers must serve them.
pub const CRDS: [&str; 2] = [WIDGET_CRD, RECORD_CRD];

/// A kind in namespaces, with a status subresource and defaults.
pub const WIDGET_CRD: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.sim.ecr-permissions.dev
spec:
  group: sim.ecr-permissions.dev
  scope: Namespaced
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              colour: {type: string}
          status:
            type: object
            default:
              conditions:
              - {type: Ready, status: Unknown, reason: Pending, message: not looked at yet}
            properties:
              observedGeneration: {type: integer, format: int64, default: -1}
              seen: {type: integer}
              conditions:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [type]
                items:
                  type: object
                  required: [type, status]
                  properties:
                    type: {type: string}
                    status: {type: string}
                    reason: {type: string}
                    message: {type: string}
";

/// A kind of the cluster, with selectable fields, and with neither a status subresource nor defaults.
pub const RECORD_CRD: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: records.sim.ecr-permissions.dev
spec:
  group: sim.ecr-permissions.dev
  scope: Cluster
  names: {kind: Record, listKind: RecordList, plural: records, singular: record}
  versions:
  - name: v1
    served: true
    storage: true
    selectableFields:
    - jsonPath: .spec.accountId
    - jsonPath: .spec.region
    - jsonPath: .spec.namespace
    - jsonPath: .spec.priority
    - jsonPath: .spec.suspend
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              accountId: {type: string}
              region: {type: string}
              namespace: {type: string}
              priority: {type: integer}
              suspend: {type: boolean}
              note: {type: string}
";

pub(crate) fn widgets(client: &Client, ns: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), ns, &widget_type())
}

pub(crate) fn widget_type() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("sim.ecr-permissions.dev", "v1", "Widget"), "widgets")
}

pub(crate) fn widget(name: &str, size: i64) -> DynamicObject {
    DynamicObject::new(name, &widget_type()).data(json!({"spec": {"size": size}}))
}

pub(crate) fn records(client: &Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &record_type())
}

fn record_type() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("sim.ecr-permissions.dev", "v1", "Record"), "records")
}

pub(crate) fn record(name: &str, spec: Value) -> DynamicObject {
    DynamicObject::new(name, &record_type()).data(Value::from_iter([("spec".to_owned(), spec)]))
}

pub(crate) async fn create(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<DynamicObject> {
    Ok(api.create(&PostParams::default(), &widget(name, 1)).await?)
}

/// A widget whose defaults are stored.
pub(crate) async fn settled(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<DynamicObject> {
    let made = create(api, name).await?;
    Ok(api.replace(name, &PostParams::default(), &made).await?)
}

pub(crate) async fn merge(api: &Api<DynamicObject>, name: &str, patch: Value) -> kube::Result<DynamicObject> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// A widget that a finalizer holds.
pub(crate) async fn held(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<DynamicObject> {
    create(api, name).await?;
    Ok(merge(api, name, json!({"metadata": {"finalizers": [FINALIZER]}})).await?)
}

/// A held widget that was deleted.
pub(crate) async fn going(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<DynamicObject> {
    held(api, name).await?;
    api.delete(name, &DeleteParams::default()).await?;
    Ok(api.get(name).await?)
}

pub(crate) async fn release(api: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    merge(api, name, json!({"metadata": {"finalizers": null}})).await?;
    Ok(())
}

/// A uid that no object has.
pub(crate) const ANOTHER_UID: &str = "11111111-1111-4111-8111-111111111111";

pub(crate) const FINALIZER: &str = "sim.ecr-permissions.dev/hold";

pub(crate) async fn create_namespace(client: &Client, name: &str) -> anyhow::Result<Api<Namespace>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    api.create(&PostParams::default(), &namespace).await?;
    Ok(api)
}

pub(crate) fn version(object: &DynamicObject) -> anyhow::Result<u64> {
    object.resource_version().context("no resourceVersion")?.parse().context("not a number")
}

pub(crate) fn generation(object: &DynamicObject) -> i64 {
    object.metadata.generation.unwrap_or_default()
}

/// The refusal that was expected: HTTP code and reason.
pub(crate) fn refused<T>(answer: kube::Result<T>, code: u16, reason: &str) -> anyhow::Result<String> {
    match answer {
        Ok(_) => bail!("was not refused, expected {code} {reason}"),
        Err(kube::Error::Api(status)) => {
            let found = (status.code, status.reason.as_str());
            ensure!(found == (code, reason), "expected {code} {reason}, got {found:?}: {}", status.message);
            Ok(status.message)
        }
        Err(other) => Err(other.into()),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "its many callers hand over what they just made")]
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> anyhow::Result<()> {
    ensure!(found == expected, "{what}: expected {expected:?}, found {found:?}");
    Ok(())
}
