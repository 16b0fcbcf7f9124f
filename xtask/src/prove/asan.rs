//! Programs built with AddressSanitizer, on the library as the feature `asan` makes it: each access to memory that is no block's
//! is reported where it happens; correct programs have no error.
//!
//! In a C program the sanitizer has `malloc` for itself, so the program calls `mi_malloc`. A Rust program has our allocator
//! as its `#[global_allocator]`, built with the sanitizer like the rest of it.

use super::Reach;
use super::report::judge;
use super::sanitizers::{self, TARGET, nightly_cargo};
use crate::test::{Testbed, Verdict, compile};
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const BUILD_LIMIT: Duration = Duration::from_secs(900);

const SONAME: &str = "libferrimalloc.so.0";

/// What a program is compiled with besides the library.
const FLAGS: [&str; 8] = [
    "-fsanitize=address",
    "-Dmalloc=mi_malloc",
    "-Dfree=mi_free",
    "-Drealloc=mi_realloc",
    "-Dcalloc=mi_calloc",
    "-Daligned_alloc=mi_aligned_alloc",
    "-Dposix_memalign=mi_posix_memalign",
    "-ldl",
];

/// The sanitizer's leak check knows its own blocks only. That a report ends the program is expected.
const OPTIONS: &str = "detect_leaks=0:exitcode=0";

/// Small, medium, large, and with pages of their own. Bytes.
const QUICK_SIZES: [usize; 2] = [20, 600_000];
const FULL_SIZES: [usize; 6] = [20, 40, 5_000, 100_000, 600_000, 4_000_000];

/// An act of a program, and words that the report has in this order; without any, there must be no report.
type Act = (&'static str, &'static [&'static str]);

/// Those of `valgrind/errors.c`. A wrong free is the allocator's to report.
const C_ACTS: &[Act] = &[
    ("clean", &[]),
    ("clean-heaps", &[]),
    ("use-after-free", &["use-after-poison", "READ of size 1", "use_after_free"]),
    ("write-after-free", &["use-after-poison", "WRITE of size 1", "write_after_free"]),
    ("use-after-realloc", &["use-after-poison", "READ of size 1", "use_after_realloc"]),
    ("use-after-destroy", &["use-after-poison", "READ of size 1", "use_after_destroy"]),
    ("overrun", &["use-after-poison", "WRITE of size 1", "overrun"]),
    ("overrun-after-realloc", &["use-after-poison", "WRITE of size 1", "overrun_after_realloc"]),
    ("underrun", &["use-after-poison", "READ of size 1", "underrun"]),
    ("double-free", &["ferrimalloc: error", "free"]),
    ("wild-free", &["ferrimalloc: error", "not a block"]),
];

/// Those of `asan/src/main.rs`.
const RUST_ACTS: &[Act] = &[
    ("clean", &[]),
    ("use-after-drop", &["use-after-poison", "READ of size 1", "use_after_drop"]),
    ("use-after-growth", &["use-after-poison", "READ of size 1", "use_after_growth"]),
    ("use-after-drop-elsewhere", &["use-after-poison", "READ of size 1", "use_after_drop_elsewhere"]),
    ("overrun", &["use-after-poison", "READ of size 1", "overrun"]),
];

/// Programs of other stages that have no error. Forks beside no thread: gcc's own sanitizer leaves its allocator's locks to
/// the child as it finds them (seen in gdb: the child waits in `SizeClassAllocator64::GetFromAllocator`).
const CORRECT: &[(&str, &[&str])] = &[("stress/threads.c", &["400", "8"]), ("stress/forks.c", &["10", "0"])];

struct Bench<'a> {
    testbed: &'a Testbed,
    folder: PathBuf,
    compiled: PathBuf,
    log: PathBuf,
    sizes: &'static [usize],
}

pub fn check(testbed: &Testbed, reach: Reach) -> Verdict {
    let (folder, compiled, log) = (testbed.scratch("asan")?, testbed.log("asan-build")?, testbed.log("asan-programs")?);
    let sizes: &[usize] = if reach == Reach::Full { &FULL_SIZES } else { &QUICK_SIZES };
    let bench = Bench { testbed, folder, compiled, log, sizes };
    let (errors, programs) = (bench.c_programs()?, CORRECT.len());
    let rust = bench.rust_program()?;
    Ok(format!(
        "C: {errors} errors and clean runs are told as they must be, {programs} programs have none; Rust: {rust}"
    ))
}

impl Bench<'_> {
    fn c_programs(&self) -> Result<usize> {
        self.build_library()?;
        let errors = self.acts(&self.compile("valgrind/errors.c")?, C_ACTS)?;
        for (source, arguments) in CORRECT {
            let report = self.report(&self.compile(source)?, arguments)?;
            judge(&report, &[]).map_err(|unexpected| anyhow::anyhow!("{source}: {unexpected} in\n{report}"))?;
        }
        Ok(errors)
    }

    /// The library with the feature, in a target folder of its own, and beside the programs.
    fn build_library(&self) -> Result<()> {
        let target = workspace::target().join("asan-library");
        let mut command = workspace::cargo(&["build", "--release", "-p", "ferrimalloc-library", "--features", "asan"]);
        self.testbed.logged(command.env("CARGO_TARGET_DIR", &target), BUILD_LIMIT, &self.compiled)?;
        fs::copy(target.join("release/libferrimalloc.so"), self.folder.join("libferrimalloc.so"))?;
        Ok(symlink("libferrimalloc.so", self.folder.join(SONAME))?)
    }

    fn rust_program(&self) -> Verdict {
        if !sanitizers::is_nightly_there() {
            return Ok("NOT RUN: there is no nightly toolchain on this machine".into());
        }
        let target = workspace::target().join("asan-program");
        let manifest = workspace::programs().join("asan/Cargo.toml");
        let mut command = nightly_cargo(&["build", "--locked", "--target", TARGET, "--manifest-path"]);
        command.arg(manifest).env("RUSTFLAGS", sanitizers::ADDRESS).env("CARGO_TARGET_DIR", &target);
        self.testbed.logged(&mut command, BUILD_LIMIT, &self.compiled)?;
        let acts = self.acts(&target.join(TARGET).join("debug/asan-errors"), RUST_ACTS)?;
        Ok(format!("{acts} errors and clean runs"))
    }

    fn acts(&self, program: &Path, acts: &[Act]) -> Result<usize> {
        for bytes in self.sizes {
            for (act, words) in acts {
                let report = self.report(program, &[act, &bytes.to_string()])?;
                if let Err(missing) = judge(&report, words) {
                    bail!("{act} of {bytes} bytes: {missing} in\n{report}");
                }
            }
        }
        Ok(acts.len() * self.sizes.len())
    }

    fn compile(&self, source: &str) -> Result<PathBuf> {
        let library = self.folder.join("libferrimalloc.so");
        let library = library.to_str().context("a path that is not UTF-8")?;
        compile(self.testbed, source, &self.folder, &[&FLAGS[..], &[library]].concat(), &self.compiled)
    }

    /// What is said of a program that ends well.
    fn report(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        fs::write(&self.log, "")?;
        let mut command = Command::new(program);
        command.args(arguments).env("ASAN_OPTIONS", OPTIONS).env("LD_LIBRARY_PATH", &self.folder);
        // What the allocator reports itself is to be read, too: the program goes on.
        command.env("MIMALLOC_ABORT", "0");
        self.testbed.logged(&mut command, LIMIT, &self.log)?;
        Ok(fs::read_to_string(&self.log)?)
    }
}
