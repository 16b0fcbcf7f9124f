//! What every case gets: the library (built once, on first use), and places for logs and scratch files.

use super::Workbench;
use crate::{install, workspace};
use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use std::cell::OnceCell;
use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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
    /// The library under test, or why there is none.
    library: OnceCell<Result<PathBuf, String>>,
    installed: OnceCell<Result<PathBuf, String>>,
}

impl Testbed {
    pub fn new() -> Result<Self> {
        let scratch = tempfile::Builder::new().prefix("ferrimalloc-test-").tempdir()?;
        let_others_in(scratch.path())?;
        Ok(Testbed { scratch, library: OnceCell::new(), installed: OnceCell::new() })
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
        workspace::log(name)
    }

    /// An empty folder and an empty log for one case, and a limit for each of its commands.
    pub fn workbench(&self, name: &str, limit: Duration) -> Result<Workbench<'_>> {
        Ok(Workbench { testbed: self, folder: self.scratch(name)?, log: self.log(name)?, limit })
    }
}

/// Servers that refuse to run as root run as somebody else, in this folder.
fn let_others_in(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, Permissions::from_mode(0o755))?)
}
