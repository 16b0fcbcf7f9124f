//! The core's stress and model tests under the compiler's sanitizers, which only a nightly toolchain has.
//!
//! The standard library is not instrumented, hence [`SUPPRESSIONS`]; the core is, whole.

use crate::test::{Testbed, Verdict, commands};
use crate::workspace;
use std::fs;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(3 * 3600);
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Each with its reason; in the form of the sanitizer's runtime.
const SUPPRESSIONS: &str = "\
# The channels of the standard library synchronise with atomics that the sanitizer doesn't see: std is not instrumented.
race:std::sync::mpmc
race:std::sync::mpsc
race:alloc::sync::Arc
";

/// ThreadSanitizer's own limit: "starting new threads after multi-threaded fork is not supported".
const FORKS: &str = "forks_beside_busy_threads";

/// The compiler's flag.
pub const ADDRESS: &str = "-Zsanitizer=address";

/// A run of the tests.
struct Run<'a> {
    name: &'static str,
    flags: &'a str,
    /// A variable that the runtime reads, and its value.
    options: (&'static str, &'a str),
    /// How many times as much as the program's memory is resident, for tests that it stays flat. (AddressSanitizer also keeps
    /// what the tests themselves free, for a while.)
    shadow: u32,
    more: &'a [&'a str],
}

pub fn thread(testbed: &Testbed) -> Verdict {
    let file = testbed.scratch("tsan-options")?.join("suppressions");
    fs::write(&file, SUPPRESSIONS)?;
    let options = format!("suppressions={} halt_on_error=1 second_deadlock_stack=1", file.display());
    let flags = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";
    let (options, more) = (("TSAN_OPTIONS", options.as_str()), &["--", "--skip", FORKS]);
    Run { name: "tsan", flags, options, shadow: 8, more }.execute(testbed)
}

/// Once as it is, once with free memory closed to everybody. Leaks are not looked for: memory stays with the allocator by design.
pub fn address(testbed: &Testbed) -> Verdict {
    let plain = Run { name: "asan", flags: ADDRESS, options: ("ASAN_OPTIONS", "detect_leaks=0"), shadow: 2, more: &[] };
    let told = Run { name: "asan-told", more: &["--features", "asan"], ..plain };
    let (plain, told) = (plain.execute(testbed)?, told.execute(testbed)?);
    Ok(format!("{plain}; with the feature `asan` {told}"))
}

impl Run<'_> {
    fn execute(&self, testbed: &Testbed) -> Verdict {
        let mut command = nightly_cargo(&["test", "-p", "ferrimalloc-core", "--target", TARGET]);
        command.args(["--test", "stress", "--test", "model"]).args(self.more);
        command.env("RUSTFLAGS", self.flags).env("CARGO_TARGET_DIR", workspace::target().join(self.name));
        command.env(self.options.0, self.options.1).env("FERRIMALLOC_TEST_SHADOW", self.shadow.to_string());
        let said = testbed.workbench(self.name, LIMIT)?.run(&mut command)?;
        Ok(format!("{}, nothing reported", commands::passed_tests(&said)))
    }
}

pub fn is_nightly_there() -> bool {
    nightly_cargo(&["--version"]).output().is_ok_and(|output| output.status.success())
}

/// `cargo +nightly`, free of what the toolchain that runs us has set.
pub fn nightly_cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").args(arguments).current_dir(workspace::root());
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        command.env_remove(variable);
    }
    command
}
