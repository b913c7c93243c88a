//! RegistryPolicies: none, one alone, fifty at once, five hundred at rest.

use serde_json::json;

use super::{ALONE, SECOND_LOOK};
use crate::Done;
use crate::figures::{Measure, Unit};
use crate::owner::{Owner, POLICIES, ROLES};
use crate::samples::Samples;
use crate::side::{self, INTERVAL, NAMESPACES, Side, number, registry};
use crate::stage::REGION;

/// Five hundred on one registry, and how many roles join them.
const RESTING: usize = 500;
const ROLES_AT_REST: usize = 10;
/// For how many intervals calls are counted.
const INTERVALS: u32 = 3;

const MEMORY_IDLE: Measure =
    Measure::new("memory, idle: five Registries, no objects", Unit::MiB).at_most(32.0).aim(20.0);
const ONE: Measure = Measure::time("one RegistryPolicy: applied to Ready").beside(1).at_most_floors(1.7);
const FIFTY: Measure =
    Measure::time("50 owners at once: first shown to last Ready").beside(NAMESPACES).at_most(0.9).on_its_own();
const FIFTY_PUTS: Measure =
    Measure::new("50 owners at once: PutRegistryPolicy, the worst", Unit::Calls).at_most(3.0).worst();
const FIVE_HUNDRED: Measure = Measure::time("500 owners at once: first shown to last Ready").beside(RESTING);
const CALLS: Measure = Measure::new("500 at rest: AWS calls an interval", Unit::Calls).at_most(6.0);
const WRITES: Measure = Measure::new("500 at rest: AWS writes", Unit::Calls).at_most(0.0);
const CALLS_OF_A_ROLE: Measure =
    Measure::new("each role at rest: AWS calls more an interval", Unit::Calls).at_most(5.0);

pub const IDLE: &[&Measure] = &[&MEMORY_IDLE];
pub const ONE_OWNER: &[&Measure] = &[&ONE];
pub const FIFTY_OWNERS: &[&Measure] = &[&FIFTY, &FIFTY_PUTS];
pub const AT_REST: &[&Measure] = &[&FIVE_HUNDRED, &CALLS, &WRITES, &CALLS_OF_A_ROLE];

/// Registries, and nobody attached. What is no time is measured once.
pub async fn idle(side: &mut Side, samples: &mut Samples) -> Done {
    if samples.number == 0 { super::memory(side, samples, &MEMORY_IDLE).await } else { Ok(()) }
}

/// One more object, its registry Ready before. They stay: another one is what a registry in use is asked for.
pub async fn one_owner(side: &mut Side, samples: &mut Samples) -> Done {
    if samples.number == 0 {
        // The first of all brings the Registry its finalizer: not what is measured.
        one(side, 0).await?;
        tokio::time::sleep(ALONE).await;
    }
    let took = one(side, samples.number + 1).await?;
    samples.push(&ONE, took);
    side.rest(ALONE);
    Ok(())
}

async fn one(side: &Side, n: usize) -> Done<f64> {
    let policy = side.policy("alone", &registry(0), n);
    let mut watch = side.cluster.watch(POLICIES).await?;
    futures::try_join!(side.cluster.create(std::slice::from_ref(&policy)), watch.until_ready(1))?;
    Ok(watch.spans().1)
}

/// Fifty owners, each in a namespace of its own, alike but for the account.
pub async fn fifty_owners(side: &mut Side, samples: &mut Samples) -> Done {
    let registry = registry(1 + samples.number % 3);
    let policies: Vec<_> = (0..NAMESPACES).map(|n| side.policy("burst", &registry, n)).collect();
    let mark = side.stage.aws.mark()?;
    let mut watch = side.cluster.watch(POLICIES).await?;
    futures::try_join!(side.cluster.create(&policies), watch.until_ready(policies.len()))?;
    let (arrived, ready) = watch.spans();
    samples.push(&FIFTY, ready);
    if samples.last_is_worst(&FIFTY) {
        samples
            .note(&FIFTY, format!("the last of them was shown {arrived:.3} s after the first, in the worst sample."));
    }
    let writes = side.writes_since(mark)?;
    samples.push(&FIFTY_PUTS, writes);
    side.cluster.delete_all(POLICIES, &side.namespaces).await?;
    side.rest(ALONE);
    Ok(())
}

/// Five hundred on one registry, nothing changing.
pub async fn at_rest(side: &mut Side, samples: &mut Samples) -> Done {
    let policies: Vec<_> = (0..RESTING).map(|n| side.policy("rest", side::AT_REST, n)).collect();
    let mut watch = side.cluster.watch(POLICIES).await?;
    futures::try_join!(side.cluster.create(&policies), watch.until_ready(policies.len()))?;
    let (arrived, ready) = watch.spans();
    samples.push(&FIVE_HUNDRED, ready);
    if samples.last_is_worst(&FIVE_HUNDRED) {
        let note = format!("the last of them was shown {arrived:.3} s after the first, in the worst sample.");
        samples.note(&FIVE_HUNDRED, note);
    }
    // What is no time is measured once.
    if samples.number == 0 {
        let calls = policies_at_rest(side, samples).await?;
        roles_at_rest(side, samples, calls).await?;
    }
    side.stage.operator()?.check()?;
    side.cluster.delete_all(POLICIES, &side.namespaces).await?;
    side.rest(ALONE);
    Ok(())
}

/// Answers how many calls there were.
async fn policies_at_rest(side: &mut Side, samples: &mut Samples) -> Done<f64> {
    tokio::time::sleep(SECOND_LOOK).await;
    let mark = side.stage.aws.mark()?;
    let mut watch = side.cluster.watch(POLICIES).await?;
    tokio::time::sleep(INTERVAL * INTERVALS).await;
    // Of all accounts: the intervals of the others are longer than this, so whatever is called is called for this one.
    let count = side.stage.aws.calls_since(mark)?.len();
    let writes = side.writes_since(mark)?;
    watch.drain().await?;
    samples.push(&CALLS, number(count) / f64::from(INTERVALS));
    let note = format!("{count} in {INTERVALS} intervals of 10 s; {} changes of objects.", watch.count);
    samples.note(&CALLS, note);
    samples.push(&WRITES, writes);
    Ok(number(count))
}

/// What each role adds to the calls of its registry at rest.
async fn roles_at_rest(side: &mut Side, samples: &mut Samples, without: f64) -> Done {
    let target = json!({"external": {"accountId": "999999999999", "region": REGION}});
    let role = |n: usize| Owner::role(side.namespace(n), &format!("rest-{n}"), side::AT_REST, &target);
    let roles: Vec<_> = (0..ROLES_AT_REST).map(role).collect();
    let mut watch = side.cluster.watch(ROLES).await?;
    futures::try_join!(side.cluster.create(&roles), watch.until_ready(roles.len()))?;
    tokio::time::sleep(SECOND_LOOK).await;
    let mark = side.stage.aws.mark()?;
    tokio::time::sleep(INTERVAL * INTERVALS).await;
    let with = number(side.stage.aws.calls_since(mark)?.len());
    samples.push(&CALLS_OF_A_ROLE, (with - without) / f64::from(INTERVALS) / number(roles.len()));
    side.cluster.delete_all(ROLES, &side.namespaces).await
}
