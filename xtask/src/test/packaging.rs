//! The packages for Debian, Python and node: `packaging/test.sh` makes, installs, uses and removes each.

use super::{Testbed, Verdict};
use crate::workspace;
use anyhow::Context;
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);

pub fn check(testbed: &Testbed) -> Verdict {
    if workspace::foreign_library().is_some() {
        return Ok("not of another library".into());
    }
    let (scratch, log) = (testbed.scratch("packaging")?, testbed.log("packaging")?);
    let mut test = Command::new("sh");
    test.arg(workspace::root().join("packaging/test.sh")).args([testbed.installed()?, &scratch]);
    testbed.logged(&mut test, LIMIT, &log)?;
    let text = fs::read_to_string(&log)?;
    let made = text.lines().rev().find_map(|line| line.strip_prefix("made, installed, used and removed: "));
    Ok(format!("{}: made, installed, used and removed", made.context("the script's last line is missing")?))
}
