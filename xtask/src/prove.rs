//! `cargo xtask prove`: the long form of what shows that the allocator can be trusted. Hours, not minutes.
//!
//! Each stage has a quick form among those of `cargo xtask test`, but for the sanitizers and mutants, which only run here. The
//! closing table is the same.

pub mod asan;
mod cgroup;
pub mod fuzz;
mod sanitizers;
pub mod stress;
pub mod valgrind;

use crate::test::trials::Reach;
use crate::test::{self, Case, commands};
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
    /// Less of everything that can be less: each stage is seen to work, within an hour.
    #[arg(long)]
    short: bool,
    /// How long each fuzz target runs.
    #[arg(long, value_name = "SECONDS")]
    fuzz_seconds: Option<u64>,
}

/// How much is done in the stages that could go on for ever.
#[derive(Clone, Copy)]
struct Effort {
    /// Of the fault schedules: each gives other addresses and another clock.
    seeds: u64,
    /// How much longer the tests of random operations run than usual.
    times: u64,
    fuzz_seconds: u64,
    reach: Reach,
}

const FULL: Effort = Effort { seeds: 10, times: 20, fuzz_seconds: 900, reach: Reach::Full };
const SHORT: Effort = Effort { seeds: 1, times: 2, fuzz_seconds: 20, reach: Reach::Quick };

impl Args {
    fn effort(&self) -> Effort {
        let effort = if self.short { SHORT } else { FULL };
        Effort { fuzz_seconds: self.fuzz_seconds.unwrap_or(effort.fuzz_seconds), ..effort }
    }
}

fn cases(Effort { seeds, times, fuzz_seconds, reach }: Effort) -> Vec<Case> {
    vec![
        Case::new("loom", "models of the protocols", commands::loom_models),
        Case::new("mutants", "mistakes that the models must catch", commands::mutants),
        Case::new("faults", "every fault schedule, at other addresses and times", move |testbed| {
            commands::faults(testbed, seeds)
        }),
        Case::new("model", "random operations against the shadow, many times as many", move |testbed| {
            commands::long_model(testbed, times)
        }),
        Case::new("tsan", "ThreadSanitizer over the core's stress and model tests", sanitizers::thread),
        Case::new("asan", "AddressSanitizer over the same", sanitizers::address),
        Case::new(
            "asan-programs",
            "AddressSanitizer over programs with one error each, and over correct ones",
            move |testbed| asan::check(testbed, reach),
        ),
        Case::new("valgrind", "memcheck over programs with one error each, and over correct ones", move |testbed| {
            valgrind::check(testbed, reach)
        }),
        Case::new("stress", "threads, forks, ends, libraries, shortages", move |testbed| stress::check(testbed, reach)),
        Case::new("fuzz", "every fuzz target", move |testbed| fuzz::check(testbed, fuzz_seconds)),
    ]
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let mut cases = cases(args.effort());
    cases.retain(|case| args.only.is_empty() || args.only.iter().any(|only| only == case.name()));
    if cases.is_empty() {
        bail!("nothing is called {}; cargo xtask prove --list names everything", args.only.join(", "));
    }
    cases.insert(0, test::packages_case(Vec::new()));
    test::run_cases(&cases, args.list)
}
