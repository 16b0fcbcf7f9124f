//! Linux of other processors, emulated where this machine can't run them.

use super::{NotToBeHad, Port, in_the_core, variable, wanted};
use crate::process;
use crate::test::Verdict;
use crate::test::commands::passed;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// An entry of `tables/platforms.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linux {
    pub triple: String,
    /// Debian's name for it.
    architecture: String,
    /// The linker and its arguments.
    linker: Vec<String>,
    /// What runs its programs; nothing, if this machine does.
    #[serde(default)]
    emulator: Vec<String>,
    needs: Vec<String>,
    #[serde(default)]
    processes: Processes,
}

/// How the tests of a crate are run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Processes {
    #[default]
    One,
    EachTest,
}

/// What qemu's user mode (7.2) does otherwise than a kernel: memory that is given back is not cleared, pages are not moved,
/// times are its own. So what relies on these, most of the core, is built and not run there.
const NOT_UNDER_EMULATION: &[&str] = &["huge_pages_are_there", "moving_carries_contents", "usage_grows_with_use"];
/// Parts of the core that ask nothing of the system.
const UNDER_EMULATION: &[&str] = &["floors::options", "floors::stats", "floors::hardened", "floors::random"];
/// More arenas than addresses of 32 bits have room for, in one test; and threads that allocate behind the last destructor, which
/// leave memory behind where another thread's slot can't be looked into (`docs/PORTING.md`).
const NOT_ON_32_BITS: &[&str] = &["a_page_is_mended_wherever_its_owner", "in_the_last_round_of_destructors"];

/// For each test in a process of its own.
const TEST_LIMIT: Duration = Duration::from_secs(60);

impl Linux {
    pub fn row(&self, port: &Port) -> Verdict {
        port.install(&self.needs)?;
        let std = port.toolchain.add_std(&self.architecture, &self.triple, port.bench);
        wanted(std, "no standard library: ")?;
        let mut build = port.cargo(&["test", "--target", &self.triple]);
        build.env(variable(&self.triple, "LINKER"), port.toolchain.script(&self.triple, &self.linker)?);
        // Emulated, unoptimised tests would take minutes.
        let programs = port.test_programs(build.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1"))?;
        let counts = programs.iter().map(|program| match self.processes {
            Processes::One => self.run_all(port, program),
            Processes::EachTest => self.run_each(program),
        });
        let count = counts.sum::<Result<usize>>()?;
        let how = self.emulator.first().map_or("natively", String::as_str);
        Ok(format!("{count} tests run ({how}), and {}", self.c_library(port)?))
    }

    /// The C library, preloaded into C programs; by the emulator, if there is one.
    fn c_library(&self, port: &Port) -> Verdict {
        let linker = port.toolchain.script(&self.triple, &self.linker)?;
        let library = port.library(&self.triple, "cdylib", |command| {
            command.env(variable(&self.triple, "LINKER"), linker);
        });
        let library = match library {
            Ok(library) => library,
            Err(error) if error.is::<NotToBeHad>() => return Ok(format!("no C library: {error}")),
            Err(error) => return Err(error),
        };
        let (compiler, flags) = self.linker.split_first().context("a target has a linker")?;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        if self.emulator.is_empty() {
            let count = port.c_programs("native", compiler, &flags, &[], vec![("LD_PRELOAD", library.into())])?;
            return Ok(format!("{count} C programs"));
        }
        let preload = format!("LD_PRELOAD={library}");
        let emulator = self.emulator.iter().map(String::as_str).chain(["-E", &preload]).collect::<Vec<_>>();
        Ok(format!("{} C programs", port.c_programs("emulated", compiler, &flags, &emulator, vec![])?))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match &self.emulator[..] {
            [] => Command::new(program),
            [emulator, arguments @ ..] => {
                let mut command = Command::new(emulator);
                command.args(arguments).arg(program);
                command
            }
        };
        in_the_core(&mut command);
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

    fn run_all(&self, port: &Port, program: &Path) -> Result<usize> {
        Ok(passed(&port.bench.run(self.command(program).args(self.chosen(program)))?))
    }

    fn run_each(&self, program: &Path) -> Result<usize> {
        let text = process::read(self.command(program).arg("--list"))?;
        let tests = text.lines().filter_map(|line| line.strip_suffix(": test"));
        let tests: Vec<&str> =
            tests.filter(|test| !NOT_ON_32_BITS.iter().any(|left_out| test.contains(left_out))).collect();
        for test in &tests {
            let mut command = self.command(program);
            command.args(["--exact", test]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let finished = process::bounded(&mut command, TEST_LIMIT)?;
            let described = finished.describe();
            ensure!(finished.succeeded(), "{test}: {described} ({} --exact {test})", program.display());
        }
        Ok(tests.len())
    }
}
