//! Compiles the small C and C++ programs of `xtask/programs`.

use super::Testbed;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// `-fno-builtin`: the compiler must not see through pairs of `malloc` and `free`.
const FLAGS: [&str; 7] =
    ["-O1", "-g", "-Wall", "-fno-builtin", "-pthread", "-Wno-free-nonheap-object", "-Wno-use-after-free"];

/// Compiles `source` (a path below `xtask/programs`, `.c` or `.cpp`) into `folder`, with more flags or libraries after it.
pub fn compile(testbed: &Testbed, source: &str, folder: &Path, more: &[&str], log: &Path) -> Result<PathBuf> {
    let compiler = if source.ends_with(".cpp") { "g++" } else { "gcc" };
    compile_by(compiler, testbed, source, folder, more, log)
}

/// The same by a compiler with GNU's flags.
pub fn compile_by(
    compiler: &str,
    testbed: &Testbed,
    source: &str,
    folder: &Path,
    more: &[&str],
    log: &Path,
) -> Result<PathBuf> {
    let program = folder.join(Path::new(source).file_stem().context("the source has no name")?);
    let mut command = Command::new(compiler);
    command.args(FLAGS).arg("-o").arg(&program).arg(workspace::programs().join(source)).args(more);
    testbed.logged(&mut command, LIMIT, log).with_context(|| format!("{source} does not compile"))?;
    Ok(program)
}
