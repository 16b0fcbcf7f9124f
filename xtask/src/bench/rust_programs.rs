//! The same Rust program built with each allocator crate as its `#[global_allocator]` (`bench/rust-programs`).

use super::cases::{Case, Program};
use super::engines;
use crate::{process, workspace};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Engines that have a crate, by the name of the feature that chooses it.
const LINKED: [&str; 8] =
    ["glibc", engines::BASELINE, engines::OURS, "mimalloc2", "snmalloc", "rpmalloc", "jemalloc", "rusty_alloc"];
const PROGRAMS: [(&str, &str); 3] = [
    ("collections", "Vec, HashMap, BTreeMap and String, one thread"),
    ("graph", "Box and Rc nodes, built, rewired and dropped"),
    ("channels", "values boxed on one thread and dropped on another"),
];

pub fn cases(scale: f64) -> Vec<Case> {
    PROGRAMS.iter().map(|(name, about)| case(name, about, scale)).collect()
}

fn case(name: &str, about: &str, scale: f64) -> Case {
    let executables = LINKED.into_iter().map(|engine| (engine, executable(engine))).collect();
    let program = Program::Linked { executables, arguments: vec![name.to_owned(), scale.to_string()] };
    Case { name: format!("rust-{name}"), group: "rust".into(), source: about.into(), program }
}

fn target(engine: &str) -> PathBuf {
    workspace::root().join("target/bench-engines/rust-programs").join(engine)
}

fn executable(engine: &str) -> PathBuf {
    target(engine).join("release/rust-programs")
}

/// Builds one executable per engine; an engine whose crate doesn't build is dropped with a line.
pub fn build(executables: &mut BTreeMap<&'static str, PathBuf>) -> Result<()> {
    executables.retain(|engine, _| match build_one(engine) {
        Ok(()) => true,
        Err(error) => {
            println!("  Rust programs with {engine} left out: {error:#}");
            false
        }
    });
    Ok(())
}

fn build_one(engine: &str) -> Result<()> {
    let manifest = workspace::root().join("bench/rust-programs/Cargo.toml");
    let mut cargo = workspace::cargo(&["build", "--release", "--quiet", "--features", engine, "--manifest-path"]);
    process::read(cargo.arg(manifest).arg("--target-dir").arg(target(engine)))?;
    Ok(())
}
