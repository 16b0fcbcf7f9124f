//! Instructions per operation of the micro workloads, counted by callgrind: the figure that a noisy machine can't blur.
//!
//! Each workload runs with few and with more operations; the difference leaves out the start of the process. The same
//! with stubs in place of the engine (`--dry`) gives the loop's own instructions, which are subtracted.

use super::cases;
use super::engines::Engine;
use super::results::Instructions;
use crate::show::Spinner;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

const FEW: f64 = 0.004;
const MORE: f64 = 0.012;
/// A million live blocks need many replacements before they are in their lasting state.
const LONGER: (&str, f64) = ("micro-live-1m", 10.0);

/// What a stub returns in: two instructions where it returns a block, one where it frees.
const STUB_PAIR: f64 = 3.0;
const STUB_REALLOC: f64 = 2.0;

#[derive(Clone, Copy)]
struct Count {
    instructions: f64,
    operations: f64,
}

pub fn count(wanted: &[String], engines: &[Engine]) -> Result<Vec<Instructions>> {
    let program = cases::build_workloads()?;
    let all = cases::all(1.0, 0..0)?;
    let micro: Vec<_> = all.into_iter().filter(|case| case.group == "micro").collect();
    let named: Vec<_> = micro.iter().filter(|case| wanted.iter().any(|name| case.answers_to(name))).collect();
    let chosen = if named.is_empty() { micro.iter().collect() } else { named };
    chosen.into_iter().map(|case| count_case(&program, &case.name, &case.source, engines)).collect()
}

fn count_case(program: &Path, case: &str, source: &str, engines: &[Engine]) -> Result<Instructions> {
    let loop_alone = difference(program, case, None, &["--dry"])?;
    let stub = if case.contains("realloc") { STUB_REALLOC } else { STUB_PAIR };
    let mut per_operation = BTreeMap::new();
    for engine in engines {
        let _spinner = Spinner::start(&format!("callgrind {case} {}", engine.name));
        match difference(program, case, engine.preload.as_deref(), &[]) {
            Err(error) => eprintln!("  FAILED {case}: {}: {error:#}", engine.name),
            Ok(total) => {
                per_operation.insert(engine.name.clone(), total - loop_alone + stub);
            }
        }
    }
    Ok(Instructions { case: case.to_owned(), source: source.to_owned(), per_operation })
}

/// Instructions per operation between the short and the long run.
fn difference(program: &Path, case: &str, preload: Option<&str>, options: &[&str]) -> Result<f64> {
    let factor = if case == LONGER.0 { LONGER.1 } else { 1.0 };
    let few = callgrind(program, case, preload, FEW * factor, options)?;
    let more = callgrind(program, case, preload, MORE * factor, options)?;
    Ok((more.instructions - few.instructions) / (more.operations - few.operations))
}

fn callgrind(program: &Path, case: &str, preload: Option<&str>, scale: f64, options: &[&str]) -> Result<Count> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args([case, "1", &scale.to_string()]).args(options);
    command.envs(preload.map(|libraries| ("LD_PRELOAD", libraries)));
    let output = command.output().context("cannot start valgrind")?;
    if !output.status.success() {
        bail!("valgrind: {}", output.status);
    }
    parse(&output).context("valgrind's report can't be read")
}

/// callgrind's line `Collected : 12345`, and the micro workload's checksum, which is its number of operations.
fn parse(output: &Output) -> Option<Count> {
    let (report, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let collected = report.lines().find_map(|line| line.split_once("Collected : "))?.1.trim().parse().ok()?;
    let checksum = printed.lines().find_map(|line| line.strip_prefix("checksum="))?;
    let operations = u64::from_str_radix(checksum, 16).ok()? as f64;
    Some(Count { instructions: collected, operations })
}
