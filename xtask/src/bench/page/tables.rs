//! The page's tables in Markdown.

use crate::bench::cases::GENERATED;
use crate::bench::chart;
use crate::bench::engines;
use crate::bench::results::{Instructions, Latency, Results, Timing};
use crate::bench::statistics::{Against, Measure, Ratio};
use anyhow::Result;

/// One row of a table.
fn line(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().fold("|".to_owned(), |row, cell| row + " " + &cell + " |") + "\n"
}

/// The header with the rule below it; all columns but the first are aligned to the right.
fn header(cells: Vec<String>) -> String {
    let rule = "|---|".to_owned() + &"---:|".repeat(cells.len() - 1) + "\n";
    line(cells) + &rule
}

fn engine_header(results: &Results, first: &[&str]) -> String {
    let fixed = first.iter().map(|&cell| cell.to_owned());
    header(fixed.chain(results.engines.iter().map(|(_, title)| title.clone())).collect())
}

pub fn machine(results: &Results) -> String {
    let m = &results.machine;
    let facts = [
        ("date", results.date.clone()),
        ("target", m.target.clone()),
        ("processor", format!("{}, {} cores, {} MiB", m.processor, m.cores, m.memory_mib)),
        ("system", format!("{}, kernel {}", m.system, m.kernel)),
        ("compiler of the workloads", m.compiler.clone()),
        ("transparent huge pages", m.transparent_huge_pages.clone()),
        ("vm.overcommit_memory", m.overcommit.clone()),
        ("load before the run", m.load.clone()),
    ];
    let rows: String = facts.into_iter().map(|(name, value)| line([name.to_owned(), value])).collect();
    format!("## Results\n\n| | |\n|---|---|\n{rows}\n")
}

/// How each engine came to be.
pub fn engines(results: &Results) -> Result<String> {
    let catalogue = engines::catalogue()?;
    let row = |(engine, title): &(String, String)| {
        let recipe = catalogue.iter().find(|recipe| recipe.name == *engine)?;
        Some(line([title.clone(), recipe.told()]))
    };
    let rows: String = results.engines.iter().filter_map(row).collect();
    Ok(Fold::Closed.around("How each engine was built", &format!("| engine | |\n|---|---|\n{rows}")) + "\n")
}

/// Means over `groups`: to the baseline, and to the best other engine of each workload.
pub fn means(results: &Results, groups: &[&str]) -> String {
    let baseline = Against::Engine(results.baseline());
    let to_baseline = Measure::ALL.map(|measure| means_row(results, measure.title(), baseline, measure, groups));
    let to_best = [Measure::Cpu, Measure::Wall].map(|measure| {
        let title = format!("{}, to the best other engine of each workload", measure.title());
        means_row(results, &title, Against::BestOther, measure, groups)
    });
    engine_header(results, &[""]) + &to_baseline.concat() + &to_best.concat()
}

fn means_row(results: &Results, title: &str, against: Against, measure: Measure, groups: &[&str]) -> String {
    let cell = |(engine, _): &(String, String)| match results.mean_against(engine, against, measure, groups) {
        Some(mean) => format!("{:.2} <sub>{}</sub>", mean.median, mean.interval()),
        None => "–".into(),
    };
    line([title.to_owned()].into_iter().chain(results.engines.iter().map(cell)))
}

/// The programs drawn at random, as one program.
pub fn generated(results: &Results) -> String {
    means(results, &[GENERATED])
}

/// Whether a table shows at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    Open,
    Closed,
}

impl Fold {
    fn around(self, title: &str, content: &str) -> String {
        match self {
            Fold::Open => format!("**{title}**\n\n{content}"),
            Fold::Closed => {
                format!("<details><summary>{title}</summary>\n\n{content}\n</details>\n")
            }
        }
    }
}

/// Where each pattern comes from, folded away.
pub fn sources(cases: &[&Timing]) -> String {
    let mut list: Vec<String> = Vec::new();
    for timing in cases {
        let name = timing.case.split('@').next().unwrap_or_default();
        let item = format!("- `{name}`: {}\n", timing.source);
        if !list.contains(&item) {
            list.push(item);
        }
    }
    Fold::Closed.around("The patterns and their sources", &list.concat())
}

