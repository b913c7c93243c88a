//! Five thousand objects of one namespace on one registry which are alike, so that their document is short: what an edit
//! of one of them rewrites, how large any object of the cluster is, and what another tenant notices.

use std::time::{Duration, Instant};

use kube::api::Api;
use kube::core::DynamicObject;

use super::{ALONE, SECOND_LOOK};
use crate::Done;
use crate::cluster::{Largest, Slice, Slices};
use crate::figures::{Measure, Unit};
use crate::operator::PATIENCE;
use crate::owner::{Owner, POLICIES};
use crate::samples::Samples;
use crate::side::{CROWD, CROWDED, Side, number, registry};
use crate::stage::ACCOUNTS;

/// All on the first one.
const REGISTRY: usize = 0;
/// An operator that cannot do it must not be waited for: this long without another object Ready, and this long in all.
const PAUSE_AT_MOST: Duration = Duration::from_mins(1);
const READY_WITHIN: Duration = Duration::from_mins(10);
/// Looks at the ledger that must show the same before it counts as at rest.
const LOOK: Duration = Duration::from_secs(1);

const ALL_READY: Measure = Measure::time("5,000 alike: first shown to last Ready").beside(CROWD).on_its_own();
const EARLY: Measure = Measure::time("5,000 alike: another tenant's object, while they become Ready: shown to Ready")
    .beside(1)
    .on_its_own();
const NEW: Measure =
    Measure::time("5,000 alike: another tenant's new object, beside an edit: shown to Ready").beside(1).at_most(1.5);
const DELETED: Measure =
    Measure::time("5,000 alike: another tenant's deletion, beside an edit: asked for to done").beside(1).at_most(1.5);
const EDITED: Measure = Measure::time("5,000 alike: one object's edit: shown to Ready").beside(1);
const REWRITTEN: Measure =
    Measure::new("5,000 alike: slices that one object's edit rewrites, the worst", Unit::Objects).at_most(2.0).worst();
const LARGEST: Measure =
    Measure::new("5,000 alike: the largest object of the cluster", Unit::KB).at_most(100.0).worst();

pub const MEASURES: &[&Measure] = &[&ALL_READY, &EARLY, &NEW, &DELETED, &EDITED, &REWRITTEN, &LARGEST];

pub async fn run(side: &mut Side, samples: &mut Samples) -> Done {
    if samples.number == 0 {
        fill(side, samples).await?;
        tokio::time::sleep(SECOND_LOOK).await;
    }
    let ledgers = side.cluster.ledgers().await?;
    if ledgers.is_none() {
        samples
            .remark("there is no definition of RegistryLedgers, so the slices that an edit rewrites were not counted");
    }
    let tenant = tenant(side, samples.number);
    let before = at_rest(side, ledgers.as_ref()).await?;
    beside_a_new_object(side, samples, &tenant).await?;
    let after = at_rest(side, ledgers.as_ref()).await?;
    if let (Some(before), Some(after)) = (before, after) {
        samples.push(&REWRITTEN, number(rewritten(&before, &after, Some(CROWDED))));
        if samples.last_is_worst(&REWRITTEN) {
            let (documents, all) = (rewritten(&before, &after, None), after.len());
            samples.note(&REWRITTEN, format!("besides {documents} of no namespace; there are {all} slices."));
        }
    }
    tokio::time::sleep(ALONE).await;
    beside_a_deletion(side, samples, &tenant).await?;
    let Largest { name, bytes } = side.cluster.largest().await?;
    samples.push(&LARGEST, number(bytes) / 1_000.0);
    if samples.last_is_worst(&LARGEST) {
        samples.note(&LARGEST, format!("it is {name}."));
    }
    side.rest(ALONE);
    Ok(())
}

/// Makes the five thousand, and somebody else's object right after them. Once: one sample proves nothing against another
/// operator.
async fn fill(side: &mut Side, samples: &mut Samples) -> Done {
    let crowd: Vec<_> = (0..CROWD).map(|n| of_the_crowd(n, "900000000000")).collect();
    let early = Owner::policy(side.namespace(1), "early", &registry(REGISTRY), "700000000000");
    let mut watch = side.cluster.watch(POLICIES).await?;
    let create = async {
        side.cluster.create(&crowd).await?;
        side.cluster.create(std::slice::from_ref(&early)).await
    };
    futures::try_join!(create, watch.until_ready_in_steps(CROWD + 1, PAUSE_AT_MOST, READY_WITHIN))?;
    let (arrived, ready) = watch.spans();
    samples.push(&ALL_READY, ready);
    samples.note(&ALL_READY, format!("the last of them was shown {arrived:.3} s after the first."));
    samples.push(&EARLY, watch.span_of(&early));
    Ok(())
}

