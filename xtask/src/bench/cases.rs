//! The cases: one program with its arguments, run on every engine. `larson@8` is the workload `larson` on 8 threads.

use super::{real, rust_programs};
use crate::{process, workspace};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Case {
    pub name: String,
    pub group: String,
    /// Where the pattern comes from.
    pub source: String,
    pub program: Program,
}

pub enum Program {
    /// The engine is preloaded.
    Preloaded { command: Vec<String>, environment: Vec<(String, String)> },
    /// The engine is linked in: one executable per engine that has one.
    Linked { executables: BTreeMap<&'static str, PathBuf>, arguments: Vec<String> },
}

/// The group of the programs drawn at random.
pub const GENERATED: &str = "generated";
/// The group of the programs that use very many addresses; measured only when named.
pub const ADDRESSES: &str = "scale";

/// The group of the simulated day, which lasts a minute and a half; measured only when named.
pub const DAY: &str = "day";

/// The cases that `wanted` names; all but [`ADDRESSES`] and [`DAY`] when it is empty, none when it says `none`.
pub fn chosen(wanted: &[String], scale: f64, seeds: Range<u64>) -> Result<Vec<Case>> {
    if wanted == ["none"] {
        return Ok(Vec::new());
    }
    let mut cases = all(scale, seeds)?;
    if let Some(name) = wanted.iter().find(|name| !cases.iter().any(|case| case.answers_to(name))) {
        bail!("no workload, case or group is called {name}; see --list");
    }
    cases.retain(|case| case.is_among(wanted));
    cases.iter_mut().try_for_each(Case::prepare)?;
    Ok(cases)
}

pub fn all(scale: f64, seeds: Range<u64>) -> Result<Vec<Case>> {
    let mut cases = workload_cases(scale)?;
    cases.extend(generated_cases(scale, seeds)?);
    cases.extend(real::cases(scale)?);
    cases.extend(rust_programs::cases(scale));
    Ok(cases)
}

impl Case {
    pub fn answers_to(&self, name: &str) -> bool {
        self.name.starts_with(name) || self.group == name
    }

    fn is_among(&self, wanted: &[String]) -> bool {
        let named = wanted.iter().any(|name| self.answers_to(name));
        named || (wanted.is_empty() && ![ADDRESSES, DAY].contains(&self.group.as_str()))
    }

    /// Builds what only this kind of case needs.
    fn prepare(&mut self) -> Result<()> {
        match &mut self.program {
            Program::Preloaded { .. } => Ok(()),
            Program::Linked { executables, .. } => rust_programs::build(executables),
        }
    }
}

// --- our own workloads -----------------------------------------------------------------------------------------------

fn workload_cases(scale: f64) -> Result<Vec<Case>> {
    let program = build_workloads()?;
    let text = process::read(Command::new(&program).arg("--list"))?;
    Ok(text.lines().flat_map(|line| cases_of_line(line, &program, scale)).collect())
}

/// A line is `name⇥group⇥thread counts⇥source`.
fn cases_of_line(line: &str, program: &Path, scale: f64) -> Vec<Case> {
    let mut fields = line.split('\t');
    let mut field = || fields.next().unwrap_or_default();
    let (name, group, threads, source) = (field(), field(), field(), field());
    threads.split(',').map(|count| workload_case([name, group, source, count], program, scale)).collect()
}

fn workload_case([name, group, source, threads]: [&str; 4], program: &Path, scale: f64) -> Case {
    let command = vec![program.display().to_string(), name.into(), threads.into(), scale.to_string()];
    let title = if group == "threads" { format!("{name}@{threads}") } else { plain_title(name, threads) };
    let program = Program::Preloaded { command, environment: Vec::new() };
    Case { name: title, group: group.into(), source: source.into(), program }
}

fn plain_title(name: &str, threads: &str) -> String {
    if threads == "1" { name.into() } else { format!("{name}@{threads}") }
}

// --- programs drawn at random ----------------------------------------------------------------------------------------

fn generated_cases(scale: f64, seeds: Range<u64>) -> Result<Vec<Case>> {
    let program = build_workloads()?;
    seeds.map(|seed| generated_case(&program, seed, scale)).collect()
}

fn generated_case(program: &Path, seed: u64, scale: f64) -> Result<Case> {
    let described = process::read(Command::new(program).args(["--describe", &seed.to_string()]))?;
    let source = described.trim().to_owned();
    let command = vec![program.display().to_string(), "--generate".into(), seed.to_string(), scale.to_string()];
    let program = Program::Preloaded { command, environment: Vec::new() };
    Ok(Case { name: format!("{GENERATED}-{seed}"), group: GENERATED.into(), source, program })
}

// --- building them ------------------------------------------------------------------------------------------------------

/// Builds `target/bench/workload` and `target/bench/measure` (`bench/workloads/Makefile`).
fn make() -> Result<PathBuf> {
    process::read(Command::new("make").args(["--silent", "-C"]).arg(workspace::root().join("bench/workloads")))?;
    Ok(workspace::root().join("target/bench"))
}

/// The program that has all workloads.
pub fn build_workloads() -> Result<PathBuf> {
    Ok(make()?.join("workload"))
}

/// The program that measures others.
pub fn build_measure() -> Result<PathBuf> {
    Ok(make()?.join("measure"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, group: &str) -> Case {
        let program = Program::Preloaded { command: Vec::new(), environment: Vec::new() };
        Case { name: name.into(), group: group.into(), source: String::new(), program }
    }

    #[test]
    fn what_takes_much_is_measured_only_when_asked_for() {
        assert!(!case("day@4", DAY).is_among(&[]) && case("day@4", DAY).is_among(&[DAY.into()]));
        let (usual, many) = (case("larson@2", "threads"), case("addresses-8g@4", ADDRESSES));
        assert!(usual.is_among(&[]) && !many.is_among(&[]));
        assert!(many.is_among(&[ADDRESSES.into()]) && many.is_among(&["addresses".into()]));
        assert!(!usual.is_among(&["addresses".into()]) && usual.is_among(&["larson".into()]));
    }
}
