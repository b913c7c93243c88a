//! What is measured, scene by scene: an owner alone, fifty at once, a thousand at a start, five hundred at rest, and the
//! memory of all that.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::Done;
use crate::aws::Call;
use crate::cluster::{CACHES, Cluster, Owner, POLICIES, ROLES};
use crate::figures::{Figure, Figures, Limit, Unit, median};
use crate::operator::Memory;
use crate::stage::{ACCOUNTS, PROPAGATION_MS, REGION, Stage, boundary, member_role};

const NAMESPACES: usize = 50;
const ONE_BY_ONE: usize = 9;
const BURSTS: usize = 3;
const STARTS: usize = 3;
/// The registries with objects, in the scenes with a thousand over four, and how many objects each has.
const WITH_OBJECTS: usize = 4;
const OF_EACH: usize = 250;
const AT_REST: usize = 500;
const ROLES_AT_REST: usize = 10;
/// The interval of the fifth registry, and for how many of them calls are counted.
const INTERVAL: Duration = Duration::from_secs(10);
const INTERVALS: u32 = 3;
/// When memory is read, from the start of the process.
const SETTLED: Duration = Duration::from_mins(1);
/// Between objects that come alone: document writes may be one a second, and nobody applies faster than this by hand.
const ALONE: Duration = Duration::from_secs(2);
/// Writes of rules come fifty at once and five a second from then on; deleting the rules before takes as many again.
const RULES_RECOVER: Duration = Duration::from_secs(21);
/// After a write the operator looks once more, 15 s later at most.
const SECOND_LOOK: Duration = Duration::from_secs(16);

struct Bench<'a> {
    stage: &'a mut Stage,
    cluster: Cluster,
    namespaces: Vec<String>,
    figures: Vec<Figure>,
    /// Three AWS calls in a row, the median.
    floor: f64,
}

pub async fn all(stage: &mut Stage) -> Done<Figures> {
    let load_before = load();
    let cluster = Cluster::connect(stage.kubeconfig()).await?;
    let namespaces: Vec<_> = (0..NAMESPACES).map(|n| format!("team-{n:02}")).collect();
    cluster.create_namespaces(&namespaces).await?;
    let mut bench = Bench { stage, cluster, namespaces, figures: Vec::new(), floor: f64::NAN };
    bench.idle().await?;
    bench.alone().await?;
    bench.at_once().await?;
    bench.caches().await?;
    bench.across().await?;
    bench.thousand().await?;
    bench.at_rest().await?;
    Ok(Figures { all: bench.figures, load_before })
}

