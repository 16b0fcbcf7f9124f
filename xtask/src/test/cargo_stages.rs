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

/// OS pages of other processors than this machine's. Bytes.
const OTHER_OS_PAGES: [&str; 2] = ["16384", "65536"];

/// All with OS pages of this machine's size, the simulated system's own among them, and what depends on that size most with larger ones.
pub fn sim_tests(testbed: &Testbed) -> Verdict {
    let tests = ["test", "-p", "ferrimalloc-core", "--features", "sim", "--no-fail-fast"];
    let itself = ["test", "-p", "ferrimalloc-prim", "--features", "sim", "--lib", "--", "sim::", "mem::"];
    let usual = passed_tests(&cargo(testbed, "sim", &[&itself, &tests])?);
    let log = testbed.log("sim-os-pages")?;
    let chosen = ["--lib", "--test", "strict", "--test", "option_effects", "--test", "provenance"];
    for bytes in OTHER_OS_PAGES {
        for arguments in [&itself[..], &[&tests[..], &chosen].concat()] {
            run_cargo(testbed, workspace::cargo(arguments).env("FERRIMALLOC_SIM_OS_PAGE", bytes), &log)?;
        }
    }
    let others = passed_tests(&fs::read_to_string(log)?);
    Ok(format!("{usual}; {others} with OS pages of 16 and 64 KiB"))
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
