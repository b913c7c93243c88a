//! What was measured, beside its floors and its limit, and what another operator took for the same.

use std::fmt;

use serde_json::{Value, json};

/// What must hold of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// At most so many times three AWS calls in a row.
    Floors(f64),
    /// At most this, in the figure's unit.
    AtMost(f64),
    /// Nothing: it is there for information.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    MiB,
    /// Thousands of bytes.
    KB,
    Calls,
    Objects,
}

/// What a scene takes samples of.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    pub name: &'static str,
    pub unit: Unit,
    pub limit: Limit,
    /// Better than the limit: where the project wants to be.
    pub aim: Option<f64>,
    /// For how many owners writes are made in that time: its floors are three AWS calls and K of that many.
    pub owners: Option<usize>,
    /// Whether the worst sample counts, and not the median.
    pub worst: bool,
    /// Whether it may not be worse than that of another operator.
    pub compared: bool,
}

impl Measure {
    pub const fn new(name: &'static str, unit: Unit) -> Self {
        Self { name, unit, limit: Limit::None, aim: None, owners: None, worst: false, compared: false }
    }

    /// A time, which another operator's is compared with.
    pub const fn time(name: &'static str) -> Self {
        Self { compared: true, ..Self::new(name, Unit::Seconds) }
    }

    /// Shown beside its floors; no owners: nothing is written to Kubernetes in that time.
    pub const fn beside(self, owners: usize) -> Self {
        Self { owners: Some(owners), ..self }
    }

    pub const fn at_most(self, most: f64) -> Self {
        Self { limit: Limit::AtMost(most), ..self }
    }

    pub const fn at_most_floors(self, most: f64) -> Self {
        Self { limit: Limit::Floors(most), ..self }
    }

    pub const fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    pub const fn worst(self) -> Self {
        Self { worst: true, ..self }
    }

    /// It is not judged by what another operator took.
    pub const fn on_its_own(self) -> Self {
        Self { compared: false, ..self }
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    pub scene: &'static str,
    pub measure: Measure,
    pub samples: Vec<f64>,
    /// Three AWS calls in a row.
    pub a: Option<f64>,
    /// K of as many owners as the measure has.
    pub k: Option<f64>,
    /// The samples of the other operator, where there is one that did it.
    pub other: Vec<f64>,
    /// What a reader must know to take the figure for what it is.
    pub note: String,
}

/// How a figure stands to that of the other operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not worse by more than what measuring itself makes of it.
    Holds,
    Worse,
    /// Something else bounds it.
    NotJudged,
}

/// More than this is no chance, in seconds; or a tenth of the other's, where that is more.
const WORSE_BY: f64 = 0.020;
const WORSE_BY_PART: f64 = 0.10;

impl Figure {
    /// Nothing that a scene measured, but what its figures are measured by.
    pub fn floor(name: &'static str, owners: Option<usize>, samples: Vec<f64>) -> Self {
        let measure = Measure { owners, ..Measure::new(name, Unit::Seconds) };
        Self { scene: "floor", measure, samples, a: None, k: None, other: Vec::new(), note: String::new() }
    }

    /// A floor says of how many owners it is.
    pub fn name(&self) -> String {
        match (self.scene, self.measure.owners) {
            ("floor", Some(owners)) => format!("K({owners}): {}", self.measure.name),
            _ => self.measure.name.to_owned(),
        }
    }

    pub fn value(&self) -> f64 {
        self.measure.value_of(&self.samples)
    }

    pub fn other_value(&self) -> Option<f64> {
        (!self.other.is_empty()).then(|| self.measure.value_of(&self.other))
    }

    /// To both floors together: the calls and the writes need each other's end.
    pub fn ratio(&self) -> Option<f64> {
        self.a.map(|a| self.value() / (a + self.k.unwrap_or_default()))
    }

    /// Whether the limit holds; a figure that could not be had holds none.
    pub fn reached(&self) -> Option<bool> {
        match self.measure.limit {
            Limit::Floors(most) => Some(self.a.is_some_and(|a| self.value() <= most * a)),
            Limit::AtMost(most) => Some(self.value() <= most),
            Limit::None => None,
        }
    }

    /// `None` where there is nothing to compare with.
    pub fn verdict(&self) -> Option<Verdict> {
        let (own, other) = (self.value(), self.other_value()?);
        Some(match self.measure.compared {
            false => Verdict::NotJudged,
            true if own - other > WORSE_BY.max(WORSE_BY_PART * other) => Verdict::Worse,
            true => Verdict::Holds,
        })
    }

    pub fn json(&self) -> Value {
        let Measure { unit, limit, aim, owners, worst, .. } = self.measure;
        let (limit, limit_in_a) = match limit {
            Limit::AtMost(most) => (Some(most), None),
            Limit::Floors(most) => (None, Some(most)),
            Limit::None => (None, None),
        };
        let other = self.other_value().map(|value| {
            json!({
                "value": value,
                "samples": self.other,
                "ratio": self.value() / value,
                "verdict": self.verdict().map(|verdict| verdict.to_string()),
            })
        });
        json!({
            "scene": self.scene,
            "name": self.name(),
            "unit": unit.to_string(),
            "value": self.value(),
            "of": if worst { "the worst" } else { "the median" },
            "samples": self.samples,
            "a": self.a,
            "k": self.k,
            "owners": owners,
            "ratio": self.ratio(),
            "limit": limit,
            "limit_in_a": limit_in_a,
            "aim": aim,
            "reached": self.reached(),
            "other": other,
            "note": self.note,
        })
    }
}

