//! The command `ferrimalloc` on processes that use the library: `crates/cli/tests`.

use super::cargo_stages::passed_tests;
use super::{Testbed, Verdict};
use crate::workspace;
use std::fs;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20 * 60);

pub fn check(testbed: &Testbed) -> Verdict {
    let log = testbed.log("insight")?;
    let mut command = workspace::cargo(&["test", "--package", "ferrimalloc-cli", "--no-fail-fast"]);
    command.env("FERRIMALLOC_SO", testbed.library()?).env("CARGO_TERM_COLOR", "never");
    testbed.logged(&mut command, LIMIT, &log)?;
    Ok(passed_tests(&fs::read_to_string(log)?))
}
