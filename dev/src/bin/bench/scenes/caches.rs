//! Cache rules: one, twenty and fifty at once of public upstreams, and one of another account's registry.

use std::time::Duration;

use serde_json::json;

use super::{ALONE, by_operation};
use crate::Done;
use crate::figures::{Measure, Unit};
use crate::owner::{CACHES, Owner, ROLES};
use crate::samples::Samples;
use crate::side::{Side, number, registry};
use crate::stage::{ACCOUNTS, PROPAGATION_MS};

/// How many rules at once, on which registry.
#[derive(Debug)]
pub struct Burst {
    count: usize,
    registry: usize,
    time: Measure,
    /// One call makes one rule; the others are what it costs to know what is there.
    more: Measure,
    pub measures: &'static [&'static Measure],
}

const MORE: Measure = Measure::new("  AWS calls beyond one a rule, the worst", Unit::Calls).at_most(8.0).worst();
const TIME_OF_ONE: Measure = Measure::time("1 cache rule: first shown to Ready").beside(1).at_most_floors(1.7);
const TIME_OF_TWENTY: Measure =
    Measure::time("20 cache rules at once: first shown to last Ready").beside(20).at_most_floors(4.0);
const TIME_OF_FIFTY: Measure =
    Measure::time("50 cache rules at once: first shown to last Ready").beside(50).at_most_floors(6.0);
#[expect(clippy::cast_precision_loss, reason = "two seconds")]
const TIME_ACROSS: Measure = Measure::time("role, grant and rule across accounts: first shown to last Ready")
    .beside(2)
    .at_most(PROPAGATION_MS as f64 / 1_000.0 + 3.0);

pub static ONE: Burst =
    Burst { count: 1, registry: 1, time: TIME_OF_ONE, more: MORE, measures: &[&TIME_OF_ONE, &MORE] };
pub static TWENTY: Burst =
    Burst { count: 20, registry: 2, time: TIME_OF_TWENTY, more: MORE, measures: &[&TIME_OF_TWENTY, &MORE] };
pub static FIFTY: Burst =
    Burst { count: 50, registry: 3, time: TIME_OF_FIFTY, more: MORE, measures: &[&TIME_OF_FIFTY, &MORE] };
pub const ACROSS: &[&Measure] = &[&TIME_ACROSS];

/// Writes of rules come fifty at once and five a second from then on.
const RULE_WRITES_A_SECOND: u32 = 5;

/// Rules of public upstreams. A registry takes fifty, so they go again.
pub async fn at_once(side: &mut Side, samples: &mut Samples, burst: &Burst) -> Done {
    let (registry, account) = (registry(burst.registry), ACCOUNTS.get(burst.registry).copied());
    let rule = |n: usize| {
        let name = format!("cache-{}-{n}", samples.number);
        Owner::cache(side.namespace(n), &name, &registry, &name)
    };
    let rules: Vec<_> = (0..burst.count).map(rule).collect();
    let mark = side.stage.aws.mark()?;
    let mut watch = side.cluster.watch(CACHES).await?;
    futures::try_join!(side.cluster.create(&rules), watch.until_ready(rules.len()))?;
    samples.push(&burst.time, watch.spans().1);
    let mut made = side.stage.aws.calls_since(mark)?;
    // Another registry's interval may be over just now.
    made.retain(|call| call.account.as_deref() == account);
    samples.push(&burst.more, number(made.len()) - number(rules.len()));
    if samples.last_is_worst(&burst.more) {
        samples.note(&burst.time, format!("{} AWS calls, the worst: {}.", made.len(), by_operation(&made)));
    }
    side.cluster.delete_all(CACHES, &side.namespaces).await?;
    // Each rule was made and deleted.
    let writes = u32::try_from(2 * burst.count)?;
    side.rest(ALONE.max(Duration::from_secs((writes / RULE_WRITES_A_SECOND + 1).into())));
    Ok(())
}

/// A role, the upstream's grant to it, and the rule that pulls by it, applied at once: two registries have to hear of
/// each other, and nobody but IAM sees the role before it has propagated.
pub async fn across(side: &mut Side, samples: &mut Samples) -> Done {
    let (home, upstream) = (registry(1), registry(2));
    let target = json!({"registryRef": {"name": upstream}});
    let name = format!("cache-across-{}", samples.number);
    let role = Owner::role(side.namespace(0), &name, &home, &target);
    let rule = Owner::cache_by_role(side.namespace(0), &name, [&home, &upstream], &name);
    let mark = side.stage.aws.mark()?;
    let (mut roles, mut rules) = (side.cluster.watch(ROLES).await?, side.cluster.watch(CACHES).await?);
    let set = [role, rule];
    futures::try_join!(side.cluster.create(&set), roles.until_ready(1), rules.until_ready(1))?;
    samples.push(&TIME_ACROSS, rules.spans().1.max(roles.spans().1));
    if samples.last_is_worst(&TIME_ACROSS) {
        let calls = side.stage.aws.calls_since(mark)?.len();
        let propagation = Duration::from_millis(PROPAGATION_MS).as_secs_f64();
        let note = format!("IAM takes {propagation} s to show a role; {calls} AWS calls in the slowest sample.");
        samples.note(&TIME_ACROSS, note);
    }
    futures::try_join!(
        side.cluster.delete_all(CACHES, &side.namespaces),
        side.cluster.delete_all(ROLES, &side.namespaces)
    )?;
    side.rest(ALONE);
    Ok(())
}
