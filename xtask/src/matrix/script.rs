//! One run of a script of the matrix.

use super::{Program, Settings};
use crate::packages;
use crate::process::{self, Finished};
use crate::test::Testbed;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub enum Face {
    Plain,
    /// These libraries, and variables in the environment.
    Preloaded(Vec<PathBuf>, Settings),
}

/// What a script printed and what it cost.
pub struct Output {
    pub stdout: Vec<u8>,
    pub cost: Finished,
}

/// What the dynamic linker prints when it goes on without the library.
const NOT_PRELOADED: &str = "cannot be preloaded";

/// How much of stderr an error shows.
const SHOWN_BYTES: usize = 3000;

impl Output {
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.stdout
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| String::from_utf8_lossy(line).trim_end().to_owned())
    }
}

pub fn run(program: &Program, face: &Face, testbed: &Testbed, log: &Path) -> Result<Output> {
    demand(program)?;
    let folder = testbed.scratch(&program.name)?;
    let stdout = folder.join(".stdout");
    let mut command = shell(program, face, &folder)?;
    command.stdout(File::create(&stdout)?).stderr(File::create(log)?);
    let cost = process::bounded(&mut command, Duration::from_secs(program.limit))?;
    judge(&cost, log)?;
    Ok(Output { stdout: fs::read(stdout)?, cost })
}

fn demand(program: &Program) -> Result<()> {
    let missing = packages::missing(&program.needs)?;
    ensure!(missing.is_empty(), "not installed: {missing:?}");
    Ok(())
}

fn shell(program: &Program, face: &Face, folder: &Path) -> Result<Command> {
    let script = workspace::programs().join("matrix").join(&program.name).with_extension("sh");
    let mut command = Command::new("bash");
    command.arg(script).current_dir(folder).stdin(Stdio::null());
    command.env("PATH", std::env::join_paths(packages::search_path())?);
    command.env("HOME", folder).env("TMPDIR", folder).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command.env("USER_HOME", std::env::var_os("HOME").unwrap_or_default());
    command.env("PROGRAMS", workspace::programs()).env("PORT", free_port()?.to_string());
    preload(&mut command, face)?;
    Ok(command)
}

fn preload(command: &mut Command, face: &Face) -> Result<()> {
    match face {
        Face::Plain => command.env("LIBRARY", "").env_remove("LD_PRELOAD"),
        Face::Preloaded(libraries, settings) => {
            let library = libraries.first().context("no library to preload")?;
            command.env("LIBRARY", library).env("LD_PRELOAD", std::env::join_paths(libraries)?);
            command.envs(settings.iter().copied())
        }
    };
    Ok(())
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

fn judge(cost: &Finished, log: &Path) -> Result<()> {
    let stderr = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    if !cost.succeeded() {
        bail!("{}\n{}", cost.describe(), end_of(&stderr));
    }
    if stderr.contains(NOT_PRELOADED) {
        bail!("the library was not loaded\n{}", end_of(&stderr));
    }
    Ok(())
}

fn end_of(text: &str) -> &str {
    let start = text.len().saturating_sub(SHOWN_BYTES);
    let start = (start..=text.len()).find(|&index| text.is_char_boundary(index)).unwrap_or(text.len());
    &text[start..]
}
