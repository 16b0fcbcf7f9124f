//! Medians, ratios with their confidence intervals, geometric means.

use super::bootstrap::{self, Pair};
use super::results::{Results, Timing};
use super::sample::Sample;
use serde::{Deserialize, Serialize};

/// What of a sample is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Cpu,
    Wall,
    PeakRss,
    FinalRss,
}

impl Measure {
    /// As tables and pages call it.
    pub fn named(name: &str) -> Measure {
        match name {
            "cpu" => Measure::Cpu,
            "wall" => Measure::Wall,
            "peak" => Measure::PeakRss,
            "final" => Measure::FinalRss,
            other => panic!("nothing is measured that is called {other}"),
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Measure::Cpu => "CPU time",
            Measure::Wall => "Wall time",
            Measure::PeakRss => "Peak RSS",
            Measure::FinalRss => "Final RSS",
        }
    }

    pub fn of(self, sample: &Sample) -> f64 {
        match self {
            Measure::Cpu => sample.cpu_us(),
            Measure::Wall => sample.wall_us,
            Measure::PeakRss => sample.peak_rss_kib,
            Measure::FinalRss => sample.final_rss_kib,
        }
    }

    /// "123 ms", "12.3 MiB".
    pub fn show(self, value: f64) -> String {
        match self {
            Measure::Cpu | Measure::Wall => format!("{:.0} ms", value / 1000.0),
            Measure::PeakRss | Measure::FinalRss => format!("{:.1} MiB", value / 1024.0),
        }
    }
}

/// A ratio of medians, or a mean of such, with the bounds of its 95 % confidence interval.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Ratio {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    /// Whether the interval leaves out `value`. A ratio that is not resolved from 1 is no difference.
    pub fn resolved_from(self, value: f64) -> bool {
        value < self.low || value > self.high
    }

    pub fn exactly(median: f64) -> Ratio {
        Ratio { median, low: median, high: median }
    }

    pub fn told(self) -> String {
        format!("{:.2} <sub>{}</sub>", self.median, self.interval())
    }

    /// "0.93–1.04", or "?" where the rounds were too few to say.
    pub fn interval(self) -> String {
        if self.high.is_finite() { format!("{:.2}–{:.2}", self.low, self.high) } else { "?".into() }
    }
}

/// What an engine is measured by.
#[derive(Clone, Copy)]
pub enum Against<'a> {
    Engine(&'a str),
    /// The best of all other engines, workload by workload.
    BestOther,
}

impl Against<'_> {
    /// An engine, or `best`.
    pub fn named(name: &str) -> Against<'_> {
        if name == "best" { Against::BestOther } else { Against::Engine(name) }
    }
}

pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

impl Timing {
    fn values(&self, engine: &str, measure: Measure) -> Vec<f64> {
        self.samples.get(engine).into_iter().flatten().map(|sample| measure.of(sample)).collect()
    }

    pub fn median(&self, engine: &str, measure: Measure) -> Option<f64> {
        median(self.values(engine, measure)).filter(|&value| value > 0.0)
    }

    fn pair(&self, engine: &str, other: &str, measure: Measure) -> Option<Pair> {
        Pair::new(self.values(engine, measure), self.values(other, measure))
    }

    pub fn ratio(&self, engine: &str, other: &str, measure: Measure) -> Option<Ratio> {
        Some(bootstrap::ratio(&self.pair(engine, other, measure)?))
    }

    /// The engine with the least median, `engine` itself left out.
    pub fn best_other(&self, engine: &str, measure: Measure) -> Option<&str> {
        let others = self.samples.keys().map(String::as_str).filter(|&other| other != engine);
        let medians = others.filter_map(|other| Some((other, self.median(other, measure)?)));
        Some(medians.min_by(|a, b| a.1.total_cmp(&b.1))?.0)
    }

    fn pair_against(&self, engine: &str, against: Against, measure: Measure) -> Option<Pair> {
        match against {
            Against::Engine(other) => self.pair(engine, other, measure),
            Against::BestOther => self.pair(engine, self.best_other(engine, measure)?, measure),
        }
    }

    pub fn ratio_against(&self, engine: &str, against: Against, measure: Measure) -> Option<Ratio> {
        Some(bootstrap::ratio(&self.pair_against(engine, against, measure)?))
    }
}

impl Results {
    pub fn in_groups<'a>(&'a self, groups: &'a [&'a str]) -> impl Iterator<Item = &'a Timing> {
        self.timing.iter().filter(|timing| groups.contains(&timing.group.as_str()))
    }

    pub fn mean_against(&self, engine: &str, against: Against, measure: Measure, groups: &[&str]) -> Option<Ratio> {
        let pairs = self.in_groups(groups).filter_map(|timing| timing.pair_against(engine, against, measure));
        bootstrap::geometric_mean(&pairs.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }

    #[test]
    fn a_half_and_a_double_balance_and_the_best_other_is_somebody_else() {
        let timing = |ours: f64, theirs: f64| Timing {
            case: String::new(),
            group: "g".into(),
            source: String::new(),
            checksum: None,
            samples: [("a", ours), ("b", theirs)].map(|(name, us)| (name.to_owned(), vec![sample(us); 3])).into(),
            failures: Default::default(),
        };
        let results = results_of(vec![timing(1.0, 2.0), timing(2.0, 1.0)]);
        assert!(
            (results.mean_against("a", Against::Engine("b"), Measure::Wall, &["g"]).unwrap().median - 1.0).abs()
                < 1e-12
        );
        assert_eq!(results.timing[0].best_other("a", Measure::Wall), Some("b"));
        assert_eq!(results.timing[0].best_other("b", Measure::Wall), Some("a"));
    }

    fn sample(wall_us: f64) -> Sample {
        Sample { wall_us, ..Sample::default() }
    }

    fn results_of(timing: Vec<Timing>) -> Results {
        let engines = [("a".to_owned(), "a".to_owned()), ("b".to_owned(), "b".to_owned())].to_vec();
        let machine = super::super::machine::describe();
        Results { date: String::new(), machine, engines, timing, instructions: Vec::new(), latency: Vec::new() }
    }
}
