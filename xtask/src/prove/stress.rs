//! C programs with the library preloaded that do what is hard: 100,000 threads, 5,000 forks, the system out of memory,
//! processes that end in the middle of it. Each prints a line per failed check.

use super::Reach;
use super::cgroup::Group;
use crate::test::{Testbed, Verdict, compile};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A program of `xtask/programs/stress`, and its arguments for either reach.
struct Trial {
    name: &'static str,
    quick: &'static [&'static str],
    full: &'static [&'static str],
    options: &'static [(&'static str, &'static str)],
}

const fn trial(name: &'static str, quick: &'static [&'static str], full: &'static [&'static str]) -> Trial {
    Trial { name, quick, full, options: &[] }
}

const TRIALS: &[Trial] = &[
    trial("threads", &["5000", "16"], &["100000", "16"]),
    trial("threads", &["4000", "2000"], &["20000", "2000"]),
    trial("forks", &["250", "3"], &["5000", "3"]),
    trial("forks", &["60", "16"], &["1000", "16"]),
    trial("ends", &["40", "3"], &["1000", "3"]),
    Trial { options: &[("MIMALLOC_DESTROY_ON_EXIT", "1")], ..trial("ends", &["40", "0"], &["1000", "0"]) },
    trial("scavenger", &["200", "3"], &["5000", "3"]),
    Trial { options: &[("MIMALLOC_DESTROY_ON_EXIT", "1")], ..trial("scavenger", &["60", "0"], &["1000", "0"]) },
    trial("shortage", &["data"], &["data"]),
    trial("shortage", &["space"], &["space"]),
    trial("shortage", &["maps"], &["maps"]),
];

/// With `libraries` and `confined`.
const PROGRAMS: usize = TRIALS.len() + 2;

/// Rounds of libraries that come and go.
const QUICK_ROUNDS: &str = "5";
const FULL_ROUNDS: &str = "200";

/// What the groups of `confined` may have. Half of it is in use at a time.
const GROUPS_MIB: [u64; 2] = [128, 512];

const QUICK_LIMIT: Duration = Duration::from_secs(120);
const FULL_LIMIT: Duration = Duration::from_secs(3600);

/// What all programs need.
struct Bench<'a> {
    testbed: &'a Testbed,
    folder: PathBuf,
    log: PathBuf,
    reach: Reach,
}

pub fn check(testbed: &Testbed, reach: Reach) -> Verdict {
    let bench = Bench { testbed, folder: testbed.scratch("stress")?, log: testbed.log("stress")?, reach };
    let mut failures: Vec<String> = TRIALS.iter().filter_map(|trial| bench.failure_of(trial)).collect();
    failures.extend(bench.libraries().err().map(|error| format!("libraries: {error:#}")));
    let confined = bench.confined().unwrap_or_else(|error| {
        failures.push(format!("confined: {error:#}"));
        String::new()
    });
    if !failures.is_empty() {
        bail!("{} of {PROGRAMS} programs failed: {}", failures.len(), failures.join("\n   "));
    }
    let footprints = footprints(&fs::read_to_string(&bench.log)?);
    Ok(format!("{PROGRAMS} programs: {footprints}; confined {confined}"))
}

/// What the programs say of their mappings and resident sets.
fn footprints(log: &str) -> String {
    log.lines().filter(|line| line.contains(" mappings, ")).collect::<Vec<_>>().join("; ")
}

impl Bench<'_> {
    fn failure_of(&self, trial: &Trial) -> Option<String> {
        let arguments = if self.reach == Reach::Full { trial.full } else { trial.quick };
        let ended = self.run(trial.name, arguments, trial.options);
        ended.err().map(|error| format!("{} {}: {error:#}", trial.name, arguments.join(" ")))
    }

    fn run(&self, name: &str, arguments: &[&str], options: &[(&str, &str)]) -> Result<()> {
        let program = self.compile(&format!("{name}.c"), &["-ldl"])?;
        let mut command = Command::new(program);
        command.args(arguments).envs(options.iter().copied()).env("LD_PRELOAD", self.testbed.library()?);
        let limit = if self.reach == Reach::Full { FULL_LIMIT } else { QUICK_LIMIT };
        self.testbed.logged(&mut command, limit, &self.log).map(drop)
    }

    fn compile(&self, source: &str, more: &[&str]) -> Result<PathBuf> {
        compile(self.testbed, &format!("stress/{source}"), &self.folder, more, &self.log)
    }

    fn libraries(&self) -> Result<()> {
        let plugin = self.compile("plugin.c", &["-shared", "-fPIC"])?;
        let copy = self.folder.join("copy.so");
        fs::copy(self.testbed.library()?, &copy)?;
        let rounds = if self.reach == Reach::Full { FULL_ROUNDS } else { QUICK_ROUNDS };
        self.run("libraries", &[text(&plugin)?, text(&copy)?, rounds], &[])
    }

    /// In control groups whose limit the kernel enforces by killing.
    fn confined(&self) -> Verdict {
        let runs: Result<Vec<String>> = GROUPS_MIB.into_iter().map(|mib| self.confined_to(mib)).collect();
        Ok(runs?.join(", "))
    }

    /// That the limit holds is seen, too.
    fn confined_to(&self, mib: u64) -> Verdict {
        let group = match Group::with_limit(mib << 20) {
            Ok(group) => group,
            Err(reason) => return Ok(format!("NOT RUN: {reason:#}")),
        };
        let (processes, limit) = (group.processes(), mib.to_string());
        let run = |act| self.run("confined", &[text(&processes)?, &limit, act], &[]);
        run("within").context(limit.clone())?;
        let peak = group.peak_bytes().map_or("unknown".into(), |bytes| (bytes >> 20).to_string());
        match run("over") {
            Err(killed) if format!("{killed:#}").contains("SIGKILL") => Ok(format!("to {mib} MiB: peak {peak} MiB")),
            _ => bail!("twice {mib} MiB were to be had"),
        }
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
