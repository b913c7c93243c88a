//! What may befall calls: faults, delays, throttling, accounts out of reach.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::nothing;
use crate::world::{Fault, Outage, World};

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum DisturbControl {
    /// Adds a fault: `{"id": ...}`.
    Inject { fault: Fault },
    /// The faults in force: `{"faults": [{"id", "fault"}]}`.
    Faults {},
    /// Takes a fault away.
    Lift { id: u64 },
    /// Takes every fault away.
    ClearFaults {},
    /// How long every call takes.
    SetDelay {
        base_ms: u64,
        #[serde(default)]
        jitter_ms: u64,
    },
    /// Limits the calls of an account in a Region (IAM's: `aws-global`): all of ECR or IAM, or one operation.
    SetThrottle { account: String, region: String, operation: Option<String>, per_second: f64, burst: u32 },
    /// Limits them no more.
    ClearThrottle { account: String, region: String },
    /// Puts an account out of reach; null: back again.
    SetOutage { account: String, outage: Option<Outage> },
    /// The account's owner closes it: no policy may name it or anybody in it. False: opens it again.
    CloseAccount { account: String, closed: bool },
}

impl DisturbControl {
    pub(super) fn turn(self, world: &mut World) -> Value {
        let ms = Duration::from_millis;
        match self {
            Self::Inject { fault } => return json!({"id": world.inject(fault)}),
            Self::Faults {} => {
                let faults = world.faults();
                let faults: Vec<_> = faults.iter().map(|(id, fault)| json!({"id": id, "fault": fault})).collect();
                return json!({"faults": faults});
            }
            Self::Lift { id } => world.lift(id),
            Self::ClearFaults {} => world.clear_faults(),
            Self::SetDelay { base_ms, jitter_ms } => world.set_delay(ms(base_ms), ms(jitter_ms)),
            Self::SetThrottle { account, region, operation, per_second, burst } => match operation {
                Some(operation) => {
                    world.set_operation_throttle(&account, &region, &operation, per_second, burst);
                }
                None => world.set_throttle(&account, &region, per_second, burst),
            },
            Self::ClearThrottle { account, region } => world.clear_throttle(&account, &region),
            Self::SetOutage { account, outage } => world.set_outage(&account, outage),
            Self::CloseAccount { account, closed } => world.close_account(&account, closed),
        }
        nothing()
    }
}
