//! Stages that are a cargo command or two: style, lints, unit tests, tests on the in-memory OS, models, the build.

use super::{Testbed, Verdict};
use crate::workspace;
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20 * 60);

pub fn fmt(testbed: &Testbed) -> Verdict {
    cargo(testbed, "fmt", &[&["fmt", "--check"]])?;
    Ok("formatted".into())
}

pub fn clippy(testbed: &Testbed) -> Verdict {
    let everything = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    let features = "sim,ferrimalloc-core/valgrind,ferrimalloc-core/asan";
    let with_sim = ["clippy", "-p", "ferrimalloc-prim", "-p", "ferrimalloc-core", "--features", features];
    let with_sim = [&with_sim[..], &["--all-targets", "--quiet", "--", "-D", "warnings"]].concat();
    cargo(testbed, "clippy", &[&everything, &with_sim])?;
    Ok("no warnings".into())
}

pub fn unit_tests(testbed: &Testbed) -> Verdict {
    let log = cargo(testbed, "unit", &[&["test", "--workspace", "--no-fail-fast"]])?;
    Ok(passed_tests(&log))
}

pub fn sim_tests(testbed: &Testbed) -> Verdict {
    let log = cargo(testbed, "sim", &[&["test", "-p", "ferrimalloc-core", "--features", "sim", "--no-fail-fast"]])?;
    Ok(passed_tests(&log))
}

/// What stands in for the crates `mimalloc` and `libmimalloc-sys`, with features that most programs use, and with all others.
pub fn compat_tests(testbed: &Testbed) -> Verdict {
    let crates = ["test", "-p", "mimalloc", "-p", "libmimalloc-sys", "--no-fail-fast", "--features"];
    let usual = [&crates[..], &["mimalloc/extended,libmimalloc-sys/arena"]].concat();
    let others =
        "mimalloc/extended,mimalloc/override,mimalloc/v2,mimalloc/secure,mimalloc/no_thp,libmimalloc-sys/arena";
    let others = [&crates[..], &[others]].concat();
    let log = cargo(testbed, "compat", &[&usual, &others])?;
    Ok(passed_tests(&log))
}

/// In a target folder of its own: the flag changes every crate. Quick to build; the models are small.
pub fn loom_models(testbed: &Testbed) -> Verdict {
    let log = testbed.log("loom")?;
    let mut command = workspace::cargo(&["test", "-p", "ferrimalloc-core", "--release", "--test", "loom_*"]);
    command
        .arg("--no-fail-fast")
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    testbed.logged(&mut command, LIMIT, &log)?;
    Ok(passed_tests(&fs::read_to_string(log)?))
}

pub fn build(testbed: &Testbed) -> Verdict {
    let bytes = fs::metadata(testbed.library()?)?.len();
    let which =
        workspace::foreign_library().map_or_else(|| "libferrimalloc.so".into(), |path| path.display().to_string());
    Ok(format!("{which}: {} KiB", bytes / 1024))
}

/// Runs cargo commands one after another and returns what they printed.
fn cargo(testbed: &Testbed, name: &str, commands: &[&[&str]]) -> Result<String> {
    let log = testbed.log(name)?;
    for arguments in commands {
        run_cargo(testbed, &mut workspace::cargo(arguments), &log)?;
    }
    Ok(fs::read_to_string(log)?)
}

fn run_cargo(testbed: &Testbed, command: &mut Command, log: &Path) -> Result<()> {
    testbed.logged(command.env("CARGO_TERM_COLOR", "never"), LIMIT, log).map(drop)
}

/// Adds up the lines `test result: ok. 12 passed; …`.
pub fn passed_tests(log: &str) -> String {
    format!("{} tests", passed(log))
}

pub fn passed(log: &str) -> usize {
    let results = log.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    let counts = results.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    counts.sum()
}
