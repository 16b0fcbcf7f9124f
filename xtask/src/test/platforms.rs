//! The allocator on other targets than this machine: one row per target, with what was done there.
//!
//! Nothing but Debian's registry is needed: the compiler is unpacked (`foreign_toolchain`), linkers and emulators are installed.
//! What can't be had is no failure: its row says "NOT RUN", and why.

mod jobs;
mod linux;
mod musl;
mod redirect;
mod wasm;
mod windows;

use super::foreign_toolchain::Toolchain;
use super::trials::{self, Reach, Trials};
use super::{Testbed, Verdict, Workbench};
use crate::{packages, tables, workspace};
use anyhow::{Context, Result, ensure};
use linux::Linux;
use serde::Deserialize;
use std::env;
use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use wasm::Wasm;

/// Targets for which there is neither a linker nor an emulator here: the crates are type-checked, against the standard
/// library's `core`.
const CHECKED: &[&str] = &[
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "i686-pc-windows-gnu",
    "i686-pc-windows-msvc",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "aarch64-linux-android",
];

/// The small allocator with a region of the program's for memory, for a machine without an operating system: checked, too.
const BARE: &str = "riscv64gc-unknown-none-elf";

/// In the environment: parts of the names of the rows that are wanted, with commas between; all of them without it.
const ROWS: &str = "XTASK_PLATFORMS";

/// For each command of a row.
const LIMIT: Duration = Duration::from_secs(300);
/// No row begins later: what is left says so.
const PATIENCE: Duration = Duration::from_secs(900);

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("platforms", LIMIT)?;
    let toolchain = match Toolchain::unpack(&bench) {
        Ok(toolchain) => toolchain,
        Err(error) => return Ok(format!("NOT RUN: no compiler for other targets: {error:#}")),
    };
    let only = env::var(ROWS).unwrap_or_default();
    let port = Port { bench: &bench, toolchain: &toolchain, began: Instant::now(), only: &only };
    let platforms: Platforms = tables::read("platforms")?;
    let mut rows = Vec::new();
    for wasm in platforms.wasm {
        rows.push(port.row(&wasm.triple, |port| wasm.row(port))?);
    }
    for linux in platforms.linux {
        rows.push(port.row(&linux.triple, |port| linux.row(port))?);
    }
    rows.push(port.row(musl::TRIPLE, musl::row)?);
    rows.push(port.row(windows::TRIPLE, windows::row)?);
    for triple in CHECKED {
        rows.push(port.row(triple, |port| port.check(triple))?);
    }
    rows.push(port.row(BARE, Port::check_bare)?);
    rows.retain(|row| !row.is_empty());
    ensure!(!rows.is_empty(), "{ROWS}: no row is called {only}");
    Ok(rows.join("; "))
}

/// `tables/platforms.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Platforms {
    wasm: Vec<Wasm>,
    linux: Vec<Linux>,
}

/// What all rows need.
#[derive(Clone, Copy)]
struct Port<'a> {
    bench: &'a Workbench<'a>,
    toolchain: &'a Toolchain,
    began: Instant,
    only: &'a str,
}

/// What a row wants can't be had, which is no failure.
#[derive(Debug)]
struct NotToBeHad(String);

impl std::error::Error for NotToBeHad {}

impl Display for NotToBeHad {
    fn fmt(&self, to: &mut Formatter) -> fmt::Result {
        to.write_str(&self.0)
    }
}

/// As an error that leads to "NOT RUN".
fn wanted<T>(outcome: Result<T>, what: &str) -> Result<T> {
    Ok(outcome.map_err(|error| NotToBeHad(format!("{what}{error:#}")))?)
}

