//! `cargo xtask prove`: the long form of what shows that the allocator can be trusted. Hours, not minutes.
//!
//! Each stage has a quick form among those of `cargo xtask test`, but for the sanitizers and mutants, which only run here. The
//! closing table is the same.

pub mod asan;
mod cgroup;
pub mod fuzz;
mod models;
mod report;
mod sanitizers;
pub mod stress;
pub mod valgrind;

use crate::test::{self, Case, Verdict};
use anyhow::{Result, bail};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Only the stages of these names.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Print the names and what they stand for, and do nothing.
    #[arg(long)]
    list: bool,
    /// How long each fuzz target runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    fuzz_seconds: u64,
}

/// How long a stage may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Part of every run of the tests.
    Quick,
    /// As long as it needs.
    Full,
}

/// Seeds of the fault schedules: each gives other addresses and another clock.
const SEEDS: u64 = 10;

fn cases(fuzz_seconds: u64) -> Vec<Case> {
    let case = |name, what: &str, run: fn(&test::Testbed) -> Verdict| Case::new(name, what, Box::new(run));
    vec![
        case("loom", "models of the protocols", models::loom),
        case("mutants", "mistakes that the models must catch", models::mutants),
        case("faults", "every fault schedule, at other addresses and times", |testbed| models::faults(testbed, SEEDS)),
        case("model", "random operations against the shadow, 20 times as many", models::long_model),
        case("tsan", "ThreadSanitizer over the core's stress and model tests", sanitizers::thread),
        case("asan", "AddressSanitizer over the same", sanitizers::address),
        case("asan-programs", "AddressSanitizer over programs with one error each, and over correct ones", |testbed| {
            asan::check(testbed, Reach::Full)
        }),
        case("valgrind", "memcheck over programs with one error each, and over correct ones", |testbed| {
            valgrind::check(testbed, Reach::Full)
        }),
        case("stress", "threads, forks, ends, libraries, shortages", |testbed| stress::check(testbed, Reach::Full)),
        Case::new("fuzz", "every fuzz target", Box::new(move |testbed| fuzz::check(testbed, fuzz_seconds))),
    ]
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let mut cases = cases(args.fuzz_seconds);
    cases.retain(|case| args.only.is_empty() || args.only.iter().any(|only| only == case.name()));
    if cases.is_empty() {
        bail!("nothing is called {}; cargo xtask prove --list names everything", args.only.join(", "));
    }
    cases.insert(0, test::packages_case(&[]));
    test::run_cases(&cases, args.list)
}
