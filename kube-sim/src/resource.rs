//! What an API server must know of a kind to serve it. Knows no kind of the operator: each is handed in, best as its CRD.

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// The facts of one served kind.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    pub plural: String,
    pub kind: String,
    pub namespaced: bool,
    /// With it, `status` is written through `…/status` only, and that writes nothing else.
    pub status_subresource: bool,
    /// What `status` is where none was written. Not needed with `schema`.
    pub status_default: Option<Value>,
    /// The `openAPIV3Schema`: members it does not know are dropped and its defaults filled in, as the real server does.
    /// Values are not validated against it.
    pub schema: Option<Value>,
    /// The `selectableFields` as field selectors name them: `spec.accountId`.
    pub selectable_fields: Vec<String>,
}

impl Resource {
    /// Reads the served and stored version of a `CustomResourceDefinition`.
    pub fn from_crd(crd: &Value) -> anyhow::Result<Self> {
        let spec = &crd["spec"];
        let text = |value: &Value, what: &str| {
            value.as_str().map(String::from).with_context(|| format!("the CRD has no {what}"))
        };
        let versions = spec["versions"].as_array().context("the CRD has no versions")?;
        let Some(version) = versions.iter().find(|v| v["storage"] == true) else {
            bail!("the CRD has no stored version");
        };
        Ok(Self {
            group: text(&spec["group"], "group")?,
            version: text(&version["name"], "version name")?,
            plural: text(&spec["names"]["plural"], "plural")?,
            kind: text(&spec["names"]["kind"], "kind")?,
            namespaced: spec["scope"] == "Namespaced",
            status_subresource: version["subresources"]["status"].is_object(),
            status_default: None,
            schema: version["schema"].get("openAPIV3Schema").cloned(),
            selectable_fields: selectable_fields(version)?,
        })
    }

    /// Reads a CRD written as YAML.
    pub fn from_crd_yaml(yaml: &str) -> anyhow::Result<Self> {
        Self::from_crd(&serde_saphyr::from_str(yaml).context("the CRD is not YAML")?)
    }

    pub(crate) fn builtins() -> Vec<Self> {
        let builtin = |group: &str, plural: &str, kind: &str, namespaced: bool| Self {
            group: group.into(),
            version: "v1".into(),
            plural: plural.into(),
            kind: kind.into(),
            namespaced,
            ..Self::default()
        };
        vec![
            Self { status_subresource: true, ..builtin("", "namespaces", "Namespace", false) },
            builtin("coordination.k8s.io", "leases", "Lease", true),
            builtin("events.k8s.io", "events", "Event", true),
        ]
    }

    /// `plural.group`, the name in which errors and keys speak of a kind.
    pub(crate) fn key(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `Kind.group`, the name in which some errors speak of it instead.
    pub(crate) fn kind_key(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Whether a field selector may name the field.
    pub(crate) fn selects_by(&self, label: &str) -> bool {
        match label {
            "metadata.name" => true,
            "metadata.namespace" => self.namespaced,
            _ => self.selectable_fields.iter().any(|field| field == label),
        }
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether the kind comes from a CRD: only those have a generation, and only those refuse an update without a resourceVersion
    /// and a strategic merge patch.
    pub(crate) fn is_custom(&self) -> bool {
        self.group.contains('.') && !self.group.ends_with(".k8s.io")
    }

    pub(crate) fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.plural == "namespaces"
    }

    /// Makes `object` what storage would hold of it: unknown members dropped, defaults filled in.
    pub(crate) fn normalise(&self, object: &mut Value) {
        if let Some(schema) = &self.schema {
            prune(object, schema, true);
            fill_defaults(object, schema);
        }
        if let (Some(default), true) = (&self.status_default, object["status"].is_null()) {
            object["status"] = default.clone();
        }
    }
}

fn selectable_fields(version: &Value) -> anyhow::Result<Vec<String>> {
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    let label = |field: &Value| {
        let path = field["jsonPath"].as_str().context("a selectable field of the CRD has no jsonPath")?;
        let label = path.strip_prefix('.').with_context(|| format!("not the path of a field: {path}"))?;
        // Quoted members, which the real server knows too, are not imitated.
        ensure!(!label.contains(['[', '\\']), "only plain members can be selectable here: {path}");
        Ok(label.into())
    };
    fields.map(label).collect()
}

fn prune(value: &mut Value, schema: &Value, root: bool) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    match value {
        Value::Object(members) => {
            let properties = schema["properties"].as_object();
            let additional = schema.get("additionalProperties").filter(|s| s.is_object());
            let open = schema["additionalProperties"] == true;
            members.retain(|name, member| {
                if root && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                let Some(inner) = properties.and_then(|p| p.get(name)).or(additional) else { return open };
                prune(member, inner, false);
                true
            });
        }
        Value::Array(items) => {
            for item in items {
                prune(item, &schema["items"], false);
            }
        }
        _ => {}
    }
}

fn fill_defaults(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(members) => {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                let missing = match members.get(name) {
                    None => true,
                    Some(Value::Null) => inner["nullable"] != true,
                    Some(_) => false,
                };
                if let (true, Some(default)) = (missing, inner.get("default")) {
                    members.insert(name.clone(), default.clone());
                }
                if let Some(member) = members.get_mut(name) {
                    fill_defaults(member, inner);
                }
            }
            if schema["additionalProperties"].is_object() {
                members.values_mut().for_each(|member| fill_defaults(member, &schema["additionalProperties"]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_defaults(item, &schema["items"])),
        _ => {}
    }
}
