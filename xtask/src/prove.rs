//! `cargo xtask prove`: the long form of what shows that the allocator can be trusted. Hours, not minutes.
//!
//! Each stage has a quick form among those of `cargo xtask test`, but for the sanitizers and mutants, which only run here. The
//! closing table is the same.

use crate::test;
use crate::test::commands::{Effort, Part, QUICK};
use crate::test::trials::Reach;
use anyhow::Result;
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

const FULL: Effort = Effort { seeds: 10, times: 20, fuzz_seconds: 900, reach: Reach::Full };

pub fn execute(args: Args) -> Result<ExitCode> {
    let effort = if args.short { QUICK } else { FULL };
    let effort = Effort { fuzz_seconds: args.fuzz_seconds.unwrap_or(effort.fuzz_seconds), ..effort };
    let is_wanted = |name: &str, _| args.only.is_empty() || args.only.iter().any(|only| only == name);
    test::run_cases(test::stages(Part::Prove, effort, is_wanted)?, Vec::new(), &args.only, args.list)
}
