//! Small programs that are compiled and run: `tables/trials.toml` has their arguments, and what must come of each.

use super::Workbench;
use crate::tables;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// A source below `xtask/programs`, and arguments.
    run: String,
    /// The arguments where there is time for more.
    full: Option<String>,
    ulimit: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    each: Vec<String>,
    says: Option<Vec<String>>,
    ends: Option<Signal>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
enum Signal {
    #[serde(rename = "SIGABRT")]
    Abort = nix::libc::SIGABRT as isize,
    #[serde(rename = "SIGSEGV")]
    Fault = nix::libc::SIGSEGV as isize,
}

/// How much is done of what could go on for ever.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Part of every run of the tests.
    Quick,
    /// As long as it needs.
    Full,
}

/// How a stage's programs are built and started.
pub struct Trials<'a> {
    pub bench: &'a Workbench<'a>,
    pub reach: Reach,
    /// In place of gcc and g++.
    pub compiler: Option<&'a str>,
    /// Flags and libraries for the compiler.
    pub flags: &'a [&'a str],
    /// Words before the program: a tool and its options.
    pub tool: &'a [&'a str],
    pub env: Vec<(&'a str, OsString)>,
}

/// The trials of a stage.
pub fn of(stage: &str) -> Result<Vec<Trial>> {
    tables::list("trials", stage)
}

impl<'a> Trials<'a> {
    /// With nothing but what a program has anyway.
    pub fn new(bench: &'a Workbench<'a>, reach: Reach) -> Trials<'a> {
        Trials { bench, reach, compiler: None, flags: &[], tool: &[], env: Vec::new() }
    }

    /// With the library under test preloaded.
    pub fn preloaded(bench: &'a Workbench<'a>, reach: Reach) -> Result<Trials<'a>> {
        let env = vec![("LD_PRELOAD", bench.testbed.library()?.into())];
        Ok(Trials { env, ..Trials::new(bench, reach) })
    }

    /// Compiles and runs all; `more` comes behind the arguments. Answers how many runs that were.
    pub fn all(&self, trials: &[Trial], more: &[&str]) -> Result<usize> {
        self.each(trials, |trial| self.run(trial, more))
    }

    /// The same with a program that is there, of which each trial is an act.
    pub fn acts(&self, trials: &[Trial], program: &Path, more: &[&str]) -> Result<usize> {
        self.each(trials, |trial| self.runs(program, &[&[trial.run.as_str()], more].concat(), trial))
    }

    fn each(&self, trials: &[Trial], run: impl Fn(&Trial) -> Result<usize>) -> Result<usize> {
        let (mut count, mut failures) = (0, Vec::new());
        for trial in trials {
            match run(trial) {
                Ok(runs) => count += runs,
                Err(error) => failures.push(format!("{}: {error:#}", trial.run)),
            }
        }
        ensure!(failures.is_empty(), "{} of {} failed: {}", failures.len(), trials.len(), failures.join("\n   "));
        Ok(count)
    }

    fn run(&self, trial: &Trial, more: &[&str]) -> Result<usize> {
        let (source, arguments) = trial.run.split_once(' ').unwrap_or((&trial.run, ""));
        let arguments = trial.full.as_deref().filter(|_| self.reach == Reach::Full).unwrap_or(arguments);
        let arguments: Vec<&str> = arguments.split_whitespace().chain(more.iter().copied()).collect();
        self.runs(&self.compiled(source)?, &arguments, trial)
    }

    /// Programs that differ in arguments alone are compiled once.
    fn compiled(&self, source: &str) -> Result<PathBuf> {
        let program = self.bench.folder.join(Path::new(source).file_stem().context("the source has no name")?);
        match self.compiler {
            _ if program.exists() => Ok(program),
            Some(compiler) => self.bench.compile_by(compiler, source, self.flags),
            None => self.bench.compile(source, self.flags),
        }
    }

    fn runs(&self, program: &Path, arguments: &[&str], trial: &Trial) -> Result<usize> {
        if trial.each.is_empty() {
            return self.judged(&mut self.command(program, arguments, trial), trial).map(|()| 1);
        }
        for option in &trial.each {
            let (name, value) = option.split_once('=').context("an option has a value")?;
            let mut command = self.command(program, arguments, trial);
            self.judged(command.env(format!("MIMALLOC_{name}"), value), trial).context(option.clone())?;
        }
        Ok(trial.each.len())
    }

    /// A limit has to hold before the program starts, so a shell sets it.
    fn command(&self, program: &Path, arguments: &[&str], trial: &Trial) -> Command {
        let shell = trial.ulimit.as_ref().map(|limit| format!(r#"ulimit {limit} && exec "$0" "$@""#));
        let shell = shell.as_ref().map_or(vec![], |line| vec!["bash", "-c", line]);
        let mut before = shell.into_iter().chain(self.tool.iter().copied());
        let mut command = match before.next() {
            Some(tool) => Command::new(tool),
            None => Command::new(program),
        };
        command.args(before);
        if command.get_program() != program {
            command.arg(program);
        }
        command.args(arguments).envs(self.env.iter().map(|(name, value)| (name, value))).envs(&trial.env);
        command
    }

    fn judged(&self, command: &mut Command, trial: &Trial) -> Result<()> {
        if trial.ends.is_none() && trial.says.is_none() {
            return self.bench.run(command).map(drop);
        }
        let (finished, said) = self.bench.ended(command)?;
        let is_right = match trial.ends {
            Some(signal) => finished.status.signal() == Some(signal as i32),
            None => finished.succeeded(),
        };
        ensure!(is_right, "{}, should end by {:?}:\n{said}", finished.describe(), trial.ends);
        match &trial.says {
            Some(words) => judge(&said, words).with_context(|| format!("in\n{said}")),
            None => Ok(()),
        }
    }
}

/// Valgrind and AddressSanitizer begin their reports with `==PID==`, the allocator its own with its name.
const MARKS: [&str; 2] = ["==", "ferrimalloc: error"];

/// Whether a report has these words in this order, or, without words, no error.
fn judge(report: &str, words: &[String]) -> Result<()> {
    let reported = MARKS.iter().any(|mark| report.contains(mark));
    ensure!(!(words.is_empty() && reported), "an error is reported");
    let mut rest = report;
    for word in words {
        let Some((_, after)) = rest.split_once(word.as_str()) else { bail!("no {word:?} where it should be") };
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(report: &str, words: &[&str]) -> Result<()> {
        super::judge(report, &words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn words_must_be_there_in_order() {
        let report = "==1== Invalid read\n==1==    by main\n";
        assert!(judge(report, &["Invalid read", "main"]).is_ok());
        assert!(judge(report, &["main", "Invalid read"]).is_err());
        assert!(judge("all is well\n", &["Invalid read"]).is_err());
    }

    #[test]
    fn correct_programs_have_no_report() {
        assert!(judge("all is well\n", &[]).is_ok());
        assert!(judge("==1== Invalid read\n", &[]).is_err());
        assert!(judge("ferrimalloc: error: 0x10: double free", &[]).is_err());
    }
}
