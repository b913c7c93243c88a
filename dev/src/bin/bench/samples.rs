//! What one side has measured in one scene, sample by sample.

use std::collections::BTreeMap;

use crate::figures::Measure;

#[derive(Debug, Default)]
pub struct Samples {
    /// Which sample is being taken, from 0 on.
    pub number: usize,
    /// Three AWS calls in a row, before each sample.
    pub a: Vec<f64>,
    taken: BTreeMap<&'static str, Taken>,
    remarks: Vec<String>,
}

#[derive(Debug, Default)]
struct Taken {
    samples: Vec<f64>,
    note: String,
}

impl Samples {
    pub fn push(&mut self, measure: &Measure, value: f64) {
        self.taken.entry(measure.name).or_default().samples.push(value);
    }

    /// What is noted last stands.
    pub fn note(&mut self, measure: &Measure, note: impl Into<String>) {
        self.taken.entry(measure.name).or_default().note = note.into();
    }

    /// Of the whole scene; said once, however often.
    pub fn remark(&mut self, remark: &str) {
        if self.remarks.iter().all(|said| said != remark) {
            self.remarks.push(remark.to_owned());
        }
    }

    pub fn of(&self, measure: &Measure) -> &[f64] {
        self.taken.get(measure.name).map_or(&[], |taken| &taken.samples)
    }

    pub fn note_of(&self, measure: &Measure) -> &str {
        self.taken.get(measure.name).map_or("", |taken| &taken.note)
    }

    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Whether no sample is larger than the last.
    pub fn last_is_worst(&self, measure: &Measure) -> bool {
        let samples = self.of(measure);
        samples.last().is_some_and(|last| samples.iter().all(|sample| sample <= last))
    }
}
