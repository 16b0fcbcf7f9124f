//! WebAssembly: jobs with our allocator and with the standard library's, under node.

use super::{Port, jobs, variable};
use crate::test::Verdict;
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

pub const TRIPLE: &str = "wasm32-unknown-unknown";
const LINKER: &str = "wasm-ld-19";

pub fn row(port: &Port) -> Verdict {
    port.install(&[LINKER, "node"])?;
    let source = workspace::programs().join("wasm");
    let modules = [module(port, "ours", "ours")?, module(port, "std", "")?];
    let said = process::read(Command::new("node").arg(source.join("run.mjs")).args(modules))?;
    told(&said)
}

fn module(port: &Port, name: &str, features: &str) -> Result<PathBuf> {
    let arguments = ["build", "--release", "--target", TRIPLE, "--features", features];
    let mut command = port.cargo_with_std(&arguments, "std,panic_abort")?;
    command.current_dir(workspace::programs().join("wasm")).env(variable(TRIPLE, "LINKER"), LINKER);
    port.bench.run(&mut command)?;
    let module = port.bench.folder.join(name).with_extension("wasm");
    fs::copy(port.toolchain.target().join(TRIPLE).join("release/wasm_jobs.wasm"), &module)?;
    Ok(module)
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
