//! What is asked of a run: by its arguments and by its environment, which `make bench NAME=value` sets.

use std::fs;
use std::path::PathBuf;

use crate::scenes::{self, Scene};

pub const USAGE: &str = "usage: bench [--report-only]

  --report-only   exit code 0 also when a limit is missed or the other operator was better

Environment:
  BENCH_SCENES=word,word   only the scenes whose name contains one of the words
  BENCH_SAMPLES=n          so many samples of every scene, instead of its own number or the nine of a comparison
  BENCH_OTHER=path         another build of the operator: each scene runs alternately with both, nine samples each, and a
                           time that is worse by more than 10 % or 20 ms, whichever is more, counts as a missed limit
  BENCH_LOG_LEVEL=debug    for the operator
  DEV_KEEP=1               keeps the temporary folders with the logs

Build with --release; writes bench.json beside the folder of the programs. Exit code 1: a limit was missed or a scene
failed.";

/// Enough for a median that a few disturbed samples do not move.
const SAMPLES_TO_COMPARE: usize = 9;

#[derive(Debug)]
pub struct Options {
    pub report_only: bool,
    pub scenes: Vec<&'static Scene>,
    /// Another build of the operator, to compare with.
    pub other: Option<PathBuf>,
    samples: Option<usize>,
}

impl Options {
    /// `Ok(None)`: only the usage is asked for.
    pub fn read(args: &[&str], variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let report_only = match args {
            [] => false,
            ["--report-only"] => true,
            ["--help" | "-h"] => return Ok(None),
            _ => return Err(USAGE.to_owned()),
        };
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let scenes = given("BENCH_SCENES").map_or_else(|| Ok(scenes::ALL.iter().collect()), |words| pick(&words))?;
        let samples = given("BENCH_SAMPLES").map(|text| match text.parse() {
            Ok(0) | Err(_) => Err(format!("BENCH_SAMPLES={text}: a number from 1 on is meant")),
            Ok(samples) => Ok(samples),
        });
        let other = given("BENCH_OTHER").map(|path| match fs::canonicalize(&path) {
            Ok(program) if program.is_file() => Ok(program),
            Ok(_) => Err(format!("BENCH_OTHER={path}: it is no file")),
            Err(error) => Err(format!("BENCH_OTHER={path}: {error}")),
        });
        Ok(Some(Self { report_only, scenes, other: other.transpose()?, samples: samples.transpose()? }))
    }

    pub fn samples(&self, scene: &Scene) -> usize {
        let own = if self.other.is_some() { SAMPLES_TO_COMPARE } else { scene.samples };
        self.samples.unwrap_or(own)
    }
}

fn pick(words: &str) -> Result<Vec<&'static Scene>, String> {
    let words: Vec<_> = words.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if let Some(unknown) = words.iter().find(|word| !scenes::ALL.iter().any(|scene| scene.name.contains(**word))) {
        let names: Vec<_> = scenes::ALL.iter().map(|scene| scene.name).collect();
        return Err(format!("BENCH_SCENES: no scene's name contains {unknown:?}; there are {}", names.join(", ")));
    }
    Ok(scenes::ALL.iter().filter(|scene| words.iter().any(|word| scene.name.contains(word))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Options, String> {
        let value = |name: &str| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        Options::read(&[], value).map(Option::unwrap)
    }

    #[test]
    fn scenes_are_picked_by_words_and_stay_in_their_order() {
        let names = |words: &str| {
            let options = read(&[("BENCH_SCENES", words)])?;
            Ok::<_, String>(options.scenes.iter().map(|scene| scene.name).collect::<Vec<_>>())
        };
        assert_eq!(names("caches, one-owner").unwrap(), ["one-owner", "20-caches", "50-caches"]);
        assert_eq!(names("").unwrap().len(), scenes::ALL.len());
        let said = names("alike,dislike").unwrap_err();
        assert!(said.contains("\"dislike\"") && said.contains("5000-alike"), "{said}");
    }

    #[test]
    fn a_comparison_takes_nine_samples_unless_told_otherwise() {
        let program = std::env::current_exe().unwrap();
        let program = program.to_str().unwrap();
        let samples = |variables: &[(&str, &str)]| read(variables).unwrap().samples(&scenes::ALL[0]);
        assert_eq!(samples(&[]), scenes::ALL[0].samples);
        assert_eq!(samples(&[("BENCH_OTHER", program)]), 9);
        assert_eq!(samples(&[("BENCH_OTHER", program), ("BENCH_SAMPLES", "2")]), 2);
        assert!(read(&[("BENCH_SAMPLES", "0")]).is_err());
        assert!(read(&[("BENCH_OTHER", "/no/such/program")]).is_err());
    }
}
