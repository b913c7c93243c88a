//! A thousand objects over four registries: new ones, and known ones when the operator starts.

use super::ALONE;
use crate::Done;
use crate::figures::{Measure, Unit};
use crate::owner::POLICIES;
use crate::samples::Samples;
use crate::side::{Side, registry};
use crate::stage::ACCOUNTS;

/// The registries with objects, and how many objects each has.
const WITH_OBJECTS: usize = 4;
const OF_EACH: usize = 250;

const NEW: Measure =
    Measure::time("1,000 new objects, four registries: start to all Ready").beside(WITH_OBJECTS * OF_EACH);
const MEMORY_NEW: Measure =
    Measure::new("memory, 1,000 objects made Ready by this process", Unit::MiB).at_most(50.0).aim(35.0);
const KNOWN: Measure = Measure::time("1,000 known objects: start to all confirmed").beside(0).at_most(2.0);
const MEMORY_KNOWN: Measure =
    Measure::new("memory, 1,000 objects found Ready at the start", Unit::MiB).at_most(50.0).aim(35.0);

pub const MEASURES: &[&Measure] = &[&NEW, &MEMORY_NEW, &KNOWN, &MEMORY_KNOWN];

pub async fn run(side: &mut Side, samples: &mut Samples) -> Done {
    side.stage.stop_operator();
    let names: Vec<_> = (0..WITH_OBJECTS).map(registry).collect();
    let of = |name: &String| (0..OF_EACH).map(|n| side.policy("many", name, n)).collect::<Vec<_>>();
    let policies: Vec<_> = names.iter().flat_map(of).collect();
    let mut watch = side.cluster.watch(POLICIES).await?;
    futures::try_join!(side.cluster.create(&policies), watch.until_shown(policies.len()))?;
    let mark = side.stage.aws.mark()?;
    let started = side.stage.start_operator()?.started;
    watch.until_ready(policies.len()).await?;
    samples.push(&NEW, started.elapsed().as_secs_f64());
    if samples.last_is_worst(&NEW) {
        let writes = side.writes_since(mark)?;
        samples.note(&NEW, format!("{writes} writes of a registry policy, in the slowest sample."));
    }
    // What is no time is measured once.
    if samples.number == 0 {
        super::memory(side, samples, &MEMORY_NEW).await?;
    }
    restart(side, samples, policies.len()).await?;
    if samples.number == 0 {
        super::memory(side, samples, &MEMORY_KNOWN).await?;
    }
    side.cluster.delete_all(POLICIES, &side.namespaces).await?;
    side.rest(ALONE);
    Ok(())
}

/// The operator is killed and started: all is as it was, and it must find that out.
async fn restart(side: &mut Side, samples: &mut Samples, objects: usize) -> Done {
    let mark = side.stage.aws.mark()?;
    let mut watch = side.cluster.watch(POLICIES).await?;
    // The pass of every registry, and the one that looks for objects without a registry.
    let passes = u64::try_from(ACCOUNTS.len())? + 1;
    let took = side.stage.start_operator()?.until_confirmed(&ACCOUNTS, passes).await?;
    samples.push(&KNOWN, took);
    let reads = side.stage.aws.calls_since(mark)?;
    let is_read = |account: &str| {
        reads.iter().any(|c| c.operation == "GetRegistryPolicy" && c.account.as_deref() == Some(account))
    };
    // Where nobody has a part in it, the policy need not be read.
    if let Some(unread) = ACCOUNTS.iter().take(WITH_OBJECTS).find(|account| !is_read(account)) {
        return Err(format!("the policy of {unread} was not read at the start").into());
    }
    watch.drain().await?;
    if samples.last_is_worst(&KNOWN) {
        let (writes, events) = (side.writes_since(mark)?, watch.count);
        let note = format!(
            "Ready in the metrics, every pass ended; {writes} writes to AWS, {events} changes of the {objects} objects, \
             in the slowest sample."
        );
        samples.note(&KNOWN, note);
    }
    Ok(())
}
