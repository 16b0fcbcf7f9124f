//! C programs with the library preloaded that do what is hard: 100,000 threads, 5,000 forks, the system out of memory,
//! processes that end in the middle of it. Each prints a line per failed check.

use super::cgroup::Group;
use super::trials::{self, Reach, Trials};
use super::{Testbed, Verdict, Workbench};
use anyhow::{Context, Result, bail};
use std::fs;
use std::time::Duration;

/// What the groups of `confined` may have. Half of it is in use at a time.
const GROUPS_MIB: [u64; 2] = [128, 512];

const QUICK_LIMIT: Duration = Duration::from_secs(120);
const FULL_LIMIT: Duration = Duration::from_secs(3600);

pub fn check(testbed: &Testbed, reach: Reach) -> Verdict {
    let bench = testbed.workbench("stress", if reach == Reach::Full { FULL_LIMIT } else { QUICK_LIMIT })?;
    let trials = Trials { flags: &["-ldl"], ..Trials::preloaded(&bench, reach)? };
    let programs = trials.all(&trials::of("stress")?, &[])? + 2;
    libraries(&bench, reach).context("libraries")?;
    let confined = GROUPS_MIB.into_iter().map(|mib| confined_to(&bench, mib)).collect::<Result<Vec<_>>>();
    let confined = confined.context("confined")?.join(", ");
    Ok(format!("{programs} programs: {}; confined {confined}", footprints(&fs::read_to_string(&bench.log)?)))
}

/// What the programs say of their mappings and resident sets.
fn footprints(log: &str) -> String {
    log.lines().filter(|line| line.contains(" mappings, ")).collect::<Vec<_>>().join("; ")
}

/// Rounds of libraries that come and go.
fn libraries(bench: &Workbench, reach: Reach) -> Result<String> {
    let plugin = bench.compile("stress/plugin.c", &["-shared", "-fPIC"])?;
    let copy = bench.folder.join("copy.so");
    fs::copy(bench.testbed.library()?, &copy)?;
    let rounds = if reach == Reach::Full { "200" } else { "5" };
    let program = bench.compile("stress/libraries.c", &["-ldl"])?;
    bench.run(bench.preloaded(&program)?.arg(plugin).arg(copy).arg(rounds))
}

/// In a control group whose limit the kernel enforces by killing; that it does is seen, too.
fn confined_to(bench: &Workbench, mib: u64) -> Verdict {
    let group = match Group::with_limit(mib << 20) {
        Ok(group) => group,
        Err(reason) => return Ok(format!("NOT RUN: {reason:#}")),
    };
    let program = bench.compile("stress/confined.c", &["-ldl"])?;
    let run = |act| bench.run(bench.preloaded(&program)?.arg(group.processes()).arg(mib.to_string()).arg(act));
    run("within").context(mib)?;
    let peak = group.peak_bytes().map_or("unknown".into(), |bytes| (bytes >> 20).to_string());
    match run("over") {
        Err(killed) if format!("{killed:#}").contains("SIGKILL") => Ok(format!("to {mib} MiB: peak {peak} MiB")),
        _ => bail!("twice {mib} MiB were to be had"),
    }
}
