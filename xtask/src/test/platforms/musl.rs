//! musl on x86-64, natively: the tests of the crates that a port is about, C programs with the static library and with the
//! preloaded one, a Rust program whose C functions have the same heap, and jobs beside musl's own allocator (mallocng).
//!
//! Rust's own releases bring musl with them (`self-contained`). Debian's parts take its place here.

use super::jobs::{check_left, line, told};
use super::{Port, in_the_core, variable};
use crate::test::Verdict;
use crate::test::commands::passed;
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const TRIPLE: &str = "x86_64-unknown-linux-musl";
const GCC: &str = "musl-gcc";

const FOLDER_OF_MUSL: &str = "/usr/lib/x86_64-linux-musl";
const PARTS_OF_MUSL: &[&str] = &["crt1.o", "rcrt1.o", "crti.o", "crtn.o", "libc.a"];
const PARTS_OF_GCC: &[&str] = &["crtbegin.o", "crtbeginS.o", "crtend.o", "crtendS.o"];

pub fn row(port: &Port) -> Verdict {
    port.install(&[GCC])?;
    gather_parts(port)?;
    let tests = tests(port)?;
    let programs = c_programs(port)?;
    let jobs = rust_programs(port)?;
    Ok(format!("{tests} tests run (natively), and {programs} C programs; {jobs}"))
}

/// Puts the parts that a static program is linked with where the compiler looks for them.
fn gather_parts(port: &Port) -> Result<()> {
    let parts = port.toolchain.self_contained(TRIPLE);
    fs::create_dir_all(&parts)?;
    let copy = |from: &Path, name: &str| {
        fs::copy(from, parts.join(name)).with_context(|| from.display().to_string()).map(drop)
    };
    PARTS_OF_MUSL.iter().try_for_each(|name| copy(&Path::new(FOLDER_OF_MUSL).join(name), name))?;
    PARTS_OF_GCC.iter().try_for_each(|name| copy(&place_of(name)?, name))?;
    copy(&place_of("libgcc_eh.a")?, "libunwind.a")?;
    let object = parts.join("dl_find_object.o");
    let source = workspace::programs().join("musl/dl_find_object.c");
    process::read(Command::new(GCC).args(["-O2", "-c", "-o"]).arg(&object).arg(source))?;
    process::read(Command::new("ar").arg("r").arg(parts.join("libunwind.a")).arg(object)).map(drop)
}

/// Where gcc finds a part of a program.
fn place_of(name: &str) -> Result<PathBuf> {
    Ok(process::read(Command::new("gcc").arg(format!("-print-file-name={name}")))?.trim().into())
}

fn tests(port: &Port) -> Result<usize> {
    let mut command = port.cargo_with_std(&["test", "--target", TRIPLE], "std,panic_unwind,test")?;
    command.arg("-Zbuild-std-features=panic-unwind").env("CARGO_PROFILE_DEV_PANIC", "unwind");
    let programs = port.test_programs(&mut command)?;
    programs.iter().map(|program| Ok(passed(&port.bench.run(in_the_core(&mut Command::new(program)))?))).sum()
}

fn c_programs(port: &Port) -> Result<usize> {
    let archive = port.library(TRIPLE, "staticlib", |_| ())?;
    let linked = port.c_programs("musl-static", GCC, &["-static", &archive], &[], vec![])?;
    let library = port.library(TRIPLE, "cdylib", |command| {
        command.env(variable(TRIPLE, "LINKER"), GCC);
        command.env(variable(TRIPLE, "RUSTFLAGS"), "-Ctarget-feature=-crt-static");
    })?;
    Ok(linked + port.c_programs("musl-preloaded", GCC, &[], &[], vec![("LD_PRELOAD", library.into())])?)
}

/// The C library's functions in our heap; and the jobs with both allocators. What threads leave is looked at where
/// ours gives back at once what is unused.
fn rust_programs(port: &Port) -> Verdict {
    let theirs = line(Command::new(port.jobs(TRIPLE, "")?.join("jobs")), "10")?;
    let ours = port.jobs(TRIPLE, "override")?;
    port.bench.run(&mut Command::new(ours.join("one-heap")))?;
    check_left(&line(Command::new(ours.join("jobs")), "0")?)?;
    told(&line(Command::new(ours.join("jobs")), "10")?, &theirs, "mallocng")
}
