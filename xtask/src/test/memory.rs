//! Figures of memory and time that users notice, measured by small C programs against fixed limits.
//!
//! A program prints lines `name value`. Each is run a few times. Where a busy machine only adds, the least value counts;
//! the resident set at start varies by where the libraries are mapped (the kernel maps file contents that it has in
//! memory around what is touched, in windows of 64 KiB), so there the median of more runs counts, beside what is
//! the process's own and hardly varies.

use super::{Testbed, Verdict, Workbench};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

struct Figure {
    /// As the program prints it; ends with the unit.
    name: &'static str,
    /// What it is divided by: another line of the same program.
    per: Option<&'static str>,
    most: f64,
}

/// Which of a figure's values counts.
#[derive(Clone, Copy)]
enum Typical {
    Least,
    Median,
}

struct Meter {
    source: &'static str,
    rounds: usize,
    typical: Typical,
    figures: &'static [Figure],
}

const METERS: &[Meter] = &[
    Meter {
        source: "start.c",
        rounds: 15,
        typical: Typical::Median,
        figures: &[
            // Before what runs at a start lay together in the library (`crates/library/start.ld`): 1.8 MiB.
            figure("start_rss_kib", 1.7 * 1024.0),
            // With the C library's own allocator: 100 to 108.
            figure("start_anonymous_kib", 164.0),
        ],
    },
    Meter::least("threads.c", &[figure("rss_per_thread_kib", 80.0)]),
    Meter::least(
        "grow.c",
        &[
            figure("grow_peak_rss_mib", 1.15 * 1024.0),
            // Wall time of growing to 1 GiB against that of touching 1 GiB of fresh memory.
            Figure { name: "grow_ms", per: Some("touch_ms"), most: 1.3 },
        ],
    )
    .rounds(9),
    Meter::least("calloc.c", &[figure("calloc_200_times_32_mib_ms", 20.0)]),
    Meter::least("free.c", &[figure("left_of_250_mib_kib", 24.0 * 1024.0)]),
    Meter::least(
        "scavenger.c",
        &[
            figure("threads_of_one", 1.0),
            // An OS page and the metadata of each of 2,000 blocks; with huge pages 285 MiB.
            figure("big_sparse_kib", 32.0 * 1024.0),
            // 4 threads each keep at most 4 MiB of empty pages; without a scavenger 130 MiB.
            figure("left_beside_threads_kib", 32.0 * 1024.0),
            figure("left_in_a_child_kib", 40.0 * 1024.0),
        ],
    ),
    Meter::least(
        "holes.c",
        &[
            // 20,000 blocks, each in an OS page to itself: 78 MiB. Without holes 205 MiB.
            figure("one_in_20_kib", 90.0 * 1024.0),
            figure("one_in_20_of_ended_threads_kib", 90.0 * 1024.0),
            // 5 % of blocks up to 8 KiB; without holes 19 times what is live.
            Figure { name: "mixed_survivors_kib", per: Some("mixed_live_kib"), most: 3.0 },
            // A quarter of the first; nobody asks, but the thread goes on with other blocks for seconds. Without holes 53 MiB.
            figure("one_in_20_by_ticks_kib", 32.0 * 1024.0),
        ],
    ),
    Meter::least(
        "idle.c",
        &[
            // As many as wrote 5 MiB each in a row, and nothing is live.
            figure("left_of_600_threads_kib", 12.0 * 1024.0),
            // With their stacks; one in four keeps 8 blocks. Without a word 6 MiB each.
            figure("parked_worker_kib", 64.0),
        ],
    ),
    Meter::least(
        "sleepers.c",
        &[
            // 4 threads, each with 12 MiB of large blocks, of which one in 48 is kept; none says that it sleeps. Before: 57 MiB.
            figure("left_by_sleepers_kib", 26.0 * 1024.0),
            // The same when another thread frees; the first MiB of each page stays, two of those with huge OS pages. Before: 51 MiB.
            figure("left_of_sleepers_kib", 36.0 * 1024.0),
            // 18,000 rounds of 64 blocks of 32 KiB: 2 MiB each.
            figure("ring_faults", 4096.0),
        ],
    ),
    // 181 MiB are live, and 296 may wait to be freed.
    Meter::least("producers.c", &[figure("producers_peak_mib", 600.0)]).rounds(1),
    Meter::least("sparse.c", &[figure("sparse_rss_mib", 24.0), figure("sparse_advised_mib", 8.0)]),
];

const LIMIT: Duration = Duration::from_secs(120);

/// The values of all rounds by the figures' names, in ascending order.
type Figures = BTreeMap<String, Vec<f64>>;

pub fn check(testbed: &Testbed) -> Verdict {
    let bench = testbed.workbench("memory", LIMIT)?;
    let mut lines = Vec::new();
    let mut over = Vec::new();
    for meter in METERS {
        let measured = meter.measure(&bench)?;
        for figure in meter.figures {
            let value = figure.value(&measured, meter.typical)?;
            let verdicts = if value <= figure.most { &mut lines } else { &mut over };
            verdicts.push(figure.describe(&measured, value));
        }
    }
    if !over.is_empty() {
        bail!("over the limit: {}; within: {}", over.join(", "), lines.join(", "));
    }
    Ok(lines.join(", "))
}

impl Meter {
    const fn least(source: &'static str, figures: &'static [Figure]) -> Meter {
        Meter { source, rounds: 3, typical: Typical::Least, figures }
    }

    const fn rounds(self, rounds: usize) -> Meter {
        Meter { rounds, ..self }
    }

    fn measure(&self, bench: &Workbench) -> Result<Figures> {
        let program = bench.compile(&format!("memory/{}", self.source), &[])?;
        let mut figures = Figures::new();
        for _ in 0..self.rounds {
            let said = bench.run(&mut bench.preloaded(&program)?)?;
            for (name, value) in said.lines().filter_map(name_and_value) {
                figures.entry(name).or_default().push(value);
            }
        }
        figures.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
        Ok(figures)
    }
}

/// A line's value by itself.
const fn figure(name: &'static str, most: f64) -> Figure {
    Figure { name, per: None, most }
}

impl Figure {
    fn value(&self, measured: &Figures, typical: Typical) -> Result<f64> {
        let value = typical.of(measured, self.name)?;
        Ok(value / self.per.map_or(Ok(1.0), |other| typical.of(measured, other))?)
    }

    /// With the spread of all rounds.
    fn describe(&self, measured: &Figures, value: f64) -> String {
        let name = self.per.map_or(self.name.to_owned(), |other| format!("{} per {other}", self.name));
        let spreads = [Some(self.name), self.per].into_iter().flatten().map(|line| spread(&measured[line]));
        format!("{name} {value:.2} ({}; at most {:.2})", spreads.collect::<Vec<_>>().join(" per "), self.most)
    }
}

fn spread(values: &[f64]) -> String {
    format!("of {}: {:.2} to {:.2}", values.len(), values[0], values[values.len() - 1])
}

impl Typical {
    fn of(self, measured: &Figures, name: &str) -> Result<f64> {
        let values = measured.get(name).with_context(|| format!("no line {name}"))?;
        Ok(match self {
            Typical::Least => values[0],
            Typical::Median => values[values.len() / 2],
        })
    }
}

fn name_and_value(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}
