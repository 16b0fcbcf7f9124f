//! musl on x86-64, natively: the tests of the crates that a port is about, C programs with the static library and with the
//! preloaded one, a Rust program whose C functions have the same heap, and jobs beside musl's own allocator (mallocng).
//!
//! Rust's own releases bring musl with them (`self-contained`). Debian's parts take its place here.

use super::jobs::{check_left, compare, line};
use super::{LIMIT, Row, installed, two_programs, variable, with_own_std, without_source};
use crate::test::Testbed;
use crate::test::cargo_stages::passed;
use crate::test::foreign_toolchain::Toolchain;
use crate::test::toolchain::compile_by;
use crate::workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TRIPLE: &str = "x86_64-unknown-linux-musl";
const GCC: &str = "musl-gcc";
const NEEDS: &[&str] = &[GCC];

const FOLDER_OF_MUSL: &str = "/usr/lib/x86_64-linux-musl";
const PARTS_OF_MUSL: &[&str] = &["crt1.o", "rcrt1.o", "crti.o", "crtn.o", "libc.a"];
const PARTS_OF_GCC: &[&str] = &["crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o"];

/// Below `xtask/programs`, with arguments.
const STATIC: &[&[&str]] = &[
    &["c/bad_free.c"],
    &["c/smash.c"],
    &["c/bad_sizes.c"],
    &["c/good_sizes.c"],
    &["c/atfork.c"],
    &["c/thread_ends.c"],
    &["c/oom_later.c"],
    &["musl/lean.c"],
    &["stress/threads.c", "400", "8"],
    &["stress/forks.c", "20", "4"],
    &["stress/ends.c"],
];
const PRELOADED: &[&[&str]] = &[
    &["c/bad_free.c"],
    &["c/good_sizes.c"],
    &["c/atfork.c"],
    &["c/thread_ends.c"],
    &["c/limit.c"],
    &["musl/lean.c"],
    &["stress/threads.c", "400", "8"],
    &["stress/ends.c"],
];

pub fn row(testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
    if let Some(why) = installed(NEEDS, log) {
        return Ok(Row::NotToBeHad(why));
    }
    if let Some(row) = without_source(toolchain, log) {
        return Ok(row);
    }
    let musl = Musl { testbed, toolchain, log };
    musl.gather_parts()?;
    let tests = musl.tests()?;
    musl.c_programs()?;
    let jobs = musl.rust_programs()?;
    let programs = STATIC.len() + PRELOADED.len();
    Ok(Row::Done(format!("{tests} tests run (natively), and {programs} C programs; {jobs}")))
}

struct Musl<'a> {
    testbed: &'a Testbed,
    toolchain: &'a Toolchain,
    log: &'a Path,
}

