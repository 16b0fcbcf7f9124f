//! Programs under valgrind's memcheck, preloaded with the library as the feature `valgrind` makes it: each error with memory
//! is reported, with where its block was allocated and freed; correct programs have no error and no leak.
//!
//! Memcheck's own `malloc` stays out of it: it is told that the library with the allocator is called so that none is.

use super::Reach;
use super::report::judge;
use crate::test::{Testbed, Verdict, compile};
use crate::workspace;
use anyhow::{Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const BUILD_LIMIT: Duration = Duration::from_secs(900);

const MEMCHECK: [&str; 4] = ["--tool=memcheck", "--quiet", "--leak-check=full", "--num-callers=40"];
const OWN_MALLOC: &str = "--soname-synonyms=somalloc=nouserintercepts";

/// Small, medium, large, and with pages of their own. Bytes.
const QUICK_SIZES: [usize; 1] = [40];
const FULL_SIZES: [usize; 6] = [20, 40, 5_000, 100_000, 600_000, 4_000_000];

/// Acts of `valgrind/errors.c`, and words that the report has in this order; without any, there must be no report.
const ACTS: &[(&str, &[&str])] = &[
    ("clean", &[]),
    ("clean-heaps", &[]),
    ("use-after-free", &["Invalid read", "use_after_free", "free'd", "free_it", "alloc'd", "allocate_it"]),
    ("write-after-free", &["Invalid write", "write_after_free", "free'd", "free_it", "alloc'd", "allocate_it"]),
    ("use-after-realloc", &["Invalid read", "use_after_realloc", "free'd", "resize_it", "alloc'd", "allocate_it"]),
    ("use-after-destroy", &["Invalid read", "use_after_destroy", "free'd", "end_heap", "alloc'd", "end_heap"]),
    ("overrun", &["Invalid write", "overrun", "0 bytes after a block", "alloc'd", "allocate_it"]),
    ("overrun-after-realloc", &["Invalid write", "overrun", "0 bytes after a block", "alloc'd", "resize_it"]),
    // Its neighbour may be named: blocks lie in random order.
    ("underrun", &["Invalid read", "underrun", "a block of size", "alloc'd", "allocate_it"]),
    ("uninitialised", &["uninitialised value", "uninitialised"]),
    ("double-free", &["Invalid free()", "double_free", "free'd", "free_it", "alloc'd", "allocate_it"]),
    ("wild-free", &["Invalid free()", "wild_free", "16 bytes inside a block", "allocate_it"]),
    ("leak", &["in 5 blocks are definitely lost", "allocate_it", "leak_some"]),
];

/// Programs of other stages that have no error.
const CORRECT: &[(&str, &[&str])] =
    &[("c/good_sizes.c", &[]), ("c/extras.c", &[]), ("stress/threads.c", &["400", "8"])];

/// What all programs need.
struct Bench<'a> {
    testbed: &'a Testbed,
    folder: PathBuf,
    library: PathBuf,
    compiled: PathBuf,
    log: PathBuf,
}

pub fn check(testbed: &Testbed, reach: Reach) -> Verdict {
    let compiled = testbed.log("valgrind-build")?;
    let library = build(testbed, &compiled)?;
    let folder = testbed.scratch("valgrind")?;
    let bench = Bench { testbed, folder, library, compiled, log: testbed.log("valgrind")? };
    let acts = bench.acts(if reach == Reach::Full { &FULL_SIZES } else { &QUICK_SIZES })?;
    let programs = bench.correct_programs()?;
    if reach == Reach::Full {
        unit_tests(testbed)?;
    }
    Ok(format!("{acts} errors and clean runs are told as they must be, {programs} programs have none"))
}

/// The library with the feature, in a target folder of its own.
fn build(testbed: &Testbed, log: &Path) -> Result<PathBuf> {
    let target = workspace::target().join("valgrind");
    let mut command = workspace::cargo(&["build", "--release", "-p", "ferrimalloc-library", "--features", "valgrind"]);
    testbed.logged(command.env("CARGO_TARGET_DIR", &target), BUILD_LIMIT, log)?;
    Ok(target.join("release/libferrimalloc.so"))
}

/// The core's, with all that tools are told.
fn unit_tests(testbed: &Testbed) -> Result<()> {
    let mut command = workspace::cargo(&["test", "-p", "ferrimalloc-core", "--lib", "--features", "valgrind,asan"]);
    testbed.logged(&mut command, BUILD_LIMIT, &testbed.log("valgrind-unit")?).map(drop)
}

impl Bench<'_> {
    fn acts(&self, sizes: &[usize]) -> Result<usize> {
        let program = self.compile("valgrind/errors.c")?;
        for bytes in sizes {
            for (act, words) in ACTS {
                let report = self.memcheck(&program, &[act, &bytes.to_string()])?;
                if let Err(missing) = judge(&report, words) {
                    bail!("{act} of {bytes} bytes: {missing} in\n{report}");
                }
            }
        }
        Ok(ACTS.len() * sizes.len())
    }

    fn correct_programs(&self) -> Result<usize> {
        for (source, arguments) in CORRECT {
            let report = self.memcheck(&self.compile(source)?, arguments)?;
            if let Err(unexpected) = judge(&report, &[]) {
                bail!("{source}: {unexpected} in\n{report}");
            }
        }
        Ok(CORRECT.len())
    }

    fn compile(&self, source: &str) -> Result<PathBuf> {
        compile(self.testbed, source, &self.folder, &["-ldl"], &self.compiled)
    }

    /// What memcheck says of a program that ends well.
    fn memcheck(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        fs::write(&self.log, "")?;
        let mut command = Command::new("valgrind");
        command.args(MEMCHECK).arg(OWN_MALLOC).arg(program).args(arguments).env("LD_PRELOAD", &self.library);
        self.testbed.logged(&mut command, LIMIT, &self.log)?;
        Ok(fs::read_to_string(&self.log)?)
    }
}
