//! One build of the operator in one scene: a control plane and an AWS of its own, with namespaces and Registries, so that
//! nothing of another scene or of another build's definitions is in its way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Done;
use crate::cluster::Cluster;
use crate::owner::Owner;
use crate::stage::{ACCOUNTS, Programs, REGION, Stage, boundary, member_role};

pub const NAMESPACES: usize = 50;
/// The namespace with more objects than all others, let in by a rule of its own.
pub const CROWDED: &str = "crowded";
/// How many objects that rule lets a namespace have.
pub const CROWD: usize = 5_000;
/// The fifth registry, whose interval is short.
pub const AT_REST: &str = "registry-4";
pub const INTERVAL: Duration = Duration::from_secs(10);
/// What namespaces are let in by.
const LABEL: &str = "bench.ecr-permissions.dev/tenant";

pub struct Side {
    // Dropped from top to bottom: clients before servers.
    pub cluster: Cluster,
    pub stage: Stage,
    pub namespaces: Vec<String>,
    /// When the next sample may begin.
    rested_at: Instant,
}

impl Side {
    /// Starts everything; returns when every Registry is Ready.
    pub async fn set(programs: &Programs) -> Done<Self> {
        let mut stage = Stage::set(programs)?;
        let ready = Self::furnish(&mut stage).await;
        let (cluster, namespaces) = ready.map_err(|error| stage.explain(&*error))?;
        Ok(Self { cluster, stage, namespaces, rested_at: Instant::now() })
    }

    async fn furnish(stage: &mut Stage) -> Done<(Cluster, Vec<String>)> {
        let cluster = Cluster::connect(stage.kubeconfig()).await?;
        let namespaces: Vec<_> = (0..NAMESPACES).map(|n| format!("team-{n:02}")).collect();
        cluster.create_namespaces(&namespaces, &json!({LABEL: "true"})).await?;
        cluster.create_namespaces(&[CROWDED.to_owned()], &json!({})).await?;
        stage.start_operator()?;
        let specs = ACCOUNTS.iter().enumerate().map(|(n, account)| (registry(n), registry_spec(&registry(n), account)));
        cluster.create_registries(specs.collect()).await?;
        Ok((cluster, namespaces))
    }

    /// The n-th policy for a registry, in a namespace of its own as long as there are as many.
    pub fn policy(&self, scene: &str, registry: &str, n: usize) -> Owner {
        Owner::policy(self.namespace(n), &format!("{scene}-{registry}-{n}"), registry, &format!("9{n:011}"))
    }

    pub fn namespace(&self, n: usize) -> &str {
        self.namespaces.get(n % NAMESPACES).map_or("", String::as_str)
    }

    pub fn writes_since(&mut self, mark: u64) -> Done<f64> {
        Ok(number(self.stage.aws.calls_since(mark)?.iter().filter(|call| call.is_write).count()))
    }

    /// Holds the next sample back: what AWS allows in a second has to be there again.
    pub fn rest(&mut self, time: Duration) {
        self.rested_at = Instant::now() + time;
    }

    pub async fn rested(&self) {
        tokio::time::sleep_until(self.rested_at.into()).await;
    }
}

pub fn registry(n: usize) -> String {
    format!("registry-{n}")
}

fn registry_spec(name: &str, account: &str) -> Value {
    let interval = if name == AT_REST { INTERVAL } else { Duration::from_mins(5) };
    json!({
        "accountId": account,
        "region": REGION,
        "identity": {"roleArn": member_role(account)},
        "roles": {"permissionsBoundaryArn": boundary(account)},
        "interval": format!("{}s", interval.as_secs()),
        "allow": [
            {
                "name": "all",
                "namespaces": {"selector": {LABEL: "true"}},
                "kinds": ["RegistryPolicy", "PullThroughCacheRule", "CrossAccountPtcRole"],
                "repositories": ["bench/*", "cache-*"],
                "accountIds": ["*"],
                "upstreamHosts": ["public.ecr.aws"],
            },
            {
                "name": "crowd",
                "namespaces": {"names": [CROWDED]},
                "kinds": ["RegistryPolicy"],
                "repositories": ["bench/*"],
                "accountIds": ["*"],
                // A definition that does not have this member yet drops it.
                "limits": {"each": {"objects": CROWD}},
            },
        ],
    })
}

pub fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
