//! docs/BENCHMARKS.md: what stands between the two marks is written from the results; the rest of the page, with the
//! method and the experiments, is by hand and stays.

mod course;
mod goals;
pub mod tables;

use super::cases::{self, GENERATED};
use super::chart::{self, Chart, Row};
use super::engines;
use super::results::{Results, Timing};
use super::statistics::Measure;
use crate::workspace;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use tables::Fold;

const BEGIN: &str = "<!-- results: written by cargo xtask bench, not by hand -->";
const END: &str = "<!-- end of results -->";

/// Groups in the order of the page. What rests is not timed: it sleeps.
const GROUPS: [(&str, &str); 10] = [
    ("programs", "Programs in small"),
    ("threads", "Threads"),
    ("single", "Single calls and large blocks"),
    ("field", "The field's programs"),
    ("micro", "Micro workloads"),
    ("real", "Real programs"),
    ("rust", "Rust programs, the allocator linked in"),
    (MEMORY, "Memory that stays"),
    (cases::DAY, "A simulated day"),
    (cases::ADDRESSES, "Very many addresses"),
];
const MEMORY: &str = "memory";
/// The groups whose time counts in geometric means. The programs drawn at random are a mean of their own.
pub const TIMED: [&str; 7] = ["programs", "threads", "single", "field", "micro", "real", "rust"];

pub fn write(results: &Results) -> Result<()> {
    let file = workspace::root().join("docs/BENCHMARKS.md");
    let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let (before, rest) = page.split_once(BEGIN).context("docs/BENCHMARKS.md has lost its first mark")?;
    let (_, after) = rest.split_once(END).context("docs/BENCHMARKS.md has lost its second mark")?;
    fs::write(&file, format!("{before}{BEGIN}\n\n{}\n{END}{after}", generated(results)?))?;
    println!("  page: {}", file.display());
    Ok(())
}

fn generated(results: &Results) -> Result<String> {
    let mut page = tables::machine(results) + &tables::engines(results)?;
    page += &at_a_glance(results)?;
    page += &goals::section(results);
    page += &goals::losses(results);
    for (group, title) in GROUPS {
        page += &group_section(results, group, title)?;
    }
    page += &generated_section(results);
    page += &instructions_section(results)?;
    page += &tables::latency(results);
    page += &tables::failures(results);
    Ok(page)
}

// --- sections ---------------------------------------------------------------------------------------------------------

fn at_a_glance(results: &Results) -> Result<String> {
    if results.timing.is_empty() {
        return Ok(String::new());
    }
    let image = image(&summary_chart(results), "summary")?;
    let base = results.title(results.baseline());
    let lead = format!("Geometric means of the ratios to {base} over all timed workloads; smaller is better.");
    Ok(format!("### At a glance\n\n{lead}\n\n{}\n{image}\n", tables::means(results, &TIMED)))
}

fn group_section(results: &Results, group: &str, title: &str) -> Result<String> {
    let cases: Vec<&Timing> = results.timing.iter().filter(|timing| timing.group == group).collect();
    if cases.is_empty() {
        return Ok(String::new());
    }
    let measures: &[Measure] = if group == MEMORY { &[Measure::FinalRss, Measure::PeakRss] } else { &Measure::ALL };
    let picture = match group {
        cases::DAY => course::picture(results, &cases, &images())?,
        _ => image(&group_chart(results, &cases, title, measures[0]), group)?,
    };
    let mut section = format!("### {title}\n\n{picture}\n");
    section += &tables::sources(&cases);
    for (index, &measure) in measures.iter().enumerate() {
        let fold = if index == 0 { Fold::Open } else { Fold::Closed };
        write!(section, "\n{}", tables::ratios(results, &cases, measure, fold))?;
    }
    section += &tables::extra_figures(results, &cases);
    Ok(section + "\n")
}

fn generated_section(results: &Results) -> String {
    let cases: Vec<&Timing> = results.in_groups(&[GENERATED]).collect();
    if cases.is_empty() {
        return String::new();
    }
    let count = cases.len();
    let lead = format!(
        "Geometric means over {count} programs, one for each seed: sizes, lifetimes, threads, transfers, \
                        realloc and touching are drawn from distributions (`bench/workloads/generate.c`)."
    );
    let each = tables::ratios(results, &cases, Measure::Cpu, Fold::Closed);
    let (means, sources) = (tables::generated(results), tables::sources(&cases));
    format!("### Programs drawn at random\n\n{lead}\n\n{means}\n{sources}\n{each}\n")
}

fn instructions_section(results: &Results) -> Result<String> {
    if results.instructions.is_empty() {
        return Ok(String::new());
    }
    let image = image(&instructions_chart(results), "instructions")?;
    let lead = "Counted by callgrind, the loop's own subtracted; a malloc and a free, or one realloc.";
    Ok(format!("### Instructions per operation\n\n{lead}\n\n{image}\n{}\n", tables::instructions(results)))
}

// --- charts -----------------------------------------------------------------------------------------------------------

/// Draws a chart and gives the line that shows it.
fn image(chart: &Chart, name: &str) -> Result<String> {
    let file = format!("bench-{name}.svg");
    chart::draw(&images().join(&file), chart)?;
    Ok(format!("![{}](img/{file})\n", chart.title))
}

fn images() -> PathBuf {
    workspace::root().join("docs/img")
}

fn summary_chart(results: &Results) -> Chart {
    let shown = [Measure::Cpu, Measure::Wall, Measure::PeakRss];
    let row = |(engine, title): &(String, String)| Row {
        label: title.clone(),
        bars: shown.map(|measure| results.geometric_mean(engine, measure, &TIMED)).to_vec(),
    };
    Chart {
        title: format!("All timed workloads, geometric mean, {} = 1", results.title(results.baseline())),
        legend: shown.map(|measure| measure.title().to_owned()).to_vec(),
        rows: results.engines.iter().map(row).collect(),
        line: Some(1.0),
    }
}

fn group_chart(results: &Results, cases: &[&Timing], title: &str, measure: Measure) -> Chart {
    let ratio = |timing: &Timing, engine: &str| Some(timing.ratio(engine, results.baseline(), measure)?.median);
    let best_other = |timing: &'_ Timing| timing.best_other(engines::OURS, measure).map(str::to_owned);
    let row = |timing: &&Timing| Row {
        label: timing.case.clone(),
        bars: vec![ratio(timing, engines::OURS), best_other(timing).and_then(|best| ratio(timing, &best))],
    };
    Chart {
        title: format!("{title}: {}, {} = 1", measure.title(), results.title(results.baseline())),
        legend: vec!["ferrimalloc".into(), "best other engine".into()],
        rows: cases.iter().map(row).collect(),
        line: Some(1.0),
    }
}

fn instructions_chart(results: &Results) -> Chart {
    let shown = [engines::OURS, engines::BASELINE];
    let others = |count: &super::results::Instructions| {
        let others = count.per_operation.iter().filter(|(engine, _)| !shown.contains(&engine.as_str()));
        others.map(|(_, &n)| n).min_by(f64::total_cmp)
    };
    let row = |count: &super::results::Instructions| Row {
        label: count.case.clone(),
        bars: shown.map(|engine| count.per_operation.get(engine).copied()).into_iter().chain([others(count)]).collect(),
    };
    Chart {
        title: "Instructions per operation".into(),
        legend: vec!["ferrimalloc".into(), "mimalloc 3.4.3".into(), "best of the rest".into()],
        rows: results.instructions.iter().filter(|count| !count.case.contains("half")).map(row).collect(),
        line: None,
    }
}
