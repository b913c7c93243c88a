//! Starting, ending, and being ended, with the rest of the world there or not. Each of these has the cluster to itself.

use std::fs;
use std::time::Duration;

use aws_sim::{Fault, Phase, Then};
use ecr_permissions_core::api::{GROUP, Kind, RegistryLedger};
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::lab::aws::{ACCESS_KEY, Account, Aws, HOME, ROLE, trust};
use crate::lab::objects::{grant, pull, registry};
use crate::lab::operator::Operator;
use crate::lab::{Lab, PATIENCE, log_folder};

/// The one of `deploy/operator.yaml`.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:ecr-permissions:ecr-permissions";

/// AWS out of reach at start: the probes do not mind, the objects say so, and it heals by itself.
#[tokio::test]
async fn an_aws_that_is_out_of_reach_at_the_start_is_waited_for() {
    let mut lab = Lab::alone().await;
    let silent = Aws::silent();
    lab.aws = silent.clone();
    let account = lab.account("100000000001");
    lab.own_namespace("starts").await;
    let (registry, policy) = (registry("no-aws", &account), pull("starts", "no-aws", "no-aws", "200000000001", "team"));
    lab.create_all([&registry, &policy]).await;
    let operator = lab.operator();
    operator.wait_probe("/readyz", 200);
    for told in [&registry, &policy] {
        lab.says(told, "Unknown", "Unreachable").await;
    }
    assert_eq!((operator.get("/livez").0, operator.get("/readyz").0), (200, 200));
    let _serving = silent.serving();
    lab.ready(&policy).await;
    assert!(account.pulls("200000000001", "team"));
}

/// An API server that is not there at the start, and one that goes away and comes back.
#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for_at_the_start_and_later() {
    let lab = Lab::alone().await;
    let account = lab.account("100000000002");
    lab.own_namespace("starts").await;
    let objects = [
        registry("away", &account),
        pull("starts", "away-before", "away", "200000000001", "team"),
        pull("starts", "away-after", "away", "200000000002", "other"),
    ];
    lab.create_all(&objects[..2]).await;
    lab.plane.stop_api_server();
    let operator = lab.operator();
    assert_eq!((operator.get("/livez").0, operator.get("/readyz").0), (200, 503));
    lab.plane.start_api_server().unwrap();
    operator.wait_probe("/readyz", 200);
    lab.ready(&objects[1]).await;

    lab.plane.stop_api_server();
    assert_eq!(operator.get("/livez").0, 200);
    lab.plane.start_api_server().unwrap();
    lab.create(&objects[2]).await;
    lab.ready(&objects[2]).await;
    assert!(account.pulls("200000000001", "team") && account.pulls("200000000002", "other"));
    assert_eq!(operator.get("/livez").0, 200);
}

/// SIGTERM in the middle of a pass that cannot end: gone within its bound, and with success.
#[tokio::test]
async fn a_signal_ends_the_process_in_time_even_while_aws_hangs() {
    let lab = Lab::alone().await;
    let account = lab.account("100000000003");
    lab.own_namespace("starts").await;
    let (registry, policy) = (registry("term", &account), pull("starts", "term", "term", "200000000001", "team"));
    lab.create_all([&registry, &policy]).await;
    let idle = lab.operator();
    lab.ready(&policy).await;
    let ended = idle.terminate();
    assert!(ended.contains("exit status: 0") && ended.contains("stopped"), "{ended}");

    let looks = account.count("GetRegistryPolicy");
    lab.aws.world(|world| world.inject(Fault::hang().on("GetRegistryPolicy")));
    let busy = lab.operator();
    account.until("a call that hangs", |account| account.count("GetRegistryPolicy") > looks).await;
    let told = Instant::now();
    let ended = busy.terminate();
    // Its bound is 10 s; by itself the call would end after 30 s.
    assert!(ended.contains("exit status: 0") && told.elapsed() < Duration::from_secs(20), "{ended}");
}

/// The log level decides what is told, and nothing else: up until it is told to stop, and then gone orderly.
#[tokio::test]
async fn a_process_that_logs_little_runs_and_ends_like_any_other() {
    let lab = Lab::alone().await;
    let account = lab.account("100000000004");
    lab.own_namespace("starts").await;
    let (registry, policy) = (registry("quiet", &account), pull("starts", "quiet", "quiet", "200000000001", "team"));
    lab.create_all([&registry, &policy]).await;
    for level in ["warn", "error", "off"] {
        let operator = Operator::start_at_log_level(&lab.plane.kubeconfig(), &lab.aws.url(), level);
        operator.wait_probe("/readyz", 200);
        lab.reconcile(&policy).await;
        lab.ready(&policy).await;
        let ended = operator.terminate();
        assert!(ended.contains("exit status: 0"), "{level}: {ended}");
    }
}

