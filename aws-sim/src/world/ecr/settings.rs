//! GetAccountSetting, PutAccountSetting (aws-facts A.2). The newest model lets one put no other scope than V2.

use serde_json::{Value, json};

use super::EcrCall;
use crate::world::error::AwsError;
use crate::world::registry::Scope;

const SCOPE: &str = "REGISTRY_POLICY_SCOPE";

/// A setting: its values, the first of which holds until another is put.
struct Setting {
    name: &'static str,
    values: &'static [&'static str],
}

const SETTINGS: [Setting; 3] = [
    Setting { name: SCOPE, values: &["V2"] },
    Setting { name: "BASIC_SCAN_TYPE_VERSION", values: &["AWS_NATIVE"] },
    Setting { name: "BLOB_MOUNTING", values: &["DISABLED", "ENABLED"] },
];

pub(super) fn get(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let setting = find(&call.text("name")?)?;
    let state = call.seen();
    if setting.name == SCOPE {
        // A registry that never had a scope may have no value to show.
        let scope = state.scope;
        let scope = scope.or(call.world.habits.unset_scope);
        return Ok(
            scope.map_or_else(|| json!({"name": SCOPE}), |scope| json!({"name": SCOPE, "value": scope.as_str()}))
        );
    }
    let value = state.settings.get(setting.name).map(String::as_str).or_else(|| setting.values.first().copied());
    Ok(json!({"name": setting.name, "value": value}))
}

pub(super) fn put(call: &mut EcrCall<'_>) -> Result<Value, AwsError> {
    let setting = find(&call.text("name")?)?;
    let value = call.text("value")?;
    if !setting.values.contains(&value.as_str()) {
        let constraint = format!("Member must satisfy enum value set: [{}]", setting.values.join(", "));
        return Err(AwsError::invalid_parameter("value", &constraint));
    }
    let answer = json!({"name": setting.name, "value": value});
    call.change(|state| {
        if setting.name == SCOPE {
            state.scope = Some(Scope::V2);
        } else {
            state.settings.insert(setting.name.to_owned(), value);
        }
    });
    Ok(answer)
}

fn find(name: &str) -> Result<&'static Setting, AwsError> {
    SETTINGS
        .iter()
        .find(|setting| setting.name == name)
        .ok_or_else(|| AwsError::invalid_parameter("name", "Member must be a known account setting"))
}