/// One of the five thousand is edited while another tenant's object comes.
async fn beside_a_new_object(side: &mut Side, samples: &mut Samples, tenant: &Owner) -> Done {
    let edited = edited(2 * samples.number);
    let both = [&edited, tenant];
    let mut watch = side.cluster.watch(POLICIES).await?;
    futures::try_join!(
        side.cluster.edit(&edited),
        side.cluster.create(std::slice::from_ref(tenant)),
        watch.until_all_ready(&both)
    )?;
    samples.push(&NEW, watch.span_of(tenant));
    samples.push(&EDITED, watch.span_of(&edited));
    Ok(())
}

/// One of the five thousand is edited while another tenant's object goes, from the cluster and from AWS.
async fn beside_a_deletion(side: &mut Side, samples: &mut Samples, tenant: &Owner) -> Done {
    let edited = edited(2 * samples.number + 1);
    let mut watch = side.cluster.watch(POLICIES).await?;
    let start = Instant::now();
    let (cluster, aws) = (&side.cluster, &mut side.stage.aws);
    let gone = async {
        watch.until_this_is_gone(tenant).await?;
        while aws.policy_contains(ACCOUNTS[REGISTRY], &account_of_tenant(samples.number))? {
            if start.elapsed() > PATIENCE {
                return Err("the object is gone, and its grant still stands".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Done::Ok(start.elapsed())
    };
    let ((), (), took) = futures::try_join!(cluster.edit(&edited), cluster.delete(tenant), gone)?;
    samples.push(&DELETED, took.as_secs_f64());
    Ok(())
}

fn of_the_crowd(n: usize, account: &str) -> Owner {
    Owner::policy(CROWDED, &format!("alike-{n:04}"), &registry(REGISTRY), account)
}

/// One of the crowd that is alike no more.
fn edited(n: usize) -> Owner {
    // From the middle, so that neither the first nor the last slice is the one.
    of_the_crowd(CROWD / 2 + 7 * n, &format!("6{n:011}"))
}

fn tenant(side: &Side, n: usize) -> Owner {
    Owner::policy(side.namespace(0), &format!("tenant-{n}"), &registry(REGISTRY), &account_of_tenant(n))
}

fn account_of_tenant(n: usize) -> String {
    format!("8{n:011}")
}

/// The slices, once two looks in a row have shown the same.
async fn at_rest(side: &Side, ledgers: Option<&Api<DynamicObject>>) -> Done<Option<Slices>> {
    let Some(ledgers) = ledgers else { return Ok(None) };
    let start = Instant::now();
    let mut last = side.cluster.slices(ledgers).await?;
    loop {
        tokio::time::sleep(LOOK).await;
        let slices = side.cluster.slices(ledgers).await?;
        if slices == last {
            return Ok(Some(slices));
        }
        if start.elapsed() > PATIENCE {
            return Err("the slices of the ledger do not come to rest".into());
        }
        last = slices;
    }
}

/// How many slices of a namespace were written, made or deleted.
fn rewritten(before: &Slices, after: &Slices, namespace: Option<&str>) -> usize {
    let is_of = |slice: &Slice| slice.namespace.as_deref() == namespace;
    let changed = after.iter().filter(|(name, slice)| is_of(slice) && before.get(*name) != Some(slice)).count();
    let gone = before.iter().filter(|(name, slice)| is_of(slice) && !after.contains_key(*name)).count();
    changed + gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_counts_that_was_written_made_or_deleted() {
        let slices = |all: &[(&str, &str, Option<&str>)]| -> Slices {
            let slice = |version: &str, namespace: Option<&str>| Slice {
                version: version.to_owned(),
                namespace: namespace.map(str::to_owned),
            };
            all.iter().map(|(name, version, of)| ((*name).to_owned(), slice(version, *of))).collect()
        };
        let (team, other) = (Some("team"), Some("other"));
        let before =
            slices(&[("a", "1", team), ("b", "1", team), ("c", "1", team), ("o", "1", other), ("d", "1", None)]);
        let after =
            slices(&[("a", "1", team), ("b", "2", team), ("n", "3", team), ("o", "2", other), ("d", "1", None)]);
        assert_eq!(rewritten(&before, &after, team), 3, "b written, n made, c deleted");
        assert_eq!(rewritten(&before, &after, other), 1);
        assert_eq!(rewritten(&before, &after, None), 0);
    }
}
