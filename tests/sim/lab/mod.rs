//! One run: a cluster, an AWS, an operator that can be crashed and started again, and what must hold all the while.

mod aws_client;
mod due;
pub mod ledger;
pub mod objects;
mod rules;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sim::{Connector, Trust, World};
use aws_smithy_async::rt::sleep::TokioSleep;
use ecr_permissions::runtime::clock::{Clock, MachineClock};
use ecr_permissions::runtime::leader::Leadership;
use ecr_permissions::runtime::metrics::Metrics;
use ecr_permissions::runtime::operator::{Operator, Settings, World as OperatorWorld};
use ecr_permissions_core::ownership::InstallationId;
use kube_sim::{KubeSim, Restore};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

pub use rules::{Rules, list, normal};

pub const HOME: &str = "999900000000";
pub const A: &str = "111111111111";
pub const B: &str = "222222222222";
pub const REGION: &str = "eu-west-1";
/// 2026-01-01T00:00:00Z, where both simulators begin.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// How often what is due is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Runs a scenario on a paused clock. The seed decides everything that is left to chance.
pub fn run<F: AsyncFnOnce(&mut Lab)>(seed: u64, scenario: F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    fastrand::seed(seed);
    runtime.block_on(async {
        let mut lab = Lab::new(seed);
        lab.start().await;
        scenario(&mut lab).await;
        lab.stop();
        lab.rules.assert_kept(seed);
    });
}

/// What bounds every role (aws-facts K.1).
pub fn boundary() -> String {
    let reads = ["BatchGetImage", "GetDownloadUrlForLayer", "GetImageCopyStatus", "BatchImportUpstreamImage"];
    let writes = ["InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"];
    let actions = reads.into_iter().chain(writes).map(|action| format!("ecr:{action}")).collect::<Vec<_>>();
    serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {"Effect": "Allow", "Action": actions, "Resource": "arn:aws:ecr:*:*:repository/*"},
    ]})
    .to_string()
}

/// Where a crash happens: at the n-th call of the operator that counts, before or after its effect.
#[derive(Clone, Copy, Debug)]
pub struct CrashPoint {
    pub call: usize,
    pub after: bool,
}

/// To whom a call goes, and which of its calls it is.
type CallId = (&'static str, u64);

#[derive(Default)]
struct Crash {
    point: Mutex<Option<CrashPoint>>,
    calls: AtomicUsize,
    /// Calls that began and did not end yet, by their number: several are under way at once.
    under_way: Mutex<BTreeMap<CallId, usize>>,
    happened: AtomicBool,
    told: Notify,
}

impl Crash {
    /// Whether the call that is about to happen (or just has) is the one to die at.
    fn is_now(&self, id: CallId, after: bool) -> bool {
        let call = if after {
            let Some(call) = self.under_way.lock().unwrap().remove(&id) else { return false };
            call
        } else {
            let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
            self.under_way.lock().unwrap().insert(id, call);
            call
        };
        let mut point = self.point.lock().unwrap();
        let now = point.is_some_and(|p| p.call == call && p.after == after);
        if now {
            *point = None;
            self.happened.store(true, Ordering::SeqCst);
            self.told.notify_one();
        }
        now
    }
}

/// The operator's own access key and its secret, as they are mounted into its pod.
#[derive(Clone, Debug)]
struct HomeKey(Arc<Mutex<(String, String)>>);

impl HomeKey {
    fn get(&self) -> (String, String) {
        self.0.lock().unwrap().clone()
    }
}

impl ProvideCredentials for HomeKey {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let (id, secret) = self.get();
        future::ProvideCredentials::ready(Ok(Credentials::new(id, secret, None, None, "lab")))
    }
}

/// What somebody does to the cluster.
type Act = Box<dyn FnOnce(&KubeSim)>;

pub struct Lab {
    pub seed: u64,
    pub kube: KubeSim,
    pub aws: Connector,
    pub clock: Clock,
    pub machine: MachineClock,
    pub rules: Rules,
    pub settings: Settings,
    pub metrics: Metrics,
    home_key: HomeKey,
    tamper: aws_client::Tamper,
    crash: Arc<Crash>,
    when_crashed: Option<Act>,
    running: Option<JoinHandle<()>>,
    starts: u64,
    due: due::Due,
}

impl Lab {
    /// A second cluster on the same AWS, with an operator and rules of its own. Only the first lab's calls to AWS count
    /// for crash points, and only its rules see them.
    pub async fn beside(&self) -> Self {
        let mut lab = self.another();
        lab.start().await;
        lab
    }

