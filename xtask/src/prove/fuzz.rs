//! The targets of `fuzz/` under cargo-fuzz, each for so many seconds.
//!
//! What the fuzzer finds interesting goes to `fuzz/corpus`, of which only the seeds are kept in the repository; what fails goes
//! to `fuzz/artifacts`, and `cargo +nightly fuzz run TARGET FILE` tries it again.

use super::sanitizers::{is_nightly_there, nightly_cargo};
use crate::test::{Testbed, Verdict};
use crate::workspace;
use anyhow::{Context, Result};
use std::fmt::{self, Display, Formatter};
use std::process::Command;
use std::time::Duration;

struct Target {
    name: &'static str,
    /// What it counts.
    unit: &'static str,
}

/// Calls that allocate, resize or free a block, make or end a heap, or collect.
const OPERATIONS: &str = "operations";

const TARGETS: [Target; 4] = [
    Target { name: "operations", unit: OPERATIONS },
    Target { name: "threads", unit: OPERATIONS },
    Target { name: "c_interface", unit: OPERATIONS },
    Target { name: "options", unit: "texts" },
];

const VERSION: &str = "0.13.1";
/// For building, and for the last input.
const SLACK: Duration = Duration::from_secs(900);
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

pub fn check(testbed: &Testbed, seconds: u64) -> Verdict {
    if !is_nightly_there() {
        return Ok("NOT RUN: there is no nightly toolchain on this machine".into());
    }
    install(testbed)?;
    let done: Result<Vec<Figures>> = TARGETS.iter().map(|target| target.run(testbed, seconds)).collect();
    Ok(summary(&done?))
}

fn summary(done: &[Figures]) -> String {
    let counted = |figures: &&Figures| figures.unit == OPERATIONS;
    let operations: u64 = done.iter().filter(counted).map(|figures| figures.performed).sum();
    let lines: Vec<String> = done.iter().map(Figures::to_string).collect();
    format!("{operations} operations of the allocator: {}", lines.join("; "))
}

/// Installs cargo-fuzz if it is not there.
fn install(testbed: &Testbed) -> Result<()> {
    if nightly_cargo(&["fuzz", "--version"]).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let mut command = workspace::cargo(&["install", "cargo-fuzz", "--locked", "--version", VERSION]);
    testbed.workbench("fuzz", INSTALL_LIMIT)?.run(&mut command).map(drop)
}

impl Target {
    fn run(&self, testbed: &Testbed, seconds: u64) -> Result<Figures> {
        let bench = testbed.workbench(&format!("fuzz-{}", self.name), Duration::from_secs(seconds) + SLACK)?;
        let mut command = fuzz_run(self.name, seconds);
        command.env("FERRIMALLOC_SO", testbed.library()?);
        self.figures(&bench.run(&mut command).context(self.name)?)
    }

    /// From the fuzzer's and the targets' last lines.
    fn figures(&self, log: &str) -> Result<Figures> {
        let figure = |key: &str| {
            let line = log.lines().rev().find_map(|line| line.trim().strip_prefix(key));
            line.and_then(|rest| rest.trim().parse().ok()).with_context(|| format!("{}: no {key:?}", self.name))
        };
        Ok(Figures {
            name: self.name,
            unit: self.unit,
            performed: figure("operations:")?,
            runs: figure("stat::number_of_executed_units:")?,
            runs_per_second: figure("stat::average_exec_per_sec:")?,
        })
    }
}

/// What a target has done.
struct Figures {
    name: &'static str,
    unit: &'static str,
    performed: u64,
    runs: u64,
    runs_per_second: u64,
}

impl Display for Figures {
    fn fmt(&self, to: &mut Formatter) -> fmt::Result {
        let Figures { name, unit, performed, runs, runs_per_second } = self;
        write!(to, "{name} {performed} {unit} in {runs} runs, {runs_per_second}/s")
    }
}

/// Without a sanitizer: the model finds what goes wrong with blocks, and debug assertions what goes wrong inside. Long
/// inputs from the beginning: with few blocks an allocator has little to do.
fn fuzz_run(target: &str, seconds: u64) -> Command {
    let mut command = nightly_cargo(&["fuzz", "run", "--sanitizer", "none", target, "--"]);
    command.args([format!("-max_total_time={seconds}").as_str(), "-max_len=4096", "-timeout=60", "-rss_limit_mb=4096"]);
    command.args(["-len_control=0", "-print_final_stats=1"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str =
        "#12 DONE\nstat::number_of_executed_units: 1200\nstat::average_exec_per_sec:     40\noperations: 99\n";

    #[test]
    fn figures_are_read_and_texts_are_no_operations() {
        let figures = |target: &Target| target.figures(LOG).unwrap();
        let summary = summary(&TARGETS.iter().map(figures).collect::<Vec<_>>());
        assert!(summary.starts_with("297 operations of the allocator: operations 99 operations in 1200 runs, 40/s; "));
        assert!(summary.ends_with("; options 99 texts in 1200 runs, 40/s"));
    }

    #[test]
    fn a_run_without_figures_is_an_error() {
        assert!(TARGETS[0].figures("stat::number_of_executed_units: 1200\n").is_err());
    }
}
