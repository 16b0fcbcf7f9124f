//! What a case works with: a folder and a log of its own, and a limit for each command that it runs.

use super::Testbed;
use crate::process::{self, Finished, last_lines};
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub struct Workbench<'a> {
    pub testbed: &'a Testbed,
    /// Empty at first, and gone when the tests end.
    pub folder: PathBuf,
    pub log: PathBuf,
    pub limit: Duration,
}

/// For C and C++. `-fno-builtin`: the compiler must not see through pairs of `malloc` and `free`.
const FLAGS: [&str; 7] =
    ["-O1", "-g", "-Wall", "-fno-builtin", "-pthread", "-Wno-free-nonheap-object", "-Wno-use-after-free"];

impl Workbench<'_> {
    /// Runs a command with its output appended to the log; answers what it has printed. An error shows the end of that.
    pub fn run(&self, command: &mut Command) -> Result<String> {
        let (finished, said) = self.ended(command)?;
        if !finished.succeeded() {
            bail!("{}\n{}", finished.describe(), self.tail(&said));
        }
        Ok(said)
    }

    /// The same, however it ends.
    pub fn ended(&self, command: &mut Command) -> Result<(Finished, String)> {
        let output = File::options().append(true).open(&self.log)?;
        let start = output.metadata()?.len() as usize;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let finished = process::bounded(command, self.limit)?;
        Ok((finished, String::from_utf8_lossy(&fs::read(&self.log)?[start..]).into_owned()))
    }

    /// A program with the library under test.
    pub fn preloaded(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", self.testbed.library()?);
        Ok(command)
    }

    /// Compiles a source below `xtask/programs` into the folder, with more flags or libraries behind it.
    pub fn compile(&self, source: &str, more: &[&str]) -> Result<PathBuf> {
        self.compile_by(if source.ends_with(".cpp") { "g++" } else { "gcc" }, source, more)
    }

    /// The same by a compiler with GNU's flags.
    pub fn compile_by(&self, compiler: &str, source: &str, more: &[&str]) -> Result<PathBuf> {
        let program = self.folder.join(Path::new(source).file_stem().context("the source has no name")?);
        let mut command = Command::new(compiler);
        command.args(FLAGS).arg("-o").arg(&program).arg(workspace::programs().join(source)).args(more);
        self.run(&mut command).with_context(|| format!("{source} does not compile"))?;
        Ok(program)
    }

    /// The telling lines and the last lines of what was printed, indented.
    fn tail(&self, said: &str) -> String {
        format!("   from {}:\n      {}", self.log.display(), shortened(said).replace('\n', "\n      "))
    }
}

const TAIL_LINES: usize = 40;

fn shortened(text: &str) -> String {
    let end = last_lines(text, TAIL_LINES);
    let before = text.strip_suffix('\n').unwrap_or(text).strip_suffix(&end).unwrap_or_default();
    let telling = before.lines().filter(|line| is_telling(line)).take(TAIL_LINES);
    telling.chain([end.as_str()]).collect::<Vec<_>>().join("\n")
}

/// Whether a line of cargo's or a test's output says what went wrong.
fn is_telling(line: &str) -> bool {
    line.starts_with("error") || line.ends_with("FAILED") || line.contains("panicked at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_what_went_wrong_early() {
        let noise = "running\n".repeat(TAIL_LINES * 2);
        let shown = shortened(&format!("test early ... FAILED\n{noise}last\n"));
        assert!(shown.starts_with("test early ... FAILED\n") && shown.ends_with("\nlast"));
        assert_eq!(shown.lines().count(), 1 + TAIL_LINES);
        assert_eq!(shortened("one\ntwo\n"), "one\ntwo");
    }
}