/// One measure of a group of cases; the best engine is bold with all that are not resolved from it, and the interval
/// stands small beside the median.
pub fn ratios(results: &Results, cases: &[&Timing], measure: Measure, fold: Fold) -> String {
    let known: Vec<&&Timing> = cases.iter().filter(|c| c.median(results.baseline(), measure).is_some()).collect();
    if known.is_empty() {
        return String::new();
    }
    let base = results.title(results.baseline());
    let rows: String = known.iter().map(|timing| ratio_row(results, timing, measure)).collect();
    let title = format!("{}, ratio to {base} (95 % interval)", measure.title());
    fold.around(&title, &(engine_header(results, &["", &format!("{base}, absolute")]) + &rows))
}

fn ratio_row(results: &Results, timing: &Timing, measure: Measure) -> String {
    let cell = |(engine, _): &(String, String)| match timing.ratio(engine, results.baseline(), measure) {
        Some(found) => ratio_cell(found, is_best(timing, engine, measure)),
        None if timing.failures.contains_key(engine) => "failed".into(),
        None => "–".into(),
    };
    let absolute = timing.median(results.baseline(), measure).map_or("–".into(), |value| measure.show(value));
    line([timing.case.clone(), absolute].into_iter().chain(results.engines.iter().map(cell)))
}

/// No other engine's median is less, or the difference to the least is not resolved.
fn is_best(timing: &Timing, engine: &str, measure: Measure) -> bool {
    let to_best = timing.ratio_against(engine, Against::BestOther, measure);
    to_best.is_none_or(|ratio| ratio.median <= 1.0 || !ratio.resolved_from(1.0))
}

fn ratio_cell(ratio: Ratio, best: bool) -> String {
    let median = format!("{:.2}", ratio.median);
    let shown = if best { format!("**{median}**") } else { median };
    format!("{shown} <sub>{}</sub>", ratio.interval())
}

/// Figures that programs printed themselves: requests per second, p99.
pub fn extra_figures(results: &Results, cases: &[&Timing]) -> String {
    let mut rows = String::new();
    for timing in cases {
        for name in timing.figures() {
            rows += &extra_row(results, timing, &name);
        }
    }
    if rows.is_empty() {
        rows
    } else {
        format!("\n**Figures of the programs' own** (medians)\n\n{}{rows}", engine_header(results, &[""]))
    }
}

fn extra_row(results: &Results, timing: &Timing, name: &str) -> String {
    let values =
        |engine: &str| timing.samples.get(engine).into_iter().flatten().filter_map(|s| s.more.get(name).copied());
    let cell = |(engine, _): &(String, String)| {
        crate::bench::statistics::median(values(engine).collect()).map_or("–".into(), chart::figure)
    };
    line([format!("{} {name}", timing.case)].into_iter().chain(results.engines.iter().map(cell)))
}

pub fn instructions(results: &Results) -> String {
    let row = |count: &Instructions| {
        let least = count.per_operation.values().copied().fold(f64::INFINITY, f64::min);
        let cell = |(engine, _): &(String, String)| match count.per_operation.get(engine) {
            Some(&n) if n <= least => format!("**{n:.1}**"),
            Some(n) => format!("{n:.1}"),
            None => "–".into(),
        };
        line([count.case.clone()].into_iter().chain(results.engines.iter().map(cell)))
    };
    engine_header(results, &[""]) + &results.instructions.iter().map(row).collect::<String>()
}

pub fn latency(results: &Results) -> String {
    if results.latency.is_empty() {
        return String::new();
    }
    let lead = "Nanoseconds of single calls, the timer's own cost subtracted. With more threads than cores the last columns show \
                the scheduler too: a thread is put aside in the middle of a call.";
    let columns = ["", "threads", "p50", "p99", "p99.9", "p99.99", "worst"];
    let rows: String = ["malloc", "free"].iter().map(|call| latency_rows(results, call)).collect();
    format!("### Latency\n\n{lead}\n\n{}{rows}\n", header(columns.map(String::from).to_vec()))
}

fn latency_rows(results: &Results, call: &str) -> String {
    let chosen = results.latency.iter().filter(|l| l.call == call);
    chosen.map(|l| latency_row(results, l)).collect()
}

fn latency_row(results: &Results, l: &Latency) -> String {
    let figures = [u64::from(l.threads), l.p50, l.p99, l.p999, l.p9999, l.max].map(|n| n.to_string());
    line([format!("`{}`, {}", l.call, results.title(&l.engine))].into_iter().chain(figures))
}

pub fn failures(results: &Results) -> String {
    let items = results.timing.iter().flat_map(|timing| {
        timing.failures.iter().map(|(engine, why)| format!("- {} on {}: {why}\n", timing.case, results.title(engine)))
    });
    let list: String = items.collect();
    if list.is_empty() { list } else { format!("### Failures\n\n{list}\n") }
}
