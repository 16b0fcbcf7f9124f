//! Atomic read-modify-writes per allocation, counted in the built library under callgrind: what must wait for other
//! processors when there are many of them (`docs/SCALING.md`).
//!
//! Every executed instruction with a `lock` prefix, and every `xchg` with memory, counts; the calls of `malloc` and `calloc`
//! are the executions of their first instructions. A process's start is left out by the difference of two runs.

use super::disassembly::Disassembly;
use super::{Testbed, Verdict};
use crate::{bench, process};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

struct Case {
    workload: &'static str,
    threads: &'static str,
    scales: [&'static str; 2],
    /// Read-modify-writes per allocation and its free.
    at_most: f64,
}

/// What one thread keeps to itself costs next to none; blocks that another thread frees go home in chains, whether that
/// thread allocates, too, or not.
const CASES: [Case; 5] = [
    Case { workload: "micro-pair-mixed", threads: "1", scales: ["0.005", "0.01"], at_most: 0.001 },
    Case { workload: "micro-live-20k", threads: "1", scales: ["0.01", "0.02"], at_most: 0.03 },
    Case { workload: "micro-medium", threads: "1", scales: ["0.01", "0.02"], at_most: 0.03 },
    Case { workload: "batches-shared", threads: "2", scales: ["0.02", "0.04"], at_most: 0.25 },
    Case { workload: "handoff-pairs", threads: "2", scales: ["0.01", "0.02"], at_most: 0.15 },
];

pub fn check(testbed: &Testbed) -> Verdict {
    if !cfg!(target_arch = "x86_64") {
        return Ok("not checked: counts the locked instructions of x86-64".into());
    }
    let program = bench::build_workloads()?;
    let library = testbed.library()?;
    let code = Disassembly::of(library)?;
    let run = Run { program: &program, library, report: &testbed.scratch("scaling")?.join("callgrind.out") };
    let counts: Vec<String> = CASES.iter().map(|case| case.check(&run, &code)).collect::<Result<_>>()?;
    Ok(counts.join(", "))
}

struct Run<'a> {
    program: &'a Path,
    library: &'a Path,
    report: &'a Path,
}

/// What a run has executed.
#[derive(Clone, Copy)]
struct Executed {
    allocations: u64,
    locked: u64,
}

impl Case {
    fn check(&self, run: &Run, code: &Disassembly) -> Result<String> {
        let [few, more] = self.scales.map(|scale| run.count(self, scale, code));
        let (few, more) = (few?, more?);
        let allocations = more.allocations.saturating_sub(few.allocations);
        if allocations == 0 {
            bail!("{}: a longer run does not allocate more", self.workload);
        }
        let each = more.locked.saturating_sub(few.locked) as f64 / allocations as f64;
        if each > self.at_most {
            bail!("{}: {each:.4} read-modify-writes per allocation, at most {}", self.workload, self.at_most);
        }
        Ok(format!("{} {each:.4} of at most {}", self.workload, self.at_most))
    }
}

impl Run<'_> {
    fn count(&self, case: &Case, scale: &str, code: &Disassembly) -> Result<Executed> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--dump-instr=yes"]);
        command.arg(format!("--callgrind-out-file={}", self.report.display()));
        command.arg(self.program).args([case.workload, case.threads, scale]).env("LD_PRELOAD", self.library);
        process::read(&mut command).context(case.workload)?;
        let report = fs::read_to_string(self.report)?;
        let times = executions(&report, &self.library.display().to_string());
        let of = |address: u64| times.get(&address).copied().unwrap_or(0);
        let calls = |function| code.start_of(function).map_or(0, of);
        Ok(Executed { allocations: calls("malloc") + calls("calloc"), locked: code.locked().map(of).sum() })
    }
}

/// How often each instruction of `library` was executed, by its address in the file: callgrind's format, in which a line
/// `0x12 3 45` or `+4 3 45` is an instruction and its executions, `ob=` names the file that it is in, and the line after
/// `calls=` tells of another function.
fn executions(report: &str, library: &str) -> BTreeMap<u64, u64> {
    let mut names = BTreeMap::new();
    let mut times = BTreeMap::new();
    let (mut is_library, mut is_call, mut address) = (false, false, 0);
    for line in report.lines() {
        if let Some(object) = line.strip_prefix("ob=").or_else(|| line.strip_prefix("cob=")) {
            let (number, name) = object.split_once(' ').unwrap_or((object, ""));
            let known = names.entry(number).or_insert(name);
            if line.starts_with("ob=") {
                is_library = *known == library;
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if let Some((next, count)) = instruction(line, address) {
            address = next;
            if !is_call && is_library {
                *times.entry(address).or_insert(0) += count;
            }
            is_call = false;
        }
    }
    times
}

/// The address and the executions of a line; addresses may be relative to the last one.
fn instruction(line: &str, last: u64) -> Option<(u64, u64)> {
    let mut words = line.split(' ');
    let position = words.next()?;
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let address = match position.split_at_checked(1)? {
        ("+", distance) => last + number(distance)?,
        ("-", distance) => last - number(distance)?,
        ("*", "") => last,
        ("0", _) => number(position)?,
        _ => return None,
    };
    Some((address, words.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_those_of_the_library_alone() {
        let report = "events: Ir\nob=(1) /lib/ours.so\nfn=(1) malloc\n0x10 5 3\n+4 5 2\ncob=(2) /lib/other.so\ncfn=(2) f\n\
                      calls=1 0x99 1\n* 5 700\n-4 6 1\n\nob=(2)\n0x10 1 9\nob=(1)\n0x20 1 4\n";
        let times = executions(report, "/lib/ours.so");
        assert_eq!(times, [(0x10, 4), (0x14, 2), (0x20, 4)].into());
    }
}
