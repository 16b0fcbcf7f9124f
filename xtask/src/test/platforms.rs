//! The allocator on other targets than this machine: one row per target, with what was done there.
//!
//! Nothing but Debian's registry is needed: the compiler is unpacked (`foreign_toolchain`), linkers and emulators are installed.
//! What can't be had is no failure: its row says "NOT RUN", and why.

mod checks;
mod jobs;
mod musl;
mod windows;

use super::foreign_toolchain::Toolchain;
use super::{Testbed, Verdict};
use crate::packages;
use crate::process;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A Linux of another processor.
struct Linux {
    triple: &'static str,
    /// Debian's name for it.
    architecture: &'static str,
    /// The linker and its arguments.
    linker: &'static [&'static str],
    /// What runs its programs; nothing, if this machine does.
    emulator: &'static [&'static str],
    needs: &'static [&'static str],
    processes: Processes,
}

/// How the tests of a crate are run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Processes {
    One,
    /// One for each test: the tests leave arenas behind, more than addresses of 32 bits have room for.
    EachTest,
}

const LINUX: &[Linux] = &[
    Linux {
        triple: "i686-unknown-linux-gnu",
        architecture: "i386",
        linker: &["gcc-12", "-m32"],
        emulator: &[],
        needs: &["/usr/lib/gcc/x86_64-linux-gnu/12/32/libgcc.a", "/usr/lib32/libc.so"],
        processes: Processes::EachTest,
    },
    Linux {
        triple: "aarch64-unknown-linux-gnu",
        architecture: "arm64",
        linker: &["aarch64-linux-gnu-gcc"],
        emulator: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        needs: &["aarch64-linux-gnu-gcc", "/usr/aarch64-linux-gnu/lib/libc.so", "qemu-aarch64"],
        processes: Processes::One,
    },
    Linux {
        triple: "riscv64gc-unknown-linux-gnu",
        architecture: "riscv64",
        linker: &["riscv64-linux-gnu-gcc"],
        emulator: &["qemu-riscv64", "-L", "/usr/riscv64-linux-gnu"],
        needs: &["riscv64-linux-gnu-gcc", "/usr/riscv64-linux-gnu/lib/libc.so", "qemu-riscv64"],
        processes: Processes::One,
    },
];

const WASM: &str = "wasm32-unknown-unknown";
const WASM_NEEDS: &[&str] = &["wasm-ld-19", "node"];

/// What qemu's user mode (7.2) does otherwise than a kernel: memory that is given back is not cleared, pages are not moved,
/// times are its own. So what relies on these, most of the core, is built and not run there.
const NOT_UNDER_EMULATION: &[&str] = &["huge_pages_are_there", "moving_carries_contents", "usage_grows_with_use"];
/// Parts of the core that ask nothing of the system.
const UNDER_EMULATION: &[&str] = &["floors::options", "floors::stats", "floors::hardened", "floors::random"];
/// More arenas than addresses of 32 bits have room for, in one test; and threads that allocate behind the last destructor, which
/// leave memory behind where another thread's slot can't be looked into (`docs/PORTING.md`).
const NOT_ON_32_BITS: &[&str] = &["a_page_is_mended_wherever_its_owner", "in_the_last_round_of_destructors"];

/// For each command of a row.
const LIMIT: Duration = Duration::from_secs(300);
/// For each test in a process of its own.
const TEST_LIMIT: Duration = Duration::from_secs(60);
/// No row begins later: what is left says so.
const PATIENCE: Duration = Duration::from_secs(900);

pub fn check(testbed: &Testbed) -> Verdict {
    let (log, began) = (testbed.log("platforms")?, Instant::now());
    let toolchain = match Toolchain::unpack(&log) {
        Ok(toolchain) => toolchain,
        Err(error) => return Ok(format!("NOT RUN: no compiler for other targets: {error:#}")),
    };
    let mut rows = vec![row(WASM, began, || wasm(testbed, &toolchain, &log))?];
    for linux in LINUX {
        rows.push(row(linux.triple, began, || linux.row(testbed, &toolchain, &log))?);
    }
    rows.push(row(musl::TRIPLE, began, || musl::row(testbed, &toolchain, &log))?);
    rows.push(row(windows::TRIPLE, began, || windows::row(testbed, &toolchain, &log))?);
    for triple in checks::TRIPLES {
        rows.push(row(triple, began, || checks::row(triple, testbed, &toolchain, &log))?);
    }
    rows.iter().for_each(|row| println!("   {row}"));
    Ok(rows.join("; "))
}

