//! `cargo xtask test`: every test there is, one after another, each under a heading, and one table at the end.
//!
//! A *case* is a stage (`commands`), a guest, or a program of the matrix. A failed case never stops the next one.

pub mod attacks;
mod cgroup;
pub mod commands;
mod foreign_toolchain;
mod guests;
mod platforms;
mod profiles;
mod recorded;
mod stress;
mod tally;
mod testbed;
pub mod trials;
mod workbench;

pub use testbed::{Pace, Testbed};
pub use workbench::Workbench;

use crate::{matrix, packages, show};
use anyhow::{Result, ensure};
use commands::{Effort, Part, QUICK};
use std::process::ExitCode;
use std::time::Instant;
use tally::Tally;

#[derive(clap::Args)]
pub struct Args {
    /// Only the stages and programs of these names; `matrix` stands for all programs, `guests` for all cases of `tests/guests`.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Leave out what takes long: the loom models and the slow programs.
    #[arg(long)]
    quick: bool,
    /// Print the names and what they stand for, and do nothing.
    #[arg(long)]
    list: bool,
}

/// What a stage says when it passed: one line.
pub type Verdict = Result<String>;

const PACKAGES: &str = "packages";
const MATRIX: &str = "matrix";
const GUESTS: &str = "guests";

/// What the stages themselves need; each program of the matrix names its own needs.
const NEEDS: &str = "gcc g++ /usr/include/stdlib.h objdump nm readelf make valgrind python3 perl cmake pkg-config rpmbuild meson ninja \
                     /usr/lib/python3.11/ensurepip";

/// One thing that passes or fails.
pub struct Case {
    name: String,
    what: String,
    run: Box<dyn Fn(&Testbed) -> Verdict>,
}

impl Case {
    pub fn new(name: &str, what: &str, run: impl Fn(&Testbed) -> Verdict + 'static) -> Case {
        Case { name: name.into(), what: what.into(), run: Box::new(run) }
    }
}

pub fn execute(args: Args) -> Result<ExitCode> {
    let mut programs = matrix::programs()?;
    programs.retain(|program| args.wants(&program.name, MATRIX, program.pace));
    let mut guests = guests::guests()?;
    guests.retain(|guest| args.wants(&guest.name, GUESTS, Pace::Quick));
    let needs: Vec<String> = programs.iter().flat_map(|program| program.needs.clone()).collect();
    let mut cases = stages(Part::Test, QUICK, |name, pace| args.wants(name, name, pace))?;
    cases.extend(guests.into_iter().map(guests::case));
    cases.extend(programs.into_iter().map(matrix::case));
    run_cases(cases, needs, &args.only, args.list)
}

/// Those of a part that are wanted.
pub fn stages(part: Part, effort: Effort, wants: impl Fn(&str, Pace) -> bool) -> Result<Vec<Case>> {
    let stages = commands::stages()?.into_iter().filter(|stage| stage.part == part || stage.part == Part::Both);
    Ok(stages.filter(|stage| wants(&stage.name, stage.pace)).map(|stage| stage.case(effort)).collect())
}

/// Runs cases one after another and prints the table; or only names them. What they need, and `more`, is installed first.
pub fn run_cases(mut cases: Vec<Case>, more: Vec<String>, only: &[String], list: bool) -> Result<ExitCode> {
    ensure!(!cases.is_empty(), "nothing is called {}; --list names everything", only.join(", "));
    let needs: Vec<String> = NEEDS.split(' ').map(String::from).chain(more).collect();
    let install = move |testbed: &Testbed| packages::install(&needs, &testbed.log(PACKAGES)?);
    cases.insert(0, Case::new(PACKAGES, "install what is missing", install));
    if list {
        cases.iter().for_each(|case| println!("{:<18} {}", case.name, case.what));
        return Ok(ExitCode::SUCCESS);
    }
    let testbed = Testbed::new()?;
    let mut tally = Tally::default();
    for (at, Case { name, what, run }) in cases.iter().enumerate() {
        println!("\n== [{}/{}] {name}: {what}", at + 1, cases.len());
        let spinner = show::Spinner::start(name);
        let started = Instant::now();
        let verdict = run(&testbed);
        drop(spinner);
        tally.add(name, started.elapsed(), verdict);
    }
    Ok(tally.conclude())
}

impl Args {
    /// `--only` chooses by name, `--quick` by pace; a name that is asked for is run at any pace.
    fn wants(&self, name: &str, group: &str, pace: Pace) -> bool {
        let is_named = |name: &str| self.only.iter().any(|only| only == name);
        let is_usual = pace <= if self.quick { Pace::Quick } else { Pace::Slow };
        is_named(name) || is_usual && (self.only.is_empty() || is_named(group))
    }
}
