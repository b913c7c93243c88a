//! The pure AWS: accounts, registries, and what each call does to them.
//!
//! No clock, no thread, no I/O: time comes in with each call as the duration since start, randomness from the seed. So
//! one seed and one sequence of calls give one trace. Nothing here knows the operator.
//!
//! A call lives through [`World::submit`] (it arrives and is recorded), [`World::take_effect`] (at its due time) and
//! [`World::collect`] (its answer). [`crate::Connector`] does the three while time passes; [`World::handle`] does them
//! at once. A call that was submitted takes effect even if its caller has gone meanwhile, as over a real network.

mod account;
mod cache;
mod cache_rule;
mod documents;
mod ecr;
mod error;
mod faults;
mod iam;
mod identity;
mod moment;
mod permissions;
mod policy;
mod pull_through;
mod record;
mod registry;
mod repository;
mod role;
mod roles;
mod secrets;
mod secretsmanager;
mod service;
mod sts;
mod throttle;
mod token;
mod upstream;
mod wire;
mod would;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};

use error::AwsError;
use faults::{Faults, Fired};
use identity::{Account, Caller, Key};
use registry::{Registry, View};
use secrets::Secrets;
use throttle::Throttles;
use wire::Asked;

pub use faults::{Effect, Fault};
pub use identity::{Outage, Trust};
pub use policy::evaluate::Decision;
pub use record::{Call, DocumentWrite, Outcome, Phase, Reply};
pub use registry::Scope;
pub use role::Role;

/// 2026-01-01T00:00:00Z: what "start" means to credentials until [`World::set_epoch`] says otherwise.
const EPOCH: u64 = 1_767_225_600;

/// All of AWS that the simulator knows.
#[derive(Debug)]
pub struct World {
    rng: fastrand::Rng,
    now: Duration,
    epoch: u64,
    accounts: BTreeMap<String, Account>,
    /// Accounts that were closed by their owners, whether this World owns them or not.
    closed: BTreeSet<String>,
    registries: BTreeMap<(String, String), Registry>,
    secrets: BTreeMap<(String, String), Secrets>,
    keys: BTreeMap<String, Key>,
    habits: Habits,
    delay: Duration,
    jitter: Duration,
    faults: Faults,
    throttles: Throttles,
    calls: Vec<Call>,
    in_flight: BTreeMap<(Duration, u64), InFlight>,
    replies: BTreeMap<u64, Reply>,
    forgotten: BTreeSet<u64>,
}

/// What AWS does in one place and not in another, or what nobody could verify.
#[derive(Debug)]
struct Habits {
    accept_unknown_accounts: bool,
    convert_account_ids: bool,
    /// What a registry says that never had a scope.
    unset_scope: Option<Scope>,
    propagation: Duration,
    /// Whether ECR names the rule's account when it assumes a role.
    sends_source_account: bool,
    /// Members that an operation's answers lack.
    omitted: BTreeMap<String, BTreeSet<String>>,
}

/// A call between its arrival and its effect.
#[derive(Debug)]
struct InFlight {
    asked: Asked,
    caller: Result<Caller, AwsError>,
    fired: Fired,
    /// The way back.
    way_back: Duration,
}

/// A call that was submitted, and when (since start) it takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub seq: u64,
    pub due: Duration,
}

/// What running a call came to, before the answer is written.
enum Ran {
    Answer(Response<Bytes>),
    Refused(AwsError),
    Hang,
    Reset,
}

