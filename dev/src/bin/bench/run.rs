//! A run: the floors, then scene by scene, sample by sample, in turns where two operators are compared, so that both see
//! the same machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::Done;
use crate::figures::{Figure, Figures, Measure, median};
use crate::floor;
use crate::options::Options;
use crate::samples::Samples;
use crate::scenes::Scene;
use crate::side::Side;
use crate::stage::Programs;

/// The samples of K, by n.
type Writes = BTreeMap<usize, Vec<f64>>;

pub async fn all(options: &Options) -> Done<Figures> {
    let load_before = load();
    let own = Programs::find()?;
    let other = options.other.clone().map(|program| own.with_operator(program));
    let mut numbers = BTreeSet::new();
    for measure in options.scenes.iter().flat_map(|scene| scene.measures) {
        numbers.extend(measure.owners.filter(|owners| *owners > 0));
    }
    say("K(n): writes to Kubernetes without an operator");
    let writes = floor::of(&own, numbers).await?;
    let mut figures = Figures { all: Vec::new(), failures: Vec::new(), remarks: Vec::new(), load_before };
    let mut a = Vec::new();
    for scene in &options.scenes {
        say(scene.title);
        let (own, other) = take(scene, options.samples(scene), &own, other.as_ref()).await;
        let other_samples = other.as_ref().map(|other| &other.samples);
        figures.all.extend(figures_of(scene, &own.samples, other_samples, &writes));
        let remarks = own.samples.remarks().iter().map(|remark| format!("{}: {remark}.", scene.name));
        figures.remarks.extend(remarks);
        if let Some(failure) = other.and_then(|other| other.failure) {
            let failure = failure.lines().next().unwrap_or_default();
            figures.remarks.push(format!("failed with the other: {}: {failure}", scene.name));
        }
        if let Some(failure) = own.failure {
            eprintln!("bench: failed: {}: {}", scene.name, failure.lines().next().unwrap_or_default());
            figures.failures.push(format!("{}: {failure}", scene.name));
        }
        a.extend(own.samples.a);
    }
    let floors = [Figure::floor("A: three AWS calls in a row", None, a)].into_iter();
    let floors = floors.chain(writes.into_iter().map(|(n, samples)| Figure::floor(floor::NAME, Some(n), samples)));
    figures.all.splice(0..0, floors);
    Ok(figures)
}

/// One build's part in a scene.
struct Part {
    /// Until it fails.
    side: Option<Side>,
    samples: Samples,
    failure: Option<String>,
}

impl Part {
    async fn begin(programs: &Programs) -> Self {
        let samples = Samples::default();
        match Side::set(programs).await {
            Ok(side) => Self { side: Some(side), samples, failure: None },
            Err(error) => Self { side: None, samples, failure: Some(error.to_string()) },
        }
    }

    async fn take(&mut self, scene: &Scene, number: usize) {
        let Some(side) = &mut self.side else { return };
        if let Err(error) = sample(side, &mut self.samples, scene, number).await {
            self.failure = Some(side.stage.explain(&*error));
            // Whatever it left behind goes along.
            self.side = None;
        }
    }
}

async fn sample(side: &mut Side, samples: &mut Samples, scene: &Scene, number: usize) -> Done {
    side.rested().await;
    samples.number = number;
    samples.a.push(side.stage.aws.floor()?);
    scene.run(side, samples).await
}

async fn take(scene: &Scene, samples: usize, own: &Programs, other: Option<&Programs>) -> (Part, Option<Part>) {
    let mut own = Part::begin(own).await;
    let mut other = match other {
        Some(other) => Some(Part::begin(other).await),
        None => None,
    };
    for number in 0..samples {
        own.take(scene, number).await;
        if own.side.is_none() {
            break;
        }
        if let Some(other) = &mut other {
            other.take(scene, number).await;
        }
    }
    (own, other)
}

/// What was measured, in the scene's order.
fn figures_of(scene: &Scene, own: &Samples, other: Option<&Samples>, writes: &Writes) -> Vec<Figure> {
    let figure = |measure: &Measure| {
        let samples = own.of(measure).to_vec();
        (!samples.is_empty()).then(|| Figure {
            scene: scene.name,
            measure: *measure,
            samples,
            a: measure.owners.map(|_| median(&own.a)),
            k: measure.owners.and_then(|owners| writes.get(&owners)).map(|samples| median(samples)),
            other: other.map(|other| other.of(measure).to_vec()).unwrap_or_default(),
            note: own.note_of(measure).to_owned(),
        })
    };
    scene.measures.iter().filter_map(|measure| figure(measure)).collect()
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn say(scene: &str) {
    eprintln!("bench: {scene}");
}
