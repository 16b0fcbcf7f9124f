//! The project's goals beside what was found, and every loss.

use super::{TIMED, best_other};
use crate::bench::engines::{BASELINE, OURS};
use crate::bench::results::{Results, Timing};
use crate::bench::statistics::{Measure, geometric_mean};

const TIMES: [Measure; 2] = [Measure::Wall, Measure::Cpu];
/// Instructions per pair, at most this part of mimalloc's, in these workloads.
const COUNTED: [&str; 6] =
    ["micro-pair-16", "micro-pair-32", "micro-pair-64", "micro-batch-lifo", "micro-batch-fifo", "micro-live-20k"];

struct Goal {
    what: String,
    limit: f64,
    found: Option<f64>,
}

impl Goal {
    fn row(&self) -> String {
        let (found, verdict) = match self.found {
            Some(found) if found <= self.limit => (format!("{found:.2}"), "met"),
            Some(found) => (format!("{found:.2}"), "**missed**"),
            None => ("–".into(), "not measured"),
        };
        format!("| {} | ≤ {:.2} | {found} | {verdict} |\n", self.what, self.limit)
    }
}

pub fn section(results: &Results) -> String {
    if !results.engines.iter().any(|(engine, _)| engine == OURS) {
        return String::new();
    }
    let rows: String = goals(results).iter().map(Goal::row).collect();
    format!("### Goals\n\n| goal | limit | found | |\n|---|---:|---:|---|\n{rows}\n")
}

fn goals(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for measure in TIMES {
        let name = measure.title();
        goals.push(goal(format!("{name}, geometric mean to mimalloc 3"), 0.70, mean(results, measure)));
        goals.push(goal(format!("{name}, worst single workload to mimalloc 3"), 1.0, worst(results, measure)));
        goals.push(goal(
            format!("{name}, geometric mean to the best other engine's, worst table"),
            0.90,
            to_best_mean(results, measure),
        ));
        goals.push(goal(
            format!("{name}, worst single workload to the best of all engines"),
            1.10,
            worst_to_best(results, measure),
        ));
    }
    goals.push(goal("peak RSS, geometric mean to mimalloc 3".into(), 0.50, mean(results, Measure::PeakRss)));
    goals.push(goal(
        "instructions to mimalloc 3's, worst of pair, batch, live".into(),
        0.70,
        worst_instructions(results),
    ));
    goals
}

fn goal(what: String, limit: f64, found: Option<f64>) -> Goal {
    Goal { what, limit, found }
}

fn timed(results: &Results) -> impl Iterator<Item = &Timing> {
    results.timing.iter().filter(|timing| TIMED.contains(&timing.group.as_str()))
}

fn ours(results: &Results, timing: &Timing, measure: Measure) -> Option<f64> {
    Some(timing.ratio(OURS, results.baseline(), measure)?.median)
}

fn mean(results: &Results, measure: Measure) -> Option<f64> {
    results.geometric_mean(OURS, measure, &TIMED)
}

fn worst(results: &Results, measure: Measure) -> Option<f64> {
    timed(results).filter_map(|timing| ours(results, timing, measure)).max_by(f64::total_cmp)
}

/// Our geometric mean as a part of the best other engine's, group by group, the worst group.
fn to_best_mean(results: &Results, measure: Measure) -> Option<f64> {
    let of_group = |group: &&str| {
        let mine = results.geometric_mean(OURS, measure, &[group])?;
        let others = results.engines.iter().filter(|(engine, _)| engine != OURS);
        let means = others.filter_map(|(engine, _)| results.geometric_mean(engine, measure, &[group]));
        Some(mine / means.min_by(f64::total_cmp)?)
    };
    TIMED.iter().filter_map(of_group).max_by(f64::total_cmp)
}

fn to_best(results: &Results, timing: &Timing, measure: Measure) -> Option<f64> {
    Some(ours(results, timing, measure)? / best_other(results, timing, measure)?.1)
}

fn worst_to_best(results: &Results, measure: Measure) -> Option<f64> {
    timed(results).filter_map(|timing| to_best(results, timing, measure)).max_by(f64::total_cmp)
}

fn worst_instructions(results: &Results) -> Option<f64> {
    let counted = results.instructions.iter().filter(|count| COUNTED.contains(&count.case.as_str()));
    let ratios = counted.filter_map(|count| Some(count.per_operation.get(OURS)? / count.per_operation.get(BASELINE)?));
    ratios.max_by(f64::total_cmp)
}

// --- losses ---------------------------------------------------------------------------------------------------------------

/// Another engine must be this much faster to be named.
const NOTABLE: f64 = 1.10;

/// Every workload in which we are slower than mimalloc 3, or another engine is notably faster than we.
pub fn losses(results: &Results) -> String {
    let rows: Vec<String> = timed(results).filter_map(|timing| loss(results, timing)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let summary = geometric_mean(timed(results).filter_map(|timing| to_best(results, timing, Measure::Cpu)));
    let lead = summary.map_or(String::new(), |mean| {
        format!("Against the best engine of each single workload our CPU time is {mean:.2} in the geometric mean.\n\n")
    });
    let header = "| workload | our CPU / wall to mimalloc 3 | fastest other (CPU) | we to it |\n|---|---:|---|---:|\n";
    format!("### Where we lose\n\n{lead}{header}{}\n", rows.concat())
}

fn loss(results: &Results, timing: &Timing) -> Option<String> {
    let [wall, cpu] = TIMES.map(|measure| ours(results, timing, measure));
    let (wall, cpu) = (wall?, cpu?);
    let (engine, ratio) = best_other(results, timing, Measure::Cpu)?;
    let behind = cpu / ratio;
    let lost = cpu > 1.0 || wall > 1.0 || behind > NOTABLE;
    let row = || format!("| {} | {cpu:.2} / {wall:.2} | {} | {behind:.2} |\n", timing.case, results.title(engine));
    lost.then(row)
}