impl World {
    /// An empty World. The seed decides principal order, ids, keys, jitter and the faults with a probability.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: Duration::ZERO,
            epoch: EPOCH,
            accounts: BTreeMap::new(),
            closed: BTreeSet::new(),
            registries: BTreeMap::new(),
            secrets: BTreeMap::new(),
            keys: BTreeMap::new(),
            habits: Habits {
                accept_unknown_accounts: true,
                convert_account_ids: true,
                unset_scope: Some(Scope::V2),
                propagation: Duration::ZERO,
                sends_source_account: false,
                omitted: BTreeMap::new(),
            },
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            faults: Faults::default(),
            throttles: Throttles::default(),
            calls: Vec::new(),
            in_flight: BTreeMap::new(),
            replies: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        }
    }

    /// A whole call at one instant: its delays come back in `after`, but its effect happens now.
    pub fn handle(&mut self, request: Request<Bytes>, now: Duration) -> Reply {
        let ticket = self.submit(request, now);
        self.take_effect(ticket.seq);
        let waited = ticket.due.saturating_sub(now);
        self.collect(ticket.seq).map_or(Reply { after: waited, outcome: Outcome::Hang }, |reply| Reply {
            after: waited + reply.after,
            outcome: reply.outcome,
        })
    }

    /// A call arrives: it is recorded, and takes effect at the ticket's due time.
    pub fn submit(&mut self, request: Request<Bytes>, now: Duration) -> Ticket {
        self.advance(now);
        let asked = wire::read(request);
        let caller = self.authenticate(&asked);
        let seq = self.calls.len() as u64;
        let known = caller.as_ref().ok();
        let call = Call {
            seq,
            at: now,
            account: known.map(|c| c.account.clone()),
            principal: known.map(|c| c.arn.clone()),
            region: asked.region.clone(),
            service: asked.service.clone(),
            operation: asked.operation.clone(),
            target: service::target(&asked),
            is_write: service::is_write(&asked),
            outcome: "Pending".to_owned(),
            took_effect: false,
            write: None,
        };
        let fired = self.faults.fire(&call, &mut self.rng);
        let jitter = self.jitter.mul_f64(self.rng.f64());
        let way = (self.delay + jitter) / 2;
        let due = now + way + fired.delay_before;
        self.calls.push(call);
        self.in_flight.insert((due, seq), InFlight { asked, caller, fired, way_back: way });
        Ticket { seq, due }
    }

    /// The next call whose time has come; calls take effect in the order of their due times.
    pub fn next_due(&self, now: Duration) -> Option<u64> {
        self.in_flight.keys().next().filter(|(due, _)| *due <= now).map(|(_, seq)| *seq)
    }

    /// A recorded call.
    pub fn call(&self, seq: u64) -> Option<&Call> {
        usize::try_from(seq).ok().and_then(|index| self.calls.get(index))
    }

    /// Lets a submitted call happen.
    pub fn take_effect(&mut self, seq: u64) {
        let Some((due, call)) = self.take_in_flight(seq) else {
            return;
        };
        self.advance(due);
        let account = call.caller.as_ref().ok().map(|c| c.account.clone());
        let text_of = |world: &Self| service::text(world, account.as_deref()?, &call.asked);
        let before = text_of(self);
        let (ran, took_effect) = self.run(&call);
        let after = text_of(self);
        let name = ran.name();
        if let Some(recorded) = self.calls.get_mut(usize::try_from(seq).unwrap_or(usize::MAX)) {
            recorded.outcome = name;
            recorded.took_effect = took_effect;
            let is_write = recorded.is_write;
            recorded.write = is_write.then(|| DocumentWrite { before, sent: service::sent(&call.asked), after });
        }
        let outcome = self.answer(ran, &call.asked);
        self.reply(seq, Reply { after: call.way_back + call.fired.delay_after, outcome });
    }

    /// A call is stopped: without its effect if it had none yet, and in any case without an answer.
    pub fn lose(&mut self, seq: u64) {
        let in_flight = self.take_in_flight(seq).is_some();
        if let Some(recorded) = self.calls.get_mut(usize::try_from(seq).unwrap_or(usize::MAX))
            && in_flight
        {
            "Lost".clone_into(&mut recorded.outcome);
        }
        self.replies.remove(&seq);
        self.reply(seq, Reply { after: Duration::ZERO, outcome: Outcome::Hang });
    }

    /// The answer of a call that took effect, once.
    pub fn collect(&mut self, seq: u64) -> Option<Reply> {
        self.replies.remove(&seq)
    }

    /// Nobody waits for this answer any more; the call still takes effect when it is due.
    pub fn forget(&mut self, seq: u64) {
        if self.in_flight.keys().any(|(_, s)| *s == seq) {
            self.forgotten.insert(seq);
        }
        self.replies.remove(&seq);
    }

    /// All calls, in the order of their arrival.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The latest moment the World has seen, since start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Time only moves on. Calls that are due stay so: see [`World::next_due`].
    pub fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn take_in_flight(&mut self, seq: u64) -> Option<(Duration, InFlight)> {
        let key = *self.in_flight.keys().find(|(_, s)| *s == seq)?;
        self.in_flight.remove(&key).map(|call| (key.0, call))
    }

    fn reply(&mut self, seq: u64, reply: Reply) {
        if !self.forgotten.remove(&seq) {
            self.replies.insert(seq, reply);
        }
    }

    /// The date by AWS's clock.
    fn date(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.epoch) + self.now
    }

    fn answer(&mut self, ran: Ran, asked: &Asked) -> Outcome {
        match ran {
            Ran::Answer(response) => Outcome::Response(wire::dated(response, self.date())),
            Ran::Refused(error) => {
                let refusal = wire::refusal(asked, &error, &self.request_id());
                Outcome::Response(wire::dated(refusal, self.date()))
            }
            Ran::Hang => Outcome::Hang,
            Ran::Reset => Outcome::Reset,
        }
    }

    /// Runs a call with all that may befall it; true if it took effect.
    fn run(&mut self, call: &InFlight) -> (Ran, bool) {
        if let Some(outage) = self.outage(call) {
            return (outage.into(), false);
        }
        if let Some((Phase::Before, effect)) = &call.fired.strike
            && let Some(struck) = struck(effect)
        {
            return (struck, false);
        }
        let ran = match self.operate(call) {
            Ok(response) => Ran::Answer(response),
            Err(error) => Ran::Refused(error),
        };
        let took_effect = matches!(ran, Ran::Answer(_));
        match &call.fired.strike {
            Some((Phase::After, effect)) => (struck(effect).unwrap_or(ran), took_effect),
            _ => (ran, took_effect),
        }
    }

    fn operate(&mut self, call: &InFlight) -> Result<Response<Bytes>, AwsError> {
        let caller = call.caller.as_ref().map_err(Clone::clone)?;
        // Who one is may be asked without any permission.
        if call.asked.operation != "GetCallerIdentity" && self.is_revoked(&call.asked) {
            let action = format!("{}:{}", call.asked.service, call.asked.operation);
            return Err(call.asked.protocol.explicitly_denied(&caller.arn, &action));
        }
        let view = match &call.fired.strike {
            Some((_, Effect::StaleRead)) => View::Previous,
            Some((_, Effect::NothingThere)) => View::Nothing,
            _ => View::Current,
        };
        service::run(self, caller, &call.asked, view)
    }

    /// An account out of reach takes its own calls with it, and those that would assume its roles.
    fn outage(&self, call: &InFlight) -> Option<Outage> {
        let own = call.caller.as_ref().ok().map(|c| c.account.clone());
        let target = sts::target_account(&call.asked);
        [own, target].into_iter().flatten().find_map(|account| self.accounts.get(&account)?.outage)
    }

    fn authenticate(&self, asked: &Asked) -> Result<Caller, AwsError> {
        let credential = asked.credential.as_ref().map_err(Clone::clone)?;
        let key = self.keys.get(&credential.key_id).ok_or_else(|| asked.protocol.unknown_key())?;
        if let Some(session) = &key.session {
            if session.token.is_some() && session.token != credential.token {
                return Err(asked.protocol.unknown_key());
            }
            if session.expires.is_some_and(|end| self.now >= end) {
                return Err(asked.protocol.expired());
            }
        }
        // Credentials die with their role or user.
        let entity = self.accounts.get(&key.caller.account).and_then(|a| a.entity(&key.caller.entity_arn));
        let is_alive = key.caller.unique_id.is_empty() || entity.is_some_and(|e| e.unique_id == key.caller.unique_id);
        if is_alive { Ok(key.caller.clone()) } else { Err(asked.protocol.unknown_key()) }
    }

    /// Whether the caller's session was revoked.
    fn is_revoked(&self, asked: &Asked) -> bool {
        let Some(key) = asked.credential.as_ref().ok().and_then(|credential| self.keys.get(&credential.key_id)) else {
            return false;
        };
        let role = self.accounts.get(&key.caller.account).and_then(|a| a.entity(&key.caller.entity_arn));
        let revoked_before = role.and_then(|role| role.revoked_before);
        let issued = key.session.as_ref().and_then(|session| session.issued);
        issued.zip(revoked_before).is_some_and(|(issued, revoked)| issued < revoked)
    }

    fn registry(&mut self, account: &str, region: &str) -> &mut Registry {
        self.registries.entry((account.to_owned(), region.to_owned())).or_default()
    }

    /// Seconds since 1970.
    fn unix_now(&self) -> f64 {
        let start = Duration::from_secs(self.epoch);
        (start + self.now).as_secs_f64()
    }

    fn random(&mut self, alphabet: &[u8], length: usize) -> String {
        (0..length).map(|_| self.rng.choice(alphabet).map_or('A', |b| char::from(*b))).collect()
    }

    fn request_id(&mut self) -> String {
        let digits = self.random(b"0123456789abcdef", 32);
        let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
    }
}

impl Ran {
    fn name(&self) -> String {
        match self {
            Self::Answer(_) => "ok".to_owned(),
            Self::Refused(error) => error.code.clone(),
            Self::Hang => "Hang".to_owned(),
            Self::Reset => "Reset".to_owned(),
        }
    }
}

impl From<Outage> for Ran {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Reset => Self::Reset,
            Outage::Hang => Self::Hang,
        }
    }
}

/// What a strike makes of a call; nothing for effects that work elsewhere.
fn struck(effect: &Effect) -> Option<Ran> {
    match effect {
        Effect::Error { status, code, message } => Some(Ran::Refused(AwsError::new(*status, code, message.clone()))),
        Effect::Reset => Some(Ran::Reset),
        Effect::Hang => Some(Ran::Hang),
        Effect::Delay(_) | Effect::StaleRead | Effect::NothingThere => None,
    }
}
