//! The project's chores: `cargo xtask run`, `cargo xtask test`, …
//!
//! One subcommand is one module with an `Args` and an `execute`; this file only names them.

mod attacks;
mod bench;
mod ctests;
mod install;
mod mutants;
mod prove;
mod run;
mod sizes;
mod test;

mod matrix;
mod package;
mod packages;
mod pages;
mod process;
mod show;
mod tables;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the ferrimalloc project", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the catalogue of attacks under other allocators, too: docs/ATTACKS.md.
    Attacks(attacks::Args),
    /// Measure every workload on every engine.
    Bench(bench::Args),
    /// Compare the C interface with mimalloc's own library, by programs compiled against its headers.
    Ctests(ctests::Args),
    /// Install the libraries, headers, pkg-config and CMake files below a folder.
    Install(install::Args),
    /// Make mistakes in the core's protocols, one at a time, and see whether their models catch them.
    Mutants(mutants::Args),
    /// Make packages for Debian, Python and node.
    Package(package::Args),
    /// Run the long proofs: models, sanitizers, fuzzing, faults, forks, stress.
    Prove(prove::Args),
    /// Run a program with ferrimalloc preloaded, or compare one with and without it.
    Run(run::Args),
    /// How much the size classes waste in real programs, and what others would: docs/SIZE_CLASSES.md.
    SizeClasses(sizes::Args),
    /// Install what the tests need and run all of them.
    Test(test::Args),
}

impl Task {
    fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Task::Attacks(args) => attacks::execute(args),
            Task::Bench(args) => bench::execute(args),
            Task::Ctests(args) => ctests::execute(args),
            Task::Install(args) => install::execute(args),
            Task::Mutants(args) => mutants::execute(args),
            Task::Package(args) => package::execute(args),
            Task::Prove(args) => prove::execute(args),
            Task::Run(args) => run::execute(args),
            Task::SizeClasses(args) => sizes::execute(args),
            Task::Test(args) => test::execute(args),
        }
    }
}

fn main() -> ExitCode {
    Cli::parse().task.execute().unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
