//! The targets of `fuzz/` under cargo-fuzz, each for so many seconds.
//!
//! What the fuzzer finds interesting goes to `fuzz/corpus`, of which only the seeds are kept in the repository; what fails goes
//! to `fuzz/artifacts`, and `cargo +nightly fuzz run TARGET FILE` tries it again.

use super::sanitizers::nightly_cargo;
use crate::test::{Testbed, Verdict};
use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TARGETS: [&str; 4] = ["operations", "threads", "options", "c_interface"];
const VERSION: &str = "0.13.1";
/// For building, and for the last input.
const SLACK: Duration = Duration::from_secs(900);
const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

pub fn check(testbed: &Testbed, seconds: u64) -> Verdict {
    if !nightly_cargo(&["--version"]).output().is_ok_and(|output| output.status.success()) {
        return Ok("NOT RUN: there is no nightly toolchain on this machine".into());
    }
    let log = testbed.log("fuzz")?;
    install(testbed, &log)?;
    let done: Result<Vec<String>> = TARGETS.iter().map(|target| run(testbed, target, seconds)).collect();
    Ok(done?.join("; "))
}

/// Installs cargo-fuzz if it is not there.
fn install(testbed: &Testbed, log: &Path) -> Result<()> {
    if nightly_cargo(&["fuzz", "--version"]).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let mut command = workspace::cargo(&["install", "cargo-fuzz", "--locked", "--version", VERSION]);
    testbed.logged(&mut command, INSTALL_LIMIT, log).map(drop)
}

fn run(testbed: &Testbed, target: &str, seconds: u64) -> Result<String> {
    let log = testbed.log(&format!("fuzz-{target}"))?;
    let mut command = fuzz_run(target, seconds);
    command.env("FERRIMALLOC_SO", testbed.library()?);
    testbed.logged(&mut command, Duration::from_secs(seconds) + SLACK, &log).with_context(|| target.to_owned())?;
    Ok(format!("{target} {}", figures(&fs::read_to_string(log)?)))
}

/// Without a sanitizer: the model finds what goes wrong with blocks, and debug assertions what goes wrong inside.
fn fuzz_run(target: &str, seconds: u64) -> Command {
    let mut command = nightly_cargo(&["fuzz", "run", "--sanitizer", "none", target, "--"]);
    command.args([format!("-max_total_time={seconds}").as_str(), "-max_len=4096", "-timeout=60", "-rss_limit_mb=4096"]);
    command.args(["-print_final_stats=1"]);
    command
}

/// From the fuzzer's and the targets' last lines.
fn figures(log: &str) -> String {
    let figure = |key: &str| {
        let line = log.lines().rev().find_map(|line| line.trim().strip_prefix(key));
        line.and_then(|rest| rest.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let per_second = figure("stat::average_exec_per_sec:");
    let (runs, operations) = (figure("stat::number_of_executed_units:"), figure("operations:"));
    format!("{operations} operations in {runs} runs, {per_second}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let log =
            "#12 DONE\nstat::number_of_executed_units: 1200\nstat::average_exec_per_sec:     40\noperations: 99\n";
        assert_eq!(figures(log), "99 operations in 1200 runs, 40/s");
    }
}
