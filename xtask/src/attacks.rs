//! `cargo xtask attacks`: the catalogue of attacks under our levels and under other allocators, each several times.
//!
//! The attacks and the rules by which they are judged are those of the stage `attacks` (`programs/attacks.cpp`), the
//! allocators those of `cargo xtask bench`. With `--write`, `docs/ATTACKS.md` is written anew, and the summary in
//! `docs/SECURITY.md`.
//!
//! * `subjects`: who is attacked, with which settings (`tables/attacks.toml`).
//! * `endings`: how attacks ended, counted.
//! * `page`: the tables.

mod endings;
mod page;
mod subjects;

use crate::bench::engines;
use crate::show;
use crate::test::{Testbed, Workbench, attacks};
use anyhow::{Context, Result, bail};
use endings::{Column, Findings};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use subjects::{Beside, Subject, subjects};

#[derive(clap::Args)]
pub struct Args {
    /// Engines, as `cargo xtask bench --list` names them; all that are compared when left out.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// How often each attack is run: some end by chance.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Write docs/ATTACKS.md and the summary in docs/SECURITY.md.
    #[arg(long)]
    write: bool,
}

pub fn execute(args: Args) -> Result<ExitCode> {
    if args.write && !args.engines.is_empty() {
        bail!("--write is for all engines");
    }
    let testbed = Testbed::new()?;
    let (bench, program) = attacks::prepare(&testbed)?;
    let findings = Findings { catalogue: attacks::catalogue()?, columns: columns(&args, &bench, &program)? };
    show::table(&page::summary_rows(&findings));
    if args.write {
        page::write(&findings)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn columns(args: &Args, bench: &Workbench, program: &Path) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for subject in subjects()?.into_iter().filter(|subject| subject.is_among(&args.engines)) {
        if let Some(preload) = preload(&subject, bench.testbed)? {
            columns.push(attack(subject, &preload, args.runs, bench, program)?);
        }
    }
    Ok(columns)
}

/// What `LD_PRELOAD` becomes, or nothing when the engine can't be had.
fn preload(subject: &Subject, testbed: &Testbed) -> Result<Option<OsString>> {
    Ok(match subject.beside {
        Beside::Checks => Some(testbed.preloads_that_check()?),
        Beside::MallocDebug => Some("libc_malloc_debug.so.0".into()),
        Beside::Nothing if subject.is_ours() => Some(testbed.library()?.into()),
        Beside::Nothing => engines::prepare(std::slice::from_ref(&subject.engine))?
            .pop()
            .map(|engine| engine.preload.unwrap_or_default().into()),
    })
}

fn attack(subject: Subject, preload: &OsString, runs: usize, bench: &Workbench, program: &Path) -> Result<Column> {
    println!("  {}", subject.title);
    let command = || {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", preload).envs(&subject.settings);
        command
    };
    let runs: Result<Vec<_>> = (0..runs).map(|_| attacks::run(bench, &mut command())).collect();
    let runs = runs.with_context(|| subject.title.clone())?;
    let pair = |sizes| pair(bench, command().arg("--pair").args(sizes)).with_context(|| subject.title.clone());
    let pairs = [pair(["100", "100"])?, pair(["16", "512"])?];
    Ok(Column { subject, runs, pairs })
}

/// Nanoseconds of a `free` and a `malloc`.
fn pair(bench: &Workbench, command: &mut Command) -> Result<f64> {
    let said = bench.run(command)?;
    said.lines().next_back().unwrap_or_default().parse().with_context(|| said.clone())
}
