//! The stages: `tables/stages.toml` has them. Most are commands for a shell, or small programs that are compiled and run; the others are
//! functions of ours.
//!
//! Commands have `WORK` (an empty folder), `TARGET` (Cargo's), `XTASK` (this program), `REACH` (`quick` or `full`), `SEEDS`, `TIMES` and
//! `FUZZ_SECONDS` (how much of what could go on for ever is done); `LIBRARY` (the library under test), `CHECKED` (it, and the one that checks
//! copies, as `LD_PRELOAD` has them) and `INSTALLED` (an install tree) where they are mentioned.
//! `nightly` is cargo of that toolchain, free of what the toolchain that runs us has set.

use super::trials::{self, Reach, Trials};
use super::{Case, Pace, Testbed, Verdict, Workbench, attacks, platforms, profiles, recorded, stress};
use crate::{matrix, tables, workspace};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub name: String,
    what: String,
    #[serde(default)]
    pub pace: Pace,
    #[serde(default)]
    pub part: Part,
    #[serde(default)]
    ours: bool,
    #[serde(default)]
    run: String,
    tell: Option<String>,
    says: Option<String>,
    #[serde(default = "usual_limit")]
    limit: u64,
    #[serde(default)]
    flags: String,
    #[serde(default)]
    tool: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    trials: Vec<Group>,
    matrix: Option<matrix::Chosen>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    of: String,
    #[serde(default)]
    with: Vec<String>,
    full: Option<Vec<String>>,
    program: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    #[default]
    Test,
    Prove,
    Both,
}

fn usual_limit() -> u64 {
    1200
}

/// How much is done in the stages that could go on for ever.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Of the fault schedules: each gives other addresses and another clock.
    pub seeds: u64,
    /// How much longer the tests of random operations run than usual.
    pub times: u64,
    pub fuzz_seconds: u64,
    pub reach: Reach,
}

pub const QUICK: Effort = Effort { seeds: 1, times: 2, fuzz_seconds: 20, reach: Reach::Quick };

pub fn stages() -> Result<Vec<Stage>> {
    tables::list("stages", "stage")
}

/// The stages that are no commands.
fn function(name: &str) -> Option<fn(&Testbed, Reach) -> Verdict> {
    Some(match name {
        "api" => |testbed, _| recorded::api(testbed),
        "attacks" => |testbed, _| attacks::check(testbed),
        "platforms" => |testbed, _| platforms::check(testbed),
        "profile" => |testbed, _| profiles::check(testbed),
        "stress" => stress::check,
        _ => return None,
    })
}

