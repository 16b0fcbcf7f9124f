//! What a run prints at its end: one table per measure, ratios to the baseline, geometric means below.

use super::cases::GENERATED;
use super::chart;
use super::results::{Instructions, Latency, Results, Timing};
use super::statistics::{Against, Measure, Ratio, median};
use crate::show;

pub fn print(results: &Results) {
    let shown = if results.timing.is_empty() { &[][..] } else { &Measure::ALL[..] };
    shown.iter().for_each(|&measure| print_measure(results, measure));
    print_figures(results);
    print_instructions(results);
    print_latency(results);
}

fn print_measure(results: &Results, measure: Measure) {
    println!("\n{} (ratio to {}, [95 % interval])", measure.title(), results.title(results.baseline()));
    let single = results.timing.iter().filter(|timing| timing.group != GENERATED);
    let rows = single.map(|timing| row(results, timing, measure)).chain(generated_row(results, measure));
    let means = [mean_row(results, measure), best_row(results, measure)];
    show::table(&[header(results)].into_iter().chain(rows).chain(means).collect::<Vec<_>>());
}

fn header(results: &Results) -> Vec<String> {
    let names = results.engines.iter().map(|(name, _)| name.clone());
    [String::new(), "baseline".into()].into_iter().chain(names).collect()
}

fn row(results: &Results, timing: &Timing, measure: Measure) -> Vec<String> {
    let absolute = timing.median(results.baseline(), measure).map_or("-".into(), |value| measure.show(value));
    let cell = |(engine, _): &(String, String)| match timing.ratio(engine, results.baseline(), measure) {
        Some(ratio) => with_interval(ratio),
        None if timing.failures.contains_key(engine) => "FAILED".into(),
        None => "-".into(),
    };
    [timing.case.clone(), absolute].into_iter().chain(results.engines.iter().map(cell)).collect()
}

fn with_interval(ratio: Ratio) -> String {
    format!("{:.2} [{}]", ratio.median, ratio.interval())
}

/// A row of means over `groups`, one cell per engine.
fn means(results: &Results, title: String, against: Against, measure: Measure, groups: &[&str]) -> Vec<String> {
    let mean = |engine: &str| results.mean_against(engine, against, measure, groups).map_or("-".into(), with_interval);
    [title, String::new()].into_iter().chain(results.engines.iter().map(|(engine, _)| mean(engine))).collect()
}

fn generated_row(results: &Results, measure: Measure) -> Option<Vec<String>> {
    let count = results.in_groups(&[GENERATED]).count();
    let baseline = Against::Engine(results.baseline());
    (count > 0).then(|| means(results, format!("{GENERATED}, {count} seeds"), baseline, measure, &[GENERATED]))
}

fn all_groups(results: &Results) -> Vec<&str> {
    results.timing.iter().map(|timing| timing.group.as_str()).collect()
}

fn mean_row(results: &Results, measure: Measure) -> Vec<String> {
    let baseline = Against::Engine(results.baseline());
    means(results, "geometric mean".into(), baseline, measure, &all_groups(results))
}

fn best_row(results: &Results, measure: Measure) -> Vec<String> {
    means(results, "to the best other engine of each".into(), Against::BestOther, measure, &all_groups(results))
}

/// What programs printed as figures of their own: nanoseconds a block, requests a second.
fn print_figures(results: &Results) {
    let rows: Vec<_> = results.timing.iter().flat_map(|timing| figure_rows(results, timing)).collect();
    if !rows.is_empty() {
        println!("\nFigures of the programs' own (medians)");
        show::table(&[header(results)].into_iter().chain(rows).collect::<Vec<_>>());
    }
}

fn figure_rows(results: &Results, timing: &Timing) -> Vec<Vec<String>> {
    let row = |name: String| {
        let values = |engine: &str| timing.samples.get(engine).into_iter().flatten().filter_map(|s| s.more.get(&name));
        let cell = |(engine, _): &(String, String)| {
            median(values(engine).copied().collect()).map_or("-".into(), chart::figure)
        };
        let cells = results.engines.iter().map(cell).collect::<Vec<_>>();
        [format!("{} {name}", timing.case), String::new()].into_iter().chain(cells).collect()
    };
    timing.figures().into_iter().map(row).collect()
}

fn print_instructions(results: &Results) {
    if results.instructions.is_empty() {
        return;
    }
    println!("\nInstructions per operation, without the loop");
    let names = results.engines.iter().map(|(name, _)| name.clone());
    let header = [String::new()].into_iter().chain(names).collect();
    let rows = results.instructions.iter().map(|count| instruction_row(results, count));
    show::table(&[header].into_iter().chain(rows).collect::<Vec<_>>());
}

fn instruction_row(results: &Results, count: &Instructions) -> Vec<String> {
    let cell =
        |(engine, _): &(String, String)| count.per_operation.get(engine).map_or("-".into(), |n| format!("{n:.1}"));
    [count.case.clone()].into_iter().chain(results.engines.iter().map(cell)).collect()
}

fn print_latency(results: &Results) {
    if results.latency.is_empty() {
        return;
    }
    println!("\nNanoseconds of single calls");
    let header = ["", "p50", "p99", "p99.9", "p99.99", "max"].map(String::from).to_vec();
    let rows = results.latency.iter().map(latency_row);
    show::table(&[header].into_iter().chain(rows).collect::<Vec<_>>());
}

fn latency_row(l: &Latency) -> Vec<String> {
    let name = format!("{} {} @{}", l.engine, l.call, l.threads);
    [name].into_iter().chain([l.p50, l.p99, l.p999, l.p9999, l.max].map(|n| n.to_string())).collect()
}