/// What a row has come to: an error is a failure, `NotToBeHad` is none.
enum Row {
    Done(String),
    NotToBeHad(String),
}

fn row(triple: &str, began: Instant, run: impl FnOnce() -> Result<Row>) -> Result<String> {
    if began.elapsed() > PATIENCE {
        return Ok(format!("{triple}: NOT RUN: the time was up"));
    }
    let done = match run() {
        // A loaded machine is no failure.
        Err(error) if error.to_string().starts_with("time was up") => Row::NotToBeHad("the time was up".into()),
        done => done.with_context(|| triple.to_string())?,
    };
    Ok(match done {
        Row::Done(what) => format!("{triple}: {what}"),
        Row::NotToBeHad(why) => format!("{triple}: NOT RUN: {why}"),
    })
}

/// Installs what is missing; why that can't be.
fn installed(needs: &[&str], log: &Path) -> Option<String> {
    packages::install(needs, log).err().map(|error| format!("{error:#}"))
}

impl Linux {
    fn row(&self, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
        if let Some(why) = installed(self.needs, log) {
            return Ok(Row::NotToBeHad(why));
        }
        if let Err(error) = toolchain.add_std(self.architecture, self.triple, log) {
            return Ok(Row::NotToBeHad(format!("no standard library: {error:#}")));
        }
        let programs = self.build(testbed, toolchain, log)?;
        let counts = programs.iter().map(|program| match self.processes {
            Processes::One => self.run_all(testbed, program, log),
            Processes::EachTest => self.run_each(program),
        });
        let count: usize = counts.sum::<Result<usize>>()?;
        let how = self.emulator.first().map_or("natively", |emulator| emulator);
        Ok(Row::Done(format!("{count} tests run ({how})")))
    }

    /// The test programs of the two crates that a port is about.
    fn build(&self, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Vec<PathBuf>> {
        let mut command = workspace::cargo(&["test", "-p", "ferrimalloc-prim", "-p", "ferrimalloc-core", "--lib"]);
        command.args(["--locked", "--no-run", "--target", self.triple]);
        toolchain.apply(&mut command);
        let linker = toolchain.script(self.triple, self.linker)?;
        command.env(variable(self.triple, "LINKER"), linker);
        // Emulated, unoptimised tests would take minutes.
        command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env("CARGO_INCREMENTAL", "0");
        two_programs(testbed, command.env("CARGO_TERM_COLOR", "never"), log)
    }

    fn command(&self, program: &Path) -> Command {
        let program = workspace::root().join(program);
        let mut command = match self.emulator {
            [] => Command::new(&program),
            [emulator, arguments @ ..] => {
                let mut command = Command::new(emulator);
                command.args(arguments).arg(&program);
                command
            }
        };
        command.current_dir(workspace::root().join("crates/core")).env("RUST_BACKTRACE", "0");
        command
    }

    /// Which tests are run, and which are not.
    fn chosen(&self, program: &Path) -> Vec<&'static str> {
        if self.emulator.is_empty() {
            return Vec::new();
        }
        let is_core = program.to_string_lossy().contains("ferrimalloc_core");
        let skipped = NOT_UNDER_EMULATION.iter().flat_map(|name| ["--skip", name]);
        skipped.chain(is_core.then_some(UNDER_EMULATION).into_iter().flatten().copied()).collect()
    }

    fn run_all(&self, testbed: &Testbed, program: &Path, log: &Path) -> Result<usize> {
        let text = testbed.said(self.command(program).args(self.chosen(program)), LIMIT, log)?;
        Ok(super::cargo_stages::passed(&text))
    }

