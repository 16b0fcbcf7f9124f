//! Programs in C and C++ that feed the library bad input or no memory, or fork and end threads in odd ways, and check what
//! it answers.
//!
//! Each prints a line per failed check and ends with status 0 only if there was none.

use super::toolchain::compile;
use super::{Testbed, Verdict};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A program of `xtask/programs/c` and a limit of the shell (`ulimit`'s arguments, in KiB) to run it under.
struct Trial {
    source: &'static str,
    arguments: &'static [&'static str],
    ulimit: Option<&'static str>,
}

const fn trial(source: &'static str) -> Trial {
    Trial { source, arguments: &[], ulimit: None }
}

const fn trial_with(source: &'static str, arguments: &'static [&'static str]) -> Trial {
    Trial { arguments, ..trial(source) }
}

const fn limited(source: &'static str, arguments: &'static [&'static str], ulimit: &'static str) -> Trial {
    Trial { source, arguments, ulimit: Some(ulimit) }
}

/// `oom.c`'s arguments: how many threads, and how many MiB they must get at least before memory runs out.
const TRIALS: &[Trial] = &[
    trial("bad_free.c"),
    trial("smash.c"),
    trial("bad_sizes.c"),
    trial("good_sizes.c"),
    trial("extras.c"),
    trial("new.cpp"),
    trial("atfork.c"),
    trial("thread_ends.c"),
    limited("oom.c", &["1", "16"], "-v 65536"),
    limited("oom.c", &["1", "100"], "-v 262144"),
    limited("oom.c", &["4", "400"], "-v 1048576"),
    limited("oom.c", &["1", "1200"], "-v 3145728"),
    limited("oom.c", &["1", "100"], "-d 262144"),
    trial_with("oom_later.c", &[]),
    trial("limit.c"),
];

const LIMIT: Duration = Duration::from_secs(120);

pub fn check(testbed: &Testbed) -> Verdict {
    let log = testbed.log("bad-input")?;
    let folder = testbed.scratch("bad-input")?;
    let failures: Vec<String> = TRIALS.iter().filter_map(|trial| trial.failure(testbed, &folder, &log)).collect();
    if !failures.is_empty() {
        bail!("{} of {} programs failed: {}", failures.len(), TRIALS.len(), failures.join("\n   "));
    }
    Ok(format!("{} programs", TRIALS.len()))
}

impl Trial {
    fn failure(&self, testbed: &Testbed, folder: &Path, log: &Path) -> Option<String> {
        self.run(testbed, folder, log).err().map(|error| format!("{}: {error:#}", self.title()))
    }

    fn run(&self, testbed: &Testbed, folder: &Path, log: &Path) -> Result<()> {
        let program = compile(testbed, &format!("c/{}", self.source), folder, &[], log)?;
        let mut command = self.shell(&program);
        testbed.logged(command.env("LD_PRELOAD", testbed.library()?), LIMIT, log).map(drop)
    }

    /// The limit has to hold before the library starts, and the library must not be in the shell that sets it.
    fn shell(&self, program: &Path) -> Command {
        let ulimit = self.ulimit.map(|limit| format!("ulimit {limit} && ")).unwrap_or_default();
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!(r#"{ulimit}exec "$0" "$@""#)).arg(program).args(self.arguments);
        command
    }

    fn title(&self) -> String {
        let ulimit = self.ulimit.map(|limit| format!(" under ulimit {limit}")).unwrap_or_default();
        format!("{} {}{ulimit}", self.source, self.arguments.join(" ")).replace("  ", " ")
    }
}
