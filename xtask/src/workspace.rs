//! Where things are in the checkout, and the library under test.

use anyhow::{Context, Result, ensure};
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names another library to test in place of ours, for comparison (nothing is built then).
pub const LIBRARY_VARIABLE: &str = "FERRIMALLOC_SO";

/// The root of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask has a parent folder")
}

/// Our C, C++, SQL, shell, … programs.
pub fn programs() -> PathBuf {
    root().join("xtask/programs")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// `cargo` with `args`, started in the root of the checkout.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// An empty log file of this name.
pub fn log(name: &str) -> Result<PathBuf> {
    let folder = target().join("test-logs");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let log = folder.join(format!("{name}.log"));
    File::create(&log).with_context(|| log.display().to_string())?;
    Ok(log)
}

/// The library that [`LIBRARY_VARIABLE`] names, if it does.
pub fn foreign_library() -> Option<PathBuf> {
    env::var_os(LIBRARY_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Builds the shared library with a plain `cargo build --release` and says where it is.
pub fn build_library() -> Result<PathBuf> {
    if let Some(library) = foreign_library() {
        return library.canonicalize().with_context(|| format!("{LIBRARY_VARIABLE}={}", library.display()));
    }
    build(&[], "libferrimalloc.so")
}

/// Builds the library that checks copies and says where it is.
pub fn build_checks() -> Result<PathBuf> {
    build(&["-p", "ferrimalloc-checks"], "libferrimalloc_checks.so")
}

fn build(packages: &[&str], name: &str) -> Result<PathBuf> {
    let arguments = [&["build", "--release", "--quiet"], packages].concat();
    let status = cargo(&arguments).status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo {} failed", arguments.join(" "));
    let library = target().join("release").join(name);
    library.canonicalize().with_context(|| format!("no {} after the build", library.display()))
}
