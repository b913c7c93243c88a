//! Conditions from reasons: a fixed order with `Ready` first, each with the generation it speaks of, and a transition
//! time that moves only when the status does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::reason::{Aspect, Because, Reason, Verdict};

const UNKNOWN: &str = "Unknown";

/// A verified success: AWS was read and equalled the desired state of this generation. Only `judge` makes one.
#[derive(Clone, Debug)]
pub struct Verified(pub(super) String);

/// What the conditions of an object say.
#[derive(Clone, Debug)]
pub enum Outcome {
    Ready(Verified),
    Not(Because),
    /// Suspended and proven equal: ready, under that reason.
    ReadyThough(Verified, Because),
}

/// The conditions of an attached object or a Registry.
pub fn conditions(outcome: &Outcome, generation: i64, before: &[Condition], now: Timestamp) -> Vec<Condition> {
    let maker = Maker { generation, before, now };
    let mut all = Vec::with_capacity(5);
    match outcome {
        Outcome::Ready(verified) => all.push(maker.condition("Ready", "True", Reason::Succeeded.as_str(), &verified.0)),
        Outcome::ReadyThough(_, because) => {
            all.push(maker.condition("Ready", "True", because.reason.as_str(), &because.message));
        }
        Outcome::Not(because) => {
            let (ready, also) = match because.reason.verdict() {
                Verdict::False => ("False", Some("Stalled")),
                Verdict::Waiting => (UNKNOWN, Some("Reconciling")),
                Verdict::Paused | Verdict::True => (UNKNOWN, None),
            };
            all.push(maker.condition("Ready", ready, because.reason.as_str(), &because.message));
            all.extend(also.map(|kind| maker.condition(kind, "True", because.reason.as_str(), &because.message)));
        }
    }
    for (aspect, name) in
        [(Aspect::Accepted, "Accepted"), (Aspect::ResolvedRefs, "ResolvedRefs"), (Aspect::Synced, "Synced")]
    {
        all.push(maker.aspect(aspect, name, outcome));
    }
    all
}

struct Maker<'a> {
    generation: i64,
    before: &'a [Condition],
    now: Timestamp,
}

impl Maker<'_> {
    fn aspect(&self, aspect: Aspect, name: &str, outcome: &Outcome) -> Condition {
        let Outcome::Not(because) = outcome else {
            return self.condition(name, "True", Reason::Succeeded.as_str(), "");
        };
        if aspect == because.reason.aspect() {
            let status = if because.reason.verdict() == Verdict::False { "False" } else { UNKNOWN };
            return self.condition(name, status, because.reason.as_str(), &because.message);
        }
        if aspect < because.reason.aspect() {
            return self.condition(name, "True", Reason::Succeeded.as_str(), "");
        }
        self.condition(name, UNKNOWN, because.reason.as_str(), "")
    }

    fn condition(&self, kind: &str, status: &str, reason: &str, message: &str) -> Condition {
        let earlier = self.before.iter().find(|c| c.type_ == kind && c.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.chars().take(4096).collect(),
            observed_generation: Some(self.generation),
            last_transition_time: earlier.map_or(Time(self.now), |c| c.last_transition_time.clone()),
        }
    }
}

/// A condition that stands only while it is so.
pub(super) fn standing(
    kind: &str,
    reason: &str,
    message: &str,
    generation: i64,
    before: &[Condition],
    now: Timestamp,
) -> Condition {
    Maker { generation, before, now }.condition(kind, "True", reason, message)
}

/// Status and reason of a condition, if it is there.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<(&'a str, &'a str)> {
    conditions.iter().find(|c| c.type_ == kind).map(|c| (c.status.as_str(), c.reason.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn kinds(all: &[Condition]) -> Vec<(&str, &str)> {
        all.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect()
    }

    /// Behaviour 38: the order kstatus and Argo CD depend on.
    #[test]
    fn ready_comes_first_and_stalled_or_reconciling_only_while_they_hold() {
        let ready = conditions(&Outcome::Ready(Verified("x".into())), 3, &[], at(0));
        assert_eq!(
            kinds(&ready),
            [("Ready", "True"), ("Accepted", "True"), ("ResolvedRefs", "True"), ("Synced", "True")]
        );
        let refused = conditions(&Outcome::Not(Because::new(Reason::NotAllowed, "no")), 3, &[], at(0));
        assert_eq!(
            kinds(&refused),
            [
                ("Ready", "False"),
                ("Stalled", "True"),
                ("Accepted", "False"),
                ("ResolvedRefs", "Unknown"),
                ("Synced", "Unknown")
            ]
        );
        let waiting = conditions(&Outcome::Not(Because::new(Reason::Throttled, "slow")), 3, &[], at(0));
        assert_eq!(kinds(&waiting)[..2], [("Ready", "Unknown"), ("Reconciling", "True")]);
        assert!(waiting.iter().all(|c| c.observed_generation == Some(3)));
    }

    /// Behaviour 7.
    #[test]
    fn the_transition_time_moves_with_the_status_alone() {
        let first = conditions(&Outcome::Not(Because::new(Reason::Throttled, "slow")), 1, &[], at(0));
        let second = conditions(&Outcome::Not(Because::new(Reason::Unreachable, "gone")), 2, &first, at(9));
        assert_eq!(second[0].last_transition_time, Time(at(0)));
        let third = conditions(&Outcome::Ready(Verified("x".into())), 2, &second, at(20));
        assert_eq!(third[0].last_transition_time, Time(at(20)));
    }
}
