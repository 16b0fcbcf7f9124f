//! Fetches mimalloc 3.4.3's own headers and library: a Python package carries them.

use super::run;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PACKAGE: &str = "cmeel-mimalloc==3.4.3";
const LIMIT: Duration = Duration::from_secs(300);

/// Names a folder that has them already (with `include/mimalloc-3.4` and `lib`).
const VARIABLE: &str = "MIMALLOC_REFERENCE";

/// The reference's install tree, in the target folder.
pub fn fetch() -> Result<PathBuf> {
    if let Some(folder) = env::var_os(VARIABLE) {
        return Ok(PathBuf::from(folder));
    }
    let folder = workspace::target().join("reference");
    let tree = folder.join("cmeel.prefix");
    if !is_complete(&tree) {
        download(&folder).context(PACKAGE)?;
    }
    if !is_complete(&tree) {
        bail!("{PACKAGE} has no {}", library(&tree).display());
    }
    Ok(tree)
}

fn is_complete(tree: &Path) -> bool {
    library(tree).exists()
}

fn library(tree: &Path) -> PathBuf {
    tree.join("lib/libmimalloc.so.3")
}

fn download(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut pip = Command::new("pip");
    pip.args(["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"]).arg(folder).arg(PACKAGE);
    run(&mut pip, LIMIT)?;
    let wheels = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let wheel = wheels.into_iter().find(|path| path.extension().is_some_and(|end| end == "whl"));
    let wheel = wheel.context("pip downloaded no wheel")?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder), LIMIT)
}