impl Measure {
    fn value_of(&self, samples: &[f64]) -> f64 {
        if self.worst { samples.iter().copied().reduce(f64::max).unwrap_or(f64::NAN) } else { median(samples) }
    }
}

impl Unit {
    pub fn number(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.3}"),
            Self::MiB | Self::KB | Self::Calls | Self::Objects => format!("{value:.1}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Seconds => "s",
            Self::MiB => "MiB",
            Self::KB => "KB",
            Self::Calls => "calls",
            Self::Objects => "objects",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "no worse",
            Self::Worse => "WORSE",
            Self::NotJudged => "not judged",
        })
    }
}

/// All that was measured, and what else the machine did meanwhile.
#[derive(Debug)]
pub struct Figures {
    pub all: Vec<Figure>,
    /// Scenes that this operator did not get to their end, and why.
    pub failures: Vec<String>,
    /// What else is to be known: of scenes the other operator did not get to their end, of what was not measured.
    pub remarks: Vec<String>,
    /// Load of the machine before anything of ours ran.
    pub load_before: f64,
}

impl Figures {
    pub fn all_reached(&self) -> bool {
        self.all.iter().all(|figure| figure.reached() != Some(false) && figure.verdict() != Some(Verdict::Worse))
    }

    pub fn json(&self) -> Value {
        json!({
            "processors": processors(),
            "load_before": self.load_before,
            "all_reached": self.all_reached(),
            "failures": self.failures,
            "remarks": self.remarks,
            "figures": self.all.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    }
}

pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

/// The middle one; of an even number, the lower of the two.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(measure: Measure, samples: impl Into<Vec<f64>>) -> Figure {
        let samples = samples.into();
        Figure { scene: "x", measure, samples, a: None, k: None, other: Vec::new(), note: String::new() }
    }

    #[test]
    fn the_limit_is_held_against_the_median() {
        let samples = [0.1, 9.0, 0.2];
        let measure = Measure::time("x");
        assert_eq!(figure(measure.at_most(0.2), samples).reached(), Some(true));
        assert_eq!(figure(measure.at_most(0.19), samples).reached(), Some(false));
        assert_eq!(figure(measure.at_most(0.2).worst(), samples).reached(), Some(false));
        assert_eq!(figure(measure, samples).reached(), None);
    }

    #[test]
    fn a_limit_in_floors_is_one_in_aws_calls() {
        let figure = figure(Measure::time("x").at_most_floors(1.7), [0.3]);
        let beside = |a: f64, k: f64| Figure { a: Some(a), k: Some(k), ..figure.clone() };
        assert_eq!(figure.reached(), Some(false), "there is no floor");
        assert_eq!(beside(0.2, 0.0).reached(), Some(true));
        assert_eq!(beside(0.15, 0.1).reached(), Some(false), "writes to Kubernetes do not lift the limit");
        assert!((beside(0.15, 0.15).ratio().unwrap() - 1.0).abs() < 1e-9, "but the ratio is to both");
    }

    #[test]
    fn one_missed_limit_is_enough() {
        let figure = |value| figure(Measure::new("x", Unit::MiB).at_most(32.0), [value]);
        let figures = |all| Figures { all, failures: Vec::new(), remarks: Vec::new(), load_before: 0.0 };
        assert!(figures(vec![figure(31.0)]).all_reached());
        assert!(!figures(vec![figure(31.0), figure(33.0)]).all_reached());
    }

    #[test]
    fn what_could_not_be_measured_reaches_nothing() {
        assert_eq!(figure(Measure::new("x", Unit::Calls).at_most(6.0), []).reached(), Some(false));
    }

    #[test]
    fn worse_is_more_than_a_tenth_and_more_than_twenty_milliseconds() {
        let measure = Measure::time("x");
        let verdict = |measure, own: f64, other: f64| Figure { other: vec![other], ..figure(measure, [own]) }.verdict();
        assert_eq!(verdict(measure, 0.119, 0.1), Some(Verdict::Holds), "19 ms");
        assert_eq!(verdict(measure, 0.121, 0.1), Some(Verdict::Worse), "21 ms");
        assert_eq!(verdict(measure, 1.09, 1.0), Some(Verdict::Holds), "9 %");
        assert_eq!(verdict(measure, 1.11, 1.0), Some(Verdict::Worse), "11 %");
        assert_eq!(verdict(measure, 0.1, 1.0), Some(Verdict::Holds), "better");
        assert_eq!(verdict(measure.on_its_own(), 9.0, 1.0), Some(Verdict::NotJudged));
        assert_eq!(verdict(Measure::new("x", Unit::MiB), 9.0, 1.0), Some(Verdict::NotJudged));
        assert_eq!(figure(measure, [9.0]).verdict(), None, "nothing to compare with");
    }
}
