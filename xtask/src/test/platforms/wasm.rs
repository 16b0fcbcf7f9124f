//! WebAssembly with one thread: jobs with our allocator and with the standard library's, under node; with no host, and with WASI.

use super::{LIMIT, Row, installed, variable, with_own_std, without_source};
use crate::packages::Need;
use crate::test::Testbed;
use crate::test::foreign_toolchain::Toolchain;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const LINKER: &str = "wasm-ld-19";

pub struct Wasm {
    pub triple: &'static str,
    needs: &'static [Need],
    /// Debian's C library takes the place of the one that Rust's own releases bring along.
    flags: &'static str,
}

pub const ALL: &[Wasm] = &[
    Wasm {
        triple: "wasm32-unknown-unknown",
        needs: &[Need { program: LINKER, package: "lld-19" }, Need { program: "node", package: "nodejs" }],
        flags: "",
    },
    Wasm {
        triple: "wasm32-wasip1",
        needs: &[
            Need { program: LINKER, package: "lld-19" },
            Need { program: "node", package: "nodejs" },
            Need { program: "/usr/lib/wasm32-wasi/libc.a", package: "wasi-libc" },
        ],
        flags: "-Clink-self-contained=no -Clink-arg=-L/usr/lib/wasm32-wasi -Clink-arg=-lc",
    },
];

impl Wasm {
    pub fn row(&self, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
        if let Some(why) = installed(self.needs, log) {
            return Ok(Row::NotToBeHad(why));
        }
        if let Some(row) = without_source(toolchain, log) {
            return Ok(row);
        }
        let folder = testbed.scratch(self.triple)?;
        let build = |(name, features)| self.build(testbed, toolchain, log, &folder.join(name), features);
        let modules = [("ours.wasm", "ours"), ("std.wasm", "")].into_iter().map(build).collect::<Result<Vec<_>>>()?;
        let mut node = Command::new("node");
        let output = node.arg(source().join("run.mjs")).args(modules).stdin(Stdio::null()).output();
        let output = output.context("cannot start node")?;
        if !output.status.success() {
            bail!("node: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        compare(&String::from_utf8_lossy(&output.stdout)).map(Row::Done)
    }

    fn build(
        &self,
        testbed: &Testbed,
        toolchain: &Toolchain,
        log: &Path,
        to: &Path,
        features: &str,
    ) -> Result<PathBuf> {
        let mut command = with_own_std(&["build", "--release", "-Zbuild-std=std,panic_abort"], toolchain);
        command.args(["--target", self.triple, "--features", features]).current_dir(source());
        command.env(variable(self.triple, "LINKER"), LINKER).env(variable(self.triple, "RUSTFLAGS"), self.flags);
        testbed.logged(&mut command, LIMIT, log)?;
        fs::copy(toolchain.target().join(self.triple).join("release/wasm_jobs.wasm"), to)?;
        Ok(to.into())
    }
}

fn source() -> PathBuf {
    workspace::programs().join("wasm")
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
    fn modules_that_answer_differently_fail() {
        let line = |answer| format!("a 1 2.0 b {answer} 3.0 c 5 4.0 bytes 9000 4096 pages 17 20\n");
        assert!(compare(&format!("{}{}", line(7), line(7))).unwrap().contains("0 KiB"));
        assert!(compare(&format!("{}{}", line(7), line(8))).is_err());
        assert!(compare(&line(7)).is_err());
    }
}
