//! The controls as data: what another process, a shell or Python sends to `/_sim/CONTROL`. Each is one method of
//! [`World`]; nothing is decided here.

mod cache;
mod cast;
mod disturb;
mod iam;
mod registry;
mod secrets;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

pub use cache::CacheControl;
pub use cast::CastControl;
pub use disturb::DisturbControl;
pub use iam::IamControl;
pub use registry::RegistryControl;
pub use secrets::SecretControl;

use crate::world::World;

/// A turn of a control. Over HTTP: `POST /_sim/put_policy {"account": …, "region": …, "text": …}`; as JSON the name of
/// the control stands in the member `control`.
#[derive(Debug, Clone)]
pub enum Control {
    Registry(RegistryControl),
    Cache(CacheControl),
    Cast(CastControl),
    Iam(IamControl),
    Secret(SecretControl),
    Disturb(DisturbControl),
}

impl World {
    /// Turns a control; the answer is what it says of itself.
    pub fn control(&mut self, control: Control) -> Value {
        match control {
            Control::Registry(control) => control.turn(self),
            Control::Cache(control) => control.turn(self),
            Control::Cast(control) => control.turn(self),
            Control::Iam(control) => control.turn(self),
            Control::Secret(control) => control.turn(self),
            Control::Disturb(control) => control.turn(self),
        }
    }
}

impl<'de> Deserialize<'de> for Control {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let name = value.get("control").and_then(Value::as_str).unwrap_or_default().to_owned();
        let topics: [fn(Value) -> Result<Self, serde_json::Error>; 6] = [
            |value| serde_json::from_value(value).map(Self::Registry),
            |value| serde_json::from_value(value).map(Self::Cache),
            |value| serde_json::from_value(value).map(Self::Cast),
            |value| serde_json::from_value(value).map(Self::Iam),
            |value| serde_json::from_value(value).map(Self::Secret),
            |value| serde_json::from_value(value).map(Self::Disturb),
        ];
        let is_elsewhere = |error: &serde_json::Error| error.to_string().contains(&format!("unknown variant `{name}`"));
        for read in topics {
            match read(value.clone()) {
                Err(error) if is_elsewhere(&error) => {}
                read => return read.map_err(D::Error::custom),
            }
        }
        Err(D::Error::custom(format!("there is no control `{name}`")))
    }
}

/// A document as it came: a text as it stands, or JSON to be written.
fn document_text(text: Option<String>, document: Option<Value>) -> Option<String> {
    text.or_else(|| document.map(|document| document.to_string()))
}

fn nothing() -> Value {
    json!({})
}