    /// This cluster once more, as a snapshot of etcd that was restored elsewhere: its installation id is the same. AWS shows
    /// its calls under the session's name `copy`.
    pub async fn copy(&self) -> Self {
        let mut lab = self.another();
        lab.kube.restore(&self.kube.snapshot(), Restore::Etcd);
        for registry in lab.kube.list(objects::REGISTRIES, "") {
            let name = registry["metadata"]["name"].as_str().unwrap();
            let session = |registry: &mut Value| registry["spec"]["identity"]["sessionName"] = "copy".into();
            lab.kube.edit(objects::REGISTRIES, "", name, session).unwrap();
        }
        self.rules.not_ours("copy");
        lab.start().await;
        lab
    }

    fn another(&self) -> Self {
        let seed = self.seed.wrapping_add(1_000_003);
        Self {
            seed,
            kube: objects::serve(KubeSim::new(seed)),
            aws: self.aws.clone(),
            clock: self.clock,
            machine: MachineClock::lab(self.clock),
            rules: Rules::default(),
            settings: self.settings,
            metrics: Metrics::default(),
            home_key: self.home_key.clone(),
            tamper: aws_client::Tamper::default(),
            crash: Arc::default(),
            when_crashed: None,
            running: None,
            starts: 0,
            due: due::Due::default(),
        }
    }

    fn new(seed: u64) -> Self {
        let kube = crate::lab::objects::serve(KubeSim::new(seed));
        let mut world = World::new(seed);
        for account in [HOME, A, B] {
            world.add_account(account);
        }
        for account in [A, B] {
            world.add_managed_policy(account, objects::BOUNDARY, &boundary());
        }
        let operator = world.add_role(HOME, "controller", Trust::of([HOME]));
        for account in [A, B] {
            world.add_role(account, "member", Trust::of([operator.as_str()]).with_external_id("lab"));
        }
        let home_key = HomeKey(Arc::new(Mutex::new(world.access_key(HOME, "role/controller"))));
        let aws = Connector::new(world);
        let clock = Clock::starting(SystemTime::UNIX_EPOCH + EPOCH);
        let lab = Self {
            seed,
            rules: Rules::default(),
            clock,
            machine: MachineClock::lab(clock),
            kube,
            aws,
            settings: Settings::default(),
            metrics: Metrics::default(),
            home_key,
            tamper: aws_client::Tamper::default(),
            crash: Arc::default(),
            when_crashed: None,
            running: None,
            starts: 0,
            due: due::Due::default(),
        };
        lab.watch();
        lab
    }

    /// The rules watch every call; so does the crash point.
    fn watch(&self) {
        let (rules, crash, kube) = (self.rules.clone(), Arc::clone(&self.crash), self.kube.clone());
        self.aws.on_call(move |world, call, phase| {
            let after = matches!(phase, aws_sim::Phase::After);
            if after {
                rules.aws_call(world, call, &kube);
            }
            if crash.is_now(("aws", call.seq), after) { aws_sim::Then::Stop } else { aws_sim::Then::GoOn }
        });
        let (rules, crash) = (self.rules.clone(), Arc::clone(&self.crash));
        self.kube.on_call(move |call, phase| {
            let after = matches!(phase, kube_sim::Phase::After);
            if !after {
                rules.kube_call(call);
            }
            let counts = call.verb.is_write() && call.resource != "events";
            if counts && crash.is_now(("kube", call.seq), after) { kube_sim::Then::Hang } else { kube_sim::Then::Go }
        });
    }

    /// What an operator is handed to reach AWS.
    pub fn sdk(&self) -> SdkConfig {
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(aws_client::SimHttp(self.aws.clone(), self.tamper.clone()))
            .credentials_provider(SharedCredentialsProvider::new(self.home_key.clone()))
            .time_source(self.clock)
            .sleep_impl(TokioSleep::new())
            .build()
    }

    /// Starts an operator, as a fresh process would.
    #[expect(clippy::unused_async, reason = "needs a runtime, and says so")]
    pub async fn start(&mut self) {
        assert!(self.running.is_none(), "an operator is running already");
        self.running = Some(self.spawn());
    }

    /// Another process that believes that it leads, until it is aborted.
    pub fn second_leader(&mut self) -> JoinHandle<()> {
        self.spawn()
    }

