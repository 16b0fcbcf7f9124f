//! `cargo xtask bench`: every workload on every engine, interleaved, with ratios to C mimalloc 3.
//!
//! The workloads are programs that call plain `malloc` and `free` (`bench/workloads`), real programs, and Rust programs;
//! an engine is a library to preload. What is measured goes to `target/bench/last.json`, with `--write` to
//! `bench/results/<target>/<date>.json` and the page `docs/BENCHMARKS.md`.

mod bootstrap;
mod cases;
mod chart;
pub mod engines;
mod instructions;
mod latency;
pub mod machine;
mod page;
mod real;
mod results;
mod rounds;
mod rust_programs;
mod sample;
mod statistics;

pub use statistics::median;

use anyhow::{Result, bail};
use engines::Engine;
use results::Results;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Workloads, cases or groups, by name or by its beginning: `larson`, `larson@8`, `field`, `generated`, `scale`, `none`.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Engines; all that can be had when left out (see `--list`).
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// More libraries to measure, as NAME=FILE: another build of ours, to compare two versions.
    #[arg(long, value_delimiter = ',')]
    extra: Vec<String>,
    /// Measured rounds; one more, the first, warms up and is thrown away.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Multiplies every workload's operations; 1 is about a second each.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// How many programs are generated at random, one for each seed.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Also keep the results in this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also count the micro workloads' instructions with callgrind.
    #[arg(long)]
    instructions: bool,
    /// Also measure the latency of single calls.
    #[arg(long)]
    latency: bool,
    /// Keep the results in the repository and write docs/BENCHMARKS.md anew.
    #[arg(long)]
    write: bool,
    /// Measure nothing; write docs/BENCHMARKS.md from the newest results.
    #[arg(long)]
    render: bool,
    /// Name the workloads and the engines.
    #[arg(long)]
    list: bool,
}

impl Args {
    fn seeds(&self) -> Range<u64> {
        self.first_seed..self.first_seed + self.seeds
    }
}

pub fn execute(args: Args) -> Result<ExitCode> {
    match (args.list, args.render) {
        (true, _) => list(&args),
        (_, true) => page::write(&Results::newest()?),
        _ => measure(&args),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(args: &Args) -> Result<()> {
    for engine in engines::catalogue()? {
        println!("engine    {:<12} {}", engine.name, engine.title);
    }
    for case in cases::all(1.0, args.seeds())? {
        println!("workload  {:<22} {:<9} {}", case.name, case.group, case.source);
    }
    Ok(())
}

fn measure(args: &Args) -> Result<()> {
    let mut engines = engines::prepare(&args.engines)?;
    engines.extend(engines::extra(&args.extra)?);
    if engines.is_empty() {
        bail!("no engine to measure");
    }
    let mut results = Results::begin(machine::describe(), &engines);
    measure_parts(args, &engines, &mut results)?;
    page::print(&results)?;
    keep(args, results)
}

fn measure_parts(args: &Args, engines: &[Engine], results: &mut Results) -> Result<()> {
    let chosen = cases::chosen(&args.workloads, args.scale, args.seeds())?;
    results.timing = rounds::run(&chosen, engines, args.rounds)?;
    if args.instructions {
        results.instructions = instructions::count(&args.workloads, engines)?;
    }
    if args.latency {
        results.latency = latency::measure(engines, args.scale)?;
    }
    Ok(())
}

fn keep(args: &Args, results: Results) -> Result<()> {
    println!("\n  raw figures: {}", results.save_last()?.display());
    if let Some(file) = &args.json {
        results.save(file)?;
    }
    if args.write {
        let merged = results.merge_into_today()?;
        page::write(&merged)?;
    }
    Ok(())
}