    fn run_each(&self, program: &Path) -> Result<usize> {
        let listed = self.command(program).arg("--list").output().context("cannot list tests")?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let tests = text.lines().filter_map(|line| line.strip_suffix(": test"));
        let tests: Vec<&str> =
            tests.filter(|test| !NOT_ON_32_BITS.iter().any(|left_out| test.contains(left_out))).collect();
        for test in &tests {
            let mut command = self.command(program);
            command.args(["--exact", test]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let finished = process::bounded(&mut command, TEST_LIMIT)?;
            if !finished.succeeded() {
                bail!("{test}: {} ({} --exact {test})", finished.describe(), program.display());
            }
        }
        Ok(tests.len())
    }
}

fn variable(triple: &str, what: &str) -> String {
    format!("CARGO_TARGET_{}_{what}", triple.replace('-', "_").to_uppercase())
}

/// The test programs of the two crates that a port is about, which a command of cargo's has built.
fn two_programs(testbed: &Testbed, cargo: &mut Command, log: &Path) -> Result<Vec<PathBuf>> {
    let programs = executables(&testbed.said(cargo, LIMIT, log)?);
    if programs.len() != 2 {
        bail!("cargo names {} programs in place of 2 (see {})", programs.len(), log.display());
    }
    Ok(programs)
}

/// A command of cargo's that builds the standard library as well, for a target that the compiler has none of.
fn with_own_std(arguments: &[&str], toolchain: &Toolchain) -> Command {
    let mut command = workspace::cargo(arguments);
    toolchain.apply(&mut command);
    command.arg("--locked").env("RUSTC_BOOTSTRAP", "1").env("CARGO_TERM_COLOR", "never");
    command
}

/// Why the standard library can't be built, if it can't.
fn without_source(toolchain: &Toolchain, log: &Path) -> Option<Row> {
    let error = toolchain.add_source(log).err()?;
    Some(Row::NotToBeHad(format!("no source of the standard library: {error:#}")))
}

/// The paths in lines such as `Executable unittests src/lib.rs (target/…/prim-123)`.
fn executables(text: &str) -> Vec<PathBuf> {
    let lines = text.lines().filter(|line| line.trim_start().starts_with("Executable"));
    lines.filter_map(|line| Some(line.rsplit_once('(')?.1.strip_suffix(')')?.into())).collect()
}

/// Jobs with our allocator and with the standard library's, under node.
fn wasm(testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
    if let Some(why) = installed(WASM_NEEDS, log) {
        return Ok(Row::NotToBeHad(why));
    }
    if let Some(row) = without_source(toolchain, log) {
        return Ok(row);
    }
    let (source, folder) = (workspace::programs().join("wasm"), testbed.scratch("wasm")?);
    let mut modules = Vec::new();
    for (name, features) in [("ours", "ours"), ("std", "")] {
        let mut command = with_own_std(&["build", "--release", "-Zbuild-std=std,panic_abort"], toolchain);
        command.args(["--target", WASM, "--features", features]).current_dir(&source);
        testbed.logged(command.env(variable(WASM, "LINKER"), "wasm-ld-19"), LIMIT, log)?;
        let module = folder.join(name).with_extension("wasm");
        fs::copy(toolchain.target().join(WASM).join("release/wasm_jobs.wasm"), &module)?;
        modules.push(module);
    }
    let mut node = Command::new("node");
    let arguments = [source.join("run.mjs")].into_iter().chain(modules).map(PathBuf::into_os_string);
    let output = node.args(arguments).stdin(Stdio::null()).output().context("cannot start node")?;
    if !output.status.success() {
        bail!("node: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    compare(&String::from_utf8_lossy(&output.stdout)).map(Row::Done)
}

/// One line of `run.mjs` per module: ours and the standard library's. The answers must be the same.
fn compare(text: &str) -> Result<String> {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let [ours, theirs] = &lines[..] else { bail!("node printed: {text}") };
    let answers = |line: &[&str]| [1, 4, 7].map(|at| line.get(at).map(ToString::to_string));
    if ours.len() != 15 || theirs.len() != 15 || answers(ours) != answers(theirs) {
        bail!("the answers differ: {text}");
    }
    let times = [0, 3, 6].map(|at| format!("{} {} ms, std's {}", ours[at], ours[at + 2], theirs[at + 2]));
    let facts = format!(
        "{} KiB more code, compressed; memory {} pages, std's {}",
        (ours[11].parse::<i64>()? - theirs[11].parse::<i64>()?) / 1024,
        ours[14],
        theirs[14]
    );
    Ok(format!("3 jobs run (node): {}; {facts}", times.join(", ")))
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
    fn modules_that_answer_differently_fail() {
        let line = |answer| format!("a 1 2.0 b {answer} 3.0 c 5 4.0 bytes 9000 4096 pages 17 20\n");
        assert!(compare(&format!("{}{}", line(7), line(7))).unwrap().contains("0 KiB"));
        assert!(compare(&format!("{}{}", line(7), line(8))).is_err());
        assert!(compare(&line(7)).is_err());
    }
}
