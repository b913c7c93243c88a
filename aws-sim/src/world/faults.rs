//! Faults injected on demand: rules that match calls. Delays add up; of the other effects the first rule that fires
//! decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::{Call, Phase};

/// A rule: which calls, how often, and what happens to them. Built by [`Fault::error`] and its kin, or from JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub operation: Option<String>,
    #[serde(default)]
    pub account: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    /// Only writes, or only reads.
    #[serde(default)]
    pub is_write: Option<bool>,
    /// That many matching calls pass unharmed first.
    #[serde(default)]
    pub skip: u64,
    /// Fires at most that often; absent: until lifted.
    #[serde(default)]
    pub times: Option<u64>,
    /// Fires with this probability, 0 to 1; absent: always.
    #[serde(default)]
    pub probability: Option<f64>,
    #[serde(default)]
    pub phase: Phase,
    pub effect: Effect,
}

/// What a fault does to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// An error answer.
    Error { status: u16, code: String, message: String },
    /// Later by so many milliseconds: before the effect the effect is late too, and happens although the caller left.
    Delay(u64),
    /// The connection breaks.
    Reset,
    /// No answer, ever.
    Hang,
    /// A read of a registry, of roles or of secrets is answered from the state before the last change there. Writes and
    /// STS do not notice.
    StaleRead,
    /// Such a read is answered as though nothing had ever been set.
    NothingThere,
}

impl Fault {
    fn new(effect: Effect) -> Self {
        Self {
            service: None,
            operation: None,
            account: None,
            region: None,
            is_write: None,
            skip: 0,
            times: None,
            probability: None,
            phase: Phase::Before,
            effect,
        }
    }

    /// Matching calls are answered with this error.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::new(Effect::Error { status, code: code.to_owned(), message: message.to_owned() })
    }

    /// Matching calls take longer.
    pub fn delay(by: Duration) -> Self {
        Self::new(Effect::Delay(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Matching calls see their connection break.
    pub fn reset() -> Self {
        Self::new(Effect::Reset)
    }

    /// Matching calls get no answer.
    pub fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    /// Matching reads see the state before the last change.
    pub fn stale_read() -> Self {
        Self::new(Effect::StaleRead)
    }

    /// Matching reads see nothing: the false NotFound of aws-facts K.3.
    pub fn nothing_there() -> Self {
        Self::new(Effect::NothingThere)
    }

    /// Only this operation.
    #[must_use]
    pub fn on(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only this service (`ecr`, `sts`, `iam`, `secretsmanager`).
    #[must_use]
    pub fn of_service(mut self, service: &str) -> Self {
        self.service = Some(service.to_owned());
        self
    }

    /// Only calls with credentials of this account.
    #[must_use]
    pub fn in_account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only this Region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only writes.
    #[must_use]
    pub fn on_writes(mut self) -> Self {
        self.is_write = Some(true);
        self
    }

    /// Only reads.
    #[must_use]
    pub fn on_reads(mut self) -> Self {
        self.is_write = Some(false);
        self
    }

    /// Lets the first `skip` matching calls pass.
    #[must_use]
    pub fn skipping(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Fires so often at most.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Fires once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Fires with this probability, 0 to 1.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }

    /// Strikes after the call took effect: the caller is misled about what happened.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.phase = Phase::After;
        self
    }

    fn matches(&self, call: &Call) -> bool {
        let is = |wanted: &Option<String>, got: &str| wanted.as_deref().is_none_or(|w| w == got);
        is(&self.service, &call.service)
            && is(&self.operation, &call.operation)
            && is(&self.region, &call.region)
            && (self.account.is_none() || self.account == call.account)
            && self.is_write.is_none_or(|w| w == call.is_write)
    }
}

/// The rules in force, with what is left of each.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    next_id: u64,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    fault: Fault,
    seen: u64,
    fired: u64,
}

/// What the rules do to one call.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    pub(crate) delay_before: Duration,
    pub(crate) delay_after: Duration,
    pub(crate) strike: Option<(Phase, Effect)>,
}

impl Faults {
    pub(crate) fn inject(&mut self, fault: Fault) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.armed.push(Armed { id, fault, seen: 0, fired: 0 });
        id
    }

    pub(crate) fn lift(&mut self, id: u64) {
        self.armed.retain(|a| a.id != id);
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(crate) fn list(&self) -> Vec<(u64, Fault)> {
        self.armed.iter().map(|a| (a.id, a.fault.clone())).collect()
    }

    pub(crate) fn fire(&mut self, call: &Call, rng: &mut fastrand::Rng) -> Fired {
        let mut fired = Fired::default();
        for armed in self.armed.iter_mut().filter(|a| a.fault.matches(call)) {
            let is_delay = matches!(armed.fault.effect, Effect::Delay(_));
            if (!is_delay && fired.strike.is_some()) || !armed.pull(rng) {
                continue;
            }
            match (&armed.fault.effect, armed.fault.phase) {
                (Effect::Delay(ms), Phase::Before) => fired.delay_before += Duration::from_millis(*ms),
                (Effect::Delay(ms), Phase::After) => fired.delay_after += Duration::from_millis(*ms),
                (effect, phase) => fired.strike = Some((phase, effect.clone())),
            }
        }
        self.armed.retain(|a| a.fault.times.is_none_or(|times| a.fired < times));
        fired
    }
}

impl Armed {
    fn pull(&mut self, rng: &mut fastrand::Rng) -> bool {
        self.seen += 1;
        let fires = self.seen > self.fault.skip && self.fault.probability.is_none_or(|p| rng.f64() < p);
        if fires {
            self.fired += 1;
        }
        fires
    }
}
