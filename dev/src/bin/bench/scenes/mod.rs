//! What is measured, scene by scene. A scene gives one sample each time it is run, and leaves its side as it found it, so
//! that the next sample is one of the same.

mod alike;
mod caches;
mod policies;
mod thousand;

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::Done;
use crate::aws::Call;
use crate::figures::Measure;
use crate::samples::Samples;
use crate::side::Side;

#[derive(Debug)]
pub struct Scene {
    pub name: &'static str,
    /// In words, for the one who waits.
    pub title: &'static str,
    /// How many samples there are of it, when nothing is compared.
    pub samples: usize,
    pub measures: &'static [&'static Measure],
    run: for<'a> fn(&'a mut Side, &'a mut Samples) -> LocalBoxFuture<'a, Done>,
}

impl Scene {
    /// Takes one sample.
    pub async fn run(&self, side: &mut Side, samples: &mut Samples) -> Done {
        (self.run)(side, samples).await
    }
}

pub static ALL: [Scene; 10] = [
    Scene {
        name: "idle",
        title: "Registries without objects: memory after 60 s",
        samples: 1,
        measures: policies::IDLE,
        run: |side, samples| policies::idle(side, samples).boxed_local(),
    },
    Scene {
        name: "one-owner",
        title: "one RegistryPolicy at a time",
        samples: 9,
        measures: policies::ONE_OWNER,
        run: |side, samples| policies::one_owner(side, samples).boxed_local(),
    },
    Scene {
        name: "50-owners",
        title: "50 owners at once",
        samples: 3,
        measures: policies::FIFTY_OWNERS,
        run: |side, samples| policies::fifty_owners(side, samples).boxed_local(),
    },
    Scene {
        name: "1-cache",
        title: "one cache rule",
        samples: 3,
        measures: caches::ONE.measures,
        run: |side, samples| caches::at_once(side, samples, &caches::ONE).boxed_local(),
    },
    Scene {
        name: "20-caches",
        title: "20 cache rules at once",
        samples: 3,
        measures: caches::TWENTY.measures,
        run: |side, samples| caches::at_once(side, samples, &caches::TWENTY).boxed_local(),
    },
    Scene {
        name: "50-caches",
        title: "50 cache rules at once",
        samples: 3,
        measures: caches::FIFTY.measures,
        run: |side, samples| caches::at_once(side, samples, &caches::FIFTY).boxed_local(),
    },
    Scene {
        name: "across-accounts",
        title: "a cache across accounts: role, grant and rule",
        samples: 3,
        measures: caches::ACROSS,
        run: |side, samples| caches::across(side, samples).boxed_local(),
    },
    Scene {
        name: "1000-objects",
        title: "1,000 objects over four registries",
        samples: 3,
        measures: thousand::MEASURES,
        run: |side, samples| thousand::run(side, samples).boxed_local(),
    },
    Scene {
        name: "at-rest",
        title: "500 objects on one registry, at rest",
        samples: 1,
        measures: policies::AT_REST,
        run: |side, samples| policies::at_rest(side, samples).boxed_local(),
    },
    Scene {
        name: "5000-alike",
        title: "5,000 objects of one namespace, alike",
        samples: 3,
        measures: alike::MEASURES,
        run: |side, samples| alike::run(side, samples).boxed_local(),
    },
];

/// When memory is read, from the start of the process.
const SETTLED: Duration = Duration::from_mins(1);
/// Between objects that come alone: document writes may be one a second, and nobody applies faster than this by hand.
const ALONE: Duration = Duration::from_secs(2);
/// After a write the operator looks once more, 15 s later at most.
const SECOND_LOOK: Duration = Duration::from_secs(16);

/// How often each operation was called.
fn by_operation(calls: &[Call]) -> String {
    let mut times = std::collections::BTreeMap::<&str, usize>::new();
    for call in calls {
        *times.entry(&call.operation).or_default() += 1;
    }
    times.iter().map(|(operation, times)| format!("{times} {operation}")).collect::<Vec<_>>().join(", ")
}

/// Memory of the operator that runs, once it has settled.
async fn memory(side: &mut Side, samples: &mut Samples, measure: &Measure) -> Done {
    let memory = side.stage.operator()?.memory_after(SETTLED).await?;
    samples.push(measure, memory.resident);
    let (anonymous, peak) = (memory.anonymous, memory.peak);
    let note = format!("{anonymous:.1} MiB of it allocated, the rest the program itself; {peak:.1} MiB at its peak.");
    samples.note(measure, note);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn scenes_and_measures_are_told_apart_by_their_names() {
        let names: BTreeSet<_> = ALL.iter().map(|scene| scene.name).collect();
        assert_eq!(names.len(), ALL.len());
        for scene in &ALL {
            let measures: BTreeSet<_> = scene.measures.iter().map(|measure| measure.name).collect();
            assert_eq!(measures.len(), scene.measures.len(), "{}", scene.name);
        }
    }

    /// Fifty owners pay for slices of their own that an earlier build did not have; of the last two there is one sample.
    #[test]
    fn times_are_compared_but_for_a_few() {
        let all = ALL.iter().flat_map(|scene| scene.measures);
        let times = all.filter(|measure| measure.unit == crate::figures::Unit::Seconds);
        let apart: Vec<_> = times.filter(|measure| !measure.compared).map(|measure| measure.name).collect();
        let [fifty, all_ready, early] = apart[..] else { unreachable!("{apart:?}") };
        assert_eq!(fifty, "50 owners at once: first shown to last Ready");
        assert!(all_ready.starts_with("5,000 alike") && early.starts_with("5,000 alike"), "{apart:?}");
    }
}
