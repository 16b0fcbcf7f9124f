//! Figures of memory and time that users notice, measured by small C programs against fixed limits.
//!
//! A program prints lines `name value`. Each is run a few times and the least value counts: a busy machine only adds.

use super::toolchain::compile;
use super::{Testbed, Verdict};
use crate::process;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

struct Figure {
    /// As the program prints it; ends with the unit.
    name: &'static str,
    most: f64,
}

struct Meter {
    source: &'static str,
    figures: &'static [Figure],
}

const METERS: &[Meter] = &[
    Meter { source: "start.c", figures: &[Figure { name: "start_rss_kib", most: 1.8 * 1024.0 }] },
    Meter { source: "threads.c", figures: &[Figure { name: "rss_per_thread_kib", most: 80.0 }] },
    Meter {
        source: "grow.c",
        figures: &[
            Figure { name: "grow_peak_rss_mib", most: 1.15 * 1024.0 },
            // Wall time of growing to 1 GiB against that of touching 1 GiB of fresh memory.
            Figure { name: "grow_time_ratio", most: 1.3 },
        ],
    },
    Meter { source: "calloc.c", figures: &[Figure { name: "calloc_200_times_32_mib_ms", most: 20.0 }] },
    Meter { source: "free.c", figures: &[Figure { name: "left_of_250_mib_kib", most: 24.0 * 1024.0 }] },
];

const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_secs(120);

type Figures = BTreeMap<String, f64>;

pub fn check(testbed: &Testbed) -> Verdict {
    let mut lines = Vec::new();
    let mut over = Vec::new();
    for meter in METERS {
        let least = meter.measure(testbed)?;
        for figure in meter.figures {
            let verdicts = if figure.holds(&least)? { &mut lines } else { &mut over };
            verdicts.push(figure.describe(&least));
        }
    }
    if !over.is_empty() {
        bail!("over the limit: {}; within: {}", over.join(", "), lines.join(", "));
    }
    Ok(lines.join(", "))
}

impl Meter {
    fn measure(&self, testbed: &Testbed) -> Result<Figures> {
        let log = testbed.log("memory")?;
        let folder = testbed.scratch("memory")?;
        let program = compile(testbed, &format!("memory/{}", self.source), &folder, &[], &log)?;
        let mut least = Figures::new();
        for _ in 0..ROUNDS {
            keep_least(&mut least, run(testbed, &program)?);
        }
        Ok(least)
    }
}

impl Figure {
    fn holds(&self, measured: &Figures) -> Result<bool> {
        let value = measured.get(self.name).with_context(|| format!("no line {}", self.name))?;
        Ok(*value <= self.most)
    }

    fn describe(&self, measured: &Figures) -> String {
        format!("{} {:.2} (at most {:.2})", self.name, measured[self.name], self.most)
    }
}

fn run(testbed: &Testbed, program: &Path) -> Result<Figures> {
    let output = program.with_extension("out");
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", testbed.library()?).stdin(Stdio::null()).stdout(File::create(&output)?);
    let finished = process::bounded(&mut command, LIMIT)?;
    if !finished.succeeded() {
        bail!("{}: {}", program.display(), finished.describe());
    }
    Ok(fs::read_to_string(output)?.lines().filter_map(name_and_value).collect())
}

fn name_and_value(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

fn keep_least(least: &mut Figures, round: Figures) {
    for (name, value) in round {
        let kept = least.entry(name).or_insert(value);
        *kept = kept.min(value);
    }
}
