//! What a run found, and where it is kept: `bench/results/<target>/<date>.json`.
//!
//! A run may measure a part only; `merge_into_today` puts it into what the same day's earlier runs found.

use super::cases::Case;
use super::engines::{self, Engine};
use super::machine::{self, Machine};
use super::sample::Sample;
use crate::workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Serialize, Deserialize)]
pub struct Results {
    pub date: String,
    pub machine: Machine,
    /// Names and titles, in the order of the tables.
    pub engines: Vec<(String, String)>,
    pub timing: Vec<Timing>,
    pub instructions: Vec<Instructions>,
    pub latency: Vec<Latency>,
}

/// All measured rounds of one case.
#[derive(Clone, Serialize, Deserialize)]
pub struct Timing {
    pub case: String,
    pub group: String,
    pub source: String,
    pub checksum: Option<String>,
    /// By engine; the n-th samples of all engines come from the same round.
    pub samples: BTreeMap<String, Vec<Sample>>,
    pub failures: BTreeMap<String, String>,
}

/// How the name of a figure begins that is one of many over time: `at_0940_resident_mib` at twenty to ten.
pub const COURSE: &str = "at_";

/// Instructions per operation by engine, without the loop's own.
#[derive(Clone, Serialize, Deserialize)]
pub struct Instructions {
    pub case: String,
    pub source: String,
    pub per_operation: BTreeMap<String, f64>,
}

/// Nanoseconds of single calls on one engine.
#[derive(Clone, Serialize, Deserialize)]
pub struct Latency {
    pub engine: String,
    pub threads: u32,
    /// `malloc` or `free`.
    pub call: String,
    pub calls: u64,
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub p9999: u64,
    pub max: u64,
}

impl Timing {
    pub fn new(case: &Case) -> Self {
        Timing {
            case: case.name.clone(),
            group: case.group.clone(),
            source: case.source.clone(),
            checksum: None,
            samples: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// The names of the figures that the program printed itself, but for those of a course of time.
    pub fn figures(&self) -> Vec<String> {
        let names = self.samples.values().flatten().flat_map(|sample| sample.more.keys().cloned());
        let is_single = |name: &String| name != "involuntary_switches" && !name.starts_with(COURSE);
        let mut names: Vec<String> = names.filter(is_single).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Results {
    pub fn begin(machine: Machine, engines: &[Engine]) -> Self {
        let engines = engines.iter().map(|engine| (engine.name.clone(), engine.title.clone())).collect();
        let (timing, instructions, latency) = Default::default();
        Results { date: machine::today(), machine, engines, timing, instructions, latency }
    }

    pub fn newest() -> Result<Self> {
        let mut files: Vec<PathBuf> = fs::read_dir(folder())?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        Self::load(files.last().context("there are no results yet; run with --write")?)
    }

    /// The engine that ratios are relative to: C mimalloc 3, or the first one where that wasn't measured.
    pub fn baseline(&self) -> &str {
        let has = |name: &str| self.engines.iter().any(|(engine, _)| engine == name);
        if has(engines::BASELINE) { engines::BASELINE } else { &self.engines[0].0 }
    }

    pub fn title<'a>(&'a self, engine: &'a str) -> &'a str {
        self.engines.iter().find(|(name, _)| name == engine).map_or(engine, |(_, title)| title)
    }

    pub fn save_last(&self) -> Result<PathBuf> {
        let file = workspace::root().join("target/bench/last.json");
        self.save(&file)?;
        Ok(file)
    }

    /// Puts this run into today's file and returns the whole.
    pub fn merge_into_today(self) -> Result<Self> {
        let file = folder().join(format!("{}.json", self.date));
        let merged = match Self::load(&file) {
            Ok(earlier) => earlier.updated_by(self)?,
            Err(_) => self,
        };
        merged.save(&file)?;
        Ok(merged)
    }

    fn updated_by(mut self, later: Results) -> Result<Self> {
        let catalogue = engines::catalogue()?;
        self.machine = later.machine;
        update_by_key(&mut self.timing, later.timing, |timing| timing.case.clone());
        update_by_key(&mut self.instructions, later.instructions, |count| count.case.clone());
        update_by_key(&mut self.latency, later.latency, |l| format!("{} {} {}", l.engine, l.threads, l.call));
        update_by_key(&mut self.engines, later.engines, |engine| engine.0.clone());
        self.engines.sort_by_key(|(name, _)| catalogue.iter().position(|recipe| recipe.name == *name));
        Ok(self)
    }

    fn load(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    pub fn save(&self, file: &Path) -> Result<()> {
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, one_case_a_line(&serde_json::to_string(self)?)).with_context(|| file.display().to_string())
    }
}

/// Line breaks at the entries of the long lists, so that a change of one case shows as one line.
fn one_case_a_line(json: &str) -> String {
    json.replace("{\"case\":", "\n{\"case\":").replace("{\"engine\":", "\n{\"engine\":") + "\n"
}

fn folder() -> PathBuf {
    workspace::root().join("bench/results").join(machine::target())
}

fn update_by_key<T, K: PartialEq>(list: &mut Vec<T>, later: Vec<T>, key: impl Fn(&T) -> K) {
    for item in later {
        match list.iter_mut().find(|old| key(old) == key(&item)) {
            Some(old) => *old = item,
            None => list.push(item),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_entry_replaces_the_one_with_its_key() {
        let mut list = vec![("a", 1), ("b", 2)];
        update_by_key(&mut list, vec![("b", 3), ("c", 4)], |item| item.0);
        assert_eq!(list, [("a", 1), ("b", 3), ("c", 4)]);
    }
}
