//! What a delete asks of the object it is for: `preconditions` of its `DeleteOptions`.

use serde_json::Value;

use crate::refusal::Refusal;
use crate::resource::Resource;

/// What is not named holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Preconditions {
    pub(crate) fn of(options: &Value) -> Self {
        let member = |name: &str| options["preconditions"][name].as_str().map(String::from);
        Self { uid: member("uid"), resource_version: member("resourceVersion") }
    }

    pub(crate) fn check(&self, kind: &Resource, name: &str, metadata: &Value) -> Result<(), Refusal> {
        for (what, wanted, found, guess) in [
            ("UID", &self.uid, &metadata["uid"], "deleted and then recreated"),
            ("ResourceVersion", &self.resource_version, &metadata["resourceVersion"], "modified"),
        ] {
            let found = found.as_str().unwrap_or_default();
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
                let why = format!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {guess}"
                );
                return Err(Refusal::conflict(&kind.kind_key(), name, &why));
            }
        }
        Ok(())
    }
}
