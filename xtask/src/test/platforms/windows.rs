//! Windows on x86-64, by mingw's linker and wine: the tests of the crates that a port is about, and jobs beside the system's
//! allocator. What wine takes says little about Windows itself.

use super::jobs::{check_left, line, told};
use super::{Port, in_the_core, redirect, variable};
use crate::test::Verdict;
use crate::test::commands::passed;
use crate::workspace;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TRIPLE: &str = "x86_64-pc-windows-gnu";
pub const GCC: &str = "x86_64-w64-mingw32-gcc";
const WINE: &str = "/usr/lib/wine/wine64";

/// The first forges pages by the thousand and leaves an arena behind each, more than the mappings that a process may have: what is
/// committed is a mapping of its own under wine. The second asks nothing of the system, and takes minutes unoptimised. The third
/// takes memory that nobody has touched for memory that isn't there, which here it need not be. The others are about memory that
/// goes early, which it doesn't where what goes is closed for a moment (`docs/DESIGN.md`).
const NOT_UNDER_WINE: &[&str] = &[
    "a_page_is_mended_wherever_its_owner",
    "single_runs_of_all_places_and_lengths",
    "entries_of_an_arena_that_begins_at_any_slice_get_their_memory",
    "sparse::what_its_thread_has_freed_goes_at_once",
    "sparse::also_of_a_page_that_is_allocated_from_as_it_is_freed_to",
    "sparse::a_page_that_is_kept_because_it_was_empty_is_punched_when_it_falls_again",
    "sparse::what_another_thread_frees_goes_once_much_waits_for_the_owner",
];

pub fn row(port: &Port) -> Verdict {
    port.install(&[GCC, WINE])?;
    let windows = Windows { port, folder: port.bench.testbed.scratch("windows")? };
    // Rust's standard library has its randomness from it, and this wine lacks it.
    windows.compile("bcryptprimitives.c", "bcryptprimitives.dll", &["-shared", "-ladvapi32"])?;
    let tests = windows.tests()?;
    windows.c_interface()?;
    let redirected = redirect::check(&windows)?;
    let jobs = windows.jobs()?;
    Ok(format!("{tests} tests run (wine), and two C programs; {redirected}; {jobs}"))
}

pub struct Windows<'a> {
    pub port: &'a Port<'a>,
    /// Where wine looks for libraries, and where all that is built here is.
    pub folder: PathBuf,
}

impl Windows<'_> {
    /// One of the programs and libraries that lie in `windows`.
    pub fn compile(&self, source: &str, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let source = workspace::programs().join("windows").join(source);
        self.gcc(&[source], name, &[&["-O2"], arguments].concat())
    }

    pub fn gcc(&self, sources: &[PathBuf], name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let program = self.folder.join(name);
        self.port.bench.run(Command::new(GCC).args(sources).arg("-o").arg(&program).args(arguments))?;
        Ok(program)
    }

    /// With a "C:" of its own, which takes seconds to make, so it stays.
    pub fn wine(&self, program: &Path) -> Result<Command> {
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
