//! What was measured, beside its floor and its limit; as a table for people and as JSON for machines.

use std::fmt;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::Done;

/// What must hold of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// At most so many times the floor.
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
    Calls,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub unit: Unit,
    /// The limit is held against the median of them.
    pub samples: Vec<f64>,
    pub floor: Option<f64>,
    pub limit: Limit,
    /// Better than the limit: where the project wants to be.
    pub aim: Option<f64>,
    /// What a reader must know to take the figure for what it is.
    pub note: String,
}

impl Figure {
    pub fn new(name: &'static str, unit: Unit, samples: impl Into<Vec<f64>>) -> Self {
        let samples = samples.into();
        Self { name, unit, samples, floor: None, limit: Limit::None, aim: None, note: String::new() }
    }

    pub fn beside(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub fn limit(self, limit: Limit) -> Self {
        Self { limit, ..self }
    }

    pub fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }

    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    fn value(&self) -> f64 {
        median(&self.samples)
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.value() / floor)
    }

    /// Whether the limit holds; a figure that could not be had holds none.
    fn reached(&self) -> Option<bool> {
        match self.limit {
            Limit::Floors(most) => Some(self.ratio().is_some_and(|ratio| ratio <= most)),
            Limit::AtMost(most) => Some(self.value() <= most),
            Limit::None => None,
        }
    }

    fn json(&self) -> Value {
        let (limit, floors) = match self.limit {
            Limit::AtMost(most) => (Some(most), None),
            Limit::Floors(most) => (None, Some(most)),
            Limit::None => (None, None),
        };
        json!({
            "name": self.name,
            "unit": self.unit.to_string(),
            "value": self.value(),
            "samples": self.samples,
            "floor": self.floor,
            "ratio": self.ratio(),
            "limit": limit,
            "limit_in_floors": floors,
            "aim": self.aim,
            "reached": self.reached(),
            "note": self.note,
        })
    }

    fn row(&self) -> [String; 7] {
        let number = |value: f64| self.unit.number(value);
        let or_nothing = |text: Option<String>| text.unwrap_or_default();
        let limit = match self.limit {
            Limit::Floors(most) => format!("≤ {most} × floor"),
            Limit::AtMost(most) => format!("≤ {most} {}", self.unit),
            Limit::None => String::new(),
        };
        let range = match (self.samples.iter().copied().reduce(f64::min), self.samples.iter().copied().reduce(f64::max))
        {
            (Some(least), Some(most)) if self.samples.len() > 1 => format!("{}–{}", number(least), number(most)),
            _ => String::new(),
        };
        let reached = self.reached().map(|reached| if reached { "yes" } else { "NO" }.to_owned());
        [
            self.name.to_owned(),
            format!("{} {}", number(self.value()), self.unit),
            range,
            or_nothing(self.floor.map(number)),
            or_nothing(self.ratio().map(|ratio| format!("{ratio:.2}"))),
            limit,
            or_nothing(reached),
        ]
    }

    fn remark(&self) -> String {
        let aim = self.aim.map(|aim| {
            let is = if self.value() <= aim { "reached" } else { "not reached" };
            format!("aim: {aim} {} ({is}). ", self.unit)
        });
        format!("{}{}", aim.unwrap_or_default(), self.note)
    }
}

impl Unit {
    fn number(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.3}"),
            Self::MiB | Self::Calls => format!("{value:.1}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Seconds => "s",
            Self::MiB => "MiB",
            Self::Calls => "calls",
        })
    }
}

/// All that was measured, and what else the machine did meanwhile.
#[derive(Debug)]
pub struct Figures {
    pub all: Vec<Figure>,
    /// Load of the machine before anything of ours ran.
    pub load_before: f64,
}

impl Figures {
    pub fn all_reached(&self) -> bool {
        self.all.iter().all(|figure| figure.reached() != Some(false))
    }

    pub fn json(&self) -> Value {
        json!({
            "processors": processors(),
            "load_before": self.load_before,
            "all_reached": self.all_reached(),
            "figures": self.all.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    }

    pub fn print(&self) -> Done {
        let head = ["", "median", "range", "floor", "ratio", "limit", "reached"].map(str::to_owned);
        let rows: Vec<_> = [head].into_iter().chain(self.all.iter().map(Figure::row)).collect();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..7).map(width).collect();
        let mut out = io::stdout().lock();
        writeln!(out)?;
        for row in &rows {
            for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                if matches!(column, 0 | 5 | 6) {
                    write!(out, "{text:<width$}  ")?;
                } else {
                    write!(out, "{text:>width$}  ")?;
                }
            }
            writeln!(out)?;
        }
        writeln!(out)?;
        for figure in self.all.iter().filter(|figure| !figure.remark().is_empty()) {
            writeln!(out, "{}: {}", figure.name, figure.remark())?;
        }
        let load = self.load_before;
        writeln!(
            out,
            "{} processors; load before the run {load:.2}: other work makes every time longer.",
            processors()
        )?;
        Ok(())
    }
}

fn processors() -> usize {
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

    #[test]
    fn the_limit_is_held_against_the_median() {
        let figure = Figure::new("x", Unit::Seconds, [0.1, 9.0, 0.2]).limit(Limit::AtMost(0.2));
        assert_eq!(figure.reached(), Some(true));
        assert_eq!(figure.clone().limit(Limit::AtMost(0.19)).reached(), Some(false));
        assert_eq!(figure.limit(Limit::None).reached(), None);
    }

    #[test]
    fn a_limit_in_floors_needs_a_floor() {
        let figure = Figure::new("x", Unit::Seconds, [0.3]).limit(Limit::Floors(1.7));
        assert_eq!(figure.reached(), Some(false));
        assert_eq!(figure.clone().beside(0.2).reached(), Some(true));
        assert_eq!(figure.beside(0.15).reached(), Some(false));
    }

    #[test]
    fn one_missed_limit_is_enough() {
        let figure = |value| Figure::new("x", Unit::MiB, [value]).limit(Limit::AtMost(32.0));
        let figures = |all| Figures { all, load_before: 0.0 };
        assert!(figures(vec![figure(31.0), Figure::new("y", Unit::MiB, [99.0])]).all_reached());
        assert!(!figures(vec![figure(31.0), figure(33.0)]).all_reached());
    }

    #[test]
    fn what_could_not_be_measured_reaches_nothing() {
        assert_eq!(Figure::new("x", Unit::Calls, []).limit(Limit::AtMost(6.0)).reached(), Some(false));
    }
}
