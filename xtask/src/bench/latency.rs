//! Latency of single calls: runs `bench`'s program with each engine preloaded and reads its percentiles.

use super::engines::Engine;
use super::results::Latency;
use crate::show::Spinner;
use crate::{process, workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const THREADS: [u32; 3] = [1, 2, 8];
const CALLS_PER_THREAD: f64 = 4e6;

pub fn measure(engines: &[Engine], scale: f64) -> Result<Vec<Latency>> {
    let program = build()?;
    let mut all = Vec::new();
    for threads in THREADS {
        for engine in engines {
            let _spinner = Spinner::start(&format!("latency {} @{threads}", engine.name));
            match run(&program, engine, threads, scale) {
                Ok(lines) => all.extend(lines),
                Err(error) => eprintln!("  FAILED latency: {}: {error:#}", engine.name),
            }
        }
    }
    Ok(all)
}

fn build() -> Result<PathBuf> {
    let target = workspace::root().join("target/bench/latency");
    let mut cargo = workspace::cargo(&["build", "--release", "--quiet", "-p", "ferrimalloc-bench", "--target-dir"]);
    process::read(cargo.arg(&target))?;
    Ok(target.join("release/latency"))
}

fn run(program: &Path, engine: &Engine, threads: u32, scale: f64) -> Result<Vec<Latency>> {
    let calls = (CALLS_PER_THREAD * scale / f64::from(threads)).max(1000.0) as u64;
    let mut command = Command::new(program);
    command.args([threads.to_string(), calls.to_string()]);
    command.envs(engine.preload.as_ref().map(|libraries| ("LD_PRELOAD", libraries)));
    let text = process::read(&mut command)?;
    text.lines().map(|line| parse(line, engine, threads).with_context(|| line.to_owned())).collect()
}

/// `malloc calls=… p50=… p99=… p99.9=… p99.99=… max=…`
fn parse(line: &str, engine: &Engine, threads: u32) -> Option<Latency> {
    let (call, rest) = line.split_once(' ')?;
    let value = |name: &str| {
        let mut pairs = rest.split(' ').filter_map(|word| word.split_once('='));
        pairs.find(|pair| pair.0 == name)?.1.parse::<u64>().ok()
    };
    Some(Latency {
        engine: engine.name.clone(),
        threads,
        call: call.to_owned(),
        calls: value("calls")?,
        p50: value("p50")?,
        p99: value("p99")?,
        p999: value("p99.9")?,
        p9999: value("p99.99")?,
        max: value("max")?,
    })
}
