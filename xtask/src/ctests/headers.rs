//! Our headers, each by itself, in every standard of C and C++ and with every compiler that is there, warnings denied;
//! and the 190 prototypes against them and against the reference's.

use super::{Bench, Row, our_headers, run, tests};
use crate::packages;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const HEADERS: [&str; 6] = [
    "mimalloc.h",
    "mimalloc-profile.h",
    "mimalloc-stats.h",
    "mimalloc-qsbr.h",
    "mimalloc-override.h",
    "mimalloc-new-delete.h",
];
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];
const STRICT: [&str; 2] = ["-Wshadow", "-Wstrict-prototypes"];

struct Language {
    name: &'static str,
    compilers: &'static [&'static str],
    standards: &'static [&'static str],
    extension: &'static str,
}

const C: Language = Language {
    name: "C",
    compilers: &["gcc", "clang", "clang-14"],
    standards: &["c99", "c11", "c17", "c2x"],
    extension: "c",
};
const CXX: Language = Language {
    name: "C++",
    compilers: &["g++", "clang++", "clang++-14"],
    standards: &["c++11", "c++14", "c++17", "c++20", "c++2b"],
    extension: "cpp",
};

pub fn check(bench: &Bench) -> Vec<Row> {
    if !bench.wants("headers") {
        return Vec::new();
    }
    let languages = [C, CXX].into_iter().map(|language| language.check(bench));
    languages.chain([check_allocators(), check_prototypes(bench)]).collect()
}

/// The container allocators are templates: they have to be used to be checked.
fn check_allocators() -> Row {
    let source = tests().join("cxx.cpp");
    let outcome = CXX.standards.iter().try_for_each(|standard| {
        compiles("g++", standard, &our_headers(), &source).with_context(|| format!("as {standard}"))
    });
    let cells = vec!["g++".into(), CXX.standards.join(" ")];
    Row::new("allocators in C++", cells, outcome)
}

impl Language {
    fn check(&self, bench: &Bench) -> Row {
        let compilers: Vec<&str> = self.compilers.iter().copied().filter(|name| packages::is_there(name)).collect();
        let cells = vec![compilers.join(" "), self.standards.join(" ")];
        let outcome = compilers.iter().try_for_each(|compiler| self.check_with(compiler, bench));
        Row::new(format!("headers in {}", self.name), cells, outcome)
    }

    fn check_with(&self, compiler: &str, bench: &Bench) -> Result<()> {
        for header in HEADERS {
            let source = bench.scratch.path().join(format!("header.{}", self.extension));
            fs::write(&source, format!("#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n"))?;
            for standard in self.standards {
                let outcome = compiles(compiler, standard, &our_headers(), &source);
                outcome.with_context(|| format!("{header} with {compiler} as {standard}"))?;
            }
        }
        Ok(())
    }
}

fn check_prototypes(bench: &Bench) -> Row {
    let source = tests().join("prototypes.c");
    let against =
        |headers: &Path| C.standards.iter().try_for_each(|standard| compiles("gcc", standard, headers, &source));
    let ours = against(&our_headers()).context("against our headers");
    let outcome = ours.and_then(|()| against(&bench.reference_headers()).context("against the reference's headers"));
    Row::new("prototypes", vec!["gcc".into(), "both".into()], outcome)
}

fn compiles(compiler: &str, standard: &str, headers: &Path, source: &Path) -> Result<()> {
    let mut command = Command::new(compiler);
    let strict = if standard.starts_with("c++") { &STRICT[..1] } else { &STRICT[..] };
    command
        .arg(format!("-std={standard}"))
        .args(WARNINGS)
        .args(strict)
        .arg("-fsyntax-only")
        .arg("-I")
        .arg(tests())
        .arg("-I");
    run(command.arg(headers).arg(source), LIMIT)
}
