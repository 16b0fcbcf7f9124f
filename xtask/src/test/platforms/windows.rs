//! Windows on x86-64, by mingw's linker and wine: the tests of the crates that a port is about, and jobs beside the system's
//! allocator. What wine takes says little about Windows itself.

use super::jobs::{check_left, compare, line};
use super::{LIMIT, Row, installed, two_programs, variable, with_own_std, without_source};
use crate::test::Testbed;
use crate::test::cargo_stages::passed;
use crate::test::foreign_toolchain::Toolchain;
use crate::workspace;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TRIPLE: &str = "x86_64-pc-windows-gnu";
const GCC: &str = "x86_64-w64-mingw32-gcc";
const WINE: &str = "/usr/lib/wine/wine64";

const NEEDS: &[&str] = &[GCC, WINE];

/// Forge pages by the thousand and leave an arena behind each, more than the mappings that a process may have: what is
/// committed is a mapping of its own under wine. The last asks nothing of the system, and takes minutes unoptimised.
const NOT_UNDER_WINE: &[&str] = &["a_page_is_mended_wherever_its_owner", "single_runs_of_all_places_and_lengths"];

pub fn row(testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
    if let Some(why) = installed(NEEDS, log) {
        return Ok(Row::NotToBeHad(why));
    }
    if let Some(row) = without_source(toolchain, log) {
        return Ok(row);
    }
    let windows = Windows::new(testbed, toolchain, log)?;
    let tests = windows.tests()?;
    windows.c_interface()?;
    let jobs = windows.jobs()?;
    Ok(Row::Done(format!("{tests} tests run (wine), and a C program; {jobs}")))
}

struct Windows<'a> {
    testbed: &'a Testbed,
    toolchain: &'a Toolchain,
    log: &'a Path,
    /// Libraries that this wine lacks.
    libraries: PathBuf,
    /// A "C:" of its own, which takes seconds to make, so it stays.
    prefix: PathBuf,
}

impl<'a> Windows<'a> {
    fn new(testbed: &'a Testbed, toolchain: &'a Toolchain, log: &'a Path) -> Result<Self> {
        let (libraries, prefix) =
            (testbed.scratch("windows")?, std::path::absolute(workspace::target().join("platforms/wine"))?);
        let windows = Windows { testbed, toolchain, log, libraries, prefix };
        // Rust's standard library has its randomness from it.
        windows.compile(
            "bcryptprimitives.c",
            &windows.libraries.join("bcryptprimitives.dll"),
            &["-shared", "-ladvapi32"],
        )?;
        Ok(windows)
    }

    fn compile(&self, source: &str, to: &Path, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(GCC);
        command.arg("-O2").arg(workspace::programs().join("windows").join(source)).arg("-o").arg(to).args(arguments);
        self.testbed.logged(&mut command, LIMIT, self.log)?;
        Ok(())
    }

    fn cargo(&self, arguments: &[&str], std: &str) -> Command {
        let mut command = with_own_std(arguments, self.toolchain);
        command.args(["--target", TRIPLE, std, "-Zbuild-std-features=panic-unwind"]);
        command.env(variable(TRIPLE, "LINKER"), GCC).env("CARGO_INCREMENTAL", "0");
        command
    }

    fn wine(&self, program: &Path) -> Command {
        let mut command = Command::new(WINE);
        command.arg(program).current_dir(workspace::root().join("crates/core")).env("RUST_BACKTRACE", "0");
        command.env("WINEDEBUG", "-all").env("WINEPATH", &self.libraries);
        command.env("WINEPREFIX", &self.prefix);
        command
    }

    fn tests(&self) -> Result<usize> {
        let crates = ["test", "-p", "ferrimalloc-prim", "-p", "ferrimalloc-core", "--lib", "--no-run"];
        let mut command = self.cargo(&crates, "-Zbuild-std=std,panic_unwind,test");
        // The library and the tests must agree, or there are two of it.
        command.env("CARGO_PROFILE_DEV_PANIC", "unwind").env("CARGO_PROFILE_DEV_DEBUG", "0");
        let programs = two_programs(self.testbed, &mut command, self.log)?;
        let skipped: Vec<&str> = NOT_UNDER_WINE.iter().flat_map(|name| ["--skip", name]).collect();
        let run = |program: &PathBuf| {
            let program = workspace::root().join(program);
            Ok(passed(&self.testbed.said(self.wine(&program).args(&skipped), LIMIT, self.log)?))
        };
        programs.iter().map(run).sum()
    }

    /// A C program with the static library.
    fn c_interface(&self) -> Result<()> {
        let library = ["rustc", "-p", "ferrimalloc-library", "--crate-type", "staticlib"];
        let mut command = self.cargo(&library, "-Zbuild-std=core,alloc");
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        self.testbed.logged(&mut command, LIMIT, self.log)?;
        let library = self.toolchain.target().join(TRIPLE).join("debug/libferrimalloc.a");
        let include = workspace::root().join("include");
        let (library, include) = (library.display().to_string(), format!("-I{}", include.display()));
        let program = self.libraries.join("c_interface.exe");
        self.compile("c_interface.c", &program, &[&include, &library, "-ladvapi32"])?;
        self.testbed.logged(&mut self.wine(&program), LIMIT, self.log)?;
        Ok(())
    }

    /// The same jobs with both allocators; and with ours, giving back at once what is unused, whether threads leave anything.
    fn jobs(&self) -> Result<String> {
        let (ours, theirs) = (self.job("ours", "ours")?, self.job("std", "")?);
        let lines = [self.run(&ours, "10")?, self.run(&theirs, "10")?];
        check_left(&self.run(&ours, "0")?)?;
        compare(&lines, "HeapAlloc")
    }

    fn job(&self, name: &str, features: &str) -> Result<PathBuf> {
        let mut command = self.cargo(&["build", "--release", "--features", features], "-Zbuild-std=std,panic_abort");
        self.testbed.logged(command.current_dir(workspace::programs().join("jobs")), LIMIT, self.log)?;
        let program = self.libraries.join(name).with_extension("exe");
        fs::copy(self.toolchain.target().join(TRIPLE).join("release/jobs.exe"), &program)?;
        Ok(program)
    }

    fn run(&self, program: &Path, purge_delay: &str) -> Result<String> {
        line(self.wine(program), purge_delay)
    }
}
