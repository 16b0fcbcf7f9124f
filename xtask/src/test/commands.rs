//! Stages that are a command or two: cargo's (style, lints, tests, models, the build), ctests, the book, the packaging's scripts.

use super::{Testbed, Verdict, Workbench};
use crate::workspace;
use anyhow::{Context, ensure};
use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20 * 60);
/// CPython is built twice, and its tests run twice.
const CPYTHON_LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

pub fn fmt(testbed: &Testbed) -> Verdict {
    testbed.workbench("fmt", LIMIT)?.cargo(&["fmt", "--check"])?;
    Ok("formatted".into())
}

pub fn clippy(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("clippy", LIMIT)?;
    let strictly = ["--all-targets", "--quiet", "--", "-D", "warnings"];
    bench.cargo(&[&["clippy", "--workspace"], &strictly[..]].concat())?;
    let features = "sim,ferrimalloc-core/valgrind,ferrimalloc-core/asan";
    let with_sim = ["clippy", "-p", "ferrimalloc-prim", "-p", "ferrimalloc-core", "--features", features];
    bench.cargo(&[&with_sim[..], &strictly].concat())?;
    Ok("no warnings".into())
}

pub fn unit_tests(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("unit", LIMIT)?;
    Ok(passed_tests(&bench.cargo(&["test", "--workspace", "--no-fail-fast"])?))
}

/// OS pages of other processors than this machine's. Bytes.
const OTHER_OS_PAGES: [&str; 2] = ["16384", "65536"];

/// All with OS pages of this machine's size, the simulated system's own among them, and what depends on that size most with larger ones.
pub fn sim_tests(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("sim", LIMIT)?;
    let tests = ["test", "-p", "ferrimalloc-core", "--features", "sim", "--no-fail-fast"];
    let itself = ["test", "-p", "ferrimalloc-prim", "--features", "sim", "--lib", "--", "sim::", "mem::"];
    let usual = passed(&bench.cargo(&itself)?) + passed(&bench.cargo(&tests)?);
    let chosen = ["--lib", "--test", "strict", "--test", "option_effects", "--test", "provenance"];
    let mut others = 0;
    for bytes in OTHER_OS_PAGES {
        for arguments in [&itself[..], &[&tests[..], &chosen].concat()] {
            others += passed(&bench.run(workspace::cargo(arguments).env("FERRIMALLOC_SIM_OS_PAGE", bytes))?);
        }
    }
    Ok(format!("{usual} tests; {others} tests with OS pages of 16 and 64 KiB"))
}

/// What stands in for the crates `mimalloc` and `libmimalloc-sys`, with features that most programs use, and with all others.
pub fn compat_tests(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("compat", LIMIT)?;
    let usual = "mimalloc/extended,libmimalloc-sys/arena";
    let others = format!("{usual},mimalloc/override,mimalloc/v2,mimalloc/secure,mimalloc/no_thp");
    let mut tests = 0;
    for features in [usual, &others] {
        let crates = ["test", "-p", "mimalloc", "-p", "libmimalloc-sys", "--no-fail-fast", "--features", features];
        tests += passed(&bench.cargo(&crates)?);
    }
    Ok(format!("{tests} tests"))
}

/// In a target folder of its own: the flag changes every crate. Quick to build; the models are small.
pub fn loom_models(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("loom", LIMIT)?;
    let mut command = workspace::cargo(&["test", "-p", "ferrimalloc-core", "--release", "--test", "loom_*"]);
    command
        .arg("--no-fail-fast")
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    Ok(passed_tests(&bench.run(&mut command)?))
}

pub fn build(testbed: &Testbed) -> Verdict {
    let bytes = fs::metadata(testbed.library()?)?.len();
    let foreign = workspace::foreign_library().map(|path| path.display().to_string());
    Ok(format!("{}: {} KiB", foreign.as_deref().unwrap_or("libferrimalloc.so"), bytes / 1024))
}

/// The command `ferrimalloc` on processes that use the library: `crates/cli/tests`.
pub fn insight(testbed: &Testbed) -> Verdict {
    let mut command = workspace::cargo(&["test", "--package", "ferrimalloc-cli", "--no-fail-fast"]);
    command.env("FERRIMALLOC_SO", testbed.library()?);
    Ok(passed_tests(&testbed.workbench("insight", LIMIT)?.run(&mut command)?))
}

