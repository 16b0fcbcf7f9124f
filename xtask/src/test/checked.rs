//! The levels of checking: misuse of memory ends as documented, and real programs do what they do without.
//!
//! A program that misuses memory in one way is run under each level that must notice it, and under one that must not
//! matter. Then programs of the matrix are run as in the matrix, with levels in the environment.

use super::trials::{self, Reach, Trials};
use super::{Testbed, Verdict};
use crate::matrix;
use std::time::Duration;

/// What the programs of the matrix are run with.
const SETTINGS: &[matrix::Settings] =
    &[&[("MIMALLOC_SECURE", "4")], &[("MIMALLOC_DEBUG", "2")], &[("MIMALLOC_GUARDED_SAMPLE_RATE", "100")]];

/// Programs of the matrix that use many sizes, threads, or processes.
const PROGRAMS: &[&str] = &["cpython-few", "g++", "sqlite", "lua", "jq"];

const LIMIT: Duration = Duration::from_secs(60);

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("checked", LIMIT)?;
    let misuses = Trials::preloaded(&bench, Reach::Quick)?.all(&trials::of("checked")?, &[])?;
    let runs = matrix::run_chosen(PROGRAMS, testbed, &[testbed.library()?.to_owned()], SETTINGS)?;
    Ok(format!("{misuses} misuses end as they must, {runs} runs of programs are right"))
}
