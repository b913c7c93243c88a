//! The driver: takes in what the watches say, and runs the passes the queue names, all in one task. Dropping it is a
//! crash; nothing it started outlives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::kube::{Api, Client};
use aws_config::SdkConfig;
use ecr_permissions_core::api::RegistryStatus;
use ecr_permissions_core::names::RegistryKey;
use ecr_permissions_core::ownership::InstallationId;
use ecr_permissions_core::pass::freshness::{OldViews, Parting};
use ecr_permissions_core::pass::index::Index;
use ecr_permissions_core::pass::ledger::Slice;
use ecr_permissions_core::pass::memory::{Memory, Patience};
use ecr_permissions_core::pass::objects::{ObjectId, RegistryObject};
use ecr_permissions_core::pass::queue::{Key, Next, Queue};
use ecr_permissions_core::pass::reading::Reading;
use ecr_permissions_core::reason::Because;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::Namespace;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::admin::Views;
use super::clock::{Clock, MachineClock};
use super::leader::Leadership;
use super::metrics::Metrics;
use super::pace::LedgerPace;
use crate::aws::gate::Rates;
use crate::aws::session::Sessions;
use crate::kube::events::Events;
use crate::kube::watches::{self, Sources};
use crate::kube::writes::{Failure, Writes};
use crate::pass::{self, Again};

/// When an object is tried again that the API server did not show.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Timings; the defaults are for AWS as it is, tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub patience: Patience,
    pub rates: Rates,
    /// When a pass runs again that lost a race or waits for AWS to settle.
    pub retry: Duration,
    /// At most this far apart are two reads that must agree.
    pub between_reads: Duration,
    /// The second look after a write comes this much later, at least and at most.
    pub second_look: (Duration, Duration),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            patience: Patience::default(),
            rates: Rates::default(),
            retry: Duration::from_secs(1),
            between_reads: Duration::from_secs(1),
            second_look: (Duration::from_secs(5), Duration::from_secs(15)),
        }
    }
}

/// What is handed to an operator: everything it has of the world.
#[derive(Clone)]
pub struct World {
    pub clock: Clock,
    pub machine: MachineClock,
    pub client: Client,
    pub aws: SdkConfig,
    pub seed: u64,
    pub leadership: Leadership,
    pub metrics: Metrics,
    pub settings: Settings,
}

pub struct Operator {
    pub(crate) clock: Clock,
    pub(crate) machine: MachineClock,
    pub(crate) writes: Writes,
    pub(crate) events: Events,
    pub(crate) sessions: Sessions,
    pub(crate) installation: InstallationId,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Settings,
    pub(crate) ledger_pace: LedgerPace,
    client: Client,
    index: Mutex<Index>,
    memories: Mutex<BTreeMap<RegistryKey, Memory>>,
    /// What passes touch: other passes.
    touches: (UnboundedSender<Key>, tokio::sync::Mutex<UnboundedReceiver<Key>>),
    /// Whose specs passes miss.
    missed: (UnboundedSender<ObjectId>, tokio::sync::Mutex<UnboundedReceiver<ObjectId>>),
    rng: Mutex<fastrand::Rng>,
    seed: u64,
    views: watch::Sender<Views>,
    parting: Mutex<Parting>,
    /// How often everything had to be listed anew.
    doubts: watch::Sender<u64>,
}

impl Operator {
    /// Reads which cluster this is (its installation id marks every statement), and is then ready to run.
    pub async fn new(world: World) -> Result<Self, ::kube::Error> {
        let World { clock, machine, client, aws, seed, leadership, metrics, settings } = world;
        let kube_system = Api::<Namespace>::all(client.clone()).get_metadata("kube-system").await?;
        let uid = kube_system.metadata.uid.unwrap_or_default();
        let (touch, touched) = unbounded_channel();
        let (miss, missed) = unbounded_channel();
        let sessions = Sessions::new(aws, clock, settings.rates, leadership, metrics.aws.clone());
        let installation = InstallationId::of_cluster(&uid);
        Ok(Self {
            clock,
            machine,
            writes: Writes::new(client.clone()),
            events: Events::new(client.clone()),
            sessions,
            index: Mutex::new(Index::new(&installation)),
            installation,
            ledger_pace: LedgerPace::default(),
            metrics,
            settings,
            client,
            memories: Mutex::default(),
            touches: (touch, touched.into()),
            missed: (miss, missed.into()),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            seed,
            views: watch::Sender::new(Views::Listing),
            parting: Mutex::default(),
            doubts: watch::Sender::new(0),
        })
    }

