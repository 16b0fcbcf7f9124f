//! Programs built with AddressSanitizer, on the library as the feature `asan` makes it: each access to memory that is no block's
//! is reported where it happens; correct programs have no error.
//!
//! In a C program the sanitizer has `malloc` for itself, so the program calls `mi_malloc`. A Rust program has our allocator
//! as its `#[global_allocator]`, built with the sanitizer like the rest of it.

use super::sanitizers::{self, TARGET, nightly_cargo};
use crate::test::trials::{self, Reach, Trials};
use crate::test::{Testbed, Verdict, Workbench};
use crate::{install, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(900);

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
const QUICK_SIZES: &[&str] = &["20", "600000"];
const FULL_SIZES: &[&str] = &["20", "40", "5000", "100000", "600000", "4000000"];

pub fn check(testbed: &Testbed, reach: Reach) -> Verdict {
    let bench = testbed.workbench("asan-programs", LIMIT)?;
    let library = build_library(&bench)?;
    let sizes = if reach == Reach::Full { FULL_SIZES } else { QUICK_SIZES };
    // What the allocator reports itself is to be read, too: the program goes on.
    let env = vec![
        ("ASAN_OPTIONS", OPTIONS.into()),
        ("LD_LIBRARY_PATH", bench.folder.clone().into()),
        ("MIMALLOC_ABORT", "0".into()),
    ];
    let flags = [&FLAGS[..], &[&library]].concat();
    let trials = Trials { flags: &flags, env, ..Trials::new(&bench, reach) };
    let mut errors = 0;
    for bytes in sizes {
        errors += trials.all(&trials::of("asan")?, &[bytes])?;
    }
    let programs = trials.all(&trials::of("asan-correct")?, &[])?;
    let rust = rust_program(&trials, sizes)?;
    Ok(format!(
        "C: {errors} errors and clean runs are told as they must be, {programs} programs have none; Rust: {rust}"
    ))
}

/// The library with the feature, in a target folder of its own, and beside the programs.
fn build_library(bench: &Workbench) -> Result<String> {
    let target = workspace::target().join("asan-library");
    let mut command = workspace::cargo(&["build", "--release", "-p", "ferrimalloc-library", "--features", "asan"]);
    bench.run(command.env("CARGO_TARGET_DIR", &target))?;
    let library = bench.folder.join("libferrimalloc.so");
    fs::copy(target.join("release/libferrimalloc.so"), &library)?;
    symlink("libferrimalloc.so", bench.folder.join(install::SONAME))?;
    library.to_str().map(str::to_owned).context("a path that is not UTF-8")
}

fn rust_program(trials: &Trials, sizes: &[&str]) -> Verdict {
    if !sanitizers::is_nightly_there() {
        return Ok("NOT RUN: there is no nightly toolchain on this machine".into());
    }
    let target = workspace::target().join("asan-program");
    let mut command = nightly_cargo(&["build", "--locked", "--target", TARGET, "--manifest-path"]);
    command.arg(workspace::programs().join("asan/Cargo.toml"));
    trials.bench.run(command.env("RUSTFLAGS", sanitizers::ADDRESS).env("CARGO_TARGET_DIR", &target))?;
    let program = target.join(TARGET).join("debug/asan-errors");
    let mut acts = 0;
    for bytes in sizes {
        acts += trials.acts(&trials::of("asan-rust")?, &program, &[bytes])?;
    }
    Ok(format!("{acts} errors and clean runs"))
}