/// The operator's own key is replaced in its file and deleted in AWS: it is followed without a restart.
#[tokio::test]
async fn a_key_that_is_replaced_in_its_file_is_followed() {
    let lab = Lab::alone().await;
    let account = lab.account("100000000005");
    lab.own_namespace("starts").await;
    let objects = [
        registry("key", &account),
        pull("starts", "key-before", "key", "200000000001", "team"),
        pull("starts", "key-after", "key", "200000000002", "team"),
    ];
    lab.create_all(&objects[..2]).await;
    let operator = lab.operator();
    lab.ready(&objects[1]).await;

    operator.replace_key("AKIAREPLACED");
    lab.aws.world(|world| {
        world.add_access_key("AKIAREPLACED", HOME, "role/operator");
        world.delete_access_key(ACCESS_KEY);
        // The role is made anew too, so that it has to be assumed with the new key.
        world.delete_role(&account.id, ROLE);
        world.add_role(&account.id, ROLE, trust());
    });
    lab.create(&objects[2]).await;
    lab.ready(&objects[2]).await;
    assert!(account.pulls("200000000002", "team"));
}

/// Where a process is killed: as a call arrives, or when it took effect and the answer is on its way.
const POINTS: [(&str, Phase); 6] = [
    ("AssumeRole", Phase::After),
    ("GetRegistryPolicy", Phase::Before),
    ("PutRegistryPolicy", Phase::Before),
    ("PutRegistryPolicy", Phase::After),
    ("DeleteRegistryPolicy", Phase::Before),
    ("DeleteRegistryPolicy", Phase::After),
];

/// Behaviour 42.
#[tokio::test]
async fn a_process_that_is_killed_between_calls_leaves_nothing_that_the_next_one_does_not_finish() {
    let lab = Lab::alone().await;
    lab.own_namespace("starts").await;
    for (i, (operation, phase)) in POINTS.into_iter().enumerate() {
        let account = lab.account(&format!("10000000420{i}"));
        let name = format!("killed-{i}");
        let registry = registry(&name, &account);
        let objects = [
            pull("starts", &name, &name, "200000000001", "team"),
            grant("starts", &name, &name, "200000000002", "other"),
        ];
        let kill = KillAt::new(&lab.aws, operation, phase);
        let first = lab.operator();
        lab.create(&registry).await;
        lab.create_all(&objects).await;
        let operator = kill.or_when(&lab, first, lab.all_ready(&objects)).await;
        lab.all_ready(&objects).await;
        assert_eq!(account.statements().len(), 2, "{operation} {phase:?}");

        for object in &objects {
            lab.delete(object).await;
        }
        let operator = kill.or_when(&lab, operator, all_gone(&lab, &objects)).await;
        all_gone(&lab, &objects).await;
        assert_eq!(account.text(), None, "{operation} {phase:?}: something is left");
        assert!(kill.happened(), "{operation} {phase:?} was never reached");
        lab.delete(&registry).await;
        lab.gone(&registry).await;
        operator.kill();
    }
}

async fn all_gone(lab: &Lab, objects: &[Value]) {
    for object in objects {
        lab.gone(object).await;
    }
}

/// Stops the first call of an operation, and has the process killed that made it.
struct KillAt {
    reached: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
    happened: std::sync::atomic::AtomicBool,
}

impl KillAt {
    fn new(aws: &Aws, operation: &'static str, phase: Phase) -> Self {
        let (tell, reached) = mpsc::unbounded_channel();
        let mut struck = false;
        aws.connector.on_call(move |_, call, at| {
            if struck || call.operation != operation || at != phase {
                return Then::GoOn;
            }
            struck = true;
            _ = tell.send(());
            Then::Stop
        });
        Self { reached: reached.into(), happened: false.into() }
    }

    /// Waits for the moment, kills, and starts another; or does nothing if `done` comes first.
    async fn or_when(&self, lab: &Lab, operator: Operator, done: impl Future<Output = ()>) -> Operator {
        let mut reached = self.reached.lock().await;
        tokio::select! {
            Some(()) = reached.recv() => {
                self.happened.store(true, std::sync::atomic::Ordering::Relaxed);
                operator.kill();
                lab.operator()
            }
            () = done => operator,
        }
    }

