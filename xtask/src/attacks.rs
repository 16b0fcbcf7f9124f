//! `cargo xtask attacks`: the catalogue of attacks under our levels and under other allocators, each several times.
//!
//! The attacks and the rules by which they are judged are those of the stage `attacks` (`programs/attacks.cpp`), the
//! allocators those of `cargo xtask bench`. With `--write`, `docs/ATTACKS.md` is written anew, and the summary in
//! `docs/SECURITY.md`.
//!
//! * `subjects`: who is attacked, with which settings.
//! * `endings`: how attacks ended, counted.
//! * `page`: the tables.

mod endings;
mod page;
mod subjects;

use crate::bench::engines;
use crate::show;
use crate::test::{Testbed, attacks};
use anyhow::{Context, Result, bail};
use endings::Column;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use subjects::{Beside, SUBJECTS, Subject};

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
    let program = attacks::program(&testbed)?;
    let columns = columns(&args, &testbed, &program)?;
    show::table(&page::summary_rows(&columns));
    if args.write {
        page::write(&columns)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn columns(args: &Args, testbed: &Testbed, program: &Path) -> Result<Vec<Column>> {
    let mut columns = Vec::new();
    for subject in SUBJECTS.iter().filter(|subject| subject.is_among(&args.engines)) {
        if let Some(preload) = preload(subject, testbed)? {
            columns.push(attack(subject, &preload, args.runs, testbed, program)?);
        }
    }
    Ok(columns)
}

/// What `LD_PRELOAD` becomes, or nothing when the engine can't be had.
fn preload(subject: &Subject, testbed: &Testbed) -> Result<Option<OsString>> {
    Ok(match subject.beside {
        Beside::Checks => Some(testbed.preloads_that_check()?),
        Beside::MallocDebug => Some("libc_malloc_debug.so.0".into()),
        Beside::Nothing if subject.engine == engines::OURS => Some(testbed.library()?.into()),
        Beside::Nothing => engines::prepare(&[subject.engine.into()])?
            .into_iter()
            .next()
            .map(|engine| engine.preload.unwrap_or_default().into()),
    })
}

fn attack(
    subject: &'static Subject,
    preload: &OsString,
    runs: usize,
    testbed: &Testbed,
    program: &Path,
) -> Result<Column> {
    println!("  {}", subject.title);
    let runs: Result<Vec<_>> = (0..runs).map(|_| attacks::run(testbed, program, preload, subject.settings)).collect();
    let nanoseconds = |sizes| pair(subject, preload, sizes, testbed, program);
    let runs = runs.with_context(|| subject.title)?;
    Ok(Column { subject, runs, pairs: [nanoseconds(["100", "100"])?, nanoseconds(["16", "512"])?] })
}

/// Nanoseconds of a `free` and a `malloc`.
fn pair(subject: &Subject, preload: &OsString, sizes: [&str; 2], testbed: &Testbed, program: &Path) -> Result<f64> {
    const LIMIT: Duration = Duration::from_secs(100);
    let mut command = Command::new(program);
    command.arg("--pair").args(sizes).env("LD_PRELOAD", preload).envs(subject.settings.iter().copied());
    let said = testbed.said(&mut command, LIMIT, &testbed.log("attacks-pair")?)?;
    let last = said.lines().next_back().unwrap_or_default();
    last.parse().with_context(|| format!("{}: {said}", subject.title))
}
