//! Windows on x86-64, by mingw's linker and wine: the tests of the crates that a port is about, and jobs beside the system's
//! allocator. What wine takes says little about Windows itself.

use super::jobs::{check_left, line, told};
use super::{Port, in_the_core, variable};
use crate::test::Verdict;
use crate::test::commands::passed;
use crate::workspace;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TRIPLE: &str = "x86_64-pc-windows-gnu";
const GCC: &str = "x86_64-w64-mingw32-gcc";
const WINE: &str = "/usr/lib/wine/wine64";

/// Forge pages by the thousand and leave an arena behind each, more than the mappings that a process may have: what is
/// committed is a mapping of its own under wine. The last asks nothing of the system, and takes minutes unoptimised.
const NOT_UNDER_WINE: &[&str] = &["a_page_is_mended_wherever_its_owner", "single_runs_of_all_places_and_lengths"];

pub fn row(port: &Port) -> Verdict {
    port.install(&[GCC, WINE])?;
    let windows = Windows { port, folder: port.bench.testbed.scratch("windows")? };
    // Rust's standard library has its randomness from it, and this wine lacks it.
    windows.compile("bcryptprimitives.c", "bcryptprimitives.dll", &["-shared", "-ladvapi32"])?;
    let tests = windows.tests()?;
    windows.c_interface()?;
    let jobs = windows.jobs()?;
    Ok(format!("{tests} tests run (wine), and a C program; {jobs}"))
}

struct Windows<'a> {
    port: &'a Port<'a>,
    /// Where wine looks for libraries.
    folder: PathBuf,
}

impl Windows<'_> {
    fn compile(&self, source: &str, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let program = self.folder.join(name);
        let mut command = Command::new(GCC);
        command.arg("-O2").arg(workspace::programs().join("windows").join(source));
        self.port.bench.run(command.arg("-o").arg(&program).args(arguments))?;
        Ok(program)
    }

    /// With a "C:" of its own, which takes seconds to make, so it stays.
    fn wine(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(WINE);
        in_the_core(command.arg(program)).env("WINEDEBUG", "-all").env("WINEPATH", &self.folder);
        command.env("WINEPREFIX", std::path::absolute(workspace::target().join("platforms/wine"))?);
        Ok(command)
    }

    fn tests(&self) -> Result<usize> {
        let mut command = self.port.cargo_with_std(&["test", "--target", TRIPLE], "std,panic_unwind,test")?;
        command.arg("-Zbuild-std-features=panic-unwind").env(variable(TRIPLE, "LINKER"), GCC);
        // The library and the tests must agree, or there are two of it.
        let programs = self.port.test_programs(command.env("CARGO_PROFILE_DEV_PANIC", "unwind"))?;
        let skipped: Vec<&str> = NOT_UNDER_WINE.iter().flat_map(|name| ["--skip", name]).collect();
        let run = |program: &PathBuf| Ok(passed(&self.port.bench.run(self.wine(program)?.args(&skipped))?));
        programs.iter().map(run).sum()
    }

    /// A C program with the static library.
    fn c_interface(&self) -> Result<String> {
        let library = ["rustc", "-p", "ferrimalloc-library", "--crate-type", "staticlib", "--target", TRIPLE];
        self.port.bench.run(&mut self.port.cargo_with_std(&library, "core,alloc")?)?;
        let library = self.port.toolchain.target().join(TRIPLE).join("debug/libferrimalloc.a");
        let include = workspace::root().join("include");
        let (library, include) = (library.display().to_string(), format!("-I{}", include.display()));
        let program = self.compile("c_interface.c", "c_interface.exe", &[&include, &library, "-ladvapi32"])?;
        self.port.bench.run(&mut self.wine(&program)?)
    }

    /// The same jobs with both allocators; and with ours, giving back at once what is unused, whether threads leave anything.
    fn jobs(&self) -> Verdict {
        let (ours, theirs) = (self.job("ours", "ours")?, self.job("std", "")?);
        check_left(&line(self.wine(&ours)?, "0")?)?;
        told(&line(self.wine(&ours)?, "10")?, &line(self.wine(&theirs)?, "10")?, "HeapAlloc")
    }

    fn job(&self, name: &str, features: &str) -> Result<PathBuf> {
        let program = self.folder.join(name).with_extension("exe");
        fs::copy(self.port.jobs(TRIPLE, features)?.join("jobs.exe"), &program)?;
        Ok(program)
    }
}