    fn happened(&self) -> bool {
        self.happened.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Behaviour 42, between two calls to the API server: after the intent is on record, before AWS has heard of it.
#[tokio::test]
async fn a_process_that_is_killed_with_its_intent_on_record_finishes_it_after_the_restart() {
    let lab = Lab::alone().await;
    let account: Account = lab.account("100000004210");
    lab.own_namespace("starts").await;
    let registry = registry("intent", &account);
    let policy = pull("starts", "intent", "intent", "200000000001", "team");
    lab.aws.world(|world| world.inject(Fault::hang().on("PutRegistryPolicy")));
    let operator = lab.operator();
    lab.create_all([&registry, &policy]).await;
    account.until("the Put", |account| account.count("PutRegistryPolicy") > 0).await;
    let recorded = entries(&lab).await;
    assert!(recorded.len() == 1 && recorded[0]["name"] == "intent", "{recorded:?}");
    assert_eq!(confirmed(&lab).await, 0, "its write is under way");
    operator.kill();
    assert_eq!(account.text(), None);
    lab.aws.world(aws_sim::World::clear_faults);
    let _operator = lab.operator();
    lab.ready(&policy).await;
    assert!(account.pulls("200000000001", "team"));
    assert_eq!((entries(&lab).await.len(), confirmed(&lab).await), (1, 1));
}

/// Everything of one member of the ledger's slices.
async fn of_slices(lab: &Lab, member: &str) -> Vec<Value> {
    let slices: Api<RegistryLedger> = Api::all(lab.client.clone());
    let slices = slices.list(&ListParams::default()).await.unwrap();
    let specs = slices.items.iter().map(|slice| serde_json::to_value(&slice.spec).unwrap());
    specs.flat_map(|spec| spec[member].as_array().cloned().unwrap_or_default()).collect()
}

async fn entries(lab: &Lab) -> Vec<Value> {
    of_slices(lab, "entries").await
}

/// Up to which write the registry policy is as it was sent.
async fn confirmed(lab: &Lab) -> u64 {
    let records = of_slices(lab, "documents").await;
    let record = records.first().and_then(|record| record["data"].as_str());
    let record: Value = record.map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
    record["confirmed"].as_u64().unwrap_or_default()
}

/// The operator under exactly the rights that `deploy/operator.yaml` gives it, events included.
#[tokio::test]
async fn the_rights_of_the_deployment_are_enough() {
    let lab = Lab::alone().await;
    let account = lab.account("100000004501");
    lab.own_namespace("starts").await;
    lab.plane.kubectl(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/operator.yaml")]).unwrap();
    may_serve_every_kind(&lab);
    let kubeconfig = log_folder().join("kubeconfig");
    fs::write(&kubeconfig, lab.plane.service_account_kubeconfig("ecr-permissions", "ecr-permissions").unwrap())
        .unwrap();
    let operator = Operator::start(&kubeconfig, &lab.aws.url());
    let objects = [
        registry("rights", &account),
        pull("starts", "rights", "rights", "200000000001", "team"),
        grant("starts", "rights", "rights", "200000000002", "team"),
    ];
    lab.create_all(&objects).await;
    lab.all_ready(&objects).await;
    let closed = serde_json::json!({"spec": {"allow": []}});
    lab.edit(&objects[0], closed).await;
    lab.says(&objects[1], "False", "NotAllowed").await;
    dev::until("an event", PATIENCE, || {
        let events = lab.plane.kubectl(&["get", "events.events.k8s.io", "-n", "starts", "-o", "name"])?;
        Ok(if events.contains("rights.") { Ok(()) } else { Err(events) })
    })
    .unwrap();
    for object in objects.iter().rev() {
        lab.delete(object).await;
        lab.gone(object).await;
    }
    assert_eq!(account.text(), None);
    let log = operator.log();
    let refused: Vec<_> = log.iter().filter(|line| line.to_string().contains("orbidden")).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    assert!(log.iter().any(|line| line["message"] == "connected to the cluster"));
}

/// Also those that have no object in these tests.
fn may_serve_every_kind(lab: &Lab) {
    for plural in Kind::ALL.map(Kind::plural).into_iter().chain(["registries"]) {
        let kind = format!("{plural}.{GROUP}");
        let may = |verb, more: &[&str]| {
            let asked = ["auth", "can-i", verb, &kind, "--all-namespaces", "--as", SERVICE_ACCOUNT];
            lab.plane.kubectl(&[&asked, more].concat()).unwrap_or_else(|no| panic!("{verb} {kind} {more:?}: {no}"));
        };
        for verb in ["get", "list", "watch", "patch"] {
            may(verb, &[]);
        }
        may("update", &["--subresource=status"]);
    }
}
