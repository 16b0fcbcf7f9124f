//! WebAssembly with one thread: jobs with our allocator and with the standard library's, under node; with no host, and with WASI.

use super::{Port, jobs, variable};
use crate::test::Verdict;
use crate::{process, workspace};
use anyhow::{Context, Result};
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
        let modules = [self.module(port, "ours", "ours")?, self.module(port, "std", "")?];
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

/// One line per module, ours and the standard library's: three jobs, `bytes`, the code's size and that compressed, `pages`, …
fn told(said: &str) -> Verdict {
    let (ours, theirs) = said.split_once('\n').context("node printed one line")?;
    let times = jobs::compare(ours, theirs, 3, "std")?;
    let word = |line: &str, at| line.split_whitespace().nth(at).map(str::to_owned).context("a line is too short");
    let compressed = |line| anyhow::Ok(word(line, 11)?.parse::<i64>()?);
    let code = (compressed(ours)? - compressed(theirs)?) / 1024;
    let (pages, pages_of_theirs) = (word(ours, 14)?, word(theirs, 14)?);
    Ok(format!(
        "3 jobs run (node): {times}; {code} KiB more code, compressed; memory {pages} pages, std's {pages_of_theirs}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_answer_differently_fail() {
        let line = |answer| format!("a 1 2.0 b {answer} 3.0 c 5 4.0 bytes 9000 4096 pages 17 20\n");
        assert!(told(&format!("{}{}", line(7), line(7))).unwrap().contains("0 KiB"));
        assert!(told(&format!("{}{}", line(7), line(8))).is_err());
        assert!(told(&line(7)).is_err());
    }
}
