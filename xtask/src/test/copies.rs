//! Checked copies: real programs do under `libferrimalloc-checks.so` what they do without, and nothing is reported.
//! What wrong copies come to, the catalogue of attacks has; here, that they are cut where the process goes on.

use super::trials::{self, Reach, Trials};
use super::{Testbed, Verdict};
use crate::matrix;
use std::time::Duration;

/// Programs of the matrix: interpreters, a compiler, a database, many processes, threads, plugins.
const PROGRAMS: &[&str] = &["cpython-few", "perl", "node", "g++", "sqlite", "git", "lua", "jq"];

/// What they are run with: blocks known by their classes, and to the byte.
const SETTINGS: &[matrix::Settings] = &[&[], &[("MIMALLOC_SECURE", "4")]];

const LIMIT: Duration = Duration::from_secs(60);

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("copies", LIMIT)?;
    let env = vec![("LD_PRELOAD", testbed.preloads_that_check()?)];
    Trials { env, ..Trials::new(&bench, Reach::Quick) }.all(&trials::of("copies")?, &[])?;
    let runs = matrix::run_chosen(PROGRAMS, testbed, &testbed.libraries_that_check()?, SETTINGS)?;
    Ok(format!("wrong copies are cut, {runs} runs of {} programs are right", PROGRAMS.len()))
}