impl Musl<'_> {
    /// Puts the parts that a static program is linked with where the compiler looks for them.
    fn gather_parts(&self) -> Result<()> {
        let parts = self.toolchain.self_contained(TRIPLE);
        fs::create_dir_all(&parts)?;
        let copy = |from: &Path, name: &str| {
            fs::copy(from, parts.join(name)).with_context(|| from.display().to_string()).map(drop)
        };
        PARTS_OF_MUSL.iter().try_for_each(|name| copy(&Path::new(FOLDER_OF_MUSL).join(name), name))?;
        PARTS_OF_GCC.iter().try_for_each(|name| copy(&place_of(name)?, name))?;
        copy(&place_of("libgcc_eh.a")?, "libunwind.a")?;
        let object = parts.join("dl_find_object.o");
        let source = workspace::programs().join("musl/dl_find_object.c");
        self.run(Command::new(GCC).args(["-O2", "-c", "-o"]).arg(&object).arg(source))?;
        self.run(Command::new("ar").arg("r").arg(parts.join("libunwind.a")).arg(object))
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        self.testbed.logged(command, LIMIT, self.log).map(drop)
    }

    fn cargo(&self, arguments: &[&str], std: &str) -> Command {
        let mut command = with_own_std(arguments, self.toolchain);
        command.args(["--target", TRIPLE, std]).env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    }

    fn tests(&self) -> Result<usize> {
        let crates = ["test", "-p", "ferrimalloc-prim", "-p", "ferrimalloc-core", "--lib", "--no-run"];
        let mut command = self.cargo(&crates, "-Zbuild-std=std,panic_unwind,test");
        command.args(["-Zbuild-std-features=panic-unwind"]).env("CARGO_PROFILE_DEV_PANIC", "unwind");
        let programs = two_programs(self.testbed, &mut command, self.log)?;
        let run = |program: &PathBuf| {
            let mut command = Command::new(workspace::root().join(program));
            command.current_dir(workspace::root().join("crates/core")).env("RUST_BACKTRACE", "0");
            Ok(passed(&self.testbed.said(&mut command, LIMIT, self.log)?))
        };
        programs.iter().map(run).sum()
    }

    fn c_programs(&self) -> Result<()> {
        let archive = self.library("staticlib", "libferrimalloc.a")?;
        for program in STATIC {
            self.c_program(program, "musl-static", &["-static", &archive], None)?;
        }
        let library = self.library("cdylib", "libferrimalloc.so")?;
        for program in PRELOADED {
            self.c_program(program, "musl-preloaded", &[], Some(&library))?;
        }
        Ok(())
    }

    fn library(&self, kind: &str, name: &str) -> Result<String> {
        let library = ["rustc", "-p", "ferrimalloc-library", "--crate-type", kind];
        let mut command = self.cargo(&library, "-Zbuild-std=core,alloc");
        // Which stop at the misuse that some of the programs are about.
        command.env("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false");
        if kind == "cdylib" {
            command.env(variable(TRIPLE, "LINKER"), GCC);
            command.env(variable(TRIPLE, "RUSTFLAGS"), "-Ctarget-feature=-crt-static");
        }
        self.run(&mut command)?;
        let path = std::path::absolute(self.toolchain.target().join(TRIPLE).join("debug").join(name))?;
        Ok(path.display().to_string())
    }

    fn c_program(&self, program: &[&str], folder: &str, more: &[&str], preload: Option<&str>) -> Result<()> {
        let (source, arguments) = program.split_first().context("a program has a source")?;
        let folder = self.testbed.scratch(folder)?;
        let include = format!("-I{}", workspace::root().join("include").display());
        let more = [&[include.as_str()], more].concat();
        let path = compile_by(GCC, self.testbed, source, &folder, &more, self.log)?;
        let mut command = Command::new(path);
        let command = command.args(arguments).envs(preload.map(|library| ("LD_PRELOAD", library)));
        self.run(command).with_context(|| format!("{source} in {}", folder.display()))
    }

    /// The C library's functions in our heap; and the jobs with both allocators. What threads leave is looked at where
    /// ours gives back at once what is unused.
    fn rust_programs(&self) -> Result<String> {
        let theirs = self.built("")?;
        let line_of_theirs = line(Command::new(theirs.join("jobs")), "10")?;
        let ours = self.built("override")?;
        self.run(&mut Command::new(ours.join("one-heap")))?;
        check_left(&line(Command::new(ours.join("jobs")), "0")?)?;
        compare(&[line(Command::new(ours.join("jobs")), "10")?, line_of_theirs], "mallocng")
    }

    /// The folder of the programs, until they are built again.
    fn built(&self, features: &str) -> Result<PathBuf> {
        let mut command = self.cargo(&["build", "--release", "--features", features], "-Zbuild-std=std,panic_abort");
        self.run(command.current_dir(workspace::programs().join("jobs")))?;
        Ok(self.toolchain.target().join(TRIPLE).join("release"))
    }
}

/// Where gcc finds a part of a program.
fn place_of(name: &str) -> Result<PathBuf> {
    let output = Command::new("gcc").arg(format!("-print-file-name={name}")).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}
