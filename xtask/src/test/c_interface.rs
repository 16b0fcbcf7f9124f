//! `cargo xtask ctests` as a stage: a process of its own, with its table in the log.

use super::{Testbed, Verdict};
use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(15 * 60);

pub fn check(testbed: &Testbed) -> Verdict {
    let log = testbed.log("c-interface")?;
    testbed.logged(Command::new(env::current_exe()?).arg("ctests"), LIMIT, &log)?;
    Ok(last_line(&fs::read_to_string(log)?))
}

fn last_line(log: &str) -> String {
    log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}
