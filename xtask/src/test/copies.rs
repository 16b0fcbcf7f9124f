//! Checked copies: real programs do under `libferrimalloc-checks.so` what they do without, and nothing is reported.
//! What wrong copies come to, the catalogue of attacks has; here, that they are cut where the process goes on.

use super::toolchain::compile;
use super::{Testbed, Verdict};
use crate::matrix;
use anyhow::{Result, bail};
use std::process::Command;
use std::time::Duration;

/// Programs of the matrix: interpreters, a compiler, a database, many processes, threads, plugins.
const PROGRAMS: &[&str] = &["cpython-few", "perl", "node", "g++", "sqlite", "git", "lua", "jq"];

/// What they are run with: blocks known by their classes, and to the byte.
const SETTINGS: &[matrix::Settings] = &[&[], &[("MIMALLOC_SECURE", "4")]];

/// What is said of the copies that are cut.
const REPORTS: [&str; 6] = [
    "a copy would write beyond the end of the block, block of 64 bytes",
    "a copy would read beyond the end of the block, block of 64 bytes",
    "128 bytes in memcpy",
    "128 bytes in memset",
    "256 bytes in strcpy",
    "offset 3, ",
];

const LIMIT: Duration = Duration::from_secs(60);

pub fn check(testbed: &Testbed) -> Verdict {
    cut(testbed)?;
    let runs = matrix::run_chosen(PROGRAMS, testbed, &testbed.libraries_that_check()?, SETTINGS)?;
    Ok(format!("wrong copies are cut, {runs} runs of {} programs are right", PROGRAMS.len()))
}

fn cut(testbed: &Testbed) -> Result<()> {
    let (folder, log) = (testbed.scratch("cut")?, testbed.log("copies")?);
    let program = compile(testbed, "c/cut.c", &folder, &[], &log)?;
    let mut command = Command::new(program);
    command
        .env("LD_PRELOAD", testbed.preloads_that_check()?)
        .env("MIMALLOC_ABORT", "0")
        .env("MIMALLOC_MAX_ERRORS", "100");
    let said = testbed.said(&mut command, LIMIT, &log)?;
    match REPORTS.iter().find(|report| !said.contains(**report)) {
        Some(missing) => bail!("not reported: {missing}\n{said}"),
        None => Ok(()),
    }
}