/// `cargo xtask ctests` in a process of its own, with its table in the log.
pub fn ctests(testbed: &Testbed) -> Verdict {
    let said = testbed.workbench("c-interface", LIMIT)?.run(Command::new(env::current_exe()?).arg("ctests"))?;
    Ok(said.trim_end().lines().next_back().unwrap_or_default().trim().to_owned())
}

/// The book of `docs/`: `xtask/programs/book` builds it and checks the links of every Markdown page.
pub fn book(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("book", LIMIT)?;
    let cargo = |command| {
        let mut cargo = workspace::cargo(&[command, "--quiet", "--locked", "--manifest-path"]);
        cargo.arg(workspace::programs().join("book/Cargo.toml"));
        cargo.env("CARGO_TARGET_DIR", workspace::target().join("book-tool"));
        cargo
    };
    bench.run(&mut cargo("test"))?;
    let said = bench.run(cargo("run").arg("--").arg(workspace::root()))?;
    Ok(said.lines().next_back().context("the program said nothing")?.into())
}

/// `packaging/test.sh` makes, installs, uses and removes packages for Debian, RPM, Python and node.
pub fn packaging(testbed: &Testbed) -> Verdict {
    if workspace::foreign_library().is_some() {
        return Ok("not of another library".into());
    }
    let bench = testbed.workbench("packaging", LIMIT)?;
    let mut script = Command::new("sh");
    script.arg(workspace::root().join("packaging/test.sh")).args([testbed.installed()?, &bench.folder]);
    let said = bench.run(&mut script)?;
    let made = said.lines().rev().find_map(|line| line.strip_prefix("made, installed, used and removed: "));
    Ok(format!("{}: made, installed, used and removed", made.context("the script's last line is missing")?))
}

/// Free-threaded CPython: `packaging/cpython/build.py` builds it with ferrimalloc and without, and runs CPython's tests on both.
pub fn cpython(testbed: &Testbed) -> Verdict {
    if workspace::foreign_library().is_some() {
        return Ok("not of another library".into());
    }
    let bench = testbed.workbench("cpython", CPYTHON_LIMIT)?;
    let mut script = Command::new("python3");
    script.arg(workspace::root().join("packaging/cpython/build.py"));
    script.arg("--work").arg(workspace::target().join("cpython")).arg("--installed").arg(testbed.installed()?);
    let said = bench.run(&mut script)?;
    let results: Vec<&str> = said.lines().filter(|line| line.starts_with("ferrimalloc, ")).collect();
    ensure!(!results.is_empty(), "{}: no results", bench.log.display());
    Ok(results.join("; "))
}

/// The mistakes that the models must catch.
pub fn mutants(testbed: &Testbed) -> Verdict {
    let said = long(testbed, "mutants")?.cargo(&["xtask", "mutants"])?;
    Ok(said.lines().next_back().unwrap_or_default().to_owned())
}

/// All fault schedules with each of so many seeds.
pub fn faults(testbed: &Testbed, seeds: u64) -> Verdict {
    let bench = long(testbed, "faults")?;
    let mut schedules = 0;
    for seed in 0..seeds {
        let mut command =
            workspace::cargo(&["test", "-p", "ferrimalloc-core", "--features", "sim", "--test", "faults"]);
        schedules += passed(&bench.run(command.env("FERRIMALLOC_TEST_SEED", seed.to_string()))?);
    }
    Ok(format!("{schedules} schedules; seeds: {seeds}"))
}

/// So many times as many random operations as usual.
pub fn long_model(testbed: &Testbed, times: u64) -> Verdict {
    let tests = ["test", "-p", "ferrimalloc-core", "--release", "--test", "model", "--test", "stress"];
    let mut command = workspace::cargo(&tests);
    let said = long(testbed, "model")?.run(command.env("FERRIMALLOC_TEST_TIMES", times.to_string()))?;
    Ok(format!("{}, {times} times as long", passed_tests(&said)))
}

fn long<'a>(testbed: &'a Testbed, name: &str) -> anyhow::Result<Workbench<'a>> {
    testbed.workbench(name, Duration::from_secs(4 * 3600))
}

/// Adds up the lines `test result: ok. 12 passed; …`.
pub fn passed_tests(said: &str) -> String {
    format!("{} tests", passed(said))
}

pub fn passed(said: &str) -> usize {
    let results = said.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    let counts = results.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    counts.sum()
}
