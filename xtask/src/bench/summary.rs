//! What a run prints at its end: one table per measure, ratios to the baseline, geometric means below.

use super::results::{Instructions, Latency, Results, Timing};
use super::statistics::{Measure, geometric_mean};
use crate::show;

pub fn print(results: &Results) {
    let shown = if results.timing.is_empty() { &[][..] } else { &Measure::ALL[..] };
    shown.iter().for_each(|&measure| print_measure(results, measure));
    print_instructions(results);
    print_latency(results);
}

fn print_measure(results: &Results, measure: Measure) {
    println!("\n{} (ratio to {}, [spread of the rounds])", measure.title(), results.title(results.baseline()));
    let rows = results.timing.iter().map(|timing| row(results, timing, measure));
    let table: Vec<_> = [header(results)].into_iter().chain(rows).chain([mean_row(results, measure)]).collect();
    show::table(&table);
}

fn header(results: &Results) -> Vec<String> {
    let names = results.engines.iter().map(|(name, _)| name.clone());
    [String::new(), "baseline".into()].into_iter().chain(names).collect()
}

fn row(results: &Results, timing: &Timing, measure: Measure) -> Vec<String> {
    let absolute = timing.median(results.baseline(), measure).map_or("-".into(), |value| measure.show(value));
    let cell = |(engine, _): &(String, String)| match timing.ratio(engine, results.baseline(), measure) {
        Some(ratio) => format!("{:.2} [{:.2}-{:.2}]", ratio.median, ratio.low, ratio.high),
        None if timing.failures.contains_key(engine) => "FAILED".into(),
        None => "-".into(),
    };
    [timing.case.clone(), absolute].into_iter().chain(results.engines.iter().map(cell)).collect()
}

fn mean_row(results: &Results, measure: Measure) -> Vec<String> {
    let cell = |(engine, _): &(String, String)| {
        let ratios = results.timing.iter().filter_map(|timing| timing.ratio(engine, results.baseline(), measure));
        geometric_mean(ratios.map(|ratio| ratio.median)).map_or("-".into(), |mean| format!("{mean:.3}"))
    };
    ["geometric mean".into(), String::new()].into_iter().chain(results.engines.iter().map(cell)).collect()
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
