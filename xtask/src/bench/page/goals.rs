//! The project's goals beside what was found, and every loss.

use super::TIMED;
use crate::bench::cases::GENERATED;
use crate::bench::engines::{BASELINE, NEWEST, OURS};
use crate::bench::results::{Results, Timing};
use crate::bench::statistics::{Against, Measure, Ratio};

const TIMES: [Measure; 2] = [Measure::Cpu, Measure::Wall];
/// Instructions per pair, at most this part of mimalloc's, in these workloads.
const COUNTED: [&str; 6] =
    ["micro-pair-16", "micro-pair-32", "micro-pair-64", "micro-batch-lifo", "micro-batch-fifo", "micro-live-20k"];

struct Goal {
    what: String,
    limit: f64,
    found: Option<Ratio>,
}

impl Goal {
    fn row(&self) -> String {
        let (found, verdict) =
            self.found.map_or(("–".into(), "not measured"), |found| (told(found), self.verdict(found)));
        format!("| {} | ≤ {:.2} | {found} | {verdict} |\n", self.what, self.limit)
    }

    /// A limit that lies within the interval is neither met nor missed for sure.
    fn verdict(&self, found: Ratio) -> &'static str {
        match (found.median <= self.limit, found.resolved_from(self.limit)) {
            (true, true) => "met",
            (true, false) => "met, not resolved",
            (false, true) => "**missed**",
            (false, false) => "missed, not resolved",
        }
    }
}

fn told(ratio: Ratio) -> String {
    format!("{:.2} <sub>{}</sub>", ratio.median, ratio.interval())
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
        let mean = |against, groups| results.mean_against(OURS, against, measure, groups);
        let goal = |what: &str, limit, found| Goal { what: format!("{name}, {what}"), limit, found };
        goals.push(goal("geometric mean to mimalloc 3.4.3", 0.60, mean(Against::Engine(BASELINE), &TIMED)));
        goals.push(goal("geometric mean to mimalloc 3.6.2", 0.60, mean(Against::Engine(NEWEST), &TIMED)));
        goals.push(goal(
            "geometric mean to the best other engine of each workload",
            1.0,
            mean(Against::BestOther, &TIMED),
        ));
        goals.push(goal("worst single workload to the best other engine", 1.10, worst_to_best(results, measure)));
        let generated: &[&str] = &[GENERATED];
        goals.push(goal("generated programs to mimalloc 3.4.3", 0.80, mean(Against::Engine(BASELINE), generated)));
        goals.push(goal("generated programs to the next engine", 0.95, to_next(results, measure, generated)));
        goals.push(goal(
            "generated programs to the best other engine of each",
            1.0,
            mean(Against::BestOther, generated),
        ));
    }
    goals.extend(memory_goals(results));
    goals
}

fn memory_goals(results: &Results) -> [Goal; 3] {
    let baseline = Against::Engine(results.baseline());
    let rss = |what: &str, limit, found| Goal { what: format!("peak RSS, {what} to mimalloc 3.4.3"), limit, found };
    [
        rss("geometric mean", 0.50, results.mean_against(OURS, baseline, Measure::PeakRss, &TIMED)),
        rss("worst single workload", 1.10, worst(results, baseline, Measure::PeakRss)),
        Goal {
            what: "instructions to mimalloc 3.4.3's, worst of pair, batch, live".into(),
            limit: 0.70,
            found: worst_instructions(results),
        },
    ]
}

fn timed(results: &Results) -> impl Iterator<Item = &Timing> {
    results.in_groups(&TIMED)
}

fn worst(results: &Results, against: Against, measure: Measure) -> Option<Ratio> {
    let ratios = timed(results).filter_map(|timing| timing.ratio_against(OURS, against, measure));
    ratios.max_by(|a, b| a.median.total_cmp(&b.median))
}

fn worst_to_best(results: &Results, measure: Measure) -> Option<Ratio> {
    worst(results, Against::BestOther, measure)
}

/// To the other engine that does best over all of `groups`.
fn to_next(results: &Results, measure: Measure, groups: &[&str]) -> Option<Ratio> {
    let others = results.engines.iter().filter(|(engine, _)| engine != OURS);
    let ratios = others.filter_map(|(engine, _)| results.mean_against(OURS, Against::Engine(engine), measure, groups));
    ratios.max_by(|a, b| a.median.total_cmp(&b.median))
}

fn worst_instructions(results: &Results) -> Option<Ratio> {
    let counted = results.instructions.iter().filter(|count| COUNTED.contains(&count.case.as_str()));
    let ratios = counted.filter_map(|count| Some(count.per_operation.get(OURS)? / count.per_operation.get(BASELINE)?));
    ratios.max_by(f64::total_cmp).map(|exact| Ratio { median: exact, low: exact, high: exact })
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
    let summary = results.mean_against(OURS, Against::BestOther, Measure::Cpu, &TIMED);
    let lead = summary.map_or(String::new(), |mean| {
        let mean = told(mean);
        format!("Against the best engine of each single workload our CPU time is {mean} in the geometric mean.\n\n")
    });
    let columns = "workload | our CPU / wall to mimalloc 3.4.3 | to 3.6.2 | fastest other (CPU) | we to it";
    let header = format!("| {columns} |\n|---|---:|---:|---|---:|\n");
    format!("### Where we lose\n\n{lead}{header}{}\n", rows.concat())
}

fn loss(results: &Results, timing: &Timing) -> Option<String> {
    let [cpu, wall] = TIMES.map(|measure| timing.ratio(OURS, results.baseline(), measure));
    let (cpu, wall) = (cpu?, wall?);
    let newest = timing.ratio(OURS, NEWEST, Measure::Cpu);
    let engine = timing.best_other(OURS, Measure::Cpu)?;
    let behind = timing.ratio(OURS, engine, Measure::Cpu)?;
    let lost = cpu.median > 1.0 || wall.median > 1.0 || behind.median > NOTABLE;
    let row = || {
        let newest = newest.map_or("–".into(), |ratio| format!("{:.2}", ratio.median));
        let unsure = if behind.resolved_from(1.0) { "" } else { ", not resolved" };
        let (engine, behind) = (results.title(engine), told(behind));
        let ratios = format!("{:.2} / {:.2} | {newest}", cpu.median, wall.median);
        format!("| {} | {ratios} | {engine} | {behind}{unsure} |\n", timing.case)
    };
    lost.then(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_within_the_interval_is_not_resolved() {
        let goal = Goal { what: String::new(), limit: 0.6, found: None };
        assert_eq!(goal.verdict(Ratio { median: 0.5, low: 0.4, high: 0.55 }), "met");
        assert_eq!(goal.verdict(Ratio { median: 0.62, low: 0.58, high: 0.7 }), "missed, not resolved");
    }
}
