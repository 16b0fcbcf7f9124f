//! Free-threaded CPython on ferrimalloc: `packaging/cpython/build.py` builds it with and without, and runs CPython's tests on both.

use super::{Testbed, Verdict};
use crate::workspace;
use anyhow::bail;
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3 * 60 * 60);

pub fn check(testbed: &Testbed) -> Verdict {
    if workspace::foreign_library().is_some() {
        return Ok("not of another library".into());
    }
    let log = testbed.log("cpython")?;
    let mut script = Command::new("python3");
    script.arg(workspace::root().join("packaging/cpython/build.py"));
    script.arg("--work").arg(workspace::target().join("cpython"));
    script.arg("--installed").arg(testbed.installed()?);
    testbed.logged(&mut script, LIMIT, &log)?;
    let text = fs::read_to_string(&log)?;
    let results: Vec<&str> = text.lines().filter(|line| line.starts_with("ferrimalloc, ")).collect();
    if results.is_empty() {
        bail!("{}: no results", log.display());
    }
    Ok(results.join("; "))
}
