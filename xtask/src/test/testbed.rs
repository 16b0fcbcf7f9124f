//! What every case gets: the library (built once, on first use), places for logs and scratch files, and
//! ways to run a command with its output in a log.

use crate::process::{self, Finished};
use crate::{install, workspace};
use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use std::cell::OnceCell;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long the tests may take; a case is run at its own pace or a slower one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    #[default]
    Quick,
    Slow,
    /// Only by name: it takes minutes, and downloads what is needed for nothing else.
    Asked,
}

pub struct Testbed {
    scratch: TempDir,
    logs: PathBuf,
    /// The library under test, or why there is none.
    library: OnceCell<Result<PathBuf, String>>,
    installed: OnceCell<Result<PathBuf, String>>,
}

const TAIL_LINES: usize = 40;

impl Testbed {
    pub fn new() -> Result<Self> {
        let logs = workspace::target().join("test-logs");
        fs::create_dir_all(&logs).with_context(|| logs.display().to_string())?;
        let scratch = tempfile::Builder::new().prefix("ferrimalloc-test-").tempdir()?;
        let_others_in(scratch.path())?;
        Ok(Testbed { scratch, logs, library: OnceCell::new(), installed: OnceCell::new() })
    }

    /// A copy of the library under test that any user may read and no later build changes.
    pub fn library(&self) -> Result<&Path> {
        let library = self.library.get_or_init(|| self.build_and_copy().map_err(|error| format!("{error:#}")));
        library.as_deref().map_err(|error| anyhow!("no library: {error}"))
    }

    /// The library, and the one that checks copies, built and copied if that has not been done.
    pub fn libraries_that_check(&self) -> Result<[PathBuf; 2]> {
        let copy = self.scratch.path().join("libferrimalloc-checks.so");
        if !copy.exists() {
            let built = workspace::build_checks()?;
            fs::copy(&built, &copy).with_context(|| built.display().to_string())?;
        }
        Ok([self.library()?.to_owned(), copy])
    }

    /// The same as the variable `LD_PRELOAD` has it.
    pub fn preloads_that_check(&self) -> Result<OsString> {
        Ok(env::join_paths(self.libraries_that_check()?)?)
    }

    /// An install tree of both libraries, made once.
    pub fn installed(&self) -> Result<&Path> {
        let tree = self.installed.get_or_init(|| self.install().map_err(|error| format!("{error:#}")));
        tree.as_deref().map_err(|error| anyhow!("no install tree: {error}"))
    }

    fn install(&self) -> Result<PathBuf> {
        let tree = self.scratch("installed")?;
        install::install_built(&tree)?;
        Ok(tree)
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

    /// Runs a command with its output appended to `log`; an error shows the end of that output.
    pub fn logged(&self, command: &mut Command, limit: Duration, log: &Path) -> Result<Finished> {
        let output = File::options().append(true).open(log)?;
        let start = output.metadata()?.len();
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let finished = process::bounded(command, limit)?;
        if !finished.succeeded() {
            bail!("{}\n{}", finished.describe(), tail(log, start)?);
        }
        Ok(finished)
    }

    /// The same; answers what the command has printed.
    pub fn said(&self, command: &mut Command, limit: Duration, log: &Path) -> Result<String> {
        let start = fs::metadata(log)?.len() as usize;
        self.logged(command, limit, log)?;
        Ok(String::from_utf8_lossy(&fs::read(log)?[start..]).into_owned())
    }
}

/// Servers that refuse to run as root run as somebody else, in this folder.
fn let_others_in(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, Permissions::from_mode(0o755))?)
}

/// The telling lines and the last lines of a log, of what comes after `start`, indented.
fn tail(log: &Path, start: u64) -> Result<String> {
    let bytes = fs::read(log)?;
    let text = String::from_utf8_lossy(&bytes[start as usize..]);
    let lines: Vec<&str> = text.lines().collect();
    let (before, end) = lines.split_at(lines.len().saturating_sub(TAIL_LINES));
    let telling = before.iter().filter(|line| is_telling(line)).take(TAIL_LINES);
    let shown: Vec<&str> = telling.chain(end).copied().collect();
    Ok(format!("   from {}:\n      {}", log.display(), shown.join("\n      ")))
}

/// Whether a line of cargo's or a test's output says what went wrong.
fn is_telling(line: &str) -> bool {
    line.starts_with("error") || line.ends_with("FAILED") || line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_what_went_wrong_early_and_skips_what_came_before() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let noise = "running\n".repeat(TAIL_LINES * 2);
        fs::write(&log, format!("error: old\ntest early ... FAILED\n{noise}last\n")).unwrap();
        let tail = tail(&log, "error: old\n".len() as u64).unwrap();
        assert!(tail.contains("test early ... FAILED") && tail.ends_with("last"));
        assert!(!tail.contains("error: old"));
        assert_eq!(tail.lines().count(), 1 + 1 + TAIL_LINES);
    }
}
