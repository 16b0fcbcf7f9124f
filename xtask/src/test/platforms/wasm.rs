//! WebAssembly with one thread: jobs with our allocator, with the small one, and with the standard library's, under node; with no host, and with WASI.

use super::{Port, jobs, variable};
use crate::test::Verdict;
use crate::{process, workspace};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LINKER: &str = "wasm-ld-19";

/// An entry of `tables/platforms.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wasm {
    pub triple: String,
    /// Besides a linker and node.
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    flags: String,
}

impl Wasm {
    pub fn row(&self, port: &Port) -> Verdict {
        port.install(&[LINKER, "node"])?;
        port.install(&self.needs)?;
        let modules =
            [self.module(port, "ours", "ours")?, self.module(port, "small", "small")?, self.module(port, "std", "")?];
        let run = workspace::programs().join("wasm/run.mjs");
        told(&process::read(Command::new("node").arg(run).args(modules))?)
    }

    fn module(&self, port: &Port, name: &str, features: &str) -> Result<PathBuf> {
        let arguments = ["build", "--release", "--target", &self.triple, "--features", features];
        let mut command = port.cargo_with_std(&arguments, "std,panic_abort")?;
        command.env(variable(&self.triple, "LINKER"), LINKER).env(variable(&self.triple, "RUSTFLAGS"), &self.flags);
        port.bench.run(command.current_dir(workspace::programs().join("wasm")))?;
        let module = port.bench.folder.join(format!("{name}-{}.wasm", self.triple));
        fs::copy(port.toolchain.target().join(&self.triple).join("release/wasm_jobs.wasm"), &module)?;
        Ok(module)
    }
}

/// What the small allocator may add to the code that the standard library's has, compressed; and pages of memory. (With WASI the C library's
/// allocator, which is the standard library's there, stays beside it.)
const SMALL_BYTES: i64 = 4 << 10;
const SMALL_PAGES: i64 = 2;

/// One line per module, ours, the small one and the standard library's: three jobs, `bytes`, the code's size and that compressed, `pages`, …
fn told(said: &str) -> Verdict {
    let lines: Vec<&str> = said.lines().collect();
    let [ours, small, theirs] = lines[..] else { bail!("node printed: {said}") };
    let (more, pages) = (beyond(small, theirs, CODE)?, beyond(small, theirs, PAGES)?);
    ensure!(more <= SMALL_BYTES && pages <= SMALL_PAGES, "the small allocator has {more} bytes and {pages} pages more");
    Ok(format!("3 jobs run (node): {}; {}", line("ours", ours, theirs)?, line("small", small, theirs)?))
}

/// Where in a line these are.
const CODE: usize = 11;
const PAGES: usize = 14;

fn line(name: &str, ours: &str, theirs: &str) -> Verdict {
    let times = jobs::compare(ours, theirs, 3, "std")?;
    let (code, pages) = (beyond(ours, theirs, CODE)? / 1024, number(ours, PAGES)?);
    let their_pages = number(theirs, PAGES)?;
    Ok(format!("{name}: {times}; {code} KiB more code, compressed; memory {pages} pages, std's {their_pages}"))
}

fn beyond(ours: &str, theirs: &str, at: usize) -> Result<i64> {
    Ok(number(ours, at)? - number(theirs, at)?)
}

fn number(line: &str, at: usize) -> Result<i64> {
    Ok(line.split_whitespace().nth(at).context("a line is too short")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(answer: u32, pages: u32) -> String {
        format!("a 1 2.0 b {answer} 3.0 c 5 4.0 bytes 9000 4096 pages 17 {pages}\n")
    }

    #[test]
    fn modules_that_answer_differently_fail() {
        let lines = |answers: [u32; 3]| answers.map(|answer| printed(answer, 20)).concat();
        assert!(told(&lines([7, 7, 7])).unwrap().contains("0 KiB"));
        assert!(told(&lines([8, 7, 7])).is_err() && told(&lines([7, 8, 7])).is_err());
        assert!(told(&printed(7, 20)).is_err());
    }

    #[test]
    fn the_small_allocator_takes_little() {
        let lines = |small| [printed(7, 90), printed(7, small), printed(7, 20)].concat();
        assert!(told(&lines(22)).is_ok() && told(&lines(23)).is_err());
    }
}