/// `nightly`, and that a command's failure is the script's.
const PRELUDE: &str = "set -euo pipefail
nightly() { env -u CARGO -u RUSTC -u RUSTUP_TOOLCHAIN -u RUSTDOC cargo +nightly \"$@\"; }
is_nightly_there() { nightly --version; }
";

const NOT_RUN: &str = "NOT RUN";

impl Stage {
    pub fn case(self, effort: Effort) -> Case {
        Case::new(&self.name.clone(), &self.what.clone(), move |testbed| self.check(testbed, effort))
    }

    fn check(&self, testbed: &Testbed, effort: Effort) -> Verdict {
        if self.ours && workspace::foreign_library().is_some() {
            return Ok("not of another library".into());
        }
        if let Some(function) = function(&self.name) {
            return function(testbed, effort.reach);
        }
        let bench = testbed.workbench(&self.name, Duration::from_secs(self.limit))?;
        let mut told = vec![self.commands(&bench, effort)?];
        for group in &self.trials {
            told.push(self.group(group, &bench, effort.reach).context(group.of.clone())?);
        }
        if let Some(chosen) = &self.matrix {
            told.push(format!("{} runs of programs are right", matrix::run_chosen(chosen, testbed)?));
        }
        told.retain(|part| !part.is_empty());
        Ok(told.join("; "))
    }

    fn commands(&self, bench: &Workbench, effort: Effort) -> Verdict {
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("{PRELUDE}{}", self.run)]).current_dir(workspace::root());
        bash.env("CARGO_TERM_COLOR", "never").env("XTASK", env::current_exe()?);
        bash.env("REACH", if effort.reach == Reach::Full { "full" } else { "quick" });
        bash.env("SEEDS", effort.seeds.to_string()).env("TIMES", effort.times.to_string());
        bash.env("FUZZ_SECONDS", effort.fuzz_seconds.to_string());
        bash.envs(variables(&self.run, bench)?);
        let said = bench.run(&mut bash)?;
        let last = said.trim_end().lines().next_back().unwrap_or_default().trim();
        match (&self.tell, &self.says) {
            _ if last.starts_with(NOT_RUN) => Ok(last.into()),
            (Some(beginning), _) => told(&said, beginning),
            (None, Some(says)) => Ok(says.replace("{tests}", &passed(&said).to_string())),
            (None, None) => Ok(last.into()),
        }
    }

    /// Those that the table names, with each argument that comes behind theirs.
    fn group(&self, group: &Group, bench: &Workbench, reach: Reach) -> Verdict {
        let expand = |text: &str| -> Result<String> {
            let values = variables(text, bench)?;
            let value = |text: String, (name, value): &(&str, OsString)| {
                text.replace(&format!("${name}"), &value.display().to_string())
            };
            Ok(values.iter().fold(text.to_owned(), value))
        };
        let flags = expand(&self.flags)?;
        let flags: Vec<&str> = flags.split_whitespace().collect();
        let tool: Vec<&str> = self.tool.split_whitespace().collect();
        let env = self.env.iter().map(|(name, value)| Ok((name.as_str(), expand(value)?.into())));
        let env = env.collect::<Result<Vec<_>>>()?;
        let trials = Trials { flags: &flags, tool: &tool, env, ..Trials::new(bench, reach) };
        let program = group.program.as_deref().map(expand).transpose()?;
        let with = group.full.as_ref().filter(|_| reach == Reach::Full).unwrap_or(&group.with);
        let arguments: Vec<&[String]> = if with.is_empty() { vec![&[]] } else { with.chunks(1).collect() };
        let mut runs = 0;
        for more in arguments {
            let (list, more) = (trials::of(&group.of)?, more.iter().map(String::as_str).collect::<Vec<_>>());
            runs += match program.as_deref().map(Path::new) {
                None => trials.all(&list, &more)?,
                Some(program) if program.exists() => trials.acts(&list, program, &more)?,
                Some(_) => return Ok(format!("{}: {NOT_RUN}: it was not built", group.of)),
            };
        }
        Ok(format!("{}: {runs} runs end as they must", group.of))
    }
}

/// Those that `text` mentions; `WORK` and `TARGET` cost nothing.
fn variables(text: &str, bench: &Workbench) -> Result<Vec<(&'static str, OsString)>> {
    let mut variables = vec![("WORK", bench.folder.clone().into()), ("TARGET", workspace::target().into())];
    if text.contains("$LIBRARY") {
        variables.push(("LIBRARY", bench.testbed.library()?.into()));
    }
    if text.contains("$CHECKED") {
        variables.push(("CHECKED", bench.testbed.preloads_that_check()?));
    }
    if text.contains("$INSTALLED") {
        variables.push(("INSTALLED", bench.testbed.installed()?.into()));
    }
    Ok(variables)
}

/// All lines that begin so.
fn told(said: &str, beginning: &str) -> Verdict {
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with(beginning)).collect();
    ensure!(!lines.is_empty(), "no line begins with {beginning:?}");
    Ok(lines.join("; "))
}

/// Adds up the lines `test result: ok. 12 passed; …`.
pub fn passed(said: &str) -> usize {
    let results = said.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    let counts = results.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_does_something() {
        for stage in stages().unwrap() {
            let does = !stage.run.is_empty() || !stage.trials.is_empty();
            assert!(does != function(&stage.name).is_some(), "{}", stage.name);
        }
    }

    #[test]
    fn tests_are_counted_and_lines_told() {
        let said = "test result: ok. 12 passed; 0 failed\nx: 1\ntest result: ok. 3 passed\nx: 2\n";
        assert_eq!(passed(said), 15);
        assert_eq!(told(said, "x: ").unwrap(), "x: 1; x: 2");
        assert!(told(said, "y").is_err());
    }
}
