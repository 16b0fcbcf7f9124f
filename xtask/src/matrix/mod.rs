//! Real programs with the library preloaded, their results compared with those of a run without it.
//!
//! Each program of `tables/matrix.toml` is a shell script in `xtask/programs/matrix`. It is run twice, the second time with
//! `LD_PRELOAD` for the shell and everything it starts. It passes if both runs end with status 0 and print the same on
//! stdout; so a script prints results (checksums, query answers, test verdicts) and nothing that varies.
//! A script gets: an empty working folder, `HOME` there (the user's is `USER_HOME`), `PORT` (free on 127.0.0.1), `PROGRAMS` (our programs),
//! `LIBRARY` (the first preloaded library, empty in the plain run). Whatever it leaves running is killed.

mod script;

use crate::test::{Case, Pace, Testbed};
use crate::{show, tables};
use anyhow::{Context, Result, bail};
use script::Face;
pub use script::Output;
use serde::Deserialize;
use std::path::PathBuf;

/// One line of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub name: String,
    what: String,
    #[serde(default)]
    pub pace: Pace,
    /// Seconds, for each of the two runs.
    limit: u64,
    pub needs: Vec<String>,
}

pub fn programs() -> Result<Vec<Program>> {
    tables::list("matrix", "program")
}

pub fn case(program: Program) -> Case {
    Case::new(&program.name.clone(), &program.what.clone(), move |testbed| run(&program, testbed))
}

/// Runs a program on both faces and compares.
fn run(program: &Program, testbed: &Testbed) -> Result<String> {
    let (plain, mut preloaded) = run_under(program, testbed, &[testbed.library()?.to_owned()], &[&[]])?;
    let preloaded = preloaded.pop().context("it was run")?;
    Ok(format!("the same {} lines; {}", plain.lines().count(), costs(&plain, &preloaded)))
}

/// Variables in the environment of a run.
pub type Settings = &'static [(&'static str, &'static str)];

/// Runs each of the named programs under each of `settings`, with these libraries. Answers how many runs that were.
pub fn run_chosen(names: &[&str], testbed: &Testbed, libraries: &[PathBuf], settings: &[Settings]) -> Result<usize> {
    let mut runs = 0;
    for program in programs()?.iter().filter(|program| names.contains(&program.name.as_str())) {
        runs += run_under(program, testbed, libraries, settings).context(program.name.clone())?.1.len();
    }
    Ok(runs)
}

/// Runs a program without the library, then with it, and those behind it, under each of `settings`, and compares. Answers what it printed.
fn run_under(
    program: &Program,
    testbed: &Testbed,
    libraries: &[PathBuf],
    settings: &[Settings],
) -> Result<(Output, Vec<Output>)> {
    let log = testbed.log(&program.name)?;
    let plain = script::run(program, &Face::Plain, testbed, &log).context("without the library")?;
    let run = |settings: &Settings| -> Result<Output> {
        let face = Face::Preloaded(libraries.to_owned(), settings);
        let preloaded = script::run(program, &face, testbed, &log)?;
        compare(&plain, &preloaded)?;
        Ok(preloaded)
    };
    let runs = settings.iter().map(|settings| run(settings).with_context(|| format!("with the library {settings:?}")));
    let runs = runs.collect::<Result<Vec<Output>>>()?;
    Ok((plain, runs))
}

fn compare(plain: &Output, preloaded: &Output) -> Result<()> {
    if plain.stdout == preloaded.stdout {
        return Ok(());
    }
    let pairs = plain.lines().zip(preloaded.lines());
    match pairs.enumerate().find(|(_, (plain, preloaded))| plain != preloaded) {
        Some((line, (plain, preloaded))) => bail!("line {} is `{preloaded}`, without the library `{plain}`", line + 1),
        None => bail!("{} lines, without the library {}", preloaded.lines().count(), plain.lines().count()),
    }
}

fn costs(plain: &Output, preloaded: &Output) -> String {
    let [wall, plain_wall] = [preloaded, plain].map(|output| show::seconds(output.cost.wall));
    let [peak, plain_peak] = [preloaded, plain].map(|output| show::mebibytes(output.cost.peak_rss));
    format!("{wall} and {peak}, without the library {plain_wall} and {plain_peak}")
}
