//! Being a good guest in every process: the cases of `tests/guests`, with the C library's `malloc` as the measure.
//!
//! A case runs twice: first without the library, to see that it is right about this machine (else it is skipped), then with
//! it, when it must come out the same. `tests/guests/README.md` says what a case gets and how it answers.

use super::{Case, Testbed, Verdict};
use crate::process::{self, Finished};
use crate::{tables, workspace};
use anyhow::{Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
        let folder = testbed.scratch("guests")?;
        let mut command = if self.file.ends_with(".sh") {
            self.script(testbed, with, &folder)?
        } else {
            self.program(testbed, with, &folder)?
        };
        let log = testbed.log(&self.name)?;
        let output = File::create(&log)?;
        command.args(&self.arguments).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let finished = process::bounded(&mut command, LIMIT)?;
        Ok(judge(&finished, &String::from_utf8_lossy(&fs::read(&log)?)))
    }

    fn program(&self, testbed: &Testbed, with: With<'_>, folder: &Path) -> Result<Command> {
        let program = folder.join("program");
        let compiler = if self.file.ends_with(".cpp") { "g++" } else { "gcc" };
        let mut compile = Command::new(compiler);
        compile.args(["-O1", "-g", "-fno-builtin", "-w", "-pthread", "-o"]).arg(&program);
        compile.arg(self::folder().join(&self.file)).arg("-ldl");
        testbed.logged(&mut compile, LIMIT, &testbed.log(&self.name)?)?;
        let mut command = Command::new(program);
        if let With::Library(library) = with {
            command.env("LD_PRELOAD", library).envs(&self.options);
        }
        Ok(command)
    }

    fn script(&self, testbed: &Testbed, with: With<'_>, folder: &Path) -> Result<Command> {
        let (mut alloc, mut archive, mut headers) = Default::default();
        if let With::Library(library) = with {
            alloc = library.to_owned();
            if self.links == Links::Copies {
                let installed = testbed.installed()?;
                (archive, headers) = (installed.join("lib/libferrimalloc.a"), installed.join("include"));
            }
        }
        let mut command = Command::new("bash");
        command
            .arg(self::folder().join(&self.file))
            .env("ALLOC", alloc)
            .env("STATIC_A", archive)
            .env("HEADERS", headers);
        command.env("HERE", self::folder()).env("ROOT", workspace::root()).env("TMPDIR", folder);
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
