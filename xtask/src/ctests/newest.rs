//! The newest mimalloc that can be had, 3.6.2: its headers and sources are in a crate; the library is built from them as its
//! authors do.

use super::run;
use crate::bench::engines::{NEWEST, sources_of};
use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
const OPTIONS: [&str; 8] =
    ["-O3", "-DNDEBUG", "-fPIC", "-shared", "-pthread", "-w", "-Wl,-soname,libmimalloc.so.3", "-o"];

/// Where headers and library are.
pub struct Newest {
    pub headers: PathBuf,
    pub libraries: PathBuf,
}

/// Fetches and builds it, unless that was done.
pub fn fetch() -> Result<Newest> {
    let folder = sources_of(NEWEST)?.join("c_src/mimalloc");
    let libraries = workspace::target().join("reference-newest");
    let newest = Newest { headers: folder.join("include"), libraries };
    if !newest.library().exists() {
        newest.build(&folder.join("src/static.c"))?;
    }
    Ok(newest)
}

impl Newest {
    pub fn library(&self) -> PathBuf {
        self.libraries.join("libmimalloc.so.3")
    }

    /// Under another name first: a build that was cut short leaves no half library.
    fn build(&self, source: &Path) -> Result<()> {
        fs::create_dir_all(&self.libraries)?;
        let unfinished = self.libraries.join("unfinished.so");
        let mut gcc = Command::new("gcc");
        gcc.args(OPTIONS).arg(&unfinished).arg("-I").arg(&self.headers).arg(source);
        run(&mut gcc, LIMIT).context("mimalloc 3.6.2 does not compile")?;
        fs::rename(unfinished, self.library())?;
        let link = self.libraries.join("libmimalloc.so");
        if !link.exists() {
            std::os::unix::fs::symlink("libmimalloc.so.3", link)?;
        }
        Ok(())
    }
}
