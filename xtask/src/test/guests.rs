//! Being a good guest in every process: the cases of `tests/guests`, with the C library's `malloc` as the measure.
//!
//! A case runs twice: first without the library, to see that it is right about this machine (else it is skipped), then with
//! it, when it must come out the same. `tests/guests/README.md` says what a case gets and how it answers.

use super::{Case, Testbed, Verdict, Workbench};
use crate::process::Finished;
use crate::{tables, workspace};
use anyhow::{Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A file of `tests/guests`, and the arguments and our options for its program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    pub name: String,
    what: String,
    file: String,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    links: Links,
}

/// How the case gets the library.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Links {
    #[default]
    Preloads,
    /// Into programs or plugins of its own, from the installed archive or the crate: with another library there is nothing to try.
    Copies,
}

/// The status of a case that can't be run here.
const CANNOT_RUN: i32 = 77;

const LIMIT: Duration = Duration::from_secs(180);

pub fn guests() -> Result<Vec<Guest>> {
    tables::list("guests", "guest")
}

pub fn case(guest: Guest) -> Case {
    Case::new(&guest.name.clone(), &guest.what.clone(), move |testbed| guest.run(testbed))
}

/// What a case is tried with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum With<'a> {
    TheCLibrary,
    Library(&'a Path),
}

enum Outcome {
    Passed,
    Failed(String),
    CannotRun(String),
}

impl Guest {
    fn run(&self, testbed: &Testbed) -> Verdict {
        if self.links == Links::Copies && workspace::foreign_library().is_some() {
            return Ok("skipped: another library is under test, and this case links ours".into());
        }
        match self.outcome(testbed, With::TheCLibrary)? {
            Outcome::Passed => {}
            Outcome::Failed(why) => return Ok(format!("skipped: it fails with the C library, too: {why}")),
            Outcome::CannotRun(why) => return Ok(format!("skipped: {why}")),
        }
        match self.outcome(testbed, With::Library(testbed.library()?))? {
            Outcome::Passed => Ok("as with the C library".into()),
            Outcome::Failed(why) | Outcome::CannotRun(why) => bail!("{why}"),
        }
    }

    fn outcome(&self, testbed: &Testbed, with: With<'_>) -> Result<Outcome> {
        let bench = testbed.workbench(&self.name, LIMIT)?;
        let mut command =
            if self.file.ends_with(".sh") { self.script(&bench, with)? } else { self.program(&bench, with)? };
        let (finished, said) = bench.ended(command.args(&self.arguments).current_dir(&bench.folder))?;
        Ok(judge(&finished, &said))
    }

    fn program(&self, bench: &Workbench, with: With<'_>) -> Result<Command> {
        let program = bench.folder.join("program");
        let compiler = if self.file.ends_with(".cpp") { "g++" } else { "gcc" };
        let mut compile = Command::new(compiler);
        compile.args(["-O1", "-g", "-fno-builtin", "-w", "-pthread", "-o"]).arg(&program);
        compile.arg(folder().join(&self.file)).arg("-ldl");
        bench.run(&mut compile)?;
        let mut command = Command::new(program);
        if let With::Library(library) = with {
            command.env("LD_PRELOAD", library).envs(&self.options);
        }
        Ok(command)
    }

    fn script(&self, bench: &Workbench, with: With<'_>) -> Result<Command> {
        let (mut alloc, mut archive, mut headers) = Default::default();
        if let With::Library(library) = with {
            alloc = library.to_owned();
            if self.links == Links::Copies {
                let installed = bench.testbed.installed()?;
                (archive, headers) = (installed.join("lib/libferrimalloc.a"), installed.join("include"));
            }
        }
        let mut command = Command::new("bash");
        command.arg(folder().join(&self.file)).env("ALLOC", alloc).env("STATIC_A", archive).env("HEADERS", headers);
        command.env("HERE", folder()).env("ROOT", workspace::root()).env("TMPDIR", &bench.folder);
        Ok(command)
    }
}

fn folder() -> PathBuf {
    workspace::root().join("tests/guests")
}

fn judge(finished: &Finished, output: &str) -> Outcome {
    let last = output.lines().last().unwrap_or_default();
    let fault = output.lines().find(|line| line.starts_with("FAIL"));
    if finished.code() == CANNOT_RUN {
        return Outcome::CannotRun(last.to_owned());
    }
    match (finished.succeeded(), fault) {
        (true, None) => Outcome::Passed,
        (_, Some(fault)) => Outcome::Failed(format!("{}: {fault}", finished.describe())),
        (false, None) => Outcome::Failed(format!("{}: {last}", finished.describe())),
    }
}