impl Port<'_> {
    /// What became of a row, which is also printed at once: later ones may fail. Nothing if it isn't wanted.
    fn row(&self, triple: &str, run: impl FnOnce(&Self) -> Verdict) -> Verdict {
        if !is_wanted(triple, self.only) {
            return Ok(String::new());
        }
        let row = format!("{triple}: {}", self.outcome(run).with_context(|| triple.to_owned())?);
        println!("   {row}");
        Ok(row)
    }

    fn outcome(&self, run: impl FnOnce(&Self) -> Verdict) -> Verdict {
        if self.began.elapsed() > PATIENCE {
            return Ok("NOT RUN: the time was up".into());
        }
        match run(self) {
            Err(error) if error.is::<NotToBeHad>() => Ok(format!("NOT RUN: {error}")),
            // A loaded machine is no failure.
            Err(error) if error.to_string().starts_with("time was up") => Ok("NOT RUN: the time was up".into()),
            outcome => outcome,
        }
    }

    fn install(&self, needs: &[impl AsRef<str>]) -> Result<()> {
        wanted(packages::install(needs, &self.bench.log), "").map(drop)
    }

    fn check(&self, triple: &str) -> Verdict {
        let mut command = self.cargo_with_std(&["check", "-p", "ferrimalloc", "--target", triple], "core,alloc")?;
        if triple.contains("windows") {
            command.args(["-p", "ferrimalloc-redirect"]);
        }
        self.bench.run(&mut command)?;
        Ok("checked".into())
    }

    fn check_bare(&self) -> Verdict {
        let arguments = ["check", "-p", "ferrimalloc-small", "--no-default-features", "--target", BARE];
        self.bench.run(&mut self.cargo_with_std(&arguments, "core,alloc")?)?;
        Ok("checked (ferrimalloc-small)".into())
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = workspace::cargo(arguments);
        self.toolchain.apply(&mut command);
        command.arg("--locked").env("CARGO_TERM_COLOR", "never");
        command.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    }

    /// The same with these crates of the standard library built, for a target that the compiler has none of.
    fn cargo_with_std(&self, arguments: &[&str], crates: &str) -> Result<Command> {
        wanted(self.toolchain.add_source(self.bench), "no source of the standard library: ")?;
        let mut command = self.cargo(arguments);
        command.arg(format!("-Zbuild-std={crates}")).env("RUSTC_BOOTSTRAP", "1");
        Ok(command)
    }

    /// The test programs of the two crates that a port is about.
    fn test_programs(&self, cargo: &mut Command) -> Result<Vec<PathBuf>> {
        cargo.args(["-p", "ferrimalloc-prim", "-p", "ferrimalloc-core", "--lib", "--no-run"]);
        let programs = executables(&self.bench.run(cargo)?);
        let log = self.bench.log.display();
        ensure!(programs.len() == 2, "cargo names {} programs in place of 2 (see {log})", programs.len());
        Ok(programs.into_iter().map(|program| workspace::root().join(program)).collect())
    }

    /// The C library, of a kind as `--crate-type` names it, without assertions: they stop at the misuse that some programs are about. A
    /// little optimised: programs that wait for memory at a limit would take minutes.
    fn library(&self, triple: &str, kind: &str, linked: impl FnOnce(&mut Command)) -> Result<String> {
        let library = ["rustc", "-p", "ferrimalloc-library", "--crate-type", kind, "--target", triple];
        let mut command = self.cargo_with_std(&library, "core,alloc")?;
        command.env("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false").env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
        linked(&mut command);
        self.bench.run(&mut command)?;
        let name = if kind == "cdylib" { "libferrimalloc.so" } else { "libferrimalloc.a" };
        let path = std::path::absolute(self.toolchain.target().join(triple).join("debug").join(name))?;
        Ok(path.display().to_string())
    }

    /// The C programs that a table names, compiled by a compiler of the target's.
    fn c_programs(&self, name: &str, compiler: &str, flags: &[&str], tool: &[&str], env: Variables) -> Result<usize> {
        let testbed = self.bench.testbed;
        let bench = Workbench { testbed, folder: testbed.scratch(name)?, log: self.bench.log.clone(), ..*self.bench };
        let include = format!("-I{}", workspace::root().join("include").display());
        let flags = [&[include.as_str()], flags].concat();
        let trials = Trials { compiler: Some(compiler), flags: &flags, tool, env, ..Trials::new(&bench, Reach::Quick) };
        trials.all(&trials::of(name)?, &[]).context(name.to_owned())
    }

    /// The programs of `xtask/programs/jobs`: their folder, until they are built again.
    fn jobs(&self, triple: &str, features: &str) -> Result<PathBuf> {
        let arguments = ["build", "--release", "--target", triple, "--features", features];
        let mut command = self.cargo_with_std(&arguments, "std,panic_abort")?;
        self.bench.run(command.current_dir(workspace::programs().join("jobs")))?;
        Ok(self.toolchain.target().join(triple).join("release"))
    }
}

fn is_wanted(triple: &str, only: &str) -> bool {
    only.split(',').any(|part| triple.contains(part))
}

/// Names and values of a program's environment.
type Variables<'a> = Vec<(&'a str, OsString)>;

/// Has a test program run where it expects to be.
fn in_the_core(command: &mut Command) -> &mut Command {
    command.current_dir(workspace::root().join("crates/core")).env("RUST_BACKTRACE", "0")
}

fn variable(triple: &str, what: &str) -> String {
    format!("CARGO_TARGET_{}_{what}", triple.replace('-', "_").to_uppercase())
}

/// The paths in lines such as `Executable unittests src/lib.rs (target/…/prim-123)`.
fn executables(text: &str) -> Vec<PathBuf> {
    let lines = text.lines().filter(|line| line.trim_start().starts_with("Executable"));
    lines.filter_map(|line| Some(line.rsplit_once('(')?.1.strip_suffix(')')?.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let text = "   Compiling x\n  Executable unittests src/lib.rs (target/a/b-12)\n  Executable tests/m.rs (c-3)\n";
        assert_eq!(executables(text), [PathBuf::from("target/a/b-12"), PathBuf::from("c-3")]);
        assert_eq!(variable("a-b-c", "LINKER"), "CARGO_TARGET_A_B_C_LINKER");
    }

    #[test]
    fn rows_are_chosen_by_parts_of_their_names() {
        assert!(is_wanted("i686-unknown-linux-gnu", "") && is_wanted("i686-unknown-linux-gnu", "wasm,i686"));
        assert!(!is_wanted("i686-unknown-linux-gnu", "wasm,musl"));
    }

    #[test]
    fn what_can_not_be_had_is_told_from_failures() {
        let error = wanted::<()>(Err(anyhow::anyhow!("x")), "no compiler: ").unwrap_err();
        assert!(error.is::<NotToBeHad>() && error.to_string() == "no compiler: x");
    }
}
