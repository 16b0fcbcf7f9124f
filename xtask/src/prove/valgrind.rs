//! Programs under valgrind's memcheck, preloaded with the library as the feature `valgrind` makes it: each error with memory
//! is reported, with where its block was allocated and freed; correct programs have no error and no leak.
//!
//! Memcheck's own `malloc` stays out of it: it is told that the library with the allocator is called so that none is.

use crate::test::trials::{self, Reach, Trials};
use crate::test::{Testbed, Verdict};
use crate::workspace;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);

const MEMCHECK: [&str; 6] = [
    "valgrind",
    "--tool=memcheck",
    "--quiet",
    "--leak-check=full",
    "--num-callers=40",
    "--soname-synonyms=somalloc=nouserintercepts",
];

/// Small, medium, large, and with pages of their own. Bytes.
const QUICK_SIZES: &[&str] = &["40"];
const FULL_SIZES: &[&str] = &["20", "40", "5000", "100000", "600000", "4000000"];

pub fn check(testbed: &Testbed, reach: Reach) -> Verdict {
    let bench = testbed.workbench("valgrind", LIMIT)?;
    let target = workspace::target().join("valgrind");
    let mut build = workspace::cargo(&["build", "--release", "-p", "ferrimalloc-library", "--features", "valgrind"]);
    bench.run(build.env("CARGO_TARGET_DIR", &target))?;
    let env = vec![("LD_PRELOAD", target.join("release/libferrimalloc.so").into())];
    let trials = Trials { flags: &["-ldl"], tool: &MEMCHECK, env, ..Trials::new(&bench, reach) };
    let mut acts = 0;
    for bytes in if reach == Reach::Full { FULL_SIZES } else { QUICK_SIZES } {
        acts += trials.all(&trials::of("valgrind")?, &[bytes])?;
    }
    let programs = trials.all(&trials::of("valgrind-correct")?, &[])?;
    if reach == Reach::Full {
        // The core's own tests, with all that tools are told.
        bench.cargo(&["test", "-p", "ferrimalloc-core", "--lib", "--features", "valgrind,asan"])?;
    }
    Ok(format!("{acts} errors and clean runs are told as they must be, {programs} programs have none"))
}
