//! What every case gets: the pace, the library (built once, on first use), places for logs and scratch files, and
//! ways to run a command with its output in a log.

use crate::process::{self, Finished};
use crate::workspace;
use anyhow::{Context, Result, anyhow, bail};
use std::cell::OnceCell;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long the tests may take; a case is run at its own pace or a slower one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    Quick,
    Slow,
}

pub struct Testbed {
    pub pace: Pace,
    scratch: TempDir,
    logs: PathBuf,
    /// The library under test, or why there is none.
    library: OnceCell<Result<PathBuf, String>>,
}

const TAIL_LINES: usize = 60;

impl Testbed {
    pub fn new(pace: Pace) -> Result<Self> {
        let logs = workspace::target().join("test-logs");
        fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
        let scratch = tempfile::Builder::new().prefix("ferrimalloc-test-").tempdir()?;
        let_others_in(scratch.path())?;
        Ok(Testbed { pace, scratch, logs, library: OnceCell::new() })
    }

    /// A copy of the library under test that any user may read and no later build changes.
    pub fn library(&self) -> Result<&Path> {
        let library = self.library.get_or_init(|| self.build_and_copy().map_err(|error| format!("{error:#}")));
        library.as_deref().map_err(|error| anyhow!("no library: {error}"))
    }

    fn build_and_copy(&self) -> Result<PathBuf> {
        let built = workspace::build_library()?;
        let copy = self.scratch.path().join("libferrimalloc.so");
        fs::copy(&built, &copy).with_context(|| built.display().to_string())?;
        Ok(copy)
    }

    /// A fresh empty folder for one case, open to any user, gone when the tests end.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.path().join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// An empty log file for one case.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        let log = self.logs.join(format!("{name}.log"));
        File::create(&log).with_context(|| log.display().to_string())?;
        Ok(log)
    }

    /// Runs a command with its output appended to `log`; an error shows the end of the log.
    pub fn logged(&self, command: &mut Command, limit: Duration, log: &Path) -> Result<Finished> {
        let output = File::options().append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let finished = process::bounded(command, limit)?;
        if !finished.succeeded() {
            bail!("{}\n{}", finished.describe(), tail(log)?);
        }
        Ok(finished)
    }
}

/// Servers that refuse to run as root run as somebody else, in this folder.
fn let_others_in(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, Permissions::from_mode(0o755))?)
}

/// The last lines of a log, indented, after its name.
pub fn tail(log: &Path) -> Result<String> {
    let bytes = fs::read(log)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    Ok(format!("   the end of {}:\n      {}", log.display(), end.join("\n      ")))
}