impl Bench<'_> {
    /// Registries, and nobody attached.
    async fn idle(&mut self) -> Done {
        say("Registries without objects: memory after 60 s");
        self.stage.start_operator()?;
        for (name, account) in registries() {
            let interval = if name == AT_REST_REGISTRY { INTERVAL } else { Duration::from_mins(5) };
            let spec = json!({
                "accountId": account,
                "region": REGION,
                "identity": {"roleArn": member_role(account)},
                "roles": {"permissionsBoundaryArn": boundary(account)},
                "interval": format!("{}s", interval.as_secs()),
                "allow": [{
                    "name": "all",
                    "namespaces": {"names": self.namespaces},
                    "kinds": ["RegistryPolicy", "PullThroughCacheRule", "CrossAccountPtcRole"],
                    "repositories": ["bench/*", "cache-*"],
                    "accountIds": ["*"],
                    "upstreamHosts": ["public.ecr.aws"],
                }],
            });
            self.cluster.create_registry(&name, spec).await?;
        }
        let memory = self.stage.operator()?.memory_after(SETTLED).await?;
        self.figures.push(resident("memory, idle: five Registries, no objects", memory, 32.0).aim(20.0));
        Ok(())
    }

    /// One object at a time, its registry Ready before.
    async fn alone(&mut self) -> Done {
        say("one RegistryPolicy at a time");
        // The first of all brings the Registry its finalizer: not what is measured.
        self.one(0).await?;
        let (mut times, mut floors) = (Vec::new(), Vec::new());
        for n in 1..=ONE_BY_ONE {
            tokio::time::sleep(ALONE).await;
            floors.push(self.stage.aws.floor()?);
            times.push(self.one(n).await?);
        }
        self.floor = median(&floors);
        self.figures.push(Figure::new("the floor: three AWS calls in a row", Unit::Seconds, floors));
        let figure = Figure::new("one RegistryPolicy: applied to Ready", Unit::Seconds, times);
        self.figures.push(figure.beside(self.floor).limit(Limit::Floors(1.7)));
        Ok(())
    }

    async fn one(&self, n: usize) -> Done<f64> {
        let policy = self.policy("alone", &registry(0), n);
        let mut watch = self.cluster.watch(POLICIES).await?;
        futures::try_join!(self.cluster.create(std::slice::from_ref(&policy)), watch.until_ready(1))?;
        Ok(watch.spans().1)
    }

    /// Fifty owners, each in a namespace of its own, alike but for the account.
    async fn at_once(&mut self) -> Done {
        say("50 owners at once");
        let (mut times, mut arrivals, mut puts) = (Vec::new(), Vec::new(), Vec::new());
        for burst in 0..BURSTS {
            tokio::time::sleep(ALONE).await;
            let registry = registry(burst + 1);
            let policies: Vec<_> = (0..NAMESPACES).map(|n| self.policy("burst", &registry, n)).collect();
            let mark = self.stage.aws.mark()?;
            let mut watch = self.cluster.watch(POLICIES).await?;
            futures::try_join!(self.cluster.create(&policies), watch.until_ready(policies.len()))?;
            let (arrived, ready) = watch.spans();
            times.push(ready);
            arrivals.push(arrived);
            puts.push(self.writes_since(mark)?);
        }
        let worst = puts.iter().copied().fold(0.0, f64::max);
        let arrived = median(&arrivals);
        let time = Figure::new("50 owners at once: first shown to last Ready", Unit::Seconds, times);
        let time = time.beside(self.floor).limit(Limit::AtMost(1.5));
        self.figures.push(time.note(format!("the last of them was shown {arrived:.3} s after the first.")));
        self.figures.push(
            Figure::new("50 owners at once: PutRegistryPolicy, the worst", Unit::Calls, [worst])
                .limit(Limit::AtMost(3.0)),
        );
        self.cluster.delete_all(POLICIES, &self.namespaces).await
    }

    /// Cache rules of public upstreams: a registry takes fifty, so each number has the registry to itself.
    async fn caches(&mut self) -> Done {
        say("cache rules: 1, 20 and 50 at once");
        for (count, of, most, named) in [
            (1, 1, 1.7, "1 cache rule: first shown to Ready"),
            (20, 2, 4.0, "20 cache rules at once: first shown to last Ready"),
            (50, 3, 6.0, "50 cache rules at once: first shown to last Ready"),
        ] {
            let (registry, account) = (registry(of), ACCOUNTS.get(of).copied());
            let (mut times, mut worst) = (Vec::new(), Vec::new());
            for burst in 0..BURSTS {
                // Rules may be five a second, after the first fifty.
                tokio::time::sleep(RULES_RECOVER).await;
                let namespaces = self.namespaces.iter().cycle();
                let rule = |(n, namespace): (usize, &String)| {
                    let name = format!("cache-{burst}-{n}");
                    Owner::cache(namespace, &name, &registry, &name)
                };
                let rules: Vec<_> = (0..count).zip(namespaces).map(rule).collect();
                let mark = self.stage.aws.mark()?;
                let mut watch = self.cluster.watch(CACHES).await?;
                futures::try_join!(self.cluster.create(&rules), watch.until_ready(count))?;
                times.push(watch.spans().1);
                let mut made = self.stage.aws.calls_since(mark)?;
                // Another registry's interval may be over just now.
                made.retain(|call| call.account.as_deref() == account);
                if worst.len() < made.len() {
                    worst = made;
                }
                self.cluster.delete_all(CACHES, &self.namespaces).await?;
            }
            let note = format!("{} AWS calls, the worst: {}.", worst.len(), by_operation(&worst));
            let figure = Figure::new(named, Unit::Seconds, times).beside(self.floor).limit(Limit::Floors(most));
            self.figures.push(figure.note(note));
            let more = Figure::new(
                "  AWS calls beyond one a rule, the worst",
                Unit::Calls,
                [number(worst.len()) - number(count)],
            );
            self.figures.push(more.limit(Limit::AtMost(8.0)));
        }
        Ok(())
    }

    /// A role, the upstream's grant to it, and the rule that pulls by it, applied at once: two registries have to hear of
    /// each other, and nobody but IAM sees the role before it has propagated.
    async fn across(&mut self) -> Done {
        say("a cache across accounts: role, grant and rule");
        let (home, upstream) = (registry(1), registry(2));
        let target = json!({"registryRef": {"name": upstream}});
        let namespace = self.namespaces.first().cloned().unwrap_or_default();
        let (mut times, mut calls) = (Vec::new(), Vec::new());
        for n in 0..BURSTS {
            tokio::time::sleep(ALONE).await;
            let name = format!("cache-across-{n}");
            let role = Owner::role(&namespace, &name, &home, &target);
            let rule = Owner::cache_by_role(&namespace, &name, [&home, &upstream], &name);
            let mark = self.stage.aws.mark()?;
            let (mut roles, mut rules) = (self.cluster.watch(ROLES).await?, self.cluster.watch(CACHES).await?);
            let set = [role, rule];
            futures::try_join!(self.cluster.create(&set), roles.until_ready(1), rules.until_ready(1))?;
            times.push(rules.spans().1.max(roles.spans().1));
            calls.push(number(self.stage.aws.calls_since(mark)?.len()));
            futures::try_join!(
                self.cluster.delete_all(CACHES, &self.namespaces),
                self.cluster.delete_all(ROLES, &self.namespaces)
            )?;
        }
        let worst = calls.iter().copied().fold(0.0, f64::max);
        let propagation = Duration::from_millis(PROPAGATION_MS).as_secs_f64();
        let name = "role, grant and rule across accounts: first shown to last Ready";
        let figure = Figure::new(name, Unit::Seconds, times).beside(self.floor);
        let note = format!("IAM takes {propagation} s to show a role; {worst} AWS calls, the worst.");
        self.figures.push(figure.limit(Limit::AtMost(propagation + 3.0)).note(note));
        Ok(())
    }

    /// A thousand over four registries: new ones, and known ones when the operator starts.
    async fn thousand(&mut self) -> Done {
        say("1,000 objects over four registries");
        self.stage.stop_operator();
        let names: Vec<_> = (0..WITH_OBJECTS).map(registry).collect();
        let of = |name: &String| (0..OF_EACH).map(|n| self.policy("many", name, n)).collect::<Vec<_>>();
        let policies: Vec<_> = names.iter().flat_map(of).collect();
        let mut watch = self.cluster.watch(POLICIES).await?;
        futures::try_join!(self.cluster.create(&policies), watch.until_shown(policies.len()))?;
        let mark = self.stage.aws.mark()?;
        let started = self.stage.start_operator()?.started;
        watch.until_ready(policies.len()).await?;
        let took = started.elapsed().as_secs_f64();
        let writes = self.writes_since(mark)?;
        let figure = Figure::new("1,000 new objects, four registries: start to all Ready", Unit::Seconds, [took]);
        self.figures.push(figure.beside(self.floor).note(format!("{writes} writes of a registry policy.")));
        let memory = self.stage.operator()?.memory_after(SETTLED).await?;
        self.figures.push(resident("memory, 1,000 objects made Ready by this process", memory, 50.0).aim(35.0));
        self.restarts(policies.len()).await?;
        let memory = self.stage.operator()?.memory_after(SETTLED).await?;
        self.figures.push(resident("memory, 1,000 objects found Ready at the start", memory, 50.0).aim(35.0));
        Ok(())
    }

    /// The operator is killed and started: all is as it was, and it must find that out.
    async fn restarts(&mut self, objects: usize) -> Done {
        let mut times = Vec::new();
        let mark = self.stage.aws.mark()?;
        let mut watch = self.cluster.watch(POLICIES).await?;
        // The pass of every registry, and the one that looks for objects without a registry.
        let passes = u64::try_from(ACCOUNTS.len())? + 1;
        for _ in 0..STARTS {
            times.push(self.stage.start_operator()?.until_confirmed(&ACCOUNTS, passes).await?);
        }
        let reads = self.stage.aws.calls_since(mark)?;
        let policies_read = |account: &str| {
            reads.iter().filter(|c| c.operation == "GetRegistryPolicy" && c.account.as_deref() == Some(account)).count()
        };
        // Where nobody has a part in it, the policy need not be read.
        let mut having = ACCOUNTS.iter().take(WITH_OBJECTS);
        if let Some(unread) = having.find(|account| policies_read(account) < STARTS) {
            return Err(format!("the policy of {unread} was not read at every start").into());
        }
        watch.drain().await?;
        let (writes, events) = (self.writes_since(mark)?, watch.count);
        let note = format!(
            "Ready in the metrics, every pass ended; {writes} writes to AWS, {events} changes of the {objects} objects."
        );
        let figure = Figure::new("1,000 known objects: start to all confirmed", Unit::Seconds, times);
        self.figures.push(figure.beside(self.floor).limit(Limit::AtMost(2.0)).note(note));
        Ok(())
    }

    /// Five hundred on one registry, nothing changing.
    async fn at_rest(&mut self) -> Done {
        say("500 objects on one registry, at rest");
        let policies: Vec<_> = (0..AT_REST).map(|n| self.policy("rest", AT_REST_REGISTRY, n)).collect();
        let mut watch = self.cluster.watch(POLICIES).await?;
        futures::try_join!(self.cluster.create(&policies), watch.until_ready(policies.len()))?;
        let (arrived, ready) = watch.spans();
        let figure = Figure::new("500 owners at once: first shown to last Ready", Unit::Seconds, [ready]);
        let note = format!("the last of them was shown {arrived:.3} s after the first.");
        self.figures.push(figure.beside(self.floor).note(note));
        tokio::time::sleep(SECOND_LOOK).await;
        let mark = self.stage.aws.mark()?;
        let mut watch = self.cluster.watch(POLICIES).await?;
        tokio::time::sleep(INTERVAL * INTERVALS).await;
        // Of all accounts: the intervals of the others are longer than this, so whatever is called is called for this one.
        let count = self.stage.aws.calls_since(mark)?.len();
        let writes = self.writes_since(mark)?;
        watch.drain().await?;
        let name = "500 at rest: AWS calls an interval";
        let figure = Figure::new(name, Unit::Calls, [number(count) / f64::from(INTERVALS)]);
        let note = format!("{count} in {INTERVALS} intervals of 10 s; {} changes of objects.", watch.count);
        self.figures.push(figure.limit(Limit::AtMost(6.0)).note(note));
        let figure = Figure::new("500 at rest: AWS writes", Unit::Calls, [writes]);
        self.figures.push(figure.limit(Limit::AtMost(0.0)));
        self.roles_at_rest(number(count)).await?;
        self.stage.operator()?.check()
    }

    /// What each role adds to the calls of its registry at rest.
    async fn roles_at_rest(&mut self, without: f64) -> Done {
        let target = json!({"external": {"accountId": "999999999999", "region": REGION}});
        let role =
            |n: usize, namespace: &String| Owner::role(namespace, &format!("rest-{n}"), AT_REST_REGISTRY, &target);
        let roles: Vec<_> = self.namespaces.iter().take(ROLES_AT_REST).enumerate().map(|(n, of)| role(n, of)).collect();
        let mut watch = self.cluster.watch(ROLES).await?;
        futures::try_join!(self.cluster.create(&roles), watch.until_ready(roles.len()))?;
        tokio::time::sleep(SECOND_LOOK).await;
        let mark = self.stage.aws.mark()?;
        tokio::time::sleep(INTERVAL * INTERVALS).await;
        let with = number(self.stage.aws.calls_since(mark)?.len());
        let each = (with - without) / f64::from(INTERVALS) / number(roles.len());
        let figure = Figure::new("each role at rest: AWS calls more an interval", Unit::Calls, [each]);
        self.figures.push(figure.limit(Limit::AtMost(5.0)));
        Ok(())
    }

    fn policy(&self, scene: &str, registry: &str, n: usize) -> Owner {
        let namespace = self.namespaces.get(n % NAMESPACES).cloned().unwrap_or_default();
        Owner::policy(&namespace, &format!("{scene}-{registry}-{n}"), registry, &format!("9{n:011}"))
    }

    fn writes_since(&mut self, mark: u64) -> Done<f64> {
        Ok(number(self.stage.aws.calls_since(mark)?.iter().filter(|call| call.is_write).count()))
    }
}

/// The fifth registry, whose interval is short.
const AT_REST_REGISTRY: &str = "registry-4";

fn registry(n: usize) -> String {
    format!("registry-{n}")
}

/// How often each operation was called.
fn by_operation(calls: &[Call]) -> String {
    let mut times = BTreeMap::<&str, usize>::new();
    for call in calls {
        *times.entry(&call.operation).or_default() += 1;
    }
    times.iter().map(|(operation, times)| format!("{times} {operation}")).collect::<Vec<_>>().join(", ")
}

fn registries() -> impl Iterator<Item = (String, &'static str)> {
    ACCOUNTS.iter().enumerate().map(|(n, account)| (registry(n), *account))
}

fn resident(name: &'static str, memory: Memory, most: f64) -> Figure {
    let Memory { resident, peak, anonymous } = memory;
    let note = format!("{anonymous:.1} MiB of it allocated, the rest the program itself; {peak:.1} MiB at its peak.");
    Figure::new(name, Unit::MiB, [resident]).limit(Limit::AtMost(most)).note(note)
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn say(scene: &str) {
    eprintln!("bench: {scene}");
}
