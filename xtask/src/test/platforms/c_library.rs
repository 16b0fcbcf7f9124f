//! The C library on a Linux of another processor: preloaded into C programs, by the emulator.

use super::{LIMIT, Linux, variable, with_own_std, without_source};
use crate::test::Testbed;
use crate::test::foreign_toolchain::Toolchain;
use crate::test::toolchain::compile_by;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// Below `xtask/programs`. Others ask of a system what the emulator (qemu 7.2) lacks, or does wrong with any allocator: limits of memory,
/// memory that goes or is moved, threads that leave nothing, forks beside them.
const PROGRAMS: &[&str] = &["c/bad_free.c", "c/smash.c", "c/bad_sizes.c", "c/extras.c", "stress/ends.c"];

/// What was done, in words.
pub fn check(linux: &Linux, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<String> {
    if without_source(toolchain, log).is_some() {
        return Ok("no C library".into());
    }
    let library = build(linux, testbed, toolchain, log)?;
    let folder = testbed.scratch(linux.triple)?;
    let compiler = linux.linker.first().context("a target has a linker")?;
    let include = format!("-I{}", workspace::root().join("include").display());
    for source in PROGRAMS {
        let path = compile_by(compiler, testbed, source, &folder, &[&include], log)?;
        let (emulator, options) = linux.emulator.split_first().context("an emulator is needed")?;
        let mut command = Command::new(emulator);
        command.args(options).args(["-E", &format!("LD_PRELOAD={library}")]).arg(path);
        testbed.logged(&mut command, LIMIT, log).with_context(|| source.to_string())?;
    }
    Ok(format!("{} C programs", PROGRAMS.len()))
}

fn build(linux: &Linux, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<String> {
    let library = ["rustc", "-p", "ferrimalloc-library", "--crate-type", "cdylib", "-Zbuild-std=core,alloc"];
    let mut command = with_own_std(&library, toolchain);
    command.args(["--target", linux.triple]).env("CARGO_INCREMENTAL", "0");
    command.env(variable(linux.triple, "LINKER"), toolchain.script(linux.triple, linux.linker)?);
    // Assertions stop at the misuse that some of the programs are about.
    command.env("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false").env("CARGO_PROFILE_DEV_DEBUG", "0");
    testbed.logged(command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1"), LIMIT, log)?;
    let path = toolchain.target().join(linux.triple).join("debug/libferrimalloc.so");
    Ok(std::path::absolute(path)?.display().to_string())
}