    pub fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// Whether every watch has listed, and of when what they show is.
    pub fn readiness(&self) -> watch::Receiver<Views> {
        self.views.subscribe()
    }

    /// Runs until `stop` is done; passes that are under way then end by themselves.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let sources = Sources { client: &self.client, machine: &self.machine, doubts: &self.doubts, seed: self.seed };
        let mut changes = watches::all(&sources);
        self.metrics.views(&OldViews::default());
        let mut queue = Queue::default();
        let mut running = FuturesUnordered::new();
        let mut touches = self.touches.1.lock().await;
        let mut missed = self.missed.1.lock().await;
        let (mut reading, mut reads) = (Reading::default(), FuturesUnordered::new());
        let mut stop = std::pin::pin!(stop);
        let mut stopping = false;
        loop {
            self.look_at_clocks();
            for key in self.look_at_ages() {
                queue.touch(key, self.clock.now());
            }
            let wake = if stopping { None } else { self.start_due(&mut queue, |key| running.push(self.timed(key))) };
            let wake = [wake, self.next_old_view()].into_iter().flatten().min();
            while !stopping && let Some(id) = reading.next() {
                reads.push(self.read(id));
            }
            self.metrics.waiting(queue.depth().0);
            if stopping && running.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                () = &mut stop, if !stopping => stopping = true,
                Some((key, again)) = running.next() => queue.done(&key, self.clock.now(), again),
                Some(change) = changes.next() => {
                    let touched = self.with_index(|index| index.take(change));
                    let now = self.clock.now();
                    for key in touched {
                        queue.touch(key, now);
                    }
                }
                Some(key) = touches.recv() => queue.touch(key, self.clock.now()),
                Some(id) = missed.recv() => reading.ask(id),
                Some((id, is_read)) = reads.next() => {
                    reading.done(&id);
                    if !is_read {
                        reading.ask(id);
                    }
                }
                () = self.clock.sleep_until(wake.unwrap_or(Duration::MAX / 4)), if wake.is_some() => {}
            }
        }
    }

    /// Finds out whether the machine was suspended, or somebody has set its date: then everything is listed anew.
    fn look_at_clocks(&self) {
        let (date, now) = (self.machine.date(), self.clock.now());
        let mut parting = self.parting.lock().unwrap_or_else(PoisonError::into_inner);
        if !parting.have_parted(date, now) {
            return;
        }
        tracing::warn!("the clock was set, or stood still; everything is listed anew before anything is added");
        let elapsed = self.machine.elapsed();
        let touched = self.with_index(|index| index.doubt(elapsed));
        self.doubts.send_modify(|doubts| *doubts += 1);
        self.touch(touched);
    }

    /// Finds out which views are old by now; says for which passes that is news.
    fn look_at_ages(&self) -> BTreeSet<Key> {
        let elapsed = self.machine.elapsed();
        let (touched, is_ready, old) = self.with_index(|index| {
            let touched = index.look_at_ages(elapsed);
            (touched, index.ready().is_some(), index.ages().old().clone())
        });
        let views = match () {
            () if !is_ready => Views::Listing,
            () if old.are_all_old() => Views::Old,
            () => Views::Young,
        };
        self.views.send_if_modified(|was| std::mem::replace(was, views) != views);
        if !touched.is_empty() {
            self.metrics.views(&old);
            if let Some(message) = old.message() {
                tracing::warn!("{message}");
            }
        }
        touched
    }

    /// When a view becomes old that is not proven before.
    fn next_old_view(&self) -> Option<Duration> {
        let elapsed = self.machine.elapsed();
        let next = self.with_index(|index| index.ages().next(elapsed))?;
        Some(self.clock.now() + next.saturating_sub(elapsed))
    }

    /// Why nothing may be added anywhere, if nothing may.
    pub(crate) fn holds_everything(&self) -> Option<Because> {
        self.look_at_clocks();
        self.with_index(|index| index.ages().old().hold_everything())
    }

    /// Starts everything that is due; says when the next is.
    fn start_due(&self, queue: &mut Queue, mut start: impl FnMut(Key)) -> Option<Duration> {
        // Nothing runs on half a view: the touches wait.
        self.with_index(|index| index.ready().map(|_| ()))?;
        loop {
            match queue.next(self.clock.now()) {
                Next::Run(key) => start(key),
                Next::WaitUntil(moment) => return Some(moment),
                Next::Idle => return None,
            }
        }
    }

    /// Reads an object's spec again; answers whether that is done with.
    async fn read(&self, id: ObjectId) -> (ObjectId, bool) {
        match self.writes.object(&id).await {
            Ok(object) => {
                let touched = self.with_index(|index| index.read_again(&object));
                self.touch(touched);
            }
            // The watch tells what became of it.
            Err(Failure::Raced | Failure::Unreadable(_)) => {}
            Err(error) => {
                tracing::warn!(object = %id, %error, "an object could not be read again; it is tried once more");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
                return (id, false);
            }
        }
        (id, true)
    }

    /// The pass misses the specs of these objects.
    pub(crate) fn read_again(&self, missed: &BTreeSet<ObjectId>) {
        for id in missed {
            // The driver alone listens, as it does to touches.
            drop(self.missed.0.send(id.clone()));
        }
    }

    async fn timed(&self, key: Key) -> (Key, Option<Duration>) {
        let began = self.clock.now();
        let again = Box::pin(pass::run(&key, self)).await;
        let took = self.clock.now().saturating_sub(began);
        self.metrics.passed(took.as_secs_f64());
        tracing::debug!(%key, ?took, "pass");
        (key, again)
    }

    pub(crate) fn with_index<T>(&self, look: impl FnOnce(&mut Index) -> T) -> T {
        look(&mut self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What earlier passes of a registry remembered. A key never runs twice at once, so it is lent, not shared.
    pub(crate) fn take_memory(&self, key: &RegistryKey) -> Memory {
        let known = self.memories.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        known.unwrap_or_else(|| Memory::new(self.settings.patience))
    }

    pub(crate) fn keep_memory(&self, key: &RegistryKey, memory: Memory) {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), memory);
    }

    pub(crate) async fn write_registry_status(
        &self,
        registry: &RegistryObject,
        status: RegistryStatus,
    ) -> Result<RegistryObject, Again> {
        let written = self.writes.registry_status(registry, status).await.map_err(|error| self.lost_write(&error))?;
        self.show_registry(registry, &written);
        Ok(written)
    }

    /// Shows a Registry we wrote.
    pub(crate) fn show_registry(&self, before: &RegistryObject, written: &RegistryObject) {
        self.with_index(|index| index.wrote_registry(&before.meta.resource_version, written.clone()));
    }

    /// Shows a Registry that was changed and no watch has brought yet, and touches the passes that it is news for.
    pub(crate) fn saw_registry(&self, before: &RegistryObject, found: &RegistryObject) {
        let touched = self.with_index(|index| index.saw_registry(&before.meta.resource_version, found.clone()));
        self.touch(touched);
    }

    /// Shows a slice we wrote or removed, and touches the passes that hear of it.
    pub(crate) fn show_slice(&self, before: Option<&Slice>, written: Option<Slice>) {
        let touched = self.with_index(|index| index.wrote_slice(before, written));
        self.touch(touched);
    }

    pub(crate) fn touch(&self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            // The driver alone listens, and ends no sooner than the passes.
            drop(self.touches.0.send(key));
        }
    }

    /// A lost race is normal; an API server that does not answer is worth a line.
    #[expect(clippy::unused_self, reason = "reads as the operator's own")]
    pub(crate) fn lost_write(&self, error: &Failure) -> Again {
        if matches!(error, Failure::Raced) {
            tracing::debug!("an object changed while it was decided on; deciding again");
            return Again::Soon;
        }
        tracing::warn!(%error, "a write to the API server failed");
        Again::Later
    }

    /// Up to a tenth earlier, so that many registries do not ask AWS in step.
    pub(crate) fn jitter(&self, span: Duration) -> Duration {
        let part = self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64();
        span.mul_f64(part.mul_add(-0.1, 1.0))
    }

    pub(crate) fn second_look(&self) -> Duration {
        let (least, most) = self.settings.second_look;
        let part = self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64();
        least + most.saturating_sub(least).mul_f64(part)
    }
}
