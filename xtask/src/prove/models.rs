//! What needs no more than cargo: the models and their mutants, the fault schedules, the random operations.

use crate::test::{Testbed, Verdict, cargo_stages};
use crate::workspace;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(4 * 3600);

pub fn loom(testbed: &Testbed) -> Verdict {
    cargo_stages::loom_models(testbed)
}

pub fn mutants(testbed: &Testbed) -> Verdict {
    let log = testbed.log("mutants")?;
    testbed.logged(&mut workspace::cargo(&["xtask", "mutants"]), LIMIT, &log)?;
    last_line(&log)
}

fn last_line(log: &Path) -> anyhow::Result<String> {
    Ok(fs::read_to_string(log)?.lines().next_back().unwrap_or_default().to_owned())
}

/// All schedules with each of so many seeds.
pub fn faults(testbed: &Testbed, seeds: u64) -> Verdict {
    let log = testbed.log("faults")?;
    for seed in 0..seeds {
        let mut command = core_test(&["--features", "sim", "--test", "faults"]);
        testbed.logged(command.env("FERRIMALLOC_TEST_SEED", seed.to_string()), LIMIT, &log)?;
    }
    Ok(format!("{} schedules; seeds: {seeds}", cargo_stages::passed(&fs::read_to_string(log)?)))
}

/// So many times as many random operations as usual.
pub fn long_model(testbed: &Testbed, times: u64) -> Verdict {
    let log = testbed.log("model")?;
    let mut command = core_test(&["--release", "--test", "model", "--test", "stress"]);
    testbed.logged(command.env("FERRIMALLOC_TEST_TIMES", times.to_string()), LIMIT, &log)?;
    Ok(format!("{}, {times} times as long", cargo_stages::passed_tests(&fs::read_to_string(log)?)))
}

fn core_test(more: &[&str]) -> Command {
    workspace::cargo(&[&["test", "-p", "ferrimalloc-core"], more].concat())
}
