//! The levels of checking: misuse of memory ends as documented, and real programs do what they do without.
//!
//! A program that misuses memory in one way is run under each level that must notice it, and under one that must not
//! matter. Then programs of the matrix are run as in the matrix, with levels in the environment.

use super::toolchain::compile;
use super::{Testbed, Verdict};
use crate::matrix;
use anyhow::{Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

type Setting = (&'static str, &'static str);

/// How a misuse is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// A line on stderr; the program goes on.
    Reported(&'static str),
    /// A line on stderr, and `SIGABRT`.
    Aborted(&'static str),
    /// `SIGSEGV`.
    Faulted,
    /// Not at all.
    Unnoticed,
}

use End::{Aborted, Faulted, Reported, Unnoticed};

struct Trial {
    misuse: &'static str,
    end: End,
    settings: &'static [Setting],
}

const fn secure(level: &'static str) -> Setting {
    ("MIMALLOC_SECURE", level)
}

const fn debug(level: &'static str) -> Setting {
    ("MIMALLOC_DEBUG", level)
}

const ALL_GUARDED: Setting = ("MIMALLOC_GUARDED_SAMPLE_RATE", "1");
const NONE_GUARDED: Setting = ("MIMALLOC_GUARDED_SAMPLE_RATE", "0");
const ABORT: Setting = ("MIMALLOC_ABORT", "1");
const NO_ABORT: Setting = ("MIMALLOC_ABORT", "0");
const PRECISE: Setting = ("MIMALLOC_GUARDED_PRECISE", "1");

const CHECKED: [Setting; 7] = [secure("2"), secure("3"), secure("4"), secure("5"), debug("1"), debug("2"), debug("3")];
const PADDED: [Setting; 6] = [secure("3"), secure("4"), secure("5"), debug("1"), debug("2"), debug("3")];
const VERIFIED: [Setting; 4] = [secure("4"), secure("5"), debug("2"), debug("3")];

const OVERFLOW: End = Aborted("buffer overflow");
const DOUBLE: End = Aborted("double free");
const INVALID: End = Aborted("not a block");

/// Each misuse with the levels that notice it, one at a time.
const NOTICED: &[(&str, End, &[Setting])] = &[
    ("overflow", OVERFLOW, &PADDED),
    ("overflow-elsewhere", OVERFLOW, &PADDED),
    ("double-free", DOUBLE, &CHECKED),
    ("double-free-elsewhere", DOUBLE, &CHECKED),
    ("use-after-free", Aborted("write after free"), &VERIFIED),
    ("wild-free", INVALID, &CHECKED),
    ("wild-free", Reported("not a block"), &[secure("1")]),
    ("inner-free", INVALID, &CHECKED),
];

/// The same for several settings at a time.
const TRIALS: &[Trial] = &[
    Trial { misuse: "double-free", end: Reported("double free"), settings: &[secure("4"), NO_ABORT] },
    Trial { misuse: "overflow", end: Reported("buffer overflow"), settings: &[secure("4"), NO_ABORT] },
    Trial { misuse: "wild-free", end: INVALID, settings: &[ABORT] },
    Trial { misuse: "wild-free", end: Unnoticed, settings: &[] },
    Trial { misuse: "overflow-large", end: OVERFLOW, settings: &[secure("4")] },
    Trial { misuse: "behind", end: Faulted, settings: &[ALL_GUARDED] },
    Trial { misuse: "behind", end: Faulted, settings: &[ALL_GUARDED, secure("4")] },
    Trial { misuse: "overflow", end: Faulted, settings: &[ALL_GUARDED, PRECISE] },
    Trial { misuse: "far-behind", end: Faulted, settings: &[secure("5")] },
    Trial { misuse: "overflow", end: Unnoticed, settings: &[] },
    Trial { misuse: "overflow", end: Unnoticed, settings: &[secure("2")] },
    Trial { misuse: "use-after-free", end: Unnoticed, settings: &[secure("3")] },
    Trial { misuse: "behind", end: Unnoticed, settings: &[secure("1")] },
];

/// What the programs of the matrix are run with.
const SETTINGS: &[matrix::Settings] = &[&[secure("4")], &[debug("2")], &[("MIMALLOC_GUARDED_SAMPLE_RATE", "100")]];

/// Programs of the matrix that use many sizes, threads, or processes.
const PROGRAMS: &[&str] = &["cpython-few", "g++", "sqlite", "lua", "jq"];

const LIMIT: Duration = Duration::from_secs(60);

pub fn check(testbed: &Testbed) -> Verdict {
    let trials = misuses(testbed)?;
    let runs = matrix::run_chosen(PROGRAMS, testbed, &[testbed.library()?.to_owned()], SETTINGS)?;
    Ok(format!("{trials} misuses end as they must, {runs} runs of programs are right"))
}

fn misuses(testbed: &Testbed) -> Result<usize> {
    let (folder, log) = (testbed.scratch("checked")?, testbed.log("checked")?);
    let program = compile(testbed, "c/misuse.c", &folder, &[], &log)?;
    let mut trials = 0;
    for (misuse, end, levels) in NOTICED {
        for level in *levels {
            judge(testbed, &program, misuse, *end, &[*level, NONE_GUARDED])?;
            trials += 1;
        }
    }
    for trial in TRIALS {
        judge(testbed, &program, trial.misuse, trial.end, trial.settings)?;
    }
    Ok(trials + TRIALS.len())
}

fn judge(testbed: &Testbed, program: &Path, misuse: &str, due: End, settings: &[Setting]) -> Result<()> {
    let log = testbed.log("checked-misuse")?;
    fs::write(&log, "")?;
    let mut command = Command::new(program);
    command.arg(misuse).env("LD_PRELOAD", testbed.library()?).envs(settings.iter().copied());
    // An exit by a signal is an error there; how it ended is judged here.
    let ended = testbed.logged(&mut command, LIMIT, &log).map_err(|error| format!("{error:#}"));
    let said = fs::read_to_string(&log)? + &ended.err().unwrap_or_default();
    let survived = said.contains("survived");
    let is_right = match due {
        Reported(words) => survived && said.contains(words),
        Aborted(words) => !survived && said.contains(words) && said.contains("SIGABRT"),
        Faulted => !survived && said.contains("SIGSEGV"),
        Unnoticed => survived && !said.contains("error: "),
    };
    if !is_right {
        bail!("{misuse} with {settings:?} should be {due:?}:\n{said}");
    }
    Ok(())
}