    #[expect(clippy::disallowed_methods, reason = "the operator is a process of its own here, aborted to crash it")]
    fn spawn(&mut self) -> JoinHandle<()> {
        self.starts += 1;
        self.due.started(self.clock.now());
        let world = OperatorWorld {
            clock: self.clock,
            machine: self.machine.clone(),
            client: self.kube.client(),
            aws: self.sdk(),
            seed: self.seed.wrapping_mul(31).wrapping_add(self.starts),
            leadership: Leadership::always(),
            metrics: self.metrics.clone(),
            settings: self.settings,
        };
        tokio::spawn(async move {
            loop {
                match Operator::new(world.clone()).await {
                    Ok(operator) => return operator.run(std::future::pending()).await,
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        })
    }

    /// The process dies, wherever it is.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
        self.kube.drop_connections();
    }

    pub async fn restart(&mut self) {
        self.stop();
        tokio::task::yield_now().await;
        self.start().await;
    }

    /// What is due is not looked at in this run: the watches are blind, and do not look so.
    pub fn leave_due_out(&mut self) {
        self.due.switch_off();
    }

    /// From now on the operator is shown other policies than AWS has.
    pub fn tamper_with_reads(&self, change: impl Fn(String) -> String + Send + 'static) {
        self.rules.reads_lie();
        self.tamper.with(change);
    }

    pub fn crash_at(&self, point: CrashPoint) {
        *self.crash.point.lock().unwrap() = Some(point);
    }

    /// Somebody acts while no operator runs: after the crash, before it is started again.
    pub fn when_crashed(&mut self, act: impl FnOnce(&KubeSim) + 'static) {
        self.when_crashed = Some(Box::new(act));
    }

    /// No crash is waited for any more.
    pub fn forget_crash(&self) {
        *self.crash.point.lock().unwrap() = None;
    }

    /// How many calls a crash could have happened at so far.
    pub fn calls(&self) -> usize {
        self.crash.calls.load(Ordering::SeqCst)
    }

    /// Whether the crash point was reached.
    pub fn crashed(&self) -> bool {
        self.crash.happened.load(Ordering::SeqCst)
    }

    /// Lets time pass; a crashed operator is started again, as the kubelet would.
    pub async fn pass(&mut self, span: Duration) {
        let crash = Arc::clone(&self.crash);
        let mut sleep = std::pin::pin!(tokio::time::sleep(span));
        loop {
            self.look_at_due();
            tokio::select! {
                () = &mut sleep => return self.look_at_due(),
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                () = crash.told.notified() => {
                    if let Some(act) = self.when_crashed.take() {
                        act(&self.kube);
                    }
                    self.restart().await;
                }
            }
        }
    }

    /// How long ago a moment of the clock was.
    pub fn since(&self, moment: Duration) -> Duration {
        self.clock.now().saturating_sub(moment)
    }

    /// Waits for something to hold, at most two minutes.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let limit = self.clock.now() + Duration::from_secs(120);
        while !holds(self) {
            assert!(
                self.clock.now() < limit,
                "seed {}: {what} did not happen within two minutes\n{}",
                self.seed,
                self.describe()
            );
            self.pass(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing is written any more, to AWS or to the API server, for longer than any retry takes.
    pub async fn settle(&mut self) {
        let limit = self.clock.now() + Duration::from_secs(3600);
        let mut quiet_since = self.clock.now();
        let mut seen = self.writes();
        while self.clock.now().saturating_sub(quiet_since) < Duration::from_secs(25) {
            assert!(self.clock.now() < limit, "seed {}: never at rest\n{}", self.seed, self.describe());
            self.pass(Duration::from_millis(500)).await;
            if seen != self.writes() {
                seen = self.writes();
                quiet_since = self.clock.now();
            }
        }
    }

    fn writes(&self) -> (usize, usize) {
        let aws = self.aws.world(|world| world.calls().iter().filter(|call| call.is_write).count());
        let kube = self.kube.writes().iter().filter(|write| write.resource != "events").count();
        (aws, kube)
    }

    /// Ten intervals in which nothing may be written anywhere (behaviour 7, rule 3).
    pub async fn assert_at_rest(&mut self) {
        self.settle().await;
        let (writes, before) = (self.writes(), self.everything());
        let calls = self.aws.world(|world| world.calls().len());
        self.pass(Duration::from_secs(10 * 300)).await;
        let calls = self.aws.world(|world| world.calls().len()) - calls;
        let registries = self.kube.list("registries", "").len();
        let caches = self.kube.list(objects::CACHES, "").len();
        // Six calls an interval, an interval a tenth shorter than said at most, and who is refused is asked about again.
        // Where there are caches: their rules, perhaps the repositories, and a secret and a validity each.
        let of_caches = if caches > 0 { registries * 4 + caches * 4 } else { 0 };
        // A role takes four calls, two intervals' slack included.
        let budget = registries * 12 + of_caches + self.kube.list(objects::ROLES, "").len() * 6;
        assert!(calls <= budget * 10, "seed {}: {calls} AWS calls at rest\n{}", self.seed, self.describe());
        assert_eq!(self.writes(), writes, "seed {}: written at rest\n{}", self.seed, self.describe());
        assert_eq!(self.everything(), before, "seed {}: an object changed at rest", self.seed);
        rules::assert_truth(self);
    }

    /// Also what the operator keeps for itself.
    fn everything(&self) -> BTreeMap<String, Vec<Value>> {
        let ledgers = (ledger::LEDGERS.to_owned(), self.kube.list(ledger::LEDGERS, ""));
        self.all_objects().into_iter().chain([ledgers]).collect()
    }

    pub fn all_objects(&self) -> BTreeMap<String, Vec<Value>> {
        let plurals = [objects::REGISTRIES, objects::POLICIES, objects::GRANTS, objects::CACHES, objects::ROLES];
        plurals.into_iter().map(|plural| (plural.to_owned(), self.kube.list(plural, ""))).collect()
    }

    /// The operator's own access key is another account's from now on.
    pub fn hand_home_key_to(&self, account: &str) {
        let (id, _) = self.home_key.get();
        self.aws.world(|world| world.add_access_key(&id, account, "role/controller"));
    }

    /// The operator's own access key is replaced by one of this account, and deleted.
    pub fn replace_home_key(&self, account: &str) {
        let (id, _) = self.home_key.get();
        *self.home_key.0.lock().unwrap() = self.aws.world(|world| {
            world.delete_access_key(&id);
            world.access_key(account, "role/controller")
        });
    }

    pub fn installation(&self) -> InstallationId {
        let kube_system = self.kube.get("namespaces", "", "kube-system").unwrap();
        InstallationId::of_cluster(kube_system["metadata"]["uid"].as_str().unwrap())
    }

    pub fn policy(&self, account: &str) -> Option<Value> {
        let text = self.aws.world(|world| world.policy_text(account, REGION))?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// How often AWS was asked to write, by operation.
    pub fn aws_writes(&self, operation: &str) -> usize {
        self.aws.world(|world| world.calls().iter().filter(|call| call.operation == operation).count())
    }

    /// May any principal of the account do this to the repository of the registry?
    pub fn may(&self, account: &str, action: &str, repository: &str, registry: &str) -> bool {
        self.aws
            .world(|world| world.would(&format!("arn:aws:iam::{account}:root"), action, repository, registry, REGION))
            .allowed
    }

    /// Everything a person would want to see of a failed run.
    pub fn describe(&self) -> String {
        let mut text = format!("at {:?}\n", self.clock.now());
        for (plural, objects) in self.everything() {
            for object in objects {
                let (namespace, name) = (&object["metadata"]["namespace"], &object["metadata"]["name"]);
                let shown = if plural == ledger::LEDGERS { &object["spec"] } else { &object["status"] };
                let status = serde_json::to_string_pretty(shown).unwrap();
                let _ = writeln!(text, "{plural} {namespace}/{name}: {status}");
            }
        }
        for account in [A, B] {
            let policy = self.policy(account).map(|policy| policy.to_string()).unwrap_or_default();
            let _ = writeln!(text, "policy of {account}: {policy}");
        }
        let calls = self.aws.world(|world| {
            world
                .calls()
                .iter()
                .rev()
                .take(12)
                .map(|c| format!("{:?} {:?} {} {:?}", c.at, c.account, c.operation, c.outcome))
                .collect::<Vec<_>>()
        });
        let trace = self.kube.trace();
        let trace: Vec<_> = trace.iter().rev().filter(|line| !line.contains(" watch ")).take(15).collect();
        let _ = writeln!(text, "last AWS calls: {calls:#?}\nlast API calls: {trace:#?}");
        text + &format!("repeat with: SIM_SEED={} cargo test --test sim <name of the test>\n", self.seed)
    }
}
