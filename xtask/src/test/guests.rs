//! Being a good guest in every process: the cases of `tests/guests`, with the C library's `malloc` as the measure.
//!
//! A case runs twice: first without the library, to see that it is right about this machine (else it is skipped), then with
//! it, when it must come out the same. `tests/guests/README.md` says what a case gets and how it answers.

use super::{Case, Testbed, Verdict};
use crate::process::{self, Finished};
use crate::workspace;
use anyhow::{Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A file of `tests/guests`, and the arguments and our options for its program.
pub struct Guest {
    pub name: &'static str,
    what: &'static str,
    file: &'static str,
    arguments: &'static [&'static str],
    options: &'static [(&'static str, &'static str)],
    links: Links,
}

/// How the case gets the library.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Preloads,
    /// Into programs or plugins of its own, from the installed archive or the crate: with another library there is nothing to try.
    Copies,
}

const fn guest(name: &'static str, file: &'static str, what: &'static str) -> Guest {
    Guest { name, what, file, arguments: &[], options: &[], links: Links::Preloads }
}

const fn copying(name: &'static str, file: &'static str, what: &'static str) -> Guest {
    Guest { links: Links::Copies, ..guest(name, file, what) }
}

pub const GUESTS: &[Guest] = &[
    guest("guest-rlimit-as", "rlimit-as.sh", "small limits of address space"),
    guest("guest-rlimit-data", "rlimit-data.c", "RLIMIT_DATA, set after the first malloc"),
    guest("guest-rlimit-data-from-start", "rlimit-data-from-start.sh", "the same from the start"),
    guest("guest-setrlimit-inside", "setrlimit-inside.sh", "limits that a running process sets itself"),
    guest("guest-mlockall", "mlockall.c", "all memory locked"),
    guest("guest-partial-new", "partial-new.cpp", "operator new replaced in part"),
    guest("guest-new-handler", "new-handler.cpp", "new-handlers that throw or give up"),
    copying("guest-static-operators", "static-operators.sh", "both with the archive linked"),
    copying("guest-plugin-unload", "plugin-unload.sh", "a plugin with a static copy comes and goes"),
    copying("guest-rust-plugin", "rust-plugin.sh", "a plugin in Rust on the crate comes and goes"),
    copying("guest-namespaces", "namespaces.sh", "copies in namespaces of dlmopen"),
    guest("guest-own-malloc", "own-malloc.sh", "programs with a malloc of their own, and wrappers of malloc"),
    guest("guest-deepbind", "deepbind.sh", "plugins opened with RTLD_DEEPBIND"),
    guest("guest-seccomp", "seccomp.c", "a filter of system calls that kills"),
    Guest {
        arguments: &["small"],
        ..guest("guest-seccomp-small", "seccomp.c", "one that allows a few, for small blocks")
    },
    Guest {
        arguments: &["one-thread"],
        options: &[("MIMALLOC_PURGE_DELAY", "-1"), ("MIMALLOC_ALLOW_THP", "0")],
        ..guest(
            "guest-seccomp-one-thread",
            "seccomp.c",
            "one that allows a few, for large blocks, with two options set",
        )
    },
    guest("guest-secure-execution", "secure-execution.sh", "set-user-ID programs ignore options in variables"),
    guest("guest-spawn", "spawn.c", "vfork, posix_spawn, system and popen beside threads"),
    guest("guest-atfork", "atfork.sh", "fork handlers that start and join threads"),
    guest("guest-last-thread", "last-thread.c", "the last thread ends by pthread_exit"),
    Guest {
        options: &[("MIMALLOC_SCAVENGE", "auto")],
        ..guest("guest-last-thread-auto", "last-thread.c", "the same beside a scavenger that the option asks for")
    },
    Guest {
        options: &[("MIMALLOC_SCAVENGE", "1")],
        ..guest("guest-last-thread-always", "last-thread.c", "the same beside one in every process")
    },
    guest("guest-tls-destructors", "tls-destructors.cpp", "destructors that allocate in every round"),
];

/// The status of a case that can't be run here.
const CANNOT_RUN: i32 = 77;

const LIMIT: Duration = Duration::from_secs(180);

pub fn case(guest: &'static Guest) -> Case {
    Case::new(guest.name, guest.what, Box::new(|testbed| guest.run(testbed)))
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
        let log = testbed.log(self.name)?;
        let output = File::create(&log)?;
        command.args(self.arguments).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let finished = process::bounded(&mut command, LIMIT)?;
        Ok(judge(&finished, &String::from_utf8_lossy(&fs::read(&log)?)))
    }

    fn program(&self, testbed: &Testbed, with: With<'_>, folder: &Path) -> Result<Command> {
        let program = folder.join("program");
        let compiler = if self.file.ends_with(".cpp") { "g++" } else { "gcc" };
        let mut compile = Command::new(compiler);
        compile.args(["-O1", "-g", "-fno-builtin", "-w", "-pthread", "-o"]).arg(&program);
        compile.arg(guests().join(self.file)).arg("-ldl");
        testbed.logged(&mut compile, LIMIT, &testbed.log(self.name)?)?;
        let mut command = Command::new(program);
        if let With::Library(library) = with {
            command.env("LD_PRELOAD", library).envs(self.options.iter().copied());
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
        command.arg(guests().join(self.file)).env("ALLOC", alloc).env("STATIC_A", archive).env("HEADERS", headers);
        command.env("HERE", guests()).env("ROOT", workspace::root()).env("TMPDIR", folder);
        Ok(command)
    }
}

fn guests() -> PathBuf {
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
