//! The project's goals (`tables/goals.toml`) beside what was found, and every loss.

use super::TIMED;
use crate::bench::engines::{BASELINE, NEWEST, OURS};
use crate::bench::results::Results;
use crate::bench::statistics::{Against, Measure, Ratio};
use crate::tables;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Instructions per pair, at most this part of mimalloc's, in these workloads.
const COUNTED: [&str; 6] =
    ["micro-pair-16", "micro-pair-32", "micro-pair-64", "micro-batch-lifo", "micro-batch-fifo", "micro-live-20k"];

#[derive(Deserialize, Serialize)]
pub struct Goal {
    what: String,
    limit: f64,
    measure: String,
    of: Kind,
    against: Option<String>,
    groups: Option<Vec<String>>,
    #[serde(skip_deserializing)]
    found: Option<Ratio>,
    #[serde(skip_deserializing)]
    verdict: &'static str,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Mean,
    Worst,
    Next,
    Instructions,
}

/// None where we were not measured.
pub fn found(results: &Results) -> Result<Vec<Goal>> {
    if !results.engines.iter().any(|(engine, _)| engine == OURS) {
        return Ok(Vec::new());
    }
    let mut goals: Vec<Goal> = tables::list("goals", "goal")?;
    for goal in &mut goals {
        goal.found = goal.ratio(results);
        goal.verdict = goal.found.map_or("not measured", |found| verdict(goal.limit, found));
    }
    Ok(goals)
}

/// A limit that lies within the interval is neither met nor missed for sure.
fn verdict(limit: f64, found: Ratio) -> &'static str {
    match (found.median <= limit, found.resolved_from(limit)) {
        (true, true) => "met",
        (true, false) => "met, not resolved",
        (false, true) => "**missed**",
        (false, false) => "missed, not resolved",
    }
}

impl Goal {
    fn ratio(&self, results: &Results) -> Option<Ratio> {
        let measure = Measure::named(&self.measure);
        let groups: Vec<&str> =
            self.groups.as_ref().map_or(TIMED.to_vec(), |groups| groups.iter().map(String::as_str).collect());
        let mean = |against| results.mean_against(OURS, against, measure, &groups);
        let against = Against::named(self.against.as_deref().unwrap_or("best"));
        match self.of {
            Kind::Mean => mean(against),
            Kind::Worst => {
                largest(results.in_groups(&groups).filter_map(|it| it.ratio_against(OURS, against, measure)))
            }
            Kind::Next => {
                let others = results.engines.iter().filter(|(engine, _)| engine != OURS);
                largest(others.filter_map(|(engine, _)| mean(Against::Engine(engine))))
            }
            Kind::Instructions => {
                let counted = results.instructions.iter().filter(|count| COUNTED.contains(&count.case.as_str()));
                let per = counted.map(|count| &count.per_operation);
                largest(per.filter_map(|per| Some(Ratio::exactly(per.get(OURS)? / per.get(BASELINE)?))))
            }
        }
    }
}

fn largest(ratios: impl Iterator<Item = Ratio>) -> Option<Ratio> {
    ratios.max_by(|a, b| a.median.total_cmp(&b.median))
}

/// Another engine must be this much faster to be named.
const NOTABLE: f64 = 1.10;

#[derive(Serialize)]
pub struct Loss {
    case: String,
    cpu: Ratio,
    wall: Ratio,
    newest: Option<Ratio>,
    engine: String,
    behind: Ratio,
    resolved: bool,
}

/// Every workload in which we are slower than mimalloc 3, or another engine is notably faster than we.
pub fn losses(results: &Results) -> Vec<Loss> {
    let loss = |timing: &crate::bench::results::Timing| {
        let cpu = timing.ratio(OURS, results.baseline(), Measure::Cpu)?;
        let wall = timing.ratio(OURS, results.baseline(), Measure::Wall)?;
        let newest = timing.ratio(OURS, NEWEST, Measure::Cpu);
        let engine = timing.best_other(OURS, Measure::Cpu)?.to_owned();
        let behind = timing.ratio(OURS, &engine, Measure::Cpu)?;
        let is_loss = cpu.median > 1.0 || wall.median > 1.0 || behind.median > NOTABLE;
        let resolved = behind.resolved_from(1.0);
        is_loss.then(|| Loss { case: timing.case.clone(), cpu, wall, newest, engine, behind, resolved })
    };
    results.in_groups(&TIMED).filter_map(loss).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_within_the_interval_is_not_resolved() {
        assert_eq!(verdict(0.6, Ratio { median: 0.5, low: 0.4, high: 0.55 }), "met");
        assert_eq!(verdict(0.6, Ratio { median: 0.62, low: 0.58, high: 0.7 }), "missed, not resolved");
    }
}
